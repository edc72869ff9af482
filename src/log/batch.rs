//! Whole lines of a log.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::mapped::Mapping;

/// A part of a log.
#[derive(Debug)]
pub enum LogItem {
    /// Whole lines.
    Lines(Batch),
    /// A line longer than [`super::BatchSizes::line_bytes`], skipped.
    TooLong {
        /// The offset of its start in the uncompressed log.
        offset: u64,
        /// Its length without `\n`.
        len_bytes: u64,
    },
}

/// Some whole lines of the log; only the log's last line may lack its `\n`. Dropped, it releases mapped pages to the
/// kernel, or its buffer to the reader.
#[derive(Debug)]
pub struct Batch {
    offset: u64,
    bytes: BatchBytes,
}

#[derive(Debug)]
enum BatchBytes {
    Mapped {
        map: Arc<Mapping>,
        range: Range<usize>,
    },
    Owned {
        buffer: Vec<u8>,
        pool: Arc<BufferPool>,
    },
}

/// A line without its `\n`; a `\r` before it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The offset of its start in the uncompressed log.
    pub offset: u64,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// The lines of a batch. Empty lines are lines; after the last `\n` there is none.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    offset: u64,
    rest: &'a [u8],
}

impl Batch {
    pub(super) fn mapped(map: &Arc<Mapping>, range: Range<usize>) -> Self {
        Self {
            offset: range.start as u64,
            bytes: BatchBytes::Mapped {
                map: Arc::clone(map),
                range,
            },
        }
    }

    pub(super) fn owned(offset: u64, buffer: Vec<u8>, pool: &Arc<BufferPool>) -> Self {
        Self {
            offset,
            bytes: BatchBytes::Owned {
                buffer,
                pool: Arc::clone(pool),
            },
        }
    }

    /// The offset of the first line in the uncompressed log.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// All bytes, line ends included.
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            BatchBytes::Mapped { map, range } => &map.bytes()[range.clone()],
            BatchBytes::Owned { buffer, .. } => buffer,
        }
    }

    /// The lines in order.
    pub fn lines(&self) -> Lines<'_> {
        Lines {
            offset: self.offset,
            rest: self.bytes(),
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        match &mut self.bytes {
            BatchBytes::Mapped { map, range } => map.release(range),
            BatchBytes::Owned { buffer, pool } => pool.put(std::mem::take(buffer)),
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.rest);
        let (bytes, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        let line = Line {
            offset: self.offset,
            bytes,
        };
        self.offset += (self.rest.len() - rest.len()) as u64;
        self.rest = rest;
        Some(line)
    }
}

/// Buffers of dropped batches, for reuse.
#[derive(Debug, Default)]
pub(super) struct BufferPool(Mutex<Vec<Vec<u8>>>);

impl BufferPool {
    /// A larger buffer, which grew for one long line, is not kept.
    const MAX_BYTES: usize = 4 << 20;
    const MAX_BUFFERS: usize = 256;

    /// An empty buffer.
    pub fn take(&self) -> Vec<u8> {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.pop().unwrap_or_default()
    }

    fn put(&self, mut buffer: Vec<u8>) {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.capacity() <= Self::MAX_BYTES && buffers.len() < Self::MAX_BUFFERS {
            buffer.clear();
            buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_offsets() {
        let check = |text: &[u8], expected: &[(u64, &[u8])]| {
            let batch = Batch::owned(7, text.to_vec(), &Arc::default());
            let lines: Vec<_> = batch
                .lines()
                .map(|line| (line.offset, line.bytes))
                .collect();
            assert_eq!(lines, expected);
        };
        check(b"", &[]);
        check(b"\n", &[(7, b"")]);
        check(b"\n\n", &[(7, b""), (8, b"")]);
        check(b"a\r\nbc", &[(7, b"a\r"), (10, b"bc")]);
        check(b"a\0b\n", &[(7, b"a\0b")]);
    }

    #[test]
    fn buffers_come_back() {
        let pool = Arc::new(BufferPool::default());
        let mut buffer = pool.take();
        buffer.extend(b"abc");
        let address = buffer.as_ptr();
        drop(Batch::owned(0, buffer, &pool));
        let again = pool.take();
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), address);
        drop(Batch::owned(
            0,
            Vec::with_capacity(BufferPool::MAX_BYTES + 1),
            &pool,
        ));
        assert_eq!(pool.take().capacity(), 0);
    }
}
