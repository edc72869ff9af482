//! What all plots have: a field between two axes, and ways to draw into it by values.

use std::convert::Infallible;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::canvas::{Canvas, FINE, Ink};

/// What comes of drawing.
pub type Drawing<T> = Result<T, DrawingAreaErrorKind<Infallible>>;

/// Room for labels around the field, in pixels.
const TOP: i32 = 8;
const BOTTOM: i32 = 20;
const LEFT: i32 = 38;
/// So few dots need not be faint.
const FEW: usize = 200;
/// Paths that a cloud of dots consists of.
const LAYERS: usize = 6;

type Field<'a> = DrawingArea<Canvas<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// A plot in the making.
pub(super) struct Frame<'a> {
    root: DrawingArea<Canvas<'a>, Shift>,
    field: Field<'a>,
    size: (u32, u32),
    right: i32,
    x: &'a Axis,
    y: &'a Axis,
}

impl<'a> Frame<'a> {
    /// `right`: room for labels to the right.
    pub fn new(
        svg: &'a mut String,
        size: (u32, u32),
        right: i32,
        says: &str,
        (x, y): (&'a Axis, &'a Axis),
    ) -> Self {
        let root = Canvas::new(svg, size, says).into_drawing_area();
        let field = root.margin(TOP * FINE, BOTTOM * FINE, LEFT * FINE, right * FINE);
        // Pixels count from the top, values from the bottom.
        let (across, down) = field.get_pixel_range();
        let field = field.apply_coord_spec(Cartesian2d::new(
            0.0..1.0,
            0.0..1.0,
            (across, down.end..down.start),
        ));
        Self {
            root,
            field,
            size,
            right,
            x,
            y,
        }
    }

    /// Both axes with their labels, and a line across at every mark of the vertical one.
    pub fn axes(&self) -> Drawing<()> {
        for (at, label) in self.y.labels() {
            self.across(at, Ink::Grid)?;
            self.left_label(at, &label)?;
        }
        self.x_axis()
    }

    /// The horizontal axis with its labels.
    pub fn x_axis(&self) -> Drawing<()> {
        self.across(0.0, Ink::Axis)?;
        for (at, label) in self.x.labels() {
            let position = self.pixel(at, 0.0);
            // Labels near the ends stay within the picture.
            let anchor = match at {
                at if at > 0.96 && self.right < 16 => HPos::Right,
                _ => HPos::Center,
            };
            self.root.draw(&PathElement::new(
                vec![position, (position.0, position.1 + 3 * FINE)],
                Ink::Axis.color(),
            ))?;
            self.text(
                &label,
                (position.0, position.1 + 7 * FINE),
                anchor,
                VPos::Top,
            )?;
        }
        Ok(())
    }

    /// A label to the left of the field, at so much of its height.
    pub fn left_label(&self, at: f64, label: &str) -> Drawing<()> {
        self.beside(at, label, HPos::Right)
    }

    /// Labels to the right of the field, at so much of its height.
    pub fn right_labels(&self, labels: &[(f64, String)]) -> Drawing<()> {
        labels
            .iter()
            .try_for_each(|(at, label)| self.beside(*at, label, HPos::Left))
    }

    fn beside(&self, at: f64, label: &str, anchor: HPos) -> Drawing<()> {
        let gap = 5 * FINE;
        let (x, y) = if let HPos::Right = anchor {
            let (x, y) = self.pixel(0.0, at);
            (x - gap, y)
        } else {
            let (x, y) = self.pixel(1.0, at);
            (x + gap, y)
        };
        self.text(label, (x, y), anchor, VPos::Center)
    }

    fn text(&self, text: &str, at: (i32, i32), h: HPos, v: VPos) -> Drawing<()> {
        let ink = Ink::Label.color();
        let style = TextStyle::from(("sans-serif", 11 * FINE))
            .color(&ink)
            .pos(Pos::new(h, v));
        self.root.draw(&Text::new(text.to_owned(), at, style))
    }

    /// A pixel by shares of the field's width and height, from below.
    fn pixel(&self, x: f64, y: f64) -> (i32, i32) {
        self.field.map_coordinate(&(x, y))
    }

    /// A line across the field, at so much of its height.
    pub fn across(&self, at: f64, ink: Ink) -> Drawing<()> {
        self.field
            .draw(&PathElement::new(vec![(0.0, at), (1.0, at)], ink.color()))
    }

    /// How many pixels wide the field is.
    pub fn width(&self) -> f64 {
        f64::from(self.size.0) - f64::from(LEFT + self.right)
    }

    /// A line through places, each a share of the field's width and height.
    pub fn line(&self, places: Vec<(f64, f64)>, ink: Ink) -> Drawing<()> {
        if places.is_empty() {
            return Ok(());
        }
        self.field.draw(&PathElement::new(places, ink.color()))
    }

    /// The area between a line through places and the horizontal axis.
    pub fn area(&self, mut places: Vec<(f64, f64)>, ink: Ink) -> Drawing<()> {
        let (Some(first), Some(last)) = (places.first().copied(), places.last().copied()) else {
            return Ok(());
        };
        places.extend([(last.0, 0.0), (first.0, 0.0)]);
        self.field.draw(&Polygon::new(places, ink.color()))
    }

    /// A dot at each of the places.
    pub fn dots(&self, places: impl IntoIterator<Item = (f64, f64)>, ink: Ink) -> Drawing<()> {
        places
            .into_iter()
            .try_for_each(|place| self.field.draw(&Circle::new(place, 1, ink.color())))
    }

    /// The place of two values.
    pub fn place(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x.place(x), self.y.place(y))
    }

    /// Faint dots that are darker where there are many.
    pub fn cloud(&self, places: &[(f64, f64)], few: Ink, inks: [Ink; 2]) -> Drawing<()> {
        if places.len() <= FEW {
            return self.dots(places.iter().copied(), few);
        }
        // What one path paints it paints once, so neighbours belong to different paths.
        for layer in 0..LAYERS {
            self.dots(
                places.iter().copied().skip(layer).step_by(LAYERS),
                inks[layer % 2],
            )?;
        }
        Ok(())
    }

    pub fn finish(self) -> Drawing<()> {
        self.root.present()
    }
}
