//! The log's reader against `split`: every line once, in order, at its offset, however it is read and cut.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use tok_recompute::log::{BatchSizes, Log, LogError, LogItem};

/// Where a line starts, and its bytes or, when it is too long, their number.
type Seen = (u64, Result<Vec<u8>, u64>);

/// More than this comes out of a small input only as a bomb, which other tests are about.
const MAX_BYTES: u64 = 1 << 20;

pub fn run(data: &[u8]) {
    let ([batch, tail, line, threads, step], bytes) = super::head(data);
    let sizes = BatchSizes {
        batch_bytes: usize::from(batch) + 1,
        tail_bytes: usize::from(tail) + 1,
        line_bytes: usize::from(line) + 1,
        threads: usize::from(threads % 9),
    };
    let Some(plain) = uncompressed(bytes) else {
        return;
    };
    let expected = split(&plain, sizes.line_bytes);
    let slow = Slow(bytes.to_vec(), 0, usize::from(step % 7) + 1);
    if let Ok(log) = Log::from_reader(Path::new("stream"), slow) {
        assert_eq!(read(log, sizes), expected, "streamed, {sizes:?}");
    }
    if step >= 128 {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(bytes).expect("room for it");
        if let Ok(log) = Log::open(file.path()) {
            assert_eq!(read(log, sizes), expected, "from a file, {sizes:?}");
        }
    }
}

/// What a compressed log holds, up to where it is cut. `None` for more than is looked at, and for a broken stream: how much
/// of it comes out depends on how it is read, and it makes no report.
fn uncompressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let read = match bytes {
        [0x1F, 0x8B, ..] => flate2::read::MultiGzDecoder::new(bytes)
            .take(MAX_BYTES)
            .read_to_end(&mut plain),
        [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => {
            zstd::Decoder::new(bytes)
                .and_then(|decoder| decoder.take(MAX_BYTES).read_to_end(&mut plain))
        }
        _ => bytes.take(MAX_BYTES).read_to_end(&mut plain),
    };
    let whole_or_cut = read.map_or_else(|e| e.kind() == ErrorKind::UnexpectedEof, |_| true);
    (whole_or_cut && (plain.len() as u64) < MAX_BYTES).then_some(plain)
}

fn split(bytes: &[u8], line_bytes: usize) -> Vec<Seen> {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    let mut offset = 0;
    let seen = |line: &[u8]| {
        let at = offset;
        offset += line.len() as u64 + 1;
        match line.len() {
            len if len > line_bytes => (at, Err(len as u64)),
            _ => (at, Ok(line.to_vec())),
        }
    };
    lines.into_iter().map(seen).collect()
}

fn read(log: Log, sizes: BatchSizes) -> Vec<Seen> {
    let mut seen = Vec::new();
    for piece in log.batches(sizes) {
        match piece {
            Ok(LogItem::Lines(batch)) => {
                assert!(!batch.bytes().is_empty());
                seen.extend(
                    batch
                        .lines()
                        .map(|line| (line.offset, Ok(line.bytes.to_vec()))),
                );
            }
            Ok(LogItem::TooLong { offset, len_bytes }) => seen.push((offset, Err(len_bytes))),
            Err(LogError::Truncated { .. } | LogError::Read { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    seen
}

/// Gives a few bytes at a time, as a pipe may.
struct Slow(Vec<u8>, usize, usize);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.0[self.1..];
        let len = rest.len().min(buffer.len()).min(self.2);
        buffer[..len].copy_from_slice(&rest[..len]);
        self.1 += len;
        Ok(len)
    }
}
