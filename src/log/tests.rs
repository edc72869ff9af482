//! One expectation, run through every reader.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::process::error_chain;

/// The content of a log: lines and skipped lines with their offsets, and the error at its end.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    lines: Vec<(u64, Result<Vec<u8>, u64>)>,
    error: Option<String>,
}

fn read_all(log: Log, sizes: BatchSizes) -> Seen {
    let (mut lines, mut error) = (Vec::new(), None);
    let mut position = 0;
    for item in log.batches(sizes) {
        assert!(error.is_none(), "an item after the error");
        match item {
            Ok(LogItem::Lines(batch)) => {
                assert_eq!(batch.offset(), position);
                position += batch.bytes().len() as u64;
                assert!(!batch.bytes().is_empty());
                lines.extend(
                    batch
                        .lines()
                        .map(|line| (line.offset, Ok(line.bytes.to_vec()))),
                );
            }
            Ok(LogItem::TooLong { offset, len_bytes }) => {
                assert_eq!(offset, position);
                position += len_bytes + 1;
                lines.push((offset, Err(len_bytes)));
            }
            Err(failed) => error = Some(error_chain(&failed)),
        }
    }
    Seen { lines, error }
}

fn expected(log: &[u8], line_bytes: usize) -> Seen {
    let mut offset = 0;
    let mut lines: Vec<_> = log
        .split(|&byte| byte == b'\n')
        .map(|line| {
            let start = offset;
            offset += line.len() as u64 + 1;
            let line = if line.len() > line_bytes {
                Err(line.len() as u64)
            } else {
                Ok(line.to_vec())
            };
            (start, line)
        })
        .collect();
    // There is not a line after the last line end.
    lines.pop_if(|(_, line)| line.as_ref().is_ok_and(Vec::is_empty));
    Seen { lines, error: None }
}

/// Reads few bytes at a time, and is interrupted.
struct Dribble(io::Cursor<Vec<u8>>, usize);

impl Read for Dribble {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1.wrapping_mul(5).wrapping_add(3);
        if self.1.is_multiple_of(4) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = out.len().min(self.1 % 7 + 1);
        self.0.read(&mut out[..n])
    }
}

fn gzip(parts: &[&[u8]]) -> Vec<u8> {
    let member = |part: &&[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    parts.iter().flat_map(member).collect()
}

fn zstd(parts: &[&[u8]]) -> Vec<u8> {
    parts
        .iter()
        .flat_map(|part| ::zstd::encode_all(*part, 1).unwrap())
        .collect()
}

/// The same log behind every reader there is.
fn every_reader(dir: &Path, log: &[u8], split: usize) -> Vec<(&'static str, Log)> {
    let (left, right) = log.split_at(split.min(log.len()));
    let file = |name: &str, bytes: &[u8]| {
        fs::write(dir.join(name), bytes).unwrap();
        dir.join(name)
    };
    let plain = file("events.jsonl", log);
    let stream = |bytes: Vec<u8>| {
        let seed = bytes.len();
        Log::from_reader(Path::new("-"), Dribble(io::Cursor::new(bytes), seed)).unwrap()
    };
    let unmappable = |_: &File, _| Err(io::Error::other("no mapping here"));
    vec![
        ("mapped", Log::open(&plain).unwrap()),
        ("read", Log::open_file(&plain, unmappable).unwrap()),
        ("gzip", Log::open(&file("misnamed", &gzip(&[log]))).unwrap()),
        (
            "gzip members",
            Log::open(&file("a.gz", &gzip(&[left, right, b""]))).unwrap(),
        ),
        ("zstd", Log::open(&file("a.zst", &zstd(&[log]))).unwrap()),
        (
            "zstd frames",
            Log::open(&file("b.zst", &zstd(&[left, b"", right]))).unwrap(),
        ),
        ("pipe", stream(log.to_vec())),
        ("gzip pipe", stream(gzip(&[log]))),
        ("zstd pipe", stream(zstd(&[left, right]))),
    ]
}

#[track_caller]
fn check(dir: &Path, log: &[u8], split: usize, sizes: BatchSizes) {
    for (name, reader) in every_reader(dir, log, split) {
        assert_eq!(
            read_all(reader, sizes),
            expected(log, sizes.line_bytes),
            "{name}, {sizes:?}"
        );
    }
}

fn sizes(batch_bytes: usize, line_bytes: usize) -> BatchSizes {
    BatchSizes {
        batch_bytes,
        tail_bytes: 1,
        line_bytes,
        threads: 2,
    }
}

#[test]
fn edges_read_alike() {
    let dir = tempfile::tempdir().unwrap();
    let long = [b"x".repeat(200_000), b"\ny\n".to_vec()].concat();
    let logs: [&[u8]; 13] = [
        b"",
        b"\n",
        b"\n\n\n",
        b"a",
        b"a\n",
        b"a\n\n",
        b"\na",
        b"a\r\nb\r\n",
        b"a\0b\n\0\n",
        b"(\xB5/",
        b"abcdefgh\nij\nk",
        "\u{feff}{}\n\u{2028}\u{85}\n".as_bytes(),
        &long,
    ];
    for log in logs {
        for batch in [1, 2, 3, 8, 1 << 16, 1 << 20] {
            check(dir.path(), log, log.len() / 2, sizes(batch, 1 << 30));
            check(dir.path(), log, 1, sizes(batch, 8));
            check(dir.path(), log, 1, sizes(batch, 7));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn any_log_reads_alike(
        lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..30),
        last in "[a-z]{0,20}",
        split: proptest::sample::Index,
        batch in 1..100_usize,
        line in 1..60_usize,
    ) {
        let mut log = lines.join(&b'\n');
        log.insert(0, b'{');
        log.extend(last.bytes());
        let dir = tempfile::tempdir().unwrap();
        check(dir.path(), &log, split.index(log.len()), sizes(batch, line));
    }
}

#[test]
fn a_cut_stream_gives_its_lines_first() {
    let lines: Vec<String> = (0..3000)
        .map(|n| format!("line {n} {}", n * 7919 % 1013))
        .collect();
    let log = lines.join("\n").into_bytes();
    let whole = expected(&log, 1 << 20);
    for (format, bytes) in [
        ("gzip", gzip(&[&log])),
        ("zstd", zstd(&[&log[..9000], &log[9000..]])),
    ] {
        for cut in [bytes.len() - 1, bytes.len() - 3, bytes.len() / 2, 30] {
            let cut = io::Cursor::new(bytes[..cut].to_vec());
            let log = Log::from_reader(Path::new("a"), cut).unwrap();
            let seen = read_all(log, sizes(512, 1 << 20));
            let error = seen.error.unwrap();
            assert!(
                error.starts_with(&format!("a ends inside its {format} stream, after ")),
                "{error}"
            );
            let (last, before) = seen
                .lines
                .split_last()
                .map_or((None, &[][..]), |(l, b)| (Some(l), b));
            assert_eq!(before, &whole.lines[..before.len()]);
            if let Some((offset, Ok(bytes))) = last {
                let (at, Ok(line)) = &whole.lines[before.len()] else {
                    unreachable!()
                };
                assert!(offset == at && line.starts_with(bytes));
                assert!(error.contains(&format!(" {} bytes of log", offset + bytes.len() as u64)));
            }
        }
    }
}

#[test]
fn a_damaged_stream_is_an_error() {
    let log = b"one\ntwo\n".repeat(5000);
    for mut bytes in [gzip(&[&log]), zstd(&[&log])] {
        let last = bytes.len() - 2;
        bytes[last] ^= 0x55;
        bytes.extend(b"garbage");
        let log = Log::from_reader(Path::new("a"), io::Cursor::new(bytes)).unwrap();
        let error = read_all(log, sizes(512, 1 << 20)).error.unwrap();
        assert!(error.starts_with("cannot read a past byte "), "{error}");
    }
}

#[test]
fn directories_and_devices_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let check = |path: &Path, expected: &str| {
        let error = Log::open(path)
            .err()
            .map(|error| error_chain(&error))
            .unwrap();
        assert_eq!(error, expected.replace("PATH", &path.display().to_string()));
    };
    let not_a_log = "PATH is a KIND; expected a file, a pipe, or - for standard input";
    check(dir.path(), &not_a_log.replace("KIND", "directory"));
    check(Path::new("/dev/null"), &not_a_log.replace("KIND", "device"));
    let missing = "cannot open PATH: No such file or directory (os error 2)";
    check(&dir.path().join("events.jsonl"), missing);
}

#[test]
fn a_named_pipe_is_streamed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        &path,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .unwrap();
    let writer = std::thread::spawn({
        let path = path.clone();
        move || fs::write(path, "a\nb").unwrap()
    });
    let seen = read_all(Log::open(&path).unwrap(), BatchSizes::new(1));
    writer.join().unwrap();
    assert_eq!(seen, expected(b"a\nb", 9));
}

