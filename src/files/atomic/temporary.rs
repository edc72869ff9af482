//! Temporary files. Their names say what they are, so that the ones of a killed run are recognized, and they are locked
//! while they are written, so that the ones of a concurrent run are left alone.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, Permissions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::NamedTempFile;

use super::sync;
use super::target::{folder_of, resolve};
use crate::process::failpoint;

/// The part of a temporary file's name between the target's name and a random part.
const MARK: &str = ".tok-recompute-";

/// The least age of a stale temporary file where files cannot be locked.
const MIN_STALE_AGE: Duration = Duration::from_secs(600);

/// The length of the target's name that a temporary file's name repeats.
const MAX_NAME_BYTES: usize = 200;

/// The most attempts at a temporary file that is removed before it is locked.
const MAX_CREATIONS: usize = 4;

/// Temporary files that this process may have at the moment.
pub(super) static TEMPORARIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes this process's temporary files, for a process that is about to exit without dropping anything. While the
/// result lives, no new one is created.
#[must_use]
pub(crate) fn remove_temporaries() -> impl Sized {
    let temporaries = TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner);
    for path in &*temporaries {
        let _ = fs::remove_file(path);
    }
    temporaries
}

/// Removes the temporary files for `path` that a killed run left, and returns how many. Errors are ignored.
pub(crate) fn remove_stale_temporaries(path: &Path) -> usize {
    let Ok(target) = resolve(path) else { return 0 };
    let prefix = name_prefix(&target);
    let entries = fs::read_dir(folder_of(&target)).into_iter().flatten();
    entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            name.starts_with(prefix.as_encoded_bytes()) && name.ends_with(b".tmp")
        })
        .filter(|entry| remove_if_stale(&entry.path()).is_ok_and(|removed| removed))
        .count()
}

/// Removes a temporary file that is not locked. The lock is held meanwhile, so that a process that created the file just
/// now notices.
fn remove_if_stale(path: &Path) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Ok(false);
    }
    let locked = File::open(path).map_err(TryLockError::Error);
    let locked = locked.and_then(|file| file.try_lock().map(|()| file));
    let is_stale = match &locked {
        Ok(_) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            metadata.modified()?.elapsed().unwrap_or_default() > MIN_STALE_AGE
        }
    };
    if is_stale {
        fs::remove_file(path)?;
    }
    Ok(is_stale)
}

/// Writes a synced temporary file beside `target`, with the mode and owner of `like`.
pub(super) fn write(
    target: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
    like: Option<&Metadata>,
) -> io::Result<NamedTempFile> {
    failpoint::hit("write.create")?;
    // The umask applies to a new file as to any other.
    let mode = like.map_or(Permissions::from_mode(0o666), Metadata::permissions);
    let mut temporary = create_locked(target, &mode)?;
    let file = temporary.as_file_mut();
    failpoint::hit("write.bytes")?;
    write(file)?;
    failpoint::hit("write.mode")?;
    if let Some(like) = like {
        // Only root can give a file away; a member of the group can keep the group.
        _ = fchown(&*file, Some(like.uid()), Some(like.gid()))
            .or_else(|_| fchown(&*file, None, Some(like.gid())));
        file.set_permissions(like.permissions())?;
    }
    failpoint::hit("write.sync")?;
    sync(file)?;
    failpoint::hit("write.synced")?;
    Ok(temporary)
}

/// A new temporary file for `target`, locked where the filesystem has locks.
fn create_locked(target: &Path, mode: &Permissions) -> io::Result<NamedTempFile> {
    for _ in 0..MAX_CREATIONS {
        let temporary = {
            let mut known = TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|path| path.exists());
            let created = tempfile::Builder::new()
                .prefix(&name_prefix(target))
                .suffix(".tmp")
                .permissions(mode.clone())
                .tempfile_in(folder_of(target))?;
            known.push(created.path().to_owned());
            created
        };
        // Until it is locked it looks stale, and another process may be removing it or have removed it.
        let locked = temporary.as_file().try_lock();
        let is_taken = matches!(locked, Err(TryLockError::WouldBlock));
        if !is_taken && temporary.as_file().metadata()?.nlink() > 0 {
            return Ok(temporary);
        }
    }
    Err(io::Error::other(
        "its temporary file is removed again and again",
    ))
}

fn name_prefix(target: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    let name = target.file_name().unwrap_or(OsStr::new("file")).as_bytes();
    prefix.push(OsStr::from_bytes(&name[..name.len().min(MAX_NAME_BYTES)]));
    prefix.push(MARK);
    prefix
}
