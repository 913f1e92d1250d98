//! Loads files of the configuration [edge].
#![expect(clippy::disallowed_methods, reason = "edge: reads the configuration and the secrets that it names")]

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use super::author::{AuthorProblem, Problems, SourceFile};
use super::service::{self, ServiceConfig};

/// Loads a configuration file; `None` comes with at least one error.
pub fn load(path: &Path, problems: &mut Problems) -> Option<ServiceConfig> {
    let source = text(path, problems)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    service::read(&source, &folder, problems)
}

/// Reads a text file of bounded size.
pub fn text(path: &Path, problems: &mut Problems) -> Option<Arc<SourceFile>> {
    let name = path.display().to_string();
    let too_large = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > FILE_BYTES_MAX);
    if too_large {
        problems.push(AuthorProblem::error(format!("`{name}` is larger than {FILE_BYTES_MAX} bytes")));
        return None;
    }
    match std::fs::read_to_string(path) {
        Ok(text) => Some(SourceFile::new(name, text)),
        Err(error) => {
            let problem = AuthorProblem::error(format!("`{name}` cannot be read: {error}"));
            problems.push(match error.kind() {
                ErrorKind::NotFound => problem.help(MISSING_HELP),
                _ => problem,
            });
            None
        }
    }
}

/// Reads a secret: the first line of a file, without white space around it.
pub fn secret(path: &Path, problems: &mut Problems) -> Option<String> {
    let source = text(path, problems)?;
    check_private(path, problems);
    let secret = source.text.lines().next().unwrap_or("").trim().to_owned();
    if secret.is_empty() {
        problems.push(AuthorProblem::error(format!("`{}` holds no secret", source.name)));
        return None;
    }
    Some(secret)
}

/// Warns if everybody on this host can read a file that holds a secret.
pub fn check_private(path: &Path, problems: &mut Problems) {
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & READABLE_BY_ALL != 0 {
        let name = path.display();
        let message = format!("`{name}` holds a secret and everybody on this host can read it");
        problems.push(AuthorProblem::warning(message).help(format!("Run `chmod o-rwx {name}`.")));
    }
}

/// Warns if everybody on this host can put files into a folder, and take some away; one that is not there is for others to judge.
pub fn check_folder(path: &Path, problems: &mut Problems) {
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & WRITABLE_BY_ALL != 0 {
        let name = path.display();
        let message = format!("everybody on this host can write to the folder `{name}`");
        problems.push(AuthorProblem::warning(message).help(format!("Run `chmod o-w {name}`.")));
    }
}

const MISSING_HELP: &str = "Make the file, or correct its path: in a configuration, paths are taken from the configuration's own folder.";
const READABLE_BY_ALL: u32 = 0o004;
const WRITABLE_BY_ALL: u32 = 0o002;

const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
