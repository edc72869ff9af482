//! `--html`: a page for each run that was counted, and an index if there are several.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, bail};
use serde_json::Value;

use super::provenance::{LogRecord, Record};
use crate::cli::Cli;
use crate::files::atomic::{Prepared, prepare, remove_leftovers, replace};
use crate::html::{self, Entry, GENERATOR_PREFIX, Gather, Index, Page, Side};
use crate::plan::{PageTarget, RunPlan};

/// How far into a file its generator is looked for.
const HEAD_BYTES: u64 = 4096;

/// The pages of all runs.
pub(super) struct Pages<'a> {
    html: Option<&'a Path>,
    runs: Vec<Entry>,
}

impl<'a> Pages<'a> {
    pub fn new(cli: &'a Cli) -> Self {
        Self {
            html: cli.writing.html.as_deref(),
            runs: Vec::new(),
        }
    }

    /// A run's page, ready to be put in its place; nothing if that is there already.
    pub fn prepare(target: &PageTarget, page: &Page) -> anyhow::Result<Option<Prepared>> {
        ours(&target.path)?;
        remove_leftovers(&target.path);
        Ok(prepare(&target.path, page.render()?.as_bytes())?)
    }

    /// Notes a run whose page is in its place.
    pub fn list(&mut self, target: &PageTarget, page: Page, outcome: String) {
        let good = page
            .check
            .map_or(page.verdict.complete, |check| check.passed);
        self.runs.push(Entry {
            name: page.run.name,
            link: Some(target.link.clone()),
            outcome,
            good,
            summary: page.run.summary,
        });
    }

    /// Notes a run that has no page.
    pub fn list_failed(&mut self, run: &str, why: String) {
        self.runs.push(Entry {
            name: run.to_owned(),
            link: None,
            outcome: why,
            good: false,
            summary: Value::Null,
        });
    }

    /// Writes the index, if there are several runs.
    pub fn finish(self) -> anyhow::Result<()> {
        let Some(path) = self.html.filter(|_| self.runs.len() > 1) else {
            return Ok(());
        };
        ours(path)?;
        remove_leftovers(path);
        replace(path, Index { runs: self.runs }.render()?.as_bytes())?;
        Ok(())
    }
}

/// What a page shows besides the figures.
#[derive(Default)]
pub(super) struct Besides {
    /// What was gathered of the run's samples.
    pub gathered: Option<Gather>,
    /// What the run is compared with.
    pub against: Option<Rc<Side>>,
}

/// What a run's page shows. `summary`: the bytes of the one that its figures make.
pub(super) fn page(
    plan: &RunPlan,
    record: &Record,
    summary: &[u8],
    besides: Besides,
) -> anyhow::Result<Page> {
    let before = plan.previous.as_deref().map(serde_json::from_slice);
    let verdict = &record.verdict;
    Ok(Page {
        run: Side {
            name: record.run.clone(),
            summary: serde_json::from_slice(summary)?,
            gathered: besides.gathered,
        },
        before: before.transpose()?,
        against: besides.against,
        verdict: html::Verdict {
            complete: verdict.complete,
            state: verdict.state.to_owned(),
            reasons: verdict.reasons.clone(),
            damaged_lines: verdict.damaged_lines.clone(),
        },
        odd: record.anomalies.list(),
        check: None,
        facts: facts(record),
        index: plan.page.as_ref().and_then(|target| target.index.clone()),
    })
}

/// How a run was counted.
fn facts(record: &Record) -> Vec<(&'static str, String)> {
    let on = |on: bool| if on { "on" } else { "off" }.to_owned();
    let LogRecord { path, bytes, lines } = &record.log;
    let mut facts = vec![(
        "Log",
        format!(
            "{path}: {} lines, {} bytes",
            html::count(*lines),
            html::count(*bytes)
        ),
    )];
    match &record.tokenizer {
        Some(tokenizer) => facts.extend(tokenizer.facts()),
        None => facts.push(("Tokenizer", "none: only token ids were counted".to_owned())),
    }
    let date = record.template_date.as_ref();
    facts.extend(date.map(|date| {
        (
            "Date in templates",
            format!("{}, {}", date.date, date.source),
        )
    }));
    facts.push(("Streaming", on(record.streaming)));
    facts.push(("Early-stopping estimates", on(record.early_stopping)));
    facts.push(("Window of QPS and TPS", record.qps_window.to_owned()));
    facts.extend(record.assumed.iter().map(|line| ("Assumed", line.clone())));
    facts.push(("Counted by", format!("{} {}", record.tool, record.version)));
    facts
}

/// That what is at `path` may be overwritten: nothing, or a page of ours.
fn ours(path: &Path) -> anyhow::Result<()> {
    // What is wrong with anything else is said when it is written; opening a pipe would wait for somebody.
    if !path.is_file() {
        return Ok(());
    }
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    read.with_context(|| format!("cannot read {}", path.display()))?;
    let is_page = head
        .windows(GENERATOR_PREFIX.len())
        .any(|at| at == GENERATOR_PREFIX.as_bytes());
    if !head.is_empty() && !is_page {
        bail!(
            "{} is there and is no page of tok-recompute: name another with --html, or remove it",
            path.display()
        );
    }
    Ok(())
}
