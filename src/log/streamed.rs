//! A stream, cut into recycled buffers.

use std::io::{self, Read};
use std::mem;
use std::sync::Arc;

use super::batch::BufferPool;
use super::sizes::batch_end;
use super::{Batch, BatchSizes, LogItem};

/// Cuts a reader's bytes into items. After an error it ends.
pub(super) struct StreamedBatches<R> {
    reader: R,
    sizes: BatchSizes,
    /// Uncompressed length, where it is known.
    len: Option<u64>,
    /// The offset of `carry` in the log.
    offset: u64,
    /// Bytes that were read after the end of the last item.
    carry: Vec<u8>,
    pool: Arc<BufferPool>,
    /// The reader is at its end, or failed with `error`.
    ended: bool,
    error: Option<io::Error>,
}

impl<R: Read> StreamedBatches<R> {
    /// A reader whose first byte is at `offset` of the log, which is `len` bytes long.
    pub fn new(offset: u64, reader: R, len: Option<u64>, sizes: BatchSizes) -> Self {
        let (carry, pool) = (Vec::new(), Arc::default());
        Self {
            reader,
            sizes,
            len,
            offset,
            carry,
            pool,
            ended: false,
            error: None,
        }
    }

    /// The offset of the next item: the bytes that were delivered.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// The next item; bytes that were read before an error come before it.
    pub fn next(&mut self) -> io::Result<Option<LogItem>> {
        let remaining = self.len.map(|len| len.saturating_sub(self.offset));
        let target = self.sizes.next(remaining);
        let mut buffer = mem::take(&mut self.carry);
        self.fill(&mut buffer, target);
        let mut end = batch_end(&buffer, target);
        while end.is_none() && !self.ended && buffer.len() <= self.sizes.line_bytes {
            let searched = buffer.len();
            self.fill(&mut buffer, searched + target);
            end = memchr::memchr(b'\n', &buffer[searched..]).map(|end| searched + end + 1);
        }
        let len = end.unwrap_or(buffer.len());
        if len == 0 {
            return self.error.take().map_or(Ok(None), Err);
        }
        Ok(Some(match self.sizes.too_long(&buffer[..len]) {
            Some(_) => self.skip_line(buffer),
            None => self.lines(buffer, len),
        }))
    }

    /// The first `len` bytes of `buffer` as a batch; the rest is carried to the next one.
    fn lines(&mut self, mut buffer: Vec<u8>, len: usize) -> LogItem {
        let mut carry = self.pool.take();
        carry.extend_from_slice(&buffer[len..]);
        buffer.truncate(len);
        self.carry = carry;
        let offset = self.offset;
        self.offset += len as u64;
        LogItem::Lines(Batch::owned(offset, buffer, &self.pool))
    }

    /// Reads to the end of the line that `buffer` starts with, and keeps only its length.
    fn skip_line(&mut self, mut buffer: Vec<u8>) -> LogItem {
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
        LogItem::TooLong { offset, len_bytes }
    }

    /// Reads until `buffer` holds `len` bytes or the reader ends.
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
