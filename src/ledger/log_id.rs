//! The id of a log: which of many ledgers an entry is from, for stores that hold several.
//!
//! Promises: an id is made once, at random, and durable before it is told to anybody; it lies among the segments that it
//! names, so that a ledger that begins anew is another log. Never derived from a host, a path or a time.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::durable;
use super::error::LedgerError;
use super::folder;
use crate::model::hex::hex;

/// 16 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogId(String);

impl LogId {
    /// The log's id; the first call makes it.
    ///
    /// # Errors
    /// A file that holds no id, no random bytes, or a file system that refuses.
    pub fn open(state: &Path) -> Result<Self, LedgerError> {
        match Self::read(state)? {
            Some(id) => Ok(id),
            None => Self::make(&path(state)),
        }
    }

    /// The log's id, if it has one already.
    ///
    /// # Errors
    /// A file that holds no id, or a file system that refuses.
    pub fn read(state: &Path) -> Result<Option<Self>, LedgerError> {
        let path = path(state);
        let Some(text) = durable::read_text(&path, FILE_BYTES_MAX)? else { return Ok(None) };
        let wrong = || {
            let wrong = io::Error::new(io::ErrorKind::InvalidData, "it is not 16 hex digits");
            LedgerError::io("use the log's id in", &path)(wrong)
        };
        Self::parse(text.trim_end()).map(Some).ok_or_else(wrong)
    }

    /// An id from its digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == ID_BYTES * 2 && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn make(path: &Path) -> Result<Self, LedgerError> {
        let mut random = [0; ID_BYTES];
        getrandom::fill(&mut random).map_err(LedgerError::Random)?;
        let id = Self(hex(&random));
        durable::replace(path, format!("{id}\n").as_bytes())?;
        Ok(id)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn path(state: &Path) -> PathBuf {
    folder::path_under(state).join("log-id")
}

/// The random bytes of an id.
const ID_BYTES: usize = 8;

/// Bytes of the file: an id, and room for what an editor adds.
const FILE_BYTES_MAX: usize = 64;
