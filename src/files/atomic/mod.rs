//! The only place that writes files: a file has its old content or its new one, whatever happens in between.
//!
//! New content goes into a temporary file in the same folder, which is synced and then renamed over the old one; at
//! last the folder is synced. [`prepare`] does all that can fail for want of room or rights, [`Prepared::put`] only
//! renames: files that belong together are all prepared before the first is put in place.
//!
//! Temporary files are named so that what a killed run leaves behind is recognised, and locked while they are
//! written so that a concurrent run's are left alone.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, Permissions, TryLockError};
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use tempfile::NamedTempFile;

use crate::process::failpoint;

/// What the names of temporary files have between the target's name and a random part.
const MARK: &str = ".tok-recompute-";

/// How old a temporary file must be to count as left behind where files cannot be locked.
const LEFTOVER_AGE: Duration = Duration::from_secs(600);

/// Of a long name so much is repeated in a temporary file's, which must not be longer than a name can be.
const MAX_NAME_BYTES: usize = 200;

/// A temporary file that was removed before it could be locked is made again so often.
const CREATIONS: usize = 4;

/// Links followed before a path is taken for a loop; the kernel's own limit.
const MAX_LINKS: usize = 40;

/// Temporary files that this process may have at the moment.
static TEMPORARIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes the temporary files of this process, for one that is about to end without dropping anything. While the
/// result lives none is made.
#[must_use]
pub fn remove_temporaries() -> impl Sized {
    let temporaries = TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner);
    for path in &*temporaries {
        let _ = fs::remove_file(path);
    }
    temporaries
}

/// A file could not be written; what it held is still there, but where the action says otherwise.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}{}", path.display(), hint(source))]
pub struct WriteError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl WriteError {
    /// That the file at `path` could not be written.
    pub fn writing(path: &Path, source: io::Error) -> Self {
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

/// Makes `bytes` the content of the file at `path`, all steps in one: [`prepare`] says which. Returns false, and
/// touches nothing, if the file holds just these bytes.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<bool, WriteError> {
    match prepare(path, bytes)? {
        Some(prepared) => prepared.put()?.sync().map(|()| true),
        None => Ok(false),
    }
}

/// Copies the file at `path` to `backup`, all steps in one: [`prepare_original`] says which. Returns whether it did.
pub fn keep_original(path: &Path, backup: &Path) -> Result<bool, WriteError> {
    match prepare_original(path, backup)? {
        Some(prepared) => prepared.put()?.sync().map(|()| true),
        None => Ok(false),
    }
}

/// Adds `bytes` to the end of the file at `path`, in one write; it is made if it is missing.
///
/// For files that others add to as well, such as the summary of a CI step, whose lines a replacement would lose.
pub fn append(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    // A pipe that nobody reads would be waited for.
    let opened = File::options()
        .append(true)
        .create(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    opened
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|source| WriteError::new("add to", path, source))
}

/// Finds out whether [`prepare`] could write there now, with a file that has no name. A missing folder is not made: the
/// one above it is tried.
pub fn try_out(path: &Path) -> Result<(), WriteError> {
    let try_out = || {
        let target = resolve(path)?;
        metadata(&target)?;
        let folder = folder_of(&target);
        let folder = if folder.exists() {
            folder
        } else {
            folder_of(folder)
        };
        tempfile::tempfile_in(folder).map(drop)
    };
    try_out().map_err(|source| WriteError::writing(path, source))
}

/// New content for the file at `path`, with mode and, where possible, owner of the one that is there; `None` if that
/// holds just these bytes.
///
/// If `path` is a link, what it points at is to be replaced and the link stays. A missing folder is made if the one
/// above it exists.
pub fn prepare(path: &Path, bytes: &[u8]) -> Result<Option<Prepared>, WriteError> {
    let fail = |source| WriteError::new("write", path, source);
    let target = resolve(path).map_err(fail)?;
    let old = metadata(&target).map_err(fail)?;
    if let Some(old) = &old
        && holds(&target, old, bytes).map_err(fail)?
    {
        // A run that was killed after renaming may not have come so far.
        File::open(folder_of(&target))
            .and_then(|folder| sync(&folder))
            .map_err(fail)?;
        return Ok(None);
    }
    let made = MadeFolder::of(&target).map_err(fail)?;
    Prepared::new(path, target, |file| halves(file, bytes), old.as_ref(), made)
        .map(Some)
        .map_err(fail)
}

/// A copy of the file at `path` for `backup`; `None` if there is a backup already, since the first original is the one
/// to keep, or nothing to keep.
pub fn prepare_original(path: &Path, backup: &Path) -> Result<Option<Prepared>, WriteError> {
    let fail = |source| WriteError::new("keep the original as", backup, source);
    if metadata(backup).map_err(fail)?.is_some() {
        return Ok(None);
    }
    // A copy, not a hard link: a writer that truncates the original in place must not reach the backup.
    let (bytes, metadata) = match fs::read(path).and_then(|bytes| Ok((bytes, fs::metadata(path)?)))
    {
        Ok(original) => original,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let target = backup.to_owned();
    let write = |file: &mut File| halves(file, &bytes);
    let prepared = Prepared::new(backup, target, write, Some(&metadata), MadeFolder(None));
    prepared
        .map(|prepared| {
            Some(Prepared {
                over: false,
                ..prepared
            })
        })
        .map_err(fail)
}

/// New content beside its file: written and synced, but not in its place. Dropped, it is gone.
#[derive(Debug)]
pub struct Prepared {
    /// As the caller named it.
    path: PathBuf,
    /// Where that leads.
    target: PathBuf,
    temporary: NamedTempFile,
    made: MadeFolder,
    /// Opened before anything is renamed, so that syncing it cannot fail for want of rights.
    folder: File,
    /// Whether a file that is there is replaced; if not, it is kept and this is dropped.
    over: bool,
}

impl Prepared {
    fn new(
        path: &Path,
        target: PathBuf,
        write: impl FnOnce(&mut File) -> io::Result<()>,
        like: Option<&Metadata>,
        made: MadeFolder,
    ) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            temporary: write_temporary(&target, write, like)?,
            made,
            folder: File::open(folder_of(&target))?,
            target,
            over: true,
        })
    }

    /// The file that is written, as the caller named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the content in its place.
    pub fn put(mut self) -> Result<Placed, WriteError> {
        failpoint::point("write.rename")
            .and_then(|()| persist(self.temporary, &self.target, self.over))
            .map_err(|source| WriteError::new("write", &self.path, source))?;
        self.made.keep();
        Ok(Placed {
            path: self.path,
            folder: self.folder,
        })
    }
}

