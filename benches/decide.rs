//! What decisions cost: a list of 1000 records with 40 fields, one record, binding and compiling, at 25, 200 and 2000 policies;
//! of records that are read already, and of records as a CRM spells them.
//!
//! `cargo bench --bench decide`. Plain Cedar is measured beside the programs in the same run, on fewer records.
#![expect(clippy::disallowed_methods, reason = "edge: a benchmark reads the clock")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up has failed"
)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use lockkeeper::bundle::compile::{Bundle, compile};
use lockkeeper::bundle::current::Snapshot;
use lockkeeper::bundle::directory;
use lockkeeper::bundle::forms::Forms;
use lockkeeper::bundle::program::compile as programs;
use lockkeeper::config::author::{Problems, SourceFile};
use lockkeeper::model::principal::{Asker, EntityRef};
use lockkeeper::model::record::{Attribute, AttributeValue, RecordFacts};
use lockkeeper::pipeline::decide::always::on_every_record;
use lockkeeper::pipeline::decide::gate::{RecordGate, VerdictCache};
use lockkeeper::pipeline::decide::judging::{Judging, RawJudgement};
use lockkeeper::pipeline::decide::program::bind::bind;
use lockkeeper::pipeline::hydrate::extract::{Completeness, Place};

const SCHEMA: &str = "
entity Deal { owner?: User, team?: Team, stage?: Stage, amount?: decimal, strategic?: Bool };
type UserAttributes = { limit?: decimal };
";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [mode, policies, times] = arguments.as_slice()
        && mode == "count"
    {
        return count(policies.parse().unwrap(), times.parse().unwrap());
    }
    println!(
        "| policies | compile, ms | bind, µs | read: first list of 1000 × 40, µs | read: warm, µs | read: one record, ns | spelled: first list, µs | spelled: nothing learnt, µs | spelled: warm, µs | spelled: one record, ns | plain Cedar, per record, µs | × | whatever the record: view, µs | whatever the record: read, µs |"
    );
    println!("{}|", "|---".repeat(14));
    for count in [25, 200, 2000] {
        row(count);
    }
}

fn row(count: usize) {
    let snapshot = snapshot(count);
    let asker = Asker::plain(EntityRef::new("User", "u0"), 1_780_000_000_000);
    let bundle = &snapshot.bundle;
    let compiling = median(5, || {
        let forms = Forms::of(&bundle.policies.set);
        black_box(programs::compile(
            &bundle.profile,
            &bundle.slices,
            &bundle.schema.schema,
            &bundle.catalogue,
            &forms,
        ));
    });
    let program = Arc::clone(bundle.programs.of("Deal").unwrap().as_ref().unwrap());
    let (_, record_type) = bundle.profile.type_named("Deal").unwrap();
    let binding = median(201, || {
        black_box(bind(&snapshot, &program, record_type, &asker).is_ok());
    });
    let times = if count > 1_000 { 21 } else { 101 };
    let viewing = median(times, || {
        black_box(on_every_record(&snapshot, &asker, "view", "Deal", None));
    });
    let reading = median(times, || {
        black_box(on_every_record(&snapshot, &asker, "readField", "Deal", Some("Deal.field1")));
    });
    let gate = |snapshot: &Arc<Snapshot>| {
        let cache = Arc::new(VerdictCache::new(10_000, u64::MAX));
        (RecordGate::new(Arc::clone(snapshot), asker.clone(), Arc::clone(&cache)), cache)
    };
    let read = of_read(&gate(&snapshot));
    let (spelled, plain) = of_spelled(&gate(&snapshot), count);
    let warm = spelled.warm / RECORDS as f64;
    println!(
        "| {count} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
        compiling / 1e6,
        binding / 1e3,
        read.first / 1e3,
        read.warm / 1e3,
        read.one,
        spelled.first / 1e3,
        spelled.unlearnt / 1e3,
        spelled.warm / 1e3,
        spelled.one,
        plain / 1e3,
        plain / warm,
        viewing / 1e3,
        reading / 1e3,
    );
}

