//! The command line as typed: flags, their help, and nothing that depends on a run.

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{ArgGroup, Args, Parser, ValueEnum, ValueHint};
use jiff::civil::DateTime;

/// What a person typed.
#[derive(Debug, Parser)]
#[command(name = "tok-recompute", version, about, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
#[command(
    max_term_width = 100,
    override_usage = "tok-recompute [OPTIONS] <RUN>...\n       tok-recompute --follow [OPTIONS] [RUN]"
)]
#[command(group(ArgGroup::new("compared").args(["check", "html"]).multiple(true)))]
pub struct Cli {
    /// Run directories, or their `events.jsonl` (`.gz` and `.zst` too; `-` reads stdin); patterns too
    #[arg(value_name = "RUN", required_unless_present_any = ["completions", "follow"], value_hint = ValueHint::AnyPath)]
    pub runs: Vec<PathBuf>,

    /// How tokens are counted.
    #[command(flatten)]
    pub counting: Counting,

    /// What the run's own files would say.
    #[command(flatten)]
    pub overrides: Overrides,

    /// What is written, and where.
    #[command(flatten)]
    pub writing: Writing,

    /// Whether a run is compared instead of mended.
    #[command(flatten)]
    pub checking: Checking,

    /// Whether a run is followed that goes on.
    #[command(flatten)]
    pub following: Following,

    /// Which processors are used.
    #[command(flatten)]
    pub cores: Cores,

    /// What is shown.
    #[command(flatten)]
    pub display: Display,

    /// Print a completion script for SHELL and exit
    #[arg(long, value_name = "SHELL", exclusive = true)]
    pub completions: Option<clap_complete::Shell>,
}

const LONG_ABOUT: &str = "\
Recount the token metrics of a benchmark run from its event log, and rewrite result_summary.json \
as the benchmark client would have written it had its drain finished.

The original summary is kept once as result_summary.orig.json, and recompute.json beside it says \
what was done.";

const AFTER_HELP: &str = "\
Exit codes:
  0    written, and the run is complete
  1    a check found differences, or an incomplete log
  2    could not do it, or not compare it; nothing was changed
  3    written, but the run is incomplete (the reason is on stderr)
  130  interrupted (SIGINT); 143 terminated (SIGTERM)
       A followed run then has a report of what was counted.
With several RUNs all are done, and the worst code is the exit code.

