//! Chat templates of any kind: rendering ends, within its limits, twice with the same outcome, and leaves no half text.

use serde_json::json;
use tok_recompute::jinja::runtime::Template;
use tok_recompute::python::value::from_json;
use tok_recompute::tokenizer::chat_template::Limits;

const LIMITS: Limits = Limits {
    fuel: 100_000,
    output_bytes: 1 << 16,
};

pub fn run(data: &[u8]) {
    let Ok(source) = std::str::from_utf8(data) else {
        return;
    };
    let now = jiff::civil::date(2026, 8, 21).at(9, 5, 3, 0);
    let Ok(template) = Template::new(source, now, LIMITS) else {
        return;
    };
    let render = || {
        let mut out = String::from("before");
        let variables = from_json(&json!({
            "messages": [
                {"role": "user", "content": "hé"},
                {"role": "assistant", "content": null, "reasoning_content": " r ", "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": [1, 2.5, "x"]}}}
                ]},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
            "add_generation_prompt": true,
            "bos_token": "<s>",
        }));
        let result = template.render(variables, &mut out);
        (result, out)
    };
    let (result, out) = render();
    assert!(out.len() <= LIMITS.output_bytes + "before".len());
    assert!(out.starts_with("before"));
    if result.is_err() {
        assert_eq!(out, "before", "{source:?}");
    }
    assert_eq!(render(), (result, out), "{source:?}");
}
