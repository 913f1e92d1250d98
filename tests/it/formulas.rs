//! What is told of rights without a record is what is decided on records: formulas against decisions, on random records.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy as cedar;
use lockkeeper::bundle::catalogue::to_uid;
use lockkeeper::bundle::current::Snapshot;
use lockkeeper::bundle::profile::convert::Kind;
use lockkeeper::bundle::profile::types::RecordType;
use lockkeeper::model::access::{Action, Scope};
use lockkeeper::model::principal::{Asker, Attested, EntityRef};
use lockkeeper::model::record::{Attribute, AttributeValue, RecordFacts};
use lockkeeper::pipeline::decide::entities::Gathering;
use lockkeeper::pipeline::decide::evaluate::shared_context;
use lockkeeper::testkit::NOW_MS;
use lockkeeper::testkit::dice::Dice;
use lockkeeper::testkit::folder::{Options, TestFolder};
use lockkeeper::workbench::ask::{Asking, Question, Subject};
use lockkeeper::workbench::condition::probe;
use lockkeeper::workbench::diff::{By, Change, Found, difference};
use lockkeeper::workbench::formula::decided::Conditions;
use lockkeeper::workbench::formula::known::{Known, NO_STAGE, Place, Who};

/// Policies of shapes that the demo does not have: alternatives, negations, choices, and tests of what may be absent.
const MORE: &str = r#"
@id("more.alternatives")
permit (principal is User, action in [Action::"delete", Action::"share"], resource is Deal)
when
{
  (resource has strategic && resource.strategic) ||
  !(resource has amount && resource.amount.greaterThan(decimal("100.00"))) ||
  (if resource has team then principal in resource.team else principal in Role::"service")
};
@id("more.but-not")
forbid (principal in Role::"manager", action == Action::"delete", resource is Deal)
when { resource has stage && (resource.stage == Stage::"sales.won" || resource.stage in StageGroup::"open") }
unless { resource has owner && resource.owner == principal };
@id("more.types")
permit (principal, action in [Action::"comment", Action::"mail"], resource)
when { resource is Contact || (resource is Company && resource has owner) };
@id("more.collections")
permit (principal, action == Action::"export", resource == Collection::"Deal");
@id("more.collections.but-one")
permit (principal in Role::"rep", action == Action::"report", resource is Collection)
unless { resource == Collection::"Contact" };
@id("more.fields")
forbid (principal, action == Action::"writeField", resource is Deal)
when { context.field in FieldSet::"Deal.editable" && !(resource has team) }
unless { principal in PermissionSet::"pii_reader" };
"#;

#[test]
fn formulas_say_what_is_decided() {
    let folder = TestFolder::new(Options::default().policies(MORE), ([127, 0, 0, 1], 1).into());
    let (_, loaded) = folder.load();
    let snapshot = Snapshot::first(loaded.bundle, loaded.directory);
    let conditions = Conditions::of(&snapshot.bundle);
    let mut dice = Dice::new(20_261_123);
    let (mut allowed, mut denied, mut open) = (0, 0, 0);
    for person in snapshot.directory.people() {
        let asker = Asker::plain(person.clone(), NOW_MS);
        let asking = Asking::new(&snapshot, asker.clone());
        let known = Known::new(&snapshot, Who::Person(person.clone()), NOW_MS).unwrap();
        for _ in 0..RECORDS {
            for record_type in &snapshot.bundle.profile.types {
                let facts = record(&snapshot, record_type, &mut dice);
                let truth = Concrete::new(&snapshot, &asker, &facts);
                let stage = Some(truth.stage.clone().unwrap_or(NO_STAGE.to_owned()));
                for (action, question, field, to) in questions(&snapshot, record_type) {
                    let moved = stage.as_deref().zip(to.as_deref());
                    let is_move = matches!(question, Question::Move(_));
                    if is_move && !moved.is_some_and(|(from, to)| can_move(&snapshot, from, to)) {
                        continue;
                    }
                    let is_new = matches!(question, Question::Action(Action::Create));
                    let place =
                        Place { action, stage: stage.as_deref(), field: field.as_deref(), moved, is_new };
                    let formula = conditions.in_full(&known, record_type, place);
                    let subject = match is_new {
                        true => Subject::New(facts.clone()),
                        false => Subject::unchanged(facts.clone()),
                    };
                    let decision = asking.decide(&question, &subject);
                    let holds = formula.holds(&|atom| truth.holds(atom, action, field.as_deref(), moved));
                    assert_eq!(
                        holds,
                        decision.is_allow(),
                        "{person} {place:?} {facts:?}: {formula:?} {decision:?}"
                    );
                    open += usize::from(formula.is_open());
                    if holds { allowed += 1 } else { denied += 1 }
                }
            }
        }
    }
    assert!(allowed > 200 && denied > 1_000 && open > 200, "{allowed} {denied} {open}");
}

