//! The architecture's rules are absences; this reads the sources and checks them.

use std::fs;
use std::path::{Path, PathBuf};

/// Which modules each module may name. A module that is not listed may name any.
const MAY_USE: &[(&str, &[&str])] = &[
    ("cli", &["report"]),
    ("metric", &[]),
    ("number", &[]),
    ("plan", &["cli", "cpu", "log", "event", "report", "files"]),
    ("log", &["files", "process"]),
    ("event", &[]),
    ("sample", &["event", "python"]),
    ("tokenizer", &["python", "jinja", "files", "process"]),
    ("jinja", &["python"]),
    ("cpu", &["process"]),
    ("stats", &["python"]),
    ("report", &["metric", "sample", "stats", "python"]),
    ("export", &["metric", "sample", "files", "python"]),
    ("html", &["metric", "number", "sample", "stats"]),
    (
        "pipeline",
        &[
            "metric",
            "log",
            "event",
            "sample",
            "tokenizer",
            "cpu",
            "stats",
            "report",
            "files",
            "process",
        ],
    ),
    ("terminal", &["number", "plan"]),
    ("files", &["process"]),
    ("process", &[]),
    ("python", &[]),
];

/// A file longer than this has more than one concern.
const MAX_LINES: usize = 700;

fn sources() -> Vec<(PathBuf, String)> {
    fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test(&path)
            {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path, text));
            }
        }
    }
    let mut files = Vec::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    assert!(files.len() > 40, "the sources were not found");
    files
}

/// Whether a source file is a test module.
fn is_test(path: &Path) -> bool {
    ["tests.rs", "cases.rs", "features.rs"]
        .iter()
        .any(|name| path.ends_with(name))
}

/// The part of a source before its tests.
fn code(text: &str) -> &str {
    text.split("mod tests {").next().unwrap_or(text)
}

fn module(path: &Path) -> String {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let first = path.strip_prefix(src).unwrap().components().next().unwrap();
    first
        .as_os_str()
        .to_str()
        .unwrap()
        .trim_end_matches(".rs")
        .to_owned()
}

#[test]
fn modules_use_only_what_they_may() {
    for (path, text) in sources() {
        let module = module(&path);
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            continue;
        };
        for (number, line) in code(&text).lines().enumerate() {
            for used in line.split("crate::").skip(1) {
                let used: String = used
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let fine = used == module || allowed.contains(&used.as_str());
                assert!(
                    fine,
                    "{}:{}: {module} may not use {used}",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}

#[test]
fn files_stay_short_and_say_why_they_exist() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
        assert!(
            text.starts_with("//!"),
            "{} has no module doc",
            path.display()
        );
    }
}

#[test]
fn main_only_parses_and_runs() {
    let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs");
    assert!(fs::read_to_string(main).unwrap().lines().count() <= 40);
}
