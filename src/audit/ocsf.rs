//! Decisions as events of the Open Cybersecurity Schema Framework: API Activity with the profile Security Control.
//!
//! Promises: only what stands in the ledger is told; a principal is a handle. What the framework has no place for is in `unmapped`. Other
//! kinds of entries have no event.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::item::{Item, list, text, texts};

/// The event of a decision; `None` for anything else.
#[must_use]
pub fn event(item: &Item) -> Option<Value> {
    if item.kind != "decision" {
        return None;
    }
    let (entry, outcome) = (&item.entry, later(item, "outcome"));
    let activity = Activity::of(entry);
    let control = Control::of(entry, item);
    let status = outcome.get("status").and_then(Value::as_u64);
    let is_success = status.is_some_and(|status| status < 400);
    let time: Option<Timestamp> = text(entry, "t").parse().ok();
    let mut event = json!({
        "class_uid": CLASS, "class_name": "API Activity",
        "category_uid": CLASS / 1000, "category_name": "Application Activity",
        "activity_id": activity.id(), "activity_name": activity.name(),
        "type_uid": CLASS * 100 + activity.id(), "type_name": format!("API Activity: {}", activity.name()),
        "severity_id": 1, "severity": "Informational",
        "time": time.map(Timestamp::as_millisecond),
        "status_id": if status.is_none() { 0 } else if is_success { 1 } else { 2 },
        "action_id": control.id(), "action": control.name(),
        "disposition_id": control.disposition(), "disposition": control.disposition_name(),
        "metadata": {
            "version": VERSION,
            "profiles": ["security_control"],
            "product": { "name": "Lockkeeper", "vendor_name": "Lockkeeper", "version": env!("CARGO_PKG_VERSION") },
            "uid": text(entry, "id"),
            "original_time": text(entry, "t"),
            "sequence": item.seq(),
        },
        "actor": actor(entry),
        // The caller's address is in no entry.
        "src_endpoint": { "name": "not recorded" },
        "api": { "operation": operation(entry), "request": { "uid": text(entry, "id") } },
        "http_request": { "http_method": text(entry, "method") },
        "resources": resources(item),
        "authorizations": authorizations(item),
        "unmapped": unmapped(entry, outcome),
    });
    if let (Some(status), Some(members)) = (status, event.as_object_mut()) {
        members.insert("status_code".to_owned(), json!(status.to_string()));
        members.insert("http_response".to_owned(), json!({ "code": status }));
    }
    Some(event)
}

/// The framework's activities.
#[derive(Clone, Copy)]
enum Activity {
    Create,
    Read,
    Update,
    Delete,
    Other,
}

impl Activity {
    fn of(entry: &Value) -> Self {
        // The request's own action comes first, except that what changes a record views it before; fields and further records follow.
        let actions = list(entry, "access").iter().map(|access| text(access, "action"));
        let mut own = actions.clone().filter(|action| *action != "view");
        let viewed = actions.clone().next().unwrap_or_default();
        let is_write = entry.get("write").is_some();
        match (own.next().unwrap_or(viewed), text(entry, "method")) {
            ("create" | "attach" | "comment" | "clone" | "createStage", _) => Self::Create,
            ("delete" | "bulkDelete" | "deleteStage", _) => Self::Delete,
            // Nothing else was asked: the record may not even be seen.
            ("view", "DELETE") => Self::Delete,
            ("view", "PUT" | "PATCH") => Self::Update,
            ("view", _) if is_write => Self::Update,
            (
                "view" | "list" | "search" | "export" | "report" | "download" | "readField" | "viewStage",
                _,
            ) => Self::Read,
            ("", "GET" | "HEAD") => Self::Read,
            ("", _) => Self::Other,
            _ => Self::Update,
        }
    }

    fn id(self) -> u64 {
        match self {
            Self::Create => 1,
            Self::Read => 2,
            Self::Update => 3,
            Self::Delete => 4,
            Self::Other => 99,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Read => "Read",
            Self::Update => "Update",
            Self::Delete => "Delete",
            Self::Other => "Other",
        }
    }
}

/// What we did about it.
#[derive(Clone, Copy)]
enum Control {
    Allowed,
    Denied,
    Observed,
    Modified,
}

impl Control {
    fn of(entry: &Value, item: &Item) -> Self {
        let has_less = |entry: &Value| {
            let of_sets = list(entry, "sets").iter();
            let is_cut = |set: &Value| !list(set, "hidden").is_empty() || !list(set, "masked").is_empty();
            !list(entry, "rows_hidden").is_empty() || of_sets.into_iter().any(is_cut)
        };
        match text(entry, "effect") {
            _ if text(entry, "mode") == "observe" => Self::Observed,
            "allow" if has_less(entry) || item.later.iter().any(has_less) => Self::Modified,
            "allow" => Self::Allowed,
            _ => Self::Denied,
        }
    }

    fn id(self) -> u64 {
        match self {
            Self::Allowed => 1,
            Self::Denied => 2,
            Self::Observed => 3,
            Self::Modified => 4,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Allowed => "Allowed",
            Self::Denied => "Denied",
            Self::Observed => "Observed",
            Self::Modified => "Modified",
        }
    }

    /// An answer with parts taken out was allowed in that form.
    fn disposition(self) -> u64 {
        match self {
            Self::Denied => 2,
            Self::Allowed | Self::Modified | Self::Observed => 1,
        }
    }

    fn disposition_name(self) -> &'static str {
        match self {
            Self::Denied => "Blocked",
            Self::Allowed | Self::Modified | Self::Observed => "Allowed",
        }
    }
}

