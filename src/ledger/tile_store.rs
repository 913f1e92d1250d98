//! The tiles of the tree as files, in the paths of C2SP `tlog-tiles`. [edge]
//!
//! Promises: a tile is there whole or not at all. They are a copy of what the segments say and are not synced: whoever finds one missing
//! makes all of them anew. Never decides what the tree is: a checkpoint does.
#![expect(clippy::disallowed_methods, reason = "edge: the tiles' file system")]

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::durable;
use super::error::LedgerError;
use super::proof::Subtrees;
use super::tiles::{TILE_HEIGHT, TILE_WIDTH, Tile, TilePlace, TileTree, hashes, root};
use super::tree::{HASH_BYTES, Hash};

/// The folder of tiles.
#[derive(Clone, Debug)]
pub(super) struct TileStore {
    folder: PathBuf,
}

impl TileStore {
    /// The tiles in this folder, which may be missing.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Puts a full tile, or one of the right edge, in its place. One that is there already stays: it may be durable, as those of
    /// removed entries are.
    pub(super) fn write(&self, tile: &Tile) -> Result<(), LedgerError> {
        let full = self.full(tile.place);
        if tile.is_full() && fs::read(&full).is_ok_and(|bytes| bytes == tile.bytes()) {
            return Ok(());
        }
        let path = if tile.is_full() { full.clone() } else { partial(&full, tile.hashes.len()) };
        if let Some(parent) = path.parent() {
            durable::make_folder(parent)?;
        }
        let unfinished = path.with_extension("new");
        fs::write(&unfinished, tile.bytes()).map_err(LedgerError::io("write", &unfinished))?;
        fs::rename(&unfinished, &path).map_err(LedgerError::io("rename", &unfinished))?;
        if tile.is_full() {
            return remove_folder(&partials(&full));
        }
        Ok(())
    }

    /// Removes tiles of the right edge that a later checkpoint has wider ones for.
    pub(super) fn remove_narrower(&self, tile: &Tile) -> Result<(), LedgerError> {
        let folder = partials(&self.full(tile.place));
        let Ok(listed) = fs::read_dir(&folder) else { return Ok(()) };
        for entry in listed.flatten() {
            let width = entry.file_name().to_str().and_then(|name| name.parse::<usize>().ok());
            if width.is_some_and(|width| width < tile.hashes.len()) {
                let path = entry.path();
                fs::remove_file(&path).map_err(LedgerError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Removes those of a ledger whose first entries were removed: all but the hashes of leaves, which are nowhere else.
    pub(super) fn clear_above_leaves(&self) -> Result<(), LedgerError> {
        (1..LEVELS_MAX).try_for_each(|level| remove_folder(&self.folder.join(format!("tile/{level}"))))
    }

    /// The hashes of a tile's worth of leaves, of which there are `width`.
    pub(super) fn leaves(&self, index: u64, width: usize) -> Option<Vec<Hash>> {
        self.read(TilePlace { level: 0, index }, width)
    }

    /// Makes the tiles durable that hold the leaves from `start` up to `end`, all of them full.
    pub(super) fn sync_leaves(&self, start: u64, end: u64) -> Result<(), LedgerError> {
        let mut folder = None;
        for index in (start >> TILE_HEIGHT)..end.div_ceil(TILE_WIDTH as u64) {
            let path = self.full(TilePlace { level: 0, index });
            let synced = fs::File::open(&path).and_then(|file| file.sync_all());
            synced.map_err(LedgerError::io("sync", &path))?;
            let parent = path.parent().map(Path::to_path_buf);
            if parent != folder {
                let above = parent.iter().flat_map(|parent| parent.ancestors());
                above
                    .take_while(|above| above.starts_with(&self.folder))
                    .try_for_each(durable::sync_folder)?;
                folder = parent;
            }
        }
        Ok(())
    }

    /// What is missing of the tiles that a tree of `size` leaves needs.
    pub(super) fn no_tile(&self, size: u64) -> LedgerError {
        LedgerError::NoTile { path: self.full(TilePlace { level: 0, index: size >> TILE_HEIGHT }) }
    }

    /// The edge of the tree over the first `size` leaves; `None` where a tile is missing or is none.
    pub(super) fn edge(&self, size: u64) -> Option<TileTree> {
        let width = usize::try_from(size % TILE_WIDTH as u64).ok()?;
        let mut edge = vec![match width {
            0 => Vec::new(),
            width => self.leaves(size >> TILE_HEIGHT, width)?,
        }];
        for level in 1.. {
            let count = size.checked_shr(TILE_HEIGHT * level).unwrap_or_default();
            if count == 0 {
                break;
            }
            let first = count >> TILE_HEIGHT << TILE_HEIGHT;
            let read = |index| Some(root(&self.read(TilePlace { level: level - 1, index }, TILE_WIDTH)?));
            edge.push((first..count).map(read).collect::<Option<Vec<Hash>>>()?);
        }
        Some(TileTree::resume(size, edge))
    }

    /// Whether a full tile is there; what is in it is not looked at.
    pub(super) fn has(&self, place: TilePlace) -> bool {
        fs::metadata(self.full(place)).is_ok_and(|found| found.len() == (TILE_WIDTH * HASH_BYTES) as u64)
    }

    /// Whether a full tile's root is the one that the tile above has, if that is there.
    pub(super) fn fits_above(&self, place: TilePlace, hashes: &[Hash]) -> bool {
        let above = TilePlace { level: place.level + 1, index: place.index >> TILE_HEIGHT };
        let width = usize::try_from(place.index).unwrap_or(usize::MAX) % TILE_WIDTH + 1;
        self.read(above, width).is_none_or(|found| found.last() == Some(&root(hashes)))
    }

    /// The file of a full tile, if it is there and holds anything else.
    pub(super) fn contradicting(&self, tile: &Tile) -> Result<Option<PathBuf>, LedgerError> {
        let path = self.full(tile.place);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => {
                let bytes = found.map_err(LedgerError::io("read", &path))?;
                Ok((bytes != tile.bytes()).then_some(path))
            }
        }
    }

    /// The hashes of the tile that the roots of 256 full ones make; `None` where one of them is missing or is none.
    pub(super) fn over(&self, place: TilePlace) -> Option<Vec<Hash>> {
        let first = place.index << TILE_HEIGHT;
        let below = |index| self.read(TilePlace { level: place.level.checked_sub(1)?, index }, TILE_WIDTH);
        (first..first + TILE_WIDTH as u64).map(|index| below(index).map(|hashes| root(&hashes))).collect()
    }

    /// The first `width` hashes of a tile, from the full one or from one of the right edge that is wide enough.
    fn read(&self, place: TilePlace, width: usize) -> Option<Vec<Hash>> {
        let full = self.full(place);
        let found = fs::read(&full).ok().and_then(|bytes| hashes(&bytes, TILE_WIDTH));
        let mut found = found.or_else(|| {
            (width..TILE_WIDTH).find_map(|width| hashes(&fs::read(partial(&full, width)).ok()?, width))
        })?;
        found.truncate(width);
        Some(found)
    }

    fn full(&self, place: TilePlace) -> PathBuf {
        self.folder.join(place.path())
    }
}

/// Compares leaves with their tiles, one after the other.
pub(super) struct Leaves<'s> {
    store: &'s TileStore,
    tile: Option<(u64, Vec<Hash>)>,
}

impl<'s> Leaves<'s> {
    /// Those of a store.
    pub(super) fn new(store: &'s TileStore) -> Self {
        Self { store, tile: None }
    }

    /// Whether this is the leaf that a full tile has.
    pub(super) fn holds(&mut self, index: u64, leaf: Hash) -> Result<bool, LedgerError> {
        let tile = index >> TILE_HEIGHT;
        if self.tile.as_ref().is_none_or(|(read, _)| *read != tile) {
            let hashes = self.store.leaves(tile, TILE_WIDTH).ok_or_else(|| self.store.no_tile(index))?;
            self.tile = Some((tile, hashes));
        }
        let at = usize::try_from(index % TILE_WIDTH as u64).unwrap_or(usize::MAX);
        Ok(self.tile.as_ref().and_then(|(_, hashes)| hashes.get(at)) == Some(&leaf))
    }
}

/// Reads the hashes that proofs in a tree of one size need.
pub(super) struct TileReader<'s> {
    store: &'s TileStore,
    size: u64,
    read: HashMap<TilePlace, Vec<Hash>>,
}

impl<'s> TileReader<'s> {
    /// For a tree of `size` leaves.
    pub(super) fn new(store: &'s TileStore, size: u64) -> Self {
        Self { store, size, read: HashMap::new() }
    }

