//! Loads what can be reloaded, in three parts: bundle, directory and the ways of identifying callers.
//!
//! Promises: each part is read once, and its hashes are over the very bytes that were read. A part that cannot be read is
//! broken, never empty.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::intake::{Intake, Look, written_ms};
use super::sources;
use super::supply::Supply;
use crate::bundle::compile::Bundle;
use crate::bundle::directory::{self, Directory};
use crate::bundle::{lints, revision};
use crate::config::author::{Problems, SourceFile};
use crate::config::load::text;
use crate::config::service::{AdminConfig, IdentityConfig, ServiceConfig, ledger_routes, observe};
use crate::pipeline::serving::IdentitySources;
use crate::telemetry::clock::Clock;

/// What a configuration's files hold at one moment.
pub struct Loaded {
    /// Policies, schema and profile.
    pub bundle: Bundle,
    /// People.
    pub directory: Directory,
    /// How callers are identified.
    pub identity: IdentitySources,
    /// What was read, to see later whether it changed.
    pub contents: Contents,
    /// The way to further bundles.
    pub supply: Supply,
    /// When the directory's file was last written, in milliseconds since 1970.
    pub directory_written_ms: i64,
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
    /// What the ledger is to be alarmed of, if they were not trusted.
    pub alarm: Option<&'static str>,
    /// What was offered beside it and is not trusted, although it keeps nothing from serving.
    pub distrusted: Vec<Distrusted>,
}

/// Something that was offered and is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distrusted {
    /// The hash of what was offered.
    pub hash: String,
    /// What the ledger is to be alarmed of.
    pub alarm: &'static str,
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
pub fn offer(config: &ServiceConfig, supply: &Supply, serving: &Contents, now_ms: i64) -> Offer {
    let bundle = supply.offer(&serving.bundle, now_ms);
    let is_bundle_new = matches!(bundle.state, State::Sound(_));
    let directory = offer_directory(&config.directory.file, Some(&serving.directory), is_bundle_new);
    let identity = offer_identity(&config.identity, &serving.identity);
    Offer { bundle, directory, identity }
}

/// Loads all; `None` comes with at least one error.
pub fn load(config: &ServiceConfig, problems: &mut Problems) -> Option<Loaded> {
    load_from(config, Supply::new(config, None), Clock::system().now_ms(), problems)
}

/// Loads all, the bundle from a supply and judged at a time; `None` comes with at least one error.
pub fn load_from(
    config: &ServiceConfig,
    supply: Supply,
    now_ms: i64,
    problems: &mut Problems,
) -> Option<Loaded> {
    let directory_written_ms = written_ms(&config.directory.file);
    let Offer { bundle, directory, identity } = offer(config, &supply, &Contents::default(), now_ms);
    let contents = Contents {
        bundle: bundle.content.clone(),
        directory: directory.content.clone(),
        identity: identity.content.clone(),
    };
    let bundle = bundle.take(problems);
    let directory = directory.take(problems).and_then(|source| fit(&source, bundle.as_ref(), problems));
    let identity = identity.take(problems);
    if let (Some(directory), Some(identity)) = (&directory, &identity) {
        sources::check_principals(&identity.sources, directory, problems);
    }
    if let Some(bundle) = &bundle {
        let before = problems.error_count();
        observe::check_routes(&config.observe, &bundle.profile, problems);
        ledger_routes::check(&config.ledger.routes, &bundle.profile, problems);
        if problems.error_count() > before {
            return None;
        }
    }
    Some(Loaded {
        bundle: bundle?,
        directory: directory?,
        identity: identity?,
        contents,
        supply,
        directory_written_ms,
    })
}

/// Loads a bundle from a folder or an archive; nobody looks at signatures.
pub fn load_bundle(path: &Path, problems: &mut Problems) -> Option<Bundle> {
    Supply::unjudged(path).offer("", 0).take(problems)
}

/// Loads the bundle that a configuration names.
pub fn load_configured(config: &ServiceConfig, problems: &mut Problems) -> Option<Bundle> {
    Supply::new(config, None).offer("", Clock::system().now_ms()).take(problems)
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

/// Looks at all files that a load would read, without reading them.
pub fn look(config: &ServiceConfig, supply: &Supply, now_ms: i64) -> Look {
    let (of_bundle, of_identity) = (supply.paths(), sources::files(&config.identity));
    let of_admin = config.admin.iter().flat_map(AdminConfig::files);
    let paths = of_bundle.iter().chain([&config.directory.file]).chain(&of_identity).chain(of_admin);
    Look::at(paths.map(PathBuf::as_path), now_ms)
}

fn offer_directory(path: &Path, serving: Option<&str>, is_bundle_new: bool) -> Offered<Arc<SourceFile>> {
    let mut problems = Problems::default();
    let Some(source) = text(path, &mut problems) else { return Offered::unreadable(problems) };
    let content = revision::hash(source.text.as_bytes());
    let is_unchanged = serving == Some(content.as_str()) && !is_bundle_new;
    let state = if is_unchanged { State::Unchanged } else { State::Sound(source) };
    Offered { hash: content.clone(), content, state, problems, alarm: None, distrusted: Vec::new() }
}

fn offer_identity(config: &IdentityConfig, serving: &str) -> Offered<IdentitySources> {
    let (mut problems, mut intake) = (Problems::default(), Intake::default());
    let sources = sources::load(config, &mut intake, &mut problems);
    let (content, hash) = (intake.content(), intake.revision());
    let state = match problems.has_errors() {
        true => State::Broken,
        false if content == serving => State::Unchanged,
        false => State::Sound(IdentitySources { revision: hash.clone(), sources }),
    };
    Offered { content, hash, state, problems, alarm: None, distrusted: Vec::new() }
}

impl<T> Offered<T> {
    /// A part that could not be read.
    pub fn unreadable(problems: Problems) -> Self {
        let hash = UNREADABLE.to_owned();
        Self {
            content: String::new(),
            hash,
            state: State::Broken,
            problems,
            alarm: None,
            distrusted: Vec::new(),
        }
    }

    /// A part that is as it serves.
    pub fn unchanged(content: &str) -> Self {
        let (content, problems) = (content.to_owned(), Problems::default());
        Self {
            hash: content.clone(),
            content,
            state: State::Unchanged,
            problems,
            alarm: None,
            distrusted: Vec::new(),
        }
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
    /// Sound, if there is something.
    pub fn of(value: Option<T>) -> Self {
        value.map_or(Self::Broken, Self::Sound)
    }
}

/// Stands for the hash of files that could not be read.
pub const UNREADABLE: &str = "unreadable";
