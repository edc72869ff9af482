//! A quantity over the time of one run or two.

use super::axis::Axis;
use super::plot::{Plot, RUN_COLORS};

/// A quantity over the time of a run.
pub(crate) struct Curve {
    /// The middle of each bin in ns from the run's start, and the value, if the bin has one.
    pub points: Vec<(f64, Option<f64>)>,
    /// 0 for the run, 1 for its baseline.
    pub run: usize,
    /// Draws it lighter, behind another curve of the same run.
    pub light: bool,
    /// Fills the area below it.
    pub filled: bool,
}

/// A part of the run that is marked behind the curves.
pub(crate) struct Band {
    /// From the run's start.
    pub start_ns: f64,
    pub end_ns: f64,
    /// The class in the style sheet.
    pub class: &'static str,
    pub name: &'static str,
}

/// Draws curves, the first in front, and bands behind them.
pub(crate) fn timeline(
    (curves, bands): (&[Curve], &[Band]),
    axes: (&Axis, &Axis),
    size: (u32, u32),
    label: &str,
) -> String {
    let mut plot = Plot::new(size, 8.0, label, axes);
    for band in bands {
        let at = |ns| (axes.0.position(ns), 1.0);
        plot.area(&[at(band.start_ns), at(band.end_ns)], band.class);
    }
    plot.axes();
    for curve in curves.iter().rev() {
        let colors = &RUN_COLORS[curve.run];
        let color = if curve.light {
            colors.light
        } else {
            colors.strong
        };
        for segment in segments(&curve.points) {
            let positions = segment
                .into_iter()
                .map(|(at, value)| plot.position(at, value));
            let positions: Vec<_> = positions.collect();
            if curve.filled {
                plot.area(&positions, colors.light);
            }
            if positions.len() == 1 {
                plot.dots(positions, color);
            } else {
                plot.line(positions, color);
            }
        }
    }
    plot.finish()
}

/// Splits points where a value is missing.
fn segments(points: &[(f64, Option<f64>)]) -> Vec<Vec<(f64, f64)>> {
    points
        .split(|(_, value)| value.is_none())
        .filter(|points| !points.is_empty())
        .map(|points| {
            points
                .iter()
                .filter_map(|(at, value)| Some((*at, (*value)?)))
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::DisplayUnit;

    #[test]
    fn a_gap_splits_a_line() {
        let points = [
            (0.0, None),
            (1.0, Some(1.0)),
            (2.0, Some(2.0)),
            (3.0, None),
            (4.0, None),
            (5.0, Some(3.0)),
        ];
        assert_eq!(
            segments(&points),
            [vec![(1.0, 1.0), (2.0, 2.0)], vec![(5.0, 3.0)]]
        );
        assert!(segments(&[]).is_empty());
        assert!(segments(&[(1.0, None)]).is_empty());
    }

    #[test]
    fn a_plot_may_lack_points() {
        let axis = Axis::from_zero(1.0, 3, DisplayUnit::TOKENS);
        for points in [
            vec![],
            vec![(0.0, Some(f64::NAN))],
            vec![(f64::INFINITY, Some(1.0))],
        ] {
            let curve = Curve {
                points,
                run: 0,
                light: false,
                filled: true,
            };
            let svg = timeline((&[curve], &[]), (&axis, &axis), (100, 50), "nothing");
            assert!(
                svg.ends_with("</svg>") && !svg.contains("NaN") && !svg.contains("inf"),
                "{svg}"
            );
        }
    }
}
