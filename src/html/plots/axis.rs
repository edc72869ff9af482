//! Axes: the position of a value between the ends, the ticks, and the bins of a histogram on them.

use crate::html::escape::typographic;
use crate::number::{DisplayUnit, fixed};

/// Padding beyond the ends, as a fraction of the range.
const PADDING: f64 = 0.04;
/// Bins that a small plot can tell apart.
const MAX_BINS: f64 = 120.0;
/// More ticks than any plot has: bounds the work for values that are not plausible.
const MAX_TICKS: usize = 100;

/// An axis, linear or logarithmic. Its ends and ticks are in its unit.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    unit: DisplayUnit,
    low: f64,
    high: f64,
    log: bool,
    /// The number of ticks to aim for.
    tick_count: usize,
    /// In ascending order.
    ticks: Vec<f64>,
}

impl Axis {
    /// From 0 to the first tick that is not below `high`.
    pub fn from_zero(high: f64, tick_count: usize, unit: DisplayUnit) -> Self {
        let high = if high > 0.0 && high.is_finite() {
            unit.scale(high)
        } else {
            1.0
        };
        let step = nice_step(high / tick_count as f64);
        let steps = (high / step - 1e-9).ceil().max(1.0);
        let mut axis = Self::new(0.0, step * steps, false, tick_count, unit);
        axis.ticks = multiples(step, 0.0, axis.high);
        axis
    }

    /// Exactly from `low` to `high`.
    pub fn between(low: f64, high: f64, tick_count: usize, unit: DisplayUnit) -> Self {
        Self::new(unit.scale(low), unit.scale(high), false, tick_count, unit)
    }

    /// From `low` to `high`; logarithmic if these are far apart, or if `high` is far from the `typical` value.
    pub fn of_values(
        low: f64,
        high: f64,
        typical: f64,
        tick_count: usize,
        unit: DisplayUnit,
    ) -> Self {
        let skewed = low > 0.0 && (high >= 20.0 * low || high >= 5.0 * typical);
        let log = skewed && high >= 3.0 * low;
        Self::new(unit.scale(low), unit.scale(high), log, tick_count, unit)
    }

    /// Adds padding beyond both ends, and starts at 0 if that is near.
    pub fn padded(self) -> Self {
        let Self { low, high, .. } = self;
        let (low, high) = if self.log {
            let factor = (high / low).powf(PADDING);
            (low / factor, high * factor)
        } else {
            let padding = (high - low) * PADDING;
            let is_near_zero = (0.0..0.3 * high).contains(&low);
            let low = if is_near_zero { 0.0 } else { low - padding };
            (low, high + padding)
        };
        Self::new(low, high, self.log, self.tick_count, self.unit)
    }

    fn new(low: f64, high: f64, log: bool, tick_count: usize, unit: DisplayUnit) -> Self {
        // A single value gets a range beside it.
        let high = if high > low {
            high
        } else {
            low + low.abs().max(1.0) * 1e-3
        };
        let ticks = if log {
            log_ticks(low, high, tick_count)
        } else {
            multiples(nice_step((high - low) / tick_count as f64), low, high)
        };
        Self {
            unit,
            low,
            high,
            log,
            tick_count,
            ticks,
        }
    }

    /// Returns the position of a value: 0 is the low end, 1 the high one.
    pub fn position(&self, value: f64) -> f64 {
        self.position_of(self.unit.scale(value))
    }

