//! A few lines at the end of a terminal that are drawn again and again.
//!
//! The cursor rests above them, on an empty line. So drawing needs no memory of how many lines there are, which
//! is what a terminal that was resized meanwhile makes wrong: everything below the cursor is erased and written again.
//! What cannot be helped: a terminal that wraps its lines anew when it becomes narrower may push the first of them into its
//! history, where they stay.
//! The cursor is never hidden and no mode is left behind: whoever is killed leaves a usable terminal.

use std::fmt::Write as _;
use std::io::{self, Write as _, stderr};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use anstream::adapter::strip_str;
use console::Term;

/// What has drawn the lines below the cursor, if there are any.
static DRAWN: Mutex<Option<String>> = Mutex::new(None);

/// Longer than drawing takes, unless the terminal is stopped.
const DRAWING: Duration = Duration::from_millis(100);

/// Back to the first column; erase to the end of the screen. From the second column, since what is erased from the
/// first one of the first row some terminals take for a screen that is to be kept, and scroll it away.
const ERASE: &str = "\r \x1b[J\r";
/// What is too long, since the terminal has just become narrower, is cut and not continued on the next line.
const CUT: &str = "\x1b[?7l";
const CONTINUE: &str = "\x1b[?7h";

/// Lines at the end of the terminal on stderr.
#[derive(Debug)]
pub struct Screen {
    term: Term,
    colors: bool,
    /// When the lines were drawn.
    size: (usize, usize),
}

impl Screen {
    /// `None` if stderr is no terminal, or one whose cursor does not move.
    pub(super) fn on_stderr() -> Option<Self> {
        let term = Term::stderr();
        let moves = std::env::var_os("TERM").is_some_and(|name| name != "dumb" && !name.is_empty());
        let choice = anstream::AutoStream::choice(&stderr());
        (term.is_term() && moves).then(|| Self {
            term,
            colors: choice != anstream::ColorChoice::Never,
            size: (0, 0),
        })
    }

    /// Columns and rows that there are for lines.
    pub fn size(&self) -> (usize, usize) {
        let (rows, columns) = self.term.size();
        // A line as wide as the terminal is where terminals differ.
        let columns = columns.saturating_sub(1);
        (columns.into(), rows.saturating_sub(1).into())
    }

    /// Shows these lines instead of those before. They may be styled, must fit into `size`, and have no line ends.
    pub fn draw(&mut self, mut lines: Vec<String>) {
        if !self.colors {
            for line in &mut lines {
                *line = strip_str(line).to_string();
            }
        }
        let frame = frame(&lines);
        let size = self.size();
        let mut drawn = lock();
        if drawn.as_ref() == Some(&frame) && size == self.size {
            return;
        }
        self.size = size;
        let sent = send(&again(&frame, lines.len()));
        *drawn = sent.is_ok().then_some(frame);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Leaves what is drawn where it is, with the cursor below.
pub fn leave() {
    leave_and(|| ());
}

/// Does the same, and `then`; nothing is drawn before that is done. Whoever is held up at drawing, as a terminal that is
/// stopped does, is not waited for.
pub fn leave_and(then: impl FnOnce()) {
    let until = Instant::now() + DRAWING;
    let mut drawn = loop {
        match DRAWN.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(TryLockError::WouldBlock) => break None,
            Err(TryLockError::Poisoned(drawn)) => break Some(drawn.into_inner()),
            Ok(drawn) => break Some(drawn),
        }
    };
    if let Some(frame) = drawn.as_mut().and_then(|drawn| drawn.take()) {
        let _ = send(&last(&frame));
    }
    then();
}

/// What draws the lines from where the cursor is.
fn frame(lines: &[String]) -> String {
    let mut frame = format!("{ERASE}{CUT}");
    for line in lines {
        let _ = write!(frame, "\r\n{line}");
    }
    frame.push_str(CONTINUE);
    frame
}

/// Draws and goes back above the lines. It is one write, so nothing flickers.
fn again(frame: &str, lines: usize) -> String {
    match lines {
        0 => frame.to_owned(),
        up => format!("{frame}\r\x1b[{up}A"),
    }
}

/// Draws for the last time.
fn last(frame: &str) -> String {
    format!("{frame}\r\n")
}

/// Does something else with stderr: what is drawn is erased first.
pub(super) fn instead(write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let mut drawn = lock();
    if drawn.take().is_some() {
        send(ERASE)?;
    }
    write()
}

fn send(text: &str) -> io::Result<()> {
    let mut stderr = stderr().lock();
    stderr.write_all(text.as_bytes())?;
    stderr.flush()
}

fn lock() -> std::sync::MutexGuard<'static, Option<String>> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a terminal shows below two lines of somebody else's.
    struct Seen(vt100::Parser);

