//! JSON bytes → [`Event`], accepting exactly the lines that the reference's decoder accepts,
//! but for the three documented differences (see [`Damage`]).

use simd_json::{Buffers, ErrorType, Node, StaticNode, Tape};

use super::json::Json;
use super::output::{Chunks, Output};
use super::repair::{is_placeholder, replace_huge_numbers};
use super::skim::drop_long_texts;
use super::{Damage, Data, Event, EventKind, Phase, Prompt};

/// Reusable buffers for decoding lines one after the other; one a thread.
pub struct Decoder {
    /// The line, or what is left of it, unescaped in place, with the padding that simd-json reads over.
    line: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            line: Vec::new(),
            buffers: Buffers::new(64 << 10),
            tape: Tape::null(),
        }
    }
}

impl Decoder {
    /// Decodes one line (without its `\n`) and hands the event, or why there is none, to `then`.
    pub fn decode<R>(
        &mut self,
        line: &[u8],
        then: impl FnOnce(Result<&Event<'_, '_>, Damage>) -> R,
    ) -> R {
        if line.trim_ascii().is_empty() {
            return then(Err(Damage::Blank));
        }
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        self.line.clear();
        self.line.extend_from_slice(line);
        let parsed = parse(&mut self.line, &mut self.buffers, &mut tape);
        let result = match parsed {
            Ok(()) => then(event(&tape.0, false).as_ref().map_err(|damage| *damage)),
            Err(damage) => match replace_huge_numbers(line) {
                None => then(Err(damage)),
                Some(mut shortened) => {
                    let mut tape = Tape(Vec::new());
                    let parsed = parse(&mut shortened, &mut self.buffers, &mut tape);
                    let decoded = parsed.and_then(|()| event(&tape.0, true));
                    then(decoded.as_ref().map_err(|damage| *damage))
                }
            },
        };
        self.tape = tape.reset();
        result
    }

    /// Decodes one line as [`decode`](Self::decode) does, in less time, for callers that do not read texts: a long string
    /// in an array may be replaced by another one that is not empty either.
    pub fn skim<R>(
        &mut self,
        line: &[u8],
        then: impl FnOnce(Result<&Event<'_, '_>, Damage>) -> R,
    ) -> R {
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        self.line.clear();
        drop_long_texts(line, &mut self.line);
        if parse(&mut self.line, &mut self.buffers, &mut tape).is_ok() {
            let result = then(event(&tape.0, false).as_ref().map_err(|damage| *damage));
            self.tape = tape.reset();
            return result;
        }
        self.tape = tape.reset();
        self.decode(line, then)
    }
}

/// Fills `tape` with what `line` holds; it is unescaped in place, behind it comes padding.
fn parse<'l>(
    line: &'l mut Vec<u8>,
    buffers: &mut Buffers,
    tape: &mut Tape<'l>,
) -> Result<(), Damage> {
    let len = line.len();
    line.resize(len + simd_json::INPUT_PADDING, b' ');
    simd_json::fill_tape_padded(line, len, buffers, tape).map_err(|error| match error.error() {
        ErrorType::InvalidUtf8 => Damage::InvalidUtf8,
        ErrorType::DepthLimitExceeded => Damage::TooDeep,
        _ => Damage::Malformed,
    })
}

