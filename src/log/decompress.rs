//! Compressed streams, within bounds: a few kilobytes can be made to unpack for hours.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Format;

/// No log packs so well; what does is a bomb.
const MAX_RATIO: u64 = 500;
/// Up to here nobody minds.
const ALLOWED_BYTES: u64 = 256 << 20;

/// Whether so many bytes are more than any log makes of `held_bytes`.
pub(super) fn is_bomb(bytes: u64, held_bytes: u64) -> bool {
    bytes > ALLOWED_BYTES && bytes / MAX_RATIO > held_bytes
}

/// What comes out of `packed`.
pub(super) fn reader(
    format: Format,
    packed: impl Read + Send + 'static,
) -> io::Result<Box<dyn Read + Send>> {
    let taken = Arc::default();
    let packed = Packed(packed, Arc::clone(&taken));
    Ok(match format {
        Format::Plain => Box::new(packed.0),
        Format::Gzip => {
            let reader = flate2::read::MultiGzDecoder::new(packed);
            Box::new(Bounded::new(reader, taken))
        }
        // Frames that ask for a window of more than 128 MiB are refused by the library.
        Format::Zstd => {
            let reader = zstd::Decoder::new(packed)?;
            Box::new(Bounded::new(reader, taken))
        }
    })
}

/// A compressed stream, and how much of it was taken.
struct Packed<R>(R, Arc<AtomicU64>);

impl<R: Read> Read for Packed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.0.read(buffer)?;
        self.1.fetch_add(len as u64, Relaxed);
        Ok(len)
    }
}

/// What comes out, as long as it stands in a relation to what went in.
struct Bounded<R> {
    reader: R,
    taken: Arc<AtomicU64>,
    given: u64,
}

impl<R> Bounded<R> {
    fn new(reader: R, taken: Arc<AtomicU64>) -> Self {
        Self {
            reader,
            taken,
            given: 0,
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.reader.read(buffer)?;
        self.given += len as u64;
        if is_bomb(self.given, self.taken.load(Relaxed)) {
            let what = "it unpacks to more than 500 times its size, which no log does";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_large_and_out_of_proportion_is_refused() {
        let check = |given: u64, taken: u64, fine: bool| {
            let mut bounded = Bounded::new(io::repeat(b'x'), Arc::new(AtomicU64::new(taken)));
            bounded.given = given;
            assert_eq!(bounded.read(&mut [0]).is_ok(), fine, "{given} of {taken}");
        };
        check(0, 10, true);
        check(ALLOWED_BYTES - 1, 10, true);
        check(ALLOWED_BYTES, 10, false);
        check(500 << 30, 1 << 30, true);
        check(501 << 30, 1 << 30, false);
    }
}
