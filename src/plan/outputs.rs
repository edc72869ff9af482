//! The registry of outputs: every path that is written, and the rules that hold for it.

use std::path::{Path, PathBuf};

use super::files::SummaryFile;
use super::find::folder_of;
use super::{PageTarget, PlanError, RunOptions, containment};
use crate::cli::{Artifact, Cli, Writing};
use crate::report::ClientVersion;

/// The rules that hold for an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutputKind {
    /// A file of the report. It may replace a summary.
    Report,
    /// The copy of the original summary.
    Original,
    /// A file that a flag names. It replaces nothing of a run.
    Extra,
}

/// The files that are written for one run; `None` where they are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunOutputs {
    /// result_summary.json
    pub summary: Option<PathBuf>,
    /// result_summary.orig.json, the copy of the original summary
    pub original: Option<PathBuf>,
    /// report.txt
    pub report: Option<PathBuf>,
    /// final_snapshot.json
    pub snapshot: Option<PathBuf>,
    /// recompute.json
    pub provenance: Option<PathBuf>,
    /// `--samples`
    pub samples: Option<PathBuf>,
    /// `--html`
    pub page: Option<PageTarget>,
    /// `--live-snapshot`
    pub live_snapshot: Option<PathBuf>,
    /// Folders of the run that one process at a time may rewrite.
    pub locked_folders: Vec<PathBuf>,
}

/// The files that are written once, however many runs there are; `None` where they are not.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedOutputs {
    /// The index of the pages of several runs.
    pub page_index: Option<PathBuf>,
    /// `--junit`
    pub junit: Option<PathBuf>,
}

impl RunOutputs {
    /// Decides what is written for the run in `dir`, which has the summary `existing`.
    pub(super) fn new(
        dir: Option<&Path>,
        existing: Option<&SummaryFile>,
        options: &RunOptions,
        client: ClientVersion,
    ) -> Result<Self, PlanError> {
        let writing = &options.writing;
        let mut outputs = Self {
            samples: writing.samples.clone(),
            live_snapshot: options.live_snapshot.clone(),
            ..Self::default()
        };
        if writing.dry_run {
            return Ok(outputs);
        }
        if let Some(output) = &writing.output {
            let beside = |name: &str, _: &str| output.with_file_name(name);
            outputs.put_report(output.clone(), beside, &writing.write);
            return Ok(outputs);
        }
        let existing = existing.map(|summary| summary.path.clone());
        let summary = existing
            .or_else(|| dir.map(|dir| new_summary(dir, client)))
            .ok_or(PlanError::NowhereToWrite)?;
        outputs.put_into_run(dir, summary, writing)?;
        Ok(outputs)
    }

    fn put_into_run(
        &mut self,
        dir: Option<&Path>,
        summary: PathBuf,
        writing: &Writing,
    ) -> Result<(), PlanError> {
        let beside = folder_of(&summary).to_owned();
        let folder = dir.or(summary.parent()).unwrap_or(Path::new("")).to_owned();
        if writing.write.contains(&Artifact::Summary) {
            self.original = Some(original_of(&summary));
        }
        let in_run = |name: &str, inner: &str| folder.join(inner).join(name);
        self.put_report(summary, in_run, &writing.write);
        // A summary that the command line names may be anywhere; the files beside it must not lead on.
        let named = writing.summary.as_deref();
        let root = dir.unwrap_or(&beside);
        let roots = [named.map_or(root, folder_of), root];
        let written = self.report_files().filter(|path| Some(*path) != named);
        containment::check(&roots, written)?;
        self.locked_folders = [root.to_owned(), beside].into();
        Ok(())
    }

    /// Sets the files of a report; `place` returns the path of a file for its name and its folder in a run.
    fn put_report(
        &mut self,
        summary: PathBuf,
        place: impl Fn(&str, &str) -> PathBuf,
        artifacts: &[Artifact],
    ) {
        let wants = |artifact| artifacts.contains(&artifact);
        self.report = wants(Artifact::Report).then(|| place("report.txt", ""));
        self.snapshot = wants(Artifact::Snapshot).then(|| place("final_snapshot.json", "metrics"));
        self.provenance = Some(summary.with_file_name("recompute.json"));
        self.summary = wants(Artifact::Summary).then_some(summary);
    }

    /// Returns every file. A new output must be added here, or this does not compile.
    pub(super) fn all(&self) -> impl Iterator<Item = (OutputKind, &Path)> {
        let Self {
            summary,
            original,
            report,
            snapshot,
            provenance,
            samples,
            page,
            live_snapshot,
            locked_folders: _,
        } = self;
        let page = page.as_ref().map(|page| &*page.path);
        let all = [
            (OutputKind::Report, summary.as_deref()),
            (OutputKind::Report, report.as_deref()),
            (OutputKind::Report, snapshot.as_deref()),
            (OutputKind::Report, provenance.as_deref()),
            (OutputKind::Original, original.as_deref()),
            (OutputKind::Extra, samples.as_deref()),
            (OutputKind::Extra, page),
            (OutputKind::Extra, live_snapshot.as_deref()),
        ];
        all.into_iter()
            .filter_map(|(kind, path)| Some((kind, path?)))
    }

    /// Returns the files of the report, the copy of the original summary included.
    pub fn report_files(&self) -> impl Iterator<Item = &Path> {
        self.all()
            .filter(|(kind, _)| *kind != OutputKind::Extra)
            .map(|(_, path)| path)
    }
}

impl SharedOutputs {
    pub(super) fn new(cli: &Cli, runs: usize) -> Self {
        Self {
            page_index: cli.writing.html.clone().filter(|_| runs > 1),
            junit: cli.checking.junit.clone(),
        }
    }

    /// Returns every file. A new output must be added here, or this does not compile.
    pub(super) fn all(&self) -> impl Iterator<Item = (OutputKind, &Path)> {
        let Self { page_index, junit } = self;
        let all = [page_index, junit];
        all.into_iter()
            .filter_map(|path| Some((OutputKind::Extra, path.as_deref()?)))
    }
}

/// Returns where the original of a summary is kept.
pub(super) fn original_of(summary: &Path) -> PathBuf {
    summary.with_file_name("result_summary.orig.json")
}

/// Returns where the summary of a run without one belongs: in a run directory where its client writes it, else beside
/// the log.
fn new_summary(dir: &Path, client: ClientVersion) -> PathBuf {
    let is_run = dir.join("config.yaml").exists() || dir.join("performance").is_dir();
    let version = if is_run { client } else { ClientVersion::V0_5 };
    dir.join(version.summary_path())
}
