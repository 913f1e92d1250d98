//! Where a bundle comes from: a folder, or an archive with its manifest and the keys that vouch for it.

use bytes::Bytes;

use super::manifest::{Manifest, UNSIGNED};
use crate::model::keys::KeyId;

/// Where a bundle comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The manifest, read and byte for byte; absent for a folder.
    pub papers: Option<(Manifest, Papers)>,
    /// The trusted keys whose signatures hold.
    pub signers: Vec<KeyId>,
    /// Until when it may serve, in milliseconds since 1970; absent where nothing enforces that.
    pub serves_until_ms: Option<i64>,
    /// Whether it was chosen by its hash, so that nothing but a restart replaces it.
    pub pin: Pin,
}

/// Manifest and signatures, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Papers {
    /// `manifest.json`.
    pub manifest: Bytes,
    /// `manifest.sig`, if there is one.
    pub signatures: Option<Bytes>,
}

/// Whether a bundle may be replaced by what its source offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pin {
    /// It follows its source.
    #[default]
    Follows,
    /// It was chosen by its hash.
    Pinned,
}

impl Provenance {
    /// The manifest, if there is one.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.papers.as_ref().map(|(manifest, _)| manifest)
    }

    /// The manifest, if trusted keys vouch for it.
    pub fn vouched(&self) -> Option<&Manifest> {
        self.manifest().filter(|_| !self.signers.is_empty())
    }

    /// Who made it, or `unsigned`: what a manifest says that nobody vouches for is not repeated.
    pub fn author(&self) -> &str {
        self.vouched().map_or(UNSIGNED, |manifest| &manifest.author)
    }
}
