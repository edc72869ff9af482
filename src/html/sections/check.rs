//! The outcome of a check.

use super::note;
use crate::html::Page;
use crate::html::escape::write_html;
use crate::html::table::{Cell, Table};

/// Writes the outcome and the differences, if there was a check.
pub(crate) fn check(html: &mut String, page: &Page) {
    let Some(check) = &page.check else { return };
    let (class, mark) = if check.passed {
        ("good", "✓")
    } else {
        ("bad", "✗")
    };
    write_html!(
        html,
        "<section class=\"check\">\n<h2>Check</h2>\n<p class=\"{class}\"><span aria-hidden=\"true\">{mark}</span> {}</p>\n",
        check.outcome
    );
    // The verdict at the top of the page has some of the remarks already.
    let known = &page.verdict.reasons;
    for remark in check
        .remarks
        .iter()
        .filter(|remark| !known.contains(remark))
    {
        note(html, remark);
    }
    let mut table = Table::new("Differences", &check.columns).class("words");
    for row in &check.rows {
        table.row(row.iter().map(|cell| Cell::text(cell)).collect());
    }
    if !table.is_empty() {
        table.write(html);
    }
    if check.rows_left_out > 0 {
        note(
            html,
            &format!("{} more are not shown.", check.rows_left_out),
        );
    }
    html.push_str("</section>\n");
}
