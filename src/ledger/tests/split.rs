//! Entries that are longer than a line.

use proptest::prelude::*;
use serde_json::Value;

use crate::bundle::policies::{ID_BYTES_MAX, POLICIES_MAX};
use crate::ledger::counts::*;
use crate::ledger::entry::revision::*;
use crate::ledger::entry::*;
use crate::ledger::error::LedgerError;
use crate::ledger::field_set::FieldSet;
use crate::ledger::line::{self, OBJECT_BYTES_MAX, Place};
use crate::ledger::own::SegmentHead;
use crate::ledger::prepare::{self, ENTRY_BYTES_MAX, Prepared};
use crate::ledger::split;
use crate::ledger::tests::{decision, outcome, shown};

/// The parts of an entry as JSON; every one fits a line.
#[track_caller]
fn parts(objects: &[Vec<u8>]) -> Vec<Value> {
    for object in objects {
        let mut bytes = Vec::new();
        line::write(&mut bytes, Place { seq: u64::MAX, batch: u64::MAX }, "decision", 0, object);
        line::check(bytes.strip_suffix(b"\n").unwrap()).unwrap();
    }
    objects.iter().map(|object| serde_json::from_slice(object).unwrap()).collect()
}

/// All `(list, item without ids, id)` of a decision's lists, in order; an item without ids counts once.
fn flat(part: &Value) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    for list in ["access", "sets", "rows_hidden"] {
        for item in part.get(list).and_then(Value::as_array).into_iter().flatten() {
            let mut head = item.clone();
            let ids = head.as_object_mut().unwrap().remove("ids").unwrap_or(Value::Null);
            match ids.as_array() {
                None => all.push((list.to_owned(), head.to_string(), String::new())),
                Some(ids) => {
                    all.extend(ids.iter().map(|id| (list.to_owned(), head.to_string(), id.to_string())));
                }
            }
        }
    }
    all
}

#[track_caller]
fn check(decision: &Decision) -> usize {
    let whole = serde_json::to_value(decision).unwrap();
    let parts = parts(&split::encode("decision", decision).unwrap());
    let joined: Vec<_> = parts.iter().flat_map(flat).collect();
    let mut expected = flat(&whole);
    let order = |entry: &(String, String, String)| {
        ["access", "sets", "rows_hidden"].iter().position(|list| *list == entry.0)
    };
    let mut found = joined;
    found.sort_by_key(order);
    expected.sort_by_key(order);
    assert_eq!(found, expected);
    for (at, part) in parts.iter().enumerate() {
        assert_eq!(part["id"], whole["id"]);
        assert_eq!(part["bundle"], whole["bundle"]);
        if parts.len() > 1 {
            assert_eq!(part["part"], serde_json::json!({"n": at + 1, "of": parts.len()}));
        } else {
            assert_eq!(part.get("part"), None);
        }
    }
    parts.len()
}

fn ids(count: usize, bytes: usize) -> Vec<String> {
    (0..count).map(|at| format!("{at:0bytes$}")).collect()
}

#[test]
fn an_entry_of_the_limit_stays_whole_and_one_past_it_is_split() {
    let with = |bytes: usize| Decision {
        sets: vec![shown(&["Deal.title"], vec!["1".into(), "x".repeat(bytes)])],
        ..decision("d")
    };
    let base = serde_json::to_vec(&with(0)).unwrap().len();
    assert_eq!(check(&with(OBJECT_BYTES_MAX - base)), 1);
    assert!(matches!(
        split::encode("decision", &with(OBJECT_BYTES_MAX - base + 1)),
        Err(LedgerError::EntryTooLarge { .. })
    ));
    let two = |bytes| Decision {
        sets: vec![shown(&[], vec!["x".repeat(30_000), "y".repeat(bytes)])],
        ..decision("d")
    };
    let base = serde_json::to_vec(&two(0)).unwrap().len();
    assert_eq!(check(&two(OBJECT_BYTES_MAX - base)), 1);
    assert_eq!(check(&two(OBJECT_BYTES_MAX - base + 1)), 2);
}

#[test]
fn many_records_take_as_few_lines_as_they_fit() {
    let large = Decision { sets: vec![shown(&["Deal.title"], ids(10_000, 36))], ..decision("d") };
    assert_eq!(check(&large), 7);
}

#[test]
fn all_parts_together_have_a_limit() {
    let of = |bytes: usize| {
        let prepared = Prepared { objects: vec![vec![b'x'; bytes - 1], vec![b'x']], ..Prepared::stop() };
        prepare::within_limits(prepared)
    };
    assert!(of(ENTRY_BYTES_MAX).is_ok());
    let refused = of(ENTRY_BYTES_MAX + 1);
    assert!(matches!(refused, Err(LedgerError::EntryTooLarge { limit: ENTRY_BYTES_MAX, .. })));
}

#[test]
fn what_has_no_list_cannot_be_split() {
    let route = Decision { route: Some("r".repeat(OBJECT_BYTES_MAX)), ..decision("d") };
    assert!(matches!(split::encode("decision", &route), Err(LedgerError::EntryTooLarge { .. })));
    let names = Decision {
        sets: vec![Sets { shown: FieldSet::of(ids(6000, 8)), ..shown(&[], vec![]) }],
        ..decision("d")
    };
    let refused = Entry::Decision(Box::new(names)).prepare();
    assert!(matches!(refused, Err(LedgerError::EntryTooLarge { kind: "fields", .. })));
}

