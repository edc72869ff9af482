//! A table as CSV (RFC 4180 with `\n`): a header, a line a row, an empty field where there is no value.

use std::io::{self, Write};

use csv::Writer;

use super::Table;
use super::columns::{COLUMNS, Value};
use crate::python::float;
use crate::sample::Row;

pub(super) struct CsvTable<W: Write> {
    writer: Writer<W>,
}

impl<W: Write> CsvTable<W> {
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = Writer::from_writer(out);
        writer.write_record(COLUMNS.iter().map(|column| column.name))?;
        Ok(Self { writer })
    }
}

impl<W: Write + Send> Table<W> for CsvTable<W> {
    fn add(&mut self, row: &Row) -> io::Result<()> {
        for column in COLUMNS {
            match column.value(row) {
                Value::Null => self.writer.write_field("")?,
                Value::Integer(value) => self.writer.write_field(value.to_string())?,
                Value::Double(value) => self.writer.write_field(float::msgspec(value))?,
                Value::Text(value) => self.writer.write_field(value.as_bytes())?,
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
