//! A plot area between two axes. Positions in it are fractions of its width and height, from the bottom left corner.

use super::axis::Axis;
use super::svg::{Anchor, Point, Svg};

/// Pixels around the plot area, for labels.
const TOP: f64 = 8.0;
const BOTTOM: f64 = 20.0;
const LEFT: f64 = 38.0;
/// A label is this far from the plot area, in pixels.
const LABEL_GAP: f64 = 5.0;
/// Half the height of a digit, in pixels: centers a label on its tick.
const HALF_DIGIT: f64 = 4.0;
/// Up to so many dots are drawn at full strength.
const MAX_STRONG_DOTS: usize = 200;
/// The paths that a cloud of faint dots is divided into.
const CLOUD_PATHS: usize = 6;

/// Classes of the style sheet for the lines of the grid and of the axis.
const GRID: &str = "g";
const AXIS: &str = "x";

/// Classes of the style sheet in which a run is drawn.
pub(super) struct RunColors {
    pub strong: &'static str,
    /// For areas, and for what is behind another curve of the same run.
    pub light: &'static str,
    /// Two that look the same, so that consecutive paths stay apart.
    faint: [&'static str; 2],
}

/// The colors of the run and of its baseline.
pub(super) const RUN_COLORS: [RunColors; 2] = [
    RunColors {
        strong: "a",
        light: "al",
        faint: ["a p", "a q"],
    },
    RunColors {
        strong: "b",
        light: "bl",
        faint: ["b p", "b q"],
    },
];

/// A plot under construction.
pub(super) struct Plot<'a> {
    svg: Svg,
    width: f64,
    height: f64,
    right: f64,
    x: &'a Axis,
    y: &'a Axis,
}

impl<'a> Plot<'a> {
    /// `size` includes the labels; `right` pixels of it are right of the plot area. `label` says in words what the plot
    /// shows.
    pub fn new(size: (u32, u32), right: f64, label: &str, (x, y): (&'a Axis, &'a Axis)) -> Self {
        Self {
            svg: Svg::new(size, label),
            width: f64::from(size.0) - LEFT - right,
            height: f64::from(size.1) - TOP - BOTTOM,
            right,
            x,
            y,
        }
    }

    /// Draws both axes, and a grid line at every tick of the vertical one.
    pub fn axes(&mut self) {
        for (at, label) in self.y.labels() {
            self.grid_line(at);
            self.left_label(at, &label);
        }
        self.x_axis();
    }

    /// Draws the horizontal axis.
    pub fn x_axis(&mut self) {
        self.line([(0.0, 0.0), (1.0, 0.0)], AXIS);
        for (at, label) in self.x.labels() {
            let (x, y) = self.pixel((at, 0.0));
            // The last label must not be cut off.
            let anchor = if at > 0.96 && self.right < 16.0 {
                Anchor::End
            } else {
                Anchor::Middle
            };
            self.svg.line([(x, y), (x, y + 3.0)], AXIS);
            self.svg.text((x, y + 15.0), anchor, &label);
        }
    }

    pub fn left_label(&mut self, at: f64, label: &str) {
        let (x, y) = self.pixel((0.0, at));
        self.svg
            .text((x - LABEL_GAP, y + HALF_DIGIT), Anchor::End, label);
    }

    pub fn right_label(&mut self, at: f64, label: &str) {
        let (x, y) = self.pixel((1.0, at));
        self.svg
            .text((x + LABEL_GAP, y + HALF_DIGIT), Anchor::Start, label);
    }

    pub fn grid_line(&mut self, at: f64) {
        self.line([(0.0, at), (1.0, at)], GRID);
    }

    /// Returns the width of the plot area in pixels.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// Returns the position of two values.
    pub fn position(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x.position(x), self.y.position(y))
    }

    fn pixel(&self, (x, y): (f64, f64)) -> Point {
        (LEFT + x * self.width, TOP + (1.0 - y) * self.height)
    }

    /// Draws a line through positions.
    pub fn line(&mut self, positions: impl AsRef<[(f64, f64)]>, class: &str) {
        let positions = positions.as_ref();
        if !positions.is_empty() {
            let points: Vec<Point> = positions.iter().map(|at| self.pixel(*at)).collect();
            self.svg.line(points, class);
        }
    }

    /// Fills the area between a line through positions and the horizontal axis.
    pub fn area(&mut self, positions: &[(f64, f64)], class: &str) {
        let ([first, ..], [.., last]) = (positions, positions) else {
            return;
        };
        let down = [(last.0, 0.0), (first.0, 0.0)];
        let corners: Vec<Point> = positions
            .iter()
            .chain(&down)
            .map(|at| self.pixel(*at))
            .collect();
        self.svg.area(corners, class);
    }

    /// Draws a dot at each position.
    pub fn dots(&mut self, positions: impl IntoIterator<Item = (f64, f64)>, class: &str) {
        for at in positions {
            self.svg.dot(self.pixel(at), class);
        }
    }

    /// Draws a run's dots: if there are many, faint ones that add up to a darker color where they overlap.
    pub fn cloud(&mut self, positions: &[(f64, f64)], colors: &RunColors) {
        if positions.len() <= MAX_STRONG_DOTS {
            return self.dots(positions.iter().copied(), colors.strong);
        }
        // Overlapping dots of one path do not add up, so neighbors are in different paths.
        for path in 0..CLOUD_PATHS {
            let dots = positions.iter().copied().skip(path).step_by(CLOUD_PATHS);
            self.dots(dots, colors.faint[path % 2]);
        }
    }

    pub fn finish(self) -> String {
        self.svg.finish()
    }
}
