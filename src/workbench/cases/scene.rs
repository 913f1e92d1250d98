//! Who and what the cases of a file are about: people, groups and records, each named once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::given::Given;
use crate::bundle::compile::Bundle;
use crate::bundle::current::Snapshot;
use crate::bundle::directory::{self, Directory};
use crate::config::author::{Problems, SourceFile};
use crate::config::reader::{Item, Table, Text};
use crate::model::principal::EntityRef;

/// The people of a file, as they will be looked up.
pub struct Scene {
    /// The bundle with the people of this file.
    pub snapshot: Arc<Snapshot>,
    /// Records by the names that cases use.
    pub records: BTreeMap<String, Given>,
    people: BTreeMap<String, EntityRef>,
}

impl Scene {
    /// Reads `directory`, `[people]`, `[groups]` and `[records]`; `None` comes with at least one error.
    pub fn read(bundle: &Arc<Bundle>, table: &Table<'_>, problems: &mut Problems) -> Option<Self> {
        let mut cast = Cast::default();
        if let Some(file) = table.text("directory") {
            cast.add_file(bundle, table, &file);
        }
        for (name, item) in table.table("people").map(|people| people.entries()).unwrap_or_default() {
            cast.add_person(name, item);
        }
        for (name, item) in table.table("groups").map(|groups| groups.entries()).unwrap_or_default() {
            cast.add_group(&name, item);
        }
        let people = std::mem::take(&mut cast.people);
        let directory = cast.directory(bundle, &table.reading().source.name, problems)?;
        let snapshot =
            Arc::new(Snapshot { generation: 1, bundle: Arc::clone(bundle), directory: Arc::new(directory) });
        let mut scene = Self { snapshot, records: BTreeMap::new(), people };
        for (name, item) in table.table("records").map(|records| records.entries()).unwrap_or_default() {
            if let Some(given) = item.table().and_then(|record| Given::read(&scene, &record)) {
                scene.records.insert(name.value, given);
            }
        }
        Some(scene)
    }

    /// Somebody by a short name of `[people]`, or in Cedar's form.
    pub fn person(&self, table: &Table<'_>, text: &Text) -> Option<EntityRef> {
        let known = self.people.get(&text.value).cloned();
        let found = known.or_else(|| EntityRef::parse(&text.value).filter(EntityRef::is_person));
        if found.is_none() {
            let message = format!("`{}` is nobody of `[people]`", text.value);
            let help = "Write a name of that table, or e.g. 'User::\"anna\"' for somebody of `directory`.";
            table.reading().error(text.span.clone(), message, help);
        }
        found
    }

    /// An entity that must be there, by a short name of `[people]` or in Cedar's form.
    pub fn entity(&self, text: &str) -> Option<EntityRef> {
        let entity = self.people.get(text).cloned().or_else(|| EntityRef::parse(text))?;
        let is_there = self.snapshot.directory.contains(&entity)
            || self.snapshot.bundle.catalogue.entity(&entity).is_some();
        is_there.then_some(entity)
    }
}

/// The entities of a file in Cedar's form.
#[derive(Default)]
struct Cast {
    people: BTreeMap<String, EntityRef>,
    entities: Vec<Json>,
    defined: BTreeSet<EntityRef>,
    named: BTreeSet<EntityRef>,
}

impl Cast {
    /// The entities of a file that lies beside the cases.
    fn add_file(&mut self, bundle: &Bundle, table: &Table<'_>, file: &Text) {
        let Some(text) = beside(bundle, table, file) else { return };
        match serde_json::from_str::<Vec<Json>>(&text) {
            Ok(entities) => {
                let uid = |entity: &Json| {
                    let uid = entity.get("uid")?;
                    Some(EntityRef::new(uid.get("type")?.as_str()?, uid.get("id")?.as_str()?))
                };
                self.defined.extend(entities.iter().filter_map(uid));
                self.entities.extend(entities);
            }
            Err(error) => {
                let message = format!("`{}` is no list of entities: {error}", file.value);
                table.reading().error(file.span.clone(), message, "");
            }
        }
    }

