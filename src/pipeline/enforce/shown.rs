//! What an answer showed and held back, grouped for the ledger: records that had the same outcome stand together.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use super::super::decide::gate::{RecordVerdict, Visibility};
use crate::bundle::profile::types::RecordType;
use crate::json::value::NodeId;
use crate::model::reason::Reason;

/// The fields that one record carried, by what became of them.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    fields: BTreeMap<usize, Visibility>,
}

impl Seen {
    /// Notes that a field, or a twin of it, was there.
    pub fn note(&mut self, index: usize, visibility: Visibility) {
        self.fields.insert(index, visibility);
    }

    /// What became of a field, by its index; `None` if the record did not carry it. The index after the last field stands
    /// for all keys that no field claims.
    pub fn of(&self, index: usize) -> Option<Visibility> {
        self.fields.get(&index).copied()
    }

    fn names(&self, record_type: &RecordType, wanted: Visibility) -> Vec<String> {
        let fields = self.fields.iter().filter(|(_, visibility)| **visibility == wanted);
        let mut names: Vec<String> = fields.map(|(index, _)| record_type.field_name(*index)).collect();
        names.sort();
        names
    }
}

/// Collects what each record carried, for explaining; the request path does not.
pub type Watch = RefCell<HashMap<NodeId, Seen>>;

/// The outcomes of an answer's records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownSets {
    /// Records that were shown, by outcome.
    pub sets: BTreeMap<Outcome, Vec<String>>,
    /// Records that were not, by why.
    pub rows_hidden: BTreeMap<HiddenRow, Vec<String>>,
    /// Every policy that failed to evaluate.
    pub errors: Vec<String>,
}

/// One outcome that records share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    /// The record type.
    pub type_name: String,
    /// Full names of the fields that left.
    pub shown: Vec<String>,
    /// Full names of the fields that were held back.
    pub hidden: Vec<String>,
    /// Full names of the fields that left masked.
    pub masked: Vec<String>,
    /// The determining policies.
    pub policies: Vec<String>,
}

/// Why records were not shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HiddenRow {
    /// The record type.
    pub type_name: String,
    /// The reason's code.
    pub reason: &'static str,
    /// The attribute that could not be used, where that is why.
    pub attribute: Option<String>,
    /// The determining policies.
    pub policies: Vec<String>,
}

impl ShownSets {
    /// Adds a record that was shown.
    pub fn add(&mut self, record_type: &RecordType, id: &str, verdict: &RecordVerdict, seen: Seen) {
        let outcome = Outcome {
            type_name: record_type.name.clone(),
            shown: seen.names(record_type, Visibility::Shown),
            hidden: seen.names(record_type, Visibility::Hidden),
            masked: seen.names(record_type, Visibility::Masked),
            policies: verdict.policies.clone(),
        };
        self.sets.entry(outcome).or_default().push(id.to_owned());
        self.note_errors(verdict);
    }

    /// Adds a record that was not shown.
    pub fn hide_row(&mut self, type_name: &str, id: &str, verdict: &RecordVerdict) {
        let why = HiddenRow {
            type_name: type_name.to_owned(),
            reason: verdict.view.reason.unwrap_or(Reason::NoPermit).code(),
            attribute: verdict.view.attribute.clone(),
            policies: verdict.view.determining.clone(),
        };
        self.rows_hidden.entry(why).or_default().push(id.to_owned());
        self.note_errors(verdict);
    }

    fn note_errors(&mut self, verdict: &RecordVerdict) {
        self.errors.extend(verdict.errors.iter().cloned());
        self.errors.sort();
        self.errors.dedup();
    }
}
