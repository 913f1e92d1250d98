//! What the model CRM does with a change: it takes whatever it can, and echoes whatever it holds where it cannot.

use serde_json::{Map, Value};

use super::render::{self, Wanted};
use super::{Kind, State};

/// How a change ends if it is not taken: the status and the body.
pub type Refused = (u16, String);

/// How a body relates to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semantics {
    /// What it leaves out stays.
    Merge,
    /// What it leaves out goes.
    Replace,
}

/// Changes a record. An id in the body counts more than the one in the path.
pub fn change(
    state: &mut State,
    kind: Kind,
    id: u64,
    body: &Value,
    semantics: Semantics,
) -> Result<u64, Refused> {
    let Value::Object(members) = body else { return Err((400, "{\"error\":\"no object\"}".to_owned())) };
    let id = members
        .get("id")
        .and_then(Value::as_u64)
        .filter(|other| state.record(kind, *other).is_some())
        .unwrap_or(id);
    check(state, kind, id, members)?;
    let clears = state.style.clears;
    let mut record = state.record(kind, id).cloned().unwrap_or_default();
    if semantics == Semantics::Replace {
        let version = record.get("version").cloned();
        record = kind.keys().iter().map(|key| ((*key).to_owned(), "null".to_owned())).collect();
        record.insert("version".to_owned(), version.unwrap_or("1".to_owned()));
    }
    if kind == Kind::Contact && clears && !members.contains_key("phone") {
        record.insert("phone".to_owned(), "null".to_owned());
    }
    for (key, value) in members.iter().filter(|(key, _)| *key != "id" && *key != "version") {
        match value {
            // A composite is replaced whole.
            Value::Object(parts) if key == "address" => {
                record.retain(|key, _| !key.starts_with("address."));
                record.extend(
                    parts.iter().map(|(inner, value)| (format!("address.{inner}"), value.to_string())),
                );
            }
            value => drop(record.insert(key.clone(), value.to_string())),
        }
    }
    let version = record.get("version").and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) + 1;
    record.insert("version".to_owned(), version.to_string());
    state.table_mut(kind).insert(id, record);
    state.changes += 1;
    Ok(id)
}

/// Makes a record.
pub fn create(state: &mut State, kind: Kind, body: &Value) -> Result<u64, Refused> {
    let id = state.next_id;
    let mut record: super::Record =
        kind.keys().iter().map(|key| ((*key).to_owned(), "null".to_owned())).collect();
    record.insert("version".to_owned(), "0".to_owned());
    if kind == Kind::Deal {
        record.insert("stage".to_owned(), "\"lead\"".to_owned());
        record.insert("owner_id".to_owned(), "11".to_owned());
    }
    state.table_mut(kind).insert(id, record);
    let made = change(state, kind, id, body, Semantics::Merge);
    match made {
        Ok(id) => state.next_id = state.next_id.max(id + 1),
        Err(_) => drop(state.table_mut(kind).remove(&id)),
    }
    made
}

/// Removes a record.
pub fn remove(state: &mut State, kind: Kind, id: u64) -> bool {
    let was_there = state.table_mut(kind).remove(&id).is_some();
    state.changes += u64::from(was_there);
    was_there
}

/// What it insists on: kinds of values, and that a version that is sent is the one that it holds.
fn check(state: &State, kind: Kind, id: u64, members: &Map<String, Value>) -> Result<(), Refused> {
    for (key, value) in members {
        let fits = match key.as_str() {
            "amount" | "margin" | "credit" => value.is_null() || value.is_number(),
            "owner_id" | "team_id" | "contact_id" | "company_id" => value.is_null() || value.is_u64(),
            "flagged" | "vip" => value.is_null() || value.is_boolean(),
            "stage" => value.as_str().is_some_and(|stage| STAGES.contains(&stage)),
            "address" => value.is_object(),
            _ => true,
        };
        let whole = || render::record(state, kind, id, Wanted::default());
        if !fits {
            let key = render::quoted(key);
            let echo =
                format!("{{\"error\":\"invalid\",\"key\":{key},\"sent\":{value},\"record\":{}}}", whole());
            return Err((422, echo));
        }
        let held = state.record(kind, id).and_then(|record| record.get("version"));
        if key == "version" && held != Some(&value.to_string()) {
            return Err((409, format!("{{\"error\":\"stale\",\"existing\":{}}}", whole())));
        }
    }
    Ok(())
}

const STAGES: &[&str] = &["lead", "talk", "won", "legacy"];
