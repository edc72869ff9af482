//! Chat templates that loop, recurse, grow or reach out: of a tokenizer, and of a prompt.

use serde_json::json;

use super::{TOK, add_tokenizer, bare, check, check_args, event, session};
use crate::support::read;

const TEMPLATES: [(&str, &str, &str); 11] = [
    (
        "loops in loops",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "could not be counted",
    ),
    (
        "a macro that calls itself",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "RecursionError",
    ),
    (
        "a macro that branches",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(90) }}",
        "could not be counted",
    ),
    (
        "a text that doubles",
        "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
        "could not be counted",
    ),
    (
        "gigabytes, a little at a time",
        "{% for i in range(10000) %}{{ 'abc ' * 100000 }}{% endfor %}",
        "could not be counted",
    ),
    (
        "a power of powers",
        "{{ 10 ** 10 ** 10 }}",
        "could not be counted",
    ),
    (
        "a format of a gigabyte",
        "{{ '%1000000000d' % 1 }}",
        "could not be counted",
    ),
    ("a template that is none", "{% if", "TemplateSyntaxError"),
    ("another file", "{% include '/etc/passwd' %}", ""),
    (
        "Python's insides",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "counted as the client counts them",
    ),
    (
        "an error of its own",
        "{{ raise_exception('no ' * 100000) }}",
        "TemplateError",
    ),
];

#[test]
fn a_prompt_s_own_template() {
    for (name, template, says) in TEMPLATES {
        let messages = json!([{"role": "user", "content": "hello"}]);
        let data = json!(["PromptData", null, null, messages, null, null, template]);
        let run = bare(session(&[event("sample.issued", 10, "s", &data)]));
        let code = if says == "could not be counted" { 3 } else { 0 };
        check(&format!("a prompt's template: {name}"), &run, code, says);
    }
}

#[test]
fn the_tokenizer_s_template() {
    for (name, template, says) in TEMPLATES {
        let prompt = json!(["PromptData", null, null, [{"role": "user", "content": "hello"}]]);
        let output = json!(["TextModelOutput", "x", "because"]);
        let lines: Vec<_> = (0..5)
            .flat_map(|i| {
                let sample = format!("s{i}");
                [
                    event("sample.issued", 10, &sample, &prompt),
                    event("sample.complete", 20, &sample, &output),
                ]
            })
            .collect();
        let run = bare(session(&lines));
        let json = read("tokenizers/chat/tokenizer.json");
        add_tokenizer(&run, json, &json!({"chat_template": template}));
        let code = if says == "could not be counted" { 3 } else { 0 };
        let case = format!("a tokenizer's template: {name}");
        check_args(&case, &run, &TOK, code, says);
    }
}

/// Without a proved split point, counting a text needs about two hundred times its length in memory.
#[test]
fn a_text_too_long_to_count_in_one_piece() {
    let template = "{% for i in range(100) %}{{ 'a' * 100000 }}{% endfor %}";
    let data = json!(["PromptData", null, null, [{"role": "user"}], null, null, template]);
    let run = bare(session(&[event("sample.issued", 10, "s", &data)]));
    check(
        "a rendering of 10 MB in one word",
        &run,
        2,
        "sample s in the line at byte 177: a text of 9 MiB has no split point",
    );
}
