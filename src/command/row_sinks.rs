//! What is wanted of a run's samples: the table that `--samples` names, what a page shows of them.

use super::samples::Samples;
use crate::cli::Cli;
use crate::files::atomic::{Prepared, WriteError};
use crate::html::{Gather, Sample};
use crate::pipeline::RowSink;
use crate::plan::RunPlan;
use crate::sample::Row;

/// Takes the rows of a run as far as anything is wanted of them.
pub(super) struct Wanted<'a> {
    samples: Option<Samples<'a>>,
    gather: Option<Gather>,
}

impl<'a> Wanted<'a> {
    /// Of a run that is recounted.
    pub fn of(cli: &'a Cli, plan: &RunPlan) -> Self {
        Self {
            samples: Samples::asked(cli),
            gather: plan.page.is_some().then(Gather::default),
        }
    }

    /// Of a run that others are compared with.
    pub fn of_baseline(for_page: bool) -> Self {
        Self {
            samples: None,
            gather: for_page.then(Gather::default),
        }
    }

    /// Where rows go, if anything is wanted.
    pub fn sink(&mut self) -> Option<&mut dyn RowSink> {
        (self.samples.is_some() || self.gather.is_some()).then_some(self)
    }

    /// The table, ready to be put in its place, and what was gathered for a page.
    pub fn finish(self) -> Result<(Option<Prepared>, Option<Gather>), WriteError> {
        let samples = self.samples.map(Samples::finish).transpose()?;
        Ok((samples.flatten(), self.gather))
    }
}

impl RowSink for Wanted<'_> {
    fn begin(&mut self) -> Result<(), WriteError> {
        self.gather = self.gather.take().map(|_| Gather::default());
        self.samples.iter_mut().try_for_each(Samples::begin)
    }

    fn take(&mut self, row: Row) -> Result<(), WriteError> {
        if let Some(gather) = &mut self.gather {
            gather.take(&Sample::from(&row));
        }
        match &mut self.samples {
            Some(samples) => samples.take(row),
            None => Ok(()),
        }
    }
}
