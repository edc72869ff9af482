//! The search for the tokenizer that reproduces a run's token counts.

use serde::Serialize;

use crate::command::Session;
use crate::command::count::{CountedRun, Counter};
use crate::command::tokenizer::{ChatTemplates, LoadedTokenizer, load_named};
use crate::plan::RunPlan;
use crate::tokenizer::transformers::LoaderRules;

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
    tokenizer: Option<&LoadedTokenizer>,
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
        own: Option<&LoadedTokenizer>,
    ) -> anyhow::Result<Option<LoadedTokenizer>> {
        let named = |name| {
            load_named(
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
                .map(|own| own.variant(own.rules(), ChatTemplates::Ignored))
                .transpose(),
            Self::Named(name) => named(name).map(Some),
            // `Named` reported the error before.
            Self::NamedWithOtherRules(name) => {
                named(name).map_or(Ok(None), |loaded| with_other_rules(&loaded))
            }
        }
    }

    fn name<'a>(&'a self, own: Option<&'a LoadedTokenizer>) -> &'a str {
        match self {
            Self::OtherRules | Self::NoTemplates => own.map_or("", LoadedTokenizer::name),
            Self::Named(name) | Self::NamedWithOtherRules(name) => name,
        }
    }

    fn describe(&self, loaded: &LoadedTokenizer) -> String {
        let name = loaded.name();
        let rules = match loaded.rules() {
            LoaderRules::Transformers => "transformers",
            LoaderRules::File => "file",
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
fn with_other_rules(loaded: &LoadedTokenizer) -> anyhow::Result<Option<LoadedTokenizer>> {
    if loaded.rules() == LoaderRules::Transformers {
        return if loaded.tokenizer.overrides().is_empty() {
            Ok(None)
        } else {
            loaded
                .variant(LoaderRules::File, ChatTemplates::Own)
                .map(Some)
        };
    }
    let variant = loaded.variant(LoaderRules::Transformers, ChatTemplates::Own)?;
    Ok(Some(variant).filter(|variant| !variant.tokenizer.overrides().is_empty()))
}
