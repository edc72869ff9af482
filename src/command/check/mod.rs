//! `--check`: recount runs, write nothing into them, say what differs and of which kind it is.

mod checked;
mod diagnosis;
mod github;
mod junit;
mod rows;
mod rules;
mod text;

use std::error::Error;
use std::rc::Rc;

use anyhow::Context;

use self::checked::{Checked, Document};
use self::diagnosis::Diagnosis;
use self::rules::Rules;
use super::baseline::Baseline;
use super::count::{self, CountedRun, Counter};
use super::pages::{Pages, page};
use super::provenance::Provenance;
use super::row_sinks::RowSinks;
use super::tokenizer::LoadedTokenizer;
use super::verdict::Verdict;
use super::{Session, caught, show};
use crate::cpu::Pools;
use crate::html::{Page, PageStats};
use crate::plan::{CheckPlan, Format, RunPlan, Unresolved, Verbosity};
use crate::process::{error_chain, exit};
use crate::report::check::{Comparison, Fields, Kind, Tolerances, compare};

struct Check<'a> {
    session: Session<'a>,
    options: &'a CheckPlan,
    counter: Counter<'a>,
    rules: Rules,
    /// What `--against` names, once it is known.
    against: Option<Rc<Baseline>>,
    pages: Pages<'a>,
}