Examples:
  tok-recompute results/run_17
  tok-recompute results/run_17 --tokenizer ~/models/Llama-3.1-8B-Instruct --dry-run
  tok-recompute results/*/ --write summary,report,snapshot
  tok-recompute results/run_17 --samples rows.parquet
  tok-recompute results/run_17 --html page.html
  tok-recompute results/run_17 --check
  tok-recompute --follow results/run_18 --output report.json
  tok-recompute 'results/*' --check --against baseline --tolerance '*=5%,tps>=-2%' --junit check.xml";

/// How tokens are counted.
#[derive(Args, Debug)]
#[command(next_help_heading = "Counting")]
pub struct Counting {
    /// Tokenizer: a directory, a tokenizer.json, a Hugging Face repo id, or `none`
    ///
    /// By default the one that the run's config.yaml names. A repo id is looked up in the local
    /// Hugging Face cache. `none` counts only prompts that were sent as token ids.
    #[arg(long, value_name = "DIR|FILE|REPO|none")]
    pub tokenizer: Option<String>,

    /// Allow fetching a tokenizer that is not in the local cache
    #[arg(long)]
    pub download: bool,

    /// Which engine counts
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    pub engine: EngineChoice,

    /// Load tokenizer.json as the client's transformers does, or as the file is written
    #[arg(long, value_enum, default_value_t, value_name = "WHOSE")]
    pub tokenizer_rules: TokenizerRules,

    /// The date that chat templates see (`strftime_now`), instead of the run's own
    #[arg(long, value_name = "YYYY-MM-DD[THH:MM:SS]")]
    pub date: Option<DateTime>,
}

/// The engine that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// `fastokens` if it supports the tokenizer, cross-checked by `tokenizers`
    #[default]
    Auto,
    /// The `fastokens` library, or fail
    #[value(alias = "fast")]
    Fastokens,
    /// The `tokenizers` library, which the client itself uses
    #[value(alias = "referee")]
    Tokenizers,
}

/// Whose reading of tokenizer.json is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TokenizerRules {
    /// What the client would have counted
    #[default]
    Transformers,
    /// The file as it is written
    File,
}

/// What the run's own files would say.
#[derive(Args, Debug)]
#[command(next_help_heading = "Overriding the run's own files")]
pub struct Overrides {
    /// Whether responses were streamed: TTFT and TPOT exist only then
    #[arg(long, value_enum, value_name = "on|off", hide_possible_values = true)]
    pub streaming: Option<Switch>,

    /// Whether early-stopping estimates are reported
    #[arg(long, value_enum, value_name = "on|off", hide_possible_values = true)]
    pub early_stopping: Option<Switch>,

    /// The window of QPS and TPS: the tracked duration, or LoadGen's
    #[arg(
        long,
        value_enum,
        value_name = "native|legacy",
        hide_possible_values = true
    )]
    pub qps_window: Option<QpsWindow>,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Switch {
    On,
    Off,
}

impl Switch {
    /// Whether it is on.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// Which window QPS and TPS are computed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum QpsWindow {
    Native,
    Legacy,
}

/// What is written, and where.
#[derive(Args, Debug)]
#[command(next_help_heading = "Writing")]
pub struct Writing {
    /// The summary to rewrite [default: the run's performance/result_summary.json, else
    /// result_summary.json beside the log]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub summary: Option<PathBuf>,

    /// Write the summary to PATH and leave the run alone
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Compute and print; write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Write a row for every tracked sample to PATH.csv or PATH.parquet, also with --dry-run and --check
    #[arg(long, value_name = "PATH", value_parser = table_path(), conflicts_with = "follow", value_hint = ValueHint::FilePath)]
    pub samples: Option<PathBuf>,

    /// Which files: `summary`, `report` (report.txt), `snapshot` (metrics/final_snapshot.json)
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "summary",
        value_name = "FILES"
    )]
    pub write: Vec<Artifact>,

    /// Write a page that shows the run: figures, distributions, what happened when; also with --dry-run and --check
    ///
    /// One HTML file that needs nothing but itself. With several RUNs it is an index of them, and their pages are in the
    /// folder beside it that is called like it, but `.runs`. With --against two runs are shown together. Only a page is
    /// ever overwritten.
    #[arg(long, value_name = "PATH", conflicts_with = "follow", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
}

/// A path whose name says in which form a table is to be written.
fn table_path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        let form = path.extension().map(OsStr::to_ascii_lowercase);
        match form.as_deref().and_then(OsStr::to_str) {
            Some("csv" | "parquet") => Ok(path),
            _ => Err("expected a name that ends in .csv or .parquet"),
        }
    })
}

/// A file that a recompute can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Artifact {
    /// performance/result_summary.json
    Summary,
    /// report.txt
    Report,
    /// metrics/final_snapshot.json
    Snapshot,
}

/// Whether a run is compared instead of mended.
#[derive(Args, Debug)]
#[command(next_help_heading = "Checking")]
pub struct Checking {
    /// Recount and compare with the run's own summary; write nothing
    ///
    /// Exits with 0 if nothing differs, 1 if something does or the log is incomplete, 2 if it could not be compared.
    #[arg(long, conflicts_with_all = ["output", "write"])]
    pub check: bool,

    /// Compare with another summary, or with another run's
    ///
    /// Of a run whose summary is missing or incomplete the recount is taken. With --html it is shown beside the RUN.
    #[arg(long, value_name = "SUMMARY|RUN", requires = "compared", value_hint = ValueHint::AnyPath)]
    pub against: Option<PathBuf>,

    /// What may differ: `'tpot.percentiles.99.0=5%'`, `'ttft.*=2ms'`, `'*=0.1%'`, `'tps>=-2%'`
    ///
    /// Without it everything must be exact. `=` allows a change either way, `<=` limits a rise and `>=` a fall.
    /// Amounts: a share of the value before (5%), a time (2ms), a number in the metric's unit, or `any`. Of several
    /// the one counts that spells out most of a metric's name.
    #[arg(
        long,
        value_name = "METRIC=AMOUNT",
        value_delimiter = ',',
        requires = "check"
    )]
    pub tolerance: Vec<String>,

    /// What must hold whatever other runs say: a TOML file such as `osl.avg = { min = 425, max = 520 }`
    ///
    /// Without --against and --tolerance nothing else is judged.
    #[arg(long, value_name = "TOML", requires = "check", value_hint = ValueHint::FilePath)]
    pub expect: Option<PathBuf>,

    /// A tokenizer that the run may have been counted with, if only token counts differ (repeatable)
    #[arg(long = "try", value_name = "DIR|FILE|REPO", requires = "check")]
    pub try_tokenizers: Vec<String>,

    /// Write the outcome as JUnit XML too
    #[arg(long, value_name = "PATH", requires = "check", value_hint = ValueHint::FilePath)]
    pub junit: Option<PathBuf>,
}

/// Whether a run is followed that goes on.
#[derive(Args, Debug)]
#[command(next_help_heading = "Following a live run")]
pub struct Following {
    /// Follow a run while it goes on, and write its exact report when it ends
    ///
    /// RUN is a log, or a run directory, whose log the client keeps in memory until the run ends; without RUN it is the
    /// newest live log. The report is written into the run directory, or where --output says. Meanwhile a table on the
    /// terminal shows how the run stands; its percentiles are approximate, those of the report are exact.
    #[arg(long, visible_alias = "tail", conflicts_with = "check")]
    pub follow: bool,

    /// Wait so long for a log that is not there yet; 0 does not wait
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds, requires = "follow")]
    pub wait: Duration,

    /// How many threads count while the run goes on, at the lowest priority and on the highest processors unless --cpus
    /// names some; 0 leaves all counting to the end
    #[arg(long, value_name = "N", default_value = "1", requires = "follow")]
    pub live_threads: usize,

    /// Keep a snapshot of how the run stands in PATH, in the shape of metrics/final_snapshot.json
    #[arg(long, value_name = "PATH", requires = "follow", value_hint = ValueHint::FilePath)]
    pub live_snapshot: Option<PathBuf>,

    /// Say so often how the run stands: in a line where stderr is no terminal, or as JSON with --format json; and renew the
    /// snapshot
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, requires = "follow")]
    pub interval: Duration,

    /// When the run has ended, count for so long and leave the rest; 0 counts everything
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds, requires = "follow")]
    pub drain_timeout: Duration,

    /// Take the run for ended when its log has not grown for so long; 0 never does
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds, requires = "follow")]
    pub idle_timeout: Duration,
}

/// A time: `10`, `0.5`.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "expected a number of seconds, such as 10 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(number)
        .map_err(|_| "expected a number of seconds from 0 on".to_owned())
}

/// Which processors are used, and how much memory.
#[derive(Args, Debug)]
#[command(next_help_heading = "Processors and memory")]
pub struct Cores {
    /// How many threads count [default: one for each allowed processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// The processors to use, such as `0-7,16` [default: all that the kernel allows]
    #[arg(long, value_name = "LIST")]
    pub cpus: Option<String>,

    /// How many processors one pinned pool spans
    #[arg(long, value_name = "N", default_value = "8")]
    pub block_size: NonZeroUsize,

    /// Stay below this much memory, such as `2GiB`, with fewer threads and smaller batches, or fail
    ///
    /// Pages of the log that are mapped do not count: the kernel may take them back.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_memory: Option<u64>,
}

/// Bytes: `512M` and `512MiB` are 512 times 1024², `512MB` are 512 million.
fn size(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err("expected a number and a unit, such as 512M or 2GiB".to_owned()),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "expected a whole number first".to_owned())?;
    number
        .checked_mul(unit)
        .ok_or_else(|| "too large".to_owned())
}

/// What is shown.
#[derive(Args, Debug)]
#[command(next_help_heading = "Display")]
pub struct Display {
    /// What stdout shows
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "text|json",
        hide_possible_values = true
    )]
    pub format: Format,

    /// Say only what went wrong
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more: what was read from where, which processors, which engine and why
    #[arg(short, long)]
    pub verbose: bool,

    /// When to use colour (`NO_COLOR` is respected)
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}

/// The form of the results on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds() {
        let check = |text, expected: Option<u64>| {
            let millis = seconds(text).ok().map(|time| time.as_millis());
            assert_eq!(millis, expected.map(u128::from), "{text}");
        };
        check("0", Some(0));
        check("10", Some(10_000));
        check("0.25", Some(250));
        for text in ["", "-1", "1s", "nan", "inf", "1e99"] {
            check(text, None);
        }
    }

    #[test]
    fn sizes_have_units() {
        let check = |text, expected: Option<u64>| assert_eq!(size(text).ok(), expected, "{text}");
        check("512M", Some(512 << 20));
        check("512 MiB", Some(512 << 20));
        check("512mb", Some(512_000_000));
        check("2GiB", Some(2 << 30));
        check("1", Some(1));
        check("0", Some(0));
        for text in [
            "",
            "G",
            "-1",
            "1.5G",
            "1X",
            "1e3",
            "99999999999999999999",
            "99999999T",
            "1 2",
        ] {
            check(text, None);
        }
    }
}
