//! The only place that writes files: a file has its old content or its new one, whatever happens in between.
//!
//! New content goes into a temporary file in the same folder, which is synced and then renamed over the old one.
//! Temporary files are named so that what a killed run leaves behind is recognised, and locked while they are
//! written so that a concurrent run's are left alone.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

/// What the names of temporary files have between the target's name and a random part.
const MARK: &str = ".tok-recompute-";

/// How old a temporary file must be to count as left behind, beyond any time between its creation and its lock.
const LEFTOVER_AGE: Duration = Duration::from_secs(600);

/// Links followed before a path is taken for a loop; the kernel's own limit.
const MAX_LINKS: usize = 40;

/// A file could not be written; what it held is still there.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}{}", path.display(), hint(source))]
pub struct WriteError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; make its folder writable, or write elsewhere with --output"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room, or write elsewhere with --output"
        }
        _ => "",
    }
}

/// Makes `bytes` the content of the file at `path`, keeping mode and, where possible, owner of the one that is there.
///
/// If `path` is a link, what it points at is replaced and the link stays. A missing folder is made if the one above
/// it exists. Returns false, and touches nothing, if the file holds just these bytes.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<bool, WriteError> {
    let fail = |source| WriteError {
        action: "write",
        path: path.to_owned(),
        source,
    };
    let target = resolve(path).map_err(fail)?;
    let old = metadata(&target).map_err(fail)?;
    if let Some(old) = &old
        && holds(&target, old, bytes).map_err(fail)?
    {
        return Ok(false);
    }
    let folder = folder_of(&target);
    if !folder.exists() {
        fs::create_dir(folder).map_err(fail)?;
    }
    let persist =
        |temporary: NamedTempFile| temporary.persist(&target).map_err(|error| error.error);
    write_temporary(&target, bytes, old.as_ref())
        .and_then(persist)
        .map_err(fail)?;
    sync(folder).map_err(fail)?;
    Ok(true)
}

/// Copies the file at `path` to `backup`, unless there is a backup already: the first original is the one to keep.
///
/// The copy is complete or absent. Returns whether it was made; without a file at `path` there is nothing to keep.
pub fn keep_original(path: &Path, backup: &Path) -> Result<bool, WriteError> {
    let fail = |source| WriteError {
        action: "keep the original as",
        path: backup.to_owned(),
        source,
    };
    if fs::symlink_metadata(backup).is_ok() {
        return Ok(false);
    }
    // A copy, not a hard link: a writer that truncates the original in place must not reach the backup.
    let (bytes, metadata) = match fs::read(path).and_then(|bytes| Ok((bytes, fs::metadata(path)?)))
    {
        Ok(original) => original,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(fail(error)),
    };
    let temporary = write_temporary(backup, &bytes, Some(&metadata)).map_err(fail)?;
    match temporary.persist_noclobber(backup) {
        Ok(_) => sync(folder_of(backup)).map_err(fail).map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(fail(error.error)),
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
        .filter(|entry| is_left_behind(&entry.path()).unwrap_or(false))
        .filter(|entry| fs::remove_file(entry.path()).is_ok())
        .count()
}

fn is_left_behind(path: &Path) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(path)?;
    let age = metadata.modified()?.elapsed().unwrap_or_default();
    Ok(metadata.is_file() && age > LEFTOVER_AGE && File::open(path)?.try_lock().is_ok())
}

/// A synced temporary file beside `target` with the content `bytes` and mode and owner of `like`.
fn write_temporary(
    target: &Path,
    bytes: &[u8],
    like: Option<&Metadata>,
) -> io::Result<NamedTempFile> {
    let mut temporary = tempfile::Builder::new()
        .prefix(&temporary_prefix(target))
        .suffix(".tmp")
        // Of a new file's mode the umask leaves what it leaves of any.
        .permissions(like.map_or(Permissions::from_mode(0o666), Metadata::permissions))
        .tempfile_in(folder_of(target))?;
    let file = temporary.as_file_mut();
    // Where there are no locks a leftover stays, which is the safe side.
    _ = file.lock();
    file.write_all(bytes)?;
    if let Some(like) = like {
        // Only root can give a file away; a member of the group can keep the group.
        _ = fchown(&*file, Some(like.uid()), Some(like.gid()))
            .or_else(|_| fchown(&*file, None, Some(like.gid())));
        file.set_permissions(like.permissions())?;
    }
    file.sync_all()?;
    Ok(temporary)
}

