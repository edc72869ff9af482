//! Compressed logs that are bombs, broken, or not what their names say.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{CHAT, prompt, session};
use crate::process::LONGEST;
use crate::support::Run;

#[track_caller]
fn check(name: &str, file: &str, bytes: Vec<u8>, code: i32, says: &str) {
    let run = Run::empty();
    run.write(file, bytes);
    super::check(name, &run, code, says);
}

fn log() -> String {
    session(&[prompt("s", "hello")])
}

/// A compressed log followed by many copies of one byte.
fn gzip(byte: u8, mebibytes: usize) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(log().as_bytes()).unwrap();
    let block = vec![byte; 1 << 20];
    (0..mebibytes).for_each(|_| gz.write_all(&block).unwrap());
    gz.finish().unwrap()
}

fn zstd(byte: u8, mebibytes: usize, window_log: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.long_distance_matching(window_log > 27).unwrap();
    encoder.window_log(window_log).unwrap();
    encoder.write_all(log().as_bytes()).unwrap();
    let block = vec![byte; 1 << 20];
    (0..mebibytes).for_each(|_| encoder.write_all(&block).unwrap());
    encoder.finish().unwrap()
}

#[test]
fn bombs_end_soon() {
    let bomb = "it decompresses to more than 500 times its size";
    check(
        "a gzip bomb: one line",
        "events.jsonl.gz",
        gzip(b' ', 300),
        2,
        bomb,
    );
    check(
        "a zstd bomb: one line",
        "events.jsonl.zst",
        zstd(b' ', 300, 20),
        2,
        bomb,
    );
    check(
        "a gzip of NULs, below what is a bomb",
        "events.jsonl.gz",
        gzip(0, 100),
        3,
        "line too long",
    );
    check(
        "a zstd window of 2 GiB",
        "events.jsonl.zst",
        zstd(b' ', 300, 31),
        2,
        "requires too much memory",
    );
    let inner = gzip(b'\n', 1);
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(&inner).unwrap();
    check(
        "gzip in gzip",
        "events.jsonl.gz",
        gz.finish().unwrap(),
        2,
        "is not an event log",
    );
}

#[test]
#[ignore = "hundreds of millions of lines take seconds in a release build, minutes in others"]
fn bombs_of_lines_end_soon() {
    let longest = LONGEST * if cfg!(debug_assertions) { 10 } else { 1 };
    for (file, bytes) in [
        ("events.jsonl.gz", gzip(b'\n', 300)),
        ("events.jsonl.zst", zstd(b'\n', 300, 20)),
    ] {
        let run = Run::empty();
        run.write(file, bytes);
        let args = ["run", "--tokenizer", &CHAT];
        let name = format!("a bomb of empty lines: {file}");
        let bomb = "it decompresses to more than 500 times its size";
        super::check_within(longest, &name, &run, &args, 2, bomb);
    }
}

#[test]
fn broken_streams_are_refused_or_incomplete() {
    let (gz, zst) = (gzip(b' ', 0), zstd(b' ', 0, 20));
    let with = |stream: &[u8], more: &[u8]| [stream, more].concat();
    let but = |stream: &[u8], at: usize| {
        let mut broken = stream.to_vec();
        broken[at] ^= 0x55;
        broken
    };
    check(
        "a gzip with a tail",
        "events.jsonl.gz",
        with(&gz, b"tail of garbage"),
        2,
        "invalid gzip header",
    );
    check(
        "a gzip with a wrong checksum",
        "events.jsonl.gz",
        but(&gz, gz.len() - 6),
        2,
        "checksum",
    );
    check(
        "a gzip that is cut",
        "events.jsonl.gz",
        gz[..gz.len() - 9].to_vec(),
        3,
        "it was truncated",
    );
    check(
        "a gzip of nothing but its header",
        "events.jsonl.gz",
        gz[..10].to_vec(),
        2,
        "it was truncated",
    );
    check(
        "a zstd that is broken",
        "events.jsonl.zst",
        with(b"\x28\xb5\x2f\xfd", &[0xff; 40]),
        2,
        "cannot read",
    );
    check(
        "a zstd that is cut",
        "events.jsonl.zst",
        zst[..zst.len() - 3].to_vec(),
        2,
        "it was truncated",
    );
    check(
        "a zstd with a dictionary",
        "events.jsonl.zst",
        with(b"\x28\xb5\x2f\xfd\x03\0\0\0\0\x01", &zst),
        2,
        "Dictionary",
    );
    check(
        "empty zstd frames",
        "events.jsonl.zst",
        b"\x50\x2a\x4d\x18\0\0\0\0".repeat(10_000),
        2,
        "is empty",
    );
    check(
        "a zstd frame that skips 4 GiB",
        "events.jsonl.zst",
        b"\x50\x2a\x4d\x18\xff\xff\xff\xffx".to_vec(),
        2,
        "it was truncated",
    );
    check(
        "a plain log named gz",
        "events.jsonl.gz",
        log().into_bytes(),
        0,
        "",
    );
    check(
        "an empty file named zst",
        "events.jsonl.zst",
        Vec::new(),
        2,
        "is empty",
    );
}
