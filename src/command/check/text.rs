//! What a person reads after a check: one table, and a line or two for each run.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use super::checked::{Checked, Outcome};
use super::rows::{COLUMNS, rows};
use crate::command::verdict::plural;
use crate::html;
use crate::terminal::one_line;

/// Everything on stdout.
pub(super) fn render(runs: &[Checked], all: bool) -> String {
    if let [Checked { error: Some(_), .. }] = runs {
        // It is on stderr.
        return String::new();
    }
    let mut text = table(runs, all);
    if !text.is_empty() {
        text.push('\n');
    }
    for run in runs {
        text += &format!("{}: {}\n", one_line(&run.run), one_line(&verdict(run)));
        for remark in remarks(run) {
            text += &format!("  {}\n", one_line(&remark));
        }
    }
    if runs.len() > 1 {
        text += &format!("{}\n", tally(runs));
    }
    text
}

fn table(runs: &[Checked], all: bool) -> String {
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
    // Figures, not names.
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

/// What came out, in one line.
pub(super) fn verdict(run: &Checked) -> String {
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
        let met = run.expectations.iter().filter(|judgement| judgement.met);
        let all = plural(run.expectations.len() as u64, "expectation");
        parts.push(format!("{} of {all} met", met.count()));
    }
    if run.is_incomplete() {
        parts.push("the log is incomplete".to_owned());
    }
    let parts = parts.join("; ");
    let kinds: Vec<_> = run.kinds.iter().map(|kind| kind.name()).collect();
    match (run.result, kinds.as_slice()) {
        (Outcome::Different, []) => format!("different: {parts}"),
        (Outcome::Different, kinds) => format!("different ({}): {parts}", kinds.join(", ")),
        _ => parts,
    }
}

/// What else is known about a run: what its log lacks, why its token counts differ.
pub(super) fn remarks(run: &Checked) -> Vec<String> {
    let mut remarks = run.reasons().to_vec();
    let mut complete = run
        .differences
        .iter()
        .filter(|found| found.metric == "complete");
    if complete.any(|found| found.before == false) {
        remarks.push(format!(
            "{} says that it is incomplete: its counts are those of a part of the samples",
            run.against.as_deref().unwrap_or_default()
        ));
    }
    remarks.extend(run.diagnosis.as_ref().map(|diagnosis| {
        match (&diagnosis.cause, diagnosis.tried.as_slice()) {
            (Some(cause), _) => format!("diagnosis: {cause} gives the very counts of the summary"),
            (None, []) => "diagnosis: nothing to try; name tokenizers with --try".to_owned(),
            (None, tried) => format!(
                "diagnosis: none found; tried {}; name other tokenizers with --try",
                tried.join(", ")
            ),
        }
    }));
    remarks
}

/// The outcome as a page shows it.
pub(super) fn for_page(run: &Checked) -> html::PageCheck {
    let (rows, left_out) = rows(std::slice::from_ref(run), false);
    html::PageCheck {
        outcome: verdict(run),
        passed: run.result == Outcome::Passed,
        remarks: remarks(run),
        columns: COLUMNS.to_vec(),
        rows: rows.into_iter().map(|row| row.cells.to_vec()).collect(),
        rows_left_out: left_out,
    }
}

/// How many runs came out how.
pub(super) fn tally(runs: &[Checked]) -> String {
    let count = |result| runs.iter().filter(|run| run.result == result).count();
    format!(
        "{} runs: {} passed, {} different, {} could not be compared",
        runs.len(),
        count(Outcome::Passed),
        count(Outcome::Different),
        count(Outcome::Error)
    )
}