/// Decides a spelled list so many times and prints how many records it has, for `callgrind`: two runs with different numbers
/// tell what one costs.
fn count(policies: usize, times: usize) {
    let asker = Asker::plain(EntityRef::new("User", "u0"), 1_780_000_000_000);
    let cache = Arc::new(VerdictCache::new(10_000, u64::MAX));
    let gate = RecordGate::new(snapshot(policies), asker, cache);
    let spelled = Spelled::new();
    let records = spelled.records();
    for _ in 0..times {
        let mut judging = gate.judging();
        assert!(records.iter().all(|record| judge(&mut judging, record)));
    }
    println!("{RECORDS}");
}

/// Times in nanoseconds.
struct Times {
    /// The first list, with what it takes to bind.
    first: f64,
    /// A list whose program is bound and has learnt nothing.
    unlearnt: f64,
    /// A later list.
    warm: f64,
    /// One record in a list of its own.
    one: f64,
}

fn of_read((gate, cache): &(RecordGate, Arc<VerdictCache>)) -> Times {
    let facts: Vec<RecordFacts> = (0..RECORDS).map(record).collect();
    let list = || {
        let mut judging = gate.judging();
        facts.iter().filter(|facts| black_box(judging.judge(facts)).view.is_allow()).count()
    };
    let first = median(1, || {
        black_box(list());
    });
    let warm = median(201, || {
        black_box(list());
    });
    let one = median(2001, || {
        black_box(gate.judge(&facts[7]));
    });
    assert_eq!(cache.counts().plain, 0, "every verdict is a program's");
    Times { first, unlearnt: 0.0, warm, one }
}

fn of_spelled((gate, cache): &(RecordGate, Arc<VerdictCache>), policies: usize) -> (Times, f64) {
    let spelled = Spelled::new();
    let records = spelled.records();
    let list = |judging: &mut Judging<'_>| records.iter().filter(|record| judge(judging, record)).count();
    let first = median(1, || assert_eq!(list(&mut gate.judging()), RECORDS));
    let warm = median(201, || {
        black_box(list(&mut gate.judging()));
    });
    let one = median(2001, || {
        black_box(judge(&mut gate.judging(), &records[7]));
    });
    // As long as other lists of the same principal go on, what they have learnt is theirs.
    let mut others = Vec::new();
    let unlearnt = median(51, || {
        let mut judging = gate.judging();
        black_box(list(&mut judging));
        others.push(judging);
    });
    let checked = if policies > 1_000 { 3 } else { 20 };
    let plain = median(1, || {
        for facts in spelled.facts.iter().take(checked) {
            black_box(gate.judge_afresh(facts));
        }
    }) / checked as f64;
    assert_eq!(cache.counts().plain, 0, "every verdict is a program's");
    (Times { first, unlearnt, warm, one }, plain)
}

/// Records by their spelling: id, and what stands where attributes may be.
type Record<'s> = (&'s str, Vec<Place<&'s [u8]>>);

struct Spelled {
    facts: Vec<RecordFacts>,
    spellings: Vec<Vec<Option<String>>>,
}

impl Spelled {
    fn new() -> Self {
        let facts: Vec<RecordFacts> = (0..RECORDS).map(record).collect();
        let spellings = facts.iter().map(spelling).collect();
        Self { facts, spellings }
    }

    fn records(&self) -> Vec<Record<'_>> {
        let pairs = self.facts.iter().zip(&self.spellings);
        pairs
            .map(|(facts, spelling)| {
                (facts.id.as_str(), spelling.iter().map(|text| place(text.as_deref())).collect())
            })
            .collect()
    }
}

fn judge(judging: &mut Judging<'_>, (id, places): &Record<'_>) -> bool {
    matches!(judging.judge_raw(0, id, Completeness::Complete, places), RawJudgement::Verdict(_))
}

