//! Property: what a program decides, plain Cedar decides: every verdict, its determining policies and its failures.
//!
//! Policies, directory, records, people and moments are random within what the schema allows; a run prints its seed and
//! counts. `LOCKKEEPER_EQUALITY_CASES` asks for more cases (a case is one decision: a view, or one field of one record),
//! `LOCKKEEPER_EQUALITY_SEED` for the same ones again. `scripts/equality` makes the long run.

mod limits;
mod policies;
mod residual;
mod spelling;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cedar_policy as cedar;
use lockkeeper::bundle::compile::{Bundle, compile};
use lockkeeper::bundle::current::Snapshot;
use lockkeeper::bundle::validate::DEREFERENCE_LEVEL_MAX;
use lockkeeper::config::author::{Problems, SourceFile};
use lockkeeper::model::principal::{Asker, Attested, EntityRef};
use lockkeeper::model::reason::Reason;
use lockkeeper::model::record::{Attribute, AttributeValue, RecordFacts};
use lockkeeper::pipeline::decide::gate::{RecordGate, RecordVerdict, VerdictCache, Visibility};
use lockkeeper::pipeline::decide::judging::{Judging, RawJudgement};
use lockkeeper::testkit::dice::Dice;
use spelling::Spelled;

#[derive(Default)]
struct Tally {
    sets: usize,
    without_program: BTreeMap<String, usize>,
    policies: usize,
    refused_policies: usize,
    records: usize,
    cases: u64,
    by_programs: u64,
    verdicts: u64,
    allowed: u64,
    failed: u64,
}

#[test]
fn programs_decide_as_cedar_does() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let wanted: u64 = number("LOCKKEEPER_EQUALITY_CASES").unwrap_or(CASES);
    let seed = number("LOCKKEEPER_EQUALITY_SEED").unwrap_or(SEED);
    let mut dice = Dice::new(seed);
    let base = bundle("@id(\"none\") forbid (principal, action, resource);").expect("the base loads");
    let mut tally = Tally::default();
    while tally.cases < wanted {
        let (text, refused) = policy_set(&base, &mut dice);
        tally.refused_policies += refused;
        let Some(bundle) = bundle(&text) else { continue };
        tally.sets += 1;
        tally.policies += bundle.policies.ids().count();
        for (_, why) in bundle.programs.missing() {
            *tally.without_program.entry(why.to_string()).or_default() += 1;
        }
        check_set(bundle, &text, seed, &mut dice, &mut tally);
    }
    println!(
        "| equality | seed {seed}: {} cases on {} records, {} policy sets, {} policies ({} not valid) | equal in all; {} verdicts by programs; {} cases allowed, {} verdicts with failures; sets without a program: {:?} |",
        tally.cases,
        tally.records,
        tally.sets,
        tally.policies,
        tally.refused_policies,
        tally.by_programs,
        tally.allowed,
        tally.failed,
        tally.without_program,
    );
    // A comparison of Cedar with itself would pass.
    assert!(tally.by_programs * 10 > tally.verdicts * 7, "programs decided too rarely");
    assert!(tally.allowed > 0 && tally.failed > 0);
}

fn check_set(bundle: Bundle, text: &str, seed: u64, dice: &mut Dice, tally: &mut Tally) {
    let directory = world::directory(&bundle.schema.schema, dice);
    let snapshot = Snapshot::first(bundle, directory);
    for _ in 0..PEOPLE {
        let asker = asker(dice);
        let cache = Arc::new(VerdictCache::new(10_000, u64::MAX));
        for _ in 0..LISTS {
            // A later list finds what the former one has learnt, at another moment.
            let asker = Asker { now_ms: world::moment(dice), ..asker.clone() };
            let gate = RecordGate::new(Arc::clone(&snapshot), asker.clone(), Arc::clone(&cache));
            let mut judging = gate.judging();
            for _ in 0..RECORDS {
                let facts = world::record(&snapshot, dice);
                let (by_program, by_cedar) = (judging.judge(&facts), gate.judge_afresh(&facts));
                assert_eq!(*by_program, by_cedar, "seed {seed}\n{asker:?}\n{facts:?}\n{text}");
                let spelled = check_spelled(&gate, &mut judging, &facts, &by_cedar, dice);
                assert_eq!(spelled, Ok(()), "seed {seed}\n{asker:?}\n{facts:?}\n{text}");
                tally.records += 1;
                tally.cases += 1 + by_cedar.fields.len() as u64;
                let shown = by_cedar.fields.iter().filter(|field| **field != Visibility::Hidden);
                tally.allowed += shown.count() as u64;
                tally.failed += u64::from(!by_cedar.errors.is_empty());
            }
        }
        let counts = cache.counts();
        tally.by_programs += counts.compiled;
        tally.verdicts += counts.compiled + counts.plain;
    }
}

