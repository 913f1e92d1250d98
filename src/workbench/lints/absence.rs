//! Forbids that do nothing where an attribute of the record is absent.
//!
//! An attribute that was not carried, or did not convert, denies the record whatever a policy says. Only what is absent for sure (null, or
//! a missing key where the profile says that the answer is complete) is what `has` says is not there.

use serde_json::Value as Json;

use super::{ABSENCE, Found};
use crate::bundle::forms::{single, variable};
use crate::workbench::condition::{Condition, text};
use crate::workbench::formula::Formula;
use crate::workbench::formula::decided::Conditions;

/// Looks at every forbid.
pub fn find(conditions: &Conditions<'_>) -> Vec<Found> {
    let bundle = conditions.bundle();
    let found = |id: &str| {
        let (is_permit, condition) = conditions.condition(id)?;
        let tests = if is_permit { Vec::new() } else { disarming(condition) };
        if tests.is_empty() {
            return None;
        }
        let message = format!("policy `{id}` forbids nothing unless `{}`", tests.join("` and `"));
        let help = "Where the attribute is null, or missing from a complete answer, it lets everything pass. Write it so that absence forbids, e.g. \
            `unless { resource has … && … }`.";
        Some(Found::in_policy(bundle, ABSENCE, id, message, help))
    };
    bundle.policies.ids().filter_map(found).collect()
}

/// The tests for an attribute of the record without which the condition cannot hold.
fn disarming(condition: &Condition) -> Vec<String> {
    let without = |test: Option<&Json>| {
        Formula::of_condition(condition, &mut |atom| (Some(atom) == test).then_some(false))
    };
    if without(None) == Formula::False {
        return Vec::new();
    }
    let mut tests: Vec<&Json> = Vec::new();
    for atom in condition.atoms.iter().filter(|atom| is_of_the_record(atom)) {
        if !tests.contains(&atom) && without(Some(atom)) == Formula::False {
            tests.push(atom);
        }
    }
    tests.into_iter().map(text).collect()
}

/// Whether a part asks if the record, or what it refers to, has an attribute.
fn is_of_the_record(atom: &Json) -> bool {
    let Some(("has", body)) = single(atom) else { return false };
    let mut left = body.get("left");
    while let Some((".", body)) = left.and_then(single) {
        left = body.get("left");
    }
    left.and_then(variable) == Some("resource")
}
