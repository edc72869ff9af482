//! `--samples`: the rows of a run on their way into the file that was named.

use std::path::Path;

use crate::cli::Cli;
use crate::export::Export;
use crate::files::atomic::{Prepared, WriteError, remove_leftovers};
use crate::pipeline::RowSink;
use crate::sample::Row;

/// The file that `--samples` names.
pub(super) struct Samples<'a> {
    path: &'a Path,
    /// From the first row of a pass on.
    export: Option<Export>,
}

impl<'a> Samples<'a> {
    /// What was asked for.
    pub fn asked(cli: &'a Cli) -> Option<Self> {
        let path = cli.writing.samples.as_deref()?;
        Some(Self { path, export: None })
    }

    /// The table of the last pass, ready to be put in its place.
    pub fn finish(self) -> Result<Option<Prepared>, WriteError> {
        self.export.map(Export::finish).transpose()
    }
}

impl RowSink for Samples<'_> {
    fn begin(&mut self) -> Result<(), WriteError> {
        remove_leftovers(self.path);
        // What a pass before this one has written goes first.
        self.export = None;
        self.export = Some(Export::begin(self.path)?);
        Ok(())
    }

    fn take(&mut self, row: Row) -> Result<(), WriteError> {
        self.export
            .iter_mut()
            .try_for_each(|export| export.add(&row))
    }
}