/// The event on a tape. `shortened`: some numbers are stand-ins.
fn event<'t, 'l>(tape: &'t [Node<'l>], shortened: bool) -> Result<Event<'t, 'l>, Damage> {
    let root = Json::root(tape)
        .filter(Json::is_object)
        .ok_or(Damage::NotAnObject)?;
    let mut kind = None;
    let mut timestamp_ns = None;
    let mut bad_data = None;
    let mut event = Event {
        kind: EventKind::Error,
        topic: "",
        timestamp_ns: 0,
        sample_uuid: "",
        conversation_id: "",
        turn: None,
        data: Data::None,
        finish_reason: None,
        worker_id: None,
    };
    for (key, value) in root.members() {
        match key {
            "event_type" => {
                event.topic = value.as_str().ok_or(Damage::UnknownEventType)?;
                kind = Some(EventKind::from_topic(event.topic).ok_or(Damage::UnknownEventType)?);
            }
            "timestamp_ns" => timestamp_ns = Some(timestamp(value)?),
            "sample_uuid" => event.sample_uuid = string(value)?,
            "conversation_id" => event.conversation_id = string(value)?,
            "turn" if value.is_null() => event.turn = None,
            "turn" => event.turn = integer(value)?,
            "data" => match data(value, shortened) {
                Ok(data) => event.data = data,
                Err(damage) => bad_data = Some(damage),
            },
            "finish_reason" => event.finish_reason = Some(string(value)?),
            "worker_id" => event.worker_id = integer(value)?,
            _ => {}
        }
    }
    event.kind = kind.ok_or(Damage::MissingEventType)?;
    event.timestamp_ns = timestamp_ns.ok_or(Damage::MissingTimestamp)?;
    match bad_data {
        // The payload of an event that we do not know may be of a type that we do not know.
        Some(damage) if event.kind != EventKind::OtherSession => Err(damage),
        _ => Ok(event),
    }
}

fn timestamp(value: Json<'_, '_>) -> Result<i64, Damage> {
    match value.node() {
        Node::Static(StaticNode::I64(n)) => Ok(n),
        Node::Static(StaticNode::U64(n)) => i64::try_from(n).map_err(|_| Damage::BadTimestamp),
        _ => Err(Damage::BadTimestamp),
    }
}

fn string<'l>(value: Json<'_, 'l>) -> Result<&'l str, Damage> {
    value.as_str().ok_or(Damage::BadField)
}

/// An integer of any size; `None` if it needs more than 64 bits.
fn integer(value: Json<'_, '_>) -> Result<Option<i64>, Damage> {
    match value.node() {
        Node::Static(StaticNode::I64(n)) => Ok(Some(n)),
        Node::Static(StaticNode::U64(n)) => Ok(i64::try_from(n).ok()),
        _ => Err(Damage::BadField),
    }
}

fn data<'t, 'l>(value: Json<'t, 'l>, shortened: bool) -> Result<Data<'t, 'l>, Damage> {
    if value.is_null() {
        return Ok(Data::None);
    }
    let mut items = value.items();
    let tag = items
        .next()
        .and_then(|tag| tag.as_str())
        .ok_or(Damage::BadData)?;
    match tag {
        "PromptData" => prompt(items, shortened).map(Data::Prompt),
        "TextModelOutput" => output(items, shortened).map(Data::Output),
        "ErrorData" => {
            let mut strings = items
                .take(2)
                .map(|item| item.as_str().ok_or(Damage::BadData));
            strings.next().ok_or(Damage::BadData)??;
            strings.next().transpose()?;
            Ok(Data::Error)
        }
        "PhaseData" => phase(items).map(Data::Phase),
        _ => Err(Damage::BadData),
    }
}

/// The elements after the tag; a missing one has its default, further ones are overlooked.
fn prompt<'t, 'l>(
    mut items: impl Iterator<Item = Json<'t, 'l>>,
    shortened: bool,
) -> Result<Prompt<'t, 'l>, Damage> {
    let mut elements = 1;
    let mut next = || {
        let item = items.next()?;
        elements += 1;
        Some(item).filter(|item| !item.is_null())
    };
    let optional_str = |item: Option<Json<'t, 'l>>| match item {
        Some(item) => item.as_str().map(Some).ok_or(Damage::BadData),
        None => Ok(None),
    };
    let mut prompt = Prompt {
        elements: 0,
        text: optional_str(next())?,
        token_ids: checked(next(), |ids| all(ids, Json::is_integer))?.map(|ids| ids.len()),
        messages: checked(next(), |messages| all(messages, Json::is_object))?,
        tools: checked(next(), |tools| all(tools, Json::is_object))?,
        chat_template_kwargs: checked(next(), Json::is_object)?,
        chat_template: optional_str(next())?,
        tool_choice: checked(next(), |choice| {
            choice.as_str().is_some() || choice.is_object()
        })?,
    };
    prompt.elements = elements;
    let structured = [
        prompt.messages,
        prompt.tools,
        prompt.chat_template_kwargs,
        prompt.tool_choice,
    ];
    if shortened
        && structured
            .iter()
            .flatten()
            .any(|part| part.has(is_placeholder))
    {
        return Err(Damage::HugeNumber);
    }
    Ok(prompt)
}

