//! The tracked files of the repository, as text.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
pub fn read(path: &str) -> String {
    let full = root().join(path);
    std::fs::read_to_string(&full).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The path of every file that is tracked, or would be with the next `git add`.
pub fn paths() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "the rules are about tracked files: {listed:?}");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut paths: Vec<String> =
        listed.lines().filter(|path| root().join(path).is_file()).map(str::to_owned).collect();
    paths.sort();
    paths.dedup();
    assert!(paths.iter().any(|path| path == "src/lib.rs"), "no sources among {} files", paths.len());
    paths
}

/// Tracked files with one of these endings.
pub fn with_ending(endings: &[&str]) -> Vec<String> {
    let fits = |path: &String| endings.iter().any(|ending| path.ends_with(ending));
    paths().into_iter().filter(fits).collect()
}

/// The text of every tracked file that is text, with its path.
pub fn texts() -> Vec<(String, String)> {
    let text = |path: String| {
        let bytes = std::fs::read(root().join(&path)).unwrap();
        String::from_utf8(bytes).ok().map(|text| (path, text))
    };
    paths().into_iter().filter_map(text).collect()
}

/// Whether a link of a document leads somewhere inside of the repository.
pub fn leads_somewhere(document: &str, link: &str) -> bool {
    let folder = Path::new(document).parent().unwrap_or(Path::new(""));
    root().join(folder).join(link).exists()
}
