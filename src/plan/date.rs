//! The date that chat templates see. The client renders at the end of a run, so a recount on another
//! day must not show today's.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A run's date, in local time as Python's `datetime.now()`, and where it was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunDate {
    /// What templates take for now.
    pub now: DateTime,
    /// How we know.
    pub source: &'static str,
}

impl RunDate {
    /// `given`, else when the log was last written, `modified`: the client writes it until the run ends. Event
    /// timestamps are of a clock that knows no date.
    pub fn resolve(given: Option<DateTime>, modified: Option<SystemTime>) -> Self {
        if let Some(now) = given {
            return Self {
                now,
                source: "given by --date",
            };
        }
        match modified.and_then(local) {
            Some(now) => Self {
                now,
                source: "when the log was last written",
            },
            None => Self {
                now: local(SystemTime::now()).unwrap_or_default(),
                source: "today",
            },
        }
    }
}

fn local(time: SystemTime) -> Option<DateTime> {
    let timestamp = Timestamp::try_from(time).ok()?;
    Some(TimeZone::system().to_datetime(timestamp))
}