fn later<'i>(item: &'i Item, kind: &str) -> &'i Value {
    item.later.iter().find(|entry| text(entry, "kind") == kind).unwrap_or(&Value::Null)
}

fn actor(entry: &Value) -> Value {
    let who = entry.get("who").unwrap_or(&Value::Null);
    match text(who, "handle") {
        "" => json!({ "user": { "name": "not identified" } }),
        handle => json!({ "user": { "uid": handle, "type": text(who, "type") } }),
    }
}

fn operation(entry: &Value) -> String {
    match text(entry, "route") {
        "" => format!("{} (no route)", text(entry, "method")),
        route => route.to_owned(),
    }
}

/// One resource for each record, and a further one where another answer showed other fields of it; its data says which fields were
/// shown, and never what they hold.
fn resources(item: &Item) -> Vec<Value> {
    let entries = [&item.entry].into_iter().chain(&item.later);
    let mut resources = Resources::default();
    for entry in entries {
        for set in list(entry, "sets") {
            let data = |member: &str| set.get(member).cloned();
            let (shown, hidden, masked) = (data("shown"), data("hidden"), data("masked"));
            resources.add(set, Some(json!({ "shown": shown, "hidden": hidden, "masked": masked })));
        }
        for rows in list(entry, "rows_hidden") {
            resources.add(rows, Some(json!({ "left_out": true })));
        }
    }
    if resources.found.is_empty() {
        list(&item.entry, "access").iter().for_each(|access| resources.add(access, None));
    }
    resources.found
}

/// Resources, each of them once.
#[derive(Default)]
struct Resources {
    found: Vec<Value>,
    known: HashSet<String>,
}

impl Resources {
    /// Adds the records of a group.
    fn add(&mut self, group: &Value, data: Option<Value>) {
        for id in texts(group, "ids") {
            let mut resource = json!({ "type": text(group, "type"), "uid": id });
            if let (Some(data), Some(members)) = (&data, resource.as_object_mut()) {
                members.insert("data".to_owned(), data.clone());
            }
            if self.known.insert(resource.to_string()) {
                self.found.push(resource);
            }
        }
    }
}

/// One authorization for each determining policy: of what was asked, of records that were shown, and of those that were left out.
fn authorizations(item: &Item) -> Vec<Value> {
    let bundle = text(&item.entry, "bundle");
    let mut found: Vec<Value> = Vec::new();
    for entry in [&item.entry].into_iter().chain(&item.later) {
        for (member, decision) in [("access", None), ("sets", Some("allow")), ("rows_hidden", Some("deny"))] {
            for part in list(entry, member) {
                let decision = decision.unwrap_or_else(|| text(part, "effect"));
                for id in texts(part, "policies") {
                    let policy = json!({ "uid": id, "version": bundle, "is_applied": true });
                    let authorization = json!({ "decision": decision, "policy": policy });
                    if !found.contains(&authorization) {
                        found.push(authorization);
                    }
                }
            }
        }
    }
    found
}

fn unmapped(entry: &Value, outcome: &Value) -> Value {
    let mut unmapped = serde_json::Map::new();
    for (from, members) in [
        (entry, &["reason", "query", "write", "reasons", "mode", "bundle", "directory"][..]),
        (outcome, &["released", "delivered", "bytes", "upstream", "stage"]),
    ] {
        for member in members {
            unmapped.extend(from.get(*member).map(|value| ((*member).to_owned(), value.clone())));
        }
    }
    Value::Object(unmapped)
}

/// API Activity.
const CLASS: u64 = 6003;
/// The framework's version.
const VERSION: &str = "1.9.0";

#[cfg(test)]
mod tests {
    use super::*;

    fn told(method: &str, write: Option<Value>, access: &[(&str, &str)]) -> Value {
        let access: Vec<Value> = access
            .iter()
            .map(
                |(action, effect)| json!({"action": action, "type": "Deal", "ids": ["42"], "effect": effect}),
            )
            .collect();
        let mut entry = json!({"seq": 1, "id": "d", "method": method, "access": access});
        if let Some(write) = write {
            entry["write"] = write;
        }
        event(&Item::new("decision", entry)).unwrap()
    }

    #[test]
    fn what_changes_a_record_is_no_read() {
        #[track_caller]
        fn check(method: &str, is_write: bool, actions: &[&str], expected: &str) {
            let access: Vec<(&str, &str)> = actions.iter().map(|action| (*action, "allow")).collect();
            let event = told(method, is_write.then(|| json!({"asked": ["Deal.title"]})), &access);
            assert_eq!(event["activity_name"], expected, "{method} {actions:?}");
        }
        check("PATCH", true, &["view", "edit", "writeField"], "Update");
        check("POST", true, &["view", "moveStage"], "Update");
        check("POST", true, &["view"], "Update");
        check("PATCH", false, &["view"], "Update");
        check("DELETE", false, &["view", "delete"], "Delete");
        check("DELETE", false, &["view"], "Delete");
        check("POST", true, &["create", "writeField"], "Create");
        check("POST", false, &["view", "comment"], "Create");
        check("GET", false, &["view"], "Read");
        check("POST", false, &["view", "readField"], "Read");
        check("POST", false, &["search"], "Read");
        check("GET", false, &["list"], "Read");
        check("POST", false, &[], "Other");
    }

    #[test]
    fn a_record_is_one_resource() {
        let event = told("PATCH", None, &[("view", "allow"), ("edit", "allow"), ("writeField", "deny")]);
        assert_eq!(event["resources"], json!([{"type": "Deal", "uid": "42"}]));
    }
}
