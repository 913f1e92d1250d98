//! A record as the CRM holds it, fetched by the proxy for deciding only. Its bytes can never leave: nothing turns an
//! image into a released body.

use super::convert::Lookups;
use super::extract::{Completeness, extract, record_id, walk};
use super::records::{descend, type_at};
use crate::bundle::profile::route::Route;
use crate::bundle::profile::types::{KeyPath, RecordType};
use crate::json::path::JsonPath;
use crate::json::value::{Document, Value};
use crate::model::record::RecordFacts;

/// A record as the CRM holds it, or as a request proposes it.
pub struct Image {
    document: Document,
    at: Option<JsonPath>,
    /// What policy may know of it.
    pub facts: RecordFacts,
}

impl Image {
    /// Reads the answer of an image route. The record must be the one that was asked for.
    pub fn read(
        document: Document,
        route: &Route,
        route_type: Option<&RecordType>,
        asked: &str,
        alternate_key: Option<&KeyPath>,
        lookups: Lookups<'_>,
    ) -> Option<Self> {
        let location = route.shape.records.first()?;
        let mut places = Vec::new();
        descend(document.root(), location.at.segments(), location, &mut places).ok()?;
        let [record] = places.as_slice() else { return None };
        let record_type = type_at(*record, location, route_type, lookups.profile)?;
        let id = record_id(record_type, *record)?;
        let named = match alternate_key {
            None => Some(id.clone()),
            Some(key) => walk(*record, key).and_then(super::extract::canonical_id),
        };
        if named.as_deref() != Some(asked) {
            return None;
        }
        let completeness = Completeness::from_flag(location.is_complete);
        let facts = extract(record_type, *record, id, completeness, lookups);
        Some(Self { at: Some(location.at.clone()), facts, document })
    }

    /// A record that does not exist yet, as a request proposes it: what the body leaves out is not there.
    pub fn proposed(document: Document, record_type: &RecordType, lookups: Lookups<'_>) -> Self {
        let id = PROPOSED_ID.to_owned();
        let facts = extract(record_type, document.root(), id, Completeness::Complete, lookups);
        Self { document, at: None, facts }
    }

    /// The record's JSON.
    pub fn record(&self) -> Value<'_> {
        let root = self.document.root();
        self.at.as_ref().and_then(|at| at.first(root)).unwrap_or(root)
    }
}

/// The id under which a record that does not exist yet is judged.
pub const PROPOSED_ID: &str = "(new)";
