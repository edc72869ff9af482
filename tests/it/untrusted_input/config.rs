//! config.yaml and summaries with invalid, huge or misleading content.

use super::{bare, check_args, prompt, session};
use crate::support::Run;

fn run() -> Run {
    bare(session(&[prompt("s", "hello")]))
}

#[track_caller]
fn check(name: &str, yaml: impl AsRef<[u8]>, code: i32, says: &str) {
    let run = run();
    run.write("config.yaml", yaml);
    super::check(name, &run, code, says);
}

#[test]
fn exploding_yaml_is_not_used() {
    let unused = "is not a configuration and was not used";
    let mut laughs = String::from("a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (before, it) in ('a'..'l').zip('b'..) {
        let nine = vec![format!("*{before}"); 9].join(",");
        laughs += &format!("{it}: &{it} [{nine}]\n");
    }
    check("a billion laughs", laughs, 0, unused);
    let mut merges = String::from("a0: &a0 {x: 1}\n");
    for i in 1..40 {
        merges += &format!("a{i}: &a{i} {{<<: *a{0}, k{i}: *a{0}}}\n", i - 1);
    }
    check("merge keys that double", merges, 0, unused);
    check("an anchor in itself", "a: &a [*a]\n", 0, unused);
    check(
        "flow sequences nested 100,000 times",
        "[".repeat(100_000),
        0,
        unused,
    );
    check(
        "flow mappings nested 50,000 times",
        "{a: ".repeat(50_000),
        0,
        unused,
    );
    let blocks: String = (0..2000).map(|depth| " ".repeat(depth) + "a:\n").collect();
    check("blocks nested 2,000 times", blocks, 0, unused);
    let keys: String = (0..300_000).fold(String::new(), |keys, key| keys + &format!("k{key}: 1\n"));
    check("300,000 keys", keys, 0, unused);
    check("100,000 documents", "---\n".repeat(100_000), 0, unused);
}

#[test]
fn invalid_yaml_is_not_used() {
    let unused = "is not a configuration and was not used";
    check("NUL in config.yaml", "a: \0\n", 0, unused);
    check("Latin-1 in config.yaml", b"a: \xff\n", 0, unused);
    check(
        "a tag that names a program",
        "!!python/object/apply:os.system [touch owned]\n",
        0,
        unused,
    );
    check("an empty config.yaml", "", 0, unused);
    check(
        "a config.yaml of 65 MiB",
        vec![b'#'; 65 << 20],
        2,
        "config.yaml is larger than 64 MiB",
    );
    check(
        "values of wrong types",
        "model_params: [1]\nsettings: {load_pattern: 7, warmup: [], early_stopping: x}\ntype: {}\n",
        0,
        "",
    );
}

/// A tokenizer may be in any folder, as models are. The program only reads there.
#[test]
fn a_tokenizer_s_name_is_only_a_place_to_read() {
    let names = [
        (
            "../../../../../../etc",
            "no tokenizer.json in ../../../../../../etc",
        ),
        ("/etc/passwd", "tokenizer.json is not valid JSON"),
        ("/dev/zero", "/dev/zero is not a regular file"),
        ("/dev/stdin", "/dev/stdin is not a regular file"),
        ("file:///etc/passwd", "no tokenizer"),
        ("a/../../b", "no tokenizer"),
        ("a\\0b", "no tokenizer"),
        ("", "no tokenizer"),
        ("~", "no tokenizer"),
        ("-", "no tokenizer"),
        (".", "no tokenizer.json"),
    ];
    for (name, says) in names {
        let run = run();
        run.write(
            "config.yaml",
            format!("model_params: {{name: \"{name}\"}}\n"),
        );
        let case = format!("the tokenizer {name:?} in config.yaml");
        check_args(&case, &run, &["run"], 2, says);
    }
    let long = "x".repeat(100_000);
    let run = run();
    run.write("config.yaml", format!("model_params: {{name: {long}}}\n"));
    let case = "a tokenizer's name of 100,000 bytes";
    check_args(case, &run, &["run"], 2, "cannot load the tokenizer");
}

#[test]
fn invalid_summaries_are_left_unchanged() {
    let check = |name: &str, summary: Vec<u8>, code: i32, says: &str| {
        let run = run();
        run.write("result_summary.json", summary);
        super::check(name, &run, code, says);
    };
    let none = "is not a summary";
    check(
        "a summary nested 100,000 times",
        b"[".repeat(100_000),
        2,
        none,
    );
    check(
        "a summary with an object nested",
        format!("{{\"a\":{}", "{\"a\":".repeat(100_000)).into_bytes(),
        2,
        none,
    );
    check("a summary that is a list", b"[]".to_vec(), 2, none);
    check(
        "a summary with invalid UTF-8",
        b"{\"a\":\"\xff\"}".to_vec(),
        2,
        none,
    );
    check("a summary of NULs", vec![0; 1000], 2, none);
    check("an empty summary", Vec::new(), 2, none);
    check(
        "a summary of 65 MiB",
        vec![b' '; 65 << 20],
        2,
        "is larger than 64 MiB",
    );
    let keys: Vec<_> = (0..20_000).map(|i| format!("\"k{i}\":1e400")).collect();
    check(
        "a summary with numbers beyond doubles",
        format!("{{{}}}", keys.join(",")).into_bytes(),
        2,
        none,
    );
    let keys: Vec<_> = (0..20_000).map(|i| format!("\"k{i}\":{i}")).collect();
    check(
        "a summary with 20,000 keys",
        format!("{{{}}}", keys.join(",")).into_bytes(),
        0,
        "",
    );
}
