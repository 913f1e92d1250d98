//! Sections on deeds: what was used, moved and refused, what is unusual, and who changed what decides.
//!
//! Promises: tells what the ledger holds and no more; what is unusual is so by the rules that the report states.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Sources;
use super::bursts::{Burst, Bursts};
use super::can::{by_handle, times};
use super::table::{ROWS_MAX, Table};
use super::tally::{Key, Person, Tally, Uses};
use crate::audit::index::error::IndexError;
use crate::audit::index::question::Within;
use crate::audit::item::{Item, text, texts};
use crate::audit::when::{nanoseconds, plain};

/// What was done.
pub fn sections(sources: &Sources<'_>, tally: &Tally, within: &Within) -> Result<Vec<Table>, IndexError> {
    let (mut used, mut moves, mut refused, mut unusual) =
        (used_table(), moves_table(), refused_table(), unusual_table());
    for (handle, person) in &tally.people {
        let name = sources.name(handle).unwrap_or_else(|| by_handle(person));
        tell_used(&name, person, &mut used);
        for ((from, to, became), uses) in &person.moves {
            let [first, last] = times(uses);
            let row = [
                name.clone(),
                from.clone(),
                to.clone(),
                (*became).to_owned(),
                uses.count.to_string(),
                first,
                last,
            ];
            moves.push(row);
        }
        for (reason, uses) in &person.reasons {
            let [first, last] = times(uses);
            refused.push([name.clone(), reason.clone(), uses.count.to_string(), first, last]);
        }
        tell_unusual(sources, &name, person, &mut unusual);
    }
    tell_unidentified(sources, within, &mut refused, &mut unusual)?;
    Ok(vec![used, moves, refused, unusual, changes(sources, within)?])
}

/// Rights of one kind in one row, with how often each was used.
fn tell_used(name: &str, person: &Person, table: &mut Table) {
    let mut kinds: BTreeMap<(&str, &str), Vec<(&Key, &Uses)>> = BTreeMap::new();
    for (key, uses) in &person.used {
        kinds.entry((&key.type_name, &key.right)).or_default().push((key, uses));
    }
    for ((type_name, right), used) in kinds {
        let told = |(key, uses): &(&Key, &Uses)| match key.what.as_str() {
            "" => String::new(),
            what => format!("{what} {}×", uses.count),
        };
        let what: Vec<String> = used.iter().map(told).filter(|text| !text.is_empty()).collect();
        let mut all = Uses::default();
        for (_, uses) in &used {
            let first = if all.count == 0 { uses.first } else { all.first.min(uses.first) };
            all = Uses { count: all.count.max(uses.count), seq: 0, first, last: all.last.max(uses.last) };
        }
        let [first, last] = times(&all);
        let row = [
            name.to_owned(),
            type_name.to_owned(),
            right.to_owned(),
            what.join(", "),
            all.count.to_string(),
            first,
            last,
        ];
        table.push(row);
    }
}

fn tell_unusual(sources: &Sources<'_>, name: &str, person: &Person, table: &mut Table) {
    let rules = &sources.rules;
    if person.was_there {
        // Fields that one answer showed for the first time stand together.
        let mut firsts: BTreeMap<(u64, i64), Vec<&str>> = BTreeMap::new();
        let is_new = |t: i64| rules.from.is_some_and(|from| t >= from);
        for (field, at) in person.first_shown.iter().filter(|(_, (_, t))| is_new(*t)) {
            firsts.entry(*at).or_default().push(field);
        }
        for ((seq, t), fields) in firsts {
            let what = format!("not shown to them before, by what is kept: {}", fields.join(", "));
            let row = [
                name.to_owned(),
                "first use".to_owned(),
                what,
                fields.len().to_string(),
                plain(t),
                plain(t),
                seq.to_string(),
            ];
            table.push(row);
        }
    } else if person.requests.count > 0 && rules.from.is_some() && person.who.is_some() {
        let Uses { count, seq, first, last } = person.requests;
        let what = "no request before the period, by what is kept".to_owned();
        let row = [
            name.to_owned(),
            "new".to_owned(),
            what,
            count.to_string(),
            plain(first),
            plain(last),
            seq.to_string(),
        ];
        table.push(row);
    }
    tell_bursts(name, &person.bursts, table);
    let (off, changes) = &person.off_hours;
    if off.count > 0 {
        let [first, last] = times(off);
        let what = format!("outside of {} {}, {changes} of them changes", rules.hours, rules.offset);
        let row = [
            name.to_owned(),
            "off hours".to_owned(),
            what,
            off.count.to_string(),
            first,
            last,
            off.seq.to_string(),
        ];
        table.push(row);
    }
}

fn tell_bursts(name: &str, bursts: &Bursts, table: &mut Table) {
    for Burst { first, last, seq, number } in &bursts.found {
        let what = "refusals in a short time".to_owned();
        let row = [
            name.to_owned(),
            "burst".to_owned(),
            what,
            number.to_string(),
            plain(*first),
            plain(*last),
            seq.to_string(),
        ];
        table.push(row);
    }
    table.left_out += bursts.left_out;
}

