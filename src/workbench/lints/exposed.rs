//! Fields that one policy keeps for some, and another shows to everybody who may view the record.
//!
//! A set counts as kept if a permit to read its fields names it and asks for something more. It is unguarded if another permit shows one of
//! its fields and asks for nothing, and no forbid names that field or a set that it is in. What nothing describes is always kept.

use std::collections::{BTreeMap, BTreeSet};

use super::cells::{Cell, Meanings};
use super::{EXPOSED, Found};
use crate::bundle::catalogue::UNCLASSIFIED_SET;
use crate::model::principal::EntityRef;

/// Looks at every field that can be read.
pub fn find(meanings: &Meanings<'_>) -> Vec<Found> {
    let mut holes: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (number, cell) in readable(meanings) {
        let Some(field) = cell.field() else { continue };
        let Some(open) = opened_by(meanings, number, &field) else { continue };
        for set in kept(meanings, number, cell, &field) {
            let names = cell.fields.iter().filter_map(|field| Some(cell.record_type?.field_name(*field)));
            holes.entry((open.to_owned(), set)).or_default().extend(names);
        }
    }
    let found = |((id, set), fields): ((String, String), BTreeSet<String>)| {
        let more = fields.len().saturating_sub(FIELDS_TOLD);
        let shown: Vec<String> = fields.into_iter().take(FIELDS_TOLD).collect();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let shown = shown.join("`, `");
        let message = format!(
            "policy `{id}` shows everybody `{shown}`{more} of the set `{set}`, which others keep for some"
        );
        let help = "Name the sets that everybody may read, take the fields out of one of the sets, or forbid reading them.";
        Found::in_policy(meanings.bundle, EXPOSED, &id, message, help)
    };
    holes.into_iter().map(found).collect()
}

/// The questions about reading fields.
pub fn readable<'m, 'b>(meanings: &'m Meanings<'b>) -> impl Iterator<Item = (usize, &'m Cell<'b>)> {
    meanings.cells.iter().enumerate().filter(|(_, cell)| cell.action == "readField")
}

/// The permit that shows a field to everybody who may view the record, where no forbid names the field.
pub fn opened_by<'m>(meanings: &'m Meanings<'_>, cell: usize, field: &EntityRef) -> Option<&'m str> {
    let is_guarded = meanings
        .applying(cell)
        .any(|(policy, _)| !policy.is_permit && !meanings.names_of(policy.id, field).is_empty());
    let mut open = meanings.applying(cell).filter(|(policy, choices)| policy.is_permit && choices.is_true());
    open.next().filter(|_| !is_guarded).map(|(policy, _)| policy.id)
}

/// The sets of a field that permits name which ask for something more.
fn kept(meanings: &Meanings<'_>, number: usize, cell: &Cell<'_>, field: &EntityRef) -> BTreeSet<String> {
    let asking = meanings.applying(number).filter(|(policy, choices)| policy.is_permit && !choices.is_true());
    let named = asking.flat_map(|(policy, _)| meanings.names_of(policy.id, field));
    let mut sets: BTreeSet<String> =
        named.filter(|named| named.type_name == "FieldSet").map(|set| set.id).collect();
    let undescribed = cell.record_type.map_or(usize::MAX, |known| known.fields.len());
    if cell.fields.contains(&undescribed) {
        sets.insert(UNCLASSIFIED_SET.to_owned());
    }
    sets
}

/// Fields that a finding names.
const FIELDS_TOLD: usize = 3;
