//! The main job: a run's log → its report.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::Value;

use super::memory::Budget;
use super::record::{Anomalies, LogRecord, Record, Seconds, TemplateDate};
use super::rewrite::{self, Files};
use super::table::before_and_after;
use super::tokenizer::{Loaded, Tokenizers};
use super::verdict::{Verdict, plural};
use crate::cli::{Cli, Format};
use crate::cores::Pools;
use crate::exit;
use crate::log::{BatchSizes, Log};
use crate::memory::Usage;
use crate::messages::Messages;
use crate::pipeline::{self, Finished, Job, PipelineError};
use crate::plan::{self, RunPlan};
use crate::report::lock::RunLock;
use crate::report::{self, Attachments, RunFacts};

/// Recomputes runs, one after the other.
pub(super) struct Recompute<'a> {
    cli: &'a Cli,
    messages: Messages,
    pools: &'a Pools,
    tokenizers: Tokenizers,
}

/// The figures of a run, and what they were counted with.
struct Counted {
    finished: Finished,
    loaded: Option<Loaded>,
    recounted_because: Option<String>,
    seconds: Seconds,
}

/// What a log is counted with.
struct Means {
    /// Instead of all the pools there are.
    fewer: Option<Pools>,
    sizes: BatchSizes,
}

impl<'a> Recompute<'a> {
    pub fn new(cli: &'a Cli, messages: Messages, pools: &'a Pools) -> Self {
        Self {
            cli,
            messages,
            pools,
            tokenizers: Tokenizers::default(),
        }
    }

    /// Recomputes one run; the exit code.
    pub fn run(&mut self, plan: &RunPlan) -> anyhow::Result<u8> {
        let started = Instant::now();
        plan.warnings
            .iter()
            .for_each(|warning| self.messages.warn(warning));
        plan.assumed
            .iter()
            .for_each(|assumed| self.messages.note(assumed));
        let _lock = self.lock(plan)?;
        let mut counted = self.count(plan)?;
        let files = render(plan, &counted.finished)?;
        counted.seconds.total = started.elapsed().as_secs_f64();
        let record = self.record(plan, counted, &files)?;
        let mut json = serde_json::to_string_pretty(&record)?;
        json.push('\n');
        if let Some(error) = rewrite::write(plan, &files, json.as_bytes())? {
            let why = chain(&error);
            self.messages.warn(format!(
                "a power cut may bring old files back: {why}; run it again"
            ));
        }
        self.show(&record)?;
        Ok(if record.verdict.complete {
            exit::COMPLETE
        } else {
            exit::INCOMPLETE
        })
    }

    /// Keeps others from rewriting the run meanwhile, and tidies up after one that was killed.
    fn lock(&self, plan: &RunPlan) -> anyhow::Result<RunLock> {
        let lock = RunLock::take(plan.folders.iter().map(PathBuf::as_path))?;
        for (folder, why) in &lock.unlocked {
            let folder = folder.display();
            self.messages.detail(format!(
                "{folder} cannot be locked ({why}): do not rewrite it twice at a time"
            ));
        }
        let left: usize = plan
            .targets
            .paths()
            .map(report::atomic::remove_leftovers)
            .sum();
        if left > 0 {
            self.messages.detail(format!(
                "removed {} that a killed run left behind",
                plural(left as u64, "temporary file")
            ));
        }
        Ok(lock)
    }

    /// Counts everything; once more with the referee when the engines disagree.
    fn count(&mut self, plan: &RunPlan) -> anyhow::Result<Counted> {
        let log = open(plan)?;
        self.messages
            .detail(format!("reading {}: {}", plan.log, log.how()));
        let text_bytes = log.len_bytes().unwrap_or(u64::MAX);
        let started = Instant::now();
        let loaded = self
            .tokenizers
            .get(plan, &self.cli.counting, text_bytes, self.messages)?;
        let mut seconds = Seconds {
            load_tokenizer: started.elapsed().as_secs_f64(),
            ..Seconds::default()
        };
        let means = self.means()?;
        let started = Instant::now();
        let (finished, loaded, recounted_because) =
            match (self.pass(plan, log, loaded.as_ref(), &means), loaded) {
                (Err(error @ PipelineError::Count { .. }), Some(fast))
                    if !fast.is_referee() && plan.log.is_file() =>
                {
                    let why = chain(&error);
                    self.messages
                        .warn(format!("recounting everything with the referee: {why}"));
                    let referee = self.tokenizers.referee(&fast, &self.cli.counting)?;
                    (
                        self.pass(plan, open(plan)?, Some(&referee), &means)?,
                        Some(referee),
                        Some(why),
                    )
                }
                (finished, loaded) => (finished?, loaded, None),
            };
        match (finished.events, &finished.cut) {
            (0, Some(cut)) => bail!("{cut}"),
            (0, None) if finished.lines == 0 => {
                bail!("{} is empty: there is nothing to recompute", plan.log)
            }
            (0, None) => bail!(
                "{} is no event log: none of its {} lines is an event",
                plan.log,
                finished.lines
            ),
            _ => {}
        }
        seconds.count = started.elapsed().as_secs_f64();
        Ok(Counted {
            finished,
            loaded,
            recounted_because,
            seconds,
        })
    }

