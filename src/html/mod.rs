//! `--html`: the result of a recount as one self-contained page, without scripts, fonts or network access.
//!
//! [`PageStats`] takes a run's samples one by one; [`Page::render`] makes the page of them and of summaries. The bytes of
//! the page depend on nothing else. Every figure has its numbers in a table too.

mod escape;
mod index;
mod metric_summary;
mod plots;
mod sections;
mod stats;
mod table;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use serde_json::Value;

pub(crate) use index::{Index, IndexRow};
pub(crate) use stats::{PageStats, Sample};

use self::escape::write_html;
use self::metric_summary::MetricSummary;
use crate::metric::Metric;
use crate::stats::steady_state::SuperPassPoint;

/// The digits of a number that stands alone.
const DIGITS: usize = 4;

/// The generator element of every page, up to the version: a file without it is not a page of ours.
pub(crate) const GENERATOR_PREFIX: &str = "<meta name=\"generator\" content=\"tok-recompute ";

/// One run as a page shows it: the page's own, or its baseline.
#[derive(Debug)]
pub(crate) struct PageRun {
    pub name: String,
    pub summary: Value,
    /// `None` if only the summary is known.
    pub stats: Option<PageStats>,
    /// The super-passes of a run whose steady state was looked for.
    pub super_passes: Vec<SuperPassPoint>,
}

/// The verdict on a run's log.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageVerdict {
    /// Everything was read and counted.
    pub complete: bool,
    /// The name of the run's state.
    pub state: String,
    /// The reasons for an incomplete verdict, and defects of the run itself.
    pub reasons: Vec<String>,
    /// The places of damaged lines.
    pub damaged_lines: Vec<String>,
}

/// An anomaly in the log.
#[derive(Clone, Debug)]
pub(crate) struct AnomalyRow {
    pub description: String,
    pub count: u64,
    /// The byte offset in the log of the first occurrence.
    pub first_offset: Option<u64>,
}

/// The outcome of a check.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageCheck {
    /// A sentence.
    pub outcome: String,
    pub passed: bool,
    pub remarks: Vec<String>,
    /// The heads of `rows`.
    pub columns: Vec<&'static str>,
    /// The differences, the worst first.
    pub rows: Vec<Vec<String>>,
    pub rows_left_out: usize,
}

/// The content of a run's page.
#[derive(Debug)]
pub(crate) struct Page {
    pub run: PageRun,
    /// The summary that the run had before.
    pub before: Option<Value>,
    pub baseline: Option<Rc<PageRun>>,
    pub verdict: PageVerdict,
    pub anomalies: Vec<AnomalyRow>,
    pub check: Option<PageCheck>,
    /// The way the run was counted: names and values.
    pub facts: Vec<(&'static str, String)>,
    /// The link from the page to the index of several runs.
    pub index: Option<String>,
}

impl PageRun {
    fn metric(&self, metric: Metric) -> MetricSummary {
        MetricSummary::of(&self.summary, metric)
    }
}

impl Page {
    /// Returns the page's HTML.
    pub fn render(&self) -> String {
        let mut body = String::new();
        sections::header(&mut body, self);
        sections::headline(&mut body, self);
        sections::check(&mut body, self);
        sections::distributions(&mut body, self);
        sections::percentiles(&mut body, self);
        sections::over_time(&mut body, self);
        sections::steady_state(&mut body, self);
        sections::footer(&mut body, self);
        document(&self.run.name, "run", &body)
    }

    /// Returns the run and, if there is one, its baseline.
    fn runs(&self) -> impl Iterator<Item = &PageRun> {
        std::iter::once(&self.run).chain(self.baseline.as_deref())
    }
}

/// Returns a page whose policy forbids scripts and anything from elsewhere. `class` is that of its body.
fn document(title: &str, class: &str, body: &str) -> String {
    let mut page = String::new();
    let style = include_str!("style.css");
    write_html!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         img-src data:; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n{GENERATOR_PREFIX}{}\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{} – tok-recompute</title>\n<style>\n{style}</style>\n</head>\n\
         <body class=\"{class}\">\n{body}</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        title,
    );
    page
}
