//! The entry that says that a segment was removed, and what follows from it: how a ledger that begins later is told from one that
//! lost its beginning, and how a removal that was interrupted is carried out. [edge]
//!
//! Promises: a segment is removed only where it is the oldest, is followed by another, and is the one that both that other's head and
//! the entry name. Never decides that something is old enough: the configuration does.
#![expect(clippy::disallowed_methods, reason = "edge: the ledger's file system")]

use std::fs;
use std::io::BufReader;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::durable;
use super::error::LedgerError;
use super::folder::{self, segment_name};
use super::line::{self, Flaw};
use super::own::{Previous, REMOVAL};
use super::recover;
use super::tree::{Hash, Tree};

/// A segment is removed. Its hashes stay: with `subtrees` the tree goes on as if its entries were there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The name of its file.
    pub file: String,
    /// Its first entry.
    pub first: u64,
    /// Its last entry.
    pub last: u64,
    /// Its size.
    pub bytes: u64,
    /// The SHA-256 of all of it, in lower-case hex.
    pub sha256: String,
    /// When the youngest of its entries was written.
    pub until: String,
    /// For how many days entries are kept, as the configuration said.
    pub keep_days: u64,
    /// The roots of the full subtrees that make up the tree of the first `last` entries, the largest first.
    pub subtrees: Vec<Hash>,
}

/// A removal, and where its entry stands in its segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The entry's number.
    pub seq: u64,
    /// When it was written.
    pub t: String,
    /// Where its line begins.
    pub(super) offset: u64,
    /// What it says.
    pub removal: Removal,
}

impl Removal {
    /// The segment as its successor's head names it.
    pub(super) fn segment(&self) -> Previous {
        Previous { file: self.file.clone(), bytes: self.bytes, sha256: self.sha256.clone() }
    }

    /// The tree of all entries up to its last; `None` where the removal contradicts itself.
    pub(super) fn tree(&self) -> Option<Tree> {
        let is_sound = self.file == segment_name(self.first) && (1..=self.last).contains(&self.first);
        Tree::resume(self.last, self.subtrees.clone()).filter(|_| is_sound)
    }

    /// Whether both say the same of the same segment.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        let said = |of: &Self| (of.first, of.last, of.segment(), of.subtrees.clone());
        said(self) == said(other)
    }
}

impl Removed {
    /// Whether the segment was as old as the entry says that it had to be: by the entry's own time, by that of its youngest entry, and by
    /// that of the next segment's head, which is still there.
    pub(super) fn was_due(&self, next_began: &str) -> bool {
        let keep_ns = i128::from(self.removal.keep_days.max(1)) * DAY_NS;
        let at_ns = line::unix_ns(&self.t);
        [next_began, &self.removal.until].iter().all(|t| at_ns - line::unix_ns(t) > keep_ns)
    }
}

/// How many entries a ledger lacks at its beginning.
pub(super) fn removed(segments: &[u64]) -> u64 {
    segments.first().map_or(0, |first_seq| first_seq.saturating_sub(1))
}

/// The entry that says why the segments begin where they do; `None` where they begin with entry 1, or nothing says so. It stands in
/// one of the segments that are left: among the latest, as a rule.
///
/// # Errors
/// A segment that cannot be read, or a removal that contradicts itself.
pub(super) fn of_beginning(folder: &Path, segments: &[u64]) -> Result<Option<Removed>, LedgerError> {
    let last = removed(segments);
    if last == 0 {
        return Ok(None);
    }
    for first_seq in segments.iter().rev() {
        let path = folder.join(segment_name(*first_seq));
        let Some((line, found)) = last_in(&path, last)? else { continue };
        let next =
            segments.first().map(|next| head(&folder.join(segment_name(*next)))).transpose()?.flatten();
        let is_due = next.is_some_and(|(_, began)| found.was_due(&began));
        if found.removal.tree().is_none() || !is_due {
            return Err(LedgerError::Damaged { path, offset: found.offset, line, flaw: Flaw::Removal });
        }
        return Ok(Some(found));
    }
    Ok(None)
}

/// The last removal of entries up to `last` that a segment has, and the number of its line. Other flaws are for others to find.
fn last_in(path: &Path, last: u64) -> Result<Option<(u64, Removed)>, LedgerError> {
    let mut reader = BufReader::with_capacity(READ_BYTES, folder::open(path)?);
    let (mut bytes, mut offset, mut found) = (Vec::new(), 0, None);
    for number in 1_u64.. {
        bytes.clear();
        let next = recover::next_line(&mut reader, &mut bytes).map_err(LedgerError::io("read", path))?;
        let Some(Ok(line)) = next else { break };
        if let Some(removed) = read(line, offset).filter(|removed| removed.removal.last == last) {
            found = Some((number, removed));
        }
        offset += line.len() as u64 + 1;
    }
    Ok(found)
}

/// The removal in a line that begins at `offset`, if it is one.
fn read(line: &[u8], offset: u64) -> Option<Removed> {
    let head = line::check(line).ok().filter(|head| head.kind == REMOVAL)?;
    let removal = serde_json::from_slice(line).ok()?;
    Some(Removed { seq: head.place.seq, t: head.t.to_owned(), offset, removal })
}

/// What the head of a segment says of the one before, and when it was written; `None` where the head is not there.
pub(super) fn head(path: &Path) -> Result<Option<(Option<Previous>, String)>, LedgerError> {
    #[derive(Deserialize)]
    struct Facts {
        previous: Option<Previous>,
    }
    let (mut reader, mut bytes) = (BufReader::new(folder::open(path)?), Vec::new());
    let next = recover::next_line(&mut reader, &mut bytes).map_err(LedgerError::io("read", path))?;
    let Some(line) = next.and_then(Result::ok) else { return Ok(None) };
    let Ok(head) = line::check(line) else { return Ok(None) };
    let facts: Option<Facts> = serde_json::from_slice(line).ok();
    Ok(facts.map(|facts| (facts.previous, head.t.to_owned())))
}

/// Removes the segment that an entry names, if it is still there; says whether it was.
///
/// # Errors
/// A file system that refuses.
pub(super) fn carry_out(folder: &Path, removal: &Removal) -> Result<bool, LedgerError> {
    let segments = folder::segments(folder)?;
    let (Some(oldest), Some(next)) = (segments.first(), segments.get(1)) else { return Ok(false) };
    if *oldest != removal.first || Some(*next) != removal.last.checked_add(1) {
        return Ok(false);
    }
    let is_it = head(&folder.join(segment_name(*next)))?
        .is_some_and(|(previous, _)| previous.as_ref() == Some(&removal.segment()));
    if !is_it {
        return Ok(false);
    }
    let path = folder.join(segment_name(*oldest));
    fs::remove_file(&path).map_err(LedgerError::io("remove", &path))?;
    durable::sync_folder(folder)?;
    Ok(true)
}

/// A day of `keep_days`, in nanoseconds.
pub const DAY_NS: i128 = 24 * 60 * 60 * 1_000_000_000;
/// How much is read at once.
const READ_BYTES: usize = 1 << 16;
