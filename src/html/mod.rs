//! `--html`: what a recount found as one page that needs nothing but itself: no script, no font, no network.
//!
//! A run's samples are taken one by one ([`Gather`]); at the end the page is put together from them and from summaries.
//! Its bytes depend on those alone. Everything that a figure shows is in a table too.

mod figures;
mod stats;
mod escape;
mod index;
mod number;
mod parts;
mod plots;
mod table;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::rc::Rc;

use plotters::drawing::DrawingAreaErrorKind;
use serde_json::Value;

pub use index::{Entry, Index};
pub use number::count;
pub use stats::{Gather, Sample};

use escape::Text;
use figures::{Figures, Metric};

/// What every page says of itself, up to the version; a file without it is not ours.
pub const GENERATOR_PREFIX: &str = "<meta name=\"generator\" content=\"tok-recompute ";

/// A figure that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw a figure of the page")]
pub struct PageError(#[from] DrawingAreaErrorKind<Infallible>);

/// One run, or what a run is compared with.
#[derive(Debug)]
pub struct Side {
    /// What it is called.
    pub name: String,
    /// Its summary.
    pub summary: Value,
    /// Its samples; of a summary alone there are none.
    pub gathered: Option<Gather>,
}

/// Whether the figures can be trusted as the run's.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Whether everything was read and counted.
    pub complete: bool,
    /// The name of the state.
    pub state: String,
    /// Why not, and what no recount can mend.
    pub reasons: Vec<String>,
    /// Where to look.
    pub damaged_lines: Vec<String>,
}

/// Something odd in the log.
#[derive(Clone, Debug)]
pub struct Odd {
    /// What it is.
    pub what: String,
    /// How often.
    pub count: u64,
    /// The byte in the log where it is first.
    pub first_offset: Option<u64>,
}

/// What a check came to.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// In a sentence.
    pub outcome: String,
    /// Whether everything is as it should be.
    pub passed: bool,
    /// What else there is to say.
    pub remarks: Vec<String>,
    /// The names of the columns.
    pub columns: Vec<&'static str>,
    /// What differs, the worst first.
    pub rows: Vec<Vec<String>>,
    /// How many rows are left out.
    pub left_out: usize,
}

/// Everything that a page shows.
#[derive(Debug)]
pub struct Page {
    /// The run.
    pub run: Side,
    /// Its own summary from before.
    pub before: Option<Value>,
    /// What it is compared with.
    pub against: Option<Rc<Side>>,
    /// Whether it can be trusted.
    pub verdict: Verdict,
    /// What is odd.
    pub odd: Vec<Odd>,
    /// What a check came to, if there was one.
    pub check: Option<Check>,
    /// How it was counted: name and value.
    pub facts: Vec<(&'static str, String)>,
    /// The path from the page to the index of several runs.
    pub index: Option<String>,
}

impl Side {
    fn figures(&self, metric: Metric) -> Figures {
        Figures::of(&self.summary, metric)
    }
}

impl Page {
    /// The page's HTML.
    pub fn render(&self) -> Result<String, PageError> {
        let mut body = String::new();
        parts::head(&mut body, self);
        parts::headline(&mut body, self);
        parts::check(&mut body, self);
        parts::distributions(&mut body, self)?;
        parts::percentiles(&mut body, self);
        parts::over_time(&mut body, self)?;
        parts::facts(&mut body, self);
        Ok(document(&self.run.name, "run", &body))
    }
}

/// A page with that title, kind and body, whose policy allows it nothing from elsewhere.
fn document(title: &str, kind: &str, body: &str) -> String {
    let mut page = String::new();
    _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         img-src data:; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n{GENERATOR_PREFIX}{}\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{} – tok-recompute</title>\n<style>\n{}</style>\n</head>\n\
         <body class=\"{kind}\">\n{body}</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        Text(title),
        include_str!("style.css"),
    );
    page
}
