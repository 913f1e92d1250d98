//! Lockkeeper's decisions on the list: which fields of each record are shown, and what deciding that costs.
//!
//! The same 1000 × 40 decisions are asked of Cerbos in the same session. Facts are converted beforehand, as the client of a
//! decision service does before it asks.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use lockkeeper::bundle::current::Snapshot;
use lockkeeper::bundle::{compile, directory, source};
use lockkeeper::config::author::{Problems, SourceFile};
use lockkeeper::model::principal::{Asker, EntityRef};
use lockkeeper::model::record::{Attribute, AttributeValue, RecordFacts};
use lockkeeper::pipeline::decide::gate::{RecordGate, VerdictCache, Visibility};
use serde_json::Value;

use super::data;

/// Prints the names of the shown fields of each record, and times in nanoseconds.
pub fn run(bundle: &Path, folder: &Path, runs: usize) {
    let snapshot = snapshot(bundle, folder);
    let facts = facts(folder);
    let asker = Asker::plain(EntityRef::new("User", data::CALLER), NOW_MS);
    let gate = || {
        let cache = Arc::new(VerdictCache::new(100_000, 1_000));
        RecordGate::new(Arc::clone(&snapshot), asker.clone(), cache)
    };
    let judge = |gate: &RecordGate| {
        let mut judging = gate.judging();
        facts.iter().for_each(|facts| drop(black_box(judging.judge(facts))));
    };
    let cold = timed(runs, || judge(&gate()));
    let kept = gate();
    judge(&kept);
    let warm = timed(runs, || judge(&kept));
    let result = serde_json::json!({
        "shown": shown(&kept, &snapshot, &facts),
        "cold": cold,
        "warm": warm,
    });
    println!("{result}");
}

fn snapshot(bundle: &Path, folder: &Path) -> Arc<Snapshot> {
    let mut problems = Problems::default();
    let files = source::read(bundle, &mut problems).unwrap_or_else(|| panic!("{problems}"));
    let bundle = compile::compile(files, &mut problems).unwrap_or_else(|| panic!("{problems}"));
    let text = std::fs::read_to_string(folder.join("directory.cedarentities.json")).unwrap();
    let people = SourceFile::new("directory.cedarentities.json", text);
    let directory = directory::load(&people, &bundle.schema.schema, &mut problems);
    Snapshot::first(bundle, directory.unwrap_or_else(|| panic!("{problems}")))
}

fn facts(folder: &Path) -> Vec<RecordFacts> {
    let text = std::fs::read_to_string(folder.join("deals.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    document["data"].as_array().unwrap().iter().map(facts_of).collect()
}

/// In the order of the profile: owner, stage, amount.
fn facts_of(record: &Value) -> RecordFacts {
    let entity =
        |kind: &str, id: String| Attribute::Present(AttributeValue::Entity(EntityRef::new(kind, id)));
    // All amounts are whole and a half: `1433000.50`.
    let whole = record["amount"].as_f64().unwrap().trunc().to_string();
    let amount = whole.parse::<i64>().unwrap() * 10_000 + 5_000;
    RecordFacts {
        type_name: "Deal".to_owned(),
        id: record["id"].to_string(),
        attributes: vec![
            entity("User", format!("u{}", record["owner_id"])),
            entity("Stage", format!("sales.{}", record["stage"].as_str().unwrap())),
            Attribute::Present(AttributeValue::Decimal(amount)),
        ],
    }
}

fn shown(gate: &RecordGate, snapshot: &Snapshot, facts: &[RecordFacts]) -> Vec<Vec<String>> {
    let (_, record_type) = snapshot.bundle.profile.type_named("Deal").unwrap();
    let names = |facts: &RecordFacts| {
        let verdict = gate.judge(facts);
        assert!(verdict.view.is_allow() && verdict.errors.is_empty(), "{verdict:?}");
        let shown = |index: &usize| verdict.fields[*index] == Visibility::Shown;
        let name = |index: usize| record_type.field_name(index).trim_start_matches("Deal.").to_owned();
        (0..record_type.fields.len()).filter(shown).map(name).collect()
    };
    facts.iter().map(names).collect()
}

/// The median time on the clock, and the mean on the processor: the system counts that too coarsely for a single run.
fn timed(runs: usize, mut run: impl FnMut()) -> Value {
    let on_processor = || {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        stat.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    let before = on_processor();
    let wall = |_| {
        let start = Instant::now();
        run();
        u64::try_from(start.elapsed().as_nanos()).unwrap()
    };
    let mut walls: Vec<u64> = (0..runs).map(wall).collect();
    walls.sort_unstable();
    let cpu_ns = (on_processor() - before) / u64::try_from(runs).unwrap();
    serde_json::json!({ "wall_ns": walls[runs / 2], "cpu_ns": cpu_ns })
}

/// A moment of the records' own year.
const NOW_MS: i64 = 1_790_000_000_000;
