//! Holds a ledger that no service writes, for whoever changes what lies beside it. [edge]
//!
//! Promises: as long as it is held no service opens the ledger; one that starts then waits for a moment, and is refused after that.
//! Writes nothing, and makes nothing but the lock of a copy that came without it.
#![expect(clippy::disallowed_methods, reason = "edge: the ledger's lock")]

use std::fs::File;
use std::io;
use std::path::Path;

use super::durable;
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
        let folder = folder::path_under(state);
        let path = folder.join(folder::LOCK);
        let is_copy = || folder::segments(&folder).is_ok_and(|segments| !segments.is_empty());
        let lock = match File::open(&path) {
            // A service that starts in this copy meanwhile takes the same one.
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_copy() => durable::append_to(&path)?,
            opened => opened.map_err(LedgerError::io("open", &path))?,
        };
        Ok(folder::lock(&lock, &path)?.then_some(Self { _lock: lock }))
    }
}