fn output<'t, 'l>(
    mut items: impl Iterator<Item = Json<'t, 'l>>,
    shortened: bool,
) -> Result<Output<'t, 'l>, Damage> {
    let output = match items.next() {
        None => Chunks::Whole(""),
        Some(value) => Chunks::from_json(value).ok_or(Damage::BadData)?,
    };
    let reasoning = match items.next().filter(|value| !value.is_null()) {
        None => None,
        Some(value) => Some(Chunks::from_json(value).ok_or(Damage::BadData)?),
    };
    let tool_calls = checked(
        items.next().filter(|value| !value.is_null()),
        Json::is_array,
    )?;
    if shortened && tool_calls.is_some_and(|calls| calls.has(is_placeholder)) {
        return Err(Damage::HugeNumber);
    }
    Ok(Output {
        output,
        reasoning,
        tool_calls,
    })
}

fn phase<'t, 'l: 't>(mut items: impl Iterator<Item = Json<'t, 'l>>) -> Result<Phase, Damage> {
    let mut next = || items.next().ok_or(Damage::BadData);
    let phase_type = next()?.as_str().ok_or(Damage::BadData)?;
    let _drain_after = next()?;
    let num_turns = integer(next()?).map_err(|_| Damage::BadData)?;
    Ok(Phase {
        is_performance: phase_type == "performance",
        num_turns: num_turns.unwrap_or_default(),
    })
}

fn all<'t, 'l>(array: &Json<'t, 'l>, is: impl Fn(&Json<'t, 'l>) -> bool) -> bool {
    array.is_array() && array.items().all(|item| is(&item))
}

