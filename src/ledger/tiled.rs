//! Compares the tiles that lie beside a ledger with what its entries make, while these are read.
//!
//! Promises: a full tile that is there and holds another hash is found, at every level, as far as the entries below it are known.
//! One that is missing is no finding: tiles are a copy. Never writes.

use std::path::PathBuf;

use super::error::LedgerError;
use super::removal::Removal;
use super::tile_store::TileStore;
use super::tiles::{Tile, TileTree};
use super::tree::Hash;

/// Tiles that are not what the entries make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrongTiles {
    /// How many.
    pub count: usize,
    /// The first that was found.
    pub first: Option<PathBuf>,
}

/// A comparison that is under way.
pub(super) struct Tiled<'s> {
    store: &'s TileStore,
    /// `None` where what was removed cannot be gone on from.
    tree: Option<TileTree>,
    full: Vec<Tile>,
    wrong: WrongTiles,
}

impl<'s> Tiled<'s> {
    /// Begins behind what was removed; its own tiles must then be those that the removal stands for.
    pub(super) fn behind(store: &'s TileStore, removed: Option<&Removal>) -> Self {
        let tree = match removed {
            None => Some(TileTree::default()),
            Some(removal) => store.edge(removal.last).filter(|edge| edge.peaks() == removal.subtrees),
        };
        Self { store, tree, full: Vec::new(), wrong: WrongTiles::default() }
    }

    /// Takes the next leaf.
    pub(super) fn push(&mut self, leaf: Hash) -> Result<(), LedgerError> {
        let Some(tree) = &mut self.tree else { return Ok(()) };
        tree.push(leaf, &mut self.full);
        for tile in self.full.drain(..) {
            if let Some(path) = self.store.contradicting(&tile)? {
                self.wrong.count += 1;
                self.wrong.first.get_or_insert(path);
            }
        }
        Ok(())
    }

    /// What was found.
    pub(super) fn wrong(self) -> WrongTiles {
        self.wrong
    }
}
