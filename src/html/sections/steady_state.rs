//! The steady state: the verdict, the course of the run with the window marked, and the figures in the window.

use serde_json::Value;

use super::headline::{METRIC_COLUMNS, add_metric, duration};
use super::over_time::time_figure;
use super::{RUN_NAMES, note};
use crate::html::escape::{typographic, write_html};
use crate::html::metric_summary::MetricSummary;
use crate::html::plots::{Axis, Band, Curve};
use crate::html::table::{Cell, Table, change};
use crate::html::{DIGITS, Page, PageRun};
use crate::metric::Metric;
use crate::number::{self, DisplayUnit, count, digits, fixed};
use crate::stats::steady_state::SuperPassPoint;

/// The super-passes of a run that are drawn and listed at most.
const MAX_DRAWN: usize = 400;

/// A figure: a metric, and its median in a super-pass.
type Panel = (Metric, fn(&SuperPassPoint) -> Option<f64>);

const PANELS: [Panel; 2] = [
    (Metric::Tpot, |point| point.tpot_p50_ns),
    (Metric::Ttft, |point| point.ttft_p50_ns),
];

/// The distributions in the window, by their keys in a verdict.
const DISTRIBUTIONS: [(&str, Metric); 4] = [
    ("ttft", Metric::Ttft),
    ("tpot", Metric::Tpot),
    ("latency", Metric::Latency),
    ("osl", Metric::Osl),
];

/// Writes the section, if the steady state was looked for.
pub(crate) fn steady_state(html: &mut String, page: &Page) {
    let verdict = verdict(&page.run);
    if !verdict.is_object() && page.run.super_passes.is_empty() {
        return;
    }
    html.push_str("<section>\n<h2>Steady state</h2>\n");
    outcome(html, verdict);
    warnings(html, verdict);
    if verdict["window"].is_object() {
        rates(html, page);
        distributions(page).write(html);
        note(html, "OSL counts the tokens after the first chunk here.");
    }
    course(html, page);
    html.push_str("</section>\n");
}

fn verdict(run: &PageRun) -> &Value {
    &run.summary["steady_state"]
}

