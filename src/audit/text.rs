//! Items of the ledger as text for people.
//!
//! Promises: every name of a field, every id and every policy that the entry holds is told, except that long lists of ids
//! are cut with their number. Never resolves a handle by itself: who asks, decides whether names are shown.

use std::fmt::Write as _;

use serde_json::Value;

use super::dictionary::SPELLED;
use super::item::{Item, list, text, texts};

/// How a principal's handle is shown; `None` where the handle itself is.
pub type Resolve<'r> = &'r dyn Fn(&str) -> Option<String>;

/// One item as lines, without a line feed at the end.
pub fn item(item: &Item, resolve: Resolve<'_>) -> String {
    let mut block = Block::default();
    match item.kind.as_str() {
        "decision" => block.decision(item, resolve),
        "shown" | "outcome" | "delivery" | "observed" => {
            block.head(&item.entry, &item.kind.to_uppercase(), item.id.as_deref().unwrap_or_default());
            block.later(&item.entry);
        }
        kind => block.head(&item.entry, &kind.to_uppercase(), &other(kind, &item.entry)),
    }
    block.0.trim_end().to_owned()
}

/// A labelled line with its line feed, wrapped between words.
pub fn labelled(label: &str, content: &str) -> String {
    let (mut text, mut line) = (String::new(), format!("    {label:<9}"));
    let mut is_fresh = true;
    for word in content.split(' ') {
        if !is_fresh && line.chars().count() + word.chars().count() >= WIDTH {
            let _ = writeln!(text, "{}", line.trim_end());
            line = " ".repeat(13);
        }
        line.push_str(word);
        line.push(' ');
        is_fresh = false;
    }
    let _ = writeln!(text, "{}", line.trim_end());
    text
}

#[derive(Default)]
struct Block(String);

impl Block {
    fn head(&mut self, entry: &Value, what: &str, rest: &str) {
        let time = text(entry, "t");
        let time = time.get(..23).unwrap_or(time).replace('T', " ");
        let _ = writeln!(self.0, "{time}Z  {what:<8} {rest}");
    }

    fn line(&mut self, label: &str, content: &str) {
        self.0.push_str(&labelled(label, content));
    }

    fn decision(&mut self, item: &Item, resolve: Resolve<'_>) {
        let entry = &item.entry;
        let who = entry.get("who").map_or("nobody".to_owned(), |who| {
            let handle = text(who, "handle");
            resolve(handle).unwrap_or_else(|| format!("{} {handle}", text(who, "type")))
        });
        let route = match text(entry, "route") {
            "" => "(no route)",
            label => label.split_once(' ').map_or(label, |(_, path)| path),
        };
        let mut rest = format!("{who}  {} {route}", text(entry, "method"));
        if !texts(entry, "query").is_empty() {
            let _ = write!(rest, "?{}", texts(entry, "query").join("&"));
        }
        if !text(entry, "reason").is_empty() {
            let _ = write!(rest, "  {}", text(entry, "reason"));
        }
        if entry.get("who").is_some_and(|who| text(who, "authn") == "asserted") {
            rest.push_str("  (another service asked)");
        }
        if text(entry, "mode") == "observe" {
            rest.push_str("  (observed, not enforced)");
        }
        self.head(entry, &text(entry, "effect").to_uppercase(), &rest);
        list(entry, "access").iter().for_each(|access| self.access(access));
        if let Some(write) = entry.get("write") {
            self.write(write);
        }
        self.sets(entry);
        for (id, reason) in entry.get("reasons").and_then(Value::as_object).into_iter().flatten() {
            self.line("because", &format!("{}  ({id})", reason.as_str().unwrap_or_default()));
        }
        item.later.iter().for_each(|later| self.later(later));
        if !item.is_closed() {
            self.line("outcome", "none yet");
        }
        self.line("id", &format!("{}, entry {}", text(entry, "id"), item.seq()));
    }

