//! Tables: the numbers of every figure, for people and for screen readers.

use super::escape::{typographic, write_html};
use crate::number::{self, MISSING, fixed};

/// A table under construction. The first cell of a row is its head.
pub(super) struct Table {
    name: String,
    class: &'static str,
    columns: Vec<String>,
    body: String,
}

/// The markup of a cell.
#[derive(Clone)]
pub(super) struct Cell(String);

impl Cell {
    pub fn text(text: &str) -> Self {
        let mut cell = String::new();
        write_html!(cell, "{}", text);
        Self(cell)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn number(value: Option<f64>, decimals: usize) -> Self {
        Self(value.map_or(MISSING.to_owned(), |value| {
            typographic(&fixed(value, decimals))
        }))
    }

    /// Shows the relative change; empty if there is none.
    pub fn change(before: Option<f64>, after: Option<f64>) -> Self {
        let change = before
            .zip(after)
            .and_then(|(before, after)| change(before, after));
        Self::text(&change.unwrap_or_default())
    }

    /// Shows a number and, smaller, its relative change since `before`.
    pub fn number_since(value: Option<f64>, decimals: usize, before: Option<f64>) -> Self {
        let Self(mut cell) = Self::number(value, decimals);
        let Self(change) = Self::change(before, value);
        if !change.is_empty() {
            write_html!(cell, " <small>{change}</small>");
        }
        Self(cell)
    }

    pub fn link(text: &str, url: &str) -> Self {
        let mut cell = String::new();
        write_html!(cell, "<a href=\"{}\">{}</a>", url, text);
        Self(cell)
    }

    /// Shows a name and, smaller, an explanation.
    pub fn named(name: &str, small: &str) -> Self {
        let mut cell = String::new();
        write_html!(cell, "{} <small>{}</small>", name, small);
        Self(cell)
    }
}

impl Table {
    /// `name` is for screen readers.
    pub fn new(name: &str, columns: &[impl AsRef<str>]) -> Self {
        let columns = columns.iter().map(|column| column.as_ref().to_owned());
        Self {
            name: name.to_owned(),
            class: "",
            columns: columns.collect(),
            body: String::new(),
        }
    }

    /// Sets the class in the style sheet.
    pub fn class(mut self, class: &'static str) -> Self {
        self.class = class;
        self
    }

    pub fn row(&mut self, cells: Vec<Cell>) {
        self.row_of("", cells);
    }

    /// Adds a row of a class in the style sheet.
    pub fn row_of(&mut self, class: &str, cells: Vec<Cell>) {
        let class = class_attribute(class);
        write_html!(self.body, "<tr{class}>");
        for (i, Cell(cell)) in cells.into_iter().enumerate() {
            if i == 0 {
                write_html!(self.body, "<th scope=\"row\">{cell}</th>");
            } else {
                write_html!(self.body, "<td>{cell}</td>");
            }
        }
        self.body.push_str("</tr>\n");
    }

    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// Writes the table; one that is too wide scrolls, by keyboard too.
    pub fn write(&self, html: &mut String) {
        let class = class_attribute(self.class);
        write_html!(
            html,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table{class}><thead><tr>",
            self.name
        );
        for column in &self.columns {
            // An empty header cell is an accessibility error.
            match column.as_str() {
                "" => html.push_str("<td></td>"),
                column => write_html!(html, "<th scope=\"col\">{}</th>", column),
            }
        }
        let body = &self.body;
        write_html!(
            html,
            "</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
        );
    }

    /// Writes the table folded behind the word "Numbers".
    pub fn write_folded(&self, html: &mut String) {
        write_html!(
            html,
            "<details><summary>Numbers<span class=\"hidden\">: {}</span></summary>\n",
            self.name
        );
        self.write(html);
        html.push_str("</details>\n");
    }
}

fn class_attribute(class: &str) -> String {
    match class {
        "" => String::new(),
        class => format!(" class=\"{class}\""),
    }
}

/// Formats the relative change from `before` to `after`. Equal values and a `before` of 0 have none.
pub(super) fn change(before: f64, after: f64) -> Option<String> {
    let share = (after - before) / before.abs();
    (share != 0.0 && share.is_finite()).then(|| typographic(&number::change(share)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_relative() {
        let check = |before, after, expected: Option<&str>| {
            let found = change(before, after);
            assert_eq!(found.as_deref(), expected, "{before} {after}");
        };
        check(1.0, 1.0, None);
        check(0.0, 1.0, None);
        check(f64::NAN, 1.0, None);
        check(100.0, 103.1, Some("+3.10 %"));
        check(100.0, 50.0, Some("−50.0 %"));
        check(-2.0, -1.0, Some("+50.0 %"));
    }
}
