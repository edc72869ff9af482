//! `--samples`: one row for each sample, the same rows in both formats, and their figures are those of the report.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use parquet::basic::{Compression, Repetition};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};
use tok_recompute::export::COLUMNS;

use crate::support::{Run, fixture, read};

/// The rows of a table: fields by column name, without the empty ones.
type Rows = Vec<BTreeMap<String, String>>;

fn from_csv(bytes: &[u8]) -> Rows {
    let mut reader = csv::Reader::from_reader(bytes);
    let header = reader.headers().unwrap().clone();
    let records = reader.records().map(Result::unwrap);
    let fields = |record: csv::StringRecord| {
        let pairs = header.iter().zip(record.iter());
        let some = pairs.filter(|(_, value)| !value.is_empty());
        some.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    records.map(fields).collect()
}

fn from_parquet(path: &Path) -> Rows {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap);
    let text = |field: &Field| match field {
        Field::Null => None,
        Field::Long(value) => Some(value.to_string()),
        Field::Double(value) => Some(value.to_string()),
        Field::Str(value) => Some(value.clone()),
        other => panic!("{other:?}"),
    };
    rows.map(|row| {
        let columns = row.get_column_iter();
        columns
            .filter_map(|(name, field)| Some((name.clone(), text(field)?)))
            .collect()
    })
    .collect()
}

/// The rows with their doubles printed by Rust.
fn normalized(mut rows: Rows) -> Rows {
    for row in &mut rows {
        for (name, value) in row.iter_mut().filter(|(name, _)| is_double(name)) {
            *value = value
                .parse::<f64>()
                .unwrap_or_else(|e| panic!("{name}: {e}"))
                .to_string();
        }
    }
    rows
}

fn is_double(name: &str) -> bool {
    ["tpot_ns", "tpot_by_osl_ns", "chunk_delta_mean_ns"].contains(&name)
}

/// Runs with `--samples` in both formats, checks that they have the same rows, and returns the CSV.
fn samples(run: &Run, args: &[&str], code: i32) -> String {
    for name in ["rows.csv", "rows.parquet"] {
        let outcome = run.recompute(&[args, &["--samples", name]].concat());
        assert_eq!(outcome.code, code, "{args:?}: {outcome:?}");
    }
    let csv = fs::read(run.around().join("rows.csv")).unwrap();
    let parquet = from_parquet(&run.around().join("rows.parquet"));
    assert_eq!(normalized(from_csv(&csv)), parquet, "{args:?}");
    String::from_utf8(csv).unwrap()
}

/// The names of the files beside the run.
fn beside(run: &Run) -> Vec<String> {
    let entries = fs::read_dir(run.around()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name != "run").collect();
    names.sort();
    names
}

#[test]
fn rows_are_the_recorded_ones_however_they_are_counted() {
    for (run, name) in [(Run::text(), "run"), (Run::chat(), "run_chat")] {
        let expected = String::from_utf8(read(&format!("samples/{name}.csv"))).unwrap();
        let before = run.files();
        let mut bytes = None;
        for args in [
            &["--dry-run"][..],
            &["--dry-run", "--threads", "1"],
            &["--dry-run", "--threads", "5", "--block-size", "2"],
            &["--dry-run", "--engine", "tokenizers"],
            &["--dry-run", "--max-memory", "4GiB"],
        ] {
            assert_eq!(samples(&run, args, 0), expected, "{name} {args:?}");
            let parquet = fs::read(run.around().join("rows.parquet")).unwrap();
            assert_eq!(bytes.get_or_insert(parquet.clone()), &parquet, "{args:?}");
        }
        // A check writes the same rows, even if it finds differences.
        assert_eq!(samples(&run, &["--check"], 1), expected);
        assert_eq!(run.files(), before);
        assert_eq!(beside(&run), ["rows.csv", "rows.parquet"]);

        let outcome = run.recompute(&["--samples", "rows.csv"]);
        assert!(
            outcome.stdout.contains("result_summary.json, rows.csv\n"),
            "{outcome:?}"
        );
        assert_eq!(run.record()["written"][1], "rows.csv");
        assert_eq!(
            fs::read_to_string(run.around().join("rows.csv")).unwrap(),
            expected
        );
    }
}

