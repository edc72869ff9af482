//! A log and the reader for it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::decompress;
use super::mapped::{MappedBatches, Mapping};
use super::opened::OpenedFile;
use super::streamed::StreamedBatches;
use super::tailed::Section;
use super::{BatchSizes, LogError, LogItem};
use crate::files;

/// The longest time that a named pipe may be without a writer.
const PIPE_TIMEOUT: Duration = Duration::from_secs(30);

/// A log that can be read once.
pub struct Log {
    path: PathBuf,
    format: Format,
    bytes: Bytes,
    /// Why it is not mapped, if it is a plain file.
    unmapped: Option<io::Error>,
}

/// The compression of a log, recognized from its first bytes and not from its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Uncompressed.
    Plain,
    /// gzip (RFC 1952), one member or several.
    Gzip,
    /// Zstandard (RFC 8878), one frame or several.
    Zstd,
}

enum Bytes {
    Mapped(OpenedFile, Mapping),
    /// With the file, if it is a regular one that could not be mapped.
    Streamed(Box<dyn Read + Send>, Option<OpenedFile>),
}

impl Format {
    /// Recognizes a format by the first four bytes.
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [0x1F, 0x8B, ..] => Self::Gzip,
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

impl Log {
    /// Opens a file, a pipe, or standard input for `-`. Plain regular files are mapped, and read where that fails;
    /// everything else is streamed. Waits half a minute for a named pipe's writer.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        if path == Path::new("-") {
            return Self::from_reader(path, io::stdin());
        }
        Self::open_file(path, Mapping::of_local)
    }

    /// Opens a stream of log bytes, plain or compressed; `path` names it in messages.
    pub fn from_reader(
        path: &Path,
        mut reader: impl Read + Send + 'static,
    ) -> Result<Self, LogError> {
        let mut head = Vec::new();
        let read = reader.by_ref().take(4).read_to_end(&mut head);
        let path = path.to_owned();
        if let Err(source) = read {
            return Err(LogError::Read {
                path,
                after_bytes: 0,
                source,
            });
        }
        let format = Format::of(&head);
        let whole = io::Cursor::new(head).chain(reader);
        let open = |source| LogError::Open {
            path: path.clone(),
            source,
        };
        let reader = decompress::reader(format, whole).map_err(open)?;
        Ok(Self {
            path,
            format,
            bytes: Bytes::Streamed(reader, None),
            unmapped: None,
        })
    }

    pub(super) fn open_file(
        path: &Path,
        map: impl Fn(&File, usize) -> io::Result<Mapping>,
    ) -> Result<Self, LogError> {
        let failed = |source| LogError::Open {
            path: path.to_owned(),
            source,
        };
        let opened = OpenedFile::open(path)?;
        match opened.irregular() {
            Some("pipe") => {
                let first = first_byte(&opened.file, PIPE_TIMEOUT).map_err(failed)?;
                return Self::from_reader(path, io::Cursor::new(first).chain(opened.file));
            }
            Some(found) => {
                let path = opened.path;
                return Err(LogError::NotALog { path, found });
            }
            None => {}
        }
        let mut head = [0; 4];
        let len = opened.file.read_at(&mut head, 0).map_err(failed)?;
        (&opened.file).rewind().map_err(failed)?;
        let format = Format::of(&head[..len]);
        if format != Format::Plain {
            return Self::from_reader(path, opened.file);
        }
        let len = usize::try_from(opened.len()).map_err(io::Error::other);
        let (bytes, unmapped) = match len.and_then(|len| map(&opened.file, len)) {
            Ok(map) => (Bytes::Mapped(opened, map), None),
            Err(why) => {
                let file = opened.file.try_clone().map_err(failed)?;
                let reader = Box::new(file.take(opened.len()));
                (Bytes::Streamed(reader, Some(opened)), Some(why))
            }
        };
        Ok(Self {
            path: path.to_owned(),
            format,
            bytes,
            unmapped,
        })
    }

    /// Describes how it is read.
    pub(crate) fn describe(&self) -> String {
        match (&self.bytes, &self.unmapped) {
            (Bytes::Mapped(..), _) => "mapped".to_owned(),
            (Bytes::Streamed(..), Some(why)) => format!("read, not mapped: {why}"),
            (Bytes::Streamed(..), None) => format!("streamed, {}", self.format),
        }
    }

    /// Uncompressed bytes, where that is known before reading.
    pub(crate) fn len_bytes(&self) -> Option<u64> {
        match &self.bytes {
            Bytes::Mapped(file, _) => Some(file.len()),
            Bytes::Streamed(_, file) => file.as_ref().map(OpenedFile::len),
        }
    }

    /// Reads it, once. An error is the last item; every whole line before it, and what there is of the line it struck,
    /// comes first.
    pub fn batches(self, sizes: BatchSizes) -> Batches {
        let len = self.len_bytes();
        let reader = match self.bytes {
            Bytes::Mapped(file, map) => Reader::Mapped(MappedBatches::new(file, map, sizes)),
            Bytes::Streamed(reader, file) => {
                Reader::Streamed(StreamedBatches::new(0, reader, len, sizes), file)
            }
        };
        Batches::new(self.path, self.format, reader)
    }
}

