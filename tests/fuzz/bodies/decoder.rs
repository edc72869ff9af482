//! The event decoder against the slow one, line by line; once more without texts.

use std::cell::RefCell;

use serde_json::Value;
use tok_recompute::event::{self, Chunks, Decoder, EventKind, Json};

use crate::model::decode::{Data, Event, Output, Phase, Prompt, Text, decode, is_note};

thread_local! {
    /// One decoder for everything: nothing may be left over from one line to the next.
    static DECODER: RefCell<Decoder> = RefCell::new(Decoder::default());
}

pub fn run(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        check(line);
    }
}

fn check(line: &[u8]) {
    let expected = decode(line);
    let kind = expected
        .as_ref()
        .and_then(|event| EventKind::from_topic(&event.kind));
    let shown = String::from_utf8_lossy(line);
    DECODER.with_borrow_mut(|decoder| {
        decoder.skim(line, |event| match (event, &expected) {
            (Err(_), None) => {}
            (Ok(ours), Some(theirs)) => {
                assert_eq!(Some(ours.kind), kind, "{shown}");
                let ours = without_texts(outline(ours, &theirs.kind));
                assert_eq!(ours, without_texts(theirs.clone()), "{shown}");
            }
            (ours, theirs) => panic!("{:?} instead of {theirs:?}: {shown}", ours.map(|_| ())),
        });
        decoder.decode(line, |event| match (event, &expected) {
            (Err(_), None) => {}
            (Ok(ours), Some(theirs)) => {
                assert_eq!(Some(ours.kind), kind, "{shown}");
                assert_eq!(outline(ours, &theirs.kind), *theirs, "{shown}");
                if let (event::Data::Output(ours), Data::Output(theirs)) =
                    (&ours.data, &theirs.data)
                {
                    parts(ours, theirs);
                }
            }
            (ours, theirs) => panic!("{:?} instead of {theirs:?}: {shown}", ours.map(|_| ())),
        });
    });
}

/// An event without what skimming may leave out: strings that are elements of arrays, and not empty.
fn without_texts(mut event: Event) -> Event {
    fn shorten(text: &mut String) {
        text.truncate(0);
        text.push('-');
    }
    fn members(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(element),
            Value::Object(map) => map.values_mut().for_each(members),
            _ => {}
        }
    }
    fn element(value: &mut Value) {
        match value {
            Value::String(text) if !text.is_empty() => shorten(text),
            value => members(value),
        }
    }
    fn chunks(text: &mut Text) {
        let texts = match text {
            Text::Whole(text) => std::slice::from_mut(text),
            Text::Chunks(texts) => texts,
        };
        texts
            .iter_mut()
            .filter(|text| !text.is_empty())
            .for_each(shorten);
    }
    match &mut event.data {
        Data::Prompt(prompt) => {
            let texts = [&mut prompt.text, &mut prompt.chat_template];
            let texts = texts.into_iter().flatten();
            texts.filter(|text| !text.is_empty()).for_each(shorten);
            let values = [
                &mut prompt.messages,
                &mut prompt.tools,
                &mut prompt.chat_template_kwargs,
                &mut prompt.tool_choice,
            ];
            values.into_iter().flatten().for_each(element);
        }
        Data::Output(output) => {
            chunks(&mut output.output);
            output.reasoning.iter_mut().for_each(chunks);
            output.tool_calls.iter_mut().flatten().for_each(element);
        }
        Data::None | Data::Error | Data::Phase(_) => {}
    }
    event
}

/// An event of the tool's in the terms of the slow one.
fn outline(event: &event::Event, kind: &str) -> Event {
    let value = |json: Option<Json>| json.map(|json| json.to_value());
    let data = match &event.data {
        // The payload of a note is not looked at.
        _ if is_note(kind) => Data::None,
        event::Data::None => Data::None,
        event::Data::Phase(phase) => Data::Phase(Phase {
            is_performance: phase.is_performance,
            num_turns: phase.num_turns,
        }),
        event::Data::Error => Data::Error,
        event::Data::Prompt(prompt) => Data::Prompt(Prompt {
            text: prompt.text.map(str::to_owned),
            token_ids: prompt.token_ids,
            messages: value(prompt.messages),
            tools: value(prompt.tools),
            chat_template_kwargs: value(prompt.chat_template_kwargs),
            chat_template: prompt.chat_template.map(str::to_owned),
            tool_choice: value(prompt.tool_choice),
        }),
        event::Data::Output(output) => Data::Output(Output {
            output: text(output.output),
            reasoning: output.reasoning.map(text),
            tool_calls: output.tool_calls.map(|calls| {
                calls
                    .items()
                    .map(|call| call.to_value())
                    .collect::<Vec<Value>>()
            }),
        }),
    };
    Event {
        kind: kind.to_owned(),
        timestamp_ns: event.timestamp_ns,
        sample_uuid: event.sample_uuid.to_owned(),
        data,
        finish_reason: event.finish_reason.map(str::to_owned),
    }
}

fn text(chunks: Chunks) -> Text {
    match chunks {
        Chunks::Whole(text) => Text::Whole(text.to_owned()),
        Chunks::Streamed(chunks) => Text::Chunks(
            chunks
                .items()
                .filter_map(|chunk| chunk.as_str())
                .map(str::to_owned)
                .collect(),
        ),
    }
}

/// Which part of an output came after the first chunk.
fn parts(ours: &event::Output, theirs: &Output) {
    assert_eq!(ours.is_structured(), theirs.is_structured());
    let (content, reasoning, dropped) = theirs.after_first_chunk();
    let mut whole = String::new();
    let second = ours.output.join_into(&mut whole);
    assert_eq!(whole, theirs.output.joined());
    if ours.is_structured() {
        let mut after = String::new();
        ours.content_after_first_chunk(&mut after);
        assert_eq!(after, content);
        assert_eq!(usize::from(ours.starts_with_tool_call()), dropped);
        let mut whole = String::new();
        let second = ours
            .reasoning()
            .map_or(0, |reasoning| reasoning.join_into(&mut whole));
        assert_eq!(whole[second..], reasoning);
    } else {
        assert_eq!(whole[second..], content);
    }
}
