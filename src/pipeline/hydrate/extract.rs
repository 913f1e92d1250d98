//! Reads what policy may know of a record from the record's JSON (PIP).
//!
//! A missing key is Absent only where the profile says that the answer is complete; elsewhere it is NotCarried.

use super::convert::{Lookups, convert, convert_items, takes_composite};
use crate::bundle::profile::types::{AttributeSpec, KeyPath, RecordType};
use crate::json::value::{Kind, Value};
use crate::model::record::{Attribute, RecordFacts};

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
        if is_complete { Completeness::Complete } else { Completeness::Partial }
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

/// Reads one attribute of a record.
pub fn attribute(
    spec: &AttributeSpec,
    record: Value<'_>,
    completeness: Completeness,
    lookups: Lookups<'_>,
) -> Attribute {
    attribute_at(spec, spec.at.iter().map(|path| step(record, path)), completeness, lookups)
}

/// Reads one attribute by what stands at the places where it may be, in order.
pub fn attribute_at<'d>(
    spec: &AttributeSpec,
    places: impl IntoIterator<Item = Step<'d>>,
    completeness: Completeness,
    lookups: Lookups<'_>,
) -> Attribute {
    let mut is_misshapen = false;
    for place in places {
        match place {
            Step::Found(value) if !spec.inside.is_empty() && value.kind() == Kind::Array => {
                return match items(value, &spec.inside) {
                    Some(items) => convert_items(&items, &spec.conversion, lookups),
                    None => Attribute::Nonconforming("an item of the list holds no value".to_owned()),
                };
            }
            Step::Found(value) if spec.inside.is_empty() && is_readable(value, spec) => {
                return convert(value, &spec.conversion, lookups);
            }
            Step::Null => return Attribute::Absent,
            Step::Found(_) | Step::Misshapen => is_misshapen = true,
            Step::Missing => {}
        }
    }
    match (is_misshapen, completeness) {
        (true, _) => Attribute::Nonconforming("unexpected shape".to_owned()),
        (false, Completeness::Complete) => Attribute::Absent,
        (false, Completeness::Partial) => Attribute::NotCarried,
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

/// What stands at a place where an attribute may be.
#[derive(Clone, Copy, Debug)]
pub enum Step<'d> {
    /// A value that is not null.
    Found(Value<'d>),
    /// `null`, there or on the way.
    Null,
    /// There is no such key.
    Missing,
    /// Something else than an object is on the way.
    Misshapen,
}

fn step<'d>(record: Value<'d>, path: &[String]) -> Step<'d> {
    let mut value = record;
    for key in path {
        if value.is_null() {
            return Step::Null;
        }
        if value.kind() != Kind::Object {
            return Step::Misshapen;
        }
        match value.member(key) {
            Some(inner) => value = inner,
            None => return Step::Missing,
        }
    }
    if value.is_null() { Step::Null } else { Step::Found(value) }
}

fn is_readable(value: Value<'_>, spec: &AttributeSpec) -> bool {
    !matches!(value.kind(), Kind::Object | Kind::Array) || takes_composite(&spec.conversion)
}

/// Bytes of an id.
pub const ID_BYTES_MAX: usize = 256;
