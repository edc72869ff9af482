//! The time that a run's throughput is measured over.

/// A tracking window: from its start to the last completion of a sample issued in it. It does
/// not end where tracking stops (`metrics_table.py`, `TrackedBlock`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackingWindow {
    /// `start_performance_tracking`'s timestamp.
    pub start_ns: i64,
    /// The latest completion, the start when there is none.
    pub last_complete_ns: i64,
}

impl TrackingWindow {
    /// An empty window.
    pub fn starting_at(start_ns: i64) -> Self {
        Self {
            start_ns,
            last_complete_ns: start_ns,
        }
    }

    /// The length of the window, in nanoseconds.
    pub fn duration_ns(&self) -> i128 {
        i128::from(self.last_complete_ns) - i128::from(self.start_ns)
    }
}

/// The window of LoadGen's server scenario: from the first issue to the completion of the
/// latest-issued sample that completed (`metrics_table.py`, `total_loadgen_window_ns`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "units stand last in a name")]
pub struct LoadgenWindow {
    start_ns: Option<i64>,
    end_ns: Option<i64>,
    latest_issued_ns: Option<i64>,
}

impl LoadgenWindow {
    /// A tracked sample was issued: the first one starts the window.
    pub fn issued(&mut self, timestamp_ns: i64) {
        self.start_ns.get_or_insert(timestamp_ns);
    }

    /// A tracked sample completed. Among samples issued at the same time the first to complete
    /// counts; the reference starts its search at −1, so earlier issues never count.
    pub fn completed(&mut self, issued_ns: i64, complete_ns: i64) {
        if issued_ns > self.latest_issued_ns.unwrap_or(-1) {
            self.latest_issued_ns = Some(issued_ns);
            self.end_ns = Some(complete_ns);
        }
    }

    /// The length of the window, in nanoseconds; 0 when nothing completed.
    pub fn duration_ns(&self) -> i128 {
        match (self.start_ns, self.end_ns) {
            (Some(start), Some(end)) => (i128::from(end) - i128::from(start)).max(0),
            _ => 0,
        }
    }
}
