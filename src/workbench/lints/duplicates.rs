//! Policies that say the same: effect, scope and conditions, whatever the order of what is joined by `&&` or `||`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::{DUPLICATE, Found};
use crate::bundle::compile::Bundle;
use crate::bundle::forms::single;

/// Ids of policies that say the same.
pub fn groups(bundle: &Bundle) -> Vec<BTreeSet<String>> {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for policy in bundle.policies.set.policies() {
        let Ok(form) = policy.to_json() else { continue };
        groups.entry(key(form)).or_default().insert(policy.id().to_string());
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

/// Tells of each but the first of a group.
pub fn find(bundle: &Bundle, groups: &[BTreeSet<String>]) -> Vec<Found> {
    let of_group = |group: &BTreeSet<String>| {
        let mut ids = group.iter().cloned();
        let first = ids.next().unwrap_or_default();
        let found = move |id: String| {
            let message = format!("policy `{id}` says the same as `{first}`");
            Found::in_policy(bundle, DUPLICATE, &id, message, "Remove one of them.")
        };
        ids.map(found).collect::<Vec<_>>()
    };
    groups.iter().flat_map(of_group).collect()
}

/// What is the same for policies that say the same.
fn key(mut form: Json) -> String {
    if let Some(members) = form.as_object_mut() {
        members.remove("annotations");
        if let Some(Json::Array(conditions)) = members.get_mut("conditions") {
            for condition in conditions.iter_mut() {
                if let Some(body) = condition.get_mut("body") {
                    *body = ordered(body);
                }
            }
            conditions.sort_by_cached_key(Json::to_string);
        }
    }
    form.to_string()
}

/// An expression whose operands stand in one order, where their order does not matter.
fn ordered(expression: &Json) -> Json {
    match single(expression) {
        Some((operator @ ("&&" | "||"), _)) => {
            let mut operands = BTreeMap::new();
            collect(operator, expression, &mut operands);
            json!({operator: operands.into_values().collect::<Vec<_>>()})
        }
        Some(("!", body)) => json!({"!": ordered(body.get("arg").unwrap_or(&Json::Null))}),
        _ => expression.clone(),
    }
}

fn collect(operator: &str, expression: &Json, operands: &mut BTreeMap<String, Json>) {
    match single(expression) {
        Some((own, body)) if own == operator => {
            for side in ["left", "right"] {
                collect(operator, body.get(side).unwrap_or(&Json::Null), operands);
            }
        }
        _ => {
            let operand = ordered(expression);
            operands.insert(operand.to_string(), operand);
        }
    }
}