    fn position_of(&self, scaled: f64) -> f64 {
        let position = if self.log {
            (scaled.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (scaled - self.low) / (self.high - self.low)
        };
        if position.is_nan() {
            0.0
        } else {
            position.clamp(0.0, 1.0)
        }
    }

    /// Returns positions and labels of the ticks.
    pub fn labels(&self) -> Vec<(f64, String)> {
        let linear_decimals = self.linear_decimals();
        let sign = if self.unit == DisplayUnit::PERCENT {
            "%"
        } else {
            ""
        };
        let label = |tick: &f64| {
            let decimals = if self.log {
                min_decimals(|power| tick * power >= 0.99).unwrap_or(9)
            } else {
                linear_decimals
            };
            let label = typographic(&with_si_prefix(*tick, decimals)) + sign;
            (self.position_of(*tick), label)
        };
        self.ticks.iter().map(label).collect()
    }

    /// Returns the decimals that tell the ticks apart.
    fn linear_decimals(&self) -> usize {
        let steps = self.ticks.windows(2).map(|pair| pair[1] - pair[0]);
        let step = steps.reduce(f64::min).unwrap_or(self.high - self.low);
        min_decimals(|power| {
            let scaled = step * power;
            scaled >= 0.99 && (scaled - scaled.round()).abs() < 1e-6 * scaled
        })
        .unwrap_or(0)
    }

    /// Returns the edges of bins that hold every value between the ends, and the axis widened to them. Edges are round
    /// and in the unit of the values; those of whole numbers are whole. About `bins` bins lie within `body`, the range
    /// of most values.
    pub fn binned(self, bins: usize, body: (f64, f64), whole: bool) -> (Self, Vec<f64>) {
        let body = self.position(body.1) - self.position(body.0);
        let body = if body > 0.0 { body } else { 1.0 };
        let bins = (bins as f64 / body).min(MAX_BINS);
        let mut edges = if self.log {
            self.log_edges(bins)
        } else {
            self.linear_edges(bins, whole)
        };
        if whole {
            edges = edges.into_iter().map(f64::round).collect();
            edges.dedup();
        }
        let low = edges.first().copied().unwrap_or(self.low);
        let high = edges.last().copied().unwrap_or(self.high);
        let axis = Self::new(low, high, self.log, self.tick_count, self.unit);
        let edges = edges.into_iter().map(|edge| edge * self.unit.size);
        (axis, edges.collect())
    }

    fn linear_edges(&self, bins: f64, whole: bool) -> Vec<f64> {
        let min_step = if whole { 1.0 } else { 0.0 };
        let step = nice_step((self.high - self.low) / bins).max(min_step);
        let edges = edge_numbers(self.low / step, self.high / step);
        edges.map(|i| i * step).collect()
    }

    fn log_edges(&self, bins: f64) -> Vec<f64> {
        const PER_DECADE: [f64; 13] = [
            2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0, 100.0, 150.0, 200.0,
        ];
        let max_per_decade = bins / (self.high / self.low).log10();
        let per_decade = PER_DECADE.into_iter().rfind(|n| *n <= max_per_decade);
        let per_decade = per_decade.unwrap_or(1.0);
        let edges = edge_numbers(
            self.low.log10() * per_decade,
            self.high.log10() * per_decade,
        );
        edges.map(|i| 10_f64.powf(i / per_decade)).collect()
    }
}

/// The whole numbers from the last that is not above `low` to the first above `high`: the greatest value must be below
/// the last edge.
fn edge_numbers(low: f64, high: f64) -> impl Iterator<Item = f64> {
    whole_numbers(low.floor(), high.floor() + 1.0)
}

fn whole_numbers(first: f64, last: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(first), |i| Some(i + 1.0))
        .take_while(move |i| *i <= last)
        .take(1000)
}

/// Returns the least of 1, 2 and 5 times powers of ten that is not below `step`.
fn nice_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let leads = [1.0, 2.0, 5.0];
    let lead = leads
        .into_iter()
        .find(|lead| step / power <= lead * (1.0 + 1e-9));
    lead.unwrap_or(10.0) * power
}

fn multiples(step: f64, low: f64, high: f64) -> Vec<f64> {
    let first = (low / step - 1e-9).ceil();
    let ticks = whole_numbers(first, high / step + 1e-9).map(|i| i * step);
    ticks.take(MAX_TICKS).collect()
}

/// Returns 1, 2 and 5 times powers of ten, or sparser choices of them: the densest that has at most `max_count`.
fn log_ticks(low: f64, high: f64, max_count: usize) -> Vec<f64> {
    const CHOICES: [(&[f64], f64); 6] = [
        (&[1.0, 2.0, 5.0], 1.0),
        (&[1.0, 3.0], 1.0),
        (&[1.0], 1.0),
        (&[1.0], 2.0),
        (&[1.0], 3.0),
        (&[1.0], 6.0),
    ];
    let range = low * (1.0 - 1e-9)..=high * (1.0 + 1e-9);
    let ticks = |(leads, every): (&[f64], f64)| -> Vec<f64> {
        whole_numbers(low.log10().floor(), high.log10().ceil())
            .filter(|power| power.rem_euclid(every) < 0.5)
            .flat_map(|power| leads.iter().map(move |lead| lead * 10_f64.powf(power)))
            .filter(|tick| range.contains(tick))
            .collect()
    };
    let mut choices = CHOICES.into_iter().map(ticks);
    choices
        .find(|ticks| ticks.len() <= max_count.max(2))
        .unwrap_or_default()
}

