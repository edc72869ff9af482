//! Writes a table as Parquet: typed columns, zstd, row groups of a bounded size. The file's metadata describes its columns.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type as SchemaType;

use super::TableWriter;
use super::columns::{COLUMNS, CellValue, Column, ColumnType};
use crate::sample::Row;

/// Rows of a row group, which is in memory until it is written: about 40 MB with its pages.
const ROW_GROUP_LEN: usize = 1 << 15;

pub(super) struct ParquetWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<ColumnBuffer>,
    rows: usize,
}

impl<W: Write + Send> ParquetWriter<W> {
    pub fn new(out: W) -> io::Result<Self> {
        let file = SerializedFileWriter::new(out, Arc::new(schema()?), Arc::new(properties()?));
        Ok(Self {
            file: file.map_err(into_io)?,
            columns: COLUMNS.iter().map(ColumnBuffer::of).collect(),
            rows: 0,
        })
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        self.rows = 0;
        let mut group = self.file.next_row_group()?;
        for (buffer, column) in self.columns.iter_mut().zip(COLUMNS) {
            if let Some(mut writer) = group.next_column()? {
                buffer.write(&mut writer, column.nullable)?;
                writer.close()?;
            }
        }
        group.close().map(|_| ())
    }
}

impl<W: Write + Send> TableWriter<W> for ParquetWriter<W> {
    fn write_row(&mut self, row: &Row) -> io::Result<()> {
        for (buffer, column) in self.columns.iter_mut().zip(COLUMNS) {
            buffer.push(column.value(row));
        }
        self.rows += 1;
        if self.rows == ROW_GROUP_LEN {
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

/// A column of the row group that is not written yet.
struct ColumnBuffer {
    values: BufferedValues,
    /// The definition level of each row: 1 if it has a value, else 0.
    levels: Vec<i16>,
}

enum BufferedValues {
    Integers(Vec<i64>),
    Doubles(Vec<f64>),
    Texts(Vec<ByteArray>),
}

impl ColumnBuffer {
    fn of(column: &Column) -> Self {
        let values = match column.column_type {
            ColumnType::Integer => BufferedValues::Integers(Vec::new()),
            ColumnType::Double => BufferedValues::Doubles(Vec::new()),
            ColumnType::Text => BufferedValues::Texts(Vec::new()),
        };
        let levels = Vec::new();
        Self { values, levels }
    }

    fn push(&mut self, value: CellValue) {
        let mut level = 1;
        match (&mut self.values, value) {
            (BufferedValues::Integers(values), CellValue::Integer(value)) => values.push(value),
            (BufferedValues::Doubles(values), CellValue::Double(value)) => values.push(value),
            (BufferedValues::Texts(values), CellValue::Text(value)) => {
                values.push(value.into_owned().into_bytes().into());
            }
            _ => level = 0,
        }
        self.levels.push(level);
    }

    fn write(
        &mut self,
        writer: &mut SerializedColumnWriter,
        nullable: bool,
    ) -> Result<(), ParquetError> {
        let levels = mem::take(&mut self.levels);
        let levels = nullable.then_some(levels.as_slice());
        match &mut self.values {
            BufferedValues::Integers(values) => write_batch::<Int64Type>(writer, values, levels),
            BufferedValues::Doubles(values) => write_batch::<DoubleType>(writer, values, levels),
            BufferedValues::Texts(values) => write_batch::<ByteArrayType>(writer, values, levels),
        }
    }
}

/// Writes the buffered values and clears them.
fn write_batch<T: DataType>(
    writer: &mut SerializedColumnWriter,
    values: &mut Vec<T::T>,
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let values = mem::take(values);
    writer.typed::<T>().write_batch(&values, levels, None)?;
    Ok(())
}

fn schema() -> io::Result<SchemaType> {
    let fields = COLUMNS.iter().map(|column| field(column).map(Arc::new));
    let fields = fields.collect::<Result<_, _>>().map_err(into_io)?;
    let schema = SchemaType::group_type_builder("samples").with_fields(fields);
    schema.build().map_err(into_io)
}

fn field(column: &Column) -> Result<SchemaType, ParquetError> {
    let (physical, logical) = match column.column_type {
        ColumnType::Integer => (PhysicalType::INT64, None),
        ColumnType::Double => (PhysicalType::DOUBLE, None),
        ColumnType::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let repetition = if column.nullable {
        Repetition::OPTIONAL
    } else {
        Repetition::REQUIRED
    };
    SchemaType::primitive_type_builder(column.name, physical)
        .with_logical_type(logical)
        .with_repetition(repetition)
        .build()
}

fn properties() -> io::Result<WriterProperties> {
    let described = COLUMNS
        .iter()
        .map(|column| KeyValue::new(column.name.to_owned(), column.description.to_owned()));
    let zstd = ZstdLevel::try_new(3).map_err(into_io)?;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(zstd))
        .set_created_by(concat!("tok-recompute version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(described.collect()))
        .build())
}

/// Returns the I/O error that caused `error`, if one did.
fn into_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
