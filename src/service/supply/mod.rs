//! Where bundles come from: a folder, an archive, a folder of archives, a URL, or a revision that served before.
//!
//! Promises: whatever the way, a bundle is judged by the same trust before it is compiled, and what the state folder
//! remembers of it (its papers, the highest version, the archive that was fetched) is durable before it serves. Never
//! falls back from a signed bundle to an unsigned one.

mod trust;
mod broken;
mod shelf;
mod kept;
mod fetched;
pub mod fetch;

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::load::{Offered, State};
use crate::bundle::archive::pack::ArchiveLimits;
use crate::bundle::archive::provenance::Provenance;
use crate::bundle::archive::trust::{Refusal, Strictness, TrustError};
use crate::bundle::archive::{Opened, PROFILE_FILE, open, take_apart};
use crate::bundle::compile::{Bundle, compile};
use crate::bundle::{revision, source};
use crate::config::author::{AuthorProblem, Problems};
use crate::config::service::{BundleConfig, BundleOrigin, ServiceConfig};
use crate::disk;
use crate::ledger::error::LedgerError;
use crate::ledger::revisions::Revisions;
use broken::Broken;
use fetch::Inbox;
use trust::{Judge, Memory};

/// The way to bundles, as it is configured.
pub struct Supply {
    config: BundleConfig,
    state: PathBuf,
    pinned: Option<String>,
    broken: Broken,
    /// What was fetched and does not serve yet.
    pub inbox: Inbox,
}

/// Whether a bundle was called back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recall {
    /// It was not.
    None,
    /// It was.
    Revoked(TrustError),
    /// Nobody can tell: what was said of it before still holds.
    Unknown,
}

