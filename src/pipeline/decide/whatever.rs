//! The verdict that holds on every record of a type, whatever its attributes (PDP): what is left to say of a record whose
//! attributes were not carried.
//!
//! Promises: shows nothing that a decision on the record could hide; what depends on the record is hidden.

use std::sync::Arc;

use super::always;
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
        let (type_name, count) = (&record_type.name, record_type.fields.len() + 1);
        let Some(determining) = always::views_every_record_by(snapshot, asker, type_name) else {
            let denied = RecordVerdict::denied(Decision::deny(Reason::AttributeNotCarried), count);
            return Self { verdict: Arc::new(denied), is_settled: false };
        };
        let mut fields = Vec::new();
        let mut is_settled = true;
        for index in 0..count {
            let name = record_type.field_name(index);
            if always::reads_on_every_record(snapshot, asker, type_name, &name) {
                fields.push(Visibility::Shown);
                continue;
            }
            let is_masked = always::reads_masked_on_every_record(snapshot, asker, type_name, &name);
            fields.push(if is_masked { Visibility::Masked } else { Visibility::Hidden });
            let settled = |action| always::is_settled(snapshot, asker, action, type_name, &name);
            is_settled = is_settled && settled("readField") && settled("readFieldMasked");
        }
        let view = Decision::allow(determining.clone());
        let verdict = RecordVerdict { view, fields, policies: determining, errors: Vec::new() };
        Self { verdict: Arc::new(verdict), is_settled }
    }
}