/// Returns a number of a verdict; NaN, which is shown as a dash, if it is missing.
fn float(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn outcome(html: &mut String, verdict: &Value) {
    if !verdict.is_object() {
        return note(
            html,
            "Without a verdict: the client looks for a steady state only in a streaming run that ended and of which every \
             text was counted.",
        );
    }
    let window = &verdict["window"];
    let integer = |value: &Value| fixed(float(value), 0);
    let (class, mark, text) = if verdict["found"] == true {
        let text = format!(
            "Found: super-passes {} to {}, {} samples issued within {}.",
            integer(&window["sp_lo"]),
            fixed(float(&window["sp_hi"]) - 1.0, 0),
            integer(&window["n_samples"]),
            duration(float(&window["end_ns"]) - float(&window["start_ns"]))
        );
        ("good", "✓", text)
    } else {
        let reason = verdict["reason"].as_str().unwrap_or("without a reason");
        ("bad", "✗", format!("Not found: {reason}."))
    };
    write_html!(
        html,
        "<p class=\"{class}\"><span aria-hidden=\"true\">{mark}</span> {}</p>\n",
        text
    );
    if verdict["found"] != true && window.is_object() {
        note(
            html,
            "The window and its figures are those of the longest plateau.",
        );
    }
    note(
        html,
        &format!(
            "A super-pass has {} samples in the order of their issue. The run has {} of them, {} of which are warm-up; \
             numbers count from 0 after it.",
            integer(&verdict["superpass_size"]),
            integer(&verdict["n_super_passes"]),
            integer(&verdict["warmup"])
        ),
    );
}

/// Writes what happens after the window.
fn warnings(html: &mut String, verdict: &Value) {
    let mut lines = Vec::new();
    let drifting = verdict["drifting_up"].as_array().into_iter().flatten();
    let drifting: Vec<String> = drifting.filter_map(Value::as_str).map(label).collect();
    if !drifting.is_empty() {
        lines.push(format!(
            "Drifting up over the rest of the run: {}.",
            drifting.join(", ")
        ));
    }
    let anomaly = &verdict["anomaly"];
    if anomaly["detected"] == true {
        lines.push(format!(
            "TPOT changes by {} from super-pass {} on.",
            typographic(&number::change(float(&anomaly["delta_pct"]) / 100.0)),
            fixed(float(&anomaly["change_point_sp"]), 0)
        ));
    }
    for line in lines {
        write_html!(html, "<p class=\"bad\">{}</p>\n", line);
    }
}

/// Returns the label of a metric's percentile, `TPOT p90` for `tpot_p90`.
fn label(name: &str) -> String {
    let known = name.split_once('_').and_then(|(key, percentile)| {
        let metric = Metric::from_summary_key(key)?;
        Some(format!("{} {percentile}", metric.label()))
    });
    known.unwrap_or_else(|| name.to_owned())
}

/// Writes the tokens per second in the window, with their confidence intervals.
fn rates(html: &mut String, page: &Page) {
    html.push_str("<dl class=\"tiles\">\n");
    for (key, interval, name) in [
        ("system", "system_ci", "steady TPS, system"),
        ("per_user", "per_user_ci", "steady TPS per user"),
    ] {
        let rates = &verdict(&page.run)["tps"];
        let now = float(&rates[key]);
        let shown = |value: &Value| digits(float(value), DIGITS);
        let (low, high) = (shown(&rates[interval][0]), shown(&rates[interval][1]));
        write_html!(
            html,
            "<div><dt>{name}</dt><dd>{}<small>95 %: {} to {}</small>",
            digits(now, DIGITS),
            low,
            high
        );
        let baseline = page
            .baseline
            .as_deref()
            .map(|run| &verdict(run)["tps"][key]);
        if let Some(then) = baseline.and_then(Value::as_f64) {
            let change = change(then, now).map_or(String::new(), |change| change + " ");
            write_html!(html, "<small>{}vs {}</small>", change, digits(then, DIGITS));
        }
        html.push_str("</dd></div>\n");
    }
    html.push_str("</dl>\n");
}

/// Each metric in the window, and below it in the baseline's window.
fn distributions(page: &Page) -> Table {
    let mut table = Table::new("Figures in the steady state", &METRIC_COLUMNS).class("headline");
    for (key, metric) in DISTRIBUTIONS {
        let of = |run: &PageRun| MetricSummary::of_distribution(&verdict(run)[key]);
        let baseline = page.baseline.as_deref().map(of);
        let baseline = baseline.filter(|summary| summary.count > 0);
        let others = [("other", RUN_NAMES[1], baseline)];
        add_metric(&mut table, metric, &of(&page.run), &others);
    }
    table
}

/// One run's super-passes, ready to be drawn.
struct Course<'a> {
    points: Vec<(usize, &'a SuperPassPoint)>,
    /// One of so many super-passes is drawn.
    stride: usize,
    start_ns: i64,
    end_ns: i64,
}

impl<'a> Course<'a> {
    fn of(run: &'a PageRun) -> Self {
        let points = &run.super_passes;
        let stride = points.len().div_ceil(MAX_DRAWN).max(1);
        Self {
            points: points.iter().enumerate().step_by(stride).collect(),
            stride,
            start_ns: points.first().map_or(0, |first| first.first_issue_ns),
            end_ns: points
                .iter()
                .map(|point| point.last_issue_ns)
                .max()
                .unwrap_or(0),
        }
    }

    /// Returns the time from the first issue.
    fn since_start(&self, at_ns: i64) -> f64 {
        at_ns.saturating_sub(self.start_ns) as f64
    }

    fn curve(&self, run: usize, value: fn(&SuperPassPoint) -> Option<f64>) -> Curve {
        let point = |(_, point): &(usize, &SuperPassPoint)| {
            let middle_ns = f64::midpoint(
                self.since_start(point.first_issue_ns),
                self.since_start(point.last_issue_ns),
            );
            (middle_ns, value(point).filter(|value| value.is_finite()))
        };
        Curve {
            points: self.points.iter().map(point).collect(),
            run,
            light: false,
            filled: false,
        }
    }
}

/// Writes the medians of each super-pass over the run, with the warm-up and the window marked.
fn course(html: &mut String, page: &Page) {
    let courses: Vec<Course> = page.runs().map(Course::of).collect();
    let Some(course) = courses.first().filter(|course| !course.points.is_empty()) else {
        return;
    };
    let durations = courses.iter().map(|it| it.since_start(it.end_ns));
    let duration_ns = durations.fold(0.0, f64::max);
    let time = DisplayUnit::of_run(duration_ns);
    let bands = bands(&page.run, course);
    note(
        html,
        &format!("Time from the first issue, in {}.", time.name),
    );
    if course.stride > 1 {
        let stride = count(course.stride as u64);
        note(html, &format!("1 of {stride} super-passes is shown."));
    }
    write_key(html, &bands);
    html.push_str("<div class=\"figures time\">\n");
    for (metric, value) in PANELS {
        let curves = courses.iter().enumerate();
        let curves: Vec<Curve> = curves.map(|(i, it)| it.curve(i, value)).collect();
        let Some((unit, y)) = axis(&curves) else {
            continue;
        };
        let caption = (metric.label(), unit.name, "median of each super-pass");
        time_figure(html, caption, (&curves, &bands), &y, (duration_ns, time));
    }
    html.push_str("</div>\n");
    table(page, &courses, time).write_folded(html);
}

/// Names the bands, if there are any.
fn write_key(html: &mut String, bands: &[Band]) {
    if bands.is_empty() {
        return;
    }
    html.push_str("<p class=\"key\">");
    for Band { class, name, .. } in bands {
        write_html!(html, "<span class=\"swatch {class}\"></span>{} ", name);
    }
    html.push_str("</p>\n");
}

fn axis(curves: &[Curve]) -> Option<(DisplayUnit, Axis)> {
    let points = curves.iter().flat_map(|curve| &curve.points);
    let mut values: Vec<f64> = points.filter_map(|(_, value)| *value).collect();
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (*values.first()?, *values.last()?);
    let median = values[values.len() / 2];
    let unit = DisplayUnit::of_time(median);
    let (low, high) = (low.max(0.0), high.max(0.0));
    Some((unit, Axis::of_values(low, high, median, 3, unit).padded()))
}

/// Returns the warm-up and the window of a run.
fn bands(run: &PageRun, course: &Course) -> Vec<Band> {
    let verdict = verdict(run);
    let index = |value: &Value| value.as_u64().and_then(|index| usize::try_from(index).ok());
    let mut bands = Vec::new();
    if let Some(warmup) = index(&verdict["warmup"]).filter(|warmup| *warmup > 0) {
        let next = run.super_passes.get(warmup);
        let end_ns = next.map_or(course.end_ns, |next| next.first_issue_ns);
        bands.push(Band {
            start_ns: 0.0,
            end_ns: course.since_start(end_ns),
            class: "warm-up",
            name: "warm-up",
        });
    }
    let window = &verdict["window"];
    if let (Some(start_ns), Some(end_ns)) = (window["start_ns"].as_i64(), window["end_ns"].as_i64())
    {
        bands.push(Band {
            start_ns: course.since_start(start_ns),
            end_ns: course.since_start(end_ns),
            class: "window",
            name: "window",
        });
    }
    bands
}

fn table(page: &Page, courses: &[Course], time: DisplayUnit) -> Table {
    let values = |value: fn(&SuperPassPoint) -> Option<f64>| {
        let points = courses.iter().flat_map(|course| &course.points);
        points.filter_map(move |(_, point)| value(point))
    };
    let units = PANELS.map(|(_, value)| DisplayUnit::of_time(values(value).fold(0.0, f64::max)));
    let mut columns: Vec<String> = ["super-pass", "run", "part"].map(str::to_owned).into();
    columns.extend(["from", "to"].map(|edge| format!("{edge} {}", time.name)));
    let medians = PANELS.iter().zip(units);
    columns
        .extend(medians.map(|((metric, _), unit)| format!("{} p50 {}", metric.label(), unit.name)));
    let mut table = Table::new("The super-passes of the run", &columns);
    for ((run, course), name) in page.runs().zip(courses).zip(RUN_NAMES) {
        let verdict = verdict(run);
        let index = |value: &Value| value.as_u64();
        let warmup = index(&verdict["warmup"]).unwrap_or(0);
        let window = &verdict["window"];
        let window = index(&window["sp_lo"]).zip(index(&window["sp_hi"]));
        for (i, point) in &course.points {
            let number = (*i as u64).checked_sub(warmup);
            let is_in_window = |number| window.is_some_and(|(lo, hi)| (lo..hi).contains(&number));
            let part = match number {
                None => "warm-up",
                Some(number) if is_in_window(number) => "window",
                Some(_) => "",
            };
            let mut cells = vec![
                Cell::text(&number.map_or(number::MISSING.to_owned(), count)),
                Cell::text(name),
                Cell::text(part),
            ];
            let edges = [point.first_issue_ns, point.last_issue_ns];
            cells.extend(edges.map(|ns| Cell::number(Some(time.scale(course.since_start(ns))), 2)));
            let medians = PANELS.iter().zip(units).map(|((_, value), unit)| {
                Cell::number(value(point).map(|ns| unit.scale(ns)), unit.decimals())
            });
            cells.extend(medians);
            table.row(cells);
        }
    }
    table
}