/// The record as a CRM spells it, judged without being read first: the same verdict, or the word that something lacks.
fn check_spelled(
    gate: &RecordGate,
    judging: &mut Judging<'_>,
    facts: &RecordFacts,
    by_cedar: &RecordVerdict,
    dice: &mut Dice,
) -> Result<(), String> {
    let (index, record_type) = gate.snapshot().bundle.profile.type_named(&facts.type_name).unwrap();
    let spelled = Spelled::new(gate.snapshot(), facts, dice);
    let read = spelled.facts(gate.snapshot(), facts);
    // What cannot be spelled is another record.
    let is_same = read.attributes.iter().zip(&facts.attributes).all(|(read, stated)| match read {
        Attribute::Nonconforming(_) => matches!(stated, Attribute::Nonconforming(_)),
        read => read == stated,
    });
    let expected = if is_same { by_cedar.clone() } else { gate.judge_afresh(&read) };
    let needed = gate.needed(&facts.type_name);
    let lacks = record_type
        .attributes
        .iter()
        .zip(&read.attributes)
        .any(|(spec, attribute)| *attribute == Attribute::NotCarried && needed.contains(&spec.name));
    let places = spelled.places(judging.places(index));
    let judged = judging.judge_raw(index, &facts.id, spelled.completeness, &places);
    let verdict = match &judged {
        RawJudgement::Lacking if lacks && !gate.sees_alike(record_type) => return Ok(()),
        RawJudgement::Lacking => return Err(format!("nothing lacks: {}", spelled.text())),
        RawJudgement::Verdict(_) | RawJudgement::Unnumbered(_) if lacks && !gate.sees_alike(record_type) => {
            return Err(format!("something lacks: {}", spelled.text()));
        }
        RawJudgement::Verdict(number) => judging.verdict(*number).unwrap(),
        RawJudgement::Unnumbered(verdict) => verdict,
    };
    match **verdict == expected {
        true => Ok(()),
        false => Err(format!("{}\n{verdict:?}\nnot {expected:?}", spelled.text())),
    }
}

fn asker(dice: &mut Dice) -> Asker {
    let person = |dice: &mut Dice| EntityRef::new("User", format!("u{}", dice.below(world::USERS)));
    let attested = Attested {
        auth_level: dice.one_in(2).then(|| dice.below(4) as i64),
        on_behalf_of: dice.one_in(3).then(|| person(dice)),
    };
    let entity = match dice.below(6) {
        0 => EntityRef::new("Service", "s0"),
        _ => person(dice),
    };
    Asker { entity, attested, now_ms: world::moment(dice) }
}

/// Policies that pass the validator alone, as one text, and how many did not.
fn policy_set(base: &Bundle, dice: &mut Dice) -> (String, usize) {
    let validator = cedar::Validator::new(base.schema.schema.clone());
    let (mut text, mut refused) = (String::new(), 0);
    let wanted = 3 + dice.below(14);
    let mut number = 0;
    while number < wanted {
        let policy = policies::policy(number, dice);
        let set: cedar::PolicySet = policy.parse().unwrap();
        let found = validator.validate_with_level(&set, cedar::ValidationMode::Strict, DEREFERENCE_LEVEL_MAX);
        if found.validation_passed_without_warnings() {
            text.push_str(&policy);
            number += 1;
        } else {
            refused += 1;
        }
    }
    (text, refused)
}

fn bundle(policies: &str) -> Option<Bundle> {
    let file = |name: &str, text: &str| (name.to_owned(), Bytes::from(text.to_owned()));
    let files = BTreeMap::from([
        file("profile.toml", world::PROFILE),
        file("crm.cedarschema", world::SCHEMA),
        file("policies.cedar", policies),
    ]);
    let mut problems = Problems::default();
    // What a lint refuses beyond the validator is not worth a case.
    compile(files, &mut problems)
}

/// A program that says something else than Cedar: here, one of other policies.
#[test]
fn a_disagreement_denies_and_ends_the_trust() {
    let view = r#"@id("view") permit (principal, action == Action::"view", resource is Deal);"#;
    let all = r#"@id("view") permit (principal, action == Action::"view", resource is Deal);
        @id("read") permit (principal, action == Action::"readField", resource is Deal);"#;
    let (ours, other) = (bundle(view).unwrap(), bundle(all).unwrap());
    let mut dice = Dice::new(SEED);
    let directory = world::directory(&ours.schema.schema, &mut dice);
    let snapshot = Snapshot::first(Bundle { programs: other.programs, ..ours }, directory);
    let asker = Asker::plain(EntityRef::new("User", "u0"), 0);
    let cache = Arc::new(VerdictCache::new(100, 2));
    let gate = RecordGate::new(Arc::clone(&snapshot), asker, Arc::clone(&cache));
    let facts = RecordFacts {
        type_name: "Deal".to_owned(),
        id: "1".to_owned(),
        attributes: vec![Attribute::Absent; 10],
    };
    let denied = gate.judge(&facts);
    assert_eq!((denied.view.is_allow(), denied.view.reason), (false, Some(Reason::DecisionMismatch)));
    assert!(denied.fields.iter().all(|field| *field == Visibility::Hidden));
    assert!(cache.has_lost_trust());
    assert_eq!((cache.counts().mismatches, cache.counts().plain), (1, 0));
    // From now on Cedar alone.
    assert_eq!(*gate.judge(&facts), gate.judge_afresh(&facts));
    assert_eq!((cache.counts().compiled, cache.counts().plain), (1, 1));
}