/// Why a bundle that is sound cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It could not be kept.
    #[error("the new revision could not be kept: {0}")]
    Keep(#[from] LedgerError),
    /// What the state folder remembers could not be written.
    #[error("`{path}` could not be written: {error}")]
    Remember {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl Supply {
    /// Follows what the configuration names; with `pinned`, serves the kept revision whose hash begins so.
    pub fn new(config: &ServiceConfig, pinned: Option<String>) -> Self {
        let (config, state) = (config.bundle.clone(), config.ledger.path.clone());
        Self { config, state, pinned, broken: Broken::default(), inbox: Inbox::default() }
    }

    /// What stands at a path, whoever signed it.
    pub fn unjudged(path: &Path) -> Self {
        let origin = BundleOrigin::Path(path.to_owned());
        let archive_bytes_max = ArchiveLimits::default().archive_bytes_max;
        let config = BundleConfig { origin, reload_poll_ms: 0, archive_bytes_max, signing: None };
        Self {
            config,
            state: PathBuf::new(),
            pinned: None,
            broken: Broken::default(),
            inbox: Inbox::default(),
        }
    }

    /// The bundle as its source offers it. What serves already is not looked into again.
    pub fn offer(&self, serving: &str, now_ms: i64) -> Offered<Bundle> {
        let mut problems = Problems::default();
        let Some(judge) = Judge::read(&self.config, &self.memory(), now_ms, &mut problems) else {
            return Offered::unreadable(problems);
        };
        if let Some(pinned) = &self.pinned {
            return match serving.is_empty() {
                true => self.offer_kept(pinned, &judge),
                false => Offered::unchanged(serving),
            };
        }
        match &self.config.origin {
            BundleOrigin::Path(path) if path.is_dir() => self.offer_folder(path, &judge, serving),
            BundleOrigin::Path(path) => match self.read(path) {
                Ok(bytes) => self.offer_archive(&path.display().to_string(), &bytes, &judge, serving),
                Err(problem) => Offered::unreadable(problem.into()),
            },
            BundleOrigin::Url { remote, .. } => {
                let candidate = self.inbox.candidate().map(|candidate| candidate.bytes);
                let url = remote.url.to_string();
                let known = || self.memory().fetched(&url).map(|known| known.bytes);
                match candidate.or_else(known) {
                    Some(bytes) => self.offer_archive(&url, &bytes, &judge, serving),
                    None => Offered::unreadable(nothing_fetched(&url).into()),
                }
            }
        }
    }

    /// Whether the bundle that is to serve may go on, whatever its source offers.
    pub fn recall(&self, bundle: &Bundle, now_ms: i64) -> Recall {
        match Judge::read(&self.config, &self.memory(), now_ms, &mut Problems::default()) {
            // The offer has told that a list cannot be read.
            None => Recall::Unknown,
            Some(judge) => judge.recalled(bundle).map_or(Recall::None, Recall::Revoked),
        }
    }

    /// Remembers what is to serve: its bytes, its papers, its version, and the archive that was fetched.
    pub fn accept(&self, revisions: &Revisions, bundle: &Bundle) -> Result<(), AcceptError> {
        let files: Vec<(String, Bytes)> =
            bundle.files.iter().map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
        revisions.keep(&bundle.revision, &files)?;
        kept::keep_papers(revisions, bundle)?;
        let memory = self.memory();
        let remember = |path: PathBuf| move |error| AcceptError::Remember { path, error };
        if self.pinned.is_none() {
            memory.raise_floor(bundle).map_err(remember(memory.floor_path()))?;
        }
        if let Some(candidate) = self.inbox.candidate() {
            // The same files under other papers are another archive, and one that was refused is not remembered.
            let is_it = take_apart(&candidate.bytes, &self.limits()).is_ok_and(|parts| {
                let papers = bundle.provenance.papers.as_ref().map(|(_, papers)| papers);
                papers == Some(&parts.papers) && revision::hash_files(&parts.files) == bundle.revision
            });
            if is_it {
                memory.remember_fetched(&candidate).map_err(remember(memory.fetched_path()))?;
                self.inbox.clear(&candidate);
            }
        }
        Ok(())
    }

    /// The files and folders that an offer depends on.
    pub fn paths(&self) -> Vec<PathBuf> {
        let own = match (&self.config.origin, &self.pinned) {
            (BundleOrigin::Path(path), None) => Some(path.clone()),
            _ => None,
        };
        let signing = self.config.signing.iter();
        let lists = signing.flat_map(|signing| [signing.keys_file.clone(), signing.revoked_file.clone()]);
        own.into_iter().chain(lists.flatten()).collect()
    }

    /// Whether the bundle was chosen by its hash.
    pub fn is_pinned(&self) -> bool {
        self.pinned.is_some()
    }

    fn offer_folder(&self, path: &Path, judge: &Judge, serving: &str) -> Offered<Bundle> {
        let archives = if path.join(PROFILE_FILE).is_file() { Vec::new() } else { shelf::archives(path) };
        if !archives.is_empty() {
            return self.offer_shelf(&archives, judge, serving);
        }
        let mut problems = Problems::default();
        let Some(files) = source::read(path, &mut problems) else { return Offered::unreadable(problems) };
        let hash = revision::hash_files(&files);
        let content = format!("{hash} {}", judge.content());
        if judge.strictness() == Strictness::Required {
            let refused = TrustError::Unsigned;
            let message = format!("`{}` is a folder, and a folder is unsigned", path.display());
            problems.push(AuthorProblem::error(message).help(refused.help()));
            let state = State::Broken;
            let (alarm, distrusted) = (Some(refused.code()), Vec::new());
            return Offered { content, hash, state, problems, alarm, distrusted };
        }
        let state = match content == serving {
            true => State::Unchanged,
            false => {
                State::of(self.broken.or_compile(&hash, &mut problems, |problems| compile(files, problems)))
            }
        };
        Offered { content, hash, state, problems, alarm: None, distrusted: Vec::new() }
    }

    fn offer_archive(&self, name: &str, bytes: &[u8], judge: &Judge, serving: &str) -> Offered<Bundle> {
        let content = format!("{} {}", revision::hash(bytes), judge.content());
        if content == serving {
            return Offered::unchanged(serving);
        }
        match open(bytes, &self.limits(), &judge.trust()) {
            Ok(opened) => self.offer_opened(name, opened, content, judge),
            Err(refusal) => {
                let hash = take_apart(bytes, &self.limits())
                    .map_or_else(|_| revision::hash(bytes), |parts| revision::hash_files(&parts.files));
                offer_refused(name, &refusal, content, hash)
            }
        }
    }

    /// What became of an archive that may be loaded: it still has to compile.
    fn offer_opened(&self, name: &str, opened: Opened, content: String, judge: &Judge) -> Offered<Bundle> {
        let mut problems = Problems::default();
        for warning in opened.warnings.iter().filter(|_| judge.is_configured()) {
            let problem = AuthorProblem::warning(format!("`{name}`: {warning}"));
            problems.push(problem.help(warning.help()));
        }
        let files = opened.files;
        let hash = revision::hash_files(&files);
        let bundle = self.broken.or_compile(&hash, &mut problems, |problems| compile(files, problems));
        let with = |provenance: Provenance| bundle.map(|bundle| Bundle { provenance, ..bundle });
        let state = State::of(with(opened.provenance));
        Offered { content, hash, state, problems, alarm: None, distrusted: Vec::new() }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, AuthorProblem> {
        disk::read(path, self.config.archive_bytes_max).map_err(|error| {
            let help =
                "Name a folder with profile.toml, one .cedarschema and .cedar files, or an archive of one.";
            AuthorProblem::error(format!("`{}` cannot be read: {error}", path.display())).help(help)
        })
    }

    fn limits(&self) -> ArchiveLimits {
        ArchiveLimits { archive_bytes_max: self.config.archive_bytes_max, ..ArchiveLimits::default() }
    }

    fn memory(&self) -> Memory {
        Memory::at(&self.state)
    }
}

fn offer_refused(name: &str, refusal: &Refusal, content: String, hash: String) -> Offered<Bundle> {
    let problem = AuthorProblem::error(format!("`{name}`: {refusal}")).help(refusal.help());
    let (problems, alarm) = (problem.into(), Some(refusal.code()));
    Offered { content, hash, state: State::Broken, problems, alarm, distrusted: Vec::new() }
}

fn nothing_fetched(url: &str) -> AuthorProblem {
    let message = format!("nothing was fetched from `{url}` yet, and no earlier archive of it is kept");
    AuthorProblem::error(message).help("Look why it cannot be reached; once it can, start again.")
}
