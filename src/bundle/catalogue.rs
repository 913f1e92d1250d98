//! The bundle's own Cedar entities: fields, field sets, stages, stage groups, pipelines and collections.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy as cedar;

use super::profile::Profile;
use super::profile::types::RecordType;
use crate::config::author::{AuthorProblem, Problems, nearest};
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
        self.entities.get(entity)
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

/// Builds the catalogue; sets that are not declared or that hold each other are noted.
pub fn build(profile: &Profile, problems: &mut Problems) -> Catalogue {
    let mut catalogue = Catalogue::default();
    add_sets(profile, &mut catalogue, problems);
    for record_type in &profile.types {
        add_fields(record_type, &mut catalogue, problems);
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

fn add_sets(profile: &Profile, catalogue: &mut Catalogue, problems: &mut Problems) {
    catalogue.add(EntityRef::new("FieldSet", UNCLASSIFIED_SET), &[]);
    let mut waiting: Vec<(&String, &Vec<String>)> = profile.field_sets.iter().collect();
    // Sets are added once all their parents are there; what stays behind refers to nothing or to itself.
    loop {
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, parents)| {
            parents.iter().all(|parent| catalogue.entity(&EntityRef::new("FieldSet", parent)).is_some())
        });
        if ready.is_empty() {
            for (name, parents) in rest {
                let message = format!(
                    "the field set `{name}` is inside of `{}`, which is not declared or holds it",
                    parents.join("`, `")
                );
                problems.push(AuthorProblem::error(message).help("Declare every set under `[field_sets]`."));
            }
            return;
        }
        for (name, parents) in ready {
            let parents: Vec<EntityRef> =
                parents.iter().map(|parent| EntityRef::new("FieldSet", parent)).collect();
            catalogue.add(EntityRef::new("FieldSet", name), &parents);
        }
        waiting = rest;
    }
}

fn add_fields(record_type: &RecordType, catalogue: &mut Catalogue, problems: &mut Problems) {
    for (index, field) in record_type.fields.iter().enumerate() {
        let name = record_type.field_name(index);
        for set in &field.sets {
            if catalogue.entity(&EntityRef::new("FieldSet", set)).is_some() {
                continue;
            }
            let known = catalogue.references().filter(|e| e.type_name == "FieldSet").map(|e| e.id.as_str());
            let help = match nearest(set, known) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!("Declare it under `[field_sets]`, e.g. `{set:?} = []`."),
            };
            let message = format!("`{name}` is in the field set `{set}`, which is not declared");
            problems.push(AuthorProblem::error(message).help(help));
        }
        let parents: Vec<EntityRef> = field.sets.iter().map(|set| EntityRef::new("FieldSet", set)).collect();
        catalogue.add(EntityRef::new("Field", name), &parents);
    }
    let unclassified = EntityRef::new("FieldSet", UNCLASSIFIED_SET);
    catalogue.add(EntityRef::new("Field", record_type.unclassified_name()), &[unclassified]);
}

/// The set of all fields that no profile describes.
pub const UNCLASSIFIED_SET: &str = "unclassified";
