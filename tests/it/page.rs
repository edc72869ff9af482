//! `--html` on the fixture runs, and its pages in Chromium where that is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Outcome, Run, copy_folder, read};

const SUMMARY: &str = "performance/result_summary.json";

/// Returns the page that a recompute with these arguments writes.
#[track_caller]
fn page(run: &Run, args: &[&str], code: i32) -> String {
    let args = [&["--html", "page.html"], args].concat();
    let outcome = run.recompute(&args);
    assert_eq!(outcome.code, code, "{outcome:?}");
    text(&run.around().join("page.html"))
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Adds a complete run called `base` beside the run.
fn with_base(run: Run) -> Run {
    let base = run.path("../base");
    copy_folder(&run.dir(), &base);
    fs::write(base.join(SUMMARY), read("run_expected/result_summary.json")).unwrap();
    run
}

fn figures(html: &str) -> usize {
    html.matches("<figure>").count()
}

#[test]
fn a_recompute_writes_its_page_and_the_usual_files() {
    let run = Run::text();
    let html = page(&run, &[], 0);
    assert_eq!(run.bytes(SUMMARY), read("run_expected/result_summary.json"));
    assert_eq!(run.record()["written"][1], "page.html");
    assert_eq!(figures(&html), 10);
    for shown in [
        "Complete:",
        ">before<",
        "was 1,113",
        "fixtures",
        "Finish reasons: stop 28",
        "<dt>Client</dt><dd>2026-",
    ] {
        assert!(html.contains(shown), "{shown}");
    }
    // The summary before is now the same.
    let again = page(&run, &[], 0);
    assert!(!again.contains(">before<") && !again.contains("was 1,113"));
}

#[test]
fn a_page_does_not_depend_on_how_the_run_was_counted() {
    let pages = [
        &["--threads", "1"][..],
        &["--threads", "4", "--block-size", "1"],
        &["--engine", "tokenizers"],
    ]
    .map(|args| {
        let run = Run::chat();
        let html = page(&run, &[args, &["--dry-run"]].concat(), 0);
        // The page names the engine and the folder, which differ.
        let (before, after) = html.split_once("<dt>Engine</dt>").unwrap();
        let page = format!("{before}{}", after.split_once("</dd>").unwrap().1);
        page.replace(&run.around().display().to_string(), "")
    });
    assert!(pages[0] == pages[1] && pages[0] == pages[2]);
}

#[test]
fn a_dry_run_writes_only_the_page() {
    let run = Run::text();
    let before = run.files();
    let outcome = run.recompute(&["--dry-run", "--html", "page.html"]);
    assert_eq!(outcome.code, 0);
    assert!(run.files() == before);
    assert!(
        outcome.stdout.ends_with("written: page.html\n"),
        "{outcome:?}"
    );
}

#[test]
fn an_incomplete_run_says_so_on_its_page() {
    let run = Run::text();
    let log = String::from_utf8(run.bytes("events.jsonl")).unwrap();
    let half = &log[..log.len() / 2];
    run.write("events.jsonl", half);
    let html = page(&run, &["--dry-run"], 3);
    for shown in [
        "Incomplete (interrupted)",
        "no session.ended",
        "damaged lines: ",
    ] {
        assert!(html.contains(shown), "{shown}");
    }
}

#[test]
fn a_check_is_on_its_page() {
    let run = with_base(Run::text());
    let html = page(&run, &["--check", "--against", "base"], 0);
    for shown in [
        "same as base in all",
        "<span class=\"swatch b\"></span>baseline: base",
    ] {
        assert!(html.contains(shown), "{shown}");
    }
    let html = page(&run, &["--check"], 1);
    for shown in [
        "<h2>Check</h2>",
        "fields differ from its own summary",
        "<td>incomplete</td>",
    ] {
        assert!(html.contains(shown), "{shown}");
    }
    assert!(!html.contains("swatch b"));
}

#[test]
fn the_steady_state_is_on_the_page_of_a_run_that_asks_for_it() {
    let run = Run::text();
    let asked = [
        "--dry-run",
        "--client",
        "2026-09-24",
        "--steady-state",
        "on",
        "--superpass",
        "10",
    ];
    let html = page(&run, &asked, 0);
    // The run has six super-passes and is far shorter than a steady state.
    for shown in [
        "<h2>Steady state</h2>",
        "Not found: ",
        "The run has 6 of them",
        "The super-passes of the run",
    ] {
        assert!(html.contains(shown), "{shown}");
    }
    assert_eq!(figures(&html), 12);
}

#[test]
fn two_runs_are_shown_together() {
    let run = with_base(Run::text());
    let curves = |html: &str| html.matches("class=\"l b\"").count();
    let both = page(&run, &["--dry-run", "--against", "base"], 0);
    assert!(curves(&both) >= 10, "{}", curves(&both));
    // A summary alone has distributions, but no samples.
    let summary = page(
        &run,
        &["--dry-run", "--against", &format!("base/{SUMMARY}")],
        0,
    );
    assert_eq!(curves(&summary), 5);
    // The baseline must not change how the run is counted.
    let alone = page(&run, &["--dry-run"], 0);
    let facts = |html: &str| html.split_once("<footer>").unwrap().1.to_owned();
    assert_eq!(facts(&both), facts(&alone));
    let refused = run.recompute(&["--dry-run", "--against", "base"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--html"), "{}", refused.stderr);
}

#[test]
fn a_baseline_that_cannot_be_counted_shows_its_summary() {
    let run = with_base(Run::text());
    run.write("../base/events.jsonl", "");
    let outcome = run.recompute(&["--dry-run", "--html", "page.html", "--against", "base"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("only the summary of base is shown: "),
        "{}",
        outcome.stderr
    );
}

/// Returns the numbers of the page's table of that name, row by row.
fn numbers(html: &str, table: &str) -> Vec<Vec<f64>> {
    let (_, rest) = html.split_once(&format!("aria-label=\"{table}\"")).unwrap();
    let (_, body) = rest.split_once("<tbody>").unwrap();
    let (body, _) = body.split_once("</tbody>").unwrap();
    let number = |cell: &str| {
        let text: String = cell.chars().filter(|c| !", %".contains(*c)).collect();
        text.parse().unwrap_or(f64::NAN)
    };
    let row = |row: &str| {
        let cells = row.split("</t").filter_map(|cell| cell.rsplit_once('>'));
        cells
            .map(|(_, text)| text)
            .filter(|text| !text.is_empty())
            .map(number)
            .collect()
    };
    body.lines()
        .filter(|line| line.starts_with("<tr"))
        .map(row)
        .collect()
}

#[test]
fn figures_are_those_of_the_samples() {
    let run = Run::text();
    let html = page(&run, &["--dry-run", "--samples", "rows.csv"], 0);
    let mut rows = csv::Reader::from_path(run.around().join("rows.csv")).unwrap();
    let samples: Vec<std::collections::HashMap<String, String>> =
        rows.deserialize().map(Result::unwrap).collect();
    let value = |sample: &std::collections::HashMap<String, String>, column: &str| {
        sample[column].parse::<f64>().ok()
    };
    for (metric, column, per) in [
        ("TTFT", "ttft_ns", 1e6),
        ("TPOT", "tpot_ns", 1e3),
        ("latency", "latency_ns", 1e6),
        ("ISL", "isl", 1.0),
        ("OSL", "osl", 1.0),
    ] {
        let values: Vec<f64> = samples
            .iter()
            .filter_map(|sample| value(sample, column))
            .map(|v| v / per)
            .collect();
        let bins = numbers(&html, &format!("Histogram of {metric}"));
        assert!(!bins.is_empty() && values.len() > 50);
        for bin in &bins {
            let [from, below, count, _] = bin[..] else {
                panic!("{bin:?}")
            };
            let inside = values.iter().filter(|v| (from..below).contains(*v)).count();
            assert!(
                (count - inside as f64).abs() < 0.5,
                "{metric} from {from} to {below}"
            );
        }
        let total: f64 = bins.iter().map(|bin| bin[2]).sum();
        assert_eq!(
            (total, bins.last().unwrap()[3]),
            (values.len() as f64, 100.0),
            "{metric}"
        );
    }
    let both = samples
        .iter()
        .filter(|s| value(s, "osl").and(value(s, "latency_ns")).is_some())
        .count();
    let classes = numbers(&html, "Latency in ms by OSL");
    let drawn: f64 = classes.iter().map(|class| class[2]).sum();
    assert!((drawn - both as f64).abs() < 0.5, "{drawn} of {both}");
    let bins = numbers(&html, "The run over time");
    let completed = samples
        .iter()
        .filter(|s| value(s, "complete_ns").is_some())
        .count() as f64;
    let starts: Vec<f64> = bins.iter().map(|bin| bin[0]).collect();
    let width = (starts[2] - starts[1]).max(0.01);
    let seen: f64 = bins.iter().map(|bin| bin[2] * width).sum();
    assert!(
        (seen / completed - 1.0).abs() < 0.3,
        "{seen} of {completed}"
    );
}

/// Recomputes several runs beside each other.
fn several(run: &Run, args: &[&str]) -> Outcome {
    let tokenizer = run.tokenizer();
    let fixed = [
        "--tokenizer",
        tokenizer.to_str().unwrap(),
        "--html",
        "all.html",
    ];
    run.command(&[&fixed[..], args].concat(), b"")
}

#[test]
fn several_runs_have_an_index() {
    let run = with_base(Run::text());
    run.make_folder("../empty");
    let outcome = several(&run, &["run", "base", "empty", "--dry-run"]);
    assert_eq!(outcome.code, 2);
    let index = text(&run.around().join("all.html"));
    for shown in [
        "<h1>3 runs</h1>",
        "href=\"all.runs/1-run.html\">run<",
        "href=\"all.runs/2-base.html\">base<",
        "✗ no event log in empty",
    ] {
        assert!(index.contains(shown), "{shown}");
    }
    for page in ["1-run.html", "2-base.html"] {
        let html = text(&run.around().join("all.runs").join(page));
        assert_eq!(figures(&html), 10);
        assert!(html.contains("<a href=\"../all.html\">All runs</a>"));
    }
    assert_eq!(several(&run, &["run", "base", "--check"]).code, 1);
    let index = text(&run.around().join("all.html"));
    assert!(
        index.contains("✓ same as its own summary") && index.contains("✗ different (incomplete"),
        "{index}"
    );
}

#[test]
fn only_pages_are_overwritten() {
    let run = with_base(Run::text());
    let before = run.files();
    for foreign in ["run/report.txt", "run/sample_idx_map.json"] {
        let outcome = run.recompute(&["--html", foreign]);
        assert_eq!(outcome.code, 2);
        assert!(
            outcome.stderr.contains("is not a page of tok-recompute"),
            "{}",
            outcome.stderr
        );
    }
    fs::create_dir(run.around().join("all.runs")).unwrap();
    fs::write(run.around().join("all.runs/1-run.html"), "<h1>mine</h1>").unwrap();
    assert_eq!(several(&run, &["run", "base"]).code, 2);
    assert_eq!(
        text(&run.around().join("all.runs/1-run.html")),
        "<h1>mine</h1>"
    );
    let missing = run.recompute(&["--dry-run", "--html", "no/such/page.html"]);
    assert_eq!(missing.code, 2);
    assert!(
        missing.stderr.contains("cannot write no/such/page.html"),
        "{}",
        missing.stderr
    );
    let folder = run.recompute(&["--dry-run", "--html", "run"]);
    assert_eq!(folder.code, 2);
    fs::write(run.around().join("page.html"), "").unwrap();
    assert_eq!(figures(&page(&run, &["--dry-run"], 0)), 10);
    // A run whose page cannot be written is not rewritten either.
    assert!(run.files() == before);
}

/// Returns Chromium and the folder of node packages, or says what is missing.
fn browser() -> Result<(PathBuf, PathBuf), String> {
    let found = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|file| file.is_file())
    };
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let chromium = named.or_else(|| {
        ["chromium", "chromium-browser", "google-chrome"]
            .into_iter()
            .find_map(found)
    });
    let chromium = chromium.ok_or("no Chromium (in PATH, or named by CHROMIUM)")?;
    found("node").ok_or("no node in PATH")?;
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/node_modules");
    let packages = std::env::var_os("NODE_PATH").map_or(packages, PathBuf::from);
    for package in ["playwright-core", "axe-core"] {
        if !packages.join(package).is_dir() {
            return Err(format!(
                "no {package} in {} (tests/page/setup installs it)",
                packages.display()
            ));
        }
    }
    Ok((chromium, packages))
}

#[test]
fn pages_pass_the_checks_in_chromium() {
    let (chromium, packages) = match browser() {
        Ok(found) => found,
        Err(missing) if std::env::var_os("PAGE_CHECK").is_none_or(|how| how != "must") => {
            eprintln!("skipped: {missing}");
            return;
        }
        Err(missing) => panic!("{missing}"),
    };
    let run = with_base(Run::text());
    page(&run, &["--dry-run"], 0);
    fs::rename(
        run.around().join("page.html"),
        run.around().join("alone.html"),
    )
    .unwrap();
    page(
        &run,
        &[
            "--check",
            "--against",
            "base",
            "--tolerance",
            "*=0",
            "--tokenizer-rules",
            "file",
        ],
        0,
    );
    several(&run, &["run", "base", "missing", "--dry-run"]);
    let shots = std::env::var("PAGE_SHOTS").unwrap_or("-".to_owned());
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/check.mjs");
    let output = Command::new("node")
        .arg(check)
        .arg(chromium)
        .arg(shots)
        .args(["alone.html", "page.html", "all.html"])
        .current_dir(run.around())
        .env("NODE_PATH", packages)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{failed}");
}
