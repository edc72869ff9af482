//! The samples in flight as the steady state sees them, for runs that ask for its verdict.

use hashbrown::HashMap;

use crate::event::EventKind;
use crate::sample::{Emissions, Observation, Payload, SampleId};
use crate::stats::steady_state::{Collector, SuperPassId};

/// A sample in flight.
#[derive(Debug)]
struct InFlight {
    super_pass: Option<SuperPassId>,
    saw_first_chunk: bool,
}

/// Hands the values of samples to the collector of their super-pass.
#[derive(Debug, Default)]
pub(super) struct SteadyState {
    collector: Collector,
    in_flight: HashMap<SampleId, InFlight>,
}

impl SteadyState {
    /// Starts with the size of a super-pass, for logs that do not announce it.
    pub(super) fn new(superpass: Option<u64>) -> Self {
        let mut state = Self::default();
        if let Some(samples) = superpass {
            state.collector.announce_size(samples);
        }
        state
    }

    /// Takes an event and the values that the table made of it. `is_tracking`: a tracking window is open.
    pub(super) fn take(&mut self, seen: &Observation, emitted: &Emissions, is_tracking: bool) {
        let collector = &mut self.collector;
        match (seen.kind, seen.payload) {
            (EventKind::PhaseStart, Payload::PerformancePhase(turns)) => {
                collector.announce_size(turns);
            }
            (EventKind::Issued, _) if is_tracking && !seen.sample.is_empty() => {
                let sample = self
                    .in_flight
                    .entry(seen.sample.clone())
                    .or_insert(InFlight {
                        super_pass: None,
                        saw_first_chunk: false,
                    });
                sample.super_pass = collector.issued(sample.super_pass, seen.timestamp_ns);
            }
            (EventKind::RecvFirst, _) => {
                let Some(sample) = self.in_flight.get_mut(&seen.sample) else {
                    return;
                };
                // A repeated first chunk is not recorded again.
                if let (Some(super_pass), Some(ttft_ns), false) =
                    (sample.super_pass, emitted.ttft_ns, sample.saw_first_chunk)
                {
                    collector.record_ttft(super_pass, ttft_ns, seen.is_first_turn);
                }
                sample.saw_first_chunk = true;
            }
            (EventKind::Complete, _) => {
                let sample = self.in_flight.remove(&seen.sample);
                let Some(super_pass) = sample.and_then(|sample| sample.super_pass) else {
                    return;
                };
                if let Some(latency_ns) = emitted.latency_ns {
                    collector.record_latency(super_pass, latency_ns);
                }
                if let (Some(tpot_ns), Some(tokens)) =
                    (emitted.tpot_ns, emitted.after_first_chunk.tokens())
                {
                    collector.record_tpot(super_pass, tpot_ns, tokens);
                }
            }
            _ => {}
        }
    }

    /// Joins the times of one pass over a log with the token counts of another.
    pub(super) fn join(timing: Self, tokens: Self) -> Self {
        Self {
            collector: Collector::join(timing.collector, tokens.collector),
            in_flight: timing.in_flight,
        }
    }

    /// The values of all super-passes.
    pub(super) fn collector(&self) -> &Collector {
        &self.collector
    }
}
