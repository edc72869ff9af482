//! The binary following logs that another thread writes: the report is that of a recompute, whatever happens to the log
//! meanwhile, and whenever the binary is stopped there is one of what it had.

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
/// Whatever takes longer hangs.
const LONGEST: Duration = Duration::from_secs(30);

/// On a machine that does other things besides.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A follow that goes on.
struct Followed {
    child: Child,
    said: Receiver<String>,
    heard: String,
}

/// How it ended.
#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    took: Duration,
}

impl Followed {
    /// `tok-recompute --follow INPUT ARGS` around the run, with an environment and the run's tokenizer.
    fn start(run: &Run, input: &str, args: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_to(Stdio::piped(), run, input, args, environment)
    }

    /// The same, with a stdout of one's own.
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
        let (say, said) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in stderr.lines() {
                let _ = say.send(line.unwrap());
            }
        });
        Self {
            child,
            said,
            heard: String::new(),
        }
    }

    /// Waits until it says a line with `text` in it.
    #[track_caller]
    fn until(&mut self, text: &str) {
        let end = Instant::now() + LONGEST;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.said.recv_timeout(left) else {
                let _ = self.child.kill();
                panic!("{text:?} was not said: {}", self.heard)
            };
            self.heard += &line;
            self.heard.push('\n');
            if line.contains(text) {
                return;
            }
        }
    }

    /// Waits until a fault has stopped the process.
    fn until_stopped(&self) {
        let end = Instant::now() + LONGEST;
        let state = format!("/proc/{}/stat", self.child.id());
        while !fs::read_to_string(&state).unwrap().contains(") T ") {
            assert!(Instant::now() < end, "it is not stopped: {}", self.heard);
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
            if started.elapsed() > LONGEST {
                self.child.kill().unwrap();
                panic!("it hangs: {}", self.heard);
            }
            thread::sleep(Duration::from_millis(5));
        };
        let took = started.elapsed();
        let mut stdout = String::new();
        let mut out = self.child.stdout.take().unwrap();
        out.read_to_string(&mut stdout).unwrap();
        for line in self.said {
            self.heard += &line;
            self.heard.push('\n');
        }
        Outcome {
            code,
            stdout,
            stderr: self.heard,
            took,
        }
    }
}

/// Appends to the log of a run.
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

    /// In pieces of so many bytes, with a pause after some of them.
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

/// A run whose log is not there yet, and the log.
fn live(run: Run) -> (Run, Vec<u8>) {
    let log = run.bytes(LOG);
    run.remove(LOG);
    (run, log)
}

