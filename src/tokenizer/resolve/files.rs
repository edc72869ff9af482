//! Reads the small files that decide a count, with a size limit for each.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{ResolveError, TokenizerLocation};
use crate::files;

/// The largest `tokenizer.json`, in bytes; the largest ones in use have about 35 MB.
const MAX_TOKENIZER_JSON_BYTES: u64 = 512 << 20;
/// The largest file of any other kind, in bytes.
const MAX_OTHER_BYTES: u64 = 64 << 20;
/// The largest number of additional chat templates; more are ignored.
const MAX_ADDITIONAL_TEMPLATES: usize = 64;

/// The contents of a tokenizer's files, not interpreted.
#[derive(Debug, Clone, Default)]
pub struct TokenizerFiles {
    /// The bytes of `tokenizer.json`.
    pub tokenizer_json: Vec<u8>,
    /// The SHA-256 of `tokenizer.json`, in lower-case hexadecimal.
    pub sha256: String,
    /// `tokenizer_config.json`.
    pub tokenizer_config: Option<Value>,
    /// `config.json`, the model's own configuration.
    pub config: Option<Value>,
    /// `special_tokens_map.json`.
    pub special_tokens_map: Option<Value>,
    /// `added_tokens.json`.
    pub added_tokens: Option<Value>,
    /// `chat_template.jinja`.
    pub chat_template: Option<String>,
    /// `additional_chat_templates/NAME.jinja`, as (NAME, text), sorted by name.
    pub additional_chat_templates: Vec<(String, String)>,
}

impl TokenizerFiles {
    /// Reads the files at `location`; all except `tokenizer.json` are optional.
    pub fn read(location: &TokenizerLocation) -> Result<Self, ResolveError> {
        let json = |name: &str| -> Result<Option<Value>, ResolveError> {
            let path = location.dir.join(name);
            let Some(bytes) = read_if_exists(&path, MAX_OTHER_BYTES)? else {
                return Ok(None);
            };
            serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| ResolveError::Json { path, source })
        };
        let tokenizer_json = read_if_exists(&location.tokenizer_json, MAX_TOKENIZER_JSON_BYTES)?
            .ok_or_else(|| ResolveError::NoTokenizerJson {
                dir: location.dir.clone(),
                found: Vec::new(),
            })?;
        Ok(Self {
            sha256: hex(&Sha256::digest(&tokenizer_json)),
            tokenizer_json,
            tokenizer_config: json("tokenizer_config.json")?,
            config: json("config.json")?,
            special_tokens_map: json("special_tokens_map.json")?,
            added_tokens: json("added_tokens.json")?,
            chat_template: read_text(&location.dir.join("chat_template.jinja"))?,
            additional_chat_templates: read_templates(
                &location.dir.join("additional_chat_templates"),
            )?,
        })
    }

    /// Removes the tokenizer's chat templates.
    pub(crate) fn remove_chat_templates(&mut self) {
        self.chat_template = None;
        self.additional_chat_templates.clear();
        if let Some(Value::Object(config)) = &mut self.tokenizer_config {
            config.shift_remove("chat_template");
        }
    }
}

/// The bytes of a regular file of at most `limit` bytes; `None` if there is no such file.
fn read_if_exists(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, ResolveError> {
    let read = |source| ResolveError::Read {
        path: path.to_owned(),
        source,
    };
    let too_large = |bytes| ResolveError::TooLarge {
        path: path.to_owned(),
        bytes,
        limit,
    };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(read(error)),
    };
    if !metadata.is_file() {
        return Err(ResolveError::NotRegular(path.to_owned()));
    }
    if metadata.len() > limit {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    // Some files of the kernel's look regular but block; `files::open` does not wait for them.
    files::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(read)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(Some(bytes))
}

/// The text of a regular file; `None` if there is no such file.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, ResolveError> {
    read_if_exists(path, MAX_OTHER_BYTES)?
        .map(|bytes| String::from_utf8(bytes).map_err(|_| ResolveError::NotUtf8(path.to_owned())))
        .transpose()
}

/// The `.jinja` files in `dir`, as (name, text), sorted by name.
fn read_templates(dir: &Path) -> Result<Vec<(String, String)>, ResolveError> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Ok(Vec::new());
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    let mut templates = Vec::new();
    for path in paths.into_iter().filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "jinja")
    }) {
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .map(str::to_owned);
        if let (Some(name), true) = (name, templates.len() < MAX_ADDITIONAL_TEMPLATES)
            && let Some(template) = read_text(&path)?
        {
            templates.push((name, template));
        }
    }
    Ok(templates)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