/// The same for all records of a type at once.
#[test]
fn formulas_say_what_is_decided_of_collections() {
    let folder = TestFolder::new(Options::default().policies(MORE), ([127, 0, 0, 1], 1).into());
    let (_, loaded) = folder.load();
    let snapshot = Snapshot::first(loaded.bundle, loaded.directory);
    let conditions = Conditions::of(&snapshot.bundle);
    let (mut allowed, mut denied) = (0, 0);
    for person in snapshot.directory.people() {
        let asking = Asking::new(&snapshot, Asker::plain(person.clone(), NOW_MS));
        let known = Known::new(&snapshot, Who::Person(person.clone()), NOW_MS).unwrap();
        for record_type in &snapshot.bundle.profile.types {
            for action in Action::ALL.iter().filter(|action| action.scope() == Scope::Collection) {
                let place = Place { action: action.name(), ..Place::default() };
                let formula = conditions.in_full(&known, record_type, place);
                // What is left is the number of records.
                for count in [None, Some(20), Some(21)] {
                    let holds = formula.holds(&|atom| match atom.get("has") {
                        Some(_) => count.is_some(),
                        None => count.is_some_and(|count| count <= 20),
                    });
                    let subject = Subject::Collection(record_type.name.clone(), count);
                    let decision = asking.decide(&Question::Action(*action), &subject);
                    assert_eq!(holds, decision.is_allow(), "{person} {place:?} {count:?}: {formula:?}");
                    if holds { allowed += 1 } else { denied += 1 }
                }
            }
        }
    }
    assert!(allowed > 50 && denied > 50, "{allowed} {denied}");
}

fn can_move(snapshot: &Snapshot, from: &str, to: &str) -> bool {
    let pipeline =
        |stage: &str| snapshot.bundle.profile.stages.by_id(stage).map(|stage| stage.pipeline.clone());
    from != to && pipeline(from) == pipeline(to)
}

