//! Mutated logs: by the rules of every client version the tool reports exactly what the model of `tests/model` reports,
//! counts as many damaged lines, and refuses only logs without an event.
//!
//! `MUTATIONS=10000 cargo test --test it mutations -- --nocapture` tries ten thousand and says what came of them;
//! `MUTATION_SEED=n` starts elsewhere, and with `RECORDED=DIR` the runs in `DIR/goldens` take part, whose tokenizers are in
//! `DIR/tokenizers`.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tok_recompute::cpu::{CorePlan, Pools};
use tok_recompute::log::{BatchSizes, Log};
use tok_recompute::pipeline::{self, Job, Rules};
use tok_recompute::report::schema::SummaryKey;
use tok_recompute::report::{ClientVersion, Report, RunFacts};
use tok_recompute::tokenizer::resolve::{self, SearchPaths, TokenizerFiles};
use tok_recompute::tokenizer::transformers::LoaderRules;
use tok_recompute::tokenizer::{
    Counted, EngineMode, LoadOptions, MessageParts, PromptParts, Tokenizer,
};

use crate::model::decode::{Output, Prompt};
use crate::model::{self, CLIENTS, Count, Options};
use crate::support::fixture;

const DEFAULT_MUTATIONS: u64 = 120;
/// Ten thousand rounds with larger logs would take too long.
const MAX_LOG_BYTES: u64 = 300_000;

#[test]
fn mutated_logs_give_the_report_of_the_model() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (mutations, seed) = (
        number("MUTATIONS").unwrap_or(DEFAULT_MUTATIONS),
        number("MUTATION_SEED").unwrap_or(1),
    );
    let mut runs = runs();
    let logs: Vec<Vec<u8>> = runs.iter().map(|run| run.log.clone()).collect();
    let mut tally = Tally::default();
    for run in &mut runs {
        for variant in Variant::all() {
            run.check(&run.log.clone(), variant, &mut tally)
                .unwrap_or_else(|why| panic!("{} as it is, {variant:?}: {why}", run.name));
        }
    }
    let names: Vec<_> = runs.iter().map(|run| run.name.clone()).collect();
    println!("{} logs: {}", runs.len(), names.join(", "));
    tally = Tally::default();
    for round in 0..mutations {
        let mut random = Random(seed.wrapping_add(round).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        // Two logs are often enough the same one: then a piece is moved within it.
        let (at, from) = (random.below(runs.len()), random.below(runs.len()));
        let from = if random.below(2) == 0 { at } else { from };
        let steps: Vec<Step> = (0..=random.below(4))
            .map(|_| Step::any(&mut random))
            .collect();
        let variant = Variant::any(&mut random);
        let run = &mut runs[at];
        if let Err(why) = run.check(
            &mutated(&logs[at], &logs[from], &steps),
            variant,
            &mut tally,
        ) {
            let steps = minimal_steps(&steps, |steps| {
                let log = mutated(&logs[at], &logs[from], steps);
                run.check(&log, variant, &mut Tally::default()).is_err()
            });
            let log = minimal_log(&mutated(&logs[at], &logs[from], &steps), |log| {
                run.check(log, variant, &mut Tally::default()).is_err()
            });
            let path =
                std::env::temp_dir().join(format!("tok-recompute-mutation-{}.jsonl", seed + round));
            fs::write(&path, &log).unwrap();
            let shown = run.check(&log, variant, &mut Tally::default());
            let shown = shown.err().unwrap_or(why);
            panic!(
                "round {round} of {}, {variant:?}, {steps:?}, as {}: {shown}",
                run.name,
                path.display()
            );
        }
    }
    println!("{mutations} mutations: {tally:?}");
    assert_eq!(tally.reported + tally.refused, mutations);
    assert!(
        tally.with_damage > mutations / 10 && tally.reported > mutations / 2,
        "{tally:?}"
    );
}

#[derive(Debug, Default)]
struct Tally {
    reported: u64,
    refused: u64,
    with_damage: u64,
    damaged_lines: u64,
}

/// The rules of a report that the log does not decide.
#[derive(Clone, Copy, Debug)]
struct Variant {
    /// The client version: its place in `CLIENTS`, and in `ClientVersion::ALL`.
    client: usize,
    isl: bool,
    /// Whether the run's sample map is there.
    mapped: bool,
}

