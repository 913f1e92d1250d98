//! Recording: every outcome goes to the ledger, and what must be durable is durable before anybody acts on it.
//!
//! Promises: no write is forwarded and no body is released before its decision entry is on disk, or written where the
//! configuration says that this is enough for a read. Refusals before
//! identity, and requests for which nobody is identified, are counted per second, so that a flood cannot fill the disk. An
//! outcome that finds the ledger's queue full waits here and is handed over again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::trail::{End, Trail};
use super::unrecorded::Unrecorded;
use crate::ledger::append::{Health, Ledger, Waiting};
use crate::ledger::counts::{PassCount, Passes, RefusalCount, Refusals};
use crate::ledger::durability::Durability;
use crate::ledger::entry::{Delivered, Delivery, Entry};
use crate::ledger::error::LedgerError;
use crate::ledger::handles::Handles;
use crate::ledger::who::Who;
use crate::model::principal::{EntityRef, Principal};
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::net::remote::causes;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::stopwatch::Stopwatch;

/// The way to the ledger.
pub struct Recorder {
    ledger: Ledger,
    handles: Handles,
    refusals: Mutex<RefusalCounts>,
    passes: Mutex<PassCounts>,
    /// Whether the ledger did not take the last counts.
    are_counts_lost: AtomicBool,
    unrecorded: Unrecorded,
    metrics: Arc<Metrics>,
    owed: Mutex<VecDeque<Waiting>>,
}

