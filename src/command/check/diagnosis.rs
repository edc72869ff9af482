//! Why token counts differ: who would have counted as the run did.

use serde::Serialize;

use crate::command::Session;
use crate::command::count::{CountedRun, Counter};
use crate::command::tokenizer::{Loaded, Templates, other};
use crate::plan::RunPlan;
use crate::tokenizer::transformers::Rules;

/// What reproduces a run's token counts.
#[derive(Debug, Serialize)]
pub(super) struct Diagnosis {
    /// What it is, if it was found.
    pub cause: Option<String>,
    /// What was tried, the cause included.
    pub tried: Vec<String>,
}

/// Something that may have counted the run.
enum Suspect<'a> {
    OtherRules,
    NoTemplates,
    Named(&'a str),
    NamedWithOtherRules(&'a str),
}

/// Recounts with one suspect after the other until one `reproduces` the run. `tokenizer`: what it was recounted with.
pub(super) fn diagnose(
    try_tokenizers: &[String],
    counter: &mut Counter,
    plan: &RunPlan,
    tokenizer: Option<&Loaded>,
    reproduces: impl Fn(&CountedRun) -> anyhow::Result<bool>,
) -> anyhow::Result<Diagnosis> {
    let session = counter.session;
    let messages = session.messages;
    let mut diagnosis = Diagnosis {
        cause: None,
        tried: Vec::new(),
    };
    if !plan.log.is_file() {
        messages.note(format!(
            "{} can be read once only: why token counts differ was not looked into",
            plan.log
        ));
        return Ok(diagnosis);
    }
    let named = try_tokenizers.iter();
    let suspects = [Suspect::OtherRules, Suspect::NoTemplates]
        .into_iter()
        .chain(named.flat_map(|name| [Suspect::Named(name), Suspect::NamedWithOtherRules(name)]));
    for suspect in suspects {
        let loaded = match suspect.load(session, plan, tokenizer) {
            Ok(Some(loaded)) => loaded,
            Ok(None) => continue,
            Err(error) => {
                messages.warn(format!("cannot try {}: {error:#}", suspect.name(tokenizer)));
                continue;
            }
        };
        let what = suspect.describe(&loaded);
        messages.detail(format!("trying {what}"));
        diagnosis.tried.push(what.clone());
        if reproduces(&counter.count_with(plan, loaded)?)? {
            diagnosis.cause = Some(what);
            break;
        }
    }
    Ok(diagnosis)
}

impl Suspect<'_> {
    /// The suspect's tokenizer; none where it could not count otherwise.
    fn load(
        &self,
        session: Session,
        plan: &RunPlan,
        own: Option<&Loaded>,
    ) -> anyhow::Result<Option<Loaded>> {
        let named = |name| {
            other(
                name,
                plan,
                &session.plan.counting,
                u64::MAX,
                session.messages,
            )
        };
        match self {
            Self::OtherRules => own.map_or(Ok(None), with_other_rules),
            Self::NoTemplates => own
                .map(|own| own.variant(own.rules(), Templates::Absent))
                .transpose(),
            Self::Named(name) => named(name).map(Some),
            // Where it cannot be loaded at all, that was said before.
            Self::NamedWithOtherRules(name) => {
                named(name).map_or(Ok(None), |loaded| with_other_rules(&loaded))
            }
        }
    }

    fn name<'a>(&'a self, own: Option<&'a Loaded>) -> &'a str {
        match self {
            Self::OtherRules | Self::NoTemplates => own.map_or("", Loaded::name),
            Self::Named(name) | Self::NamedWithOtherRules(name) => name,
        }
    }

    fn describe(&self, loaded: &Loaded) -> String {
        let name = loaded.name();
        let rules = match loaded.rules() {
            Rules::Transformers => "transformers",
            Rules::File => "file",
        };
        match self {
            Self::OtherRules | Self::NamedWithOtherRules(_) => {
                format!("tokenizer {name} with --tokenizer-rules {rules}")
            }
            Self::NoTemplates => format!("tokenizer {name} without its chat templates"),
            Self::Named(_) => format!("tokenizer {name}"),
        }
    }
}

/// The same tokenizer by the rules that are not its own; none where both rules count the same.
fn with_other_rules(loaded: &Loaded) -> anyhow::Result<Option<Loaded>> {
    if loaded.rules() == Rules::Transformers {
        return if loaded.tokenizer.replaced().is_empty() {
            Ok(None)
        } else {
            loaded.variant(Rules::File, Templates::Own).map(Some)
        };
    }
    let variant = loaded.variant(Rules::Transformers, Templates::Own)?;
    Ok(Some(variant).filter(|variant| !variant.tokenizer.replaced().is_empty()))
}
