//! Atomic writes: a file has its old content or its new content, whatever happens in between.
//!
//! New content goes into a temporary file in the same folder, which is synced and then renamed over the old one; then
//! the folder is synced. [`stage`] does everything that can fail for lack of room or rights, [`StagedFile::rename`] only
//! renames: files that belong together are all staged before the first is renamed.

mod target;
mod temporary;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use tempfile::NamedTempFile;

use self::target::{CreatedFolder, Target, folder_of, metadata};
use crate::process::failpoint;

pub(crate) use self::temporary::{remove_stale_temporaries, remove_temporaries};

/// A file could not be written. It holds what it held, unless the action says otherwise.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}{}", path.display(), hint(source))]
pub struct WriteError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl WriteError {
    /// The file at `path` could not be written.
    pub(crate) fn writing(path: &Path, source: io::Error) -> Self {
        Self::new("write", path, source)
    }

    fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self {
            action,
            path,
            source,
        }
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; make its folder writable, or write elsewhere"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room, or write elsewhere"
        }
        io::ErrorKind::FileTooLarge => "; raise the limit on file sizes (ulimit -f)",
        io::ErrorKind::CrossesDevices => {
            "; a file is replaced by renaming, which does not work there: write elsewhere"
        }
        _ => "",
    }
}

/// Makes `bytes` the content of the file at `path`, all steps in one. Returns false, and touches nothing, if the file
/// holds these bytes already.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<bool, WriteError> {
    match stage(path, bytes)? {
        Some(staged) => staged.rename()?.sync().map(|()| true),
        None => Ok(false),
    }
}

/// Adds `bytes` to the end of the file at `path`, in one write; a missing file is created.
///
/// For files that others add to as well, such as the summary of a CI step, whose lines a replacement would lose.
#[expect(clippy::disallowed_methods, reason = "appending replaces nothing")]
pub(crate) fn append(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    // Opening a pipe without a reader would block.
    let opened = File::options()
        .append(true)
        .create(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    opened
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|source| WriteError::new("add to", path, source))
}

/// Checks that [`stage`] could write there now, with a file that has no name. A missing folder is not created: the one
/// above it is tried.
pub(crate) fn check_writable(path: &Path) -> Result<(), WriteError> {
    target::check_writable(path).map_err(|source| WriteError::writing(path, source))
}

/// Stages new content for the file at `path`, with the mode and, where possible, the owner of the file that is there;
/// `None` if that holds these bytes already.
///
/// If `path` is a link, the file it leads to is replaced and the link stays. A missing folder is created if the one
/// above it exists.
pub(crate) fn stage(path: &Path, bytes: &[u8]) -> Result<Option<StagedFile>, WriteError> {
    let stage = || {
        let target = Target::of(path)?;
        if target.holds(bytes)? {
            // A run that was killed after renaming may not have synced the folder.
            sync(&File::open(folder_of(&target.resolved))?)?;
            return Ok(None);
        }
        StagedFile::new(target, |file| write_in_halves(file, bytes)).map(Some)
    };
    stage().map_err(|source| WriteError::writing(path, source))
}

