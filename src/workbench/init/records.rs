//! Where records stand in an answer: by its schema, never by an answer that was seen.
//!
//! Promises: of several places that could be meant none is taken, unless the path's own noun or a usual envelope tells them apart.

use std::rc::Rc;

use serde_json::Value;

use super::names::{is_same_noun, plain, singular, step};
use super::schema::{Kind, Schemas, Shape};
use super::{Confidence, Guess};

/// Where the records of an answer are.
#[derive(Debug)]
pub struct Located<'d> {
    /// The place, as a profile writes it.
    pub at: String,
    /// Whether there are many.
    pub is_many: bool,
    /// What they are.
    pub shape: Rc<Shape<'d>>,
    /// The key that holds their id.
    pub id: &'d str,
    /// How sure that is.
    pub guess: Guess,
    /// What stands beside them at the root, which is dropped.
    pub beside: Vec<&'d str>,
}

struct Candidate<'d> {
    at: String,
    keys: Vec<&'d str>,
    is_many: bool,
    shape: Rc<Shape<'d>>,
    id: &'d str,
    id_guess: Guess,
}

/// A search through one answer's schema.
struct Search<'s, 'd> {
    schemas: &'s Schemas<'d>,
    noun: &'s str,
    found: Vec<Candidate<'d>>,
    left: usize,
    has_gaps: bool,
}

/// Finds the records of an answer; the error says why there are none.
pub fn locate<'d>(schemas: &Schemas<'d>, schema: &'d Value, noun: &str) -> Result<Located<'d>, String> {
    let Some(root) = schemas.shape(schema) else {
        return Err("the schema of its answer is not in the document".to_owned());
    };
    let mut search = Search { schemas, noun, found: Vec::new(), left: LOOKS_MAX, has_gaps: false };
    search.look(&root, "$", &[]);
    if search.left == 0 {
        return Err("too much stands in its answer".to_owned());
    }
    let has_gaps = search.has_gaps;
    let mut found = search.found;
    let is_envelope = |candidate: &Candidate<'_>| {
        candidate.keys.first().is_some_and(|key| ENVELOPES.contains(&plain(key).as_str()))
    };
    let is_named = |candidate: &Candidate<'_>| candidate.keys.last().is_some_and(|key| names(key, noun));
    let (chosen, why) = match found.len() {
        0 => return Err(nothing(&root, has_gaps)),
        1 => (0, None),
        _ => {
            let only = |test: &dyn Fn(&Candidate<'_>) -> bool| {
                let mut fitting = found.iter().enumerate().filter(|(_, candidate)| test(candidate));
                fitting.next().filter(|_| fitting.next().is_none()).map(|(index, _)| index)
            };
            let many = |candidate: &Candidate<'_>| candidate.is_many && is_envelope(candidate);
            let chosen = only(&is_named).or_else(|| only(&is_envelope)).or_else(|| only(&many));
            let places: Vec<&str> = found.iter().map(|candidate| candidate.at.as_str()).collect();
            let told = places.join(", ");
            let Some(chosen) = chosen else {
                return Err(format!("records may stand at {told}: which is meant is not told"));
            };
            (chosen, Some(format!("chosen among {told}")))
        }
    };
    let candidate = found.swap_remove(chosen);
    let is_usual = candidate.keys.is_empty() || is_envelope(&candidate) || is_named(&candidate);
    let guess = match (is_usual, why) {
        (_, Some(why)) => Guess::new(Confidence::Medium, why),
        (true, None) => Guess::new(Confidence::High, String::new()),
        (false, None) => Guess::new(Confidence::Medium, format!("`{}` alone holds records", candidate.at)),
    };
    let guess = guess.and(candidate.id_guess);
    let guess = match root.is_choice || candidate.shape.is_choice {
        true => guess.and(Guess::new(Confidence::Medium, "one of several schemas".to_owned())),
        false => guess,
    };
    let first = candidate.keys.first().copied();
    let beside = match first {
        Some(first) => root.properties.iter().map(|(key, _)| *key).filter(|key| *key != first).collect(),
        None => Vec::new(),
    };
    Ok(Located {
        at: candidate.at,
        is_many: candidate.is_many,
        shape: candidate.shape,
        id: candidate.id,
        guess,
        beside,
    })
}

fn nothing(root: &Shape<'_>, has_gaps: bool) -> String {
    match root.kind {
        _ if has_gaps => "part of its answer's schema is not in the document".to_owned(),
        Kind::Object if root.properties.is_empty() => {
            "its answer is an object of which nothing is said".to_owned()
        }
        Kind::Object | Kind::List => "nothing with an id stands in its answer".to_owned(),
        Kind::Unsaid => "nothing is said of its answer".to_owned(),
        Kind::Text | Kind::Whole | Kind::Number | Kind::Truth => "its answer is a single value".to_owned(),
    }
}

