//! The snapshot: bundle and directory of one moment, which fit each other.
//!
//! A request takes one snapshot and keeps it to its end, so it never sees two versions.

use std::sync::Arc;

use super::compile::Bundle;
use super::directory::Directory;

/// What decides at one moment.
pub struct Snapshot {
    /// Counts up with every swap; part of every cache key.
    pub generation: u64,
    /// Policies, schema and profile.
    pub bundle: Arc<Bundle>,
    /// People.
    pub directory: Arc<Directory>,
}

impl Snapshot {
    /// The first of a service, or the only one of a dry run.
    pub fn first(bundle: Bundle, directory: Directory) -> Arc<Self> {
        Arc::new(Self { generation: 1, bundle: Arc::new(bundle), directory: Arc::new(directory) })
    }
}
