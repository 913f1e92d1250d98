//! The oldest segment: how old it is, and whether it may go without a hash of the tree going with it.
//!
//! Promises: what [`examine`] allows to be removed is what was written and what was signed for, and its hashes are durable in tiles.
//! Never removes anything itself before the entry that says so is durable: whoever records it does.

use std::path::Path;

use sha2::Digest as _;

use super::checkpoint;
use super::durable;
use super::error::LedgerError;
use super::folder::{self, segment_name};
use super::line::{self, Flaw};
use super::note::NOTE_BYTES_MAX;
use super::own::Previous;
use super::proof::{consistency, consistency_holds};
use super::recover::End;
use super::removal::{self, Removal};
use super::seal;
use super::tile_store::{Leaves, TileReader, TileStore};
use super::tiles::TILE_WIDTH;
use super::tree::{Hash, TreeHead};
use crate::model::hex::hex;

/// The oldest segment, of which the next one names size and digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oldest {
    /// Its first entry.
    pub first: u64,
    /// Its last entry.
    pub last: u64,
    /// When the next one began, in nanoseconds since 1970: no entry of it is younger, if the clock was right.
    pub until_ns: i128,
    segment: Previous,
}

impl Oldest {
    /// The entry that a checkpoint must stand for before it may go: tiles that grow are replaced, and only full ones stay as they are.
    #[must_use]
    pub fn signed_for(&self) -> u64 {
        self.last.next_multiple_of(TILE_WIDTH as u64)
    }
}

/// The oldest segment under a state folder; `None` where there is no other, since the newest always stays.
///
/// # Errors
/// A file system that refuses.
pub fn oldest(state: &Path) -> Result<Option<Oldest>, LedgerError> {
    let folder = folder::path_under(state);
    let segments = folder::segments(&folder)?;
    let (Some(first), Some(next)) = (segments.first().copied(), segments.get(1).copied()) else {
        return Ok(None);
    };
    let path = folder.join(segment_name(next));
    // A head that is not whole yet: the segment is just begun.
    let Some((previous, t)) = removal::head(&path)? else { return Ok(None) };
    let segment = previous.filter(|previous| previous.file == segment_name(first) && first < next);
    let missing = || LedgerError::Damaged { path, offset: 0, line: 1, flaw: Flaw::Missing };
    let segment = segment.ok_or_else(missing)?;
    Ok(Some(Oldest { first, last: next - 1, until_ns: line::unix_ns(&t), segment }))
}

/// Reads the oldest segment once more, compares it with what was noted, signed and kept of it, and makes its tiles durable. Returns
/// the entry that must be durable before [`carry_out`].
///
/// # Errors
/// It is not what was written or signed for, a tile is missing, or a file system refuses: then it must stay.
pub fn examine(state: &Path, oldest: &Oldest, keep_days: u64) -> Result<Removal, LedgerError> {
    let path = folder::path_under(state).join(segment_name(oldest.first));
    let store = TileStore::new(seal::folder(state));
    let mut leaves = Leaves::new(&store);
    let (mut until, mut until_ns) = (String::new(), i128::MIN);
    let (mut index, mut is_signed) = (oldest.first - 1, Ok(true));
    let scan = folder::scan(&path, oldest.first, |line| {
        if matches!(is_signed, Ok(true)) {
            is_signed = leaves.holds(index, Hash::leaf(line));
        }
        index += 1;
        // The clock may have been put back meanwhile: the last line need not be the youngest.
        if let Ok(head) = line::check(line)
            && line::unix_ns(head.t) >= until_ns
        {
            until_ns = line::unix_ns(head.t);
            head.t.clone_into(&mut until);
        }
    })?;
    let (offset, line) = (scan.bytes, scan.lines + 1);
    let damaged = |flaw| LedgerError::Damaged { path: path.clone(), offset, line, flaw };
    if let End::Torn(_, flaw) | End::Damaged(flaw) = scan.end {
        return Err(damaged(flaw));
    }
    let sha256 = hex(&scan.digest.finalize());
    if index != oldest.last || scan.bytes != oldest.segment.bytes || sha256 != oldest.segment.sha256 {
        return Err(damaged(Flaw::Cut));
    }
    let signed = signed(state)?;
    let subtrees = subtrees(&store, oldest.last, &signed)?;
    match (is_signed?, subtrees) {
        (true, Some(subtrees)) => {
            store.sync_leaves(oldest.first - 1, oldest.last)?;
            let Previous { file, bytes, sha256 } = oldest.segment.clone();
            let Oldest { first, last, .. } = *oldest;
            Ok(Removal { file, first, last, bytes, sha256, until, keep_days, subtrees })
        }
        _ => Err(LedgerError::Rewritten { path: seal::checkpoint_file(state), signed: signed.size }),
    }
}

/// When the youngest entry was written that a removal takes with it, in nanoseconds since 1970.
#[must_use]
pub fn youngest_ns(removal: &Removal) -> i128 {
    line::unix_ns(&removal.until)
}

/// Removes the segment that a durable entry names; says whether it was still there.
///
/// # Errors
/// A file system that refuses.
pub fn carry_out(state: &Path, removal: &Removal) -> Result<bool, LedgerError> {
    removal::carry_out(&folder::path_under(state), removal)
}

/// What the last checkpoint stands for.
fn signed(state: &Path) -> Result<TreeHead, LedgerError> {
    let path = seal::checkpoint_file(state);
    let note = durable::read_text(&path, NOTE_BYTES_MAX)?.unwrap_or_default();
    let form = |line| LedgerError::Checkpoint { path, why: checkpoint::CheckpointError::Form { line } };
    checkpoint::read_unchecked(&note).map(|(_, head)| head).map_err(form)
}

/// The subtrees over the first `size` entries by their tiles, if what was signed for begins with them.
fn subtrees(store: &TileStore, size: u64, signed: &TreeHead) -> Result<Option<Vec<Hash>>, LedgerError> {
    let tree = store.edge(size).ok_or_else(|| store.no_tile(size))?;
    let path = consistency(&mut TileReader::new(store, signed.size), size, signed.size)?;
    Ok(consistency_holds(&tree.head(), signed, &path).then(|| tree.peaks()))
}