    fn tile(&mut self, place: TilePlace) -> Result<&[Hash], LedgerError> {
        if !self.read.contains_key(&place) {
            let count = self.size >> (TILE_HEIGHT * place.level);
            let left = count.saturating_sub(place.index << TILE_HEIGHT);
            let width = usize::try_from(left).unwrap_or(TILE_WIDTH).min(TILE_WIDTH);
            let hashes = self.store.read(place, width);
            let hashes = hashes.ok_or_else(|| LedgerError::NoTile { path: self.store.full(place) })?;
            self.read.insert(place, hashes);
        }
        Ok(self.read.get(&place).map(Vec::as_slice).unwrap_or_default())
    }
}

impl Subtrees for TileReader<'_> {
    type Error = LedgerError;

    fn root(&mut self, height: u32, index: u64) -> Result<Hash, LedgerError> {
        let level = height / TILE_HEIGHT;
        let first = index << (height % TILE_HEIGHT);
        let place = TilePlace { level, index: first >> TILE_HEIGHT };
        let start = usize::try_from(first).unwrap_or(usize::MAX) % TILE_WIDTH;
        let end = start + (1 << (height % TILE_HEIGHT));
        let path = self.store.full(place);
        let hashes = self.tile(place)?.get(start..end);
        hashes.map(root).ok_or(LedgerError::NoTile { path })
    }
}

/// Levels of tiles that a tree of 2^64 leaves has.
const LEVELS_MAX: u32 = 64 / TILE_HEIGHT;

fn partials(full: &Path) -> PathBuf {
    full.with_extension("p")
}

fn partial(full: &Path, width: usize) -> PathBuf {
    partials(full).join(width.to_string())
}

fn remove_folder(path: &Path) -> Result<(), LedgerError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LedgerError::io("remove", path)(error)),
        _ => Ok(()),
    }
}
