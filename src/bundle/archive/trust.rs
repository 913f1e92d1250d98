//! Whether an archive may be loaded: enough trusted keys vouch for it, and it is neither older, expired nor revoked.
//!
//! Promises: each refusal has its own message and way out. Where signatures are required nothing falls back to less. Where
//! they are not, what would have been refused is a warning, but a signature that does not hold and what was revoked by
//! name are refused all the same.

use std::collections::BTreeSet;

use super::manifest::{Manifest, ManifestError};
use super::pack::ArchiveError;
use super::provenance::Papers;
use super::signature::{self, SignatureError};
use crate::model::keys::{KeyId, TrustedKeys};

/// What an archive is judged by.
pub struct Trust<'a> {
    /// Whether what speaks against it refuses it.
    pub strictness: Strictness,
    /// Keys whose signatures count.
    pub keys: &'a TrustedKeys,
    /// How many of them must have signed.
    pub signatures_min: usize,
    /// What was called back.
    pub revoked: &'a Revoked,
    /// The highest version that ever served.
    pub floor: Option<&'a Floor>,
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// Milliseconds for which a bundle serves beyond its expiry.
    pub grace_ms: i64,
}

/// Whether signatures are required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// They are.
    Required,
    /// They are looked at, and what is missing is a warning.
    Advised,
}

/// Keys and revisions that were called back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    /// Keys by their names.
    pub keys: BTreeSet<KeyId>,
    /// Revisions by their hashes.
    pub revisions: BTreeSet<String>,
}

/// The highest version that ever served here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floor {
    /// The version.
    pub version: u64,
    /// The bundle that had it.
    pub revision: String,
}

/// Why an archive is not trusted.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TrustError {
    /// Nobody signed it.
    #[error("the bundle is unsigned")]
    Unsigned,
    /// The file of signatures cannot be read.
    #[error("{0}")]
    Unreadable(#[from] SignatureError),
    /// A signature of a trusted key is not over this manifest.
    #[error("the signature of the key {0} does not hold: manifest or signature was changed")]
    Invalid(KeyId),
    /// Only keys that were revoked signed it.
    #[error("the bundle is signed by the revoked key {0}")]
    KeyRevoked(KeyId),
    /// Only keys that are not trusted signed it.
    #[error("the bundle is signed by the key {0}, which is not trusted")]
    KeyUnknown(KeyId),
    /// Too few trusted keys signed it.
    #[error("the bundle is signed by {found} of the {needed} trusted keys that are needed")]
    TooFew {
        /// How many did.
        found: usize,
        /// How many must.
        needed: usize,
    },
    /// Two keys are needed, but one person stands for both.
    #[error("the manifest names no approver other than its author")]
    NoApprover,
    /// The bundle was called back.
    #[error("the bundle {0} is revoked")]
    RevisionRevoked(String),
    /// It is older than what served.
    #[error("the bundle has version {version}, but version {floor} has served here")]
    Older {
        /// Its version.
        version: u64,
        /// The highest that served.
        floor: u64,
    },
    /// Another bundle of that version served.
    #[error("the bundle has version {version}, but another bundle of that version has served here: {served}")]
    SameVersion {
        /// The version.
        version: u64,
        /// The other bundle.
        served: String,
    },
    /// It may not serve any more.
    #[error("the bundle expired at {0}")]
    Expired(String),
}

impl TrustError {
    /// Whether it refuses an archive even where signatures are not required.
    pub fn is_hard(&self) -> bool {
        matches!(
            self,
            Self::Unreadable(_) | Self::Invalid(_) | Self::KeyRevoked(_) | Self::RevisionRevoked(_)
        )
    }

    /// What can be done about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unsigned => {
                "Build an archive and sign it: `lockkeeper bundle build`, then `lockkeeper bundle sign`."
            }
            Self::Unreadable(_) => "Sign the archive anew with `lockkeeper bundle sign`.",
            Self::Invalid(_) => "Do not load it. Build and sign it anew, and look who changed it on its way.",
            Self::KeyRevoked(_) => "Have it signed by a key that is still trusted.",
            Self::KeyUnknown(_) => {
                "Have it signed by a trusted key, or add this one's public half to `[bundle.signing]` after asking its owner."
            }
            Self::TooFew { .. } => {
                "Have further people sign it with `lockkeeper bundle sign`, each with their own key."
            }
            Self::NoApprover => {
                "Build it with `--approver`: more than one signature is required, so a second person must stand for it."
            }
            Self::RevisionRevoked(_) => {
                "Load another revision; this one was called back in the configuration."
            }
            Self::Older { .. } | Self::SameVersion { .. } => {
                "Build it with a higher version. To go back on purpose use `lockkeeper serve --revision HASH`."
            }
            Self::Expired(_) => "Build and sign it anew with a later expiry and a higher version.",
        }
    }

    /// The code of the ledger's alarm.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsigned => "bundle-unsigned",
            Self::Unreadable(_) | Self::Invalid(_) => "bundle-signature-invalid",
            Self::KeyRevoked(_) => "bundle-key-revoked",
            Self::KeyUnknown(_) => "bundle-key-unknown",
            Self::TooFew { .. } | Self::NoApprover => "bundle-signatures-missing",
            Self::RevisionRevoked(_) => "bundle-revoked",
            Self::Older { .. } | Self::SameVersion { .. } => "bundle-older",
            Self::Expired(_) => "bundle-expired",
        }
    }
}

