//! What the state folder notes of an archive that was fetched, so that a start without network serves it again.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Where and when an archive was fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Its URL, without query.
    pub url: String,
    /// Its ETag, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When, in milliseconds since 1970.
    pub fetched_ms: i64,
    /// The SHA-256 of its bytes.
    pub sha256: String,
}

/// An archive that was fetched and served.
#[derive(Clone, Debug)]
pub struct FetchedArchive {
    /// Where and when.
    pub note: Note,
    /// Its bytes.
    pub bytes: Bytes,
}
