//! Writes records as the model CRM does: whole, with what it derives, and with related records inside.

use super::{Kind, Record, State};

/// What is wanted of a record.
#[derive(Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// The keys that were selected.
    pub select: Option<&'a [String]>,
    /// The relations to write out.
    pub expand: &'a [String],
    /// A key that says which type it is.
    pub names_kind: bool,
}

/// A record as JSON; `null` if there is none.
pub fn record(state: &State, kind: Kind, id: u64, wanted: Wanted<'_>) -> String {
    let Some(record) = state.record(kind, id) else { return "null".to_owned() };
    let mut members = vec![("id".to_owned(), id.to_string())];
    if wanted.names_kind {
        members.push(("kind".to_owned(), format!("\"{}\"", kind.path())));
    }
    members.extend(plain(kind, record));
    for relation in wanted.expand {
        members.extend(related(state, kind, id, record, relation));
    }
    let is_wanted = |key: &str| match wanted.select {
        Some(names) => key == "id" || key == "kind" || names.iter().any(|name| is_named(kind, name, key)),
        None => true,
    };
    members.retain(|(key, text)| is_wanted(key) && (state.style.writes_null || text != "null"));
    if id.is_multiple_of(2) {
        members.reverse();
    }
    object(state, id, &members)
}

/// What stands for a record inside of another one.
fn summary(state: &State, kind: Kind, id: u64) -> String {
    let Some(record) = state.record(kind, id) else { return "null".to_owned() };
    let keys: &[&str] = match kind {
        Kind::Deal => &["title", "stage", "amount", "amount_fmt", "internal"],
        Kind::Contact => &["name", "email", "email_html"],
        Kind::Company => &["name", "tier", "credit", "credit_fmt"],
    };
    let is_in = |key: &str| {
        keys.contains(&key) || (state.style.says_owner_inside && ["owner_id", "team_id"].contains(&key))
    };
    let mut members = vec![("id".to_owned(), id.to_string())];
    members.extend(plain(kind, record).into_iter().filter(|(key, _)| is_in(key)));
    members.retain(|(_, text)| state.style.writes_null || text != "null");
    object(state, id, &members)
}

/// The record's own keys with those that are derived; parts of composites inside of one.
fn plain(kind: Kind, record: &Record) -> Vec<(String, String)> {
    let mut members: Vec<(String, String)> = Vec::new();
    let mut inside: Vec<String> = Vec::new();
    for (key, text) in record {
        match key.split_once('.') {
            Some((_, inner)) => inside.push(format!("{}:{text}", quoted(inner))),
            None => members.push((key.clone(), text.clone())),
        }
    }
    if !inside.is_empty() {
        members.push(("address".to_owned(), format!("{{{}}}", inside.join(","))));
    }
    for (twin, key) in kind.twins() {
        members.push(((*twin).to_owned(), derived(record.get(*key))));
    }
    members
}

/// What a derived key says of a value.
pub fn derived(text: Option<&String>) -> String {
    match text {
        None => "null".to_owned(),
        Some(text) if text == "null" => "null".to_owned(),
        Some(text) => quoted(&format!("about {text}")),
    }
}

fn related(state: &State, kind: Kind, id: u64, record: &Record, relation: &str) -> Option<(String, String)> {
    let one = |key: &str, to: Kind| {
        let id = record.get(key).and_then(|text| text.parse().ok());
        id.map_or("null".to_owned(), |id| summary(state, to, id))
    };
    let many = |of: Kind| {
        let id = id.to_string();
        let records = state.tables[&of].iter().filter(|(_, record)| record.get("company_id") == Some(&id));
        let records: Vec<String> = records.map(|(id, _)| summary(state, of, *id)).collect();
        format!("[{}]", records.join(","))
    };
    let text = match (kind, relation) {
        (Kind::Deal, "contact") => one("contact_id", Kind::Contact),
        (Kind::Deal | Kind::Contact, "company") => one("company_id", Kind::Company),
        (Kind::Company, "deals") => many(Kind::Deal),
        (Kind::Company, "contacts") => many(Kind::Contact),
        _ => return None,
    };
    Some((relation.to_owned(), text))
}

/// Whether a name of a selection brings a key along: itself, what is derived from it, and what is inside of it.
fn is_named(kind: Kind, name: &str, key: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    first == key || kind.twins().iter().any(|(twin, of)| *twin == key && *of == first)
}

fn object(state: &State, id: u64, members: &[(String, String)]) -> String {
    let colon = if id.is_multiple_of(5) { " : " } else { ":" };
    let spelled = |key: &str| match key.chars().next() {
        Some(first) if state.style.escapes && (id + key.len() as u64).is_multiple_of(3) => {
            format!("\"\\u{:04x}{}\"", u32::from(first), key.chars().skip(1).collect::<String>())
        }
        _ => quoted(key),
    };
    let members: Vec<String> =
        members.iter().map(|(key, text)| format!("{}{colon}{text}", spelled(key))).collect();
    format!("{{{}}}", members.join(","))
}

/// A text as JSON.
pub fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}