impl Variant {
    /// Every client version, with what is usual.
    fn all() -> impl Iterator<Item = Self> {
        (0..CLIENTS.len()).map(|client| Self {
            client,
            isl: true,
            mapped: true,
        })
    }

    fn any(random: &mut Random) -> Self {
        // Today's client is met as often as all others together.
        let client = match random.below(2) {
            0 => CLIENTS.len() - 1,
            _ => random.below(CLIENTS.len() - 1),
        };
        Self {
            client,
            isl: random.below(8) > 0,
            mapped: random.below(4) > 0,
        }
    }
}

/// A log, and what is needed to report on it.
struct Run {
    name: String,
    log: Vec<u8>,
    /// `sample_idx_map.json`
    map: Option<(PathBuf, Vec<u8>)>,
    tokenizer: Option<Tokenizer>,
    model_counter: Option<ModelCounter>,
    options: Options<'static>,
    pools: Pools,
}

fn runs() -> Vec<Run> {
    let llama3 = fixture("tokenizers/llama3");
    let mut runs = vec![
        Run::new(
            "run",
            &fixture("run/events.jsonl"),
            Some(&llama3),
            &json!({"streaming": true}),
        ),
        Run::new(
            "run_chat",
            &fixture("run_chat/events.jsonl"),
            Some(&fixture("tokenizers/chat")),
            &json!({"streaming": null}),
        ),
        Run::new(
            "run without tokenizer",
            &fixture("run/events.jsonl"),
            None,
            &json!({"streaming": false}),
        ),
    ];
    let Some(recorded) = std::env::var_os("RECORDED").map(PathBuf::from) else {
        return runs;
    };
    let goldens = fs::read_dir(recorded.join("goldens")).unwrap();
    let mut goldens: Vec<PathBuf> = goldens.map(|entry| entry.unwrap().path()).collect();
    goldens.sort();
    for golden in goldens {
        let log = golden.join("run/events.jsonl");
        let case: Value =
            serde_json::from_slice(&fs::read(golden.join("case.json")).unwrap()).unwrap();
        let name = golden.file_name().unwrap().to_string_lossy().into_owned();
        let small = fs::metadata(&log).is_ok_and(|metadata| metadata.len() <= MAX_LOG_BYTES);
        // A tokenizer of each kind is enough: they take their time and memory to load.
        let kept = ["char", "char_chat", "qwen3", "none"];
        let tokenizer = case["tokenizer"].as_str().unwrap_or("none");
        if small && kept.contains(&tokenizer) {
            let dir = (tokenizer != "none").then(|| recorded.join("tokenizers").join(tokenizer));
            runs.push(Run::new(&name, &log, dir.as_deref(), &case));
        }
    }
    runs
}

impl Run {
    fn new(name: &str, log: &Path, tokenizer: Option<&Path>, case: &Value) -> Self {
        let flag = |key: &str| case[key].as_bool();
        let map = log.with_file_name("sample_idx_map.json");
        Self {
            name: name.to_owned(),
            map: fs::read(&map).ok().map(|bytes| (map, bytes)),
            log: fs::read(log).unwrap(),
            tokenizer: tokenizer.map(|dir| load(dir, EngineMode::Auto)),
            model_counter: tokenizer.map(ModelCounter::new),
            options: Options {
                client: 0,
                isl: true,
                sample_map: None,
                streaming: flag("streaming"),
                early_stopping: flag("early_stopping").unwrap_or(true),
                legacy_window: flag("legacy_loadgen_qps").unwrap_or(true),
                line_bytes: 1 << 30,
            },
            pools: Pools::new(&CorePlan::unpinned(2)).unwrap(),
        }
    }

