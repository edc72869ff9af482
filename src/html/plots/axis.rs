//! Axes: where a value stands between the ends, what is marked, which bins suit it.

use super::super::number::{Unit, fixed};

/// Room beyond the ends, as a share of what is between.
const ROOM: f64 = 0.04;

/// Bins that can be told apart in a small figure.
const MAX_BINS: f64 = 120.0;

/// An axis in a unit that people read.
#[derive(Clone, Debug)]
pub struct Axis {
    pub unit: Unit,
    low: f64,
    high: f64,
    log: bool,
    /// About how many values may be marked.
    marks: usize,
    /// Values that are marked, ascending.
    ticks: Vec<f64>,
}

impl Axis {
    /// From 0 to the first mark that is not below `high`.
    pub fn from_zero(high: f64, marks: usize, unit: Unit) -> Self {
        let high = if high > 0.0 && high.is_finite() {
            unit.scale(high)
        } else {
            1.0
        };
        let step = nice_step(high / marks as f64);
        let steps = (high / step - 1e-9).ceil().max(1.0);
        let mut axis = Self::new(0.0, step * steps, false, marks, unit);
        axis.ticks = multiples(step, 0.0, axis.high);
        axis
    }

    /// Between two values, as they are.
    pub fn between(low: f64, high: f64, marks: usize, unit: Unit) -> Self {
        Self::new(unit.scale(low), unit.scale(high), false, marks, unit)
    }

    /// For values between two: logarithmic if they are far apart, and `typical` far from the greatest.
    pub fn of_values(low: f64, high: f64, typical: f64, marks: usize, unit: Unit) -> Self {
        let skewed = low > 0.0 && (high >= 20.0 * low || high >= 5.0 * typical);
        Self::new(
            unit.scale(low),
            unit.scale(high),
            skewed && high >= 3.0 * low,
            marks,
            unit,
        )
    }

    /// With a little room beyond both ends, and from 0 if that is near.
    pub fn roomy(self) -> Self {
        let Self { low, high, .. } = self;
        let (low, high) = if self.log {
            let room = (high / low).powf(ROOM);
            (low / room, high * room)
        } else {
            let room = (high - low) * ROOM;
            let near = (0.0..0.3 * high).contains(&low);
            (if near { 0.0 } else { low - room }, high + room)
        };
        Self::new(low, high, self.log, self.marks, self.unit)
    }

    fn new(low: f64, high: f64, log: bool, marks: usize, unit: Unit) -> Self {
        // One value alone has room beside it.
        let high = if high > low {
            high
        } else {
            low + low.abs().max(1.0) * 1e-3
        };
        let ticks = if log {
            log_ticks(low, high, marks)
        } else {
            multiples(nice_step((high - low) / marks as f64), low, high)
        };
        Self {
            unit,
            low,
            high,
            log,
            marks,
            ticks,
        }
    }

    /// Where a value is, from 0 to 1 between the ends.
    pub fn place(&self, value: f64) -> f64 {
        let value = self.unit.scale(value);
        let place = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if place.is_nan() {
            0.0
        } else {
            place.clamp(0.0, 1.0)
        }
    }

    /// Places and labels of the marks; the last has the unit.
    pub fn labels(&self) -> Vec<(f64, String)> {
        let decimals = self.decimals();
        let label = |tick: &f64| {
            let decimals = if self.log {
                log_decimals(*tick)
            } else {
                decimals
            };
            let sign = if self.unit == Unit::PERCENT { "%" } else { "" };
            (
                self.place(tick * self.unit.per),
                brief(*tick, decimals) + sign,
            )
        };
        self.ticks.iter().map(label).collect()
    }

    /// Decimals that tell the marks apart.
    fn decimals(&self) -> usize {
        let step = self
            .ticks
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .fold(f64::INFINITY, f64::min);
        let step = if step.is_finite() {
            step
        } else {
            self.high - self.low
        };
        (0..9)
            .find(|decimals| {
                let scaled = step * 10_f64.powi(*decimals);
                scaled >= 0.99 && (scaled - scaled.round()).abs() < 1e-6 * scaled
            })
            .map_or(0, |decimals| usize::try_from(decimals).unwrap_or(0))
    }

