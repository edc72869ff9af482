//! Killed, or refused, at every single step of a rewrite.

use super::{Expected, leftovers, recount, row};
use crate::support::Run;

/// Everything that can be written: seven files of nine steps each, and the rows are drafted first. The summary comes last.
const ALL: [&str; 6] = [
    "--write",
    "summary,report,snapshot",
    "--samples",
    "rows.csv",
    "--html",
    "page.html",
];

const ALL_STEPS: usize = 64;

/// What is in the run: five files.
const ARGS: [&str; 2] = ["--write", "summary,report,snapshot"];
const STEPS: usize = 45;

#[test]
fn killed_at_any_step_a_run_is_old_or_new_and_the_next_run_mends_it() {
    let expected = Expected::with(&ALL);
    let mut states = Vec::new();
    for step in 1.. {
        let run = Run::text();
        let outcome = recount(&run, &ALL).fault("write", step, "kill").finish();
        if outcome.code == Some(0) {
            assert_eq!(step, ALL_STEPS + 1, "every step is tried");
            break;
        }
        assert_eq!(outcome.ended, "signal 9", "step {step}: {outcome:?}");
        let state = expected.check_whole(&run, &format!("step {step}"));
        let left = leftovers(run.around()).len();
        row(
            &format!("killed at step {step} of {ALL_STEPS}"),
            &outcome,
            &format!("{state} summary, {left} temporary files, gone after the next run"),
        );
        expected.check_mended(&run, &ALL, &format!("step {step}"));
        states.push((state, left));
    }
    // The summary is renamed last, and then only folders are synced.
    let new = states.iter().filter(|(state, _)| *state == "new").count();
    assert_eq!(new, 6 * 2, "{states:?}");
    assert!(states.iter().any(|(_, left)| *left == 7), "{states:?}");
}

/// ENOSPC, EDQUOT, EFBIG, EIO, EROFS, EXDEV, EPERM, EACCES, ENOENT, EMFILE.
const ERRORS: [i32; 10] = [28, 122, 27, 5, 30, 18, 1, 13, 2, 24];

#[test]
fn refused_at_any_step_a_run_stays_as_it_was_and_it_says_why() {
    let expected = Expected::with(&ARGS);
    for step in 1..=STEPS {
        let run = Run::text();
        let before = run.files();
        let error = ERRORS[step % ERRORS.len()];
        let at = format!("step {step}, error {error}");
        let outcome = recount(&run, &ARGS)
            .fault("write", step, &error.to_string())
            .finish();
        let said = std::io::Error::from_raw_os_error(error).to_string();
        assert!(outcome.stderr.contains(&said), "{at}: {outcome:?}");
        let state = expected.check_whole(&run, &at);
        assert!(leftovers(run.around()).is_empty(), "{at}");
        let code = match step {
            // Nothing is in its place yet: six steps prepare a file, then the original's copy is renamed.
            ..=31 => {
                assert_eq!(run.files(), before, "{at}");
                2
            }
            // The copy is made durable, and four files are renamed.
            32..=37 => 2,
            // All are in their places; that a power cut may undo it is worth a warning.
            _ => {
                assert!(
                    outcome.stderr.contains("warning: a power cut may"),
                    "{at}: {outcome:?}"
                );
                0
            }
        };
        assert_eq!(
            (outcome.code, state == "new"),
            (Some(code), code == 0),
            "{at}: {outcome:?}"
        );
        assert_eq!(outcome.stdout.is_empty(), code == 2, "{at}");
        row(
            &format!("{said} at step {step}"),
            &outcome,
            &format!("{state} summary"),
        );
        if step % 5 == 0 {
            expected.check_mended(&run, &ARGS, &at);
        }
    }
}
