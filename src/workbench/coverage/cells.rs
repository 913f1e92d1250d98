//! The matrix of roles, actions, stages and fields, and which of its cells cases ask about.
//!
//! Fields that no policy tells apart are one: a case about one of them reaches all. So are stages where no policy looks at them.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy as cedar;
use serde::Serialize;

use super::Share;
use crate::bundle::catalogue::from_uid;
use crate::bundle::compile::Bundle;
use crate::bundle::profile::convert::Kind;
use crate::bundle::profile::types::RecordType;
use crate::bundle::slices::{FIELD_ACTIONS, Slice};
use crate::model::access::{Action, Scope};
use crate::pipeline::decide::witness::Asked;

/// How much of the matrix was asked about.
#[derive(Debug, Serialize)]
pub struct Matrix {
    /// Of all.
    pub all: Share,
    /// By role, type and action.
    pub rows: Vec<Row>,
}

/// The stages and fields of one role, type and action.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The role.
    pub role: String,
    /// The record type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The action.
    pub action: String,
    /// How many cells of it were asked about.
    #[serde(flatten)]
    pub share: Share,
}

/// One cell: a stage, or none where no policy looks at it, and a field, by its class, or a stage that a move leads to.
type Cell = (String, String);

/// The cells of a bundle.
pub struct Cells<'b> {
    bundle: &'b Bundle,
    roles: BTreeSet<String>,
    reached: BTreeMap<(String, String, String), BTreeSet<Cell>>,
}

impl<'b> Cells<'b> {
    /// Those of all roles that policies name.
    pub fn new(bundle: &'b Bundle) -> Self {
        let literals = bundle.policies.set.policies().flat_map(cedar::Policy::entity_literals);
        let entities = literals.map(|uid| from_uid(&uid)).filter(|entity| entity.type_name == ROLE);
        Self { bundle, roles: entities.map(|entity| entity.id).collect(), reached: BTreeMap::new() }
    }

    /// Notes the cell of a question.
    pub fn add(&mut self, asked: &Asked) {
        let request = &asked.request;
        let (Some(principal), Some(action), Some(resource)) =
            (request.principal(), request.action(), request.resource())
        else {
            return;
        };
        let action = action.id().unescaped().to_owned();
        let resource_type = resource.type_name().to_string();
        let slice = self.bundle.slices.of(&action, &resource_type);
        let type_name = match resource_type.as_str() {
            COLLECTION => resource.id().unescaped().to_owned(),
            _ => resource_type,
        };
        let found = self.bundle.profile.type_named(&type_name).map(|(_, record_type)| record_type);
        let (Some(record_type), Some(slice)) = (found, slice) else { return };
        let of_context = |key: &str| entity_id(request.context()?.get(key));
        let stage = match told_apart_by(record_type, slice) {
            _ if action == MOVE => of_context("from"),
            Some(attribute) => {
                entity_id(asked.entities.get(resource).and_then(|record| record.attr(attribute)?.ok()))
            }
            None => None,
        };
        let part = match of_context("field") {
            Some(field) => self.class_of(&action, record_type, &field),
            None => of_context("to"),
        };
        let cell = (stage.unwrap_or_default(), part.unwrap_or_default());
        let above = asked.entities.ancestors(principal).into_iter().flatten().map(from_uid);
        for role in above.filter(|entity| entity.type_name == ROLE && self.roles.contains(&entity.id)) {
            let key = (role.id, type_name.clone(), action.clone());
            self.reached.entry(key).or_default().insert(cell.clone());
        }
    }

    /// All cells that policies can decide on, and those of them that were reached.
    pub fn end(self) -> Matrix {
        let mut rows = Vec::new();
        for role in &self.roles {
            for record_type in &self.bundle.profile.types {
                for action in
                    Action::ALL.iter().map(|action| action.name()).chain(FIELD_ACTIONS.iter().copied())
                {
                    let all = self.all(record_type, action);
                    if all.is_empty() {
                        continue;
                    }
                    let key = (role.clone(), record_type.name.clone(), action.to_owned());
                    let reached =
                        self.reached.get(&key).map_or(0, |reached| reached.intersection(&all).count());
                    let (role, type_name, action) = key;
                    rows.push(Row { role, type_name, action, share: Share { reached, all: all.len() } });
                }
            }
        }
        let sum = |of: fn(&Share) -> usize| rows.iter().map(|row| of(&row.share)).sum();
        Matrix { all: Share { reached: sum(|share| share.reached), all: sum(|share| share.all) }, rows }
    }

    /// Every cell of an action on a type; none where no policy speaks of it.
    fn all(&self, record_type: &RecordType, action: &str) -> BTreeSet<Cell> {
        let is_on_collection =
            Action::parse(action).is_some_and(|action| action.scope() == Scope::Collection);
        let slice_type = if is_on_collection { COLLECTION } else { &record_type.name };
        let slice = self.bundle.slices.of(action, slice_type).filter(|slice| !slice.policies.is_empty());
        let Some(slice) = slice else { return BTreeSet::new() };
        let ids = || self.bundle.profile.stages.stages().iter().map(|stage| stage.id.clone());
        let has_stages = record_type.attributes.iter().any(|spec| spec.conversion.kind == Kind::Stage);
        if action == MOVE && !has_stages {
            return BTreeSet::new();
        }
        let is_by_stage = action == MOVE || told_apart_by(record_type, slice).is_some();
        let stages: Vec<String> = if is_by_stage { ids().collect() } else { vec![String::new()] };
        let parts: Vec<String> = match action {
            MOVE => ids().collect(),
            _ if FIELD_ACTIONS.contains(&action) => {
                let firsts = slice.field_classes.iter().filter_map(|class| class.first());
                firsts.map(|index| record_type.field_name(*index)).collect()
            }
            _ => vec![String::new()],
        };
        let pairs =
            stages.iter().flat_map(|stage| parts.iter().map(move |part| (stage.clone(), part.clone())));
        // Stages of two pipelines are no move, and a stage is no move to itself.
        let pipeline = |stage: &str| self.bundle.profile.stages.by_id(stage).map(|stage| &stage.pipeline);
        pairs.filter(|(from, to)| action != MOVE || (from != to && pipeline(from) == pipeline(to))).collect()
    }

    /// The field that speaks for all that policies cannot tell from this one.
    fn class_of(&self, action: &str, record_type: &RecordType, field: &str) -> Option<String> {
        let index = (0..=record_type.fields.len()).find(|index| record_type.field_name(*index) == field)?;
        let slice = self.bundle.slices.of(action, &record_type.name)?;
        let class = slice.field_classes.iter().find(|class| class.contains(&index))?;
        class.first().map(|first| record_type.field_name(*first))
    }
}

/// The attribute with a record's stage, where the policies of a slice look at it: elsewhere all stages are one.
fn told_apart_by<'t>(record_type: &'t RecordType, slice: &Slice) -> Option<&'t str> {
    let mut stages = record_type.attributes.iter().filter(|spec| spec.conversion.kind == Kind::Stage);
    let looked_at = |name: &&str| slice.dependencies.resource_attributes.contains(*name);
    stages.next().map(|spec| spec.name.as_str()).filter(looked_at)
}

fn entity_id(value: Option<cedar::EvalResult>) -> Option<String> {
    match value? {
        cedar::EvalResult::EntityUid(uid) => Some(uid.id().unescaped().to_owned()),
        _ => None,
    }
}

const MOVE: &str = "moveStage";
const ROLE: &str = "Role";
const COLLECTION: &str = "Collection";