/// Checks every run; the exit code.
pub(super) fn run(session: Session, options: &CheckPlan, pools: &Pools) -> anyhow::Result<u8> {
    let plan = session.plan;
    let mut check = Check {
        session,
        options,
        counter: Counter::new(session, pools),
        rules: Rules::read(options, plan.baseline.is_some())?,
        against: None,
        pages: Pages::new(&plan.outputs),
    };
    let runs: Vec<Checked> = plan.runs.iter().map(|run| check.run(run)).collect();
    let exit_code = exit::worst(runs.iter().map(|run| run.exit_code));
    if let Some(path) = &plan.outputs.junit {
        crate::files::atomic::replace(path, junit::render(&runs)?.as_bytes())?;
    }
    check.pages.finish()?;
    github::tell(&runs, plan.display.format, session.messages)?;
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

impl Check<'_> {
    fn run(&mut self, run: &Result<RunPlan, Unresolved>) -> Checked {
        match run {
            Ok(run) => caught(|| self.check(run))
                .unwrap_or_else(|error| self.failed(&run.name, error.as_ref())),
            Err(unresolved) => self.failed(&unresolved.run, &unresolved.error),
        }
    }

    fn failed(&mut self, run: &str, error: &(dyn Error + 'static)) -> Checked {
        self.session.messages.error(error);
        let why = error_chain(error);
        self.pages.list_failed(run, why.clone());
        Checked::failed(run.to_owned(), why)
    }

    fn check(&mut self, plan: &RunPlan) -> anyhow::Result<Checked> {
        let baseline = self.baseline(plan)?;
        let own = plan.previous.as_deref();
        let own = own.map(serde_json::from_slice).transpose()?;
        let own = own.as_ref().map(Fields::of).unwrap_or_default();
        let before = baseline.as_ref().map(|baseline| &baseline.fields);
        self.rules.must_match(&[&own, before.unwrap_or(&own)])?;

        let mut sinks = RowSinks::new(plan);
        let counted = self.counter.count(plan, sinks.sink())?;
        let rows = sinks.finish()?;
        if let Some(samples) = rows.samples {
            samples.rename()?.sync()?;
        }
        let verdict = Verdict::of(&counted.finished);
        for line in &verdict.damaged_lines {
            self.session.messages.note(format!("{}: {line}", plan.name));
        }
        let after = fields(plan, baseline.as_deref(), &counted)?;
        let tolerances = &self.rules.tolerances;
        let comparison = before.map(|before| compare(before, &after, tolerances));
        if baseline.is_none() && plan.previous.is_some() {
            self.note_unjudged(&compare(&own, &after, &Tolerances::default()));
        }
        let diagnosis = match (&comparison, &baseline) {
            (Some(comparison), Some(baseline)) if verdict.complete && only_tokens(comparison) => {
                self.diagnose(plan, baseline, counted.loaded.as_ref())?
            }
            _ => None,
        };
        let expectations = self.rules.expectations.as_ref();
        let expectations = expectations.map(|all| all.judge(&after));
        let checked = Checked {
            against: baseline.as_ref().map(|baseline| baseline.name.clone()),
            diagnosis,
            ..Checked::new(
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

    /// Writes the run's page, if there is to be one.
    fn page(
        &mut self,
        plan: &RunPlan,
        checked: &Checked,
        (counted, stats): (CountedRun, Option<PageStats>),
        baseline: Option<&Baseline>,
    ) -> anyhow::Result<()> {
        let Some(target) = &plan.outputs.page else {
            return Ok(());
        };
        let bytes = baseline.map(|baseline| &*baseline.bytes);
        let summary = count::summary(plan, plan.previous.as_deref().or(bytes), &counted.finished)?;
        let provenance = Provenance::new(plan, counted, &summary)?;
        let shown = baseline.filter(|_| self.session.plan.baseline.is_some());
        let side = shown.map(|baseline| baseline.side.clone());
        let page = Page {
            check: Some(text::for_page(checked)),
            ..page(plan, &provenance, &summary, stats, side)?
        };
        if let Some(prepared) = Pages::prepare(target, &page)? {
            prepared.rename()?.sync()?;
        }
        self.pages.list(target, page, text::verdict(checked));
        Ok(())
    }

    /// What `plan` is to be compared with, if anything is to be.
    fn baseline(&mut self, plan: &RunPlan) -> anyhow::Result<Option<Rc<Baseline>>> {
        if let Some(against) = &self.session.plan.baseline {
            if self.against.is_none() {
                let baseline =
                    Baseline::load(against, &mut self.counter, plan.outputs.page.is_some())?;
                self.against = Some(Rc::new(baseline));
            }
            return Ok(self.against.clone());
        }
        if self.rules.only_expectations {
            return Ok(None);
        }
        Ok(Some(Rc::new(Baseline::own(plan)?)))
    }

    /// Who would have counted as the run did, if its summary is whole.
    fn diagnose(
        &mut self,
        plan: &RunPlan,
        baseline: &Baseline,
        tokenizer: Option<&LoadedTokenizer>,
    ) -> anyhow::Result<Option<Diagnosis>> {
        if !baseline.complete {
            return Ok(None);
        }
        let tolerances = &self.rules.tolerances;
        let reproduces = |counted: &CountedRun| -> anyhow::Result<bool> {
            let after = fields(plan, Some(baseline), counted)?;
            let again = compare(&baseline.fields, &after, tolerances);
            let lengths = ["input_sequence_lengths", "output_sequence_lengths"];
            // Whatever may differ: nobody counts by chance what another counted.
            let exact = !again.allowed.iter().any(|f| lengths.contains(&f.group()));
            let same = again.kinds().iter().all(|kind| *kind == Kind::Description);
            Ok(exact && same)
        };
        let counter = &mut self.counter;
        diagnosis::diagnose(
            &self.options.try_tokenizers,
            counter,
            plan,
            tokenizer,
            reproduces,
        )
        .map(Some)
    }

    /// Says what expectations alone do not judge.
    fn note_unjudged(&self, own: &Comparison) {
        if !own.findings.is_empty() {
            self.session.messages.note(format!(
                "the recount differs from the run's own summary in {} of {} fields; --expect alone does not judge that (--tolerance '*=0' does)",
                own.findings.len(),
                own.fields
            ));
        }
    }
}

/// The fields of the summary that a run's figures make. What only one of the two could say besides is no difference.
fn fields(
    plan: &RunPlan,
    baseline: Option<&Baseline>,
    counted: &CountedRun,
) -> anyhow::Result<Fields> {
    let described = baseline.is_none_or(|baseline| baseline.described);
    let own = plan.previous.as_deref().filter(|_| described);
    let previous = own.or(baseline.map(|baseline| &*baseline.bytes));
    let summary = count::summary(plan, previous, &counted.finished)?;
    Ok(Fields::of(&serde_json::from_slice(&summary)?))
}

/// Whether token counts differ, and nothing else that is measured.
fn only_tokens(comparison: &Comparison) -> bool {
    let kinds = comparison.kinds();
    let measured = |kind: &&Kind| **kind != Kind::Description;
    kinds.iter().filter(measured).eq([&Kind::Tokenizer])
}
