//! Reads the files of a bundle from a folder [edge].
#![expect(clippy::disallowed_methods, reason = "edge: reads the bundle's folder")]

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use super::part::{DEPTH_MAX, Part};
use crate::config::author::{AuthorProblem, Problems};

/// Reads every file that belongs to a bundle, until two readings in a row are the same: half of the old policies beside half
/// of the new ones is a bundle that nobody wrote. `None` comes with at least one error.
pub fn read(folder: &Path, problems: &mut Problems) -> Option<BTreeMap<String, Bytes>> {
    let settled = settled(|| read_once(folder, problems))?;
    if settled.is_none() {
        let message = format!("`{}` changes while it is read", folder.display());
        let help = "Write a bundle beside its place and move it there, or wait until it is written.";
        problems.push(AuthorProblem::error(message).help(help));
    }
    settled
}

/// What two readings in a row agree on; inside, `None` if none do. Outside, `None` if one fails.
fn settled<T: PartialEq>(mut read: impl FnMut() -> Option<T>) -> Option<Option<T>> {
    let mut last = read()?;
    for _ in 1..READINGS_MAX {
        let next = read()?;
        if next == last {
            return Some(Some(next));
        }
        last = next;
    }
    Some(None)
}

fn read_once(folder: &Path, problems: &mut Problems) -> Option<BTreeMap<String, Bytes>> {
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
        let name = format!("{prefix}{name}");
        if Part::of(&name).is_none() {
            continue;
        }
        let content =
            std::fs::read(&path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
        *bytes += content.len();
        files.insert(name, Bytes::from(content));
        if files.len() > FILES_MAX || *bytes > BYTES_MAX {
            return Err(format!("`{shown}` has more than {FILES_MAX} files or {BYTES_MAX} bytes"));
        }
    }
    Ok(())
}

const FILES_MAX: usize = 1_000;
const BYTES_MAX: usize = 16 * 1024 * 1024;
const READINGS_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(readings: &[Option<u8>], expected: Option<Option<u8>>, left: usize) {
        let mut readings = readings.iter().copied();
        assert_eq!(settled(|| readings.next().unwrap()), expected);
        assert_eq!(readings.count(), left);
    }

    #[test]
    fn what_changes_meanwhile_is_read_again() {
        check(&[Some(1), Some(1), Some(2)], Some(Some(1)), 1);
        // The first reading began with the old files and ended with the new ones.
        check(&[Some(1), Some(2), Some(2)], Some(Some(2)), 0);
        check(&[Some(1), Some(2), Some(1), Some(2), Some(1), Some(1)], Some(None), 1);
        check(&[None, Some(1)], None, 1);
        check(&[Some(1), None, Some(1)], None, 1);
    }
}
