//! Loads what can be reloaded, in three parts: bundle, directory and the ways of identifying callers.
//!
//! Promises: each part is read once, and its hashes are over the very bytes that were read. A part that cannot be read is
//! broken, never empty.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};

use super::intake::{Intake, Look};
use crate::bundle::compile::{Bundle, compile};
use crate::bundle::directory::{self, Directory};
use crate::bundle::{lints, revision, source};
use crate::config::author::{AuthorProblem, Problems, SourceFile};
use crate::config::load::text;
use crate::config::service::observe;
use crate::config::service::{KeyConfig, KeyKind, ServiceConfig};
use crate::model::principal::Authn;
use crate::pipeline::identify::{KeySource, UpstreamCredential, keys};
use crate::pipeline::serving::IdentitySources;

/// What a configuration's files hold at one moment.
pub struct Loaded {
    /// Policies, schema and profile.
    pub bundle: Bundle,
    /// People.
    pub directory: Directory,
    /// Known keys.
    pub identity: IdentitySources,
    /// What was read, to see later whether it changed.
    pub contents: Contents,
}

/// A hash over the bytes of each part. Secrets are in it: it stays in the process.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Of the bundle's files.
    pub bundle: String,
    /// Of the directory's file.
    pub directory: String,
    /// Of all files that identification reads.
    pub identity: String,
}

/// What the files offer, part by part.
pub struct Offer {
    /// The bundle, compiled.
    pub bundle: Offered<Bundle>,
    /// The directory's text: whether it is sound depends on the bundle that it serves with.
    pub directory: Offered<Arc<SourceFile>>,
    /// The ways of identifying callers.
    pub identity: Offered<IdentitySources>,
}

/// One part as its files offer it.
pub struct Offered<T> {
    /// A hash over the bytes that were read.
    pub content: String,
    /// The hash that the ledger may see.
    pub hash: String,
    /// What became of the bytes.
    pub state: State<T>,
    /// What is wrong with them.
    pub problems: Problems,
}

/// What became of a part's bytes.
pub enum State<T> {
    /// They are the ones that serve.
    Unchanged,
    /// They can be used.
    Sound(T),
    /// They cannot.
    Broken,
}

/// Reads all parts. Bytes that serve already are not looked into again, but a directory is when the bundle is new.
pub fn offer(config: &ServiceConfig, serving: &Contents) -> Offer {
    let bundle = offer_bundle(&config.bundle.path, &serving.bundle);
    let is_bundle_new = matches!(bundle.state, State::Sound(_));
    let directory = offer_directory(&config.directory.file, Some(&serving.directory), is_bundle_new);
    let identity = offer_identity(&config.identity, &serving.identity);
    Offer { bundle, directory, identity }
}

/// Loads all; `None` comes with at least one error.
pub fn load(config: &ServiceConfig, problems: &mut Problems) -> Option<Loaded> {
    let Offer { bundle, directory, identity } = offer(config, &Contents::default());
    let contents = Contents {
        bundle: bundle.content.clone(),
        directory: directory.content.clone(),
        identity: identity.content.clone(),
    };
    let bundle = bundle.take(problems);
    let directory = directory.take(problems).and_then(|source| fit(&source, bundle.as_ref(), problems));
    let identity = identity.take(problems);
    if let (Some(directory), Some(identity)) = (&directory, &identity) {
        check_keys(identity, directory, problems);
    }
    if let Some(bundle) = &bundle {
        let before = problems.error_count();
        observe::check_routes(&config.observe, &bundle.profile, problems);
        if problems.error_count() > before {
            return None;
        }
    }
    Some(Loaded { bundle: bundle?, directory: directory?, identity: identity?, contents })
}

/// Loads a bundle's folder.
pub fn load_bundle(path: &Path, problems: &mut Problems) -> Option<Bundle> {
    compile(source::read(path, problems)?, problems)
}

/// Loads a directory against a bundle's schema. Without a bundle it is only looked through for problems.
pub fn load_directory(path: &Path, bundle: Option<&Bundle>, problems: &mut Problems) -> Option<Directory> {
    fit(&text(path, problems)?, bundle, problems)
}

