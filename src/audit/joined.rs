//! The whole ledger as items, one after the other: a decision is given out when its outcome was read.
//!
//! Promises: everything is given out once, a decision without outcome at the end; what is held back is bounded, and the oldest leaves
//! first where it is more. Never writes.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use super::dictionary::Dictionary;
use super::item::{Item, text};
use crate::ledger::error::LedgerError;
use crate::ledger::read::{Line, Tail, segment_starts};

/// A walk through a ledger.
pub struct Joined {
    tail: Tail,
    dictionary: Dictionary,
    /// Decisions that wait for their outcome, by id.
    open: HashMap<String, Item>,
    /// Their ids, the oldest first; some of them may have left.
    order: VecDeque<String>,
    /// An item of which more parts may follow.
    begun: Option<Item>,
    ready: VecDeque<Item>,
    is_over: bool,
    /// Entries before this one only spell field sets.
    from_seq: u64,
}

impl Joined {
    /// From an entry on; 0 for all. Reading starts with the segment that holds it, since that spells the field sets that it names.
    ///
    /// # Errors
    /// The segments cannot be listed.
    pub fn new(state: &Path, from_seq: u64) -> Result<Self, LedgerError> {
        let starts = segment_starts(state)?;
        let start = starts.into_iter().rev().find(|start| *start <= from_seq).unwrap_or(0);
        Ok(Self {
            tail: Tail::new(state, start),
            dictionary: Dictionary::default(),
            open: HashMap::new(),
            order: VecDeque::new(),
            begun: None,
            ready: VecDeque::new(),
            is_over: false,
            from_seq,
        })
    }

    /// The next item; `None` at the present end, when all was given out.
    ///
    /// # Errors
    /// The first flaw of the files.
    pub fn next_item(&mut self) -> Result<Option<Item>, LedgerError> {
        while self.ready.is_empty() && !self.is_over {
            match self.tail.next_available()? {
                Some(line) => self.take(line),
                None => self.end(),
            }
        }
        Ok(self.ready.pop_front())
    }

    fn take(&mut self, line: Line) {
        let is_before = line.place.seq < self.from_seq;
        let Some((kind, entry)) = self.dictionary.read(line).filter(|_| !is_before) else { return };
        if let Some(begun) = self.begun.as_mut().filter(|begun| begun.continues_with(&kind, &entry)) {
            begun.join(&entry);
        } else {
            self.settle();
            if matches!(kind.as_str(), "shown" | "outcome" | "delivery" | "observed") {
                let of = text(&entry, "of").to_owned();
                if let Some(item) = self.open.get_mut(&of) {
                    let is_last = kind == "outcome" && is_last_part(&entry);
                    item.add_later(entry);
                    if is_last {
                        self.ready.extend(self.open.remove(&of));
                    }
                    return;
                }
            }
            self.begun = Some(Item::new(&kind, entry));
        }
        if self.begun.as_ref().is_some_and(|begun| !begun.is_partial) {
            self.settle();
        }
    }

    /// Puts an item that is whole where it belongs.
    fn settle(&mut self) {
        let Some(item) = self.begun.take() else { return };
        match item.id.clone().filter(|_| item.kind == "decision") {
            Some(id) => {
                self.order.push_back(id.clone());
                self.ready.extend(self.open.insert(id, item));
            }
            None => self.ready.push_back(item),
        }
        while self.open.len() > OPEN_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            self.ready.extend(self.open.remove(&oldest));
        }
        if self.order.len() > 2 * OPEN_MAX {
            self.order.retain(|id| self.open.contains_key(id));
        }
        // Ids of decisions that have left.
        while self.order.front().is_some_and(|oldest| !self.open.contains_key(oldest)) {
            self.order.pop_front();
        }
    }

    fn end(&mut self) {
        self.settle();
        while let Some(oldest) = self.order.pop_front() {
            self.ready.extend(self.open.remove(&oldest));
        }
        self.is_over = true;
    }
}

/// Whether no further part of an entry follows.
fn is_last_part(entry: &serde_json::Value) -> bool {
    let number = |member: &str| entry.get("part").and_then(|part| part.get(member)?.as_u64());
    number("n") == number("of")
}

/// Decisions that may wait for their outcome; more at once than a service has requests under way.
pub const OPEN_MAX: usize = 65_536;