impl<'d> Search<'_, 'd> {
    fn look(&mut self, shape: &Rc<Shape<'d>>, at: &str, keys: &[&'d str]) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        self.has_gaps |= shape.has_gaps;
        if let Some(items) = self.schemas.items(shape) {
            self.look_at_items(&items, &format!("{at}[*]"), keys);
            return;
        }
        if shape.kind != Kind::Object {
            self.has_gaps |= shape.items.is_some();
            return;
        }
        let id = self.id_of(shape);
        // An envelope may have an id of its own.
        let holds = |(key, inner): &(&'d str, &'d Value)| {
            let inner = self.schemas.shape(inner);
            ENVELOPES_WITH_ID.contains(&plain(key).as_str())
                && inner.is_some_and(|inner| self.holds_records(&inner))
        };
        let is_envelope = keys.is_empty() && shape.properties.iter().any(holds);
        match id.filter(|_| !is_envelope) {
            Some((id, id_guess)) => {
                let (at, keys) = (at.to_owned(), keys.to_vec());
                self.found.push(Candidate {
                    at,
                    keys,
                    is_many: false,
                    shape: Rc::clone(shape),
                    id,
                    id_guess,
                });
            }
            None if keys.len() < DEPTH_MAX => {
                for (key, inner) in &shape.properties {
                    let below: Vec<&str> = keys.iter().copied().chain([*key]).collect();
                    match (self.schemas.shape(inner), step(at, key)) {
                        (Some(inner), Some(at)) => self.look(&inner, &at, &below),
                        (None, _) => self.has_gaps = true,
                        (Some(_), None) => {}
                    }
                }
            }
            None => {}
        }
    }

    /// Records in a list, each by itself or in an object that holds nothing else: `edges[*].node`.
    fn look_at_items(&mut self, items: &Rc<Shape<'d>>, at: &str, keys: &[&'d str]) {
        let (at, inner) = match self.id_of(items) {
            Some(_) => (at.to_owned(), Rc::clone(items)),
            None => {
                let Some((key, inner)) = self.wrapped(items) else { return };
                let Some(at) = step(at, key) else { return };
                (at, inner)
            }
        };
        if let Some((id, id_guess)) = self.id_of(&inner) {
            self.found.push(Candidate { at, keys: keys.to_vec(), is_many: true, shape: inner, id, id_guess });
        }
    }

    fn holds_records(&self, shape: &Rc<Shape<'d>>) -> bool {
        let items = self.schemas.items(shape);
        self.id_of(items.as_ref().unwrap_or(shape)).is_some()
    }

    fn wrapped(&self, items: &Shape<'d>) -> Option<(&'d str, Rc<Shape<'d>>)> {
        let inner = |(key, schema): &(&'d str, &'d Value)| Some((*key, self.schemas.shape(schema)?));
        let mut found = items.properties.iter().filter_map(inner);
        let with_id = |(_, shape): &(&str, Rc<Shape<'d>>)| self.id_of(shape).is_some();
        let first = found.find(with_id)?;
        found.find(with_id).is_none().then_some(first)
    }

    fn id_of(&self, shape: &Shape<'d>) -> Option<(&'d str, Guess)> {
        id_of(self.schemas, shape, self.noun)
    }
}

/// The key that holds a record's id.
pub fn id_of<'d>(schemas: &Schemas<'d>, shape: &Shape<'d>, noun: &str) -> Option<(&'d str, Guess)> {
    if shape.kind != Kind::Object {
        return None;
    }
    let can_be = |(_, schema): &&(&'d str, &'d Value)| {
        let kind = schemas.shape(schema).map_or(Kind::Unsaid, |shape| shape.kind);
        matches!(kind, Kind::Text | Kind::Whole | Kind::Number | Kind::Unsaid)
    };
    let find = |test: &dyn Fn(&str) -> bool| {
        let mut fitting = shape.properties.iter().filter(|(key, _)| test(key)).filter(can_be);
        fitting.next().map(|(key, _)| *key)
    };
    if let Some(id) = find(&|key| key == "id") {
        return Some((id, Guess::new(Confidence::High, String::new())));
    }
    let usual = find(&|key| USUAL_IDS.contains(&key));
    let name = shape.name.map(singular).unwrap_or_default();
    let own = || {
        find(&|key| {
            let start = plain(key).strip_suffix("id").map(str::to_owned).unwrap_or_default();
            !start.is_empty() && [noun, name.as_str()].iter().any(|noun| plain(&singular(noun)) == start)
        })
    };
    let id = usual.or_else(own)?;
    Some((id, Guess::new(Confidence::Medium, format!("`{id}` is taken for the id"))))
}

/// Whether a key is the noun, alone or with what envelopes add: `opportunity_obj`, `dealData`.
fn names(key: &str, noun: &str) -> bool {
    let is_part =
        || plain(key).strip_prefix(&plain(&singular(noun))).is_some_and(|rest| DECORATIONS.contains(&rest));
    is_same_noun(key, noun) || (!noun.is_empty() && is_part())
}

