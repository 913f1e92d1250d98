//! Permits for people of whom the directory has none: every role and team that they name is there, and nobody is in all of them.
//!
//! Looks at memberships alone: what else a condition asks for may come true tomorrow.

use std::collections::{BTreeSet, HashSet};

use cedar_policy as cedar;
use serde_json::Value as Json;

use super::{Found, NOBODY};
use crate::bundle::catalogue::{CATALOGUE_TYPES, from_uid};
use crate::bundle::compile::Bundle;
use crate::bundle::directory::Directory;
use crate::bundle::forms::entity_literals;
use crate::bundle::forms::{single, variable};
use crate::model::principal::EntityRef;
use crate::workbench::condition::Condition;
use crate::workbench::formula::Formula;
use crate::workbench::formula::decided::Conditions;

/// Looks at every permit whose names the directory has.
pub fn find(conditions: &Conditions<'_>, directory: &Directory) -> Vec<Found> {
    let bundle = conditions.bundle();
    let mut waiting = permits(conditions, directory);
    let named = names(bundle);
    let mut seen: HashSet<(String, BTreeSet<EntityRef>)> = HashSet::new();
    for person in directory.people() {
        if waiting.is_empty() {
            break;
        }
        let above = directory.ancestors(&person).into_iter().chain([person.clone()]);
        let above: BTreeSet<EntityRef> = above.filter(|entity| named.contains(entity)).collect();
        if seen.insert((person.type_name.clone(), above.clone())) {
            let is_met = |atom: &Json| is_met(atom, &person, &above);
            waiting.retain(|(_, condition)| {
                Formula::of_condition(condition, &mut |atom| is_met(atom)) == Formula::False
            });
        }
    }
    let found = |(id, _): (&str, &Condition)| {
        let message =
            format!("policy `{id}` permits nobody: no one in the directory is in all that it asks for");
        let help = "Add people to the roles and teams that it names, correct it, or remove it.";
        Found::in_policy(bundle, NOBODY, id, message, help)
    };
    waiting.into_iter().map(found).collect()
}

/// Permits that can apply to somebody, and name nobody whom the directory does not have: that is told already.
fn permits<'c>(conditions: &'c Conditions<'_>, directory: &Directory) -> Vec<(&'c str, &'c Condition)> {
    let bundle = conditions.bundle();
    let is_known = |entity: &EntityRef| {
        let is_elsewhere =
            CATALOGUE_TYPES.contains(&entity.type_name.as_str()) || entity.type_name == "Action";
        is_elsewhere || directory.contains(entity)
    };
    let permit = |id: &'c str| {
        let (is_permit, condition) = conditions.condition(id)?;
        let policy = bundle.policies.set.policy(&cedar::PolicyId::new(id))?;
        let can_hold = Formula::of_condition(condition, &mut |_| None) != Formula::False;
        let is_meant =
            is_permit && can_hold && policy.entity_literals().iter().map(from_uid).all(|it| is_known(&it));
        is_meant.then_some((id, condition))
    };
    bundle.policies.ids().filter_map(permit).collect()
}

/// Everything that policies name.
fn names(bundle: &Bundle) -> BTreeSet<EntityRef> {
    bundle
        .policies
        .set
        .policies()
        .flat_map(cedar::Policy::entity_literals)
        .map(|uid| from_uid(&uid))
        .collect()
}

/// Whether a part about who somebody is holds for them; `None` for any other part.
fn is_met(atom: &Json, person: &EntityRef, above: &BTreeSet<EntityRef>) -> Option<bool> {
    let (operator, body) = single(atom)?;
    if variable(body.get("left")?) != Some("principal") {
        return None;
    }
    match operator {
        "is" if body.get("in").is_none() => {
            Some(body.get("entity_type").and_then(Json::as_str) == Some(&person.type_name))
        }
        "in" => Some(entity_literals(body.get("right")?)?.iter().any(|entity| above.contains(entity))),
        "==" => Some(entity_literals(body.get("right")?)?.contains(person)),
        _ => None,
    }
}
