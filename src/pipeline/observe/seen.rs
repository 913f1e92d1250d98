//! What an observed request and its answer hold that the profile does not describe: names and kinds, never a value.
//!
//! Promises: bounded in number, length and depth; every text is a placeholder, from a closed list, or looks like an
//! identifier (see `names`). Bodies are looked at while they pass and are not kept.

use std::collections::{BTreeMap, BTreeSet};

use super::names;
use crate::bundle::profile::Profile;
use crate::bundle::profile::shape::Shape;
use crate::bundle::profile::tree::{FieldTree, Meaning};
use crate::bundle::profile::types::RecordType;
use crate::json::value::{Document, Kind, Value};
use crate::pipeline::hydrate::records::{descend, type_at};

/// Names that the profile does not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The path with placeholders, where no route matches.
    pub path: Option<String>,
    /// Names of parameters that are not declared.
    pub query: BTreeSet<String>,
    /// The request body's content type, where it is not read.
    pub request_type: Option<&'static str>,
    /// Places of the request body, where it is not described: `/lines/[*]/amount`.
    pub request_keys: BTreeSet<String>,
    /// The answer's content type, where it is not described.
    pub answer_type: Option<&'static str>,
    /// Places of the answer, where it is not described.
    pub answer_keys: BTreeSet<String>,
    /// Keys of records that no field claims, by type.
    pub fields: BTreeMap<String, BTreeSet<String>>,
    /// How many names were left out since they may be values or were too many.
    pub unnamed: u64,
    words: Vec<String>,
}

impl Seen {
    /// Nothing yet; `words` are segments of paths that the operator knows.
    pub fn new(words: &[String]) -> Self {
        Self { words: words.to_vec(), ..Self::default() }
    }

    /// Whether there is nothing to record.
    pub fn is_empty(&self) -> bool {
        *self == Self { words: self.words.clone(), ..Self::default() }
    }

    /// Notes a path that no route matches.
    pub fn note_path(&mut self, segments: &[String], has_trailing_slash: bool, profile: &Profile) {
        let is_own = |segment: &str| {
            let mut paths = profile.routes.iter().flat_map(|route| route.template.path_text().split('/'));
            let is_listed =
                self.words.iter().any(|word| word == segment) || paths.any(|word| word == segment);
            is_listed && !segment.contains('{')
        };
        self.path = Some(names::path(segments, has_trailing_slash, is_own));
    }

    /// Notes names of parameters. One without a value may be a value itself.
    pub fn note_query<'q>(&mut self, pairs: impl Iterator<Item = &'q (String, String)>) {
        for (name, value) in pairs {
            let fits = !value.is_empty() && names::is_name(name) && self.query.len() < NAMES_MAX;
            match fits {
                true => drop(self.query.insert(name.clone())),
                false => self.unnamed += 1,
            }
        }
    }

    /// Notes every place of a request body.
    pub fn note_request_keys(&mut self, document: &Document) {
        self.request_keys = self.places(document);
    }

    /// Notes every place of an answer.
    pub fn note_answer_keys(&mut self, document: &Document) {
        self.answer_keys = self.places(document);
    }

    /// Notes keys of an answer's records that no field claims.
    pub fn note_records(
        &mut self,
        document: &Document,
        shape: &Shape,
        route_type: Option<&RecordType>,
        profile: &Profile,
    ) {
        for location in &shape.records {
            let mut found = Vec::new();
            if descend(document.root(), location.at.segments(), location, &mut found).is_err() {
                continue;
            }
            for value in found.into_iter().take(ITEMS_MAX) {
                if let Some(record_type) = type_at(value, location, route_type, profile) {
                    self.note_record(value, record_type, profile);
                }
            }
        }
    }

    /// Notes keys of one record that no field claims.
    pub fn note_record(&mut self, value: Value<'_>, record_type: &RecordType, profile: &Profile) {
        if let Some(tree) = profile.tree(&record_type.name) {
            self.note_level(value, record_type, tree, "", profile, 0);
        }
    }

    fn note_level(
        &mut self,
        value: Value<'_>,
        record_type: &RecordType,
        tree: &FieldTree,
        above: &str,
        profile: &Profile,
        depth: usize,
    ) {
        if depth == DEPTH_MAX {
            return;
        }
        for member in value.members() {
            let key = member.key();
            match tree.meaning(&key) {
                Meaning::LookAlike | Meaning::Unknown => self.note_field(record_type, above, &key),
                Meaning::Container(inner) => {
                    let above = format!("{above}{key}.");
                    self.note_level(member.value(), record_type, inner, &above, profile, depth + 1);
                }
                Meaning::Field(index) => {
                    let embed = record_type.fields.get(index).and_then(|field| field.embeds.as_ref());
                    let inner = embed.and_then(|embed| profile.type_named(&embed.type_name));
                    let Some((_, inner)) = inner else { continue };
                    let Some(tree) = profile.tree(&inner.name) else { continue };
                    let value = member.value();
                    let items = value.items().take(ITEMS_MAX);
                    for item in items.chain([value]).filter(|item| item.kind() == Kind::Object) {
                        self.note_level(item, inner, tree, "", profile, depth + 1);
                    }
                }
                Meaning::Meta => {}
            }
        }
    }

    fn note_field(&mut self, record_type: &RecordType, above: &str, key: &str) {
        let known: usize = self.fields.values().map(BTreeSet::len).sum();
        // A key with a point would read as a path.
        match known < NAMES_MAX && names::is_name(key) && !key.contains('.') {
            true => {
                let names = self.fields.entry(record_type.name.clone()).or_default();
                names.insert(format!("{above}{key}"));
            }
            false => self.unnamed += 1,
        }
    }

    fn places(&mut self, document: &Document) -> BTreeSet<String> {
        let mut walk = Walk { found: BTreeSet::new(), bytes: 0, visits: 0, unnamed: 0 };
        walk.value(document.root(), "", 0);
        self.unnamed += walk.unnamed;
        walk.found
    }
}

