//! `TextModelOutput`: what came back for a sample, and which part of it came after the first
//! chunk (`core/types.py`, `TextModelOutput`).

use super::json::Json;

/// A text as the client received it.
#[derive(Clone, Copy, Debug)]
pub enum Chunks<'t, 'l> {
    /// One string: not streamed.
    Whole(&'l str),
    /// An array of strings: streamed chunks, in order.
    Streamed(Json<'t, 'l>),
}

impl<'t, 'l> Chunks<'t, 'l> {
    /// The text's type is `str | tuple[str, ...]`; anything else is refused.
    pub(super) fn from_json(value: Json<'t, 'l>) -> Option<Self> {
        if let Some(text) = value.as_str() {
            return Some(Self::Whole(text));
        }
        (value.is_array() && value.items().all(|chunk| chunk.as_str().is_some()))
            .then_some(Self::Streamed(value))
    }

    /// Returns true if Python calls the value false: no text, or no chunk. `[""]` is not empty.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Whole(text) => text.is_empty(),
            Self::Streamed(chunks) => chunks.is_empty(),
        }
    }

    /// Appends every chunk to `out`; returns where the second chunk starts (in bytes from
    /// where `out` ended), or the end of the text when it was not streamed.
    pub fn join_into(&self, out: &mut String) -> usize {
        let start = out.len();
        match self {
            Self::Whole(text) => {
                out.push_str(text);
                text.len()
            }
            Self::Streamed(chunks) => {
                let mut texts = chunks.items().filter_map(|chunk| chunk.as_str());
                out.push_str(texts.next().unwrap_or(""));
                let second = out.len() - start;
                texts.for_each(|text| out.push_str(text));
                second
            }
        }
    }
}

/// `["TextModelOutput", output, reasoning, tool_calls]`.
#[derive(Clone, Copy, Debug)]
pub struct Output<'t, 'l> {
    /// The visible text; `""` by default.
    pub output: Chunks<'t, 'l>,
    /// The reasoning before it.
    pub reasoning: Option<Chunks<'t, 'l>>,
    /// Merged tool calls (objects), or streamed ones (arrays of partial objects).
    pub tool_calls: Option<Json<'t, 'l>>,
}

impl<'t, 'l> Output<'t, 'l> {
    /// The reasoning, unless Python calls it false.
    pub fn reasoning(&self) -> Option<Chunks<'t, 'l>> {
        self.reasoning.filter(|r| !r.is_empty())
    }

    /// The tool calls, unless Python calls them false.
    pub fn tool_calls(&self) -> Option<Json<'t, 'l>> {
        self.tool_calls.filter(|t| !t.is_empty())
    }

    /// Returns true if the output is counted through the chat template.
    pub fn is_structured(&self) -> bool {
        self.reasoning().is_some() || self.tool_calls().is_some()
    }

    /// Returns true if the first chunk was a tool-call delta: they were streamed, and nothing else was.
    pub fn starts_with_tool_call(&self) -> bool {
        let streamed = self
            .tool_calls()
            .and_then(|t| t.items().next())
            .is_some_and(|t| t.is_array());
        streamed && self.output.is_empty() && self.reasoning().is_none()
    }

    /// Appends the content that arrived after the first chunk, for a structured output: all of
    /// it when reasoning came first (as chunks, for a content that was not streamed), else what
    /// follows the first content chunk.
    pub fn content_after_first_chunk(&self, out: &mut String) {
        match (&self.output, self.reasoning()) {
            (Chunks::Streamed(_), Some(_)) | (Chunks::Whole(_), Some(Chunks::Streamed(_))) => {
                self.output.join_into(out);
            }
            (Chunks::Streamed(chunks), None) => {
                let rest = chunks.items().skip(1).filter_map(|chunk| chunk.as_str());
                rest.for_each(|text| out.push_str(text));
            }
            (Chunks::Whole(_), _) => {}
        }
    }

    /// Returns true if the first chunk of a streamed output holds content besides reasoning or a tool call: where every
    /// field is streamed, the first entries of all belong to the same chunk.
    pub fn has_mixed_first_chunk(&self) -> bool {
        let starts = |chunks: Option<Chunks>| match chunks {
            Some(Chunks::Streamed(chunks)) => {
                let first = chunks.items().next();
                first.is_some_and(|first| first.as_str().is_some_and(|text| !text.is_empty()))
            }
            _ => false,
        };
        let first_call = self.tool_calls().and_then(|calls| calls.items().next());
        let calls = first_call.is_some_and(|batch| batch.is_array() && !batch.is_empty());
        let content = starts(Some(self.output));
        let reasoning = starts(self.reasoning);
        let is_aligned = matches!(self.output, Chunks::Streamed(chunks) if !chunks.is_empty());
        (content && (reasoning || calls)) || (is_aligned && reasoning && calls)
    }
}
