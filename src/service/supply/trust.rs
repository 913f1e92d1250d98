//! What a bundle is judged by, read from the configuration's files and the state folder [edge].
//!
//! Promises: a list that cannot be read refuses what would be judged by it; it is never taken for empty. The highest
//! version only goes up.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: reads the lists of keys, and what the state folder remembers"
)]

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fetch::Candidate;
use super::fetched::{FetchedArchive, Note};
use crate::bundle::archive::trust::{Floor, Revoked, Strictness, Trust, TrustError};
use crate::bundle::compile::Bundle;
use crate::bundle::revision;
use crate::config::author::{AuthorProblem, Problems};
use crate::config::load;
use crate::config::service::bundle::{read_revoked, read_trusted};
use crate::config::service::{BundleConfig, SigningConfig};
use crate::disk::{self, Readers};
use crate::model::keys::TrustedKeys;

/// Everything that a judgement needs, at one moment.
pub(super) struct Judge {
    signing: Option<SigningConfig>,
    keys: TrustedKeys,
    revoked: Revoked,
    floor: Option<Floor>,
    content: String,
    now_ms: i64,
}

impl Judge {
    /// Reads the lists; `None` comes with at least one error.
    pub(super) fn read(
        config: &BundleConfig,
        memory: &Memory,
        now_ms: i64,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut judge = Self {
            signing: config.signing.clone(),
            keys: TrustedKeys::new(),
            revoked: Revoked::default(),
            floor: None,
            content: String::new(),
            now_ms,
        };
        let Some(signing) = &config.signing else { return Some(judge) };
        let mut texts = String::new();
        judge.keys.clone_from(&signing.keys);
        if let Some(path) = &signing.keys_file {
            let source = load::text(path, problems)?;
            texts.push_str(&source.text);
            let help = "It holds public Ed25519 keys as PEM or one base64 key a line.";
            let keys = read_trusted(&source.text);
            judge.keys.extend(noted(keys, path, help, problems)?);
        }
        judge.revoked.clone_from(&signing.revoked);
        if let Some(path) = &signing.revoked_file {
            let source = load::text(path, problems)?;
            texts.push_str(&format!("\0{}", source.text));
            let help = "Write `key ID` or `revision HASH` on each line.";
            let more = noted(read_revoked(&source.text), path, help, problems)?;
            judge.revoked.keys.extend(more.keys);
            judge.revoked.revisions.extend(more.revisions);
        }
        judge.content = revision::hash(texts.as_bytes());
        judge.floor = noted(memory.floor(), &memory.floor_path(), FLOOR_HELP, problems)?;
        Some(judge)
    }

    /// What archives are judged by.
    pub(super) fn trust(&self) -> Trust<'_> {
        let signing = self.signing.as_ref();
        Trust {
            strictness: self.strictness(),
            keys: &self.keys,
            signatures_min: signing.map_or(1, |signing| signing.signatures_min),
            revoked: &self.revoked,
            floor: self.floor.as_ref(),
            now_ms: self.now_ms,
            grace_ms: signing.map_or(0, |signing| signing.grace_ms),
        }
    }

    /// Whether signatures are required.
    pub(super) fn strictness(&self) -> Strictness {
        self.signing.as_ref().map_or(Strictness::Advised, |signing| signing.strictness)
    }

    /// Whether anybody asked to look at signatures.
    pub(super) fn is_configured(&self) -> bool {
        self.signing.is_some()
    }

    /// A hash over the lists, so that a change of them calls for a new judgement.
    pub(super) fn content(&self) -> &str {
        &self.content
    }

    /// Why a bundle that serves may not serve any more.
    pub(super) fn recalled(&self, bundle: &Bundle) -> Option<TrustError> {
        if self.revoked.revisions.contains(&bundle.revision) {
            return Some(TrustError::RevisionRevoked(bundle.revision.clone()));
        }
        let required = self.strictness() == Strictness::Required;
        let papers = bundle.provenance.papers.as_ref().filter(|_| required);
        papers.and_then(|(_, papers)| self.trust().vouches(papers).err())
    }
}

