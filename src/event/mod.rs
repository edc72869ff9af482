//! One line of `events.jsonl` → one borrowed [`Event`].
//!
//! The wire format is the one that the reference's event logger writes (`core/record.py`,
//! `core/types.py`): a JSON object a line, payloads as tagged arrays that may be cut short on
//! the right. Everything here borrows from the decoded line; nothing is copied, nothing is
//! remembered from line to line.

mod damage;
mod decode;
mod json;
mod output;
mod repair;
mod skim;

pub use damage::Damage;
pub use decode::Decoder;
pub use json::Json;
pub use output::{Chunks, Output};

/// The kind of an event (`core/record.py`, the event type enums).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// `session.started`
    SessionStarted,
    /// `session.ended`
    SessionEnded,
    /// `session.stop_loadgen`
    StopLoadgen,
    /// `session.start_performance_tracking`
    StartTracking,
    /// `session.stop_performance_tracking`
    StopTracking,
    /// `session.phase_start`, since 2026-09-24
    PhaseStart,
    /// `session.interrupted`, since 2026-09-24
    Interrupted,
    /// Another `session.*` event: clients add them, and no metric depends on one that we do not know.
    OtherSession,
    /// `sample.issued`
    Issued,
    /// `sample.recv_first`
    RecvFirst,
    /// `sample.recv_non_first`
    RecvNonFirst,
    /// `sample.complete`
    Complete,
    /// `error.generic`, `error.loadgen`, `error.session`, `error.client`
    Error,
}

impl EventKind {
    /// The kind that `topic` (`category.value`) names; `None` for one that the client does not know.
    pub fn from_topic(topic: &str) -> Option<Self> {
        Some(match topic {
            "session.started" => Self::SessionStarted,
            "session.ended" => Self::SessionEnded,
            "session.stop_loadgen" => Self::StopLoadgen,
            "session.start_performance_tracking" => Self::StartTracking,
            "session.stop_performance_tracking" => Self::StopTracking,
            "session.phase_start" => Self::PhaseStart,
            "session.interrupted" => Self::Interrupted,
            "sample.issued" => Self::Issued,
            "sample.recv_first" => Self::RecvFirst,
            "sample.recv_non_first" => Self::RecvNonFirst,
            "sample.complete" => Self::Complete,
            "error.generic" | "error.loadgen" | "error.session" | "error.client" => Self::Error,
            topic if topic.starts_with("session.") => Self::OtherSession,
            _ => return None,
        })
    }
}

impl EventKind {
    /// Returns true if a prompt was sent.
    pub fn is_issued(self) -> bool {
        self == Self::Issued
    }

    /// Returns true if an output came back.
    pub fn is_complete(self) -> bool {
        self == Self::Complete
    }
}

/// One event; `'l` is the decoded line's buffer, `'t` the decoder's tape over it.
#[derive(Debug)]
pub struct Event<'t, 'l> {
    /// The kind.
    pub kind: EventKind,
    /// `event_type` as the line has it.
    pub topic: &'l str,
    /// The time in nanoseconds of the machine's monotonic clock; not ordered along the log.
    pub timestamp_ns: i64,
    /// The sample; `""` for session events.
    pub sample_uuid: &'l str,
    /// The conversation; `""` outside multi-turn runs.
    pub conversation_id: &'l str,
    /// The turn of the conversation; `None` as well for one beyond 64 bits.
    pub turn: Option<i64>,
    /// The payload.
    pub data: Data<'t, 'l>,
    /// The reason why generation stopped, when the server said it.
    pub finish_reason: Option<&'l str>,
    /// The client's worker that saw it; `None` as well for one beyond 64 bits.
    pub worker_id: Option<i64>,
}

/// The payload of an event.
#[derive(Debug)]
pub enum Data<'t, 'l> {
    /// `null` or absent.
    None,
    /// `["PromptData", …]`: the prompt.
    Prompt(Prompt<'t, 'l>),
    /// `["TextModelOutput", …]`: the output.
    Output(Output<'t, 'l>),
    /// `["ErrorData", …]`: no metric needs its message.
    Error,
    /// `["PhaseData", …]`: the phase that starts.
    Phase(Phase),
}

/// `["PhaseData", phase_type, drain_after, num_turns, num_trajectories]`; the last element may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// True if `phase_type` is `performance`, and not `accuracy` or `warmup`.
    pub is_performance: bool,
    /// The turns of the phase.
    pub num_turns: i64,
}

/// `["PromptData", text, token_ids, messages, tools, chat_template_kwargs, chat_template, tool_choice]`.
#[derive(Debug, Default)]
pub struct Prompt<'t, 'l> {
    /// Elements of the array, the tag included: 3 before 2026-08-13, 8 since.
    pub elements: usize,
    /// A plain prompt.
    pub text: Option<&'l str>,
    /// The number of token ids, when the prompt was tokenized before it was sent.
    pub token_ids: Option<usize>,
    /// A chat history: an array of objects.
    pub messages: Option<Json<'t, 'l>>,
    /// Tool declarations: an array of objects.
    pub tools: Option<Json<'t, 'l>>,
    /// Extra template variables: an object.
    pub chat_template_kwargs: Option<Json<'t, 'l>>,
    /// The request's own template.
    pub chat_template: Option<&'l str>,
    /// A string or an object.
    pub tool_choice: Option<Json<'t, 'l>>,
}
