//! `output_sequence_lengths_full_run`: the output lengths of every completed turn of the run, tracked or not, which the
//! accuracy gate of agentic runs looks at. Source: `metrics/full_run_osl.py` of the client of 2026-09-24.

use crate::stats::Stat;

/// The block of a summary; the fields stand in the file's order.
#[derive(Clone, Debug, PartialEq)]
pub struct FullRunOsl {
    /// Statistics of the counted turns.
    pub osl: Stat,
    /// Turns that were counted: the values of `osl`.
    pub turns: TurnTally,
}

/// The number of turns that were counted, and of those that were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnTally {
    /// Turns with a count.
    pub counted: u64,
    /// Turns without output.
    pub empty: u64,
    /// Turns that ended in an error.
    pub errors: u64,
    /// Completion lines that cannot be decoded.
    pub undecodable: u64,
    /// Turns of the sample map that never completed.
    pub missing: u64,
}

impl TurnTally {
    /// Returns true if turns are missing from the statistics, so that the accuracy gate cannot use them.
    pub fn is_partial(self) -> bool {
        self.errors + self.undecodable + self.missing > 0
    }

    /// Returns true if nothing was seen at all: the client then writes null instead of a block.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}
