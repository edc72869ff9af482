//! Reads files that others wrote.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a file for reading without blocking: a pipe without a writer would block, and so would some of the kernel's own
/// files, which look regular.
#[expect(clippy::disallowed_methods, reason = "opened for reading")]
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK;
    File::options().read(true).custom_flags(flags).open(path)
}

/// Has reads of an open pipe wait for its writer.
pub(crate) fn set_blocking(pipe: &File) -> io::Result<()> {
    Ok(rustix::fs::fcntl_setfl(pipe, OFlags::empty())?)
}

/// Reads a regular file, or a pipe that has a writer. Fails with [`io::ErrorKind::FileTooLarge`] if it holds more than
/// `max_bytes`.
pub(crate) fn read_bounded(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_fifo() {
        set_blocking(&file)?;
    } else if !kind.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn reads_are_bounded_and_do_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "12345678").unwrap();
        assert_eq!(read_bounded(&path, 8).unwrap(), b"12345678");
        let error = read_bounded(&path, 7).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        let error = read_bounded(folder.path(), 8).unwrap_err();
        assert_eq!(error.to_string(), "it is not a regular file");
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        assert_eq!(read_bounded(&pipe, 8).unwrap(), b"");
    }
}
