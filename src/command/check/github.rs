//! What GitHub shows when a check runs in one of its jobs: an annotation for each run that did not pass or lost samples,
//! and a table in the step's summary.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use super::checked::{Checked, Outcome};
use super::rows::{COLUMNS, line, of_finding, of_judgement, rows};
use super::text::{remarks, tally, verdict};
use crate::command::show;
use crate::files::atomic;
use crate::plan::Format;
use crate::terminal::{Messages, one_line};

/// Findings in one annotation.
const MAX_FINDINGS: usize = 5;

/// Tells GitHub, if this runs there. Its runner reads commands from both streams; stdout stays JSON where it is.
pub(super) fn tell(runs: &[Checked], format: Format, messages: Messages) -> anyhow::Result<()> {
    if std::env::var_os("GITHUB_ACTIONS").is_none_or(|is| is != "true") {
        return Ok(());
    }
    let told = |run: &&Checked| run.result != Outcome::Passed || !run.reasons().is_empty();
    for run in runs.iter().filter(told) {
        let command = annotation(run);
        match format {
            Format::Text => show(&(command + "\n"))?,
            // As with every message, a closed stderr is no reason to stop.
            Format::Json => drop(writeln!(anstream::stderr(), "{}", one_line(&command))),
        }
    }
    if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY")
        && let Err(error) = atomic::append(Path::new(&path), summary(runs).as_bytes())
    {
        messages.warn(error);
    }
    Ok(())
}

/// The workflow command that shows a run's outcome.
fn annotation(run: &Checked) -> String {
    let mut lines = vec![verdict(run)];
    lines.extend(remarks(run));
    let unmet = run.expectations.iter().filter(|judgement| !judgement.met);
    let found = unmet
        .map(of_judgement)
        .chain(run.differences.iter().map(of_finding));
    lines.extend(found.take(MAX_FINDINGS).map(|cells| line(&cells)));
    let title = escape(&format!("tok-recompute: {}", run.run));
    let title = title.replace(':', "%3A").replace(',', "%2C");
    let level = match run.result {
        Outcome::Passed => "warning",
        Outcome::Different | Outcome::Error => "error",
    };
    format!("::{level} title={title}::{}", escape(&lines.join("\n")))
}

/// Text as a workflow command carries it.
fn escape(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The step's summary, in Markdown.
fn summary(runs: &[Checked]) -> String {
    let mut text = String::from("### tok-recompute --check\n\n");
    for run in runs {
        let mark = match run.result {
            Outcome::Passed => "✅",
            Outcome::Different => "❌",
            Outcome::Error => "⚠️",
        };
        let _ = writeln!(text, "- {mark} {}: {}", code(&run.run), cell(&verdict(run)));
        for remark in remarks(run) {
            let _ = writeln!(text, "  - {}", cell(&remark));
        }
    }
    let (rows, left_out) = rows(runs, false);
    if !rows.is_empty() {
        let _ = writeln!(text, "\n| run | {} |", COLUMNS.join(" | "));
        text += "|---|---|--:|--:|--:|---|\n";
        for row in rows {
            let [metric, before, after, change, kind] = row.cells.map(|text| cell(&text));
            let run = code(&row.run);
            let _ = writeln!(
                text,
                "| {run} | {metric} | {before} | {after} | {change} | {kind} |"
            );
        }
    }
    if left_out > 0 {
        let _ = writeln!(text, "\nand {left_out} more");
    }
    if runs.len() > 1 {
        let _ = writeln!(text, "\n{}", tally(runs));
    }
    text + "\n"
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", cell(text))
}

/// Text that stays text in a cell of a table.
fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => cell += "&amp;",
            '<' => cell += "&lt;",
            '>' => cell += "&gt;",
            '\r' | '\n' => cell.push(' '),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' => cell.extend(['\\', c]),
            _ => cell.push(c),
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::verdict::Verdict;

    #[test]
    fn commands_and_cells_carry_any_text() {
        let failed = |run: &str, error: &str| Checked::failed(run.to_owned(), error.to_owned());
        assert_eq!(
            annotation(&failed("a,b:c%", "50 %\r\nless")),
            "::error title=tok-recompute%3A a%2Cb%3Ac%25::could not be compared: 50 %25%0D%0Aless"
        );
        let lost = Verdict {
            state: "complete",
            complete: true,
            reasons: vec!["1 sample never completed".to_owned()],
            damaged_lines: Vec::new(),
        };
        assert_eq!(
            annotation(&Checked::new("a".to_owned(), lost, None, Vec::new())),
            "::warning title=tok-recompute%3A a::%0A1 sample never completed"
        );
        let text = summary(&[failed("a|b", "<x>\n*y* [z]")]);
        assert_eq!(
            text,
            "### tok-recompute --check\n\n- ⚠️ <code>a\\|b</code>: could not be compared: &lt;x&gt; \\*y\\* \\[z\\]\n\n"
        );
    }
}