    /// Both implementations on `log`; the difference, if there is one.
    fn check(&mut self, log: &[u8], variant: Variant, tally: &mut Tally) -> Result<(), String> {
        let client = ClientVersion::ALL[variant.client];
        let map = self.map.as_ref().filter(|_| variant.mapped);
        let options = Options {
            client: CLIENTS[variant.client],
            isl: variant.isl,
            sample_map: map.map(|(_, bytes)| bytes.as_slice()),
            ..self.options
        };
        let count = self.model_counter.as_mut().map(|it| it as &mut dyn Count);
        let expected = model::read(log, &options, count);
        let job = Job {
            pools: &self.pools,
            tokenizer: self.tokenizer.as_ref(),
            rules: Rules {
                client,
                streaming: options.streaming,
                early_stopping: options.early_stopping,
                isl: variant.isl,
                full_run: client.has(SummaryKey::FullRunOsl) && self.tokenizer.is_some(),
                ..Rules::default()
            },
            sample_map: map.map(|(path, _)| path.as_path()),
            max_bytes: None,
            watched: true,
            sizes: BatchSizes {
                batch_bytes: 10_000,
                ..BatchSizes::new(2)
            },
        };
        let log = Log::from_reader(Path::new("log"), Cursor::new(log.to_vec()))
            .map_err(|e| e.to_string())?;
        let finished = pipeline::run(log, &job, |_, _| {}).map_err(|e| {
            format!(
                "{e}: {:?}",
                std::error::Error::source(&e).map(ToString::to_string)
            )
        })?;
        let damaged: u64 = finished.tally.damage.values().map(|seen| seen.count).sum();
        let (ours, theirs) = (
            (finished.tally.lines, finished.tally.events, damaged),
            (expected.lines, expected.events, expected.damaged),
        );
        if ours != theirs {
            return Err(format!(
                "lines, events, damaged lines: {ours:?} instead of {theirs:?}"
            ));
        }
        let notes = finished.tally.notes.iter();
        let notes: BTreeMap<_, _> = notes
            .map(|(name, seen)| (name.clone(), seen.count))
            .collect();
        if notes != shortened(&expected.notes) {
            return Err(format!("notes: {notes:?} instead of {:?}", expected.notes));
        }
        let facts = RunFacts {
            use_legacy_window: options.legacy_window,
            ..RunFacts::default()
        };
        let report = Report::new(None, &facts, &finished.snapshot).map_err(|e| e.to_string())?;
        // What the log does not say.
        let mut kept = vec!["version", "git_sha", "test_started_at"];
        kept.extend((client >= ClientVersion::July9).then_some("run_config"));
        kept.extend((client == ClientVersion::June23).then_some("seeds"));
        same("summary", report.summary(), &expected.summary, &kept)?;
        same(
            "snapshot",
            &finished.snapshot.render(),
            &expected.snapshot,
            &["counter", "timestamp_ns"],
        )?;
        tally.damaged_lines += damaged;
        tally.with_damage += u64::from(damaged > 0);
        *(if finished.tally.events == 0 {
            &mut tally.refused
        } else {
            &mut tally.reported
        }) += 1;
        Ok(())
    }
}

/// Names as the tool keeps them: their first 100 characters.
fn shortened(notes: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut shortened = BTreeMap::new();
    for (name, count) in notes {
        *shortened
            .entry(name.chars().take(100).collect())
            .or_default() += count;
    }
    shortened
}

fn same(what: &str, ours: &[u8], theirs: &str, left_out: &[&str]) -> Result<(), String> {
    let mut ours: Value = serde_json::from_slice(ours).map_err(|e| format!("{what}: {e}"))?;
    for key in left_out {
        ours.as_object_mut()
            .and_then(|summary| summary.shift_remove(*key))
            .ok_or_else(|| format!("{what} has no {key}"))?;
    }
    let theirs: Value =
        serde_json::from_str(theirs).map_err(|e| format!("{what} of the model: {e}"))?;
    let keys = |value: &Value| -> Vec<String> {
        let object = value.as_object().into_iter();
        object.flat_map(|object| object.keys().cloned()).collect()
    };
    if keys(&ours) != keys(&theirs) {
        let (ours, theirs) = (keys(&ours), keys(&theirs));
        return Err(format!("keys of {what}: {ours:?} instead of {theirs:?}"));
    }
    match difference(&ours, &theirs) {
        None => Ok(()),
        Some(place) => Err(format!("{what}{place}")),
    }
}

