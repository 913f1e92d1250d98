//! Writes a document anew: with only what is kept, or with all but what is edited.
//!
//! [`write()`] fails closed: a value leaves only if a [`Keep`] names it and every value around it; what is not named, named
//! twice, or of another shape than its keep is not written. [`replace_in`] is for bodies that are the caller's own.
//! Both copy source slices and never re-encode a number, key or string. The output is JSON if the given texts are.

use std::collections::{BTreeMap, HashMap};

use super::value::{Document, NodeId, Span, Value};

/// What to write of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// The exact source slice, everything inside included.
    Whole,
    /// This JSON text in the value's place; a member keeps its key. Its validity is the maker's duty.
    Replace(Vec<u8>),
    /// An object of the members whose values are named, in source order. Of anything but an object nothing is in it.
    Object(Vec<(NodeId, Keep)>),
    /// An array of the items that are named, in source order. Of anything but an array nothing is in it.
    Array(Vec<(NodeId, Keep)>),
}

/// The kept part of `doc`, without white space between tokens but inside [`Keep::Whole`] slices.
///
/// Ids that are not children of the value they are listed under are ignored. A child listed twice is ambiguous and
/// therefore dropped.
#[must_use]
pub fn write(doc: &Document, root_keep: &Keep) -> Vec<u8> {
    let mut out = Vec::new();
    write_value(doc.root(), root_keep, &mut out);
    out
}

/// All of `doc`, white space included, with each named value replaced (`Some`, JSON text) or removed (`None`, with its key
/// and one comma).
///
/// Edits inside an edited value, and ids that `doc` does not have, are ignored; of two edits of one value the later
/// counts. Removing the root leaves nothing.
#[must_use]
pub fn replace_in(doc: &Document, edits: &[(NodeId, Option<Vec<u8>>)]) -> Vec<u8> {
    let root = doc.root();
    let edits: Edits<'_> = edits.iter().map(|(node, text)| (*node, text.as_deref())).collect();
    if edits.get(&root.node()) == Some(&None) {
        return Vec::new();
    }
    let mut out = Vec::with_capacity(doc.bytes().len());
    let source_end = u32::try_from(doc.bytes().len()).unwrap_or(u32::MAX);
    out.extend_from_slice(doc.slice(Span { start: 0, end: root.span().start }));
    copy_edited(doc, root, &edits, &mut out);
    out.extend_from_slice(doc.slice(Span { start: root.span().end, end: source_end }));
    out
}

/// One value with edits inside of it, as [`replace_in`] makes them.
#[must_use]
pub fn edited(value: Value<'_>, edits: &[(NodeId, Option<Vec<u8>>)]) -> Vec<u8> {
    let edits: Edits<'_> = edits.iter().map(|(node, text)| (*node, text.as_deref())).collect();
    let mut out = Vec::new();
    copy_edited(value.document(), value, &edits, &mut out);
    out
}

type Edits<'e> = BTreeMap<NodeId, Option<&'e [u8]>>;

fn write_value(value: Value<'_>, keep: &Keep, out: &mut Vec<u8>) {
    match keep {
        Keep::Whole => out.extend_from_slice(value.bytes()),
        Keep::Replace(text) => out.extend_from_slice(text),
        Keep::Object(listed) => write_object(value, listed, out),
        Keep::Array(listed) => write_array(value, listed, out),
    }
}

fn write_object(value: Value<'_>, listed: &[(NodeId, Keep)], out: &mut Vec<u8>) {
    let keeps = unambiguous(listed);
    let mut separator = None;
    out.push(b'{');
    for member in value.members() {
        if let Some(Some(keep)) = keeps.get(&member.value().node()) {
            out.extend(separator.replace(b','));
            out.extend_from_slice(member.raw_key_bytes());
            out.push(b':');
            write_value(member.value(), keep, out);
        }
    }
    out.push(b'}');
}

fn write_array(value: Value<'_>, listed: &[(NodeId, Keep)], out: &mut Vec<u8>) {
    let keeps = unambiguous(listed);
    let mut separator = None;
    out.push(b'[');
    for item in value.items() {
        if let Some(Some(keep)) = keeps.get(&item.node()) {
            out.extend(separator.replace(b','));
            write_value(item, keep, out);
        }
    }
    out.push(b']');
}

/// The keep of each listed id; `None` where an id is listed more than once.
fn unambiguous(listed: &[(NodeId, Keep)]) -> HashMap<NodeId, Option<&Keep>> {
    let mut keeps = HashMap::with_capacity(listed.len());
    for (node, keep) in listed {
        keeps.entry(*node).and_modify(|known| *known = None).or_insert(Some(keep));
    }
    keeps
}

/// Copies `value`, which is not removed, down to the last edit inside it.
fn copy_edited(doc: &Document, value: Value<'_>, edits: &Edits<'_>, out: &mut Vec<u8>) {
    if let Some(Some(text)) = edits.get(&value.node()) {
        out.extend_from_slice(text);
        return;
    }
    if edits.range(value.node()..value.subtree_end()).next().is_none() {
        out.extend_from_slice(value.bytes());
        return;
    }
    let Span { start, end } = value.span();
    // Between two children stands one comma. It is copied before a child only if one was copied before it.
    let mut gap_start = first_child_start(value);
    let mut is_first_copied = true;
    out.extend_from_slice(doc.slice(Span { start, end: gap_start }));
    for child in value.children() {
        let gap = Span { start: gap_start, end: child.start_with_key() };
        gap_start = child.span().end;
        if edits.get(&child.node()) == Some(&None) {
            continue;
        }
        if !std::mem::replace(&mut is_first_copied, false) {
            out.extend_from_slice(doc.slice(gap));
        }
        out.extend_from_slice(doc.slice(Span { start: child.start_with_key(), end: child.span().start }));
        copy_edited(doc, child, edits, out);
    }
    out.extend_from_slice(doc.slice(Span { start: gap_start, end }));
}

/// Where the first child begins, key included; the value's own end if there is none.
fn first_child_start(value: Value<'_>) -> u32 {
    value.children().next().map_or(value.span().end, |child| child.start_with_key())
}
