//! The tokenizer of a run, found, read and loaded; kept while several runs share it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use jiff::civil::DateTime;
use serde::Serialize;

use crate::plan::{Counting, EngineChoice, RunPlan, TokenizerName, TokenizerRules};
use crate::process::watchdog::Heartbeat;
use crate::terminal::Messages;
use crate::tokenizer::resolve::{self, Hub, Places, TokenizerFiles, TokenizerHome};
use crate::tokenizer::transformers::{Replaced, Rules};
use crate::tokenizer::{Choice, EngineReport, LoadOptions, Tokenizer};

/// A loaded tokenizer and where it came from.
#[derive(Clone)]
pub(super) struct Loaded {
    pub tokenizer: Arc<Tokenizer>,
    name: String,
    path: PathBuf,
    sha256: String,
    options: LoadOptions,
    templates: Templates,
}

/// Whether a tokenizer's own chat templates are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Templates {
    Own,
    /// As if it had none: the client's fallbacks are counted.
    Absent,
}

/// What recompute.json says about the tokenizer.
#[derive(Debug, Serialize)]
pub(super) struct TokenizerRecord {
    name: String,
    path: String,
    sha256: String,
    class: String,
    rules: &'static str,
    replaced: Vec<ReplacedRecord>,
    engine: EngineReport,
    recounted_because: Option<String>,
}

impl TokenizerRecord {
    /// What a page says about it: what it is, who counted.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let Self {
            name,
            path,
            sha256,
            class,
            rules,
            replaced,
            engine,
            recounted_because,
        } = self;
        let mut facts = vec![
            ("Tokenizer", format!("{name} ({class})")),
            ("tokenizer.json", format!("{path}, sha256 {sha256}")),
            ("Loaded by the rules of", (*rules).to_owned()),
        ];
        let replaced = replaced
            .iter()
            .map(|part| format!("{}: {} instead of {}", part.what, part.to, part.from));
        let replaced: Vec<String> = replaced.collect();
        if !replaced.is_empty() {
            facts.push(("Not as tokenizer.json is written", replaced.join("; ")));
        }
        facts.push(("Engine", format!("{}: {}", engine.engine, engine.why)));
        facts.extend(
            recounted_because
                .clone()
                .map(|why| ("Recounted with the referee because", why)),
        );
        facts
    }
}

/// A part of tokenizer.json that the client does not take as written.
#[derive(Debug, Serialize)]
struct ReplacedRecord {
    what: &'static str,
    from: String,
    to: String,
}

impl From<&Replaced> for ReplacedRecord {
    fn from(replaced: &Replaced) -> Self {
        Self {
            what: replaced.what,
            from: replaced.from.clone(),
            to: replaced.to.clone(),
        }
    }
}

impl Loaded {
    /// The record, after counting. `recounted_because`: why the fast engine's counts were thrown away.
    pub fn record(&self, recounted_because: Option<String>) -> TokenizerRecord {
        let tokenizer = &self.tokenizer;
        TokenizerRecord {
            name: self.name.clone(),
            path: self.path.display().to_string(),
            sha256: self.sha256.clone(),
            class: tokenizer.class().to_owned(),
            rules: match self.options.rules {
                Rules::Transformers => "transformers",
                Rules::File => "file",
            },
            replaced: tokenizer
                .replaced()
                .iter()
                .map(ReplacedRecord::from)
                .collect(),
            engine: tokenizer.engine(),
            recounted_because,
        }
    }

    /// Whether this is the very same tokenizer.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tokenizer, &other.tokenizer)
    }

    /// Whether the referee counts.
    pub fn is_referee(&self) -> bool {
        self.options.choice == Choice::Referee
    }

    /// As the person, or the run, named it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose reading of tokenizer.json is followed.
    pub fn rules(&self) -> Rules {
        self.options.rules
    }

    /// The same tokenizer, loaded otherwise.
    pub fn variant(&self, rules: Rules, templates: Templates) -> anyhow::Result<Self> {
        let options = LoadOptions {
            rules,
            ..self.options
        };
        self.reload(options, templates)
    }

    fn reload(&self, options: LoadOptions, templates: Templates) -> anyhow::Result<Self> {
        let home = resolve::find(&self.path.to_string_lossy(), &Places::default())?;
        load(&self.name, &home, options, templates)
    }
}

/// Loads tokenizers and keeps the last one.
#[derive(Default)]
pub(super) struct Tokenizers {
    last: Option<(PathBuf, Loaded)>,
}

