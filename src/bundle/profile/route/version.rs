//! How a write is kept to the record that was judged: the CRM refuses it if the record has changed, or the record is read
//! again after it. Plain data, read from a route's `version`; never decides.

use std::ops::Range;

use http::HeaderName;
use http::header::{IF_MATCH, IF_UNMODIFIED_SINCE};

use crate::bundle::profile::types::{KeyPath, key_path};
use crate::config::reader::{Item, Table, Text};
use crate::json::path::{JsonPath, Segment};

/// How a change is kept to the record that was judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Versioning {
    /// Not at all.
    #[default]
    Unpinned,
    /// The CRM refuses the write if the record has another version.
    Pinned(Pinning),
    /// The record is read again after the write; what is not as it was judged is an alarm.
    ReadAgain(Range<usize>),
}

/// Where a record's version stands and how a write carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinning {
    /// Where it stands in the profile.
    pub span: Range<usize>,
    /// Where the record's version is, as the route of the before image answers it.
    pub from: VersionSource,
    /// Where the write carries it.
    pub to: VersionTarget,
    /// The statuses by which the CRM says that the record has another version.
    pub conflict: Vec<u16>,
}

/// Where a record's version is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionSource {
    /// In a header of the answer.
    Header(HeaderName),
    /// In the record.
    Record(KeyPath),
}

/// Where a write carries the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionTarget {
    /// In a header.
    Header(HeaderName),
    /// In a query parameter.
    Query(String),
    /// In the body: keys only.
    Body(JsonPath),
}

impl Versioning {
    /// How a version is pinned, if it is.
    pub fn pinning(&self) -> Option<&Pinning> {
        match self {
            Versioning::Pinned(pinning) => Some(pinning),
            Versioning::Unpinned | Versioning::ReadAgain(_) => None,
        }
    }

    /// Where the body carries the version, if it does.
    pub fn in_body(&self) -> Option<&JsonPath> {
        match self.pinning().map(|pinning| &pinning.to) {
            Some(VersionTarget::Body(path)) => Some(path),
            Some(VersionTarget::Header(_) | VersionTarget::Query(_)) | None => None,
        }
    }

    /// Whether a status says that the record has another version than the one that was judged.
    pub fn is_conflict(&self, status: u16) -> bool {
        self.pinning().is_some_and(|pinning| pinning.conflict.contains(&status))
    }

    /// Where it stands in the profile.
    pub fn span(&self) -> Option<Range<usize>> {
        match self {
            Versioning::Unpinned => None,
            Versioning::Pinned(pinning) => Some(pinning.span.clone()),
            Versioning::ReadAgain(span) => Some(span.clone()),
        }
    }
}

impl VersionTarget {
    /// The status that says "another version" where the profile does not name one: RFC 9110 §15.5.13 for conditions.
    fn usual_conflict(&self) -> u16 {
        match self {
            VersionTarget::Header(name) if *name == IF_MATCH || *name == IF_UNMODIFIED_SINCE => 412,
            VersionTarget::Header(_) | VersionTarget::Query(_) | VersionTarget::Body(_) => 409,
        }
    }
}

/// Reads a route's `version`: `"read-again"`, or `{ from = "header.etag", to = "header.if-match", conflict = [412] }`.
pub fn read(route: &Table<'_>) -> Versioning {
    let Some(item) = route.item("version") else { return Versioning::Unpinned };
    if item.is_text() {
        return read_word(item);
    }
    item.table().and_then(|table| read_pinning(&table)).map_or(Versioning::Unpinned, Versioning::Pinned)
}

fn read_word(item: Item<'_>) -> Versioning {
    match item.text() {
        Some(text) if text.value == "read-again" => Versioning::ReadAgain(text.span),
        Some(text) => {
            let help = "Write `read-again`, or say where the version is: `{ from = \"header.etag\", to = \"header.if-match\" }`.";
            let message = format!("`{}` is no way to keep a write to a version", text.value);
            item.reading().error(text.span, message, help);
            Versioning::Unpinned
        }
        None => Versioning::Unpinned,
    }
}

fn read_pinning(table: &Table<'_>) -> Option<Pinning> {
    let from = table.required("from", "Say where the version is, e.g. `header.etag` or `record.version`.");
    let to = table.required("to", "Say how a write carries it, e.g. `header.if-match` or `body.$.version`.");
    let listed = table.item("conflict").map(|item| item.list().into_iter());
    let listed: Option<Vec<u16>> = listed.map(|items| {
        let statuses = items.filter_map(|item| item.integer(400..=499));
        statuses.filter_map(|status| u16::try_from(status).ok()).collect()
    });
    table.finish();
    let from = from.and_then(|text| read_source(table, &text));
    let to = to.and_then(|text| read_target(table, &text))?;
    let conflict = listed.unwrap_or_else(|| vec![to.usual_conflict()]);
    Some(Pinning { span: table.span(), from: from?, to, conflict })
}

fn read_source(table: &Table<'_>, text: &Text) -> Option<VersionSource> {
    let rest = |place: &str| Text { value: place.to_owned(), span: text.span.clone() };
    if let Some(name) = text.value.strip_prefix("header.") {
        return header(table, text, name).map(VersionSource::Header);
    }
    match text.value.strip_prefix("record") {
        Some(place) if place.starts_with('[') => key_path(table, &rest(place)).map(VersionSource::Record),
        Some(place) if place.starts_with('.') => {
            key_path(table, &rest(place.trim_start_matches('.'))).map(VersionSource::Record)
        }
        _ => {
            let help = "Write `header.NAME` for a header of the answer that yields the record, or `record.KEY` for a key of the record.";
            table.reading().error(
                text.span.clone(),
                format!("`{}` is no place of a version", text.value),
                help,
            );
            None
        }
    }
}

fn read_target(table: &Table<'_>, text: &Text) -> Option<VersionTarget> {
    match text.value.split_once('.') {
        Some(("header", name)) => header(table, text, name).map(VersionTarget::Header),
        Some(("query", name)) if !name.is_empty() => Some(VersionTarget::Query(name.to_owned())),
        Some(("body", path)) => {
            let place = Text { value: path.to_owned(), span: text.span.clone() };
            let path = crate::bundle::profile::shape::json_path(table, &place)?;
            let is_one = |segment: &Segment| matches!(segment, Segment::Key(_));
            if !path.segments().is_empty() && path.segments().iter().all(is_one) {
                return Some(VersionTarget::Body(path));
            }
            let help = "Name one key of the body, e.g. `body.$.version`.";
            table.reading().error(text.span.clone(), format!("`{path}` is not one key"), help);
            None
        }
        _ => {
            let help = "Write `header.NAME`, `query.NAME` or `body.$.KEY`.";
            let message = format!("`{}` is no place for a version", text.value);
            table.reading().error(text.span.clone(), message, help);
            None
        }
    }
}

fn header(table: &Table<'_>, text: &Text, name: &str) -> Option<HeaderName> {
    let parsed = HeaderName::try_from(name).ok();
    if parsed.is_none() {
        let help = "Write the name in lower case, e.g. `header.etag`.";
        table.reading().error(text.span.clone(), format!("`{name}` is not a header's name"), help);
    }
    parsed
}
