//! A draft as text: TOML to paste into a profile with comments for a person, or JSON for programs.
//!
//! Promises: the text is TOML; its routes load where they are pasted, and each is refused until somebody has described it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::json;

use super::route::{DraftRoute, order};
use super::{Draft, Tally};
use crate::bundle::profile::Profile;
use crate::json::token::quoted;

/// The draft as TOML with comments.
pub fn toml(draft: &Draft, profile: Option<&Profile>) -> String {
    let mut text = String::from(HEAD);
    fields(&mut text, draft, profile);
    parameters(&mut text, draft);
    if !draft.undescribed.is_empty() {
        text.push_str("\n# ---- routes of the profile that still say `refuse` ----\n");
    }
    for (label, tally) in &draft.undescribed {
        let _ = writeln!(text, "# {label}: {}", told(tally));
    }
    if !draft.unread.is_empty() {
        text.push_str("\n# ---- bodies and answers that could not be read as the profile says ----\n");
    }
    for ((label, reason, content_type), tally) in &draft.unread {
        let _ = writeln!(text, "# {label}: {content_type}, would be `{reason}`; {}", told(tally));
    }
    if !draft.routes.is_empty() {
        text.push_str(ROUTES_HEAD);
    }
    for route in &draft.routes {
        write_route(&mut text, route, draft, profile);
    }
    text
}

fn fields(text: &mut String, draft: &Draft, profile: Option<&Profile>) {
    if draft.fields.is_empty() {
        return;
    }
    text.push_str(FIELDS_HEAD);
    if profile.is_none_or(|profile| !profile.field_sets.contains_key(FIELD_SET)) {
        let _ = writeln!(text, "[field_sets]\n{FIELD_SET} = []");
    }
    for (type_name, names) in &draft.fields {
        let _ = writeln!(text, "[types.{}.fields]", key(type_name));
        for (name, tally) in names {
            let _ = writeln!(text, "{} = {{ sets = [\"{FIELD_SET}\"] }}  # {}", key(name), told(tally));
        }
    }
}

fn parameters(text: &mut String, draft: &Draft) {
    if !draft.parameters.is_empty() {
        text.push_str(PARAMETERS_HEAD);
    }
    for (label, names) in &draft.parameters {
        let _ = writeln!(text, "# {label}");
        for (name, tally) in names {
            let _ = writeln!(text, "#   {} = \"refused\"  # {}", key(name), told(tally));
        }
    }
}

fn write_route(text: &mut String, route: &DraftRoute, draft: &Draft, profile: Option<&Profile>) {
    let order = order(route, &draft.routes, profile);
    let mut block = String::new();
    let _ = writeln!(block, "[[routes]]");
    let _ = writeln!(block, "match  = {}", quoted(&route.path.label()));
    let _ = writeln!(block, "refuse = \"drafted from the ledger, not described yet\"");
    if !order.over.is_empty() {
        let labels: Vec<String> = order.over.iter().map(|label| quoted(label)).collect();
        let _ = writeln!(block, "over   = [{}]", labels.join(", "));
    }
    if !route.query.is_empty() {
        let rules: Vec<String> =
            route.query.iter().map(|name| format!("{} = \"refused\"", key(name))).collect();
        let _ = writeln!(block, "query  = {{ {} }}", rules.join(", "));
    }
    let guess = route.path.action_guess();
    let _ = writeln!(
        block,
        "# action = \"{guess}\"  # guessed from the method: confirm it, then remove `refuse`"
    );
    let at = route.records_guess().map_or("$".to_owned(), |at| at);
    let _ = writeln!(block, "# records = {{ at = {}, type = \"…\" }}", quoted(&at));
    let _ = writeln!(text, "\n# {}{}", told(&route.tally), seen(route));
    if route.path.has_open_segment() {
        text.push_str(
            "# A segment is not told: an id, or a word to add to `words` of its group in [[observe]].\n",
        );
    }
    for (label, keys) in [("sent", &route.request_keys), ("answered", &route.answer_keys)] {
        if !keys.is_empty() {
            let _ = writeln!(text, "# {label}: {}", short(keys));
        }
    }
    // What cannot load as it stands must not keep the rest from loading.
    let why = match (route.path.template(), order.under.as_slice()) {
        (None, _) => Some("no route can have this method".to_owned()),
        (Some(_), []) => None,
        (Some(_), under) => {
            Some(format!("it meets {}: state `over` there, then take the `#` away", under.join(", ")))
        }
    };
    match why {
        None => text.push_str(&block),
        Some(why) => {
            let _ = writeln!(text, "# Not ready to paste: {why}.");
            for line in block.lines() {
                let _ = writeln!(text, "# {line}");
            }
        }
    }
}

