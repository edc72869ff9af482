//! The tokenizer of a run: resolved, read, loaded, and kept for the runs that share it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use jiff::civil::DateTime;
use serde::Serialize;

use crate::plan::{Counting, EngineChoice, RunPlan, TokenizerName, TokenizerRules};
use crate::process::watchdog::Heartbeat;
use crate::terminal::Messages;
use crate::tokenizer::resolve::{self, Hub, SearchPaths, TokenizerFiles, TokenizerLocation};
use crate::tokenizer::transformers::{LoaderRules, Override};
use crate::tokenizer::{EngineMode, EngineReport, LoadOptions, Tokenizer};

/// A loaded tokenizer and its origin.
#[derive(Clone)]
pub(super) struct LoadedTokenizer {
    pub tokenizer: Arc<Tokenizer>,
    name: String,
    path: PathBuf,
    sha256: String,
    options: LoadOptions,
    chat_templates: ChatTemplates,
}

/// The chat templates of a loaded tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChatTemplates {
    Own,
    /// The tokenizer counts as if it had none, by the client's fallbacks.
    Ignored,
}

/// The tokenizer's part of recompute.json.
#[derive(Debug, Serialize)]
pub(super) struct TokenizerRecord {
    name: String,
    path: String,
    sha256: String,
    class: String,
    rules: &'static str,
    #[serde(rename = "replaced")]
    overrides: Vec<Override>,
    engine: EngineReport,
    recounted_because: Option<String>,
}

impl TokenizerRecord {
    /// The record as labels and texts, for a page.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let Self {
            name,
            path,
            sha256,
            class,
            rules,
            overrides,
            engine,
            recounted_because,
        } = self;
        let mut facts = vec![
            ("Tokenizer", format!("{name} ({class})")),
            ("tokenizer.json", format!("{path}, sha256 {sha256}")),
            ("LoadedTokenizer by the rules of", (*rules).to_owned()),
        ];
        if !overrides.is_empty() {
            let describe =
                |it: &Override| format!("{}: {} instead of {}", it.component, it.to, it.from);
            let overrides: Vec<String> = overrides.iter().map(describe).collect();
            facts.push(("Replaced in tokenizer.json", overrides.join("; ")));
        }
        facts.push(("Engine", format!("{}: {}", engine.engine, engine.why)));
        facts.extend(
            recounted_because
                .clone()
                .map(|why| ("Recounted with tokenizers because", why)),
        );
        facts
    }
}

impl LoadedTokenizer {
    /// The record after counting. `recounted_because` is the reason why the counts of `fastokens` were discarded.
    pub fn record(&self, recounted_because: Option<String>) -> TokenizerRecord {
        let tokenizer = &self.tokenizer;
        TokenizerRecord {
            name: self.name.clone(),
            path: self.path.display().to_string(),
            sha256: self.sha256.clone(),
            class: tokenizer.class().to_owned(),
            rules: match self.options.rules {
                LoaderRules::Transformers => "transformers",
                LoaderRules::File => "file",
            },
            overrides: tokenizer.overrides().to_vec(),
            engine: tokenizer.engine(),
            recounted_because,
        }
    }

    /// Returns true if both share one tokenizer in memory.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tokenizer, &other.tokenizer)
    }

    /// Returns true if the engine was told to be `tokenizers`.
    pub fn counts_with_tokenizers(&self) -> bool {
        self.options.engine == EngineMode::Tokenizers
    }

    /// The name in the command line or in the run.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rules that the tokenizer was loaded by.
    pub fn rules(&self) -> LoaderRules {
        self.options.rules
    }

    /// Loads the same files by other rules or without their chat templates.
    pub fn variant(
        &self,
        rules: LoaderRules,
        chat_templates: ChatTemplates,
    ) -> anyhow::Result<Self> {
        let options = LoadOptions {
            rules,
            ..self.options
        };
        self.reload(options, chat_templates)
    }

    fn reload(&self, options: LoadOptions, chat_templates: ChatTemplates) -> anyhow::Result<Self> {
        let location = resolve::resolve(&self.path.to_string_lossy(), &SearchPaths::default())?;
        load(&self.name, &location, options, chat_templates)
    }
}

/// Loads tokenizers and keeps the last one.
#[derive(Default)]
pub(super) struct TokenizerCache {
    last: Option<(PathBuf, LoadedTokenizer)>,
}

impl TokenizerCache {
    /// Returns the tokenizer that `plan` names, if it names one. `text_bytes` is an estimate of the text to count.
    pub fn get(
        &mut self,
        plan: &RunPlan,
        flags: Counting,
        text_bytes: u64,
        messages: Messages,
    ) -> anyhow::Result<Option<LoadedTokenizer>> {
        let (name, from_config) = match &plan.tokenizer {
            TokenizerName::None => return Ok(None),
            TokenizerName::Named { name, from_config } => (name, *from_config),
            TokenizerName::Unknown => bail!(
                "no tokenizer is named by the run's config.yaml: give --tokenizer DIR, FILE or REPO, or `none` to count only token ids"
            ),
        };
        let location = locate(name, plan, flags, messages).with_context(|| {
            let origin = if from_config {
                "named by the run's config.yaml"
            } else {
                "given by --tokenizer"
            };
            format!("cannot load the tokenizer {name:?} ({origin})")
        })?;
        let now = plan.date.now;
        if let Some((path, loaded)) = &self.last
            && *path == location.tokenizer_json
            && (loaded.options.now == now || !loaded.tokenizer.date_matters())
        {
            return Ok(Some(loaded.clone()));
        }
        let loaded = load(
            name,
            &location,
            options(flags, text_bytes, now),
            ChatTemplates::Own,
        )?;
        announce(&loaded, messages);
        self.last = Some((location.tokenizer_json, loaded.clone()));
        Ok(Some(loaded))
    }

