//! The places where tokenizer names are looked up.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The folders in which tokenizer names are looked up, read from the environment once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchPaths {
    /// The Hugging Face hub's cache: the folder of `models--owner--name`.
    pub hub_cache: Option<PathBuf>,
    /// The run that names the tokenizer: a relative path is tried from it, too.
    pub run: Option<PathBuf>,
}

impl SearchPaths {
    /// Reads the environment, of which `env` returns a variable.
    ///
    /// The cache is, in this order, `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME/hub`,
    /// `XDG_CACHE_HOME/huggingface/hub`, `~/.cache/huggingface/hub`, with `~` expanded, as `huggingface_hub` 1.x
    /// resolves it (`constants.py`; `TRANSFORMERS_CACHE` is no longer read). Empty variables count as unset.
    pub fn from_env(env: impl Fn(&str) -> Option<OsString>, run: Option<&Path>) -> Self {
        let home = env("HOME")
            .filter(|home| !home.is_empty())
            .map(PathBuf::from);
        let dir = |name: &str| {
            let path = PathBuf::from(env(name).filter(|value| !value.is_empty())?);
            Some(match (path.strip_prefix("~"), &home) {
                (Ok(rest), Some(home)) => home.join(rest),
                _ => path,
            })
        };
        let hf_home = || {
            dir("HF_HOME")
                .or_else(|| Some(dir("XDG_CACHE_HOME")?.join("huggingface")))
                .or_else(|| Some(home.as_ref()?.join(".cache/huggingface")))
        };
        let hub_cache = dir("HF_HUB_CACHE")
            .or_else(|| dir("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(hf_home()?.join("hub")));
        Self {
            hub_cache,
            run: run.map(Path::to_owned),
        }
    }

    /// The paths that `name` can mean, in the order they are tried.
    pub(super) fn candidates(&self, name: &str) -> Vec<PathBuf> {
        if name.is_empty() {
            return Vec::new();
        }
        let path = PathBuf::from(name);
        let from_run = self
            .run
            .as_ref()
            .filter(|_| path.is_relative())
            .map(|run| run.join(&path));
        [Some(path), from_run].into_iter().flatten().collect()
    }
}
