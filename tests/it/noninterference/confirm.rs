//! Plain Cedar says what the oracle says: on records of each bundle, for each person.

use std::collections::BTreeMap;
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
    let (known, names) = (entities(bundle), Names::new());
    for _ in 0..RECORDS {
        let (kind, person) = (*dice.one_of(&Kind::ALL), *dice.one_of(USERS));
        let record = random_record(kind, dice);
        let Some(facts) = facts(bundle, kind, &record) else { continue };
        let attributes: serde_json::Map<String, Value> =
            facts.iter().map(|(name, fact)| ((*name).to_owned(), spelled(fact))).collect();
        let resource = json!({"uid": {"type": kind.name(), "id": "r"}, "attrs": attributes, "parents": []});
        let all = Value::Array(known.iter().cloned().chain([resource]).collect());
        let all = cedar::Entities::from_json_value(all, None).unwrap();
        let (who, which) = (names.uid("User", person), names.uid(kind.name(), "r"));
        let ask = |action: &str, field: Option<&str>| {
            let field =
                field.map(|field| cedar::RestrictedExpression::new_entity_uid(names.uid("Field", field)));
            let context = cedar::Context::from_pairs(field.map(|field| ("field".to_owned(), field))).unwrap();
            let what = names.uid("Action", action);
            let request = cedar::Request::new(who.clone(), what, which.clone(), context, None).unwrap();
            let response = cedar::Authorizer::new().is_authorized(&request, &policies, &all);
            assert!(response.diagnostics().errors().next().is_none());
            response.decision() == cedar::Decision::Allow
        };
        let seen = oracle.seen(bundle, person, kind, &record);
        assert_eq!(seen.is_some(), ask("view", None), "{person} {record:?}");
        for (name, sight) in seen.iter().flat_map(|seen| seen.iter()) {
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

/// The names of types, which take long to parse.
struct Names(BTreeMap<&'static str, cedar::EntityTypeName>);

impl Names {
    fn new() -> Self {
        let names = ["User", "Action", "Field", "Deal", "Contact", "Company"];
        Self(names.map(|name| (name, cedar::EntityTypeName::from_str(name).unwrap())).into())
    }

    fn uid(&self, kind: &str, id: &str) -> cedar::EntityUid {
        cedar::EntityUid::from_type_name_and_id(self.0[kind].clone(), cedar::EntityId::new(id))
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

const RECORDS: usize = 3;
