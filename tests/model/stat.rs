//! The figures of one series as JSON text: `SeriesSampler` of `registry.py` and `_series_to_metric_dict` of `report.py`,
//! with big integers and decimal digits in place of careful rounding.

use std::fmt::Write as _;

use num_bigint::BigInt;

const PERCENTILES: [f64; 12] = [
    99.9, 99.0, 97.0, 95.0, 90.0, 80.0, 75.0, 50.0, 25.0, 10.0, 5.0, 1.0,
];
const BUCKETS: usize = 30;

/// A series in the order of recording.
#[derive(Clone, Debug)]
pub enum Series {
    Integers(Vec<i64>),
    Doubles(Vec<f64>),
}

/// The figures of a series, as JSON texts.
pub struct Stat {
    pub count: usize,
    pub total: String,
    pub min: String,
    pub max: String,
    pub sum_sq: String,
    pub avg: String,
    pub std_dev: String,
    pub median: String,
    pub percentiles: String,
    pub early_stopping: Option<String>,
    pub edges: Vec<f64>,
    pub counts: Vec<usize>,
}

/// The quotient of two integers, rounded once: enough decimal digits, and one more if there is a remainder.
pub fn ratio(numerator: &BigInt, denominator: u64) -> f64 {
    let negative = *numerator < BigInt::from(0);
    let numerator = if negative {
        -numerator
    } else {
        numerator.clone()
    };
    let denominator = BigInt::from(denominator);
    let scaled = numerator * BigInt::from(10).pow(80);
    let rest = u8::from(&scaled % &denominator != BigInt::from(0));
    let text = format!(
        "{}{}{rest}e-81",
        if negative { "-" } else { "" },
        scaled / denominator
    );
    text.parse().unwrap_or(f64::NAN)
}

/// The nearest double.
fn double(value: &BigInt) -> f64 {
    value.to_string().parse().unwrap_or(f64::NAN)
}

fn json(value: f64) -> String {
    format!("{value:?}")
}

impl Series {
    pub fn stat(&self, early_stopping: bool) -> Stat {
        let mut sorted: Vec<f64> = match self {
            Self::Integers(values) => {
                let mut sorted = values.clone();
                sorted.sort_unstable();
                sorted.into_iter().map(|value| value as f64).collect()
            }
            Self::Doubles(values) => values.clone(),
        };
        sorted.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else {
            return self.empty(early_stopping);
        };
        let [total, least, greatest, sum_sq, avg, std_dev] = match self {
            Self::Integers(values) => of_integers(values),
            Self::Doubles(values) => of_doubles(values),
        };
        let n = sorted.len();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let at = |p: f64| sorted[(p / 100.0 * (n - 1) as f64).floor() as usize];
        let edges = edges(min, max);
        Stat {
            count: n,
            total,
            min: least,
            max: greatest,
            sum_sq,
            avg,
            std_dev,
            median: json(at(50.0)),
            percentiles: map(PERCENTILES.map(|p| (p, json(at(p))))),
            early_stopping: early_stopping.then(|| estimates(&sorted)),
            counts: counts(&sorted, &edges),
            edges,
        }
    }

    fn empty(&self, early_stopping: bool) -> Stat {
        let zero = match self {
            Self::Integers(_) => "0",
            Self::Doubles(_) => "0.0",
        };
        let text = |text: &str| text.to_owned();
        Stat {
            count: 0,
            total: text(zero),
            min: text("0"),
            max: text("0"),
            sum_sq: text(zero),
            avg: text("0.0"),
            std_dev: text("0.0"),
            median: text("0.0"),
            percentiles: map(PERCENTILES.map(|p| (p, text("0.0")))),
            early_stopping: early_stopping.then(|| estimates(&[])),
            edges: Vec::new(),
            counts: Vec::new(),
        }
    }
}

/// Total, least, greatest, sum of squares, mean, standard deviation.
fn of_integers(values: &[i64]) -> [String; 6] {
    let big = || values.iter().map(|&value| BigInt::from(value));
    let total: BigInt = big().sum();
    let sum_sq = double(&big().map(|value| value.pow(2)).sum());
    let n = values.len() as u64;
    let spread = sum_sq - ratio(&total.pow(2), n);
    [
        total.to_string(),
        values.iter().min().map_or(String::new(), i64::to_string),
        values.iter().max().map_or(String::new(), i64::to_string),
        json(sum_sq),
        json(ratio(&total, n)),
        json(deviation(spread, n)),
    ]
}

fn of_doubles(values: &[f64]) -> [String; 6] {
    let (mut total, mut sum_sq, mut min, mut max) = (0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY);
    for &value in values {
        total += value;
        sum_sq += value * value;
        if value < min {
            min = value;
        }
        if value > max {
            max = value;
        }
    }
    let n = values.len() as u64;
    let spread = sum_sq - total * total / n as f64;
    [
        total,
        min,
        max,
        sum_sq,
        total / n as f64,
        deviation(spread, n),
    ]
    .map(json)
}

fn deviation(spread: f64, n: u64) -> f64 {
    if n < 2 {
        return 0.0;
    }
    let variance = spread / (n - 1) as f64;
    if variance > 0.0 { variance.sqrt() } else { 0.0 }
}

fn map<const N: usize>(entries: [(f64, String); N]) -> String {
    let entries = entries.map(|(p, value)| format!("\"{p:?}\":{value}"));
    format!("{{{}}}", entries.join(","))
}

/// The edges of the buckets between `min` and `max`.
fn edges(min: f64, max: f64) -> Vec<f64> {
    let low = if min > 1.0 { min } else { 1.0 };
    let high = if max > low * 10.0 { max } else { low * 10.0 };
    let step = (high.ln() - low.ln()) / BUCKETS as f64;
    (0..=BUCKETS)
        .map(|i| (low.ln() + i as f64 * step).exp())
        .collect()
}

/// The number of values in each bucket.
fn counts(values: &[f64], edges: &[f64]) -> Vec<usize> {
    let mut counts = vec![0; BUCKETS];
    for &value in values {
        let inner = &edges[1..BUCKETS];
        counts[inner.iter().take_while(|edge| **edge <= value).count()] += 1;
    }
    counts
}

/// The estimate for each percentile from the median on: the t-th greatest value, where `t` is the greatest number for which
/// `t` of `n` values above it are unlikely (1 %) if the percentile were lower.
fn estimates(sorted: &[f64]) -> String {
    let n = sorted.len();
    let mut text = String::from("{");
    for p in PERCENTILES.into_iter().filter(|p| *p >= 50.0) {
        let estimate = match most_over(n, p / 100.0) {
            0 => "null".to_owned(),
            t => json(sorted[n - t]),
        };
        let comma = if text.len() > 1 { "," } else { "" };
        let _ = write!(text, "{comma}\"{p:?}\":{estimate}");
    }
    text + "}"
}

/// The greatest `t` for which the probability that at most `t` of `n` values are above is below 1 %: the binomial sum, term
/// by term.
fn most_over(n: usize, under: f64) -> usize {
    let mut log_term = n as f64 * under.ln();
    let mut sum = log_term.exp();
    let mut most = 0;
    for t in 1..n {
        log_term += ((n - t + 1) as f64 / t as f64).ln() + (1.0 - under).ln() - under.ln();
        sum += log_term.exp();
        if sum >= 1.0 - 0.99 {
            break;
        }
        most = t;
    }
    most
}
