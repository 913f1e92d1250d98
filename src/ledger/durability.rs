//! When an entry counts as recorded for whoever hands it over.

/// What an entry that was acknowledged survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The machine: it is acknowledged once it is synced.
    #[default]
    Sync,
    /// The process: it is acknowledged once it is written, and synced soon after.
    Write,
}
