//! A histogram of thirty log-spaced buckets between the smallest and the largest value.

/// The number of buckets in a histogram.
pub(super) const BUCKETS: u8 = 30;

/// One bucket of a histogram: the number of values in `[low, high)`, or in `[low, high]` for the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Lower edge, inclusive.
    pub low: f64,
    /// Upper edge, exclusive except in the last bucket.
    pub high: f64,
    /// Values in the bucket.
    pub count: u64,
}

/// Returns the histogram of `sorted` between `min` and `max`; `to_f64` converts a value to a double.
///
/// Source: `registry.py`, `_log_spaced_edges` and the call of `np.histogram` on clipped values. Values below
/// the first edge are in the first bucket and values above the last in the last, so every value is counted.
pub(super) fn histogram<T: Copy>(
    sorted: &[T],
    to_f64: impl Fn(T) -> f64,
    min: f64,
    max: f64,
) -> Vec<Bucket> {
    let edges = log_spaced_edges(min, max);
    let mut below = 0;
    let mut buckets = Vec::with_capacity(BUCKETS.into());
    for (i, pair) in edges.windows(2).enumerate() {
        let below_high = if i + 1 == usize::from(BUCKETS) {
            sorted.len()
        } else {
            sorted.partition_point(|&value| to_f64(value) < pair[1])
        };
        buckets.push(Bucket {
            low: pair[0],
            high: pair[1],
            count: (below_high - below) as u64,
        });
        below = below_high;
    }
    buckets
}

/// Returns the same histogram of values that come with their counts.
///
/// Source: `registry.py`, `_hdr_stat`.
pub(super) fn histogram_of_counts(
    values: impl Iterator<Item = (f64, u64)>,
    min: f64,
    max: f64,
) -> Vec<Bucket> {
    let edges = log_spaced_edges(min, max);
    let bucket = |pair: &[f64]| Bucket {
        low: pair[0],
        high: pair[1],
        count: 0,
    };
    let mut buckets: Vec<Bucket> = edges.windows(2).map(bucket).collect();
    for (value, count) in values {
        let at = buckets.partition_point(|bucket| bucket.low <= value);
        buckets[at.saturating_sub(1)].count += count;
    }
    buckets
}

/// Returns the edges of all buckets, from `max(min, 1)` to at least ten times that.
fn log_spaced_edges(min: f64, max: f64) -> Vec<f64> {
    let low = min.max(1.0);
    let high = max.max(low * 10.0);
    let (log_low, log_high) = (low.ln(), high.ln());
    let step = (log_high - log_low) / f64::from(BUCKETS);
    (0..=BUCKETS)
        .map(|i| (log_low + f64::from(i) * step).exp())
        .collect()
}