#[test]
fn a_file_that_changes_meanwhile_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let unmappable = |_: &File, _| Err(io::Error::other("no mapping here"));
    let readers: [&dyn Fn() -> Log; 2] = [&|| Log::open(&path).unwrap(), &|| {
        Log::open_file(&path, unmappable).unwrap()
    }];
    for open in readers {
        let check = |change: &dyn Fn(&mut File), lines: usize, is_bytes: u64| {
            fs::write(&path, "0123456\n".repeat(4096)).unwrap();
            let log = open();
            change(&mut File::options().append(true).open(&path).unwrap());
            let seen = read_all(log, sizes(1024, 1 << 20));
            let changed = format!("changed while it was read, from 32768 to {is_bytes} bytes");
            let error = seen.error.unwrap();
            assert!(error.contains(&changed), "{error}");
            assert!(seen.lines.len() <= lines, "{}", seen.lines.len());
        };
        check(&|file| file.write_all(b"more\n").unwrap(), 4096, 32773);
        check(&|file| file.set_len(0).unwrap(), 0, 0);
        check(&|file| file.set_len(32760).unwrap(), 4095, 32760);
        check(
            &|file| file.set_modified(std::time::UNIX_EPOCH).unwrap(),
            4096,
            32768,
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn pages_of_dropped_batches_are_released() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a-large-events.jsonl");
    fs::write(&path, "0123456789abcde\n".repeat(2 << 20)).unwrap();
    let resident_kib = || -> u64 {
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let map = maps.split_once("a-large-events.jsonl").unwrap().1;
        let rss = map
            .lines()
            .find_map(|line| line.strip_prefix("Rss:"))
            .unwrap();
        rss.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let mut batches = Log::open(&path).unwrap().batches(BatchSizes::new(1));
    let mut held = Vec::new();
    let mut lines = 0;
    for _ in 0..24 {
        let Ok(LogItem::Lines(batch)) = batches.next().unwrap() else {
            panic!("no lines")
        };
        lines += batch.lines().count();
        held.push(batch);
    }
    assert!(
        resident_kib() >= 20 << 10,
        "{} KiB while in use",
        resident_kib()
    );
    held.clear();
    assert!(
        resident_kib() <= 4 << 10,
        "{} KiB after use",
        resident_kib()
    );
    assert!(lines > 1 << 20);
}
