//! A file that is written while it is read, through one descriptor that stays open: a file that is renamed or unlinked is
//! read to its end. It is not mapped, since it may be truncated.
//!
//! Only appending is allowed. A file that was truncated or overwritten is shorter than it was or has other bytes where it
//! was read: both are checked every time, so that a part of one log is not taken for a part of another.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::opened::{OpenedFile, check_local};
use super::source::Reader;
use super::streamed::StreamedBatches;
use super::{BatchSizes, Batches, Format, LogError};

/// The number of bytes at the start, and before the last line end, that are compared each time.
const PROBE_BYTES: usize = 256;
/// The search for the last line end goes backwards in steps of so many bytes.
const STEP_BYTES: usize = 64 << 10;

/// A log that grows.
#[derive(Debug)]
pub struct TailedFile {
    path: PathBuf,
    file: Arc<File>,
    known: Mutex<Known>,
}

/// The length of a growing log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogLength {
    /// Up to the end of the last whole line.
    pub whole_bytes: u64,
    /// All of it; the last line may be cut anywhere.
    pub bytes: u64,
}

/// The file that the path of an open file leads to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathState {
    /// The open file.
    Same,
    /// Another file.
    Replaced,
    /// Nothing.
    Removed,
}

/// The file when it was last examined.
#[derive(Debug, Default)]
struct Known {
    length: LogLength,
    /// The bytes at the start.
    head: Vec<u8>,
    /// The bytes before the end of the last whole line.
    tail: Vec<u8>,
}

impl TailedFile {
    /// Opens the log at `path`, which must be a regular file.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let opened = OpenedFile::open(path)?;
        if let Some(found) = opened.irregular() {
            let path = opened.path;
            return Err(LogError::NotTailable { path, found });
        }
        Ok(Self {
            path: opened.path,
            file: Arc::new(opened.file),
            known: Mutex::default(),
        })
    }

    /// The path that it was opened with.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file's size; 0 where the system does not say.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |now| now.len())
    }

    /// Checks that the file only grew; returns how long it is now.
    pub(crate) fn length(&self) -> Result<LogLength, LogError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.metadata()?.len();
        if bytes < known.length.bytes || !self.still_has(&known)? {
            return Err(LogError::Rewritten {
                path: self.path.clone(),
            });
        }
        let was = known.length;
        let end = self.last_line_end(was.bytes, bytes)?;
        known.length = LogLength {
            whole_bytes: end.unwrap_or(was.whole_bytes),
            bytes,
        };
        let head = known.length.bytes.min(PROBE_BYTES as u64);
        if known.head.len() as u64 != head {
            known.head = self.bytes_before(head, PROBE_BYTES)?;
            self.refuse_compressed(&known.head)?;
        }
        if end.is_some() {
            known.tail = self.bytes_before(known.length.whole_bytes, PROBE_BYTES)?;
        }
        Ok(known.length)
    }

    /// Takes the file's present content for a new log.
    pub(crate) fn reset(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known::default();
    }

    /// Reads the bytes from `start`, where a line starts, up to `end`; only the last line can lack its end.
    pub(crate) fn batches(&self, start: u64, end: u64, sizes: BatchSizes) -> Batches {
        let section = self.section(start, end);
        let reader = StreamedBatches::new(start, section, Some(end), sizes);
        Batches::new(self.path.clone(), Format::Plain, Reader::Tailed(reader))
    }

    /// Returns whether the kernel knows of every write: the file is on a local filesystem.
    pub(crate) fn is_local(&self) -> bool {
        check_local(&self.file).is_ok()
    }

    /// The time of the last write.
    pub(crate) fn modified(&self) -> Option<SystemTime> {
        self.file.metadata().and_then(|now| now.modified()).ok()
    }

    /// Compares the file at the path with the open file.
    pub(crate) fn path_state(&self) -> PathState {
        let id = |of: &Metadata| (of.dev(), of.ino());
        match (std::fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(ours)) if id(&there) != id(&ours) => PathState::Replaced,
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound => PathState::Removed,
            _ => PathState::Same,
        }
    }

    /// Returns whether the file does not have a name any more.
    pub(crate) fn is_unlinked(&self) -> bool {
        self.file.metadata().is_ok_and(|now| now.nlink() == 0)
    }

    fn metadata(&self) -> Result<Metadata, LogError> {
        self.file
            .metadata()
            .map_err(|source| self.read_error(0, source))
    }

    /// Returns whether the known bytes are still there.
    fn still_has(&self, known: &Known) -> Result<bool, LogError> {
        let head = self.bytes_before(known.head.len() as u64, PROBE_BYTES)?;
        let tail = self.bytes_before(known.length.whole_bytes, known.tail.len())?;
        Ok(head == known.head && tail == known.tail)
    }

    fn section(&self, start: u64, end: u64) -> Section {
        Section {
            file: Arc::clone(&self.file),
            offset: start,
            end,
            ended_early: false,
        }
    }

    /// Up to `max_bytes` bytes that end at `end`; fewer when the file is shorter by now.
    fn bytes_before(&self, end: u64, max_bytes: usize) -> Result<Vec<u8>, LogError> {
        let start = end.saturating_sub(max_bytes as u64);
        let mut bytes = Vec::with_capacity(max_bytes);
        self.section(start, end)
            .read_to_end(&mut bytes)
            .map_err(|source| self.read_error(start, source))?;
        Ok(bytes)
    }

    /// The end of the last line, if that is after `start`.
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
        Err(LogError::NotTailable { path, found })
    }

    fn read_error(&self, after_bytes: u64, source: io::Error) -> LogError {
        LogError::Read {
            path: self.path.clone(),
            after_bytes,
            source,
        }
    }
}

