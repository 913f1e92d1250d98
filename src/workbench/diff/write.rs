//! A difference as text that can be pasted into a pull request, and as JSON.

use std::fmt::Write as _;

use serde_json::json;

use super::{Change, Difference, Example, Found};
use crate::model::decision::Decision;
use crate::workbench::formula::words::words;

/// Markdown: policies, then what is gained, then what is lost.
pub fn text(difference: &Difference) -> String {
    let mut text = String::new();
    for (what, ids) in
        [("added", &difference.added), ("removed", &difference.removed), ("changed", &difference.edited)]
    {
        if !ids.is_empty() {
            let _ = writeln!(text, "Policies {what}: {}", coded(ids));
        }
    }
    if text.is_empty() {
        text.push_str("The policies are the same.\n");
    }
    if !difference.uncompared.is_empty() {
        text.push_str("\n### Not compared\n\n");
        difference.uncompared.iter().for_each(|reason| text.push_str(&format!("- {reason}\n")));
    }
    let all = difference.changes.iter();
    section(&mut text, "Gained", all.clone().map(|change| (change, &change.gained)));
    section(&mut text, "Lost", all.map(|change| (change, &change.lost)));
    text
}

fn section<'d>(text: &mut String, title: &str, changes: impl Iterator<Item = (&'d Change, &'d Found)>) {
    let changes: Vec<_> = changes.filter(|(_, found)| found.is_there()).collect();
    if changes.is_empty() {
        let _ = writeln!(text, "\n### {title}: nothing");
        return;
    }
    let _ = writeln!(text, "\n### {title}\n");
    changes.into_iter().for_each(|(change, found)| tell(text, change, found));
}

fn tell(text: &mut String, change: &Change, found: &Found) {
    let stages = match change.stages.is_empty() {
        true => String::new(),
        false => format!(" in {}", change.stages.join(", ")),
    };
    let _ = writeln!(
        text,
        "- **{}** {} `{}`{}{stages}",
        who(change),
        change.action,
        change.type_name,
        on(change)
    );
    let _ = writeln!(text, "  - was: {}", words(&change.old));
    let _ = writeln!(text, "  - now: {}", words(&change.new));
    match found {
        Found::Example(example) => {
            let _ = writeln!(text, "  - e.g. {}", told(change, example));
        }
        Found::Unknown | Found::Nothing => {
            text.push_str("  - no example was found: the conditions differ, and whether any record shows it is not known\n");
        }
    }
}

/// Whose right it is; of many, how many.
fn who(change: &Change) -> String {
    match change.who.as_slice() {
        [one] => one.clone(),
        names if names.len() <= NAMES_MAX => names.join(", "),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        [] => String::new(),
    }
}

/// The fields or the stage.
fn on(change: &Change) -> String {
    let prefix = format!("{}.", change.type_name);
    let names: Vec<&str> =
        change.names.iter().map(|name| name.strip_prefix(prefix.as_str()).unwrap_or(name)).collect();
    match (names.is_empty(), change.action) {
        (true, _) => String::new(),
        (false, "moveStage") => format!(" to {}", names.join(", ")),
        (false, _) => format!(" {}", coded(&names)),
    }
}

fn told(change: &Change, example: &Example) -> String {
    let list = |values: &std::collections::BTreeMap<String, String>| {
        values.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ")
    };
    let mut line = format!("{} on a {}", example.principal, change.type_name);
    if !example.record.is_empty() {
        let _ = write!(line, " with {}", list(&example.record));
    }
    if !example.proposed.is_empty() {
        let _ = write!(line, ", to become {}", list(&example.proposed));
    }
    if let Some(count) = example.count {
        let _ = write!(line, ", {count} at once");
    }
    let _ = write!(line, ": {}, now {}", decided(&example.old), decided(&example.new));
    line
}

fn decided(decision: &Decision) -> String {
    let by = match decision.determining.is_empty() {
        true => String::new(),
        false => format!(" by {}", coded(&decision.determining)),
    };
    match decision.reason {
        None => format!("allow{by}"),
        Some(reason) => format!("deny ({reason}){by}"),
    }
}

fn coded<T: AsRef<str>>(names: &[T]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// For programs.
pub fn json(difference: &Difference, revisions: [&str; 2], is_agreed: bool) -> String {
    let found = |found: &Found| match found {
        Found::Nothing => json!({ "is": "nothing" }),
        Found::Unknown => json!({ "is": "unknown" }),
        Found::Example(example) => json!({
            "is": "example",
            "principal": example.principal,
            "record": example.record,
            "proposed": example.proposed,
            "count": example.count,
            "old": decision(&example.old),
            "new": decision(&example.new),
        }),
    };
    let change = |change: &Change| {
        json!({
            "who": change.who,
            "type": change.type_name,
            "action": change.action,
            "names": change.names,
            "stages": change.stages,
            "old": words(&change.old),
            "new": words(&change.new),
            "gained": found(&change.gained),
            "lost": found(&change.lost),
        })
    };
    json!({
        "ok": is_agreed,
        "bundles": revisions,
        "policies": { "added": difference.added, "removed": difference.removed, "changed": difference.edited },
        "uncompared": difference.uncompared,
        "changes": difference.changes.iter().map(change).collect::<Vec<_>>(),
    })
    .to_string()
}

fn decision(decision: &Decision) -> serde_json::Value {
    json!({
        "effect": decision.effect.code(),
        "reason": decision.reason.map(|reason| reason.code()),
        "policies": decision.determining,
    })
}

/// Names that are told one by one.
const NAMES_MAX: usize = 5;
