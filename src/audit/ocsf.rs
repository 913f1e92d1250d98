//! Decisions as events of the Open Cybersecurity Schema Framework: API Activity with the profile Security Control.
//!
//! Promises: only what stands in the ledger is told; a principal is a handle. What the framework has no place for is in `unmapped`. Other
//! kinds of entries have no event.

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
        // The request's own action comes first; those of fields and further records follow.
        let action = list(entry, "access").first().map(|access| text(access, "action")).unwrap_or_default();
        match (action, text(entry, "method")) {
            ("create" | "attach" | "comment" | "clone" | "createStage", _) => Self::Create,
            ("delete" | "bulkDelete" | "deleteStage", _) => Self::Delete,
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

/// One resource for each record; its data says which fields were shown, and never what they hold.
fn resources(item: &Item) -> Vec<Value> {
    let entries = [&item.entry].into_iter().chain(&item.later);
    let mut resources = Vec::new();
    for entry in entries {
        for set in list(entry, "sets") {
            let data = |member: &str| set.get(member).cloned();
            let (shown, hidden, masked) = (data("shown"), data("hidden"), data("masked"));
            resources.extend(texts(set, "ids").into_iter().map(|id| {
                json!({
                    "type": text(set, "type"), "uid": id,
                    "data": { "shown": shown, "hidden": hidden, "masked": masked },
                })
            }));
        }
        for rows in list(entry, "rows_hidden") {
            resources.extend(
                texts(rows, "ids")
                    .into_iter()
                    .map(|id| json!({ "type": text(rows, "type"), "uid": id, "data": { "left_out": true } })),
            );
        }
    }
    if resources.is_empty() {
        for access in list(&item.entry, "access") {
            resources.extend(
                texts(access, "ids").into_iter().map(|id| json!({ "type": text(access, "type"), "uid": id })),
            );
        }
    }
    resources
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
