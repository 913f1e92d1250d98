//! Property: a verdict from the cache equals a fresh one, whatever the facts, the principal, what is attested, and the time.

use std::cell::Cell;
use std::sync::Arc;

use lockkeeper::bundle::current::Snapshot;
use lockkeeper::model::principal::{Asker, Attested, EntityRef};
use lockkeeper::model::record::{Attribute, AttributeValue, RecordFacts};
use lockkeeper::pipeline::decide::always::on_every_record;
use lockkeeper::pipeline::decide::gate::{RecordGate, VerdictCache};
use lockkeeper::testkit::NOW_MS;
use lockkeeper::testkit::folder::{Options, TestFolder};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Policies that look at the time in every way that a cache must know about.
const TIMES: &[&str] = &[
    r#"@id("t.window") forbid (principal, action == Action::"readField", resource is Deal)
       when { context.field in FieldSet::"Deal.financial"
              && context.now >= datetime("2026-06-15T12:00:00Z") && context.now < datetime("2026-06-16") };"#,
    r#"@id("t.created") forbid (principal, action == Action::"view", resource is Deal)
       when { resource has created && context.now < resource.created };"#,
    r#"@id("t.age") forbid (principal, action == Action::"readField", resource is Deal)
       when { context.field in FieldSet::"Deal.internal" && resource has created
              && context.now.durationSince(resource.created) > duration("1d") };"#,
    r#"@id("t.one") forbid (principal, action == Action::"view", resource == Deal::"7");
       @id("t.big") forbid (principal, action == Action::"readField", resource is Deal)
       when { context.field == Field::"Deal.notes" && resource has amount
              && resource.amount.greaterThan(decimal("0.0001")) };"#,
    r#"@id("t.day") forbid (principal, action == Action::"view", resource is Deal)
       when { context.now.toTime() > duration("12h") };"#,
    r#"@id("t.level") forbid (principal, action == Action::"readField", resource is Deal)
       when { context.field in FieldSet::"Deal.financial" }
       unless { context has authLevel && context.authLevel >= 2 };
       @id("t.behalf") forbid (principal, action == Action::"view", resource is Deal)
       when { context has onBehalfOf && resource has owner && resource.owner != context.onBehalfOf };"#,
];

/// Policies by which the same holds on every record, at some times and of some people.
const TIMES_OF_ALL: &[&str] = &[
    r#"@id("t.until") forbid (principal, action, resource is Deal)
       when { principal has accessUntil && context.now >= principal.accessUntil };"#,
    r#"@id("t.opened") permit (principal, action in [Action::"view", Action::"readField", Action::"edit"], resource)
       when { context.now >= datetime("2026-06-15T12:00:00Z") };"#,
    r#"@id("t.whole") forbid (principal, action == Action::"view", resource is Deal)
       when { context.now.toTime() > duration("12h") };"#,
];

