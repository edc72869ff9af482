//! Real chat templates, rendered before and after a change.

use super::features::render;

/// Renders every `*.jinja` of the folder `TEMPLATE_CORPUS` for every conversation, and compares the results with the
/// `*.rendered` file beside the template. The first run writes that file.
#[test]
fn corpus() {
    let Ok(folder) = std::env::var("TEMPLATE_CORPUS") else {
        return;
    };
    let conversations = std::fs::read("fixtures/template/conversations.json").expect("file");
    let conversations: Vec<serde_json::Value> =
        serde_json::from_slice(&conversations).expect("JSON");
    let now = jiff::civil::date(2026, 8, 21).at(9, 5, 3, 42_000);
    let mut changed = Vec::new();
    for path in glob::glob(&format!("{folder}/*.jinja")).expect("pattern") {
        let path = path.expect("file");
        let source = std::fs::read_to_string(&path).expect("template");
        let results: Vec<_> = conversations
            .iter()
            .map(|variables| render(&source, variables, now).map_err(|e| e.to_string()))
            .collect();
        let results = serde_json::to_string_pretty(&results).expect("JSON");
        let recorded = path.with_extension("rendered");
        match std::fs::read_to_string(&recorded) {
            Ok(before) if before == results => {}
            Ok(_) => changed.push(path),
            Err(_) => std::fs::write(recorded, results).expect("folder is writable"),
        }
    }
    assert!(changed.is_empty(), "{changed:#?}");
}
