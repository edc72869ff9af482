//! The columns of a table of samples: their names, types and values, the same in CSV and Parquet.

use std::borrow::Cow;

use crate::metric::Metric;
use crate::sample::Row;

/// A column.
pub struct Column {
    /// The name; a unit comes last, and lengths are in tokens.
    pub name: &'static str,
    /// The meaning, for the documentation and the metadata of a Parquet file.
    pub description: &'static str,
    /// The type of its values.
    pub column_type: ColumnType,
    /// A row may lack a value.
    pub nullable: bool,
    value: fn(&Row) -> CellValue<'_>,
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// A signed integer of 64 bits.
    Integer,
    /// A double.
    Double,
    /// UTF-8.
    Text,
}

/// A value of the column's type, or null.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum CellValue<'a> {
    Null,
    Integer(i64),
    Double(f64),
    Text(Cow<'a, str>),
}

impl Column {
    const fn new(
        name: &'static str,
        column_type: ColumnType,
        value: fn(&Row) -> CellValue<'_>,
        description: &'static str,
    ) -> Self {
        Self {
            name,
            description,
            column_type,
            nullable: true,
            value,
        }
    }

    const fn not_null(self) -> Self {
        Self {
            nullable: false,
            ..self
        }
    }

    pub(super) fn value<'a>(&self, row: &'a Row) -> CellValue<'a> {
        (self.value)(row)
    }
}

use ColumnType::{Double, Integer, Text};

/// The columns in their order.
pub const COLUMNS: &[Column] = &[
    Column::new(
        "uuid",
        Text,
        |row| text(row.sample.to_string()),
        "sample_uuid in the log",
    )
    .not_null(),
    Column::new(
        "conversation_id",
        Text,
        |row| optional(row.labels.conversation.as_deref(), text),
        "the conversation; none outside multi-turn runs",
    ),
    Column::new(
        "turn",
        Integer,
        |row| row.labels.turn.into(),
        "the turn in its conversation",
    ),
    Column::new(
        "window",
        Integer,
        |row| integer(row.window),
        "the tracking window that it was issued in, from 0",
    )
    .not_null(),
    Column::new(
        "issued_ns",
        Integer,
        |row| CellValue::Integer(row.issued_ns),
        "when it was issued, on the log's monotonic clock",
    )
    .not_null(),
    Column::new(
        "first_chunk_ns",
        Integer,
        |row| row.first_ns.into(),
        "when its first chunk came",
    ),
    Column::new(
        "complete_ns",
        Integer,
        |row| row.complete_ns.into(),
        "when it completed; none if it did not",
    ),
    Column::new(
        Metric::Ttft.series(),
        Integer,
        |row| row.ttft_ns.into(),
        "first_chunk_ns - issued_ns; none if not streamed",
    ),
    Column::new(
        "latency_ns",
        Integer,
        |row| row.latency_ns.into(),
        "complete_ns - issued_ns",
    ),
    Column::new(
        Metric::Isl.series(),
        Integer,
        |row| optional(row.isl.tokens(), integer),
        "tokens of the prompt",
    ),
    Column::new(
        Metric::Osl.series(),
        Integer,
        |row| optional(row.osl.tokens(), integer),
        "tokens of the whole output",
    ),
    Column::new(
        "osl_after_first_chunk",
        Integer,
        |row| optional(row.after_first_chunk.tokens(), integer),
        "tokens after the first chunk",
    ),
    Column::new(
        Metric::Tpot.series(),
        Double,
        |row| row.tpot_ns.into(),
        "(complete_ns - first_chunk_ns) / osl_after_first_chunk, as the client defines TPOT",
    ),
    Column::new(
        "tpot_by_osl_ns",
        Double,
        |row| row.tpot_by_osl_ns().into(),
        "(latency_ns - ttft_ns) / (osl - 1), as other tools define TPOT; none if osl < 2",
    ),
    Column::new("chunks", Integer, |row| integer(row.chunks), "chunk events").not_null(),
    Column::new(
        "chunk_delta_sum_ns",
        Integer,
        |row| deltas(row, row.chunk_deltas.sum_ns),
        "times between chunks, together",
    ),
    Column::new(
        "chunk_delta_mean_ns",
        Double,
        |row| row.chunk_deltas.mean_ns().into(),
        "their mean",
    ),
    Column::new(
        "chunk_delta_min_ns",
        Integer,
        |row| deltas(row, row.chunk_deltas.min_ns),
        "the shortest",
    ),
    Column::new(
        "chunk_delta_max_ns",
        Integer,
        |row| deltas(row, row.chunk_deltas.max_ns),
        "the longest",
    ),
    Column::new(
        "finish_reason",
        Text,
        |row| optional(row.finish_reason, |reason| text(reason.name())),
        "stop, length, tool_calls, content_filter, function_call or other; none if the server did not say",
    ),
    Column::new(
        "worker_id",
        Integer,
        |row| row.labels.worker.into(),
        "the client's worker that had it last",
    ),
    Column::new(
        "isl_counted_as",
        Text,
        |row| optional(row.isl.counted_as(), text),
        "ids, text, prompt (through the chat template), fallback (the template raised) or uncounted",
    ),
    Column::new(
        "osl_counted_as",
        Text,
        |row| optional(row.osl.counted_as(), text),
        "text, message (through the chat template), fallback (the template raised) or uncounted",
    ),
    Column::new(
        "errors",
        Integer,
        |row| integer(row.errors),
        "error events while it was in flight",
    )
    .not_null(),
    Column::new(
        "issued_offset_bytes",
        Integer,
        |row| integer(row.issued_offset),
        "where the line that issued it starts in the log, uncompressed",
    )
    .not_null(),
    Column::new(
        "complete_offset_bytes",
        Integer,
        |row| optional(row.complete_offset, integer),
        "where the line that completed it starts",
    ),
];

impl From<Option<i64>> for CellValue<'_> {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Self::Null, Self::Integer)
    }
}

impl From<Option<f64>> for CellValue<'_> {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Self::Null, Self::Double)
    }
}

fn optional<'a, T>(value: Option<T>, some: impl FnOnce(T) -> CellValue<'a>) -> CellValue<'a> {
    value.map_or(CellValue::Null, some)
}

fn text<'a>(value: impl Into<Cow<'a, str>>) -> CellValue<'a> {
    CellValue::Text(value.into())
}

/// An integer; null if it needs more than 64 bits.
fn integer<'a>(value: impl TryInto<i64>) -> CellValue<'a> {
    value.try_into().ok().into()
}

/// A statistic of the times between chunks; null if there are none.
fn deltas(row: &Row, value: impl TryInto<i64>) -> CellValue<'_> {
    match row.chunk_deltas.count {
        0 => CellValue::Null,
        _ => integer(value),
    }
}
