//! What a check came to.

use std::fmt::Write as _;

use crate::html::Page;
use crate::html::escape::Text;
use crate::html::table::{Cell, Table};

/// The outcome and what differs, if there was a check.
pub fn check(html: &mut String, page: &Page) {
    let Some(check) = &page.check else { return };
    let (class, mark) = if check.passed {
        ("good", "✓")
    } else {
        ("bad", "✗")
    };
    _ = writeln!(
        html,
        "<section class=\"check\">\n<h2>Check</h2>\n<p class=\"{class}\"><span aria-hidden=\"true\">{mark}</span> {}</p>",
        Text(&check.outcome)
    );
    // What the verdict says need not be said twice.
    let said = &page.verdict.reasons;
    for remark in check.remarks.iter().filter(|remark| !said.contains(remark)) {
        _ = writeln!(html, "<p class=\"note\">{}</p>", Text(remark));
    }
    let mut table = Table::new("What differs", &check.columns).class("words");
    for row in &check.rows {
        table.row(row.iter().map(|cell| Cell::text(cell)).collect());
    }
    if !table.is_empty() {
        table.write(html);
    }
    if check.left_out > 0 {
        _ = writeln!(
            html,
            "<p class=\"note\">{} more are not shown.</p>",
            check.left_out
        );
    }
    html.push_str("</section>\n");
}