/// Keys under which answers carry what they are about.
const ENVELOPES: &[&str] = &[
    "data",
    "result",
    "results",
    "items",
    "records",
    "value",
    "values",
    "list",
    "rows",
    "entries",
    "content",
    "objects",
    "embedded",
    "response",
    "payload",
    "record",
    "item",
    "body",
    "hits",
    "elements",
    "collection",
    "page",
];
/// Those that hardly are a record's own keys.
const ENVELOPES_WITH_ID: &[&str] = &["data", "result", "results", "records", "response", "payload"];
/// What envelopes add to a noun.
const DECORATIONS: &[&str] = &["obj", "object", "data", "list", "items", "detail", "details", "info"];
/// Keys that are ids as a rule.
const USUAL_IDS: &[&str] = &["_id", "Id", "ID", "uuid", "UUID", "guid", "Guid", "_key", "gid", "sid"];
/// Levels of envelopes.
const DEPTH_MAX: usize = 3;
/// Schemas of one answer that are looked at.
const LOOKS_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::author::SourceFile;
    use crate::workbench::init::document::Document;

    #[track_caller]
    fn check(answer: Value, noun: &str, expected: &str) {
        let whole = json!({"openapi": "3.0.0", "answer": answer, "deal": deal()}).to_string();
        let document = Document::read(&SourceFile::new("a.json", whole)).unwrap();
        let found = locate(&Schemas::of(&document), &document.root["answer"], noun);
        let told = match found {
            Ok(found) => format!(
                "{} {} {} beside {}",
                found.at,
                found.id,
                found.guess.confidence.name(),
                found.beside.join(",")
            ),
            Err(why) => why,
        };
        assert_eq!(told.trim_end_matches(" beside "), expected);
    }

    fn deal() -> Value {
        json!({"type": "object", "properties": {"id": {"type": "integer"}, "title": {"type": "string"}}})
    }

    fn object(members: Value) -> Value {
        json!({"type": "object", "properties": members})
    }

    fn many(of: Value) -> Value {
        json!({"type": "array", "items": of})
    }

    #[test]
    fn records_are_found_in_the_usual_places() {
        check(deal(), "deals", "$ id high");
        check(many(deal()), "deals", "$[*] id high");
        check(
            object(json!({"data": many(deal()), "total": {"type": "integer"}})),
            "deals",
            "$.data[*] id high beside total",
        );
        check(
            object(json!({"opportunity_obj": deal(), "comments": many(deal())})),
            "opportunities",
            "$.opportunity_obj id medium beside comments",
        );
        check(
            object(json!({"_embedded": object(json!({"deals": many(deal())})), "_links": object(json!({}))})),
            "deals",
            "$._embedded.deals[*] id high beside _links",
        );
        check(
            object(json!({"edges": many(object(json!({"node": deal(), "cursor": {"type": "string"}})))})),
            "deals",
            "$.edges[*].node id medium",
        );
        check(object(json!({"odd name": many(deal())})), "deals", "$['odd name'][*] id medium");
        check(
            object(json!({"id": {"type": "string"}, "result": many(deal())})),
            "deals",
            "$.result[*] id high beside id",
        );
        check(
            object(json!({"deal_id": {"type": "string"}, "items": many(deal())})),
            "deals",
            "$ deal_id medium",
        );
        check(object(json!({"_id": {}})), "deals", "$ _id medium");
        check(json!({"$ref": "#/deal"}), "", "$ id high");
    }

    #[test]
    fn what_is_not_told_is_not_guessed() {
        let two = object(json!({"a": many(deal()), "b": many(deal())}));
        check(two, "deals", "records may stand at $.a[*], $.b[*]: which is meant is not told");
        check(json!({"$ref": "far.yaml"}), "deals", "the schema of its answer is not in the document");
        check(
            many(json!({"$ref": "far.yaml"})),
            "deals",
            "part of its answer's schema is not in the document",
        );
        check(
            json!({"allOf": [{"$ref": "far.yaml"}, {"type": "object"}]}),
            "deals",
            "part of its answer's schema is not in the document",
        );
        check(json!({"type": "object"}), "deals", "its answer is an object of which nothing is said");
        check(json!({}), "deals", "nothing is said of its answer");
        check(json!({"type": "string"}), "deals", "its answer is a single value");
        check(object(json!({"id": {"type": "boolean"}})), "deals", "nothing with an id stands in its answer");
    }

    #[test]
    fn circles_end() {
        let tree =
            json!({"type": "object", "properties": {"a": {"$ref": "#/answer"}, "b": {"$ref": "#/answer"}}});
        check(tree, "deals", "nothing with an id stands in its answer");
    }
}
