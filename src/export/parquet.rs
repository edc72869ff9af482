//! A table as Parquet: typed columns, zstd, row groups of a bounded number of rows. The file's metadata describes
//! its columns.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type as Schema;

use super::Table;
use super::columns::{COLUMNS, Column, Type, Value};
use crate::sample::Row;

/// Rows that are in memory until they are written: with their pages about 40 MB.
const GROUP_ROWS: usize = 1 << 15;

pub(super) struct ParquetTable<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<Values>,
    rows: usize,
}

impl<W: Write + Send> ParquetTable<W> {
    pub fn new(out: W) -> io::Result<Self> {
        let file = SerializedFileWriter::new(out, Arc::new(schema()?), Arc::new(properties()?));
        Ok(Self {
            file: file.map_err(into_io)?,
            columns: COLUMNS.iter().map(Values::of).collect(),
            rows: 0,
        })
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        self.rows = 0;
        let mut group = self.file.next_row_group()?;
        for (values, column) in self.columns.iter_mut().zip(COLUMNS) {
            if let Some(mut writer) = group.next_column()? {
                let levels = column.nullable.then_some(values.levels.as_slice());
                values.data.write(&mut writer, levels)?;
                writer.close()?;
            }
            values.levels.clear();
        }
        group.close().map(|_| ())
    }
}

impl<W: Write + Send> Table<W> for ParquetTable<W> {
    fn add(&mut self, row: &Row) -> io::Result<()> {
        for (values, column) in self.columns.iter_mut().zip(COLUMNS) {
            values.push(column.value(row));
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS {
            self.write_group().map_err(into_io)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<W> {
        if self.rows > 0 {
            self.write_group().map_err(into_io)?;
        }
        self.file.into_inner().map_err(into_io)
    }
}

/// A column of the row group in hand.
struct Values {
    data: Data,
    /// 1 for each row that has a value, 0 for each that has none.
    levels: Vec<i16>,
}

enum Data {
    Integers(Vec<i64>),
    Doubles(Vec<f64>),
    Texts(Vec<ByteArray>),
}

impl Values {
    fn of(column: &Column) -> Self {
        let data = match column.kind {
            Type::Integer => Data::Integers(Vec::new()),
            Type::Double => Data::Doubles(Vec::new()),
            Type::Text => Data::Texts(Vec::new()),
        };
        let levels = Vec::new();
        Self { data, levels }
    }

    fn push(&mut self, value: Value) {
        let some = match (&mut self.data, value) {
            (Data::Integers(values), Value::Integer(value)) => {
                values.push(value);
                true
            }
            (Data::Doubles(values), Value::Double(value)) => {
                values.push(value);
                true
            }
            (Data::Texts(values), Value::Text(value)) => {
                values.push(value.into_owned().into_bytes().into());
                true
            }
            _ => false,
        };
        self.levels.push(i16::from(some));
    }
}

impl Data {
    fn write(
        &mut self,
        writer: &mut SerializedColumnWriter,
        levels: Option<&[i16]>,
    ) -> Result<(), ParquetError> {
        match self {
            Self::Integers(values) => {
                let values = mem::take(values);
                writer
                    .typed::<Int64Type>()
                    .write_batch(&values, levels, None)?;
            }
            Self::Doubles(values) => {
                let values = mem::take(values);
                writer
                    .typed::<DoubleType>()
                    .write_batch(&values, levels, None)?;
            }
            Self::Texts(values) => {
                let values = mem::take(values);
                writer
                    .typed::<ByteArrayType>()
                    .write_batch(&values, levels, None)?;
            }
        }
        Ok(())
    }
}

fn schema() -> io::Result<Schema> {
    let fields = COLUMNS.iter().map(|column| field(column).map(Arc::new));
    let fields = fields.collect::<Result<_, _>>().map_err(into_io)?;
    let schema = Schema::group_type_builder("samples").with_fields(fields);
    schema.build().map_err(into_io)
}

fn field(column: &Column) -> Result<Schema, ParquetError> {
    let (physical, logical) = match column.kind {
        Type::Integer => (Physical::INT64, None),
        Type::Double => (Physical::DOUBLE, None),
        Type::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let repetition = if column.nullable {
        Repetition::OPTIONAL
    } else {
        Repetition::REQUIRED
    };
    Schema::primitive_type_builder(column.name, physical)
        .with_logical_type(logical)
        .with_repetition(repetition)
        .build()
}

fn properties() -> io::Result<WriterProperties> {
    let described = COLUMNS
        .iter()
        .map(|column| KeyValue::new(column.name.to_owned(), column.about.to_owned()));
    let zstd = ZstdLevel::try_new(3).map_err(into_io)?;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(zstd))
        .set_created_by(concat!("tok-recompute version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(described.collect()))
        .build())
}

/// The error of the file, where it was the file's.
fn into_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
