//! Anything that can only be read once, in order, cut into recycled buffers.

use std::io::{self, Read};
use std::mem;
use std::sync::Arc;

use super::batch::Spare;
use super::{Batch, BatchSizes, Piece};

/// Cuts a reader's bytes into pieces. After an error there is nothing more.
pub(super) struct StreamedBatches<R> {
    reader: R,
    sizes: BatchSizes,
    /// Uncompressed length, where it is known.
    len: Option<u64>,
    /// Where `carry` starts in the log.
    offset: u64,
    /// Read, but the start of a line that the last piece did not include.
    carry: Vec<u8>,
    spare: Arc<Spare>,
    /// Nothing more can be read, because of `error` if there is one.
    ended: bool,
    error: Option<io::Error>,
}

impl<R: Read> StreamedBatches<R> {
    pub fn new(reader: R, len: Option<u64>, sizes: BatchSizes) -> Self {
        Self::starting_at(0, reader, len, sizes)
    }

    /// A reader whose first byte is at `offset` of the log, which is `len` bytes long.
    pub fn starting_at(offset: u64, reader: R, len: Option<u64>, sizes: BatchSizes) -> Self {
        let (carry, spare) = (Vec::new(), Arc::default());
        Self {
            reader,
            sizes,
            len,
            offset,
            carry,
            spare,
            ended: false,
            error: None,
        }
    }

    /// Where the next piece starts: so many bytes were delivered.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What the bytes come from.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// The next piece; what was read before an error comes before it.
    pub fn next(&mut self) -> io::Result<Option<Piece>> {
        let target = self
            .sizes
            .next(self.len.map(|len| len.saturating_sub(self.offset)));
        let mut buffer = mem::take(&mut self.carry);
        self.fill(&mut buffer, target);
        let first = &buffer[..target.min(buffer.len())];
        if let Some(last) = memchr::memrchr(b'\n', first) {
            return Ok(Some(self.lines(buffer, last + 1)));
        }
        let mut searched = first.len();
        let line_end = loop {
            if let Some(n) = memchr::memchr(b'\n', &buffer[searched..]) {
                break Some(searched + n);
            }
            searched = buffer.len();
            if self.ended {
                break None;
            }
            if buffer.len() > self.sizes.line_bytes {
                return Ok(Some(self.pass_over(buffer)));
            }
            self.fill(&mut buffer, searched + target);
        };
        match line_end {
            None if buffer.is_empty() => match self.error.take() {
                Some(error) => Err(error),
                None => Ok(None),
            },
            _ if line_end.unwrap_or(buffer.len()) > self.sizes.line_bytes => {
                Ok(Some(self.pass_over(buffer)))
            }
            _ => {
                let len = line_end.map_or(buffer.len(), |end| end + 1);
                Ok(Some(self.lines(buffer, len)))
            }
        }
    }

    /// The first `len` bytes of `buffer` as a batch; the rest is carried to the next piece.
    fn lines(&mut self, mut buffer: Vec<u8>, len: usize) -> Piece {
        let mut carry = self.spare.take();
        carry.extend_from_slice(&buffer[len..]);
        buffer.truncate(len);
        self.carry = carry;
        let offset = self.offset;
        self.offset += len as u64;
        Piece::Lines(Batch::owned(offset, buffer, &self.spare))
    }

    /// The line that `buffer` starts with, of which only the length is wanted.
    fn pass_over(&mut self, mut buffer: Vec<u8>) -> Piece {
        let offset = self.offset;
        let mut len_bytes = 0;
        loop {
            if let Some(end) = memchr::memchr(b'\n', &buffer) {
                len_bytes += end as u64;
                self.offset += len_bytes + 1;
                buffer.drain(..=end);
                break;
            }
            len_bytes += buffer.len() as u64;
            buffer.clear();
            if self.ended {
                self.offset += len_bytes;
                break;
            }
            self.fill(&mut buffer, self.sizes.next(None));
        }
        self.carry = buffer;
        Piece::TooLong { offset, len_bytes }
    }

    /// Reads until `buffer` holds `len` bytes or the reader's end is reached.
    fn fill(&mut self, buffer: &mut Vec<u8>, len: usize) {
        let missing = len.saturating_sub(buffer.len());
        if missing == 0 || self.ended {
            return;
        }
        buffer.reserve(missing);
        let read = self
            .reader
            .by_ref()
            .take(missing as u64)
            .read_to_end(buffer);
        self.ended = !matches!(read, Ok(read) if read == missing);
        self.error = read.err();
    }
}
