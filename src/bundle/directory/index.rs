//! The compact index: every entity of a directory in a few flat tables, about as large as its ids and attributes are.
//!
//! Promises: an entity is a number; its parents are numbers; its attributes are the JSON that stood in the file, without white
//! space. Never changes once it is made, and never holds a Cedar value.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::ops::Range;

use super::table::Table;
use super::{Lookup, Person};
use crate::json::token::decode;
use crate::json::value::{Kind, Value};
use crate::model::principal::EntityRef;

/// All entities of a directory.
#[derive(Default)]
pub struct Index {
    types: Vec<Box<str>>,
    entities: Vec<Entity>,
    by_name: Table,
    ids: String,
    bodies: String,
    parents: Vec<u32>,
    people: BTreeMap<u32, Person>,
    values: BTreeMap<(u16, String), Values>,
}

/// One entity. Ranges are places in the index's texts and lists.
struct Entity {
    type_name: u16,
    id: Range<u32>,
    /// `None` while it is only referred to.
    defined: Option<Defined>,
}

struct Defined {
    item: u32,
    attributes: Range<u32>,
    tags: Range<u32>,
    parents: Range<u32>,
}

/// The entities of a type by the texts of one attribute.
#[derive(Default)]
struct Values {
    table: Table,
    entries: Vec<ValueEntry>,
}

struct ValueEntry {
    /// The JSON string, with its quotes, in the index's bodies.
    text: Range<u32>,
    /// `None` where several share the value.
    entity: Option<u32>,
}

impl Index {
    /// The number of an entity.
    pub fn number(&self, entity: &EntityRef) -> Option<u32> {
        let number = self.named(&entity.type_name, &entity.id)?;
        self.is_defined(number).then_some(number)
    }

    /// The entity's reference.
    pub fn reference(&self, number: u32) -> EntityRef {
        let (type_name, id) = self.name(number);
        EntityRef::new(type_name, id)
    }

    /// Type and id, by which entities are put in order.
    pub fn name(&self, number: u32) -> (&str, &str) {
        self.entity(number).map_or(("", ""), |entity| (self.type_name(entity), slice(&self.ids, &entity.id)))
    }

    /// The attributes, as a JSON object without white space.
    pub fn attributes(&self, number: u32) -> &str {
        self.defined(number).map_or("{}", |defined| slice(&self.bodies, &defined.attributes))
    }

    /// The tags, likewise; empty if the file has none.
    pub fn tags(&self, number: u32) -> &str {
        self.defined(number).map_or("", |defined| slice(&self.bodies, &defined.tags))
    }

    /// Where the entity stood in its file, from 0.
    pub fn item(&self, number: u32) -> usize {
        self.defined(number).map_or(0, |defined| defined.item as usize)
    }

    /// The numbers of the parents, as the file lists them.
    pub fn parents(&self, number: u32) -> &[u32] {
        let parents = self.defined(number).map(|defined| defined.parents.clone()).unwrap_or_default();
        self.parents.get(parents.start as usize..parents.end as usize).unwrap_or_default()
    }

    /// The numbers of everything above an entity, each once.
    pub fn ancestors(&self, number: u32) -> Vec<u32> {
        let mut above: Vec<u32> = Vec::new();
        let mut waiting = self.parents(number).to_vec();
        while let Some(parent) = waiting.pop() {
            // Few are above one entity, so looking through them is faster than a set.
            if !above.contains(&parent) {
                above.push(parent);
                waiting.extend(self.parents(parent));
            }
        }
        above
    }

    /// What is known of a person.
    pub fn person(&self, number: u32) -> Option<Person> {
        self.people.get(&number).copied()
    }

