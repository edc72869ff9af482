//! What a path leads to, and the reader for it.

use std::fmt;
use std::fs::{File, FileType};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use super::decompress;
use super::mapped::{MappedBatches, Mapping, Watched};
use super::streamed::StreamedBatches;
use super::{BatchSizes, LogError, Piece};

/// How long a named pipe may be without a writer.
const PIPE_PATIENCE: Duration = Duration::from_secs(30);

/// A log that was found and can be read once.
pub struct Log {
    path: PathBuf,
    format: Format,
    bytes: Bytes,
    /// Why it is not mapped, if it could have been.
    unmapped: Option<io::Error>,
}

/// How a log's bytes are stored, by its first bytes and not by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As they are.
    Plain,
    /// gzip (RFC 1952), one member or several.
    Gzip,
    /// Zstandard (RFC 8878), one frame or several.
    Zstd,
}

enum Bytes {
    Mapped(Watched, Mapping),
    /// A regular file that could not be mapped is watched too.
    Streamed(Box<dyn Read + Send>, Option<Watched>),
}

impl Format {
    /// Of a log that starts with `head`; four bytes tell.
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
    /// A file, a pipe, or standard input for `-`. Plain regular files are mapped, and read where
    /// that fails; everything else is streamed. A named pipe's writer is waited for, but not for ever.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        if path == Path::new("-") {
            return Self::from_reader(path, io::stdin());
        }
        Self::open_file(path, Mapping::of_local)
    }

    /// A stream of log bytes, plain or compressed; `path` names it in messages.
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
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::open(path, flags, Mode::empty());
        let file = file.map(File::from).map_err(|error| failed(error.into()))?;
        let opened = file.metadata().map_err(failed)?;
        if let Some(found) = not_a_log(opened.file_type()) {
            return Err(LogError::NotALog {
                path: path.to_owned(),
                found,
            });
        }
        if !opened.is_file() {
            let first = first_byte(&file, PIPE_PATIENCE).map_err(failed)?;
            return Self::from_reader(path, io::Cursor::new(first).chain(file));
        }
        if is_hollow(&file, opened.len()) {
            let path = path.to_owned();
            return Err(LogError::Hollow { path });
        }
        let mut head = vec![0; 4];
        let len = file.read_at(&mut head, 0).map_err(failed)?;
        head.truncate(len);
        io::Seek::rewind(&mut &file).map_err(failed)?;
        let format = Format::of(&head);
        if format != Format::Plain {
            return Self::from_reader(path, file);
        }
        let same = file.try_clone().map_err(failed)?;
        let len = usize::try_from(opened.len()).map_err(io::Error::other);
        let mapping = len.and_then(|len| map(&file, len));
        let file = Watched::new(file, path.to_owned(), opened);
        let (bytes, unmapped) = match mapping {
            Ok(map) => (Bytes::Mapped(file, map), None),
            Err(why) => {
                let reader = Box::new(same.take(file.len()));
                (Bytes::Streamed(reader, Some(file)), Some(why))
            }
        };
        Ok(Self {
            path: path.to_owned(),
            format,
            bytes,
            unmapped,
        })
    }

    /// How its bytes are stored.
    pub fn format(&self) -> Format {
        self.format
    }

    /// How it is read, in words.
    pub fn how(&self) -> String {
        match (&self.bytes, &self.unmapped) {
            (Bytes::Mapped(..), _) => "mapped".to_owned(),
            (Bytes::Streamed(..), Some(why)) => format!("read, not mapped: {why}"),
            (Bytes::Streamed(..), None) => format!("streamed, {}", self.format),
        }
    }

    /// Uncompressed bytes, where that is known before reading.
    pub fn len_bytes(&self) -> Option<u64> {
        match &self.bytes {
            Bytes::Mapped(file, _) => Some(file.len()),
            Bytes::Streamed(_, watched) => watched.as_ref().map(Watched::len),
        }
    }

    /// Reads it, once. After an error there is nothing more; every whole line before the error, and
    /// what there is of the line it struck, came before it.
    pub fn batches(self, sizes: BatchSizes) -> Batches {
        let len = self.len_bytes();
        let reader = match self.bytes {
            Bytes::Mapped(file, map) => Reader::Mapped(MappedBatches::new(file, map, sizes)),
            Bytes::Streamed(reader, watched) => {
                Reader::Streamed(StreamedBatches::new(reader, len, sizes), watched)
            }
        };
        Batches {
            path: self.path,
            format: self.format,
            reader,
            ended: false,
        }
    }
}

/// The pieces of a log in order.
pub struct Batches {
    path: PathBuf,
    format: Format,
    reader: Reader,
    ended: bool,
}

enum Reader {
    Mapped(MappedBatches),
    Streamed(StreamedBatches<Box<dyn Read + Send>>, Option<Watched>),
}

impl Batches {
    /// That every byte of the pieces was the file's: to be asked again once the last piece was looked at.
    pub fn still_whole(&self) -> Result<(), LogError> {
        match &self.reader {
            Reader::Mapped(batches) => batches.still_whole(),
            Reader::Streamed(_, Some(file)) => file.still_whole(),
            Reader::Streamed(_, None) => Ok(()),
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Piece, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let piece = match &mut self.reader {
            Reader::Mapped(batches) => batches.next(),
            Reader::Streamed(batches, watched) => match (batches.next(), watched) {
                (Ok(None), Some(file)) => file.still_whole().map(|()| None),
                (Ok(piece), _) => Ok(piece),
                (Err(source), _) => {
                    let after_bytes = batches.offset();
                    Err(read_error(
                        self.path.clone(),
                        self.format,
                        after_bytes,
                        source,
                    ))
                }
            },
        };
        self.ended = !matches!(piece, Ok(Some(_)));
        piece.transpose()
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

/// The first byte of a pipe, if it is there once somebody writes, and reading it waits from then on.
fn first_byte(mut pipe: &File, patience: Duration) -> io::Result<Vec<u8>> {
    let until = Instant::now() + patience;
    let mut byte = [0];
    let first = loop {
        match pipe.read(&mut byte) {
            Ok(0) if Instant::now() > until => {
                let why = format!(
                    "nobody wrote into this pipe within {} s",
                    patience.as_secs()
                );
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            // Nobody has it open for writing.
            Ok(0) => thread::sleep(Duration::from_millis(5)),
            Ok(_) => break byte.to_vec(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Vec::new(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    rustix::fs::fcntl_setfl(pipe, OFlags::empty())?;
    Ok(first)
}

/// Whether a file of `bytes` is nearly all hole. Where the filesystem does not know, it is not. The file's offset moves.
pub(super) fn is_hollow(file: &File, bytes: u64) -> bool {
    let (mut at, mut held) = (0, 0);
    while decompress::is_bomb(bytes, held) {
        let data = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(error) => return error == Errno::NXIO,
        };
        let Ok(hole) = rustix::fs::seek(file, SeekFrom::Hole(data)) else {
            return false;
        };
        (at, held) = (hole, held + (hole - data));
    }
    false
}

/// What it is that holds no log.
pub(super) fn not_a_log(kind: FileType) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_dir() {
        Some("directory")
    } else if kind.is_char_device() || kind.is_block_device() {
        Some("device")
    } else if kind.is_socket() {
        Some("socket")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_nobody_writes_into_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let pipe = File::from(rustix::fs::open(&path, flags, Mode::empty()).unwrap());
        let error = first_byte(&pipe, Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
