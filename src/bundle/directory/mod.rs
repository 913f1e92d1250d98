//! The directory: people, roles, teams, territories and positions, from a `.cedarentities.json` file.
//!
//! Promises: a directory that loads conforms to the schema, and every parent that it names exists. Unknown people are
//! refused before any contact with the CRM.

mod check;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cedar_policy as cedar;
use serde_json::Value;

use super::catalogue::{from_uid, to_uid};
use super::schema::from_diagnostic;
use crate::config::author::{AuthorProblem, Problems, SourceFile};
use crate::model::principal::EntityRef;

/// A loaded directory.
pub struct Directory {
    /// The content hash of what is kept of it.
    pub revision: String,
    /// What is kept of it: ids and memberships, no names, no custom attributes.
    pub snapshot: String,
    source: Arc<SourceFile>,
    entities: cedar::Entities,
    people: HashMap<EntityRef, Person>,
    by_attribute: HashMap<(String, String), HashMap<String, Lookup>>,
}

/// What is known of a principal before any policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// Whether they may act at all.
    pub is_active: bool,
    /// When their access starts, in milliseconds since 1970.
    pub access_from: Option<i64>,
    /// When their access ends.
    pub access_until: Option<i64>,
}

/// The outcome of looking for an entity by an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Exactly one.
    One(String),
    /// Several share the value: nobody is guessed.
    Ambiguous,
}

impl Directory {
    /// The same people for another schema; what does not conform to it is noted.
    pub fn refit(&self, schema: &cedar::Schema, problems: &mut Problems) -> Option<Self> {
        load(&self.source, schema, problems)
    }

    /// The person, if the directory has them.
    pub fn person(&self, entity: &EntityRef) -> Option<Person> {
        self.people.get(entity).copied()
    }

    /// The entity of a type whose attribute has that value.
    pub fn find(&self, type_name: &str, attribute: &str, value: &str) -> Option<&Lookup> {
        self.by_attribute.get(&(type_name.to_owned(), attribute.to_owned()))?.get(value)
    }

    /// The entity.
    pub fn entity(&self, entity: &EntityRef) -> Option<&cedar::Entity> {
        to_uid(entity).and_then(|uid| self.entities.get(&uid))
    }

    /// Whether an entity is there.
    pub fn contains(&self, entity: &EntityRef) -> bool {
        self.entity(entity).is_some()
    }

    /// Everything above an entity.
    pub fn ancestors(&self, entity: &EntityRef) -> Vec<EntityRef> {
        let uid = to_uid(entity);
        let above = uid.as_ref().and_then(|uid| self.entities.ancestors(uid));
        above.into_iter().flatten().map(from_uid).collect()
    }

    /// Every person's reference, sorted.
    pub fn people(&self) -> Vec<&EntityRef> {
        let mut people: Vec<&EntityRef> = self.people.keys().collect();
        people.sort();
        people
    }

    /// How many entities there are.
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }
}

/// Reads a directory; every problem is noted.
pub fn load(source: &Arc<SourceFile>, schema: &cedar::Schema, problems: &mut Problems) -> Option<Directory> {
    let json = read(source, problems)?;
    let items = json.as_array()?;
    match cedar::Entities::from_json_value(json.clone(), Some(schema)) {
        Ok(entities) => Some(assemble(source, items, entities)),
        Err(error) => {
            // Cedar stops at the first entity: the others are asked about one by one.
            if check::note(source, check::conformance(items, schema), problems) {
                problems.push(from_diagnostic(&error, source));
            }
            None
        }
    }
}

/// Looks a directory through for what can be said without a schema, where the bundle that has one does not load.
pub fn look_through(source: &Arc<SourceFile>, problems: &mut Problems) {
    read(source, problems);
}

/// The entities, if nothing is wrong with them that can be said without a schema.
fn read(source: &Arc<SourceFile>, problems: &mut Problems) -> Option<Value> {
    let json: Value = match serde_json::from_str(&source.text) {
        Ok(json) => json,
        Err(error) => {
            let at = offset_of(&source.text, error.line(), error.column());
            problems.push(AuthorProblem::error(format!("not valid JSON: {error}")).at(source, at..at));
            return None;
        }
    };
    let Some(items) = json.as_array() else {
        problems.push(AuthorProblem::error("a directory is a JSON array of entities").at(source, 0..0));
        return None;
    };
    check::note(source, check::structure(items), problems).then_some(json)
}

fn assemble(source: &Arc<SourceFile>, items: &[Value], entities: cedar::Entities) -> Directory {
    let mut people = HashMap::new();
    let mut by_attribute: HashMap<(String, String), HashMap<String, Lookup>> = HashMap::new();
    let mut kept = BTreeMap::new();
    for item in items {
        let Some(entity) = item.get("uid").and_then(reference) else { continue };
        let attributes = item.get("attrs").and_then(Value::as_object);
        let instant = |name: &str| attributes?.get(name).and_then(datetime);
        if matches!(entity.type_name.as_str(), "User" | "Service" | "Agent") {
            let is_active =
                attributes.and_then(|a| a.get("active")).and_then(Value::as_bool).unwrap_or(false);
            let person = Person {
                is_active,
                access_from: instant("accessFrom"),
                access_until: instant("accessUntil"),
            };
            people.insert(entity.clone(), person);
        }
        for (name, value) in attributes.into_iter().flatten() {
            let Some(text) = value.as_str() else { continue };
            let values = by_attribute.entry((entity.type_name.clone(), name.clone())).or_default();
            let lookup = match values.contains_key(text) {
                true => Lookup::Ambiguous,
                false => Lookup::One(entity.id.clone()),
            };
            values.insert(text.to_owned(), lookup);
        }
        kept.insert(entity, keep(item));
    }
    let snapshot: Vec<Value> = kept.into_values().collect();
    let snapshot = Value::Array(snapshot).to_string();
    Directory {
        revision: crate::bundle::revision::hash(snapshot.as_bytes()),
        snapshot,
        source: Arc::clone(source),
        entities,
        people,
        by_attribute,
    }
}

/// What the ledger's copy keeps of an entity. Custom attributes may hold anything about a person, so only their hash
/// stays: the revision still changes when they do.
fn keep(item: &Value) -> Value {
    let mut item = item.clone();
    if let Some(custom) = item.get_mut("attrs").and_then(|attributes| attributes.get_mut("custom")) {
        let hash = crate::bundle::revision::hash(custom.to_string().as_bytes());
        *custom = Value::String(format!("sha256:{hash}"));
    }
    item
}

fn reference(value: &Value) -> Option<EntityRef> {
    let value = value.get("__entity").unwrap_or(value);
    Some(EntityRef::new(value.get("type")?.as_str()?, value.get("id")?.as_str()?))
}

/// Reads the three spellings that Cedar takes for a point in time: the text alone, its call, and the escaped call.
fn datetime(value: &Value) -> Option<i64> {
    let call = value.get("__extn").unwrap_or(value);
    let argument = || call.get("fn").filter(|name| *name == "datetime").and(call.get("arg"))?.as_str();
    crate::bundle::instant::parse_cedar_datetime(value.as_str().or_else(argument)?)
}

fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}
