//! `strftime_now`.

use jiff::civil::DateTime;
use minijinja::{Environment, Error, Value};

use super::args::{Arguments, bind};
use super::value::text;
use super::{type_error, unsupported};

/// Puts `strftime_now` into `env`: every call sees `now`, a local time without a zone, as `datetime.now()` gives.
pub fn install(env: &mut Environment<'static>, now: DateTime) {
    env.add_function("strftime_now", move |args: Arguments| {
        let [format] = bind("strftime_now", &args.into_values(), ["format"], 1)?;
        let format = format.unwrap_or_default();
        let format = text(&format).map_err(|_| type_error("strftime() argument 1 must be str"))?;
        strftime(now, format).map(Value::from)
    });
}

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// C's `strftime` in the C locale, with glibc's flags, as Python's `datetime.strftime` hands it on; `%f` is Python's
/// microseconds, `%z` and `%Z` of a time without a zone are empty.
///
/// # Errors
/// Directives that C leaves open.
pub fn strftime(t: DateTime, format: &str) -> Result<String, Error> {
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let flag = chars.next_if(|c| matches!(c, '-' | '_' | '0' | '^' | '#'));
        let Some(kind) = chars.next() else {
            out.push('%');
            break;
        };
        let text = directive(t, kind)?;
        let text = match flag {
            Some('-') if text.len() > 1 => {
                let short = text.trim_start_matches(['0', ' ']);
                if short.is_empty() { "0" } else { short }.to_owned()
            }
            Some('_') => {
                let digits = text.trim_start_matches('0');
                format!("{digits:>width$}", width = text.len())
            }
            Some('^') => text.to_uppercase(),
            Some('0') if text.starts_with(' ') => text.replace(' ', "0"),
            Some('#') => return Err(unsupported("the strftime flag #")),
            _ => text,
        };
        out.push_str(&text);
    }
    Ok(out)
}

fn directive(t: DateTime, kind: char) -> Result<String, Error> {
    let date = t.date();
    let weekday = usize::try_from(date.weekday().to_sunday_zero_offset()).unwrap_or(0);
    let month = MONTHS[usize::try_from(date.month() - 1).unwrap_or(0)];
    let year_day = date.day_of_year();
    let days = i16::try_from(weekday).unwrap_or(0);
    let hour12 = (t.hour() + 11) % 12 + 1;
    let again = |format: &str| strftime(t, format);
    Ok(match kind {
        'a' => DAYS[weekday][..3].to_owned(),
        'A' => DAYS[weekday].to_owned(),
        'b' | 'h' => month[..3].to_owned(),
        'B' => month.to_owned(),
        'c' => again("%a %b %e %H:%M:%S %Y")?,
        'C' => format!("{:02}", t.year() / 100),
        'd' => format!("{:02}", t.day()),
        'D' | 'x' => again("%m/%d/%y")?,
        'e' => format!("{:2}", t.day()),
        'f' => format!("{:06}", t.subsec_nanosecond() / 1000),
        'F' => again("%Y-%m-%d")?,
        'g' => format!("{:02}", date.iso_week_date().year() % 100),
        'G' => date.iso_week_date().year().to_string(),
        'H' => format!("{:02}", t.hour()),
        'I' => format!("{hour12:02}"),
        'j' => format!("{year_day:03}"),
        'k' => format!("{:2}", t.hour()),
        'l' => format!("{hour12:2}"),
        'm' => format!("{:02}", t.month()),
        'M' => format!("{:02}", t.minute()),
        'n' => "\n".to_owned(),
        'p' => if t.hour() < 12 { "AM" } else { "PM" }.to_owned(),
        'P' => if t.hour() < 12 { "am" } else { "pm" }.to_owned(),
        'r' => again("%I:%M:%S %p")?,
        'R' => again("%H:%M")?,
        'S' => format!("{:02}", t.second()),
        't' => "\t".to_owned(),
        'T' | 'X' => again("%H:%M:%S")?,
        'u' => if weekday == 0 { 7 } else { weekday }.to_string(),
        'U' => format!("{:02}", (year_day + 6 - days) / 7),
        'V' => format!("{:02}", date.iso_week_date().week()),
        'w' => weekday.to_string(),
        'W' => format!("{:02}", (year_day + 6 - (days + 6) % 7) / 7),
        'y' => format!("{:02}", t.year() % 100),
        'Y' => t.year().to_string(),
        'z' | 'Z' => String::new(),
        '%' => "%".to_owned(),
        _ => return Err(unsupported(format!("the strftime directive %{kind}"))),
    })
}
