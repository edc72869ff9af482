//! Tests of the live table on a pseudo-terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::Run;

/// The longest wait; the machine may be busy.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A follow on a terminal, of a log that the test writes.
struct Terminal {
    /// Keeps the files of the run.
    _run: Run,
    log: File,
    /// The part of the log that is not written yet.
    rest: Vec<u8>,
    master: Box<dyn MasterPty + Send>,
    /// The keyboard; it is kept because it sends an end of file when it is dropped.
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    output: Arc<Mutex<Output>>,
}

/// The output that the terminal received.
struct Output {
    screen: vt100::Parser,
    bytes: Vec<u8>,
}

impl Terminal {
    fn follow(size: (u16, u16), arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let run = Run::text();
        let rest = run.bytes("events.jsonl");
        let log = File::create(run.path("events.jsonl")).unwrap();
        let pair = native_pty_system().openpty(pty(size)).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tok-recompute"));
        command.args(["--follow", "run", "--tokenizer"]);
        command.arg(run.tokenizer());
        command.args(arguments);
        command.cwd(run.around());
        command.env("TERM", "xterm-256color");
        command.env_remove("NO_COLOR");
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        let output = Arc::new(Mutex::new(Output {
            screen: vt100::Parser::new(size.1, size.0, 1000),
            bytes: Vec::new(),
        }));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let shared = Arc::clone(&output);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // A read is an error once the other side is closed.
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let mut output = shared.lock().unwrap();
                output.screen.process(&bytes[..count]);
                output.bytes.extend_from_slice(&bytes[..count]);
            }
        });
        Self {
            _run: run,
            log,
            rest,
            keys: pair.master.take_writer().unwrap(),
            master: pair.master,
            child,
            output,
        }
    }

    /// Writes the next lines of the log.
    fn write(&mut self, lines: usize) {
        let ends = self
            .rest
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n');
        let end = ends.map(|(at, _)| at + 1).take(lines).last().unwrap();
        self.log.write_all(&self.rest[..end]).unwrap();
        self.rest.drain(..end);
    }

    fn resize(&self, size: (u16, u16)) {
        let mut output = self.output.lock().unwrap();
        output.screen.screen_mut().set_size(size.1, size.0);
        self.master.resize(pty(size)).unwrap();
    }

    fn rows(&self) -> Vec<String> {
        let output = self.output.lock().unwrap();
        let contents = output.screen.screen().contents();
        contents
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    fn bytes(&self) -> Vec<u8> {
        self.output.lock().unwrap().bytes.clone()
    }

    /// Waits until the rows of the screen satisfy `wanted`, and returns them.
    #[track_caller]
    fn wait(&self, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let until = Instant::now() + TIMEOUT;
        loop {
            let rows = self.rows();
            if wanted(&rows) {
                return rows;
            }
            assert!(Instant::now() < until, "{}", rows.join("\n"));
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses keys.
    fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    /// Waits until the received bytes end with `end`.
    #[track_caller]
    fn wait_for_bytes(&self, end: &[u8]) {
        let until = Instant::now() + TIMEOUT;
        while !self.bytes().ends_with(end) {
            assert!(Instant::now() < until);
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the process is stopped. A SIGCONT that came before would have no effect.
    fn wait_for_stop(&self) -> Pid {
        let pid = self.child.process_id().unwrap();
        let until = Instant::now() + TIMEOUT;
        let is_stopped = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('T')
        };
        while !is_stopped() {
            assert!(Instant::now() < until);
            thread::sleep(Duration::from_millis(5));
        }
        Pid::from_raw(pid.try_into().unwrap()).unwrap()
    }

    /// Writes the rest of the log; returns the exit code and the last screen.
    fn finish(&mut self) -> (u32, Vec<String>) {
        self.log.write_all(&self.rest).unwrap();
        self.end()
    }

    /// Waits for the end; returns the exit code and the last screen.
    fn end(&mut self) -> (u32, Vec<String>) {
        let until = Instant::now() + TIMEOUT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "{}", self.rows().join("\n"));
            thread::sleep(Duration::from_millis(20));
        };
        let rows = self.wait(|rows| count(rows, "written: ") == 1);
        (status.exit_code(), rows)
    }

    /// Checks that the terminal is in order: the cursor is visible on an empty line, and no mode is set.
    #[track_caller]
    fn is_clean(&self) {
        let output = self.output.lock().unwrap();
        let screen = output.screen.screen();
        assert!(!screen.hide_cursor() && !screen.alternate_screen());
        let (row, column) = screen.cursor_position();
        let rows: Vec<String> = screen.rows(0, screen.size().1).collect();
        let (above, below) = rows.split_at(row.into());
        assert!(above.last().is_some_and(|row| !row.is_empty()));
        assert!(below.iter().all(String::is_empty) && column == 0);
        assert!(output.bytes.ends_with(b"\n"));
        let mode = |what: &[u8]| {
            output
                .bytes
                .windows(what.len())
                .filter(|at| *at == what)
                .count()
        };
        assert_eq!(mode(b"\x1b[?7l"), mode(b"\x1b[?7h"));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pty((cols, rows): (u16, u16)) -> PtySize {
    PtySize {
        rows,
        cols,
        pixel_width: 0,
        pixel_height: 0,
    }
}

fn count(rows: &[String], start: &str) -> usize {
    rows.iter().filter(|row| row.starts_with(start)).count()
}

fn has(rows: &[String], text: &str) -> bool {
    rows.iter().any(|row| row.contains(text))
}

/// Returns whether the bytes set a style.
fn styled(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let ends = |part: &str| {
        part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
            .starts_with('m')
    };
    text.split("\u{1b}[").skip(1).any(ends)
}

#[test]
fn the_table_fits_the_terminal_at_all_times() {
    let mut terminal = Terminal::follow((100, 40), &[], &[]);
    terminal.write(60);
    let rows = terminal.wait(|rows| count(rows, "live") == 1 && has(rows, "run  "));
    assert!(has(
        &rows,
        "issued   completed      failed   in flight     counted     pending"
    ));
    assert!(has(
        &rows,
        "count        mean         p50         p90         p99"
    ));
    for metric in ["TTFT", "TPOT", "latency", "ISL", "OSL"] {
        assert_eq!(count(&rows, metric), 1, "{metric}");
    }
    let header = |rows: &[String]| {
        let header = rows.iter().find(|row| row.ends_with("p99"));
        header.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    for (width, expected) in [
        (60, Some("count mean p50 p90 p99")),
        (59, Some("count mean p50 p99")),
        (45, Some("count p50 p99")),
        (31, Some("p50 p99")),
        (25, None),
        (9, None),
        (120, Some("count mean p50 p90 p99")),
    ] {
        terminal.resize((width, 40));
        terminal.write(5);
        let rows =
            terminal.wait(|rows| header(rows).as_deref() == expected && count(rows, "live") == 1);
        assert!(rows.len() <= 40, "{width}");
    }
    terminal.resize((100, 8));
    terminal.wait(|rows| rows.len() == 8 && count(rows, "live") == 1 && !has(rows, "OSL"));
    terminal.resize((100, 40));
    terminal.wait(|rows| count(rows, "live") == 1 && count(rows, "OSL") == 1);
    let (code, rows) = terminal.finish();
    assert_eq!(
        (code, count(&rows, "complete"), count(&rows, "live")),
        (0, 1, 0)
    );
    terminal.is_clean();
    assert!(styled(&terminal.bytes()));
}

#[test]
fn colours_follow_the_flags() {
    let check = |arguments: &[&str], variables: &[(&str, &str)], colour: bool| {
        let mut terminal = Terminal::follow((80, 40), arguments, variables);
        terminal.write(60);
        terminal.wait(|rows| count(rows, "live") == 1);
        assert_eq!(terminal.finish().0, 0);
        assert_eq!(styled(&terminal.bytes()), colour, "{arguments:?}");
        terminal.is_clean();
    };
    check(&[], &[("NO_COLOR", "1")], false);
    check(&["--color", "never"], &[], false);
    check(&["--color", "always"], &[("NO_COLOR", "1")], true);
}

#[test]
fn a_terminal_whose_cursor_does_not_move_gets_lines() {
    let mut terminal = Terminal::follow((300, 40), &["--interval", "1"], &[("TERM", "dumb")]);
    terminal.write(60);
    terminal.wait(|rows| has(rows, "live 0:00:0") && has(rows, " · issued "));
    let (code, rows) = terminal.finish();
    assert_eq!((code, count(&rows, "complete 0:00:0")), (0, 1));
    assert!(!terminal.bytes().contains(&0x1b));
}

#[test]
fn quiet_shows_no_table() {
    let mut terminal = Terminal::follow((100, 40), &["--quiet"], &[]);
    terminal.write(60);
    thread::sleep(Duration::from_millis(500));
    let (code, rows) = terminal.finish();
    assert_eq!(
        (code, count(&rows, "live"), count(&rows, "complete")),
        (0, 0, 0)
    );
}

#[test]
fn an_interrupt_leaves_a_clean_terminal() {
    let mut terminal = Terminal::follow((100, 40), &[], &[]);
    terminal.write(100);
    terminal.wait(|rows| count(rows, "live") == 1);
    terminal.press(b"\x03");
    let (code, rows) = terminal.end();
    assert_eq!(
        (code, count(&rows, "interrupted"), count(&rows, "live")),
        (130, 1, 0)
    );
    terminal.is_clean();
}

#[test]
fn a_stop_leaves_a_clean_terminal_too() {
    let mut terminal = Terminal::follow((100, 60), &[], &[]);
    terminal.write(60);
    terminal.wait(|rows| count(rows, "live") == 1);
    terminal.press(b"\x1a");
    terminal.wait_for_bytes(b"h\r\r\n");
    let pid = terminal.wait_for_stop();
    terminal.is_clean();
    terminal.write(60);
    kill_process(pid, Signal::CONT).unwrap();
    terminal.wait(|rows| count(rows, "live") == 2);
    let (code, rows) = terminal.finish();
    assert_eq!(
        (code, count(&rows, "live"), count(&rows, "complete")),
        (0, 1, 1)
    );
    terminal.is_clean();
}

#[test]
fn json_is_an_object_a_line_and_the_record_at_the_end() {
    let run = Run::text();
    let outcome = run.recompute(&["--follow", "--format", "json"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let lines = outcome.stdout.lines();
    let objects: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [moments @ .., record] = objects.as_slice() else {
        panic!("stdout is empty");
    };
    assert_eq!(record["tool"], "tok-recompute");
    let last = moments.last().unwrap();
    assert_eq!(last["phase"], "complete");
    assert_eq!(last["pending"], 0);
    assert!(last["time"].is_string());
    assert!(last["osl"]["p99"].is_number());
}
