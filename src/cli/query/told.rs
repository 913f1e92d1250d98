//! Rows of an answer with what the ledger says of them, and the same as JSON.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::text::Name;
use crate::audit::index::Index;
use crate::audit::index::error::IndexError;
use crate::audit::index::question::{Act, Counted, Found, Move, Reading, Sighting};
use crate::audit::item::{Item, list, text, texts};
use crate::audit::when::exact;

/// An answer's rows.
#[derive(Default)]
pub struct Rows {
    /// In the order of the ledger.
    pub rows: Vec<Row>,
    /// Behind which entry the next rows are, if there are more.
    pub next: Option<u64>,
    /// Refusals before anyone was identified.
    pub unidentified: Vec<Counted>,
}

/// One row.
pub enum Row {
    /// A record that was shown.
    Saw(Sighting),
    /// A decision.
    Act(Act, Item),
    /// A stage move.
    Move(Move, Item),
    /// A reading.
    Read(Reading),
}

impl Row {
    /// The entry's number.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Saw(sighting) => sighting.act.seq,
            Self::Act(act, _) => act.seq,
            Self::Move(found, _) => found.act.seq,
            Self::Read(reading) => reading.seq,
        }
    }
}

impl Rows {
    /// Records that were shown, each decision compared with the ledger.
    pub fn sightings(index: &Index, found: Found<Sighting>) -> Result<Self, IndexError> {
        Self::of(found, |sighting| index.item(&sighting.act).map(|_| Row::Saw(sighting)))
    }

    /// Decisions, with their entries.
    pub fn acts(index: &Index, found: Found<Act>) -> Result<Self, IndexError> {
        Self::of(found, |act| index.item(&act).map(|item| Row::Act(act, item)))
    }

    /// Moves, with their entries.
    pub fn moves(index: &Index, found: Found<Move>) -> Result<Self, IndexError> {
        Self::of(found, |found| index.item(&found.act).map(|item| Row::Move(found, item)))
    }

    /// Readings, which the index tells whole.
    pub fn readings(found: Found<Reading>) -> Result<Self, IndexError> {
        Self::of(found, |reading| Ok(Row::Read(reading)))
    }

    fn of<T>(found: Found<T>, row: impl FnMut(T) -> Result<Row, IndexError>) -> Result<Self, IndexError> {
        let rows = found.rows.into_iter().map(row).collect::<Result<Vec<_>, _>>()?;
        let next = rows.last().map(Row::seq).filter(|_| found.has_more);
        Ok(Self { rows, next, unidentified: Vec::new() })
    }
}

/// A row as JSON.
pub fn json(row: &Row, name: Name<'_>) -> Value {
    match row {
        Row::Saw(sighting) => {
            let Sighting { act, record, shown, masked, unenforced, is_whole, policies } = sighting;
            let more = json!({
                "type": record.type_name, "id": record.id, "shown": shown, "masked": masked, "not_enforced": unenforced,
                "whole": is_whole, "policies": policies,
            });
            joined(of_act(act, name), more)
        }
        Row::Act(act, item) => {
            joined(of_act(act, name), json!({"change": change(act), "entries": entries(item)}))
        }
        Row::Move(found, item) => {
            let records: Vec<Value> = records(item)
                .into_iter()
                .map(|(type_name, id)| json!({"type": type_name, "id": id}))
                .collect();
            let more = json!({
                "from": found.from, "to": found.to, "change": found.change.word(), "records": records, "entries": entries(item),
            });
            joined(of_act(&found.act, name), more)
        }
        Row::Read(reading) => {
            json!({"entry": reading.seq, "t": exact(reading.t), "command": reading.command, "by": reading.by})
        }
    }
}

fn of_act(act: &Act, name: Name<'_>) -> Value {
    let who = |principal: &crate::audit::index::question::Principal| json!({"handle": principal.handle, "type": principal.type_name, "principal": name(&principal.handle)});
    let end = act.end.as_ref().map(|end| {
        json!({
            "entry": end.seq, "status": end.status, "upstream": end.upstream, "released": end.released,
            "delivered": end.delivered, "reason": end.reason,
        })
    });
    json!({
        "entry": act.seq, "decision": act.id, "t": exact(act.t), "who": act.who.as_ref().map(who),
        "on_behalf_of": act.on_behalf_of.as_ref().map(who), "asserted": act.is_asserted, "method": act.method,
        "route": act.route, "effect": act.effect, "reason": act.reason, "bundle": act.bundle, "directory": act.directory,
        "observed": act.is_observed, "outcome": end,
    })
}

fn joined(mut one: Value, other: Value) -> Value {
    if let (Some(members), Value::Object(more)) = (one.as_object_mut(), other) {
        members.extend(more);
    }
    one
}

/// The entries of a decision. They are no longer the lines that were written, so they have no checksum.
fn entries(item: &Item) -> Vec<Value> {
    let bare = |entry: &Value| {
        let mut entry = entry.clone();
        if let Some(members) = entry.as_object_mut() {
            members.remove("crc");
        }
        entry
    };
    [&item.entry].into_iter().chain(&item.later).map(bare).collect()
}

/// What became of a change; nothing where the decision is none.
pub fn change(act: &Act) -> Option<&'static str> {
    act.is_change.then(|| act.change().word())
}

/// The records that a decision is about: those that it changes, else those that it shows.
pub fn records(item: &Item) -> Vec<(String, String)> {
    let of = |entry: &Value, member: &str| -> Vec<(String, String)> {
        let groups = list(entry, member).iter();
        let pairs =
            groups.flat_map(|group| texts(group, "ids").into_iter().map(|id| (text(group, "type"), id)));
        pairs.map(|(type_name, id)| (type_name.to_owned(), id.to_owned())).collect()
    };
    let mut found = of(&item.entry, "access");
    if found.is_empty() {
        found = all(item).flat_map(|entry| of(entry, "sets")).collect();
    }
    let distinct: BTreeSet<(String, String)> = found.into_iter().collect();
    distinct.into_iter().collect()
}

/// Names of fields in all sets of a decision: `shown`, `hidden` or `masked`.
pub fn fields(item: &Item, member: &str) -> BTreeSet<String> {
    let sets = all(item).flat_map(|entry| list(entry, "sets"));
    sets.flat_map(|set| texts(set, member)).map(str::to_owned).collect()
}

/// Rows that were left out.
pub fn rows_hidden(item: &Item) -> usize {
    let rows = all(item).flat_map(|entry| list(entry, "rows_hidden"));
    rows.map(|rows| list(rows, "ids").len()).sum()
}

/// Every policy that determined something.
pub fn policies(item: &Item) -> BTreeSet<String> {
    let groups =
        |entry| ["access", "sets", "rows_hidden"].into_iter().flat_map(move |member| list(entry, member));
    all(item).flat_map(groups).flat_map(|group| texts(group, "policies")).map(str::to_owned).collect()
}

/// A list of texts of a member that may be missing.
pub fn texts_of<'v>(value: Option<&'v Value>, member: &str) -> Vec<&'v str> {
    value.map(|value| texts(value, member)).unwrap_or_default()
}

fn all(item: &Item) -> impl Iterator<Item = &Value> {
    std::iter::once(&item.entry).chain(&item.later)
}
