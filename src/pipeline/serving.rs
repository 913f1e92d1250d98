//! What serves: bundle, directory and known credentials of one moment, behind one pointer.
//!
//! Promises: a request takes one [`Serving`] and keeps it to its end, so it never sees one part of yesterday beside one of
//! today. Never changes in place.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::enforce::scan::layout::Layouts;
use super::enforce::scan::learned::Idle;
use super::identify::Sources;
use crate::bundle::compile::Bundle;
use crate::bundle::current::Snapshot;
use crate::bundle::directory::Directory;

/// What one request sees from beginning to end.
pub struct Serving {
    /// Bundle and directory.
    pub snapshot: Arc<Snapshot>,
    /// The ways of identifying callers.
    pub identity: Arc<IdentitySources>,
    /// How records lie in answers; `None` if there are too many keys for tables.
    pub layouts: Option<Layouts>,
    /// Scanners with what they learned of answers to this bundle.
    pub scanners: Idle,
}

impl Serving {
    fn new(snapshot: Arc<Snapshot>, identity: Arc<IdentitySources>) -> Self {
        let slices = &snapshot.bundle.slices;
        let layouts = Layouts::new(&snapshot.bundle.profile, |name| slices.needs(name).places.as_slice());
        Self { snapshot, identity, layouts, scanners: Idle::default() }
    }
}

/// The ways of identifying callers, as their files were read.
pub struct IdentitySources {
    /// A hash over the files that hold hashes and public keys, never over a secret.
    pub revision: String,
    /// The sources, in the order in which they are asked.
    pub sources: Sources,
}

/// The one pointer to what serves.
pub struct Current {
    serving: ArcSwap<Serving>,
}

impl Current {
    /// Starts to serve.
    pub fn new(bundle: Bundle, directory: Directory, identity: IdentitySources) -> Self {
        let snapshot = Snapshot::first(bundle, directory);
        Self { serving: ArcSwap::from_pointee(Serving::new(snapshot, Arc::new(identity))) }
    }

    /// What serves now.
    pub fn serving(&self) -> Arc<Serving> {
        self.serving.load_full()
    }

    /// Bundle and directory of what serves now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.serving.load().snapshot)
    }

    /// Replaces what serves. Requests under way end on what they started with.
    pub fn swap(
        &self,
        bundle: Arc<Bundle>,
        directory: Arc<Directory>,
        identity: Arc<IdentitySources>,
    ) -> Arc<Serving> {
        let generation = self.serving.load().snapshot.generation + 1;
        let snapshot = Arc::new(Snapshot { generation, bundle, directory });
        let next = Arc::new(Serving::new(snapshot, identity));
        self.serving.store(Arc::clone(&next));
        next
    }
}
