//! Property: what policies leave of `view` and `readField` for a person, as a formula, says of every record what Cedar says.

use std::sync::Arc;

use lockkeeper::bundle::compile::Bundle;
use lockkeeper::bundle::current::Snapshot;
use lockkeeper::model::record::{Attribute, AttributeValue, RecordFacts};
use lockkeeper::pipeline::decide::gate::{RecordGate, VerdictCache, Visibility};
use lockkeeper::pipeline::decide::residual::formula::Formula;
use lockkeeper::pipeline::decide::residual::{Asked, residual};

use super::{Dice, SEED, asker, bundle, policy_set, world};

#[derive(Default)]
struct Tally {
    formulas: usize,
    none: usize,
    always: usize,
    held: usize,
    broken: usize,
    implied: usize,
}

#[test]
fn what_is_left_says_what_cedar_says() {
    let mut dice = Dice::new(SEED);
    let base = bundle("@id(\"none\") forbid (principal, action, resource);").expect("the base loads");
    let (mut plain, mut wild) = (Tally::default(), Tally::default());
    for _ in 0..SETS {
        let text = conditions(&mut dice);
        // What a lint refuses is not worth a case.
        if let Some(bundle) = bundle(&text) {
            check_set(bundle, &text, &mut dice, &mut plain);
        }
    }
    for _ in 0..SETS {
        let (text, _) = policy_set(&base, &mut dice);
        if let Some(bundle) = bundle(&text) {
            check_set(bundle, &text, &mut dice, &mut wild);
        }
    }
    for (name, tally) in [("plain", &plain), ("wild", &wild)] {
        println!(
            "| residuals of {name} policies | {} formulas, {} without one, {} always; held {}, not {}; {} implied |",
            tally.formulas, tally.none, tally.always, tally.held, tally.broken, tally.implied
        );
    }
    assert!(plain.formulas > 20 * plain.none, "hardly anything is left to say");
    assert!(plain.held > 100 && plain.broken > 100 && plain.implied > 20 && wild.formulas > 0);
}

fn check_set(bundle: Bundle, text: &str, dice: &mut Dice, tally: &mut Tally) {
    let directory = world::directory(&bundle.schema.schema, dice);
    let snapshot = Snapshot::first(bundle, directory);
    let (_, record_type) = snapshot.bundle.profile.type_named("Deal").unwrap();
    for _ in 0..PEOPLE {
        let asker = asker(dice);
        let cache = Arc::new(VerdictCache::new(100, u64::MAX));
        let gate = RecordGate::new(Arc::clone(&snapshot), asker.clone(), cache);
        let left = |asked| residual(&snapshot, record_type, &asker, asked);
        let view = left(Asked::View);
        let reads: Vec<Option<Formula>> =
            (0..=record_type.fields.len()).map(|field| left(Asked::Read(field))).collect();
        for formula in reads.iter().chain([&view]) {
            match formula {
                Some(Formula::Always) => tally.always += 1,
                Some(_) => tally.formulas += 1,
                None => tally.none += 1,
            }
        }
        let Some(view) = view else { continue };
        for _ in 0..RECORDS {
            let facts = usable(world::record(&snapshot, dice));
            let verdict = gate.judge_afresh(&facts);
            let may_view = view.holds(&facts).unwrap();
            assert_eq!(may_view, verdict.view.is_allow(), "{asker:?}\n{facts:?}\n{view:?}\n{text}");
            *if may_view { &mut tally.held } else { &mut tally.broken } += 1;
            for (field, read) in reads.iter().enumerate() {
                let Some(read) = read else { continue };
                let is_shown = verdict.field(field) == Visibility::Shown;
                let may_read = may_view && read.holds(&facts).unwrap();
                assert_eq!(may_read, is_shown, "field {field}\n{asker:?}\n{facts:?}\n{read:?}\n{text}");
                if view.implies(read) {
                    tally.implied += 1;
                    assert_eq!(may_read, may_view, "field {field}\n{asker:?}\n{facts:?}\n{read:?}\n{text}");
                }
            }
        }
    }
}

/// A record that policies can be asked about: what is not known denies it before any of them.
fn usable(mut facts: RecordFacts) -> RecordFacts {
    let is_there = |value: &AttributeValue| {
        let id = match value {
            AttributeValue::Entity(entity) if entity.type_name == "User" => entity.id.trim_start_matches('u'),
            _ => return true,
        };
        id.parse::<usize>().unwrap() < world::USERS
    };
    for attribute in &mut facts.attributes {
        let is_usable = match attribute {
            Attribute::Present(AttributeValue::Set(values)) => values.iter().all(is_there),
            // Years that Cedar does not have.
            Attribute::Present(AttributeValue::Datetime(at)) => {
                (-62_167_219_200_000..253_402_300_800_000).contains(at)
            }
            Attribute::Present(value) => is_there(value),
            Attribute::Absent => true,
            Attribute::NotCarried | Attribute::Nonconforming(_) => false,
        };
        if !is_usable {
            *attribute = Attribute::Absent;
        }
    }
    facts
}

/// Policies whose conditions compare single attributes, joined at random.
fn conditions(dice: &mut Dice) -> String {
    let mut text = String::new();
    for number in 0..2 + dice.below(6) {
        let effect = if dice.one_in(3) { "forbid" } else { "permit" };
        let action = dice.pick(&["view", "view", "readField"]).to_owned();
        let field = if action == "readField" && dice.one_in(2) {
            format!("context.field in FieldSet::\"{}\" && ", dice.pick(&["public", "secret", "money"]))
        } else {
            String::new()
        };
        let kind = dice.pick(&["when", "when", "unless"]);
        let condition = condition(dice, 2);
        text.push_str(&format!(
            "@id(\"p{number}\") {effect} (principal, action == Action::\"{action}\", resource is Deal) {kind} {{ {field}({condition}) }};\n"
        ));
    }
    text
}

fn condition(dice: &mut Dice, depth: usize) -> String {
    if depth > 0 && !dice.one_in(3) {
        let (one, two) = (condition(dice, depth - 1), condition(dice, depth - 1));
        return match dice.below(4) {
            0 => format!("!({one})"),
            1 => format!("({one}) && ({two})"),
            2 => format!("if ({one}) then ({two}) else ({})", condition(dice, depth - 1)),
            _ => format!("({one}) || ({two})"),
        };
    }
    dice.pick(ATOMS).to_owned()
}

const ATOMS: &[&str] = &[
    "resource has owner && resource.owner == principal",
    "resource has owner && resource.owner == User::\"u1\"",
    "!(resource has owner) || resource.owner != principal",
    "resource has team && principal in resource.team",
    "resource has team && resource.team == Team::\"team0\"",
    "resource has stage && resource.stage in StageGroup::\"closed\"",
    "resource has stage && [Stage::\"sales.won\", Stage::\"sales.lost\"].contains(resource.stage)",
    "resource has strategic && resource.strategic",
    "resource has strategic && !resource.strategic",
    "resource has owner && resource.owner in Team::\"team1\"",
    "resource has owner && resource.owner has position && principal has position && resource.owner.position in principal.position",
    "resource has score && resource.score == 7",
    "resource has name && resource.name == \"north\"",
    "resource has owner",
    "principal in Role::\"role0\"",
    "context.now < datetime(\"2026-07-01\")",
];

const SETS: usize = 24;
const PEOPLE: usize = 4;
const RECORDS: usize = 8;
