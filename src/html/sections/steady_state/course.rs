//! The medians of each super-pass over the run.

use serde_json::Value;

use super::verdict;
use crate::html::escape::write_html;
use crate::html::plots::{Axis, Band, Curve};
use crate::html::sections::over_time::time_figure;
use crate::html::sections::{RUN_NAMES, note};
use crate::html::table::{Cell, Table};
use crate::html::{Page, PageRun};
use crate::metric::Metric;
use crate::number::{self, DisplayUnit, count};
use crate::stats::steady_state::SuperPassPoint;

/// The super-passes of a run that are drawn and listed at most.
const MAX_DRAWN: usize = 400;

/// A figure: a metric, and its median in a super-pass.
type SuperPassPanel = (Metric, fn(&SuperPassPoint) -> Option<f64>);

const PANELS: [SuperPassPanel; 2] = [
    (Metric::Tpot, |point| point.tpot_p50_ns),
    (Metric::Ttft, |point| point.ttft_p50_ns),
];

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
pub(super) fn course(html: &mut String, page: &Page) {
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
