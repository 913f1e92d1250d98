//! Reads what policy may know of a record from the record's JSON (PIP).
//!
//! A missing key is Absent only where the profile says that the answer is complete; elsewhere it is NotCarried.

use bytes::Bytes;

use super::convert::{Lookups, convert, convert_items, takes_composite};
use crate::bundle::profile::types::{AttributeSpec, KeyPath, RecordType};
use crate::json::parse::{BYTES_CEILING, DEPTH_CEILING, JsonLimits};
use crate::json::value::{Document, Kind, Value};
use crate::model::record::{Attribute, RecordFacts};
use crate::model::seeded::{Fault, is_seeded};

/// Whether a missing key means that there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Every key with a value is there.
    Complete,
    /// A key may be missing though there is a value.
    Partial,
}

impl Completeness {
    /// From the profile's `complete`.
    pub fn from_flag(is_complete: bool) -> Self {
        if is_complete || is_seeded(Fault::NotCarriedIsAbsent) {
            Completeness::Complete
        } else {
            Completeness::Partial
        }
    }
}

/// The record's id in its canonical form: text as it is, whole numbers as their digits.
pub fn record_id(record_type: &RecordType, record: Value<'_>) -> Option<String> {
    canonical_id(walk(record, &record_type.id)?)
}

/// The canonical form of an id on the wire.
pub fn canonical_id(value: Value<'_>) -> Option<String> {
    match value.kind() {
        Kind::String => value.text().map(|text| text.into_owned()).filter(|id| is_canonical(id)),
        Kind::Number => value.number().filter(|n| n.bytes().all(|b| b.is_ascii_digit())).map(str::to_owned),
        Kind::Null | Kind::Bool | Kind::Array | Kind::Object => None,
    }
}

/// Whether a text can be an id: not empty, bounded, without control characters.
pub fn is_canonical(id: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&id.len()) && !id.chars().any(char::is_control)
}

/// Reads every attribute of a record.
pub fn extract(
    record_type: &RecordType,
    record: Value<'_>,
    id: String,
    completeness: Completeness,
    lookups: Lookups<'_>,
) -> RecordFacts {
    let read = |spec: &AttributeSpec| attribute(spec, record, completeness, lookups);
    let attributes = record_type.attributes.iter().map(read).collect();
    RecordFacts { type_name: record_type.name.clone(), id, attributes }
}

/// What stands at one of the places where an attribute may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<V> {
    /// Nothing.
    Missing,
    /// `null`, there or above.
    Null,
    /// What has no such place in it.
    Misshapen,
    /// This value.
    Found(V),
}

/// What an attribute's places come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached<V> {
    /// The value.
    Value(V),
    /// That there is none.
    Absent,
    /// Nothing is said.
    Missing,
    /// Something else stands there.
    Misshapen,
}

/// A value of which it can be seen of what kind it is.
pub trait Kinded {
    /// Its kind.
    fn kind(&self) -> Kind;
}

impl Kinded for Value<'_> {
    fn kind(&self) -> Kind {
        Value::kind(self)
    }
}

/// A value as it is spelled: the exact text, without white space around it.
impl Kinded for &[u8] {
    fn kind(&self) -> Kind {
        match self.first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }
}

/// What an attribute's places come to, in their order: the first that leads to a value of the right shape wins.
pub fn reach<V: Kinded>(spec: &AttributeSpec, places: impl Iterator<Item = Place<V>>) -> Reached<V> {
    let mut is_misshapen = false;
    for place in places {
        match place {
            Place::Found(value) if value.kind() == Kind::Null => return Reached::Absent,
            Place::Found(value) if is_readable(value.kind(), spec) => return Reached::Value(value),
            Place::Null => return Reached::Absent,
            Place::Found(_) | Place::Misshapen => is_misshapen = true,
            Place::Missing => {}
        }
    }
    if is_misshapen { Reached::Misshapen } else { Reached::Missing }
}

/// Reads one attribute of a record.
pub fn attribute(
    spec: &AttributeSpec,
    record: Value<'_>,
    completeness: Completeness,
    lookups: Lookups<'_>,
) -> Attribute {
    let reached = reach(spec, spec.at.iter().map(|path| place(record, path)));
    settle(reached, completeness, |value| read(value, spec, lookups))
}

