//! Writes a table as CSV (RFC 4180 with `\n`): a header, a line for each row, an empty field for a missing value.

use std::io::{self, Write};

use csv::Writer;

use super::TableWriter;
use super::columns::{COLUMNS, CellValue};
use crate::python::float;
use crate::sample::Row;

pub(super) struct CsvWriter<W: Write> {
    writer: Writer<W>,
}

impl<W: Write> CsvWriter<W> {
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = Writer::from_writer(out);
        writer.write_record(COLUMNS.iter().map(|column| column.name))?;
        Ok(Self { writer })
    }
}

impl<W: Write + Send> TableWriter<W> for CsvWriter<W> {
    fn write_row(&mut self, row: &Row) -> io::Result<()> {
        for column in COLUMNS {
            match column.value(row) {
                CellValue::Null => self.writer.write_field("")?,
                CellValue::Integer(value) => self.writer.write_field(value.to_string())?,
                CellValue::Double(value) => self.writer.write_field(float::msgspec(value))?,
                CellValue::Text(value) => self.writer.write_field(value.as_bytes())?,
            }
        }
        Ok(self.writer.write_record(None::<&[u8]>)?)
    }

    fn finish(self: Box<Self>) -> io::Result<W> {
        self.writer
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)
    }
}
