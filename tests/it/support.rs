//! Runs of the binary on copies of the fixture runs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file of the repository.
pub fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(path)
}

/// The bytes of a fixture.
pub fn read(path: &str) -> Vec<u8> {
    let path = fixture(path);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A temporary copy of a fixture run.
pub struct Run {
    folder: tempfile::TempDir,
    tokenizer: &'static str,
}

/// The result of a process.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// The run with plain texts, counted with the llama3 tokenizer.
    pub fn text() -> Self {
        Self::copy("run", "tokenizers/llama3")
    }

    /// The run with chat messages, counted with the chat tokenizer.
    pub fn chat() -> Self {
        Self::copy("run_chat", "tokenizers/chat")
    }

    /// An empty folder.
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        let tokenizer = "tokenizers/chat";
        Self { folder, tokenizer }
    }

    /// A copy of the fixture run `name`, counted with the tokenizer fixture `tokenizer`.
    pub fn copy(name: &str, tokenizer: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(&fixture(name), &folder.path().join("run"));
        Self { folder, tokenizer }
    }

    /// The folder around the run.
    pub fn around(&self) -> &Path {
        self.folder.path()
    }

    /// The tokenizer of the run.
    pub fn tokenizer(&self) -> PathBuf {
        fixture(self.tokenizer)
    }

    /// The run directory.
    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// A path in the run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn make_folder(&self, name: &str) {
        fs::create_dir(self.path(name)).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// The files of the run with their bytes, sorted.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        collect(&self.dir(), &mut files);
        files.sort();
        files
    }

    /// Runs `tok-recompute RUN --tokenizer … ARGS` in the folder around the run.
    pub fn recompute(&self, args: &[&str]) -> Outcome {
        let tokenizer = fixture(self.tokenizer);
        let mut all = vec!["run", "--tokenizer", tokenizer.to_str().unwrap()];
        all.extend_from_slice(args);
        self.command(&all, b"")
    }

    /// Runs `tok-recompute ARGS` in the folder around the run, with `stdin`.
    pub fn command(&self, args: &[&str], stdin: &[u8]) -> Outcome {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tok-recompute"))
            .args(args)
            .current_dir(self.folder.path())
            .env_remove("GITHUB_ACTIONS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        let output = child.wait_with_output().unwrap();
        Outcome {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The provenance record of the last recount.
    pub fn record(&self) -> serde_json::Value {
        serde_json::from_slice(&self.bytes("performance/recompute.json")).unwrap()
    }
}

/// Copies a folder and its content.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            collect(&path, files);
        } else if let Ok(link) = fs::read_link(&path) {
            files.push((path, link.into_os_string().into_encoded_bytes()));
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap();
            files.push((path, bytes));
        }
    }
}
