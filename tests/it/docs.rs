//! The documents agree with the program: commands, fields, columns, names of tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Parser;
use serde_json::Value;
use tok_recompute::cli::Cli;
use tok_recompute::export::{COLUMNS, ColumnType};
use tok_recompute::report::check::{Expectations, Tolerances};

use crate::support::{Run, fixture, read};

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The contents of a document's code blocks of one language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let blocks = text.split(fence.as_str()).skip(1);
    blocks
        .filter_map(|rest| Some(rest.split_once("\n```")?.0))
        .collect()
}

/// The words of a shell command, without comments and without commands behind a pipe. Quotes are single ones.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (at, part) in command.split('\'').enumerate() {
        if at % 2 == 1 {
            words.last_mut().unwrap().push_str(part);
            continue;
        }
        let own = part.split(['|', '#']).next().unwrap();
        let mut pieces = own.split(' ');
        words.last_mut().unwrap().push_str(pieces.next().unwrap());
        words.extend(pieces.map(str::to_owned));
        if own.len() < part.len() {
            break;
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn commands_are_accepted() {
    let mut seen = 0;
    for name in [
        "README.md",
        "docs/CI.md",
        "docs/FOLLOWING.md",
        "docs/OUTPUT.md",
    ] {
        let text = document(name).replace("\\\n", " ");
        let lines = text
            .lines()
            .map(|line| line.trim_start().trim_start_matches("$ "));
        for command in
            lines.filter(|line| line.starts_with("tok-recompute ") && !line.contains("<run>"))
        {
            let cli = Cli::try_parse_from(words(command))
                .unwrap_or_else(|e| panic!("{name}: {command}\n{e}"));
            let tolerances = Tolerances::parse(&cli.checking.tolerance).unwrap();
            tolerances.validate(&[]).unwrap();
            seen += 1;
        }
    }
    assert!(seen > 6, "the commands were not found");
}

/// Each release lists the packages of the lock file that are in the binary.
#[test]
fn release_notes_list_what_is_in_the_binary() {
    let notes = |version: &str| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/release-notes");
        let output = Command::new("bash").arg(script).arg(version).output();
        let output = output.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        output.status.success().then_some(text)
    };
    let text = notes("Unreleased").unwrap();
    let (changes, crates) = text.split_once("### What is in the binary").unwrap();
    assert!(changes.starts_with("## Unreleased\n") && changes.contains("\n* "));
    for name in ["fastokens", "tokenizers", "minijinja", "onig_sys"] {
        let line = format!("\n* {name} v");
        assert!(crates.contains(&line), "{name} in {crates}");
    }
    let lock = document("Cargo.lock");
    for line in crates.trim().lines() {
        let [_, name, version, ..] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let version = version.strip_prefix('v').unwrap();
        let locked = format!("name = \"{name}\"\nversion = \"{version}\"");
        assert!(lock.contains(&locked) && line.ends_with(')'), "{line}");
    }
    assert_eq!(notes("0.0.0"), None);
}

