//! Top and bottom: the run's name, the verdict on its log, and the way it was counted.

use crate::html::Page;
use crate::html::escape::{breakable, write_html};
use crate::html::table::{Cell, Table};
use crate::number::{MISSING, count};

/// Writes the run's name, the verdict and the anomalies.
pub(crate) fn header(html: &mut String, page: &Page) {
    html.push_str("<header>\n");
    if let Some(index) = &page.index {
        write_html!(
            html,
            "<p class=\"kicker\"><a href=\"{}\">All runs</a></p>\n",
            index
        );
    }
    let name = breakable(&page.run.name);
    write_html!(html, "<h1>{name}</h1>\n");
    if let Some(baseline) = &page.baseline {
        write_html!(
            html,
            "<p class=\"key\"><span class=\"swatch a\"></span>this run <span class=\"swatch b\"></span>baseline: {}</p>\n",
            baseline.name
        );
    }
    html.push_str("</header>\n<main>\n");
    verdict(html, page);
    anomalies(html, page);
}

fn verdict(html: &mut String, page: &Page) {
    let verdict = &page.verdict;
    let (class, mark, text) = if verdict.complete {
        let text = "Complete: the run ended, and every text of its log was counted.";
        ("good", "✓", text.to_owned())
    } else {
        let text = format!(
            "Incomplete ({}): the figures are not all of the run's.",
            verdict.state
        );
        ("bad", "✗", text)
    };
    write_html!(
        html,
        "<section class=\"verdict {class}\" aria-label=\"Verdict\">\n<p><span aria-hidden=\"true\">{mark}</span> {}</p>\n",
        text
    );
    list(html, &verdict.reasons);
    list(html, &verdict.damaged_lines);
    html.push_str("</section>\n");
}

fn list(html: &mut String, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    html.push_str("<ul>\n");
    for line in lines {
        write_html!(html, "<li>{}</li>\n", line);
    }
    html.push_str("</ul>\n");
}

fn anomalies(html: &mut String, page: &Page) {
    if page.anomalies.is_empty() {
        return;
    }
    let columns = ["anomaly in the log", "count", "first at byte"];
    let mut table = Table::new("Anomalies in the log", &columns);
    for anomaly in &page.anomalies {
        let first_offset = anomaly.first_offset.map_or(MISSING.to_owned(), count);
        table.row(vec![
            Cell::text(&anomaly.description),
            Cell::text(&count(anomaly.count)),
            Cell::text(&first_offset),
        ]);
    }
    table.write(html);
}

/// Writes how the run was counted, and with what.
pub(crate) fn footer(html: &mut String, page: &Page) {
    html.push_str("</main>\n<footer>\n<h2>How it was counted</h2>\n<dl>\n");
    for (name, value) in &page.facts {
        write_html!(html, "<div><dt>{}</dt><dd>{}</dd></div>\n", name, value);
    }
    html.push_str("</dl>\n</footer>\n");
}
