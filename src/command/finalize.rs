//! A run's figures → its files, its provenance, and the output on the terminal.

use std::fmt::Write as _;
use std::mem;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use anyhow::Context;
use serde_json::Value;

use super::count::{self, CountedRun};
use super::pages::{Pages, page};
use super::provenance::{Provenance, TemplateDate};
use super::rewrite::{self, Files};
use super::row_sinks::RowOutputs;
use super::table::before_and_after;
use super::verdict::{Verdict, plural};
use super::{Session, show};
use crate::files::atomic;
use crate::files::lock::RunLock;
use crate::html::{Page, PageRun};
use crate::pipeline::RunResult;
use crate::plan::{self, Format, RunPlan};
use crate::process::{error_chain, exit};
use crate::report::{Attachments, SteadyHeadline};
use crate::terminal::{Messages, one_line};

/// Keeps other processes from rewriting the run, and removes the temporary files of one that was killed.
pub(super) fn lock(run: &RunPlan, messages: Messages) -> anyhow::Result<RunLock> {
    let lock = RunLock::acquire(run.outputs.locked_folders.iter().map(PathBuf::as_path))?;
    for (folder, why) in &lock.unlocked {
        let folder = folder.display();
        messages.detail(format!(
            "{folder} cannot be locked ({why}): do not rewrite it twice at a time"
        ));
    }
    let files = run.outputs.report_files();
    let left: usize = files.map(atomic::remove_stale_temporaries).sum();
    if left > 0 {
        messages.detail(format!(
            "removed {} that a killed run left behind",
            plural(left as u64, "temporary file")
        ));
    }
    Ok(lock)
}

/// A run that is written and shown.
pub(super) struct Finalized {
    pub exit_code: u8,
    pub verdict: Verdict,
    /// Its page, if it has one.
    pub page: Option<Page>,
}

/// Writes and shows the run that was counted since `started`. The run is locked.
pub(super) fn finalize(
    session: Session,
    run: &RunPlan,
    mut counted: CountedRun,
    rows: RowOutputs,
    baseline: Option<Rc<PageRun>>,
    started: Instant,
) -> anyhow::Result<Finalized> {
    let files = render(run, &counted.result)?;
    let super_passes = mem::take(&mut counted.result.super_passes);
    counted.seconds.total = started.elapsed().as_secs_f64();
    let provenance = Provenance::new(run, counted, &files.summary)?;
    let mut json = serde_json::to_string_pretty(&provenance)?;
    json.push('\n');
    let (page, prepared) = match &run.outputs.page {
        Some(target) => {
            let page = page(
                run,
                &provenance,
                &files.summary,
                rows.page_stats,
                super_passes,
                baseline,
            )?;
            let prepared = Pages::prepare(target, &page)?;
            (Some(page), prepared)
        }
        None => (None, None),
    };
    let prepared = rows.samples.into_iter().chain(prepared);
    if let Some(error) = rewrite::write(run, &files, json.as_bytes(), prepared)? {
        let why = error_chain(&error);
        session.messages.warn(format!(
            "a power cut may bring old files back: {why}; run it again"
        ));
    }
    report_outcome(session, &provenance)?;
    let exit_code = if provenance.verdict.complete {
        exit::COMPLETE
    } else {
        exit::INCOMPLETE
    };
    Ok(Finalized {
        exit_code,
        verdict: provenance.verdict,
        page,
    })
}

/// Shows the verdict and anomalies on stderr, the figures on stdout.
fn report_outcome(session: Session, provenance: &Provenance) -> anyhow::Result<()> {
    let messages = session.messages;
    let verdict = &provenance.verdict;
    for reason in &verdict.reasons {
        messages.warn(format!("{}: {reason}", provenance.run));
    }
    if !verdict.complete || !verdict.reasons.is_empty() {
        let lines = verdict.damaged_lines.iter();
        lines.for_each(|line| messages.note(line));
    }
    provenance
        .anomalies
        .notes()
        .for_each(|note| messages.note(note));
    if !provenance.kept_keys.is_empty() {
        messages.note(format!(
            "the summary has keys that no known client writes; they are kept, not recounted: {}",
            provenance.kept_keys.join(", ")
        ));
    }
    match &provenance.template_date {
        Some(TemplateDate { date, source }) => messages.note(format!(
            "a chat template shows the date: counted as of {date}, {source} (--date sets another)"
        )),
        None => messages
            .detail("no chat template shows the date: it cannot matter when this is counted"),
    }
    let shown = match session.plan.display.format {
        Format::Json => serde_json::to_string(provenance)? + "\n",
        Format::Text => text(provenance),
    };
    show(&shown).with_context(|| match provenance.written.as_slice() {
        [] => "cannot write the figures to stdout".to_owned(),
        files => format!(
            "cannot write the figures to stdout; written: {}",
            files.join(", ")
        ),
    })
}

/// Renders the output on stdout.
fn text(provenance: &Provenance) -> String {
    let mut text = before_and_after(provenance.before.as_ref(), &provenance.after);
    if let Some(SteadyHeadline {
        found: false,
        reason,
        ..
    }) = &provenance.after.steady_state
    {
        let reason = reason.as_deref().unwrap_or_default();
        _ = writeln!(text, "steady state: not found ({})", one_line(reason));
    }
    let samples = provenance.after.n_samples_completed.unwrap_or_default();
    let outcome = provenance.verdict.outcome();
    let run = one_line(provenance.run);
    let client = provenance.client.version.label();
    _ = writeln!(
        text,
        "\n{run}: {outcome}, {samples} samples completed, client {client}"
    );
    match provenance.written.as_slice() {
        [] => text.push_str("nothing written\n"),
        paths => _ = writeln!(text, "written: {}", one_line(&paths.join(", "))),
    }
    text
}

/// Renders every file of the report: nothing is written before all of them are known.
fn render(run: &RunPlan, result: &RunResult) -> anyhow::Result<Files> {
    let report = count::report(run, run.previous.as_deref(), result)?;
    let (mut accuracy, mut profiling) = (None, None);
    if run.outputs.report.is_some() {
        accuracy = attached(run, "accuracy/accuracy_results.json")?;
        profiling = attached(run, "profiling.json")?;
    }
    let attachments = Attachments {
        accuracy: accuracy.as_ref(),
        profiling: profiling.as_ref(),
    };
    Ok(Files {
        report: report.text(attachments)?,
        snapshot: result.snapshot.render(),
        summary: report.summary().to_owned(),
    })
}

/// Reads a file of the run that report.txt shows, if it exists.
fn attached(run: &RunPlan, name: &str) -> anyhow::Result<Option<Value>> {
    let path = run.dir.as_ref().map(|dir| dir.join(name));
    let Some(path) = path.filter(|path| path.is_file()) else {
        return Ok(None);
    };
    let value = serde_json::from_slice(&plan::read_small(&path)?);
    value
        .map(Some)
        .with_context(|| format!("{} is not JSON", path.display()))
}
