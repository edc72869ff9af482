//! One styled line that ends where the terminal does.

use anstyle::Style;
use console::{measure_text_width, truncate_str};

/// A line under construction.
#[derive(Debug)]
pub(super) struct Line {
    text: String,
    left: usize,
}

impl Line {
    /// At most so many columns wide.
    pub fn new(width: usize) -> Self {
        Self {
            text: String::new(),
            left: width,
        }
    }

    /// Adds text; what does not fit is cut.
    pub fn push(mut self, style: Style, text: &str) -> Self {
        if self.left == 0 {
            return self;
        }
        let fitting = truncate_str(text, self.left, "…");
        self.left = self.left.saturating_sub(measure_text_width(&fitting));
        if fitting.trim().is_empty() {
            self.text.push_str(&fitting);
        } else {
            self.text.push_str(&format!("{style}{fitting}{style:#}"));
        }
        self
    }

    /// Adds text to the right of a column of this width, with a space before it.
    pub fn cell(self, style: Style, width: usize, text: &str) -> Self {
        let space = width.saturating_sub(measure_text_width(text));
        self.push(Style::new(), &" ".repeat(space))
            .push(style, text)
    }

    /// Adds text to the left of a column of this width.
    pub fn label(self, style: Style, width: usize, text: &str) -> Self {
        let space = width.saturating_sub(measure_text_width(text));
        self.push(style, text)
            .push(Style::new(), &" ".repeat(space))
    }

    /// The line, with its styles.
    pub fn end(self) -> String {
        self.text.trim_end().to_owned()
    }
}