/// New content that comes piece by piece, too much to keep in memory. It is in a file without a name, so that nothing
/// is left of it however the process ends, until [`Draft::finish`] copies it to where [`prepare`] would have written it.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    target: PathBuf,
    old: Option<Metadata>,
    made: MadeFolder,
    content: BufWriter<File>,
}

impl Draft {
    /// No content yet, for the file at `path`.
    pub fn begin(path: &Path) -> Result<Self, WriteError> {
        let begin = || {
            let target = resolve(path)?;
            let old = metadata(&target)?;
            let made = MadeFolder::of(&target)?;
            let content = tempfile::tempfile_in(folder_of(&target))?;
            Ok(Self {
                path: path.to_owned(),
                target,
                old,
                made,
                content: BufWriter::new(content),
            })
        };
        begin().map_err(|source| WriteError::writing(path, source))
    }

    /// All of the content, ready to be put in its place.
    pub fn finish(self) -> Result<Prepared, WriteError> {
        let Self {
            path,
            target,
            old,
            made,
            content,
        } = self;
        let finish = || {
            let mut content = content
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?;
            content.rewind()?;
            let copy = |file: &mut File| io::copy(&mut content, file).map(|_| ());
            Prepared::new(&path, target, copy, old.as_ref(), made)
        };
        finish().map_err(|source| WriteError::writing(&path, source))
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        failpoint::point("write.draft")?;
        self.content.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.content.flush()
    }
}

/// New content in its place, which a power cut may undo until [`Placed::sync`].
#[derive(Debug)]
#[must_use]
pub struct Placed {
    path: PathBuf,
    folder: File,
}

impl Placed {
    /// Makes it durable.
    pub fn sync(self) -> Result<(), WriteError> {
        failpoint::point("write.sync-folder")
            .and_then(|()| sync(&self.folder))
            .and_then(|()| failpoint::point("write.done"))
            .map_err(|source| {
                WriteError::new("make durable, though it is in place,", &self.path, source)
            })
    }
}

/// Renames `temporary` to `target`, over what is there only if `over`.
fn persist(temporary: NamedTempFile, target: &Path, over: bool) -> io::Result<()> {
    let rename = |temporary: NamedTempFile| match temporary.persist(target) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.error),
    };
    if over {
        return rename(temporary);
    }
    match temporary.persist_noclobber(target) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Some filesystems can neither rename without replacing nor link; then look, and rename.
        Err(error) if fs::symlink_metadata(target).is_err() => rename(error.file),
        Err(error) => Err(error.error),
    }
}

/// A folder that was made for a file and is removed again if the file does not come.
#[derive(Debug)]
struct MadeFolder(Option<PathBuf>);

