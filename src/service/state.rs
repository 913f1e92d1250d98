//! Opens what lies in the state folder, in the one order that keeps it provable.
//!
//! Promises: a ledger that is not the one that was signed for is refused before anything is written to it.

use super::checkpoints::Checkpoints;
use super::start::StartError;
use crate::config::service::{LedgerConfig, ServiceConfig};
use crate::ledger::append::{Ledger, LedgerOptions};
use crate::ledger::clock;
use crate::ledger::error::LedgerError;
use crate::ledger::handles::Handles;
use crate::ledger::open::RecoveryReport;
use crate::ledger::revisions::Revisions;

/// What lies in the state folder.
pub struct State {
    /// The ledger.
    pub ledger: Ledger,
    /// What opening it found.
    pub recovery: RecoveryReport,
    /// What signs for it, if somebody does.
    pub checkpoints: Option<Checkpoints>,
    /// The table of principals.
    pub handles: Handles,
    /// Bundles and directories that served.
    pub revisions: Revisions,
}

impl State {
    /// Opens all of it for a life of this name.
    ///
    /// # Errors
    /// Whatever keeps a part from being used.
    pub fn open(config: &ServiceConfig, boot: &str) -> Result<Self, StartError> {
        let path = &config.ledger.path;
        let failed = |source: LedgerError| StartError::Ledger { path: path.clone(), source };
        // A ledger that was cut must not grow again, not by what a recovery adds either.
        let checkpoints = config.ledger.checkpoints.as_ref();
        let checkpoints = checkpoints.map(|checkpoints| Checkpoints::open(checkpoints, path)).transpose()?;
        let options = options(&config.ledger, boot);
        let (ledger, recovery) = Ledger::open(options, clock::system()).map_err(failed)?;
        let handles = Handles::open(path).map_err(failed)?;
        let revisions = Revisions::open(path).map_err(failed)?;
        Ok(Self { ledger, recovery, checkpoints, handles, revisions })
    }
}

fn options(config: &LedgerConfig, boot: &str) -> LedgerOptions {
    let mut options = LedgerOptions::new(&config.path, boot);
    options.segment_bytes_max = config.segment_bytes_max;
    options.segment_ms_max = config.segment_ms_max;
    options.queue_entries_max = config.queue_entries_max;
    options.write_timeout_ms = config.write_timeout_ms;
    options.sync_interval_ms = config.sync_interval_ms;
    options
}
