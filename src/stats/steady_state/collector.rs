//! The values of a run, split into super-passes.

use std::num::NonZeroU64;

use crate::stats::FloatSeries;

/// The most super-passes of a run that is analyzed.
///
/// The method takes time that grows with the square of their number at least. The client stops after 30 s and
/// writes no verdict, which its Python reaches far below this.
const MAX_SUPER_PASSES: usize = 10_000;

/// Names a super-pass of one [`Collector`], or of another one that saw the same issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuperPassId(u32);

/// The values of as many consecutive samples as the data set has, in the order they were recorded.
#[derive(Clone, Debug, Default)]
pub(super) struct SuperPass {
    pub(super) first_issue_ns: i64,
    pub(super) last_issue_ns: i64,
    pub(super) ttft: FloatSeries,
    /// TTFT without the first turns of conversations, whose prompts no cache holds yet.
    pub(super) ttft_warm: FloatSeries,
    pub(super) latency: FloatSeries,
    pub(super) tpot: FloatSeries,
    pub(super) osl: FloatSeries,
    pub(super) tokens: u64,
}

/// Assigns the samples of a run to super-passes, and keeps their values: 8 bytes each.
///
/// The caller owns the samples in flight, and keeps for each the id that [`issued`](Self::issued) returned.
/// Times and token counts may be recorded by two collectors that see the same issues, and then be joined.
///
/// Source: the client's `metrics_aggregator/aggregator.py` and `steady_state_diagnostics.py`.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    /// Samples a super-pass; unknown until it is announced.
    size: Option<NonZeroU64>,
    assigned: u64,
    super_passes: Vec<SuperPass>,
}

impl Collector {
    /// Takes the number of turns that a performance phase announces. The last one before the first sample counts.
    pub fn announce_size(&mut self, num_turns: u64) {
        if self.assigned == 0 {
            self.size = NonZeroU64::new(num_turns).or(self.size);
        }
    }

    /// Assigns a sample that is issued in the tracking window, and returns its super-pass.
    ///
    /// `assigned` is what an earlier issue of the sample returned: a retry stays where it is. A sample that was issued
    /// before the size was known is assigned when it is issued again.
    pub fn issued(&mut self, assigned: Option<SuperPassId>, now_ns: i64) -> Option<SuperPassId> {
        let id = assigned.or_else(|| self.assign(now_ns))?;
        if let Some(super_pass) = self.get_mut(id) {
            super_pass.last_issue_ns = super_pass.last_issue_ns.max(now_ns);
        }
        Some(id)
    }

    fn assign(&mut self, now_ns: i64) -> Option<SuperPassId> {
        let index = usize::try_from(self.assigned / self.size?).ok()?;
        self.assigned += 1;
        if index >= MAX_SUPER_PASSES {
            self.super_passes = Vec::new();
            return None;
        }
        if index == self.super_passes.len() {
            self.super_passes.push(SuperPass {
                first_issue_ns: now_ns,
                last_issue_ns: now_ns,
                ..SuperPass::default()
            });
        }
        u32::try_from(index).ok().map(SuperPassId)
    }

    /// Records the time from issue to first chunk. `first_turn` is set for the first turn of a conversation.
    pub fn record_ttft(&mut self, id: SuperPassId, ttft_ns: i64, first_turn: bool) {
        if let Some(super_pass) = self.get_mut(id) {
            super_pass.ttft.push(ttft_ns as f64);
            if !first_turn {
                super_pass.ttft_warm.push(ttft_ns as f64);
            }
        }
    }

    /// Records the time from issue to completion.
    pub fn record_latency(&mut self, id: SuperPassId, latency_ns: i64) {
        if let Some(super_pass) = self.get_mut(id) {
            super_pass.latency.push(latency_ns as f64);
        }
    }

    /// Records the time per output token, and the number of tokens after the first chunk that it was divided by.
    pub fn record_tpot(&mut self, id: SuperPassId, tpot_ns: f64, tokens: u64) {
        if let Some(super_pass) = self.get_mut(id) {
            super_pass.tpot.push(tpot_ns);
            super_pass.osl.push(tokens as f64);
            super_pass.tokens = super_pass.tokens.saturating_add(tokens);
        }
    }

    fn get_mut(&mut self, id: SuperPassId) -> Option<&mut SuperPass> {
        self.super_passes.get_mut(id.0 as usize)
    }

    /// Joins the times that one collector recorded with the token counts of another that saw the same issues.
    pub fn join(mut times: Self, tokens: Self) -> Self {
        for (super_pass, counted) in times.super_passes.iter_mut().zip(tokens.super_passes) {
            super_pass.tpot = counted.tpot;
            super_pass.osl = counted.osl;
            super_pass.tokens = counted.tokens;
        }
        times
    }

    /// The number of samples in a super-pass; `None` if it was not announced.
    pub(super) fn size(&self) -> Option<u64> {
        self.size.map(NonZeroU64::get)
    }

    /// The super-passes in order; none if there are too many.
    pub(super) fn super_passes(&self) -> &[SuperPass] {
        &self.super_passes
    }

    /// Tells that there are more super-passes than are analyzed.
    pub(super) fn is_over_limit(&self) -> bool {
        self.assigned > 0 && self.super_passes.is_empty()
    }
}

/// The time between two instants in seconds.
pub(super) fn seconds(start_ns: i64, end_ns: i64) -> f64 {
    (i128::from(end_ns) - i128::from(start_ns)) as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_announcement_before_the_first_sample_counts() {
        let mut collector = Collector::default();
        assert_eq!(collector.issued(None, 1), None);
        collector.announce_size(3);
        collector.announce_size(2);
        collector.announce_size(0);
        assert_eq!(collector.issued(None, 2), Some(SuperPassId(0)));
        collector.announce_size(1);
        assert_eq!(collector.issued(None, 3), Some(SuperPassId(0)));
        assert_eq!(collector.issued(None, 4), Some(SuperPassId(1)));
        assert_eq!(collector.size(), Some(2));
    }

    #[test]
    fn a_retry_only_moves_the_last_issue() {
        let mut collector = Collector::default();
        collector.announce_size(1);
        let first = collector.issued(None, 5);
        assert_eq!(collector.issued(first, 9), first);
        assert_eq!(collector.issued(first, 7), first);
        assert_eq!(collector.issued(None, 11), Some(SuperPassId(1)));
        let [super_pass, _] = collector.super_passes() else {
            panic!("{collector:?}");
        };
        assert_eq!(
            (super_pass.first_issue_ns, super_pass.last_issue_ns),
            (5, 9)
        );
    }

    #[test]
    fn too_many_super_passes_are_let_go() {
        let mut collector = Collector::default();
        collector.announce_size(1);
        let mut ids = (0..=MAX_SUPER_PASSES).map(|_| collector.issued(None, 1));
        let (first, last) = (ids.next().unwrap(), ids.last().unwrap());
        assert_eq!(last, None);
        assert!(collector.is_over_limit());
        collector.record_latency(first.unwrap(), 1);
        assert_eq!(collector.issued(None, 1), None);
        assert!(super::super::analyze(&collector).is_none());
    }
}