/// A directory for a bundle; every problem is noted.
pub fn fit(source: &Arc<SourceFile>, bundle: Option<&Bundle>, problems: &mut Problems) -> Option<Directory> {
    match bundle {
        Some(bundle) => {
            let directory = directory::load(source, &bundle.schema.schema, problems)?;
            lints::people(&bundle.policies, &directory, problems);
            Some(directory)
        }
        None => {
            directory::look_through(source, problems);
            None
        }
    }
}

/// Warns of keys whose owner the directory does not have.
pub fn check_keys(identity: &IdentitySources, directory: &Directory, problems: &mut Problems) {
    for principal in identity.sources.iter().flat_map(|source| source.keys.principals()) {
        if directory.person(principal).is_none() {
            let message = format!("a key belongs to `{principal}`, who is not in the directory");
            problems.push(
                AuthorProblem::warning(message).help("The key is refused until the directory has them."),
            );
        }
    }
}

/// Looks at all files that a load would read, without reading them.
pub fn look(config: &ServiceConfig, now_ms: i64) -> Look {
    let mut paths: Vec<&PathBuf> = vec![&config.bundle.path, &config.directory.file];
    for keys in &config.identity {
        paths.push(&keys.file);
        if let KeyKind::Api { key_file, .. } = &keys.kind {
            paths.push(key_file);
        }
    }
    Look::at(paths.into_iter().map(PathBuf::as_path), now_ms)
}

fn offer_bundle(path: &Path, serving: &str) -> Offered<Bundle> {
    let mut problems = Problems::default();
    let Some(files) = source::read(path, &mut problems) else { return Offered::unreadable(problems) };
    let content = revision::hash_files(&files);
    let state = match content == serving {
        true => State::Unchanged,
        false => State::of(compile(files, &mut problems)),
    };
    Offered { hash: content.clone(), content, state, problems }
}

fn offer_directory(path: &Path, serving: Option<&str>, is_bundle_new: bool) -> Offered<Arc<SourceFile>> {
    let mut problems = Problems::default();
    let Some(source) = text(path, &mut problems) else { return Offered::unreadable(problems) };
    let content = revision::hash(source.text.as_bytes());
    let is_unchanged = serving == Some(content.as_str()) && !is_bundle_new;
    let state = if is_unchanged { State::Unchanged } else { State::Sound(source) };
    Offered { hash: content.clone(), content, state, problems }
}

fn offer_identity(config: &[KeyConfig], serving: &str) -> Offered<IdentitySources> {
    let (mut problems, mut intake) = (Problems::default(), Intake::default());
    let sources: Vec<KeySource> =
        config.iter().filter_map(|keys| load_keys(keys, &mut intake, &mut problems)).collect();
    let (content, hash) = (intake.content(), intake.revision());
    let state = match problems.has_errors() {
        true => State::Broken,
        false if content == serving => State::Unchanged,
        false => State::Sound(IdentitySources { revision: hash.clone(), sources }),
    };
    Offered { content, hash, state, problems }
}

fn load_keys(config: &KeyConfig, intake: &mut Intake, problems: &mut Problems) -> Option<KeySource> {
    let keys = intake.text(&config.file, problems).map(|source| keys::load(&source, problems));
    let upstream = match &config.kind {
        KeyKind::Crm => UpstreamCredential::Caller,
        KeyKind::Api { header, scheme, key_file } => {
            let key = intake.secret(key_file, problems)?;
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
    Some(KeySource { authn, header, scheme: config.scheme.clone(), keys: keys?, upstream })
}

fn header_name(text: &str, problems: &mut Problems) -> Option<HeaderName> {
    let name = HeaderName::try_from(text).ok();
    if name.is_none() {
        problems.push(AuthorProblem::error(format!("`{text}` is not a header name")));
    }
    name
}

impl<T> Offered<T> {
    fn unreadable(problems: Problems) -> Self {
        Self { content: String::new(), hash: UNREADABLE.to_owned(), state: State::Broken, problems }
    }

    /// The part, if it is sound; its problems are noted.
    fn take(self, problems: &mut Problems) -> Option<T> {
        problems.extend(self.problems);
        match self.state {
            State::Sound(value) => Some(value),
            State::Unchanged | State::Broken => None,
        }
    }
}

impl<T> State<T> {
    fn of(value: Option<T>) -> Self {
        value.map_or(Self::Broken, Self::Sound)
    }
}

/// Stands for the hash of files that could not be read.
const UNREADABLE: &str = "unreadable";
