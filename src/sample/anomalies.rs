//! Anomalies of a run whose lines are readable: their number, and the place of the first.

/// The number of occurrences of an anomaly, and the place of the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occurrences {
    /// Their number.
    pub count: u64,
    /// The byte offset in the log of the first line concerned.
    pub first_offset: Option<u64>,
}

impl Occurrences {
    /// One more, at `offset`.
    pub fn add(&mut self, offset: u64) {
        self.count += 1;
        self.first_offset.get_or_insert(offset);
    }
}

/// The anomalies that the sample table sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anomalies {
    /// Tracked samples that completed with nothing to count.
    pub empty_outputs: Occurrences,
    /// TTFT, chunk deltas or latencies below zero: clocks of different processes.
    pub negative_deltas: Occurrences,
    /// Time differences beyond 64 bits: not recorded, the reference would have stopped there.
    pub overflowing_deltas: Occurrences,
    /// Samples issued again while still in flight.
    pub repeated_issues: Occurrences,
}
