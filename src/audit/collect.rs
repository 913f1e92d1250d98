//! Collects the latest items of a ledger, and what is added while somebody watches.
//!
//! Promises: reading always starts at the beginning of a segment, so that every field set is spelled; what is kept is
//! bounded; lines of one decision are told as one. Never opens a file itself, and never writes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;

use serde_json::{Value, json};

use super::dictionary::Dictionary;
use super::item::{Item, list, text};
use crate::ledger::error::LedgerError;
use crate::ledger::read::{Line, Tail, segment_starts};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this decision.
    pub id: Option<String>,
    /// Only decisions on this principal's requests, by handle.
    pub who: Option<String>,
    /// Only these kinds; empty for all.
    pub kinds: Vec<String>,
    /// Nothing before this entry.
    pub from_seq: u64,
    /// How many decisions are kept; where the kinds leave decisions out, how many items.
    pub last: usize,
}

/// A ledger that is being read.
pub struct Reading {
    tail: Tail,
    collector: Collector,
}

impl Reading {
    /// Reads what the filter asks for, up to the present end. The error tells why it could not read on; what it had read
    /// until then is there all the same.
    ///
    /// # Errors
    /// The segments cannot be listed.
    pub fn open(state: &Path, filter: &Filter) -> Result<(Self, Result<(), LedgerError>), LedgerError> {
        let starts = segment_starts(state)?;
        let mut segments = 1;
        if filter.from_seq > 0 {
            segments = starts.len() - starts.iter().rposition(|start| *start <= filter.from_seq).unwrap_or(0);
        }
        loop {
            let at = starts.len().saturating_sub(segments);
            let mut reading = Self::new(state, starts.get(at).copied().unwrap_or(0), filter.clone());
            let result = reading.catch_up();
            if at == 0 || filter.from_seq > 0 || result.is_err() || reading.collector.is_full() {
                return Ok((reading, result));
            }
            // Twice as many segments each time: in all, no line is read more than a few times.
            segments *= 2;
        }
    }

    /// Reads up to the present end.
    ///
    /// # Errors
    /// The first flaw of the files.
    pub fn catch_up(&mut self) -> Result<(), LedgerError> {
        while let Some(line) = self.tail.next_available()? {
            self.collector.take(line);
        }
        Ok(())
    }

    /// The items that were collected since the last call. A decision whose outcome is not yet known is told without it,
    /// and its outcome later by itself.
    pub fn drain(&mut self) -> Vec<Item> {
        self.collector.drain()
    }

    fn new(state: &Path, from_seq: u64, filter: Filter) -> Self {
        Self { tail: Tail::new(state, from_seq), collector: Collector::new(filter) }
    }
}

struct Collector {
    filter: Filter,
    dictionary: Dictionary,
    items: VecDeque<Item>,
    /// How many items were ever taken out.
    gone: usize,
    /// Where each decision stands, counted from the first item ever.
    places: HashMap<String, usize>,
    decisions: usize,
    /// Decisions that were told without their outcome.
    open: HashSet<String>,
}

impl Collector {
    fn new(filter: Filter) -> Self {
        Self {
            filter,
            dictionary: Dictionary::default(),
            items: VecDeque::new(),
            gone: 0,
            places: HashMap::new(),
            decisions: 0,
            open: HashSet::new(),
        }
    }

    fn take(&mut self, line: Line) {
        let seq = line.place.seq;
        let Some((kind, entry)) = self.dictionary.read(line) else { return };
        if let Some(last) = self.items.back_mut().filter(|last| last.continues_with(&kind, &entry)) {
            return last.join(&entry);
        }
        if matches!(kind.as_str(), "shown" | "outcome" | "delivery" | "alarm" | "observed") {
            let of = text(&entry, "of").to_owned();
            if let Some(item) = self.decision(&of) {
                return item.add_later(entry);
            }
            // What belongs to a decision that nobody asked for is not asked for either.
            let is_awaited = self.open.contains(&of);
            if kind == "outcome" {
                self.open.remove(&of);
            }
            if !is_awaited && (kind != "alarm" || !self.wants(&kind, &entry, seq)) {
                return;
            }
            return self.push(Item::new(&kind, entry));
        }
        if self.wants(&kind, &entry, seq) {
            match self.items.back_mut().filter(|last| is_counted(&kind) && last.kind == kind) {
                Some(last) => add_counts(&mut last.entry, &entry),
                None => self.push(Item::new(&kind, entry)),
            }
        }
    }

