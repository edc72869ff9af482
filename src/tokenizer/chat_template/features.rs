//! The table of template features: each row is what Jinja2 itself made of a template.

use jiff::civil::DateTime;

use crate::jinja::limits::Limits;
use crate::jinja::runtime::Template;
use crate::python::exception::Exception;
use crate::python::value::from_json;

pub(super) fn render(template: &str, variables: &serde_json::Value, now: DateTime) -> Result<String, Exception> {
    let template = Template::new(
        template,
        now,
        Limits {
            fuel: 1_000_000,
            output_bytes: 1 << 20,
        },
    )?;
    let mut out = String::new();
    template.render(from_json(variables), &mut out)?;
    Ok(out)
}

/// What is undefined because the sandbox refuses it raises as any undefined value does here.
fn same_kind(got: &str, want: &str) -> bool {
    got == want || (got == "UndefinedError" && want == "SecurityError")
}

#[test]
fn features() {
    let table = std::env::var("TEMPLATE_TABLE")
        .unwrap_or_else(|_| "fixtures/template/features.jsonl".to_owned());
    let text = std::fs::read_to_string(table).expect("table");
    let now = jiff::civil::date(2026, 8, 21).at(9, 5, 3, 42_000);
    let (mut rows, mut wrong) = (0, Vec::new());
    let mut unsupported = 0;
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect("row");
        let template = row["template"].as_str().expect("template");
        let got = render(template, &row["variables"], now);
        rows += 1;
        match (&got, row["renders"].as_str(), row["raises"].as_str()) {
            (Ok(text), Some(want), _) if text == want => {}
            (Err(raised), _, Some(kind)) if !raised.unsupported && same_kind(raised.kind, kind) => {
            }
            (Err(raised), _, _) if raised.unsupported => {
                unsupported += 1;
                println!("unsupported {} {template:?}\n", raised.message);
            }
            _ => wrong.push(format!(
                "{template:?}\n  want {} {}\n  got  {got:?}",
                row["renders"], row["raises"]
            )),
        }
    }
    println!("{rows} rows, {unsupported} unsupported");
    assert!(
        rows - unsupported >= 500,
        "only {rows} rows, {unsupported} of them not supported"
    );
    assert!(
        unsupported <= 20,
        "{unsupported} of {rows} rows are not supported"
    );
    assert!(
        wrong.is_empty(),
        "{} of {rows} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
