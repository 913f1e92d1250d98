//! The configuration as a JSON Schema (2020-12), written from the sections that the reader reads.
//!
//! Promises: what breaks it, the reader refuses as well. Never the other way round: where two keys exclude each other, only
//! the reader says so.

use serde_json::{Map, Value, json};

use super::reference::{default_of, meaning_of};
use super::settings::{Key, Kind, Presence, Section};

/// The whole schema, as it stands in `schemas/lockkeeper.schema.json`.
pub fn schema(sections: &[&Section]) -> Value {
    let top = sections.iter().filter(|section| !section.name.contains('.')).copied();
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for section in top {
        add_section(section, sections, &mut properties, &mut required);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lockkeeper.toml",
        "description": "The configuration of `lockkeeper serve`.",
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
}

fn add_section(
    section: &Section,
    sections: &[&Section],
    properties: &mut Map<String, Value>,
    required: &mut Vec<Value>,
) {
    let name = section.name.rsplit('.').next().unwrap_or(section.name);
    let (mut own, mut own_required) = (Map::new(), Vec::new());
    for key in section.keys {
        own.insert(key.name.to_owned(), key_schema(key));
        own_required.extend(key.example.map(|_| json!(key.name)));
    }
    for inner in section.inner {
        let full = format!("{}.{inner}", section.name);
        let inner = sections.iter().find(|section| section.name == full);
        inner.into_iter().for_each(|inner| add_section(inner, sections, &mut own, &mut own_required));
    }
    let mut table = json!({
        "description": meaning_of(section),
        "type": "object",
        "additionalProperties": false,
        "properties": own,
    });
    set_unless_empty(&mut table, "required", own_required);
    if section.presence == Presence::Required {
        required.push(json!(name));
    }
    let value = match section.presence {
        Presence::Required | Presence::Optional => table,
        Presence::Repeated => json!({"type": "array", "items": table}),
    };
    properties.insert(name.to_owned(), value);
}

fn key_schema(key: &Key) -> Value {
    let mut schema = match key.kind {
        Kind::Integer { min, max, .. } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Boolean(_) => json!({"type": "boolean"}),
        Kind::Text(_) => json!({"type": "string"}),
        Kind::Choice(words) => json!({"enum": words}),
        Kind::Texts => {
            json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
        }
        Kind::Map(_) => json!({"type": "object", "additionalProperties": {"type": ["string", "integer"]}}),
        Kind::Path => json!({"type": "string", "minLength": 1}),
        Kind::Address => json!({"type": "string", "pattern": "^.+:[0-9]{1,5}$"}),
    };
    let mut description = key.meaning.to_owned();
    let stated = if key.example.is_some() { None } else { stated_default(key.kind) };
    if let (None, Some(words)) = (&stated, default_of(key)) {
        description = format!("{description}; default: {words}");
    }
    if let Some(members) = schema.as_object_mut() {
        members.insert("description".to_owned(), json!(description));
        members.extend(stated.map(|default| ("default".to_owned(), default)));
    }
    schema
}

/// A default that is a value and not only words.
fn stated_default(kind: Kind) -> Option<Value> {
    match kind {
        Kind::Integer { default, .. } => default.map(|default| json!(default)),
        Kind::Boolean(default) => Some(json!(default)),
        Kind::Choice(words) => words.first().map(|word| json!(word)),
        Kind::Text(words) => {
            let word = words.strip_prefix('`')?.strip_suffix('`')?;
            (!word.contains('`')).then(|| json!(word))
        }
        Kind::Texts | Kind::Map(_) | Kind::Path | Kind::Address => None,
    }
}

fn set_unless_empty(table: &mut Value, name: &str, values: Vec<Value>) {
    if let (Some(members), false) = (table.as_object_mut(), values.is_empty()) {
        members.insert(name.to_owned(), json!(values));
    }
}