fn place(text: Option<&str>) -> Place<&[u8]> {
    text.map_or(Place::Null, |text| Place::Found(text.as_bytes()))
}

/// The attributes of a record as a CRM spells them.
fn spelling(facts: &RecordFacts) -> Vec<Option<String>> {
    let one = |attribute: &Attribute| match attribute {
        Attribute::Present(AttributeValue::Entity(entity)) => {
            Some(format!("\"{}\"", entity.id.strip_prefix("sales.").unwrap_or(&entity.id)))
        }
        Attribute::Present(AttributeValue::Decimal(units)) => {
            Some(format!("{}.{:04}", units / 10_000, units % 10_000))
        }
        Attribute::Present(AttributeValue::Bool(truth)) => Some(truth.to_string()),
        Attribute::Present(_) | Attribute::Absent | Attribute::NotCarried | Attribute::Nonconforming(_) => {
            None
        }
    };
    facts.attributes.iter().map(one).collect()
}

/// The median time of some runs, in nanoseconds.
fn median(runs: usize, mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e9
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn record(number: usize) -> RecordFacts {
    let stage = ["sales.lead", "sales.won", "sales.lost"][number % 3];
    let entity =
        |kind: &str, id: String| Attribute::Present(AttributeValue::Entity(EntityRef::new(kind, id)));
    RecordFacts {
        type_name: "Deal".to_owned(),
        id: number.to_string(),
        attributes: vec![
            entity("User", format!("u{}", number * 7 % USERS)),
            if number.is_multiple_of(11) {
                Attribute::Absent
            } else {
                entity("Team", format!("t{}", number % 8))
            },
            entity("Stage", stage.to_owned()),
            Attribute::Present(AttributeValue::Decimal(i64::try_from(number).unwrap() * 7_919_000)),
            Attribute::Present(AttributeValue::Bool(number.is_multiple_of(5))),
        ],
    }
}

fn snapshot(policies: usize) -> Arc<Snapshot> {
    let file = |name: &str, text: String| (name.to_owned(), Bytes::from(text));
    let files = BTreeMap::from([
        file("profile.toml", profile()),
        file("crm.cedarschema", SCHEMA.to_owned()),
        file("policies.cedar", cedar(policies)),
    ]);
    let mut problems = Problems::default();
    let bundle: Bundle = compile(files, &mut problems).unwrap_or_else(|| panic!("{problems}"));
    assert_eq!(bundle.policies.ids().count(), policies);
    let source = SourceFile::new("directory", people(policies));
    let directory = directory::load(&source, &bundle.schema.schema, &mut problems);
    Snapshot::first(bundle, directory.unwrap_or_else(|| panic!("{problems}")))
}

fn profile() -> String {
    let mut text = String::from(
        "profile = 1\n[pipelines.sales.stages]\nlead = { groups = [\"open\"] }\nwon = { groups = [\"closed\"] }\nlost = { groups = [\"closed\"] }\n[field_sets]\n",
    );
    for set in SETS {
        writeln!(text, "{set} = []").unwrap();
    }
    text.push_str("[types.Deal]\nid = \"id\"\n[types.Deal.attributes]\nowner = { as = \"User\" }\nteam = { as = \"Team\" }\nstage = { as = \"Stage\" }\namount = { as = \"decimal\" }\nstrategic = { as = \"bool\" }\n[types.Deal.fields]\n");
    for field in 0..FIELDS {
        writeln!(text, "field{field} = {{ sets = [\"{}\"] }}", SETS[field % SETS.len()]).unwrap();
    }
    text.push_str("[[routes]]\nmatch = \"GET /deals/{id:int}\"\naction = \"view\"\nrecords = { at = \"$\", type = \"Deal\", complete = true }\n");
    text
}

/// Blocks of 25 policies, each for roles of its own.
fn cedar(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let (block, kind) = (number / 25, number % 25);
        let set = SETS[kind % SETS.len()];
        let role = format!("Role::\"r{block}\"");
        let manager = format!("Role::\"m{block}\"");
        let (head, body) = match kind {
            0 => (
                format!("permit (principal in {role}, action == Action::\"view\", resource is Deal)"),
                "when { resource has owner && resource.owner == principal }",
            ),
            1 => (
                format!("permit (principal in {role}, action == Action::\"view\", resource is Deal)"),
                "when { resource has team && principal in resource.team }",
            ),
            2 => (
                format!("permit (principal in {manager}, action == Action::\"view\", resource is Deal)"),
                "when { principal has position && resource has owner && resource.owner has position && resource.owner.position in principal.position }",
            ),
            3 => (
                format!("forbid (principal in {role}, action == Action::\"view\", resource is Deal)"),
                "when { resource has strategic && resource.strategic && resource has amount && resource.amount.greaterThan(decimal(\"1000000.0000\")) && !(resource has owner && resource.owner == principal) }",
            ),
            4 => (
                format!("forbid (principal in {role}, action == Action::\"readField\", resource is Deal)"),
                "when { context.field in FieldSet::\"money\" && resource has stage && resource.stage in StageGroup::\"closed\" }",
            ),
            5..10 => (
                format!("permit (principal in {role}, action == Action::\"readField\", resource is Deal)"),
                "",
            ),
            10..15 => (
                format!("permit (principal in {role}, action == Action::\"readField\", resource is Deal)"),
                "when { resource has owner && resource.owner == principal }",
            ),
            15..20 => (
                format!("permit (principal in {manager}, action == Action::\"readField\", resource is Deal)"),
                "when { resource has amount && resource.amount.lessThan(decimal(\"500000.0000\")) }",
            ),
            20 => (
                format!(
                    "permit (principal in {role}, action == Action::\"readFieldMasked\", resource is Deal)"
                ),
                "",
            ),
            _ => (
                format!("permit (principal in {role}, action == Action::\"edit\", resource is Deal)"),
                "when { resource has owner && resource.owner == principal }",
            ),
        };
        let is_on_fields = (5..20).contains(&kind);
        let fields = if is_on_fields {
            format!(" when {{ context.field in FieldSet::\"{set}\" }}")
        } else {
            String::new()
        };
        writeln!(text, "@id(\"p{number}\") {head}{fields} {body};").unwrap();
    }
    text
}

