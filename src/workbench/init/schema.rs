//! What a schema says, whatever it is put together from: references, `allOf`, `oneOf`, `anyOf`, lists of types.
//!
//! Promises: each schema is looked at once; circles and long chains end; what leads out of the document is a gap, not a guess.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value;

use super::document::{Document, Target};

/// What schemas of one document say.
pub struct Schemas<'d> {
    document: &'d Document,
    known: RefCell<HashMap<SchemaKey, Rc<Shape<'d>>>>,
}

/// One schema of the document, by its place in memory: two references to one schema have one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SchemaKey(*const Value);

/// What one schema says of its values.
#[derive(Debug)]
pub struct Shape<'d> {
    /// Which schema it is.
    pub key: SchemaKey,
    /// What it is called where it stands.
    pub name: Option<&'d str>,
    /// What its values are.
    pub kind: Kind,
    /// The members of its objects, in the order of the document.
    pub properties: Vec<(&'d str, &'d Value)>,
    /// What its lists hold.
    pub items: Option<&'d Value>,
    /// The texts that its values may be, if they are listed.
    pub values: Vec<&'d str>,
    /// Its `format`.
    pub format: Option<&'d str>,
    /// Whether it may be `null`.
    pub is_nullable: bool,
    /// Whether it is one of several schemas.
    pub is_choice: bool,
    /// Whether part of it is not in the document.
    pub has_gaps: bool,
}

/// What values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Objects.
    Object,
    /// Lists.
    List,
    /// Texts.
    Text,
    /// Whole numbers.
    Whole,
    /// Numbers.
    Number,
    /// Truth values.
    Truth,
    /// The schema does not say.
    Unsaid,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "object" => Kind::Object,
            "array" => Kind::List,
            "string" => Kind::Text,
            "integer" => Kind::Whole,
            "number" => Kind::Number,
            "boolean" => Kind::Truth,
            _ => return None,
        })
    }
}

impl<'d> Shape<'d> {
    /// The schema of a member.
    pub fn property(&self, name: &str) -> Option<&'d Value> {
        self.properties.iter().find(|(own, _)| *own == name).map(|(_, schema)| *schema)
    }

    fn new(target: Target<'d>) -> Self {
        Self {
            key: SchemaKey(target.node),
            name: target.name,
            kind: Kind::Unsaid,
            properties: Vec::new(),
            items: None,
            values: Vec::new(),
            format: None,
            is_nullable: false,
            is_choice: false,
            has_gaps: false,
        }
    }

    /// Adds what one part says itself; what was said before counts.
    fn add(&mut self, part: &'d Value) {
        let types = part.get("type");
        let named = types.and_then(Value::as_array).into_iter().flatten().chain(types);
        for name in named.filter_map(Value::as_str) {
            match Kind::named(name) {
                Some(kind) if self.kind == Kind::Unsaid => self.kind = kind,
                Some(_) => {}
                None => self.is_nullable |= name == "null",
            }
        }
        let says_null = |key: &str| part.get(key) == Some(&Value::Bool(true));
        self.is_nullable |= says_null("nullable") || says_null("x-nullable");
        for (name, schema) in part.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let is_new = self.properties.len() < PROPERTIES_MAX && self.property(name).is_none();
            self.properties.extend(is_new.then_some((name.as_str(), schema)));
        }
        self.items = self.items.or_else(|| part.get("items"));
        self.format = self.format.or_else(|| part.get("format").and_then(Value::as_str));
        let listed = part.get("enum").and_then(Value::as_array).into_iter().flatten();
        for value in listed.chain(part.get("const")) {
            match value.as_str() {
                Some(text) if self.values.len() < VALUES_MAX => self.values.push(text),
                Some(_) => {}
                None => self.is_nullable |= value.is_null(),
            }
        }
    }

    fn end(&mut self) {
        if self.kind == Kind::Unsaid {
            self.kind = match (self.properties.is_empty(), self.items, self.values.is_empty()) {
                (false, ..) => Kind::Object,
                (true, Some(_), _) => Kind::List,
                (true, None, false) => Kind::Text,
                (true, None, true) => Kind::Unsaid,
            };
        }
    }
}

impl<'d> Schemas<'d> {
    /// What the schemas of a document say.
    pub fn of(document: &'d Document) -> Self {
        Self { document, known: RefCell::default() }
    }

