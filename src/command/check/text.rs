//! The text output of a check: one table, and a line or two for each run.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use super::checked_run::{CheckOutcome, CheckedRun};
use super::rows::{COLUMNS, rows};
use crate::command::verdict::plural;
use crate::html;
use crate::terminal::one_line;

/// The text for stdout.
pub(super) fn render(runs: &[CheckedRun], all: bool) -> String {
    if let [CheckedRun { error: Some(_), .. }] = runs {
        // The error is on stderr.
        return String::new();
    }
    let mut text = table(runs, all);
    if !text.is_empty() {
        text.push('\n');
    }
    for run in runs {
        text += &format!("{}: {}\n", one_line(&run.run), one_line(&outcome(run)));
        for remark in remarks(run) {
            text += &format!("  {}\n", one_line(&remark));
        }
    }
    if runs.len() > 1 {
        text += &format!("{}\n", tally(runs));
    }
    text
}

fn table(runs: &[CheckedRun], all: bool) -> String {
    let (rows, left_out) = rows(runs, all);
    if rows.is_empty() {
        return String::new();
    }
    let several = runs.len() > 1;
    let mut table = Table::new();
    let mut header = vec!["run"];
    header.extend(COLUMNS);
    let skipped = usize::from(!several);
    table.load_style(NOTHING).set_header(&header[skipped..]);
    for row in rows {
        let mut cells = vec![one_line(&row.run)];
        cells.extend(row.cells.map(|cell| one_line(&cell)));
        table.add_row(cells.split_off(skipped));
    }
    // The columns of figures.
    let first = 2 - skipped;
    for column in table.column_iter_mut().skip(first).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text: String = table
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect();
    if left_out > 0 {
        text += &format!(" and {left_out} more (-v or --format json shows all)\n");
    }
    text
}

/// The outcome of a run in one line.
pub(super) fn outcome(run: &CheckedRun) -> String {
    if let Some(error) = &run.error {
        return format!("could not be compared: {error}");
    }
    let mut parts = Vec::new();
    if let Some(against) = &run.against {
        parts.push(match (run.differences.len(), run.allowed.len()) {
            (0, 0) => format!("same as {against} in all {} fields", run.fields),
            (0, allowed) => format!(
                "within tolerance of {against}; {allowed} of {} fields differ",
                run.fields
            ),
            (differ, 0) => format!("{differ} of {} fields differ from {against}", run.fields),
            (differ, allowed) => format!(
                "{differ} of {} fields differ from {against} beyond tolerance, {allowed} within",
                run.fields
            ),
        });
    }
    if !run.expectations.is_empty() {
        let met = run.expectations.len() - run.unmet_expectations().count();
        let all = plural(run.expectations.len() as u64, "expectation");
        parts.push(format!("{met} of {all} met"));
    }
    if run.is_incomplete() {
        parts.push("the log is incomplete".to_owned());
    }
    let parts = parts.join("; ");
    let kinds: Vec<_> = run.kinds.iter().map(|kind| kind.name()).collect();
    match (run.result, kinds.as_slice()) {
        (CheckOutcome::Different, []) => format!("different: {parts}"),
        (CheckOutcome::Different, kinds) => format!("different ({}): {parts}", kinds.join(", ")),
        _ => parts,
    }
}

/// The gaps of a run's log, and the cause of its different token counts.
pub(super) fn remarks(run: &CheckedRun) -> Vec<String> {
    let mut remarks = run.reasons().to_vec();
    let mut complete = run.differences.iter().filter(|it| it.metric == "complete");
    if complete.any(|it| it.before == false) {
        remarks.push(format!(
            "{} is marked incomplete: it counts only a part of the samples",
            run.against.as_deref().unwrap_or_default()
        ));
    }
    remarks.extend(run.diagnosis.as_ref().map(|diagnosis| {
        match (&diagnosis.cause, diagnosis.tried.as_slice()) {
            (Some(cause), _) => {
                format!("diagnosis: {cause} reproduces the token counts of the summary")
            }
            (None, []) => "diagnosis: nothing to try; name tokenizers with --try".to_owned(),
            (None, tried) => format!(
                "diagnosis: cause not found; tried {}; name other tokenizers with --try",
                tried.join(", ")
            ),
        }
    }));
    remarks
}

/// The check's section of a run's page.
pub(super) fn page_section(run: &CheckedRun) -> html::PageCheck {
    let (rows, left_out) = rows(std::slice::from_ref(run), false);
    html::PageCheck {
        outcome: outcome(run),
        passed: run.result == CheckOutcome::Passed,
        remarks: remarks(run),
        columns: COLUMNS.to_vec(),
        rows: rows.into_iter().map(|row| row.cells.to_vec()).collect(),
        rows_left_out: left_out,
    }
}

/// The number of runs by outcome.
pub(super) fn tally(runs: &[CheckedRun]) -> String {
    let count = |result| runs.iter().filter(|run| run.result == result).count();
    format!(
        "{} runs: {} passed, {} different, {} could not be compared",
        runs.len(),
        count(CheckOutcome::Passed),
        count(CheckOutcome::Different),
        count(CheckOutcome::Error)
    )
}
