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

/// What a log line says happened (`core/record.py`, the event type enums).
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
    /// The kind that `topic` (`category.value`) names, if the reference knows it.
    pub fn from_topic(topic: &str) -> Option<Self> {
        Some(match topic {
            "session.started" => Self::SessionStarted,
            "session.ended" => Self::SessionEnded,
            "session.stop_loadgen" => Self::StopLoadgen,
            "session.start_performance_tracking" => Self::StartTracking,
            "session.stop_performance_tracking" => Self::StopTracking,
            "sample.issued" => Self::Issued,
            "sample.recv_first" => Self::RecvFirst,
            "sample.recv_non_first" => Self::RecvNonFirst,
            "sample.complete" => Self::Complete,
            "error.generic" | "error.loadgen" | "error.session" | "error.client" => Self::Error,
            _ => return None,
        })
    }
}

impl EventKind {
    /// Whether a prompt was sent.
    pub fn is_issued(self) -> bool {
        self == Self::Issued
    }

    /// Whether an output came back.
    pub fn is_complete(self) -> bool {
        self == Self::Complete
    }
}

/// One event; `'l` is the decoded line's buffer, `'t` the decoder's tape over it.
#[derive(Debug)]
pub struct Event<'t, 'l> {
    /// What happened.
    pub kind: EventKind,
    /// When, in nanoseconds of the machine's monotonic clock; not ordered along the log.
    pub timestamp_ns: i64,
    /// Which sample; `""` for session events.
    pub sample_uuid: &'l str,
    /// Which conversation; `""` outside multi-turn runs.
    pub conversation_id: &'l str,
    /// Which turn of it; `None` as well for one beyond 64 bits.
    pub turn: Option<i64>,
    /// The payload.
    pub data: Data<'t, 'l>,
    /// Why generation stopped, when the server said.
    pub finish_reason: Option<&'l str>,
    /// Which of the client's workers saw it; `None` as well for one beyond 64 bits.
    pub worker_id: Option<i64>,
}

/// The payload of an event.
#[derive(Debug)]
pub enum Data<'t, 'l> {
    /// `null` or absent.
    None,
    /// `["PromptData", …]`: what was sent.
    Prompt(Prompt<'t, 'l>),
    /// `["TextModelOutput", …]`: what came back.
    Output(Output<'t, 'l>),
    /// `["ErrorData", …]`: the message is not needed by any metric.
    Error,
}

/// `["PromptData", text, token_ids, messages, tools, chat_template_kwargs, chat_template, tool_choice]`.
#[derive(Debug, Default)]
pub struct Prompt<'t, 'l> {
    /// A plain prompt.
    pub text: Option<&'l str>,
    /// How many token ids were sent, when the prompt was tokenized already.
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
