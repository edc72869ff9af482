//! Resolves a tokenizer's name to the few small files that decide a count.
//!
//! A benchmark run names its tokenizer by a repository id or a path, often of another machine. So a name is looked up
//! in a fixed order of paths, an error lists the paths that were tried, and only [`download`] uses a network.

mod download;
mod files;
mod search_paths;

use std::path::{Path, PathBuf};

pub use download::{Hub, download};
pub use files::TokenizerFiles;
pub use search_paths::SearchPaths;

/// The file that a tokenizer must have.
const TOKENIZER_JSON: &str = "tokenizer.json";

/// Vocabulary files that cannot be counted with unless there is a `tokenizer.json`.
const OTHER_VOCABULARIES: [&str; 6] = [
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "tiktoken.model",
    "tekken.json",
    "vocab.txt",
];

/// The location of a tokenizer's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerLocation {
    /// The folder: a plain one, or a snapshot in the Hugging Face cache.
    pub dir: PathBuf,
    /// The path of `tokenizer.json`, which has another name if the JSON file itself was named.
    pub tokenizer_json: PathBuf,
    /// The repository id, if the folder was found in the cache by it.
    pub repo_id: Option<String>,
}

/// Why a tokenizer could not be resolved, read or downloaded.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// None of the paths exists.
    #[error(
        "no tokenizer {name:?}: looked at {}; give --tokenizer a folder, a tokenizer.json or a cached repository id, \
         or add --download to fetch it",
        join_paths(.tried)
    )]
    NotFound {
        /// The name as given.
        name: String,
        /// The paths that were tried, in order.
        tried: Vec<PathBuf>,
    },
    /// The cache has the repository without a snapshot of its main branch.
    #[error(
        "{repo_id} is in the cache at {} but its main branch is not: {cause}; give --tokenizer a snapshot folder, \
         or add --download",
        .repo_dir.display()
    )]
    NotInSnapshot {
        /// The repository id.
        repo_id: String,
        /// Its folder in the cache.
        repo_dir: PathBuf,
        /// The missing or invalid file.
        cause: String,
    },
    /// A folder without `tokenizer.json`.
    #[error("no tokenizer.json in {}{}", .dir.display(), advice_on(.found))]
    NoTokenizerJson {
        /// The folder.
        dir: PathBuf,
        /// The vocabulary files of other kinds in it.
        found: Vec<&'static str>,
    },
    /// A path that is neither a folder nor a regular file.
    #[error("{} is not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// A file above the size limit of its kind.
    #[error("{} has {bytes} bytes, more than the {limit} that a file of its kind may have", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A read error.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A configuration file that is not JSON.
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
    /// A name that is not a repository id.
    #[error(
        "{0:?} is not a repository id: expected NAME or OWNER/NAME of letters, digits, '-', '_' and '.'"
    )]
    NotARepoId(String),
    /// The request to the hub failed.
    #[error("cannot download the tokenizer of {repo_id}")]
    Download {
        /// The repository id.
        repo_id: String,
        /// The cause.
        source: Box<hf_hub::api::sync::ApiError>,
    },
    /// The environment names no cache folder.
    #[error("no Hugging Face cache to download into: set HF_HUB_CACHE or HOME")]
    NoCache,
}

/// Resolves `name`: a folder, a `tokenizer.json`, or a repository id in the local Hugging Face cache.
///
/// A path that exists takes precedence over a repository id of the same spelling, as in `from_pretrained`. A relative
/// path is tried from the working folder, then from the run, because the paths of a run's `config.yaml` are relative to
/// its client's working folder. Symbolic links are followed (snapshots in the cache consist of them), but they must
/// lead to regular files.
pub fn resolve(name: &str, search_paths: &SearchPaths) -> Result<TokenizerLocation, ResolveError> {
    let mut tried = Vec::new();
    for path in search_paths.candidates(name) {
        if path.is_dir() {
            return in_folder(path, None);
        }
        if path.exists() {
            return named_file(path);
        }
        tried.push(path);
    }
    if let (true, Some(cache)) = (is_repo_id(name), &search_paths.hub_cache) {
        let repo_dir = cache.join(repo_folder(name));
        if repo_dir.is_dir() {
            return in_cache(name, repo_dir);
        }
        tried.push(repo_dir);
    }
    Err(ResolveError::NotFound {
        name: name.to_owned(),
        tried,
    })
}

/// Returns true if `name` is a valid model repository id, `name` or `owner/name`, by the rules of `huggingface_hub`'s
/// `validate_repo_id`: at most 96 letters, digits, `-`, `_` and `.`, without `--` and `..`, and without `-` or `.` at
/// either end of a part.
pub(crate) fn is_repo_id(name: &str) -> bool {
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

/// The folder of a repository in the cache, `models--owner--name`.
fn repo_folder(repo_id: &str) -> String {
    format!("models--{}", repo_id.replace('/', "--"))
}

fn in_cache(repo_id: &str, repo_dir: PathBuf) -> Result<TokenizerLocation, ResolveError> {
    let missing = |repo_dir, cause: &str| {
        Err(ResolveError::NotInSnapshot {
            repo_id: repo_id.to_owned(),
            repo_dir,
            cause: cause.to_owned(),
        })
    };
    let Some(commit) = files::read_text(&repo_dir.join("refs/main"))? else {
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

fn in_folder(dir: PathBuf, repo_id: Option<String>) -> Result<TokenizerLocation, ResolveError> {
    let tokenizer_json = dir.join(TOKENIZER_JSON);
    if tokenizer_json.is_file() {
        return Ok(TokenizerLocation {
            dir,
            tokenizer_json,
            repo_id,
        });
    }
    if tokenizer_json.exists() {
        return Err(ResolveError::NotRegular(tokenizer_json));
    }
    let found = OTHER_VOCABULARIES
        .into_iter()
        .filter(|file| dir.join(file).exists())
        .collect();
    Err(ResolveError::NoTokenizerJson { dir, found })
}

fn named_file(path: PathBuf) -> Result<TokenizerLocation, ResolveError> {
    if !path.is_file() {
        return Err(ResolveError::NotRegular(path));
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
        Some(other) => Err(ResolveError::NoTokenizerJson {
            dir,
            found: vec![other],
        }),
        None => Ok(TokenizerLocation {
            dir,
            tokenizer_json: path,
            repo_id: None,
        }),
    }
}

fn join_paths(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "nothing, as it is neither a path nor a repository id".to_owned();
    }
    paths
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

fn advice_on(found: &[&str]) -> String {
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
