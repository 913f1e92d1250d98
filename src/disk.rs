//! Whole files on disk: archives, keys, and what is kept in the state folder [edge].
//!
//! Promises: what is read is bounded; what is replaced is replaced whole and durably or not at all; a private key is written for its
//! owner alone and never over another file, and one that others can read is not used.
#![expect(clippy::disallowed_methods, reason = "edge: reads and writes whole files")]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Reads a file of at most so many bytes.
pub fn read(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let allowed = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(allowed).read_to_end(&mut content)?;
    match content.len() > bytes_max {
        true => {
            Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {bytes_max} bytes")))
        }
        false => Ok(content),
    }
}

/// Reads a private key, if nobody but its owner can. Of systemd's credentials the group's bit for reading is the mask of an access list
/// that lets the service's user in, and nobody else can enter their folder (systemd.exec(5), `LoadCredential=`).
pub fn read_private(path: &Path) -> io::Result<String> {
    let mode = fs::metadata(path)?.mode() & 0o777;
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let is_credential = credentials.is_some() && path.parent() == credentials.as_deref();
    let others = if is_credential { 0o037 } else { 0o077 };
    if mode & others != 0 {
        let why = format!("others than its owner can read it (mode {mode:04o}); run `chmod 600` on it");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let content = read(path, KEY_BYTES_MAX)?;
    String::from_utf8(content).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not text"))
}

/// The files of a folder, by name; folders in it are left out.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        files.extend(path.is_file().then_some(path));
    }
    files.sort();
    Ok(files)
}

/// Writes a new file that only its owner can read.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Everybody whom the folder lets in.
    All,
    /// Its owner.
    Owner,
}

/// Makes a folder that only its owner can look into, and those above it that are missing.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file beside its final place and moves it there, durably: whoever reads it sees the old one or the new one.
pub fn replace(path: &Path, content: &[u8], readers: Readers) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut unfinished = std::ffi::OsString::from(".");
    unfinished.push(name);
    unfinished.push(".unfinished");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unfinished = folder.join(unfinished);
    let mode = if readers == Readers::All { 0o644 } else { 0o600 };
    // What was left there, or a link that somebody put there, is not written through.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()
}

const KEY_BYTES_MAX: usize = 64 << 10;
