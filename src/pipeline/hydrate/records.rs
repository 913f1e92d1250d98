//! Finds every record of an answer, embedded ones included, and what policy may know of each (PIP).
//!
//! Promises: a place that the profile describes and that has another shape makes the answer unreadable; nothing is
//! looked for by key name, only by path.

use super::convert::Lookups;
use super::extract::{Completeness, extract, record_id};
use crate::bundle::profile::Profile;
use crate::bundle::profile::shape::{RecordLocation, Shape};
use crate::bundle::profile::source::TypeSource;
use crate::bundle::profile::tree::{FieldTree, Meaning};
use crate::bundle::profile::types::RecordType;
use crate::json::path::Segment;
use crate::json::value::{Document, Kind, NodeId, Value};
use crate::model::record::RecordFacts;

/// A record of an answer.
#[derive(Clone, Debug)]
pub struct FoundRecord {
    /// Its place in the document.
    pub node: NodeId,
    /// What policy may know of it.
    pub facts: RecordFacts,
    /// The record and field that it stands in, if it stands inside another record.
    pub within: Option<Within>,
}

/// Where an embedded record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within {
    /// The place of the outer record.
    pub record: NodeId,
    /// The outer record's field, by index.
    pub field: usize,
}

/// Why an answer does not have the shape that the profile describes. Names places, never values.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ShapeError {
    /// A place is missing or holds something else.
    #[error("`{0}` is missing or does not hold what the profile describes")]
    Place(String),
    /// A record has no id.
    #[error("a record at `{0}` has no id")]
    NoId(String),
    /// A record's type is not one of the profile's.
    #[error("a record at `{0}` has a type that the profile does not know")]
    UnknownType(String),
    /// There are too many records.
    #[error("the answer has more than {0} records")]
    TooMany(usize),
}

/// What the request asked about.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The type that the route is about.
    pub record_type: Option<&'a RecordType>,
    /// The one record that the request names.
    pub id: Option<&'a str>,
}

/// Finds all records of an answer.
pub fn find(
    document: &Document,
    shape: &Shape,
    asked: Asked<'_>,
    lookups: Lookups<'_>,
    records_max: usize,
) -> Result<Vec<FoundRecord>, ShapeError> {
    let mut finder = Finder { lookups, asked, found: Vec::new(), records_max };
    for location in &shape.records {
        let mut places = Vec::new();
        descend(document.root(), location.at.segments(), location, &mut places)?;
        for value in places {
            finder.add_located(value, location)?;
        }
    }
    Ok(finder.found)
}

/// The type of a record at a location.
pub fn type_at<'p>(
    value: Value<'_>,
    location: &RecordLocation,
    route_type: Option<&'p RecordType>,
    profile: &'p Profile,
) -> Option<&'p RecordType> {
    match &location.type_source {
        TypeSource::Constant(name) => profile.type_named(&name.value).map(|(_, record_type)| record_type),
        TypeSource::Route | TypeSource::Named(_) => route_type,
        TypeSource::Discriminator(keys) => {
            let name = super::extract::walk(value, keys)?.text()?;
            profile.type_on_wire(&name)
        }
    }
}

/// Every place that a location leads to; what stands in the way and is not as described is an error.
pub fn descend<'d>(
    value: Value<'d>,
    segments: &[Segment],
    location: &RecordLocation,
    places: &mut Vec<Value<'d>>,
) -> Result<(), ShapeError> {
    let misshapen = || ShapeError::Place(location.at.to_string());
    if value.is_null() && location.is_optional {
        return Ok(());
    }
    let Some((segment, rest)) = segments.split_first() else {
        places.push(value);
        return Ok(());
    };
    match (segment, value.kind()) {
        (Segment::Key(key), Kind::Object) => match value.member(key) {
            Some(inner) => descend(inner, rest, location, places),
            None if location.is_optional => Ok(()),
            None => Err(misshapen()),
        },
        (Segment::EachItem, Kind::Array) => {
            value.items().try_for_each(|item| descend(item, rest, location, places))
        }
        (Segment::EachMember, Kind::Object) => {
            value.members().try_for_each(|member| descend(member.value(), rest, location, places))
        }
        (Segment::Index(index), Kind::Array) => match value.items().nth(*index) {
            Some(inner) => descend(inner, rest, location, places),
            None if location.is_optional => Ok(()),
            None => Err(misshapen()),
        },
        _ => Err(misshapen()),
    }
}

struct Finder<'a> {
    lookups: Lookups<'a>,
    asked: Asked<'a>,
    found: Vec<FoundRecord>,
    records_max: usize,
}

impl Finder<'_> {
    fn add_located(&mut self, value: Value<'_>, location: &RecordLocation) -> Result<(), ShapeError> {
        let at = || location.at.to_string();
        if value.kind() != Kind::Object {
            return Err(ShapeError::Place(at()));
        }
        let profile = self.lookups.profile;
        let record_type = type_at(value, location, self.asked.record_type, profile)
            .ok_or_else(|| ShapeError::UnknownType(at()))?;
        let stated = record_id(record_type, value);
        let id = stated.or_else(|| self.asked.id.filter(|_| location.is_asked).map(str::to_owned));
        let id = id.ok_or_else(|| ShapeError::NoId(at()))?;
        self.add(value, record_type, id, Completeness::from_flag(location.is_complete), None)
    }

    fn add(
        &mut self,
        value: Value<'_>,
        record_type: &RecordType,
        id: String,
        completeness: Completeness,
        within: Option<Within>,
    ) -> Result<(), ShapeError> {
        if self.found.len() == self.records_max {
            return Err(ShapeError::TooMany(self.records_max));
        }
        let facts = extract(record_type, value, id, completeness, self.lookups);
        self.found.push(FoundRecord { node: value.node(), facts, within });
        match self.lookups.profile.tree(&record_type.name) {
            Some(tree) => self.add_embedded(value, value.node(), record_type, tree),
            None => Ok(()),
        }
    }

    fn add_embedded(
        &mut self,
        value: Value<'_>,
        record: NodeId,
        record_type: &RecordType,
        tree: &FieldTree,
    ) -> Result<(), ShapeError> {
        for member in value.members() {
            match tree.meaning(&member.key()) {
                Meaning::Container(inner) => self.add_embedded(member.value(), record, record_type, inner)?,
                Meaning::Field(index) => {
                    let embed = record_type.fields.get(index).and_then(|field| field.embeds.as_ref());
                    let Some(embed) = embed else { continue };
                    let Some((_, inner)) = self.lookups.profile.type_named(&embed.type_name) else {
                        continue;
                    };
                    let completeness = Completeness::from_flag(embed.is_complete);
                    let value = member.value();
                    let items =
                        if value.kind() == Kind::Array { value.items().collect() } else { vec![value] };
                    for item in items.into_iter().filter(|item| item.kind() == Kind::Object) {
                        // Without an id there is nothing to decide on: such a record is hidden when it is filtered.
                        if let Some(id) = record_id(inner, item) {
                            self.add(item, inner, id, completeness, Some(Within { record, field: index }))?;
                        }
                    }
                }
                Meaning::Meta | Meaning::LookAlike | Meaning::Unknown => {}
            }
        }
        Ok(())
    }
}
