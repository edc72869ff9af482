//! The receivers of a run's rows: the table that `--samples` names, the statistics that its page shows.

use super::samples::Samples;
use crate::files::atomic::{StagedFile, WriteError};
use crate::html::{PageStats, Sample};
use crate::pipeline::RowSink;
use crate::plan::RunPlan;
use crate::sample::Row;

/// Passes rows on to the table and to the page, as far as they are written.
pub(super) struct RowSinks<'a> {
    samples: Option<Samples<'a>>,
    page_stats: Option<PageStats>,
}

/// The results of [`RowSinks`].
#[derive(Default)]
pub(super) struct RowOutputs {
    /// The table, ready to be put in its place.
    pub samples: Option<StagedFile>,
    pub page_stats: Option<PageStats>,
}

impl<'a> RowSinks<'a> {
    /// Returns the sinks of a run that is recounted.
    pub fn new(run: &'a RunPlan) -> Self {
        Self {
            samples: run.outputs.samples.as_deref().map(Samples::new),
            page_stats: run.outputs.page.is_some().then(PageStats::default),
        }
    }

    /// Returns the sinks of a baseline.
    pub fn for_baseline(has_page: bool) -> Self {
        Self {
            samples: None,
            page_stats: has_page.then(PageStats::default),
        }
    }

    /// Returns the sink for the pipeline; `None` if rows are not used.
    pub fn sink(&mut self) -> Option<&mut dyn RowSink> {
        (self.samples.is_some() || self.page_stats.is_some()).then_some(self)
    }

    pub fn finish(self) -> Result<RowOutputs, WriteError> {
        let samples = self.samples.map(Samples::finish).transpose()?;
        Ok(RowOutputs {
            samples: samples.flatten(),
            page_stats: self.page_stats,
        })
    }
}

impl RowSink for RowSinks<'_> {
    fn begin(&mut self) -> Result<(), WriteError> {
        self.page_stats = self.page_stats.take().map(|_| PageStats::default());
        self.samples.iter_mut().try_for_each(Samples::begin)
    }

    fn take(&mut self, row: Row) -> Result<(), WriteError> {
        if let Some(stats) = &mut self.page_stats {
            stats.add(&Sample::from(&row));
        }
        match &mut self.samples {
            Some(samples) => samples.take(row),
            None => Ok(()),
        }
    }
}
