//! Recording: every outcome goes to the ledger, and what must be durable is durable before anybody acts on it.
//!
//! Promises: no write is forwarded and no body is released before its decision entry is on disk. Refusals before
//! identity are counted per second, source and reason, so that a flood cannot fill the disk.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::trail::{End, Trail};
use crate::ledger::append::Ledger;
use crate::ledger::entry::{Delivered, Delivery, Entry, RefusalCount, Refusals};
use crate::ledger::handles::Handles;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// The way to the ledger.
pub struct Recorder {
    ledger: Ledger,
    handles: Handles,
    refusals: Mutex<RefusalCounts>,
}

#[derive(Default)]
struct RefusalCounts {
    counts: BTreeMap<(&'static str, String), u64>,
}

impl Recorder {
    /// A recorder over an open ledger.
    pub fn new(ledger: Ledger, handles: Handles) -> Self {
        Self { ledger, handles, refusals: Mutex::default() }
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
        self.append(trail.decision(handle, problem)).await?;
        trail.is_decided = true;
        trail.is_would_told = trail.observed.as_ref().is_some_and(|observed| observed.would().is_some());
        Ok(())
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

    /// Writes what was counted since the last call; called once a second with that second's text.
    pub fn flush_refusals(&self, second: &str) {
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
        let appended = self.ledger.append(entry).await;
        appended
            .map(|_| ())
            .map_err(|error| Problem::new(Reason::LedgerUnavailable).internal(error.to_string()))
    }

    fn append_soon(&self, entry: Entry) {
        if let Err(error) = self.ledger.append_soon(entry) {
            tracing::error!(error = %error, "an entry could not be handed to the ledger");
        }
    }
}

/// Sources told apart within one second; beyond that they are counted together.
const REFUSAL_SOURCES_MAX: usize = 1024;
