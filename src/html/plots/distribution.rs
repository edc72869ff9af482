//! A histogram with its cumulative curve, of one run or of two.

use super::axis::Axis;
use super::plot::{Plot, RUN_COLORS};
use crate::html::DIGITS;
use crate::html::metric_summary::{MetricSummary, display_unit};
use crate::html::stats::Histogram;
use crate::metric::Metric;
use crate::number::{DisplayUnit, count, digits};

/// Limits of the number of bins in the range of most values.
const MIN_BINS: f64 = 10.0;
const MAX_BINS: f64 = 50.0;
/// Percentiles that have a dot on the curve.
const DOTS: [&str; 3] = ["50.0", "90.0", "99.0"];
/// Steps of a curve that are narrower than this, in pixels, are merged.
const MIN_STEP: f64 = 0.7;
/// Pixels to the right of the plot area, for the cumulative axis.
const RIGHT: f64 = 38.0;

/// One run's values of a metric.
pub(crate) struct RunValues<'a> {
    pub summary: MetricSummary,
    /// The values of every sample, if the log was read; otherwise the summary's buckets are drawn.
    pub samples: Option<&'a Histogram>,
}

/// One metric of one run or two, ready to be drawn and listed.
pub(crate) struct Distribution<'a> {
    pub metric: Metric,
    pub unit: DisplayUnit,
    pub runs: Vec<RunValues<'a>>,
    x: Axis,
    /// The edges of the bins, in the metric's own unit.
    pub edges: Vec<f64>,
    /// The count of each bin, for each run whose samples are known.
    pub bins: Vec<Option<Vec<u64>>>,
}

impl<'a> Distribution<'a> {
    /// Returns `None` if there are no values.
    pub fn new(metric: Metric, runs: Vec<RunValues<'a>>) -> Option<Self> {
        let unit = display_unit(metric, runs.iter().map(|run| &run.summary));
        let ranges = || runs.iter().filter_map(RunValues::range);
        let low = ranges().map(|(low, _)| low).reduce(f64::min)?;
        let high = ranges().map(|(_, high)| high).reduce(f64::max)?;
        let percentiles = |name| {
            runs.iter()
                .filter_map(move |run| run.summary.percentile(name))
        };
        let typical = percentiles("50.0").fold(low, f64::max);
        let body = (
            percentiles("1.0").fold(high, f64::min),
            percentiles("99.0").fold(low, f64::max),
        );
        let counts = runs.iter().map(|run| run.summary.count);
        let (x, edges) = Axis::of_values(low, high, typical, 5, unit).binned(
            bins_for(counts.max().unwrap_or(0)),
            body,
            !metric.is_time(),
        );
        let bins = runs.iter().map(|run| Some(run.samples?.binned(&edges)));
        Some(Self {
            metric,
            unit,
            bins: bins.collect(),
            runs,
            x,
            edges,
        })
    }

    /// Draws the histogram and the curve of each run.
    pub fn svg(&self, size: (u32, u32)) -> String {
        let outlines: Vec<_> = (0..self.runs.len()).map(|run| self.outline(run)).collect();
        let heights = outlines.iter().flatten().map(|(_, height)| *height);
        let highest = heights.fold(0.0, f64::max);
        // The bars of one run are counts; two runs are compared by their shares.
        let (scale, unit) = match self.runs.as_slice() {
            [run] => (run.summary.count.max(1) as f64, DisplayUnit::TOKENS),
            _ => (1.0, DisplayUnit::PERCENT),
        };
        let y = Axis::from_zero(highest * scale, 3, unit);
        let mut plot = Plot::new(size, RIGHT, &self.label(), (&self.x, &y));
        plot.axes();
        for (run, outline) in outlines.into_iter().enumerate() {
            let positions = outline
                .into_iter()
                .map(|(at, height)| (at, y.position(height * scale)));
            let positions: Vec<_> = positions.collect();
            if run == 0 {
                plot.area(&positions, RUN_COLORS[run].light);
            } else {
                plot.line(positions, RUN_COLORS[run].light);
            }
        }
        for (run, colors) in self.runs.iter().zip(&RUN_COLORS).rev() {
            plot.line(self.curve(run, plot.width()), colors.strong);
            let dot = |name: &&str| {
                let share: f64 = name.parse().ok()?;
                let value = run.summary.percentile(name)?;
                Some((self.x.position(value), share / 100.0))
            };
            plot.dots(DOTS.iter().filter_map(dot), colors.strong);
        }
        plot.right_label(0.5, "50%");
        plot.right_label(1.0, "100%");
        plot.finish()
    }

