//! Messages, progress and the live table on stderr.
//!
//! stdout is for results and is written by the commands. The progress bar and the live table appear only on a terminal;
//! elsewhere stderr gets plain lines. Colours go through `anstream`, which respects `NO_COLOR` and the terminal's abilities.

mod screen;

use std::error::Error;
use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::number;
use crate::plan::{self, Color, Verbosity};

pub(crate) use screen::{Screen, release, release_then};

/// Writes messages to stderr.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Messages {
    verbosity: Verbosity,
}

/// The longest message, in characters.
const MAX_MESSAGE_CHARS: usize = 1000;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const ERROR: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

impl Messages {
    /// Takes the verbosity from the plan, and sets the colour choice of both streams.
    pub fn new(display: plan::Display) -> Self {
        match display.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        Self {
            verbosity: display.verbosity,
        }
    }

    /// Prints an error and its causes.
    #[expect(
        clippy::unused_self,
        reason = "called like the messages that depend on the verbosity"
    )]
    pub fn error(self, error: &(dyn Error + 'static)) {
        let causes = std::iter::successors(Some(error), |&e| e.source());
        let text: Vec<String> = causes.map(ToString::to_string).collect();
        print(ERROR, "error:", &text.join(": "));
    }

    /// Prints a warning: the result is less than it should be.
    #[expect(
        clippy::unused_self,
        reason = "called like the messages that depend on the verbosity"
    )]
    pub fn warn(self, text: impl Display) {
        print(WARNING, "warning:", &text.to_string());
    }

    /// Prints a note, unless `--quiet` is given.
    pub fn note(self, text: impl Display) {
        if self.verbosity >= Verbosity::Normal {
            print(DIM, "note:", &text.to_string());
        }
    }

    /// Prints a detail, if `-v` is given.
    pub fn detail(self, text: impl Display) {
        if self.verbosity >= Verbosity::Verbose {
            print(DIM, "  ", &text.to_string());
        }
    }

    /// Prints a status line without a label, unless `--quiet` is given.
    pub fn status(self, text: impl Display) {
        if self.verbosity >= Verbosity::Normal {
            let text = escape_message(&text.to_string());
            let _ = screen::write_above(|| writeln!(anstream::stderr(), "{text}"));
        }
    }

    /// Returns the lines that are redrawn in place; `None` with `--quiet`, or where stderr is not a suitable terminal.
    pub fn screen(self) -> Option<Screen> {
        (self.verbosity >= Verbosity::Normal)
            .then(Screen::on_stderr)
            .flatten()
    }

    /// Starts a progress bar over `total_bytes` of log, if their number is known.
    pub fn progress(self, total_bytes: Option<u64>) -> Progress {
        let shown = self.verbosity >= Verbosity::Normal && stderr().is_terminal();
        let target = if shown {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(total_bytes, target);
        let tokens = ProgressBar::hidden();
        let counter = tokens.clone();
        let template = if total_bytes.is_some() {
            "{bar:32.cyan/dim} {bytes}/{total_bytes} · {tokens} · {eta} left"
        } else {
            "{spinner} {bytes} · {tokens}"
        };
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.with_key(
            "tokens",
            move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = write!(out, "{}", rate(counter.position(), state.elapsed()));
            },
        ));
        Progress { bar, tokens }
    }
}

fn rate(tokens: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-3);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let per_second = (tokens as f64 / seconds) as u64;
    format!(
        "{} tokens · {} tokens/s",
        number::count(tokens),
        number::count(per_second)
    )
}

/// Prints a line on stderr. A closed stderr does not stop the work.
fn print(style: Style, label: &str, text: &str) {
    let text = escape_message(text);
    let _ = screen::write_above(|| writeln!(anstream::stderr(), "{style}{label}{style:#} {text}"));
}

/// Escapes a text to one line, and replaces the middle of a very long one by an ellipsis.
pub(crate) fn escape_message(text: &str) -> String {
    let count = text.chars().count();
    let omitted = MAX_MESSAGE_CHARS / 2..count.saturating_sub(MAX_MESSAGE_CHARS / 2);
    let mut shown = String::with_capacity(text.len().min(4 * MAX_MESSAGE_CHARS));
    for (at, c) in text.chars().enumerate() {
        match c {
            _ if count > MAX_MESSAGE_CHARS && at == omitted.start => shown.push_str(" … "),
            _ if count > MAX_MESSAGE_CHARS && omitted.contains(&at) => {}
            c => push_escaped(&mut shown, c),
        }
    }
    shown
}

/// Escapes a text to one line.
pub(crate) fn one_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|c| push_escaped(&mut shown, c));
    shown
}

/// Escapes each line of a text for stdout. JSON keeps its meaning: the escapes are those of JSON strings.
pub(crate) fn escape_lines(lines: &str) -> String {
    let lines = lines.split('\n').map(one_line);
    lines.collect::<Vec<_>>().join("\n")
}

/// Appends a character, escaped if it moves the cursor, ends a line or changes the direction of writing.
///
/// Names come from files of unknown authors: a terminal, or a CI system that reads commands from lines, must not obey them.
fn push_escaped(shown: &mut String, c: char) {
    match c {
        '\t' | '\n' | '\r' => shown.extend(c.escape_default()),
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            shown.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
        c => shown.push(c),
    }
}

/// A progress bar; it disappears when this is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
    tokens: ProgressBar,
}

impl Progress {
    /// Adds bytes of log and tokens that are done.
    pub fn advance(&self, bytes: u64, tokens: u64) {
        self.tokens.inc(tokens);
        self.bar.inc(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_escaped_and_shortened() {
        let check = |text: &str, expected: &str| assert_eq!(escape_message(text), expected);
        check("", "");
        check(
            "é\nb\u{1b}[2J\u{9b}1m\0\r\t\u{7f}\u{202e}",
            r"é\nb\u001b[2J\u009b1m\u0000\r\t\u007f\u202e",
        );
        let half = "ä".repeat(MAX_MESSAGE_CHARS / 2);
        check(&half.repeat(2), &half.repeat(2));
        check(&half.repeat(3), &format!("{half} … {half}"));
    }

    #[test]
    fn lines_stay_lines_and_json_stays_json() {
        assert_eq!(escape_lines("a\u{1b}[2J\r\nb\n"), "a\\u001b[2J\\r\nb\n");
        let name: String = ('\0'..='\u{ff}').chain(['\u{202e}', '\u{2066}']).collect();
        let json = serde_json::to_string(&name).unwrap();
        assert!(escape_lines(&json).chars().all(|c| !c.is_control()));
        assert_eq!(
            serde_json::from_str::<String>(&escape_lines(&json)).unwrap(),
            name
        );
    }
}
