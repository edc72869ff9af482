//! Compressed streams, within bounds: a few kilobytes can decompress for hours.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Format;

/// The largest ratio of a log's size to its compressed size; beyond it is a decompression bomb.
const MAX_RATIO: u64 = 500;
/// Up to this size any ratio is fine.
const MIN_BOMB_BYTES: u64 = 256 << 20;

/// Returns whether `bytes` are more than a log makes of `held_bytes`.
pub(super) fn is_bomb(bytes: u64, held_bytes: u64) -> bool {
    bytes > MIN_BOMB_BYTES && bytes / MAX_RATIO > held_bytes
}

/// Decompresses `compressed`.
pub(super) fn reader(
    format: Format,
    compressed: impl Read + Send + 'static,
) -> io::Result<Box<dyn Read + Send>> {
    let in_bytes = Arc::default();
    let compressed = CountedReader(compressed, Arc::clone(&in_bytes));
    Ok(match format {
        Format::Plain => Box::new(compressed.0),
        Format::Gzip => {
            let reader = flate2::read::MultiGzDecoder::new(compressed);
            Box::new(Bounded::new(reader, in_bytes))
        }
        // The library refuses frames that ask for a window of more than 128 MiB.
        Format::Zstd => {
            let reader = zstd::Decoder::new(compressed)?;
            Box::new(Bounded::new(reader, in_bytes))
        }
    })
}

/// A reader that counts its bytes.
struct CountedReader<R>(R, Arc<AtomicU64>);

impl<R: Read> Read for CountedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.0.read(buffer)?;
        self.1.fetch_add(len as u64, Relaxed);
        Ok(len)
    }
}

/// A decompressor that fails on a bomb.
struct Bounded<R> {
    reader: R,
    in_bytes: Arc<AtomicU64>,
    out_bytes: u64,
}

impl<R> Bounded<R> {
    fn new(reader: R, in_bytes: Arc<AtomicU64>) -> Self {
        Self {
            reader,
            in_bytes,
            out_bytes: 0,
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.reader.read(buffer)?;
        self.out_bytes += len as u64;
        if is_bomb(self.out_bytes, self.in_bytes.load(Relaxed)) {
            let why = "it decompresses to more than 500 times its size, which a log does not";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_and_out_of_proportion_is_a_bomb() {
        let check = |out_bytes: u64, in_bytes: u64, fine: bool| {
            let in_bytes = Arc::new(AtomicU64::new(in_bytes));
            let mut bounded = Bounded::new(io::repeat(b'x'), Arc::clone(&in_bytes));
            bounded.out_bytes = out_bytes;
            let read = bounded.read(&mut [0]);
            assert_eq!(read.is_ok(), fine, "{out_bytes} of {in_bytes:?}");
        };
        check(0, 10, true);
        check(MIN_BOMB_BYTES - 1, 10, true);
        check(MIN_BOMB_BYTES, 10, false);
        check(500 << 30, 1 << 30, true);
        check(501 << 30, 1 << 30, false);
    }
}
