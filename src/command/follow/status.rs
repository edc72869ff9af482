//! Shows the status of a followed run: the display, and the file of `--live-snapshot`.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Follow;
use super::display::StatusDisplay;
use super::live_stats::{LiveStats, LiveStatsCollector};
use crate::files::atomic;
use crate::process::error_chain;
use crate::report::{Snapshot, State};
use crate::terminal::Messages;

/// Shows the status of a followed run.
pub(super) struct Status<'a> {
    follow: &'a Follow<'a>,
    collector: LiveStatsCollector,
    display: StatusDisplay,
    snapshot: LiveSnapshot<'a>,
}

impl<'a> Status<'a> {
    pub fn new(follow: &'a Follow) -> Self {
        Self {
            follow,
            collector: LiveStatsCollector::default(),
            display: StatusDisplay::new(
                follow.session.plan.display.format,
                follow.messages,
                follow.options.interval,
                &follow.live.log().display().to_string(),
            ),
            snapshot: LiveSnapshot::new(follow),
        }
    }

    /// Shows the status of this moment.
    pub fn show(&mut self, phase: State) {
        let stats = self.collect(phase);
        self.display.show(&stats);
        self.snapshot.update(self.follow, &self.collector, phase);
    }

    /// Shows the last status. The caller writes the last snapshot, the one that the report is made from.
    pub fn finish(mut self, phase: State) -> LiveSnapshot<'a> {
        let stats = self.collect(phase);
        self.display.finish(&stats);
        self.snapshot
    }

    fn collect(&mut self, phase: State) -> LiveStats {
        self.collector.collect(&self.follow.following, phase)
    }
}

/// Keeps the file of `--live-snapshot` current, for dashboards.
pub(super) struct LiveSnapshot<'a> {
    path: Option<&'a Path>,
    messages: Messages,
    interval: Duration,
    last_write: Option<Instant>,
    count: u64,
}

impl<'a> LiveSnapshot<'a> {
    fn new(follow: &'a Follow) -> Self {
        Self {
            path: follow.plan.outputs.live_snapshot.as_deref(),
            messages: follow.messages,
            interval: follow.options.interval,
            last_write: None,
            count: 0,
        }
    }

    /// Writes the file if `--interval` has passed, with the series of the last collection.
    fn update(&mut self, follow: &Follow, collector: &LiveStatsCollector, phase: State) {
        let due = self
            .last_write
            .is_none_or(|at| at.elapsed() >= self.interval);
        if self.path.is_none() || !due {
            return;
        }
        self.last_write = Some(Instant::now());
        let rules = follow.counting().rules;
        let series = collector.series(rules.streaming);
        let snapshot = follow.following.look(|seen, counted| Snapshot {
            client: rules.client,
            state: phase,
            n_pending_tasks: seen.tally().texts.saturating_sub(counted.tally().texts)
                + counted.uncountable(),
            counter: 0,
            timestamp_ns: seen.last_timestamp_ns(),
            counters: seen.counters(),
            series,
            ..Snapshot::default()
        });
        self.write(&snapshot);
    }

    /// Writes a snapshot. The last one is the snapshot that the report is made from.
    pub fn write(&mut self, snapshot: &Snapshot) {
        let Some(path) = self.path else { return };
        self.count += 1;
        let snapshot = Snapshot {
            counter: self.count,
            ..snapshot.clone()
        };
        if let Err(error) = atomic::replace(path, &snapshot.render()) {
            // The report is worth more than this file.
            self.path = None;
            let why = error_chain(&error);
            self.messages
                .warn(format!("--live-snapshot is not updated any more: {why}"));
        }
    }
}
