//! A histogram with its cumulative curve, of one run or of two.

use super::canvas::Ink;
use super::frame::{Drawing, Frame};
use crate::html::figures::{Figures, Metric};
use crate::html::number::{Unit, count, short};
use crate::html::stats::Spread;
use crate::stats::Bucket;

use super::axis::Axis;

/// Bins of a histogram.
const MIN_BINS: usize = 10;
const MAX_BINS: usize = 50;
/// Percentiles that have a dot on the curve.
const DOTS: [&str; 3] = ["50.0", "90.0", "99.0"];
/// Steps of a curve that are narrower than this, in pixels, are drawn as one.
const MIN_STEP: f64 = 0.7;
const RIGHT: i32 = 38;

/// What is known of how one run's values are spread: everything, or what a summary says.
#[derive(Clone, Copy)]
pub enum Shape<'a> {
    Spread(&'a Spread),
    Buckets(&'a [Bucket]),
}

/// One metric of one or two runs, ready to be drawn and listed.
pub struct Distribution<'a> {
    pub metric: Metric,
    pub unit: Unit,
    pub sides: Vec<(&'a Figures, Shape<'a>)>,
    pub x: Axis,
    /// In the metric's own unit.
    pub edges: Vec<f64>,
    /// How many values of each run are in each bin; none of a run of which only a summary is known.
    pub bins: Vec<Option<Vec<u64>>>,
}

impl<'a> Distribution<'a> {
    /// Nothing, if there are no values.
    pub fn new(metric: Metric, sides: Vec<(&'a Figures, Shape<'a>)>) -> Option<Self> {
        let unit = metric.unit(sides.iter().map(|(figures, _)| *figures));
        let ends: Vec<(f64, f64)> = sides.iter().filter_map(|(_, shape)| shape.ends()).collect();
        let low = ends.iter().map(|(low, _)| *low).reduce(f64::min)?;
        let high = ends.iter().map(|(_, high)| *high).reduce(f64::max)?;
        let medians = sides
            .iter()
            .filter_map(|(figures, _)| figures.percentile("50.0"));
        let typical = medians.fold(low, f64::max);
        let values = sides
            .iter()
            .map(|(figures, _)| figures.count)
            .max()
            .unwrap_or(0);
        let axis = Axis::of_values(low, high, typical, 5, unit);
        let at = |name| {
            sides
                .iter()
                .filter_map(move |(figures, _)| figures.percentile(name))
        };
        let body = (
            at("1.0").fold(high, f64::min),
            at("99.0").fold(low, f64::max),
        );
        let (x, edges) = axis.binned(bins_for(values), body, !metric.is_time());
        let bins = sides.iter().map(|(_, shape)| match shape {
            Shape::Spread(spread) => Some(spread.binned(&edges)),
            Shape::Buckets(_) => None,
        });
        let bins = bins.collect();
        Some(Self {
            metric,
            unit,
            sides,
            x,
            edges,
            bins,
        })
    }

    /// Where a bin is on the axis, from 0 to 1.
    fn span(&self, low: f64, high: f64) -> (f64, f64) {
        (self.x.place(low), self.x.place(high))
    }

    /// Outline of one run's histogram: places on the axis, and the share of its values per bin.
    fn outline(&self, side: usize) -> Vec<(f64, f64)> {
        let mut outline = Vec::new();
        let mut bar =
            |(from, to): (f64, f64), height: f64| outline.extend([(from, height), (to, height)]);
        match (&self.bins[side], self.sides[side].1) {
            (Some(counts), _) => {
                let total = counts.iter().sum::<u64>().max(1) as f64;
                for (pair, count) in self.edges.windows(2).zip(counts) {
                    bar(self.span(pair[0], pair[1]), *count as f64 / total);
                }
            }
            // Its bins have another width: the height is that of one as wide as ours.
            (None, Shape::Buckets(buckets)) => {
                let total = total(buckets).max(1) as f64;
                let ours = 1.0 / (self.edges.len() - 1) as f64;
                for bucket in buckets {
                    let (from, to) = self.span(bucket.low, bucket.high);
                    if to > from {
                        bar((from, to), bucket.count as f64 / total * ours / (to - from));
                    }
                }
            }
            (None, Shape::Spread(_)) => {}
        }
        outline
    }

