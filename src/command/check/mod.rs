//! `--check`: recounts runs without writing into them, and reports the differences and their kinds.

mod checked_run;
mod diagnosis;
mod github;
mod junit;
mod rows;
mod criteria;
mod text;

use std::error::Error;
use std::mem;
use std::rc::Rc;

use anyhow::Context;

use self::checked_run::{CheckedRun, Document};
use self::criteria::Criteria;
use self::diagnosis::Diagnosis;
use super::baseline::Baseline;
use super::count::{self, CountedRun, Counter};
use super::pages::{Pages, page};
use super::provenance::Provenance;
use super::row_sinks::RowSinks;
use super::verdict::Verdict;
use super::{Session, caught, show};
use crate::cpu::Pools;
use crate::html::{Page, PageStats};
use crate::metric::Metric;
use crate::plan::{CheckPlan, Format, RunPlan, Unresolved, Verbosity};
use crate::process::{error_chain, exit};
use crate::report::check::{Comparison, DifferenceKind, FlatSummary, Tolerances, compare};

struct Checker<'a> {
    session: Session<'a>,
    options: &'a CheckPlan,
    counter: Counter<'a>,
    criteria: Criteria,
    /// The baseline that `--against` names, loaded for the first run.
    baseline: Option<Rc<Baseline>>,
    pages: Pages<'a>,
}

/// Checks every run and returns the exit code.
pub(super) fn run(session: Session, options: &CheckPlan, pools: &Pools) -> anyhow::Result<u8> {
    let plan = session.plan;
    let mut checker = Checker {
        session,
        options,
        counter: Counter::new(session, pools),
        criteria: Criteria::read(options, plan.baseline.is_some())?,
        baseline: None,
        pages: Pages::new(&plan.outputs),
    };
    let runs: Vec<CheckedRun> = plan.runs.iter().map(|run| checker.run(run)).collect();
    let exit_code = exit::worst(runs.iter().map(|run| run.exit_code));
    if let Some(path) = &plan.outputs.junit {
        crate::files::atomic::replace(path, junit::render(&runs)?.as_bytes())?;
    }
    checker.pages.finish()?;
    github::report(&runs, plan.display.format, session.messages)?;
    let shown = match plan.display.format {
        Format::Json => {
            let document = Document {
                tool: "tok-recompute",
                version: env!("CARGO_PKG_VERSION"),
                exit_code,
                runs: &runs,
            };
            serde_json::to_string(&document)? + "\n"
        }
        Format::Text => text::render(&runs, plan.display.verbosity == Verbosity::Verbose),
    };
    show(&shown).context("cannot write the outcome to stdout")?;
    Ok(exit_code)
}

