//! Decodes a line of the log; a damaged line gives `None`. It follows `core/record.py` and `core/types.py`, but also takes
//! these lines for damaged: a missing timestamp, one beyond 64 bits, invalid UTF-8, and a number in a structured payload
//! that fits neither a double nor a 64-bit integer. A session event of an unknown name is a note, whatever its data is.

use serde_json::Value;

use super::json::{Json, parse};

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// As in the log: `sample.issued`.
    pub kind: String,
    pub timestamp_ns: i64,
    pub sample_uuid: String,
    pub data: Data,
    pub finish_reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "one at a time")]
pub enum Data {
    None,
    Prompt(Prompt),
    Output(Output),
    Error,
    Phase(Phase),
}

/// The announcement of a phase, since 2026-09-24.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    pub is_performance: bool,
    /// 0 beyond 64 bits.
    pub num_turns: i64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    pub text: Option<String>,
    pub token_ids: Option<usize>,
    pub messages: Option<Value>,
    pub tools: Option<Value>,
    pub chat_template_kwargs: Option<Value>,
    pub chat_template: Option<String>,
    pub tool_choice: Option<Value>,
}

/// One string, or chunks.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    Whole(String),
    Chunks(Vec<String>),
}

#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_field_names, reason = "the reference's names")]
pub struct Output {
    pub output: Text,
    pub reasoning: Option<Text>,
    pub tool_calls: Option<Vec<Value>>,
}

/// The kinds besides `session.*`.
const KINDS: [&str; 8] = [
    "sample.issued",
    "sample.recv_first",
    "sample.recv_non_first",
    "sample.complete",
    "error.generic",
    "error.loadgen",
    "error.session",
    "error.client",
];

/// The session events with known names, whose data must be valid.
const SESSION_KINDS: [&str; 7] = [
    "session.started",
    "session.ended",
    "session.stop_loadgen",
    "session.start_performance_tracking",
    "session.stop_performance_tracking",
    "session.phase_start",
    "session.interrupted",
];

/// Returns true if `kind` is a session event of an unknown name: a note.
pub fn is_note(kind: &str) -> bool {
    kind.starts_with("session.") && !SESSION_KINDS.contains(&kind)
}

/// Decodes `line`, which excludes the line end.
pub fn decode(line: &[u8]) -> Option<Event> {
    let Json::Object(members) = parse(std::str::from_utf8(line).ok()?)? else {
        return None;
    };
    let (mut kind, mut timestamp_ns, mut payloads) = (None, None, Vec::new());
    let mut event = Event {
        kind: String::new(),
        timestamp_ns: 0,
        sample_uuid: String::new(),
        data: Data::None,
        finish_reason: None,
    };
    for (key, value) in &members {
        match key.as_str() {
            "event_type" => {
                let known = |kind: &str| kind.starts_with("session.") || KINDS.contains(&kind);
                kind = Some(text(value).filter(|kind| known(kind))?);
            }
            "timestamp_ns" => timestamp_ns = Some(timestamp(value)?),
            "sample_uuid" => event.sample_uuid = text(value)?,
            "conversation_id" => drop(text(value)?),
            "turn" if *value == Json::Null => {}
            "turn" | "worker_id" if value.is_integer() => {}
            "turn" | "worker_id" => return None,
            "data" => payloads.push(data(value)),
            "finish_reason" => event.finish_reason = Some(text(value)?),
            _ => {}
        }
    }
    event.kind = kind?;
    event.timestamp_ns = timestamp_ns?;
    if !is_note(&event.kind) {
        let payloads: Vec<Data> = payloads.into_iter().collect::<Option<_>>()?;
        event.data = payloads.into_iter().next_back().unwrap_or(Data::None);
    }
    Some(event)
}