/// What was refused before anybody was identified, by source.
fn tell_unidentified(
    sources: &Sources<'_>,
    within: &Within,
    refused: &mut Table,
    unusual: &mut Table,
) -> Result<(), IndexError> {
    let mut counts: BTreeMap<(String, String), Uses> = BTreeMap::new();
    let mut bursts: BTreeMap<String, Bursts> = BTreeMap::new();
    let mut left_out = 0;
    sources.index.unidentified(within, |counted| {
        let key = (counted.source.clone(), counted.reason.clone());
        if !counts.contains_key(&key) && counts.len() >= ROWS_MAX {
            left_out += 1;
            return;
        }
        let uses = counts.entry(key).or_insert_with(|| Uses {
            seq: counted.seq,
            first: counted.t,
            ..Uses::default()
        });
        (uses.count, uses.last) = (uses.count + counted.number, counted.t);
        let of_source = bursts.entry(counted.source.clone()).or_default();
        of_source.take(counted.t, counted.seq, counted.number, sources.rules.burst);
    })?;
    refused.left_out += left_out;
    let name = |source: &str| format!("nobody identified, source {source}");
    for ((source, reason), uses) in counts {
        let [first, last] = times(&uses);
        refused.push([name(&source), reason, uses.count.to_string(), first, last]);
    }
    bursts.iter().for_each(|(source, bursts)| tell_bursts(&name(source), bursts, unusual));
    Ok(())
}

/// Bundles, directories and keys that were offered.
fn changes(sources: &Sources<'_>, within: &Within) -> Result<Table, IndexError> {
    let mut table = changes_table();
    let found = sources.index.revisions(&Within { limit: ROWS_MAX, ..within.clone() })?;
    table.left_out = usize::from(found.has_more);
    found.rows.iter().for_each(|item| table.push(change(item)));
    Ok(table)
}

fn change(item: &Item) -> [String; 11] {
    let entry = &item.entry;
    let member = |name: &str| text(entry, name).to_owned();
    let version = entry.get("version").and_then(Value::as_u64).map(|version| version.to_string());
    let of_policies = |name: &str| {
        let ids = entry.get("policies").map(|policies| texts(policies, name)).unwrap_or_default();
        if ids.is_empty() { None } else { Some(format!("{name} {}", ids.join(", "))) }
    };
    let policies: Vec<String> = ["added", "removed", "changed"].into_iter().filter_map(of_policies).collect();
    let result = match entry.get("pinned").is_some() {
        true => format!("{}, chosen by its hash", text(entry, "result")),
        false => member("result"),
    };
    [
        plain(nanoseconds(text(entry, "t"))),
        item.seq().to_string(),
        member("what"),
        result,
        // Nobody signs directories and keys.
        if text(entry, "what") == "bundle" { member("author") } else { String::new() },
        member("approver"),
        member("ticket"),
        version.unwrap_or_default(),
        member("hash"),
        texts(entry, "signers").join(", "),
        policies.join("; "),
    ]
}

fn used_table() -> Table {
    let about = "What was seen and done in the period, as far as it went through or may have: an action on records of a type, fields that were shown, shown masked \
                 or written, moves; how often each, and in `uses` how often the one that was used most.";
    let columns = &["principal", "type", "action", "what", "uses", "first", "last"];
    Table::new("used", "Who saw, changed and moved what", about, columns)
}

fn moves_table() -> Table {
    let about = "Stage moves by what became of them: done, unconfirmed, refused by Lockkeeper, rejected by the CRM, or unknown.";
    let columns = &["principal", "from", "to", "became", "number", "first", "last"];
    Table::new("moves", "Stage moves", about, columns)
}

fn refused_table() -> Table {
    let about = "What was denied, refused or failed, by reason. Who was not identified is told by source.";
    Table::new("refused", "Refused attempts", about, &["principal", "reason", "number", "first", "last"])
}

fn unusual_table() -> Table {
    let about = "Fields that were shown to somebody for the first time although they had worked here before, people without a request before the period, bursts of \
                 refusals, and requests outside of working hours, by the rules above. Without a beginning of the period nothing is a first time.";
    let columns = &["principal", "kind", "what", "number", "first", "last", "entry"];
    Table::new("unusual", "Unusual activity", about, columns)
}

fn changes_table() -> Table {
    let about = "Bundles of policies, directories and keys that were offered to the service in the period, who made them and who approved them. `unsigned`: no \
                 trusted key vouches for the author of a bundle; directories and keys have no signatures.";
    let columns = &[
        "time", "entry", "what", "result", "author", "approver", "ticket", "version", "hash", "signers",
        "policies",
    ];
    Table::new("changes", "Policy changes", about, columns)
}
