//! The few file system steps that make a name or a length durable, with owner-only rights. [edge]
//!
//! Promises: folders are made 0700 and files 0600; what a function calls durable is on disk when it returns.
//! Never follows up on a failed sync: the caller must not trust that file again.
#![expect(clippy::disallowed_methods, reason = "edge: the ledger's file system")]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::error::LedgerError;
use crate::disk::{self, Readers};

/// Makes the folder and those above it that are missing, and their names durable.
pub(super) fn make_folder(path: &Path) -> Result<(), LedgerError> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folder(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(LedgerError::io("create the folder", path)(error))
        }
        _ => sync_folder(parent),
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), LedgerError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(LedgerError::io("sync the folder", path))
}

/// A new file for appending; it is an error if the name is taken. The name is durable only after
/// [`sync_folder`].
pub(super) fn create(path: &Path) -> Result<File, LedgerError> {
    let options = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path);
    options.map_err(LedgerError::io("create", path))
}

/// A file for appending, made if it is missing.
pub(super) fn append_to(path: &Path) -> Result<File, LedgerError> {
    let options = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    options.map_err(LedgerError::io("open", path))
}

/// Cuts a file behind its first `bytes`.
pub(super) fn cut(path: &Path, bytes: u64) -> Result<(), LedgerError> {
    let file = OpenOptions::new().write(true).open(path).map_err(LedgerError::io("open", path))?;
    file.set_len(bytes).and_then(|()| file.sync_all()).map_err(LedgerError::io("cut", path))
}

/// Writes a whole new file and makes its bytes durable, but not its name.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
    let mut file = create(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(LedgerError::io("write", path))
}

/// Gives a durable file or folder its final name, and makes that name durable.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), LedgerError> {
    fs::rename(from, to).map_err(LedgerError::io("rename", from))?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// Puts a whole new file in the place of one; either the old or the new one is there after a crash.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
    path.parent().map_or(Ok(()), make_folder)?;
    disk::replace(path, bytes, Readers::Owner).map_err(LedgerError::io("write", path))
}

/// The text of a small file; `None` where there is none. A longer file is an error.
pub(super) fn read_text(path: &Path, bytes_max: usize) -> Result<Option<String>, LedgerError> {
    let read = match disk::read(path, bytes_max) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(LedgerError::io("read", path))?,
    };
    let text = String::from_utf8(read).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
    text.map(Some).map_err(LedgerError::io("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_is_an_error_and_not_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        assert_eq!(read_text(&path, 4).unwrap(), None);
        replace(&path, b"four").unwrap();
        assert_eq!(read_text(&path, 4).unwrap().as_deref(), Some("four"));
        replace(&path, b"fives").unwrap();
        let error = read_text(&path, 4).unwrap_err();
        assert!(matches!(error, LedgerError::Io { what: "read", .. }), "{error}");
    }
}
