//! Logs with numbers, nesting, bytes and lengths that a client does not write.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};

use serde_json::json;

use super::{bare, event, prompt, raw, session};

const DEEP: usize = 100_000;
const TOO_LONG: &str = "line too long (more than 64 MiB)";

#[track_caller]
fn check(name: &str, log: impl AsRef<[u8]>, code: i32, says: &str) -> serde_json::Value {
    super::check(name, &bare(log), code, says)
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    open.repeat(depth) + "1" + &close.repeat(depth)
}

fn with_field(value: &str) -> String {
    session(&[format!(
        r#"{{"event_type":"session.stop_loadgen","timestamp_ns":5,"x":{value}}}"#
    )])
}

#[test]
fn json_nested_deeply() {
    let deep = "line 3, byte 177: nested too deeply";
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"a":"#, "}]")] {
        check(
            &format!("{open} nested {DEEP} times"),
            with_field(&nested(open, close, DEEP)),
            3,
            deep,
        );
    }
    check(
        "[ never closed",
        with_field(&"[".repeat(DEEP)),
        3,
        "line 3, byte 177",
    );
    check(
        "] never opened",
        with_field(&"]".repeat(DEEP)),
        3,
        "malformed",
    );
    check(
        "[ nested 900 times in an unknown field",
        with_field(&nested("[", "]", 900)),
        0,
        "",
    );
    // As deep as a line may be, where values are copied, rendered and written again.
    for depth in [50, 900] {
        let value = nested("[", "]", depth);
        let call = format!(
            r#"["TextModelOutput","x",null,[{{"function":{{"name":"f","arguments":{{"a":{value}}}}}}}]]"#
        );
        let message = format!(r#"["PromptData",null,null,[{{"role":"user","content":{value}}}]]"#);
        let lines = [
            raw("sample.issued", "s", &message),
            raw("sample.complete", "s", &call),
        ];
        let (code, says) = if depth == 50 {
            (0, "")
        } else {
            (3, "could not be counted")
        };
        check(
            &format!("a tool call nested {depth} times"),
            session(&lines),
            code,
            says,
        );
    }
    let arguments = json!(format!("{{\"a\":{}}}", nested("[", "]", DEEP)));
    let call = json!(["TextModelOutput", "x", null, [{"function": {"name": "f", "arguments": arguments}}]]);
    let lines = [
        raw("sample.issued", "s", "null"),
        event("sample.complete", 60, "s", &call),
    ];
    check(
        "arguments whose text is nested",
        session(&lines),
        3,
        "could not be counted",
    );
}