    fn access(&mut self, access: &Value) {
        let mut content = format!("{} {}{}", text(access, "action"), text(access, "type"), ids(access));
        because(&mut content, access);
        without_policy(&mut content, access);
        if !texts(access, "errors").is_empty() {
            let _ = write!(content, "; policies that failed: {}", texts(access, "errors").join(", "));
        }
        self.line(text(access, "effect"), &content);
    }

    fn write(&mut self, write: &Value) {
        if write.get("unbounded").is_some() {
            self.line("changes", "whatever records the CRM finds: the request names none");
        }
        for (label, member) in [("writes", "asked"), ("refused", "refused"), ("left out", "unchanged")] {
            if !texts(write, member).is_empty() {
                self.line(label, &texts(write, member).join(", "));
            }
        }
        for member in ["stage", "owner", "team"] {
            if let Some(change) = write.get(member) {
                self.line(member, &moved(change));
            }
        }
    }

    fn sets(&mut self, entry: &Value) {
        for set in list(entry, "sets") {
            let record_type = text(set, "type");
            let mut label = format!("{record_type}{}", ids(set));
            because(&mut label, set);
            self.line("record", &label);
            for member in SPELLED {
                let names = texts(set, member);
                let prefix = format!("{record_type}.");
                let names: Vec<&str> =
                    names.iter().map(|name| name.strip_prefix(&prefix).unwrap_or(name)).collect();
                if !names.is_empty() {
                    self.line(&format!("  {member}"), &names.join(", "));
                } else if !text(set, member).is_empty() {
                    self.line(&format!("  {member}"), text(set, member));
                }
            }
        }
        for rows in list(entry, "rows_hidden") {
            let mut content = format!("{}{}: {}", text(rows, "type"), ids(rows), text(rows, "reason"));
            about_attribute(&mut content, rows);
            because(&mut content, rows);
            self.line("left out", &content);
        }
    }

    /// What the profile does not describe.
    fn observed(&mut self, entry: &Value) {
        if !text(entry, "path").is_empty() {
            self.line("unmapped", text(entry, "path"));
        }
        for (label, member) in [("query", "query"), ("body", "request_keys"), ("holds", "answer_keys")] {
            if !texts(entry, member).is_empty() {
                self.line(&format!("  {label}"), &texts(entry, member).join(", "));
            }
        }
        for fields in list(entry, "fields") {
            let names = texts(fields, "names").join(", ");
            self.line("no field", &format!("{}: {names}", text(fields, "type")));
        }
    }

    /// What came of a decision.
    fn later(&mut self, entry: &Value) {
        match text(entry, "kind") {
            "outcome" => {
                self.line("answer", &outcome(entry));
                self.sets(entry);
            }
            "shown" => self.sets(entry),
            "delivery" => self.line("answer", "the caller had gone before it was delivered"),
            "observed" => self.observed(entry),
            "alarm" => self.line("ALARM", text(entry, "reason")),
            kind => self.line(kind, &members(entry)),
        }
    }
}

fn outcome(entry: &Value) -> String {
    let number = |member: &str| entry.get(member).and_then(Value::as_u64);
    let mut parts = Vec::new();
    parts.extend(number("status").map(|status| status.to_string()));
    parts.push(match text(entry, "released") {
        "all" => "all of the CRM's body".to_owned(),
        "filtered" => "the CRM's body, filtered".to_owned(),
        "problem" => "a problem instead of a body".to_owned(),
        "none" => "no body".to_owned(),
        _ => "unknown what was released".to_owned(),
    });
    parts.extend(number("bytes").map(|bytes| format!("{bytes} bytes")));
    match text(entry, "delivered") {
        "yes" => parts.push("delivered".to_owned()),
        "partial" => parts.push("only a part of it arrived".to_owned()),
        "abandoned" => parts.push("the caller had gone".to_owned()),
        // After a write this is said before the answer leaves: a `delivery` entry follows if it fails to arrive.
        _ => {}
    }
    let upstream = number("upstream").filter(|upstream| Some(*upstream) != number("status"));
    parts.extend(upstream.map(|upstream| format!("the CRM said {upstream}")));
    if !text(entry, "reason").is_empty() {
        parts.push(text(entry, "reason").to_owned());
    }
    if let Some(stage) = entry.get("stage") {
        parts.push(format!("stage {}", moved(stage)));
    }
    parts.join(", ")
}

