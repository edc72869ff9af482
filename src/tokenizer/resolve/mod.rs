//! Where a tokenizer lives: from the name that a run or a person gives to the few small files that decide a count.
//!
//! A benchmark run names its tokenizer by a repository id or a path, and the machine that recounts is often another
//! one. So a name is looked up in a fixed order of places, nothing is fetched unless [`download`] is called, and a miss
//! says where it looked. This module knows files and folders, not what is in them.

mod download;
mod files;
mod places;

use std::path::{Path, PathBuf};

pub use download::{Hub, download};
pub use files::TokenizerFiles;
pub use places::Places;

/// The file every tokenizer must have to be counted with.
pub const TOKENIZER_JSON: &str = "tokenizer.json";

/// Files that a tokenizer can come with, which cannot be counted with by themselves.
const OTHER_VOCABULARIES: [&str; 6] = [
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "tiktoken.model",
    "tekken.json",
    "vocab.txt",
];

/// A folder that holds a tokenizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerHome {
    /// The folder: a plain one, or a snapshot in the Hugging Face cache.
    pub dir: PathBuf,
    /// `tokenizer.json` in it (or the JSON file that was named).
    pub tokenizer_json: PathBuf,
    /// The repository id, when the folder was found in the cache by it.
    pub repo_id: Option<String>,
}

/// Why no tokenizer could be had.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// No place had it.
    #[error(
        "no tokenizer {name:?}: looked at {}; give --tokenizer a folder, a tokenizer.json or a cached repository id, \
         or add --download to fetch it",
        list(.looked)
    )]
    NotFound {
        /// The name as given.
        name: String,
        /// Every path tried, in order.
        looked: Vec<PathBuf>,
    },
    /// The cache knows the repository, but no complete snapshot of its main branch.
    #[error(
        "{repo_id} is in the cache at {} but its main branch is not: {what}; give --tokenizer a snapshot folder, \
         or add --download",
        .repo_dir.display()
    )]
    NotInSnapshot {
        /// The repository id.
        repo_id: String,
        /// Its folder in the cache.
        repo_dir: PathBuf,
        /// What is missing.
        what: String,
    },
    /// A folder without `tokenizer.json`.
    #[error("no tokenizer.json in {}{}", .dir.display(), other_files(.found))]
    NoTokenizerJson {
        /// The folder.
        dir: PathBuf,
        /// Vocabulary files of other kinds that it has.
        found: Vec<&'static str>,
    },
    /// A path that is neither a folder nor a regular file.
    #[error("{} is not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// A file larger than any tokenizer has.
    #[error("{} has {bytes} bytes, more than the {limit} that a file of its kind may have", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A file that could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file that should be JSON and is not.
    #[error("{} is not valid JSON", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The cause, with line and column.
        source: serde_json::Error,
    },
    /// A text file that is not UTF-8.
    #[error("{} is not valid UTF-8", .0.display())]
    NotUtf8(PathBuf),
    /// A name that cannot be a repository id.
    #[error(
        "{0:?} is not a repository id: expected NAME or OWNER/NAME of letters, digits, '-', '_' and '.'"
    )]
    NotARepoId(String),
    /// The hub could not be asked, or refused.
    #[error("cannot download the tokenizer of {repo_id}")]
    Download {
        /// The repository id.
        repo_id: String,
        /// The cause.
        source: Box<hf_hub::api::sync::ApiError>,
    },
    /// No folder to download into.
    #[error("no Hugging Face cache to download into: set HF_HUB_CACHE or HOME")]
    NoCache,
}

