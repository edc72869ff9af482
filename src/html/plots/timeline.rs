//! One quantity over the run's time, of one run or of two.

use super::axis::Axis;
use super::canvas::Ink;
use super::frame::{Drawing, Frame};

/// A quantity of one run over its time.
pub struct Curve {
    /// Middle of each bin in ns from the run's start, and what it came to: nothing where nothing happened.
    pub points: Vec<(f64, Option<f64>)>,
    /// Whether it is what the run is compared with.
    pub other: bool,
    /// Whether it is behind another of the same run.
    pub light: bool,
    /// Whether the area below it is filled.
    pub filled: bool,
}

/// The plot. What comes first is in front.
pub fn timeline(
    curves: &[Curve],
    (x, y): (&Axis, &Axis),
    size: (u32, u32),
    says: &str,
) -> Drawing<String> {
    let mut svg = String::new();
    let frame = Frame::new(&mut svg, size, 8, says, (x, y));
    frame.axes()?;
    for curve in curves.iter().rev() {
        let (line, area) = match (curve.other, curve.light) {
            (false, false) => (Ink::Run, Ink::RunLight),
            (false, true) => (Ink::RunLight, Ink::RunLight),
            (true, false) => (Ink::Other, Ink::OtherLight),
            (true, true) => (Ink::OtherLight, Ink::OtherLight),
        };
        for piece in pieces(&curve.points) {
            let places: Vec<_> = piece
                .into_iter()
                .map(|(at, value)| frame.place(at, value))
                .collect();
            if curve.filled {
                frame.area(places.clone(), area)?;
            }
            if places.len() == 1 {
                frame.dots(places, line)?;
            } else {
                frame.line(places, line)?;
            }
        }
    }
    frame.finish()?;
    Ok(svg)
}

/// The runs of points that have a value.
fn pieces(points: &[(f64, Option<f64>)]) -> Vec<Vec<(f64, f64)>> {
    let split = points.split(|(_, value)| value.is_none());
    let piece = |piece: &[(f64, Option<f64>)]| {
        piece
            .iter()
            .filter_map(|(at, value)| Some((*at, (*value)?)))
            .collect()
    };
    split
        .filter(|points| !points.is_empty())
        .map(piece)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::number::Unit;

    #[test]
    fn a_gap_parts_a_line() {
        let points = [
            (0.0, None),
            (1.0, Some(1.0)),
            (2.0, Some(2.0)),
            (3.0, None),
            (4.0, None),
            (5.0, Some(3.0)),
        ];
        assert_eq!(
            pieces(&points),
            [vec![(1.0, 1.0), (2.0, 2.0)], vec![(5.0, 3.0)]]
        );
        assert!(pieces(&[]).is_empty());
        assert!(pieces(&[(1.0, None)]).is_empty());
    }

    #[test]
    fn no_point_makes_an_empty_plot() {
        let axis = Axis::from_zero(1.0, 3, Unit::TOKENS);
        for points in [
            vec![],
            vec![(0.0, Some(f64::NAN))],
            vec![(f64::INFINITY, Some(1.0))],
        ] {
            let curve = Curve {
                points,
                other: false,
                light: false,
                filled: true,
            };
            let svg = timeline(&[curve], (&axis, &axis), (100, 50), "nothing").unwrap();
            assert!(
                svg.ends_with("</svg>") && !svg.contains("NaN") && !svg.contains("inf"),
                "{svg}"
            );
        }
    }
}