fn seen(route: &DraftRoute) -> String {
    let mut parts = Vec::new();
    if !route.request_types.is_empty() {
        parts.push(format!("sent as {}", list(&route.request_types)));
    }
    if !route.statuses.is_empty() {
        let statuses: Vec<String> = route.statuses.iter().map(u64::to_string).collect();
        parts.push(format!("answered {}", statuses.join(", ")));
    }
    if !route.answer_types.is_empty() {
        parts.push(format!("as {}", list(&route.answer_types)));
    }
    parts.iter().map(|part| format!("; {part}")).collect()
}

fn told(tally: &Tally) -> String {
    let last = tally.last.get(..19).unwrap_or(&tally.last);
    format!("{} ×, last {last}Z", tally.count)
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn short(names: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = names.iter().take(KEYS_SHOWN).map(String::as_str).collect();
    match names.len() > shown.len() {
        true => format!("{}, … ({} in all)", shown.join(", "), names.len()),
        false => shown.join(", "),
    }
}

/// A key of TOML, quoted unless it is bare.
fn key(name: &str) -> String {
    let is_bare = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_bare && !name.is_empty() { name.to_owned() } else { quoted(name) }
}

/// The draft as JSON.
pub fn json(draft: &Draft, profile: Option<&Profile>) -> serde_json::Value {
    let tally = |tally: &Tally| json!({"count": tally.count, "last": tally.last});
    let route = |route: &DraftRoute| {
        let order = order(route, &draft.routes, profile);
        json!({
            "match": route.path.label(),
            "actionGuess": route.path.action_guess(),
            "recordsGuess": route.records_guess(),
            "over": order.over,
            "under": order.under,
            "hasOpenSegment": route.path.has_open_segment(),
            "query": route.query,
            "requestTypes": route.request_types,
            "requestKeys": route.request_keys,
            "answerTypes": route.answer_types,
            "answerKeys": route.answer_keys,
            "statuses": route.statuses,
            "seen": tally(&route.tally),
        })
    };
    let names = |names: &std::collections::BTreeMap<String, Tally>| {
        names.iter().map(|(name, seen)| json!({"name": name, "seen": tally(seen)})).collect::<Vec<_>>()
    };
    json!({
        "ok": draft.missing() == 0,
        "missing": draft.missing(),
        "entries": draft.entries,
        "routes": draft.routes.iter().map(route).collect::<Vec<_>>(),
        "undescribed": draft.undescribed.iter().map(|(label, seen)| json!({"route": label, "seen": tally(seen)})).collect::<Vec<_>>(),
        "parameters": draft.parameters.iter().map(|(label, all)| json!({"route": label, "names": names(all)})).collect::<Vec<_>>(),
        "fields": draft.fields.iter().map(|(name, all)| json!({"type": name, "names": names(all)})).collect::<Vec<_>>(),
        "unread": draft.unread.iter().map(|((label, reason, content_type), seen)| {
            json!({"route": label, "reason": reason, "contentType": content_type, "seen": tally(seen)})
        }).collect::<Vec<_>>(),
        "unnamed": draft.unnamed,
    })
}

const HEAD: &str = "\
# Drafted by `lockkeeper check --from-ledger` from names that observed traffic showed. Nothing here permits anything.
# What a name means is for you to state: see docs/guide/observe.md and docs/reference/profile.md.
";
const FIELDS_HEAD: &str = "
# ---- keys that no field claims ----
# Where the profile has the same header already, put the lines below that one. No policy names the set `unreviewed`: such a
# field is shown only where a policy permits every field. Choose its sets.
";
/// The set of fields that nobody has looked at.
const FIELD_SET: &str = "unreviewed";
const PARAMETERS_HEAD: &str = "
# ---- parameters that the profile does not declare ----
# Add them to `query` of the route: as `refused`, or with the role that they have.
";
const ROUTES_HEAD: &str = "
# ---- routes that no template matches ----
# Paste them at the end of the profile: it loads, and each stays refused until you have described it and removed `refuse`.
";
/// Places of a body that are listed.
const KEYS_SHOWN: usize = 40;