#[test]
fn compressed_logs_and_stdin_have_the_same_rows() {
    let run = Run::text();
    let log = run.bytes("events.jsonl");
    let expected = String::from_utf8(read("samples/run.csv")).unwrap();
    run.write(
        "events.jsonl.zst",
        zstd::encode_all(log.as_slice(), 0).unwrap(),
    );
    run.remove("events.jsonl");
    assert_eq!(samples(&run, &["--dry-run"], 0), expected);
    let tokenizer = run.tokenizer();
    let args = [
        "-",
        "--dry-run",
        "--samples",
        "stdin.csv",
        "--tokenizer",
        tokenizer.to_str().unwrap(),
    ];
    let outcome = run.command(&args, &log);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(
        fs::read_to_string(run.around().join("stdin.csv")).unwrap(),
        expected
    );
}

/// The numbers of a column, in the order of the rows.
fn numbers(rows: &Rows, column: &str) -> Vec<f64> {
    let values = rows.iter().filter_map(|row| row.get(column));
    values.map(|value| value.parse().unwrap()).collect()
}

/// The figures of a series in the summary, computed from its values.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index"
)]
fn figures(values: &[f64]) -> BTreeMap<&'static str, f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let total: f64 = values.iter().sum();
    let at = |p: f64| sorted[(p / 100.0 * (sorted.len() - 1) as f64) as usize];
    BTreeMap::from([
        ("total", total),
        ("min", sorted[0]),
        ("max", at(100.0)),
        ("avg", total / sorted.len() as f64),
        ("median", at(50.0)),
        ("99.9", at(99.9)),
        ("99.0", at(99.0)),
        ("90.0", at(90.0)),
        ("1.0", at(1.0)),
    ])
}

#[test]
fn rows_add_up_to_the_report() {
    for name in ["run", "run_chat"] {
        let rows = from_csv(&read(&format!("samples/{name}.csv")));
        let summary: Value =
            serde_json::from_slice(&read(&format!("{name}_expected/result_summary.json"))).unwrap();
        let series = [
            ("ttft_ns", "ttft"),
            ("tpot_ns", "tpot"),
            ("latency_ns", "latency"),
            ("isl", "input_sequence_lengths"),
            ("osl", "output_sequence_lengths"),
        ];
        for (column, metric) in series {
            let stated = &summary[metric];
            for (figure, value) in figures(&numbers(&rows, column)) {
                let expected = stated.get(figure).unwrap_or(&stated["percentiles"][figure]);
                assert_eq!(Some(value), expected.as_f64(), "{name} {metric}.{figure}");
            }
        }
        let count = |column: &str| rows.iter().filter(|row| row.contains_key(column)).count();
        assert_eq!(json!(rows.len()), summary["n_samples_issued"]);
        assert_eq!(json!(count("complete_ns")), summary["n_samples_completed"]);
        for (reason, expected) in summary["finish_reason_counts"].as_object().unwrap() {
            let of = |row: &&BTreeMap<_, _>| row.get("finish_reason") == Some(reason);
            assert_eq!(
                &json!(rows.iter().filter(of).count()),
                expected,
                "{name} {reason}"
            );
        }
        let snapshot: Value =
            serde_json::from_slice(&read(&format!("{name}_expected/final_snapshot.json"))).unwrap();
        let metric = |name: &str| {
            let metrics = snapshot["metrics"].as_array().unwrap();
            metrics
                .iter()
                .find(|metric| metric["name"] == name)
                .unwrap()
                .clone()
        };
        let sum = |column| numbers(&rows, column).iter().sum::<f64>();
        assert_eq!(
            Some(sum("errors")),
            metric("tracked_samples_failed")["value"].as_f64()
        );
        let deltas = metric("chunk_delta_ns");
        assert_eq!(
            Some(sum("chunk_delta_sum_ns")),
            deltas["total"].as_f64(),
            "{deltas}"
        );
        let chunks: f64 = rows
            .iter()
            .filter_map(|row| row.get("chunks"))
            .map(|chunks| (chunks.parse::<f64>().unwrap() - 1.0).max(0.0))
            .sum();
        assert_eq!(Some(chunks), deltas["count"].as_f64());
    }
}

