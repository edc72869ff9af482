//! Tables: the numbers of every figure, for people and for programs that read aloud.

use std::fmt::Write as _;

use super::escape::Text;
use super::number::{NONE, change, fixed};

/// A table in the making. The first cell of a row names it.
pub(super) struct Table {
    name: String,
    class: &'static str,
    head: Vec<String>,
    body: String,
}

/// A cell: markup that is safe.
pub(super) struct Cell(String);

impl Cell {
    pub fn text(text: &str) -> Self {
        Self(Text(text).to_string())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn number(value: Option<f64>, decimals: usize) -> Self {
        Self(value.map_or_else(|| NONE.to_owned(), |value| fixed(value, decimals)))
    }

    /// By how much `now` is more than `then`, as a share.
    pub fn change(then: Option<f64>, now: Option<f64>) -> Self {
        let by = then.zip(now).and_then(|(then, now)| change(then, now));
        Self::text(&by.unwrap_or_default())
    }

    /// With by how much it is more than it was, as a share.
    pub fn number_since(value: Option<f64>, decimals: usize, before: Option<f64>) -> Self {
        let Self(mut cell) = Self::number(value, decimals);
        if let Some(by) = before.zip(value).and_then(|(was, now)| change(was, now)) {
            _ = write!(cell, " <small>{}</small>", Text(&by));
        }
        Self(cell)
    }

    /// A link to a page beside this one.
    pub fn link(text: &str, path: &str) -> Self {
        Self(format!("<a href=\"{}\">{}</a>", Text(path), Text(text)))
    }

    /// A name and, smaller, what it stands for.
    pub fn named(name: &str, small: &str) -> Self {
        Self(format!("{} <small>{}</small>", Text(name), Text(small)))
    }
}

impl Table {
    /// `name`: what it is, for those who do not see where it stands.
    pub fn new(name: &str, head: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            class: "",
            head: head.iter().map(ToString::to_string).collect(),
            body: String::new(),
        }
    }

    /// With a class of the style sheet.
    pub fn class(mut self, class: &'static str) -> Self {
        self.class = class;
        self
    }

    pub fn row(&mut self, cells: Vec<Cell>) {
        self.row_of("", cells);
    }

    /// With a class of the style sheet.
    pub fn row_of(&mut self, class: &str, cells: Vec<Cell>) {
        self.body.push_str("<tr");
        if !class.is_empty() {
            _ = write!(self.body, " class=\"{class}\"");
        }
        self.body.push('>');
        for (i, Cell(cell)) in cells.into_iter().enumerate() {
            _ = match i {
                0 => write!(self.body, "<th scope=\"row\">{cell}</th>"),
                _ => write!(self.body, "<td>{cell}</td>"),
            };
        }
        self.body.push_str("</tr>\n");
    }

    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// The table; where it is too wide it scrolls, with the keyboard too.
    pub fn write(&self, html: &mut String) {
        let name = Text(&self.name);
        _ = write!(
            html,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{name}\"><table"
        );
        if !self.class.is_empty() {
            _ = write!(html, " class=\"{}\"", self.class);
        }
        html.push_str("><thead><tr>");
        for (i, head) in self.head.iter().enumerate() {
            _ = match (i, head.as_str()) {
                (0, "") => write!(html, "<td></td>"),
                (_, head) => write!(html, "<th scope=\"col\">{}</th>", Text(head)),
            };
        }
        _ = write!(
            html,
            "</tr></thead>\n<tbody>\n{}</tbody></table></div>\n",
            self.body
        );
    }

    /// The same behind a line that opens it.
    pub fn write_folded(&self, html: &mut String) {
        let name = Text(&self.name);
        _ = writeln!(
            html,
            "<details><summary>Numbers<span class=\"hidden\">: {name}</span></summary>"
        );
        self.write(html);
        html.push_str("</details>\n");
    }
}
