//! `audit query --proof`: evidence for every entry that an answer tells of, as `audit prove` makes it.
//!
//! Promises: the ledger is read once for all rows, and memory holds the numbers of the entries and the field sets of one segment. A proof
//! is of the line as it was written, whatever the index says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::told::Row;
use crate::audit::evidence;
use crate::audit::item::text;
use crate::cli::evidence::{ProofError, Proofs};
use crate::ledger::read::Line;

/// Which proofs belong to which rows.
pub struct Attached {
    /// The numbers of the entries, by what a row is about.
    by_row: BTreeMap<Key, BTreeSet<u64>>,
    /// The entries whose proofs were written.
    written: BTreeSet<u64>,
    /// What to say of those that are too young, if there are any.
    pub early: Option<String>,
}

/// Writes the proofs of all entries that rows tell of into a folder.
pub fn attach(rows: &[Row], state: &Path, out: &Path) -> Result<Attached, ProofError> {
    let proofs = Proofs::into_folder(state, out)?;
    let mut by_row: BTreeMap<Key, BTreeSet<u64>> =
        rows.iter().map(|row| (Key::of(row), BTreeSet::new())).collect();
    let (mut written, mut early) = (BTreeSet::new(), BTreeSet::new());
    let asked = |line: &Line| -> Option<Key> {
        let decisions = ["id", "of"].map(|member| Key::Decision(text(&line.value, member).to_owned()));
        let keys = decisions.into_iter().chain([Key::Entry(line.place.seq)]);
        keys.into_iter().find(|key| by_row.contains_key(key))
    };
    let mut found: Vec<(Key, u64)> = Vec::new();
    evidence::visit(
        state,
        |line| asked(line).is_some(),
        |seq, bytes, of| {
            found.extend(asked(of).map(|key| (key, seq)));
            if written.contains(&seq) || early.contains(&seq) {
                return Ok(());
            }
            match proofs.put(seq, bytes)? {
                Some(_) => written.insert(seq),
                None => early.insert(seq),
            };
            Ok::<(), ProofError>(())
        },
    )?;
    for (key, seq) in found {
        by_row.entry(key).or_default().insert(seq);
    }
    let early = (!early.is_empty()).then(|| proofs.told_early(early.len(), written.len() + early.len()));
    Ok(Attached { by_row, written, early })
}

impl Attached {
    /// How many proofs were written.
    pub fn count(&self) -> usize {
        self.written.len()
    }

    /// The files of a row's proofs.
    pub fn of(&self, row: &Row) -> Value {
        let entries = self.by_row.get(&Key::of(row)).into_iter().flatten();
        entries.filter(|seq| self.written.contains(seq)).map(|seq| json!(Proofs::file_name(*seq))).collect()
    }
}

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Decision(String),
    Entry(u64),
}

impl Key {
    fn of(row: &Row) -> Self {
        match row {
            Row::Saw(sighting) => Self::Decision(sighting.act.id.clone()),
            Row::Act(act, _) => Self::Decision(act.id.clone()),
            Row::Move(found, _) => Self::Decision(found.act.id.clone()),
            Row::Read(reading) => Self::Entry(reading.seq),
        }
    }
}
