//! A file that is written while it is read, through one descriptor that stays open: copied, renamed or unlinked, it is
//! read on to its end. It is never mapped, since what may be cut must not be.
//!
//! Only appending is allowed. A file that was cut, or written anew in place, is shorter than it was or has other bytes
//! where it was read: both are looked at every time, so that nothing of one log is taken for a part of another.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags};

use super::source::{is_hollow, not_a_log};
use super::streamed::StreamedBatches;
use super::{BatchSizes, Format, LogError, Piece};

/// So many bytes at the start, and before the last line end, are looked at again each time.
const PROBE_BYTES: usize = 256;
/// Line ends are looked for in steps of so many bytes, from behind.
const STEP_BYTES: usize = 64 << 10;

/// A log that grows.
#[derive(Debug)]
pub struct Growing {
    path: PathBuf,
    file: Arc<File>,
    known: Mutex<Known>,
}

/// How long a growing log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Up to the end of the last whole line.
    whole_bytes: u64,
    /// All of it; the last line may be cut anywhere.
    bytes: u64,
}

impl Extent {
    /// Where the last whole line ends.
    pub fn whole_bytes(self) -> u64 {
        self.whole_bytes
    }

    /// Where everything that is written ends.
    pub fn bytes(self) -> u64 {
        self.bytes
    }
}

/// What has become of the path that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// It leads to the open file.
    Same,
    /// It leads to another file.
    Other,
    /// It leads nowhere.
    Gone,
}

/// What the file was like when it was last looked at.
#[derive(Debug, Default)]
struct Known {
    extent: Extent,
    head: Vec<u8>,
    /// The bytes before the end of the last whole line.
    tail: Vec<u8>,
}

impl Growing {
    /// Opens the log at `path`, which is a regular file.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let failed = |source: io::Error| LogError::Open {
            path: path.to_owned(),
            source,
        };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::open(path, flags, Mode::empty());
        let file = file.map(File::from).map_err(|error| failed(error.into()))?;
        let metadata = file.metadata().map_err(failed)?;
        let kind = metadata.file_type();
        if !kind.is_file() {
            return Err(LogError::NotGrowing {
                path: path.to_owned(),
                found: not_a_log(kind).unwrap_or("pipe"),
            });
        }
        if is_hollow(&file, metadata.len()) {
            let path = path.to_owned();
            return Err(LogError::Hollow { path });
        }
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            known: Mutex::default(),
        })
    }

    /// As it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long it is now, whatever it holds; 0 where that cannot be said.
    pub fn bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |now| now.len())
    }

    /// How long it is now, after making sure that it only grew.
    pub fn extent(&self) -> Result<Extent, LogError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.metadata()?.len();
        if bytes < known.extent.bytes || !self.still_has(&known)? {
            return Err(LogError::Rewritten {
                path: self.path.clone(),
            });
        }
        let was = known.extent;
        let end = self.last_line_end(was.bytes, bytes)?;
        known.extent = Extent {
            whole_bytes: end.unwrap_or(was.whole_bytes),
            bytes,
        };
        let head = known.extent.bytes.min(PROBE_BYTES as u64);
        if known.head.len() as u64 != head {
            known.head = self.bytes_before(head, PROBE_BYTES)?;
            self.refuse_compressed(&known.head)?;
        }
        if end.is_some() {
            known.tail = self.bytes_before(known.extent.whole_bytes, PROBE_BYTES)?;
        }
        Ok(known.extent)
    }

    /// Takes whatever the file holds now for a new log.
    pub fn start_again(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known::default();
    }

    /// The bytes from `start` up to `end` as pieces of whole lines; only the last can lack its end.
    pub fn pieces(&self, start: u64, end: u64, sizes: BatchSizes) -> Pieces {
        let reader = Section {
            file: Arc::clone(&self.file),
            offset: start,
            end,
            ended_early: false,
        };
        Pieces {
            path: self.path.clone(),
            batches: StreamedBatches::starting_at(start, reader, Some(end), sizes),
            ended: false,
        }
    }

    /// Whether it is on a filesystem of this machine's own, so that the kernel knows of every write.
    pub fn is_local(&self) -> bool {
        super::mapped::is_local(&self.file)
    }

    /// When it was last written.
    pub fn modified(&self) -> Option<SystemTime> {
        self.file.metadata().and_then(|now| now.modified()).ok()
    }

    /// What has become of its name.
    pub fn name(&self) -> Name {
        let which = |of: &Metadata| (of.dev(), of.ino());
        match (std::fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(ours)) if which(&there) != which(&ours) => Name::Other,
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound => Name::Gone,
            _ => Name::Same,
        }
    }

    /// Whether no name leads to it any more: what is still written to it, nobody else will read.
    pub fn is_unlinked(&self) -> bool {
        self.file.metadata().is_ok_and(|now| now.nlink() == 0)
    }

    fn metadata(&self) -> Result<Metadata, LogError> {
        self.file
            .metadata()
            .map_err(|source| self.read_error(0, source))
    }

    /// That what was seen is still there.
    fn still_has(&self, known: &Known) -> Result<bool, LogError> {
        let head = self.bytes_before(known.head.len() as u64, PROBE_BYTES)?;
        let tail = self.bytes_before(known.extent.whole_bytes, known.tail.len())?;
        Ok(head == known.head && tail == known.tail)
    }

    /// Up to `most` bytes that end at `end`; fewer when the file is shorter by now.
    fn bytes_before(&self, end: u64, most: usize) -> Result<Vec<u8>, LogError> {
        let start = end.saturating_sub(most as u64);
        let mut bytes = Vec::with_capacity(most);
        let mut section = Section {
            file: Arc::clone(&self.file),
            offset: start,
            end,
            ended_early: false,
        };
        section
            .read_to_end(&mut bytes)
            .map_err(|source| self.read_error(start, source))?;
        Ok(bytes)
    }

    /// Where the last line ends that ends after `start`.
    fn last_line_end(&self, start: u64, end: u64) -> Result<Option<u64>, LogError> {
        let mut end = end;
        while end > start {
            let step = (end - start).min(STEP_BYTES as u64);
            let bytes = self.bytes_before(end, usize::try_from(step).unwrap_or(STEP_BYTES))?;
            if let Some(last) = memchr::memrchr(b'\n', &bytes) {
                return Ok(Some(end - step + last as u64 + 1));
            }
            end -= step;
        }
        Ok(None)
    }

    fn refuse_compressed(&self, head: &[u8]) -> Result<(), LogError> {
        let found = match Format::of(head) {
            Format::Plain => return Ok(()),
            Format::Gzip => "gzip file",
            Format::Zstd => "zstd file",
        };
        let path = self.path.clone();
        Err(LogError::NotGrowing { path, found })
    }

    fn read_error(&self, after_bytes: u64, source: io::Error) -> LogError {
        LogError::Read {
            path: self.path.clone(),
            after_bytes,
            source,
        }
    }
}