fn snapshot(policies: &str) -> Arc<Snapshot> {
    let until =
        r#"{"active": true, "accessUntil": {"fn": "datetime", "arg": "2026-06-15T12:00:00Z"}, "crmId": "2""#;
    let options = Options::default()
        .policies(policies)
        .edit("bundle/crm.cedarschema", |text| {
            text.replace("strategic?: Bool,", "strategic?: Bool,\n  created?: datetime,")
        })
        .edit("bundle/profile.toml", |text| {
            text.replace(
                "strategic = { at",
                "created   = { at = \"created_at\", as = \"datetime\" }\nstrategic = { at",
            )
        })
        .edit("directory.cedarentities.json", move |text| {
            text.replace(r#"{"active": true, "crmId": "2""#, until)
        });
    let folder = TestFolder::new(options, std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let (_, loaded) = folder.load();
    Snapshot::first(loaded.bundle, loaded.directory)
}

/// A time near the points that policies and facts compare it with.
fn moments() -> impl Strategy<Value = i64> {
    let day = 86_400_000;
    (prop::sample::select(vec![-day, -day / 2, 0, day / 2, day, 2 * day]), -1..=1_i64)
        .prop_map(|(step, near)| NOW_MS + step + near)
}

fn attribute(values: Vec<AttributeValue>) -> impl Strategy<Value = Attribute> {
    let present = prop::sample::select(values).prop_map(Attribute::Present);
    prop_oneof![
        8 => present,
        2 => Just(Attribute::Absent),
        1 => Just(Attribute::NotCarried),
        1 => Just(Attribute::Nonconforming("not one of these".to_owned())),
    ]
}

fn entity(type_name: &str, ids: &[&str]) -> Vec<AttributeValue> {
    ids.iter().map(|id| AttributeValue::Entity(EntityRef::new(type_name, *id))).collect()
}

/// What a credential may say; nobody is not in the directory.
fn attested() -> impl Strategy<Value = Attested> {
    let person = prop::sample::select(vec![None, Some("rep-east"), Some("rep-west"), Some("nobody")]);
    let level = prop::sample::select(vec![None, Some(1), Some(2)]);
    (level, person).prop_map(|(auth_level, person)| Attested {
        auth_level,
        on_behalf_of: person.map(|person| EntityRef::new("User", person)),
    })
}

/// Facts of a deal, attribute by attribute in the profile's order.
fn facts(snapshot: &Snapshot) -> impl Strategy<Value = RecordFacts> + use<> {
    let (_, record_type) = snapshot.bundle.profile.type_named("Deal").unwrap();
    let attributes: Vec<BoxedStrategy<Attribute>> = record_type
        .attributes
        .iter()
        .map(|spec| match spec.name.as_str() {
            "owner" => {
                attribute(entity("User", &["rep-east", "rep-west", "manager-east", "admin", "nobody"]))
                    .boxed()
            }
            "team" => attribute(entity("Team", &["east", "west", "gone"])).boxed(),
            "stage" => attribute(entity("Stage", &["sales.lead", "sales.won", "renewals.quoted"])).boxed(),
            "pipeline" => attribute(entity("Pipeline", &["sales", "renewals"])).boxed(),
            "amount" => {
                attribute([-1, 0, 1, 2, i64::MAX, i64::MIN].map(AttributeValue::Decimal).to_vec()).boxed()
            }
            "created" => prop_oneof![
                4 => moments().prop_map(|moment| Attribute::Present(AttributeValue::Datetime(moment))),
                1 => attribute(vec![AttributeValue::Datetime(i64::MAX)]),
            ]
            .boxed(),
            _ => attribute([true, false].map(AttributeValue::Bool).to_vec()).boxed(),
        })
        .collect();
    let id = prop::sample::select(vec!["7", "8", "42"]);
    (id, attributes).prop_map(|(id, attributes)| RecordFacts {
        type_name: "Deal".to_owned(),
        id: id.to_owned(),
        attributes,
    })
}

#[test]
fn a_kept_verdict_equals_a_fresh_one() {
    let mut hits = 0;
    for policies in TIMES {
        let snapshot = snapshot(policies);
        // One cache for all cases, so that every case may meet what another one left.
        let cache = Arc::new(VerdictCache::new(10_000, 1));
        let people =
            prop::sample::select(vec!["rep-east", "rep-west", "manager-east", "service", "admin", "nobody"]);
        let mut runner =
            TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
        let ran = runner.run(&(facts(&snapshot), people, attested(), moments()), |case| {
            let (facts, person, attested, now_ms) = case;
            let asker = Asker { entity: EntityRef::new("User", person), attested, now_ms };
            let gate = RecordGate::new(Arc::clone(&snapshot), asker, Arc::clone(&cache));
            let fresh = gate.judge_afresh(&facts);
            prop_assert_eq!(&*gate.judge(&facts), &fresh);
            prop_assert_eq!(&*gate.judge(&facts), &fresh);
            Ok(())
        });
        ran.unwrap_or_else(|error| std::panic::panic_any(format!("{policies}: {error}")));
        hits += cache.counts().hits;
    }
    assert!(hits > 100, "{hits}");
}

#[test]
fn what_is_kept_of_every_record_is_what_cedar_says_anew() {
    let (allowed, denied) = (Cell::new(0), Cell::new(0));
    for policies in TIMES.iter().chain(TIMES_OF_ALL) {
        let snapshot = snapshot(policies);
        let (_, record_type) = snapshot.bundle.profile.type_named("Deal").unwrap();
        let cache = Arc::new(VerdictCache::new(10_000, 1));
        let people = prop::sample::select(vec!["rep-east", "rep-west", "service", "admin", "nobody"]);
        let asked = prop::sample::select(vec![
            ("Deal", "view", None),
            ("Contact", "view", None),
            ("Deal", "edit", None),
            ("Deal", "readField", Some("Deal.notes")),
            ("Deal", "readField", Some("Deal.amount")),
        ]);
        let mut runner =
            TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
        let ran = runner.run(&(asked, people, attested(), moments()), |case| {
            let ((type_name, action, field), person, attested, now_ms) = case;
            let asker = Asker { entity: EntityRef::new("User", person), attested, now_ms };
            let gate = |cache| RecordGate::new(Arc::clone(&snapshot), asker.clone(), cache);
            let (kept, new) = (gate(Arc::clone(&cache)), gate(Arc::new(VerdictCache::new(1, 1))));
            let fresh = on_every_record(&snapshot, &asker, action, type_name, field).is_allow();
            prop_assert_eq!(kept.may_on_every_record(action, type_name, field), fresh);
            prop_assert_eq!(kept.may_on_every_record(action, type_name, field), fresh);
            prop_assert_eq!(kept.sees_alike(record_type), new.sees_alike(record_type));
            prop_assert_eq!(kept.sees_all_fields(record_type), new.sees_all_fields(record_type));
            let count = if fresh { &allowed } else { &denied };
            count.set(count.get() + 1);
            Ok(())
        });
        ran.unwrap_or_else(|error| std::panic::panic_any(format!("{policies}: {error}")));
    }
    let (allowed, denied) = (allowed.get(), denied.get());
    assert!(allowed > 50 && denied > 50, "{allowed} allowed, {denied} denied");
}