    /// Bins with round edges that hold everything between the ends, and the axis widened to them. About `bins` of them
    /// are where most values are. Edges are in the values' own unit; those of whole numbers are whole.
    pub fn binned(self, bins: usize, body: (f64, f64), whole: bool) -> (Self, Vec<f64>) {
        let body = self.place(body.1) - self.place(body.0);
        let body = if body > 0.0 { body } else { 1.0 };
        let bins = (bins as f64 / body).min(MAX_BINS);
        let mut edges = if self.log {
            self.log_edges(bins)
        } else {
            self.linear_edges(bins, whole)
        };
        if whole {
            for edge in &mut edges {
                *edge = edge.round();
            }
            edges.dedup();
        }
        let ends = (
            edges.first().copied().unwrap_or(self.low),
            edges.last().copied().unwrap_or(self.high),
        );
        let scaled = edges.iter().map(|edge| edge * self.unit.per).collect();
        (
            Self::new(ends.0, ends.1, self.log, self.marks, self.unit),
            scaled,
        )
    }

    fn linear_edges(&self, bins: f64, whole: bool) -> Vec<f64> {
        let least = if whole { 1.0 } else { 0.0 };
        let step = nice_step((self.high - self.low) / bins).max(least);
        let first = (self.low / step).floor();
        // The greatest value is below the last edge.
        let last = (self.high / step).floor() + 1.0;
        steps(first, last).map(|i| i * step).collect()
    }

    fn log_edges(&self, bins: f64) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let wanted = bins / decades;
        let fine = [
            2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0, 100.0, 150.0, 200.0,
        ];
        let per_decade = fine.into_iter().rfind(|n| *n <= wanted).unwrap_or(1.0);
        let first = (self.low.log10() * per_decade).floor();
        let last = (self.high.log10() * per_decade).floor() + 1.0;
        steps(first, last)
            .map(|i| 10_f64.powf(i / per_decade))
            .collect()
    }
}

/// A mark's label, which has little room: thousands and millions by a letter.
fn brief(tick: f64, decimals: usize) -> String {
    for (power, letter) in [(15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")] {
        let scaled = tick / 10_f64.powi(power);
        if tick.abs() >= 10_f64.powi(power.max(4)) {
            let decimals = (0..3)
                .find(|d| (scaled * 10_f64.powi(*d)).fract().abs() < 1e-6)
                .unwrap_or(3);
            return fixed(scaled, usize::try_from(decimals).unwrap_or(0)) + letter;
        }
    }
    fixed(tick, decimals)
}

/// The whole numbers from `first` to `last`.
fn steps(first: f64, last: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(first), |i| Some(i + 1.0))
        .take_while(move |i| *i <= last)
        .take(1000)
}

/// 1, 2 or 5 times a power of ten: the least that is not below `step`.
fn nice_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let lead = step / power;
    let nice = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|nice| lead <= nice * (1.0 + 1e-9))
        .unwrap_or(10.0);
    nice * power
}

fn multiples(step: f64, low: f64, high: f64) -> Vec<f64> {
    let slack = step * 1e-9;
    steps((low / step - 1e-9).ceil(), f64::INFINITY)
        .map(|i| i * step)
        .take_while(|tick| *tick <= high + slack)
        .take(100)
        .collect()
}

/// 1, 2 and 5 times powers of ten, or powers alone, or every so many of them: as many as there is room for.
fn log_ticks(low: f64, high: f64, marks: usize) -> Vec<f64> {
    let (first, last) = (low.log10().floor(), high.log10().ceil());
    let within = |tick: &f64| *tick >= low * (1.0 - 1e-9) && *tick <= high * (1.0 + 1e-9);
    let ticks = |leads: &[f64], every: f64| -> Vec<f64> {
        steps(first, last)
            .filter(|power| power.rem_euclid(every) < 0.5)
            .flat_map(|power| leads.iter().map(move |lead| lead * 10_f64.powf(power)))
            .filter(within)
            .collect()
    };
    let choices = [
        (&[1.0, 2.0, 5.0][..], 1.0),
        (&[1.0, 3.0], 1.0),
        (&[1.0], 1.0),
        (&[1.0], 2.0),
        (&[1.0], 3.0),
        (&[1.0], 6.0),
    ];
    let mut all = choices
        .into_iter()
        .map(|(leads, every)| ticks(leads, every));
    all.find(|ticks| ticks.len() <= marks.max(2))
        .unwrap_or_default()
}

