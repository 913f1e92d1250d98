//! Turning an entry into the bytes that the writer thread only has to number: done by whoever hands it over.
//!
//! Promises: what is prepared fits; the writer can place it without a further error.
//! Never numbers, times or checksums anything.

use std::collections::HashSet;

use serde::Serialize;

use super::durability::Durability;
use super::entry::{Entry, Sets};
use super::error::LedgerError;
use super::field_set::FieldSet;
use super::line::OBJECT_BYTES_MAX;
use super::own::{DECISION, GAP, OUTCOME, REMOVAL};
use super::split;

/// The most that one entry may take over all its parts, in bytes.
pub const ENTRY_BYTES_MAX: usize = 8 << 20;

/// An entry, ready to be numbered and written.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Its kind.
    pub(super) kind: &'static str,
    /// Its JSON objects, one for each line.
    pub(super) objects: Vec<Vec<u8>>,
    /// The field sets that it names.
    pub(super) sets: Vec<FieldSet>,
    /// What it does to the list of open decisions.
    pub(super) effect: OpenEffect,
    /// When it is acknowledged.
    pub(super) durability: Durability,
}

/// What an entry does to the list of open decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OpenEffect {
    /// Nothing.
    None,
    /// A decision opens.
    Opens(String),
    /// An outcome closes one.
    Closes(String),
}

impl Prepared {
    /// The bytes of its objects, of which its lines have somewhat more.
    pub(super) fn bytes(&self) -> usize {
        self.objects.iter().map(Vec::len).sum()
    }

    /// One of the ledger's own entries.
    pub(super) fn own<E: Serialize>(kind: &'static str, entry: &E) -> Result<Self, LedgerError> {
        Ok(plain(kind, vec![split::fitting(kind, entry)?]))
    }

    /// The last entry of a life.
    pub(super) fn stop() -> Self {
        plain("stop", vec![b"{}".to_vec()])
    }
}

impl Entry {
    /// The entry as bytes; acknowledged once it is synced, unless that is changed.
    pub(super) fn prepare(&self) -> Result<Prepared, LedgerError> {
        let prepared = match self {
            Self::Start(start) => Prepared::own("start", start)?,
            Self::Decision(decision) => Prepared {
                sets: field_sets(&decision.sets),
                effect: OpenEffect::Opens(decision.id.clone()),
                ..plain(DECISION, split::encode(DECISION, decision.as_ref())?)
            },
            Self::Shown(shown) => Prepared {
                sets: field_sets(&shown.sets),
                ..plain("shown", split::encode("shown", shown.as_ref())?)
            },
            Self::Outcome(outcome) => Prepared {
                sets: field_sets(&outcome.sets),
                effect: OpenEffect::Closes(outcome.of.clone()),
                ..plain(OUTCOME, split::encode(OUTCOME, outcome)?)
            },
            Self::Observed(observed) => Prepared::own("observed", observed)?,
            Self::Delivery(delivery) => Prepared::own("delivery", delivery)?,
            Self::Refusals(refusals) => plain("refusals", split::encode("refusals", refusals)?),
            Self::Passes(passes) => plain("passes", split::encode("passes", passes)?),
            Self::Unrecorded(unrecorded) => plain(GAP, split::encode(GAP, unrecorded)?),
            Self::Revision(revision) => plain("revision", split::encode("revision", revision)?),
            Self::Alarm(alarm) => Prepared::own("alarm", alarm)?,
            Self::Clock(step) => Prepared::own("clock", step)?,
            Self::Config(configured) => Prepared::own("config", configured)?,
            Self::Erasure(erasure) => Prepared::own("erasure", erasure)?,
            Self::Read(read) => Prepared::own("read", read)?,
            Self::Review(review) => Prepared::own("review", review)?,
            Self::Sink(sink) => Prepared::own("sink", sink)?,
            Self::Removal(removal) => Prepared::own(REMOVAL, removal)?,
        };
        within_limits(prepared)
    }
}

fn plain(kind: &'static str, objects: Vec<Vec<u8>>) -> Prepared {
    Prepared { kind, objects, sets: Vec::new(), effect: OpenEffect::None, durability: Durability::Sync }
}

/// The entry, unless it or a field set that it names is over a limit.
pub(super) fn within_limits(prepared: Prepared) -> Result<Prepared, LedgerError> {
    let (kind, bytes) = (prepared.kind, prepared.bytes());
    if bytes > ENTRY_BYTES_MAX {
        return Err(LedgerError::EntryTooLarge { kind, bytes, limit: ENTRY_BYTES_MAX });
    }
    let largest = prepared.sets.iter().map(|set| set.object().len()).max().unwrap_or_default();
    if largest > OBJECT_BYTES_MAX {
        return Err(LedgerError::EntryTooLarge { kind: "fields", bytes: largest, limit: OBJECT_BYTES_MAX });
    }
    Ok(prepared)
}

/// The sets that the entry names, each once.
fn field_sets(sets: &[Sets]) -> Vec<FieldSet> {
    let mut ids = HashSet::new();
    let named = sets.iter().flat_map(|sets| [&sets.shown, &sets.hidden, &sets.masked]);
    named.filter(|set| !set.is_empty() && ids.insert(set.id())).cloned().collect()
}
