//! What two bundles are asked, so that their answers can be compared: every right that either of them can give.

use std::collections::{BTreeMap, BTreeSet};

use super::Side;
use crate::bundle::profile::types::RecordType;
use crate::bundle::slices::FIELD_ACTIONS;
use crate::model::access::{Action, Scope};
use crate::workbench::ask;
use crate::workbench::formula::known::{NO_STAGE, Place, stage_attribute};

/// One right, of fields that neither bundle tells apart.
pub struct Question<'a> {
    /// The record type.
    pub type_name: String,
    /// The action.
    pub action: &'static str,
    /// Whether the record would be made.
    pub is_new: bool,
    fields: Vec<String>,
    to: Option<&'a str>,
    stages: Vec<&'a str>,
}

impl<'a> Question<'a> {
    /// The stages that records may stand in, each asked about; one without a stage where they have none.
    pub fn stages(&self) -> Vec<Option<&'a str>> {
        match self.stages.as_slice() {
            [] => vec![None],
            stages => stages.iter().copied().map(Some).collect(),
        }
    }

    /// The place of the question in a stage.
    pub fn place<'p>(&'p self, stage: Option<&'p str>) -> Place<'p> {
        let field = self.fields.first().map(String::as_str);
        Place { action: self.action, stage, field, moved: stage.zip(self.to), is_new: self.is_new }
    }

    /// The type of a side.
    pub fn type_of<'s>(&self, side: &Side<'s>) -> Option<&'s RecordType> {
        side.snapshot.bundle.profile.type_named(&self.type_name).map(|(_, record_type)| record_type)
    }

    /// The fields, or the stage that a move leads to.
    pub fn names(&self) -> Vec<String> {
        self.fields.iter().cloned().chain(self.to.map(str::to_owned)).collect()
    }

    /// The action as it is told.
    pub fn told_action(&self) -> &'static str {
        if self.is_new && self.action == "writeField" { "writeField (new)" } else { self.action }
    }

    /// The same, for a decision on one record.
    pub fn asked(&self, side: &Side<'_>) -> Option<ask::Question> {
        if let Some(to) = self.to {
            return Some(ask::Question::Move(to.to_owned()));
        }
        if let Some(action) = Action::parse(self.action) {
            return Some(ask::Question::Action(action));
        }
        let record_type = self.type_of(side)?;
        let first = self.fields.first()?;
        let index = (0..=record_type.fields.len()).find(|index| record_type.field_name(*index) == *first)?;
        Some(ask::Question::Field(self.action, index))
    }

    /// Whether it is about all records of the type.
    pub fn is_on_collection(&self) -> bool {
        Action::parse(self.action).is_some_and(|action| action.scope() == Scope::Collection)
    }
}

/// Every question whose answers may differ.
pub fn questions<'a>(old: &Side<'a>, new: &Side<'a>) -> Vec<Question<'a>> {
    let types = |side: &Side<'a>| side.snapshot.bundle.profile.types.iter().map(|found| found.name.clone());
    let all: BTreeSet<String> = types(old).chain(types(new)).collect();
    all.iter().flat_map(|type_name| of_type(old, new, type_name)).collect()
}

fn of_type<'a>(old: &Side<'a>, new: &Side<'a>, type_name: &str) -> Vec<Question<'a>> {
    let sides = [old, new];
    let actions: BTreeSet<Action> = sides
        .iter()
        .flat_map(|side| side.snapshot.bundle.profile.actions().remove(type_name).unwrap_or_default())
        .chain([Action::View])
        .collect();
    let stages = stages(old, new, type_name);
    let mut all = Vec::new();
    let plain = |action: &'static str| Question {
        type_name: type_name.to_owned(),
        action,
        is_new: action == "create",
        fields: Vec::new(),
        to: None,
        // A record may have no stage at all.
        stages: stages
            .iter()
            .map(|(stage, _)| *stage)
            .chain((!stages.is_empty()).then_some(NO_STAGE))
            .collect(),
    };
    for action in actions.iter().filter(|action| may_differ(old, new, type_name, action.name())) {
        if *action == Action::MoveStage {
            for (to, pipeline) in &stages {
                let from = stages.iter().filter(|(from, own)| from != to && own == pipeline);
                let stages: Vec<&str> = from.map(|(from, _)| *from).collect();
                if !stages.is_empty() {
                    all.push(Question { to: Some(to), stages, ..plain("moveStage") });
                }
            }
            continue;
        }
        let is_on_collection = action.scope() == Scope::Collection;
        let question = plain(action.name());
        all.push(if is_on_collection { Question { stages: Vec::new(), ..question } } else { question });
    }
    for action in FIELD_ACTIONS.iter().copied().filter(|action| may_differ(old, new, type_name, action)) {
        for fields in classes(old, new, type_name, action) {
            if action == "writeField" && actions.contains(&Action::Create) {
                all.push(Question { fields: fields.clone(), is_new: true, ..plain(action) });
            }
            if action != "writeField" || actions.contains(&Action::Edit) {
                all.push(Question { fields, ..plain(action) });
            }
        }
    }
    all
}

