//! How a followed run stands, in plain lines.

use std::time::{Duration, Instant};

use super::figures::{Figures, Phase};
use crate::messages::Messages;

/// A line now and then on stderr.
pub(super) struct Lines {
    messages: Messages,
    interval: Duration,
    last: Instant,
    shown: bool,
}

impl Lines {
    pub fn new(messages: Messages, interval: Duration) -> Self {
        let last = Instant::now();
        Self {
            messages,
            interval,
            last,
            shown: false,
        }
    }

    /// Says how it stands, if it is time to.
    pub fn show(&mut self, figures: &Figures) {
        if self.last.elapsed() >= self.interval {
            self.last = Instant::now();
            self.shown = true;
            self.messages.note(line(figures));
        }
    }

    /// Says how it stood at last, if it was said before how it stands.
    pub fn finish(&self, figures: &Figures) {
        if self.shown {
            self.messages.note(line(figures));
        }
    }
}

fn line(figures: &Figures) -> String {
    let phase = match figures.phase {
        Phase::Initialize => "initialize",
        Phase::Live => "live",
        Phase::Draining => "draining",
        Phase::Complete => "complete",
        Phase::Interrupted => "interrupted",
    };
    format!(
        "{phase}, {:.1} s: {} issued, {} completed, {} failed, {} in flight; {} texts counted, {} pending",
        figures.elapsed_ns as f64 / 1e9,
        figures.issued,
        figures.completed,
        figures.failed,
        figures.in_flight,
        figures.counted,
        figures.pending,
    )
}
