//! Recording: every outcome goes to the ledger, and what must be durable is durable before anybody acts on it.
//!
//! Promises: no write is forwarded and no body is released before its decision entry is on disk. Refusals before
//! identity are counted per second, source and reason, so that a flood cannot fill the disk. An outcome that finds the
//! ledger's queue full waits here and is handed over again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::trail::{End, Trail};
use crate::ledger::append::{Ledger, Waiting};
use crate::ledger::entry::{Delivered, Delivery, Entry, RefusalCount, Refusals};
use crate::ledger::error::LedgerError;
use crate::ledger::handles::Handles;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::stopwatch::Stopwatch;

/// The way to the ledger.
pub struct Recorder {
    ledger: Ledger,
    handles: Handles,
    refusals: Mutex<RefusalCounts>,
    metrics: Arc<Metrics>,
    owed: Mutex<VecDeque<Waiting>>,
}

#[derive(Default)]
struct RefusalCounts {
    counts: BTreeMap<(&'static str, String), u64>,
}

impl Recorder {
    /// A recorder over an open ledger.
    pub fn new(ledger: Ledger, handles: Handles, metrics: Arc<Metrics>) -> Self {
        Self { ledger, handles, refusals: Mutex::default(), owed: Mutex::default(), metrics }
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Refuses while the ledger takes no entries: nothing may be forwarded then, not even a read. The refusal itself is
    /// handed to the ledger, and that is what makes it try to come back.
    pub fn require_writable(&self) -> Result<(), Problem> {
        let health = self.ledger.health();
        match health.writable {
            true => Ok(()),
            false => {
                let why = health.why.map(|why| why.to_string()).unwrap_or_default();
                Err(Problem::new(Reason::LedgerUnavailable).internal(why))
            }
        }
    }

    /// Makes the decision durable.
    pub async fn decide(&self, trail: &mut Trail, problem: Option<&Problem>) -> Result<(), Problem> {
        trail.enter("ledger");
        let handle =
            match &trail.principal {
                Some(principal) => {
                    let entity = &principal.entity;
                    let handle = self.handles.handle(&entity.type_name, &entity.id);
                    Some(handle.map_err(|error| {
                        Problem::new(Reason::LedgerUnavailable).internal(error.to_string())
                    })?)
                }
                None => None,
            };
        match self.durable(trail.decision(handle, problem)).await {
            Ok(_) => {
                trail.is_decided = true;
                trail.is_would_told =
                    trail.observed.as_ref().is_some_and(|observed| observed.would().is_some());
                Ok(())
            }
            Err(error) => {
                // The entry may still become durable, and would then stay open: nothing came of it.
                if matches!(error, LedgerError::Timeout { .. }) {
                    self.append_soon(trail.outcome(&End::of_unrecorded(&unavailable(&error))));
                }
                Err(unavailable(&error))
            }
        }
    }

    /// Makes the outcome durable; for writes, before the answer leaves.
    pub async fn conclude(&self, trail: &Trail, end: &End<'_>) -> Result<(), Problem> {
        self.append(trail.outcome(end)).await
    }

    /// Lets the outcome ride the next commit; for reads.
    pub fn conclude_soon(&self, trail: &Trail, end: &End<'_>) {
        self.append_soon(trail.outcome(end));
    }

    /// Notes that a write's answer, whose outcome is recorded, did not reach the caller.
    pub fn note_undelivered(&self, decision_id: &str) {
        self.append_soon(Entry::Delivery(Delivery {
            of: decision_id.to_owned(),
            delivered: Delivered::Abandoned,
        }));
    }

    /// Lets the names that an observed request showed ride the next commit.
    pub fn note_observed(&self, trail: &Trail) {
        if let Some(entry) = trail.seen() {
            self.append_soon(entry);
        }
    }

    /// Counts a refusal before identity.
    pub fn count_refusal(&self, reason: Reason, source: &str) {
        let Ok(mut refusals) = self.refusals.lock() else { return };
        let is_full = refusals.counts.len() >= REFUSAL_SOURCES_MAX;
        let known = (reason.code(), self.handles.source_handle(source));
        let key = if is_full && !refusals.counts.contains_key(&known) {
            (reason.code(), "others".to_owned())
        } else {
            known
        };
        *refusals.counts.entry(key).or_default() += 1;
    }

    /// Hands over what was owed and what was counted since the last call; called once a second with that second's text.
    pub fn flush(&self, second: &str) {
        let owed = std::mem::take(&mut *self.owed.lock().unwrap_or_else(PoisonError::into_inner));
        owed.into_iter().for_each(|waiting| self.offer(waiting));

        let counts = match self.refusals.lock() {
            Ok(mut refusals) => std::mem::take(&mut refusals.counts),
            Err(_) => return,
        };
        if counts.is_empty() {
            return;
        }
        let count = |((reason, source), count): ((&'static str, String), u64)| RefusalCount {
            reason: reason.to_owned(),
            source,
            count,
        };
        let counts = counts.into_iter().map(count).collect();
        self.append_soon(Entry::Refusals(Refusals { second: second.to_owned(), counts }));
    }

    /// Makes any other entry durable.
    pub async fn append(&self, entry: Entry) -> Result<(), Problem> {
        self.durable(entry).await.map_err(|error| unavailable(&error))
    }

    async fn durable(&self, entry: Entry) -> Result<(), LedgerError> {
        let stopwatch = Stopwatch::start();
        let appended = self.ledger.append(entry).await;
        appended.map(|_| self.metrics.ledger_append(stopwatch.elapsed()))
    }

    fn append_soon(&self, entry: Entry) {
        match Waiting::new(entry) {
            Ok(waiting) => self.offer(waiting),
            Err(error) => lost(&error),
        }
    }

    /// Hands an entry over, or keeps it for the next flush.
    fn offer(&self, waiting: Waiting) {
        match self.ledger.offer(waiting) {
            Ok(None) => {}
            Ok(Some(waiting)) => {
                let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
                match owed.len() < OWED_MAX {
                    true => owed.push_back(waiting),
                    false => lost(&LedgerError::QueueFull { limit: OWED_MAX }),
                }
            }
            Err(error) => lost(&error),
        }
    }
}

fn lost(error: &LedgerError) {
    tracing::error!(error = %error, "an entry could not be handed to the ledger");
}

fn unavailable(error: &LedgerError) -> Problem {
    Problem::new(Reason::LedgerUnavailable).internal(error.to_string())
}

/// Outcomes that wait for room in the ledger's queue; beyond that they are lost, and the log says so.
const OWED_MAX: usize = 65_536;

/// Sources told apart within one second; beyond that they are counted together.
const REFUSAL_SOURCES_MAX: usize = 1024;