/// A new directory is a new generation: nothing that was bound to the old one decides any more.
#[test]
fn nothing_bound_outlives_its_generation() {
    let text =
        r#"@id("view") permit (principal in Role::"role0", action == Action::"view", resource is Deal);"#;
    let bundle = bundle(text).unwrap();
    let schema = bundle.schema.schema.clone();
    let directory = |parents: &str| {
        let mut problems = Problems::default();
        let role = r#"{"uid":{"type":"Role","id":"role0"},"attrs":{},"parents":[]}"#;
        let user = format!(
            r#"{{"uid":{{"type":"User","id":"u0"}},"attrs":{{"active":true}},"parents":[{parents}]}}"#
        );
        lockkeeper::bundle::directory::load(&source(format!("[{role},{user}]")), &schema, &mut problems)
            .unwrap()
    };
    let before = Snapshot::first(bundle, directory(r#"{"type":"Role","id":"role0"}"#));
    let after = Arc::new(Snapshot {
        generation: before.generation + 1,
        bundle: Arc::clone(&before.bundle),
        directory: Arc::new(directory("")),
    });
    let cache = Arc::new(VerdictCache::new(100, 1));
    let facts = RecordFacts {
        type_name: "Deal".to_owned(),
        id: "1".to_owned(),
        attributes: vec![Attribute::Absent; 10],
    };
    for (snapshot, expected) in [(&before, true), (&after, false), (&before, true), (&after, false)] {
        let asker = Asker::plain(EntityRef::new("User", "u0"), 0);
        let gate = RecordGate::new(Arc::clone(snapshot), asker, Arc::clone(&cache));
        assert_eq!(gate.judge(&facts).view.is_allow(), expected);
    }
    assert_eq!((cache.counts().compiled, cache.counts().hits, cache.counts().misses), (4, 2, 2));
}

/// A directory may hold entities of a record type. Of the record itself only the CRM's word counts.
#[test]
fn what_a_directory_says_of_a_record_is_not_believed() {
    let text = r#"@id("favourite") permit (principal, action == Action::"view", resource is Deal)
        when { principal has custom.favourite && principal.custom.favourite has owner
               && principal.custom.favourite.owner == principal };"#;
    let bundle = bundle(text).unwrap();
    let directory = r#"[
        {"uid":{"type":"User","id":"u0"},"parents":[],"attrs":{"active":true,
            "custom":{"favourite":{"__entity":{"type":"Deal","id":"1"}}}}},
        {"uid":{"type":"User","id":"u1"},"parents":[],"attrs":{"active":true}},
        {"uid":{"type":"Deal","id":"1"},"parents":[],"attrs":{"owner":{"__entity":{"type":"User","id":"u0"}}}}]"#;
    let mut problems = Problems::default();
    let directory = lockkeeper::bundle::directory::load(
        &source(directory.to_owned()),
        &bundle.schema.schema,
        &mut problems,
    );
    let directory = directory.unwrap_or_else(|| panic!("{problems}"));
    let asker = Asker::plain(EntityRef::new("User", "u0"), 0);
    let cache = Arc::new(VerdictCache::new(100, u64::MAX));
    let gate = RecordGate::new(Snapshot::first(bundle, directory), asker, cache);
    for (id, owner) in [("1", "u1"), ("1", "u0"), ("2", "u1"), ("2", "u0")] {
        let mut attributes = vec![Attribute::Absent; 10];
        attributes[0] = Attribute::Present(AttributeValue::Entity(EntityRef::new("User", owner)));
        let facts = RecordFacts { type_name: "Deal".to_owned(), id: id.to_owned(), attributes };
        assert_eq!(*gate.judge(&facts), gate.judge_afresh(&facts), "{id} {owner}");
    }
}

/// A directory's text as a source.
pub fn source(text: String) -> Arc<SourceFile> {
    SourceFile::new("directory.cedarentities.json".to_owned(), text)
}

const CASES: u64 = 6_000;
const SEED: u64 = 20_260_704;
const PEOPLE: usize = 4;
const LISTS: usize = 3;
const RECORDS: usize = 4;
