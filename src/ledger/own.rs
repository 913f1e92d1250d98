//! The entries that only the ledger itself writes: segment heads, gaps, recoveries and the end.
//!
//! Promises: a segment's head names all that its reader would otherwise have to look up in the segments
//! before. Never made by callers.

use serde::{Deserialize, Serialize};

use super::entry::Part;
use super::line::Flaw;

/// Kinds that recovery and the writer look at.
pub(super) const SEGMENT: &str = "segment";
/// The dictionary's kind.
pub(super) const FIELDS: &str = "fields";
/// The kind of a decision.
pub(super) const DECISION: &str = "decision";
/// The kind of a start.
pub(super) const START: &str = "start";
/// The kind of what could not be recorded.
pub(super) const GAP: &str = "gap";
/// The kind of what was removed.
pub(super) const REMOVAL: &str = "removal";
/// The kind that closes a decision.
pub(super) const OUTCOME: &str = "outcome";

/// The first entry of each segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct SegmentHead {
    /// The process that began the segment.
    pub(super) boot: String,
    /// The segment before; null in the first.
    pub(super) previous: Option<Previous>,
    /// The decisions that had no outcome when the segment began.
    pub(super) open: Vec<String>,
    /// Set where the list of open decisions takes several lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<Part>,
}

/// A finished segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Previous {
    /// Its file's name.
    pub(super) file: String,
    /// Its size.
    pub(super) bytes: u64,
    /// The SHA-256 of all of it, in lower-case hex.
    pub(super) sha256: String,
}

impl Previous {
    /// Checks what a segment says of the one before it against the file that is there.
    pub(super) fn check(said: Option<&Self>, file: &str, bytes: u64) -> Result<(), Flaw> {
        match said.filter(|said| said.file == file) {
            Some(said) if said.bytes == bytes => Ok(()),
            Some(said) => Err(Flaw::Predecessor { expected: said.bytes, found: bytes }),
            None => Err(Flaw::Missing),
        }
    }
}

/// Entries that are not recorded, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Gap {
    /// The first fault's code.
    pub(super) reason: &'static str,
    /// How many entries were not recorded.
    pub(super) refused: u64,
    /// How many more were acknowledged once they were written, and were never synced.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) lost: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What recovery at a start did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Recovered {
    /// The file whose tail was cut, or the last one.
    pub(super) file: String,
    /// How many bytes were cut.
    pub(super) cut_bytes: u64,
    /// How many decisions were closed as unknown.
    pub(super) closed: usize,
}
