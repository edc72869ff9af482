//! The committed corpus of the fuzz targets, replayed. Findings are kept there as cases.

use std::fs;
use std::time::{Duration, Instant};

use crate::fuzz::{TARGETS, repository};

/// No input takes this long, on any machine.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn every_input_of_the_corpus_passes() {
    for (target, body) in TARGETS {
        let folder = repository(&format!("tests/fuzz/corpus/{target}"));
        let mut inputs: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        inputs.sort();
        assert!(inputs.len() >= 3, "{target} has no corpus");
        for path in inputs {
            let started = Instant::now();
            let input = fs::read(&path).unwrap();
            let passed = std::panic::catch_unwind(|| body(&input)).is_ok();
            assert!(passed, "{} fails", path.display());
            assert!(started.elapsed() < SOON, "{} is slow", path.display());
        }
        body(b"");
    }
}