/// The stages of both sides with their pipelines, where records of the type have any.
fn stages<'a>(old: &Side<'a>, new: &Side<'a>, type_name: &str) -> Vec<(&'a str, &'a str)> {
    let mut all: Vec<(&str, &str)> = Vec::new();
    for side in [old, new] {
        let profile = &side.snapshot.bundle.profile;
        let has_stages =
            profile.type_named(type_name).is_some_and(|(_, found)| stage_attribute(found).is_some());
        for stage in profile.stages.stages().iter().filter(|_| has_stages) {
            if !all.iter().any(|(known, _)| *known == stage.id) {
                all.push((&stage.id, &stage.pipeline));
            }
        }
    }
    all
}

/// Fields that neither side tells apart.
fn classes(old: &Side<'_>, new: &Side<'_>, type_name: &str, action: &str) -> Vec<Vec<String>> {
    let mut places: BTreeMap<String, (Option<usize>, Option<usize>)> = BTreeMap::new();
    let mut note = |side: &Side<'_>, set: fn(&mut (Option<usize>, Option<usize>), usize)| {
        let bundle = &side.snapshot.bundle;
        let Some((_, record_type)) = bundle.profile.type_named(type_name) else { return };
        let slice = bundle.slices.of(action, type_name);
        for (number, class) in slice.into_iter().flat_map(|slice| &slice.field_classes).enumerate() {
            class
                .iter()
                .for_each(|index| set(places.entry(record_type.field_name(*index)).or_default(), number));
        }
    };
    note(old, |place, number| place.0 = Some(number));
    note(new, |place, number| place.1 = Some(number));
    let mut together: BTreeMap<(Option<usize>, Option<usize>), Vec<String>> = BTreeMap::new();
    for (field, place) in places {
        together.entry(place).or_default().push(field);
    }
    together.into_values().collect()
}

/// Not where both sides have the same policies, fields, stages and people. What a request needs beside its action counts too.
fn may_differ(old: &Side<'_>, new: &Side<'_>, type_name: &str, action: &str) -> bool {
    if old.snapshot.directory.revision != new.snapshot.directory.revision || !is_same_catalogue(old, new) {
        return true;
    }
    let is_on_collection = Action::parse(action).is_some_and(|action| action.scope() == Scope::Collection);
    let needed: &[&str] = if is_on_collection { &[] } else { &["view", "edit", "create"] };
    let slice_type = if is_on_collection { "Collection" } else { type_name };
    let texts = |side: &Side<'_>, action: &str| {
        let bundle = &side.snapshot.bundle;
        let slice = bundle.slices.of(action, slice_type);
        let ids = slice
            .into_iter()
            .flat_map(|slice| slice.policies.policies())
            .map(|policy| policy.id().to_string());
        ids.map(|id| (bundle.policies.texts.get(&id).cloned(), id)).collect::<BTreeSet<_>>()
    };
    needed.iter().copied().chain([action]).any(|action| texts(old, action) != texts(new, action))
}

fn is_same_catalogue(old: &Side<'_>, new: &Side<'_>) -> bool {
    let entities = |side: &Side<'_>| {
        let catalogue = &side.snapshot.bundle.catalogue;
        let above = |entity: &_| catalogue.ancestors(entity).cloned().collect::<Vec<_>>();
        catalogue.references().map(|entity| (entity.clone(), above(entity))).collect::<Vec<_>>()
    };
    entities(old) == entities(new)
}
