//! Displays the statistics of a live run: a table on a terminal, else a line every `--interval`, or JSON.
//!
//! A separate thread writes them: a stopped terminal or a full pipe can block a write for ever, and the follow must go on.

mod line;
mod table;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use super::live_stats::LiveStats;
use crate::command::show;
use crate::number;
use crate::plan::Format;
use crate::terminal::{Messages, Screen, escape_message};

/// The time between two drawings of the table: short enough to look live, long enough to read.
const REDRAW_INTERVAL: Duration = Duration::from_millis(200);

/// The longest wait for the last write.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_millis(300);

/// Passes statistics to the writer thread at the right times.
#[derive(Debug)]
pub(super) struct StatusDisplay {
    /// Holds one message: statistics are dropped while the writer is busy.
    tx: SyncSender<LiveStats>,
    writer: Option<JoinHandle<()>>,
    interval: Duration,
    next: Instant,
    has_shown: bool,
    is_lines: bool,
}

/// Writes statistics.
#[derive(Debug)]
struct Writer {
    messages: Messages,
    mode: DisplayMode,
    log_name: String,
}

#[derive(Debug)]
enum DisplayMode {
    /// A table on the terminal, redrawn in place.
    Table(Screen),
    /// Lines on stderr.
    Lines,
    /// Objects on stdout, one a line.
    Json,
    Off,
}

/// The object of `--format json`.
#[derive(Serialize)]
struct JsonLine<'a> {
    time: String,
    #[serde(flatten)]
    stats: &'a LiveStats,
}

impl StatusDisplay {
    /// Starts the writer thread. Lines and objects are written every `interval`, the table is redrawn more often.
    pub fn new(format: Format, messages: Messages, interval: Duration, log_name: &str) -> Self {
        let mode = match (format, messages.screen()) {
            (Format::Json, _) => DisplayMode::Json,
            (Format::Text, Some(screen)) => DisplayMode::Table(screen),
            (Format::Text, None) => DisplayMode::Lines,
        };
        let now = Instant::now();
        let (interval, next) = match mode {
            DisplayMode::Table(_) => (REDRAW_INTERVAL, now),
            _ => (interval, now + interval),
        };
        let is_lines = matches!(mode, DisplayMode::Lines);
        let writer = Writer {
            messages,
            mode,
            log_name: escape_message(log_name),
        };
        let (tx, rx) = sync_channel(1);
        let writer = thread::Builder::new()
            .name("display".into())
            .spawn(|| writer.run(rx));
        Self {
            tx,
            // The report is worth more: if the thread does not start, nothing is shown.
            writer: writer.ok(),
            interval,
            next,
            has_shown: false,
            is_lines,
        }
    }

    /// Shows the statistics if the interval has passed.
    pub fn show(&mut self, stats: &LiveStats) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + self.interval;
            self.has_shown = true;
            let _ = self.tx.try_send(stats.clone());
        }
    }

    /// Shows the last statistics and gives the terminal back. No line is written if the log was at its end from the start.
    pub fn finish(self, stats: &LiveStats) {
        let deadline = Instant::now() + LAST_WRITE_TIMEOUT;
        let wait = || {
            thread::sleep(Duration::from_millis(1));
            Instant::now() < deadline
        };
        if self.has_shown || !self.is_lines {
            while self.tx.try_send(stats.clone()).is_err() && wait() {}
        }
        drop(self.tx);
        while self
            .writer
            .as_ref()
            .is_some_and(|writer| !writer.is_finished())
            && wait()
        {}
    }
}

impl Writer {
    fn run(mut self, rx: Receiver<LiveStats>) {
        for stats in rx {
            self.write(&stats);
        }
    }

    fn write(&mut self, stats: &LiveStats) {
        match &mut self.mode {
            DisplayMode::Table(screen) => {
                screen.draw(table::table(stats, &self.log_name, screen.size()));
            }
            DisplayMode::Lines => self.messages.status(line::line(stats)),
            DisplayMode::Json => {
                let written = json(stats, Timestamp::now()).and_then(|text| Ok(show(&text)?));
                if let Err(error) = written {
                    // The report is worth more.
                    self.messages
                        .warn(format!("the status is not shown any more: {error}"));
                    self.mode = DisplayMode::Off;
                }
            }
            DisplayMode::Off => {}
        }
    }
}

/// Formats the part of the log that is not read yet, if it is large enough to show.
fn lag(stats: &LiveStats) -> Option<String> {
    (stats.behind_bytes >= 50_000)
        .then(|| format!("{} behind", number::megabytes(stats.behind_bytes)))
}

/// Formats the object of a moment, on one line.
fn json(stats: &LiveStats, now: Timestamp) -> anyhow::Result<String> {
    let time = format!("{now:.3}");
    Ok(serde_json::to_string(&JsonLine { time, stats })? + "\n")
}

#[cfg(test)]
mod tests;