fn text(value: &Json) -> Option<String> {
    match value {
        Json::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn timestamp(value: &Json) -> Option<i64> {
    match value {
        Json::Number(text) if value.is_integer() => text.parse().ok(),
        _ => None,
    }
}

fn data(value: &Json) -> Option<Data> {
    let items = match value {
        Json::Null => return Some(Data::None),
        Json::Array(items) => items,
        _ => return None,
    };
    let at = |index: usize| items.get(index);
    match text(at(0)?)?.as_str() {
        "ErrorData" => {
            text(at(1)?)?;
            at(2).map_or(Some(String::new()), text)?;
            Some(Data::Error)
        }
        "TextModelOutput" => Some(Data::Output(Output {
            output: at(1).map_or(Some(Text::Whole(String::new())), chunks)?,
            reasoning: optional(at(2), chunks)?,
            tool_calls: optional(at(3), |calls| array(calls, |_| true))?,
        })),
        // The writer always has 5 elements; documentation has 4.
        "PhaseData" => {
            let phase_type = text(at(1)?)?;
            at(2)?;
            let Json::Number(num_turns) = at(3).filter(|turns| turns.is_integer())? else {
                return None;
            };
            Some(Data::Phase(Phase {
                is_performance: phase_type == "performance",
                num_turns: num_turns.parse().unwrap_or(0),
            }))
        }
        "PromptData" => {
            let object = |value: &Json| matches!(value, Json::Object(_));
            let mut prompt = Prompt {
                text: optional(at(1), text)?,
                token_ids: optional(at(2), |ids| match ids {
                    Json::Array(ids) => ids.iter().all(Json::is_integer).then_some(ids.len()),
                    _ => None,
                })?,
                chat_template: optional(at(6), text)?,
                ..Prompt::default()
            };
            let objects = |values: &Json| match values {
                Json::Array(items) if items.iter().all(object) => values.to_value(),
                _ => None,
            };
            prompt.messages = optional(at(3), objects)?;
            prompt.tools = optional(at(4), objects)?;
            prompt.chat_template_kwargs =
                optional(at(5), |it| object(it).then(|| it.to_value())?)?;
            prompt.tool_choice = optional(at(7), |it| {
                (object(it) || text(it).is_some()).then(|| it.to_value())?
            })?;
            Some(Data::Prompt(prompt))
        }
        _ => None,
    }
}

/// Reads an element that may be missing or null; `None` if its type is wrong.
#[allow(clippy::option_option, reason = "damaged, absent, present")]
fn optional<T>(item: Option<&Json>, read: impl FnOnce(&Json) -> Option<T>) -> Option<Option<T>> {
    match item {
        None | Some(Json::Null) => Some(None),
        Some(item) => read(item).map(Some),
    }
}

fn array(value: &Json, fits: impl Fn(&Json) -> bool) -> Option<Vec<Value>> {
    match value {
        Json::Array(items) if items.iter().all(fits) => items.iter().map(Json::to_value).collect(),
        _ => None,
    }
}

fn chunks(value: &Json) -> Option<Text> {
    match value {
        Json::Text(text) => Some(Text::Whole(text.clone())),
        Json::Array(items) => items
            .iter()
            .map(text)
            .collect::<Option<_>>()
            .map(Text::Chunks),
        _ => None,
    }
}

impl Text {
    /// Returns true if Python calls it false: an empty text, or an empty list of chunks.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Whole(text) => text.is_empty(),
            Self::Chunks(chunks) => chunks.is_empty(),
        }
    }

    pub fn joined(&self) -> String {
        match self {
            Self::Whole(text) => text.clone(),
            Self::Chunks(chunks) => chunks.concat(),
        }
    }

    fn is_chunks(&self) -> bool {
        matches!(self, Self::Chunks(_))
    }

    fn without_first(&self) -> String {
        match self {
            Self::Whole(_) => String::new(),
            Self::Chunks(chunks) => chunks.iter().skip(1).map(String::as_str).collect(),
        }
    }
}

impl Output {
    /// Returns true if the chat template counts it.
    pub fn is_structured(&self) -> bool {
        self.has_calls() || self.said_reasoning()
    }

    /// Returns true if it has tool calls.
    pub fn has_calls(&self) -> bool {
        let calls = self.tool_calls.as_ref();
        calls.is_some_and(|calls| !calls.is_empty())
    }

    fn said_reasoning(&self) -> bool {
        self.reasoning
            .as_ref()
            .is_some_and(|reasoning| !reasoning.is_empty())
    }

    /// `as_message_parts_after_first_chunk`: content, reasoning, and how many tool-call chunks are left out.
    pub fn after_first_chunk(&self) -> (String, String, usize) {
        let streamed_reasoning =
            self.said_reasoning() && self.reasoning.as_ref().is_some_and(Text::is_chunks);
        let content = match &self.output {
            Text::Whole(text) if streamed_reasoning => text.clone(),
            Text::Whole(_) => String::new(),
            Text::Chunks(chunks) if self.said_reasoning() => chunks.concat(),
            Text::Chunks(_) => self.output.without_first(),
        };
        let reasoning = self
            .reasoning
            .as_ref()
            .map_or(String::new(), Text::without_first);
        let first_is_delta = self
            .tool_calls
            .as_ref()
            .and_then(|calls| calls.first())
            .is_some_and(Value::is_array);
        let dropped =
            usize::from(first_is_delta && self.output.is_empty() && !self.said_reasoning());
        (content, reasoning, dropped)
    }
}