/// An entry that is not about one decision, in one line.
fn sink(entry: &Value) -> String {
    let mut line = format!("{} is {}", text(entry, "name"), text(entry, "state"));
    if !text(entry, "reason").is_empty() {
        let _ = write!(line, ", {}", text(entry, "reason"));
    }
    if let Some(seq) = entry.get("acknowledged").and_then(Value::as_u64) {
        let _ = write!(line, "; it has everything up to entry {seq}");
    }
    line
}

fn other(kind: &str, entry: &Value) -> String {
    match kind {
        "start" => {
            let mut line = format!(
                "lockkeeper {} on {}, bundle {}, directory {}",
                text(entry, "version"),
                text(entry, "listen"),
                short(entry, "bundle"),
                short(entry, "directory")
            );
            for group in list(entry, "observe") {
                let _ = write!(line, ", observing {} until {}", text(group, "name"), text(group, "until"));
            }
            line
        }
        "stop" => "in order".to_owned(),
        "revision" => revision(entry),
        "refusals" => format!("before anyone was identified: {}", counts(entry, "reason")),
        "passes" => format!("for which nobody is identified: {}", counts(entry, "route")),
        "erasure" => format!("{} belongs to nobody from here on", text(entry, "handle")),
        "config" => {
            let settings = texts(entry, "settings").join(", ");
            format!("configuration {}, which sets {settings}", short(entry, "hash"))
        }
        "clock" => format!("the clock went {} ms beside the time that passed", step_ms(entry)),
        "alarm" => format!("{} {}", text(entry, "reason"), text(entry, "of")),
        "read" => format!("{}, by {}", text(entry, "command"), text(entry, "by")),
        "review" => review(entry),
        "sink" => sink(entry),
        "removal" => removal(entry),
        "gap" if entry.get("minute").is_some() => {
            let passed = list(entry, "passed").iter().map(|passed| number(passed, "count"));
            let (total, minute) = (passed.fold(0, u64::saturating_add), text(entry, "minute"));
            format!("{total} requests passed unrecorded in the minute {minute}: {}", text(entry, "reason"))
        }
        "gap" => {
            // What was acknowledged and lost is not recorded either.
            let unrecorded = number(entry, "refused") + number(entry, "lost");
            format!("{unrecorded} entries could not be recorded: {}", text(entry, "reason"))
        }
        "recovered" => format!(
            "{}: {} bytes cut, {} decisions closed as unknown",
            text(entry, "file"),
            number(entry, "cut_bytes"),
            number(entry, "closed")
        ),
        _ => members(entry),
    }
}

/// Which entries are removed, and why.
fn removal(entry: &Value) -> String {
    let (first, last, keep_days) =
        (number(entry, "first"), number(entry, "last"), number(entry, "keep_days"));
    let (until, file, bytes) = (text(entry, "until"), text(entry, "file"), number(entry, "bytes"));
    format!("the entries {first} to {last}, until {until}, after {keep_days} days: {file}, {bytes} bytes")
}

/// A bundle, a directory or keys were offered.
fn revision(entry: &Value) -> String {
    let mut line = format!("{} {} is {}", text(entry, "what"), short(entry, "hash"), text(entry, "result"));
    if !text(entry, "previous").is_empty() {
        let _ = write!(line, ", before it {}", short(entry, "previous"));
    }
    if number(entry, "problems") > 0 {
        let _ = write!(line, ", {} problems", number(entry, "problems"));
    }
    // Nobody signs directories and keys.
    if text(entry, "what") == "bundle" {
        let _ = write!(line, ", author {}", text(entry, "author"));
    }
    for (word, member) in [("approved by", "approver"), ("ticket", "ticket")] {
        if !text(entry, member).is_empty() {
            let _ = write!(line, ", {word} {}", text(entry, member));
        }
    }
    if number(entry, "version") > 0 {
        let _ = write!(line, ", version {}", number(entry, "version"));
    }
    if entry.get("pinned").is_some() {
        line.push_str(", chosen by its hash");
    }
    for (word, member) in [("added", "added"), ("removed", "removed"), ("changed", "changed")] {
        let ids = entry.get("policies").map(|policies| texts(policies, member)).unwrap_or_default();
        if !ids.is_empty() {
            let _ = write!(line, ", {} policies {word}", ids.len());
            if text(entry, "previous").is_empty() {
                continue;
            }
            let _ = write!(line, ": {}", ids.join(", "));
        }
    }
    line
}

