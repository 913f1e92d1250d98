//! The bundle's own Cedar entities: fields, field sets, stages, stage groups, pipelines and collections.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy as cedar;

use super::profile::types::RecordType;
use super::profile::{FieldSetSpec, Profile};
use crate::config::author::{AuthorProblem, Problems, SourceFile, nearest};
use crate::model::principal::EntityRef;

/// The entities that come with a bundle, by reference.
#[derive(Debug, Default)]
pub struct Catalogue {
    entities: BTreeMap<EntityRef, cedar::Entity>,
    ancestors: BTreeMap<EntityRef, BTreeSet<EntityRef>>,
}

/// Types whose entities come with the bundle and never from the directory.
pub const CATALOGUE_TYPES: &[&str] = &["Field", "FieldSet", "Stage", "StageGroup", "Pipeline", "Collection"];

impl Catalogue {
    /// The entity, if the bundle has it.
    pub fn entity(&self, entity: &EntityRef) -> Option<&cedar::Entity> {
        // Most that are asked about are of the directory, and need not be looked for.
        CATALOGUE_TYPES.contains(&entity.type_name.as_str()).then(|| self.entities.get(entity)).flatten()
    }

    /// Everything above an entity, not itself.
    pub fn ancestors(&self, entity: &EntityRef) -> impl Iterator<Item = &EntityRef> {
        self.ancestors.get(entity).into_iter().flatten()
    }

    /// Whether `entity` is `other` or below it.
    pub fn is_in(&self, entity: &EntityRef, other: &EntityRef) -> bool {
        entity == other || self.ancestors.get(entity).is_some_and(|above| above.contains(other))
    }

    /// Every entity.
    pub fn references(&self) -> impl Iterator<Item = &EntityRef> {
        self.entities.keys()
    }

    fn add(&mut self, entity: EntityRef, parents: &[EntityRef]) {
        let Some(uid) = to_uid(&entity) else { return };
        let parent_uids = parents.iter().filter_map(to_uid).collect();
        let mut above: BTreeSet<EntityRef> = parents.iter().cloned().collect();
        for parent in parents {
            above.extend(self.ancestors(parent).cloned().collect::<Vec<_>>());
        }
        self.entities.insert(entity.clone(), cedar::Entity::new_no_attrs(uid, parent_uids));
        self.ancestors.insert(entity, above);
    }
}

/// Cedar's own reference; `None` if the type's name is not one.
pub fn to_uid(entity: &EntityRef) -> Option<cedar::EntityUid> {
    let type_name: cedar::EntityTypeName = entity.type_name.parse().ok()?;
    Some(cedar::EntityUid::from_type_name_and_id(type_name, cedar::EntityId::new(&entity.id)))
}

/// Our own reference.
pub fn from_uid(uid: &cedar::EntityUid) -> EntityRef {
    EntityRef::new(uid.type_name().to_string(), uid.id().unescaped())
}

/// Builds the catalogue; sets that are not declared or that hold each other are noted at their place in the profile.
pub fn build(profile: &Profile, source: &Arc<SourceFile>, problems: &mut Problems) -> Catalogue {
    let mut catalogue = Catalogue::default();
    add_sets(profile, source, &mut catalogue, problems);
    for record_type in &profile.types {
        add_fields(profile, record_type, source, &mut catalogue, problems);
        catalogue.add(EntityRef::new("Collection", &record_type.name), &[]);
    }
    for pipeline in profile.stages.pipelines() {
        catalogue.add(EntityRef::new("Pipeline", pipeline), &[]);
    }
    for group in profile.stages.groups() {
        catalogue.add(EntityRef::new("StageGroup", group), &[]);
    }
    for stage in profile.stages.stages() {
        let groups = stage.groups.iter().map(|group| EntityRef::new("StageGroup", group));
        let parents: Vec<EntityRef> = groups.chain([EntityRef::new("Pipeline", &stage.pipeline)]).collect();
        catalogue.add(EntityRef::new("Stage", &stage.id), &parents);
    }
    catalogue
}