/// Formats an axis label, which has little room: from 10,000 on with an SI prefix and the decimals that it needs,
/// below with `decimals`.
fn with_si_prefix(value: f64, decimals: usize) -> String {
    const PREFIXES: [(f64, &str); 5] =
        [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let prefix = PREFIXES
        .into_iter()
        .find(|(size, _)| value.abs() >= size.max(1e4));
    let Some((size, letter)) = prefix else {
        return fixed(value, decimals);
    };
    let scaled = value / size;
    let is_whole = |power: f64| (scaled * power - (scaled * power).round()).abs() < 1e-6;
    fixed(scaled, min_decimals(is_whole).unwrap_or(3).min(3)) + letter
}

/// Returns the least number of decimals, at most 8, whose power of ten satisfies `suffices`.
fn min_decimals(suffices: impl Fn(f64) -> bool) -> Option<usize> {
    let mut powers = std::iter::successors(Some(1.0), |power| Some(power * 10.0)).take(9);
    powers.position(suffices)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: f64 = 1e6;

    fn labels(axis: &Axis) -> String {
        let labels: Vec<String> = axis.labels().into_iter().map(|(_, label)| label).collect();
        labels.join(" ")
    }

    #[test]
    fn ticks_are_round() {
        let unit = DisplayUnit::TOKENS;
        let check = |axis: Axis, expected: &str| assert_eq!(labels(&axis), expected);
        check(Axis::from_zero(0.0, 3, unit), "0.0 0.5 1.0");
        check(Axis::from_zero(f64::NAN, 3, unit), "0.0 0.5 1.0");
        check(Axis::from_zero(7.0, 3, unit), "0 5 10");
        check(Axis::from_zero(12_345.0, 3, unit), "0 5,000 10k 15k");
        check(Axis::between(13.0, 52.0, 4, unit), "20 30 40 50");
        check(
            Axis::between(1000.0, 1000.0, 4, unit),
            "1,000.0 1,000.5 1,001.0",
        );
        check(
            Axis::of_values(
                12.0 * MS,
                78.0 * MS,
                24.0 * MS,
                5,
                DisplayUnit::of_time(24.0 * MS),
            ),
            "20 40 60",
        );
        check(
            Axis::of_values(
                12.0 * MS,
                900.0 * MS,
                24.0 * MS,
                6,
                DisplayUnit::of_time(24.0 * MS),
            ),
            "20 50 100 200 500",
        );
        check(
            Axis::of_values(1.0, 30_000.0, 24.0, 6, unit),
            "1 10 100 1,000 10k",
        );
        check(Axis::of_values(1.0, 1e18, 24.0, 4, unit), "1 1M 1T 1,000P");
        check(Axis::of_values(0.0, 1e6, 24.0, 3, unit), "0 500k 1M");
    }

    #[test]
    fn axis_labels_have_si_prefixes() {
        let check =
            |value, decimals, expected| assert_eq!(with_si_prefix(value, decimals), expected);
        check(0.0, 1, "0.0");
        check(5000.0, 0, "5,000");
        check(10_000.0, 0, "10k");
        check(12_500.0, 0, "12.5k");
        check(-1.25e6, 0, "-1.25M");
        check(1e6 / 0.7, 0, "1.429M");
        check(1e18, 0, "1,000P");
    }

    #[test]
    fn padding_is_beyond_the_ends() {
        let check = |low: f64, high: f64, expected: &str| {
            let axis = Axis::of_values(low, high, low, 5, DisplayUnit::TOKENS).padded();
            assert_eq!(format!("{:.2} {:.2}", axis.low, axis.high), expected);
        };
        check(0.0, 100.0, "0.00 104.00");
        check(30.0, 100.0, "27.20 102.80");
        check(29.0, 100.0, "0.00 102.84");
        check(1.0, 10_000.0, "0.69 14454.40");
        check(5.0, 5.0, "5.00 5.01");
    }

    #[test]
    fn positions_are_between_the_ends() {
        let unit = DisplayUnit::of_time(5.0 * MS);
        let axis = Axis::of_values(MS, 100.0 * MS, 2.0 * MS, 5, unit);
        for (value, expected) in [
            (0.0, 0.0),
            (MS, 0.0),
            (10.0 * MS, 0.5),
            (100.0 * MS, 1.0),
            (1e300, 1.0),
            (f64::NAN, 0.0),
        ] {
            assert!((axis.position(value) - expected).abs() < 1e-9, "{value}");
        }
        let flat = Axis::between(3.0, 3.0, 4, DisplayUnit::TOKENS);
        assert!(flat.position(3.0).abs() < 1e-9 && flat.position(4.0) <= 1.0);
    }

    #[test]
    fn bins_hold_everything() {
        for (low, high) in [
            (0.0, 0.0),
            (1.0, 1.0),
            (7.0, 8.0),
            (1.0, 3000.0),
            (5.0, 1e12),
            (1e9, 1.01e9),
            (0.0, 4e18),
        ] {
            for typical in [low, f64::midpoint(low, high)] {
                for whole in [false, true] {
                    for bins in [10, 60] {
                        let (axis, edges) =
                            Axis::of_values(low, high, typical, 5, DisplayUnit::TOKENS).binned(
                                bins,
                                (low, high),
                                whole,
                            );
                        let name = format!("{low} {high} {typical} {whole} {bins}: {edges:?}");
                        assert!(
                            edges.len() >= 2 && edges.len() <= bins.max(20) + 3,
                            "{name}"
                        );
                        assert!(edges[0] <= low && *edges.last().unwrap() > high, "{name}");
                        assert!(edges.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
                        assert!(axis.position(low) >= 0.0 && axis.position(high) <= 1.0);
                    }
                }
            }
        }
    }

    #[test]
    fn edges_are_round() {
        let (_, edges) = Axis::of_values(
            12.3 * MS,
            78.1 * MS,
            24.0 * MS,
            5,
            DisplayUnit::of_time(24.0 * MS),
        )
        .binned(10, (12.3 * MS, 78.1 * MS), false);
        assert_eq!(edges, [10e6, 20e6, 30e6, 40e6, 50e6, 60e6, 70e6, 80e6]);
        let (_, edges) =
            Axis::of_values(1.0, 9.0, 4.0, 5, DisplayUnit::TOKENS).binned(50, (1.0, 9.0), true);
        assert_eq!(edges, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]);
    }
}
