//! Runs `--follow` on logs that another thread writes. The report equals that of a recompute, whatever happens to the log
//! meanwhile, and a follow that is stopped reports what it has counted.

mod properties;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write, pipe};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Run, read};

const LOG: &str = "events.jsonl";
const SUMMARY: &str = "performance/result_summary.json";
/// The longest time of a test; a follow that takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest time in which a follow ends after a signal, on a busy machine.
const MAX_END_TIME: Duration = Duration::from_secs(10);

/// A running follow.
struct Followed {
    child: Child,
    stderr: Receiver<String>,
    /// The lines of stderr that were received.
    received: String,
}

/// The result of a follow.
#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    took: Duration,
}

impl Followed {
    /// Starts `tok-recompute --follow INPUT ARGS` with the run's tokenizer and environment variables.
    fn start(run: &Run, input: &str, args: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_to(Stdio::piped(), run, input, args, environment)
    }

    /// Does the same with another stdout.
    fn start_to(
        stdout: impl Into<Stdio>,
        run: &Run,
        input: &str,
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tok-recompute"));
        command.arg("--follow");
        command.args(Some(input).filter(|input| !input.is_empty()));
        command.arg("--tokenizer").arg(run.tokenizer());
        let mut child = command
            .args(args)
            .envs(environment.iter().copied())
            .current_dir(run.around())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tx, stderr_lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in stderr.lines() {
                let _ = tx.send(line.unwrap());
            }
        });
        Self {
            child,
            stderr: stderr_lines,
            received: String::new(),
        }
    }

    /// Waits for a line on stderr that contains `text`.
    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + TIMEOUT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.stderr.recv_timeout(left) else {
                let _ = self.child.kill();
                panic!("stderr lacks {text:?}: {}", self.received)
            };
            self.received += &line;
            self.received.push('\n');
            if line.contains(text) {
                return;
            }
        }
    }

    /// Waits until a failpoint has stopped the process.
    fn wait_for_stop(&self) {
        let end = Instant::now() + TIMEOUT;
        let state = format!("/proc/{}/stat", self.child.id());
        while !fs::read_to_string(&state).unwrap().contains(") T ") {
            assert!(
                Instant::now() < end,
                "the process is not stopped: {}",
                self.received
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    #[track_caller]
    fn finish(mut self) -> Outcome {
        let started = Instant::now();
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            if started.elapsed() > TIMEOUT {
                self.child.kill().unwrap();
                panic!("the follow hangs: {}", self.received);
            }
            thread::sleep(Duration::from_millis(5));
        };
        let took = started.elapsed();
        let mut stdout = String::new();
        let mut out = self.child.stdout.take().unwrap();
        out.read_to_string(&mut stdout).unwrap();
        for line in self.stderr {
            self.received += &line;
            self.received.push('\n');
        }
        Outcome {
            code,
            stdout,
            stderr: self.received,
            took,
        }
    }
}

/// Appends to a log.
struct Writer(File);

impl Writer {
    fn new(path: impl AsRef<Path>) -> Self {
        Self(
            File::options()
                .append(true)
                .create(true)
                .open(path)
                .unwrap(),
        )
    }

    /// Writes in pieces of `piece` bytes, with a pause after some of them.
    fn write(&mut self, bytes: &[u8], piece: usize) -> &mut Self {
        let pieces = bytes.len().div_ceil(piece);
        for (n, piece) in bytes.chunks(piece).enumerate() {
            self.0.write_all(piece).unwrap();
            if n % (pieces / 8 + 1) == 0 {
                thread::sleep(Duration::from_millis(20));
            }
        }
        self
    }
}

/// Removes the log of a run; returns the run and the log.
fn live(run: Run) -> (Run, Vec<u8>) {
    let log = run.bytes(LOG);
    run.remove(LOG);
    (run, log)
}

/// Waits until the live snapshot satisfies `wanted`, and returns it.
#[track_caller]
fn wait_for_snapshot(path: &Path, wanted: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + TIMEOUT;
    loop {
        let bytes = fs::read(path).unwrap_or_default();
        let snapshot: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if wanted(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < end, "the snapshot stays at {snapshot}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the first `lines` lines of a log.
fn first_lines(log: &[u8], lines: usize) -> &[u8] {
    let ends = line_ends(log);
    &log[..ends[lines - 1]]
}

fn line_ends(log: &[u8]) -> Vec<usize> {
    let ends = log.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(at, _)| at + 1).collect()
}

fn summary(run: &Run) -> Value {
    serde_json::from_slice(&run.bytes(SUMMARY)).unwrap()
}

#[track_caller]
fn check_report(run: &Run, expected: &str, outcome: &Outcome) {
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    for (name, file) in [
        (SUMMARY, "result_summary.json"),
        ("report.txt", "report.txt"),
    ] {
        let (got, want) = (run.bytes(name), read(&format!("{expected}/{file}")));
        assert!(got == want, "{name} differs");
    }
    no_temporary_file(run);
}

#[track_caller]
fn no_temporary_file(run: &Run) {
    for (path, _) in run.files() {
        assert!(
            path.extension().is_none_or(|name| name != "tmp"),
            "{}",
            path.display()
        );
    }
}

const WRITE: [&str; 2] = ["--write", "summary,report,snapshot"];

#[test]
fn a_log_in_pieces_is_reported_as_a_whole_one() {
    for (make, expected) in [
        (Run::text as fn() -> Run, "run_expected"),
        (Run::chat, "run_chat_expected"),
    ] {
        for (piece, threads) in [(1000, "1"), (77, "0"), (1 << 20, "2")] {
            let (run, log) = live(make());
            let args = [&WRITE[..], &["--live-threads", threads]].concat();
            let followed = Followed::start(&run, "run/events.jsonl", &args, &[]);
            Writer::new(run.path(LOG)).write(&log, piece);
            check_report(&run, expected, &followed.finish());
        }
    }
}

/// The client writes the log into a folder in memory, copies it at the end, and removes the folder.
#[test]
fn a_live_run_is_found_and_followed_until_its_folder_is_gone() {
    for named in ["run", ""] {
        let (run, log) = live(Run::text());
        let events = run.around().join("tmp/benchmark_x/events");
        fs::create_dir_all(&events).unwrap();
        let temporary = run.around().join("tmp");
        let environment = [("TMPDIR", temporary.to_str().unwrap())];
        let mut args = WRITE.to_vec();
        if named.is_empty() {
            args.extend(["--output", "run/performance/result_summary.json"]);
            args.extend(["--qps-window", "legacy"]);
        }
        let path = events.join(LOG);
        let mut writer = Writer::new(&path);
        let mut followed = Followed::start(&run, named, &args, &environment);
        followed.wait_for("tmp/benchmark_x/events/events.jsonl");
        let ends = line_ends(&log);
        let mut start = 0;
        for end in ends.iter().skip(99).step_by(100).chain(ends.last()) {
            writer.write(&log[start..*end], 1 << 20);
            start = *end;
        }
        fs::copy(&path, run.path(LOG)).unwrap();
        fs::remove_dir_all(run.around().join("tmp/benchmark_x")).unwrap();
        let outcome = followed.finish();
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let expected: Value =
            serde_json::from_slice(&read("run_expected/result_summary.json")).unwrap();
        let summary = summary(&run);
        for (key, value) in expected.as_object().unwrap() {
            // These come from the run directory, which the second command does not name.
            let from_directory = ["version", "git_sha", "run_config"].contains(&key.as_str());
            assert!(
                summary[key] == *value || from_directory && named.is_empty(),
                "{key}"
            );
        }
    }
}

#[test]
fn a_log_may_lose_its_name() {
    let check = |change: fn(&Path)| {
        let (run, log) = live(Run::text());
        let mut followed = Followed::start(
            &run,
            "run/events.jsonl",
            &[&WRITE[..], &["-v"]].concat(),
            &[],
        );
        let mut writer = Writer::new(run.path(LOG));
        writer.write(&log[..log.len() / 2], 5000);
        followed.wait_for("following");
        change(&run.path(LOG));
        writer.write(&log[log.len() / 2..], 5000);
        check_report(&run, "run_expected", &followed.finish());
    };
    check(|log| fs::rename(log, log.with_file_name("other")).unwrap());
    check(|log| fs::remove_file(log).unwrap());
    check(|log| {
        fs::rename(log, log.with_file_name("other")).unwrap();
        fs::write(log, "not ours\n").unwrap();
    });
}

#[test]
fn a_rewritten_log_is_read_from_its_start() {
    for threads in ["0", "1"] {
        let (run, log) = live(Run::text());
        let args = [
            &WRITE[..],
            &["--live-threads", threads, "--interval", "0.02"],
        ]
        .concat();
        let mut followed = Followed::start(&run, "run/events.jsonl", &args, &[]);
        let other = read("run_chat/events.jsonl");
        Writer::new(run.path(LOG)).write(first_lines(&other, 50), 1000);
        followed.wait_for("live");
        // The log may be longer than before when the reader looks at it again.
        fs::write(run.path(LOG), first_lines(&log, 120)).unwrap();
        followed.wait_for("was truncated or overwritten");
        Writer::new(run.path(LOG)).write(&log[first_lines(&log, 120).len()..], 10_000);
        check_report(&run, "run_expected", &followed.finish());
    }
}

#[test]
fn a_log_that_stops_growing_is_reported_as_it_is() {
    let (run, log) = live(Run::text());
    // The log ends inside a line.
    let cut = &log[..first_lines(&log, 120).len() + 30];
    run.write(LOG, cut);
    let followed = Followed::start(&run, "run/events.jsonl", &["--idle-timeout", "0.3"], &[]);
    let outcome = followed.finish();
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    let expected = "the log has not grown for 0.3 s";
    assert!(outcome.stderr.contains(expected), "{outcome:?}");
    let got = run.bytes(SUMMARY);
    let (plain, _) = live(Run::text());
    plain.write(LOG, cut);
    assert_eq!(plain.recompute(&[]).code, 3);
    assert!(got == plain.bytes(SUMMARY));
}

#[test]
fn a_signal_during_the_run_leaves_a_report_of_the_counted_part() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for threads in ["0", "1"] {
            let (run, log) = live(Run::text());
            run.write(LOG, first_lines(&log, 120));
            let snapshot = ["--live-snapshot", "live.json", "--interval", "0.02"];
            let args = [&snapshot[..], &["--live-threads", threads]].concat();
            let followed = Followed::start(&run, "run/events.jsonl", &args, &[]);
            let text = String::from_utf8_lossy(first_lines(&log, 120));
            let completed = text.matches("\"sample.complete\"").count();
            wait_for_snapshot(&run.around().join("live.json"), |snapshot| {
                let metrics = snapshot["metrics"].as_array().into_iter().flatten();
                let mut all = metrics.filter(|metric| metric["name"] == "total_samples_completed");
                all.all(|metric| metric["value"] == completed)
                    && snapshot["state"] == "live"
                    && (threads == "0" || snapshot["n_pending_tasks"] == 0)
            });
            followed.signal(signal);
            let outcome = followed.finish();
            assert_eq!(outcome.code, Some(code), "{outcome:?}");
            assert!(outcome.took < MAX_END_TIME, "{outcome:?}");
            let summary = summary(&run);
            assert_eq!(summary["state"], "interrupted");
            assert_eq!(summary["complete"], false);
            // The report equals that of the same log with the texts that were counted.
            let (plain, _) = live(Run::text());
            plain.write(LOG, first_lines(&log, 120));
            let tokenizer = plain.tokenizer();
            let tokenizer = match threads {
                "0" => "none",
                _ => tokenizer.to_str().unwrap(),
            };
            let args = ["run", "--tokenizer", tokenizer];
            assert_eq!(plain.command(&args, b"").code, 3);
            assert!(run.bytes(SUMMARY) == plain.bytes(SUMMARY));
            let named = outcome
                .stderr
                .contains("pending, not counted before the end");
            assert_eq!(named, threads == "0", "{outcome:?}");
            no_temporary_file(&run);
        }
    }
}

/// The drain hangs at its third text.
#[cfg(all(target_os = "linux", debug_assertions))]
mod hanging {
    use super::*;

    const HANG: [(&str, &str); 1] = [("TOK_RECOMPUTE_FAULT", "count.text:3:hang")];
    const ARGS: [&str; 6] = [
        "--live-threads",
        "0",
        "--threads",
        "1",
        "--interval",
        "0.02",
    ];

    fn hung(args: &[&str]) -> (Run, Followed) {
        let (run, log) = live(Run::text());
        run.write(LOG, &log);
        let args = [&ARGS[..], args].concat();
        let followed = Followed::start(&run, "run/events.jsonl", &args, &HANG);
        (run, followed)
    }

    #[test]
    fn the_report_is_whole_if_the_background_fails_or_hangs() {
        for what in ["panic", "hang"] {
            let (run, log) = live(Run::text());
            let fault = format!("count.in-background:30:{what}");
            let environment = [("TOK_RECOMPUTE_FAULT", fault.as_str())];
            let args = [&WRITE[..], &["-v"]].concat();
            run.write(LOG, first_lines(&log, 120));
            let mut followed = Followed::start(&run, "run/events.jsonl", &args, &environment);
            let failed = "counting waits for the end of the run";
            followed.wait_for(if what == "panic" { failed } else { "following" });
            Writer::new(run.path(LOG)).write(&log[first_lines(&log, 120).len()..], 5000);
            check_report(&run, "run_expected", &followed.finish());
        }
    }

    /// The client may copy the log into the run directory more than once.
    #[test]
    fn a_log_that_is_copied_again_while_the_rest_is_counted_is_read_again() {
        let (run, log) = live(Run::text());
        run.write(LOG, &log);
        let args = [&WRITE[..], &["--live-threads", "0"]].concat();
        let fault = [("TOK_RECOMPUTE_FAULT", "count.text:3:stop")];
        let mut followed = Followed::start(&run, "run/events.jsonl", &args, &fault);
        followed.wait_for_stop();
        run.write(LOG, &log[..10_000]);
        followed.signal(Signal::CONT);
        followed.wait_for("was truncated or overwritten");
        Writer::new(run.path(LOG)).write(&log[10_000..], 20_000);
        check_report(&run, "run_expected", &followed.finish());
    }

    #[test]
    fn the_drain_ends_in_time() {
        let (run, followed) = hung(&["--drain-timeout", "0.4"]);
        let outcome = followed.finish();
        assert_eq!(outcome.code, Some(3), "{outcome:?}");
        assert!(
            outcome.stderr.contains("stopped after --drain-timeout 0.4"),
            "{outcome:?}"
        );
        assert!(
            outcome
                .stderr
                .contains("pending, not counted before the end"),
            "{outcome:?}"
        );
        let summary = summary(&run);
        assert_eq!(summary["state"], "complete");
        assert_eq!(summary["complete"], false);
        // Metrics without token counts are exact.
        let expected: Value =
            serde_json::from_slice(&read("run_expected/result_summary.json")).unwrap();
        for key in [
            "ttft",
            "latency",
            "qps",
            "n_samples_completed",
            "finish_reason_counts",
        ] {
            assert_eq!(summary[key], expected[key], "{key}");
        }
        no_temporary_file(&run);
    }

    #[test]
    fn a_signal_ends_the_drain() {
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
            let (run, mut followed) = hung(&[]);
            followed.wait_for("draining");
            followed.signal(signal);
            let outcome = followed.finish();
            assert_eq!(outcome.code, Some(code), "{outcome:?}");
            assert!(outcome.took < MAX_END_TIME, "{outcome:?}");
            assert_eq!(summary(&run)["state"], "interrupted");
            no_temporary_file(&run);
        }
    }

    #[test]
    fn a_second_signal_ends_the_process_at_once() {
        // A failpoint holds the process in the middle of a write.
        for point in ["write.bytes", "write.synced", "write.rename"] {
            let (run, log) = live(Run::text());
            let before = run.files();
            run.write(LOG, first_lines(&log, 120));
            let fault = format!("{point}:2:hang");
            let environment = [("TOK_RECOMPUTE_FAULT", fault.as_str())];
            let args = ["--interval", "0.02", "--write", "summary,report"];
            let mut followed = Followed::start(&run, "run/events.jsonl", &args, &environment);
            followed.wait_for("live");
            followed.signal(Signal::INT);
            thread::sleep(Duration::from_millis(500));
            followed.signal(Signal::INT);
            let outcome = followed.finish();
            assert_eq!(outcome.code, Some(130), "{outcome:?}");
            no_temporary_file(&run);
            if point != "write.rename" {
                run.remove(LOG);
                assert!(run.files() == before, "{point}");
            }
        }
    }
}

