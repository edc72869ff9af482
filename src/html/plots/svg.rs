//! Writes SVG. Its classes are those of the page's style sheet, which has the colors for light, dark and print.

use std::fmt;

use crate::html::escape::write_html;

/// A point in pixels from the top left corner.
pub(super) type Point = (f64, f64);

/// The side of a point on which a text stands.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// An SVG under construction. Consecutive shapes of one class share a path.
pub(super) struct Svg {
    markup: String,
    /// The class of the path that is open; empty if none is.
    open_class: String,
}

impl Svg {
    /// `label`: the content of the plot in words.
    pub fn new((width, height): (u32, u32), label: &str) -> Self {
        let mut markup = String::new();
        write_html!(
            markup,
            "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">",
            label
        );
        Self {
            markup,
            open_class: String::new(),
        }
    }

    /// Draws a line through points.
    pub fn line(&mut self, points: impl IntoIterator<Item = Point>, class: &str) {
        self.open_path(format!("l {class}"));
        self.add_segments(points);
    }

    /// Fills the polygon with these corners.
    pub fn area(&mut self, corners: impl IntoIterator<Item = Point>, class: &str) {
        self.open_path(format!("f {class}"));
        self.add_segments(corners);
        self.markup.push('Z');
    }

    /// Draws a dot: a line without length, whose round cap is the dot.
    pub fn dot(&mut self, (x, y): Point, class: &str) {
        self.open_path(format!("l {class} d"));
        let (x, y) = (Tenths::of(x), Tenths::of(y));
        write_html!(self.markup, "M{x} {y}h0");
    }

    /// Writes a text whose baseline starts, is centered or ends at a point.
    pub fn text(&mut self, (x, y): Point, anchor: Anchor, text: &str) {
        self.close_path();
        let (x, y) = (Tenths::of(x), Tenths::of(y));
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        write_html!(
            self.markup,
            "<text x=\"{x}\" y=\"{y}\"{anchor}>{}</text>",
            text
        );
    }

    pub fn finish(mut self) -> String {
        self.close_path();
        self.markup + "</svg>"
    }

    fn open_path(&mut self, class: String) {
        if self.open_class != class {
            self.close_path();
            write_html!(self.markup, "<path class=\"{class}\" d=\"");
            self.open_class = class;
        }
    }

    fn close_path(&mut self) {
        if !self.open_class.is_empty() {
            self.open_class.clear();
            self.markup.push_str("\"/>");
        }
    }

    fn add_segments(&mut self, points: impl IntoIterator<Item = Point>) {
        let mut last = None;
        for (x, y) in points {
            let point = (Tenths::of(x), Tenths::of(y));
            let (x, y) = point;
            match last {
                None => write_html!(self.markup, "M{x} {y}"),
                Some(last) if last == point => {}
                Some((_, last_y)) if last_y == y => write_html!(self.markup, "H{x}"),
                Some((last_x, _)) if last_x == x => write_html!(self.markup, "V{y}"),
                Some(_) => write_html!(self.markup, "L{x} {y}"),
            }
            last = Some(point);
        }
    }
}

/// A coordinate in tenths of a pixel: finer ones make the page larger and look the same.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Tenths(i32);

impl Tenths {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "plots are far smaller than an i32, and the cast saturates"
    )]
    fn of(pixels: f64) -> Self {
        Self((pixels * 10.0).round() as i32)
    }
}

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.0) / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_plot_is_whole() {
        let expected = "<svg viewBox=\"0 0 30 20\" width=\"30\" height=\"20\" role=\"img\" aria-label=\"a &quot;plot&quot;\"></svg>";
        assert_eq!(Svg::new((30, 20), "a \"plot\"").finish(), expected);
    }

    #[test]
    fn consecutive_shapes_of_one_class_are_one_path() {
        let mut svg = Svg::new((30, 20), "");
        svg.line([(0.0, 0.0), (1.5, 0.0), (1.5, 2.0), (3.0, 4.12)], "a");
        svg.line([(0.1, 0.1), (0.1, 0.1), (0.2, 0.1)], "a");
        svg.dot((0.5, 0.5), "b");
        svg.area([(0.0, 1.0), (0.0, 0.0), (1.0, 0.0), (1.0, 1.0)], "al");
        svg.text((1.0, 9.0), Anchor::End, "<p99>");
        let svg = svg.finish();
        let expected = "<path class=\"l a\" d=\"M0 0H1.5V2L3 4.1M0.1 0.1H0.2\"/><path class=\"l b d\" d=\"M0.5 0.5h0\"/>\
            <path class=\"f al\" d=\"M0 1V0H1V1Z\"/><text x=\"1\" y=\"9\" text-anchor=\"end\">&lt;p99&gt;</text></svg>";
        assert_eq!(svg.split_once('>').unwrap().1, expected);
    }
}
