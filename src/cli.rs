//! The command line as typed: flags and their help. Nothing here depends on a run.

use std::ffi::OsStr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{ArgGroup, Args, Parser, ValueEnum, ValueHint};
use jiff::civil::DateTime;

use crate::report::ClientVersion;

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "tok-recompute", version, about, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
#[command(
    max_term_width = 100,
    override_usage = "tok-recompute [OPTIONS] <RUN>...\n       tok-recompute --follow [OPTIONS] [RUN]"
)]
#[command(group(ArgGroup::new("compared").args(["check", "html"]).multiple(true)))]
pub struct Cli {
    /// Run directories or event logs (`events.jsonl`, `.gz`, `.zst`); `-` reads stdin, patterns are expanded
    #[arg(value_name = "RUN", required_unless_present_any = ["completions", "follow"], value_hint = ValueHint::AnyPath)]
    pub runs: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) counting: CountingArgs,

    #[command(flatten)]
    pub(crate) overrides: Overrides,

    #[command(flatten)]
    pub(crate) writing: Writing,

    /// Flags of `--check`.
    #[command(flatten)]
    pub checking: Checking,

    #[command(flatten)]
    pub(crate) following: FollowingArgs,

    #[command(flatten)]
    pub(crate) cores: Cores,

    #[command(flatten)]
    pub(crate) display: DisplayArgs,

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
  0    written, and the run is complete; or a check passed
  1    a check found differences, or an incomplete log
  2    failed; nothing was changed
  3    written, but the run is incomplete (stderr says why)
  130  interrupted (SIGINT); 143 terminated (SIGTERM)
       A followed run then has a report of the part that was counted.
With several RUNs all are processed, and the worst code is returned.