type Asked = (&'static str, Question, Option<String>, Option<String>);

fn questions(snapshot: &Snapshot, record_type: &RecordType) -> Vec<Asked> {
    let records = Action::ALL
        .iter()
        .filter(|action| action.scope() != Scope::Collection && **action != Action::MoveStage);
    let mut all: Vec<Asked> =
        records.map(|action| (action.name(), Question::Action(*action), None, None)).collect();
    for stage in snapshot.bundle.profile.stages.stages() {
        all.push(("moveStage", Question::Move(stage.id.clone()), None, Some(stage.id.clone())));
    }
    for action in ["readField", "readFieldMasked", "writeField"] {
        for index in 0..=record_type.fields.len() {
            all.push((action, Question::Field(action, index), Some(record_type.field_name(index)), None));
        }
    }
    all
}

fn record(snapshot: &Snapshot, record_type: &RecordType, dice: &mut Dice) -> RecordFacts {
    let stages = snapshot.bundle.profile.stages.stages();
    let stage = &stages[dice.below(stages.len())];
    let has_no_stage = dice.one_in(5);
    let attributes = record_type.attributes.iter().map(|spec| {
        let entity = |type_name: &str, ids: &[&str], dice: &mut Dice| {
            AttributeValue::Entity(EntityRef::new(type_name, ids[dice.below(ids.len())]))
        };
        let value = match &spec.conversion.kind {
            Kind::Stage if has_no_stage => return Attribute::Absent,
            Kind::Stage => {
                return Attribute::Present(AttributeValue::Entity(EntityRef::new("Stage", &stage.id)));
            }
            Kind::Pipeline => {
                return Attribute::Present(AttributeValue::Entity(EntityRef::new(
                    "Pipeline",
                    &stage.pipeline,
                )));
            }
            Kind::Entity { type_name, .. } if type_name == "Team" => entity("Team", &["east", "west"], dice),
            Kind::Entity { .. } => {
                entity("User", &["rep-east", "rep-west", "manager-east", "admin", "service"], dice)
            }
            Kind::Decimal(_) => {
                AttributeValue::Decimal([0, 1_000_000, 1_000_001, 500_000_000, 500_000_001][dice.below(5)])
            }
            _ => AttributeValue::Bool(dice.below(2) == 0),
        };
        if dice.below(4) == 0 { Attribute::Absent } else { Attribute::Present(value) }
    });
    let attributes = attributes.collect();
    RecordFacts { type_name: record_type.name.clone(), id: "1".to_owned(), attributes }
}

/// One record with all that is known of it.
struct Concrete {
    entities: cedar::Entities,
    principal: cedar::EntityUid,
    record: cedar::EntityUid,
    asker: Asker,
    stage: Option<String>,
}

impl Concrete {
    fn new(snapshot: &Arc<Snapshot>, asker: &Asker, facts: &RecordFacts) -> Self {
        let mut gathering = Gathering::of(snapshot, &asker.entity, &Attested::default()).unwrap();
        let (_, record_type) = snapshot.bundle.profile.type_named(&facts.type_name).unwrap();
        let names: BTreeSet<String> = record_type.attributes.iter().map(|spec| spec.name.clone()).collect();
        gathering.add_record(facts, &names).unwrap();
        for entity in snapshot.bundle.catalogue.references() {
            gathering.add(entity).unwrap();
        }
        let stage = facts.attributes.iter().find_map(|attribute| match attribute {
            Attribute::Present(AttributeValue::Entity(entity)) if entity.type_name == "Stage" => {
                Some(entity.id.clone())
            }
            _ => None,
        });
        Self {
            entities: gathering.finish().unwrap(),
            principal: to_uid(&asker.entity).unwrap(),
            record: to_uid(&EntityRef::new(&facts.type_name, &facts.id)).unwrap(),
            asker: asker.clone(),
            stage,
        }
    }

    fn holds(
        &self,
        atom: &serde_json::Value,
        action: &str,
        field: Option<&str>,
        moved: Option<(&str, &str)>,
    ) -> bool {
        let mut pairs = shared_context(&self.asker).unwrap();
        let mut add = |key: &str, type_name: &str, id: &str| {
            let uid = to_uid(&EntityRef::new(type_name, id)).unwrap();
            pairs.push((key.to_owned(), cedar::RestrictedExpression::new_entity_uid(uid)));
        };
        if let Some(field) = field {
            add("field", "Field", field);
        }
        if let Some((from, to)) = moved {
            add("from", "Stage", from);
            add("to", "Stage", to);
        }
        let context = cedar::Context::from_pairs(pairs).unwrap();
        let action = to_uid(&EntityRef::new("Action", action)).unwrap();
        let request =
            cedar::Request::new(self.principal.clone(), action, self.record.clone(), context, None).unwrap();
        let policies = cedar::PolicySet::from_policies([probe("atom", atom).unwrap()]).unwrap();
        cedar::Authorizer::new().is_authorized(&request, &policies, &self.entities).decision()
            == cedar::Decision::Allow
    }
}

/// Records of each type for each person.
const RECORDS: usize = 2;

/// What two bundles decide differently of some record stands in what is told of them.
#[test]
fn no_change_goes_untold() {
    let loaded = |options: Options| {
        let (_, loaded) = TestFolder::new(options, ([127, 0, 0, 1], 1).into()).load();
        Snapshot::first(loaded.bundle, loaded.directory)
    };
    let (old, new) = (loaded(Options::default()), loaded(Options::default().policies(MORE)));
    for (old, new) in [(&old, &new), (&new, &old)] {
        let told = difference(old, new, By::People, NOW_MS, &mut |_, _| {});
        assert!(told.changes.iter().any(|change| matches!(change.gained, Found::Example(_))));
        let mut dice = Dice::new(7);
        let mut differing = 0;
        let (_, deal) = old.bundle.profile.type_named("Deal").unwrap();
        for person in old.directory.people() {
            let asking = |snapshot| Asking::new(snapshot, Asker::plain(person.clone(), NOW_MS));
            let (was, is) = (asking(old), asking(new));
            for _ in 0..RECORDS * 2 {
                let facts = record(old, deal, &mut dice);
                let subject = Subject::unchanged(facts.clone());
                for (action, question, field, to) in questions(old, deal) {
                    let (before, after) = (was.decide(&question, &subject), is.decide(&question, &subject));
                    if before.is_allow() == after.is_allow()
                        || matches!(question, Question::Action(Action::Create | Action::Share))
                    {
                        continue;
                    }
                    differing += 1;
                    let stage = Concrete::new(old, &Asker::plain(person.clone(), NOW_MS), &facts)
                        .stage
                        .unwrap_or("no stage".to_owned());
                    let name = field.or(to);
                    let tells = |change: &&Change| {
                        let is_of = change.type_name == "Deal" && change.action == action;
                        let names = name.iter().all(|name| change.names.contains(name));
                        let stages = change.stages.is_empty() || change.stages.contains(&stage);
                        let way = if after.is_allow() { &change.gained } else { &change.lost };
                        is_of && names && stages && change.who.contains(&person.to_string()) && way.is_there()
                    };
                    let is_told = told.changes.iter().any(|change| tells(&change));
                    assert!(is_told, "{person} {action} {name:?} {facts:?}: {before:?} {after:?}");
                }
            }
        }
        assert!(differing > 5, "{differing}");
    }
}