    /// Reloads the tokenizer to count with `tokenizers`, for this run and those after it.
    pub fn switch_to_tokenizers(
        &mut self,
        loaded: &LoadedTokenizer,
    ) -> anyhow::Result<LoadedTokenizer> {
        let options = LoadOptions {
            engine: EngineMode::Tokenizers,
            text_bytes: 0,
            ..loaded.options
        };
        let again = loaded.reload(options, loaded.chat_templates)?;
        if let Some((_, last)) = &mut self.last
            && Arc::ptr_eq(&last.tokenizer, &loaded.tokenizer)
        {
            *last = again.clone();
        }
        Ok(again)
    }
}

/// Loads a tokenizer that is not the run's own.
pub(super) fn load_named(
    name: &str,
    plan: &RunPlan,
    flags: Counting,
    text_bytes: u64,
    messages: Messages,
) -> anyhow::Result<LoadedTokenizer> {
    let location = locate(name, plan, flags, messages)?;
    load(
        name,
        &location,
        options(flags, text_bytes, plan.date.now),
        ChatTemplates::Own,
    )
}

/// Resolves a tokenizer's name; downloads the files if they are not found and may be downloaded.
fn locate(
    name: &str,
    plan: &RunPlan,
    flags: Counting,
    messages: Messages,
) -> anyhow::Result<TokenizerLocation> {
    let search_paths = SearchPaths::from_env(|name| std::env::var_os(name), plan.dir.as_deref());
    match resolve::resolve(name, &search_paths) {
        Err(_) if flags.download && resolve::is_repo_id(name) => {
            messages.note(format!("downloading the tokenizer of {name}"));
            Ok(resolve::download(
                name,
                &search_paths,
                &Hub::from_env(|name| std::env::var_os(name)),
            )?)
        }
        found => Ok(found?),
    }
}

fn options(flags: Counting, text_bytes: u64, now: DateTime) -> LoadOptions {
    LoadOptions {
        rules: match flags.tokenizer_rules {
            TokenizerRules::Transformers => LoaderRules::Transformers,
            TokenizerRules::File => LoaderRules::File,
        },
        engine: match flags.engine {
            EngineChoice::Auto => EngineMode::Auto,
            EngineChoice::Fastokens => EngineMode::Fastokens,
            EngineChoice::Tokenizers => EngineMode::Tokenizers,
        },
        text_bytes,
        now,
    }
}

fn load(
    name: &str,
    location: &TokenizerLocation,
    options: LoadOptions,
    chat_templates: ChatTemplates,
) -> anyhow::Result<LoadedTokenizer> {
    let mut files = TokenizerFiles::read(location)?;
    if chat_templates == ChatTemplates::Ignored {
        files.remove_chat_templates();
    }
    let watched = Heartbeat::new(|_| "loading the tokenizer".to_owned());
    watched.begin(0, files.tokenizer_json.len());
    let tokenizer = Tokenizer::load(&files, &options)
        .with_context(|| format!("cannot load {}", location.tokenizer_json.display()))?;
    Ok(LoadedTokenizer {
        tokenizer: Arc::new(tokenizer),
        name: name.to_owned(),
        path: location.tokenizer_json.clone(),
        sha256: files.sha256,
        options,
        chat_templates,
    })
}

fn announce(loaded: &LoadedTokenizer, messages: Messages) {
    let tokenizer = &loaded.tokenizer;
    let engine = tokenizer.engine();
    messages.detail(format!(
        "tokenizer {} ({})",
        loaded.path.display(),
        tokenizer.class()
    ));
    messages.detail(format!("counting with {}: {}", engine.engine, engine.why));
    for member in tokenizer.disabled() {
        messages.detail(format!(
            "{member} of tokenizer.json is switched off: it must not change a count"
        ));
    }
    if !tokenizer.overrides().is_empty() {
        let describe =
            |it: &Override| format!("{} ({} instead of {})", it.component, it.to, it.from);
        let overrides: Vec<String> = tokenizer.overrides().iter().map(describe).collect();
        messages.warn(format!(
            "transformers, which the client loads tokenizers with, replaces parts of {}: {}; counting as it does (--tokenizer-rules file counts with the file's own rules)",
            loaded.path.display(),
            overrides.join("; ")
        ));
    }
    if let Some(why) = tokenizer.unknown_rules() {
        messages.warn(format!(
            "counting with the file's own rules, the client's may differ: {why}"
        ));
    }
}
