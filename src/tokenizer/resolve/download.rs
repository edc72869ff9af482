//! Downloads a tokenizer into the local Hugging Face cache. Only this module uses a network.

use std::ffi::OsString;

use hf_hub::Cache;
use hf_hub::api::sync::{ApiBuilder, ApiError};

use super::{
    ResolveError, SearchPaths, TOKENIZER_JSON, TokenizerLocation, in_cache, is_repo_id, repo_folder,
};

/// The files of a repository that decide a count.
const FILES: [&str; 6] = [
    "tokenizer_config.json",
    "config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    TOKENIZER_JSON,
];
/// The folder whose `.jinja` files decide a count, too.
const TEMPLATES_DIR: &str = "additional_chat_templates/";

/// The hub to download from, and the credentials.
#[derive(Debug, Clone, Default)]
pub struct Hub {
    /// The base URL; the public hub's by default.
    pub endpoint: Option<String>,
    /// The access token; by default the one that the hub's own tools keep beside the cache.
    pub token: Option<String>,
}

impl Hub {
    /// Reads `HF_ENDPOINT` and `HF_TOKEN` from the environment, of which `env` returns a variable.
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

/// Downloads the tokenizer files of the main branch of `repo_id` into the cache, where [`resolve`](super::resolve()) and
/// the Python libraries find them. A commit that the cache already has is not downloaded again.
pub fn download(
    repo_id: &str,
    search_paths: &SearchPaths,
    hub: &Hub,
) -> Result<TokenizerLocation, ResolveError> {
    if !is_repo_id(repo_id) {
        return Err(ResolveError::NotARepoId(repo_id.to_owned()));
    }
    let cache = search_paths
        .hub_cache
        .as_ref()
        .ok_or(ResolveError::NoCache)?;
    let repo_dir = cache.join(repo_folder(repo_id));
    let failed = |source: ApiError| ResolveError::Download {
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
    if let Ok(location) = in_cache(repo_id, repo_dir.clone())
        && location.dir.ends_with(&info.sha)
    {
        return Ok(location);
    }
    let mut files: Vec<&str> = info
        .siblings
        .iter()
        .map(|sibling| sibling.rfilename.as_str())
        .collect();
    files.retain(|file| decides_count(file));
    // The required file comes last, so that an interrupted download does not look complete.
    files.sort_by_key(|file| *file == TOKENIZER_JSON);
    for file in files {
        repo.download(file).map_err(failed)?;
    }
    in_cache(repo_id, repo_dir)
}

fn decides_count(file: &str) -> bool {
    let template = |name: &str| {
        name.strip_suffix(".jinja")
            .is_some_and(|stem| !stem.contains('/'))
    };
    FILES.contains(&file) || file.strip_prefix(TEMPLATES_DIR).is_some_and(template)
}
