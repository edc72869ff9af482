//! `--samples`: the rows of a run, written as a table.

use std::path::Path;

use crate::export::Export;
use crate::files::atomic::{StagedFile, WriteError, remove_stale_temporaries};
use crate::pipeline::RowSink;
use crate::sample::Row;

/// The table of a run's samples.
pub(super) struct Samples<'a> {
    path: &'a Path,
    /// `None` until a pass begins.
    export: Option<Export>,
}

impl<'a> Samples<'a> {
    pub fn new(path: &'a Path) -> Self {
        Self { path, export: None }
    }

    /// Returns the table of the last pass, ready to be put in its place.
    pub fn finish(self) -> Result<Option<StagedFile>, WriteError> {
        self.export.map(Export::finish).transpose()
    }
}

impl RowSink for Samples<'_> {
    fn begin(&mut self) -> Result<(), WriteError> {
        remove_stale_temporaries(self.path);
        // Dropping the table of an earlier pass removes its temporary file.
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
