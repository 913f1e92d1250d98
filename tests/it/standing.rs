//! What a review says of rights, against what is decided of single requests: "always" and "never" hold for each of them.

use lockkeeper::bundle::current::Snapshot;
use lockkeeper::model::principal::{Asker, Attested, EntityRef};
use lockkeeper::model::record::{Attribute, AttributeValue, RecordFacts};
use lockkeeper::pipeline::decide::evaluate::{Circumstances, Resource, decide};
use lockkeeper::pipeline::decide::standing::{Standing, Subject, standing};
use lockkeeper::testkit::NOW_MS;
use lockkeeper::testkit::folder::{Options, TestFolder};

const PEOPLE: &[&str] = &["rep-east", "manager-east", "service", "admin"];
const STAGES: &[&str] = &["sales.lead", "sales.proposal", "sales.won", "renewals.renewed"];
const FIELDS: &[&str] =
    &["Deal.title", "Deal.owner_id", "Deal.amount", "Deal.margin", "Deal.internal_notes", "Deal.*"];

/// Policies that look at what only a request brings.
const BROUGHT: &str = r#"
@id("t.strong") forbid (principal, action == Action::"delete", resource) unless { context has authLevel && context.authLevel >= 2 };
@id("t.glass") permit (principal, action == Action::"restore", resource) when { context has breakGlassReason };
@id("t.size") forbid (principal, action == Action::"assign", resource) when { context has proposed && context.proposed has amount && context.proposed.amount.greaterThan(decimal("1.0")) };
@id("t.behalf") permit (principal, action == Action::"download", resource is Contact) when { context has onBehalfOf };
@id("t.many") forbid (principal, action == Action::"bulkDelete", resource) when { context has count && context.count > 5 };
@id("t.never") forbid (principal, action == Action::"mail", resource);
@id("t.glass-mail") permit (principal, action == Action::"mail", resource) when { context has breakGlassReason };
@id("t.always") permit (principal, action == Action::"comment", resource);
@id("t.glass-comment") permit (principal, action == Action::"comment", resource) when { context has breakGlassReason };
"#;

#[test]
fn always_and_never_hold_for_every_request() {
    let folder = TestFolder::new(Options::default().policies(BROUGHT), ([127, 0, 0, 1], 1).into());
    let (_, loaded) = folder.load();
    let snapshot = Snapshot::first(loaded.bundle, loaded.directory);
    let (mut always, mut never, mut sometimes) = (0, 0, 0);
    for person in PEOPLE {
        let principal = EntityRef::new("User", *person);
        let asker = Asker::plain(principal.clone(), NOW_MS);
        for question @ (action, field, stages, is_on_all) in questions() {
            let subject = match (field, stages, is_on_all) {
                (Some(field), _, _) => Subject::Field("Deal", field),
                (_, Some((from, to)), _) => Subject::Move("Deal", from, to),
                (_, _, true) => Subject::Collection("Deal"),
                _ => Subject::Record("Deal"),
            };
            let told = standing(&snapshot, &asker, action, subject);
            for circumstances in circumstances(question) {
                for facts in records(&snapshot) {
                    let resource =
                        if is_on_all { Resource::Collection("Deal") } else { Resource::Record(&facts) };
                    let is_allowed =
                        decide(&snapshot, &principal, action, resource, &circumstances).is_allow();
                    let holds = match &told {
                        Standing::Always(_) => is_allowed,
                        Standing::Never => !is_allowed,
                        Standing::Sometimes(_) => true,
                    };
                    assert!(
                        holds,
                        "{person} {action} {field:?} {stages:?}: {told:?}, {facts:?} {circumstances:?}"
                    );
                }
            }
            match told {
                Standing::Always(_) => always += 1,
                Standing::Never => never += 1,
                Standing::Sometimes(policies) => {
                    assert!(!policies.is_empty());
                    sometimes += 1;
                }
            }
        }
    }
    assert!(always > 40 && never > 40 && sometimes > 40, "{always} {never} {sometimes}");
}

