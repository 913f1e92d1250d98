//! The `revision` entry: a bundle, a directory or keys were offered, by whom, and what became of them.

use serde::Serialize;

use super::Part;

/// A bundle, a directory or keys were offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revision {
    /// Which of them.
    pub what: RevisionOf,
    /// The hash that was offered.
    pub hash: String,
    /// The hash that served before; absent at the first load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// What became of it.
    pub result: RevisionResult,
    /// How many problems it had.
    pub problems: u64,
    /// Who made it, from the bundle's manifest, or `unsigned` where no trusted key vouches for it.
    pub author: String,
    /// Who else approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver: Option<String>,
    /// What asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The version that its manifest states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The ids of the trusted keys that signed it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<String>,
    /// `true` where it was chosen by its hash, as one goes back; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
    /// The ids of policies that differ from the ones that served before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policies: Option<PolicyChanges>,
    /// Set by the ledger where the entry was split; callers leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// What a revision is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RevisionOf {
    /// Policies, schema and profile.
    Bundle,
    /// People and their memberships.
    Directory,
    /// How callers are identified: hashes of keys, never a secret.
    Keys,
}

impl RevisionOf {
    /// How entries and messages spell it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Directory => "directory",
            Self::Keys => "keys",
        }
    }
}

/// What became of an offered revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RevisionResult {
    /// It serves.
    Active,
    /// It was refused; the former one serves.
    Refused,
}

/// The ids of policies by what happened to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PolicyChanges {
    /// New ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Ones that are gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// Ones whose text changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
}