fn checked<'t, 'l>(
    item: Option<Json<'t, 'l>>,
    is: impl Fn(&Json<'t, 'l>) -> bool,
) -> Result<Option<Json<'t, 'l>>, Damage> {
    match item {
        Some(item) if !is(&item) => Err(Damage::BadData),
        item => Ok(item),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Every line of the reference's own verdicts, each also decoded by a decoder that has just
    /// seen the others.
    #[test]
    fn lines_are_accepted_as_the_reference_accepts_them() {
        let cases = include_str!("../../fixtures/event/decoder_cases.jsonl");
        let mut decoder = Decoder::default();
        let mut seen = 0;
        for case in cases
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
        {
            let line = match case["line_base64"].as_str() {
                Some(text) => unbase64(text),
                None => case["line"].as_str().unwrap().as_bytes().to_vec(),
            };
            let (expected, ours) = (expected(&case), decoded(&mut decoder, &line));
            assert_eq!(
                ours,
                expected,
                "{}: {}",
                case["why"],
                String::from_utf8_lossy(&line)
            );
            seen += 1;
        }
        assert_eq!(seen, 243);
    }

    /// The same lines with long texts put into each of their strings in turn, some of which end in backslashes.
    #[test]
    fn skimming_sees_what_decoding_sees_but_for_texts() {
        let cases = include_str!("../../fixtures/event/decoder_cases.jsonl");
        let longs = [
            "long and ".repeat(9),
            "é\\n".repeat(20),
            "\\\"".repeat(33),
            "\\u0041".repeat(11),
        ];
        let mut decoder = Decoder::default();
        let mut differ = 0;
        for case in cases
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
        {
            let Some(line) = case["line"].as_str() else {
                continue;
            };
            let quotes = line.match_indices('"').map(|(at, _)| at + 1);
            for (at, long) in quotes.flat_map(|at| longs.iter().map(move |long| (at, long))) {
                let line = [&line[..at], long, &line[at..]].concat();
                let decoded = decoder.decode(line.as_bytes(), |event| event.map(shape));
                let skimmed = decoder.skim(line.as_bytes(), |event| event.map(shape));
                assert_eq!(skimmed, decoded, "{line}");
                let texts = |event: Result<&Event, Damage>| format!("{event:?}");
                differ += usize::from(
                    decoder.decode(line.as_bytes(), texts) != decoder.skim(line.as_bytes(), texts),
                );
            }
        }
        assert!(differ > 100, "texts were left out of {differ} lines");
    }

    /// An event but for its texts.
    fn shape(event: &Event) -> String {
        let data = match &event.data {
            Data::Prompt(prompt) => format!(
                "{:?}",
                (
                    prompt.text.map(str::is_empty),
                    prompt.token_ids,
                    prompt.messages.map(|messages| messages.len()),
                    prompt.tools.map(|tools| tools.len()),
                    prompt.chat_template_kwargs.is_some(),
                    prompt.chat_template.map(str::is_empty),
                    prompt.tool_choice.is_some(),
                )
            ),
            Data::Output(output) => format!(
                "{:?}",
                (
                    chunks(output.output),
                    output.reasoning.map(chunks),
                    output.tool_calls.map(|calls| calls.len()),
                    output.is_structured(),
                    output.starts_with_tool_call(),
                )
            ),
            other => format!("{other:?}"),
        };
        let fields = (
            event.kind,
            event.timestamp_ns,
            event.sample_uuid,
            event.conversation_id,
            event.turn,
            event.finish_reason,
            event.worker_id,
        );
        format!("{fields:?} {data}")
    }

    /// The chunks that are empty.
    fn chunks(text: Chunks) -> Vec<bool> {
        match text {
            Chunks::Whole(text) => vec![text.is_empty()],
            Chunks::Streamed(chunks) => {
                let texts = chunks.items().filter_map(|chunk| chunk.as_str());
                texts.map(str::is_empty).collect()
            }
        }
    }

    type Outline = (EventKind, String, i64);

    fn decoded(decoder: &mut Decoder, line: &[u8]) -> Option<Outline> {
        decoder.decode(line, |event| {
            event
                .ok()
                .map(|e| (e.kind, e.sample_uuid.to_owned(), e.timestamp_ns))
        })
    }

    /// The reference's verdict, but for our three differences: a missing timestamp, one beyond
    /// 64 bits, and invalid UTF-8 where the reference does not look.
    fn expected(case: &Value) -> Option<Outline> {
        let timestamp_ns = case["timestamp_ns"].as_i64()?;
        let hidden_utf8 = case["why"]
            .as_str()?
            .starts_with("invalid UTF-8 in an unknown");
        if !case["accepted"].as_bool()? || hidden_utf8 {
            return None;
        }
        let kind = EventKind::from_topic(case["event_type"].as_str()?)?;
        Some((kind, case["sample_uuid"].as_str()?.to_owned(), timestamp_ns))
    }

    fn unbase64(text: &str) -> Vec<u8> {
        const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bytes = Vec::new();
        let mut bits = 0u32;
        for (i, c) in text.trim_end_matches('=').chars().enumerate() {
            bits = bits << 6 | u32::try_from(DIGITS.find(c).unwrap()).unwrap();
            if i % 4 != 0 {
                bytes.push((bits >> (2 * (3 - i % 4))).to_le_bytes()[0]);
            }
        }
        bytes
    }

    #[test]
    fn reasons_name_what_is_wrong() {
        let check = |line: &str, expected: Damage| {
            let got = Decoder::default().decode(line.as_bytes(), |event| event.map(|_| ()));
            assert_eq!(got, Err(expected), "{line}");
        };
        check("", Damage::Blank);
        check(" \t\r", Damage::Blank);
        check(r#"{"event_type":"#, Damage::Malformed);
        check(&"[".repeat(100_000), Damage::TooDeep);
        check("[]", Damage::NotAnObject);
        check("{}", Damage::MissingEventType);
        check(
            r#"{"event_type":"sample.lost","timestamp_ns":1}"#,
            Damage::UnknownEventType,
        );
        check(
            r#"{"event_type":"session.ended"}"#,
            Damage::MissingTimestamp,
        );
        check(
            r#"{"event_type":"session.ended","timestamp_ns":9223372036854775808}"#,
            Damage::BadTimestamp,
        );
        check(
            &format!(
                r#"{{"event_type":"session.ended","timestamp_ns":1{}}}"#,
                "0".repeat(30)
            ),
            Damage::BadTimestamp,
        );
        check(
            r#"{"event_type":"session.ended","timestamp_ns":1,"turn":"a"}"#,
            Damage::BadField,
        );
        check(
            r#"{"event_type":"sample.complete","timestamp_ns":1,"data":["X"]}"#,
            Damage::BadData,
        );
        let huge = "1".repeat(30);
        check(
            &format!(
                r#"{{"event_type":"sample.issued","timestamp_ns":1,"data":["PromptData",null,null,[{{"n":{huge}}}]]}}"#
            ),
            Damage::HugeNumber,
        );
    }

    #[test]
    fn a_number_of_any_size_harms_only_what_shows_it() {
        let check = |rest: &str, expected: Result<(), Damage>| {
            let line = format!(r#"{{"event_type":"sample.complete","timestamp_ns":1,{rest}}}"#);
            let got = Decoder::default().decode(line.as_bytes(), |event| event.map(|_| ()));
            assert_eq!(got, expected, "{rest}");
        };
        let (huge, longer) = ("1".repeat(30), "1".repeat(5000));
        let calls = r#""data":["TextModelOutput","x",null,[{"n":1}]]"#;
        check(&format!(r#""turn":{huge},{calls}"#), Ok(()));
        check(&format!(r#""x":[1e999,{longer}],{calls}"#), Ok(()));
        check(&format!(r#""data":["PromptData",null,[{huge}]]"#), Ok(()));
        check(r#""turn":1e999"#, Err(Damage::BadField));
        check(&format!(r#""worker_id":{longer}"#), Err(Damage::BadField));
        check(
            r#""data":["TextModelOutput","x",null,[1e999]]"#,
            Err(Damage::HugeNumber),
        );
    }

    /// The parts of an output: whole text, start of the second chunk, structured or not,
    /// content after the first chunk of a structured output.
    #[test]
    fn outputs_are_cut_after_their_first_chunk() {
        let check = |data: &str, text: &str, second: usize, structured: bool, after: &str| {
            let line = format!(
                r#"{{"event_type":"sample.complete","timestamp_ns":1,"data":["TextModelOutput"{data}]}}"#
            );
            Decoder::default().decode(line.as_bytes(), |event| {
                let Data::Output(output) = &event.unwrap().data else {
                    panic!("{data}")
                };
                let mut whole = String::new();
                assert_eq!(output.output.join_into(&mut whole), second, "{data}");
                assert_eq!(whole, text, "{data}");
                assert_eq!(output.is_structured(), structured, "{data}");
                let mut rest = String::new();
                output.content_after_first_chunk(&mut rest);
                assert_eq!(rest, after, "{data}");
            });
        };
        check("", "", 0, false, "");
        check(r#","abc""#, "abc", 3, false, "");
        check(",[]", "", 0, false, "");
        check(r#",["abc"]"#, "abc", 3, false, "");
        check(r#",["a","b","c"]"#, "abc", 1, false, "bc");
        check(r#",["","b"]"#, "b", 0, false, "b");
        check(r#",["a","b"],"""#, "ab", 1, false, "b");
        check(r#",["a","b"],[]"#, "ab", 1, false, "b");
        check(r#",["a","b"],[""]"#, "ab", 1, true, "ab");
        check(r#",["a","b"],"r""#, "ab", 1, true, "ab");
        check(r#","ab",["r","s"]"#, "ab", 2, true, "ab");
        check(r#","ab",["r"]"#, "ab", 2, true, "ab");
        check(r#","ab","r""#, "ab", 2, true, "");
        check(r#",["a","b"],null,[]"#, "ab", 1, false, "b");
        check(r#",["a","b"],null,[{}]"#, "ab", 1, true, "b");
        check(r#","ab",null,[{}]"#, "ab", 2, true, "");
    }
}
