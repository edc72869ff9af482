//! A regular file as one mapping, cut without copying.
//!
//! The hazard: pages of a file that is cut while it is mapped are gone, and touching them is a fault. So only files on
//! filesystems of this machine's own are mapped, the size is looked at before every batch, and where a page is gone all
//! the same it reads as zeros and is an error afterwards (see [`super::sigbus`]). Where mapping fails the file is read.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::Arc;

use memmap2::{Advice, Mmap, UncheckedAdvice};

use super::sigbus::Guard;
use super::{Batch, BatchSizes, LogError, Piece};

/// The kernel is asked to have this much ready ahead of the batch being cut.
const AHEAD_BYTES: usize = 16 << 20;

/// Filesystems whose files this machine alone keeps (`f_type`, statfs(2)). A file of any other kind may be changed
/// from elsewhere, or vanish with a connection.
const LOCAL_FILESYSTEMS: [u32; 14] = [
    0x0000_EF53, // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683E, // Btrfs
    0x2FC1_2FC1, // ZFS
    0xCA45_1A4E, // bcachefs
    0xF2F5_2010, // F2FS
    0x0102_1994, // tmpfs
    0x8584_58F6, // ramfs
    0x794C_7630, // overlayfs
    0x7371_7368, // SquashFS
    0xE0F5_E1E2, // EROFS
    0x2011_BAB0, // exFAT
    0x0000_4D44, // FAT
    0x0000_9660, // ISO 9660
];

/// A mapped file, as long as it was when it was opened.
#[derive(Debug)]
pub(super) struct Mapping {
    /// Dropped before what it watches.
    guard: Guard,
    map: Mmap,
}

impl Mapping {
    /// Maps `file` if it is on a filesystem of this machine's own.
    pub fn of_local(file: &File, len: usize) -> io::Result<Self> {
        let kind = filesystem(file)?;
        if !LOCAL_FILESYSTEMS.contains(&kind) {
            let why =
                format!("its filesystem (type {kind:#x}) is not known to be this machine's own");
            return Err(io::Error::other(why));
        }
        Self::new(file, len)
    }

    fn new(file: &File, len: usize) -> io::Result<Self> {
        // SAFETY: the mapping is read-only and of a regular file that others only append to. Should
        // somebody write into it all the same, lines read as damaged or wrong, which `still_whole`
        // reports; no reference outlives the mapping.
        let map = unsafe { memmap2::MmapOptions::new().len(len).map(file)? };
        // Advice that is not taken costs speed only.
        let _ = map.advise(Advice::Sequential);
        let guard = Guard::new(NonNull::from(&*map).cast(), len)?;
        Ok(Self { guard, map })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Unmaps the pages of a batch that nobody uses any more, so that resident memory stays bounded.
    /// The page that the next batch starts in is left to it.
    pub fn let_go(&self, range: &Range<usize>) {
        let page = rustix::param::page_size();
        let start = range.start / page * page;
        let end = if range.end == self.map.len() {
            range.end
        } else {
            range.end / page * page
        };
        if start < end {
            // SAFETY: pages of a shared, read-only file mapping hold nothing but the file's bytes:
            // whoever still reads the first one finds the same bytes there again.
            let _ = unsafe {
                self.map
                    .unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start)
            };
        }
    }

    fn want(&self, range: Range<usize>) {
        let _ = self
            .map
            .advise_range(Advice::WillNeed, range.start, range.len());
    }
}

/// Whether this machine alone keeps a file.
pub(super) fn is_local(file: &File) -> bool {
    filesystem(file).is_ok_and(|kind| LOCAL_FILESYSTEMS.contains(&kind))
}

#[cfg(target_os = "linux")]
fn filesystem(file: &File) -> io::Result<u32> {
    let kind = rustix::fs::fstatfs(file)?.f_type;
    u32::try_from(kind).map_err(io::Error::other)
}

#[cfg(not(target_os = "linux"))]
fn filesystem(_: &File) -> io::Result<u32> {
    Err(io::ErrorKind::Unsupported.into())
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
        let times = |of: &Metadata| (of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec());
        self.check(|now| now.len() == self.len() && times(now) == times(&self.opened))
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
            return self.still_whole().map(|()| None);
        }
        self.file.still_there()?;
        self.nothing_gone()?;
        self.look_ahead();
        Ok(Some(self.cut()))
    }

    /// That the bytes of every piece were the file's, and still are.
    pub fn still_whole(&self) -> Result<(), LogError> {
        self.file.still_whole()?;
        self.nothing_gone()
    }

    /// That no page read as zeros because it was gone; a file that was cut says so itself.
    fn nothing_gone(&self) -> Result<(), LogError> {
        match self.map.guard.gone() {
            None => Ok(()),
            Some(at) => self.file.still_there().and(Err(LogError::Gone {
                path: self.file.path.clone(),
                offset: at as u64,
            })),
        }
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_cut_while_it_is_mapped_reads_as_zeros_and_is_an_error() {
        let page = rustix::param::page_size();
        let check = |left: usize, gone: Option<usize>| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&b"0123456\n".repeat(page)).unwrap();
            let opened = file.metadata().unwrap();
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
            assert_eq!(map.guard.gone(), gone);
            let watched = Watched::new(file, PathBuf::from("events.jsonl"), opened);
            let mut batches = MappedBatches::new(watched, map, BatchSizes::new(1));
            let error = batches.next().unwrap_err();
            assert!(matches!(error, LogError::Changed { .. }), "{error}");
        };
        check(0, Some(0));
        check(page, Some(page));
        check(3 * page + 1, Some(4 * page));
        check(8 * page - 1, None);
    }

    #[test]
    fn a_page_that_its_disk_lost_is_an_error_of_its_own() {
        let page = rustix::param::page_size();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&b"0123456\n".repeat(page)).unwrap();
        let map = Mapping::new(&file, 8 * page).unwrap();
        file.set_len(page as u64).unwrap();
        assert_eq!(map.bytes()[2 * page], 0);
        file.set_len(8 * page as u64).unwrap();
        let opened = file.metadata().unwrap();
        let watched = Watched::new(file, PathBuf::from("events.jsonl"), opened);
        let batches = MappedBatches::new(watched, map, BatchSizes::new(1));
        let error = batches.still_whole().unwrap_err().to_string();
        assert!(error.contains(&format!("at byte {}", 2 * page)), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_files_of_this_machine_are_mapped() {
        let proc = File::open("/proc/self/status").unwrap();
        let error = Mapping::of_local(&proc, 1).unwrap_err().to_string();
        assert!(error.contains("(type 0x9fa0)"), "{error}");
    }
}