    fn wants(&self, kind: &str, entry: &Value, seq: u64) -> bool {
        let filter = &self.filter;
        let who = entry.get("who").map(|who| text(who, "handle"));
        let fits = |wanted: &Option<String>, found: Option<&str>| match wanted {
            Some(wanted) => found == Some(wanted.as_str()),
            None => true,
        };
        seq >= filter.from_seq
            && (filter.kinds.is_empty() || filter.kinds.iter().any(|wanted| wanted == kind))
            && fits(&filter.id, entry.get("id").or(entry.get("of")).and_then(Value::as_str))
            && fits(&filter.who, who)
    }

    fn decision(&mut self, id: &str) -> Option<&mut Item> {
        let place = self.places.get(id)?.checked_sub(self.gone)?;
        self.items.get_mut(place)
    }

    fn push(&mut self, item: Item) {
        if let (Some(id), "decision") = (&item.id, item.kind.as_str()) {
            self.places.insert(id.clone(), self.gone + self.items.len());
        }
        self.decisions += usize::from(self.counts(&item));
        self.items.push_back(item);
        while self.decisions > self.filter.last
            || self.items.len() > self.filter.last.saturating_mul(OTHERS_MAX)
        {
            let Some(first) = self.items.pop_front() else { return };
            self.forget(&first);
        }
    }

    fn forget(&mut self, item: &Item) {
        self.gone += 1;
        self.decisions -= usize::from(self.counts(item));
        if let Some(id) = &item.id {
            self.places.remove(id);
        }
    }

    /// Whether an item counts against the limit.
    fn counts(&self, item: &Item) -> bool {
        let kinds = &self.filter.kinds;
        item.kind == "decision" || !(kinds.is_empty() || kinds.iter().any(|kind| kind == "decision"))
    }

    fn is_full(&self) -> bool {
        self.decisions >= self.filter.last || (self.filter.id.is_some() && !self.items.is_empty())
    }

    fn drain(&mut self) -> Vec<Item> {
        let mut drained = Vec::new();
        while let Some(item) = self.items.pop_front() {
            self.forget(&item);
            if let Some(id) = item.id.as_ref().filter(|_| !item.is_closed()) {
                self.open.insert(id.clone());
            }
            drained.push(item);
        }
        drained
    }
}

/// Whether entries of a kind are counts of one second.
fn is_counted(kind: &str) -> bool {
    matches!(kind, "refusals" | "passes")
}

/// Adds up counts of several seconds, so that a flood of them is one item.
fn add_counts(total: &mut Value, more: &Value) {
    let key = |count: &Value| {
        let status = count.get("status").and_then(Value::as_u64);
        (["reason", "route", "source"].map(|name| text(count, name).to_owned()), status)
    };
    let number = |count: &Value| count.get("count").and_then(Value::as_u64).unwrap_or(0);
    let mut counts = list(total, "counts").to_vec();
    for count in list(more, "counts") {
        let is_full = counts.len() >= SOURCES_MAX;
        match counts.iter_mut().find(|known| key(known) == key(count)) {
            Some(known) => {
                let sum = number(known).saturating_add(number(count));
                if let Some(known) = known.as_object_mut() {
                    known.insert("count".to_owned(), json!(sum));
                }
            }
            None if is_full => {}
            None => counts.push(count.clone()),
        }
    }
    if let Some(members) = total.as_object_mut() {
        members.insert("counts".to_owned(), Value::Array(counts));
        members.insert("until".to_owned(), json!(text(more, "second")));
    }
}

/// For each decision that is kept, so many other items may be.
const OTHERS_MAX: usize = 10;

/// Sources and reasons that are told apart in one item; a flood from more of them is cut there.
const SOURCES_MAX: usize = 1_000;
