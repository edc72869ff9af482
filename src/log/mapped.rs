//! A regular file as one mapping, cut without copying.
//!
//! The hazard: a page of a file that is truncated while it is mapped is lost, and touching it is a fault. So only files on
//! local filesystems are mapped, the size is checked before every batch, and a page that is lost all the same reads as
//! zeros and is an error afterwards (see [`super::sigbus`]). Where mapping fails the file is read.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use memmap2::{Advice, Mmap, UncheckedAdvice};

use super::opened::{OpenedFile, check_local};
use super::sigbus::Guard;
use super::sizes::batch_end;
use super::{Batch, BatchSizes, LogError, LogItem};

/// The number of bytes that the kernel is asked to read ahead of the current batch.
const AHEAD_BYTES: usize = 16 << 20;

/// A mapped file, as long as it was when it was opened.
#[derive(Debug)]
pub(super) struct Mapping {
    /// Dropped before what it watches.
    guard: Guard,
    map: Mmap,
}

impl Mapping {
    /// Maps `file` if it is on a local filesystem.
    pub fn of_local(file: &File, len: usize) -> io::Result<Self> {
        check_local(file)?;
        Self::new(file, len)
    }

    fn new(file: &File, len: usize) -> io::Result<Self> {
        // SAFETY: the mapping is read-only and of a regular file that others only append to. If another process writes
        // into it all the same, lines read as damaged or wrong, which `check_unchanged` reports; references do not
        // outlive the mapping.
        let map = unsafe { memmap2::MmapOptions::new().len(len).map(file)? };
        // The kernel may refuse advice, which only costs speed.
        let _ = map.advise(Advice::Sequential);
        let guard = Guard::new(NonNull::from(&*map).cast(), len)?;
        Ok(Self { guard, map })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Releases the pages of a batch that is not used any more, so that resident memory stays bounded. The page that the
    /// next batch starts in stays.
    pub fn release(&self, range: &Range<usize>) {
        let page = rustix::param::page_size();
        let start = range.start / page * page;
        let end = if range.end == self.map.len() {
            range.end
        } else {
            range.end / page * page
        };
        if start < end {
            // SAFETY: pages of a shared, read-only file mapping hold nothing but the file's bytes: a thread that still
            // reads the first one finds the same bytes there again.
            let _ = unsafe {
                self.map
                    .unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start)
            };
        }
    }

    fn prefetch(&self, range: Range<usize>) {
        let _ = self
            .map
            .advise_range(Advice::WillNeed, range.start, range.len());
    }
}

/// Cuts a mapping into items.
#[derive(Debug)]
pub(super) struct MappedBatches {
    file: OpenedFile,
    map: Arc<Mapping>,
    sizes: BatchSizes,
    position: usize,
    prefetched: usize,
}

impl MappedBatches {
    pub fn new(file: OpenedFile, map: Mapping, sizes: BatchSizes) -> Self {
        Self {
            file,
            map: Arc::new(map),
            sizes,
            position: 0,
            prefetched: 0,
        }
    }

    /// The next item.
    pub fn next(&mut self) -> Result<Option<LogItem>, LogError> {
        if self.position == self.map.bytes().len() {
            return self.check_unchanged().map(|()| None);
        }
        self.file.check_not_truncated()?;
        self.check_no_lost_page()?;
        self.look_ahead();
        Ok(Some(self.cut()))
    }

    /// Checks that the bytes of every batch were the file's, and still are.
    pub fn check_unchanged(&self) -> Result<(), LogError> {
        self.file.check_unchanged()?;
        self.check_no_lost_page()
    }

    /// Checks that no page read as zeros because it was lost. If the file was truncated, that is the error.
    fn check_no_lost_page(&self) -> Result<(), LogError> {
        match self.map.guard.lost_page() {
            None => Ok(()),
            Some(at) => self.file.check_not_truncated().and(Err(LogError::LostPage {
                path: self.file.path.clone(),
                offset: at as u64,
            })),
        }
    }

    /// The item that starts at `position`, which is inside the log.
    fn cut(&mut self) -> LogItem {
        let start = self.position;
        let rest = &self.map.bytes()[start..];
        let target = self.sizes.next(Some(rest.len() as u64));
        let len = batch_end(rest, target).unwrap_or(rest.len());
        self.position += len;
        let range = start..self.position;
        match self.sizes.too_long(&rest[..len]) {
            Some(len_bytes) => {
                self.map.release(&range);
                let offset = start as u64;
                LogItem::TooLong { offset, len_bytes }
            }
            None => LogItem::Lines(Batch::mapped(&self.map, range)),
        }
    }

    fn look_ahead(&mut self) {
        let len = self.map.bytes().len();
        if self.prefetched < len && self.prefetched < self.position + AHEAD_BYTES / 2 {
            let end = (self.position + AHEAD_BYTES).min(len);
            self.map.prefetch(self.prefetched..end);
            self.prefetched = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// A log of eight pages, open for writing and for reading.
    fn log(folder: &Path) -> (File, OpenedFile) {
        let path = folder.join("events.jsonl");
        fs::write(&path, b"0123456\n".repeat(rustix::param::page_size())).unwrap();
        let file = File::options().write(true).read(true).open(&path).unwrap();
        (file, OpenedFile::open(&path).unwrap())
    }

    #[test]
    fn truncated_pages_read_as_zeros_and_are_an_error() {
        let page = rustix::param::page_size();
        let check = |left: usize, gone: Option<usize>| {
            let folder = tempfile::tempdir().unwrap();
            let (file, opened) = log(folder.path());
            let map = Mapping::new(&file, 8 * page).unwrap();
            assert!(map.bytes().iter().all(|&byte| byte != 0));
            file.set_len(left as u64).unwrap();
            // From behind, and from several threads: there is more than one fault.
            std::thread::scope(|scope| {
                for byte in (0..8).rev() {
                    let map = &map;
                    scope.spawn(move || {
                        assert_eq!(map.bytes()[byte * page] == 0, byte * page >= left);
                    });
                }
            });
            assert_eq!(map.guard.lost_page(), gone);
            let mut batches = MappedBatches::new(opened, map, BatchSizes::new(1));
            let error = batches.next().unwrap_err();
            assert!(matches!(error, LogError::Changed { .. }), "{error}");
        };
        check(0, Some(0));
        check(page, Some(page));
        check(3 * page + 1, Some(4 * page));
        check(8 * page - 1, None);
    }

    #[test]
    fn a_page_that_was_lost_for_a_while_is_an_error() {
        let page = rustix::param::page_size();
        let folder = tempfile::tempdir().unwrap();
        let (file, _) = log(folder.path());
        let map = Mapping::new(&file, 8 * page).unwrap();
        file.set_len(page as u64).unwrap();
        assert_eq!(map.bytes()[2 * page], 0);
        file.set_len(8 * page as u64).unwrap();
        let opened = OpenedFile::open(&folder.path().join("events.jsonl")).unwrap();
        let batches = MappedBatches::new(opened, map, BatchSizes::new(1));
        let error = batches.check_unchanged().unwrap_err().to_string();
        assert!(error.contains(&format!("at byte {}", 2 * page)), "{error}");
    }
}
