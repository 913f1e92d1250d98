//! Records with one outcome, collected for the ledger while they pass.

use std::collections::HashMap;

use super::super::super::decide::gate::RecordVerdict;
use super::super::shown::{FieldNames, HiddenRow, Outcome, Seen, ShownSets};

/// The outcomes so far.
#[derive(Debug, Default)]
pub struct Groups {
    /// By what a record has and what it got: the number of its group.
    known: HashMap<Vec<u64>, usize>,
    /// The last record's of each type, as most are like the one before.
    last: Vec<(Vec<u64>, usize)>,
    numbers: HashMap<Group, usize>,
    ids: Vec<Vec<String>>,
    /// Of records that were not shown, by type and verdict.
    rows: HashMap<(usize, u32), HiddenRow>,
    hidden: ShownSets,
    /// About how many bytes it takes to record all of it.
    noted: usize,
}

/// What records of one outcome have in common: type and verdict by number, and what became of the fields that they have.
type Group = (usize, u32, Seen);

impl Groups {
    /// The number of the outcome of records of a type with a fingerprint.
    pub fn known(&mut self, type_index: usize, fingerprint: &[u64]) -> Option<usize> {
        match self.last.get(type_index) {
            Some((last, number)) if last == fingerprint => Some(*number),
            _ => {
                let number = self.known.get(fingerprint).copied()?;
                if self.last.len() <= type_index {
                    self.last.resize(type_index + 1, (Vec::new(), 0));
                }
                if let Some(last) = self.last.get_mut(type_index) {
                    last.0.clear();
                    last.0.extend_from_slice(fingerprint);
                    last.1 = number;
                }
                Some(number)
            }
        }
    }

    /// About how many bytes it takes to record all of it.
    pub fn noted(&self) -> usize {
        self.noted
    }

    /// Adds a record of a known outcome.
    pub fn add_id(&mut self, number: usize, id: &str) {
        self.noted += id.len() + ID_BYTES;
        if let Some(ids) = self.ids.get_mut(number) {
            ids.push(id.to_owned());
        }
    }

    /// Adds a record that was shown, by the numbers of its type and verdict, and the policies that determined that; others of
    /// that fingerprint are like it.
    pub fn add(
        &mut self,
        fingerprint: Option<&[u64]>,
        (type_index, number): (usize, u32),
        policies: &[String],
        id: &str,
        seen: Seen,
    ) {
        let next = self.ids.len();
        let group = *self.numbers.entry((type_index, number, seen)).or_insert(next);
        if group == next {
            self.noted += outcome_bytes(policies);
            self.ids.push(Vec::new());
        }
        if let Some(fingerprint) = fingerprint.filter(|_| self.known.len() < FINGERPRINTS_MAX) {
            self.known.insert(fingerprint.to_vec(), group);
        }
        self.add_id(group, id);
    }

    /// Adds a record that was not shown, by the numbers of its type and verdict.
    pub fn hide(&mut self, numbers: (usize, u32), type_name: &str, id: &str, verdict: &RecordVerdict) {
        self.noted += id.len() + ID_BYTES;
        let why = self.rows.entry(numbers).or_insert_with(|| {
            self.noted += outcome_bytes(&verdict.view.determining);
            // Rows of one list may be hidden by verdicts with other errors.
            self.hidden.note_errors(verdict);
            HiddenRow::of(type_name, verdict)
        });
        match self.hidden.rows_hidden.get_mut(why) {
            Some(ids) => ids.push(id.to_owned()),
            None => self.hidden.hide_row(type_name, id, verdict),
        }
    }

    /// All of it, with the names of each type's fields and the verdict of each number.
    pub fn finish<'v>(
        mut self,
        names: impl Fn(usize) -> Option<&'v FieldNames>,
        verdict: impl Fn(u32) -> &'v RecordVerdict,
    ) -> ShownSets {
        for ((type_index, number, seen), group) in self.numbers {
            let (Some(names), Some(ids)) = (names(type_index), self.ids.get_mut(group)) else { continue };
            let verdict = verdict(number);
            let ids = std::mem::take(ids);
            self.hidden.sets.entry(Outcome::of(names, verdict, &seen)).or_default().extend(ids);
            self.hidden.note_errors(verdict);
        }
        self.hidden
    }
}

fn outcome_bytes(policies: &[String]) -> usize {
    policies.iter().fold(OUTCOME_BYTES, |bytes, policy| bytes + policy.len() + ID_BYTES)
}

/// What an id takes beside its text.
const ID_BYTES: usize = 8;
/// What an outcome takes beside ids and policies.
const OUTCOME_BYTES: usize = 512;
/// Fingerprints that are kept; records of further ones are looked at one by one.
const FINGERPRINTS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decision::Decision;
    use crate::model::reason::Reason;

    #[test]
    fn errors_of_every_verdict_that_hides_are_told() {
        let mut groups = Groups::default();
        let of = |policy: &str| {
            let verdict = RecordVerdict::hidden(Decision::deny(Reason::NoPermit), 1);
            RecordVerdict { errors: vec![policy.to_owned()], ..verdict }
        };
        let verdicts = [of("b"), of("a")];
        groups.hide((0, 0), "Deal", "1", &verdicts[0]);
        groups.hide((0, 1), "Deal", "2", &verdicts[1]);
        groups.hide((0, 0), "Deal", "3", &verdicts[0]);
        assert!(groups.noted() > 2 * OUTCOME_BYTES);
        let told = groups.finish(|_| None, |number| &verdicts[number as usize]);
        assert_eq!(told.errors, ["a", "b"]);
        assert_eq!(told.rows_hidden.values().collect::<Vec<_>>(), [&["1", "2", "3"]]);
    }
}
