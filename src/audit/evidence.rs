//! Finds the lines that tell of one decision, for evidence: its own, what it showed, its outcome, and the field sets that they name.
//!
//! Promises: what is found explains itself; memory is bounded by one decision and one segment's field sets. Never writes.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use super::dictionary::SPELLED;
use super::item::{list, text};
use crate::ledger::error::LedgerError;
use crate::ledger::read::{Line, Tail};

/// The lines that tell of one decision, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// Each line without its line feed, in the order of the ledger.
    pub lines: Vec<(u64, Vec<u8>)>,
    /// Whether its outcome is among them.
    pub is_closed: bool,
}

/// Looks through the whole ledger under a state folder.
///
/// # Errors
/// The first flaw of the files.
pub fn entries_of(state: &Path, id: &str) -> Result<Entries, LedgerError> {
    let (mut tail, mut found) = (Tail::new(state, 0), Entries::default());
    let mut sets: HashMap<String, (u64, Vec<u8>)> = HashMap::new();
    while let Some(line) = tail.next_available()? {
        match line.kind.as_str() {
            "segment" => sets.clear(),
            "fields" => drop(sets.insert(text(&line.value, "set").to_owned(), (line.place.seq, line.bytes))),
            _ if tells_of(&line, id) => {
                for set in named(&line.value) {
                    found.lines.extend(sets.remove(set));
                }
                found.is_closed |= line.kind == "outcome";
                found.lines.push((line.place.seq, line.bytes));
            }
            _ => {}
        }
    }
    found.lines.sort_unstable();
    Ok(found)
}

fn tells_of(line: &Line, id: &str) -> bool {
    text(&line.value, "id") == id || text(&line.value, "of") == id
}

/// The field sets that an entry names.
fn named(entry: &Value) -> impl Iterator<Item = &str> {
    let sets = list(entry, "sets").iter();
    sets.flat_map(|set| SPELLED.iter().filter_map(|member| set.get(*member)?.as_str()))
}