/// Stages a copy of the file at `path` as `backup`; `None` if there is nothing to copy, or a backup already: the first
/// original is the one to keep.
pub(crate) fn stage_backup(path: &Path, backup: &Path) -> Result<Option<StagedFile>, WriteError> {
    let stage = || {
        if metadata(backup)?.is_some() {
            return Ok(None);
        }
        // A copy, not a hard link: a writer that truncates the original in place must not reach the backup.
        let original = fs::read(path).and_then(|bytes| Ok((bytes, fs::metadata(path)?)));
        let (bytes, metadata) = match original {
            Ok(original) => original,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let target = Target {
            path: backup.to_owned(),
            resolved: backup.to_owned(),
            like: Some(metadata),
            created: CreatedFolder(None),
        };
        let staged = StagedFile::new(target, |file| write_in_halves(file, &bytes))?;
        Ok(Some(StagedFile {
            replaces: false,
            ..staged
        }))
    };
    stage().map_err(|source| WriteError::new("keep the original as", backup, source))
}

/// New content beside its file: written and synced, but not yet in its place. Dropped, it is removed.
#[derive(Debug)]
pub struct StagedFile {
    /// Before `target`: a created folder can only be removed after it.
    temporary: NamedTempFile,
    target: Target,
    /// Opened before anything is renamed, so that syncing it cannot fail for lack of rights.
    folder: File,
    /// True if a file that is there is replaced; if not, it is kept and this is dropped.
    replaces: bool,
}

impl StagedFile {
    fn new(target: Target, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<Self> {
        Ok(Self {
            temporary: temporary::write(&target.resolved, write, target.like.as_ref())?,
            folder: File::open(folder_of(&target.resolved))?,
            target,
            replaces: true,
        })
    }

    /// The file that is written, as the caller named it.
    pub(crate) fn path(&self) -> &Path {
        &self.target.path
    }

    /// Puts the content in its place.
    pub(crate) fn rename(mut self) -> Result<RenamedFile, WriteError> {
        failpoint::hit("write.rename")
            .and_then(|()| rename(self.temporary, &self.target.resolved, self.replaces))
            .map_err(|source| WriteError::writing(&self.target.path, source))?;
        self.target.created.keep();
        Ok(RenamedFile {
            path: self.target.path,
            folder: self.folder,
        })
    }
}

/// Content that is written in parts, too much to keep in memory. It goes into a file without a name, which ends with the
/// process however that ends, until [`SpooledFile::stage`] copies it to where [`stage`] would have written it.
#[derive(Debug)]
pub(crate) struct SpooledFile {
    target: Target,
    content: BufWriter<File>,
}

impl SpooledFile {
    /// An empty one, for the file at `path`.
    pub(crate) fn create(path: &Path) -> Result<Self, WriteError> {
        let create = || {
            let target = Target::of(path)?;
            let content = tempfile::tempfile_in(folder_of(&target.resolved))?;
            Ok(Self {
                target,
                content: BufWriter::new(content),
            })
        };
        create().map_err(|source| WriteError::writing(path, source))
    }

    /// Stages the content.
    pub(crate) fn stage(self) -> Result<StagedFile, WriteError> {
        let path = self.target.path.clone();
        let stage = || {
            let mut content = self
                .content
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?;
            content.rewind()?;
            StagedFile::new(self.target, |file| io::copy(&mut content, file).map(drop))
        };
        stage().map_err(|source| WriteError::writing(&path, source))
    }
}

impl Write for SpooledFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        failpoint::hit("write.draft")?;
        self.content.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.content.flush()
    }
}

/// New content in its place. Until [`RenamedFile::sync`] a power cut may undo it.
#[derive(Debug)]
#[must_use]
pub(crate) struct RenamedFile {
    path: PathBuf,
    folder: File,
}

impl RenamedFile {
    /// Makes it durable.
    pub(crate) fn sync(self) -> Result<(), WriteError> {
        failpoint::hit("write.sync-folder")
            .and_then(|()| sync(&self.folder))
            .and_then(|()| failpoint::hit("write.done"))
            .map_err(|source| {
                WriteError::new("make durable, though it is in place,", &self.path, source)
            })
    }
}

/// Renames `temporary` to `target`; over the file that is there only if it `replaces`.
#[expect(
    clippy::disallowed_methods,
    reason = "the one rename, of a synced file"
)]
fn rename(temporary: NamedTempFile, target: &Path, replaces: bool) -> io::Result<()> {
    let rename = |temporary: NamedTempFile| match temporary.persist(target) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.error),
    };
    if replaces {
        return rename(temporary);
    }
    match temporary.persist_noclobber(target) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Some filesystems can neither rename without replacing nor link: look, then rename.
        Err(error) if fs::symlink_metadata(target).is_err() => rename(error.file),
        Err(error) => Err(error.error),
    }
}

/// Writes `bytes`, with a failpoint where only half of them are written.
fn write_in_halves(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    file.write_all(first)?;
    failpoint::hit("write.more-bytes")?;
    file.write_all(rest)
}

/// Makes a file's bytes, or a folder's names, durable, where the filesystem can: some refuse the call.
fn sync(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(error)
            if matches!(
                Errno::from_io_error(&error),
                Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}
