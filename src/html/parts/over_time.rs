//! What the run did when: throughput, samples in flight, TTFT.

use std::fmt::Write as _;

use super::{OTHER, THIS};
use crate::html::number::{Unit, fixed};
use crate::html::plots::{Axis, Curve, timeline};
use crate::html::stats::Moment;
use crate::html::table::{Cell, Table};
use crate::html::{Page, PageError};

/// Sizes of a figure: across the page, and where there is little room.
const WIDE: (u32, u32) = (1040, 120);
const NARROW: (u32, u32) = (330, 150);
/// Moments of a figure.
const FEWEST: usize = 24;
const MOST: usize = 160;
/// Samples that a moment should have.
const SAMPLES_PER_MOMENT: usize = 20;

type Value = fn(&Moment) -> Option<f64>;

struct Panel {
    name: &'static str,
    about: &'static str,
    unit: Option<Unit>,
    /// The front one first.
    values: Vec<Value>,
}

/// Four figures that share their time, and the table of them all.
pub fn over_time(html: &mut String, page: &Page) -> Result<(), PageError> {
    let sides = [Some(&page.run), page.against.as_deref()]
        .into_iter()
        .flatten();
    let mut runs: Vec<Vec<Moment>> = Vec::new();
    let mut duration_ns: f64 = 0.0;
    for gathered in sides.filter_map(|side| side.gathered.as_ref()) {
        let samples =
            usize::try_from(gathered.spread(crate::html::Metric::Latency).count()).unwrap_or(MOST);
        runs.push(
            gathered
                .timeline
                .moments((samples / SAMPLES_PER_MOMENT).clamp(FEWEST, MOST)),
        );
        duration_ns = duration_ns.max(gathered.timeline.duration_ns());
    }
    if runs.iter().all(Vec::is_empty) {
        return Ok(());
    }
    let time = Unit::of_run(duration_ns);
    _ = writeln!(
        html,
        "<section>\n<h2>Over the run</h2>\n<p class=\"note\">Time from the first issue, in {}. A sample’s output tokens are spread evenly from its \
         first chunk to its completion; TTFT stands at the time of issue.</p>\n<div class=\"figures time\">",
        time.name
    );
    for panel in panels(&runs) {
        figure(html, &panel, &runs, duration_ns, time)?;
    }
    html.push_str("</div>\n");
    table(&runs, time).write_folded(html);
    html.push_str("</section>\n");
    Ok(())
}

fn panels(runs: &[Vec<Moment>]) -> Vec<Panel> {
    let ttft: Vec<f64> = runs
        .iter()
        .flatten()
        .filter_map(|moment| moment.ttft_p50_ns)
        .collect();
    let typical = ttft.iter().copied().fold(0.0, f64::max);
    let mut panels = vec![
        Panel {
            name: "Samples",
            about: "completed a second",
            unit: None,
            values: vec![|m| Some(m.samples_per_s)],
        },
        Panel {
            name: "Output tokens",
            about: "a second",
            unit: None,
            values: vec![|m| m.tokens_per_s],
        },
        Panel {
            name: "In flight",
            about: "samples, on average",
            unit: None,
            values: vec![|m| Some(m.in_flight)],
        },
        Panel {
            name: "TTFT",
            about: "median, and 99th percentile (light)",
            unit: Some(Unit::of_time(typical)),
            values: vec![|m| m.ttft_p50_ns, |m| m.ttft_p99_ns],
        },
    ];
    panels.retain(|panel| {
        runs.iter()
            .flatten()
            .any(|moment| panel.values.iter().any(|value| value(moment).is_some()))
    });
    panels
}

fn figure(
    html: &mut String,
    panel: &Panel,
    runs: &[Vec<Moment>],
    duration_ns: f64,
    time: Unit,
) -> Result<(), PageError> {
    let unit = panel.unit.unwrap_or(Unit::TOKENS);
    let mut curves = Vec::new();
    for (run, moments) in runs.iter().enumerate() {
        for (i, value) in panel.values.iter().enumerate() {
            let points = moments
                .iter()
                .map(|moment| (f64::midpoint(moment.start_ns, moment.end_ns), value(moment)));
            curves.push(Curve {
                points: points.collect(),
                other: run > 0,
                light: i > 0,
                filled: run == 0 && panel.values.len() == 1,
            });
        }
    }
    let highest = curves
        .iter()
        .flat_map(|curve| &curve.points)
        .filter_map(|(_, value)| *value)
        .fold(0.0, f64::max);
    let y = Axis::from_zero(highest, 3, unit);
    let says = format!("{} {} over the run", panel.name, panel.about);
    let unit_name = panel.unit.map_or("", |unit| unit.name);
    _ = writeln!(
        html,
        "<figure>\n<figcaption><b>{}</b> {unit_name} <span>{}</span></figcaption>",
        panel.name, panel.about
    );
    for (class, size, marks) in [("wide", WIDE, 10), ("narrow", NARROW, 5)] {
        let x = Axis::between(0.0, duration_ns, marks, time);
        let svg = timeline(&curves, (&x, &y), size, &says)?;
        _ = writeln!(html, "<div class=\"{class}\">{svg}</div>");
    }
    html.push_str("</figure>\n");
    Ok(())
}

fn table(runs: &[Vec<Moment>], time: Unit) -> Table {
    let ttft = runs
        .iter()
        .flatten()
        .filter_map(|moment| moment.ttft_p50_ns)
        .fold(0.0, f64::max);
    let ttft = Unit::of_time(ttft);
    let from = format!("from {}", time.name);
    let (p50, p99) = (
        format!("TTFT p50 {}", ttft.name),
        format!("TTFT p99 {}", ttft.name),
    );
    let head = [
        from.as_str(),
        "run",
        "samples/s",
        "tokens/s",
        "in flight",
        &p50,
        &p99,
    ];
    let mut table = Table::new("The run over time", &head);
    for (moments, name) in runs.iter().zip([THIS, OTHER]) {
        for moment in moments {
            let scaled = |ns: Option<f64>| Cell::number(ns.map(|ns| ttft.scale(ns)), 1);
            table.row(vec![
                Cell::text(&fixed(time.scale(moment.start_ns), 2)),
                Cell::text(name),
                Cell::number(Some(moment.samples_per_s), 1),
                Cell::number(moment.tokens_per_s, 0),
                Cell::number(Some(moment.in_flight), 1),
                scaled(moment.ttft_p50_ns),
                scaled(moment.ttft_p99_ns),
            ]);
        }
    }
    table
}