fn noted<T, E: std::fmt::Display>(
    result: Result<T, E>,
    path: &Path,
    help: &str,
    problems: &mut Problems,
) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            problems.push(AuthorProblem::error(format!("`{}`: {error}", path.display())).help(help));
            None
        }
    }
}

/// What the state folder remembers of bundles.
pub(super) struct Memory {
    folder: PathBuf,
}

/// The highest version, as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFloor {
    version: u64,
    revision: String,
}

impl Memory {
    /// The memory in a state folder; nothing is made yet.
    pub(super) fn at(state: &Path) -> Self {
        Self { folder: state.join("bundle") }
    }

    /// Where the highest version is stored.
    pub(super) fn floor_path(&self) -> PathBuf {
        self.folder.join("highest.json")
    }

    /// Where it is noted what was fetched.
    pub(super) fn fetched_path(&self) -> PathBuf {
        self.folder.join("fetched.json")
    }

    /// The highest version that ever served; `None` if none did.
    pub(super) fn floor(&self) -> std::io::Result<Option<Floor>> {
        let path = self.floor_path();
        if !path.exists() {
            return Ok(None);
        }
        let stored: StoredFloor = serde_json::from_slice(&disk::read(&path, NOTE_BYTES_MAX)?)?;
        Ok(Some(Floor { version: stored.version, revision: stored.revision }))
    }

    /// Remembers the version of a bundle that somebody vouches for, if it is the highest.
    pub(super) fn raise_floor(&self, bundle: &Bundle) -> std::io::Result<()> {
        let Some(manifest) = bundle.provenance.vouched() else { return Ok(()) };
        if self.floor()?.is_some_and(|floor| floor.version >= manifest.version) {
            return Ok(());
        }
        let stored = StoredFloor { version: manifest.version, revision: bundle.revision.clone() };
        self.write(&self.floor_path(), &serde_json::to_vec(&stored)?)
    }

    /// The archive that was last fetched from a URL and served.
    pub(super) fn fetched(&self, url: &str) -> Option<FetchedArchive> {
        let note = disk::read(&self.fetched_path(), NOTE_BYTES_MAX).ok()?;
        let note: Note = serde_json::from_slice(&note).ok()?;
        if note.url != url {
            return None;
        }
        let bytes = disk::read(&self.archive_path(&note), ARCHIVE_BYTES_MAX).ok()?;
        (revision::hash(&bytes) == note.sha256).then_some(FetchedArchive { note, bytes: bytes.into() })
    }

    /// Remembers an archive that was fetched and is to serve.
    pub(super) fn remember_fetched(&self, candidate: &Candidate) -> std::io::Result<()> {
        let note = candidate.note();
        let former = disk::read(&self.fetched_path(), NOTE_BYTES_MAX).ok();
        let former: Option<Note> = former.and_then(|note| serde_json::from_slice(&note).ok());
        // The note is written last: it names an archive that is there.
        self.write(&self.archive_path(&note), &candidate.bytes)?;
        self.write(&self.fetched_path(), &serde_json::to_vec(&note)?)?;
        if let Some(former) = former.filter(|former| former.sha256 != note.sha256) {
            // What is left behind costs room and nothing else.
            let _ = std::fs::remove_file(self.archive_path(&former));
        }
        Ok(())
    }

    fn archive_path(&self, note: &Note) -> PathBuf {
        // Only hex digits of what a note says: it must not lead out of the folder.
        let hex: String = note.sha256.chars().filter(char::is_ascii_hexdigit).collect();
        self.folder.join(format!("fetched-{hex}.lkb"))
    }

    fn write(&self, path: &Path, content: &[u8]) -> std::io::Result<()> {
        disk::make_folder(&self.folder)?;
        disk::replace(path, content, Readers::Owner)
    }
}

const FLOOR_HELP: &str = "It holds the highest bundle version that served here. Restore it from a backup; removing it lets older bundles in.";
const NOTE_BYTES_MAX: usize = 64 << 10;
/// The most that `archive_bytes` can allow.
const ARCHIVE_BYTES_MAX: usize = 256 << 20;
