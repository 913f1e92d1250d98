//! What serves: bundle, directory and known credentials of one moment, behind one pointer.
//!
//! Promises: a request takes one [`Serving`] and keeps it to its end, so it never sees one part of yesterday beside one of
//! today. Never changes in place.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::enforce::scan::layout::Layouts;
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
    pub layouts: Option<Arc<Layouts>>,
}

/// How records lie in the answers that a bundle describes.
fn layouts(bundle: &Bundle) -> Option<Arc<Layouts>> {
    let places = |name: &str| bundle.slices.needs(name).places.as_slice();
    Layouts::new(&bundle.profile, places).map(Arc::new)
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
        let layouts = layouts(&snapshot.bundle);
        Self { serving: ArcSwap::from_pointee(Serving { snapshot, identity: Arc::new(identity), layouts }) }
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
        let serving = self.serving.load();
        let generation = serving.snapshot.generation + 1;
        // People come and go more often than bundles, and change nothing of how records lie.
        let layouts = match Arc::ptr_eq(&serving.snapshot.bundle, &bundle) {
            true => serving.layouts.clone(),
            false => layouts(&bundle),
        };
        let snapshot = Arc::new(Snapshot { generation, bundle, directory });
        let next = Arc::new(Serving { snapshot, identity, layouts });
        self.serving.store(Arc::clone(&next));
        next
    }
}
