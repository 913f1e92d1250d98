//! The manifest: who made a bundle, who approved it, which version it is, until when it holds, and what is in it.
//!
//! Promises: a manifest that parses is whole; a bundle whose files differ from it in name, size or content by one byte is
//! refused. Never tells whether any of it is true: signatures do.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::bundle::{instant, revision};

/// What an archive says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of the manifest; [`FORMAT`].
    pub format: u32,
    /// Counts up with every bundle that is to serve.
    pub version: u64,
    /// Who made it.
    pub author: String,
    /// Who else approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver: Option<String>,
    /// What asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Until when it may serve, RFC 3339.
    pub expires: String,
    /// The content hash of the files: what the ledger calls the bundle.
    pub revision: String,
    /// Every file of the bundle.
    pub files: Vec<ListedFile>,
}

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedFile {
    /// Its name.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
}

/// What the maker of a manifest says; the rest follows from the files.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The version.
    pub version: u64,
    /// Who made it.
    pub author: String,
    /// Who else approved it.
    pub approver: Option<String>,
    /// What asked for it.
    pub ticket: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// Until when it may serve, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// Why a manifest does not hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ManifestError {
    /// It is too large to be one.
    #[error("`manifest.json` has {bytes} bytes, more than {MANIFEST_BYTES_MAX}")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
    },
    /// It is not JSON of the right form.
    #[error("`manifest.json` is not a manifest: {0}")]
    Form(String),
    /// It has a form that this program does not know.
    #[error("`manifest.json` has the format {0}, and this program knows {FORMAT}")]
    Format(u32),
    /// A member does not have a usable value.
    #[error("`{member}` of the manifest {why}")]
    Member {
        /// Its name.
        member: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// A file is in the archive and not in the manifest.
    #[error("`{0}` is in the archive but not in its manifest")]
    Unlisted(String),
    /// A file is in the manifest and not in the archive.
    #[error("`{0}` is in the manifest but not in the archive")]
    Missing(String),
    /// A file is listed twice.
    #[error("`{0}` is listed twice in the manifest")]
    ListedTwice(String),
    /// A file is not the one that was listed.
    #[error("`{0}` is not the file that the manifest lists: its size or SHA-256 differs")]
    Differs(String),
    /// The revision is not that of the files.
    #[error("the manifest states the revision `{stated}`, but the files have `{found}`")]
    Revision {
        /// What is stated.
        stated: String,
        /// What the files have.
        found: String,
    },
}

impl ManifestError {
    /// What can be done about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Format(_) => {
                "Build the archive with the version of Lockkeeper that is to serve it, or update this one."
            }
            Self::TooLarge { .. } | Self::Form(_) | Self::Member { .. } => {
                "Build the archive with `lockkeeper bundle build`; the reference lists the manifest's members."
            }
            Self::Unlisted(_)
            | Self::Missing(_)
            | Self::ListedTwice(_)
            | Self::Differs(_)
            | Self::Revision { .. } => "The archive was changed after it was built. Build and sign it anew.",
        }
    }
}

impl Manifest {
    /// The manifest of some files.
    pub fn of(statement: &Statement, files: &BTreeMap<String, Bytes>) -> Result<Self, ManifestError> {
        let listed = |(name, bytes): (&String, &Bytes)| ListedFile {
            path: name.clone(),
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            sha256: revision::hash(bytes),
        };
        let text =
            |member, ms| instant_text(ms).ok_or(ManifestError::Member { member, why: "is out of range" });
        let manifest = Self {
            format: FORMAT,
            version: statement.version,
            author: statement.author.clone(),
            approver: statement.approver.clone(),
            ticket: statement.ticket.clone(),
            created: text("created", statement.created_ms)?,
            expires: text("expires", statement.expires_ms)?,
            revision: revision::hash_files(files),
            files: files.iter().map(listed).collect(),
        };
        manifest.check_members()?;
        Ok(manifest)
    }

    /// The bytes that are signed and stored.
    pub fn to_bytes(&self) -> Result<Bytes, ManifestError> {
        let text =
            serde_json::to_string_pretty(self).map_err(|error| ManifestError::Form(error.to_string()))?;
        Ok(Bytes::from(text + "\n"))
    }

    /// Reads a manifest. Unknown and duplicate members are errors.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLarge { bytes: bytes.len() });
        }
        // The form is looked at first, so that a manifest of the future is told from a broken one.
        let form = |error: serde_json::Error| ManifestError::Form(error.to_string());
        let Probe { format } = serde_json::from_slice(bytes).map_err(form)?;
        if format != FORMAT {
            return Err(ManifestError::Format(format));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(form)?;
        manifest.check_members()?;
        Ok(manifest)
    }

    /// Until when it may serve, in milliseconds since 1970.
    pub fn expires_ms(&self) -> i64 {
        // It was read once already when the manifest was checked.
        instant::parse_wire(&self.expires, None).unwrap_or(i64::MIN)
    }

    /// Whether the files are just the listed ones.
    pub fn check_files(&self, files: &BTreeMap<String, Bytes>) -> Result<(), ManifestError> {
        let mut listed = BTreeMap::new();
        for file in &self.files {
            if listed.insert(file.path.as_str(), file).is_some() {
                return Err(ManifestError::ListedTwice(file.path.clone()));
            }
        }
        if let Some(name) = files.keys().find(|name| !listed.contains_key(name.as_str())) {
            return Err(ManifestError::Unlisted(name.clone()));
        }
        for (name, file) in listed {
            let bytes = files.get(name).ok_or_else(|| ManifestError::Missing(name.to_owned()))?;
            if u64::try_from(bytes.len()) != Ok(file.bytes) || revision::hash(bytes) != file.sha256 {
                return Err(ManifestError::Differs(name.to_owned()));
            }
        }
        let found = revision::hash_files(files);
        match found == self.revision {
            true => Ok(()),
            false => Err(ManifestError::Revision { stated: self.revision.clone(), found }),
        }
    }

    fn check_members(&self) -> Result<(), ManifestError> {
        let wrong = |member, why| Err(ManifestError::Member { member, why });
        if self.version == 0 {
            return wrong("version", "must be at least 1");
        }
        let texts = [
            ("author", Some(&self.author)),
            ("approver", self.approver.as_ref()),
            ("ticket", self.ticket.as_ref()),
        ];
        for (member, text) in texts {
            if text.is_some_and(|text| !is_name(text)) {
                return wrong(member, "must be 1 to 200 bytes of text without control characters");
            }
        }
        if self.author == UNSIGNED {
            return wrong("author", "may not be `unsigned`, which the ledger writes where nobody signed");
        }
        let (created, expires) =
            (instant::parse_wire(&self.created, None), instant::parse_wire(&self.expires, None));
        match (created, expires) {
            (Err(_), _) => wrong("created", "is not a time as RFC 3339 writes it, with an offset"),
            (_, Err(_)) => wrong("expires", "is not a time as RFC 3339 writes it, with an offset"),
            (Ok(created), Ok(expires)) if expires <= created => wrong("expires", "is not after `created`"),
            (Ok(_), Ok(_)) => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct Probe {
    format: u32,
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control) && text.trim() == text
}

/// A time as manifests write it.
pub fn instant_text(ms: i64) -> Option<String> {
    jiff::Timestamp::from_millisecond(ms).ok().map(|at| at.to_string())
}

/// The form of manifests that this program writes and reads.
pub const FORMAT: u32 = 1;
/// What stands in an author's place where nobody signed.
pub const UNSIGNED: &str = "unsigned";
const NAME_BYTES_MAX: usize = 200;
const MANIFEST_BYTES_MAX: usize = 1 << 20;
