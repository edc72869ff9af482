//! What a follow shows while it goes on: a table on a terminal, else a line now and then, or JSON.

mod line;
mod plain;
mod table;
mod units;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use super::figures::{Figures, Phase};
use crate::cli::{Display as Flags, Format};
use crate::command::show;
use crate::messages::{Messages, Screen, harmless};

/// Between two drawings of the table: fast enough to be alive, slow enough to be read.
const BETWEEN_DRAWINGS: Duration = Duration::from_millis(200);

/// Shows figures, as often as it makes sense.
#[derive(Debug)]
pub(super) struct Display {
    messages: Messages,
    how: How,
    /// Which log it is.
    name: String,
    every: Duration,
    next: Instant,
    shown: bool,
}

#[derive(Debug)]
enum How {
    /// Drawn again and again on stderr, which is a terminal.
    Table(Screen),
    /// A line on stderr.
    Lines,
    /// An object on stdout.
    Json,
    Nothing,
}

/// The figures of a moment.
#[derive(Serialize)]
struct Moment<'a> {
    time: String,
    #[serde(flatten)]
    figures: &'a Figures,
}

impl Display {
    /// `interval` is how often a line or an object is written; the table is drawn as figures change.
    pub fn new(flags: &Flags, messages: Messages, interval: Duration, name: &str) -> Self {
        let how = match (flags.format, messages.screen()) {
            (Format::Json, _) => How::Json,
            (Format::Text, Some(screen)) => How::Table(screen),
            (Format::Text, None) => How::Lines,
        };
        let now = Instant::now();
        let (every, next) = match how {
            How::Table(_) => (BETWEEN_DRAWINGS, now),
            _ => (interval, now + interval),
        };
        let name = harmless(name);
        Self {
            messages,
            how,
            name,
            every,
            next,
            shown: false,
        }
    }

    /// Shows them if it is time to. May be called as often as one likes.
    pub fn show(&mut self, figures: &Figures) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + self.every;
            self.shown = true;
            self.put(figures);
        }
    }

    /// Shows the last ones, and leaves the terminal to others. A log that was at its end from the start needs no line.
    pub fn finish(mut self, figures: &Figures) {
        if self.shown || !matches!(self.how, How::Lines) {
            self.put(figures);
        }
    }

    fn put(&mut self, figures: &Figures) {
        match &mut self.how {
            How::Table(screen) => {
                screen.draw(table::table(figures, &self.name, screen.size()));
            }
            How::Lines => self.messages.status(plain::line(figures)),
            How::Json => {
                let shown = json(figures, Timestamp::now()).and_then(|text| Ok(show(&text)?));
                if let Err(error) = shown {
                    // The report is worth more.
                    self.messages
                        .warn(format!("nothing more is shown: {error}"));
                    self.how = How::Nothing;
                }
            }
            How::Nothing => {}
        }
    }
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Initialize => "initialize",
        Phase::Live => "live",
        Phase::Draining => "draining",
        Phase::Complete => "complete",
        Phase::Interrupted => "interrupted",
    }
}

/// One object, on one line.
fn json(figures: &Figures, now: Timestamp) -> anyhow::Result<String> {
    let time = format!("{now:.3}");
    Ok(serde_json::to_string(&Moment { time, figures })? + "\n")
}

#[cfg(test)]
mod tests;