#[test]
fn a_discarded_pass_leaves_no_rows() {
    if !cfg!(debug_assertions) {
        return;
    }
    let run = Run::text();
    let tokenizer = run.tokenizer();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tok-recompute"));
    command.args([
        "run",
        "--dry-run",
        "--threads",
        "1",
        "--samples",
        "rows.csv",
        "--tokenizer",
    ]);
    let outcome = command
        .arg(tokenizer)
        .current_dir(run.around())
        .env("TOK_RECOMPUTE_FAULT", "count.text:100:panic")
        .output()
        .unwrap();
    let stderr = String::from_utf8(outcome.stderr).unwrap();
    assert!(
        stderr.contains("recounting everything with tokenizers"),
        "{stderr}"
    );
    assert_eq!(outcome.status.code(), Some(0));
    assert_eq!(
        fs::read(run.around().join("rows.csv")).unwrap(),
        read("samples/run.csv")
    );
}

#[test]
fn a_run_that_fails_leaves_no_file() {
    let run = Run::text();
    // A log without an event, after rows were expected.
    run.write("events.jsonl", "{}\n");
    let outcome = run.recompute(&["--samples", "rows.csv"]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(beside(&run).is_empty());

    let run = Run::text();
    let outcome = run.recompute(&["--samples", "no/such/rows.csv"]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(
        outcome.stderr.contains("cannot write no/such/rows.csv"),
        "{outcome:?}"
    );
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    if !cfg!(debug_assertions) {
        return;
    }
    let run = Run::text();
    fs::write(run.around().join("rows.csv"), "old").unwrap();
    for (point, what) in [
        ("write.draft", "28"),
        ("write.sync", "5"),
        ("pipeline.record", "kill"),
    ] {
        let outcome = Command::new(env!("CARGO_BIN_EXE_tok-recompute"))
            .args([
                "run",
                "--dry-run",
                "--tokenizer",
                "none",
                "--samples",
                "rows.csv",
            ])
            .current_dir(run.around())
            .env("TOK_RECOMPUTE_FAULT", format!("{point}:1:{what}"))
            .output()
            .unwrap();
        let stderr = String::from_utf8(outcome.stderr).unwrap();
        let code = (what != "kill").then_some(2);
        assert_eq!(outcome.status.code(), code, "{point}: {stderr}");
        assert!(
            code.is_none() || stderr.contains("cannot write rows.csv"),
            "{stderr}"
        );
        assert_eq!(beside(&run), ["rows.csv"], "{point}");
        assert_eq!(
            fs::read_to_string(run.around().join("rows.csv")).unwrap(),
            "old"
        );
    }
}

/// A log made of tuples: kind, time, sample, and further members of the line.
fn log(events: &[(&str, i64, &str, &str)]) -> String {
    let line = |&(kind, timestamp_ns, uuid, more): &(&str, i64, &str, &str)| {
        let uuid = json!(uuid);
        let start = format!(
            r#"{{"event_type":"{kind}","timestamp_ns":{timestamp_ns},"sample_uuid":{uuid}"#
        );
        format!(
            "{start}{}{more}}}\n",
            if more.is_empty() { "" } else { "," }
        )
    };
    events.iter().map(line).collect()
}

/// Checks some columns of the rows of a log.
fn check_with(
    code: i32,
    events: &[(&str, i64, &str, &str)],
    columns: &[&str],
    expected: &[&[&str]],
) {
    let run = Run::empty();
    run.write("events.jsonl", log(events));
    let csv = samples(&run, &["--dry-run"], code);
    let rows = from_csv(csv.as_bytes());
    let got: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| {
            let values = columns.iter().map(|column| row.get(*column));
            values
                .map(|value| value.map_or("", String::as_str))
                .collect()
        })
        .collect();
    assert_eq!(got, expected, "{events:?}");
    assert_eq!(csv.lines().next(), Some(header().as_str()));
}

fn check(events: &[(&str, i64, &str, &str)], columns: &[&str], expected: &[&[&str]]) {
    check_with(0, events, columns, expected);
}

fn header() -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    names.join(",")
}

