//! Checks a whole ledger by its files alone: every line, every segment's note on the one before, and heads of the tree that were noted
//! earlier.
//!
//! Promises: the first byte that is not what was written is named; a ledger that no longer begins with what a noted head stands for
//! is told from one that was cut, segments that an entry says were removed from such as are missing, and tiles that are not what the
//! entries make are named. Never writes or locks, so it
//! may run beside a service.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sha2::Digest as _;

use super::error::LedgerError;
use super::folder;
use super::life::Life;
use super::line::Flaw;
use super::own::Previous;
use super::proof::{consistency, consistency_holds};
use super::recover::{End, Scan};
use super::removal::{self, Removal, Removed};
use super::seal;
use super::tile_store::{TileReader, TileStore};
use super::tiled::{Tiled, WrongTiles};
use super::tree::{Hash, Tree, TreeHead};
use crate::model::hex::hex;

/// What a ledger without a flaw holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What stands for all of its entries.
    pub head: TreeHead,
    /// How many segments there are.
    pub segments: usize,
    /// How many bytes its entries take.
    pub bytes: u64,
    /// How many decisions have no outcome.
    pub open: usize,
    /// What its lines tell of its own life.
    pub life: Life,
    /// The last segment that is not there any more, as an entry says.
    pub removed: Option<Removed>,
    /// How many segments are still there of which an entry says that they are removed.
    pub remaining: usize,
    /// The bytes of a commit at the end that is under way, or was interrupted.
    pub unfinished_bytes: u64,
    /// What became of the heads that were noted earlier, in their order.
    pub noted: Vec<Noted>,
    /// Tiles of the tree that are not what the entries make.
    pub tiles: WrongTiles,
}

/// What became of what a head stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// The ledger begins with it.
    Kept,
    /// As many entries are there, but not all of them are those.
    Changed,
    /// The ledger has fewer entries: some at its end are gone.
    Cut,
    /// It is of entries that were removed, and the tiles that have their hashes are missing or not what they were.
    Unknown,
}

/// Checks the ledger under a state folder, and whether it begins with what each of the `heads` stands for. `progress` is told how many
/// bytes were read of how many.
///
/// # Errors
/// The first flaw, or a file system that refuses.
pub fn verify(
    state: &Path,
    heads: &[TreeHead],
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Verified, LedgerError> {
    let folder = folder::path_under(state);
    let segments = folder::segments(&folder)?;
    let path = |first_seq: u64| folder.join(folder::segment_name(first_seq));
    let mut all = 0;
    for first_seq in &segments {
        all += folder::bytes(&path(*first_seq))?.unwrap_or_default();
    }
    let removed = removal::of_beginning(&folder, &segments)?;
    let store = TileStore::new(seal::folder(state));
    let mut verifying = Verifying::new(heads, progress, all, removed, &store);
    for (place, first_seq) in segments.iter().enumerate() {
        let path = path(*first_seq);
        let damaged =
            |offset: u64, line: u64, flaw| LedgerError::Damaged { path: path.clone(), offset, line, flaw };
        let scan = verifying.segment(&path, *first_seq)?;
        let is_last = place + 1 == segments.len();
        match scan.end {
            End::Clean => {}
            End::Torn(bytes, _) if is_last => verifying.unfinished_bytes = bytes,
            End::Torn(_, flaw) | End::Damaged(flaw) => return Err(damaged(scan.bytes, scan.lines + 1, flaw)),
        }
        verifying.follows(&scan, *first_seq).map_err(|flaw| damaged(0, 1, flaw))?;
        if let Some(wrong) = scan.life.removals.iter().find(|removed| !verifying.knows(&removed.removal)) {
            return Err(damaged(wrong.offset, wrong.seq - first_seq + 1, Flaw::Removal));
        }
        verifying.end(scan, *first_seq);
    }
    Ok(verifying.verified(segments.len()))
}

/// A check that is under way.
struct Verifying<'h> {
    heads: &'h [TreeHead],
    noted: Vec<Noted>,
    /// The heads that are still to be compared, by their places, those of the largest size first.
    ahead: Vec<usize>,
    progress: &'h mut dyn FnMut(u64, u64),
    /// How many bytes there are to read.
    all: u64,
    /// Why the ledger begins where it does.
    removed: Option<Removed>,
    /// The segments so far as entries would name them that remove them, by their last entries.
    ends: BTreeMap<u64, (u64, Previous, Vec<Hash>)>,
    tree: Tree,
    /// What the next segment must say of the one before.
    previous: Option<Previous>,
    bytes: u64,
    open: usize,
    life: Life,
    unfinished_bytes: u64,
    tiled: Tiled<'h>,
}

impl<'h> Verifying<'h> {
    fn new(
        heads: &'h [TreeHead],
        progress: &'h mut dyn FnMut(u64, u64),
        all: u64,
        removed: Option<Removed>,
        store: &'h TileStore,
    ) -> Self {
        let tiled = Tiled::behind(store, removed.as_ref().map(|removed| &removed.removal));
        let tree = removed.as_ref().and_then(|removed| removed.removal.tree()).unwrap_or_default();
        let size = |place: &usize| heads.get(*place).map_or(0, |head| head.size);
        let mut ahead: Vec<usize> = (0..heads.len()).collect();
        ahead.sort_by_key(|place| std::cmp::Reverse(size(place)));
        let mut verifying = Self {
            heads,
            progress,
            all,
            noted: vec![Noted::Cut; heads.len()],
            ahead,
            life: Life::default(),
            previous: removed.as_ref().map(|removed| removed.removal.segment()),
            removed,
            ends: BTreeMap::new(),
            tree,
            bytes: 0,
            open: 0,
            unfinished_bytes: 0,
            tiled,
        };
        verifying.compare_removed(store);
        verifying.compare();
        verifying
    }

