//! Reads files once, and hashes what was read: what a load saw is what its hashes say [edge].
//!
//! Promises: two hashes, one over everything and one that no secret ever enters. Only the latter may leave the process.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: looks at the sizes and times of the configuration's files"
)]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::author::{Problems, SourceFile};
use crate::config::load;
use crate::model::hex::hex;

/// A reader that remembers what it read.
#[derive(Default)]
pub struct Intake {
    everything: Sha256,
    public: Sha256,
}

impl Intake {
    /// Reads a file that holds no secret.
    pub fn text(&mut self, path: &Path, problems: &mut Problems) -> Option<Arc<SourceFile>> {
        let source = load::text(path, problems);
        let text = source.as_ref().map(|source| source.text.as_str());
        note(&mut self.everything, text);
        note(&mut self.public, text);
        source
    }

    /// Reads a secret: the first line of a file, without white space around it.
    pub fn secret(&mut self, path: &Path, problems: &mut Problems) -> Option<String> {
        let secret = load::secret(path, problems);
        note(&mut self.everything, secret.as_deref());
        secret
    }

    /// Reads a file in which secrets may stand.
    pub fn confidential(&mut self, path: &Path, problems: &mut Problems) -> Option<Arc<SourceFile>> {
        let source = load::text(path, problems);
        note(&mut self.everything, source.as_ref().map(|source| source.text.as_str()));
        source
    }

    /// A hash over all that was read, to see whether anything changed. Secrets are in it: it stays in the process.
    pub fn content(&self) -> String {
        hex(&self.everything.clone().finalize())
    }

    /// A hash over all that was read but secrets.
    pub fn revision(&self) -> String {
        hex(&self.public.clone().finalize())
    }
}

fn note(hasher: &mut Sha256, text: Option<&str>) {
    match text {
        Some(text) => {
            hasher.update(format!("{}\n", text.len()));
            hasher.update(text);
        }
        None => hasher.update("unreadable\n"),
    }
}

/// When a file was last written, in milliseconds since 1970; long ago if nobody can tell.
pub fn written_ms(path: &Path) -> i64 {
    let metadata = std::fs::metadata(path);
    metadata.map_or(0, |metadata| metadata.mtime() * 1_000 + metadata.mtime_nsec() / 1_000_000)
}

/// Size, times and place of files on disk: equal as long as nobody touched them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    files: Vec<(PathBuf, Option<Stamp>)>,
    is_cut_off: bool,
    newest_ms: i64,
    at_ms: i64,
}

/// The change time cannot be set by those who write the file, so neither `touch -d` nor `rsync -t` hides a change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Look {
    /// Looks at files, and at all below folders; what is not there is part of the look.
    pub fn at<'p>(paths: impl IntoIterator<Item = &'p Path>, now_ms: i64) -> Self {
        let mut look = Self { files: Vec::new(), is_cut_off: false, newest_ms: i64::MIN, at_ms: now_ms };
        for path in paths {
            look.add(path, 0);
        }
        look.files.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        look
    }

    /// Whether files must be read again to know what they hold. File systems count time in steps: a file that was written
    /// just before it was looked at may be written again without showing it, so it is read once more when it has settled.
    pub fn calls_for_reading(&self, before: &Self) -> bool {
        self.is_cut_off || self.files != before.files || (before.is_young() && !self.is_young())
    }

    fn is_young(&self) -> bool {
        self.newest_ms > self.at_ms.saturating_sub(SETTLED_AFTER_MS)
    }

    fn add(&mut self, path: &Path, depth: usize) {
        let metadata = std::fs::metadata(path).ok();
        let is_folder = metadata.as_ref().is_some_and(std::fs::Metadata::is_dir);
        if let Some(metadata) = &metadata {
            let changed_ms = metadata.ctime() * 1_000 + metadata.ctime_nsec() / 1_000_000;
            self.newest_ms = self.newest_ms.max(changed_ms);
        }
        let stamp = metadata.map(|metadata| Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        });
        self.files.push((path.to_owned(), stamp));
        if !is_folder || depth > DEPTH_MAX {
            return;
        }
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            if self.files.len() >= FILES_MAX {
                self.is_cut_off = true;
                return;
            }
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if !is_hidden || !entry.path().is_dir() {
                self.add(&entry.path(), depth + 1);
            }
        }
    }
}

/// As deep as a bundle is read.
const DEPTH_MAX: usize = 2;
/// More files than a bundle may have. Of a folder with more nobody can say that it is the same, so it is read each time.
const FILES_MAX: usize = 4_096;
/// The coarsest step in which a file system counts time is two seconds.
const SETTLED_AFTER_MS: i64 = 3_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn look(path: &Path, now_ms: i64) -> Look {
        Look::at([path], now_ms)
    }

    #[test]
    fn every_way_of_changing_a_file_shows() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "one").unwrap();
        let before = look(folder.path(), i64::MAX);
        assert!(!look(folder.path(), i64::MAX).calls_for_reading(&before));
        // Another file under the same name, of the same size, with the same time.
        let time = std::fs::metadata(&file).unwrap().modified().unwrap();
        std::fs::write(folder.path().join("b"), "two").unwrap();
        std::fs::rename(folder.path().join("b"), &file).unwrap();
        std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_modified(time).unwrap();
        let after = look(folder.path(), i64::MAX);
        assert!(after.calls_for_reading(&before));
        std::fs::remove_file(&file).unwrap();
        assert!(look(folder.path(), i64::MAX).calls_for_reading(&after));
        assert!(look(&file, i64::MAX) == look(&file, i64::MAX), "what is not there is alike");
    }

    #[test]
    fn a_young_file_is_read_again_once_it_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "one").unwrap();
        let newest_ms = look(folder.path(), 0).newest_ms;
        let at = |after_ms: i64| look(folder.path(), newest_ms + after_ms);
        assert!(!at(1).calls_for_reading(&at(0)), "not at every look");
        assert!(!at(2_999).calls_for_reading(&at(0)));
        assert!(at(3_000).calls_for_reading(&at(2_999)));
        assert!(!at(9_000).calls_for_reading(&at(3_000)), "and only once");
    }

    #[test]
    fn no_secret_enters_the_public_hash() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let read = |secret: &str| {
            std::fs::write(&file, secret).unwrap();
            let mut intake = Intake::default();
            intake.secret(&file, &mut Problems::default());
            (intake.content(), intake.revision())
        };
        let (one, other) = (read("one"), read("other"));
        assert_ne!(one.0, other.0);
        assert_eq!(one.1, other.1);
    }
}
