//! Top and bottom: which run it is, whether it can be trusted, how it was counted.

use std::fmt::Write as _;

use crate::html::escape::{Breaking, Text};
use crate::html::table::{Cell, Table};
use crate::html::{Page, number};

/// The run's name, the verdict, what is odd.
pub fn head(html: &mut String, page: &Page) {
    html.push_str("<header>\n");
    if let Some(index) = &page.index {
        _ = writeln!(
            html,
            "<p class=\"kicker\"><a href=\"{}\">All runs</a></p>",
            Text(index)
        );
    }
    _ = writeln!(html, "<h1>{}</h1>", Breaking(&page.run.name));
    if let Some(against) = &page.against {
        _ = writeln!(
            html,
            "<p class=\"key\"><span class=\"swatch a\"></span>this run <span class=\"swatch b\"></span>baseline: {}</p>",
            Text(&against.name)
        );
    }
    html.push_str("</header>\n<main>\n");
    verdict(html, page);
}

fn verdict(html: &mut String, page: &Page) {
    let verdict = &page.verdict;
    let (class, mark, text) = if verdict.complete {
        (
            "good",
            "✓",
            "Complete: the run ended, and every text of its log was counted.".to_owned(),
        )
    } else {
        (
            "bad",
            "✗",
            format!(
                "Incomplete ({}): the figures are not all of the run's.",
                verdict.state
            ),
        )
    };
    _ = writeln!(
        html,
        "<section class=\"verdict {class}\" aria-label=\"Verdict\">\n<p><span aria-hidden=\"true\">{mark}</span> {}</p>",
        Text(&text)
    );
    list(html, &verdict.reasons);
    list(html, &verdict.damaged_lines);
    html.push_str("</section>\n");
    if page.odd.is_empty() {
        return;
    }
    let mut table = Table::new(
        "What is odd in the log",
        &["odd in the log", "how often", "first at byte"],
    );
    for odd in &page.odd {
        table.row(vec![
            Cell::text(&odd.what),
            Cell::text(&number::count(odd.count)),
            Cell::text(
                &odd.first_offset
                    .map_or_else(|| number::NONE.to_owned(), number::count),
            ),
        ]);
    }
    table.write(html);
}

fn list(html: &mut String, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    html.push_str("<ul>\n");
    for line in lines {
        _ = writeln!(html, "<li>{}</li>", Text(line));
    }
    html.push_str("</ul>\n");
}

/// How it was counted, and with what.
pub fn facts(html: &mut String, page: &Page) {
    html.push_str("</main>\n<footer>\n<h2>How it was counted</h2>\n<dl>\n");
    for (name, value) in &page.facts {
        _ = writeln!(
            html,
            "<div><dt>{}</dt><dd>{}</dd></div>",
            Text(name),
            Text(value)
        );
    }
    html.push_str("</dl>\n</footer>\n");
}
