//! What is counted rather than measured.

/// Why generation stopped, in the reference's classes (`aggregator.py`,
/// `_FINISH_REASON_COUNTERS`).
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
    /// As the reference names its class.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::FunctionCall => "function_call",
            Self::Other => "other",
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

/// A run's counters; names as in `metrics/final_snapshot.json`.
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
