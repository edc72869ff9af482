//! A run's figures → its files, its record, and what a person sees of it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use serde_json::Value;

use super::count::{self, Counted, chain};
use super::pages::{Besides, Pages, page};
use super::provenance::{Record, TemplateDate};
use super::rewrite::{self, Files};
use super::show;
use super::table::before_and_after;
use super::verdict::{Verdict, plural};
use crate::cli::{Cli, Format};
use crate::files::atomic::Prepared;
use crate::files::lock::RunLock;
use crate::html::Page;
use crate::pipeline::Finished;
use crate::plan::{self, RunPlan};
use crate::process::exit;
use crate::report::{self, Attachments};
use crate::terminal::{Messages, one_line};

/// Keeps others from rewriting the run meanwhile, and tidies up after one that was killed.
pub(super) fn lock(plan: &RunPlan, messages: Messages) -> anyhow::Result<RunLock> {
    let lock = RunLock::take(plan.folders.iter().map(PathBuf::as_path))?;
    for (folder, why) in &lock.unlocked {
        let folder = folder.display();
        messages.detail(format!(
            "{folder} cannot be locked ({why}): do not rewrite it twice at a time"
        ));
    }
    let left: usize = plan
        .targets
        .paths()
        .map(crate::files::atomic::remove_leftovers)
        .sum();
    if left > 0 {
        messages.detail(format!(
            "removed {} that a killed run left behind",
            plural(left as u64, "temporary file")
        ));
    }
    Ok(lock)
}

/// What came of a run.
pub(super) struct Concluded {
    pub exit_code: u8,
    pub verdict: Verdict,
    /// Its page, if it has one.
    pub page: Option<Page>,
}

/// Writes and shows what was counted since `started`, with the table of samples and the page. The run is locked.
pub(super) fn conclude(
    cli: &Cli,
    messages: Messages,
    plan: &RunPlan,
    mut counted: Counted,
    (samples, besides): (Option<Prepared>, Besides),
    started: Instant,
) -> anyhow::Result<Concluded> {
    let files = render(plan, &counted.finished)?;
    counted.seconds.total = started.elapsed().as_secs_f64();
    let samples_path = samples.as_ref().map(Prepared::path);
    let record = Record::of(plan, counted, &files.summary, samples_path)?;
    let mut json = serde_json::to_string_pretty(&record)?;
    json.push('\n');
    let (page, prepared) = match &plan.page {
        Some(target) => {
            let page = page(plan, &record, &files.summary, besides)?;
            let prepared = Pages::prepare(target, &page)?;
            (Some(page), prepared)
        }
        None => (None, None),
    };
    let prepared = samples.into_iter().chain(prepared);
    if let Some(error) = rewrite::write(plan, &files, json.as_bytes(), prepared)? {
        let why = chain(&error);
        messages.warn(format!(
            "a power cut may bring old files back: {why}; run it again"
        ));
    }
    show_record(cli, messages, &record)?;
    let exit_code = if record.verdict.complete {
        exit::COMPLETE
    } else {
        exit::INCOMPLETE
    };
    Ok(Concluded {
        exit_code,
        verdict: record.verdict,
        page,
    })
}

/// The verdict and what is odd on stderr, the figures on stdout.
fn show_record(cli: &Cli, messages: Messages, record: &Record) -> anyhow::Result<()> {
    let verdict = &record.verdict;
    if !verdict.complete || !verdict.reasons.is_empty() {
        for reason in &verdict.reasons {
            messages.warn(format!("{}: {reason}", record.run));
        }
        verdict
            .damaged_lines
            .iter()
            .for_each(|line| messages.note(line));
    }
    if let Some(note) = record.anomalies.fallback_note() {
        messages.note(note);
    }
    match &record.template_date {
        Some(TemplateDate { date, source }) => messages.note(format!(
            "a chat template shows the date: counted as of {date}, {source} (--date sets another)"
        )),
        None => messages
            .detail("no chat template shows the date: it cannot matter when this is counted"),
    }
    let shown = match cli.display.format {
        Format::Json => serde_json::to_string(record)? + "\n",
        Format::Text => text(record),
    };
    show(&shown).with_context(|| match record.written.as_slice() {
        [] => "cannot write the figures to stdout".to_owned(),
        files => format!(
            "cannot write the figures to stdout; written: {}",
            files.join(", ")
        ),
    })
}

/// What a person reads at the end.
fn text(record: &Record) -> String {
    let mut text = before_and_after(record.before.as_ref(), &record.after);
    let verdict = &record.verdict;
    let samples = record.after.n_samples_completed.unwrap_or_default();
    let complete = verdict.outcome();
    let _ = writeln!(
        text,
        "\n{}: {complete}, {samples} samples completed",
        one_line(&record.run)
    );
    match record.written.as_slice() {
        [] => text.push_str("nothing written\n"),
        paths => {
            let _ = writeln!(text, "written: {}", one_line(&paths.join(", ")));
        }
    }
    text
}

/// Every file of the report, in memory: nothing is written before all of them are known.
fn render(plan: &RunPlan, finished: &Finished) -> anyhow::Result<Files> {
    let summary = count::summary(plan, plan.previous.as_deref(), finished)?;
    let attached = |name: &str| -> anyhow::Result<Option<Value>> {
        let Some(path) = plan
            .dir
            .as_ref()
            .map(|dir| dir.join(name))
            .filter(|path| path.is_file())
        else {
            return Ok(None);
        };
        let bytes = plan::read_small(&path)?;
        Ok(Some(serde_json::from_slice(&bytes).with_context(|| {
            format!("{} is not JSON", path.display())
        })?))
    };
    let (accuracy, profiling) = match plan.targets.report {
        Some(_) => (
            attached("accuracy/accuracy_results.json")?,
            attached("profiling.json")?,
        ),
        None => (None, None),
    };
    let attachments = Attachments {
        accuracy: accuracy.as_ref(),
        profiling: profiling.as_ref(),
    };
    let report = report::render_text(&summary, attachments)?;
    Ok(Files {
        report,
        snapshot: finished.snapshot.render(),
        summary,
    })
}
