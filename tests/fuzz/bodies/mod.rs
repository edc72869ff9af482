//! What the fuzz targets do with their bytes. Apart from them, so that the corpus is replayed by ordinary tests too.

pub mod counting;
pub mod decoder;
pub mod lines;
pub mod summary;
pub mod table;
pub mod template;

use std::path::PathBuf;

/// What takes the bytes.
pub type Body = fn(&[u8]);

/// A target's name and its body.
pub const TARGETS: [(&str, Body); 6] = [
    ("lines", lines::run),
    ("decoder", decoder::run),
    ("table", table::run),
    ("counting", counting::run),
    ("template", template::run),
    ("summary", summary::run),
];

/// A file of the repository, whichever of the two packages this is compiled into.
pub fn repository(path: &str) -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = package
        .ancestors()
        .find(|folder| folder.join("fixtures").is_dir());
    root.unwrap_or(&package).join(path)
}

/// The first `N` bytes, zeros where there are fewer, and the rest.
pub fn head<const N: usize>(data: &[u8]) -> ([u8; N], &[u8]) {
    let mut head = [0; N];
    let len = N.min(data.len());
    head[..len].copy_from_slice(&data[..len]);
    (head, &data[len..])
}
