//! The summary that a run is compared with.

use anyhow::{anyhow, bail};
use serde_json::Value;

use crate::command::count::{self, Counter};
use crate::command::verdict::Verdict;
use crate::messages::Messages;
use crate::plan::{Against, RunPlan};
use crate::report::check::Fields;

/// A summary to compare with.
pub(super) struct Baseline {
    pub name: String,
    pub bytes: Vec<u8>,
    pub fields: Fields,
    pub complete: bool,
    /// Whether it says what is not measured: the client's version, the run's configuration.
    pub described: bool,
}

impl Baseline {
    /// A run's own summary.
    pub fn own(plan: &RunPlan) -> anyhow::Result<Self> {
        let own = plan.previous.clone().ok_or_else(|| {
            anyhow!(
                "nothing to compare {} with: it has no summary; give --against a summary or a run, or --expect a file",
                plan.name
            )
        })?;
        Self::of("its own summary".to_owned(), own)
    }

    /// The summary that `--against` means; of a run whose summary is not whole, its recount.
    pub fn against(
        against: &Against,
        counter: &mut Counter,
        messages: Messages,
    ) -> anyhow::Result<Self> {
        let name = &against.name;
        let summary = against.summary.clone();
        let summary = summary
            .map(|bytes| Self::of(name.clone(), bytes))
            .transpose()?;
        let (why, run) = match (summary, &against.run) {
            (Some(summary), None) => return Ok(summary),
            (Some(summary), Some(_)) if summary.complete => return Ok(summary),
            (Some(_), Some(run)) => ("says that it is incomplete", run),
            (None, Some(run)) => ("is missing", run),
            (None, None) => bail!("{name} has no summary"),
        };
        messages.note(format!("the summary of {name} {why}: its recount is taken"));
        let counted = counter.count(run, None)?;
        for reason in Verdict::of(&counted.finished).reasons {
            messages.warn(format!("{name}: {reason}"));
        }
        let bytes = count::summary(run, run.previous.as_deref(), &counted.finished)?;
        Ok(Self {
            described: run.previous.is_some(),
            ..Self::of(format!("the recount of {name}"), bytes)?
        })
    }

    fn of(name: String, bytes: Vec<u8>) -> anyhow::Result<Self> {
        let summary: Value = serde_json::from_slice(&bytes)?;
        Ok(Self {
            name,
            bytes,
            fields: Fields::of(&summary),
            complete: summary["complete"].as_bool() != Some(false),
            described: true,
        })
    }
}