/// The first place where two values differ, and what is there.
fn difference(ours: &Value, theirs: &Value) -> Option<String> {
    if ours == theirs {
        return None;
    }
    let inside = match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
            a.iter().find_map(|(key, ours)| {
                difference(ours, b.get(key)?).map(|rest| format!(".{key}{rest}"))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(at, (ours, theirs))| {
                difference(ours, theirs).map(|rest| format!("[{at}]{rest}"))
            })
        }
        _ => None,
    };
    inside.or_else(|| Some(format!(": {ours} instead of {theirs}")))
}

fn load(dir: &Path, engine: EngineMode) -> Tokenizer {
    let location = resolve::resolve(dir.to_str().unwrap(), &SearchPaths::default()).unwrap();
    let options = LoadOptions {
        rules: LoaderRules::File,
        engine,
        text_bytes: u64::MAX,
        now: jiff::civil::date(2026, 1, 2).at(3, 4, 5, 0),
    };
    Tokenizer::load(&TokenizerFiles::read(&location).unwrap(), &options).unwrap()
}

/// Counts each text by itself with `tokenizers`. The tool renders the templates, which have their own oracle.
struct ModelCounter {
    tokenizer: tokenizers::Tokenizer,
    templates: Tokenizer,
    texts: HashMap<String, u64>,
}

impl ModelCounter {
    fn new(dir: &Path) -> Self {
        Self {
            tokenizer: tokenizers::Tokenizer::from_file(dir.join("tokenizer.json")).unwrap(),
            templates: load(dir, EngineMode::Tokenizers),
            texts: HashMap::new(),
        }
    }
}

fn tokens(counted: Counted) -> Option<u64> {
    match counted {
        Counted::Tokens { tokens, .. } => Some(tokens),
        Counted::Failed(_) => None,
    }
}

impl Count for ModelCounter {
    fn text(&mut self, text: &str) -> Option<u64> {
        if let Some(tokens) = self.texts.get(text) {
            return Some(*tokens);
        }
        let tokens = self.tokenizer.encode(text, false).ok()?.len() as u64;
        self.texts.insert(text.to_owned(), tokens);
        Some(tokens)
    }

    fn prompt(&mut self, prompt: &Prompt) -> Option<u64> {
        let parts = PromptParts {
            messages: prompt.messages.clone()?,
            tools: prompt.tools.clone(),
            chat_template_kwargs: prompt.chat_template_kwargs.clone(),
            chat_template: prompt.chat_template.as_deref(),
            tool_choice: prompt.tool_choice.clone(),
        };
        tokens(self.templates.prompt(&parts).unwrap())
    }

    fn message(
        &mut self,
        content: &str,
        reasoning: &str,
        output: &Output,
        dropped: usize,
    ) -> Option<u64> {
        let calls = output
            .tool_calls
            .clone()
            .filter(|calls| !calls.is_empty())
            .map(Value::Array);
        let parts = MessageParts {
            content,
            reasoning,
            tool_calls: calls.as_ref(),
            skip_first_tool_chunk: dropped > 0,
        };
        tokens(self.templates.message(&parts).unwrap())
    }
}

/// Splitmix64. Any generator that is the same on all machines would do.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }
}

/// A change of a log. Places are fractions of its length, so that a step stays itself when others are left out.
#[derive(Clone, Copy, Debug)]
enum Step {
    FlipBit { at: u64, bit: u32 },
    PutByte { at: u64, byte: u8 },
    Insert { at: u64, token: usize },
    Replace { at: u64, token: usize },
    CutOff { at: u64 },
    CutOut { at: u64, bytes: usize },
    DuplicateLine { at: u64, to: u64 },
    DropLine { at: u64 },
    SwapLines { at: u64, with: u64 },
    Reverse { at: u64, lines: usize },
    Splice { at: u64, from: u64, bytes: usize },
    SpliceLines { at: u64, from: u64, lines: usize },
    InsertEvent { at: u64, event: usize },
}

