//! The paths of the pages that `--html` writes.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::find::is_log;

/// The longest part of a run's name in the name of its page, in characters.
const MAX_NAME_CHARS: usize = 60;

/// The page of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageTarget {
    pub path: PathBuf,
    /// The link from the page to the index, if there are several runs.
    pub index: Option<String>,
    /// The link from the index to the page.
    pub link: String,
}

impl PageTarget {
    /// Returns the page of the only run.
    pub(super) fn alone(html: &Path) -> Self {
        Self {
            path: html.to_owned(),
            index: None,
            link: String::new(),
        }
    }

    /// Returns the page of one of several runs: in a folder beside the index, with the extension `.runs`.
    pub(super) fn of_several(html: &Path, number: usize, run: &Path) -> Self {
        let folder = html.with_extension("runs");
        let file = format!("{number}-{}.html", plain_name(run));
        let name = |path: &Path| path.file_name().map(OsString::from).unwrap_or_default();
        Self {
            link: format!("{}/{file}", encoded(&name(&folder))),
            index: Some(format!("../{}", encoded(&name(html)))),
            path: folder.join(file),
        }
    }
}

/// Returns a run's name with plain characters only.
fn plain_name(run: &Path) -> String {
    let dir = if is_log(run) {
        run.parent().unwrap_or(run)
    } else {
        run
    };
    let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            c
        } else {
            '-'
        }
    };
    let name: String = name.chars().take(MAX_NAME_CHARS).map(plain).collect();
    name.trim_matches(['.', '-']).to_owned()
}

/// Percent-encodes a file name for a link.
fn encoded(name: &OsString) -> String {
    let encode = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(*byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    name.as_bytes().iter().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_several_runs_are_in_a_folder_beside_the_index() {
        let check = |html: &str, run: &str, path: &str, index: &str, link: &str| {
            let target = PageTarget::of_several(Path::new(html), 3, Path::new(run));
            assert_eq!(target.path, Path::new(path));
            assert_eq!(
                (target.index.as_deref(), target.link.as_str()),
                (Some(index), link)
            );
        };
        check(
            "out/all.html",
            "results/run_17/",
            "out/all.runs/3-run_17.html",
            "../all.html",
            "all.runs/3-run_17.html",
        );
        check(
            "page",
            "r/a/events.jsonl.zst",
            "page.runs/3-a.html",
            "../page",
            "page.runs/3-a.html",
        );
        check(
            "a b?.html",
            "r/ä <b>",
            "a b?.runs/3-b.html",
            "../a%20b%3F.html",
            "a%20b%3F.runs/3-b.html",
        );
        check(
            "p.html",
            "-",
            "p.runs/3-.html",
            "../p.html",
            "p.runs/3-.html",
        );
        check(
            "p.html",
            "..",
            "p.runs/3-.html",
            "../p.html",
            "p.runs/3-.html",
        );
    }
}