#[test]
fn objects_with_very_many_keys() {
    let keys = |n: usize| {
        (0..n)
            .map(|i| format!("\"k{i}\":{i}"))
            .collect::<Vec<_>>()
            .join(",")
    };
    let unknown = |keys: &str| {
        session(&[format!(
            r#"{{"event_type":"session.stop_loadgen","timestamp_ns":5,{keys}}}"#
        )])
    };
    check("a million keys", unknown(&keys(1_000_000)), 0, "");
    check(
        "one key a million times",
        unknown(&vec![r#""timestamp_ns":7"#; 1_000_000].join(",")),
        0,
        "",
    );
    let message = format!(
        r#"["PromptData",null,null,[{{"role":"user","content":"x",{}}}]]"#,
        keys(100_000)
    );
    check(
        "a message with 100,000 keys",
        session(&[raw("sample.issued", "s", &message)]),
        0,
        "",
    );
}

#[test]
#[ignore = "takes a minute in a debug build"]
fn a_tool_call_with_a_million_keys() {
    let keys: Vec<_> = (0..1_000_000).map(|i| format!("\"k{i}\":{i}")).collect();
    let call = format!(
        r#"["TextModelOutput","x",null,[{{"function":{{"name":"f","arguments":{{{}}}}}}}]]"#,
        keys.join(",")
    );
    let lines = [
        raw("sample.issued", "s", "null"),
        raw("sample.complete", "s", &call),
    ];
    check(
        "a tool call with a million keys",
        session(&lines),
        2,
        "sample s in the line at byte 256: a text of 17 MiB",
    );
}

#[test]
fn numbers_beyond_every_type() {
    let huge = "9".repeat(50);
    let ids = raw(
        "sample.issued",
        "s",
        &format!(r#"["PromptData",null,[{huge},-{huge}],null,null,null,null,null]"#),
    );
    let summary = check("token ids of 50 digits", session(&[ids]), 0, "");
    assert_eq!(summary["input_sequence_lengths"]["total"], 2);
    for (name, timestamp) in [
        ("2^63", "9223372036854775808"),
        ("50 digits", huge.as_str()),
        ("1e3", "1e3"),
        ("1e999", "1e999"),
        ("-0.0", "-0.0"),
    ] {
        let line = format!(r#"{{"event_type":"session.stop_loadgen","timestamp_ns":{timestamp}}}"#);
        check(
            &format!("a timestamp of {name}"),
            session(&[line]),
            3,
            "`timestamp_ns` is not a 64-bit signed integer",
        );
    }
    check(
        "a number of 5,000 digits in an unknown field",
        with_field(&"7".repeat(5000)),
        0,
        "",
    );
    check(
        "a number of a million digits",
        with_field(&"7".repeat(1_000_000)),
        0,
        "",
    );
    check(
        "1e999 in an unknown field",
        with_field("[1e999,-1e999,1e-999]"),
        0,
        "",
    );
    let call = r#"["TextModelOutput","x",null,[{"n":1e999}]]"#;
    check(
        "1e999 in a tool call",
        session(&[raw("sample.complete", "s", call)]),
        3,
        "a number beyond 64 bits",
    );
}

#[test]
fn timestamps_near_the_limits() {
    let session = |issued: i64, complete: i64| {
        let mut lines = Vec::new();
        for sample in 0..1000 {
            let name = format!("s{sample}");
            lines.push(event(
                "sample.issued",
                issued + sample % 2,
                &name,
                &json!(["PromptData", null, [1], null, null, null, null, null]),
            ));
            lines.push(event("sample.complete", complete, &name, &json!(null)));
        }
        super::session(&lines)
    };
    // A thousand differences of almost 2^63, whose squares sum up beyond 128 bits.
    let summary = check(
        "differences of 2^63 - 1, a thousand times",
        session(i64::MIN, -2),
        0,
        "",
    );
    assert_eq!(summary["latency"]["max"], i64::MAX - 1);
    let total = summary["latency"]["total"].as_f64().unwrap();
    assert!((9.22e21..9.23e21).contains(&total), "{total}");
    check(
        "differences beyond 2^63",
        session(i64::MIN, i64::MAX),
        3,
        "did not fit 64 bits",
    );
    check(
        "everything at the last nanosecond",
        session(i64::MAX - 1, i64::MAX),
        0,
        "",
    );
    check(
        "everything before time began",
        session(-5, i64::MIN + 2),
        0,
        "",
    );
}

#[test]
fn bytes_that_are_not_text() {
    let line = |prompt: &[u8]| {
        let text = session(&[self::prompt("s", "@")]);
        let (before, after) = text.split_once('@').unwrap();
        [before.as_bytes(), prompt, after.as_bytes()].concat()
    };
    let utf8 = "line 3, byte 177: invalid UTF-8";
    check("0xff in a text", line(b"\xff"), 3, utf8);
    check("an overlong slash", line(b"\xc0\xaf"), 3, utf8);
    check("a surrogate as UTF-8", line(b"\xed\xa0\x80"), 3, utf8);
    check(
        "a lone surrogate",
        line(br"\ud800"),
        3,
        "line 3, byte 177: malformed",
    );
    check(
        "surrogates in the wrong order",
        line(br"\udc00\ud800"),
        3,
        "malformed",
    );
    check("a raw NUL in a text", line(b"\0"), 3, "malformed");
    check("an escaped NUL in a text", line(br"\u0000"), 0, "");
    check(
        "a line of NULs",
        session(&["\0".repeat(100_000)]),
        3,
        "malformed",
    );
    check(
        "a byte order mark",
        "\u{feff}".to_owned() + &session(&[]),
        3,
        "line 1, byte 0: malformed",
    );
    check(
        "UTF-16",
        session(&[])
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<_>>(),
        2,
        "is not an event log",
    );
    check("a file of NULs", vec![0; 1 << 20], 2, "is not an event log");
    check(
        "a picture",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".repeat(9),
        2,
        "is not an event log",
    );
    check(
        "old Mac line ends",
        session(&[]).replace('\n', "\r"),
        2,
        "is not an event log",
    );
}

#[test]
fn logs_of_one_kind_only() {
    let errors: Vec<_> = (0..1000)
        .map(|i| {
            event(
                "error.client",
                i,
                &format!("s{i}"),
                &json!(["ErrorData", "E", "m"]),
            )
        })
        .collect();
    let summary = check(
        "a log of only errors",
        errors.join("\n"),
        3,
        "no session.ended",
    );
    assert_eq!(
        summary["n_samples_failed"], 0,
        "none of them is of a tracked sample"
    );
    check(
        "a log of one byte",
        "{",
        2,
        "is not an event log: none of its 1 line",
    );
    check(
        "a log of blank lines",
        "\n".repeat(10_000),
        2,
        "none of its 10000 lines",
    );
    let issued: Vec<_> = (0..20_000).map(|i| prompt(&format!("s{i}"), "a")).collect();
    let summary = check(
        "20,000 unfinished samples",
        session(&issued),
        0,
        "20000 samples issued",
    );
    assert_eq!(summary["n_samples_issued"], 20_000);
    let same: Vec<_> = (0..20_000).map(|_| prompt("s", "a")).collect();
    check("a sample issued 20,000 times", session(&same), 0, "");
    let name = "n".repeat(1 << 20);
    let lost = check(
        "a sample with a name of a mebibyte",
        session(&[prompt(&name, "a")]),
        0,
        "",
    );
    assert_eq!(lost["n_samples_issued"], 1);
}

#[test]
#[ignore = "a million lines take long in a debug build"]
fn a_million_unfinished_samples() {
    let run = bare("");
    let lines = session(&[]);
    let (head, tail) = lines.trim_end().rsplit_once('\n').unwrap();
    let mut file = BufWriter::new(File::create(run.path("events.jsonl")).unwrap());
    writeln!(file, "{head}").unwrap();
    for sample in 0..1_000_000 {
        writeln!(file, "{}", prompt(&format!("{sample:032x}"), "a")).unwrap();
    }
    writeln!(file, "{tail}").unwrap();
    drop(file);
    let summary = super::check(
        "a million unfinished samples",
        &run,
        0,
        "1000000 samples issued",
    );
    assert_eq!(summary["n_samples_issued"], 1_000_000);
}

/// Checks a line of so many bytes in a file that is as sparse as a log may be: it needs little space on the disk.
#[track_caller]
fn check_line(name: &str, bytes: u64, says: &str) {
    let run = bare("");
    let lines = session(&[]);
    let (head, tail) = lines.split_once('\n').unwrap();
    let mut file = File::create(run.path("events.jsonl")).unwrap();
    writeln!(file, "{head}").unwrap();
    let at = head.len() as u64 + 1;
    std::io::copy(&mut std::io::repeat(0).take(bytes / 400), &mut file).unwrap();
    file.set_len(at + bytes).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    write!(file, "\n{tail}").unwrap();
    drop(file);
    super::check(name, &run, 3, &format!("line 2, byte {at}: {says}"));
}

#[test]
fn lines_that_are_too_long() {
    check_line("a line of 64 MiB", 64 << 20, "malformed");
    check_line("a line of a byte more", (64 << 20) + 1, TOO_LONG);
}

#[test]
#[ignore = "maps a gigabyte"]
fn a_line_of_a_gigabyte() {
    check_line("a line of a gigabyte", 1_000_000_000, TOO_LONG);
}
