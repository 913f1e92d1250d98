//! Bundles as archives (PAP): one file with policies, schema, profile, a manifest and signatures over it.
//!
//! Promises: an archive is read within limits and verified before anything in it is interpreted: the manifest is parsed
//! after its signatures were checked, and the files are read as policies after they were compared with the manifest. Never
//! does I/O, never unpacks to a file system, and never takes an archive for more than its signatures prove.

pub mod pack;
pub mod manifest;
pub mod signature;
pub mod trust;
pub mod provenance;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::bundle::part::Part;
use manifest::Manifest;
use pack::{ArchiveError, ArchiveLimits};
use provenance::{Papers, Provenance};
use trust::{Refusal, Strictness, Trust, TrustError};

/// An archive's parts, neither verified nor interpreted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The bundle's files by name.
    pub files: BTreeMap<String, Bytes>,
    /// Manifest and signatures, byte for byte.
    pub papers: Papers,
}

/// An archive that may be loaded.
#[derive(Debug)]
pub struct Opened {
    /// The bundle's files by name.
    pub files: BTreeMap<String, Bytes>,
    /// Where they come from, as far as it is proved.
    pub provenance: Provenance,
    /// What would have refused it if signatures were required.
    pub warnings: Vec<TrustError>,
}

/// Takes an archive apart.
pub fn take_apart(bytes: &[u8], limits: &ArchiveLimits) -> Result<Parts, ArchiveError> {
    let mut files = pack::unpack(bytes, limits)?;
    let manifest = files.remove(MANIFEST_FILE).ok_or(ArchiveError::NoManifest)?;
    let signatures = files.remove(SIGNATURES_FILE);
    match files.keys().find(|name| Part::of(name).is_none()) {
        Some(name) => Err(ArchiveError::Foreign { name: name.clone() }),
        None => Ok(Parts { files, papers: Papers { manifest, signatures } }),
    }
}

/// Puts an archive together: the same parts give the same bytes.
pub fn put_together(parts: &Parts) -> Result<Vec<u8>, ArchiveError> {
    let Papers { manifest, signatures } = &parts.papers;
    let papers = [Some((MANIFEST_FILE, manifest)), signatures.as_ref().map(|text| (SIGNATURES_FILE, text))];
    let files = parts.files.iter().map(|(name, bytes)| (name.as_str(), bytes));
    pack::pack(papers.into_iter().flatten().chain(files))
}

/// Opens an archive: taken apart, signatures checked, manifest read, files compared with it, and judged.
pub fn open(bytes: &[u8], limits: &ArchiveLimits, trust: &Trust<'_>) -> Result<Opened, Refusal> {
    verify(take_apart(bytes, limits)?, trust)
}

/// Verifies an archive's parts.
pub fn verify(parts: Parts, trust: &Trust<'_>) -> Result<Opened, Refusal> {
    let mut warnings = Vec::new();
    let mut soften = |refused: TrustError| match trust.strictness {
        Strictness::Advised if !refused.is_hard() => {
            warnings.push(refused);
            Ok(())
        }
        Strictness::Advised | Strictness::Required => Err(Refusal::Trust(refused)),
    };
    let signers = match trust.signers(&parts.papers) {
        Ok(signers) => signers,
        Err((refused, signers)) => {
            soften(refused)?;
            signers
        }
    };
    let manifest = Manifest::parse(&parts.papers.manifest)?;
    manifest.check_files(&parts.files)?;
    for refused in trust.objections(&manifest, &signers) {
        soften(refused)?;
    }
    let serves_until_ms = match trust.strictness {
        Strictness::Required => Some(trust.serves_until(&manifest)),
        Strictness::Advised => None,
    };
    let papers = Some((manifest, parts.papers));
    let provenance = Provenance { papers, signers, serves_until_ms, ..Provenance::default() };
    Ok(Opened { files: parts.files, provenance, warnings })
}

/// The name of the profile inside a bundle.
pub const PROFILE_FILE: &str = crate::bundle::compile::PROFILE_FILE;
/// The manifest's name inside an archive.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The name of the signatures' file inside an archive.
pub const SIGNATURES_FILE: &str = "manifest.sig";

#[cfg(test)]
mod tests;
