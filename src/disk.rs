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

/// Reads a private key, if nobody but its owner can, or if systemd handed it to this service.
pub fn read_private(path: &Path) -> io::Result<String> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    read_private_or(path, credentials.as_deref())
}

/// As [`read_private`]. What lies in the folder of `credentials` may have the mode 0440: systemd lets the service's user in by an access
/// control list, the mask of which stands where the group's rights do (systemd.exec(5), `LoadCredential=`).
fn read_private_or(path: &Path, credentials: Option<&Path>) -> io::Result<String> {
    let mode = fs::metadata(path)?.mode() & 0o777;
    let folder = path.canonicalize()?.parent().map(Path::to_path_buf);
    let is_credential = credentials.is_some_and(|given| given.canonicalize().ok() == folder);
    let of_others = if is_credential { 0o037 } else { 0o077 };
    if mode & of_others != 0 {
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
    write_new(path, content, Readers::Owner)
}

/// Writes a new file; one that is there stays as it is.
pub fn write_new(path: &Path, content: &[u8], readers: Readers) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(readers.mode()).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Whether something stands at a path, or in the folder that it is.
pub fn is_in_use(path: &Path) -> io::Result<bool> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(true),
        Err(error) => Err(error),
    }
}

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Everybody whom the folder lets in.
    All,
    /// Its owner.
    Owner,
}

impl Readers {
    fn mode(self) -> u32 {
        if self == Readers::All { 0o644 } else { 0o600 }
    }
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
    // What was left there, or a link that somebody put there, is not written through.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(readers.mode()).open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()
}

const KEY_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_its_owner_s_alone_or_a_credential_of_systemd() {
        let dir = tempfile::tempdir().unwrap();
        let (given, elsewhere) = (dir.path().join("given"), dir.path().join("elsewhere"));
        for folder in [&given, &elsewhere] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("key"), "k").unwrap();
        }
        let is_read = |folder: &Path, mode, credentials: Option<&Path>| {
            let key = folder.join("key");
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
            read_private_or(&key, credentials).is_ok()
        };
        assert!(is_read(&given, 0o600, None) && is_read(&given, 0o400, None));
        assert!(!is_read(&given, 0o440, None), "nobody says that this is a credential");
        assert!(is_read(&given, 0o440, Some(&given)));
        assert!(!is_read(&elsewhere, 0o440, Some(&given)));
        let through = given.join("../elsewhere");
        assert!(!is_read(&through, 0o440, Some(&given)));
        for mode in [0o444, 0o460, 0o441] {
            assert!(!is_read(&given, mode, Some(&given)), "{mode:o}");
        }
    }
}
