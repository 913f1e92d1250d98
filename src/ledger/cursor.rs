//! How far a copy of the ledger has come, kept in the state folder.
//!
//! Promises: a cursor that was kept is durable, and is read as it was kept or not at all. Says nothing about the copy itself:
//! whoever made it vouches for what it has.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::durable;
use super::error::LedgerError;
use crate::model::hex::hex;

/// The last entry that a copy has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its number; 0 before the first.
    pub seq: u64,
    /// The SHA-256 of its line without line feed, in lower-case hex; empty before the first.
    pub sha256: String,
}

impl Mark {
    /// Before the first entry, or before `next_seq` where nothing is known of the entry before.
    #[must_use]
    pub fn before(next_seq: u64) -> Self {
        Self { seq: next_seq.saturating_sub(1), sha256: String::new() }
    }

    /// At an entry.
    #[must_use]
    pub fn at(seq: u64, line: &[u8]) -> Self {
        Self { seq, sha256: hex(&Sha256::digest(line)) }
    }
}

/// The file of one copy's cursor.
#[derive(Clone, Debug)]
pub struct CursorFile {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    log: String,
    #[serde(flatten)]
    mark: Mark,
}

impl CursorFile {
    /// The file of the copy with this name, which must be fit for a file.
    #[must_use]
    pub fn new(state: &Path, name: &str) -> Self {
        Self { path: state.join("sinks").join(format!("{name}.json")) }
    }

    /// The cursor, if one was kept for this very log.
    ///
    /// # Errors
    /// A file that is no cursor, or a file system that refuses.
    pub fn read(&self, log: &str) -> Result<Option<Mark>, LedgerError> {
        let Some(text) = durable::read_text(&self.path, FILE_BYTES_MAX)? else { return Ok(None) };
        let kept: Kept = serde_json::from_str(&text).map_err(|error| {
            let wrong = io::Error::new(io::ErrorKind::InvalidData, error);
            LedgerError::io("use the cursor in", &self.path)(wrong)
        })?;
        Ok((kept.log == log).then_some(kept.mark))
    }

    /// Keeps a cursor; it is durable when this returns.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn keep(&self, log: &str, mark: &Mark) -> Result<(), LedgerError> {
        let kept = Kept { log: log.to_owned(), mark: mark.clone() };
        let bytes =
            serde_json::to_vec(&kept).map_err(|source| LedgerError::Encode { kind: "cursor", source })?;
        durable::replace(&self.path, &bytes)
    }
}

/// Bytes of a cursor's file: a log's id, a number and a hash.
const FILE_BYTES_MAX: usize = 1 << 10;