/// Each file with unsafe code is a row in the table of the tests that reach it.
#[test]
fn unsafe_code_is_where_the_guarantees_say() {
    fn files_with(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                files_with(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let has = ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"];
                if has.iter().any(|it| text.contains(it)) && !path.ends_with("docs.rs") {
                    found.push(path.display().to_string());
                }
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches", "fixtures"] {
        files_with(&root.join(folder), &mut found);
    }
    let text = document("docs/GUARANTEES.md");
    let (_, table) = text.split_once("### Unsafe code").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let said: Vec<&str> = rows.map(|row| row.split('`').next().unwrap()).collect();
    assert_eq!(said.len(), found.len(), "{said:?} {found:?}");
    for path in found {
        assert!(said.iter().any(|said| path.ends_with(said)), "{path}");
    }
}

/// Returns true if `name` (`module::file` or `module::file::test`) is a file of tests, or a test in one.
fn is_test(name: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let parts: Vec<&str> = name.split("::").collect();
    let (parent, last) = (&parts[..parts.len() - 1], parts[parts.len() - 1]);
    ["src", "tests/it"].iter().any(|folder| {
        let read = |parts: &[&str]| {
            let stem = root.join(folder).join(parts.join("/"));
            let candidates = [stem.with_extension("rs"), stem.join("mod.rs")];
            candidates
                .iter()
                .find_map(|path| fs::read_to_string(path).ok())
        };
        let has_test = |text: String| text.contains(&format!("fn {last}("));
        read(&parts).is_some() || read(parent).is_some_and(has_test)
    })
}

#[test]
fn tests_that_the_guarantees_name_exist() {
    let text = document("docs/GUARANTEES.md");
    let spans = text.split('`').skip(1).step_by(2);
    let is_name = |span: &&str| {
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c);
        span.contains("::") && span.chars().all(is_part)
    };
    let names: Vec<&str> = spans.filter(is_name).collect();
    assert!(names.len() > 60, "{names:?}");
    for name in names {
        assert!(is_test(name), "{name}");
    }
}

#[test]
fn every_column_is_described() {
    let text = document("docs/OUTPUT.md");
    let section = text.split("\n## Samples\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let described: Vec<(&str, &str, bool)> = section
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, name, kind @ ("text" | "integer" | "double"), _, none, _] = cells[..] else {
                return None;
            };
            Some((name.trim_matches('`'), kind, !none.is_empty()))
        })
        .collect();
    let columns: Vec<_> = COLUMNS
        .iter()
        .map(|column| {
            let kind = match column.column_type {
                ColumnType::Integer => "integer",
                ColumnType::Double => "double",
                ColumnType::Text => "text",
            };
            (column.name, kind, column.nullable)
        })
        .collect();
    assert_eq!(described, columns);
}

/// Collects the names of all fields in a document, except those that come from the run.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| fields(item, found)),
        Value::Object(members) => {
            for (name, value) in members {
                found.insert(name.clone());
                if !["by_reason", "run_config"].contains(&name.as_str()) {
                    fields(value, found);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_field_is_described() {
    let text = document("docs/OUTPUT.md");
    let mut found = BTreeSet::new();
    for name in ["result_summary.json", "final_snapshot.json"] {
        let bytes = read(&format!("run_chat_expected/{name}"));
        fields(&serde_json::from_slice(&bytes).unwrap(), &mut found);
    }
    let expect = fixture("check/expect.toml");
    let check = [
        "--check",
        "--tolerance",
        "ttft=any",
        "--expect",
        expect.to_str().unwrap(),
    ];
    for args in [&["--dry-run"][..], &check] {
        let outcome = Run::chat().recompute(&[args, &["--format", "json"]].concat());
        fields(&serde_json::from_str(&outcome.stdout).unwrap(), &mut found);
    }
    let is_percentile = |name: &str| name.parse::<f64>().is_ok();
    let all = found.iter().filter(|name| !is_percentile(name));
    let missing: Vec<&String> = all
        .filter(|name| {
            !text.contains(&format!("`{name}`")) && !text.contains(&format!("\"{name}\""))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(found.len() > 80, "{}", found.len());
}

#[test]
fn files_are_what_they_say() {
    let text = document("docs/CI.md");
    let yaml = blocks(&text, "yaml");
    assert_eq!(yaml.len(), 4);
    for block in yaml {
        let parsed = serde_saphyr::from_str::<serde_json::Value>(block);
        assert!(parsed.is_ok_and(|value| !value.is_string()), "{block}");
    }
    let toml = blocks(&text, "toml");
    assert_eq!(toml.len(), 1);
    Expectations::parse(toml[0]).unwrap().validate(&[]).unwrap();
    for block in blocks(&text, "json") {
        serde_json::from_str::<serde_json::Value>(block).unwrap();
    }
}