#[test]
fn a_live_snapshot_is_kept_current() {
    let (run, log) = live(Run::text());
    let path = run.around().join("live.json");
    let args = [
        "--live-snapshot",
        "live.json",
        "--interval",
        "0.02",
        "--output",
        "out.json",
    ];
    let args = [&WRITE[..], &args].concat();
    let followed = Followed::start(&run, "run/events.jsonl", &args, &[]);
    let mut writer = Writer::new(run.path(LOG));
    let until = |wanted: &str| wait_for_snapshot(&path, |snapshot| snapshot["state"] == wanted);
    until("initialize");
    writer.write(first_lines(&log, 120), 10_000);
    let live = until("live");
    writer.write(&log[first_lines(&log, 120).len()..], 10_000);
    let outcome = followed.finish();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let last = until("complete");
    let mut expected: Value =
        serde_json::from_slice(&fs::read(run.around().join("final_snapshot.json")).unwrap())
            .unwrap();
    assert!(last["counter"].as_u64() > Some(2));
    expected["counter"] = last["counter"].clone();
    assert!(last == expected);
    // A live snapshot has the same metrics.
    let names = |snapshot: &Value| -> Vec<String> {
        let metrics = snapshot["metrics"].as_array().unwrap();
        metrics
            .iter()
            .map(|metric| metric["name"].to_string())
            .collect()
    };
    assert_eq!(names(&live), names(&expected));
}