#[derive(Default)]
struct RefusalCounts {
    counts: BTreeMap<(&'static str, String), u64>,
}

/// Requests by route, its reason, source and status.
#[derive(Default)]
struct PassCounts {
    counts: BTreeMap<(String, String, String, u16), u64>,
}

impl Recorder {
    /// A recorder over an open ledger.
    pub fn new(ledger: Ledger, handles: Handles, metrics: Arc<Metrics>) -> Self {
        Self {
            ledger,
            handles,
            refusals: Mutex::default(),
            passes: Mutex::default(),
            are_counts_lost: AtomicBool::new(false),
            unrecorded: Unrecorded::default(),
            owed: Mutex::default(),
            metrics,
        }
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether all can be recorded: also a decision on somebody who has no handle yet.
    pub fn health(&self) -> Health {
        let health = self.ledger.health();
        match health.writable && !self.handles.is_writable() {
            true => Health { writable: false, why: Some("handles-failed"), ..health },
            false => health,
        }
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

    /// The same for requests that are only counted: nothing passes while counts are lost.
    pub fn require_counting(&self) -> Result<(), Problem> {
        match self.are_counts_lost.load(Ordering::Relaxed) {
            true => Err(Problem::new(Reason::LedgerUnavailable).internal("the last counts were not taken")),
            false => self.require_writable(),
        }
    }

    /// Counts a request that passes although it cannot be recorded; `false` where it may not, for want of room to count it.
    #[must_use]
    pub fn pass_unrecorded(&self, second: &str, route: &str) -> bool {
        let reason = self.ledger.health().why.unwrap_or("counts-lost");
        let passes = self.unrecorded.count(second, route, reason);
        if passes {
            self.metrics.passed_unrecorded(route);
        }
        passes
    }

    /// The table of principals' handles.
    pub fn handles(&self) -> &Handles {
        &self.handles
    }

    /// Makes the decision durable.
    pub async fn decide(&self, trail: &mut Trail, problem: Option<&Problem>) -> Result<(), Problem> {
        trail.enter("ledger");
        let who = trail.principal.as_ref().map(|principal| self.who(principal)).transpose()?;
        match self.recorded(trail.decision(who, problem), trail.durability).await {
            Ok(_) => {
                trail.is_decided = true;
                trail.is_would_told =
                    trail.observed.as_ref().is_some_and(|observed| observed.would().is_some());
                Ok(())
            }
            Err(error) => {
                // The entry may still become durable, and would then stay open: nothing came of it.
                if matches!(error, LedgerError::Timeout { .. }) {
                    self.conclude_soon(trail, &End::of_unrecorded(&unavailable(&error)));
                }
                Err(unavailable(&error))
            }
        }
    }

    fn who(&self, principal: &Principal) -> Result<Who, Problem> {
        let handle = |entity: &EntityRef| {
            let handle = self.handles.handle(&entity.type_name, &entity.id);
            handle.map_err(|error| unavailable(&error))
        };
        Ok(Who {
            handle: handle(&principal.entity)?,
            principal_type: principal.entity.type_name.clone(),
            authn: principal.authn.code().to_owned(),
            auth_level: principal.attested.auth_level,
            on_behalf_of: principal.attested.on_behalf_of.as_ref().map(handle).transpose()?,
        })
    }

    /// Makes the outcome durable; for writes, before the answer leaves.
    pub async fn conclude(&self, trail: &Trail, end: &End<'_>) -> Result<(), Problem> {
        self.append(trail.outcome(end)).await
    }

    /// Lets the outcome ride the next commit; for reads.
    pub fn conclude_soon(&self, trail: &Trail, end: &End<'_>) {
        self.append_soon(trail.outcome(end), trail.durability);
    }

    /// Notes that a write's answer, whose outcome is recorded, did not reach the caller.
    pub fn note_undelivered(&self, decision_id: &str) {
        let delivery = Delivery { of: decision_id.to_owned(), delivered: Delivered::Abandoned };
        self.append_soon(Entry::Delivery(delivery), Durability::Sync);
    }

    /// Lets the names that an observed request showed ride the next commit.
    pub fn note_observed(&self, trail: &Trail) {
        if let Some(entry) = trail.seen() {
            self.append_soon(entry, trail.durability);
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

    /// Counts a request on a route for which nobody is identified. `why` is the profile's reason.
    pub fn count_pass(&self, route: &str, why: &str, source: &str, status: u16) {
        let Ok(mut passes) = self.passes.lock() else { return };
        let is_full = passes.counts.len() >= REFUSAL_SOURCES_MAX;
        let known = (route.to_owned(), why.to_owned(), self.handles.source_handle(source), status);
        let key = if is_full && !passes.counts.contains_key(&known) {
            (known.0, known.1, "others".to_owned(), status / 100 * 100)
        } else {
            known
        };
        *passes.counts.entry(key).or_default() += 1;
    }

    /// Hands over what was owed and what was counted since the last call, and tries a handle again that could not be kept; called once a second with that second's text.
    pub fn flush(&self, second: &str) {
        let owed = std::mem::take(&mut *self.owed.lock().unwrap_or_else(PoisonError::into_inner));
        owed.into_iter().for_each(|waiting| self.offer(waiting));
        self.flush_refusals(second);
        self.flush_passes(second);
        if self.unrecorded.settle(&self.ledger) {
            // It takes counts again, and those routes whose requests pass uncounted hand over no others.
            self.are_counts_lost.store(false, Ordering::Relaxed);
        }
        if let Err(error) = self.handles.retry() {
            tracing::error!(error = causes(&error), "new principals get no handle, and are refused");
        }
    }

    fn flush_passes(&self, second: &str) {
        let counts = match self.passes.lock() {
            Ok(mut passes) => std::mem::take(&mut passes.counts),
            Err(_) => return,
        };
        if counts.is_empty() {
            return;
        }
        let count = |((route, why, source, status), count)| PassCount { route, why, source, status, count };
        let counts = counts.into_iter().map(count).collect();
        self.append_counts(Entry::Passes(Passes { second: second.to_owned(), counts }));
    }

    fn flush_refusals(&self, second: &str) {
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
        self.append_counts(Entry::Refusals(Refusals { second: second.to_owned(), counts }));
    }

    fn append_counts(&self, entry: Entry) {
        let appended = self.ledger.append_soon(entry);
        self.are_counts_lost.store(appended.is_err(), Ordering::Relaxed);
        if let Err(error) = appended {
            tracing::error!(error = %error, "counts could not be handed to the ledger");
        }
    }

    /// Makes any other entry durable.
    pub async fn append(&self, entry: Entry) -> Result<(), Problem> {
        self.append_as(entry, Durability::Sync).await
    }

    /// Records an entry that belongs to a decision which was recorded so.
    pub async fn append_as(&self, entry: Entry, durability: Durability) -> Result<(), Problem> {
        self.recorded(entry, durability).await.map_err(|error| unavailable(&error))
    }

    async fn recorded(&self, entry: Entry, durability: Durability) -> Result<(), LedgerError> {
        let stopwatch = Stopwatch::start();
        let appended = self.ledger.append_as(entry, durability).await;
        appended.map(|_| self.metrics.ledger_append(stopwatch.elapsed()))
    }

    fn append_soon(&self, entry: Entry, durability: Durability) {
        match Waiting::new(entry, durability) {
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
    Problem::new(Reason::LedgerUnavailable).internal(causes(error))
}

/// Outcomes that wait for room in the ledger's queue; beyond that they are lost, and the log says so.
const OWED_MAX: usize = 65_536;

/// Sources told apart within one second; beyond that they are counted together.
const REFUSAL_SOURCES_MAX: usize = 1024;
