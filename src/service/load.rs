//! Everything that can be reloaded, loaded as one: bundle, directory and keys, whole or not at all [edge].
#![expect(clippy::disallowed_methods, reason = "edge: looks whether files have changed")]

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use super::sources;
use crate::bundle::compile::{Bundle, compile};
use crate::bundle::directory::{self, Directory};
use crate::bundle::{lints, revision, source};
use crate::config::author::Problems;
use crate::config::load::text;
use crate::config::service::ServiceConfig;
use crate::pipeline::identify::Sources;

/// What a configuration's files hold at one moment.
pub struct Loaded {
    /// Policies, schema and profile.
    pub bundle: Bundle,
    /// People.
    pub directory: Directory,
    /// How callers are identified.
    pub sources: Sources,
}

/// Loads all; `None` comes with at least one error.
pub fn load(config: &ServiceConfig, problems: &mut Problems) -> Option<Loaded> {
    let bundle = load_bundle(&config.bundle.path, problems);
    let directory = load_directory(&config.directory.file, bundle.as_ref(), problems);
    let before = problems.error_count();
    let sources = sources::load(&config.identity, directory.as_ref(), problems);
    if problems.error_count() > before {
        return None;
    }
    Some(Loaded { bundle: bundle?, directory: directory?, sources })
}

/// Loads a bundle's folder.
pub fn load_bundle(path: &Path, problems: &mut Problems) -> Option<Bundle> {
    compile(source::read(path, problems)?, problems)
}

/// Loads a directory against a bundle's schema. Without a bundle it is only looked through for problems.
pub fn load_directory(path: &Path, bundle: Option<&Bundle>, problems: &mut Problems) -> Option<Directory> {
    let source = text(path, problems)?;
    match bundle {
        Some(bundle) => {
            let directory = directory::load(&source, &bundle.schema.schema, problems)?;
            lints::people(&bundle.policies, &directory, problems);
            Some(directory)
        }
        None => {
            directory::look_through(&source, problems);
            None
        }
    }
}

/// A hash over everything that a load would read, to see whether anything changed.
pub fn fingerprint(config: &ServiceConfig) -> String {
    let mut ignored = Problems::default();
    let mut files: BTreeMap<String, Bytes> =
        source::read(&config.bundle.path, &mut ignored).unwrap_or_default();
    let mut add = |path: &Path| {
        let content = std::fs::read(path).unwrap_or_default();
        files.insert(path.display().to_string(), Bytes::from(content));
    };
    add(&config.directory.file);
    sources::files(&config.identity).iter().for_each(|path| add(path));
    revision::hash_files(&files)
}