const BYTES: &[u8] = b"\n\r\0\"\\{}[],:0-9.eE \x7f\x80\xc3\xed\xef\xff";
/// The texts that replace a value, or are inserted anywhere.
const TOKENS: &[&str] = &[
    "0",
    "-1",
    "1.5",
    "1e400",
    "-0",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551616",
    "123456789012345678901234567890",
    "null",
    "true",
    "\"\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "[]",
    "{}",
    "[[\"a\"]]",
    "\"sample.complete\"",
    "\"sample.issued\"",
    "\"sample.recv_first\"",
    "\"session.ended\"",
    "\"session.started\"",
    "\"session.interrupted\"",
    "\"session.phase_start\"",
    "\"session.other\"",
    "\"PhaseData\"",
    "\"session.stop_performance_tracking\"",
    "\"error.client\"",
    "\"finish_reason\":\"x\",",
    "\"timestamp_ns\":5,",
    "\u{feff}",
    "\n",
    "\n\n",
    "\r\n",
    ",",
    "\"",
    "\\",
];

/// Events of today's client, and of clients that do not exist.
const EVENTS: &[&str] = &[
    r#"{"event_type":"session.phase_start","timestamp_ns":8214300200000,"sample_uuid":"","conversation_id":"","turn":null,"data":["PhaseData","performance",true,22,0]}"#,
    r#"{"event_type":"session.phase_start","timestamp_ns":5,"data":["PhaseData","warmup",false,0]}"#,
    r#"{"event_type":"session.phase_start","timestamp_ns":5,"data":["PhaseData","rehearsal",null,-0,1,2]}"#,
    r#"{"event_type":"session.phase_start","timestamp_ns":5,"data":["PhaseData","performance",true]}"#,
    r#"{"event_type":"session.phase_start","timestamp_ns":5,"data":["PhaseData","performance",true,1.5]}"#,
    r#"{"event_type":"session.phase_start","timestamp_ns":9000000000000000000,"data":["PhaseData","performance",true,18446744073709551616]}"#,
    r#"{"event_type":"session.interrupted","timestamp_ns":9214300200000,"sample_uuid":"","conversation_id":"","turn":null,"data":null}"#,
    r#"{"event_type":"session.interrupted","timestamp_ns":5,"data":["Unknown"]}"#,
    r#"{"event_type":"session.checkpoint","timestamp_ns":9999999999999,"data":{"any":["thing",1e999]}}"#,
    r#"{"data":["PromptData",7],"event_type":"session.","timestamp_ns":5}"#,
    r#"{"event_type":"session.checkpoint","timestamp_ns":5,"sample_uuid":null}"#,
    r#"{"event_type":"sample.checkpoint","timestamp_ns":5,"data":null}"#,
    r#"{"event_type":"sample.complete","timestamp_ns":5,"sample_uuid":"a1cbc367d1ed856eacb60fff2233f239","data":["ErrorData","a","b"]}"#,
    r#"{"event_type":"sample.complete","timestamp_ns":5,"sample_uuid":"a1cbc367d1ed856eacb60fff2233f239","data":["PhaseData","performance",true,1]}"#,
    r#"{"event_type":"sample.complete","timestamp_ns":5,"sample_uuid":"265316cfa9e4f413f228afa2fb197fe3","data":["Other"]}"#,
    r#"{"event_type":"sample.complete","timestamp_ns":5,"sample_uuid":"265316cfa9e4f413f228afa2fb197fe3","data":["TextModelOutput",["a","b"],["c","d"],null]}"#,
];

impl Step {
    fn any(random: &mut Random) -> Self {
        let (at, other) = (random.next(), random.next());
        let token = random.below(TOKENS.len());
        // Short pieces are more likely than long ones.
        let bytes = 1 << random.below(13);
        let bytes = 1 + random.below(bytes);
        let lines = 1 + random.below(12);
        match random.below(15) {
            0 => Self::FlipBit {
                at,
                bit: u32::try_from(random.below(8)).unwrap(),
            },
            1 => Self::PutByte {
                at,
                byte: BYTES[random.below(BYTES.len())],
            },
            2 => Self::Insert { at, token },
            3 | 4 => Self::Replace { at, token },
            5 => Self::CutOff { at },
            6 => Self::CutOut { at, bytes },
            7 => Self::DuplicateLine { at, to: other },
            8 => Self::DropLine { at },
            9 => Self::SwapLines { at, with: other },
            10 => Self::Reverse { at, lines },
            11 => Self::Splice {
                at,
                from: other,
                bytes,
            },
            12 => Self::SpliceLines {
                at,
                from: other,
                lines,
            },
            _ => Self::InsertEvent {
                at,
                event: random.below(EVENTS.len()),
            },
        }
    }

