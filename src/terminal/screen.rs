//! Lines at the end of a terminal that are redrawn in place.
//!
//! The cursor rests above the lines, on an empty row. So a redraw erases everything below the cursor, and needs no count of
//! rows, which would be wrong after the terminal was resized. `indicatif` keeps such a count and pads each line to the full
//! width, so it leaves rows behind when a terminal wraps its lines anew.
//!
//! One case remains: a terminal that wraps lines anew when it becomes narrower may push the first of them into its history.
//! The cursor is never hidden and no mode stays set, so a killed process leaves a usable terminal.

use std::fmt::Write as _;
use std::io::{self, Write as _, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use anstream::adapter::strip_str;
use console::Term;

/// The frame that is on the terminal, if any.
static DRAWN: Mutex<Option<String>> = Mutex::new(None);

/// The longest time a redraw takes, unless the terminal is stopped.
const DRAW_TIMEOUT: Duration = Duration::from_millis(100);

/// Goes to the first column and erases to the end of the screen. The erase starts at the second column: some terminals
/// take an erase from the first column of the first row for a screen that is to be kept, and scroll it away.
const ERASE: &str = "\r \x1b[J\r";
/// Cuts a line that is too long, because the terminal has just become narrower, instead of wrapping it.
const WRAP_OFF: &str = "\x1b[?7l";
const WRAP_ON: &str = "\x1b[?7h";

/// Lines at the end of the terminal on stderr.
#[derive(Debug)]
pub(crate) struct Screen {
    term: Term,
    colors: bool,
    /// The terminal's size at the last redraw.
    drawn_size: (usize, usize),
}

impl Screen {
    /// Returns `None` if stderr is not a terminal, or if the terminal cannot move its cursor.
    pub(super) fn on_stderr() -> Option<Self> {
        let term = Term::stderr();
        let moves = std::env::var_os("TERM").is_some_and(|name| name != "dumb" && !name.is_empty());
        let choice = anstream::AutoStream::choice(&stderr());
        (term.is_term() && moves).then(|| Self {
            term,
            colors: choice != anstream::ColorChoice::Never,
            drawn_size: (0, 0),
        })
    }

    /// Returns the columns and rows that lines may take.
    pub fn size(&self) -> (usize, usize) {
        let (rows, columns) = self.term.size();
        // Terminals differ in where the cursor goes after a line of the full width.
        let columns = columns.saturating_sub(1);
        (columns.into(), rows.saturating_sub(1).into())
    }

    /// Replaces the lines. They may be styled, must fit into [`Self::size`], and have no line ends.
    pub fn draw(&mut self, mut lines: Vec<String>) {
        if !self.colors {
            for line in &mut lines {
                *line = strip_str(line).to_string();
            }
        }
        let frame = frame(&lines);
        let size = self.size();
        let mut drawn = lock();
        if drawn.as_ref() == Some(&frame) && size == self.drawn_size {
            return;
        }
        self.drawn_size = size;
        let sent = send(&redraw(&frame, lines.len()));
        *drawn = sent.is_ok().then_some(frame);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        release();
    }
}

/// Leaves the drawn lines in place, with the cursor below them.
pub(crate) fn release() {
    release_then(|| ());
}

/// Does the same and calls `then` before anything else is drawn.
///
/// A redraw that is stuck, because the terminal is stopped, is not waited for: the process must be able to end or stop.
pub(crate) fn release_then(then: impl FnOnce()) {
    let deadline = Instant::now() + DRAW_TIMEOUT;
    let mut drawn = loop {
        match DRAWN.try_lock() {
            Ok(drawn) => break Some(drawn),
            Err(TryLockError::Poisoned(drawn)) => break Some(drawn.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => break None,
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
        }
    };
    if let Some(frame) = drawn.as_mut().and_then(|drawn| drawn.take()) {
        let _ = send(&last_draw(&frame));
    }
    then();
}

/// Erases the drawn lines and calls `write`, which may use stderr; the next redraw comes below its output.
pub(super) fn write_above(write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let mut drawn = lock();
    if drawn.take().is_some() {
        send(ERASE)?;
    }
    write()
}

/// Returns the text that draws the lines below the cursor.
fn frame(lines: &[String]) -> String {
    let mut frame = format!("{ERASE}{WRAP_OFF}");
    for line in lines {
        let _ = write!(frame, "\r\n{line}");
    }
    frame.push_str(WRAP_ON);
    frame
}

/// Draws a frame and moves the cursor above its lines. It is one write, so nothing flickers.
fn redraw(frame: &str, lines: usize) -> String {
    match lines {
        0 => frame.to_owned(),
        up => format!("{frame}\r\x1b[{up}A"),
    }
}

/// Draws a frame and leaves the cursor below it.
fn last_draw(frame: &str) -> String {
    format!("{frame}\r\n")
}

fn send(text: &str) -> io::Result<()> {
    let mut stderr = stderr().lock();
    stderr.write_all(text.as_bytes())?;
    stderr.flush()
}

fn lock() -> MutexGuard<'static, Option<String>> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal that already shows two lines.
    struct Emulator(vt100::Parser);

    impl Emulator {
        fn new(rows: u16, columns: u16) -> Self {
            let mut parser = vt100::Parser::new(rows, columns, 100);
            parser.process(b"one\r\ntwo\r\n");
            Self(parser)
        }

        fn draw(&mut self, lines: &[&str]) {
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            self.write(&redraw(&frame(&lines), lines.len()));
        }

        fn draw_last(&mut self, lines: &[&str]) {
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            self.write(&last_draw(&frame(&lines)));
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
    fn a_redraw_replaces_the_lines() {
        let mut terminal = Emulator::new(10, 20);
        terminal.draw(&["a", "bbb", "c"]);
        terminal.check(&["one", "two", "", "a", "bbb", "c"]);
        terminal.draw(&["A", "B"]);
        terminal.check(&["one", "two", "", "A", "B"]);
        terminal.draw(&[]);
        terminal.check(&["one", "two", ""]);
        terminal.draw(&["a", "b"]);
        terminal.draw_last(&["a", "c"]);
        terminal.write("$");
        terminal.check(&["one", "two", "", "a", "c", "$"]);
    }

    #[test]
    fn other_output_goes_above() {
        let mut terminal = Emulator::new(10, 20);
        terminal.draw(&["a", "b"]);
        terminal.write(&format!("{ERASE}note\r\n"));
        terminal.check(&["one", "two", "note"]);
        terminal.draw(&["a", "b"]);
        terminal.check(&["one", "two", "note", "", "a", "b"]);
        // The terminal's echo of pressed keys.
        terminal.write("^Cabc");
        terminal.draw(&["a", "b"]);
        terminal.check(&["one", "two", "note", "", "a", "b"]);
    }

    #[test]
    fn the_bottom_row_scrolls_and_keeps_earlier_output() {
        let mut terminal = Emulator::new(4, 20);
        for _ in 0..5 {
            terminal.draw(&["a", "b", "c"]);
            terminal.check(&["", "a", "b", "c"]);
        }
        terminal.draw_last(&["a", "b", "c"]);
        terminal.write("$");
        terminal.check(&["a", "b", "c", "$"]);
        terminal.0.screen_mut().set_scrollback(100);
        terminal.check(&["one", "two", "", "a"]);
    }

    #[test]
    fn resized_terminals_are_redrawn() {
        let mut terminal = Emulator::new(10, 20);
        terminal.draw(&["aaaaaaaaaaaaaaa", "b", "c"]);
        terminal.resize(10, 8);
        terminal.draw(&["aaa", "b", "c"]);
        terminal.check(&["one", "two", "", "aaa", "b", "c"]);
        terminal.resize(5, 30);
        terminal.draw(&["aaaaaaaaaaaaaaaaaaaaa", "b"]);
        terminal.check(&["one", "two", "", "aaaaaaaaaaaaaaaaaaaaa", "b"]);
        terminal.resize(10, 20);
        terminal.draw(&["a", "b", "c"]);
        terminal.check(&["one", "two", "", "a", "b", "c"]);
    }
}
