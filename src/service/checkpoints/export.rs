//! Exports that the signing thread itself does: files in a folder, and lines on standard output [edge].
//!
//! Promises: a folder that is not there is not made; nothing is written through a link; whoever reads `checkpoint` in it sees a whole
//! one.
#![expect(clippy::disallowed_methods, reason = "edge: the export folder and standard output")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::CheckpointsError;
use crate::disk::{self, Readers};

/// Where checkpoints go.
#[derive(Clone, Debug)]
pub(super) enum Export {
    /// Files in a folder.
    Folder(PathBuf),
    /// Lines of JSON.
    Stdout,
}

impl Export {
    /// What it is called in status and log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Folder(_) => "folder",
            Self::Stdout => "stdout",
        }
    }

    /// Whether it can be used. A mount that is not there must not become a folder on this host.
    pub(super) fn check(&self) -> Result<(), CheckpointsError> {
        let Self::Folder(path) = self else { return Ok(()) };
        let why = match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(_) => io::ErrorKind::NotADirectory.into(),
            Err(why) => why,
        };
        Err(CheckpointsError::Folder { path: path.clone(), why })
    }

    /// Brings a checkpoint there. `second` is the time, as RFC 3339.
    pub(super) fn send(&self, note: &str, second: &str) -> io::Result<()> {
        let line = json!({"t": second, "checkpoint": note}).to_string();
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                writeln!(out, "{line}")?;
                out.flush()
            }
            Self::Folder(path) => {
                let day: String = second.chars().take(DAY_CHARS).collect();
                append(&path.join(format!("checkpoints-{day}.jsonl")), &line)?;
                disk::replace(&latest(path), note.as_bytes(), Readers::All)
            }
        }
    }
}

/// The last checkpoint in an export's folder.
pub(super) fn latest(folder: &Path) -> PathBuf {
    folder.join("checkpoint")
}

/// Adds a line to a file, durably.
fn append(path: &Path, line: &str) -> io::Result<()> {
    // Whoever may write there must not lead us to a file elsewhere.
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).custom_flags(libc::O_NOFOLLOW);
    let mut file = options.open(path)?;
    // The line before may have been cut short by a full disk.
    let glue = if ends_a_line(&mut file)? { "" } else { "\n" };
    file.write_all(format!("{glue}{line}\n").as_bytes())?;
    file.sync_data()
}

/// Whether a file is empty or ends with a line feed.
fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// The letters of a date: `2026-11-21`.
const DAY_CHARS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_each_whole_and_never_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let export = Export::Folder(dir.path().to_path_buf());
        let history = dir.path().join("checkpoints-2026-11-21.jsonl");
        export.send("one\n", "2026-11-21T00:00:00Z").unwrap();
        // Cut short, as by a full disk.
        let file = OpenOptions::new().write(true).open(&history).unwrap();
        file.set_len(file.metadata().unwrap().len() - 3).unwrap();
        export.send("two\n", "2026-11-21T00:00:01Z").unwrap();
        let text = std::fs::read_to_string(&history).unwrap();
        let whole = text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
        assert_eq!((text.lines().count(), whole.count()), (2, 1), "{text}");
        assert_eq!(std::fs::read_to_string(latest(dir.path())).unwrap(), "two\n");
        let elsewhere = dir.path().join("elsewhere");
        std::fs::write(&elsewhere, "").unwrap();
        std::os::unix::fs::symlink(&elsewhere, dir.path().join("checkpoints-2026-11-22.jsonl")).unwrap();
        assert!(export.send("three\n", "2026-11-22T00:00:00Z").is_err());
        assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "");
    }
}
