//! What is read is not written: no flag can make a log, or what belongs to it, the place of another file.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::containment::real;
use super::{Log, PlanError, Targets, existing_summary};
use crate::cli::Cli;

/// Where a run is: its log, and the directory around it.
pub(super) type Place = (Log, Option<PathBuf>);

/// That nothing that the command line names for writing, and none of the `targets` of a run, is read in one of `places`
/// or written twice.
pub(super) fn keep_apart(
    cli: &Cli,
    places: &[Place],
    targets: &[&Targets],
) -> Result<(), PlanError> {
    let output = cli.writing.output.as_deref();
    let others = [
        &cli.writing.samples,
        &cli.writing.html,
        &cli.checking.junit,
        &cli.following.live_snapshot,
    ];
    let others = || others.into_iter().filter_map(Option::as_deref);
    let read = all_real(
        places
            .iter()
            .flat_map(read_in)
            .chain(cli.checking.expect.clone()),
    );
    let (summaries, originals) = summaries(cli, places);
    let checked = |path: &Path, kept: &[&HashSet<PathBuf>]| match real(path) {
        Ok(real) if kept.iter().any(|kept| kept.contains(&real)) => {
            Err(PlanError::ReadAndWritten(path.to_owned()))
        }
        _ => Ok(()),
    };
    for path in targets.iter().flat_map(|targets| targets.paths()) {
        checked(path, &[&read])?;
    }
    output.map_or(Ok(()), |path| checked(path, &[&originals]))?;
    for path in others() {
        checked(path, &[&read, &originals, &summaries])?;
    }
    let nothing = [&Targets::default()];
    for targets in targets.iter().chain(&nothing) {
        let mut written = HashSet::new();
        for path in targets.paths().chain(others()) {
            if real(path).is_ok_and(|real| !written.insert(real)) {
                return Err(PlanError::WrittenTwice(path.to_owned()));
            }
        }
    }
    Ok(())
}

/// The files of a run that are read, but for its summary.
fn read_in((log, dir): &Place) -> impl Iterator<Item = PathBuf> {
    let log = match log {
        Log::Path(path) => Some(path.clone()),
        Log::Stdin => None,
    };
    let config = dir.as_ref().map(|dir| dir.join("config.yaml"));
    log.into_iter().chain(config)
}

/// The summaries of runs, and where their originals are kept.
fn summaries(cli: &Cli, places: &[Place]) -> (HashSet<PathBuf>, HashSet<PathBuf>) {
    let all: Vec<PathBuf> = places
        .iter()
        .filter_map(|(_, dir)| existing_summary(dir.as_deref(), cli).ok().flatten())
        .collect();
    let original = |path: &PathBuf| path.with_file_name("result_summary.orig.json");
    let originals = all_real(all.iter().map(original));
    (all_real(all), originals)
}

fn all_real(paths: impl IntoIterator<Item = PathBuf>) -> HashSet<PathBuf> {
    let paths = paths.into_iter();
    paths.filter_map(|path| real(&path).ok()).collect()
}
