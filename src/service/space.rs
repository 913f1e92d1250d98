//! Watches the room that is left for the ledger, so that people hear of a full disk before callers do. [edge]
//!
//! Promises: a look a second, never on a thread that serves requests; what changes is told once. Never refuses anything: a write that
//! fails does.
#![expect(clippy::disallowed_methods, reason = "edge: asks the file system for its room")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::statvfs;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::MissedTickBehavior;

/// The room that is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// In bytes, for whoever is not root; `None` where the file system does not say.
    pub free_bytes: Option<u64>,
    /// Whether that is less than the configuration asks for.
    pub is_low: bool,
}

/// What is known of it; shared by the task and whoever asks.
pub type SpaceNow = Arc<Mutex<Space>>;

/// A task that looks.
pub struct Watching {
    /// What it saw last.
    pub now: SpaceNow,
    task: JoinHandle<()>,
}

impl Watching {
    /// Starts looking at the file system of a folder; less than `free_bytes_min` is little.
    #[must_use]
    pub fn start(folder: PathBuf, free_bytes_min: u64) -> Self {
        let now = SpaceNow::default();
        Self { now: Arc::clone(&now), task: tokio::spawn(watch(folder, free_bytes_min, now)) }
    }

    /// Whether it still works.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.task.is_finished()
    }

    /// Ends it.
    pub fn end(self) {
        self.task.abort();
    }
}

async fn watch(folder: PathBuf, free_bytes_min: u64, now: SpaceNow) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let folder = folder.clone();
        let looked = spawn_blocking(move || statvfs(&folder)).await;
        let free_bytes =
            looked.ok().and_then(Result::ok).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        let is_low = free_bytes.is_some_and(|free_bytes| free_bytes < free_bytes_min);
        let known = Space { free_bytes, is_low };
        let before = std::mem::replace(&mut *now.lock().unwrap_or_else(PoisonError::into_inner), known);
        match (before.is_low, is_low) {
            (false, true) => {
                tracing::warn!(free_bytes, free_bytes_min, "there is little room left for the ledger")
            }
            (true, false) => tracing::info!(free_bytes, free_bytes_min, "there is room for the ledger again"),
            _ => {}
        }
    }
}

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
