//! The shape of a log: what its first lines show of the client that wrote it.

use std::path::Path;

use crate::event::{Data, Decoder, Event, EventKind};
use crate::log::{BatchSizes, Log, LogItem};

/// The most bytes that are looked at.
const MAX_BYTES: u64 = 64 << 20;
/// The number of outputs after which a log that gave no finish reason is taken for one without them.
const ENOUGH_OUTPUTS: u64 = 1000;
/// A key of the logs that the client wrote before April 2026, which have no prompts.
const OLD_KEY: &[u8] = b"\"approx_datetime_str\":";

/// The traces of a client version in the first lines of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one piece of evidence"
)]
pub(super) struct LogShape {
    /// True if there is a `session.phase_start` or a `session.interrupted`.
    pub has_phases: bool,
    /// True if a tracking window is opened.
    pub is_tracking: bool,
    /// The number of elements of a prompt.
    pub prompt_elements: Option<usize>,
    /// True if there is a finish reason, or a worker.
    pub has_finish_reasons: bool,
    /// The number of outputs.
    outputs: u64,
    /// True if the log is of the format before April 2026.
    pub is_before_april: bool,
}

impl LogShape {
    /// Reads the first lines of the log at `path`, at most `max_lines`. A log that cannot be read shows nothing here: the error is reported
    /// when the log is counted.
    pub fn read(path: &Path, max_lines: u64) -> Self {
        let mut shape = Self::default();
        let Ok(log) = Log::open(path) else {
            return shape;
        };
        let mut decoder = Decoder::default();
        let (mut bytes, mut lines) = (0, 0);
        for piece in log.batches(BatchSizes::new(1)) {
            let Ok(LogItem::Lines(batch)) = piece else {
                break;
            };
            for line in batch.lines() {
                decoder.skim(line.bytes, |event| match event {
                    Ok(event) => shape.take(event),
                    Err(_) => {
                        shape.is_before_april |=
                            memchr::memmem::find(line.bytes, OLD_KEY).is_some();
                    }
                });
                lines += 1;
                if shape.is_decided() || lines == max_lines {
                    return shape;
                }
            }
            bytes += batch.bytes().len() as u64;
            if bytes >= MAX_BYTES {
                break;
            }
        }
        shape
    }

    fn take(&mut self, event: &Event) {
        self.has_phases |= matches!(event.kind, EventKind::PhaseStart | EventKind::Interrupted);
        self.is_tracking |= event.kind == EventKind::StartTracking;
        self.has_finish_reasons |= event.finish_reason.is_some() || event.worker_id.is_some();
        match &event.data {
            Data::Prompt(prompt) if self.prompt_elements.is_none() => {
                self.prompt_elements = Some(prompt.elements);
            }
            Data::Output(_) => self.outputs += 1,
            _ => {}
        }
    }

    /// Returns true if there were so many outputs that finish reasons would have been seen.
    pub fn has_outputs(&self) -> bool {
        self.outputs > 0
    }

    /// Returns true if further lines would show nothing new.
    fn is_decided(&self) -> bool {
        self.is_before_april
            || self.has_phases
            || (self.is_tracking
                && self.prompt_elements.is_some()
                && (self.has_finish_reasons || self.outputs >= ENOUGH_OUTPUTS))
    }
}