Examples:
  tok-recompute results/run_17
  tok-recompute results/run_17 --tokenizer ~/models/Llama-3.1-8B-Instruct --dry-run
  tok-recompute results/*/ --write summary,report,snapshot
  tok-recompute results/run_17 --samples rows.parquet
  tok-recompute results/run_17 --html page.html
  tok-recompute results/run_17 --check
  tok-recompute --follow results/run_18 --output report.json
  tok-recompute 'results/*' --check --against baseline --tolerance '*=5%,tps>=-2%' --junit check.xml";

/// Flags of counting.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Counting")]
pub(crate) struct CountingArgs {
    /// Tokenizer: a directory, a tokenizer.json, a Hugging Face repo id, or `none` [default: the run's own]
    ///
    /// The run's own is the one that its config.yaml names. A repo id is looked up in the local Hugging Face cache.
    /// With `none` only prompts that were sent as token ids are counted.
    #[arg(long, value_name = "DIR|FILE|REPO|none")]
    pub(crate) tokenizer: Option<String>,

    /// Download the tokenizer if it is not in the local cache
    #[arg(long)]
    pub(crate) download: bool,

    /// Count with this engine
    #[arg(long, value_enum, default_value_t, value_name = "ENGINE")]
    pub(crate) engine: EngineChoice,

    /// Load tokenizer.json by these rules
    #[arg(long, value_enum, default_value_t, value_name = "RULES")]
    pub(crate) tokenizer_rules: TokenizerRules,

    /// Show this date to chat templates (`strftime_now`) [default: when the log was last written]
    #[arg(long, value_name = "YYYY-MM-DD[THH:MM:SS]")]
    pub(crate) date: Option<DateTime>,
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

/// The rules that tokenizer.json is loaded by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TokenizerRules {
    /// As the client does: transformers replaces parts of some files
    #[default]
    Transformers,
    /// Exactly as the file is written
    File,
}

/// Settings that otherwise the run's own files decide.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Overriding the run's own files")]
pub(crate) struct Overrides {
    /// Treat responses as streamed or not; only streamed ones have TTFT and TPOT [default: the run's setting]
    #[arg(long, value_enum, value_name = "on|off", hide_possible_values = true)]
    pub(crate) streaming: Option<Switch>,

    /// Report early-stopping estimates or not [default: the run's setting, else on]
    #[arg(long, value_enum, value_name = "on|off", hide_possible_values = true)]
    pub(crate) early_stopping: Option<Switch>,

    /// Compute QPS and TPS over the tracked duration (native) or LoadGen's window (legacy) [default: the run's setting,
    /// else native]
    #[arg(
        long,
        value_enum,
        value_name = "native|legacy",
        hide_possible_values = true
    )]
    pub(crate) qps_window: Option<QpsWindow>,

    /// Follow the formats and rules of this client version, such as `v6.1` or `2026-08-21` [default: auto]
    ///
    /// `auto` recognizes the version from the summary, snapshot, config.yaml and log of the run. Versions: v0.5,
    /// 2026-06-23, 2026-07-09, 2026-07-14, v6.1, 2026-07-20, 2026-08-13, 2026-08-21, 2026-09-24.
    #[arg(long, value_name = "auto|VERSION", default_value = "auto", hide_default_value = true, value_parser = ClientChoice::parse)]
    pub(crate) client: ClientChoice,

    /// Look for the steady state or not; `auto` does what config.yaml says
    ///
    /// Reports of clients before 2026-09-24 have no place for it: `on` then shows it without writing it. The responses
    /// must be streamed.
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "on|off|auto",
        hide_possible_values = true
    )]
    pub(crate) steady_state: AutoSwitch,

    /// Look for the steady state in super-passes of this many samples [default: the number that the log announces]
    ///
    /// Without either number the report has no steady state. If the log announces a number, that one applies.
    #[arg(long, value_name = "SAMPLES")]
    pub(crate) superpass: Option<NonZeroU64>,
}

/// A client version, or none to recognize it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientChoice(pub Option<ClientVersion>);

impl ClientChoice {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self(None));
        }
        let version = ClientVersion::from_label(text).ok_or_else(|| {
            let labels = ClientVersion::ALL.map(ClientVersion::label);
            format!("expected auto, {}", labels.join(", "))
        });
        version.map(|version| Self(Some(version)))
    }
}

/// On, off, or as the run's configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub(crate) enum AutoSwitch {
    #[default]
    Auto,
    On,
    Off,
}

impl AutoSwitch {
    /// The setting, unless it is left to the run.
    pub(crate) fn chosen(self) -> Option<bool> {
        match self {
            Self::Auto => None,
            Self::On => Some(true),
            Self::Off => Some(false),
        }
    }
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

impl Switch {
    /// Returns true if it is on.
    pub(crate) fn is_on(self) -> bool {
        self == Self::On
    }
}

/// The window of QPS and TPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum QpsWindow {
    Native,
    Legacy,
}

impl QpsWindow {
    /// Returns true if it is LoadGen's.
    pub(crate) fn is_legacy(self) -> bool {
        self == Self::Legacy
    }
}

/// Flags of the outputs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Writing")]
pub(crate) struct Writing {
    /// Rewrite the summary at PATH [default: the run's performance/result_summary.json, else
    /// result_summary.json beside the log]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) summary: Option<PathBuf>,

    /// Write the summary to PATH, the other files of the report beside it, and nothing into the run
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// Compute and print, but do not write the report
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Write a row for each tracked sample to PATH, a .csv or .parquet file; also with --dry-run and --check
    #[arg(long, value_name = "PATH", value_parser = table_path(), conflicts_with = "follow", value_hint = ValueHint::FilePath)]
    pub(crate) samples: Option<PathBuf>,

    /// Write these files of the report: `summary`, `report` (report.txt), `snapshot` (metrics/final_snapshot.json)
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "summary",
        value_name = "FILES"
    )]
    pub(crate) write: Vec<Artifact>,

    /// Write an HTML page with the run's figures, distributions and timeline to PATH; also with --dry-run and --check
    ///
    /// The page is one self-contained file. With several RUNs it is an index of them, and their pages are in a folder
    /// beside it, PATH with the extension `.runs`. With --against the page shows both runs. An existing file is
    /// overwritten only if it is such a page.
    #[arg(long, value_name = "PATH", conflicts_with = "follow", value_hint = ValueHint::FilePath)]
    pub(crate) html: Option<PathBuf>,
}

/// Parses the path of a table; its extension decides the format.
fn table_path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        let extension = path.extension().map(OsStr::to_ascii_lowercase);
        match extension.as_deref().and_then(OsStr::to_str) {
            Some("csv" | "parquet") => Ok(path),
            _ => Err("expected a name that ends in .csv or .parquet"),
        }
    })
}

/// A file of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Artifact {
    /// result_summary.json
    Summary,
    /// report.txt
    Report,
    /// metrics/final_snapshot.json
    Snapshot,
}

/// Flags of `--check`.
#[derive(Args, Debug)]
#[command(next_help_heading = "Checking")]
pub struct Checking {
    /// Recount and compare with the run's own summary; do not write the report
    ///
    /// Exits with 0 if nothing differs, 1 if something differs or the log is incomplete, 2 if the run could not be
    /// compared.
    #[arg(long, conflicts_with_all = ["output", "write"])]
    pub(crate) check: bool,

    /// Compare with another summary, or with another run
    ///
    /// If that run's summary is missing or incomplete, the run is recounted. With --html it is shown beside the RUN.
    #[arg(long, visible_alias = "baseline", value_name = "SUMMARY|RUN", requires = "compared", value_hint = ValueHint::AnyPath)]
    pub(crate) against: Option<PathBuf>,

    /// Allow a difference: `'tpot.percentiles.99.0=5%'`, `'ttft.*=2ms'`, `'*=0.1%'`, `'tps>=-2%'` [default: none]
    ///
    /// `=` allows a change either way, `<=` limits a rise and `>=` a fall. AMOUNT is a share of the value before (5%), a
    /// time (2ms), a number in the metric's unit, or `any`. Where several tolerances match a metric, the one that spells
    /// out most of its name applies.
    #[arg(
        long,
        value_name = "METRIC=AMOUNT",
        value_delimiter = ',',
        requires = "check"
    )]
    pub tolerance: Vec<String>,

    /// Require the values that a TOML file gives, such as `osl.avg = { min = 425, max = 520 }`
    ///
    /// Without --against and --tolerance only these are judged.
    #[arg(long, value_name = "TOML", requires = "check", value_hint = ValueHint::FilePath)]
    pub(crate) expect: Option<PathBuf>,

    /// If only token counts differ, find out if the run was counted with this tokenizer (repeatable)
    #[arg(long = "try", value_name = "DIR|FILE|REPO", requires = "check")]
    pub(crate) try_tokenizers: Vec<String>,

    /// Write the outcome as JUnit XML to PATH
    #[arg(long, value_name = "PATH", requires = "check", value_hint = ValueHint::FilePath)]
    pub(crate) junit: Option<PathBuf>,
}

/// Flags of `--follow`.
#[derive(Args, Debug)]
#[command(next_help_heading = "Following a live run")]
pub(crate) struct FollowingArgs {
    /// Follow a live run, and write its exact report when it ends
    ///
    /// RUN is a log, or a run directory, whose log the client keeps in memory until the run ends; without RUN the newest
    /// live log is followed. The report is written into the run directory, or to --output. Meanwhile a table on the
    /// terminal shows the status of the run; its percentiles are approximate, those of the report are exact.
    #[arg(long, visible_alias = "tail", conflicts_with = "check")]
    pub(crate) follow: bool,

    /// Wait this long for a log that does not exist yet; 0 does not wait
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds, requires = "follow")]
    pub(crate) wait: Duration,

    /// Count with N threads while the run is live; 0 leaves all counting to the end
    ///
    /// They have the lowest priority, and are on the highest processors unless --cpus names some.
    #[arg(long, value_name = "N", default_value = "1", requires = "follow")]
    pub(crate) live_threads: usize,

    /// Keep a snapshot of the live run in PATH, in the format of metrics/final_snapshot.json
    #[arg(long, value_name = "PATH", requires = "follow", value_hint = ValueHint::FilePath)]
    pub(crate) live_snapshot: Option<PathBuf>,

    /// Renew the status and the live snapshot this often
    ///
    /// The status is a line where stderr is not a terminal, and a JSON object on stdout with --format json.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, requires = "follow")]
    pub(crate) interval: Duration,

    /// Once the run has ended, count for at most this long and leave the rest; 0 counts everything
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds, requires = "follow")]
    pub(crate) drain_timeout: Duration,

    /// Treat the run as ended when its log has not grown for this long; 0 waits without limit
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds, requires = "follow")]
    pub(crate) idle_timeout: Duration,
}

/// Parses a time in seconds: `10`, `0.5`.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "expected a number of seconds, such as 10 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(number)
        .map_err(|_| "expected a number of seconds from 0 on".to_owned())
}

/// Processors and memory.
#[derive(Args, Debug)]
#[command(next_help_heading = "Processors and memory")]
pub(crate) struct Cores {
    /// Count with N threads [default: one for each allowed processor]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Use these processors, such as `0-7,16` [default: all that the kernel allows]
    #[arg(long, value_name = "LIST")]
    pub(crate) cpus: Option<String>,

    /// Put N processors into each pinned pool
    #[arg(long, value_name = "N", default_value = "8")]
    pub(crate) block_size: NonZeroUsize,

    /// Use at most this much memory, such as `2GiB`: with fewer threads and smaller batches, or fail [default: no limit]
    ///
    /// Mapped pages of the log are not included: the kernel may reclaim them.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_memory: Option<u64>,
}

/// Parses a size in bytes: `512M` and `512MiB` are 512 times 1024², `512MB` is 512 million.
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

/// Flags of the output on the terminal.
#[derive(Args, Debug)]
#[command(next_help_heading = "Display")]
pub(crate) struct DisplayArgs {
    /// Print the results in this format
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "text|json",
        hide_possible_values = true
    )]
    pub(crate) format: Format,

    /// Print only warnings and errors to stderr
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Print details: the files that were read, the processors, the engine and why it was chosen
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Use colours (`auto` respects `NO_COLOR`)
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Color,
}

/// The format of the results on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

/// The use of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
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