fn temporary_prefix(target: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(target.file_name().unwrap_or(OsStr::new("file")));
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

/// Makes renames in `folder` durable, where the file system can.
fn sync(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::SystemTime;

    use tempfile::{TempDir, tempdir};

    use super::*;

    fn names(folder: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replacing_keeps_the_mode_and_leaves_nothing_else() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a.json");
        assert!(replace(&path, b"one").unwrap());
        let umask_mode = fs::metadata(&path).unwrap().mode();
        assert_ne!(umask_mode & 0o444, 0);
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        assert!(replace(&path, b"two").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o666);
        assert_eq!(names(&folder), ["a.json"]);
    }

    #[test]
    fn equal_bytes_are_not_written() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a.json");
        replace(&path, b"same").unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        assert!(!replace(&path, b"same").unwrap());
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
        assert!(replace(&path, b"some").unwrap());
        assert_ne!(fs::metadata(&path).unwrap().ino(), inode);
    }

    #[test]
    fn links_stay_and_what_they_point_at_is_replaced() {
        let folder = tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("data")).unwrap();
        symlink("data/file", at("inner")).unwrap();
        symlink("inner", at("outer")).unwrap();
        for content in [b"one", b"two"] {
            replace(&at("outer"), content).unwrap();
            assert_eq!(fs::read(at("data/file")).unwrap(), content);
            assert!(at("outer").is_symlink() && at("inner").is_symlink());
        }
        symlink("loop", at("loop")).unwrap();
        assert!(
            replace(&at("loop"), b"x")
                .unwrap_err()
                .to_string()
                .starts_with("cannot write /")
        );
    }

    #[test]
    fn one_missing_folder_is_made_but_not_two() {
        let folder = tempdir().unwrap();
        assert!(replace(&folder.path().join("a/b"), b"x").unwrap());
        assert!(replace(&folder.path().join("c/d/e"), b"x").is_err());
        assert_eq!(names(&folder), ["a"]);
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let folder = tempdir().unwrap();
        let error = replace(folder.path(), b"x").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot write {}", folder.path().display())
        );
        assert_eq!(error.source.kind(), io::ErrorKind::IsADirectory);
        assert_eq!(
            replace(Path::new("/dev/null"), b"x")
                .unwrap_err()
                .source
                .kind(),
            io::ErrorKind::InvalidInput
        );
    }

    #[test]
    fn the_first_original_is_kept() {
        let folder = tempdir().unwrap();
        let (path, backup) = (
            folder.path().join("a.json"),
            folder.path().join("a.orig.json"),
        );
        assert!(!keep_original(&path, &backup).unwrap());
        fs::write(&path, "first").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(keep_original(&path, &backup).unwrap());
        // In place, as the reference writes: the backup is no link to the same file.
        fs::write(&path, "second").unwrap();
        assert!(!keep_original(&path, &backup).unwrap());
        assert_eq!(fs::read(&backup).unwrap(), b"first");
        assert_eq!(fs::metadata(&backup).unwrap().mode() & 0o777, 0o600);
        assert_eq!(names(&folder), ["a.json", "a.orig.json"]);
    }

    #[test]
    fn only_old_and_unlocked_leftovers_of_the_same_file_are_removed() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a.json");
        let old = SystemTime::now() - LEFTOVER_AGE * 2;
        let make = |name: &str, modified: SystemTime| {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(modified).unwrap();
            file
        };
        make(".a.json.tok-recompute-1.tmp", old);
        make(".a.json.tok-recompute-2.tmp", SystemTime::now());
        let locked = make(".a.json.tok-recompute-3.tmp", old);
        locked.lock().unwrap();
        make(".b.json.tok-recompute-4.tmp", old);
        make("a.json", old);
        assert_eq!(remove_leftovers(&path), 1);
        assert_eq!(
            names(&folder),
            [
                ".a.json.tok-recompute-2.tmp",
                ".a.json.tok-recompute-3.tmp",
                ".b.json.tok-recompute-4.tmp",
                "a.json"
            ]
        );
        drop(locked);
        assert_eq!(remove_leftovers(&path), 1);
    }

    #[test]
    fn a_name_shows_what_a_temporary_file_is_for() {
        let folder = tempdir().unwrap();
        let temporary = write_temporary(&folder.path().join("a.json"), b"x", None).unwrap();
        let name = temporary.path().file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(".a.json.tok-recompute-"), "{name}");
        assert!(
            Path::new(name)
                .extension()
                .is_some_and(|extension| extension == "tmp"),
            "{name}"
        );
    }
}
