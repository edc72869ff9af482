//! Why a line could not be read: bad input is data, so reasons are values that can be counted.

use std::fmt;

/// Why the reference's decoder (or, in three documented places, ours) rejects a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Damage {
    /// Nothing but white space.
    Blank,
    /// Not JSON, or cut off.
    Malformed,
    /// Bytes that are not UTF-8. The reference overlooks them in keys it does not know.
    InvalidUtf8,
    /// JSON, but not an object.
    NotAnObject,
    /// No `event_type`.
    MissingEventType,
    /// An `event_type` that names no event.
    UnknownEventType,
    /// No `timestamp_ns`. The reference invents one: the time of reading.
    MissingTimestamp,
    /// A `timestamp_ns` that is no 64-bit signed integer. The reference overflows later.
    BadTimestamp,
    /// Another field of a wrong type.
    BadField,
    /// A payload whose tag or elements are of a wrong type.
    BadData,
    /// A structured payload with a number beyond 64 bits, which we cannot render exactly.
    HugeNumber,
    /// Arrays and objects nested more deeply than a thousand; Python gives up there too.
    TooDeep,
    /// A line longer than the reader accepts.
    TooLong,
}

impl Damage {
    /// A stable name for records and tallies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::Malformed => "malformed",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::NotAnObject => "not_an_object",
            Self::MissingEventType => "missing_event_type",
            Self::UnknownEventType => "unknown_event_type",
            Self::MissingTimestamp => "missing_timestamp",
            Self::BadTimestamp => "bad_timestamp",
            Self::BadField => "bad_field",
            Self::BadData => "bad_data",
            Self::HugeNumber => "huge_number",
            Self::TooDeep => "too_deep",
            Self::TooLong => "too_long",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blank => "blank line",
            Self::Malformed => "malformed or truncated JSON",
            Self::InvalidUtf8 => "invalid UTF-8",
            Self::NotAnObject => "expected a JSON object",
            Self::MissingEventType => "missing required field `event_type`",
            Self::UnknownEventType => "unknown `event_type`",
            Self::MissingTimestamp => "missing field `timestamp_ns`",
            Self::BadTimestamp => "`timestamp_ns` is not a 64-bit signed integer",
            Self::BadField => "a field has the wrong type",
            Self::BadData => "`data` has the wrong shape",
            Self::HugeNumber => "a number beyond 64 bits in a structured payload",
            Self::TooDeep => "nested too deeply (more than 1,024 levels)",
            Self::TooLong => "line too long (more than 64 MiB)",
        })
    }
}
