//! The summary that a run is compared with.

use std::rc::Rc;

use anyhow::{anyhow, bail};
use serde_json::Value;

use crate::command::count::{self, Counter};
use crate::command::row_sinks::Wanted;
use crate::command::verdict::Verdict;
use crate::html::{Gather, Side};
use crate::plan::{Against, RunPlan};
use crate::report::check::Fields;
use crate::terminal::Messages;

/// A summary to compare with.
pub(super) struct Baseline {
    pub name: String,
    pub bytes: Vec<u8>,
    pub fields: Fields,
    pub complete: bool,
    /// Whether it says what is not measured: the client's version, the run's configuration.
    pub described: bool,
    /// What a page shows of it.
    pub side: Rc<Side>,
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
        Self::of("its own summary".to_owned(), own, None)
    }

    /// The summary that `--against` means; of a run whose summary is not whole, its recount. For a page a run is
    /// counted in any case: that shows more than a summary does.
    pub fn against(
        against: &Against,
        counter: &mut Counter,
        messages: Messages,
        for_page: bool,
    ) -> anyhow::Result<Self> {
        let name = &against.name;
        let summary = against.summary.clone();
        let summary = summary
            .map(|bytes| Self::of(name.clone(), bytes, None))
            .transpose()?;
        let (why, run) = match (summary, &against.run) {
            (Some(summary), None) => return Ok(summary),
            (Some(summary), Some(run)) if summary.complete && for_page => {
                return Ok(summary.with_samples(run, counter, messages));
            }
            (Some(summary), Some(_)) if summary.complete => return Ok(summary),
            (Some(_), Some(run)) => ("says that it is incomplete", run),
            (None, Some(run)) => ("is missing", run),
            (None, None) => bail!("{name} has no summary"),
        };
        messages.note(format!("the summary of {name} {why}: its recount is taken"));
        let mut wanted = Wanted::of_baseline(for_page);
        let counted = counter.count(run, wanted.sink())?;
        let (_, gathered) = wanted.finish()?;
        for reason in Verdict::of(&counted.finished).reasons {
            messages.warn(format!("{name}: {reason}"));
        }
        let bytes = count::summary(run, run.previous.as_deref(), &counted.finished)?;
        let name = format!("the recount of {name}");
        Ok(Self {
            described: run.previous.is_some(),
            ..Self::of(name, bytes, gathered)?
        })
    }

    /// With the run's samples, if they can be had.
    fn with_samples(self, run: &RunPlan, counter: &mut Counter, messages: Messages) -> Self {
        let mut wanted = Wanted::of_baseline(true);
        let counted = counter.count(run, wanted.sink());
        let gathered = counted.and_then(|_| Ok(wanted.finish()?.1));
        let gathered = gathered.unwrap_or_else(|error| {
            let why = count::chain(error.as_ref());
            messages.warn(format!("only the summary of {} is shown: {why}", self.name));
            None
        });
        let side = Side {
            name: self.side.name.clone(),
            summary: self.side.summary.clone(),
            gathered,
        };
        Self {
            side: Rc::new(side),
            ..self
        }
    }

    fn of(name: String, bytes: Vec<u8>, gathered: Option<Gather>) -> anyhow::Result<Self> {
        let summary: Value = serde_json::from_slice(&bytes)?;
        Ok(Self {
            bytes,
            fields: Fields::of(&summary),
            complete: summary["complete"].as_bool() != Some(false),
            described: true,
            side: Rc::new(Side {
                name: name.clone(),
                summary,
                gathered,
            }),
            name,
        })
    }
}
