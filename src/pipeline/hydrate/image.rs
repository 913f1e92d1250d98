//! A record as the CRM holds it, fetched by the proxy for deciding only. Its bytes can never leave: nothing turns an
//! image into a released body.

use super::convert::Lookups;
use super::extract::{Completeness, extract, record_id, walk};
use super::records::{descend, type_at};
use crate::bundle::profile::route::Route;
use crate::bundle::profile::types::{KeyPath, RecordType};
use crate::json::path::JsonPath;
use crate::json::value::{Document, Value};
use crate::model::reason::Reason;
use crate::model::record::RecordFacts;

/// A record as the CRM holds it, or as a request proposes it.
pub struct Image {
    document: Document,
    at: Option<JsonPath>,
    /// What policy may know of it.
    pub facts: RecordFacts,
}

impl Image {
    /// Reads the answer of an image route: `upstream-shape` if it is not as the profile describes it, `not-found` if the
    /// record is not the one that was asked for.
    pub fn read(
        document: Document,
        route: &Route,
        route_type: Option<&RecordType>,
        asked: &str,
        alternate_key: Option<&KeyPath>,
        lookups: Lookups<'_>,
    ) -> Result<Self, Reason> {
        let misshapen = Reason::UpstreamShape;
        let location = route.shape.records.first().ok_or(misshapen)?;
        let mut places = Vec::new();
        descend(document.root(), location.at.segments(), location, &mut places).map_err(|_| misshapen)?;
        let [record] = places.as_slice() else { return Err(misshapen) };
        let record_type = type_at(*record, location, route_type, lookups.profile).ok_or(misshapen)?;
        let id = record_id(record_type, *record).ok_or(misshapen)?;
        let named = match alternate_key {
            None => Some(id.clone()),
            Some(key) => walk(*record, key).and_then(super::extract::canonical_id),
        };
        if named.as_deref() != Some(asked) {
            return Err(Reason::NotFound);
        }
        let completeness = Completeness::from_flag(location.is_complete);
        let facts = extract(record_type, *record, id, completeness, lookups);
        Ok(Self { at: Some(location.at.clone()), facts, document })
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