    /// Everybody, in the order of the file.
    pub fn people(&self) -> impl Iterator<Item = EntityRef> + '_ {
        self.people.keys().map(|number| self.reference(*number))
    }

    /// How many people there are.
    pub fn people_count(&self) -> usize {
        self.people.len()
    }

    /// The entity of a type whose attribute has that text.
    pub fn find(&self, type_name: &str, attribute: &str, text: &str) -> Option<Lookup> {
        let values = self.values.get(&(self.type_number(type_name)?, attribute.to_owned()))?;
        let is_it = |entry: u32| values.text(&self.bodies, entry) == text;
        let entry = values.table.find(values.table.hash(text), is_it)?;
        Some(match values.entries.get(entry as usize)?.entity {
            Some(entity) => Lookup::One(self.reference(entity).id),
            None => Lookup::Ambiguous,
        })
    }

    /// Whether any entity of a type is there or referred to as one above.
    pub fn knows_type(&self, type_name: &str) -> bool {
        self.type_number(type_name).is_some()
    }

    /// How many entities there are, those that are only referred to included.
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Every number.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        0..count(self.entities.len())
    }

    /// Whether the file has the entity, or only refers to it.
    pub fn is_defined(&self, number: u32) -> bool {
        self.defined(number).is_some()
    }

    /// The ids of a type's entities.
    pub fn ids_of<'i>(&'i self, type_name: &str) -> impl Iterator<Item = &'i str> + use<'i> {
        let wanted = self.type_number(type_name);
        let of_type = self.entities.iter().filter(move |entity| Some(entity.type_name) == wanted);
        of_type.filter(|entity| entity.defined.is_some()).map(|entity| slice(&self.ids, &entity.id))
    }

    /// The number of a name, which it gets by being referred to.
    pub fn refer(&mut self, entity: &EntityRef) -> u32 {
        if let Some(number) = self.named(&entity.type_name, &entity.id) {
            return number;
        }
        let number = count(self.entities.len());
        let type_name = self.type_number(&entity.type_name).unwrap_or_else(|| {
            self.types.push(entity.type_name.as_str().into());
            u16::try_from(self.types.len() - 1).unwrap_or(u16::MAX)
        });
        let id = append(&mut self.ids, &entity.id);
        self.entities.push(Entity { type_name, id, defined: None });
        let (ids, entities) = (&self.ids, &self.entities);
        let hash_of = |hasher: &std::hash::RandomState, number: u32| {
            let entity = entities.get(number as usize);
            entity.map_or(0, |entity| hasher.hash_one((entity.type_name, slice(ids, &entity.id))))
        };
        let hash = self.by_name.hash((type_name, entity.id.as_str()));
        self.by_name.insert(hash, number, hash_of);
        number
    }

    /// Gives a name its attributes, tags and parents.
    pub fn define(&mut self, number: u32, item: usize, root: Value<'_>, parents: &[u32]) {
        let attributes = root.member("attrs").map_or(0..0, |value| self.append_object(number, value));
        let tags = root.member("tags").filter(|tags| !tags.is_empty());
        let tags = tags.map_or(0..0, |value| append_plain(&mut self.bodies, value));
        let start = count(self.parents.len());
        self.parents.extend_from_slice(parents);
        let parents = start..count(self.parents.len());
        if let Some(entity) = self.entities.get_mut(number as usize) {
            entity.defined = Some(Defined { item: count(item), attributes, tags, parents });
        }
    }

    /// Notes what is known of a person.
    pub fn add_person(&mut self, number: u32, person: Person) {
        self.people.insert(number, person);
    }

    /// Gives back what growing took too much.
    pub fn shrink(&mut self) {
        self.entities.shrink_to_fit();
        self.ids.shrink_to_fit();
        self.bodies.shrink_to_fit();
        self.parents.shrink_to_fit();
        self.values.values_mut().for_each(|values| values.entries.shrink_to_fit());
    }

    /// Keeps an object of attributes, and finds its texts again.
    fn append_object(&mut self, number: u32, object: Value<'_>) -> Range<u32> {
        let start = count(self.bodies.len());
        self.bodies.push('{');
        for (position, member) in object.members().enumerate() {
            if position > 0 {
                self.bodies.push(',');
            }
            self.bodies.push_str(member.raw_key());
            self.bodies.push(':');
            let text = append_plain(&mut self.bodies, member.value());
            if member.value().kind() == Kind::String {
                self.add_value(number, &member.key(), text);
            }
        }
        self.bodies.push('}');
        start..count(self.bodies.len())
    }

    fn add_value(&mut self, number: u32, attribute: &str, text: Range<u32>) {
        let Some(entity) = self.entities.get(number as usize) else { return };
        let values = self.values.entry((entity.type_name, attribute.to_owned())).or_default();
        let decoded = decode(slice(&self.bodies, &text));
        let hash = values.table.hash(&*decoded);
        if let Some(entry) = values.table.find(hash, |entry| values.text(&self.bodies, entry) == decoded) {
            if let Some(entry) = values.entries.get_mut(entry as usize) {
                entry.entity = None;
            }
            return;
        }
        values.entries.push(ValueEntry { text, entity: Some(number) });
        let (entries, bodies) = (&values.entries, &self.bodies);
        let hash_of = |hasher: &std::hash::RandomState, entry: u32| {
            let entry = entries.get(entry as usize);
            entry.map_or(0, |entry| hasher.hash_one(&*decode(slice(bodies, &entry.text))))
        };
        values.table.insert(hash, count(entries.len() - 1), hash_of);
    }

    fn named(&self, type_name: &str, id: &str) -> Option<u32> {
        let type_name = self.type_number(type_name)?;
        let is_it = |number: u32| {
            let entity = self.entities.get(number as usize);
            entity.is_some_and(|e| e.type_name == type_name && slice(&self.ids, &e.id) == id)
        };
        self.by_name.find(self.by_name.hash((type_name, id)), is_it)
    }

    fn type_number(&self, type_name: &str) -> Option<u16> {
        let position = self.types.iter().position(|known| &**known == type_name)?;
        u16::try_from(position).ok()
    }

    fn type_name(&self, entity: &Entity) -> &str {
        self.types.get(usize::from(entity.type_name)).map_or("", |name| name)
    }

    fn entity(&self, number: u32) -> Option<&Entity> {
        self.entities.get(number as usize)
    }

    fn defined(&self, number: u32) -> Option<&Defined> {
        self.entity(number)?.defined.as_ref()
    }
}

impl Values {
    fn text<'b>(&self, bodies: &'b str, entry: u32) -> std::borrow::Cow<'b, str> {
        let entry = self.entries.get(entry as usize);
        decode(entry.map_or("", |entry| slice(bodies, &entry.text)))
    }
}

/// Adds a JSON value without its white space, in runs between it.
fn append_plain(bodies: &mut String, value: Value<'_>) -> Range<u32> {
    let (start, raw) = (count(bodies.len()), value.raw());
    let (mut in_string, mut is_escaped, mut run) = (false, false, 0);
    for (at, byte) in raw.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            b' ' | b'\t' | b'\n' | b'\r' if !in_string => {
                bodies.push_str(raw.get(run..at).unwrap_or_default());
                run = at + 1;
            }
            _ => {}
        }
    }
    bodies.push_str(raw.get(run..).unwrap_or_default());
    start..count(bodies.len())
}

fn append(text: &mut String, more: &str) -> Range<u32> {
    let start = count(text.len());
    text.push_str(more);
    start..count(text.len())
}

fn slice<'t>(text: &'t str, range: &Range<u32>) -> &'t str {
    text.get(range.start as usize..range.end as usize).unwrap_or_default()
}

/// A file has at most 256 MiB, so no place in it and no count of its parts needs more than 32 bits.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
