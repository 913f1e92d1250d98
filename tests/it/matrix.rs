//! The access matrix of the demo: people × actions × stages × fields, as one golden text.
//!
//! A change of policies or of the engine that moves one cell shows as one changed line. `UPDATE_GOLDEN=1` writes it anew.
#![expect(clippy::disallowed_methods, reason = "edge: reads and writes the golden file")]

use std::fmt::Write as _;
use std::path::Path;

use lockkeeper::bundle::current::Snapshot;
use lockkeeper::model::access::{Action, Scope};
use lockkeeper::model::decision::Decision;
use lockkeeper::model::principal::EntityRef;
use lockkeeper::model::reason::Reason;
use lockkeeper::model::record::{Attribute, AttributeValue, RecordFacts};
use lockkeeper::pipeline::decide::evaluate::{Circumstances, Resource, decide};
use lockkeeper::testkit::NOW_MS;
use lockkeeper::testkit::folder::{Options, TestFolder};

const PEOPLE: &[&str] = &["rep-east", "manager-east", "service", "admin"];
const STAGES: &[&str] = &["sales.lead", "sales.proposal", "sales.won"];
/// One field of each kind that policies can tell apart, and all keys that no field claims.
const FIELDS: &[&str] = &[
    "Deal.title",
    "Deal.strategic",
    "Deal.owner_id",
    "Deal.amount",
    "Deal.margin",
    "Deal.internal_notes",
    "Deal.*",
];
const TARGETS: &[&str] = &["sales.lead", "sales.negotiation", "sales.won", "sales.lost", "renewals.renewed"];
/// 40,000.00 and 125,000.50: a rep may close the one and not the other.
const AMOUNTS: &[i64] = &[400_000_000, 1_250_005_000];

#[test]
fn the_demos_access_matrix() {
    let folder = TestFolder::new(Options::default(), std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let (_, loaded) = folder.load();
    let snapshot = Snapshot::first(loaded.bundle, loaded.directory);
    let found = matrix(&snapshot);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/demo-matrix.txt");
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(&path, &found).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let differing: Vec<(&str, &str)> =
        golden.lines().zip(found.lines()).filter(|(golden, found)| golden != found).collect();
    assert!(differing.is_empty(), "golden against found: {differing:#?}");
    assert_eq!(golden, found);
}

fn matrix(snapshot: &Snapshot) -> String {
    let mut text = String::from(
        "A deal of rep-east in team east, by who asks and in which stage it stands: lead, proposal, won.\n\
         + allowed · - no policy permits it · ! a policy forbids it\n",
    );
    for amount in AMOUNTS {
        let money = format!("{}.{:02}", amount / 10_000, amount % 10_000 / 100);
        text.push('\n');
        line(&mut text, &format!("amount {money}"), str::to_owned);
        for (what, action, circumstances) in questions() {
            let cell = |person: &str| {
                let cells = STAGES.iter().map(|stage| {
                    let facts = deal(snapshot, stage, *amount);
                    let mut asked = circumstances.clone();
                    asked.stages = asked.stages.map(|(_, to)| ((*stage).to_owned(), to));
                    mark(&ask(snapshot, person, action, Resource::Record(&facts), &asked))
                });
                cells.collect::<Vec<_>>().join(" ")
            };
            line(&mut text, &what, cell);
        }
    }
    text.push_str("\nAll deals\n");
    for action in Action::ALL.iter().filter(|action| action.scope() == Scope::Collection) {
        let is_bulk = matches!(action, Action::BulkEdit | Action::BulkDelete);
        for count in if is_bulk { vec![Some(1), Some(20), Some(21)] } else { vec![None] } {
            let circumstances = Circumstances { now_ms: NOW_MS, count, ..Circumstances::default() };
            let what =
                count.map_or(action.name().to_owned(), |count| format!("{} of {count}", action.name()));
            line(&mut text, &what, |person| {
                mark(&ask(snapshot, person, action.name(), Resource::Collection("Deal"), &circumstances))
            });
        }
    }
    text
}

fn line(text: &mut String, what: &str, cell: impl Fn(&str) -> String) {
    let cells: String = PEOPLE.iter().map(|person| format!("{:<15}", cell(person))).collect();
    writeln!(text, "{}", format!("{what:<36}{cells}").trim_end()).unwrap();
}

/// Every question about a record: each action, each move, each field.
fn questions() -> Vec<(String, &'static str, Circumstances)> {
    let plain = Circumstances { now_ms: NOW_MS, ..Circumstances::default() };
    let actions = Action::ALL.iter().filter(|action| action.scope() != Scope::Collection);
    let mut all: Vec<_> = actions
        .filter(|action| **action != Action::MoveStage)
        .map(|action| (action.name().to_owned(), action.name(), plain.clone()))
        .collect();
    for to in TARGETS {
        let stages = Some((String::new(), (*to).to_owned()));
        all.push((format!("moveStage to {to}"), "moveStage", Circumstances { stages, ..plain.clone() }));
    }
    for action in ["readField", "readFieldMasked", "writeField"] {
        for field in FIELDS {
            let circumstances = Circumstances { field: Some((*field).to_owned()), ..plain.clone() };
            all.push((format!("{action} {field}"), action, circumstances));
        }
    }
    all
}

fn ask(
    snapshot: &Snapshot,
    person: &str,
    action: &str,
    resource: Resource<'_>,
    circumstances: &Circumstances,
) -> Decision {
    decide(snapshot, &EntityRef::new("User", person), action, resource, circumstances)
}

fn mark(decision: &Decision) -> String {
    match (decision.is_allow(), decision.reason) {
        (true, _) => "+".to_owned(),
        (false, Some(Reason::NoPermit)) => "-".to_owned(),
        (false, Some(Reason::Forbidden)) => "!".to_owned(),
        (false, reason) => format!("{reason:?}"),
    }
}

fn deal(snapshot: &Snapshot, stage: &str, amount: i64) -> RecordFacts {
    let (_, record_type) = snapshot.bundle.profile.type_named("Deal").unwrap();
    let entity = |type_name: &str, id: &str| AttributeValue::Entity(EntityRef::new(type_name, id));
    let attributes = record_type.attributes.iter().map(|spec| {
        Attribute::Present(match spec.name.as_str() {
            "owner" => entity("User", "rep-east"),
            "team" => entity("Team", "east"),
            "stage" => entity("Stage", stage),
            "pipeline" => entity("Pipeline", "sales"),
            "amount" => AttributeValue::Decimal(amount),
            _ => AttributeValue::Bool(false),
        })
    });
    RecordFacts { type_name: "Deal".to_owned(), id: "42".to_owned(), attributes: attributes.collect() }
}
