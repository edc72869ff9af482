//! The rows of a run's samples, made in log order while the log is aggregated.

use crate::files::atomic::WriteError;
use crate::sample::{Emissions, Labels, Observation, Row, Rows};

/// The receiver of a run's rows.
pub trait RowSink: Send {
    /// A pass over the log begins; rows of one before it count no more.
    fn begin(&mut self) -> Result<(), WriteError>;
    /// The next row: in the order in which the log completes samples, and at the end those that it does not complete,
    /// in the order in which it issues them.
    fn take(&mut self, row: Row) -> Result<(), WriteError>;
}

/// Makes the rows of one pass over a log, and hands them on.
pub struct RowMaker<'a> {
    rows: Rows,
    sink: &'a mut dyn RowSink,
}

impl<'a> RowMaker<'a> {
    /// Begins a pass. `streamed`: whether the report has times of chunks; without, rows have none either.
    pub fn begin(sink: &'a mut dyn RowSink, streamed: bool) -> Result<Self, WriteError> {
        sink.begin()?;
        let rows = Rows::new(streamed);
        Ok(Self { rows, sink })
    }

    /// Takes what was seen, and what the table, whose `window` is open, made of it.
    pub(super) fn apply(
        &mut self,
        seen: &Observation,
        labels: Labels,
        emitted: &Emissions,
        window: Option<usize>,
    ) -> Result<(), WriteError> {
        match self.rows.apply(seen, labels, emitted, window) {
            Some(row) => self.sink.take(row),
            None => Ok(()),
        }
    }

    /// Memory that is needed at once should so many more samples be issued.
    pub(super) fn growth_bytes(&self, samples: usize) -> u64 {
        self.rows.growth_bytes(samples) as u64
    }

    /// Hands on the rows of samples that did not complete.
    pub(super) fn finish(self) -> Result<(), WriteError> {
        let sink = self.sink;
        let mut rows = self.rows.unfinished().into_iter();
        rows.try_for_each(|row| sink.take(row))
    }
}
