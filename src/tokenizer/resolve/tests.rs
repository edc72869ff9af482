use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A cache as the hub's tools lay it out: files are links into `blobs`.
fn cache_with(root: &Path, repo: &str, files: &[(&str, &str)]) {
    let repo = root.join(repo_folder(repo));
    let snapshot = repo.join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(repo.join("blobs")).unwrap();
    fs::create_dir_all(repo.join("refs")).unwrap();
    fs::write(repo.join("refs/main"), COMMIT).unwrap();
    for (index, (name, content)) in files.iter().enumerate() {
        let blob = format!("blob{index}");
        fs::write(repo.join("blobs").join(&blob), content).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(Path::new("../../blobs").join(&blob), snapshot.join(name))
            .unwrap();
        #[cfg(not(unix))]
        fs::write(snapshot.join(name), content).unwrap();
    }
}

#[test]
fn resolves_the_cache_as_the_hub_does() {
    let check = |env: &[(&str, &str)], expected: Option<&str>| {
        let env: HashMap<&str, &str> = env.iter().copied().collect();
        let search_paths = SearchPaths::from_env(|name| env.get(name).map(OsString::from), None);
        assert_eq!(
            search_paths.hub_cache.as_deref(),
            expected.map(Path::new),
            "{env:?}"
        );
    };
    check(&[], None);
    check(&[("HOME", "/h")], Some("/h/.cache/huggingface/hub"));
    check(
        &[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")],
        Some("/x/huggingface/hub"),
    );
    check(
        &[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/f")],
        Some("/f/hub"),
    );
    check(
        &[("HF_HOME", "/f"), ("HUGGINGFACE_HUB_CACHE", "/old")],
        Some("/old"),
    );
    check(
        &[("HF_HUB_CACHE", "/new"), ("HUGGINGFACE_HUB_CACHE", "/old")],
        Some("/new"),
    );
    check(&[("HOME", "/h"), ("HF_HUB_CACHE", "~/c")], Some("/h/c"));
    check(
        &[("HOME", "/h"), ("HF_HOME", "")],
        Some("/h/.cache/huggingface/hub"),
    );
    check(
        &[("HOME", "/h"), ("TRANSFORMERS_CACHE", "/t")],
        Some("/h/.cache/huggingface/hub"),
    );
}

#[test]
fn knows_repository_ids() {
    for id in [
        "gpt2",
        "openai/gpt-oss-20b",
        "meta-llama/Llama-3.1-8B",
        "a/b.c_d",
        "_x",
    ] {
        assert!(is_repo_id(id), "{id}");
    }
    for other in [
        "",
        "/",
        "a/",
        "/a",
        "a/b/c",
        "..",
        "a/..",
        "a--b",
        "-a",
        "a.",
        "a b",
        "a/b\\c",
        "é",
        &"a".repeat(97),
    ] {
        assert!(!is_repo_id(other), "{other}");
    }
}

#[test]
fn finds_folders_files_and_cached_repositories() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run/models/x");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("tokenizer.json"), "{}").unwrap();
    cache_with(
        &root.path().join("hub"),
        "org/name",
        &[("tokenizer.json", "{}"), ("config.json", "{}")],
    );
    cache_with(
        &root.path().join("hub"),
        "solo",
        &[("tokenizer.json", "{}")],
    );
    let search_paths = SearchPaths {
        hub_cache: Some(root.path().join("hub")),
        run: Some(root.path().join("run")),
    };
    let snapshot = |repo: &str| {
        root.path()
            .join("hub")
            .join(repo_folder(repo))
            .join("snapshots")
            .join(COMMIT)
    };
    let check = |name: &str, dir: &Path, repo_id: Option<&str>| {
        let location = resolve(name, &search_paths).unwrap();
        assert_eq!(
            (location.dir.as_path(), location.repo_id.as_deref()),
            (dir, repo_id),
            "{name}"
        );
        assert_eq!(location.tokenizer_json, dir.join("tokenizer.json"));
    };
    check(folder.to_str().unwrap(), &folder, None);
    check(
        folder.join("tokenizer.json").to_str().unwrap(),
        &folder,
        None,
    );
    check("models/x", &folder, None);
    check("./models/x", &root.path().join("run/./models/x"), None);
    check("models/x/tokenizer.json", &folder, None);
    check("org/name", &snapshot("org/name"), Some("org/name"));
    check("solo", &snapshot("solo"), Some("solo"));
}

#[test]
fn a_miss_says_where_it_looked_and_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let hub = root.path().join("hub");
    let write = |path: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    };
    write("slow/tokenizer.model");
    write("bpe/vocab.json");
    write("bpe/merges.txt");
    fs::create_dir_all(root.path().join("empty")).unwrap();
    fs::create_dir_all(root.path().join("odd/tokenizer.json")).unwrap();
    cache_with(&hub, "org/noref", &[("tokenizer.json", "{}")]);
    fs::remove_file(hub.join("models--org--noref/refs/main")).unwrap();
    cache_with(&hub, "org/badref", &[("tokenizer.json", "{}")]);
    fs::write(hub.join("models--org--badref/refs/main"), "../../x").unwrap();
    cache_with(&hub, "org/nosnapshot", &[]);
    fs::write(hub.join("models--org--nosnapshot/refs/main"), "ffff").unwrap();
    cache_with(&hub, "org/weights", &[("config.json", "{}")]);
    let search_paths = SearchPaths {
        hub_cache: Some(hub.clone()),
        run: Some(root.path().to_owned()),
    };
    let check = |name: &str, parts: &[&str]| {
        let message = resolve(name, &search_paths).unwrap_err().to_string();
        assert!(
            parts.iter().all(|part| message.contains(part)),
            "{name}: {message}"
        );
    };
    let tried = hub.join("models--org--missing");
    check(
        "org/missing",
        &[
            "\"org/missing\"",
            tried.to_str().unwrap(),
            "--tokenizer",
            "--download",
        ],
    );
    check("../../nowhere", &["../../nowhere", "--tokenizer"]);
    check("", &["neither a path nor a repository id"]);
    check("slow", &["only tokenizer.model", "save_pretrained"]);
    check("slow/tokenizer.model", &["only tokenizer.model"]);
    check("bpe", &["only vocab.json, merges.txt"]);
    check("empty", &["no tokenizer.json", "expected a folder"]);
    check("odd", &["not a regular file"]);
    check("org/noref", &["no refs/main", "--download"]);
    check("org/badref", &["refs/main is not a commit"]);
    check("org/nosnapshot", &["no snapshots/ffff"]);
    check("org/weights", &["no tokenizer.json"]);
}