/// A part of a growing log, in pieces.
pub struct Pieces {
    path: PathBuf,
    batches: StreamedBatches<Section>,
    ended: bool,
}

impl Iterator for Pieces {
    type Item = Result<Piece, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let piece = self.batches.next().map_err(|source| LogError::Read {
            path: self.path.clone(),
            after_bytes: self.batches.offset(),
            source,
        });
        let piece = if self.batches.reader().ended_early {
            let path = self.path.clone();
            Err(LogError::Rewritten { path })
        } else {
            piece
        };
        self.ended = !matches!(piece, Ok(Some(_)));
        piece.transpose()
    }
}

/// A part of a file, read without moving anybody's position.
struct Section {
    file: Arc<File>,
    offset: u64,
    end: u64,
    /// The file is shorter by now: whatever comes of the last line is none of its own.
    ended_early: bool,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..most], self.offset)?;
        self.offset += read as u64;
        self.ended_early |= read == 0 && most > 0;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn sizes() -> BatchSizes {
        BatchSizes {
            batch_bytes: 7,
            tail_bytes: 3,
            ..BatchSizes::new(1)
        }
    }

    /// The lines between two places.
    fn lines(log: &Growing, start: u64, end: u64) -> Vec<u8> {
        let mut all = Vec::new();
        for piece in log.pieces(start, end, sizes()) {
            let Piece::Lines(batch) = piece.unwrap() else {
                panic!("no line is too long")
            };
            assert_eq!(batch.offset(), start + all.len() as u64);
            all.extend_from_slice(batch.bytes());
        }
        all
    }

    proptest! {
        #[test]
        fn whole_lines_come_once_however_they_were_written(
            pieces in proptest::collection::vec("[a\n]{0,9}|[é\r\n]{0,5}|\n{0,3}", 0..20)
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            let mut writer = File::create(&path).unwrap();
            let log = Growing::open(&path).unwrap();
            let (mut read, mut written) = (Vec::new(), Vec::new());
            for piece in pieces {
                writer.write_all(piece.as_bytes()).unwrap();
                written.extend_from_slice(piece.as_bytes());
                let extent = log.extent().unwrap();
                prop_assert_eq!(extent.bytes(), written.len() as u64);
                read.extend(lines(&log, read.len() as u64, extent.whole_bytes()));
                let whole = memchr::memrchr(b'\n', &written).map_or(0, |last| last + 1);
                prop_assert_eq!(&read, &written[..whole]);
            }
            // The rest of an unlinked file is there too.
            fs::remove_file(&path).unwrap();
            let end = log.extent().unwrap().bytes();
            read.extend(lines(&log, read.len() as u64, end));
            prop_assert_eq!(read, written);
            prop_assert!(log.is_unlinked());
        }
    }

    #[test]
    fn what_does_not_only_grow_is_noticed() {
        let first = "x".repeat(600) + "\nsecond\n";
        let check = |rewrite: &dyn Fn(&Path), fine: bool| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            fs::write(&path, &first).unwrap();
            let log = Growing::open(&path).unwrap();
            assert_eq!(log.extent().unwrap().whole_bytes(), 608);
            rewrite(&path);
            match log.extent() {
                Ok(_) => assert!(fine),
                Err(LogError::Rewritten { .. }) => assert!(!fine),
                Err(other) => panic!("{other}"),
            }
            log.start_again();
            let bytes = log.extent().unwrap().bytes();
            assert_eq!(lines(&log, 0, bytes).len() as u64, bytes);
        };
        let write = |bytes: String| move |path: &Path| fs::write(path, &bytes).unwrap();
        check(&|_| {}, true);
        check(&write(first.clone() + "third"), true);
        check(&write(String::new()), false);
        check(&write(first[..607].to_owned()), false);
        check(&write(first.replace("second", "SECOND") + "third\n"), false);
        check(&write(format!("y{}", &first[1..])), false);
        check(&write("new\n".repeat(1000)), false);
    }

    #[test]
    fn a_line_that_is_cut_while_it_is_read_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for left in ["", "0123", "0123456\n", "0123456\n0123456\n01"] {
            fs::write(&path, "0123456\n".repeat(3)).unwrap();
            let log = Growing::open(&path).unwrap();
            let mut pieces = log.pieces(0, log.extent().unwrap().bytes(), sizes());
            fs::write(&path, left).unwrap();
            let error = loop {
                match pieces.next() {
                    Some(Ok(Piece::Lines(batch))) => assert!(batch.bytes().ends_with(b"6\n")),
                    Some(Err(error)) => break error,
                    other => panic!("{left:?}: {other:?}"),
                }
            };
            assert!(matches!(error, LogError::Rewritten { .. }), "{error}");
            assert!(pieces.next().is_none());
        }
    }

    #[test]
    fn names_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("log"), folder.path().join("other"));
        fs::write(&path, "a\n").unwrap();
        let log = Growing::open(&path).unwrap();
        assert_eq!((log.name(), log.is_unlinked()), (Name::Same, false));
        fs::rename(&path, &other).unwrap();
        assert_eq!((log.name(), log.is_unlinked()), (Name::Gone, false));
        fs::write(&path, "b\n").unwrap();
        assert_eq!((log.name(), log.is_unlinked()), (Name::Other, false));
        fs::remove_file(&other).unwrap();
        assert_eq!((log.name(), log.is_unlinked()), (Name::Other, true));
        assert_eq!(lines(&log, 0, log.extent().unwrap().bytes()), b"a\n");
    }

    #[test]
    fn only_plain_files_grow() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let check = |found: &str| {
            let error = Growing::open(&path).and_then(|log| log.extent());
            let error = error.unwrap_err().to_string();
            assert!(error.contains(found), "{error}");
        };
        check("cannot open");
        fs::write(&path, [0x1F, 0x8B, 8, 0]).unwrap();
        check("gzip file");
        fs::write(&path, [0x28, 0xB5, 0x2F, 0xFD]).unwrap();
        check("zstd file");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        check("directory");
        fs::remove_dir(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR).unwrap();
        check("pipe");
    }
}
