//! A record as the CRM holds it, fetched by the proxy for deciding only. Its bytes can never leave: nothing turns an
//! image into a released body.

use http::HeaderMap;

use super::convert::Lookups;
use super::extract::{Completeness, extract, record_id, walk};
use super::records::{descend, type_at};
use crate::bundle::profile::route::Route;
use crate::bundle::profile::route::version::VersionSource;
use crate::bundle::profile::types::{KeyPath, RecordType};
use crate::json::path::JsonPath;
use crate::json::token::quoted;
use crate::json::value::{Document, Kind, Value};
use crate::model::reason::Reason;
use crate::model::record::{RecordFacts, Version};

/// A record as the CRM holds it, or as a request proposes it.
pub struct Image {
    document: Document,
    at: Option<JsonPath>,
    headers: HeaderMap,
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
        Ok(Self { at: Some(location.at.clone()), headers: HeaderMap::new(), facts, document })
    }

    /// The same with the headers of the answer that it stood in.
    #[must_use]
    pub fn with_headers(self, headers: HeaderMap) -> Self {
        Self { headers, ..self }
    }

    /// A record that does not exist yet, as a request proposes it: what the body leaves out is not there.
    pub fn proposed(document: Document, record_type: &RecordType, lookups: Lookups<'_>) -> Self {
        let id = PROPOSED_ID.to_owned();
        let facts = extract(record_type, document.root(), id, Completeness::Complete, lookups);
        Self { document, at: None, headers: HeaderMap::new(), facts }
    }

    /// The record's version; `None` if the CRM did not say one that can be sent back.
    pub fn version(&self, from: &VersionSource) -> Option<Version> {
        let version = match from {
            VersionSource::Header(name) => {
                let mut values = self.headers.get_all(name).iter();
                let text = values.next()?.to_str().ok()?.to_owned();
                // Of two validators, nobody knows which one counts.
                let json = quoted(&text);
                values.next().is_none().then_some(Version { text, json })?
            }
            VersionSource::Record(key) => version_of(walk(self.record(), key)?)?,
        };
        can_be_sent(&version).then_some(version)
    }

    /// Whether the record does not exist yet.
    pub fn is_proposed(&self) -> bool {
        self.at.is_none()
    }

    /// The record's JSON.
    pub fn record(&self) -> Value<'_> {
        let root = self.document.root();
        self.at.as_ref().and_then(|at| at.first(root)).unwrap_or(root)
    }
}

/// The version that a scalar of a JSON text says, if it is text or a number.
pub fn version_of(value: Value<'_>) -> Option<Version> {
    match value.kind() {
        Kind::String => Some(Version { text: value.text()?.into_owned(), json: value.raw().to_owned() }),
        Kind::Number => Some(Version { text: value.raw().to_owned(), json: value.raw().to_owned() }),
        Kind::Null | Kind::Bool | Kind::Array | Kind::Object => None,
    }
}

/// Whether a version can be sent back: printable, bounded, and not the `*` that stands for every version.
fn can_be_sent(version: &Version) -> bool {
    let is_printable = version.text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    (1..=VERSION_BYTES_MAX).contains(&version.text.len()) && is_printable && version.text.trim() != "*"
}

/// Bytes of a version.
const VERSION_BYTES_MAX: usize = 1024;
/// The id under which a record that does not exist yet is judged.
pub const PROPOSED_ID: &str = "(new)";
