//! Everything on stderr: what went wrong, what was assumed, how far the work is.
//!
//! stdout is for results and is written by the commands. A progress bar is shown only on a
//! terminal; elsewhere there are plain lines. Colours go through `anstream`, which respects
//! `NO_COLOR` and what the terminal can do.

mod screen;

use std::error::Error;
use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::plan::{self, Color, Verbosity};

pub use screen::{Screen, leave, leave_and};

/// The way to stderr.
#[derive(Clone, Copy, Debug)]
pub struct Messages {
    verbosity: Verbosity,
}

/// Characters of one message.
const MAX_SHOWN: usize = 1000;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const ERROR: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

impl Messages {
    /// Says as much as the plan wants; sets the colour choice of both streams.
    pub(crate) fn new(display: &plan::Display) -> Self {
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

    /// Something that stopped the work, with its causes.
    pub fn error(&self, error: &(dyn Error + 'static)) {
        let causes = std::iter::successors(Some(error), |&e| e.source());
        let text: Vec<String> = causes.map(ToString::to_string).collect();
        print(ERROR, "error:", &text.join(": "));
    }

    /// Something that makes a result less than it should be.
    pub fn warn(&self, text: impl Display) {
        print(WARNING, "warning:", &text.to_string());
    }

    /// Something worth knowing.
    pub fn note(&self, text: impl Display) {
        if self.verbosity >= Verbosity::Normal {
            print(DIM, "note:", &text.to_string());
        }
    }

    /// Something for those who ask with `-v`.
    pub fn detail(&self, text: impl Display) {
        if self.verbosity >= Verbosity::Verbose {
            print(DIM, "  ", &text.to_string());
        }
    }

    /// How things stand, for those who do not look at a terminal.
    pub fn status(&self, text: impl Display) {
        if self.verbosity >= Verbosity::Normal {
            let text = harmless(&text.to_string());
            let _ = screen::instead(|| writeln!(anstream::stderr(), "{text}"));
        }
    }

    /// Lines that are drawn again and again; `None` where that is not wanted or not possible.
    pub fn screen(&self) -> Option<Screen> {
        (self.verbosity >= Verbosity::Normal)
            .then(Screen::on_stderr)
            .flatten()
    }

    /// A progress display over `total_bytes` of log, if known.
    pub fn progress(&self, total_bytes: Option<u64>) -> Progress {
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
        HumanCount(tokens),
        HumanCount(per_second)
    )
}

/// A line on stderr; a closed stderr is no reason to stop.
fn print(style: Style, label: &str, text: &str) {
    let text = harmless(text);
    let _ = screen::instead(|| writeln!(anstream::stderr(), "{style}{label}{style:#} {text}"));
}

/// A message: one line, whose middle is left out if it is very long.
pub fn harmless(text: &str) -> String {
    let count = text.chars().count();
    let left_out = MAX_SHOWN / 2..count.saturating_sub(MAX_SHOWN / 2);
    let mut shown = String::with_capacity(text.len().min(4 * MAX_SHOWN));
    for (at, c) in text.chars().enumerate() {
        match c {
            _ if count > MAX_SHOWN && at == left_out.start => shown.push_str(" … "),
            _ if count > MAX_SHOWN && left_out.contains(&at) => {}
            c => push_visible(&mut shown, c),
        }
    }
    shown
}

/// A text on one line, whole.
pub fn one_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|c| push_visible(&mut shown, c));
    shown
}

/// Lines that go to stdout. JSON stays what it is: what is written as an escape here is one there.
pub fn visible(lines: &str) -> String {
    let lines = lines.split('\n').map(one_line);
    lines.collect::<Vec<_>>().join("\n")
}

/// Names come from files that anybody may have written: what moves the cursor, ends a line or turns the direction of
/// writing is shown, not sent to a terminal, nor to a CI system that reads commands from lines.
fn push_visible(shown: &mut String, c: char) {
    match c {
        '\t' | '\n' | '\r' => shown.extend(c.escape_default()),
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            shown.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
        c => shown.push(c),
    }
}

/// How far the work is.
pub struct Progress {
    bar: ProgressBar,
    tokens: ProgressBar,
}

impl Progress {
    /// So many bytes of log and tokens more are done.
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
    fn messages_do_no_harm() {
        let check = |text: &str, expected: &str| assert_eq!(harmless(text), expected);
        check("", "");
        check(
            "é\nb\u{1b}[2J\u{9b}1m\0\r\t\u{7f}\u{202e}",
            r"é\nb\u001b[2J\u009b1m\u0000\r\t\u007f\u202e",
        );
        let half = "ä".repeat(MAX_SHOWN / 2);
        check(&half.repeat(2), &half.repeat(2));
        check(&half.repeat(3), &format!("{half} … {half}"));
    }

    #[test]
    fn lines_stay_lines_and_json_stays_json() {
        assert_eq!(visible("a\u{1b}[2J\r\nb\n"), "a\\u001b[2J\\r\nb\n");
        let name: String = ('\0'..='\u{ff}').chain(['\u{202e}', '\u{2066}']).collect();
        let json = serde_json::to_string(&name).unwrap();
        assert!(visible(&json).chars().all(|c| !c.is_control()));
        assert_eq!(
            serde_json::from_str::<String>(&visible(&json)).unwrap(),
            name
        );
    }
}