    /// Returns the outline of one run's histogram: positions on the axis and shares of the values.
    fn outline(&self, run: usize) -> Vec<(f64, f64)> {
        let RunValues { summary, .. } = &self.runs[run];
        let bars: Vec<(f64, f64, f64)> = if let Some(counts) = &self.bins[run] {
            let total = counts.iter().sum::<u64>().max(1) as f64;
            let bar = |(edges, count): (&[f64], &u64)| {
                let (from, to) = (self.x.position(edges[0]), self.x.position(edges[1]));
                (from, to, *count as f64 / total)
            };
            self.edges.windows(2).zip(counts).map(bar).collect()
        } else {
            let total = summary.count.max(1) as f64;
            let bin_width = 1.0 / (self.edges.len() - 1) as f64;
            let buckets = summary.buckets.iter().map(|bucket| {
                let (from, to) = (self.x.position(bucket.low), self.x.position(bucket.high));
                // As high as if the bucket had the width of a bin.
                let height = bucket.count as f64 / total * bin_width / (to - from);
                (from, to, height)
            });
            buckets.filter(|(from, to, _)| to > from).collect()
        };
        bars.into_iter()
            .flat_map(|(from, to, height)| [(from, height), (to, height)])
            .collect()
    }

    /// Returns the cumulative curve of one run: positions on the axis and shares of the values up to them.
    fn curve(&self, run: &RunValues, width: f64) -> Vec<(f64, f64)> {
        let mut curve: Vec<(f64, f64)> = Vec::new();
        let (mut below, mut share) = (0_u64, 0.0);
        if let Some(samples) = run.samples {
            let total = samples.count().max(1) as f64;
            for (low, _, count) in samples.cells() {
                let at = self.x.position(low);
                let last = curve.last_mut();
                let merged = last.filter(|(last, _)| (at - *last) * width < MIN_STEP);
                below += count;
                let share_before = std::mem::replace(&mut share, below as f64 / total);
                match merged {
                    Some((_, height)) => *height = share,
                    None => curve.extend([(at, share_before), (at, share)]),
                }
            }
        } else {
            let total = run.summary.count.max(1) as f64;
            let buckets = &run.summary.buckets;
            let first = buckets.first();
            curve.extend(first.map(|bucket| (self.x.position(bucket.low), 0.0)));
            for bucket in buckets {
                below = below.saturating_add(bucket.count);
                curve.push((self.x.position(bucket.high), below as f64 / total));
            }
        }
        curve.extend(curve.last().map(|(_, share)| (1.0, *share)));
        curve
    }

    /// Says in words what the plot shows.
    fn label(&self) -> String {
        let summary = &self.runs[0].summary;
        let value = |name| match summary.percentile(name) {
            Some(value) => digits(self.unit.scale(value), DIGITS),
            None => "unknown".to_owned(),
        };
        format!(
            "Histogram and cumulative curve of {}: {} values, median {}, 99th percentile {} {}",
            self.metric.label(),
            count(summary.count),
            value("50.0"),
            value("99.0"),
            self.unit.name
        )
    }
}

impl RunValues<'_> {
    /// Returns the least and the greatest value, if there is any.
    fn range(&self) -> Option<(f64, f64)> {
        if let Some(samples) = self.samples {
            return samples.range();
        }
        let buckets = &self.summary.buckets;
        let mut filled = buckets.iter().filter(|bucket| bucket.count > 0);
        let first = filled.next()?;
        Some((first.low, filled.next_back().unwrap_or(first).high))
    }
}

/// Returns the number of bins by the Rice rule: the more values, the finer the bins.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a few dozen"
)]
fn bins_for(values: u64) -> usize {
    let rice = 2.0 * (values as f64).cbrt();
    rice.clamp(MIN_BINS, MAX_BINS) as usize
}
