//! Where plots are drawn: a backend that writes SVG for a page, whose style sheet knows what ink is in light, in dark
//! and on paper. The crate's own SVG backend writes colours and fonts instead.

use std::convert::Infallible;
use std::fmt::Write as _;

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
};

use super::super::escape::Text;

/// Plots are drawn on a grid so much finer than a page's pixels.
pub(super) const FINE: i32 = 10;

/// What something is drawn with: a class of the style sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Labels of axes.
    Label,
    Grid,
    Axis,
    /// The run: lines and areas.
    Run,
    /// The same run, where something else of it is in front.
    RunLight,
    /// What it is compared with.
    Other,
    OtherLight,
    /// Faint dots. Two inks that look the same, so that one path after the other is drawn.
    RunDot,
    RunDotToo,
    OtherDot,
    OtherDotToo,
}

const INKS: [(Ink, &str); 11] = [
    (Ink::Label, "k"),
    (Ink::Grid, "g"),
    (Ink::Axis, "x"),
    (Ink::Run, "a"),
    (Ink::RunLight, "al"),
    (Ink::Other, "b"),
    (Ink::OtherLight, "bl"),
    (Ink::RunDot, "a p"),
    (Ink::RunDotToo, "a q"),
    (Ink::OtherDot, "b p"),
    (Ink::OtherDotToo, "b q"),
];

impl Ink {
    /// The colour by which the backend knows it again.
    pub fn color(self) -> RGBColor {
        RGBColor(0, 0, self as u8)
    }

    fn class(color: BackendColor) -> &'static str {
        INKS.get(usize::from(color.rgb.2))
            .map_or("k", |(_, class)| class)
    }
}

/// An SVG that grows.
pub(super) struct Canvas<'a> {
    svg: &'a mut String,
    size: (u32, u32),
    /// A path that may go on, and its class.
    open: Option<String>,
    done: bool,
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl<'a> Canvas<'a> {
    /// `size`: in pixels of the page. `says`: what the plot shows, for those who do not see it.
    pub fn new(svg: &'a mut String, (width, height): (u32, u32), says: &str) -> Self {
        _ = write!(
            svg,
            "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">",
            Text(says)
        );
        Self {
            svg,
            size: (width * FINE.unsigned_abs(), height * FINE.unsigned_abs()),
            open: None,
            done: false,
        }
    }

    /// Goes on with the path of that class, or begins one.
    fn path(&mut self, class: String, d: impl FnOnce(&mut String)) {
        if self.open.as_ref() != Some(&class) {
            self.close_path();
            _ = write!(self.svg, "<path class=\"{class}\" d=\"");
            self.open = Some(class);
        }
        d(self.svg);
    }

    fn close_path(&mut self) {
        if self.open.take().is_some() {
            self.svg.push_str("\"/>");
        }
    }

    fn polyline(
        &mut self,
        class: String,
        points: impl IntoIterator<Item = BackendCoord>,
        end: &str,
    ) {
        self.path(class, |d| {
            let mut last = None;
            for (x, y) in points {
                match last {
                    None => d.push_str(&format!("M{} {}", Fine(x), Fine(y))),
                    Some(last) if last == (x, y) => {}
                    Some((_, last_y)) if last_y == y => d.push_str(&format!("H{}", Fine(x))),
                    Some((last_x, _)) if last_x == x => d.push_str(&format!("V{}", Fine(y))),
                    Some(_) => d.push_str(&format!("L{} {}", Fine(x), Fine(y))),
                }
                last = Some((x, y));
            }
            d.push_str(end);
        });
    }
}

/// A coordinate in pixels of the page.
struct Fine(i32);

impl std::fmt::Display for Fine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", f64::from(self.0) / f64::from(FINE))
    }
}

impl DrawingBackend for Canvas<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        if !self.done {
            self.close_path();
            self.svg.push_str("</svg>");
            self.done = true;
        }
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        // A round cap makes a dot of nothing.
        self.path(format!("l {} d", Ink::class(color)), |d| {
            d.push_str(&format!("M{} {}h0", Fine(x), Fine(y)));
        });
        Ok(())
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        self.polyline(format!("l {}", Ink::class(style.color())), path, "");
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        self.polyline(format!("f {}", Ink::class(style.color())), path, "Z");
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        (left, top): BackendCoord,
        (right, bottom): BackendCoord,
        style: &S,
        _fill: bool,
    ) -> Drawn {
        let corners = [(left, bottom), (left, top), (right, top), (right, bottom)];
        self.fill_polygon(corners, style)
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        _radius: u32,
        style: &S,
        _fill: bool,
    ) -> Drawn {
        self.draw_pixel(center, style.color())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Drawn {
        self.close_path();
        let anchor = match style.anchor().h_pos {
            HPos::Left => "",
            HPos::Center => " text-anchor=\"middle\"",
            HPos::Right => " text-anchor=\"end\"",
        };
        let down = match style.anchor().v_pos {
            VPos::Top => 80,
            VPos::Center => 40,
            VPos::Bottom => 0,
        };
        _ = write!(
            self.svg,
            "<text x=\"{}\" y=\"{}\" class=\"{}\"{anchor}>{}</text>",
            Fine(x),
            Fine(y + down),
            Ink::class(style.color()),
            Text(text)
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use plotters::prelude::*;

    use super::{Canvas, INKS, Ink};

    fn draw(what: impl FnOnce(&DrawingArea<Canvas, plotters::coord::Shift>)) -> String {
        let mut svg = String::new();
        let area = Canvas::new(&mut svg, (30, 20), "a \"plot\"").into_drawing_area();
        what(&area);
        area.present().unwrap();
        drop(area);
        svg
    }

    #[test]
    fn inks_are_in_the_order_of_their_classes() {
        for (i, (ink, _)) in INKS.iter().enumerate() {
            assert_eq!(*ink as usize, i);
        }
    }

    #[test]
    fn an_empty_plot_is_whole() {
        let expected = "<svg viewBox=\"0 0 30 20\" width=\"30\" height=\"20\" role=\"img\" aria-label=\"a &quot;plot&quot;\"></svg>";
        assert_eq!(draw(|_| {}), expected);
    }

    #[test]
    fn shapes_of_one_ink_are_one_path() {
        let svg = draw(|area| {
            area.draw(&PathElement::new(
                vec![(0, 0), (15, 0), (15, 20), (30, 41)],
                Ink::Run.color(),
            ))
            .unwrap();
            area.draw(&PathElement::new(
                vec![(1, 1), (1, 1), (2, 1)],
                Ink::Run.color(),
            ))
            .unwrap();
            area.draw(&Circle::new((5, 5), 3, Ink::Other.color()))
                .unwrap();
            area.draw(&Rectangle::new(
                [(0, 0), (10, 10)],
                Ink::RunLight.color().filled(),
            ))
            .unwrap();
            area.draw(&Text::new(
                "<p99>",
                (10, 10),
                ("", 10).into_text_style(area).color(&Ink::Label.color()),
            ))
            .unwrap();
        });
        let (_, body) = svg.split_once('>').unwrap();
        let expected = "<path class=\"l a\" d=\"M0 0H1.5V2L3 4.1M0.1 0.1H0.2\"/><path class=\"l b d\" d=\"M0.5 0.5h0\"/>\
            <path class=\"f al\" d=\"M0 1V0H1V1Z\"/><text x=\"1\" y=\"9\" class=\"k\">&lt;p99&gt;</text></svg>";
        assert_eq!(body, expected);
    }
}