    fn segment(&mut self, path: &Path, first_seq: u64) -> Result<Scan, LedgerError> {
        let mut tiles = Ok(());
        let scan = folder::scan(path, first_seq, |line| {
            self.bytes += line.len() as u64 + 1;
            let leaf = Hash::leaf(line);
            self.tree.push_leaf(leaf);
            if tiles.is_ok() {
                tiles = self.tiled.push(leaf);
            }
            self.compare();
            if self.tree.size().is_multiple_of(PROGRESS_LINES) {
                (self.progress)(self.bytes, self.all);
            }
        });
        tiles.and(scan)
    }

    /// Compares heads of entries that were removed with what the tiles say of them.
    fn compare_removed(&mut self, store: &TileStore) {
        let base = self.tree.head();
        // Proofs of heads of one tree share most of their hashes.
        let mut reader = TileReader::new(store, base.size);
        while let Some(place) = self.ahead.last().copied() {
            let Some(head) = self.heads.get(place).filter(|head| head.size < base.size) else { return };
            let became = by_tiles(store, &mut reader, head, &base);
            self.noted.get_mut(place).into_iter().for_each(|noted| *noted = became);
            self.ahead.pop();
        }
    }

    /// Compares the tree with the heads of its size.
    fn compare(&mut self) {
        while let Some(place) = self.ahead.last().copied() {
            let Some(head) = self.heads.get(place).filter(|head| head.size == self.tree.size()) else {
                return;
            };
            let became = if self.tree.head() == *head { Noted::Kept } else { Noted::Changed };
            self.noted.get_mut(place).into_iter().for_each(|noted| *noted = became);
            self.ahead.pop();
        }
    }

    /// Whether a segment is the one after those before.
    fn follows(&self, scan: &Scan, first_seq: u64) -> Result<(), Flaw> {
        let expected = self.tree.size() - scan.lines + 1;
        if first_seq != expected {
            return Err(if self.previous.is_none() {
                Flaw::Missing
            } else {
                Flaw::Sequence { expected, found: first_seq }
            });
        }
        // A head that is not whole yet says nothing.
        if !scan.head_complete || scan.previous == self.previous {
            return Ok(());
        }
        let found = self.previous.as_ref().ok_or(Flaw::Missing)?;
        Previous::check(scan.previous.as_ref(), &found.file, found.bytes)?;
        Err(Flaw::PredecessorDigest)
    }

    /// Whether a removal is that of a segment that stands before its entry, as far as anything is left to compare it with.
    fn knows(&self, removal: &Removal) -> bool {
        let gone = self.removed.as_ref().map(|removed| &removed.removal);
        match gone.map_or(Ordering::Greater, |gone| removal.last.cmp(&gone.last)) {
            Ordering::Less => true,
            Ordering::Equal => gone.is_some_and(|gone| gone.agrees(removal)),
            Ordering::Greater => self.ends.get(&removal.last).is_some_and(|(first, segment, subtrees)| {
                (*first, segment, subtrees) == (removal.first, &removal.segment(), &removal.subtrees)
            }),
        }
    }

    fn end(&mut self, scan: Scan, first_seq: u64) {
        if scan.head_complete {
            self.open = scan.open.len();
        }
        self.life.join(scan.life);
        let sha256 = hex(&scan.digest.finalize());
        let segment = Previous { file: folder::segment_name(first_seq), bytes: scan.bytes, sha256 };
        self.ends.insert(self.tree.size(), (first_seq, segment.clone(), self.tree.peaks().to_vec()));
        self.previous = Some(segment);
    }

    fn verified(self, segments: usize) -> Verified {
        let Self { noted, bytes, open, life, removed, unfinished_bytes, tiled, .. } = self;
        let said: BTreeSet<u64> = life.removals.iter().map(|removed| removed.removal.last).collect();
        let remaining = said.iter().filter(|last| self.ends.contains_key(last)).count();
        let (head, tiles) = (self.tree.head(), tiled.wrong());
        Verified { head, segments, bytes, open, life, removed, remaining, unfinished_bytes, noted, tiles }
    }
}

/// What became of a head of entries that were removed, where the tree up to the last of them is known.
fn by_tiles(store: &TileStore, reader: &mut TileReader<'_>, head: &TreeHead, base: &TreeHead) -> Noted {
    let Ok(path) = consistency(reader, head.size, base.size) else {
        return Noted::Unknown;
    };
    if consistency_holds(head, base, &path) {
        return Noted::Kept;
    }
    let kept = store.edge(head.size).map(|tree| tree.head());
    if kept.is_some_and(|kept| consistency_holds(&kept, base, &path)) {
        Noted::Changed
    } else {
        Noted::Unknown
    }
}

/// After how many lines it is told how far the check is.
const PROGRESS_LINES: u64 = 1 << 14;
