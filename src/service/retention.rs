//! Removes the oldest segment of the ledger when its entries were kept for long enough. [edge]
//!
//! Promises: nothing goes that is young, that a required sink does not have, that no checkpoint out of this host's reach stands for,
//! or that is not what was written; the entry that says so is durable first; one segment at a look. What keeps an old one from going
//! is told in status and metrics. Never removes the newest, and never by a clock that went far ahead, while it ran or before. What was
//! recorded and not carried out before a start meets the same conditions again.
#![expect(clippy::disallowed_methods, reason = "edge: the machine's own count of time, beside its clock")]

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior};

use super::checkpoints::sealed::SealedNow;
use crate::audit::sinks::running::Watched;
use crate::config::service::RetentionConfig;
use crate::ledger::append::Ledger;
use crate::ledger::clock::Clock;
use crate::ledger::entry::Entry;
use crate::ledger::error::LedgerError;
use crate::ledger::removal::{DAY_NS, Removal};
use crate::ledger::retain::{self, Oldest};
use crate::net::remote::causes;

/// How far removal is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// For how many days entries are kept.
    pub keep_days: u64,
    /// Segments removed since the start.
    pub removed: u64,
    /// What keeps a segment that is old enough from going, if something does.
    pub waits_for: Option<String>,
}

/// What is known of removal; shared by the task and whoever asks.
pub type RetainedNow = Arc<Mutex<Retained>>;

/// What removal looks at.
pub struct Retention {
    /// For how long entries are kept.
    pub config: RetentionConfig,
    /// The state folder.
    pub state: PathBuf,
    /// Where removals are recorded.
    pub ledger: Ledger,
    /// What a former life recorded and did not carry out.
    pub recorded: Option<Removal>,
    /// When the last entry before this start was written, in nanoseconds since 1970.
    pub ended_ns: Option<i128>,
    /// How far the ledger is signed for.
    pub sealed: Option<SealedNow>,
    /// How far sinks are.
    pub sinks: Arc<Watched>,
    /// The clock that entries are stamped with.
    pub clock: Clock,
}

/// A task that removes.
pub struct Removing {
    /// How far it is.
    pub now: RetainedNow,
    task: JoinHandle<()>,
}

/// What a look came to.
enum Look {
    /// Nothing is old enough.
    Young,
    /// Something is, and must wait.
    Waits(String),
    /// A segment was removed.
    Removed,
}

impl Retention {
    /// Starts the task.
    #[must_use]
    pub fn start(self) -> Removing {
        let keep_days = self.config.keep_days;
        let now = Arc::new(Mutex::new(Retained { keep_days, ..Retained::default() }));
        Removing { now: Arc::clone(&now), task: tokio::spawn(self.run(now)) }
    }

