//! `--live-snapshot`: a file for dashboards that always says how the run stands.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Follow;
use super::figures::Phase;
use super::live_stats::Gather;
use crate::files::atomic;
use crate::report::{Snapshot, State};
use crate::terminal::Messages;

/// The file, and when it was written last.
pub(super) struct LiveSnapshot<'a> {
    path: Option<&'a Path>,
    messages: Messages,
    interval: Duration,
    written: Option<Instant>,
    count: u64,
}

impl<'a> LiveSnapshot<'a> {
    pub fn new(follow: &'a Follow) -> Self {
        Self {
            path: follow.plan.outputs.live_snapshot.as_deref(),
            messages: follow.messages,
            interval: follow.options.interval,
            written: None,
            count: 0,
        }
    }

    /// Renews it if it is time to, with what `gather` saw last.
    pub fn renew(&mut self, follow: &Follow, gather: &Gather, phase: Phase) {
        let due = self
            .written
            .is_none_or(|written| written.elapsed() >= self.interval);
        if self.path.is_none() || !due {
            return;
        }
        self.written = Some(Instant::now());
        let series = gather.series(follow.means().streaming);
        let snapshot = follow.following.look(|seen, counted| Snapshot {
            state: state(phase),
            n_pending_tasks: seen.texts().saturating_sub(counted.texts()) + counted.uncountable(),
            counter: 0,
            timestamp_ns: seen.last_timestamp_ns(),
            counters: seen.counters(),
            series,
        });
        self.write(&snapshot);
    }

    /// Writes the one that a report was made from; the run's state in it is terminal.
    pub fn write(&mut self, snapshot: &Snapshot) {
        let Some(path) = self.path else { return };
        self.count += 1;
        let snapshot = Snapshot {
            counter: self.count,
            ..snapshot.clone()
        };
        if let Err(error) = atomic::replace(path, &snapshot.render()) {
            // Nobody waits for this file to go on.
            self.path = None;
            let why = super::super::count::chain(&error);
            self.messages
                .warn(format!("--live-snapshot is not kept any more: {why}"));
        }
    }
}

fn state(phase: Phase) -> State {
    match phase {
        Phase::Initialize => State::Initialize,
        Phase::Live => State::Live,
        Phase::Draining => State::Draining,
        Phase::Complete => State::Complete,
        Phase::Interrupted => State::Interrupted,
    }
}
