//! Holds a ledger that no service writes, for whoever changes what lies beside it. [edge]
//!
//! Promises: as long as it is held no service opens the ledger; one that starts then waits for a moment, and is refused after that.
//! Makes nothing, writes nothing.
#![expect(clippy::disallowed_methods, reason = "edge: the ledger's lock")]

use std::fs::File;
use std::path::Path;

use super::error::LedgerError;
use super::folder;

/// A ledger that is held; let go when this is dropped.
#[derive(Debug)]
pub struct Hold {
    _lock: File,
}

impl Hold {
    /// Takes the ledger under a state folder; `None` where a service writes it.
    ///
    /// # Errors
    /// There is no ledger, or the file system refuses.
    pub fn take(state: &Path) -> Result<Option<Self>, LedgerError> {
        let path = folder::path_under(state).join(folder::LOCK);
        let lock = File::open(&path).map_err(LedgerError::io("open", &path))?;
        Ok(folder::lock(&lock, &path)?.then_some(Self { _lock: lock }))
    }
}