    fn apply(self, log: &mut Vec<u8>, other: &[u8]) {
        let lines = |log: &[u8]| -> Vec<Vec<u8>> {
            log.split_inclusive(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect()
        };
        if log.is_empty() {
            return;
        }
        let len = log.len();
        match self {
            Self::FlipBit { at, bit } => log[place(at, len)] ^= 1 << bit,
            Self::PutByte { at, byte } => log[place(at, len)] = byte,
            Self::Insert { at, token } => {
                drop(log.splice(place(at, len)..place(at, len), TOKENS[token].bytes()));
            }
            Self::Replace { at, token } => {
                // A whole value, from a delimiter to the next one.
                let delimiter = |byte: &u8| b",:[]{}\n".contains(byte);
                let start = place(at, len);
                let start = log[start..]
                    .iter()
                    .position(|byte| b":,[".contains(byte))
                    .map_or(start, |n| start + n + 1);
                let end = log[start..]
                    .iter()
                    .position(delimiter)
                    .map_or(len, |n| start + n);
                drop(log.splice(start..end, TOKENS[token].bytes()));
            }
            Self::CutOff { at } => log.truncate(place(at, len)),
            Self::CutOut { at, bytes } => {
                drop(log.drain(place(at, len)..(place(at, len) + bytes).min(len)));
            }
            Self::Splice { at, from, bytes } => {
                let start = place(from, other.len());
                let piece = other[start..].iter().take(bytes).copied();
                drop(log.splice(place(at, len)..place(at, len), piece));
            }
            Self::DuplicateLine { at, to } => {
                let mut all = lines(log);
                let line = all[place(at, all.len())].clone();
                all.insert(place(to, all.len()), line);
                *log = all.concat();
            }
            Self::DropLine { at } => {
                let mut all = lines(log);
                all.remove(place(at, all.len()));
                *log = all.concat();
            }
            Self::SwapLines { at, with } => {
                let mut all = lines(log);
                let count = all.len();
                all.swap(place(at, count), place(with, count));
                *log = all.concat();
            }
            Self::Reverse { at, lines: some } => {
                let mut all = lines(log);
                let start = place(at, all.len());
                let end = (start + some).min(all.len());
                all[start..end].reverse();
                *log = all.concat();
            }
            Self::SpliceLines {
                at,
                from,
                lines: some,
            } => {
                let (mut all, theirs) = (lines(log), lines(other));
                let start = place(from, theirs.len());
                let at = place(at, all.len());
                drop(all.splice(at..at, theirs.into_iter().skip(start).take(some)));
                *log = all.concat();
            }
            Self::InsertEvent { at, event } => {
                let mut all = lines(log);
                let at = place(at, all.len());
                all.insert(at, format!("{}\n", EVENTS[event]).into_bytes());
                *log = all.concat();
            }
        }
    }
}

/// Maps a random number to a place below `len`.
fn place(random: u64, len: usize) -> usize {
    let place = (u128::from(random) * len as u128) >> 64;
    usize::try_from(place).unwrap()
}

fn mutated(log: &[u8], other: &[u8], steps: &[Step]) -> Vec<u8> {
    let mut log = log.to_vec();
    for step in steps {
        step.apply(&mut log, other);
    }
    log
}

/// Drops steps as long as the rest still fails.
fn minimal_steps(steps: &[Step], mut fails: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut steps = steps.to_vec();
    let mut at = 0;
    while at < steps.len() {
        let mut fewer = steps.clone();
        fewer.remove(at);
        if fails(&fewer) {
            steps = fewer;
        } else {
            at += 1;
        }
    }
    steps
}

/// Drops lines as long as the rest still fails.
fn minimal_log(log: &[u8], mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = log.split_inclusive(|byte| *byte == b'\n').collect();
    let mut some = lines.len().next_power_of_two() / 2;
    while some > 0 {
        let mut at = 0;
        while at < lines.len() {
            let mut fewer = lines.clone();
            fewer.drain(at..(at + some).min(lines.len()));
            if fails(&fewer.concat()) {
                lines = fewer;
            } else {
                at += some;
            }
        }
        some /= 2;
    }
    lines.concat()
}
