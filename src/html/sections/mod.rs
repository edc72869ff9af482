//! The sections of a page, from top to bottom.

mod check;
mod distributions;
mod header;
mod headline;
mod osl_latency;
mod over_time;
mod percentiles;
mod steady_state;

pub(super) use check::check;
pub(super) use distributions::distributions;
pub(super) use header::{footer, header};
pub(super) use headline::headline;
pub(super) use over_time::over_time;
pub(super) use percentiles::percentiles;
pub(super) use steady_state::steady_state;

use super::escape::write_html;

/// The size of a small figure, in pixels.
pub(super) const SMALL: (u32, u32) = (330, 190);

/// The names of the run and its baseline in keys and column heads, where their own may be too long.
const RUN_NAMES: [&str; 2] = ["this run", "baseline"];

/// Writes a paragraph of small print.
pub(super) fn note(html: &mut String, text: &str) {
    write_html!(html, "<p class=\"note\">{}</p>\n", text);
}

/// Opens a figure and writes its caption.
pub(super) fn begin_figure(html: &mut String, name: &str, unit: &str, description: &str) {
    write_html!(
        html,
        "<figure>\n<figcaption><b>{}</b> {} <span>{}</span></figcaption>\n",
        name,
        unit,
        description
    );
}
