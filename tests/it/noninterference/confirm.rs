//! Plain Cedar says what the oracle says: on records of each bundle, for each person.

use std::str::FromStr;

use cedar_policy as cedar;
use lockkeeper::testkit::dice::Dice;
use serde_json::{Value, json};

use super::bundle::{Bundle, USERS};
use super::model::{Kind, random_record};
use super::oracle::{Fact, Oracle, Sight, facts};

/// Compares the two on some random records.
pub fn confirm(oracle: &Oracle, bundle: &Bundle, dice: &mut Dice) {
    let policies = cedar::PolicySet::from_str(&bundle.policies.text).unwrap();
    let known = entities(bundle);
    for _ in 0..RECORDS {
        let (kind, person) = (*dice.one_of(&Kind::ALL), *dice.one_of(USERS));
        let record = random_record(kind, dice);
        let Some(facts) = facts(bundle, kind, &record) else { continue };
        let attributes: serde_json::Map<String, Value> =
            facts.iter().map(|(name, fact)| ((*name).to_owned(), spelled(fact))).collect();
        let resource = json!({"uid": {"type": kind.name(), "id": "r"}, "attrs": attributes, "parents": []});
        let all = Value::Array(known.iter().cloned().chain([resource]).collect());
        let all = cedar::Entities::from_json_value(all, None).unwrap();
        let ask = |action: &str, field: Option<&str>| {
            let uid =
                |kind: &str, id: &str| cedar::EntityUid::from_str(&format!("{kind}::\"{id}\"")).unwrap();
            let context = field
                .map_or(json!({}), |field| json!({"field": {"__entity": {"type": "Field", "id": field}}}));
            let context = cedar::Context::from_json_value(context, None).unwrap();
            let (who, what, which) = (uid("User", person), uid("Action", action), uid(kind.name(), "r"));
            let request = cedar::Request::new(who, what, which, context, None).unwrap();
            let response = cedar::Authorizer::new().is_authorized(&request, &policies, &all);
            assert!(response.diagnostics().errors().next().is_none());
            response.decision() == cedar::Decision::Allow
        };
        let seen = oracle.seen(bundle, person, kind, &record);
        assert_eq!(seen.is_some(), ask("view", None), "{person} {record:?}");
        for (name, sight) in seen.iter().flatten() {
            let full = format!("{}.{name}", kind.name());
            let found = match ask("readField", Some(&full)) {
                true => Sight::Shown,
                false if ask("readFieldMasked", Some(&full)) => Sight::Masked,
                false => Sight::Hidden,
            };
            assert_eq!(*sight, found, "{person} {full} {record:?}");
        }
    }
}

/// The directory, the stages, and the fields in their sets.
fn entities(bundle: &Bundle) -> Vec<Value> {
    let mut known: Vec<Value> = serde_json::from_str(&bundle.directory).unwrap();
    let named = |kind: &str, id: &str| json!({"type": kind, "id": id});
    let mut add = |kind: &str, id: &str, parents: Vec<Value>| {
        known.push(json!({"uid": named(kind, id), "attrs": {}, "parents": parents}));
    };
    for (stage, group) in [("sales.lead", "open"), ("sales.talk", "open"), ("sales.won", "closed")] {
        add("Stage", stage, vec![named("StageGroup", group)]);
    }
    for set in ["money", "private"] {
        add("FieldSet", set, vec![named("FieldSet", "secret")]);
    }
    for ((kind, name), field) in &bundle.fields {
        let sets = field.sets.iter().map(|set| named("FieldSet", set)).collect();
        add("Field", &format!("{}.{name}", kind.name()), sets);
    }
    for kind in Kind::ALL {
        add("Field", &format!("{}.*", kind.name()), vec![named("FieldSet", "unclassified")]);
    }
    known
}

fn spelled(fact: &Fact) -> Value {
    let entity = |kind: &str, id: &str| json!({"__entity": {"type": kind, "id": id}});
    match fact {
        Fact::User(id) => entity("User", id),
        Fact::Team(id) => entity("Team", id),
        Fact::Stage(stage) => entity("Stage", &format!("sales.{stage}")),
        Fact::Amount(amount) => json!({"__extn": {"fn": "decimal", "arg": format!("{amount:.1}")}}),
        Fact::Truth(is) => json!(is),
    }
}

const RECORDS: usize = 6;
