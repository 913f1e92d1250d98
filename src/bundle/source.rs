//! Reads the files of a bundle from a folder [edge].
#![expect(clippy::disallowed_methods, reason = "edge: reads the bundle's folder")]

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use super::archive::{DEPTH_MAX, is_bundle_file};
use crate::config::author::{AuthorProblem, Problems};

/// Reads every file that belongs to a bundle; `None` comes with at least one error.
pub fn read(folder: &Path, problems: &mut Problems) -> Option<BTreeMap<String, Bytes>> {
    let mut files = BTreeMap::new();
    let mut bytes = 0;
    match read_level(folder, "", 0, &mut files, &mut bytes) {
        Ok(()) => Some(files),
        Err(message) => {
            let help = "A bundle is a folder with profile.toml, one .cedarschema and .cedar files.";
            problems.push(AuthorProblem::error(message).help(help));
            None
        }
    }
}

fn read_level(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut BTreeMap<String, Bytes>,
    bytes: &mut usize,
) -> Result<(), String> {
    let shown = folder.display();
    let entries = std::fs::read_dir(folder).map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
    for entry in entries {
        let entry = entry.map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = entry.path();
        if path.is_dir() {
            if depth < DEPTH_MAX && !name.starts_with('.') {
                read_level(&path, &format!("{prefix}{name}/"), depth + 1, files, bytes)?;
            }
            continue;
        }
        if !is_bundle_file(&name) {
            continue;
        }
        let content =
            std::fs::read(&path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
        *bytes += content.len();
        files.insert(format!("{prefix}{name}"), Bytes::from(content));
        if files.len() > FILES_MAX || *bytes > BYTES_MAX {
            return Err(format!("`{shown}` has more than {FILES_MAX} files or {BYTES_MAX} bytes"));
        }
    }
    Ok(())
}

const FILES_MAX: usize = 1_000;
const BYTES_MAX: usize = 16 * 1024 * 1024;
