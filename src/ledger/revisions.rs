//! Every revision of bundle and directory that served, kept as bytes under its hash. [edge]
//!
//! Promises: a revision that [`Revisions::keep`] returned for is whole and durable, and never changes. A
//! hash without its text would prove nothing. Never checks a hash against its files: who makes the hash
//! knows how.
#![expect(clippy::disallowed_methods, reason = "edge: the revisions' file system")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use super::durable;
use super::error::LedgerError;
use crate::model::hex::hex;

/// The most files that one revision may have.
pub const REVISION_FILES_MAX: usize = 10_000;

/// The most bytes that one revision may have.
pub const REVISION_BYTES_MAX: usize = 512 << 20;

/// The folder of revisions.
#[derive(Clone, Debug)]
pub struct Revisions {
    path: PathBuf,
}

impl Revisions {
    /// Opens `revisions/` in the state folder, making it if it is missing, and removes what was not finished.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn open(state: &Path) -> Result<Self, LedgerError> {
        let path = state.join("revisions");
        durable::make_folder(&path)?;
        for name in names_in(&path)?.iter().filter(|name| name.starts_with(UNFINISHED)) {
            let left = path.join(name);
            fs::remove_dir_all(&left).map_err(LedgerError::io("remove", &left))?;
        }
        Ok(Self { path })
    }

    /// The revisions of a state folder as they are there, for reading; nothing is made or removed.
    pub fn existing(state: &Path) -> Self {
        Self { path: state.join("revisions") }
    }

    /// The hashes of all that is kept, in order.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn names(&self) -> Result<Vec<String>, LedgerError> {
        if !self.path.is_dir() {
            return Ok(Vec::new());
        }
        let mut names = names_in(&self.path)?;
        names.retain(|name| !name.starts_with(UNFINISHED));
        names.sort_unstable();
        Ok(names)
    }

    /// Whether a revision is kept that has a file of this name.
    ///
    /// # Errors
    /// A hash that is not one.
    pub fn has_file(&self, hash: &str, name: &str) -> Result<bool, LedgerError> {
        Ok(self.folder(hash)?.join(name).is_file())
    }

    /// Keeps a revision's files under its hash. A hash that is kept already is left as it is. Names are
    /// relative, with `/` between folders. Blocks on the file system.
    ///
    /// # Errors
    /// A hash or name that is not one, two files of one name, a revision over [`REVISION_FILES_MAX`] or
    /// [`REVISION_BYTES_MAX`], or a file system that refuses.
    pub fn keep(&self, hash: &str, files: &[(String, Bytes)]) -> Result<(), LedgerError> {
        let kept = self.folder(hash)?;
        check_files(files)?;
        if kept.is_dir() {
            return Ok(());
        }
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(LedgerError::Random)?;
        let unfinished = self.path.join(format!("{UNFINISHED}{}", hex(&random)));
        durable::make_folder(&unfinished)?;
        for (name, bytes) in files {
            let path = unfinished.join(name);
            path.parent().map_or(Ok(()), durable::make_folder)?;
            durable::write_new(&path, bytes)?;
        }
        sync_tree(&unfinished)?;
        match durable::rename(&unfinished, &kept) {
            // Another thread kept the same revision meanwhile.
            Err(_) if kept.is_dir() => {
                fs::remove_dir_all(&unfinished).map_err(LedgerError::io("remove", &unfinished))
            }
            renamed => renamed,
        }
    }

    /// Whether a revision is kept under this hash.
    ///
    /// # Errors
    /// A hash that is not one.
    pub fn has(&self, hash: &str) -> Result<bool, LedgerError> {
        Ok(self.folder(hash)?.is_dir())
    }

    /// The files of a revision by name, in order; `None` where none is kept under this hash.
    ///
    /// # Errors
    /// A hash that is not one, or a file system that refuses.
    pub fn load(&self, hash: &str) -> Result<Option<Vec<(String, Bytes)>>, LedgerError> {
        let kept = self.folder(hash)?;
        if !kept.is_dir() {
            return Ok(None);
        }
        let mut files = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            for name in names_in(&kept.join(&folder))? {
                let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                let path = kept.join(&name);
                if path.is_dir() {
                    folders.push(name);
                } else {
                    let bytes = fs::read(&path).map_err(LedgerError::io("read", &path))?;
                    files.push((name, Bytes::from(bytes)));
                }
            }
        }
        files.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        Ok(Some(files))
    }

    /// Where a revision is kept.
    fn folder(&self, hash: &str) -> Result<PathBuf, LedgerError> {
        let named = (1..=HASH_BYTES_MAX).contains(&hash.len())
            && hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if named { Ok(self.path.join(hash)) } else { Err(LedgerError::Name { name: hash.to_owned() }) }
    }
}

/// Whether all names stay within the revision's folder, each once, and the whole is within the limits.
pub(super) fn check_files(files: &[(String, Bytes)]) -> Result<(), LedgerError> {
    let bytes = files.iter().map(|(_, bytes)| bytes.len()).sum();
    if files.len() > REVISION_FILES_MAX || bytes > REVISION_BYTES_MAX {
        return Err(LedgerError::RevisionTooLarge { files: files.len(), bytes });
    }
    let mut seen = BTreeSet::new();
    match files.iter().find(|(name, _)| !is_inside(name) || !seen.insert(name)) {
        Some((name, _)) => Err(LedgerError::Name { name: name.clone() }),
        None => Ok(()),
    }
}

/// Whether the name consists of plain names with `/` between them.
fn is_inside(name: &str) -> bool {
    let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    let spelled = name.split('/').all(|part| !part.is_empty() && part != ".");
    plain && spelled && !name.contains(['\\', '\0'])
}

/// Makes all names under a folder durable.
fn sync_tree(folder: &Path) -> Result<(), LedgerError> {
    for name in names_in(folder)? {
        let path = folder.join(name);
        if path.is_dir() {
            sync_tree(&path)?;
        }
    }
    durable::sync_folder(folder)
}

/// The names in a folder. Those that are not UTF-8 cannot be ours.
fn names_in(folder: &Path) -> Result<Vec<String>, LedgerError> {
    let entries = fs::read_dir(folder).map_err(LedgerError::io("list", folder))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
    let names = names.collect::<Result<Vec<_>, _>>().map_err(LedgerError::io("list", folder))?;
    Ok(names.into_iter().flatten().collect())
}

/// How a folder is named that is not finished; no hash starts like this.
const UNFINISHED: &str = ".unfinished-";

/// The longest hash.
const HASH_BYTES_MAX: usize = 128;
