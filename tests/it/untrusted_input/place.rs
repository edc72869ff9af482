//! Paths that are not runs or files: devices, pipes, sockets, loops of links, folders.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use rustix::fs::Mode;
use serde_json::json;

use super::{CHAT, TOK, add_tokenizer, bare, check_args, prompt, session};
use crate::support::{Run, read};

#[track_caller]
fn check(name: &str, run: &Run, arg: &str, code: i32, says: &str) {
    check_args(name, run, &[arg, "--tokenizer", &CHAT], code, says);
}

#[test]
fn paths_that_are_not_runs() {
    let run = Run::empty();
    check(
        "a folder without a log",
        &run,
        "run",
        2,
        "no event log in run",
    );
    check("a device", &run, "/dev/zero", 2, "/dev/zero is a device");
    check(
        "the null device",
        &run,
        "/dev/null",
        2,
        "/dev/null is a device",
    );
    check("nothing", &run, "nowhere", 2, "no such run: nowhere");
    check(
        "a name of 5,000 bytes",
        &run,
        &"x".repeat(5000),
        2,
        "cannot read",
    );
    check(
        "a file as a folder",
        &bare(""),
        "run/events.jsonl/x",
        2,
        "cannot read",
    );
    check(
        "the system's own folder",
        &run,
        "/proc/self",
        2,
        "no event log in /proc/self",
    );
    check(
        "a file of the kernel's",
        &run,
        "/proc/self/stat",
        2,
        "/proc/self/stat is empty",
    );
    check("memory itself", &run, "/proc/self/mem", 2, "cannot");
    let _socket = UnixListener::bind(run.path("socket")).unwrap();
    check("a socket", &run, "run/socket", 2, "cannot");
}

#[test]
fn links_that_loop() {
    let run = Run::empty();
    symlink("b", run.path("a")).unwrap();
    symlink("a", run.path("b")).unwrap();
    check(
        "a link that leads to itself",
        &run,
        "run/a",
        2,
        "cannot read",
    );
    symlink("events.jsonl", run.path("events.jsonl")).unwrap();
    check(
        "a log that links to itself",
        &run,
        "run",
        2,
        "no event log in run",
    );
    let run = bare(session(&[]));
    symlink(".", run.path("loop")).unwrap();
    symlink(".", run.path("performance")).unwrap();
    check(
        "folders that link in a circle",
        &run,
        "run/loop/loop/loop",
        0,
        "",
    );
}

#[test]
fn devices_where_files_should_be() {
    for (name, code, says) in [
        ("config.yaml", 0, ""),
        (
            "result_summary.json",
            2,
            "cannot read run/result_summary.json",
        ),
        ("recompute.json", 2, "leads out of the run"),
    ] {
        for device in ["/dev/zero", "/dev/tty", "/dev/null"] {
            let run = bare(session(&[]));
            symlink(device, run.path(name)).unwrap();
            let case = format!("{name} leads to {device}");
            check(&case, &run, "run", code, says);
        }
    }
}

#[test]
fn folders_where_files_should_be() {
    for name in [
        "events.jsonl",
        "config.yaml",
        "result_summary.json",
        "recompute.json",
    ] {
        let run = bare(session(&[]));
        let _ = std::fs::remove_file(run.path(name));
        run.make_folder(name);
        let code = if name == "config.yaml" { 0 } else { 2 };
        check(&format!("a folder named {name}"), &run, "run", code, "");
    }
}

/// Opening a pipe without a writer in the ordinary way would wait forever.
#[test]
fn pipes_where_files_should_be() {
    let pipe = |run: &Run, name: &str| {
        let _ = std::fs::remove_file(run.path(name));
        rustix::fs::mkfifoat(rustix::fs::CWD, run.path(name), Mode::RUSR | Mode::WUSR).unwrap();
    };
    for (name, code, says) in [
        ("events.jsonl", 2, "no event log in run"),
        ("config.yaml", 0, ""),
        ("result_summary.json", 2, "is not a summary"),
        ("recompute.json", 2, "not a regular file"),
        (
            "../tok/tokenizer.json",
            2,
            "tokenizer.json is not a regular file",
        ),
        (
            "../tok/tokenizer_config.json",
            2,
            "tokenizer_config.json is not a regular file",
        ),
    ] {
        let run = bare(session(&[]));
        add_tokenizer(&run, read("tokenizers/chat/tokenizer.json"), &json!({}));
        pipe(&run, name);
        check_args(&format!("a pipe named {name}"), &run, &TOK, code, says);
    }
    for option in ["--expect", "--against", "--junit", "--html", "--samples"] {
        let run = Run::text();
        pipe(&run, "../pipe.csv");
        let args = ["run", "--tokenizer", "none", "--check", option, "pipe.csv"];
        check_args(&format!("{option} a pipe"), &run, &args, 2, "pipe");
    }
}