impl MadeFolder {
    fn of(target: &Path) -> io::Result<Self> {
        let folder = folder_of(target);
        if folder.exists() {
            return Ok(Self(None));
        }
        fs::create_dir(folder)?;
        let made = Self(Some(folder.to_owned()));
        File::open(folder_of(folder)).and_then(|above| sync(&above))?;
        Ok(made)
    }

    fn keep(&mut self) {
        self.0 = None;
    }
}

impl Drop for MadeFolder {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            // Somebody may have put something into it meanwhile.
            _ = fs::remove_dir(folder);
        }
    }
}

/// Removes temporary files for `path` that a killed run left behind, and returns how many. Failing to is no error.
pub fn remove_leftovers(path: &Path) -> usize {
    let Ok(target) = resolve(path) else { return 0 };
    let prefix = temporary_prefix(&target);
    let entries = fs::read_dir(folder_of(&target))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            name.starts_with(prefix.as_encoded_bytes()) && name.ends_with(b".tmp")
        })
        .filter(|entry| remove_left_behind(&entry.path()).is_ok_and(|removed| removed))
        .count()
}

/// Removes a temporary file that nobody holds. The lock is held meanwhile, so that whoever made the file just now
/// does not take it for its own.
fn remove_left_behind(path: &Path) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Ok(false);
    }
    let locked = File::open(path).map_err(TryLockError::Error);
    let locked = locked.and_then(|file| file.try_lock().map(|()| file));
    let left = match &locked {
        Ok(_) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            metadata.modified()?.elapsed().unwrap_or_default() > LEFTOVER_AGE
        }
    };
    if left {
        fs::remove_file(path)?;
    }
    Ok(left)
}

/// Writes `bytes`, with a point where only half of them are.
fn halves(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    file.write_all(first)?;
    failpoint::point("write.more-bytes")?;
    file.write_all(rest)
}

/// A synced temporary file beside `target` with what `write` makes its content, and mode and owner of `like`.
fn write_temporary(
    target: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
    like: Option<&Metadata>,
) -> io::Result<NamedTempFile> {
    failpoint::point("write.create")?;
    // Of a new file's mode the umask leaves what it leaves of any.
    let mode = like.map_or(Permissions::from_mode(0o666), Metadata::permissions);
    let mut temporary = create_locked(target, &mode)?;
    let file = temporary.as_file_mut();
    failpoint::point("write.bytes")?;
    write(file)?;
    failpoint::point("write.mode")?;
    if let Some(like) = like {
        // Only root can give a file away; a member of the group can keep the group.
        _ = fchown(&*file, Some(like.uid()), Some(like.gid()))
            .or_else(|_| fchown(&*file, None, Some(like.gid())));
        file.set_permissions(like.permissions())?;
    }
    failpoint::point("write.sync")?;
    sync(file)?;
    failpoint::point("write.synced")?;
    Ok(temporary)
}

/// A new temporary file for `target`, locked where there are locks.
fn create_locked(target: &Path, mode: &Permissions) -> io::Result<NamedTempFile> {
    for _ in 0..CREATIONS {
        let temporary = {
            let mut known = TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|path| path.exists());
            let made = tempfile::Builder::new()
                .prefix(&temporary_prefix(target))
                .suffix(".tmp")
                .permissions(mode.clone())
                .tempfile_in(folder_of(target))?;
            known.push(made.path().to_owned());
            made
        };
        let locked = temporary.as_file().try_lock();
        // Between creation and lock it looks left behind: somebody who tidies up may be at it, or be done with it.
        let taken = matches!(locked, Err(TryLockError::WouldBlock));
        if !taken && temporary.as_file().metadata()?.nlink() > 0 {
            return Ok(temporary);
        }
    }
    Err(io::Error::other(
        "its temporary file is removed again and again",
    ))
}

fn temporary_prefix(target: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    let name = target.file_name().unwrap_or(OsStr::new("file")).as_bytes();
    prefix.push(OsStr::from_bytes(&name[..name.len().min(MAX_NAME_BYTES)]));
    prefix.push(MARK);
    prefix
}

/// Where the links that `path` itself may be end, whether or not there is a file.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = folder_of(&path).join(link),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}

/// The metadata of the file at `target`, if there is one; anything but a file cannot be replaced.
fn metadata(target: &Path) -> io::Result<Option<Metadata>> {
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

/// Whether the file at `target` holds `bytes`. A file that may not be read may still be replaced.
fn holds(target: &Path, metadata: &Metadata, bytes: &[u8]) -> io::Result<bool> {
    if metadata.len() != bytes.len() as u64 {
        return Ok(false);
    }
    match fs::read(target) {
        Ok(old) => Ok(old == bytes),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(error),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Makes a file's bytes, or a folder's names, durable, where the filesystem can: some refuse to be asked.
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

#[cfg(test)]
mod tests;