impl Tokenizers {
    /// The tokenizer that `plan` asks for; `None` when it asks for none. `text_bytes`: about how
    /// much there is to count.
    pub fn get(
        &mut self,
        plan: &RunPlan,
        flags: &Counting,
        text_bytes: u64,
        messages: Messages,
    ) -> anyhow::Result<Option<Loaded>> {
        let (name, from_config) = match &plan.tokenizer {
            TokenizerName::None => return Ok(None),
            TokenizerName::Named { name, from_config } => (name, *from_config),
            TokenizerName::Unknown => bail!(
                "no tokenizer is named by the run's config.yaml: give --tokenizer DIR, FILE or REPO, or `none` to count only token ids"
            ),
        };
        let home = find(name, plan, flags, messages).with_context(|| {
            let origin = if from_config {
                "named by the run's config.yaml"
            } else {
                "given by --tokenizer"
            };
            format!("cannot load the tokenizer {name:?} ({origin})")
        })?;
        let now = plan.date.now;
        if let Some((path, loaded)) = &self.last
            && *path == home.tokenizer_json
            && (loaded.options.now == now || !loaded.tokenizer.date_matters())
        {
            return Ok(Some(loaded.clone()));
        }
        let loaded = load(name, &home, options(flags, text_bytes, now), Templates::Own)?;
        announce(&loaded, messages);
        self.last = Some((home.tokenizer_json, loaded.clone()));
        Ok(Some(loaded))
    }

    /// The same tokenizer with the referee counting, for this run and those after it.
    pub fn referee(&mut self, loaded: &Loaded) -> anyhow::Result<Loaded> {
        let options = LoadOptions {
            choice: Choice::Referee,
            text_bytes: 0,
            ..loaded.options
        };
        let again = loaded.reload(options, loaded.templates)?;
        if let Some((_, last)) = &mut self.last
            && Arc::ptr_eq(&last.tokenizer, &loaded.tokenizer)
        {
            *last = again.clone();
        }
        Ok(again)
    }
}

/// A tokenizer that is not the run's own, by name.
pub(super) fn other(
    name: &str,
    plan: &RunPlan,
    flags: &Counting,
    text_bytes: u64,
    messages: Messages,
) -> anyhow::Result<Loaded> {
    let home = find(name, plan, flags, messages)?;
    load(
        name,
        &home,
        options(flags, text_bytes, plan.date.now),
        Templates::Own,
    )
}

fn find(
    name: &str,
    plan: &RunPlan,
    flags: &Counting,
    messages: Messages,
) -> anyhow::Result<TokenizerHome> {
    let places = Places::from_env(|name| std::env::var_os(name), plan.dir.as_deref());
    match resolve::find(name, &places) {
        Err(_) if flags.download && resolve::is_repo_id(name) => {
            messages.note(format!("downloading the tokenizer of {name}"));
            Ok(resolve::download(
                name,
                &places,
                &Hub::from_env(|name| std::env::var_os(name)),
            )?)
        }
        found => Ok(found?),
    }
}

fn options(flags: &Counting, text_bytes: u64, now: DateTime) -> LoadOptions {
    LoadOptions {
        rules: match flags.tokenizer_rules {
            TokenizerRules::Transformers => Rules::Transformers,
            TokenizerRules::File => Rules::File,
        },
        choice: match flags.engine {
            EngineChoice::Auto => Choice::Auto,
            EngineChoice::Fast => Choice::Fast,
            EngineChoice::Referee => Choice::Referee,
        },
        text_bytes,
        now,
    }
}

fn load(
    name: &str,
    home: &TokenizerHome,
    options: LoadOptions,
    templates: Templates,
) -> anyhow::Result<Loaded> {
    let mut files = TokenizerFiles::read(home)?;
    if templates == Templates::Absent {
        files.remove_templates();
    }
    let watched = Heartbeat::new(|_| "loading the tokenizer".to_owned());
    watched.begin(0, files.tokenizer_json.len());
    let tokenizer = Tokenizer::load(&files, &options)
        .with_context(|| format!("cannot load {}", home.tokenizer_json.display()))?;
    Ok(Loaded {
        tokenizer: Arc::new(tokenizer),
        name: name.to_owned(),
        path: home.tokenizer_json.clone(),
        sha256: files.sha256,
        options,
        templates,
    })
}

fn announce(loaded: &Loaded, messages: Messages) {
    let tokenizer = &loaded.tokenizer;
    let engine = tokenizer.engine();
    messages.detail(format!(
        "tokenizer {} ({})",
        loaded.path.display(),
        tokenizer.class()
    ));
    messages.detail(format!("counting with {}: {}", engine.engine, engine.why));
    for what in tokenizer.switched_off() {
        messages.detail(format!(
            "{what} of tokenizer.json is switched off: it must not change a count"
        ));
    }
    if !tokenizer.replaced().is_empty() {
        let describe = |r: &Replaced| format!("{} ({} instead of {})", r.what, r.to, r.from);
        let what: Vec<String> = tokenizer.replaced().iter().map(describe).collect();
        messages.warn(format!(
            "transformers, which the client loads tokenizers with, replaces parts of {}: {}; counting as it does (--tokenizer-rules file counts with the file's own rules)",
            loaded.path.display(),
            what.join("; ")
        ));
    }
    if let Some(why) = tokenizer.unknown_rules() {
        messages.warn(format!(
            "counting with the file's own rules, the client's may differ: {why}"
        ));
    }
}
