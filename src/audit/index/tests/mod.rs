//! The index against a slow reading of every line, over random ledgers; and what makes it be made anew.
#![expect(clippy::disallowed_methods, reason = "tests cut, replace and read files")]

mod random;
mod twin;

use std::path::Path;

use proptest::prelude::*;

use super::Index;
use super::ask::Named;
use super::error::IndexError;
use super::question::{Change, Did, Record, Stages, Within};
use crate::ledger::append::{Ledger, LedgerOptions};
use crate::ledger::clock::Clock;
use crate::ledger::entry::Entry;
use crate::ledger::error::LedgerError;
use random::Ops;
use twin::Twin;

fn open(folder: &Path) -> Result<Index, IndexError> {
    Index::open(&folder.join("index.sqlite"), folder, &mut |_, _| {})
}

/// A ledger of several segments, so that field sets are spelled again.
fn ledger(folder: &Path, clock: Clock) -> Ledger {
    let mut options = LedgerOptions::new(folder, "boot");
    options.segment_bytes_max = 20_000;
    options.queue_entries_max = 100_000;
    Ledger::open(options, clock).unwrap().0
}

/// Adds entries to a ledger; they are there when this returns.
async fn add(ledger: &Ledger, mut entries: Vec<Entry>) {
    let last = entries.pop();
    entries.into_iter().for_each(|entry| ledger.append_soon(entry).unwrap());
    ledger.append(last.unwrap()).await.unwrap();
}

/// Adds entries to the ledger in a folder, in one life.
async fn append(folder: &Path, entries: Vec<Entry>, clock: Clock) {
    let ledger = ledger(folder, clock);
    add(&ledger, entries).await;
    ledger.close().await.unwrap();
}

fn record(id: &str) -> Record {
    Record { type_name: "Deal".to_owned(), id: id.to_owned() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever is asked, within whatever bounds, and however often it was brought up to date in between.
    #[test]
    fn the_index_answers_as_a_reading_of_every_line(seed in any::<u64>()) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut ops = Ops::new(seed);
        for _ in 0..ops.below(2) + 1 {
            let (entries, clock) = ops.day();
            let ledger = ledger(folder.path(), clock);
            runtime.block_on(add(&ledger, entries));
            for _ in 0..ops.below(3) {
                drop(open(folder.path()).unwrap());
                runtime.block_on(add(&ledger, ops.hours()));
            }
            runtime.block_on(ledger.close()).unwrap();
        }
        let (index, twin) = (open(folder.path()).unwrap(), Twin::read(folder.path()));
        for _ in 0..16 {
            let within = ops.within(&twin);
            prop_assert_eq!(twin.deeds(&within), twin::deeds(&index, &within));
            for id in ["1", "2", "(new)"] {
                for field in [None, Some("Deal.amount"), Some("Deal.margin"), Some("Deal.nothing")] {
                    prop_assert_eq!(twin.who_saw(id, field, &within), twin::sightings(index.who_saw(&record(id), field, &within)));
                    prop_assert_eq!(twin.who_changed(id, field, &within), twin::seqs(index.who_changed(&record(id), field, &within)));
                }
            }
            for who in ["p_a", "p_b", "p_nobody"] {
                for did in [None, Some(Did::Saw), Some(Did::Changed), Some(Did::Refused), Some(Did::HeldBack)] {
                    prop_assert_eq!(twin.by(who, did, &within), twin::seqs(index.by(who, did, &within)), "{} {:?}", who, did);
                }
            }
            let stage = |name: &str| Stages::Stage(name.to_owned());
            for stages in [Stages::All, stage("sales.won"), stage("sales.lost"), Stages::Pipeline("sales".to_owned())] {
                for change in [None, Some(Change::Refused)] {
                    prop_assert_eq!(twin.moves(&stages, change, &within), twin::moves(index.moves(&stages, change, &within)));
                }
            }
            for reason in [None, Some("denied"), Some("upstream-timeout"), Some("nothing")] {
                prop_assert_eq!(twin.refused(reason, &within), twin::seqs(index.refused(reason, &within)));
                prop_assert_eq!(twin.unidentified(reason, &within), twin::counted(index.refused_unidentified(reason, &within)));
            }
        }
        for act in index.by("p_a", None, &Within::everything()).unwrap().rows {
            prop_assert_eq!(twin.item(act.seq), index.item(&act).unwrap());
        }
    }
}