    fn add_person(&mut self, name: Text, item: Item<'_>) {
        let Some(table) = item.table() else { return };
        let is = table.required("is", "Say who it is, e.g. `is = 'User::\"anna\"'`.");
        let entity = is.as_ref().and_then(|is| reference(&table, is));
        let (is_stated, parents) = (table.item("in").is_some(), self.groups(&table));
        let attributes = table.item("attributes");
        table.finish();
        let Some(entity) = entity else { return };
        if !entity.is_person() {
            let message = format!("`{entity}` is nobody who can ask");
            table.reading().error(table.span(), message, "People are of the types User, Service and Agent.");
            return;
        }
        self.people.insert(name.value, entity.clone());
        // Somebody of the directory's file may be given a short name and nothing else.
        if self.defined.contains(&entity) && !is_stated && attributes.is_none() {
            return;
        }
        let mut stated = attributes.and_then(Item::json).unwrap_or_else(|| json!({}));
        if let Some(stated) = stated.as_object_mut() {
            stated.entry("active").or_insert(Json::Bool(true));
        }
        self.define(&table, entity, stated, &parents);
    }

    fn add_group(&mut self, name: &Text, item: Item<'_>) {
        let Some(table) = item.table() else { return };
        let parents = self.groups(&table);
        let attributes = table.item("attributes").and_then(Item::json).unwrap_or_else(|| json!({}));
        table.finish();
        if let Some(entity) = reference(&table, name) {
            self.define(&table, entity, attributes, &parents);
        }
    }

    fn groups(&mut self, table: &Table<'_>) -> Vec<EntityRef> {
        let names = table.texts("in").unwrap_or_default();
        let groups: Vec<EntityRef> = names.iter().filter_map(|name| reference(table, name)).collect();
        self.named.extend(groups.iter().cloned());
        groups
    }

    fn define(&mut self, table: &Table<'_>, entity: EntityRef, attributes: Json, parents: &[EntityRef]) {
        if !self.defined.insert(entity.clone()) {
            table.reading().error(table.span(), format!("`{entity}` is defined twice"), "");
            return;
        }
        self.note_references(&attributes);
        self.entities.push(written(&entity, attributes, parents));
    }

    /// Entities that attributes refer to are there as well.
    fn note_references(&mut self, attributes: &Json) {
        let members: Vec<&Json> = match attributes {
            Json::Object(members) => members.values().collect(),
            Json::Array(items) => items.iter().collect(),
            _ => return,
        };
        let text = |key: &str| attributes.get(key).and_then(Json::as_str);
        if let (2, Some(type_name), Some(id)) = (members.len(), text("type"), text("id")) {
            self.named.insert(EntityRef::new(type_name, id));
        }
        members.into_iter().for_each(|member| self.note_references(member));
    }

    fn directory(mut self, bundle: &Bundle, file: &str, problems: &mut Problems) -> Option<Directory> {
        let bare = self.named.difference(&self.defined);
        self.entities.extend(bare.map(|entity| written(entity, json!({}), &[])));
        let text = serde_json::to_string_pretty(&self.entities).ok()?;
        let source = SourceFile::new(format!("{file}, its people as entities"), text);
        directory::load(&source, &bundle.schema.schema, problems)
    }
}

/// A file of the bundle, named from the folder of the cases.
pub fn beside(bundle: &Bundle, table: &Table<'_>, file: &Text) -> Option<String> {
    let name = format!("{}/{}", crate::bundle::part::CASES, file.value);
    let text = bundle.files.get(&name).and_then(|bytes| std::str::from_utf8(bytes).ok());
    if text.is_none() {
        let message = format!("the bundle has no `{name}`");
        let help = "Name a `.json` file in the folder `cases`, from there.";
        table.reading().error(file.span.clone(), message, help);
    }
    text.map(str::to_owned)
}

fn reference(table: &Table<'_>, text: &Text) -> Option<EntityRef> {
    let entity = EntityRef::parse(&text.value);
    if entity.is_none() {
        let message = format!("`{}` is no entity", text.value);
        table.reading().error(text.span.clone(), message, "Write e.g. 'Team::\"east\"'.");
    }
    entity
}

fn written(entity: &EntityRef, attributes: Json, parents: &[EntityRef]) -> Json {
    let uid = |entity: &EntityRef| json!({"type": entity.type_name, "id": entity.id});
    let mut written = Map::new();
    written.insert("uid".to_owned(), uid(entity));
    written.insert("attrs".to_owned(), attributes);
    written.insert("parents".to_owned(), parents.iter().map(uid).collect());
    Json::Object(written)
}
