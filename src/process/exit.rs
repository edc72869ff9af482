//! Exit codes, by name. They are documented in `--help` and the README.

/// Written, and the run is complete.
pub const COMPLETE: u8 = 0;
/// A check found differences, or a log that is incomplete.
pub const DIFFERENT: u8 = 1;
/// It could not be done; nothing was changed.
pub const FAILED: u8 = 2;
/// Written, but the run is incomplete.
pub const INCOMPLETE: u8 = 3;
/// Stopped by SIGINT.
pub const INTERRUPTED: u8 = 130;
/// Stopped by SIGTERM.
pub const TERMINATED: u8 = 143;

/// The code of several runs together: the worst one. A signal is worse than a failure, a failure
/// worse than an incomplete run.
pub fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    let badness = |code: &u8| match *code {
        COMPLETE => 0,
        DIFFERENT => 1,
        INCOMPLETE => 2,
        FAILED => 3,
        _ => 4,
    };
    codes.into_iter().max_by_key(badness).unwrap_or(COMPLETE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_code_wins() {
        let check = |codes: &[u8], expected| assert_eq!(worst(codes.iter().copied()), expected);
        check(&[], COMPLETE);
        check(&[COMPLETE, COMPLETE], COMPLETE);
        check(&[COMPLETE, INCOMPLETE, COMPLETE], INCOMPLETE);
        check(&[FAILED, INCOMPLETE], FAILED);
        check(&[INTERRUPTED, FAILED], INTERRUPTED);
    }
}
