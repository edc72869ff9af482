//! Reading the small files that decide a count, within bounds.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{HomeError, TokenizerHome};
use crate::files;

/// The largest `tokenizer.json` that is read, in bytes; the largest in use have about 35 MB.
const TOKENIZER_JSON_LIMIT_BYTES: u64 = 512 << 20;
/// The largest other file that is read, in bytes.
const OTHER_LIMIT_BYTES: u64 = 64 << 20;
/// The most extra chat templates that are read.
const EXTRA_TEMPLATES_LIMIT: usize = 64;

/// What a tokenizer's folder holds, read but not interpreted.
#[derive(Debug, Clone, Default)]
pub struct TokenizerFiles {
    /// `tokenizer.json`, its bytes as they are.
    pub tokenizer_json: Vec<u8>,
    /// SHA-256 of `tokenizer.json`, in lower-case hexadecimal.
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
    /// Reads the files of `home`. Only `tokenizer.json` must be there.
    pub fn read(home: &TokenizerHome) -> Result<Self, HomeError> {
        let json = |name: &str| -> Result<Option<Value>, HomeError> {
            let path = home.dir.join(name);
            let Some(bytes) = read_if_there(&path, OTHER_LIMIT_BYTES)? else {
                return Ok(None);
            };
            serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| HomeError::Json { path, source })
        };
        let tokenizer_json = read_if_there(&home.tokenizer_json, TOKENIZER_JSON_LIMIT_BYTES)?
            .ok_or_else(|| HomeError::NoTokenizerJson {
                dir: home.dir.clone(),
                found: Vec::new(),
            })?;
        Ok(Self {
            sha256: hex(&Sha256::digest(&tokenizer_json)),
            tokenizer_json,
            tokenizer_config: json("tokenizer_config.json")?,
            config: json("config.json")?,
            special_tokens_map: json("special_tokens_map.json")?,
            added_tokens: json("added_tokens.json")?,
            chat_template: text(&home.dir.join("chat_template.jinja"))?,
            additional_chat_templates: extra_templates(
                &home.dir.join("additional_chat_templates"),
            )?,
        })
    }

    /// Makes it a tokenizer without chat templates.
    pub fn remove_templates(&mut self) {
        self.chat_template = None;
        self.additional_chat_templates.clear();
        if let Some(Value::Object(config)) = &mut self.tokenizer_config {
            config.shift_remove("chat_template");
        }
    }
}

/// The bytes of a regular file of at most `limit` bytes; `None` if there is no such file.
fn read_if_there(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, HomeError> {
    let read = |source| HomeError::Read {
        path: path.to_owned(),
        source,
    };
    let too_large = |bytes| HomeError::TooLarge {
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
        return Err(HomeError::NotRegular(path.to_owned()));
    }
    if metadata.len() > limit {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    // Some of the kernel's own files look regular, and are waited for.
    files::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(read)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(Some(bytes))
}

pub(super) fn text(path: &Path) -> Result<Option<String>, HomeError> {
    read_if_there(path, OTHER_LIMIT_BYTES)?
        .map(|bytes| String::from_utf8(bytes).map_err(|_| HomeError::NotUtf8(path.to_owned())))
        .transpose()
}

fn extra_templates(dir: &Path) -> Result<Vec<(String, String)>, HomeError> {
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
        if let (Some(name), true) = (name, templates.len() < EXTRA_TEMPLATES_LIMIT)
            && let Some(template) = text(&path)?
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
