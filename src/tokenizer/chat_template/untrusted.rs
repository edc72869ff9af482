//! Templates that try to use up time or memory. A limit on work refuses each, so the result does not depend on the speed
//! of the machine.

use crate::jinja::limits::{LIMIT, Limits};
use crate::jinja::runtime::Template;
use crate::python::exception::Exception;
use crate::python::value::from_json;

/// A hundredth of the usual fuel: a template that is refused here is also refused there, only later.
const LITTLE: Limits = Limits {
    fuel: 100_000,
    output_bytes: 1 << 20,
};

fn render(template: &str, limits: Limits) -> Result<usize, Exception> {
    let now = jiff::civil::date(2026, 8, 21).at(9, 5, 3, 0);
    let template = Template::new(template, now, limits)?;
    let mut out = String::new();
    template.render(from_json(&serde_json::json!({})), &mut out)?;
    Ok(out.len())
}

/// The exceptions of our limits, then those of Python's.
const KINDS: [&str; 4] = [LIMIT, "Unsupported", "RecursionError", "OverflowError"];

/// Checks that a limit stops each of `cases`.
fn refused(cases: &[(&str, &str)], limits: Limits) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(name, template)| (name, render(template, limits)))
        .filter(|(_, got)| match got {
            Ok(_) => true,
            Err(raised) => !KINDS.contains(&raised.kind),
        })
        .map(|(name, got)| format!("{name}: {got:?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn growth_is_refused() {
    refused(
        &[
            ("repeat", "{{ 'a' * 10**12 }}"),
            ("repeated list", "{{ ([1] * 10**10)|length }}"),
            ("power", "{{ 10 ** 10 ** 10 }}"),
            ("percent width", "{{ '%1000000000d' % 1 }}"),
            ("format width", "{{ '{:1000000000}'.format(1) }}"),
            ("center", "{{ 'a'|center(10**9) }}"),
            ("indent", "{{ 'a\\nb'|indent(10**9) }}"),
            ("ljust", "{{ 'a'.ljust(10**9) }}"),
            ("zfill", "{{ 'a'.zfill(10**10) }}"),
            ("range", "{{ range(10**9)|list|length }}"),
            (
                "doubling",
                "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
            ),
            (
                "nested joins",
                "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s, ns.s]|join(ns.s) %}{% endfor %}{{ ns.s }}",
            ),
            (
                "shared lists printed",
                "{% set ns = namespace(l=[1]) %}{% for i in range(90) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
            ),
            (
                "shared lists as JSON",
                "{% set ns = namespace(l=[1]) %}{% for i in range(90) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|tojson }}",
            ),
            ("format", "{{ ('{0:99999}' * 99999).format(1) }}"),
            (
                "characters",
                "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(22) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s|list|length }}",
            ),
            (
                "replace",
                "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set ns.s = ns.s.replace('a', ns.s) %}{% endfor %}{{ ns.s }}",
            ),
        ],
        Limits::default(),
    );
}

#[test]
fn endless_work_is_refused() {
    refused(
        &[
            (
                "recursive macro",
                "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            ),
            (
                "loops",
                "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
            ),
            (
                "shared lists compared",
                "{% set ns = namespace(l=[1], m=[1]) %}{% for i in range(90) %}{% set ns.l = [ns.l, ns.l] %}{% set ns.m = [ns.m, ns.m] %}{% endfor %}{{ ns.l in [ns.m] }}",
            ),
            (
                "shared lists equal",
                "{% set ns = namespace(l=[1], m=[1]) %}{% for i in range(90) %}{% set ns.l = [ns.l, ns.l] %}{% set ns.m = [ns.m, ns.m] %}{% endfor %}{{ ns.l == ns.m }}",
            ),
            (
                "long text searched",
                "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(10) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{% for i in range(99999) %}{% for j in range(99) %}{{ 'b' in ns.s }}{% endfor %}{% endfor %}",
            ),
            (
                "branching macro",
                "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(90) }}",
            ),
        ],
        LITTLE,
    );
}

#[test]
fn nesting_is_refused() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{'a':", "}"),
        ("not ", ""),
        ("-", ""),
    ] {
        let source = format!(
            "{{{{ {}1{} }}}}",
            open.repeat(100_000),
            close.repeat(100_000)
        );
        refused(&[(open, &source)], LITTLE);
    }
    let blocks = "{% if true %}".repeat(100_000) + &"{% endif %}".repeat(100_000);
    refused(&[("blocks", &blocks)], LITTLE);
}