/// A sparse file needs no space on the disk, but reading its holes would take hours.
#[test]
fn sparse_logs() {
    for args in [&["run"][..], &["run", "--follow"]] {
        for (start, bytes) in [("", 1 << 40), (&*session(&[]), 1 << 40), ("", 257 << 20)] {
            let run = bare(start);
            let log = fs::File::options()
                .append(true)
                .open(run.path("events.jsonl"));
            log.unwrap().set_len(bytes).unwrap();
            let name = format!(
                "{} bytes of log in {bytes}, {}",
                start.len(),
                args.join(" ")
            );
            let args = [args, &["--tokenizer", "none"]].concat();
            let process = crate::process::Process::shell(&run, "", &args);
            let outcome = process.finish();
            assert_eq!(outcome.code, Some(2), "{outcome:?}");
            assert!(outcome.stderr.contains("is a sparse file"), "{outcome:?}");
            super::row(&name, 2, &outcome.stderr, "is a sparse file");
            assert!(!run.path("recompute.json").exists());
        }
    }
}

/// The kernel's log looks like a file, but reading it waits for the next message.
#[test]
fn files_that_block_readers() {
    for name in [
        "config.yaml",
        "profiling.json",
        "result_summary.json",
        "../tok/tokenizer_config.json",
        "../tok/tokenizer.json",
    ] {
        let run = bare(session(&[]));
        add_tokenizer(&run, read("tokenizers/chat/tokenizer.json"), &json!({}));
        let _ = fs::remove_file(run.path(name));
        symlink("/proc/kmsg", run.path(name)).unwrap();
        let args = [&TOK[..], &["--write", "report"]].concat();
        check_args(&format!("{name} leads to /proc/kmsg"), &run, &args, 2, "");
    }
    let run = bare(session(&[]));
    let pipe = run.path("../pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
    let args = [
        "run",
        "--tokenizer",
        "none",
        "--check",
        "--expect",
        "a.toml",
    ];
    fs::write(run.path("../a.toml"), "n_samples_issued = 0").unwrap();
    let outcome = crate::process::Process::shell(&run, "", &args)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", "pipe")
        .finish();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(
        outcome.stderr.contains("warning: cannot add to pipe"),
        "{outcome:?}"
    );
}

/// A wrong path must not cost the log.
#[test]
fn files_that_are_read_are_not_written() {
    let check = |args: &[&str], says: &str| {
        let run = Run::text();
        run.write("performance/result_summary.orig.json", "{}");
        symlink("events.jsonl", run.path("link.csv")).unwrap();
        fs::write(run.path("../a.toml"), "complete = true").unwrap();
        let all = [&["run", "--tokenizer", "none"], args].concat();
        check_args(&args.join(" "), &run, &all, 2, says);
    };
    let (log, config) = ("run/events.jsonl", "run/../run/config.yaml");
    let summary = "run/performance/result_summary.json";
    let original = "run/performance/result_summary.orig.json";
    let read = "is read, and would be overwritten";
    for path in [log, config, original] {
        check(&["--output", path], read);
        check(&["--html", path], read);
        check(&["--check", "--junit", path], read);
    }
    check(&["--check", "--junit", summary], read);
    check(&["--html", summary], read);
    check(&["--samples", "run/link.csv"], read);
    check(&["--follow", "--live-snapshot", log], read);
    check(&["--follow", "--output", log], read);
    check(
        &["--check", "--expect", "a.toml", "--junit", "a.toml"],
        read,
    );
    check(
        &["--html", "new", "--against", summary, "--output", summary],
        read,
    );
    let twice = "would be written twice";
    check(&["--html", "a.csv", "--samples", "./a.csv"], twice);
    check(
        &["--check", "--html", "run/new", "--junit", "run/new"],
        twice,
    );
    check(&["--html", "run/performance/recompute.json"], twice);
    check(&["--html", "run/report.txt", "--write", "report"], twice);
    check(
        &[
            "--output",
            "final_snapshot.json",
            "--write",
            "summary,snapshot",
        ],
        twice,
    );
}

#[test]
fn outputs_may_be_overwritten() {
    for args in [
        ["--output", "run/result_summary.json"],
        ["--output", "run/performance/result_summary.json"],
        ["--html", "run/page.html"],
        ["--samples", "run/rows.csv"],
    ] {
        let run = Run::text();
        for _ in 0..2 {
            let all = [&["run", "--tokenizer", "none"], &args[..]].concat();
            check_args(&args.join(" "), &run, &all, 0, "");
        }
    }
}

/// A message is one line: a CI system must not find another command in it.
#[test]
fn names_stay_on_their_line() {
    let name = "a\n::error ::\u{1b}[2J\u{9b}1m";
    let run = bare(session(&[prompt(name, "x")]));
    let bad = run.path(&format!("../{name}"));
    fs::rename(run.dir(), &bad).unwrap();
    let bad = bad.file_name().unwrap().to_str().unwrap();
    let check = |args: &[&str], code: i32| {
        let all = [&[bad, "--tokenizer", &CHAT], args].concat();
        let outcome = run.command(&all, b"");
        assert_eq!(outcome.code, code, "{outcome:?}");
        for text in [&outcome.stdout, &outcome.stderr] {
            let odd = |line: &str| line.starts_with("::") || line.contains(char::is_control);
            assert!(!text.lines().any(odd), "{outcome:?}");
        }
        outcome.stdout
    };
    check(&[], 0);
    check(&["--check", "-v"], 0);
    check(&["--check", "--expect", bad], 2);
    check(&["--check", bad], 0);
    let json = check(&["--format", "json"], 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["run"], bad);
}
