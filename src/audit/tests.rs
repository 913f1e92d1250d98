//! Collecting from real ledger files: over segments, with a bound, and while the ledger grows.

use super::collect::{Filter, Reading};
use super::item::{Item, text, texts};
use crate::ledger::append::{Ledger, LedgerOptions};
use crate::ledger::clock;
use crate::ledger::counts::{RefusalCount, Refusals};
use crate::ledger::entry::{Alarm, Decision, Entry, Sets};
use crate::ledger::field_set::FieldSet;
use crate::ledger::made_up::{self, outcome, who};

/// A ledger whose every commit begins a segment.
fn open(folder: &tempfile::TempDir) -> Ledger {
    let mut options = LedgerOptions::new(folder.path(), "boot");
    options.segment_bytes_max = 1;
    Ledger::open(options, clock::system()).unwrap().0
}

fn decision(id: &str, handle: &str) -> Entry {
    let shown = FieldSet::of(["Deal.amount", "Deal.title"]);
    let sets = vec![Sets {
        record_type: "Deal".to_owned(),
        shown,
        hidden: FieldSet::default(),
        masked: FieldSet::default(),
        ids: vec!["42".to_owned()],
        policies: Vec::new(),
    }];
    let who = Some(who(handle));
    Entry::Decision(Box::new(Decision { who, sets, ..made_up::decision(id) }))
}

fn refusals(second: &str, source: &str, count: u64) -> Entry {
    let counts =
        vec![RefusalCount { reason: "credential-unknown".to_owned(), source: source.to_owned(), count }];
    Entry::Refusals(Refusals { second: second.to_owned(), counts })
}

fn filter(last: usize) -> Filter {
    Filter { last, ..Filter::default() }
}

/// Each item as its kind or decision id, and the kinds of what came of it.
fn told(items: &[Item]) -> Vec<String> {
    let one = |item: &Item| {
        let name = item.id.clone().unwrap_or_else(|| item.kind.clone());
        let later: Vec<&str> = item.later.iter().map(|entry| text(entry, "kind")).collect();
        [&[name.as_str()], later.as_slice()].concat().join(" ")
    };
    items.iter().map(one).collect()
}

#[tokio::test]
async fn decisions_are_told_with_what_came_of_them_over_segments() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    for id in ["a", "b", "c", "d"] {
        ledger.append(decision(id, "p_1")).await.unwrap();
    }
    for id in ["a", "c", "d"] {
        ledger.append(outcome(id)).await.unwrap();
    }
    ledger
        .append(Entry::Alarm(Alarm { of: Some("d".to_owned()), reason: "stage-mismatch".to_owned() }))
        .await
        .unwrap();
    let (mut reading, result) = Reading::open(folder.path(), &filter(3)).unwrap();
    result.unwrap();
    let items = reading.drain();
    assert_eq!(told(&items), ["b", "c outcome", "d outcome alarm"]);
    for item in &items {
        let sets = item.entry.get("sets").and_then(|sets| sets.get(0)).unwrap();
        assert_eq!(texts(sets, "shown"), ["Deal.amount", "Deal.title"]);
    }
}

#[tokio::test]
async fn what_is_added_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    ledger.append(decision("a", "p_1")).await.unwrap();
    let (mut reading, _) = Reading::open(folder.path(), &filter(10)).unwrap();
    assert_eq!(told(&reading.drain()), ["a"]);
    ledger.append(decision("b", "p_1")).await.unwrap();
    ledger.append(outcome("b")).await.unwrap();
    ledger.append(outcome("a")).await.unwrap();
    reading.catch_up().unwrap();
    assert_eq!(told(&reading.drain()), ["b outcome", "a"], "an outcome that came too late stands by itself");
    reading.catch_up().unwrap();
    assert_eq!(told(&reading.drain()), Vec::<String>::new());
}

#[tokio::test]
async fn filters_leave_out_what_belongs_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    for (id, handle) in [("a", "p_1"), ("b", "p_2"), ("c", "p_1")] {
        ledger.append(decision(id, handle)).await.unwrap();
        ledger.append(outcome(id)).await.unwrap();
    }
    ledger.append(refusals("1", "s_1", 2)).await.unwrap();
    let told = |filter: Filter| told(&Reading::open(folder.path(), &filter).unwrap().0.drain());
    let who = |who: &str| Filter { who: Some(who.to_owned()), ..filter(10) };
    assert_eq!(told(who("p_1")), ["a outcome", "c outcome"]);
    assert_eq!(told(who("p_3")), Vec::<String>::new());
    assert_eq!(told(Filter { id: Some("b".to_owned()), ..filter(10) }), ["b outcome"]);
    assert_eq!(told(Filter { kinds: vec!["refusals".to_owned()], ..filter(10) }), ["refusals"]);
    assert_eq!(told(Filter { from_seq: 7, ..filter(10) }), ["b outcome", "c outcome", "refusals"]);
}

#[tokio::test]
async fn a_flood_of_refusals_is_one_item() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    ledger.append(decision("a", "p_1")).await.unwrap();
    for (second, source, count) in [("1", "s_1", 2), ("2", "s_2", 3), ("3", "s_1", 5)] {
        ledger.append(refusals(second, source, count)).await.unwrap();
    }
    let items = Reading::open(folder.path(), &filter(1)).unwrap().0.drain();
    assert_eq!(told(&items), ["a", "refusals"]);
    let line = super::text::item(items.last().unwrap(), &|_| None);
    assert!(line.ends_with("10 × credential-unknown from 2 sources, until 3"), "{line}");
}

/// A question of another service is no request of the person that it is about.
#[test]
fn a_question_of_another_service_is_told_as_one() {
    let entry = serde_json::json!({
        "seq": 1, "t": "2026-06-15T12:00:00.000000000Z", "id": "a", "method": "POST", "route": "authzen", "effect": "allow",
        "who": {"type": "User", "handle": "p_1", "authn": "asserted"},
    });
    let told = super::text::item(&Item::new("decision", entry), &|_| None);
    let head = told.lines().next().unwrap();
    assert!(head.ends_with("User p_1  POST authzen  (another service asked)"), "{head}");
}