/// What a live snapshot says as soon as it is as `wanted`.
#[track_caller]
fn shown(path: &Path, wanted: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + LONGEST;
    loop {
        let bytes = fs::read(path).unwrap_or_default();
        let snapshot: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if wanted(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < end, "it stays at {snapshot}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// So much of the log as has `lines` lines.
fn first(log: &[u8], lines: usize) -> &[u8] {
    let ends = memchr_ends(log);
    &log[..ends[lines - 1]]
}

fn memchr_ends(log: &[u8]) -> Vec<usize> {
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

/// As the client does it: some lines at a time into a folder in memory, a copy at the end, and the folder is gone.
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
        followed.until("tmp/benchmark_x/events/events.jsonl");
        let ends = memchr_ends(&log);
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
            // What the run directory says besides, which nobody named.
            let besides = ["version", "git_sha", "run_config"].contains(&key.as_str());
            assert!(
                summary[key] == *value || besides && named.is_empty(),
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
        followed.until("following");
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
fn a_log_that_is_written_anew_is_read_from_its_start() {
    for threads in ["0", "1"] {
        let (run, log) = live(Run::text());
        let args = [
            &WRITE[..],
            &["--live-threads", threads, "--interval", "0.02"],
        ]
        .concat();
        let mut followed = Followed::start(&run, "run/events.jsonl", &args, &[]);
        let other = read("run_chat/events.jsonl");
        Writer::new(run.path(LOG)).write(first(&other, 50), 1000);
        followed.until("live");
        // Cut and written on at once, it may be longer than it was when it is looked at.
        fs::write(run.path(LOG), first(&log, 120)).unwrap();
        followed.until("was cut or written anew");
        Writer::new(run.path(LOG)).write(&log[first(&log, 120).len()..], 10_000);
        check_report(&run, "run_expected", &followed.finish());
    }
}

#[test]
fn a_log_that_stops_growing_is_reported_as_it_is() {
    let (run, log) = live(Run::text());
    // Cut inside a line.
    let cut = &log[..first(&log, 120).len() + 30];
    run.write(LOG, cut);
    let followed = Followed::start(&run, "run/events.jsonl", &["--idle-timeout", "0.3"], &[]);
    let outcome = followed.finish();
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    let said = "the log has not grown for 0.3 s";
    assert!(outcome.stderr.contains(said), "{outcome:?}");
    let got = run.bytes(SUMMARY);
    let (plain, _) = live(Run::text());
    plain.write(LOG, cut);
    assert_eq!(plain.recompute(&[]).code, 3);
    assert!(got == plain.bytes(SUMMARY));
}

#[test]
fn a_signal_while_the_run_is_live_leaves_a_report_of_what_there_is() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for threads in ["0", "1"] {
            let (run, log) = live(Run::text());
            run.write(LOG, first(&log, 120));
            let snapshot = ["--live-snapshot", "live.json", "--interval", "0.02"];
            let args = [&snapshot[..], &["--live-threads", threads]].concat();
            let followed = Followed::start(&run, "run/events.jsonl", &args, &[]);
            let text = String::from_utf8_lossy(first(&log, 120));
            let completed = text.matches("\"sample.complete\"").count();
            shown(&run.around().join("live.json"), |snapshot| {
                let metrics = snapshot["metrics"].as_array().into_iter().flatten();
                let mut all = metrics.filter(|metric| metric["name"] == "total_samples_completed");
                all.all(|metric| metric["value"] == completed)
                    && snapshot["state"] == "live"
                    && (threads == "0" || snapshot["n_pending_tasks"] == 0)
            });
            followed.signal(signal);
            let outcome = followed.finish();
            assert_eq!(outcome.code, Some(code), "{outcome:?}");
            assert!(outcome.took < AT_ONCE, "{outcome:?}");
            let summary = summary(&run);
            assert_eq!(summary["state"], "interrupted");
            assert_eq!(summary["complete"], false);
            // What is counted, and the rest, is exact.
            let (plain, _) = live(Run::text());
            plain.write(LOG, first(&log, 120));
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

/// The work at the end hangs at its third text.
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
    fn a_background_that_fails_or_hangs_does_not_matter() {
        for what in ["panic", "hang"] {
            let (run, log) = live(Run::text());
            let fault = format!("count.in-background:30:{what}");
            let environment = [("TOK_RECOMPUTE_FAULT", fault.as_str())];
            let args = [&WRITE[..], &["-v"]].concat();
            run.write(LOG, first(&log, 120));
            let mut followed = Followed::start(&run, "run/events.jsonl", &args, &environment);
            let failed = "counting waits for the end of the run";
            followed.until(if what == "panic" { failed } else { "following" });
            Writer::new(run.path(LOG)).write(&log[first(&log, 120).len()..], 5000);
            check_report(&run, "run_expected", &followed.finish());
        }
    }

    /// The client copies the log into the run directory more than once.
    #[test]
    fn a_log_that_is_copied_again_while_the_rest_is_counted_is_read_again() {
        let (run, log) = live(Run::text());
        run.write(LOG, &log);
        let args = [&WRITE[..], &["--live-threads", "0"]].concat();
        let fault = [("TOK_RECOMPUTE_FAULT", "count.text:3:stop")];
        let mut followed = Followed::start(&run, "run/events.jsonl", &args, &fault);
        followed.until_stopped();
        run.write(LOG, &log[..10_000]);
        followed.signal(Signal::CONT);
        followed.until("was cut or written anew");
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
        // What needs no counting is exact.
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
            followed.until("draining");
            followed.signal(signal);
            let outcome = followed.finish();
            assert_eq!(outcome.code, Some(code), "{outcome:?}");
            assert!(outcome.took < AT_ONCE, "{outcome:?}");
            assert_eq!(summary(&run)["state"], "interrupted");
            no_temporary_file(&run);
        }
    }

    #[test]
    fn a_second_signal_ends_it_at_once() {
        // While it writes: the process stops there until both signals are under way.
        for point in ["write.bytes", "write.synced", "write.rename"] {
            let (run, log) = live(Run::text());
            let before = run.files();
            run.write(LOG, first(&log, 120));
            let fault = format!("{point}:2:hang");
            let environment = [("TOK_RECOMPUTE_FAULT", fault.as_str())];
            let args = ["--interval", "0.02", "--write", "summary,report"];
            let mut followed = Followed::start(&run, "run/events.jsonl", &args, &environment);
            followed.until("live");
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
fn a_snapshot_says_how_the_run_stands() {
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
    let until = |wanted: &str| shown(&path, |snapshot| snapshot["state"] == wanted);
    until("initialize");
    writer.write(first(&log, 120), 10_000);
    let live = until("live");
    writer.write(&log[first(&log, 120).len()..], 10_000);
    let outcome = followed.finish();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let last = until("complete");
    let mut expected: Value =
        serde_json::from_slice(&fs::read(run.around().join("final_snapshot.json")).unwrap())
            .unwrap();
    assert!(last["counter"].as_u64() > Some(2));
    expected["counter"] = last["counter"].clone();
    assert!(last == expected);
    // The live one has the same shape.
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
fn what_cannot_be_followed_is_refused() {
    let check = |prepare: fn(&Run), args: &[&str], said: &str| {
        let run = Run::text();
        prepare(&run);
        let before = run.files();
        let (input, args) = args.split_first().unwrap();
        let outcome = Followed::start(&run, input, args, &[]).finish();
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains(said), "{outcome:?}");
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
        "no event log",
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
    // At once, not when all is counted.
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
        "say where to write with --output",
    );
}

/// Somebody else rewrites the run when the follow is about to.
#[test]
fn a_lock_is_waited_for_and_nothing_counted_is_lost() {
    let follow = || {
        let (run, log) = live(Run::text());
        run.write(LOG, &log);
        fs::create_dir_all(run.path("performance")).unwrap();
        let lock = File::open(run.path("performance")).unwrap();
        lock.lock().unwrap();
        let mut followed = Followed::start(&run, "run/events.jsonl", &WRITE, &[]);
        followed.until("waiting for it");
        (run, lock, followed)
    };
    let (run, lock, followed) = follow();
    drop(lock);
    check_report(&run, "run_expected", &followed.finish());
    // Who cannot wait any longer sees the figures.
    let (run, _lock, followed) = follow();
    let before = run.bytes(SUMMARY);
    followed.signal(Signal::TERM);
    let outcome = followed.finish();
    assert_eq!(outcome.code, Some(143), "{outcome:?}");
    assert!(outcome.took < AT_ONCE, "{outcome:?}");
    assert!(outcome.stderr.contains("is rewriting"), "{outcome:?}");
    assert!(outcome.stdout.contains("nothing written"), "{outcome:?}");
    assert!(run.bytes(SUMMARY) == before);
}

/// Who watches does not hold up the run: a pipe that nobody reads is full.
#[test]
fn a_reader_that_hangs_does_not_matter() {
    let (run, log) = live(Run::text());
    run.write(LOG, &log);
    let (_unread, stdout) = pipe().unwrap();
    let mut full = stdout.try_clone().unwrap();
    thread::spawn(move || full.write_all(&vec![0; 1 << 20]));
    let args = ["--format", "json", "--interval", "0.001"];
    let args = [&args[..], &WRITE[..]].concat();
    let mut followed = Followed::start_to(stdout, &run, "run/events.jsonl", &args, &[]);
    let end = Instant::now() + LONGEST;
    // Last of all.
    while !run.path("performance/recompute.json").exists() {
        assert!(Instant::now() < end, "it hangs");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(run.bytes(SUMMARY) == read("run_expected/result_summary.json"));
    followed.child.kill().unwrap();
    followed.child.wait().unwrap();
}

#[test]
fn a_path_that_is_not_there_can_be_waited_for() {
    let (run, log) = live(Run::text());
    let dir: PathBuf = run.dir();
    let away = dir.with_file_name("away");
    fs::rename(&dir, &away).unwrap();
    let mut followed = Followed::start(&run, "run", &WRITE, &[]);
    followed.until("waiting for a log at run");
    fs::rename(&away, &dir).unwrap();
    Writer::new(run.path(LOG)).write(&log, 3000);
    check_report(&run, "run_expected", &followed.finish());
}
