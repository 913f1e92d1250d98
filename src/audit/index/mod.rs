//! The index of a ledger: SQLite tables in which auditors' questions are look-ups.
//!
//! Promises: it is made from the ledger's segments alone and can be removed at any time; it is brought up to date before it answers;
//! where it does not fit the ledger it is made anew. It finds entries, and is no evidence: what it found is read in the ledger itself.
//! Never holds more than the ledger does: no values, no names of people.

pub mod error;
mod facts;
mod words;
mod store;
mod pending;
mod batch;
mod build;
pub mod question;
mod rows;
pub mod ask;
pub mod deeds;
mod detail;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

pub use build::Progress;

use crate::ledger::read::Spots;
use error::IndexError;
use question::Searched;
use store::Cursor;

/// An index and the ledger that it is of.
pub struct Index {
    at: Connection,
    state: PathBuf,
    cursor: Option<Cursor>,
    rows: rows::Rows,
    spots: RefCell<Spots>,
    segments: Vec<u64>,
}

impl Index {
    /// Opens the index in a file, making it if it is missing, and brings it up to the present end of the ledger under a state
    /// folder.
    ///
    /// # Errors
    /// A file that is not an index, a file system that refuses, or a ledger that is damaged.
    pub fn open(path: &Path, state: &Path, progress: Progress<'_>) -> Result<Self, IndexError> {
        let mut at = store::open(path)?;
        let cursor = build::catch_up(&mut at, state, progress)?;
        let mut segments = crate::ledger::read::segment_starts(state)?;
        segments.reverse();
        let spots = RefCell::new(Spots::new(state));
        Ok(Self { at, state: state.to_path_buf(), cursor, rows: rows::Rows::default(), spots, segments })
    }

    /// What an answer is about: all that the ledger keeps.
    pub fn searched(&self) -> Result<Searched, IndexError> {
        let Some(cursor) = &self.cursor else { return Ok(Searched::default()) };
        let sql = "SELECT count(*), coalesce(sum(refused), 0) FROM gaps";
        let gaps =
            self.at.query_row(sql, [], |row| Ok((store::number(row.get(0)?), store::number(row.get(1)?))))?;
        // `all` and `filtered` are words 7 and 8; what has no outcome may have left.
        let sql = "SELECT count(*) FROM decisions WHERE mode = 6 AND acts & 1 = 0 AND (released IS NULL OR released IN (7, 8, 11))";
        let blind = self.at.query_row(sql, [], |row| Ok(store::number(row.get(0)?)))?;
        Ok(Searched {
            blind,
            first: store::number(cursor.first.0),
            last: cursor.last.place.seq,
            from: cursor.first.1,
            to: cursor.t,
            gaps,
        })
    }
}
