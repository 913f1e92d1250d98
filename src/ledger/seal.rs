//! Seals the ledger: follows what is durable, keeps the tree's tiles, and signs a checkpoint over them.
//!
//! Promises: a checkpoint stands for durable lines only, and is itself durable before it is given out; no two that were signed here
//! contradict each other, over any number of starts: a ledger that is not the one of the last checkpoint is an error. Entries that were
//! removed stay in the tree by the hashes of their leaves. Never writes to the ledger.

use std::path::{Path, PathBuf};

use super::checkpoint::{self, CheckpointError};
use super::durable;
use super::error::LedgerError;
use super::folder::path_under;
use super::line::Flaw;
use super::note::{KeyName, Signer, VerifierKey};
use super::read::{Tail, segment_starts};
use super::removal;
use super::tile_store::TileStore;
use super::tiles::{TILE_HEIGHT, TILE_WIDTH, Tile, TilePlace, TileTree};
use super::tree::{Hash, TreeHead};

/// Follows a ledger and signs for it.
pub struct Sealer {
    state: PathBuf,
    origin: KeyName,
    signers: Vec<Signer>,
    store: TileStore,
    tree: TileTree,
    tail: Tail,
    /// Full tiles that are in no file yet.
    full: Vec<Tile>,
    /// What the last checkpoint stands for.
    signed: Option<TreeHead>,
}

/// What became of full tiles that were missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// How many were made anew.
    pub made: u64,
    /// How many stay missing: entries that they stand for are gone, or make another hash than the tile above has.
    pub lost: u64,
}

impl Sealer {
    /// Takes up the tree where the last checkpoint left it, ours or the one that was `exported`, and checks that the ledger begins with what that was signed for. Reads at
    /// most the last tile's entries, or all where tiles are missing. To be called before anything is recovered: it only reads the
    /// ledger, and a ledger that was cut must not grow again.
    ///
    /// # Errors
    /// [`LedgerError::RolledBack`], [`LedgerError::Rewritten`], [`LedgerError::Checkpoint`]; damage; a file system that refuses.
    pub fn open(
        state: &Path,
        exported: Option<&Path>,
        origin: KeyName,
        signers: Vec<Signer>,
    ) -> Result<Self, LedgerError> {
        let store = TileStore::new(folder(state));
        let own = checkpoint_file(state);
        let found = [Some(own.as_path()), exported].into_iter().flatten();
        let found = found.map(|path| Ok(last(path, &origin, &signers)?.map(|head| (head, path))));
        let found = found.collect::<Result<Vec<_>, LedgerError>>()?;
        // The one that was exported last is younger than ours where somebody put an old state folder back.
        let (signed, path) = found.into_iter().flatten().max_by_key(|(head, _)| head.size).unzip();
        let path = path.unwrap_or(&own);
        let size = signed.map_or(0, |head| head.size);
        let (tree, tail) = (TileTree::default(), Tail::new(state, 0));
        let (state, full) = (state.to_path_buf(), Vec::new());
        let mut sealer = Self { state, origin, signers, store, tree, tail, full, signed: None };
        let removed = removal::removed(&segment_starts(&sealer.state)?);
        // Only full tiles stay as they were written; what was removed is in full ones.
        let full = size - size % TILE_WIDTH as u64;
        let from_tiles = sealer.store.edge(full).filter(|tree| tree.size() > 0 && tree.size() >= removed);
        if let Some(tree) = from_tiles {
            sealer.start_at(tree);
            sealer.take_up(size, path)?;
        }
        let is_whole = sealer.tree.size() >= removed;
        if !is_whole || signed.is_some_and(|signed| signed != sealer.tree.head()) {
            // Tiles are not synced: after a crash of the machine they may not be what was written.
            sealer.start_anew(removed)?;
            sealer.take_up(size, path)?;
        }
        match signed {
            Some(head) if head != sealer.tree.head() => {
                Err(LedgerError::Rewritten { path: path.to_path_buf(), signed: head.size })
            }
            _ => Ok(Self { signed, ..sealer }),
        }
    }

    /// What the last checkpoint stands for; `None` before the first.
    #[must_use]
    pub fn signed(&self) -> Option<TreeHead> {
        self.signed
    }

    /// The public keys that sign.
    pub fn keys(&self) -> impl Iterator<Item = &VerifierKey> {
        self.signers.iter().map(Signer::verifier)
    }

    /// Signs for the first `durable` entries. The checkpoint is durable when this returns it.
    ///
    /// # Errors
    /// Damage in what is added, or a file system that refuses. The next call tries again.
    pub fn seal(&mut self, durable: u64) -> Result<String, LedgerError> {
        self.follow(durable)?;
        let head = self.tree.head();
        let partial = self.tree.partial();
        // What was taken for written would be missing for good after an error.
        self.full.iter().chain(&partial).try_for_each(|tile| self.store.write(tile))?;
        self.full.clear();
        let note = checkpoint::sign(&self.origin, &head, &self.signers);
        durable::replace(&checkpoint_file(&self.state), note.as_bytes())?;
        self.signed = Some(head);
        partial.iter().try_for_each(|tile| self.store.remove_narrower(tile))?;
        Ok(note)
    }