/// The items of a log in order.
pub struct Batches {
    path: PathBuf,
    format: Format,
    reader: Reader,
    ended: bool,
}

pub(super) enum Reader {
    Mapped(MappedBatches),
    Streamed(StreamedBatches<Box<dyn Read + Send>>, Option<OpenedFile>),
    Tailed(StreamedBatches<Section>),
}

impl Batches {
    pub(super) fn new(path: PathBuf, format: Format, reader: Reader) -> Self {
        Self {
            path,
            format,
            reader,
            ended: false,
        }
    }

    /// Checks that every byte of the items was the file's. Worth asking again once the last item was processed.
    pub(crate) fn check_unchanged(&self) -> Result<(), LogError> {
        match &self.reader {
            Reader::Mapped(batches) => batches.check_unchanged(),
            Reader::Streamed(_, Some(file)) => file.check_unchanged(),
            Reader::Streamed(_, None) | Reader::Tailed(_) => Ok(()),
        }
    }

    fn next_item(&mut self) -> Result<Option<LogItem>, LogError> {
        let (item, after_bytes) = match &mut self.reader {
            Reader::Mapped(batches) => return batches.next(),
            Reader::Streamed(batches, file) => match (batches.next(), file) {
                (Ok(None), Some(file)) => return file.check_unchanged().map(|()| None),
                (item, _) => (item, batches.offset()),
            },
            Reader::Tailed(batches) => {
                let item = batches.next();
                // The last line may be one half of an old and one half of a new line.
                if batches.reader().ended_early {
                    let path = self.path.clone();
                    return Err(LogError::Rewritten { path });
                }
                (item, batches.offset())
            }
        };
        item.map_err(|source| read_error(self.path.clone(), self.format, after_bytes, source))
    }
}

impl Iterator for Batches {
    type Item = Result<LogItem, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.next_item();
        self.ended = !matches!(item, Ok(Some(_)));
        item.transpose()
    }
}

fn read_error(path: PathBuf, format: Format, after_bytes: u64, source: io::Error) -> LogError {
    if format != Format::Plain && source.kind() == io::ErrorKind::UnexpectedEof {
        LogError::Truncated {
            path,
            format,
            after_bytes,
        }
    } else {
        LogError::Read {
            path,
            after_bytes,
            source,
        }
    }
}

/// Waits for a pipe's writer, and returns the first byte if it is there already. Reads block from then on.
fn first_byte(mut pipe: &File, timeout: Duration) -> io::Result<Vec<u8>> {
    let until = Instant::now() + timeout;
    let mut byte = [0];
    let first = loop {
        match pipe.read(&mut byte) {
            Ok(0) if Instant::now() > until => {
                let why = format!("the pipe had no writer for {} s", timeout.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            // It has no writer yet.
            Ok(0) => thread::sleep(Duration::from_millis(5)),
            Ok(_) => break byte.to_vec(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Vec::new(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    files::set_blocking(pipe)?;
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_without_a_writer_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        let pipe = files::open(&path).unwrap();
        let error = first_byte(&pipe, Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
