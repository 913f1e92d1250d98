//! The verdict that holds on every record of a type, whatever its attributes (PDP): what is left to say of a record whose
//! attributes were not carried.
//!
//! Promises: shows nothing that a decision on the record could hide; what depends on the record is hidden.

use std::sync::Arc;

use super::always::{Outcome, on_every_record};
use super::gate::{RecordVerdict, Visibility};
use crate::bundle::current::Snapshot;
use crate::bundle::profile::types::RecordType;
use crate::model::decision::Decision;
use crate::model::principal::Asker;
use crate::model::reason::Reason;

/// What a principal may see of every record of a type.
pub struct Whatever {
    /// The verdict.
    pub verdict: Arc<RecordVerdict>,
    /// Whether knowing the record could change nothing.
    pub is_settled: bool,
}

impl Whatever {
    /// Asks for a principal and a moment.
    pub fn new(snapshot: &Snapshot, asker: &Asker, record_type: &RecordType) -> Self {
        let count = record_type.fields.len() + 1;
        let view = on_every_record(snapshot, asker, "view", &record_type.name, None);
        let Outcome::Allow(determining) = view else {
            let denied = RecordVerdict::hidden(Decision::deny(Reason::AttributeNotCarried), count);
            return Self { verdict: Arc::new(denied), is_settled: false };
        };
        let mut whatever = Fields { fields: vec![Visibility::Hidden; count], is_settled: true };
        for (action, shown) in [("readFieldMasked", Visibility::Masked), ("readField", Visibility::Shown)] {
            let Some(slice) = snapshot.bundle.slices.of(action, &record_type.name) else { continue };
            // What the slice cannot tell apart has one outcome.
            for class in &slice.field_classes {
                let Some(first) = class.first() else { continue };
                let name = record_type.field_name(*first);
                let outcome = on_every_record(snapshot, asker, action, &record_type.name, Some(&name));
                whatever.note(class, &outcome, shown);
            }
        }
        let Fields { fields, is_settled } = whatever;
        let view = Decision::allow(determining.clone());
        let verdict = RecordVerdict { view, fields, policies: determining, errors: Vec::new() };
        Self { verdict: Arc::new(verdict), is_settled }
    }

    /// What it takes, in bytes.
    pub fn weight(&self) -> usize {
        let names: usize = self.verdict.policies.iter().map(|name| name.len() + size_of::<String>()).sum();
        // The policies of `view` are named twice.
        size_of::<RecordVerdict>() + size_of_val(self.verdict.fields.as_slice()) + 2 * names
    }
}

struct Fields {
    fields: Vec<Visibility>,
    is_settled: bool,
}

impl Fields {
    fn note(&mut self, class: &[usize], outcome: &Outcome, shown: Visibility) {
        self.is_settled = self.is_settled && *outcome != Outcome::Depends;
        for index in class.iter().filter(|_| outcome.is_allow()) {
            if let Some(field) = self.fields.get_mut(*index) {
                *field = shown;
            }
        }
    }
}
