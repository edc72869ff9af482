//! A run is not trusted: what is written into it must not end up elsewhere, through a link that lies there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::PlanError;

/// That each of `targets`, links followed, lies below one of `roots`. A link to nothing leads nowhere good either.
pub(super) fn stay_inside<'a>(
    roots: &[&Path],
    targets: impl Iterator<Item = &'a Path>,
) -> Result<(), PlanError> {
    let failed = |path: &Path, source| PlanError::Read {
        path: path.to_owned(),
        source,
    };
    let roots: Vec<PathBuf> = roots
        .iter()
        .filter_map(|root| root.canonicalize().ok())
        .collect();
    for target in targets {
        let leads_to = real(target).map_err(|source| failed(target, source))?;
        if !roots.iter().any(|root| leads_to.starts_with(root)) {
            return Err(PlanError::LeavesTheRun {
                path: target.to_owned(),
                leads_to,
            });
        }
    }
    Ok(())
}

/// Where `path` leads; what is not there yet is where its folder is.
pub(super) fn real(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    if let Ok(link) = fs::read_link(path) {
        return Ok(link);
    }
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if folder != Path::new("") => Ok(real(folder)?.join(name)),
        (_, Some(name)) => Ok(Path::new(".").canonicalize()?.join(name)),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_may_lead_anywhere_in_the_run_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["run/performance", "run/store", "other"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("run/performance/plain"), "").unwrap();
        fs::write(at("run/store/real"), "").unwrap();
        fs::write(at("other/real"), "").unwrap();
        symlink("../store/real", at("run/performance/inside")).unwrap();
        symlink("../../other/real", at("run/performance/outside")).unwrap();
        symlink("../store/nothing", at("run/performance/dangling")).unwrap();
        symlink("loop", at("run/performance/loop")).unwrap();
        symlink("../other", at("run/linked")).unwrap();
        symlink("run", at("link-to-run")).unwrap();
        let check = |root: &str, target: &str, leads_to: Option<&str>| {
            let (root, target) = (at(root), at(target));
            match (stay_inside(&[&root], [&*target].into_iter()), leads_to) {
                (Ok(()), None) => {}
                (Err(error), Some(said)) => {
                    let error = format!("{error:?}");
                    assert!(error.contains(said), "{error}");
                }
                (got, _) => panic!("{}: {got:?}", target.display()),
            }
        };
        check("run", "run/performance/plain", None);
        check("run", "run/performance/inside", None);
        check("run", "run/performance/new", None);
        check("run", "run/metrics/new", None);
        check("link-to-run", "link-to-run/performance/plain", None);
        check("run", "run/performance/outside", Some("other/real"));
        check("run", "run/performance/dangling", Some("LeavesTheRun"));
        check("run", "run/performance/loop", Some("FilesystemLoop"));
        check("run", "run/linked/new", Some("other/new"));
        check("run", "run/../other/new", Some("other/new"));
    }
}