struct Walk {
    found: BTreeSet<String>,
    bytes: usize,
    visits: usize,
    unnamed: u64,
}

impl Walk {
    fn value(&mut self, value: Value<'_>, place: &str, depth: usize) {
        self.visits += 1;
        if depth == DEPTH_MAX || self.visits > VISITS_MAX {
            return;
        }
        // So many keys are data: a table by id or by name.
        if value.kind() == Kind::Object && value.len() > MEMBERS_MAX {
            self.unnamed += value.len() as u64;
            return;
        }
        for member in value.members() {
            let key = member.key();
            if !names::is_name(&key) {
                self.unnamed += 1;
                continue;
            }
            let place = format!("{place}/{key}");
            match member.value().kind() {
                Kind::Object | Kind::Array if !member.value().is_empty() => {
                    self.value(member.value(), &place, depth + 1);
                }
                _ => self.note(place),
            }
        }
        let item_place = format!("{place}/[*]");
        for item in value.items().take(ITEMS_MAX) {
            match item.kind() {
                Kind::Object | Kind::Array => self.value(item, &item_place, depth + 1),
                _ => self.note(item_place.clone()),
            }
        }
    }

    fn note(&mut self, place: String) {
        if self.found.contains(&place) {
            return;
        }
        self.bytes += place.len();
        match self.found.len() < NAMES_MAX && self.bytes <= PLACES_BYTES_MAX {
            true => drop(self.found.insert(place)),
            false => self.unnamed += 1,
        }
    }
}

/// Names of one kind in one entry.
pub const NAMES_MAX: usize = 200;
/// Levels that are looked at.
pub const DEPTH_MAX: usize = 8;
/// Members of an object; more are data, not names.
pub const MEMBERS_MAX: usize = 200;
/// Items of one list that are looked at.
pub const ITEMS_MAX: usize = 50;
/// Objects and lists of one body that are looked at.
const VISITS_MAX: usize = 5_000;
/// Bytes of all places of one body, so that an entry fits a line.
const PLACES_BYTES_MAX: usize = 12 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse::JsonLimits;

    fn document(text: &str) -> Document {
        let limits = JsonLimits { bytes_max: 1 << 20, depth_max: 64, nodes_max: 1 << 20 };
        Document::parse(bytes::Bytes::from(text.to_owned()), &limits).unwrap()
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str], unnamed: u64) {
        let mut seen = Seen::default();
        seen.note_request_keys(&document(text));
        assert_eq!(seen.request_keys.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        assert_eq!(seen.unnamed, unnamed, "{text}");
    }

    #[test]
    fn places_are_named_and_values_are_not() {
        check(
            r#"{"a":"secret","b":{"c":1},"d":[{"e":null},{"f":[true]}],"g":[],"h":{}}"#,
            &["/a", "/b/c", "/d/[*]/e", "/d/[*]/f/[*]", "/g", "/h"],
            0,
        );
        check(r#"["secret"]"#, &["/[*]"], 0);
        check(r#""secret""#, &[], 0);
        check(r#"{"jane@example.test":{"x":1},"2026-06-15":1,"ok":1}"#, &["/ok"], 2);
        check(r#"{"a\u002fb":1,"k\n":1}"#, &[], 2);
    }

    #[test]
    fn every_limit_holds_and_one_past_it() {
        let object = |count: usize| {
            let name = |n: usize| {
                let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap());
                format!("\"a{}e{}\":1", letter(n), letter(n / 26))
            };
            format!("{{{}}}", (0..count).map(name).collect::<Vec<_>>().join(","))
        };
        let count = |text: &str| {
            let mut seen = Seen::default();
            seen.note_answer_keys(&document(text));
            (seen.answer_keys.len(), seen.unnamed)
        };
        assert_eq!(count(&object(MEMBERS_MAX)), (MEMBERS_MAX, 0));
        assert_eq!(count(&object(MEMBERS_MAX + 1)), (0, 201));
        assert_eq!(count(&format!("{{\"x\":{},\"y\":{}}}", object(150), object(150))), (NAMES_MAX, 100));
        let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert_eq!(count(&nested(DEPTH_MAX)).0, 1);
        assert_eq!(count(&nested(DEPTH_MAX + 1)).0, 0);
        let list = |at: usize| format!("[{}{{\"a\":1}}]", "1,".repeat(at));
        assert_eq!(count(&list(ITEMS_MAX - 1)).0, 2);
        assert_eq!(count(&list(ITEMS_MAX)).0, 1);
    }

    #[test]
    fn parameters_are_names_only() {
        let mut seen = Seen::default();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let pairs = [
            pair("page", "2"),
            pair("filter[stage]", "x"),
            // `?hunter` has no value: the text may be one.
            pair("hunter", ""),
            pair("jane.doe@example.test", "1"),
        ];
        seen.note_query(pairs.iter());
        assert_eq!(seen.query.iter().collect::<Vec<_>>(), ["filter[stage]", "page"]);
        assert_eq!(seen.unnamed, 2);
        assert!(!seen.is_empty());
        assert!(Seen::new(&["x".to_owned()]).is_empty());
    }
}
