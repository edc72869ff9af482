//! Checks that a report stays in its run: a run is not trusted, and a link in it may lead anywhere.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::PlanError;

/// Checks that each of `outputs`, links followed, is below one of `roots`. A dangling link is refused as well.
pub(super) fn check<'a>(
    roots: &[&Path],
    outputs: impl Iterator<Item = &'a Path>,
) -> Result<(), PlanError> {
    let roots: Vec<PathBuf> = roots
        .iter()
        .filter_map(|root| root.canonicalize().ok())
        .collect();
    for output in outputs {
        let path = output.to_owned();
        match resolve_links(output) {
            Err(source) => return Err(PlanError::Read { path, source }),
            Ok(to) if roots.iter().any(|root| to.starts_with(root)) => {}
            Ok(leads_to) => return Err(PlanError::LeavesTheRun { path, leads_to }),
        }
    }
    Ok(())
}

/// Returns where `path` leads; a file that does not exist yet is placed in its folder.
pub(super) fn resolve_links(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    if let Ok(link) = fs::read_link(path) {
        return Ok(link);
    }
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if folder != Path::new("") => {
            Ok(resolve_links(folder)?.join(name))
        }
        (_, Some(name)) => Ok(Path::new(".").canonicalize()?.join(name)),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::check as check_containment;
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
            match (
                check_containment(&[&root], [&*target].into_iter()),
                leads_to,
            ) {
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
