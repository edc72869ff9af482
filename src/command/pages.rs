//! `--html`: a page for each run that was counted, and an index if there are several.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, bail};
use serde_json::Value;

use super::provenance::{LogRecord, Provenance};
use crate::files::atomic::{StagedFile, remove_stale_temporaries, replace, stage};
use crate::html::{self, GENERATOR_PREFIX, Index, IndexRow, Page, PageRun, PageStats};
use crate::number::count;
use crate::plan::{PageTarget, RunPlan, SharedOutputs};
use crate::stats::steady_state::SuperPassPoint;

/// The start of a file that is searched for its generator, in bytes.
const HEAD_BYTES: u64 = 4096;

/// The pages of all runs, and their index.
pub(super) struct Pages<'a> {
    index: Option<&'a Path>,
    runs: Vec<IndexRow>,
}

impl<'a> Pages<'a> {
    pub fn new(outputs: &'a SharedOutputs) -> Self {
        Self {
            index: outputs.page_index.as_deref(),
            runs: Vec::new(),
        }
    }

    /// Prepares a run's page; returns `None` if the file has these bytes already.
    pub fn prepare(target: &PageTarget, page: &Page) -> anyhow::Result<Option<StagedFile>> {
        check_replaceable(&target.path)?;
        remove_stale_temporaries(&target.path);
        Ok(stage(&target.path, page.render().as_bytes())?)
    }

    /// Adds a run whose page is in its place.
    pub fn list(&mut self, target: &PageTarget, page: Page, outcome: String) {
        let good = page
            .check
            .map_or(page.verdict.complete, |check| check.passed);
        self.runs.push(IndexRow {
            name: page.run.name,
            link: Some(target.link.clone()),
            outcome,
            good,
            summary: page.run.summary,
        });
    }

    /// Adds a run without a page.
    pub fn list_failed(&mut self, run: &str, why: String) {
        self.runs.push(IndexRow {
            name: run.to_owned(),
            link: None,
            outcome: why,
            good: false,
            summary: Value::Null,
        });
    }

    /// Writes the index, if the plan has one.
    pub fn finish(self) -> anyhow::Result<()> {
        let Some(path) = self.index else {
            return Ok(());
        };
        check_replaceable(path)?;
        remove_stale_temporaries(path);
        replace(path, Index { runs: self.runs }.render().as_bytes())?;
        Ok(())
    }
}

/// Returns the content of a run's page; `summary` is the bytes of its new summary.
pub(super) fn page(
    run: &RunPlan,
    provenance: &Provenance,
    summary: &[u8],
    stats: Option<PageStats>,
    super_passes: Vec<SuperPassPoint>,
    baseline: Option<Rc<PageRun>>,
) -> anyhow::Result<Page> {
    let before = run.previous.as_deref().map(serde_json::from_slice);
    let verdict = &provenance.verdict;
    Ok(Page {
        run: PageRun {
            name: run.name.clone(),
            summary: serde_json::from_slice(summary)?,
            stats,
            super_passes,
        },
        before: before.transpose()?,
        baseline,
        verdict: html::PageVerdict {
            complete: verdict.complete,
            state: verdict.state.to_owned(),
            reasons: verdict.reasons.clone(),
            damaged_lines: verdict.damaged_lines.clone(),
        },
        anomalies: provenance.anomalies.list(),
        check: None,
        facts: facts(run, provenance),
        index: (run.outputs.page.as_ref()).and_then(|target| target.index.clone()),
    })
}

/// Returns how a run was counted, as names and values.
fn facts(run: &RunPlan, provenance: &Provenance) -> Vec<(&'static str, String)> {
    let on = |on: bool| if on { "on" } else { "off" }.to_owned();
    let LogRecord { path, bytes, lines } = &provenance.log;
    let mut facts = vec![(
        "Log",
        format!("{path}: {} lines, {} bytes", count(*lines), count(*bytes)),
    )];
    facts.push(("Client", client_fact(run)));
    match &provenance.tokenizer {
        Some(tokenizer) => facts.extend(tokenizer.facts()),
        None => facts.push(("Tokenizer", "none: only token ids were counted".to_owned())),
    }
    let date = provenance.template_date.as_ref();
    facts.extend(date.map(|date| {
        (
            "Date in templates",
            format!("{}, {}", date.date, date.source),
        )
    }));
    facts.push(("Streaming", on(provenance.streaming)));
    facts.push(("Early-stopping estimates", on(provenance.early_stopping)));
    facts.push(("Window of QPS and TPS", provenance.qps_window.to_owned()));
    facts.extend(
        provenance
            .assumed
            .iter()
            .map(|line| ("Assumed", line.clone())),
    );
    facts.push((
        "Counted by",
        format!("{} {}", provenance.tool, provenance.version),
    ));
    facts
}

/// Returns the client's version, its evidence, and the versions that the run does not tell it from.
fn client_fact(run: &RunPlan) -> String {
    let client = &run.client;
    let mut fact = format!("{} ({})", client.version.label(), client.evidence);
    let others: Vec<_> = (client.ambiguous_with.iter())
        .map(|other| other.label())
        .collect();
    if !others.is_empty() {
        fact += &format!("; it may also be {}", others.join(", "));
    }
    fact
}

/// Checks that the file at `path` may be replaced: it does not exist, is empty, or is a page of ours.
fn check_replaceable(path: &Path) -> anyhow::Result<()> {
    // Writing reports any other error; opening a pipe here could block.
    if path.is_file() && !is_generated_page(path)? {
        bail!(
            "{} exists and is not a page of tok-recompute: name another with --html, or remove it",
            path.display()
        );
    }
    Ok(())
}

fn is_generated_page(path: &Path) -> anyhow::Result<bool> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    read.with_context(|| format!("cannot read {}", path.display()))?;
    let mut parts = head.windows(GENERATOR_PREFIX.len());
    Ok(head.is_empty() || parts.any(|part| part == GENERATOR_PREFIX.as_bytes()))
}
