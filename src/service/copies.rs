//! What leaves the ledger: checkpoints and sinks for elsewhere, and then old segments for good; and the room that is left for it.
//! Started and ended together.
//!
//! Promises: the first two get the ledger's last entry, each for as long as its own limit allows. Never keeps a request waiting.

use std::sync::Arc;

use super::checkpoints::sealed::{Sealed, SealedNow};
use super::checkpoints::{Checkpoints, Signing};
use super::retention::{Removing, Retained, RetainedNow, Retention, lock};
use super::sinks;
use super::space::{Space, SpaceNow, Watching};
use super::start::StartError;
use crate::audit::sinks::running::{Sinks, Watched};
use crate::config::service::LedgerConfig;
use crate::ledger::append::Ledger;
use crate::ledger::clock;
use crate::ledger::open::RecoveryReport;
use crate::pipeline::sidecar::Sidecar;

/// What leaves the ledger.
pub struct Copies {
    signing: Option<Signing>,
    sinks: Sinks,
    removing: Option<Removing>,
    watching: Watching,
}

/// How far it is, for whoever asks.
#[derive(Clone)]
pub struct CopiesNow {
    sealed: Option<SealedNow>,
    /// The sinks.
    pub sinks: Arc<Watched>,
    retained: Option<RetainedNow>,
    space: SpaceNow,
}

impl CopiesNow {
    /// How far the checkpoints are, if somebody signs.
    pub fn sealed(&self) -> Option<Sealed> {
        self.sealed.as_ref().map(SealedNow::read)
    }

    /// How far the removal of old segments is, if they are removed.
    pub fn retained(&self) -> Option<Retained> {
        self.retained.as_ref().map(|now| lock(now).clone())
    }

    /// The room that is left.
    pub fn space(&self) -> Space {
        *lock(&self.space)
    }
}

impl Copies {
    /// Starts all of it.
    ///
    /// # Errors
    /// The system starts no thread; a file system refuses.
    pub fn start(
        config: &LedgerConfig,
        checkpoints: Option<Checkpoints>,
        (ledger, recovery): (&Ledger, &RecoveryReport),
        sidecar: &Sidecar,
    ) -> Result<Self, StartError> {
        let Sidecar { metrics, clock, .. } = sidecar;
        let signing = checkpoints.map(|checkpoints| checkpoints.start(ledger.clone(), clock.clone()));
        let signing = signing.transpose().map_err(|error| StartError::Record(error.to_string()))?;
        let failed = |source| StartError::Ledger { path: config.path.clone(), source };
        let sinks = sinks::start(config, ledger, metrics, clock).map_err(failed)?;
        let removing = config.retention.map(|retention| {
            let sealed = signing.as_ref().map(|signing| signing.now.clone());
            let (state, ledger) = (config.path.clone(), ledger.clone());
            let (sinks, clock) = (Arc::clone(sinks.watched()), clock::system());
            let (recorded, ended_ns) = (recovery.recorded.clone(), recovery.ended_ns);
            Retention { config: retention, state, ledger, recorded, ended_ns, sealed, sinks, clock }.start()
        });
        let watching = Watching::start(config.path.clone(), config.free_bytes_min);
        Ok(Self { signing, sinks, removing, watching })
    }

    /// How far they are.
    pub fn now(&self) -> CopiesNow {
        let sealed = self.signing.as_ref().map(|signing| signing.now.clone());
        let retained = self.removing.as_ref().map(|removing| Arc::clone(&removing.now));
        let space = Arc::clone(&self.watching.now);
        CopiesNow { sealed, sinks: Arc::clone(self.sinks.watched()), retained, space }
    }

    /// Whether every part still works.
    pub fn is_whole(&self) -> bool {
        self.sinks.is_whole()
            && self.signing.as_ref().is_none_or(Signing::is_whole)
            && self.removing.as_ref().is_none_or(Removing::is_whole)
            && self.watching.is_whole()
    }

    /// Brings a ledger that was closed to its end; `last_seq` is `None` where it could not be closed.
    pub async fn end(self, last_seq: Option<u64>) {
        self.watching.end();
        if let Some(removing) = self.removing {
            removing.end().await;
        }
        if let Some((signing, last_seq)) = self.signing.zip(last_seq) {
            signing.end(last_seq).await;
        }
        self.sinks.finish().await;
    }
}
