//! Fetching a tokenizer into the local Hugging Face cache; the only thing that uses a network, and only when asked.

use std::ffi::OsString;

use hf_hub::Cache;
use hf_hub::api::sync::{ApiBuilder, ApiError};

use super::{HomeError, Places, TOKENIZER_JSON, TokenizerHome, in_cache, is_repo_id, repo_folder};

/// The files of a repository that decide a count; weights are never among them.
const WANTED: [&str; 6] = [
    "tokenizer_config.json",
    "config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    TOKENIZER_JSON,
];
/// The folder whose `.jinja` files are wanted too.
const TEMPLATES: &str = "additional_chat_templates/";

/// Which hub to ask, and as whom.
#[derive(Debug, Clone, Default)]
pub struct Hub {
    /// Its base URL; the public one by default.
    pub endpoint: Option<String>,
    /// An access token; by default the one that the hub's own tools keep beside the cache.
    pub token: Option<String>,
}

impl Hub {
    /// The hub that the environment means (`HF_ENDPOINT`, `HF_TOKEN`), with `env` to ask for a variable.
    pub fn from_env(env: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name: &str| {
            let value = env(name)?.into_string().ok()?;
            Some(value.trim().trim_end_matches('/').to_owned()).filter(|value| !value.is_empty())
        };
        Self {
            endpoint: text("HF_ENDPOINT"),
            token: text("HF_TOKEN"),
        }
    }
}

/// Fetches the tokenizer files of the main branch of `repo_id` into the cache of `places`, where [`find`](super::find)
/// and the Python libraries see them too. Nothing is fetched when the cache has that commit already.
pub fn download(repo_id: &str, places: &Places, hub: &Hub) -> Result<TokenizerHome, HomeError> {
    if !is_repo_id(repo_id) {
        return Err(HomeError::NotARepoId(repo_id.to_owned()));
    }
    let cache = places.hub_cache.as_ref().ok_or(HomeError::NoCache)?;
    let repo_dir = cache.join(repo_folder(repo_id));
    let failed = |source: ApiError| HomeError::Download {
        repo_id: repo_id.to_owned(),
        source: Box::new(source),
    };

    let mut builder = ApiBuilder::from_cache(Cache::new(cache.clone()))
        .with_progress(false)
        .with_retries(2);
    if let Some(endpoint) = &hub.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    if let Some(token) = &hub.token {
        builder = builder.with_token(Some(token.clone()));
    }
    let repo = builder.build().map_err(failed)?.model(repo_id.to_owned());
    let info = repo.info().map_err(failed)?;
    if let Ok(home) = in_cache(repo_id, repo_dir.clone())
        && home.dir.ends_with(&info.sha)
    {
        return Ok(home);
    }
    let mut files: Vec<&str> = info
        .siblings
        .iter()
        .map(|sibling| sibling.rfilename.as_str())
        .collect();
    files.retain(|file| wanted(file));
    // The file without which there is no tokenizer comes last, so that a download cut short does not look whole.
    files.sort_by_key(|file| *file == TOKENIZER_JSON);
    for file in files {
        repo.download(file).map_err(failed)?;
    }
    in_cache(repo_id, repo_dir)
}

fn wanted(file: &str) -> bool {
    let template = |name: &str| {
        name.strip_suffix(".jinja")
            .is_some_and(|stem| !stem.contains('/'))
    };
    WANTED.contains(&file) || file.strip_prefix(TEMPLATES).is_some_and(template)
}