    fn pass(
        &self,
        plan: &RunPlan,
        log: Log,
        loaded: Option<&Loaded>,
        means: &Means,
    ) -> Result<Finished, PipelineError> {
        let job = Job {
            pools: means.fewer.as_ref().unwrap_or(self.pools),
            tokenizer: loaded.map(|loaded| &*loaded.tokenizer),
            streaming: plan.streaming,
            early_stopping: plan.early_stopping,
            sizes: means.sizes,
            most_bytes: self.cli.cores.max_memory,
        };
        let progress = self.messages.progress(log.len_bytes());
        pipeline::run(log, &job, |bytes, tokens| progress.advance(bytes, tokens))
    }

    /// What counts, once the tokenizer is loaded: everything, or what `--max-memory` leaves.
    fn means(&self) -> anyhow::Result<Means> {
        let threads = self.pools.threads();
        let (Some(most_bytes), Some(usage)) = (self.cli.cores.max_memory, Usage::read()) else {
            let sizes = BatchSizes::new(threads);
            return Ok(Means { fewer: None, sizes });
        };
        let Budget {
            threads: left,
            sizes,
        } = Budget::new(most_bytes, usage, threads)?;
        if left == threads {
            return Ok(Means { fewer: None, sizes });
        }
        let fewer = super::pools(self.cli, NonZeroUsize::new(left))?;
        self.messages
            .detail(format!("to stay within --max-memory: {fewer}"));
        Ok(Means {
            fewer: Some(fewer),
            sizes,
        })
    }

    fn record(&self, plan: &RunPlan, counted: Counted, files: &Files) -> anyhow::Result<Record> {
        let Counted {
            finished,
            loaded,
            recounted_because,
            seconds,
        } = counted;
        let reasons = loaded
            .as_ref()
            .map(|loaded| loaded.tokenizer.reasons())
            .unwrap_or_default();
        let dated = loaded
            .as_ref()
            .is_some_and(|loaded| loaded.tokenizer.date_matters());
        let template_date = dated.then(|| TemplateDate {
            date: plan.date.now.to_string(),
            source: plan.date.source,
        });
        Ok(Record {
            tool: "tok-recompute",
            version: env!("CARGO_PKG_VERSION"),
            run: plan.name.clone(),
            verdict: Verdict::of(&finished),
            written: rewrite::names(plan),
            log: LogRecord {
                path: plan.log.to_string(),
                bytes: finished.bytes,
                lines: finished.lines,
            },
            tokenizer: loaded
                .map(|loaded| loaded.record(self.cli.counting.tokenizer_rules, recounted_because)),
            template_date,
            streaming: finished.streaming,
            early_stopping: plan.early_stopping,
            qps_window: if plan.legacy_window {
                "legacy"
            } else {
                "native"
            },
            assumed: plan.assumed.clone(),
            before: plan.previous.as_deref().map(report::headline).transpose()?,
            after: report::headline(&files.summary)?,
            anomalies: Anomalies::of(&finished, &reasons),
            seconds,
        })
    }

    /// The verdict and what is odd on stderr, the figures on stdout.
    fn show(&self, record: &Record) -> anyhow::Result<()> {
        let verdict = &record.verdict;
        if !verdict.complete || !verdict.reasons.is_empty() {
            for reason in &verdict.reasons {
                self.messages.warn(format!("{}: {reason}", record.run));
            }
            verdict
                .damaged_lines
                .iter()
                .for_each(|line| self.messages.note(line));
        }
        if let Some(note) = record.anomalies.fallback_note() {
            self.messages.note(note);
        }
        match &record.template_date {
            Some(TemplateDate { date, source }) => self.messages.note(format!(
                "a chat template shows the date: counted as of {date}, {source} (--date sets another)"
            )),
            None => self.messages.detail("no chat template shows the date: it cannot matter when this is counted"),
        }
        let shown = match self.cli.display.format {
            Format::Json => serde_json::to_string(record)? + "\n",
            Format::Text => text(record),
        };
        let mut out = anstream::stdout();
        match out.write_all(shown.as_bytes()).and_then(|()| out.flush()) {
            // Whoever read has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            shown => shown.with_context(|| match record.written.as_slice() {
                [] => "cannot write the figures to stdout".to_owned(),
                files => format!(
                    "cannot write the figures to stdout; written: {}",
                    files.join(", ")
                ),
            }),
        }
    }
}

/// What a person reads at the end.
fn text(record: &Record) -> String {
    let mut text = before_and_after(record.before.as_ref(), &record.after);
    let verdict = &record.verdict;
    let samples = record.after.n_samples_completed.unwrap_or_default();
    let complete = match (verdict.complete, verdict.state) {
        (true, _) => "complete".to_owned(),
        (false, state) => format!("incomplete ({state})"),
    };
    let _ = writeln!(
        text,
        "\n{}: {complete}, {samples} samples completed",
        record.run
    );
    match record.written.as_slice() {
        [] => text.push_str("nothing written\n"),
        paths => {
            let _ = writeln!(text, "written: {}", paths.join(", "));
        }
    }
    text
}

fn open(plan: &RunPlan) -> anyhow::Result<Log> {
    Ok(Log::open(plan.log.path())?)
}

fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&e| e.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Every file of the report, in memory: nothing is written before all of them are known.
fn render(plan: &RunPlan, finished: &Finished) -> anyhow::Result<Files> {
    let facts = RunFacts {
        run_config: plan.config.summary_run_config(),
        use_legacy_window: plan.legacy_window,
    };
    let summary = report::render(plan.previous.as_deref(), &facts, &finished.snapshot)?;
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
