//! The target of a write.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::sync;

/// Links followed before a path is taken for a loop; the kernel's own limit.
const MAX_LINKS: usize = 40;

/// A file to be written.
#[derive(Debug)]
pub(super) struct Target {
    /// As the caller named it.
    pub path: PathBuf,
    /// The file that the links of `path` lead to.
    pub resolved: PathBuf,
    /// Metadata of the file whose mode and owner the new one gets.
    pub like: Option<Metadata>,
    pub created: CreatedFolder,
}

impl Target {
    /// The file at `path`, in a folder that is created if it is missing.
    pub fn of(path: &Path) -> io::Result<Self> {
        let resolved = resolve(path)?;
        Ok(Self {
            path: path.to_owned(),
            like: metadata(&resolved)?,
            created: CreatedFolder::of(&resolved)?,
            resolved,
        })
    }

    /// Returns whether the file holds `bytes`. A file that may not be read may still be replaced.
    pub fn holds(&self, bytes: &[u8]) -> io::Result<bool> {
        let len = self.like.as_ref().map(Metadata::len);
        if len != Some(bytes.len() as u64) {
            return Ok(false);
        }
        match fs::read(&self.resolved) {
            Ok(old) => Ok(old == bytes),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// See [`super::check_writable`].
pub(super) fn check_writable(path: &Path) -> io::Result<()> {
    let target = resolve(path)?;
    metadata(&target)?;
    let folder = folder_of(&target);
    let folder = if folder.exists() {
        folder
    } else {
        folder_of(folder)
    };
    tempfile::tempfile_in(folder).map(drop)
}

/// A folder that was created for a file, and is removed again if the file does not come.
#[derive(Debug)]
pub(super) struct CreatedFolder(pub Option<PathBuf>);

impl CreatedFolder {
    fn of(target: &Path) -> io::Result<Self> {
        let folder = folder_of(target);
        if folder.exists() {
            return Ok(Self(None));
        }
        fs::create_dir(folder)?;
        let created = Self(Some(folder.to_owned()));
        File::open(folder_of(folder)).and_then(|above| sync(&above))?;
        Ok(created)
    }

    /// Keeps the folder.
    pub fn keep(&mut self) {
        self.0 = None;
    }
}

impl Drop for CreatedFolder {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            // Another process may have put something into it meanwhile; then it stays.
            _ = fs::remove_dir(folder);
        }
    }
}

/// Follows the links that `path` itself may be, whether or not there is a file at the end.
pub(super) fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = folder_of(&path).join(link),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}

/// The metadata of the file at `target`, if there is one; only a regular file can be replaced.
pub(super) fn metadata(target: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(target) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata)),
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The folder that `path` is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
