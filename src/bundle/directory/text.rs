//! Entities written out: for Cedar, and for what the ledger keeps of them.

use bytes::Bytes;
use serde_json::Value;

use super::index::Index;
use crate::bundle::revision::hash;
use crate::json::parse::JsonLimits;
use crate::json::value::{Document, Member};

/// An entity as Cedar reads it.
pub fn for_cedar(index: &Index, number: u32) -> String {
    let mut text = String::from("{\"uid\":");
    write_name(index, number, &mut text);
    text.push_str(",\"attrs\":");
    text.push_str(index.attributes(number));
    text.push_str(",\"parents\":[");
    write_parents(index, index.parents(number), &mut text);
    text.push(']');
    if !index.tags(number).is_empty() {
        text.push_str(",\"tags\":");
        text.push_str(index.tags(number));
    }
    text.push('}');
    text
}

/// What is kept of a directory: ids, memberships and what the base schema says of people, in the order of the names. What else
/// is said of an entity may be anything, so only its hash stays: the hash of the whole changes when that does.
pub fn for_ledger(index: &Index, mut write: impl FnMut(&str)) {
    let mut numbers: Vec<u32> = index.numbers().filter(|number| index.is_defined(*number)).collect();
    numbers.sort_unstable_by(|one, other| index.name(*one).cmp(&index.name(*other)));
    let mut text = String::from("[");
    for (position, number) in numbers.into_iter().enumerate() {
        if position > 0 {
            text.push_str(",\n");
        }
        text.push_str("{\"uid\":");
        write_name(index, number, &mut text);
        text.push_str(",\"attrs\":{");
        write_kept(index.attributes(number), &mut text);
        text.push_str("},\"parents\":[");
        let mut parents = index.parents(number).to_vec();
        parents.sort_unstable_by(|one, other| index.name(*one).cmp(&index.name(*other)));
        parents.dedup();
        write_parents(index, &parents, &mut text);
        text.push(']');
        if !index.tags(number).is_empty() {
            text.push_str(",\"tags\":");
            write_hash(index.tags(number), &mut text);
        }
        text.push('}');
        write(&text);
        text.clear();
    }
    text.push(']');
    write(&text);
}

fn write_kept(attributes: &str, text: &mut String) {
    let attributes = Bytes::copy_from_slice(attributes.as_bytes());
    // It was parsed when it was read.
    let Ok(document) = Document::parse(attributes, &JsonLimits::default()) else { return };
    let mut members: Vec<Member<'_>> = document.root().members().collect();
    members.sort_unstable_by_key(Member::raw_key);
    for (position, member) in members.into_iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        text.push_str(member.raw_key());
        text.push(':');
        match KEPT_ATTRIBUTES.contains(&&*member.key()) {
            true => text.push_str(member.value().raw()),
            false => write_hash(member.value().raw(), text),
        }
    }
}

fn write_hash(of: &str, text: &mut String) {
    text.push_str("\"sha256:");
    text.push_str(&hash(of.as_bytes()));
    text.push('"');
}

fn write_parents(index: &Index, parents: &[u32], text: &mut String) {
    for (position, parent) in parents.iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        write_name(index, *parent, text);
    }
}

fn write_name(index: &Index, number: u32, text: &mut String) {
    let (type_name, id) = index.name(number);
    text.push_str("{\"type\":");
    write_quoted(type_name, text);
    text.push_str(",\"id\":");
    write_quoted(id, text);
    text.push('}');
}

fn write_quoted(plain: &str, text: &mut String) {
    let needs_escapes = plain.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    if needs_escapes {
        text.push_str(&Value::from(plain).to_string());
        return;
    }
    text.push('"');
    text.push_str(plain);
    text.push('"');
}

/// What the base schema declares of people and groups.
const KEPT_ATTRIBUTES: &[&str] = &["active", "position", "accessFrom", "accessUntil", "crmId"];
