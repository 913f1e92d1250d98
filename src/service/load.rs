//! Everything that can be reloaded, loaded as one: bundle, directory and keys, whole or not at all [edge].
#![expect(clippy::disallowed_methods, reason = "edge: looks whether files have changed")]

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};

use crate::bundle::compile::{Bundle, compile};
use crate::bundle::directory::{self, Directory};
use crate::bundle::{lints, revision, source};
use crate::config::author::{AuthorProblem, Problems};
use crate::config::load::{secret, text};
use crate::config::service::observe;
use crate::config::service::{KeyConfig, KeyKind, ServiceConfig};
use crate::model::principal::Authn;
use crate::pipeline::identify::{KeySource, UpstreamCredential, keys};

/// What a configuration's files hold at one moment.
pub struct Loaded {
    /// Policies, schema and profile.
    pub bundle: Bundle,
    /// People.
    pub directory: Directory,
    /// Known keys.
    pub sources: Vec<KeySource>,
}

/// Loads all; `None` comes with at least one error.
pub fn load(config: &ServiceConfig, problems: &mut Problems) -> Option<Loaded> {
    let bundle = load_bundle(&config.bundle.path, problems);
    let directory = load_directory(&config.directory.file, bundle.as_ref(), problems);
    let before = problems.error_count();
    let sources: Vec<KeySource> =
        config.identity.iter().filter_map(|keys| load_keys(keys, problems)).collect();
    if let Some(directory) = &directory {
        check_keys(&sources, directory, problems);
    }
    if let Some(bundle) = &bundle {
        observe::check_routes(&config.observe, &bundle.profile, problems);
    }
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
    for keys in &config.identity {
        add(&keys.file);
        if let KeyKind::Api { key_file, .. } = &keys.kind {
            add(key_file);
        }
    }
    revision::hash_files(&files)
}

fn load_keys(config: &KeyConfig, problems: &mut Problems) -> Option<KeySource> {
    let keys = keys::load(&text(&config.file, problems)?, problems);
    let upstream = match &config.kind {
        KeyKind::Crm => UpstreamCredential::Caller,
        KeyKind::Api { header, scheme, key_file } => {
            let key = secret(key_file, problems)?;
            let value = scheme.as_ref().map_or(key.clone(), |scheme| format!("{scheme} {key}"));
            let (Some(name), Some(mut value)) =
                (header_name(header, problems), HeaderValue::try_from(value).ok())
            else {
                problems
                    .push(AuthorProblem::error(format!("`{}` cannot stand in a header", key_file.display())));
                return None;
            };
            value.set_sensitive(true);
            UpstreamCredential::Service { name, value }
        }
    };
    let authn = if config.kind == KeyKind::Crm { Authn::CrmKey } else { Authn::ApiKey };
    let header = header_name(&config.header, problems)?;
    Some(KeySource { authn, header, scheme: config.scheme.clone(), keys, upstream })
}

fn header_name(text: &str, problems: &mut Problems) -> Option<HeaderName> {
    let name = HeaderName::try_from(text).ok();
    if name.is_none() {
        problems.push(AuthorProblem::error(format!("`{text}` is not a header name")));
    }
    name
}

fn check_keys(sources: &[KeySource], directory: &Directory, problems: &mut Problems) {
    for principal in sources.iter().flat_map(|source| source.keys.principals()) {
        if directory.person(principal).is_none() {
            let message = format!("a key belongs to `{principal}`, who is not in the directory");
            problems.push(
                AuthorProblem::warning(message).help("The key is refused until the directory has them."),
            );
        }
    }
}