/// Why an archive is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// It cannot be read.
    #[error("{0}")]
    Archive(#[from] ArchiveError),
    /// It is not what its manifest says.
    #[error("{0}")]
    Manifest(#[from] ManifestError),
    /// It is not trusted.
    #[error("{0}")]
    Trust(#[from] TrustError),
}

impl Refusal {
    /// What can be done about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Archive(error) => error.help(),
            Self::Manifest(error) => error.help(),
            Self::Trust(error) => error.help(),
        }
    }

    /// The code of the ledger's alarm.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Archive(_) | Self::Manifest(_) => "bundle-archive-broken",
            Self::Trust(error) => error.code(),
        }
    }
}

impl Trust<'_> {
    /// The trusted keys that signed a manifest, in order. With an error come those that did all the same.
    pub(super) fn signers(&self, papers: &Papers) -> Result<Vec<KeyId>, (TrustError, Vec<KeyId>)> {
        let none = |error| (error, Vec::new());
        let signatures = signature::parse(papers.signatures.as_deref().unwrap_or_default());
        let signatures = signatures.map_err(|error| none(error.into()))?;
        let mut signers = BTreeSet::new();
        let (mut revoked, mut unknown) = (None, None);
        for signature in &signatures {
            match self.keys.get(&signature.key) {
                _ if self.revoked.keys.contains(&signature.key) => revoked = Some(&signature.key),
                None => unknown = Some(&signature.key),
                Some(key) if signature.holds(&papers.manifest, key) => {
                    signers.insert(signature.key.clone());
                }
                Some(_) => return Err(none(TrustError::Invalid(signature.key.clone()))),
            }
        }
        let signers: Vec<KeyId> = signers.into_iter().collect();
        match (signers.len(), revoked, unknown) {
            (found, ..) if found >= self.signatures_min.max(1) => Ok(signers),
            (0, Some(key), _) => Err(none(TrustError::KeyRevoked(key.clone()))),
            (0, None, Some(key)) => Err(none(TrustError::KeyUnknown(key.clone()))),
            (0, None, None) => Err(none(TrustError::Unsigned)),
            (found, ..) => Err((TrustError::TooFew { found, needed: self.signatures_min }, signers)),
        }
    }

    /// Whether enough trusted keys vouch for a manifest.
    pub fn vouches(&self, papers: &Papers) -> Result<Vec<KeyId>, TrustError> {
        self.signers(papers).map_err(|(refused, _)| refused)
    }

    /// All that speaks against a bundle whose signatures were looked at.
    pub(super) fn objections(&self, manifest: &Manifest, signers: &[KeyId]) -> Vec<TrustError> {
        let mut found = Vec::new();
        if self.revoked.revisions.contains(&manifest.revision) {
            found.push(TrustError::RevisionRevoked(manifest.revision.clone()));
        }
        let has_approver = manifest.approver.as_ref().is_some_and(|approver| *approver != manifest.author);
        if self.signatures_min > 1 && !has_approver {
            found.push(TrustError::NoApprover);
        }
        let version = manifest.version;
        // A version that nobody vouches for says nothing about age.
        match self.floor.filter(|_| !signers.is_empty()) {
            Some(floor) if version < floor.version => {
                found.push(TrustError::Older { version, floor: floor.version });
            }
            Some(floor) if version == floor.version && manifest.revision != floor.revision => {
                found.push(TrustError::SameVersion { version, served: floor.revision.clone() });
            }
            Some(_) | None => {}
        }
        if self.serves_until(manifest) <= self.now_ms {
            found.push(TrustError::Expired(manifest.expires.clone()));
        }
        found
    }

    /// Until when a bundle serves, in milliseconds since 1970.
    pub fn serves_until(&self, manifest: &Manifest) -> i64 {
        manifest.expires_ms().saturating_add(self.grace_ms)
    }
}
