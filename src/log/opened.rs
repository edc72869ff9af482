//! The file that a path leads to, compared with what it was when it was opened.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::LogError;
use super::decompress::is_bomb;
use crate::files;

/// Filesystems whose files only this machine writes (`f_type`, statfs(2)). A file on another one may be changed without
/// the kernel's knowledge, or vanish with a connection.
const LOCAL_FILESYSTEMS: [u32; 8] = [
    0x0000_EF53, // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683E, // Btrfs
    0x2FC1_2FC1, // ZFS
    0xCA45_1A4E, // bcachefs
    0xF2F5_2010, // F2FS
    0x0102_1994, // tmpfs
    0x794C_7630, // overlayfs
];

/// An open file and its metadata when it was opened.
#[derive(Debug)]
pub(super) struct OpenedFile {
    pub file: File,
    pub path: PathBuf,
    metadata: Metadata,
}

impl OpenedFile {
    /// Opens whatever `path` leads to, and refuses sparse files.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let opened = files::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let path = path.to_owned();
        match opened {
            Err(source) => Err(LogError::Open { path, source }),
            Ok((metadata, file)) if metadata.is_file() && is_sparse(&file, metadata.len()) => {
                Err(LogError::Sparse { path })
            }
            Ok((metadata, file)) => Ok(Self {
                file,
                path,
                metadata,
            }),
        }
    }

    /// The kind of the file, unless it is a regular one.
    pub fn irregular(&self) -> Option<&'static str> {
        let kind = self.metadata.file_type();
        if kind.is_file() {
            None
        } else if kind.is_dir() {
            Some("directory")
        } else if kind.is_char_device() || kind.is_block_device() {
            Some("device")
        } else if kind.is_socket() {
            Some("socket")
        } else {
            Some("pipe")
        }
    }

    /// Its length when it was opened.
    pub fn len(&self) -> u64 {
        self.metadata.len()
    }

    /// Checks that every byte that is mapped or still to be read is there.
    pub fn check_not_truncated(&self) -> Result<(), LogError> {
        self.check(|now| now.len() >= self.len())
    }

    /// Checks that nothing was written since, neither at the end nor in between.
    pub fn check_unchanged(&self) -> Result<(), LogError> {
        let times = |of: &Metadata| (of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec());
        self.check(|now| now.len() == self.len() && times(now) == times(&self.metadata))
    }

    fn check(&self, is_fine: impl Fn(&Metadata) -> bool) -> Result<(), LogError> {
        let path = self.path.clone();
        match self.file.metadata() {
            Ok(now) if is_fine(&now) => Ok(()),
            Ok(now) => Err(LogError::Changed {
                path,
                was_bytes: self.len(),
                is_bytes: now.len(),
            }),
            Err(source) => Err(LogError::Open { path, source }),
        }
    }
}

/// Checks that only this machine writes a file.
pub(super) fn check_local(file: &File) -> io::Result<()> {
    let filesystem = filesystem(file)?;
    if LOCAL_FILESYSTEMS.contains(&filesystem) {
        return Ok(());
    }
    let why = format!("its filesystem (type {filesystem:#x}) is not known to be local");
    Err(io::Error::other(why))
}

#[cfg(target_os = "linux")]
fn filesystem(file: &File) -> io::Result<u32> {
    let filesystem = rustix::fs::fstatfs(file)?.f_type;
    u32::try_from(filesystem).map_err(io::Error::other)
}

#[cfg(not(target_os = "linux"))]
fn filesystem(_: &File) -> io::Result<u32> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Returns whether a file of `len` bytes is nearly all hole, as far as its filesystem knows. Moves the file's offset.
fn is_sparse(file: &File, len: u64) -> bool {
    let (mut at, mut data_bytes) = (0, 0);
    while is_bomb(len, data_bytes) {
        let data = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(error) => return error == Errno::NXIO,
        };
        let Ok(hole) = rustix::fs::seek(file, SeekFrom::Hole(data)) else {
            return false;
        };
        (at, data_bytes) = (hole, data_bytes + (hole - data));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernels_own_files_are_not_local() {
        let file = File::open("/proc/self/status").unwrap();
        let error = check_local(&file).unwrap_err().to_string();
        assert!(error.contains("(type 0x9fa0)"), "{error}");
    }
}