    /// What a schema says; `None` if it is not in the document.
    pub fn shape(&self, schema: &'d Value) -> Option<Rc<Shape<'d>>> {
        let target = self.unwrapped(schema)?;
        let key = SchemaKey(target.node);
        if let Some(known) = self.known.borrow().get(&key) {
            return Some(Rc::clone(known));
        }
        let shape = Rc::new(self.look_at(target));
        self.known.borrow_mut().insert(key, Rc::clone(&shape));
        Some(shape)
    }

    /// What a list holds.
    pub fn items(&self, shape: &Shape<'d>) -> Option<Rc<Shape<'d>>> {
        if shape.kind == Kind::List { self.shape(shape.items?) } else { None }
    }

    /// Whether a value may be `null`, by what wraps its schema too.
    pub fn is_nullable(&self, schema: &'d Value) -> bool {
        let mut left = vec![schema];
        for _ in 0..WRAPPINGS_MAX {
            let Some(target) = left.pop().and_then(|node| self.document.follow(node)) else { break };
            let says = |key: &str| target.node.get(key) == Some(&Value::Bool(true));
            let all: usize =
                PARTS.iter().filter_map(|word| target.node.get(word)?.as_array()).map(Vec::len).sum();
            if says("nullable") || says("x-nullable") || all > real_parts(target.node, &PARTS).count() {
                return true;
            }
            left.extend(only_part(target.node));
        }
        self.shape(schema).is_some_and(|shape| shape.is_nullable)
    }

    /// References followed, and what only wraps one schema taken off: `allOf` of one, `anyOf` of one and `null`.
    fn unwrapped(&self, schema: &'d Value) -> Option<Target<'d>> {
        let mut target = self.document.follow(schema)?;
        for _ in 0..WRAPPINGS_MAX {
            let Some(inner) = only_part(target.node) else { break };
            let next = self.document.follow(inner)?;
            target = Target { node: next.node, name: next.name.or(target.name) };
        }
        Some(target)
    }

    fn look_at(&self, target: Target<'d>) -> Shape<'d> {
        let mut shape = Shape::new(target);
        let (mut left, mut seen) = (vec![target.node], HashSet::new());
        while let Some(part) = left.pop() {
            if seen.len() >= PARTS_MAX {
                shape.has_gaps = true;
                break;
            }
            let Some(target) = self.document.follow(part) else {
                shape.has_gaps = true;
                continue;
            };
            if seen.insert(SchemaKey(target.node)) {
                shape.add(target.node);
                shape.is_choice |= real_parts(target.node, &["oneOf", "anyOf"]).count() > 1;
                let parts: Vec<&Value> = real_parts(target.node, &PARTS).collect();
                left.extend(parts.into_iter().rev());
            }
        }
        shape.end();
        shape
    }
}

/// The one schema that a node is made of, if it says nothing itself.
fn only_part(node: &Value) -> Option<&Value> {
    let says = ["properties", "items", "type", "enum"].into_iter().any(|key| node.get(key).is_some());
    let mut parts = real_parts(node, &PARTS);
    let first = parts.next().filter(|_| !says)?;
    parts.next().is_none().then_some(first)
}

/// The schemas that a node is put together from, but for `null`.
fn real_parts<'d>(node: &'d Value, words: &[&'static str]) -> impl Iterator<Item = &'d Value> {
    let lists: Vec<&Vec<Value>> = words.iter().filter_map(|word| node.get(word)?.as_array()).collect();
    let is_null = |part: &&Value| part.get("type").and_then(Value::as_str) == Some("null");
    lists.into_iter().flatten().filter(move |part| !is_null(part))
}

/// Words by which schemas are put together.
const PARTS: [&str; 3] = ["allOf", "oneOf", "anyOf"];
/// Schemas that one is put together from.
const PARTS_MAX: usize = 200;
/// Members of one object.
const PROPERTIES_MAX: usize = 1_000;
/// Listed texts of one schema.
const VALUES_MAX: usize = 200;
/// Wrappings around one schema.
const WRAPPINGS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::author::SourceFile;

    fn document(schemas: Value) -> Document {
        let whole = json!({"openapi": "3.1.0", "s": schemas}).to_string();
        Document::read(&SourceFile::new("a.json", whole)).unwrap()
    }

    #[track_caller]
    fn check(schemas: Value, expected: &str) {
        let document = document(schemas);
        let schemas = Schemas::of(&document);
        let shape = schemas.shape(&document.root["s"]["A"]).unwrap();
        let names: Vec<&str> = shape.properties.iter().map(|(name, _)| *name).collect();
        let flags = [(shape.is_nullable, "null"), (shape.is_choice, "choice"), (shape.has_gaps, "gaps")];
        let flags: Vec<&str> = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| *name).collect();
        let told = format!("{:?} {} {}", shape.kind, names.join(","), flags.join(","));
        assert_eq!(told.trim(), expected);
    }

    #[test]
    fn a_schema_is_what_its_parts_say() {
        check(json!({"A": {"type": ["string", "null"]}}), "Text  null");
        check(json!({"A": {"properties": {"b": {}, "a": {}}}}), "Object b,a");
        check(
            json!({"A": {"allOf": [{"properties": {"a": {}}}, {"$ref": "#/s/B"}]}, "B": {"properties": {"b": {}}}}),
            "Object a,b",
        );
        check(
            json!({"A": {"oneOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}}),
            "Object a,b choice",
        );
        check(json!({"A": {"anyOf": [{"$ref": "#/s/B"}, {"type": "null"}]}, "B": {"enum": ["x"]}}), "Text");
        check(json!({"A": {"allOf": [{"$ref": "far.yaml"}, {"properties": {"a": {}}}]}}), "Object a gaps");
        check(json!({"A": {"items": {}}}), "List");
        check(json!({"A": true}), "Unsaid");
    }

    #[test]
    fn circles_end() {
        check(json!({"A": {"allOf": [{"$ref": "#/s/A"}, {"properties": {"a": {}}}]}}), "Object a");
        check(
            json!({"A": {"allOf": [{"$ref": "#/s/B"}], "type": "object"}, "B": {"allOf": [{"$ref": "#/s/A"}, {}]}}),
            "Object",
        );
        let document = document(json!({"A": {"allOf": [{"$ref": "#/s/A"}]}}));
        assert!(Schemas::of(&document).shape(&document.root["s"]["A"]).is_some());
    }

    #[test]
    fn one_schema_has_one_key_however_it_is_wrapped() {
        let document = document(
            json!({"A": {"allOf": [{"$ref": "#/s/B"}], "nullable": true}, "B": {"type": "object"}, "C": {"$ref": "#/s/B"}}),
        );
        let schemas = Schemas::of(&document);
        let key = |name: &str| schemas.shape(&document.root["s"][name]).unwrap().key;
        assert_eq!((key("A"), key("C")), (key("B"), key("B")));
        assert_eq!(schemas.shape(&document.root["s"]["C"]).unwrap().name, Some("B"));
        let is_nullable = |name: &str| schemas.is_nullable(&document.root["s"][name]);
        assert!(is_nullable("A") && !is_nullable("B") && !is_nullable("C"));
    }
}