    /// The cumulative curve of one run: places on the axis, and the share of values up to there.
    fn curve(&self, side: usize, width: f64) -> Vec<(f64, f64)> {
        let shape = self.sides[side].1;
        let mut curve: Vec<(f64, f64)> = Vec::new();
        match shape {
            Shape::Spread(spread) => {
                let total = spread.count().max(1) as f64;
                let (mut below, mut share) = (0, 0.0);
                for (low, _, count) in spread.cells() {
                    let at = self.x.place(low);
                    match curve.last_mut() {
                        Some((last, height)) if (at - *last) * width < MIN_STEP => {
                            below += count;
                            share = below as f64 / total;
                            *height = share;
                            continue;
                        }
                        _ => curve.push((at, share)),
                    }
                    below += count;
                    share = below as f64 / total;
                    curve.push((at, share));
                }
            }
            Shape::Buckets(buckets) => {
                let total = total(buckets).max(1) as f64;
                let mut below = 0;
                curve.extend(
                    buckets
                        .first()
                        .map(|bucket| (self.x.place(bucket.low), 0.0)),
                );
                for bucket in buckets {
                    below += bucket.count;
                    curve.push((self.x.place(bucket.high), below as f64 / total));
                }
            }
        }
        curve.extend(curve.last().map(|(_, share)| (1.0, *share)));
        curve
    }

    /// What the plot shows, in words.
    fn says(&self) -> String {
        let figures = self.sides[0].0;
        let value = |name| match figures.percentile(name) {
            Some(value) => short(self.unit.scale(value)),
            None => "unknown".to_owned(),
        };
        format!(
            "Histogram and cumulative curve of {}: {} values, median {}, 99th percentile {} {}",
            self.metric.name(),
            count(figures.count),
            value("50.0"),
            value("99.0"),
            self.unit.name
        )
    }
}

impl Shape<'_> {
    /// The least and the greatest value, if there is any.
    fn ends(&self) -> Option<(f64, f64)> {
        match self {
            Self::Spread(spread) => {
                let mut cells = spread.cells();
                let (low, only_high, _) = cells.next()?;
                let high = cells.last().map_or(only_high, |(_, high, _)| high);
                Some((low, high - 1.0))
            }
            Self::Buckets(buckets) => {
                let mut there = buckets.iter().filter(|bucket| bucket.count > 0);
                let first = there.next()?;
                Some((first.low, there.next_back().unwrap_or(first).high))
            }
        }
    }
}

fn total(buckets: &[Bucket]) -> u64 {
    buckets
        .iter()
        .fold(0, |sum, bucket| sum.saturating_add(bucket.count))
}

/// More values bear finer bins.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a few dozen"
)]
fn bins_for(values: u64) -> usize {
    let rice = 2.0 * (values as f64).cbrt();
    rice.clamp(MIN_BINS as f64, MAX_BINS as f64) as usize
}

/// The plot.
pub fn distribution(of: &Distribution, size: (u32, u32)) -> Drawing<String> {
    let two = of.sides.len() > 1;
    let outlines: Vec<_> = (0..of.sides.len()).map(|side| of.outline(side)).collect();
    let highest = outlines
        .iter()
        .flatten()
        .map(|(_, height)| *height)
        .fold(0.0, f64::max);
    // One run's bars are counts, two are compared by their shares.
    let values = of.sides[0].0.count.max(1) as f64;
    let (scale, unit) = if two {
        (1.0, Unit::PERCENT)
    } else {
        (values, Unit::TOKENS)
    };
    let y = Axis::from_zero(highest * scale, 3, unit);
    let mut svg = String::new();
    let frame = Frame::new(&mut svg, size, RIGHT, &of.says(), (&of.x, &y));
    frame.axes()?;
    let inks = [(Ink::RunLight, Ink::Run), (Ink::OtherLight, Ink::Other)];
    for (side, (outline, (light, _))) in outlines.into_iter().zip(inks).enumerate() {
        let places: Vec<_> = outline
            .into_iter()
            .map(|(at, height)| (at, y.place(height * scale)))
            .collect();
        if side == 0 {
            frame.area(places, light)?;
        } else {
            frame.line(places, light)?;
        }
    }
    for (side, (_, ink)) in (0..of.sides.len()).zip(inks).rev() {
        frame.line(of.curve(side, frame.width()), ink)?;
        let figures = of.sides[side].0;
        let dot = |name: &&str| {
            let share: f64 = name.parse().ok()?;
            Some((of.x.place(figures.percentile(name)?), share / 100.0))
        };
        frame.dots(DOTS.iter().filter_map(dot), ink)?;
    }
    let shares = [0.5, 1.0].map(|share| (share, format!("{}%", share * 100.0)));
    frame.right_labels(&shares)?;
    frame.finish()?;
    Ok(svg)
}