fn add_sets(profile: &Profile, source: &Arc<SourceFile>, catalogue: &mut Catalogue, problems: &mut Problems) {
    catalogue.add(EntityRef::new("FieldSet", UNCLASSIFIED_SET), &[]);
    for parent in profile.field_sets.values().flat_map(|set| &set.parents) {
        if !profile.field_sets.contains_key(&parent.value) {
            let message = format!("the field set `{}` is not declared", parent.value);
            let help = undeclared(&parent.value, profile);
            problems.push(AuthorProblem::error(message).at(source, parent.span.clone()).help(help));
        }
    }
    let mut waiting: Vec<(&String, &FieldSetSpec)> = profile.field_sets.iter().collect();
    // Sets are added once all their declared parents are there; what stays behind is in a circle or below one.
    while !waiting.is_empty() {
        let is_ready = |(_, set): &(&String, &FieldSetSpec)| {
            let mut declared =
                set.parents.iter().filter(|parent| profile.field_sets.contains_key(&parent.value));
            declared.all(|parent| catalogue.entity(&EntityRef::new("FieldSet", &parent.value)).is_some())
        };
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
        if ready.is_empty() {
            for (name, set) in rest.iter().filter(|(name, _)| is_inside_of_itself(profile, name)) {
                let message = format!("the field set `{name}` is inside of itself");
                let help = "A set may be inside of others, but not in a circle.";
                problems.push(AuthorProblem::error(message).at(source, set.span.clone()).help(help));
            }
        }
        // What stays behind is added all the same, so that its fields are no further problems.
        let (added, rest) = if ready.is_empty() { (rest, Vec::new()) } else { (ready, rest) };
        for (name, set) in added {
            let parents = set.parents.iter().map(|parent| EntityRef::new("FieldSet", &parent.value));
            let parents: Vec<EntityRef> = parents.collect();
            catalogue.add(EntityRef::new("FieldSet", name), &parents);
        }
        waiting = rest;
    }
}

fn add_fields(
    profile: &Profile,
    record_type: &RecordType,
    source: &Arc<SourceFile>,
    catalogue: &mut Catalogue,
    problems: &mut Problems,
) {
    for (index, field) in record_type.fields.iter().enumerate() {
        let name = record_type.field_name(index);
        for set in &field.sets {
            if catalogue.entity(&EntityRef::new("FieldSet", set)).is_some() {
                continue;
            }
            let help = undeclared(set, profile);
            let message = format!("`{name}` is in the field set `{set}`, which is not declared");
            problems.push(AuthorProblem::error(message).at(source, field.span.clone()).help(help));
        }
        let parents: Vec<EntityRef> = field.sets.iter().map(|set| EntityRef::new("FieldSet", set)).collect();
        catalogue.add(EntityRef::new("Field", name), &parents);
    }
    let unclassified = EntityRef::new("FieldSet", UNCLASSIFIED_SET);
    catalogue.add(EntityRef::new("Field", record_type.unclassified_name()), &[unclassified]);
}

fn is_inside_of_itself(profile: &Profile, name: &str) -> bool {
    let mut above = BTreeSet::new();
    let mut waiting = vec![name];
    while let Some(name) = waiting.pop() {
        for parent in profile.field_sets.get(name).into_iter().flat_map(|set| &set.parents) {
            if above.insert(parent.value.as_str()) {
                waiting.push(&parent.value);
            }
        }
    }
    above.contains(name)
}

fn undeclared(set: &str, profile: &Profile) -> String {
    match nearest(set, profile.field_sets.keys().map(String::as_str)) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("Declare it under `[field_sets]`, e.g. `{set:?} = []`."),
    }
}

/// The set of all fields that no profile describes.
pub const UNCLASSIFIED_SET: &str = "unclassified";
