//! Exit codes, by name. They are documented in `--help` and the README.

/// The files are written, and the run is complete.
pub(crate) const COMPLETE: u8 = 0;
/// A check found differences, or a log that is incomplete.
pub(crate) const DIFFERENT: u8 = 1;
/// The work failed; nothing was changed.
pub(crate) const FAILED: u8 = 2;
/// The files are written, but the run is incomplete.
pub(crate) const INCOMPLETE: u8 = 3;
/// Stopped by SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;
/// Stopped by SIGTERM.
pub(crate) const TERMINATED: u8 = 143;

/// The exit code of several runs: the worst one. A signal is worse than a failure, a failure worse than an incomplete
/// run.
pub(crate) fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    let severity = |code: &u8| match *code {
        COMPLETE => 0,
        DIFFERENT => 1,
        INCOMPLETE => 2,
        FAILED => 3,
        _ => 4,
    };
    codes.into_iter().max_by_key(severity).unwrap_or(COMPLETE)
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
