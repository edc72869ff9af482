//! The run over time: throughput, samples in flight, TTFT.

use super::{RUN_NAMES, begin_figure, note};
use crate::html::Page;
use crate::html::escape::write_html;
use crate::html::plots::{Axis, Band, Curve, timeline};
use crate::html::stats::TimeBin;
use crate::html::table::{Cell, Table};
use crate::metric::Metric;
use crate::number::DisplayUnit;

/// Sizes of a figure: across the page, and on a narrow screen.
const WIDE: (u32, u32) = (1040, 120);
const NARROW: (u32, u32) = (330, 150);
/// Limits of the number of bins, which aims for [`SAMPLES_PER_BIN`].
const MIN_BINS: usize = 24;
const MAX_BINS: usize = 160;
const SAMPLES_PER_BIN: usize = 20;

struct Panel {
    name: &'static str,
    description: &'static str,
    /// The unit in the caption; counts have none.
    unit: Option<DisplayUnit>,
    /// The values of a bin, the front curve's first.
    values: &'static [fn(&TimeBin) -> Option<f64>],
}

/// The bins of each run.
type Runs = [Vec<TimeBin>];

/// Writes four figures that share their time axis, and one table for all of them.
pub(crate) fn over_time(html: &mut String, page: &Page) {
    let mut runs: Vec<Vec<TimeBin>> = Vec::new();
    let mut duration_ns: f64 = 0.0;
    for stats in page.runs().filter_map(|run| run.stats.as_ref()) {
        let completed = stats.histogram(Metric::Latency).count();
        let samples = usize::try_from(completed).unwrap_or(usize::MAX);
        let max_bins = (samples / SAMPLES_PER_BIN).clamp(MIN_BINS, MAX_BINS);
        runs.push(stats.timeline.bins(max_bins));
        duration_ns = duration_ns.max(stats.timeline.duration_ns());
    }
    if runs.iter().all(Vec::is_empty) {
        return;
    }
    let time = DisplayUnit::of_run(duration_ns);
    html.push_str("<section>\n<h2>Over the run</h2>\n");
    note(
        html,
        &format!(
            "Time from the first issue, in {}. A sample’s output tokens are spread evenly from its first chunk to its \
             completion; TTFT stands at the time of issue.",
            time.name
        ),
    );
    html.push_str("<div class=\"figures time\">\n");
    let ttft = ttft_unit(&runs);
    for panel in panels(ttft).iter().filter(|panel| panel.has_values(&runs)) {
        panel.figure(html, &runs, duration_ns, time);
    }
    html.push_str("</div>\n");
    table(&runs, time, ttft).write_folded(html);
    html.push_str("</section>\n");
}

fn ttft_unit(runs: &Runs) -> DisplayUnit {
    let medians = runs.iter().flatten().filter_map(|bin| bin.ttft_p50_ns);
    DisplayUnit::of_time(medians.fold(0.0, f64::max))
}

fn panels(ttft: DisplayUnit) -> [Panel; 4] {
    [
        Panel {
            name: "Samples",
            description: "completed a second",
            unit: None,
            values: &[|bin| Some(bin.samples_per_s)],
        },
        Panel {
            name: "Output tokens",
            description: "a second",
            unit: None,
            values: &[|bin| bin.tokens_per_s],
        },
        Panel {
            name: "In flight",
            description: "samples, on average",
            unit: None,
            values: &[|bin| Some(bin.in_flight)],
        },
        Panel {
            name: "TTFT",
            description: "median, and 99th percentile (light)",
            unit: Some(ttft),
            values: &[|bin| bin.ttft_p50_ns, |bin| bin.ttft_p99_ns],
        },
    ]
}

impl Panel {
    fn has_values(&self, runs: &Runs) -> bool {
        let mut bins = runs.iter().flatten();
        bins.any(|bin| self.values.iter().any(|value| value(bin).is_some()))
    }

    fn curves(&self, runs: &Runs) -> Vec<Curve> {
        let mut curves = Vec::new();
        for (run, bins) in runs.iter().enumerate() {
            for (i, value) in self.values.iter().enumerate() {
                let point = |bin: &TimeBin| (f64::midpoint(bin.start_ns, bin.end_ns), value(bin));
                curves.push(Curve {
                    points: bins.iter().map(point).collect(),
                    run,
                    light: i > 0,
                    filled: run == 0 && self.values.len() == 1,
                });
            }
        }
        curves
    }

    fn figure(&self, html: &mut String, runs: &Runs, duration_ns: f64, time: DisplayUnit) {
        let curves = self.curves(runs);
        let points = curves.iter().flat_map(|curve| &curve.points);
        let highest = points.filter_map(|(_, value)| *value).fold(0.0, f64::max);
        let y = Axis::from_zero(highest, 3, self.unit.unwrap_or(DisplayUnit::TOKENS));
        let unit = self.unit.map_or("", |unit| unit.name);
        let caption = (self.name, unit, self.description);
        time_figure(html, caption, (&curves, &[]), &y, (duration_ns, time));
    }
}

/// Writes a figure over time: one across the page, and one for a narrow screen. `caption`: name, unit, description.
pub(super) fn time_figure(
    html: &mut String,
    caption: (&str, &str, &str),
    content: (&[Curve], &[Band]),
    y: &Axis,
    (duration_ns, time): (f64, DisplayUnit),
) {
    let (name, unit, description) = caption;
    let label = format!("{name} {description} over the run");
    begin_figure(html, name, unit, description);
    for (class, size, ticks) in [("wide", WIDE, 10), ("narrow", NARROW, 5)] {
        let x = Axis::between(0.0, duration_ns, ticks, time);
        let svg = timeline(content, (&x, y), size, &label);
        write_html!(html, "<div class=\"{class}\">{svg}</div>\n");
    }
    html.push_str("</figure>\n");
}

fn table(runs: &Runs, time: DisplayUnit, ttft: DisplayUnit) -> Table {
    let columns = [
        &format!("from {}", time.name),
        "run",
        "samples/s",
        "tokens/s",
        "in flight",
        &format!("TTFT p50 {}", ttft.name),
        &format!("TTFT p99 {}", ttft.name),
    ];
    let mut table = Table::new("The run over time", &columns);
    let ttft = |ns: Option<f64>| Cell::number(ns.map(|ns| ttft.scale(ns)), 1);
    for (bins, name) in runs.iter().zip(RUN_NAMES) {
        for bin in bins {
            table.row(vec![
                Cell::number(Some(time.scale(bin.start_ns)), 2),
                Cell::text(name),
                Cell::number(Some(bin.samples_per_s), 1),
                Cell::number(bin.tokens_per_s, 0),
                Cell::number(Some(bin.in_flight), 1),
                ttft(bin.ttft_p50_ns),
                ttft(bin.ttft_p99_ns),
            ]);
        }
    }
    table
}