fn location(dir: &Path) -> TokenizerLocation {
    TokenizerLocation {
        dir: dir.to_owned(),
        tokenizer_json: dir.join("tokenizer.json"),
        repo_id: None,
    }
}

#[test]
fn reads_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| fs::write(dir.path().join(name), content).unwrap();
    write("tokenizer.json", b"abc");
    write("config.json", br#"{"model_type": "llama"}"#);
    let files = TokenizerFiles::read(&location(dir.path())).unwrap();
    assert_eq!(files.tokenizer_json, b"abc");
    assert_eq!(
        files.sha256,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(files.config.as_ref().unwrap()["model_type"], "llama");
    assert!(files.tokenizer_config.is_none() && files.chat_template.is_none());

    write("tokenizer_config.json", b"{");
    assert!(matches!(
        TokenizerFiles::read(&location(dir.path())),
        Err(ResolveError::Json { .. })
    ));
    write("tokenizer_config.json", b"{}");
    write("chat_template.jinja", b"\xff");
    assert!(matches!(
        TokenizerFiles::read(&location(dir.path())),
        Err(ResolveError::NotUtf8(_))
    ));
    fs::remove_file(dir.path().join("chat_template.jinja")).unwrap();
    fs::create_dir(dir.path().join("added_tokens.json")).unwrap();
    assert!(matches!(
        TokenizerFiles::read(&location(dir.path())),
        Err(ResolveError::NotRegular(_))
    ));
    fs::remove_dir(dir.path().join("added_tokens.json")).unwrap();
    let huge = fs::File::create(dir.path().join("special_tokens_map.json")).unwrap();
    huge.set_len((64 << 20) + 1).unwrap();
    assert!(matches!(
        TokenizerFiles::read(&location(dir.path())),
        Err(ResolveError::TooLarge { .. })
    ));
}

#[test]
fn reads_templates_beside_the_others_by_their_name() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("additional_chat_templates");
    fs::create_dir(&folder).unwrap();
    fs::write(dir.path().join("tokenizer.json"), "{}").unwrap();
    for (name, text) in [("b.jinja", "b"), ("a.txt", ""), ("a.jinja", "a")] {
        fs::write(folder.join(name), text).unwrap();
    }
    let read = TokenizerFiles::read(&location(dir.path())).unwrap();
    let expected = [("a", "a"), ("b", "b")].map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(read.additional_chat_templates, expected);
}