#[test]
fn outcomes_and_the_rest_split_alike() {
    let Entry::Outcome(outcome) = outcome("d") else { panic!() };
    let outcome = Outcome { sets: vec![shown(&["Deal.title"], ids(5000, 36))], ..outcome };
    let found = parts(&split::encode("outcome", &outcome).unwrap());
    assert_eq!(found.len(), 4);
    assert_eq!(found[3]["part"], serde_json::json!({"n": 4, "of": 4}));
    assert_eq!(
        found.iter().map(|part| part["sets"][0]["ids"].as_array().unwrap().len()).sum::<usize>(),
        5000
    );

    let policies =
        PolicyChanges { added: ids(1500, 36), removed: vec!["gone".into()], changed: ids(2000, 36) };
    let (what, result, hash) = (RevisionOf::Bundle, RevisionResult::Active, "h".to_owned());
    let revision = Revision {
        what,
        hash,
        previous: None,
        result,
        problems: 0,
        author: "unsigned".into(),
        approver: None,
        ticket: None,
        version: None,
        signers: Vec::new(),
        pinned: None,
        policies: Some(policies),
        part: None,
    };
    let found = parts(&split::encode("revision", &revision).unwrap());
    let count = |part: &Value, list| part["policies"][list].as_array().map_or(0, Vec::len);
    for (list, expected) in [("added", 1500), ("removed", 1), ("changed", 2000)] {
        assert_eq!(found.iter().map(|part| count(part, list)).sum::<usize>(), expected, "{list}");
    }

    let count =
        |at| RefusalCount { reason: "token-missing".into(), source: format!("s_{at:016}"), count: at };
    let refusals = Refusals { second: "2026-11-21T19:34:11Z".into(), counts: (0..2000).map(count).collect() };
    let found = parts(&split::encode("refusals", &refusals).unwrap());
    let total: u64 = found
        .iter()
        .flat_map(|part| part["counts"].as_array().unwrap())
        .map(|count| count["count"].as_u64().unwrap())
        .sum();
    assert_eq!(total, 1999 * 1000);

    let head = SegmentHead { boot: "b".into(), previous: None, open: ids(9000, 36), part: None };
    let found = parts(&split::encode("segment", &head).unwrap());
    assert_eq!(found.iter().map(|part| part["open"].as_array().unwrap().len()).sum::<usize>(), 9000);
}

prop_compose! {
    fn some_ids()(count in prop_oneof![Just(0_usize), 1_usize..4, 500_usize..4000], bytes in 1_usize..60, odd in any::<bool>()) -> Vec<String> {
        let odd = if odd { "\"\u{1}é\n" } else { "" };
        ids(count, bytes).into_iter().map(|id| id + odd).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_parts_are_the_whole(
        access in prop::collection::vec(some_ids(), 0..4),
        sets in prop::collection::vec(some_ids(), 0..5),
        rows in prop::collection::vec(some_ids(), 0..3),
    ) {
        let access = access.into_iter().enumerate().map(|(at, ids)| Access {
            action: format!("view{at}"), record_type: "Deal".into(), ids, effect: Effect::Allow,
            policies: vec!["p".repeat(at * 100)], errors: vec![], reason: None, attribute: None,
        });
        let sets = sets.into_iter().enumerate().map(|(at, ids)| shown(&[&format!("Deal.f{at}")], ids));
        let rows = rows.into_iter().enumerate().map(|(at, ids)| RowsHidden {
            record_type: format!("T{at}"), ids, policies: vec![], reason: None, attribute: None,
        });
        check(&Decision {
            access: access.collect(), sets: sets.collect(), rows_hidden: rows.collect(), ..decision("d")
        });
    }
}

/// What the loader lets in fits: a bundle that replaces every policy by another, each with the longest id.
#[test]
fn the_largest_change_of_bundles_fits() {
    // Each of these takes two bytes in JSON, which is the most that the loader lets in.
    let long = |mark: &str, n: usize| format!("{mark}{n:05}{}", "\\".repeat(ID_BYTES_MAX - 6));
    let ids = |mark: &str| (0..POLICIES_MAX).map(|n| long(mark, n)).collect::<Vec<_>>();
    assert_eq!(long("a", 1).len(), ID_BYTES_MAX);
    let name = "\\".repeat(200);
    let policies = PolicyChanges { added: ids("a"), removed: ids("r"), changed: Vec::new() };
    let entry = Revision {
        what: RevisionOf::Bundle,
        hash: "0".repeat(64),
        previous: Some("1".repeat(64)),
        result: RevisionResult::Active,
        problems: 0,
        author: name.clone(),
        approver: Some(name.clone()),
        ticket: Some(name),
        version: Some(u64::MAX),
        signers: vec!["f".repeat(16); 16],
        pinned: Some(true),
        policies: Some(policies),
        part: None,
    };
    let prepared = Entry::Revision(entry).prepare().unwrap();
    assert_eq!(flat_changes(&parts(&prepared.objects)), 2 * POLICIES_MAX);
}

fn flat_changes(parts: &[Value]) -> usize {
    let of = |part: &Value, list: &str| part["policies"][list].as_array().map_or(0, Vec::len);
    parts.iter().map(|part| of(part, "added") + of(part, "removed")).sum()
}
