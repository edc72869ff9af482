//! Output for GitHub Actions: an annotation for each run that did not pass or lost samples, and a table in the job
//! summary of the step.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use super::checked_run::{CheckOutcome, CheckedRun};
use super::rows::{COLUMNS, format_cells, rows, run_rows};
use super::text::{outcome, remarks, tally};
use crate::command::show;
use crate::files::atomic;
use crate::plan::Format;
use crate::terminal::{Messages, one_line};

/// The most differences in one annotation.
const MAX_DIFFERENCES: usize = 5;

/// Writes both if this runs in GitHub Actions. Its runner reads workflow commands from stdout and stderr; with
/// `--format json` they go to stderr, so that stdout stays JSON.
pub(super) fn report(
    runs: &[CheckedRun],
    format: Format,
    messages: Messages,
) -> anyhow::Result<()> {
    if std::env::var_os("GITHUB_ACTIONS").is_none_or(|is| is != "true") {
        return Ok(());
    }
    let is_annotated =
        |run: &&CheckedRun| run.result != CheckOutcome::Passed || !run.reasons().is_empty();
    for run in runs.iter().filter(is_annotated) {
        let command = annotation(run);
        match format {
            Format::Text => show(&(command + "\n"))?,
            // A closed stderr must not stop the check.
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

/// The workflow command for a run.
fn annotation(run: &CheckedRun) -> String {
    let mut lines = vec![outcome(run)];
    lines.extend(remarks(run));
    let cells = run_rows(run).take(MAX_DIFFERENCES);
    lines.extend(cells.map(|cells| format_cells(&cells)));
    let title = escape(&format!("tok-recompute: {}", run.run));
    let title = title.replace(':', "%3A").replace(',', "%2C");
    let level = match run.result {
        CheckOutcome::Passed => "warning",
        CheckOutcome::Different | CheckOutcome::Error => "error",
    };
    format!("::{level} title={title}::{}", escape(&lines.join("\n")))
}

/// Escapes the message of a workflow command.
fn escape(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The job summary, in Markdown.
fn summary(runs: &[CheckedRun]) -> String {
    let mut text = String::from("### tok-recompute --check\n\n");
    for run in runs {
        let mark = match run.result {
            CheckOutcome::Passed => "✅",
            CheckOutcome::Different => "❌",
            CheckOutcome::Error => "⚠️",
        };
        let _ = writeln!(text, "- {mark} {}: {}", code(&run.run), cell(&outcome(run)));
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

/// Escapes text for a cell of a Markdown table.
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
        let failed = |run: &str, error: &str| CheckedRun::failed(run.to_owned(), error.to_owned());
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
            annotation(&CheckedRun::new("a".to_owned(), lost, None, Vec::new())),
            "::warning title=tok-recompute%3A a::%0A1 sample never completed"
        );
        let text = summary(&[failed("a|b", "<x>\n*y* [z]")]);
        assert_eq!(
            text,
            "### tok-recompute --check\n\n- ⚠️ <code>a\\|b</code>: could not be compared: &lt;x&gt; \\*y\\* \\[z\\]\n\n"
        );
    }
}