#[test]
fn inputs_that_cannot_be_followed_are_refused() {
    let check = |prepare: fn(&Run), args: &[&str], expected: &str| {
        let run = Run::text();
        prepare(&run);
        let before = run.files();
        let (input, args) = args.split_first().unwrap();
        let outcome = Followed::start(&run, input, args, &[]).finish();
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains(expected), "{outcome:?}");
        assert!(run.files() == before);
    };
    let nothing = |_: &Run| {};
    check(nothing, &["-"], "leave --follow out");
    check(nothing, &["run", "run"], "takes one RUN");
    check(
        nothing,
        &["run/nothing", "--wait", "0"],
        "there is no log at run/nothing",
    );
    check(
        nothing,
        &["run/nothing", "--wait", "0.2"],
        "waiting for a log at",
    );
    check(
        nothing,
        &["run/config.yaml", "--idle-timeout", "0.2"],
        "is not an event log",
    );
    let packed = |run: &Run| {
        run.remove(LOG);
        run.write("events.jsonl.gz", [0x1F, 0x8B, 8, 0, 0, 0]);
    };
    check(packed, &["run"], "a gzip file; expected a plain file");
    let vanishing = |run: &Run| {
        fs::create_dir_all(run.path("benchmark_1/events")).unwrap();
        run.write("benchmark_1/events/events.jsonl", "");
    };
    // The error comes at the start, not when everything is counted.
    check(
        |run| run.write(LOG, ""),
        &["run", "--output", "run/no/folder/report.json"],
        "cannot write run/no/folder/report.json",
    );
    check(
        vanishing,
        &["run/benchmark_1/events/events.jsonl"],
        "removed when the run ends",
    );
    check(
        vanishing,
        &["run/benchmark_1/events"],
        "write elsewhere with --output",
    );
}