/// Reads the attributes of a record that are needed, from what stands at their places; none of the others is carried.
pub fn extract_needed(
    record_type: &RecordType,
    needed: &[usize],
    id: &str,
    completeness: Completeness,
    places: &[Place<&[u8]>],
    lookups: Lookups<'_>,
) -> RecordFacts {
    let mut attributes = vec![Attribute::NotCarried; record_type.attributes.len()];
    let mut rest = places;
    for index in needed {
        let Some((spec, attribute)) = record_type.attributes.get(*index).zip(attributes.get_mut(*index))
        else {
            continue;
        };
        *attribute = match rest.split_at_checked(spec.at.len()) {
            Some((own, others)) => {
                rest = others;
                let reached = reach(spec, own.iter().copied());
                settle(reached, completeness, |raw| read_raw(raw, spec, lookups))
            }
            None => Attribute::Nonconforming("a place was not handed over".to_owned()),
        };
    }
    RecordFacts { type_name: record_type.name.clone(), id: id.to_owned(), attributes }
}

/// Reads a value as it is spelled.
pub fn read_raw(raw: &[u8], spec: &AttributeSpec, lookups: Lookups<'_>) -> Attribute {
    match Document::parse(Bytes::copy_from_slice(raw), &PART_LIMITS) {
        Ok(document) => read(document.root(), spec, lookups),
        Err(_) => Attribute::Nonconforming("no value that can be read".to_owned()),
    }
}

fn read(value: Value<'_>, spec: &AttributeSpec, lookups: Lookups<'_>) -> Attribute {
    if spec.inside.is_empty() {
        return convert(value, &spec.conversion, lookups);
    }
    match items(value, &spec.inside) {
        Some(items) => convert_items(&items, &spec.conversion, lookups),
        None => Attribute::Nonconforming("an item of the list holds no value".to_owned()),
    }
}

fn settle<V>(
    reached: Reached<V>,
    completeness: Completeness,
    read: impl FnOnce(V) -> Attribute,
) -> Attribute {
    match (reached, completeness) {
        (Reached::Value(value), _) => read(value),
        (Reached::Absent, _) | (Reached::Missing, Completeness::Complete) => Attribute::Absent,
        (Reached::Missing, Completeness::Partial) => Attribute::NotCarried,
        (Reached::Misshapen, _) => Attribute::Nonconforming("unexpected shape".to_owned()),
    }
}

/// What each item of a list holds: the first of the places that leads to a scalar.
fn items<'d>(list: Value<'d>, inside: &[KeyPath]) -> Option<Vec<Value<'d>>> {
    let is_scalar = |value: &Value<'_>| matches!(value.kind(), Kind::String | Kind::Number | Kind::Bool);
    let one = |item: Value<'d>| inside.iter().filter_map(|path| walk(item, path)).find(is_scalar);
    list.items().map(one).collect()
}

/// The value at a path of keys, if it is there.
pub fn walk<'d>(record: Value<'d>, path: &[String]) -> Option<Value<'d>> {
    path.iter().try_fold(record, |value, key| value.member(key))
}

/// What stands at a path of keys.
pub fn place<'d>(record: Value<'d>, path: &[String]) -> Place<Value<'d>> {
    let mut value = record;
    for key in path {
        if value.is_null() {
            return Place::Null;
        }
        if value.kind() != Kind::Object {
            return Place::Misshapen;
        }
        match value.member(key) {
            Some(inner) => value = inner,
            None => return Place::Missing,
        }
    }
    if value.is_null() { Place::Null } else { Place::Found(value) }
}

fn is_readable(kind: Kind, spec: &AttributeSpec) -> bool {
    match spec.inside.is_empty() {
        true => !matches!(kind, Kind::Object | Kind::Array) || takes_composite(&spec.conversion),
        false => kind == Kind::Array,
    }
}

/// What was part of an accepted document is within its limits; these bound no more than what is parsed again.
const PART_LIMITS: JsonLimits =
    JsonLimits { bytes_max: BYTES_CEILING, depth_max: DEPTH_CEILING, nodes_max: usize::MAX };
/// Bytes of an id.
pub const ID_BYTES_MAX: usize = 256;
