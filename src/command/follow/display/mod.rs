//! What a follow shows while it goes on: a table on a terminal, else a line now and then, or JSON.
//!
//! A thread of its own writes it, since a terminal that is stopped, or a pipe that nobody reads, can hold it up for as long
//! as they like: the run must not wait for those who watch it.

mod line;
mod plain;
mod table;
mod units;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use super::figures::{Figures, Phase};
use crate::command::show;
use crate::plan::Format;
use crate::terminal::{Messages, Screen, harmless};

/// Between two drawings of the table: fast enough to be alive, slow enough to be read.
const BETWEEN_DRAWINGS: Duration = Duration::from_millis(200);

/// The last figures have so long to be shown.
const FAREWELL: Duration = Duration::from_millis(300);

/// Shows figures, as often as it makes sense.
#[derive(Debug)]
pub(super) struct Display {
    /// To whoever writes them; one that is still at the last ones gets no others.
    show: SyncSender<Figures>,
    writer: Option<JoinHandle<()>>,
    every: Duration,
    next: Instant,
    shown: bool,
    lines: bool,
}

/// Writes figures.
#[derive(Debug)]
struct Writer {
    messages: Messages,
    how: How,
    /// Which log it is.
    name: String,
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
    pub fn new(format: Format, messages: Messages, interval: Duration, name: &str) -> Self {
        let how = match (format, messages.screen()) {
            (Format::Json, _) => How::Json,
            (Format::Text, Some(screen)) => How::Table(screen),
            (Format::Text, None) => How::Lines,
        };
        let now = Instant::now();
        let (every, next) = match how {
            How::Table(_) => (BETWEEN_DRAWINGS, now),
            _ => (interval, now + interval),
        };
        let lines = matches!(how, How::Lines);
        let writer = Writer {
            messages,
            how,
            name: harmless(name),
        };
        let (show, figures) = sync_channel(1);
        let writer = thread::Builder::new()
            .name("display".into())
            .spawn(|| writer.write_all(figures));
        Self {
            show,
            // Without a thread nothing is shown, and the report is worth more.
            writer: writer.ok(),
            every,
            next,
            shown: false,
            lines,
        }
    }

    /// Shows them if it is time to. May be called as often as one likes.
    pub fn show(&mut self, figures: &Figures) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + self.every;
            self.shown = true;
            let _held_up = self.show.try_send(figures.clone());
        }
    }

    /// Shows the last ones, and leaves the terminal to others. A log that was at its end from the start needs no line.
    pub fn finish(self, figures: &Figures) {
        let until = Instant::now() + FAREWELL;
        let waits = || {
            thread::sleep(Duration::from_millis(1));
            Instant::now() < until
        };
        if self.shown || !self.lines {
            while self.show.try_send(figures.clone()).is_err() && waits() {}
        }
        drop(self.show);
        while self
            .writer
            .as_ref()
            .is_some_and(|writer| !writer.is_finished())
            && waits()
        {}
    }
}

impl Writer {
    fn write_all(mut self, all: Receiver<Figures>) {
        for figures in all {
            self.put(&figures);
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