/// A part of a file, read without moving the file's offset.
pub(super) struct Section {
    file: Arc<File>,
    offset: u64,
    end: u64,
    /// True if the file turned out to be shorter.
    pub ended_early: bool,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let len = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..len], self.offset)?;
        self.offset += read as u64;
        self.ended_early |= read == 0 && len > 0;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use proptest::prelude::*;

    use super::super::LogItem;
    use super::*;

    fn sizes() -> BatchSizes {
        BatchSizes {
            batch_bytes: 7,
            tail_bytes: 3,
            ..BatchSizes::new(1)
        }
    }

    /// The lines between two places.
    fn lines(log: &TailedFile, start: u64, end: u64) -> Vec<u8> {
        let mut all = Vec::new();
        for piece in log.batches(start, end, sizes()) {
            let LogItem::Lines(batch) = piece.unwrap() else {
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
            let log = TailedFile::open(&path).unwrap();
            let (mut read, mut written) = (Vec::new(), Vec::new());
            for piece in pieces {
                writer.write_all(piece.as_bytes()).unwrap();
                written.extend_from_slice(piece.as_bytes());
                let length = log.length().unwrap();
                prop_assert_eq!(length.bytes, written.len() as u64);
                read.extend(lines(&log, read.len() as u64, length.whole_bytes));
                let whole = memchr::memrchr(b'\n', &written).map_or(0, |last| last + 1);
                prop_assert_eq!(&read, &written[..whole]);
            }
            // The rest of an unlinked file is there too.
            fs::remove_file(&path).unwrap();
            let end = log.length().unwrap().bytes;
            read.extend(lines(&log, read.len() as u64, end));
            prop_assert_eq!(read, written);
            prop_assert!(log.is_unlinked());
        }
    }

    #[test]
    fn truncating_and_overwriting_are_noticed() {
        let first = "x".repeat(600) + "\nsecond\n";
        let check = |rewrite: &dyn Fn(&Path), fine: bool| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            fs::write(&path, &first).unwrap();
            let log = TailedFile::open(&path).unwrap();
            assert_eq!(log.length().unwrap().whole_bytes, 608);
            rewrite(&path);
            match log.length() {
                Ok(_) => assert!(fine),
                Err(LogError::Rewritten { .. }) => assert!(!fine),
                Err(other) => panic!("{other}"),
            }
            log.reset();
            let bytes = log.length().unwrap().bytes;
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
    fn a_line_that_is_truncated_while_it_is_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for left in ["", "0123", "0123456\n", "0123456\n0123456\n01"] {
            fs::write(&path, "0123456\n".repeat(3)).unwrap();
            let log = TailedFile::open(&path).unwrap();
            let mut batches = log.batches(0, log.length().unwrap().bytes, sizes());
            fs::write(&path, left).unwrap();
            let error = loop {
                match batches.next() {
                    Some(Ok(LogItem::Lines(batch))) => assert!(batch.bytes().ends_with(b"6\n")),
                    Some(Err(error)) => break error,
                    other => panic!("{left:?}: {other:?}"),
                }
            };
            assert!(matches!(error, LogError::Rewritten { .. }), "{error}");
            assert!(batches.next().is_none());
        }
    }

    #[test]
    fn paths_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("log"), folder.path().join("other"));
        fs::write(&path, "a\n").unwrap();
        let log = TailedFile::open(&path).unwrap();
        assert_eq!(
            (log.path_state(), log.is_unlinked()),
            (PathState::Same, false)
        );
        fs::rename(&path, &other).unwrap();
        assert_eq!(
            (log.path_state(), log.is_unlinked()),
            (PathState::Removed, false)
        );
        fs::write(&path, "b\n").unwrap();
        assert_eq!(
            (log.path_state(), log.is_unlinked()),
            (PathState::Replaced, false)
        );
        fs::remove_file(&other).unwrap();
        assert_eq!(
            (log.path_state(), log.is_unlinked()),
            (PathState::Replaced, true)
        );
        assert_eq!(lines(&log, 0, log.length().unwrap().bytes), b"a\n");
    }

    #[test]
    fn only_plain_files_are_tailed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let check = |found: &str| {
            let error = TailedFile::open(&path).and_then(|log| log.length());
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
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        check("pipe");
    }
}
