//! Draws the second state: edits of exactly that which a person may not see.

use lockkeeper::testkit::dice::Dice;

use super::bundle::Bundle;
use super::model::{Edit, Kind, Record, State, hostile_text, random_record, random_value};
use super::oracle::Oracle;

/// What may be changed beside hidden values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Hidden records come and go. Then only lists whose pages are filled up may be paged, since others are short where rows are
    /// hidden.
    Change,
    /// They stay where they are, so that pages are as long as before.
    Stay,
}

/// Edits that a person may not notice.
pub fn edits(
    oracle: &Oracle,
    bundle: &Bundle,
    person: &str,
    state: &State,
    rows: Rows,
    dice: &mut Dice,
) -> Vec<Edit> {
    let mut other = state.clone();
    let mut edits = Vec::new();
    for _ in 0..TRIES {
        let edit = edit(&other, rows, dice);
        let (kind, id) = edit.place();
        let former = other.record(kind, id).cloned();
        // A filter that is pushed down finds such a record, and it is hidden all the same: what it holds would move other rows.
        if rows == Rows::Stay && former.as_ref().is_some_and(|record| !conforms(record)) {
            continue;
        }
        other.apply(&edit);
        let is_changed = other.record(kind, id) != former.as_ref();
        if is_changed && oracle.difference_of(bundle, person, (kind, id), state, &other).is_none() {
            edits.push(edit);
            continue;
        }
        match former {
            Some(record) => drop(other.table_mut(kind).insert(id, record)),
            None => drop(other.table_mut(kind).remove(&id)),
        }
    }
    edits
}

fn edit(state: &State, rows: Rows, dice: &mut Dice) -> Edit {
    let kind =
        *dice.one_of(&[Kind::Deal, Kind::Deal, Kind::Deal, Kind::Contact, Kind::Contact, Kind::Company]);
    let ids: Vec<u64> = state.tables[&kind].keys().copied().collect();
    if rows == Rows::Change && (ids.is_empty() || dice.one_in(3)) {
        let first = super::model::ids(kind).next().unwrap_or(0);
        let id = first + dice.below(30) as u64;
        return match dice.one_in(2) {
            true => Edit::Remove { kind, id },
            false => Edit::Put { kind, id, record: record(rows, kind, dice) },
        };
    }
    let Some(id) = ids.get(dice.below(ids.len().max(1))).copied() else {
        return Edit::Remove { kind, id: 0 };
    };
    match dice.below(10) {
        0 | 1 => return Edit::Put { kind, id, record: record(rows, kind, dice) },
        2 if kind == Kind::Deal => {
            let mut record = state.record(kind, id).cloned().unwrap_or_default();
            record.retain(|key, _| !key.starts_with("address."));
            return Edit::Put { kind, id, record };
        }
        _ => {}
    }
    let key = match dice.one_in(8) {
        true => dice.pick(&["cf_1", "margin_pct2", "address.note", "kind2"]).to_owned(),
        false => (*dice.one_of(kind.keys())).to_owned(),
    };
    let to = match dice.below(8) {
        0 => None,
        // What the CRM would refuse if it came back in a full replacement tells by that: its own checks are a named exception.
        1..5 if key == "margin" => {
            Some(dice.pick(&["1e300", "-0", "12345678901234567890", "0.10"]).to_owned())
        }
        1..4 if !IS_TYPED.contains(&key.as_str()) => Some(hostile_text(dice)),
        4 if !IS_TYPED.contains(&key.as_str()) => {
            Some(dice.pick(&["{\"a\":[1,null]}", "[[]]", "1e300", "-0", "12345678901234567890"]).to_owned())
        }
        _ => Some(random_value(&key, dice)),
    };
    Edit::Set { kind, id, key, to: conforming(rows, to) }
}

/// A record; where pages count, one that policies can decide on: what they cannot is missing from pages of those who may see
/// every record.
fn record(rows: Rows, kind: Kind, dice: &mut Dice) -> Record {
    let mut record = random_record(kind, dice);
    record.values_mut().for_each(|text| *text = conforming(rows, Some(text.clone())).unwrap_or_default());
    record
}

fn conforms(record: &Record) -> bool {
    record.values().all(|text| conforming(Rows::Stay, Some(text.clone())).as_ref() == Some(text))
}

fn conforming(rows: Rows, text: Option<String>) -> Option<String> {
    match (rows, text.as_deref()) {
        (Rows::Stay, Some("\"legacy\"")) => Some("\"won\"".to_owned()),
        (Rows::Stay, Some("99")) => Some("14".to_owned()),
        _ => text,
    }
}

const TRIES: usize = 40;
const IS_TYPED: &[&str] =
    &["version", "stage", "owner_id", "team_id", "contact_id", "company_id", "amount", "flagged", "vip"];
