//! A regular file as one mapping, cut without copying.
//!
//! The hazard: a file that is truncated while it is mapped kills the process that touches what is
//! gone (SIGBUS). Event logs are only appended to, and the size is looked at before every batch, so
//! it takes a truncation within the milliseconds that a batch is in use. Where that is too much, or
//! mapping fails, the file is read instead.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use memmap2::{Advice, Mmap, UncheckedAdvice};

use super::{Batch, BatchSizes, LogError, Piece};

/// The kernel is asked to have this much ready ahead of the batch being cut.
const AHEAD_BYTES: usize = 16 << 20;

/// A mapped file, as long as it was when it was opened.
#[derive(Debug)]
pub(super) struct Mapping(Mmap);

impl Mapping {
    pub fn new(file: &File, len: usize) -> io::Result<Self> {
        // SAFETY: the mapping is read-only and of a regular file that others only append to. Should
        // somebody write into it all the same, lines read as damaged or wrong, which `still_whole`
        // reports; no reference outlives the mapping.
        let map = unsafe { memmap2::MmapOptions::new().len(len).map(file)? };
        // Advice that is not taken costs speed only.
        let _ = map.advise(Advice::Sequential);
        Ok(Self(map))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Unmaps the pages of a batch that nobody uses any more, so that resident memory stays bounded.
    /// The page that the next batch starts in is left to it.
    pub fn let_go(&self, range: &Range<usize>) {
        let page = rustix::param::page_size();
        let start = range.start / page * page;
        let end = if range.end == self.0.len() {
            range.end
        } else {
            range.end / page * page
        };
        if start < end {
            // SAFETY: pages of a shared, read-only file mapping hold nothing but the file's bytes:
            // whoever still reads the first one finds the same bytes there again.
            let _ = unsafe {
                self.0
                    .unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start)
            };
        }
    }

    fn want(&self, range: Range<usize>) {
        let _ = self
            .0
            .advise_range(Advice::WillNeed, range.start, range.len());
    }
}

/// A regular file that is checked against what it was when it was opened.
#[derive(Debug)]
pub(super) struct Watched {
    pub file: File,
    pub path: PathBuf,
    opened: Metadata,
}

impl Watched {
    pub fn new(file: File, path: PathBuf, opened: Metadata) -> Self {
        Self { file, path, opened }
    }

    pub fn len(&self) -> u64 {
        self.opened.len()
    }

    /// That every byte mapped or still to be read is there.
    pub fn still_there(&self) -> Result<(), LogError> {
        self.check(|now| now.len() >= self.len())
    }

    /// That nothing was written since, neither behind nor in between.
    pub fn still_whole(&self) -> Result<(), LogError> {
        let modified = |metadata: &Metadata| metadata.modified().ok();
        self.check(|now| now.len() == self.len() && modified(now) == modified(&self.opened))
    }

    fn check(&self, fine: impl Fn(&Metadata) -> bool) -> Result<(), LogError> {
        match self.file.metadata() {
            Ok(now) if fine(&now) => Ok(()),
            Ok(now) => Err(LogError::Changed {
                path: self.path.clone(),
                was_bytes: self.len(),
                is_bytes: now.len(),
            }),
            Err(source) => Err(LogError::Open {
                path: self.path.clone(),
                source,
            }),
        }
    }
}

/// Cuts a mapping into pieces.
#[derive(Debug)]
pub(super) struct MappedBatches {
    file: Watched,
    map: Arc<Mapping>,
    sizes: BatchSizes,
    position: usize,
    wanted: usize,
}

impl MappedBatches {
    pub fn new(file: Watched, map: Mapping, sizes: BatchSizes) -> Self {
        Self {
            file,
            map: Arc::new(map),
            sizes,
            position: 0,
            wanted: 0,
        }
    }

    /// The next piece; nothing more after an error.
    pub fn next(&mut self) -> Result<Option<Piece>, LogError> {
        if self.position == self.map.bytes().len() {
            return self.file.still_whole().map(|()| None);
        }
        self.file.still_there()?;
        self.look_ahead();
        Ok(Some(self.cut()))
    }

    /// The piece that starts at `position`, which is inside the log.
    fn cut(&mut self) -> Piece {
        let start = self.position;
        let rest = &self.map.bytes()[start..];
        let target = self.sizes.next(Some(rest.len() as u64)).min(rest.len());
        let last_end = memchr::memrchr(b'\n', &rest[..target]);
        let len = match last_end {
            Some(last) => last + 1,
            None => memchr::memchr(b'\n', &rest[target..]).map_or(rest.len(), |n| target + n + 1),
        };
        self.position += len;
        let line = len - usize::from(rest[len - 1] == b'\n');
        if last_end.is_none() && line > self.sizes.line_bytes {
            let range = start..self.position;
            self.map.let_go(&range);
            return Piece::TooLong {
                offset: start as u64,
                len_bytes: line as u64,
            };
        }
        Piece::Lines(Batch::mapped(&self.map, start..self.position))
    }

    fn look_ahead(&mut self) {
        let len = self.map.bytes().len();
        if self.wanted < len && self.wanted < self.position + AHEAD_BYTES / 2 {
            let end = (self.position + AHEAD_BYTES).min(len);
            self.map.want(self.wanted..end);
            self.wanted = end;
        }
    }
}
