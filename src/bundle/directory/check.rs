//! What is wrong with a directory, entity by entity, each with its place in the file.
//!
//! Promises: all problems of a directory are found in one run, and each at the entity that has it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cedar_policy as cedar;
use serde_json::Value;

use super::{datetime, reference};
use crate::bundle::catalogue::CATALOGUE_TYPES;
use crate::config::author::{AuthorProblem, Problems, SourceFile, nearest};
use crate::json::parse::JsonLimits;
use crate::json::value::Document;
use crate::model::principal::EntityRef;

/// One problem of one entity.
pub struct Finding {
    /// The entity's number in the file, from 0.
    item: usize,
    /// What the problem is about, as it stands in the entity's text.
    needle: String,
    message: String,
    help: String,
}

/// What can be said without a schema: every entity has a name of its own, and what it is a member of exists.
pub fn structure(items: &[Value]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut known = BTreeSet::new();
    for (item, value) in items.iter().enumerate() {
        let mut note = |needle: &str, message: String, help: &str| {
            let (needle, help) = (needle.to_owned(), help.to_owned());
            found.push(Finding { item, needle, message, help });
        };
        let Some(entity) = value.get("uid").and_then(reference) else {
            let message = "an entity has no `uid` of the form {\"type\": …, \"id\": …}";
            note("", message.to_owned(), "");
            continue;
        };
        if CATALOGUE_TYPES.contains(&entity.type_name.as_str()) {
            let help = "Fields, sets, stages and pipelines come from the bundle's profile.";
            note(&quoted(&entity.id), format!("`{entity}` does not belong in a directory"), help);
        }
        if !known.insert(entity.clone()) {
            let help = "Each entity stands once, with all its attributes and parents.";
            note(&quoted(&entity.id), format!("`{entity}` stands twice"), help);
        }
    }
    for (item, value) in items.iter().enumerate() {
        for parent in value.get("parents").and_then(Value::as_array).into_iter().flatten() {
            found.extend(check_parent(item, parent, &known));
        }
        found.extend(
            ["accessFrom", "accessUntil"].into_iter().filter_map(|name| check_window(item, value, name)),
        );
    }
    found
}

fn check_parent(item: usize, parent: &Value, known: &BTreeSet<EntityRef>) -> Option<Finding> {
    let Some(parent) = reference(parent) else {
        let message = "a parent has no `type` and `id`".to_owned();
        return Some(Finding { item, needle: quoted("parents"), message, help: String::new() });
    };
    if known.contains(&parent) {
        return None;
    }
    let alike = known.iter().filter(|other| other.type_name == parent.type_name);
    let help = match nearest(&parent.id, alike.map(|other| other.id.as_str())) {
        Some(near) => format!("Did you mean `{}::\"{near}\"`?", parent.type_name),
        None => "Add it: a membership in something that does not exist cannot be decided on.".to_owned(),
    };
    let message = format!("`{parent}` is named as a parent but is not in the directory");
    Some(Finding { item, needle: quoted(&parent.id), message, help })
}

/// An access window that cannot be compared would never close.
fn check_window(item: usize, value: &Value, name: &str) -> Option<Finding> {
    let instant = value.get("attrs").and_then(|attributes| attributes.get(name))?;
    if datetime(instant).is_some() {
        return None;
    }
    let message = format!("`{name}` is not a point in time that can be compared");
    let help = "Write `{\"__extn\": {\"fn\": \"datetime\", \"arg\": \"2026-12-31T18:00:00Z\"}}`.".to_owned();
    Some(Finding { item, needle: quoted(name), message, help })
}

/// Which entities do not conform to the schema.
pub fn conformance(items: &[Value], schema: &cedar::Schema) -> Vec<Finding> {
    let check = |(item, value): (usize, &Value)| {
        let error = cedar::Entity::from_json_value(value.clone(), Some(schema)).err()?;
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            // The outer texts only say that something is wrong with an entity.
            message = inner.to_string();
            cause = inner.source();
        }
        let entity = value.get("uid").and_then(reference)?;
        // Cedar names the attribute in backticks.
        let attributes = value.get("attrs").and_then(Value::as_object).into_iter().flatten();
        let mut named =
            attributes.map(|(name, _)| name).filter(|name| message.contains(&format!("`{name}`")));
        let needle = named.next().map_or_else(|| quoted(&entity.id), |name| quoted(name));
        let message = match message.contains(&entity.to_string()) {
            true => message,
            false => format!("`{entity}`: {message}"),
        };
        Some(Finding { item, needle, message, help: String::new() })
    };
    items.iter().enumerate().filter_map(check).collect()
}

/// Notes all findings with their places. True if there is none.
pub fn note(source: &Arc<SourceFile>, found: Vec<Finding>, problems: &mut Problems) -> bool {
    let is_sound = found.is_empty();
    let places = if is_sound { Vec::new() } else { places(source) };
    for Finding { item, needle, message, help } in found {
        let whole = places.get(item).cloned().unwrap_or(0..0);
        let text = source.text.get(whole.clone()).unwrap_or_default();
        let span = match text.find(&needle) {
            Some(at) => whole.start + at..whole.start + at + needle.len().max(1),
            None => whole.start..whole.start,
        };
        let problem = AuthorProblem::error(message).at(source, span);
        problems.push(if help.is_empty() { problem } else { problem.help(help) });
    }
    is_sound
}

/// Where each entity stands in the file.
fn places(source: &SourceFile) -> Vec<Range<usize>> {
    let limits = JsonLimits { bytes_max: usize::MAX, depth_max: DEPTH_MAX, nodes_max: usize::MAX };
    let Ok(document) = Document::parse(Bytes::from(source.text.clone()), &limits) else { return Vec::new() };
    let start = document.bytes().as_ptr().addr();
    let place = |raw: &str| {
        let at = raw.as_ptr().addr().saturating_sub(start);
        at..at + raw.len()
    };
    document.root().items().map(|item| place(item.raw())).collect()
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Deeper than any directory's attributes.
const DEPTH_MAX: usize = 128;