fn log_decimals(tick: f64) -> usize {
    (0..9)
        .find(|decimals| tick * 10_f64.powi(*decimals) >= 0.99)
        .map_or(9, |d| usize::try_from(d).unwrap_or(0))
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
    fn marks_are_round() {
        let unit = Unit::TOKENS;
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
            Axis::of_values(12.0 * MS, 78.0 * MS, 24.0 * MS, 5, Unit::of_time(24.0 * MS)),
            "20 40 60",
        );
        check(
            Axis::of_values(
                12.0 * MS,
                900.0 * MS,
                24.0 * MS,
                6,
                Unit::of_time(24.0 * MS),
            ),
            "20 50 100 200 500",
        );
        check(
            Axis::of_values(1.0, 30_000.0, 24.0, 6, unit),
            "1 10 100 1,000 10k",
        );
        check(
            Axis::of_values(1.0, 1e18, 24.0, 4, unit).clone(),
            "1 1M 1T 1,000P",
        );
        check(Axis::of_values(0.0, 1e6, 24.0, 3, unit), "0 500k 1M");
    }

    #[test]
    fn room_is_beyond_the_ends() {
        let check = |low: f64, high: f64, expected: &str| {
            let axis = Axis::of_values(low, high, low, 5, Unit::TOKENS).roomy();
            assert_eq!(format!("{:.2} {:.2}", axis.low, axis.high), expected);
        };
        check(0.0, 100.0, "0.00 104.00");
        check(30.0, 100.0, "27.20 102.80");
        check(29.0, 100.0, "0.00 102.84");
        check(1.0, 10_000.0, "0.69 14454.40");
        check(5.0, 5.0, "5.00 5.01");
    }

    #[test]
    fn places_are_between_the_ends() {
        let unit = Unit::of_time(5.0 * MS);
        let axis = Axis::of_values(MS, 100.0 * MS, 2.0 * MS, 5, unit);
        for (value, expected) in [
            (0.0, 0.0),
            (MS, 0.0),
            (10.0 * MS, 0.5),
            (100.0 * MS, 1.0),
            (1e300, 1.0),
            (f64::NAN, 0.0),
        ] {
            assert!((axis.place(value) - expected).abs() < 1e-9, "{value}");
        }
        let flat = Axis::between(3.0, 3.0, 4, Unit::TOKENS);
        assert!(flat.place(3.0).abs() < 1e-9 && flat.place(4.0) <= 1.0);
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
                        let (axis, edges) = Axis::of_values(low, high, typical, 5, Unit::TOKENS)
                            .binned(bins, (low, high), whole);
                        let name = format!("{low} {high} {typical} {whole} {bins}: {edges:?}");
                        assert!(
                            edges.len() >= 2 && edges.len() <= bins.max(20) + 3,
                            "{name}"
                        );
                        assert!(edges[0] <= low && *edges.last().unwrap() > high, "{name}");
                        assert!(edges.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
                        assert!(axis.place(low) >= 0.0 && axis.place(high) <= 1.0);
                    }
                }
            }
        }
    }

    #[test]
    fn edges_are_round() {
        let (_, edges) =
            Axis::of_values(12.3 * MS, 78.1 * MS, 24.0 * MS, 5, Unit::of_time(24.0 * MS)).binned(
                10,
                (12.3 * MS, 78.1 * MS),
                false,
            );
        assert_eq!(edges, [10e6, 20e6, 30e6, 40e6, 50e6, 60e6, 70e6, 80e6]);
        let (_, edges) =
            Axis::of_values(1.0, 9.0, 4.0, 5, Unit::TOKENS).binned(50, (1.0, 9.0), true);
        assert_eq!(edges, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]);
    }
}
