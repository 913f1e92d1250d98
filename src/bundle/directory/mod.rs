//! The directory: people, roles, teams, territories and positions, from a `.cedarentities.json` file.
//!
//! Held as a compact index of our own, because 100,000 people take Cedar's own form 665 MB and 4.4 s. Cedar gets an entity when an
//! evaluation needs it. Promises: a directory that loads conforms to the schema, and every parent that it names exists.
//! Unknown people are refused before any contact with the CRM.

mod check;
mod conformance;
mod hierarchy;
mod index;
mod items;
mod read;
mod table;
mod text;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use cedar_policy as cedar;
use sha2::{Digest, Sha256};

use crate::config::author::{Problems, SourceFile};
use crate::json::parse::JsonLimits;
use crate::json::token::quoted;
use crate::json::value::Document;
use crate::model::hex::hex;
use crate::model::principal::EntityRef;
use check::Findings;
use conformance::Conformance;
use index::Index;

/// A loaded directory.
pub struct Directory {
    /// The content hash of what is kept of it.
    pub revision: String,
    index: Arc<Index>,
    schema: cedar::Schema,
    made: moka::sync::Cache<u32, Arc<cedar::Entity>>,
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

/// How large a directory may be; each limit is the largest accepted. The file's bytes are limited where it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryLimits {
    /// Entities of all types.
    pub entities_max: usize,
    /// Bytes of one entity in the file, white space included.
    pub entity_bytes_max: usize,
    /// Parents that one entity names.
    pub parents_max: usize,
    /// Levels above an entity.
    pub levels_max: usize,
    /// Entities above one entity, each counted once.
    pub ancestors_max: usize,
}

impl Default for DirectoryLimits {
    fn default() -> Self {
        Self {
            entities_max: 1_000_000,
            entity_bytes_max: 64 * 1024,
            parents_max: 1_000,
            levels_max: 64,
            ancestors_max: 2_000,
        }
    }
}

impl Directory {
    /// The same people for another schema; what does not conform to it is noted.
    pub fn refit(&self, schema: &cedar::Schema, problems: &mut Problems) -> Option<Self> {
        let (mut conformance, mut found) = (Conformance::to(schema), Findings::default());
        for number in self.index.numbers() {
            let (entity, text) = (self.index.reference(number), text::for_cedar(&self.index, number));
            let document = Document::parse(Bytes::from(text.clone()), &JsonLimits::default()).ok()?;
            if let Err(message) = conformance.check(&text, document.root()) {
                found.push(0, quoted(&entity.id), read::about(&entity, message), "");
            }
            if found.is_full() {
                break;
            }
        }
        if !found.is_empty() {
            found.tell_without_places(problems);
            return None;
        }
        Some(Self::over(Arc::clone(&self.index), self.revision.clone(), schema))
    }

    /// The person, if the directory has them.
    pub fn person(&self, entity: &EntityRef) -> Option<Person> {
        self.index.person(self.index.number(entity)?)
    }

    /// The entity of a type whose attribute has that value.
    pub fn find(&self, type_name: &str, attribute: &str, value: &str) -> Option<Lookup> {
        self.index.find(type_name, attribute, value)
    }

    /// The entity as Cedar takes it, with its attributes and the parents that it names. The last ones asked for are kept.
    pub fn entity(&self, entity: &EntityRef) -> Option<cedar::Entity> {
        self.shared_entity(entity).map(|made| (*made).clone())
    }

    /// The same, not copied.
    pub fn shared_entity(&self, entity: &EntityRef) -> Option<Arc<cedar::Entity>> {
        let number = self.index.number(entity)?;
        if let Some(made) = self.made.get(&number) {
            return Some(made);
        }
        // It conformed when it was loaded; what Cedar would not take now is unknown, and that denies.
        let text = text::for_cedar(&self.index, number);
        let made = Arc::new(cedar::Entity::from_json_str(text, Some(&self.schema)).ok()?);
        self.made.insert(number, Arc::clone(&made));
        Some(made)
    }

    /// What its file says of an entity itself: attributes and tags, as JSON texts without white space.
    pub fn stated(&self, entity: &EntityRef) -> Option<(&str, &str)> {
        let number = self.index.number(entity)?;
        Some((self.index.attributes(number), self.index.tags(number)))
    }

    /// Whether an entity is there.
    pub fn contains(&self, entity: &EntityRef) -> bool {
        self.index.number(entity).is_some()
    }

    /// Everything above an entity.
    pub fn ancestors(&self, entity: &EntityRef) -> Vec<EntityRef> {
        let above = self.index.number(entity).map(|number| self.index.ancestors(number));
        above.into_iter().flatten().map(|number| self.index.reference(number)).collect()
    }

    /// Whether an entity is below another; `None` if it is not there.
    pub fn is_below(&self, entity: &EntityRef, above: &EntityRef) -> Option<bool> {
        let number = self.index.number(entity)?;
        let wanted = self.index.number(above);
        Some(wanted.is_some_and(|wanted| self.index.ancestors(number).contains(&wanted)))
    }

    /// The ids of a type's entities, if they are at most so many.
    pub fn ids_of(&self, type_name: &str, max: usize) -> Option<Vec<String>> {
        let ids: Vec<String> = self.index.ids_of(type_name).take(max + 1).map(str::to_owned).collect();
        (ids.len() <= max).then_some(ids)
    }

    /// Whether it has, or refers to, entities of a type.
    pub fn knows_type(&self, type_name: &str) -> bool {
        self.index.knows_type(type_name)
    }

    /// Everybody, in the order of the file.
    pub fn people(&self) -> impl Iterator<Item = EntityRef> + '_ {
        self.index.people()
    }

    /// How many people there are.
    pub fn people_count(&self) -> usize {
        self.index.people_count()
    }

    /// How many entities there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// What the ledger keeps of it: ids and memberships, no names, no custom attributes.
    pub fn snapshot(&self) -> String {
        let mut whole = String::new();
        text::for_ledger(&self.index, |part| whole.push_str(part));
        whole
    }

    fn over(index: Arc<Index>, revision: String, schema: &cedar::Schema) -> Self {
        Self { revision, index, schema: schema.clone(), made: moka::sync::Cache::new(MADE_MAX) }
    }
}

/// Reads a directory; every problem is noted.
pub fn load(source: &Arc<SourceFile>, schema: &cedar::Schema, problems: &mut Problems) -> Option<Directory> {
    load_within(source, schema, &DirectoryLimits::default(), problems)
}

/// The same within limits of one's own.
pub fn load_within(
    source: &Arc<SourceFile>,
    schema: &cedar::Schema,
    limits: &DirectoryLimits,
    problems: &mut Problems,
) -> Option<Directory> {
    let index = read::read(source, Some(schema), limits, problems)?;
    let mut hasher = Sha256::new();
    text::for_ledger(&index, |part| hasher.update(part));
    Some(Directory::over(Arc::new(index), hex(&hasher.finalize()), schema))
}

/// Looks a directory through for what can be said without a schema, where the bundle that has one does not load.
pub fn look_through(source: &Arc<SourceFile>, problems: &mut Problems) {
    read::read(source, None, &DirectoryLimits::default(), problems);
}

/// Entity types of the base schema, none of which is enumerated.
const BASE_TYPES: &[&str] =
    &["User", "Service", "Agent", "Role", "PermissionSet", "Team", "Territory", "BusinessUnit", "Position"];
/// Those that can be principals.
const PEOPLE_TYPES: &[&str] = &["User", "Service", "Agent"];
/// Entities that are kept in Cedar's form, about 6 KB each: those who work right now, and what they belong to.
const MADE_MAX: u64 = 4_096;
