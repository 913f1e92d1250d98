//! Rows of an answer as text for people.

use super::args::Question;
use super::told::{Row, change, records, texts_of};
use crate::audit::index::question::{Act, Counted, Move, Principal, Reading, Sighting};
use crate::audit::item::Item;
use crate::audit::text::{item, labelled};
use crate::audit::when::plain;

/// How a principal's handle is shown; `None` where the handle itself is.
pub type Name<'n> = &'n dyn Fn(&str) -> Option<String>;

/// A row as lines, without a line feed at the end.
pub fn row(row: &Row, question: &Question, name: Name<'_>) -> String {
    let text = match row {
        Row::Act(act, found) if matches!(question, Question::WhoChanged { .. }) => changed(act, found, name),
        Row::Saw(sighting) => saw(sighting, name),
        Row::Act(_, found) => item(found, name),
        Row::Move(found, item) => moved(found, item, name),
        Row::Read(Reading { seq, t, command, by }) => {
            format!("{}  READ     {command}, by {by}, entry {seq}", plain(*t))
        }
    };
    text.trim_end().to_owned()
}

/// Refusals of one reason.
pub fn counted(counted: &Counted) -> String {
    let Counted { reason, number, sources } = counted;
    let sources = if *sources == 1 { "one source".to_owned() } else { format!("{sources} sources") };
    format!("before anyone was identified: {number} × {reason} from {sources}")
}

/// A principal by name, or by type and handle.
pub fn principal(who: Option<&Principal>, name: Name<'_>) -> String {
    who.map_or("nobody".to_owned(), |who| {
        name(&who.handle)
            .unwrap_or_else(|| format!("{} {}", who.type_name, who.handle).trim_start().to_owned())
    })
}

/// A change and what became of it. What its answer showed is another question.
fn changed(act: &Act, found: &Item, name: Name<'_>) -> String {
    let mut found = found.clone();
    found.later.retain(|entry| entry.get("kind").is_none_or(|kind| kind != "shown"));
    for entry in [&mut found.entry].into_iter().chain(&mut found.later) {
        entry.as_object_mut().and_then(|members| members.remove("sets"));
    }
    format!("{}\n{}", item(&found, name), labelled("change", change(act).unwrap_or("none")))
}

fn head(act: &Act, word: &str, rest: &str, name: Name<'_>) -> String {
    let mut text = format!("{}  {word:<8} {}  {rest}", plain(act.t), principal(act.who.as_ref(), name));
    if let Some(other) = &act.on_behalf_of {
        text.push_str(&format!("  (for {})", principal(Some(other), name)));
    }
    if act.is_asserted {
        text.push_str("  (another service asked)");
    }
    if act.is_observed {
        text.push_str("  (observed, not enforced)");
    }
    text + "\n"
}

fn saw(sighting: &Sighting, name: Name<'_>) -> String {
    let Sighting { act, record, shown, masked, unenforced, is_whole, policies } = sighting;
    let what = match record.id.as_str() {
        "" => format!("a {} without an id", record.type_name),
        id => format!("{} {id}", record.type_name),
    };
    let route = act.route.as_deref().unwrap_or("(no route)");
    let path = route.split_once(' ').map_or(route, |(_, path)| path);
    let mut text = head(act, "SAW", &format!("{what}  {} {path}", act.method), name);
    let prefix = format!("{}.", record.type_name);
    let fields = |names: &[String]| -> String {
        let names: Vec<&str> = names.iter().map(|name| name.strip_prefix(&prefix).unwrap_or(name)).collect();
        names.join(", ")
    };
    for (label, names) in [("shown", shown), ("masked", masked), ("unhidden", unenforced)] {
        if !names.is_empty() {
            text.push_str(&labelled(label, &fields(names)));
        }
    }
    if *is_whole {
        text.push_str(&labelled("unhidden", "all of it: policies would have left the record out"));
    }
    if !policies.is_empty() {
        text.push_str(&labelled("by", &policies.join(", ")));
    }
    text.push_str(&labelled("answer", &end(act)));
    text + &labelled("id", &format!("{}, entry {}", act.id, act.seq))
}

fn moved(found: &Move, item: &Item, name: Name<'_>) -> String {
    let side = |stage: &Option<String>| stage.clone().unwrap_or_else(|| "none".to_owned());
    let records = records(item).into_iter().map(|(type_name, id)| format!("{type_name} {id}"));
    let records: Vec<String> = records.collect();
    let word = match found.change.word() {
        "done" => "MOVED".to_owned(),
        word => word.to_uppercase(),
    };
    let rest = format!("{}  {} → {}", records.join(", "), side(&found.from), side(&found.to));
    let mut text = head(&found.act, &word, &rest, name);
    let why: Vec<String> = [&found.act.reason].into_iter().flatten().cloned().collect();
    if !why.is_empty() {
        text.push_str(&labelled(&found.act.effect, &why.join(", ")));
    }
    let refused = texts_of(item.entry.get("write"), "refused");
    if !refused.is_empty() {
        text.push_str(&labelled("refused", &refused.join(", ")));
    }
    text.push_str(&labelled("answer", &end(&found.act)));
    text + &labelled("id", &format!("{}, entry {}", found.act.id, found.act.seq))
}

/// What became of an answer, in few words.
pub fn end(act: &Act) -> String {
    let Some(end) = &act.end else { return "none yet".to_owned() };
    let mut parts: Vec<String> = end.status.iter().map(u16::to_string).collect();
    let delivered = match (end.delivered.as_str(), end.released.as_str()) {
        ("yes", _) => Some("delivered"),
        ("partial", _) => Some("only a part of it arrived"),
        ("abandoned", _) => Some("the caller had gone"),
        (_, "unknown") => Some("nobody knows what became of it"),
        // A write's outcome is recorded before its answer leaves; if that fails to arrive, it is told later.
        _ => None,
    };
    parts.extend(delivered.map(str::to_owned));
    parts.extend(end.reason.clone());
    parts.join(", ")
}
