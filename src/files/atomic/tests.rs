//! Written files are whole, and nothing else is left.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use tempfile::{TempDir, tempdir};

use super::temporary::TEMPORARIES;
use super::*;

/// Copies a file to its backup, all steps in one; returns whether it did.
fn keep_original(path: &Path, backup: &Path) -> Result<bool, WriteError> {
    match stage_backup(path, backup)? {
        Some(staged) => staged.rename()?.sync().map(|()| true),
        None => Ok(false),
    }
}

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
fn appending_keeps_the_old_bytes() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("summary.md");
    append(&path, b"one\n").unwrap();
    append(&path, b"two\n").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
    let error = append(folder.path(), b"x").unwrap_err();
    assert!(error.to_string().starts_with("cannot add to "), "{error}");
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
fn links_stay_and_their_targets_are_replaced() {
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
fn one_missing_folder_is_created_but_not_two() {
    let folder = tempdir().unwrap();
    let (one, two) = (folder.path().join("a/b"), folder.path().join("c/d/e"));
    assert!(check_writable(&one).is_ok() && check_writable(&two).is_err());
    assert_eq!(names(&folder), [""; 0]);
    assert!(replace(&one, b"x").unwrap());
    assert!(replace(&two, b"x").is_err());
    assert!(check_writable(&one).is_ok() && check_writable(&folder.path().join("a")).is_err());
    assert_eq!(names(&folder), ["a"]);
}

#[test]
fn files_that_are_staged_and_dropped_leave_nothing() {
    let folder = tempdir().unwrap();
    let (path, backup) = (folder.path().join("a"), folder.path().join("a.orig"));
    fs::write(&path, "old").unwrap();
    let staged = stage(&path, b"new").unwrap().unwrap();
    let inside = stage(&folder.path().join("made/b"), b"new").unwrap();
    let original = stage_backup(&path, &backup).unwrap().unwrap();
    assert_eq!(names(&folder).len(), 4);
    drop((staged, inside, original));
    assert_eq!(names(&folder), ["a"]);
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[test]
fn a_spooled_file_has_no_name_until_it_is_staged() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let spool = |content: &[u8]| {
        let mut spooled = SpooledFile::create(&path).unwrap();
        spooled.write_all(content).unwrap();
        spooled
    };
    drop(spool(b"new"));
    let spooled = spool(&b"new\n".repeat(100_000));
    assert_eq!(names(&folder), ["rows.csv"]);
    let staged = spooled.stage().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    staged.rename().unwrap().sync().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new\n".repeat(100_000));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    assert_eq!(names(&folder), ["rows.csv"]);
    assert!(SpooledFile::create(folder.path()).is_err());
}

#[test]
fn a_backup_that_appears_meanwhile_is_kept() {
    let folder = tempdir().unwrap();
    let (path, backup) = (folder.path().join("a"), folder.path().join("a.orig"));
    fs::write(&path, "second").unwrap();
    let original = stage_backup(&path, &backup).unwrap().unwrap();
    fs::write(&backup, "first").unwrap();
    original.rename().unwrap().sync().unwrap();
    assert_eq!(fs::read(&backup).unwrap(), b"first");
    assert_eq!(names(&folder), ["a", "a.orig"]);
    // A folder in its place is an error.
    fs::remove_file(&backup).unwrap();
    fs::create_dir(&backup).unwrap();
    let error = keep_original(&path, &backup).unwrap_err();
    assert_eq!(error.source.kind(), io::ErrorKind::IsADirectory);
}

#[test]
fn only_regular_files_are_replaced() {
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
fn temporary_files_are_known() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a");
    let staged = stage(&path, b"new").unwrap().unwrap();
    stage(&folder.path().join("b"), b"new")
        .unwrap()
        .unwrap()
        .rename()
        .unwrap()
        .sync()
        .unwrap();
    assert_eq!(names(&folder).len(), 2);
    // Only this test's: other tests run at the same time.
    let mine: Vec<_> = TEMPORARIES
        .lock()
        .unwrap()
        .iter()
        .filter(|path| path.starts_with(folder.path()) && path.exists())
        .cloned()
        .collect();
    assert_eq!(mine, [staged.temporary.path()]);
}

#[test]
fn only_unlocked_temporaries_of_the_same_file_are_stale() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.json");
    let make = |name: &str| File::create(folder.path().join(name)).unwrap();
    make(".a.json.tok-recompute-1.tmp");
    let locked = make(".a.json.tok-recompute-3.tmp");
    locked.lock().unwrap();
    make(".b.json.tok-recompute-4.tmp");
    make("a.json");
    fs::create_dir(folder.path().join(".a.json.tok-recompute-5.tmp")).unwrap();
    assert_eq!(remove_stale_temporaries(&path), 1);
    assert_eq!(
        names(&folder),
        [
            ".a.json.tok-recompute-3.tmp",
            ".a.json.tok-recompute-5.tmp",
            ".b.json.tok-recompute-4.tmp",
            "a.json"
        ]
    );
    drop(locked);
    assert_eq!(remove_stale_temporaries(&path), 1);
}

#[test]
fn a_name_shows_what_a_temporary_file_is_for() {
    let folder = tempdir().unwrap();
    let long = folder.path().join("n".repeat(255));
    assert!(replace(&long, b"x").unwrap());
    assert!(replace(&long, b"y").unwrap());
    assert_eq!(fs::read(&long).unwrap(), b"y");
    let temporary = temporary::write(&folder.path().join("a.json"), |_| Ok(()), None).unwrap();
    let name = temporary.path().file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with(".a.json.tok-recompute-"), "{name}");
    assert!(
        Path::new(name)
            .extension()
            .is_some_and(|extension| extension == "tmp"),
        "{name}"
    );
}
