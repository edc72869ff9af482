//! Real chat templates against Jinja2 itself.

use serde_json::{Value, json};

use super::features::{render, same_kind};

/// Renders every `*.jinja` of the folder `TEMPLATE_CORPUS` for every conversation. Beside each template lies the
/// `*.rendered` that `fixtures/template/make.py FOLDER` writes with Jinja2.
#[test]
fn corpus() {
    let Ok(folder) = std::env::var("TEMPLATE_CORPUS") else {
        return;
    };
    let read = |path: &std::path::Path| -> Vec<Value> {
        serde_json::from_slice(&std::fs::read(path).expect("file")).expect("JSON")
    };
    let conversations = read("fixtures/template/conversations.json".as_ref());
    let (mut count, mut wrong) = (0, Vec::new());
    for path in glob::glob(&format!("{folder}/*.jinja")).expect("pattern") {
        let path = path.expect("file");
        let source = std::fs::read_to_string(&path).expect("template");
        for (at, want) in read(&path.with_extension("rendered")).iter().enumerate() {
            count += 1;
            let got = render(&source, &conversations[at]);
            let same = match (&got, want["raises"].as_str()) {
                (Ok(text), _) => want["renders"] == json!(text),
                (Err(raised), Some(kind)) => same_kind(raised.kind, kind),
                _ => false,
            };
            if !same {
                wrong.push(format!(
                    "{} {at}\n  want {want}\n  got  {got:?}",
                    path.display()
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
