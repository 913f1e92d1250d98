//! The verdict that holds on every record of a type, whatever its attributes (PDP): what is left to say of a record whose
//! attributes were not carried.
//!
//! Promises: shows nothing that a decision on the record could hide; what depends on the record is hidden.

use super::always;
use super::gate::{RecordVerdict, Visibility};
use crate::bundle::current::Snapshot;
use crate::bundle::profile::types::RecordType;
use crate::model::decision::Decision;
use crate::model::principal::EntityRef;
use crate::model::reason::Reason;

/// What the principal may see of every record of a type.
pub fn verdict(
    snapshot: &Snapshot,
    principal: &EntityRef,
    record_type: &RecordType,
    now_ms: i64,
) -> RecordVerdict {
    let count = record_type.fields.len() + 1;
    let determining = always::views_every_record_by(snapshot, principal, &record_type.name, now_ms);
    let Some(determining) = determining else {
        return RecordVerdict::denied(Decision::deny(Reason::AttributeNotCarried), count);
    };
    let field = |index: usize| {
        let name = record_type.field_name(index);
        let type_name = &record_type.name;
        if always::reads_on_every_record(snapshot, principal, type_name, &name, now_ms) {
            Visibility::Shown
        } else if always::reads_masked_on_every_record(snapshot, principal, type_name, &name, now_ms) {
            Visibility::Masked
        } else {
            Visibility::Hidden
        }
    };
    RecordVerdict {
        view: Decision::allow(determining.clone()),
        fields: (0..count).map(field).collect(),
        policies: determining,
        errors: Vec::new(),
    }
}
