//! The date that chat templates see. The client renders at the end of a run, so a recount on another day must not show
//! that day.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A run's date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunDate {
    /// In local time, as Python's `datetime.now()`.
    pub now: DateTime,
    /// The source of the date, in words.
    pub source: &'static str,
}

impl RunDate {
    /// Returns the date that `--date` gives, else that of the log's last write, which is at the end of the run. The
    /// timestamps of events have no date.
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
