//! The table of template features: each row has the result of Jinja2 itself for a template.

use std::collections::BTreeSet;

use jiff::civil::{DateTime, date};

use crate::jinja::limits::Limits;
use crate::jinja::runtime::Template;
use crate::python::exception::Exception;
use crate::python::value::from_json;

/// The time that `make.py` stops the clock at.
pub(super) const NOW: DateTime = date(2026, 8, 21).at(9, 5, 3, 42_000);

pub(super) fn render(template: &str, variables: &serde_json::Value) -> Result<String, Exception> {
    let template = Template::new(
        template,
        NOW,
        Limits {
            fuel: 1_000_000,
            output_bytes: 1 << 20,
        },
    )?;
    let mut out = String::new();
    template.render(from_json(variables), &mut out)?;
    Ok(out)
}

/// An attribute that the sandbox refuses raises as an undefined value does here.
pub(super) fn same_kind(got: &str, want: &str) -> bool {
    got == want || (got == "UndefinedError" && want == "SecurityError")
}

/// The features of the table that are not supported.
#[rustfmt::skip]
const UNSUPPORTED: [&str; 15] = [
    "autoescape", "printing an object's address", "self as a value", "slicing a constant of this type", "str.encode()",
    "str.format_map()", "str.translate()",
    "syntax error: cannot assign to reserved variable name loop (in chat:1)", "the filter pprint", "the filter random",
    "the filter striptags", "the filter wordwrap", "the filter xmlattr", "this conversion",
    "varargs and kwargs in macros",
];

#[test]
fn features() {
    let table = std::env::var("TEMPLATE_TABLE")
        .unwrap_or_else(|_| "fixtures/template/features.jsonl".to_owned());
    let text = std::fs::read_to_string(table).expect("table");
    let (mut rows, mut wrong, mut unsupported) = (0, Vec::new(), BTreeSet::new());
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect("row");
        let template = row["template"].as_str().expect("template");
        let got = render(template, &row["variables"]);
        rows += 1;
        match (&got, row["renders"].as_str(), row["raises"].as_str()) {
            (Ok(text), Some(want), _) if text == want => {}
            (Err(raised), _, _) if raised.unsupported => {
                println!("{} {template:?}", raised.message);
                unsupported.insert(raised.message.clone());
            }
            (Err(raised), _, Some(kind)) if same_kind(raised.kind, kind) => {}
            _ => wrong.push(format!(
                "{template:?}\n  want {} {}\n  got  {got:?}",
                row["renders"], row["raises"]
            )),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {rows} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let expected = UNSUPPORTED.map(|feature| format!("{feature} is not supported"));
    assert_eq!(unsupported, BTreeSet::from(expected));
}
