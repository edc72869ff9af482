//! The search for the tokenizer, or the client version, that reproduces a run's token counts.

use serde::Serialize;

use crate::command::Session;
use crate::command::count::{CountedRun, Counter};
use crate::command::tokenizer::{ChatTemplates, LoadedTokenizer, load_named};
use crate::plan::RunPlan;
use crate::report::ClientVersion;
use crate::tokenizer::transformers::LoaderRules;

/// The result of the search.
#[derive(Debug, Serialize)]
pub(super) struct Diagnosis {
    /// The tokenizer and rules that reproduce the counts.
    pub cause: Option<String>,
    /// The tokenizers and rules that were tried, the cause included.
    pub tried: Vec<String>,
}

/// Versions whose clients count texts by different rules, the newest first.
const COUNTING_CLIENTS: [ClientVersion; 3] = [
    ClientVersion::August21,
    ClientVersion::July20,
    ClientVersion::June23,
];

/// A tokenizer or a client that may have counted the run.
enum Candidate<'a> {
    /// The same tokenizer by the rules of another client version.
    OtherClient(ClientVersion),
    OtherRules,
    NoTemplates,
    Named(&'a str),
    NamedWithOtherRules(&'a str),
}

/// Recounts with one candidate after the other until one `reproduces` the run. `counted` is the recount that differs.
pub(super) fn diagnose(
    try_tokenizers: &[String],
    counter: &mut Counter,
    plan: &RunPlan,
    counted: &CountedRun,
    reproduces: impl Fn(&CountedRun) -> anyhow::Result<bool>,
) -> anyhow::Result<Diagnosis> {
    let tokenizer = counted.loaded.as_ref();
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
    let clients = COUNTING_CLIENTS.into_iter();
    let has_reasoning = counted.result.tally.reasoning_outputs > 0;
    let clients =
        clients.filter(|client| has_reasoning && client.counts_unlike(plan.client.version));
    let candidates = clients
        .map(Candidate::OtherClient)
        .chain([Candidate::OtherRules, Candidate::NoTemplates])
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
        let what = candidate.describe(plan, &loaded);
        messages.detail(format!("trying {what}"));
        diagnosis.tried.push(what.clone());
        if reproduces(&candidate.count(counter, plan, loaded)?)? {
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
                session.plan.counting,
                u64::MAX,
                session.messages,
            )
        };
        match self {
            Self::OtherClient(_) => Ok(own.cloned()),
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

    /// Counts the run with the candidate. The report keeps the keys of the run's own client.
    fn count(
        &self,
        counter: &mut Counter,
        plan: &RunPlan,
        loaded: LoadedTokenizer,
    ) -> anyhow::Result<CountedRun> {
        let Self::OtherClient(version) = self else {
            return counter.count_with(plan, loaded);
        };
        let mut by_other = plan.clone();
        by_other.client.version = *version;
        let mut counted = counter.count_with(&by_other, loaded)?;
        counted.result.snapshot.client = plan.client.shown();
        Ok(counted)
    }

    fn name<'a>(&'a self, own: Option<&'a LoadedTokenizer>) -> &'a str {
        match self {
            Self::OtherClient(_) | Self::OtherRules | Self::NoTemplates => {
                own.map_or("", LoadedTokenizer::name)
            }
            Self::Named(name) | Self::NamedWithOtherRules(name) => name,
        }
    }

    fn describe(&self, plan: &RunPlan, loaded: &LoadedTokenizer) -> String {
        let name = loaded.name();
        let rules = match loaded.rules() {
            LoaderRules::Transformers => "transformers",
            LoaderRules::File => "file",
        };
        match self {
            Self::OtherRules | Self::NamedWithOtherRules(_) => {
                format!("tokenizer {name} with --tokenizer-rules {rules}")
            }
            Self::OtherClient(version) => {
                let (own, label) = (plan.client.version, version.label());
                let rule = match version.counts_reasoning_as_text() {
                    same if same == own.counts_reasoning_as_text() => {
                        "TPOT summed in another order"
                    }
                    true => "reasoning counted as plain text",
                    false => "reasoning counted through the chat template",
                };
                format!("{rule}, as the client of {label} does (--client {label})")
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