    /// Makes full tiles anew that are missing, of the entries that are still there. Opening only looks at those that the next checkpoint
    /// needs. To be called when a checkpoint was signed: all full tiles are written then.
    ///
    /// # Errors
    /// Damage in the entries, or a file system that refuses.
    pub fn mend(&self) -> Result<Mended, LedgerError> {
        let mut mended = Mended::default();
        // Of tiles that follow each other each entry is read once.
        let mut reading: Option<(u64, Tail)> = None;
        for place in TilePlace::all_full(self.signed.map_or(0, |head| head.size)) {
            if self.store.has(place) {
                continue;
            }
            let hashes = if place.level > 0 {
                self.store.over(place)
            } else {
                let behind = reading.take().filter(|(index, _)| *index == place.index);
                let mut tail = behind.map_or_else(|| self.tail_before(place), |(_, tail)| tail);
                let hashes = leaves(&mut tail, place)?;
                reading = hashes.is_some().then_some((place.index + 1, tail));
                hashes
            };
            match hashes {
                Some(hashes) if !self.store.fits_above(place, &hashes) => mended.lost += 1,
                Some(hashes) => {
                    self.store.write(&Tile { place, hashes })?;
                    mended.made += 1;
                }
                None => mended.lost += 1,
            }
        }
        Ok(mended)
    }

    fn tail_before(&self, place: TilePlace) -> Tail {
        Tail::new(&self.state, (place.index << TILE_HEIGHT) + 1)
    }

    fn start_at(&mut self, tree: TileTree) {
        self.tail = Tail::new(&self.state, tree.size() + 1);
        self.tree = tree;
        self.full.clear();
    }

    /// Makes all tiles anew: from the entries, and of those that were removed from the hashes of their leaves. Those of leaves stay until
    /// others take their place: of entries that are to be removed they may be all that is left soon.
    fn start_anew(&mut self, removed: u64) -> Result<(), LedgerError> {
        self.store.clear_above_leaves()?;
        let gone = || LedgerError::LeavesGone { path: folder(&self.state), removed };
        let (mut tree, mut full) = (TileTree::default(), Vec::new());
        while tree.size() < removed {
            let width = usize::try_from(removed - tree.size()).unwrap_or(TILE_WIDTH).min(TILE_WIDTH);
            let leaves = self.store.leaves(tree.size() >> TILE_HEIGHT, width).ok_or_else(gone)?;
            leaves.into_iter().for_each(|leaf| tree.push(leaf, &mut full));
            full.drain(..).try_for_each(|tile: Tile| self.store.write(&tile))?;
        }
        let said = removal::of_beginning(&path_under(&self.state), &segment_starts(&self.state)?)?;
        if said.is_some_and(|said| said.removal.subtrees != tree.peaks()) {
            return Err(gone());
        }
        self.start_at(tree);
        Ok(())
    }

    /// Takes the entries that the checkpoint of `signed` entries in `path` stands for.
    fn take_up(&mut self, signed: u64, path: &Path) -> Result<(), LedgerError> {
        self.follow(signed)?;
        match self.tree.size() {
            found if found < signed => {
                Err(LedgerError::RolledBack { path: path.to_path_buf(), signed, found })
            }
            _ => Ok(()),
        }
    }

    /// Takes entries up to number `to`, or as many as there are.
    fn follow(&mut self, to: u64) -> Result<(), LedgerError> {
        // What lies behind the last durable line may have been cut and written anew since.
        self.tail.forget_ahead()?;
        while self.tree.size() < to {
            let expected = self.tree.size() + 1;
            match self.tail.next_leaf()? {
                Some((seq, leaf)) if seq == expected => self.tree.push(leaf, &mut self.full),
                None => return Ok(()),
                Some((found, _)) => {
                    let path = path_under(&self.state);
                    let flaw = Flaw::Sequence { expected, found };
                    return Err(LedgerError::Damaged { path, offset: 0, line: 1, flaw });
                }
            }
        }
        Ok(())
    }
}

/// The hashes of a tile of leaves, from its first entry on; `None` where these are gone.
fn leaves(tail: &mut Tail, place: TilePlace) -> Result<Option<Vec<Hash>>, LedgerError> {
    let first = (place.index << TILE_HEIGHT) + 1;
    let mut hashes = Vec::new();
    for expected in first..first + TILE_WIDTH as u64 {
        match tail.next_leaf()? {
            Some((seq, hash)) if seq == expected => hashes.push(hash),
            Some(_) | None => return Ok(None),
        }
    }
    Ok(Some(hashes))
}

/// What the last checkpoint in a file stands for, if there is one. One of our keys must have signed it: who verifies could else not
/// follow from the old key to the new one.
fn last(path: &Path, origin: &KeyName, signers: &[Signer]) -> Result<Option<TreeHead>, LedgerError> {
    let Some(note) = durable::read_text(path, super::note::NOTE_BYTES_MAX)? else { return Ok(None) };
    let refused = |why| LedgerError::Checkpoint { path: path.to_path_buf(), why };
    let (found, _) =
        checkpoint::read_unchecked(&note).map_err(|line| refused(CheckpointError::Form { line }))?;
    if found != origin.to_string() {
        return Err(refused(CheckpointError::Origin { found, expected: origin.to_string() }));
    }
    let keys: Vec<VerifierKey> = signers.iter().map(|signer| signer.verifier().clone()).collect();
    checkpoint::open(&note, &keys).map(|checkpoint| Some(checkpoint.head)).map_err(refused)
}

/// The folder of checkpoint and tiles under a state folder.
#[must_use]
pub fn folder(state: &Path) -> PathBuf {
    state.join("tree")
}

/// The last checkpoint under a state folder.
#[must_use]
pub fn checkpoint_file(state: &Path) -> PathBuf {
    folder(state).join("checkpoint")
}
