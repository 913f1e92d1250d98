//! Property: an answer that leaves holds nothing that the CRM did not write, in its order and its spelling.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use lockkeeper::bundle::current::Snapshot;
use lockkeeper::json::parse::JsonLimits;
use lockkeeper::json::value::{Document, Kind, Value};
use lockkeeper::model::principal::{Asker, EntityRef};
use lockkeeper::pipeline::decide::gate::{RecordGate, VerdictCache};
use lockkeeper::pipeline::enforce::response::{Filter, Filtered, filter};
use lockkeeper::pipeline::hydrate::convert::Lookups;
use lockkeeper::pipeline::hydrate::records;
use lockkeeper::testkit::NOW_MS;
use lockkeeper::testkit::folder::{Options, TestFolder};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const LIMITS: JsonLimits = JsonLimits { bytes_max: 1 << 20, depth_max: 32, nodes_max: 100_000 };
const KEYS: &[&str] = &[
    "title",
    "stage",
    "pipeline",
    "owner",
    "team_id",
    "amount",
    "amount_formatted",
    "amount_weighted",
    "margin",
    "margin_pct",
    "internal_notes",
    "notes",
    "contact",
    "company",
    "address",
    "tags",
    "risk_score",
    "Margin",
    "margin ",
    "",
    "version",
    "zz",
];
const SCALARS: &[&str] = &[
    "null",
    "true",
    "0",
    "-0",
    "1",
    "2",
    "3",
    "1.50",
    "1e3",
    "31250.250",
    "123456789012345678901234567890",
    r#""""#,
    r#""\u00e9\/\"""#,
    r#""•••""#,
    r#""sales""#,
    r#""lead""#,
];

/// JSON text in any spelling, nested a little.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(SCALARS).prop_map(str::to_owned);
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[ {} ]", items.join(" ,"))),
            object(inner).prop_map(|members| format!("{{{members}}}")),
        ]
    })
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let keys =
        prop::sample::select(vec!["id", "email", "phone", "name", "street", "city", "floor", "margin"]);
    (btree_set(keys, 0..4), vec(value, 4)).prop_map(|(keys, values)| {
        let members = keys.iter().zip(values).map(|(key, value)| format!("\"{key}\" :{value}"));
        members.collect::<Vec<_>>().join(",\n")
    })
}

/// A deal of rep-east, of somebody else, or of nobody; the keys in any order, some spelled with escapes.
fn deal() -> impl Strategy<Value = String> {
    let owners = vec!["1", "1", "2", "3", "3", "5", "99", "null", "1.50", "[1]"];
    let keys = prop::sample::subsequence(KEYS, 0..=KEYS.len()).prop_shuffle();
    let values = vec((value(), any::<bool>()), KEYS.len());
    (1..60_u32, prop::sample::select(owners), keys, values).prop_map(|(id, owner, keys, values)| {
        let mut members = vec![format!("\"id\":{id}"), format!("\"owner_id\" :{owner}")];
        for (key, (value, is_escaped)) in keys.into_iter().zip(values) {
            let key = if is_escaped { key.replace('a', "\\u0061") } else { key.to_owned() };
            members.push(format!("\"{key}\": {value}"));
        }
        let at = members.len() / 2;
        members.swap(0, at);
        format!("{{{}}}", members.join(", "))
    })
}

fn filtered(snapshot: &Arc<Snapshot>, person: &str, document: &Document) -> Option<Bytes> {
    let profile = &snapshot.bundle.profile;
    let path: Vec<String> = ["api", "deals"].map(str::to_owned).to_vec();
    let (_, route, _) = profile.match_route(&Method::GET, &path, false, &|_| true).unwrap();
    let lookups = Lookups { profile, directory: &snapshot.directory };
    let asked = records::Asked { record_type: None, id: None };
    let found = records::find(document, &route.shape, asked, lookups, 1000).ok()?;
    let principal = EntityRef::new("User", person);
    let asker = Asker::plain(principal, NOW_MS);
    let gate = RecordGate::new(Arc::clone(snapshot), asker, Arc::new(VerdictCache::new(100, 1)));
    let verdicts = found.iter().map(|record| (record.node, gate.judge(&record.facts))).collect();
    let ids: HashMap<_, _> = found.iter().map(|record| (record.node, record.facts.id.clone())).collect();
    let question = Filter {
        profile,
        shape: &route.shape,
        route_type: None,
        verdicts: &verdicts,
        ids: &ids,
        selection: None,
        watch: None,
        layout: None,
        other_pages: None,
    };
    match filter(document, &question).ok()? {
        Filtered::Released(released, _) => Some(released.into_body()),
        Filtered::Hidden(_) => None,
    }
}

/// Whether every part of `left` stands in `whole`, in order and as it was written, or is what hides it.
fn is_part(left: Value<'_>, whole: Value<'_>) -> bool {
    if left.raw() == whole.raw() || ["null", "\"•••@•••\""].contains(&left.raw()) {
        return true;
    }
    match (left.kind(), whole.kind()) {
        (Kind::Object, Kind::Object) => {
            let mut rest = whole.members();
            left.members().all(|member| {
                rest.any(|other| {
                    other.raw_key() == member.raw_key() && is_part(member.value(), other.value())
                })
            })
        }
        (Kind::Array, Kind::Array) => {
            let mut rest = whole.items();
            left.items().all(|item| rest.any(|other| is_part(item, other)))
        }
        _ => false,
    }
}

#[test]
fn stripping_only_removes() {
    let folder = TestFolder::new(Options::default(), std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let (_, loaded) = folder.load();
    let snapshot = Snapshot::first(loaded.bundle, loaded.directory);
    let people = prop::sample::select(vec!["rep-east", "rep-west", "manager-east", "service", "admin"]);
    let lists = vec(deal(), 0..4);
    let mut runner = TestRunner::new(Config { cases: 250, failure_persistence: None, ..Config::default() });
    let counted = std::cell::Cell::new(0);
    let ran = runner.run(&(lists, people), |(deals, person)| {
        let text = format!("{{\"total\": 9,\"data\": [{}], \"page\":1 }}", deals.join(" , "));
        let Ok(document) = Document::parse(Bytes::from(text), &LIMITS) else { return Ok(()) };
        let Some(body) = filtered(&snapshot, person, &document) else { return Ok(()) };
        let left = Document::parse(body.clone(), &LIMITS).unwrap();
        prop_assert!(is_part(left.root(), document.root()));
        let rows: Vec<_> = left.root().member("data").unwrap().items().collect();
        for row in &rows {
            counted.set(counted.get() + 1);
            let keys: Vec<String> = row.members().map(|member| member.key().into_owned()).collect();
            let secret = |key: &str| row.member(key).is_some_and(|value| !value.is_null());
            if person != "admin" {
                prop_assert!(
                    !keys
                        .iter()
                        .any(|key| ["risk_score", "Margin", "margin ", "", "zz"].contains(&key.as_str()))
                );
            }
            if person.starts_with("rep") || person == "service" {
                prop_assert!(!secret("margin") && !secret("margin_pct") && !secret("internal_notes"));
            }
            if person == "service" {
                prop_assert!(!secret("amount") && !secret("amount_formatted") && !secret("amount_weighted"));
            }
        }
        // What was stripped once is stripped: a second pass finds nothing to remove but what hides.
        let again = filtered(&snapshot, person, &left);
        if person == "admin" {
            prop_assert_eq!(again.as_ref(), Some(&body));
        }
        Ok(())
    });
    ran.unwrap_or_else(|error| std::panic::panic_any(error.to_string()));
    assert!(counted.get() > 60, "{}", counted.get());
}