/// Finds a tokenizer by `name`: a folder, a `tokenizer.json`, or a repository id in the local Hugging Face cache.
///
/// A path that exists wins over a repository id of the same spelling, as `from_pretrained` decides it. A relative path
/// is tried from the working folder, then from the run, because a run's `config.yaml` is relative to where its client
/// stood. Symbolic links are followed (snapshots in the cache consist of them); what they lead to must be regular
/// files.
pub fn find(name: &str, places: &Places) -> Result<TokenizerHome, HomeError> {
    let mut looked = Vec::new();
    for path in places.paths_for(name) {
        if path.is_dir() {
            return in_folder(path, None);
        }
        if path.exists() {
            return named_file(path);
        }
        looked.push(path);
    }
    if let (true, Some(cache)) = (is_repo_id(name), &places.hub_cache) {
        let repo_dir = cache.join(repo_folder(name));
        if repo_dir.is_dir() {
            return in_cache(name, repo_dir);
        }
        looked.push(repo_dir);
    }
    Err(HomeError::NotFound {
        name: name.to_owned(),
        looked,
    })
}

/// Whether `name` is spelled as a model repository id, `name` or `owner/name` (`huggingface_hub`'s `validate_repo_id`:
/// at most 96 characters, letters, digits, `-`, `_`, `.`, no `--` and no `..`, not at either end `-` or `.`).
pub fn is_repo_id(name: &str) -> bool {
    let part = |part: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        part.chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            && edge(part.chars().next())
            && edge(part.chars().next_back())
    };
    name.len() <= 96
        && name.split('/').count() <= 2
        && name.split('/').all(part)
        && !name.contains("--")
        && !name.contains("..")
}

/// The folder of a repository in the cache: `models--owner--name`.
fn repo_folder(repo_id: &str) -> String {
    format!("models--{}", repo_id.replace('/', "--"))
}

fn in_cache(repo_id: &str, repo_dir: PathBuf) -> Result<TokenizerHome, HomeError> {
    let missing = |repo_dir, what: &str| {
        Err(HomeError::NotInSnapshot {
            repo_id: repo_id.to_owned(),
            repo_dir,
            what: what.to_owned(),
        })
    };
    let Some(commit) = files::text(&repo_dir.join("refs/main"))? else {
        return missing(repo_dir, "no refs/main");
    };
    let commit = commit.trim();
    if commit.is_empty()
        || commit.len() > 64
        || !commit.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        return missing(repo_dir, "refs/main is not a commit");
    }
    let snapshot = repo_dir.join("snapshots").join(commit);
    if !snapshot.is_dir() {
        return missing(repo_dir, &format!("no snapshots/{commit}"));
    }
    in_folder(snapshot, Some(repo_id.to_owned()))
}

fn in_folder(dir: PathBuf, repo_id: Option<String>) -> Result<TokenizerHome, HomeError> {
    let tokenizer_json = dir.join(TOKENIZER_JSON);
    if tokenizer_json.is_file() {
        return Ok(TokenizerHome {
            dir,
            tokenizer_json,
            repo_id,
        });
    }
    if tokenizer_json.exists() {
        return Err(HomeError::NotRegular(tokenizer_json));
    }
    let found = OTHER_VOCABULARIES
        .into_iter()
        .filter(|file| dir.join(file).exists())
        .collect();
    Err(HomeError::NoTokenizerJson { dir, found })
}

fn named_file(path: PathBuf) -> Result<TokenizerHome, HomeError> {
    if !path.is_file() {
        return Err(HomeError::NotRegular(path));
    }
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
        .to_owned();
    let other = path
        .file_name()
        .and_then(|name| OTHER_VOCABULARIES.into_iter().find(|other| name == *other));
    match other {
        Some(other) => Err(HomeError::NoTokenizerJson {
            dir,
            found: vec![other],
        }),
        None => Ok(TokenizerHome {
            dir,
            tokenizer_json: path,
            repo_id: None,
        }),
    }
}

fn list(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "nothing, as it is neither a path nor a repository id".to_owned();
    }
    paths
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

fn other_files(found: &[&str]) -> String {
    if found.is_empty() {
        return "; expected a folder with a tokenizer.json".to_owned();
    }
    format!(
        ", only {}: save it once with transformers (`AutoTokenizer.from_pretrained(DIR).save_pretrained(NEW)`) and \
         give --tokenizer NEW",
        found.join(", ")
    )
}

#[cfg(test)]
mod tests;
