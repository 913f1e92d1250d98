//! Brings the index up to the end of the ledger, batch by batch, each with the place where it ends.
//!
//! Promises: rows and place are written in one transaction, so an interrupted run is gone on with; two commands that do it at once
//! take turns.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::batch::Batch;
use super::error::IndexError;
use super::store::{self, Cursor};
use super::words::Words;
use crate::ledger::read::{Tail, segment_sizes};

/// Told how many bytes of how many were read.
pub type Progress<'p> = &'p mut dyn FnMut(u64, u64);

/// Brings an index up to the present end of the ledger. Returns how far it is; `None` while the ledger has no line.
pub fn catch_up(
    at: &mut Connection,
    state: &Path,
    progress: Progress<'_>,
) -> Result<Option<Cursor>, IndexError> {
    let sizes = segment_sizes(state)?;
    let all = sizes.iter().map(|(_, bytes)| bytes).sum();
    let Some(ledger) = store::first_line(state)? else { return Ok(None) };
    let mut words = Words::default();
    let mut tail: Option<Tail> = None;
    let mut version = None;
    loop {
        let held = at.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another command may have brought it further, or emptied it, since the last batch.
        let now: i64 = held.pragma_query_value(None, "data_version", |row| row.get(0))?;
        if version.replace(now) != Some(now) {
            (words, tail) = (Words::default(), None);
        }
        let cursor = store::cursor(&held, state, &ledger)?;
        let mut reader = match tail.take() {
            Some(tail) => tail,
            None => store::tail(state, cursor.as_ref())?,
        };
        let mut batch = Batch::new(&held, state, &mut words);
        let is_full = batch.fill(&mut reader)?;
        let before = cursor.clone();
        let cursor = batch.finish(cursor)?;
        if let Some(cursor) = cursor.as_ref().filter(|cursor| Some(*cursor) != before.as_ref()) {
            store::set_cursor(&held, &ledger, cursor)?;
            let spot = cursor.last.spot;
            let before = sizes.iter().filter(|(first, _)| *first < spot.segment).map(|(_, bytes)| bytes);
            progress(before.sum::<u64>() + spot.offset, all);
        }
        held.commit()?;
        if !is_full {
            return Ok(cursor);
        }
        tail = Some(reader);
    }
}