#[tokio::test]
async fn an_index_that_does_not_fit_is_made_anew() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = folder.path().join("index.sqlite");
    let all = |folder: &Path| twin::seqs(open(folder).unwrap().refused(None, &Within::everything()));
    let mut ops = Ops::new(7);
    for folder in [folder.path(), other.path()] {
        let (entries, clock) = ops.day();
        append(folder, entries, clock).await;
    }
    let found = all(folder.path());
    assert!(!found.0.is_empty(), "the day has refusals");
    let expected = Twin::read(folder.path()).refused(None, &Within::everything());
    assert_eq!(found, expected);
    // Removed; another ledger's; a newer version's.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(all(folder.path()), expected);
    all(other.path());
    std::fs::copy(other.path().join("index.sqlite"), &file).unwrap();
    assert_eq!(all(folder.path()), expected);
    let newer = rusqlite::Connection::open(&file).unwrap();
    newer.execute_batch("PRAGMA user_version = 99; CREATE TABLE new(x); DELETE FROM refused;").unwrap();
    drop(newer);
    assert_eq!(all(folder.path()), expected);
    // A ledger that was cut after a fault, and went on otherwise.
    let segments = crate::ledger::read::segment_sizes(folder.path()).unwrap();
    let (last, bytes) = *segments.last().unwrap();
    let path = folder.path().join("ledger").join(format!("segment-{last:020}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap();
    let kept = text
        .lines()
        .take(text.lines().count().saturating_sub(2).max(1))
        .map(|line| line.len() as u64 + 1)
        .sum::<u64>();
    assert!(kept < bytes);
    let segment = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    segment.set_len(kept).unwrap();
    let (entries, clock) = ops.day();
    append(folder.path(), entries, clock).await;
    assert_eq!(all(folder.path()), Twin::read(folder.path()).refused(None, &Within::everything()));
}

#[tokio::test]
async fn what_somebody_else_made_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (entries, clock) = Ops::new(1).day();
    append(folder.path(), entries, clock).await;
    let file = folder.path().join("index.sqlite");
    std::fs::write(&file, "my notes").unwrap();
    assert!(matches!(open(folder.path()), Err(IndexError::Foreign { .. })));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "my notes");
    std::fs::remove_file(&file).unwrap();
    let others = rusqlite::Connection::open(&file).unwrap();
    others.execute_batch("CREATE TABLE mine(x)").unwrap();
    drop(others);
    assert!(matches!(open(folder.path()), Err(IndexError::Foreign { .. })));
    // What was never written into is nobody's.
    std::fs::write(&file, "").unwrap();
    open(folder.path()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o644, "whoever made it chose its rights");
    std::fs::remove_file(&file).unwrap();
    open(folder.path()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn damage_ends_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut ops = Ops::new(3);
    let (entries, clock) = ops.day();
    append(folder.path(), entries, clock).await;
    let index = open(folder.path()).unwrap();
    let acts = index.by("p_a", None, &Within::everything()).unwrap().rows;
    let act = acts.first().unwrap();
    let path = folder.path().join("ledger").join(format!("segment-{:020}.jsonl", 1));
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replacen(&format!("\"{}\"", act.id), "\"another\"", 1);
    std::fs::write(&path, &changed).unwrap();
    let damaged = index.item(act).unwrap_err();
    assert!(matches!(damaged, IndexError::Ledger(LedgerError::Damaged { .. })), "{damaged}");
    std::fs::remove_file(folder.path().join("index.sqlite")).unwrap();
    assert!(matches!(open(folder.path()), Err(IndexError::Ledger(LedgerError::Damaged { .. }))));
    // A line whose checksum holds, of another decision.
    std::fs::write(&path, &text).unwrap();
    let index = open(folder.path()).unwrap();
    let mut elsewhere = act.clone();
    elsewhere.id = "another".to_owned();
    assert!(matches!(index.item(&elsewhere), Err(IndexError::Stale { .. })));
}

#[tokio::test]
async fn names_that_no_entry_has_are_told_with_those_that_are_near() {
    let folder = tempfile::tempdir().unwrap();
    let (entries, clock) = Ops::new(5).day();
    append(folder.path(), entries, clock).await;
    let index = open(folder.path()).unwrap();
    let near = |named: Named<'_>| index.unknown(&named).unwrap().map(|unknown| unknown.nearest);
    assert_eq!(near(Named::Type("Deal")), None);
    assert_eq!(near(Named::Type("Deals")), Some(Some("Deal".to_owned())));
    assert_eq!(near(Named::FieldOf("Deal", "Deal.amount")), None);
    assert_eq!(near(Named::FieldOf("Deal", "Deal.amuont")), Some(Some("Deal.amount".to_owned())));
    assert_eq!(near(Named::FieldOf("Deal", "Deal.zzzzzzzzzz")), Some(None));
    assert_eq!(near(Named::Stage("sales.won")), None);
    assert_eq!(near(Named::Stage("sales.wno")), Some(Some("sales.won".to_owned())));
    assert_eq!(near(Named::Stage("won")), Some(Some("after.won".to_owned())), "the first of two");
    assert_eq!(near(Named::Reason("denied")), None);
    assert_eq!(near(Named::Policy("policy.a")), None);
    assert_eq!(near(Named::Policy("policy.aa")), Some(Some("policy.a".to_owned())));
}

/// Entries that take several lines are one, whichever of them a record stands in; long lists count part by part.
#[tokio::test]
async fn every_line_of_a_long_entry_counts() {
    let folder = tempfile::tempdir().unwrap();
    append(folder.path(), random::long_entries(), Ops::new(1).day().1).await;
    let parts = crate::ledger::read::entries(folder.path(), 0)
        .filter(|line| line.as_ref().unwrap().value.get("part").is_some());
    assert!(parts.count() >= 6, "the entries were split");
    let (index, twin, all) = (open(folder.path()).unwrap(), Twin::read(folder.path()), Within::everything());
    for id in [0, 8_999, 9_000, 17_999, 18_000, 26_999].map(random::long_id) {
        let seen = twin::sightings(index.who_saw(&record(&id), Some("Deal.amount"), &all));
        assert_eq!((seen.0.len(), &seen), (1, &twin.who_saw(&id, Some("Deal.amount"), &all)), "{id}");
    }
    let changed = random::long_id(26_999);
    assert_eq!(twin::seqs(index.who_changed(&record(&changed), None, &all)).0.len(), 1);
    for act in index.by("p_a", None, &all).unwrap().rows {
        let item = index.item(&act).unwrap();
        assert_eq!((twin.item(act.seq), item.entry.get("part")), (item.clone(), None));
    }
}
