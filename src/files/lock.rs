//! One process at a time rewrites a run.
//!
//! The lock is on the folder itself (`flock`): it leaves no file behind, and it ends with the process, however that ends.
//! It is advisory: the benchmark client does not know it.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Another process has locked a folder.
#[derive(Debug, thiserror::Error)]
#[error(
    "another tok-recompute is rewriting {}: wait until it has ended, or write elsewhere with --output",
    .0.display()
)]
pub(crate) struct AlreadyLocked(PathBuf);

/// The locks on the folders of a run, held until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct RunLock {
    held: Vec<File>,
    /// Folders that could not be locked, and why: some filesystems do not have locks.
    pub(crate) unlocked: Vec<(PathBuf, io::Error)>,
}

impl RunLock {
    /// Locks those of `folders` that exist, or none of them; does not wait.
    pub(crate) fn acquire<'a>(
        folders: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Self, AlreadyLocked> {
        // A folder that is locked twice would look locked by another process.
        let folders: BTreeSet<PathBuf> = folders
            .into_iter()
            .filter_map(|folder| folder.canonicalize().ok())
            .collect();
        let mut lock = Self::default();
        for folder in folders {
            let taken = File::open(&folder)
                .map_err(TryLockError::Error)
                .and_then(|file| file.try_lock().map(|()| file));
            match taken {
                Ok(file) => lock.held.push(file),
                Err(TryLockError::WouldBlock) => return Err(AlreadyLocked(folder)),
                Err(TryLockError::Error(error)) => lock.unlocked.push((folder, error)),
            }
        }
        Ok(lock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_lock_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::os::unix::fs::symlink(&inner, folder.path().join("link")).unwrap();
        let (link, missing) = (folder.path().join("link"), folder.path().join("missing"));
        let lock = RunLock::acquire([&*inner, &*link, &*missing]).unwrap();
        assert_eq!((lock.held.len(), lock.unlocked.len()), (1, 0));
        let error = RunLock::acquire([folder.path(), &*link]).unwrap_err();
        assert!(error.to_string().contains("inner: wait until"), "{error}");
        // A refused lock holds nothing.
        RunLock::acquire([folder.path()]).unwrap();
        drop(lock);
        RunLock::acquire([&*inner]).unwrap();
        assert_eq!(std::fs::read_dir(&inner).unwrap().count(), 0);
    }
}