fn people(policies: usize) -> String {
    let mut entities = Vec::new();
    let mut add = |kind: &str, id: String, attributes: String, parents: Vec<String>| {
        entities.push(format!(
            "{{\"uid\":{{\"type\":\"{kind}\",\"id\":\"{id}\"}},\"attrs\":{{{attributes}}},\"parents\":[{}]}}",
            parents.join(",")
        ));
    };
    let parent = |kind: &str, id: String| format!("{{\"type\":\"{kind}\",\"id\":\"{id}\"}}");
    for block in 0..policies.div_ceil(25) {
        add("Role", format!("r{block}"), String::new(), Vec::new());
        add("Role", format!("m{block}"), String::new(), Vec::new());
    }
    for team in 0..8 {
        add("Team", format!("t{team}"), String::new(), Vec::new());
    }
    add("Position", "top".to_owned(), String::new(), Vec::new());
    for user in 0..USERS {
        let position = format!("\"active\":true,\"position\":{}", parent("Position", "top".to_owned()));
        let parents = vec![
            parent("Role", "r0".to_owned()),
            parent("Role", "m0".to_owned()),
            parent("Team", format!("t{}", user % 8)),
        ];
        add("User", format!("u{user}"), position, parents);
    }
    format!("[{}]", entities.join(","))
}

const SETS: &[&str] = &["public", "money", "internal", "contact", "notes"];
const FIELDS: usize = 40;
const USERS: usize = 60;
const RECORDS: usize = 1_000;