/// A hub on the loopback interface that has one repository; answers what the client asks, and notes the paths.
fn serve(
    files: &'static [(&'static str, &'static str)],
    requests: usize,
) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for stream in listener.incoming().take(requests) {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap())
                .lines()
                .map_while(Result::ok);
            let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
            let range = lines.take_while(|line| !line.is_empty()).find_map(|line| {
                Some(
                    line.to_lowercase()
                        .strip_prefix("range: bytes=")?
                        .to_owned(),
                )
            });
            let file = path.strip_prefix("/org/name/resolve/main/");
            let content = files
                .iter()
                .find(|(name, _)| Some(*name) == file)
                .map(|(_, content)| *content);
            let siblings: Vec<String> = files
                .iter()
                .map(|(name, _)| format!("{{\"rfilename\":\"{name}\"}}"))
                .collect();
            let info = format!(
                "{{\"sha\":\"{COMMIT}\",\"siblings\":[{}]}}",
                siblings.join(",")
            );
            let (status, body) = match (content, path.as_str()) {
                (Some(content), _) if range.as_deref() == Some("0-0") => {
                    ("206 Partial Content", &content[..1])
                }
                (Some(content), _) => ("206 Partial Content", content),
                (None, "/api/models/org/name/revision/main") => ("200 OK", info.as_str()),
                _ => ("404 Not Found", ""),
            };
            let size = content.map_or(0, str::len);
            let etag = path.replace(['/', '.'], "_");
            write!(
                stream,
                "HTTP/1.1 {status}\r\netag: \"{etag}\"\r\nx-repo-commit: {COMMIT}\r\ncontent-range: bytes 0-0/{size}\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
            asked.push(path);
        }
        asked
    });
    (endpoint, server)
}

#[test]
fn downloads_only_what_counting_needs() {
    let root = tempfile::tempdir().unwrap();
    let search_paths = SearchPaths {
        hub_cache: Some(root.path().join("hub")),
        run: None,
    };
    let files = &[
        ("tokenizer.json", "{\"t\":1}"),
        ("config.json", "{}"),
        ("model.safetensors", "weights"),
        ("additional_chat_templates/rag.jinja", "rag"),
        ("onnx/tokenizer.json", "{}"),
    ];
    let (endpoint, server) = serve(files, 8);
    let hub = Hub {
        endpoint: Some(endpoint),
        token: None,
    };
    let location = download("org/name", &search_paths, &hub).unwrap();
    assert_eq!(location, resolve("org/name", &search_paths).unwrap());
    let read = TokenizerFiles::read(&location).unwrap();
    assert_eq!(read.tokenizer_json, b"{\"t\":1}");
    assert_eq!(
        read.additional_chat_templates,
        [("rag".to_owned(), "rag".to_owned())]
    );
    assert_eq!(
        download("org/name", &search_paths, &hub).unwrap(),
        location,
        "a second time only asks which commit is current"
    );
    let asked = server.join().unwrap();
    let fetched = |name: &str| asked.iter().filter(|path| path.ends_with(name)).count();
    assert_eq!(asked.last().unwrap(), "/api/models/org/name/revision/main");
    assert_eq!(
        [
            fetched("main/tokenizer.json"),
            fetched("safetensors"),
            fetched("onnx/tokenizer.json")
        ],
        [2, 0, 0]
    );
}

#[test]
fn a_failed_download_names_the_repository() {
    let root = tempfile::tempdir().unwrap();
    let search_paths = SearchPaths {
        hub_cache: Some(root.path().to_owned()),
        run: None,
    };
    let (endpoint, server) = serve(&[], 1);
    let hub = Hub {
        endpoint: Some(endpoint),
        token: None,
    };
    let error = download("org/other", &search_paths, &hub).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot download the tokenizer of org/other"
    );
    server.join().unwrap();
    assert!(matches!(
        download("../x", &search_paths, &hub),
        Err(ResolveError::NotARepoId(_))
    ));
    assert!(matches!(
        download("org/name", &SearchPaths::default(), &hub),
        Err(ResolveError::NoCache)
    ));
}
