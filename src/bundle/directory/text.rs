//! Entities written out: for Cedar, and for what the ledger keeps of them.

use std::fmt::Write;

use serde_json::Value;

use super::index::Index;
use crate::bundle::revision::hash;
use crate::model::principal::EntityRef;

/// An entity as Cedar reads it.
pub fn for_cedar(index: &Index, number: u32) -> String {
    let mut text = format!("{{\"uid\":{},\"attrs\":", reference(&index.reference(number)));
    text.push_str(index.attributes(number));
    text.push_str(",\"parents\":[");
    write_parents(index.parents(number).iter().map(|parent| index.reference(*parent)), &mut text);
    text.push(']');
    let tags = index.tags(number);
    if !tags.is_empty() {
        let _ = write!(text, ",\"tags\":{tags}");
    }
    text.push('}');
    text
}

/// What is kept of a directory: ids, memberships and what the base schema says of people, in the order of the names. What else
/// is said of an entity may be anything, so only its hash stays: the hash of the whole changes when that does.
pub fn for_ledger(index: &Index, mut write: impl FnMut(&str)) {
    let mut entities: Vec<(EntityRef, u32)> = index
        .numbers()
        .filter(|number| index.is_defined(*number))
        .map(|number| (index.reference(number), number))
        .collect();
    entities.sort_unstable();
    let mut text = String::from("[");
    for (position, (entity, number)) in entities.iter().enumerate() {
        if position > 0 {
            text.push_str(",\n");
        }
        let _ = write!(
            text,
            "{{\"uid\":{},\"attrs\":{},\"parents\":[",
            reference(entity),
            kept_attributes(index, *number)
        );
        let mut parents: Vec<EntityRef> =
            index.parents(*number).iter().map(|parent| index.reference(*parent)).collect();
        parents.sort_unstable();
        parents.dedup();
        write_parents(parents.into_iter(), &mut text);
        text.push(']');
        let tags = index.tags(*number);
        if !tags.is_empty() {
            let _ = write!(text, ",\"tags\":\"{}\"", hashed(tags));
        }
        text.push('}');
        write(&text);
        text.clear();
    }
    text.push(']');
    write(&text);
}

fn kept_attributes(index: &Index, number: u32) -> Value {
    let mut attributes: Value = serde_json::from_str(index.attributes(number)).unwrap_or_default();
    for (name, value) in attributes.as_object_mut().into_iter().flatten() {
        if !KEPT_ATTRIBUTES.contains(&name.as_str()) {
            *value = Value::String(hashed(&value.to_string()));
        }
    }
    attributes
}

fn hashed(text: &str) -> String {
    format!("sha256:{}", hash(text.as_bytes()))
}

fn write_parents(parents: impl Iterator<Item = EntityRef>, text: &mut String) {
    for (position, parent) in parents.enumerate() {
        let comma = if position > 0 { "," } else { "" };
        let _ = write!(text, "{comma}{}", reference(&parent));
    }
}

fn reference(entity: &EntityRef) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    format!("{{\"type\":{},\"id\":{}}}", quoted(&entity.type_name), quoted(&entity.id))
}

/// What the base schema declares of people and groups.
const KEPT_ATTRIBUTES: &[&str] = &["active", "position", "accessFrom", "accessUntil", "crmId"];
