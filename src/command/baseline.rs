//! The summary that a run is compared with.

use std::mem;
use std::rc::Rc;

use anyhow::{anyhow, bail};
use serde_json::Value;

use super::count::{self, Counter};
use super::row_sinks::RowSinks;
use super::verdict::Verdict;
use crate::html::{PageRun, PageStats};
use crate::plan::{BaselinePlan, RunPlan};
use crate::report::check::FlatSummary;
use crate::stats::steady_state::SuperPassPoint;

/// A summary to compare with.
pub(super) struct Baseline {
    pub name: String,
    pub bytes: Vec<u8>,
    pub fields: FlatSummary,
    pub complete: bool,
    /// True if it has the fields that are not measured: the client's version, the run's configuration.
    pub described: bool,
    /// The part that a page shows.
    pub side: Rc<PageRun>,
}

impl Baseline {
    /// Returns a run's own summary.
    pub fn own(run: &RunPlan) -> anyhow::Result<Self> {
        let summary = run.previous.clone().ok_or_else(|| {
            anyhow!(
                "nothing to compare {} with: it has no summary; give --against a summary or a run, or --expect a file",
                run.name
            )
        })?;
        Self::new("its own summary".to_owned(), summary, None, Vec::new())
    }

    /// Loads the summary that `--against` means; a run whose summary is missing or incomplete is recounted. If pages are
    /// written, every run is counted: its samples show more than its summary.
    pub fn load(
        plan: &BaselinePlan,
        counter: &mut Counter,
        has_page: bool,
    ) -> anyhow::Result<Self> {
        let name = &plan.name;
        let summary = plan.summary.clone();
        let summary = summary
            .map(|bytes| Self::new(name.clone(), bytes, None, Vec::new()))
            .transpose()?;
        let (why, run) = match (summary, &plan.run) {
            (Some(summary), None) => return Ok(summary),
            (Some(summary), Some(run)) if summary.complete && has_page => {
                return Ok(summary.with_samples(run, counter));
            }
            (Some(summary), Some(_)) if summary.complete => return Ok(summary),
            (Some(_), Some(run)) => ("says that it is incomplete", run),
            (None, Some(run)) => ("is missing", run),
            (None, None) => bail!("{name} has no summary"),
        };
        let messages = counter.session.messages;
        messages.note(format!("the summary of {name} {why}: its recount is taken"));
        let mut sinks = RowSinks::for_baseline(has_page);
        let mut counted = counter.count(run, sinks.sink())?;
        let stats = sinks.finish()?.page_stats;
        let super_passes = mem::take(&mut counted.result.super_passes);
        for reason in Verdict::of(&counted.result).reasons {
            messages.warn(format!("{name}: {reason}"));
        }
        let bytes = count::summary(run, run.previous.as_deref(), &counted.result)?;
        let name = format!("the recount of {name}");
        Ok(Self {
            described: run.previous.is_some(),
            ..Self::new(name, bytes, stats, super_passes)?
        })
    }

    /// Adds the statistics of the run's samples; a run that cannot be counted is shown by its summary only.
    fn with_samples(mut self, run: &RunPlan, counter: &mut Counter) -> Self {
        let mut sinks = RowSinks::for_baseline(true);
        let counted = counter.count(run, sinks.sink());
        let samples = counted
            .and_then(|counted| Ok((sinks.finish()?.page_stats, counted.result.super_passes)));
        let (stats, super_passes) = samples.unwrap_or_else(|error| {
            let messages = counter.session.messages;
            messages.warn(format!(
                "only the summary of {} is shown: {error:#}",
                self.name
            ));
            (None, Vec::new())
        });
        self.side = Rc::new(PageRun {
            name: self.side.name.clone(),
            summary: self.side.summary.clone(),
            stats,
            super_passes,
        });
        self
    }

    fn new(
        name: String,
        bytes: Vec<u8>,
        stats: Option<PageStats>,
        super_passes: Vec<SuperPassPoint>,
    ) -> anyhow::Result<Self> {
        let summary: Value = serde_json::from_slice(&bytes)?;
        Ok(Self {
            bytes,
            fields: FlatSummary::of(&summary),
            complete: summary["complete"].as_bool() != Some(false),
            described: true,
            side: Rc::new(PageRun {
                name: name.clone(),
                summary,
                stats,
                super_passes,
            }),
            name,
        })
    }
}
