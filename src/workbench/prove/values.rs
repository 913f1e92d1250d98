//! Values in Cedar's JSON form: what they refer to, and how people read them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::bundle::instant::{parse_cedar_datetime, to_cedar_datetime};
use crate::model::principal::EntityRef;

/// The entity of `{"type": …, "id": …}`, bare or marked.
pub fn entity(value: &Value) -> Option<EntityRef> {
    crate::bundle::forms::entity(value.get("__entity").unwrap_or(value))
}

/// Every entity that a value refers to.
pub fn references(value: &Value) -> Vec<EntityRef> {
    match value {
        Value::Object(map) => match map.get("__entity").and_then(crate::bundle::forms::entity) {
            Some(entity) => vec![entity],
            None => map.values().flat_map(references).collect(),
        },
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// A value with other names for the entities that it refers to.
pub fn renamed(value: &Value, name: &impl Fn(&EntityRef) -> EntityRef) -> Value {
    match value {
        Value::Object(map) => match map.get("__entity").and_then(crate::bundle::forms::entity) {
            Some(entity) => {
                let entity = name(&entity);
                json!({"__entity": {"type": entity.type_name, "id": entity.id}})
            }
            None => {
                json!(map.iter().map(|(key, inner)| (key, renamed(inner, name))).collect::<BTreeMap<_, _>>())
            }
        },
        Value::Array(items) => items.iter().map(|item| renamed(item, name)).collect(),
        other => other.clone(),
    }
}

/// A point in time, by Cedar's text.
pub fn datetime(text: &str) -> Value {
    json!({"__extn": {"fn": "datetime", "arg": text}})
}

/// A value in which points in time are written as such, where they have been worked out from others, and records by the order of their
/// names.
pub fn plain(value: &Value) -> Value {
    if let Some(millis) = value.get("__extn").and_then(millis).and_then(to_cedar_datetime) {
        return datetime(&millis);
    }
    match value {
        Value::Object(map) => {
            json!(map.iter().map(|(key, inner)| (key, plain(inner))).collect::<BTreeMap<_, _>>())
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// The point in time that a call gives, in milliseconds since 1970.
fn millis(call: &Value) -> Option<i64> {
    match call.get("fn")?.as_str()? {
        "datetime" => parse_cedar_datetime(call.get("arg")?.as_str()?),
        "offset" => {
            let [from, by] = call.get("args")?.as_array()?.as_slice() else { return None };
            let by = by.get("__extn")?.get("arg")?.as_str()?.strip_suffix("ms")?;
            millis(from.get("__extn")?)?.checked_add(by.parse().ok()?)
        }
        _ => None,
    }
}

/// A value as Cedar writes it in policies.
pub fn shown(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Array(items) => format!("[{}]", joined(items.iter().map(shown).collect())),
        Value::Object(map) => {
            if let Some(entity) = entity(value).filter(|_| map.contains_key("__entity")) {
                return entity.to_string();
            }
            if let Some(call) = map.get("__extn") {
                return shown_call(call);
            }
            let parts = map.iter().map(|(key, inner)| format!("{key}: {}", shown(inner)));
            format!("{{{}}}", joined(parts.collect()))
        }
        other => other.to_string(),
    }
}

fn shown_call(call: &Value) -> String {
    let name = call.get("fn").and_then(Value::as_str).unwrap_or_default();
    let one = call.get("arg").into_iter();
    let arguments = one.chain(call.get("args").and_then(Value::as_array).into_iter().flatten());
    format!("{name}({})", arguments.map(shown).collect::<Vec<_>>().join(", "))
}

/// The variables of an expression, or of a policy's conditions.
pub fn collect_variables<'v>(value: &'v Value, variables: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                match (key.as_str(), inner.as_str()) {
                    ("Var", Some(name)) => {
                        variables.insert(name);
                    }
                    _ => collect_variables(inner, variables),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_variables(item, variables)),
        _ => {}
    }
}

/// An error with its causes, in one line.
pub fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_policies_write_them() {
        #[track_caller]
        fn check(value: Value, expected: &str) {
            assert_eq!(shown(&plain(&value)), expected);
        }
        check(json!({"__entity": {"type": "Role", "id": "a\"b"}}), "Role::\"a\\\"b\"");
        check(json!({"__extn": {"fn": "decimal", "arg": "1.5"}}), "decimal(\"1.5\")");
        check(json!({"x": [1, true, "s"]}), "{x: [1, true, \"s\"]}");
        let day = json!({"__extn": {"fn": "datetime", "arg": "1970-01-02"}});
        check(day.clone(), "datetime(\"1970-01-02T00:00:00.000Z\")");
        let by = |by: &str| json!({"__extn": {"fn": "duration", "arg": by}});
        let moved = |by: Value| json!({"__extn": {"fn": "offset", "args": [day, by]}});
        check(moved(by("-2ms")), "datetime(\"1970-01-01T23:59:59.998Z\")");
        // What lies outside of the years that Cedar reads stays as it was worked out.
        let far = moved(by("-99999999999999999ms"));
        assert!(shown(&plain(&far)).starts_with("offset(datetime("), "{far}");
    }
}