#[test]
fn what_a_request_brings_is_left_open() {
    let folder = TestFolder::new(Options::default().policies(BROUGHT), ([127, 0, 0, 1], 1).into());
    let (_, loaded) = folder.load();
    let snapshot = Snapshot::first(loaded.bundle, loaded.directory);
    let ask = |person: &str, action: &str, subject: Subject<'_>| {
        standing(&snapshot, &Asker::plain(EntityRef::new("User", person), NOW_MS), action, subject)
    };
    let some = |policies: &[&str]| Standing::Sometimes(policies.iter().map(|id| (*id).to_owned()).collect());
    let deal = Subject::Record("Deal");
    assert_eq!(ask("admin", "delete", deal), some(&["admin.everything", "t.strong"]));
    assert_eq!(ask("service", "restore", deal), some(&["t.glass"]));
    assert_eq!(ask("admin", "assign", deal), some(&["admin.everything", "t.size"]));
    assert_eq!(ask("rep-east", "download", Subject::Record("Contact")), some(&["t.behalf"]));
    assert_eq!(
        ask("admin", "bulkDelete", Subject::Collection("Deal")),
        some(&["admin.everything", "t.many"])
    );
    assert_eq!(ask("admin", "mail", deal), Standing::Never, "whatever glass is broken");
    let always = Standing::Always(vec!["admin.everything".to_owned(), "t.always".to_owned()]);
    assert_eq!(ask("admin", "comment", deal), always, "a permit more changes nothing");
    assert_eq!(ask("service", "delete", deal), Standing::Never, "a forbid more changes nothing");
}

type Question = (&'static str, Option<&'static str>, Option<(&'static str, &'static str)>, bool);

fn questions() -> Vec<Question> {
    let records =
        ["view", "create", "edit", "delete", "restore", "assign", "mail", "comment", "attach", "download"];
    let all = ["list", "search", "export", "bulkEdit", "bulkDelete", "report"];
    let mut questions: Vec<Question> = records.iter().map(|action| (*action, None, None, false)).collect();
    questions.extend(all.iter().map(|action| (*action, None, None, true)));
    for action in ["readField", "readFieldMasked", "writeField"] {
        questions.extend(FIELDS.iter().map(|field| (action, Some(*field), None, false)));
    }
    for from in STAGES {
        questions.extend(STAGES.iter().map(|to| ("moveStage", None, Some((*from, *to)), false)));
    }
    questions
}

/// What requests may bring, where the schema has a place for it.
fn circumstances((action, field, stages, is_on_all): Question) -> Vec<Circumstances> {
    let plain = Circumstances {
        now_ms: NOW_MS,
        field: field.map(str::to_owned),
        stages: stages.map(|(from, to)| (from.to_owned(), to.to_owned())),
        ..Circumstances::default()
    };
    let strong = Attested { auth_level: Some(3), on_behalf_of: Some(EntityRef::new("User", "rep-east")) };
    let mut all = vec![plain.clone(), Circumstances { attested: strong, ..plain.clone() }];
    if is_on_all {
        all.extend([1, 1_000].map(|count| Circumstances { count: Some(count), ..plain.clone() }));
    } else if !["view", "download", "readField", "readFieldMasked"].contains(&action) {
        let amount =
            |amount| vec![("amount".to_owned(), Attribute::Present(AttributeValue::Decimal(amount)))];
        all.extend([5_000, 500_000_000].map(|of| Circumstances { proposed: amount(of), ..plain.clone() }));
    }
    all
}

/// Deals of two owners in two stages, below and above what a rep may close, and one of which nothing is known.
fn records(snapshot: &Snapshot) -> Vec<RecordFacts> {
    let (_, record_type) = snapshot.bundle.profile.type_named("Deal").unwrap();
    let entity = |type_name: &str, id: &str| AttributeValue::Entity(EntityRef::new(type_name, id));
    let facts = |attributes| RecordFacts { type_name: "Deal".to_owned(), id: "42".to_owned(), attributes };
    let mut found = vec![facts(vec![Attribute::Absent; record_type.attributes.len()])];
    for owner in ["rep-east", "admin"] {
        for stage in ["sales.lead", "sales.won"] {
            for amount in [400_000_000, 1_250_005_000] {
                let attributes = record_type.attributes.iter().map(|spec| {
                    Attribute::Present(match spec.name.as_str() {
                        "owner" => entity("User", owner),
                        "team" => entity("Team", "east"),
                        "stage" => entity("Stage", stage),
                        "pipeline" => entity("Pipeline", "sales"),
                        "amount" => AttributeValue::Decimal(amount),
                        _ => AttributeValue::Bool(false),
                    })
                });
                found.push(facts(attributes.collect()));
            }
        }
    }
    found
}