/// Another process rewrites the run when the follow is about to.
#[test]
fn a_lock_is_waited_for_and_nothing_counted_is_lost() {
    let follow = || {
        let (run, log) = live(Run::text());
        run.write(LOG, &log);
        fs::create_dir_all(run.path("performance")).unwrap();
        let lock = File::open(run.path("performance")).unwrap();
        lock.lock().unwrap();
        let mut followed = Followed::start(&run, "run/events.jsonl", &WRITE, &[]);
        followed.wait_for("waiting for it");
        (run, lock, followed)
    };
    let (run, lock, followed) = follow();
    drop(lock);
    check_report(&run, "run_expected", &followed.finish());
    // After a signal the figures are printed and nothing is written.
    let (run, _lock, followed) = follow();
    let before = run.bytes(SUMMARY);
    followed.signal(Signal::TERM);
    let outcome = followed.finish();
    assert_eq!(outcome.code, Some(143), "{outcome:?}");
    assert!(outcome.took < MAX_END_TIME, "{outcome:?}");
    assert!(outcome.stderr.contains("is rewriting"), "{outcome:?}");
    assert!(outcome.stdout.contains("nothing written"), "{outcome:?}");
    assert!(run.bytes(SUMMARY) == before);
}

/// A full pipe on stdout does not hold up the report.
#[test]
fn a_full_pipe_does_not_hold_up_the_report() {
    let (run, log) = live(Run::text());
    run.write(LOG, &log);
    let (_unread, stdout) = pipe().unwrap();
    let mut full = stdout.try_clone().unwrap();
    thread::spawn(move || full.write_all(&vec![0; 1 << 20]));
    let args = ["--format", "json", "--interval", "0.001"];
    let args = [&args[..], &WRITE[..]].concat();
    let mut followed = Followed::start_to(stdout, &run, "run/events.jsonl", &args, &[]);
    let end = Instant::now() + TIMEOUT;
    // This file is written last.
    while !run.path("performance/recompute.json").exists() {
        assert!(Instant::now() < end, "the follow hangs");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(run.bytes(SUMMARY) == read("run_expected/result_summary.json"));
    followed.child.kill().unwrap();
    followed.child.wait().unwrap();
}

#[test]
fn a_missing_run_is_waited_for() {
    let (run, log) = live(Run::text());
    let dir: PathBuf = run.dir();
    let away = dir.with_file_name("away");
    fs::rename(&dir, &away).unwrap();
    let mut followed = Followed::start(&run, "run", &WRITE, &[]);
    followed.wait_for("waiting for a log at run");
    fs::rename(&away, &dir).unwrap();
    Writer::new(run.path(LOG)).write(&log, 3000);
    check_report(&run, "run_expected", &followed.finish());
}