impl Checker<'_> {
    fn run(&mut self, run: &Result<RunPlan, Unresolved>) -> CheckedRun {
        match run {
            Ok(run) => caught(|| self.check(run))
                .unwrap_or_else(|error| self.failed(&run.name, error.as_ref())),
            Err(unresolved) => self.failed(&unresolved.run, &unresolved.error),
        }
    }

    fn failed(&mut self, run: &str, error: &(dyn Error + 'static)) -> CheckedRun {
        self.session.messages.error(error);
        let why = error_chain(error);
        self.pages.list_failed(run, why.clone());
        CheckedRun::failed(run.to_owned(), why)
    }

    fn check(&mut self, plan: &RunPlan) -> anyhow::Result<CheckedRun> {
        let baseline = self.baseline(plan)?;
        let own = plan.previous.as_deref();
        let own = own.map(serde_json::from_slice).transpose()?;
        let own = own.as_ref().map(FlatSummary::of).unwrap_or_default();
        let before = baseline.as_ref().map(|baseline| &baseline.fields);
        self.criteria.validate(&[&own, before.unwrap_or(&own)])?;

        let mut sinks = RowSinks::new(plan);
        let mut counted = self.counter.count(plan, sinks.sink())?;
        // A forced client counts by its rules; the keys compared are those of the run.
        counted.result.snapshot.client = plan.client.shown();
        let rows = sinks.finish()?;
        if let Some(samples) = rows.samples {
            samples.rename()?.sync()?;
        }
        let verdict = Verdict::of(&counted.result);
        for line in &verdict.damaged_lines {
            self.session.messages.note(format!("{}: {line}", plan.name));
        }
        let after = recounted_summary(plan, baseline.as_deref(), &counted)?;
        let tolerances = &self.criteria.tolerances;
        let comparison = before.map(|before| compare(before, &after, tolerances));
        if baseline.is_none() && plan.previous.is_some() {
            self.note_unjudged(&compare(&own, &after, &Tolerances::default()));
        }
        let diagnosis = match (&comparison, &baseline) {
            (Some(comparison), Some(baseline)) if verdict.complete && only_tokens(comparison) => {
                self.diagnose(plan, baseline, &counted)?
            }
            _ => None,
        };
        let expectations = self.criteria.expectations.as_ref();
        let expectations = expectations.map(|all| all.judge(&after));
        let checked = CheckedRun {
            against: baseline.as_ref().map(|baseline| baseline.name.clone()),
            diagnosis,
            ..CheckedRun::new(
                plan.name.clone(),
                verdict,
                comparison,
                expectations.unwrap_or_default(),
            )
        };
        self.page(
            plan,
            &checked,
            (counted, rows.page_stats),
            baseline.as_deref(),
        )?;
        Ok(checked)
    }

    /// Writes the run's page, if one is requested.
    fn page(
        &mut self,
        plan: &RunPlan,
        checked: &CheckedRun,
        (mut counted, stats): (CountedRun, Option<PageStats>),
        baseline: Option<&Baseline>,
    ) -> anyhow::Result<()> {
        let Some(target) = &plan.outputs.page else {
            return Ok(());
        };
        let bytes = baseline.map(|baseline| &*baseline.bytes);
        let summary = count::summary(plan, plan.previous.as_deref().or(bytes), &counted.result)?;
        let super_passes = mem::take(&mut counted.result.super_passes);
        let provenance = Provenance::new(plan, counted, &summary)?;
        let shown = baseline.filter(|_| self.session.plan.baseline.is_some());
        let side = shown.map(|baseline| baseline.side.clone());
        let page = Page {
            check: Some(text::page_section(checked)),
            ..page(plan, &provenance, &summary, stats, super_passes, side)?
        };
        if let Some(prepared) = Pages::prepare(target, &page)? {
            prepared.rename()?.sync()?;
        }
        self.pages.list(target, page, text::outcome(checked));
        Ok(())
    }

    /// The summary to compare the run with; `None` if only expectations are judged.
    fn baseline(&mut self, plan: &RunPlan) -> anyhow::Result<Option<Rc<Baseline>>> {
        if let Some(against) = &self.session.plan.baseline {
            if self.baseline.is_none() {
                let baseline =
                    Baseline::load(against, &mut self.counter, plan.outputs.page.is_some())?;
                self.baseline = Some(Rc::new(baseline));
            }
            return Ok(self.baseline.clone());
        }
        if self.criteria.only_expectations {
            return Ok(None);
        }
        Ok(Some(Rc::new(Baseline::own(plan)?)))
    }

    /// Searches the tokenizer that reproduces the run's token counts. An incomplete summary tells nothing about that.
    fn diagnose(
        &mut self,
        plan: &RunPlan,
        baseline: &Baseline,
        counted: &CountedRun,
    ) -> anyhow::Result<Option<Diagnosis>> {
        if !baseline.complete {
            return Ok(None);
        }
        let tolerances = &self.criteria.tolerances;
        let reproduces = |counted: &CountedRun| -> anyhow::Result<bool> {
            let after = recounted_summary(plan, Some(baseline), counted)?;
            let again = compare(&baseline.fields, &after, tolerances);
            // A tolerance does not apply to lengths here: the same tokenizer gives exactly the same counts.
            let lengths = [Metric::Isl, Metric::Osl].map(Metric::summary_key);
            let exact = !(again.allowed.iter()).any(|it| lengths.contains(&Some(it.group())));
            let same = (again.kinds().iter()).all(|kind| *kind == DifferenceKind::Description);
            Ok(exact && same)
        };
        let counter = &mut self.counter;
        diagnosis::diagnose(
            &self.options.try_tokenizers,
            counter,
            plan,
            counted,
            reproduces,
        )
        .map(Some)
    }

    /// Reports differences from the run's own summary, which expectations alone do not judge.
    fn note_unjudged(&self, own: &Comparison) {
        if !own.differences.is_empty() {
            self.session.messages.note(format!(
                "the recount differs from the run's own summary in {} of {} fields; --expect alone does not judge that (--tolerance '*=0' does)",
                own.differences.len(),
                own.fields
            ));
        }
    }
}

/// The summary of a recount. Descriptions that only one of the two summaries can have do not count as differences.
fn recounted_summary(
    plan: &RunPlan,
    baseline: Option<&Baseline>,
    counted: &CountedRun,
) -> anyhow::Result<FlatSummary> {
    let described = baseline.is_none_or(|baseline| baseline.described);
    let own = plan.previous.as_deref().filter(|_| described);
    let previous = own.or(baseline.map(|baseline| &*baseline.bytes));
    let summary = count::summary(plan, previous, &counted.result)?;
    Ok(FlatSummary::of(&serde_json::from_slice(&summary)?))
}

/// Returns true if of all measured values only token counts differ.
fn only_tokens(comparison: &Comparison) -> bool {
    let kinds = comparison.kinds();
    let measured = |kind: &&DifferenceKind| **kind != DifferenceKind::Description;
    kinds
        .iter()
        .filter(measured)
        .eq([&DifferenceKind::Tokenizer])
}
