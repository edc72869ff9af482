//! The verdict: is the report that of the whole run, and if not, why?

use crate::pipeline::RunResult;
use crate::report::ClientVersion;

/// The verdict on a run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Verdict {
    /// `complete` or `interrupted`.
    pub state: &'static str,
    /// True if every text of every sample was read and counted.
    pub complete: bool,
    /// Why it is not complete, and the losses that a recount cannot restore.
    pub reasons: Vec<String>,
    /// The first damaged lines, with their places.
    pub damaged_lines: Vec<String>,
}

impl Verdict {
    /// Returns the verdict in a word or two.
    pub fn outcome(&self) -> String {
        if self.complete {
            "complete".to_owned()
        } else {
            format!("incomplete ({})", self.state)
        }
    }

    pub fn of(result: &RunResult) -> Self {
        let snapshot = &result.snapshot;
        let damaged: u64 = result.tally.damage.values().map(|seen| seen.count).sum();
        let mut reasons = Vec::new();
        if result.tally.uncounted > 0 {
            let texts = plural(result.tally.uncounted, "text");
            reasons.push(format!("{texts} pending, not counted before the end"));
        }
        if result.interrupted {
            let mut reason = "the run was interrupted (session.interrupted)".to_owned();
            if snapshot.client >= ClientVersion::September24 {
                reason += "; the client's own percentiles are approximate then, these are exact";
            }
            reasons.push(reason);
        }
        if !result.ended {
            reasons.push(
                "the log has no session.ended: the run did not end, or its log was cut".to_owned(),
            );
        }
        if let Some(cut) = &result.cut {
            reasons.push(cut.to_string());
        }
        if damaged > 0 {
            reasons.push(format!(
                "{} could not be read",
                plural(damaged, "damaged line")
            ));
        }
        let uncounted: u64 = result.tally.failures.values().map(|seen| seen.count).sum();
        if uncounted > 0 {
            reasons.push(format!(
                "{} could not be counted (recompute.json says why)",
                plural(uncounted, "text")
            ));
        }
        let overflowing = result.anomalies.overflowing_deltas.count;
        if overflowing > 0 {
            reasons.push(format!(
                "{} did not fit 64 bits",
                plural(overflowing, "time difference")
            ));
        }
        if result.lost > 0 {
            reasons.push(format!(
                "{} issued in a tracking window never completed, and a recount cannot restore them: {}",
                plural(result.lost, "sample"),
                lost_samples(result)
            ));
        }
        let counters = &snapshot.counters;
        let unfinished = (counters.tracked_samples_issued)
            .saturating_sub(counters.tracked_samples_completed + result.lost);
        if snapshot.client.accounts_for_samples() && unfinished > 0 {
            reasons.push(format!(
                "{} did not complete on their own, since samples were issued again: the client of {} calls such a run \
                 incomplete",
                plural(unfinished, "issue"),
                snapshot.client.label()
            ));
        }
        if snapshot.client.accounts_for_samples()
            && counters.tracked_samples_failed > counters.tracked_samples_completed
        {
            reasons.push("more samples failed than completed".to_owned());
        }
        Self {
            state: snapshot.state.name(),
            complete: snapshot.is_complete(),
            reasons,
            damaged_lines: result
                .tally
                .damaged_lines
                .iter()
                .map(|at| format!("line {}, byte {}: {}", at.line, at.offset, at.damage))
                .collect(),
        }
    }
}

fn lost_samples(result: &RunResult) -> String {
    let names = result.lost_samples.join(", ");
    let more = result.lost - result.lost_samples.len() as u64;
    if more == 0 {
        names
    } else {
        format!("{names} and {more} more")
    }
}

/// `1 sample`, `2 samples`.
pub(super) fn plural(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
