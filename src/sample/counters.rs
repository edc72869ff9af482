//! The counters of a run, named as in `metrics/final_snapshot.json`.

/// The reason why generation stopped, in the client's classes (`aggregator.py`, `_FINISH_REASON_COUNTERS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// `stop`
    Stop,
    /// `length`
    Length,
    /// `tool_calls`
    ToolCalls,
    /// `content_filter`
    ContentFilter,
    /// `function_call`
    FunctionCall,
    /// Any other string, `""` included.
    Other,
}

impl FinishReason {
    /// Every class, in the order of a summary.
    pub const ALL: [Self; 6] = [
        Self::Stop,
        Self::Length,
        Self::ToolCalls,
        Self::ContentFilter,
        Self::FunctionCall,
        Self::Other,
    ];

    /// The class as a summary names it.
    pub fn name(self) -> &'static str {
        let counter = self.counter();
        counter
            .strip_prefix("tracked_finish_reason_")
            .unwrap_or(counter)
    }

    /// The counter of the class in a snapshot.
    fn counter(self) -> &'static str {
        match self {
            Self::Stop => "tracked_finish_reason_stop",
            Self::Length => "tracked_finish_reason_length",
            Self::ToolCalls => "tracked_finish_reason_tool_calls",
            Self::ContentFilter => "tracked_finish_reason_content_filter",
            Self::FunctionCall => "tracked_finish_reason_function_call",
            Self::Other => "tracked_finish_reason_other",
        }
    }
}

impl From<&str> for FinishReason {
    fn from(reason: &str) -> Self {
        match reason {
            "stop" => Self::Stop,
            "length" => Self::Length,
            "tool_calls" => Self::ToolCalls,
            "content_filter" => Self::ContentFilter,
            "function_call" => Self::FunctionCall,
            _ => Self::Other,
        }
    }
}

/// The counters of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Counters {
    pub total_samples_issued: u64,
    pub total_samples_completed: u64,
    pub total_samples_failed: u64,
    pub tracked_samples_issued: u64,
    pub tracked_samples_completed: u64,
    pub tracked_samples_failed: u64,
    /// By [`FinishReason`], in the order of its variants.
    pub tracked_finish_reasons: [u64; 6],
    pub tracked_duration_ns: i128,
    pub legacy_loadgen_window_duration_ns: i128,
    pub total_duration_ns: i128,
}

impl Counters {
    /// Name and value of each counter, in the snapshot's order.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, i128)> {
        let totals = [
            ("total_samples_issued", self.total_samples_issued),
            ("total_samples_completed", self.total_samples_completed),
            ("total_samples_failed", self.total_samples_failed),
            ("tracked_samples_issued", self.tracked_samples_issued),
            ("tracked_samples_completed", self.tracked_samples_completed),
            ("tracked_samples_failed", self.tracked_samples_failed),
        ];
        let reasons = FinishReason::ALL.map(|reason| (reason.counter(), self.finished(reason)));
        let durations = [
            ("tracked_duration_ns", self.tracked_duration_ns),
            (
                "legacy_loadgen_window_duration_ns",
                self.legacy_loadgen_window_duration_ns,
            ),
            ("total_duration_ns", self.total_duration_ns),
        ];
        let counts = totals.into_iter().chain(reasons);
        counts
            .map(|(name, count)| (name, i128::from(count)))
            .chain(durations)
    }

    /// The tracked samples that stopped for `reason`.
    pub fn finished(&self, reason: FinishReason) -> u64 {
        self.tracked_finish_reasons[reason as usize]
    }
}