const START: (&str, i64, &str, &str) = ("session.start_performance_tracking", 0, "", "");
const END: (&str, i64, &str, &str) = ("session.ended", 1000, "", "");
const PROMPT: &str = r#""data":["PromptData",null,[1,2,3],null,null,null,null,null]"#;

#[test]
fn unusual_samples_have_rows_too() {
    // Without samples, and without tracked samples.
    check(&[END], &["uuid"], &[]);
    check(
        &[
            ("sample.issued", 1, "a", PROMPT),
            ("sample.complete", 2, "a", ""),
            END,
        ],
        &["uuid"],
        &[],
    );
    // Nothing but errors.
    check(
        &[
            START,
            ("sample.issued", 1, "a", ""),
            ("error.client", 2, "a", r#""data":["ErrorData","x","y"]"#),
            ("error.generic", 3, "", ""),
            ("error.generic", 4, "b", ""),
            (
                "sample.complete",
                5,
                "a",
                r#""data":["TextModelOutput",""]"#,
            ),
            END,
        ],
        &[
            "uuid",
            "errors",
            "latency_ns",
            "isl",
            "osl",
            "tpot_ns",
            "osl_counted_as",
        ],
        &[&["a", "1", "4", "", "", "", ""]],
    );
}

#[test]
fn names_and_labels_are_kept_as_they_are() {
    // Names and labels of any kind. A worker or turn beyond 64 bits is left out.
    check(
        &[
            START,
            (
                "sample.issued",
                1,
                "a,\"b\"\r\n\u{1F980}",
                r#""conversation_id":"c\n","turn":2"#,
            ),
            (
                "sample.complete",
                2,
                "a,\"b\"\r\n\u{1F980}",
                r#""worker_id":-1,"finish_reason":"odd""#,
            ),
            ("sample.issued", 3, " ", r#""turn":111111111111111111111"#),
            (
                "sample.complete",
                4,
                " ",
                r#""worker_id":9223372036854775808"#,
            ),
            END,
        ],
        &[
            "uuid",
            "conversation_id",
            "turn",
            "worker_id",
            "finish_reason",
        ],
        &[
            &["a,\"b\"\r\n\u{1F980}", "c\n", "2", "-1", "other"],
            &[" ", "", "", "", ""],
        ],
    );
}

#[test]
fn rows_stand_in_the_order_of_the_log() {
    // Unfinished samples come last. A sample that is issued again has two rows. Negative times stay.
    check(
        &[
            START,
            ("sample.issued", 9, "u", PROMPT),
            ("sample.issued", 5, "a", PROMPT),
            ("sample.issued", 10, "a", PROMPT),
            ("sample.recv_first", 7, "a", ""),
            ("sample.recv_non_first", 8, "a", ""),
            (
                "sample.complete",
                6,
                "a",
                r#""data":["TextModelOutput",["x","x","x"]]"#,
            ),
            ("sample.complete", 7, "a", ""),
            END,
        ],
        &[
            "uuid",
            "issued_ns",
            "ttft_ns",
            "latency_ns",
            "isl",
            "isl_counted_as",
            "osl_counted_as",
            "chunks",
            "chunk_delta_mean_ns",
        ],
        &[
            &["a", "5", "", "", "3", "ids", "", "0", ""],
            &["a", "10", "-3", "-4", "3", "ids", "text", "2", "1.0"],
            &["u", "9", "", "", "3", "ids", "", "0", ""],
        ],
    );
}

#[test]
fn times_may_be_of_any_size() {
    // A time difference that does not fit 64 bits is left out, and TPOT is never infinite.
    check_with(
        3,
        &[
            START,
            ("sample.issued", i64::MIN, "a", PROMPT),
            ("sample.recv_first", i64::MIN, "a", ""),
            ("sample.recv_non_first", i64::MAX, "a", ""),
            (
                "sample.complete",
                i64::MAX,
                "a",
                r#""data":["TextModelOutput",["x","y"]]"#,
            ),
        ],
        &[
            "issued_ns",
            "complete_ns",
            "tpot_ns",
            "latency_ns",
            "tpot_by_osl_ns",
            "chunk_delta_sum_ns",
        ],
        &[&[
            "-9223372036854775808",
            "9223372036854775807",
            "1.8446744073709552e19",
            "",
            "",
            "",
        ]],
    );
}

#[test]
fn a_run_that_was_not_streamed_has_no_times_of_chunks() {
    let run = Run::text();
    let rows = from_csv(samples(&run, &["--dry-run", "--streaming", "off"], 0).as_bytes());
    let has = |column| rows.iter().any(|row| row.contains_key(column));
    for column in [
        "ttft_ns",
        "tpot_ns",
        "tpot_by_osl_ns",
        "chunk_delta_sum_ns",
        "osl_after_first_chunk",
    ] {
        assert!(!has(column), "{column}");
    }
    assert!(has("first_chunk_ns") && has("osl") && has("latency_ns"));
}

#[test]
fn a_parquet_file_describes_itself() {
    let run = Run::chat();
    samples(&run, &["--dry-run"], 0);
    let file = fs::File::open(run.around().join("rows.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let metadata = reader.metadata().file_metadata();
    let described = metadata.key_value_metadata().unwrap();
    let columns = metadata.schema_descr().columns();
    assert_eq!(columns.len(), COLUMNS.len());
    let group = reader.metadata().row_group(0);
    for ((column, expected), described) in columns.iter().zip(COLUMNS).zip(described) {
        assert_eq!(column.name(), expected.name);
        let required = column.self_type().get_basic_info().repetition() == Repetition::REQUIRED;
        assert_eq!(required, !expected.nullable, "{}", expected.name);
        assert_eq!(described.key, expected.name);
        assert_eq!(described.value.as_deref(), Some(expected.description));
    }
    let zstd = |compression| matches!(compression, Compression::ZSTD(_));
    assert!(
        group
            .columns()
            .iter()
            .all(|column| zstd(column.compression()))
    );
}

#[test]
fn many_rows_come_in_groups() {
    let run = Run::empty();
    let mut file = fs::File::create(run.path("events.jsonl")).unwrap();
    let mut text = log(&[START]);
    for at in 0..70_000 {
        let uuid = format!("{at:032x}");
        text.push_str(&log(&[
            ("sample.issued", at, &uuid, PROMPT),
            ("sample.complete", at + 3, &uuid, ""),
        ]));
    }
    text.push_str(&log(&[END]));
    file.write_all(text.as_bytes()).unwrap();
    let rows = from_csv(samples(&run, &["--dry-run"], 0).as_bytes());
    assert_eq!(rows.len(), 70_000);
    let reader = fs::File::open(run.around().join("rows.parquet")).unwrap();
    let groups = SerializedFileReader::new(reader)
        .unwrap()
        .metadata()
        .num_row_groups();
    assert_eq!(groups, 3);
    let named = rows
        .iter()
        .zip(0_u32..)
        .all(|(row, at)| row["uuid"] == format!("{at:032x}"));
    assert!(named);
}

/// Opens both formats in DuckDB and pandas and computes the figures of the report from them. `PYTHON=… cargo test --test
/// it notebooks -- --nocapture` shows if it was skipped.
#[test]
#[allow(clippy::print_stdout, reason = "says why it was skipped")]
fn notebooks_and_databases_read_them() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let imports = Command::new(&python)
        .args(["-c", "import duckdb, pandas, pyarrow"])
        .output();
    if !imports.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} has no duckdb, pandas and pyarrow (name another with PYTHON)");
        return;
    }
    for (run, name) in [(Run::text(), "run"), (Run::chat(), "run_chat")] {
        samples(&run, &["--dry-run"], 0);
        let output = Command::new(&python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/samples.py"))
            .arg(run.around().join("rows"))
            .arg(fixture(&format!("{name}_expected")))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        println!("{name}: {said}");
    }
}