    impl Seen {
        fn new(rows: u16, columns: u16) -> Self {
            let mut parser = vt100::Parser::new(rows, columns, 100);
            parser.process(b"one\r\ntwo\r\n");
            Self(parser)
        }

        fn draw(&mut self, lines: &[&str]) {
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            self.write(&again(&frame(&lines), lines.len()));
        }

        fn draw_last(&mut self, lines: &[&str]) {
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            self.write(&last(&frame(&lines)));
        }

        fn write(&mut self, text: &str) {
            self.0.process(text.as_bytes());
        }

        fn resize(&mut self, rows: u16, columns: u16) {
            self.0.screen_mut().set_size(rows, columns);
        }

        #[track_caller]
        fn check(&self, expected: &[&str]) {
            let screen = self.0.screen();
            let contents = screen.contents();
            let lines: Vec<&str> = contents.lines().map(str::trim_end).collect();
            assert_eq!(lines, expected);
            assert!(!screen.hide_cursor());
        }
    }

    #[test]
    fn lines_are_drawn_over_those_before() {
        let mut seen = Seen::new(10, 20);
        seen.draw(&["a", "bbb", "c"]);
        seen.check(&["one", "two", "", "a", "bbb", "c"]);
        seen.draw(&["A", "B"]);
        seen.check(&["one", "two", "", "A", "B"]);
        seen.draw(&[]);
        seen.check(&["one", "two", ""]);
        seen.draw(&["a", "b"]);
        seen.draw_last(&["a", "c"]);
        seen.write("$");
        seen.check(&["one", "two", "", "a", "c", "$"]);
    }

    #[test]
    fn other_text_goes_above() {
        let mut seen = Seen::new(10, 20);
        seen.draw(&["a", "b"]);
        seen.write(&format!("{ERASE}note\r\n"));
        seen.check(&["one", "two", "note"]);
        seen.draw(&["a", "b"]);
        seen.check(&["one", "two", "note", "", "a", "b"]);
        // What the terminal itself shows of keys that are pressed.
        seen.write("^Cabc");
        seen.draw(&["a", "b"]);
        seen.check(&["one", "two", "note", "", "a", "b"]);
    }

    #[test]
    fn the_end_of_the_terminal_scrolls_and_keeps_what_was_above() {
        let mut seen = Seen::new(4, 20);
        for _ in 0..5 {
            seen.draw(&["a", "b", "c"]);
            seen.check(&["", "a", "b", "c"]);
        }
        seen.draw_last(&["a", "b", "c"]);
        seen.write("$");
        seen.check(&["a", "b", "c", "$"]);
        seen.0.screen_mut().set_scrollback(100);
        seen.check(&["one", "two", "", "a"]);
    }

    #[test]
    fn resized_terminals_are_drawn_right() {
        let mut seen = Seen::new(10, 20);
        seen.draw(&["aaaaaaaaaaaaaaa", "b", "c"]);
        seen.resize(10, 8);
        seen.draw(&["aaa", "b", "c"]);
        seen.check(&["one", "two", "", "aaa", "b", "c"]);
        seen.resize(5, 30);
        seen.draw(&["aaaaaaaaaaaaaaaaaaaaa", "b"]);
        seen.check(&["one", "two", "", "aaaaaaaaaaaaaaaaaaaaa", "b"]);
        seen.resize(10, 20);
        seen.draw(&["a", "b", "c"]);
        seen.check(&["one", "two", "", "a", "b", "c"]);
    }
}
