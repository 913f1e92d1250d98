//! The one swap point: bundle and directory that serve, replaced whole or not at all.
//!
//! A request takes one snapshot and keeps it to its end, so it never sees two versions.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::compile::Bundle;
use super::directory::Directory;

/// What serves at one moment.
pub struct Snapshot {
    /// Counts up with every swap; part of every cache key.
    pub generation: u64,
    /// Policies, schema and profile.
    pub bundle: Arc<Bundle>,
    /// People.
    pub directory: Arc<Directory>,
}

/// The pointer to what serves.
pub struct Current {
    snapshot: ArcSwap<Snapshot>,
}

impl Current {
    /// Starts to serve.
    pub fn new(bundle: Bundle, directory: Directory) -> Self {
        let snapshot = Snapshot { generation: 1, bundle: Arc::new(bundle), directory: Arc::new(directory) };
        Self { snapshot: ArcSwap::from_pointee(snapshot) }
    }

    /// What serves now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Replaces what serves. Requests under way end on what they started with.
    pub fn swap(&self, bundle: Arc<Bundle>, directory: Arc<Directory>) -> Arc<Snapshot> {
        let generation = self.snapshot.load().generation + 1;
        let next = Arc::new(Snapshot { generation, bundle, directory });
        self.snapshot.store(Arc::clone(&next));
        next
    }
}