    async fn run(self, now: RetainedNow) {
        // What is recorded and not carried out yet.
        let mut recorded = self.recorded.clone();
        let began = (Instant::now(), (self.clock)());
        let mut ticks = tokio::time::interval(Duration::from_millis(self.config.interval_ms));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let passed_ns = nanoseconds(began.0.elapsed());
            let ahead_ns = (self.clock)() - began.1 - passed_ns;
            // How long the service was away, by its clock alone, and has not been there since.
            let away_ns = self.ended_ns.map_or(0, |ended_ns| began.1 - ended_ns) - passed_ns;
            let looked = match self.look(ahead_ns, away_ns, &mut recorded).await {
                Ok(looked) => looked,
                Err(error) => Look::Waits(causes(&error)),
            };
            told(&now, looked);
        }
    }

    async fn look(
        &self,
        ahead_ns: i128,
        away_ns: i128,
        recorded: &mut Option<Removal>,
    ) -> Result<Look, LedgerError> {
        let state = self.state.clone();
        let Some(oldest) = blocking(move || retain::oldest(&state)).await? else { return Ok(Look::Young) };
        let keep_ns = i128::from(self.config.keep_days) * DAY_NS;
        if (self.clock)() - oldest.until_ns <= keep_ns {
            return Ok(Look::Young);
        }
        if let Some(why) = self.hindrance(&oldest, ahead_ns, away_ns) {
            return Ok(Look::Waits(why));
        }
        let (state, keep_days) = (self.state.clone(), self.config.keep_days);
        let removal = blocking(move || retain::examine(&state, &oldest, keep_days)).await?;
        if (self.clock)() - retain::youngest_ns(&removal) <= keep_ns {
            return Ok(Look::Young);
        }
        if !recorded.as_ref().is_some_and(|recorded| recorded.agrees(&removal)) {
            self.record(&removal).await?;
            *recorded = Some(removal.clone());
        }
        let state = self.state.clone();
        blocking(move || retain::carry_out(&state, &removal)).await?;
        Ok(Look::Removed)
    }

    /// Records that a segment is removed.
    async fn record(&self, removal: &Removal) -> Result<(), LedgerError> {
        let entry = self.ledger.append(Entry::Removal(removal.clone())).await?;
        let Removal { first, last, until, file, .. } = removal;
        tracing::info!(entry, file, first, last, until, "a segment is removed: it was kept for long enough");
        Ok(())
    }

    /// What a segment that is old enough must wait for.
    fn hindrance(&self, oldest: &Oldest, ahead_ns: i128, away_ns: i128) -> Option<String> {
        if ahead_ns > DAY_NS {
            let hours = ahead_ns / HOUR_NS;
            return Some(format!("the clock, which went {hours} hours ahead since the start: set it"));
        }
        if away_ns > DAY_NS {
            let hours = away_ns / HOUR_NS;
            return Some(format!(
                "{hours} hours to pass: by the clock the service was away for long, and a wrong clock says the same"
            ));
        }
        let signed_for = oldest.signed_for();
        let exported = self.sealed.as_ref().and_then(|sealed| sealed.read().exported());
        if exported.is_none_or(|(entries, _)| entries < signed_for) {
            return Some(format!("an exported checkpoint over entry {signed_for}"));
        }
        let sink = self.sinks.lacking(oldest.last)?;
        Some(format!("the sink `{sink}`, to have entry {} for certain", oldest.last))
    }
}

/// Keeps what a look came to, and tells a change of it.
fn told(now: &RetainedNow, looked: Look) {
    let mut known = lock(now);
    let waits_for = match looked {
        Look::Removed => {
            known.removed += 1;
            None
        }
        Look::Young => None,
        Look::Waits(why) => Some(why),
    };
    if known.waits_for == waits_for {
        return;
    }
    if let Some(waits_for) = &waits_for {
        tracing::warn!(waits_for, "a segment that was kept for long enough cannot be removed");
    }
    known.waits_for = waits_for;
}

impl Removing {
    /// Whether it still works.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.task.is_finished()
    }

    /// Ends it; a removal that is recorded and not carried out is looked at again after the next start.
    pub async fn end(self) {
        self.task.abort();
        // Cancelled, as it was told to.
        let _ = self.task.await;
    }
}

/// What several tasks know; a panic while it was held left nothing half done: each change is one assignment.
pub(super) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn nanoseconds(passed: Duration) -> i128 {
    i128::try_from(passed.as_nanos()).unwrap_or(i128::MAX)
}

/// Runs what waits for the disk where no request does.
async fn blocking<V: Send + 'static>(
    work: impl FnOnce() -> Result<V, LedgerError> + Send + 'static,
) -> Result<V, LedgerError> {
    let broke = |error: tokio::task::JoinError| LedgerError::Io {
        what: "look into",
        path: PathBuf::from("ledger"),
        source: io::Error::other(error),
    };
    spawn_blocking(work).await.map_err(broke)?
}

const HOUR_NS: i128 = DAY_NS / 24;
