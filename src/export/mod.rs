//! `--samples`: writes the rows of a run as a CSV or Parquet table, for notebooks and databases.
//!
//! Rows are written one by one, in bounded memory, and the file appears when it is complete. Both formats have the same
//! columns with the same values; `docs/OUTPUT.md` and the metadata of a Parquet file describe them.

mod columns;
mod csv;
mod parquet;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use self::csv::CsvWriter;
use self::parquet::ParquetWriter;
use crate::files::atomic::{SpooledFile, StagedFile, WriteError};
use crate::sample::Row;

pub use columns::{COLUMNS, Column, ColumnType};

/// Writes a table to `W` in one format.
trait TableWriter<W>: Send {
    fn write_row(&mut self, row: &Row) -> io::Result<()>;
    /// Writes what is buffered and returns `W`.
    fn finish(self: Box<Self>) -> io::Result<W>;
}

/// A file of samples under construction.
pub(crate) struct Export {
    path: PathBuf,
    table: Box<dyn TableWriter<SpooledFile>>,
}

impl Export {
    /// Begins a table for the file at `path`: Parquet if its name ends in `.parquet`, else CSV.
    pub fn begin(path: &Path) -> Result<Self, WriteError> {
        let table = table_writer(path, SpooledFile::create(path)?);
        Ok(Self {
            path: path.to_owned(),
            table: table.map_err(|source| WriteError::writing(path, source))?,
        })
    }

    pub fn add(&mut self, row: &Row) -> Result<(), WriteError> {
        let written = self.table.write_row(row);
        written.map_err(|source| WriteError::writing(&self.path, source))
    }

    /// Returns the complete file, ready to be put in its place.
    pub fn finish(self) -> Result<StagedFile, WriteError> {
        let finished = self.table.finish();
        finished
            .map_err(|source| WriteError::writing(&self.path, source))?
            .stage()
    }
}

fn table_writer<W: Write + Send + 'static>(
    path: &Path,
    out: W,
) -> io::Result<Box<dyn TableWriter<W>>> {
    let extension = path.extension();
    if extension.is_some_and(|extension| extension.eq_ignore_ascii_case("parquet")) {
        return Ok(Box::new(ParquetWriter::new(out)?));
    }
    Ok(Box::new(CsvWriter::new(out)?))
}
