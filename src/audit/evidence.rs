//! Finds the lines that tell of decisions, for evidence: their own, what they showed, their outcomes, and the field sets that they name.
//!
//! Promises: what is found explains itself; memory is bounded by one segment's field sets, and by one decision where that is collected.
//! Never writes.

use std::collections::{BTreeMap, HashMap};
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
    let (mut found, mut is_closed) = (BTreeMap::new(), false);
    visit(
        state,
        |line| tells_of(line, id),
        |seq, bytes, line| {
            is_closed |= line.kind == "outcome";
            found.insert(seq, bytes.to_vec());
            Ok::<(), LedgerError>(())
        },
    )?;
    Ok(Entries { lines: found.into_iter().collect(), is_closed })
}

/// Visits the lines that are asked for, each behind the field sets that it names, with their numbers and the line itself. A field set
/// that several lines name is visited with each.
///
/// # Errors
/// The first flaw of the files, or the visitor's own.
pub fn visit<E: From<LedgerError>>(
    state: &Path,
    is_asked: impl Fn(&Line) -> bool,
    mut take: impl FnMut(u64, &[u8], &Line) -> Result<(), E>,
) -> Result<(), E> {
    let mut tail = Tail::new(state, 0);
    let mut sets: HashMap<String, (u64, Vec<u8>)> = HashMap::new();
    while let Some(line) = tail.next_available()? {
        match line.kind.as_str() {
            "segment" => sets.clear(),
            "fields" => drop(sets.insert(text(&line.value, "set").to_owned(), (line.place.seq, line.bytes))),
            _ if is_asked(&line) => {
                for (seq, bytes) in named(&line.value).filter_map(|set| sets.get(set)) {
                    take(*seq, bytes, &line)?;
                }
                take(line.place.seq, &line.bytes, &line)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn tells_of(line: &Line, id: &str) -> bool {
    text(&line.value, "id") == id || text(&line.value, "of") == id
}

/// The field sets that an entry names.
fn named(entry: &Value) -> impl Iterator<Item = &str> {
    let sets = list(entry, "sets").iter();
    sets.flat_map(|set| SPELLED.iter().filter_map(|member| set.get(*member)?.as_str()))
}
