//! The tree in tiles of 256 hashes, as C2SP `tlog-tiles` has them: what grows at the right edge, and what is full.
//!
//! Promises: memory grows with the number of levels, never with the ledger; a full tile is given out once. Never reads or writes files:
//! `tile_store` does.

use super::tree::{HASH_BYTES, Hash, TreeHead};

/// A run of hashes of one level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) place: TilePlace,
    /// 1 to 256.
    pub(super) hashes: Vec<Hash>,
}

/// Where a tile stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TilePlace {
    /// 0 for leaves; a hash of the next level is over a full tile of this one.
    pub(super) level: u32,
    /// Its number within the level, from 0.
    pub(super) index: u64,
}

/// The right edge of the tree.
#[derive(Clone, Debug, Default)]
pub(super) struct TileTree {
    size: u64,
    /// The hashes of each level that fill no tile yet: at most 255.
    edge: Vec<Vec<Hash>>,
}

impl TileTree {
    /// The edge of a tree of `size` leaves, whose hashes per level were read from its tiles.
    pub(super) fn resume(size: u64, edge: Vec<Vec<Hash>>) -> Self {
        Self { size, edge }
    }

    /// How many leaves there are.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; tiles that become full are put into `full`.
    pub(super) fn push(&mut self, leaf: Hash, full: &mut Vec<Tile>) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0.. {
            if self.edge.len() <= level {
                self.edge.push(Vec::new());
            }
            let Some(hashes) = self.edge.get_mut(level) else { return };
            hashes.push(hash);
            if hashes.len() < TILE_WIDTH {
                return;
            }
            let hashes = std::mem::take(hashes);
            hash = root(&hashes);
            let level = u32::try_from(level).unwrap_or(u32::MAX);
            let index = (self.size >> (TILE_HEIGHT * (level + 1))) - 1;
            full.push(Tile { place: TilePlace { level, index }, hashes });
        }
    }

    /// What stands for all leaves.
    pub(super) fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: Hash::of_peaks(&self.peaks()) }
    }

    /// The roots of the full subtrees, the largest first.
    pub(super) fn peaks(&self) -> Vec<Hash> {
        let mut peaks = Vec::new();
        for hashes in self.edge.iter().rev() {
            let mut rest = hashes.as_slice();
            // Of the full subtrees over these hashes, the largest comes first.
            while let Some(width) = rest.len().checked_ilog2().map(|height| 1 << height) {
                let (peak, after) = rest.split_at(width);
                peaks.push(root(peak));
                rest = after;
            }
        }
        peaks
    }

    /// The tiles at the right edge that are not full.
    pub(super) fn partial(&self) -> Vec<Tile> {
        let levels = (0..).zip(&self.edge).filter(|(_, hashes)| !hashes.is_empty());
        let tile = |(level, hashes): (u32, &Vec<Hash>)| Tile {
            place: TilePlace { level, index: self.size >> (TILE_HEIGHT * (level + 1)) },
            hashes: hashes.clone(),
        };
        levels.map(tile).collect()
    }
}

impl Tile {
    /// Whether nothing will be added to it.
    pub(super) fn is_full(&self) -> bool {
        self.hashes.len() == TILE_WIDTH
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
    }
}

impl TilePlace {
    /// Every full tile of a tree of so many leaves, those below first.
    pub(super) fn all_full(size: u64) -> impl Iterator<Item = Self> {
        let full = move |level: u32| size.checked_shr(TILE_HEIGHT * (level + 1)).unwrap_or_default();
        let levels = (0..).take_while(move |level| full(*level) > 0);
        levels.flat_map(move |level| (0..full(level)).map(move |index| Self { level, index }))
    }

    /// The path of the full tile: `tile/LEVEL/x001/x234/067` for number 1234067.
    pub(super) fn path(self) -> String {
        let (mut groups, mut rest) = (vec![format!("{:03}", self.index % 1000)], self.index / 1000);
        while rest > 0 {
            groups.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        groups.reverse();
        format!("tile/{}/{}", self.level, groups.join("/"))
    }
}

/// The hashes in a tile's bytes, if it is one of this width.
pub(super) fn hashes(bytes: &[u8], width: usize) -> Option<Vec<Hash>> {
    let hashes: Option<Vec<Hash>> = bytes.chunks(HASH_BYTES).map(Hash::from_slice).collect();
    hashes.filter(|hashes| hashes.len() == width)
}

/// The root over hashes whose number is a power of two.
pub(super) fn root(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        let pairs = row.chunks(2).filter_map(|pair| match pair {
            [left, right] => Some(left.joined(*right)),
            _ => None,
        });
        row = pairs.collect();
    }
    row.first().copied().unwrap_or_else(|| Hash::of_peaks(&[]))
}

/// Hashes of a full tile.
pub(super) const TILE_WIDTH: usize = 256;
/// Levels of the tree that a tile stands for.
pub(super) const TILE_HEIGHT: u32 = 8;
