//! The search for the tokenizer that reproduces a run's token counts.

use serde::Serialize;

use crate::command::Session;
use crate::command::count::{CountedRun, Counter};
use crate::command::tokenizer::{Loaded, Templates, other};
use crate::plan::RunPlan;
use crate::tokenizer::transformers::Rules;

/// The result of the search.
#[derive(Debug, Serialize)]
pub(super) struct Diagnosis {
    /// The tokenizer and rules that reproduce the counts.
    pub cause: Option<String>,
    /// The tokenizers and rules that were tried, the cause included.
    pub tried: Vec<String>,
}

/// A tokenizer that may have counted the run.
enum Candidate<'a> {
    OtherRules,
    NoTemplates,
    Named(&'a str),
    NamedWithOtherRules(&'a str),
}

/// Recounts with one candidate after the other until one `reproduces` the run. `tokenizer` is that of the recount.
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
            "{} can be read only once: the cause of the different token counts was not searched",
            plan.log
        ));
        return Ok(diagnosis);
    }
    let named = try_tokenizers.iter();
    let candidates = [Candidate::OtherRules, Candidate::NoTemplates]
        .into_iter()
        .chain(
            named.flat_map(|name| [Candidate::Named(name), Candidate::NamedWithOtherRules(name)]),
        );
    for candidate in candidates {
        let loaded = match candidate.load(session, plan, tokenizer) {
            Ok(Some(loaded)) => loaded,
            Ok(None) => continue,
            Err(error) => {
                messages.warn(format!(
                    "cannot try {}: {error:#}",
                    candidate.name(tokenizer)
                ));
                continue;
            }
        };
        let what = candidate.describe(&loaded);
        messages.detail(format!("trying {what}"));
        diagnosis.tried.push(what.clone());
        if reproduces(&counter.count_with(plan, loaded)?)? {
            diagnosis.cause = Some(what);
            break;
        }
    }
    Ok(diagnosis)
}

impl Candidate<'_> {
    /// Loads the candidate's tokenizer; `None` if it would count the same as the recount.
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
            // `Named` reported the error before.
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

/// The same tokenizer loaded by the other rules; `None` if both count the same.
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
