//! Rows → a table in a file, CSV or Parquet, for notebooks and databases.
//!
//! Rows are written as they come, in bounded memory, and the file appears when all of them are in it. Both forms have
//! the same columns with the same values; `docs/OUTPUT.md` describes them, and a Parquet file does so itself.

mod columns;
mod csv;
mod parquet;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use self::csv::CsvTable;
use self::parquet::ParquetTable;
use crate::files::atomic::{SpooledFile, StagedFile, WriteError};
use crate::sample::Row;

pub use columns::{COLUMNS, Column, Type};

/// A form of table, written to `W`.
trait Table<W>: Send {
    fn add(&mut self, row: &Row) -> io::Result<()>;
    /// `W`, which now has all of the table.
    fn finish(self: Box<Self>) -> io::Result<W>;
}

/// A table that is being written.
pub struct Export {
    path: PathBuf,
    table: Box<dyn Table<SpooledFile>>,
}

impl Export {
    /// A table without rows that is to be the file at `path`: Parquet if its name ends in `.parquet`, else CSV.
    pub fn begin(path: &Path) -> Result<Self, WriteError> {
        let table = table(path, SpooledFile::create(path)?);
        Ok(Self {
            path: path.to_owned(),
            table: table.map_err(|source| WriteError::writing(path, source))?,
        })
    }

    /// Adds a row.
    pub fn add(&mut self, row: &Row) -> Result<(), WriteError> {
        let added = self.table.add(row);
        added.map_err(|source| WriteError::writing(&self.path, source))
    }

    /// The whole table, ready to be put in its place.
    pub fn finish(self) -> Result<StagedFile, WriteError> {
        let finished = self.table.finish();
        finished
            .map_err(|source| WriteError::writing(&self.path, source))?
            .stage()
    }
}

/// An empty table in the form that the name of `path` asks for.
fn table<W: Write + Send + 'static>(path: &Path, out: W) -> io::Result<Box<dyn Table<W>>> {
    let extension = path.extension();
    if extension.is_some_and(|extension| extension.eq_ignore_ascii_case("parquet")) {
        return Ok(Box::new(ParquetTable::new(out)?));
    }
    Ok(Box::new(CsvTable::new(out)?))
}