/// The beginning of a hash.
fn short<'e>(entry: &'e Value, member: &str) -> &'e str {
    let hash = text(entry, member);
    hash.get(..12).unwrap_or(hash)
}

fn number(entry: &Value, member: &str) -> u64 {
    entry.get(member).and_then(Value::as_u64).unwrap_or(0)
}

fn step_ms(entry: &Value) -> i64 {
    entry.get("step_ms").and_then(Value::as_i64).unwrap_or(0)
}

/// What somebody signed off.
fn review(entry: &Value) -> String {
    let [verdict, report, by, note] = ["verdict", "report", "by", "note"].map(|member| text(entry, member));
    let note = if note.is_empty() { String::new() } else { format!(": {note}") };
    format!("{verdict} of report {report}, by {by}{note}")
}

/// What was counted, by one of its members.
fn counts(entry: &Value, by: &str) -> String {
    let mut reasons: Vec<(&str, u64, usize)> = Vec::new();
    for count in list(entry, "counts") {
        let (reason, number) = (text(count, by), count.get("count").and_then(Value::as_u64).unwrap_or(0));
        match reasons.iter_mut().find(|(known, _, _)| *known == reason) {
            Some((_, total, sources)) => {
                *total = total.saturating_add(number);
                *sources += 1;
            }
            None => reasons.push((reason, number, 1)),
        }
    }
    let told = reasons.iter().map(|(reason, total, sources)| {
        let sources = if *sources == 1 { "one source".to_owned() } else { format!("{sources} sources") };
        format!("{total} × {reason} from {sources}")
    });
    let until = match text(entry, "until") {
        "" => String::new(),
        until => format!(", until {until}"),
    };
    format!("{}{until}", told.collect::<Vec<_>>().join(", "))
}

/// What this version does not know how to tell, as it stands.
fn members(entry: &Value) -> String {
    let mut entry = entry.clone();
    if let Some(members) = entry.as_object_mut() {
        members.retain(|name, _| !matches!(name.as_str(), "v" | "seq" | "batch" | "kind" | "t" | "crc"));
    }
    entry.to_string()
}

/// Why something was denied that no policy determined.
fn without_policy(content: &mut String, access: &Value) {
    if !text(access, "reason").is_empty() {
        let _ = write!(content, ": {}", text(access, "reason"));
        about_attribute(content, access);
    }
}

fn about_attribute(content: &mut String, entry: &Value) {
    if !text(entry, "attribute").is_empty() {
        let _ = write!(content, " (`{}`)", text(entry, "attribute"));
    }
}

fn because(content: &mut String, entry: &Value) {
    if !texts(entry, "policies").is_empty() {
        let _ = write!(content, "  by {}", texts(entry, "policies").join(", "));
    }
}

fn ids(entry: &Value) -> String {
    let ids = texts(entry, "ids");
    let shown = ids.get(..IDS_SHOWN).unwrap_or(&ids);
    match ids.len() {
        0 => String::new(),
        count if count > shown.len() => format!(" {}, … ({count} in all)", shown.join(", ")),
        _ => format!(" {}", ids.join(", ")),
    }
}

fn moved(change: &Value) -> String {
    let side = |member: &str| match text(change, member) {
        "" => "none".to_owned(),
        id => id.to_owned(),
    };
    format!("{} → {}", side("from"), side("to"))
}

/// Columns of a line.
const WIDTH: usize = 118;

/// Ids that are told before a list is cut.
const IDS_SHOWN: usize = 12;
