//! What an answer showed and held back, grouped for the ledger: records that had the same outcome stand together.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use super::super::decide::gate::{RecordVerdict, Visibility};
use crate::bundle::profile::types::RecordType;
use crate::json::value::NodeId;
use crate::model::reason::Reason;

/// The fields that one record carried, by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// By field index; the index after the last field stands for all keys that no field claims.
    fields: Vec<Option<Visibility>>,
}

impl Seen {
    /// Notes that a field, or a twin of it, was there.
    pub fn note(&mut self, index: usize, visibility: Visibility) {
        if self.fields.len() <= index {
            self.fields.resize(index + 1, None);
        }
        if let Some(field) = self.fields.get_mut(index) {
            *field = Some(visibility);
        }
    }

    /// What became of a field, by its index; `None` if the record did not carry it.
    pub fn of(&self, index: usize) -> Option<Visibility> {
        self.fields.get(index).copied().flatten()
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

impl Outcome {
    /// What a record of that verdict got, by what it had.
    pub fn of(names: &FieldNames, verdict: &RecordVerdict, seen: &Seen) -> Self {
        let mut outcome = Self {
            type_name: names.type_name.clone(),
            shown: Vec::new(),
            hidden: Vec::new(),
            masked: Vec::new(),
            policies: verdict.policies.clone(),
        };
        for (name, index) in &names.sorted {
            let list = match seen.of(*index) {
                None => continue,
                Some(Visibility::Shown) => &mut outcome.shown,
                Some(Visibility::Hidden) => &mut outcome.hidden,
                Some(Visibility::Masked) => &mut outcome.masked,
            };
            list.push(name.clone());
        }
        outcome
    }
}

/// The full names of a type's fields.
#[derive(Clone, Debug)]
pub struct FieldNames {
    type_name: String,
    /// In the order of the names, with the fields' indices.
    sorted: Vec<(String, usize)>,
}

impl FieldNames {
    /// Those of a type, with the one that stands for all unknown keys.
    pub fn of(record_type: &RecordType) -> Self {
        let indices = 0..=record_type.fields.len();
        let mut sorted: Vec<_> = indices.map(|index| (record_type.field_name(index), index)).collect();
        sorted.sort();
        Self { type_name: record_type.name.clone(), sorted }
    }
}

impl HiddenRow {
    /// Why a record of that verdict was not shown.
    pub fn of(type_name: &str, verdict: &RecordVerdict) -> Self {
        Self {
            type_name: type_name.to_owned(),
            reason: verdict.view.reason.unwrap_or(Reason::NoPermit).code(),
            attribute: verdict.view.attribute.clone(),
            policies: verdict.view.determining.clone(),
        }
    }
}

impl ShownSets {
    /// Adds a record that was shown.
    pub fn add(&mut self, record_type: &RecordType, id: &str, verdict: &RecordVerdict, seen: &Seen) {
        let outcome = Outcome::of(&FieldNames::of(record_type), verdict, seen);
        self.sets.entry(outcome).or_default().push(id.to_owned());
        self.note_errors(verdict);
    }

    /// Adds a record that was not shown.
    pub fn hide_row(&mut self, type_name: &str, id: &str, verdict: &RecordVerdict) {
        self.rows_hidden.entry(HiddenRow::of(type_name, verdict)).or_default().push(id.to_owned());
        self.note_errors(verdict);
    }

    /// Adds records that were not shown, as they were met elsewhere.
    pub fn join(&mut self, hidden: Self) {
        for (why, mut ids) in hidden.rows_hidden {
            self.rows_hidden.entry(why).or_default().append(&mut ids);
        }
        self.errors.extend(hidden.errors);
        self.errors.sort();
        self.errors.dedup();
    }

    /// Adds the policies that failed on a record.
    pub fn note_errors(&mut self, verdict: &RecordVerdict) {
        if verdict.errors.is_empty() {
            return;
        }
        self.errors.extend(verdict.errors.iter().cloned());
        self.errors.sort();
        self.errors.dedup();
    }
}
