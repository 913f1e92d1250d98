//! Entries that are acknowledged once they are written: when they are synced, and what is said of them where they are not.
#![expect(clippy::disallowed_methods, reason = "edge: files of the ledger under test")]

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::ledger::append::{Ledger, LedgerOptions};
use crate::ledger::durability::Durability;
use crate::ledger::entry::{Entry, Read};
use crate::ledger::error::{FaultStep, LedgerError};
use crate::ledger::folder::segment_name;
use crate::ledger::line::Flaw;
use crate::ledger::tests::writer::{Bench, step};
use crate::ledger::tests::{Standing, all, decided, kinds, options};
use crate::ledger::verify::verify;

const AN_HOUR_MS: u64 = 3_600_000;

/// A ledger that syncs only when somebody waits for it, or when much is written.
fn bench() -> Bench {
    Bench::new(|options| options.sync_interval_ms = AN_HOUR_MS)
}

impl Bench {
    async fn write(&self, id: &str) -> Result<u64, LedgerError> {
        self.ledger.append_as(decided(id), Durability::Write).await
    }

    /// Waits until entries up to this one are durable.
    async fn synced(&self, seq: u64) {
        while self.ledger.health().last_seq < seq {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn gaps(&self) -> Vec<Value> {
        all(self.path()).into_iter().filter(|line| line.kind == "gap").map(|line| line.value).collect()
    }
}

fn told(gap: &Value) -> (&str, u64, Option<u64>) {
    (gap["reason"].as_str().unwrap(), gap["refused"].as_u64().unwrap(), gap["lost"].as_u64())
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "the lock is what makes syncs hang")]
async fn what_is_only_written_waits_for_no_sync_and_is_not_called_durable() {
    let bench = bench();
    let hang = bench.disk.gate.lock().unwrap();
    let operations = bench.operations();
    for (id, seq) in [("a", 2), ("b", 3)] {
        assert_eq!(bench.write(id).await.unwrap(), seq);
        assert_eq!(kinds(bench.path()).last().unwrap(), &format!("decision {id}"));
    }
    assert_eq!((bench.operations() - operations, bench.ledger.health().last_seq), (2, 1));
    drop(hang);
    assert_eq!(bench.ledger.append(decided("c")).await.unwrap(), 4);
    assert_eq!(bench.ledger.health().last_seq, 4);
    bench.write("d").await.unwrap();
    let batches: Vec<u64> = all(bench.path()).iter().map(|line| line.place.batch).collect();
    assert_eq!(batches, [1, 2, 2, 2, 5], "what one sync makes durable is one batch");
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "the lock is what makes syncs hang")]
async fn in_one_batch_only_those_hear_of_the_sync_who_wait_for_it() {
    let bench = bench();
    let hang = bench.disk.gate.lock().unwrap();
    bench.ledger.append_soon(decided("in hand")).unwrap();
    bench.wait_for_operation(4);
    let hand_over = |id: &'static str, durability| {
        let ledger = bench.ledger.clone();
        tokio::spawn(async move { ledger.append_as(decided(id), durability).await })
    };
    let (synced, written) = (hand_over("a", Durability::Sync), hand_over("b", Durability::Write));
    while bench.ledger.queued() < 2 {
        tokio::task::yield_now().await;
    }
    bench.disk.fail(1, 1);
    drop(hang);
    assert_eq!(written.await.unwrap().unwrap(), 4);
    assert_eq!(step(synced.await.unwrap()), FaultStep::Sync);
    bench.ledger.append(decided("c")).await.unwrap();
    assert_eq!(told(&bench.gaps()[0]), ("sync-failed", 1, Some(1)));
}

#[tokio::test]
async fn it_is_synced_within_the_interval_or_when_it_is_much_or_at_the_end() {
    let bench = Bench::new(|options| options.sync_interval_ms = 1);
    bench.write("a").await.unwrap();
    bench.synced(2).await;

    let much = self::bench();
    let entry = || Entry::Read(Read { command: "x".repeat(50_000), by: String::new() });
    for _ in 0..(4 << 20) / 50_000 {
        much.ledger.append_as(entry(), Durability::Write).await.unwrap();
    }
    assert_eq!(much.ledger.health().last_seq, 1, "not yet");
    much.ledger.append_as(entry(), Durability::Write).await.unwrap();
    much.synced(85).await;

    let ends = self::bench();
    ends.write("a").await.unwrap();
    assert_eq!(ends.ledger.clone().close().await.unwrap(), 3);
    let operations = ends.operations();
    assert_eq!(operations, 2 + 1 + 2, "a head, a write, and a write and a sync of all");

    let Bench { dir, disk, ledger, .. } = {
        let dropped = self::bench();
        dropped.write("a").await.unwrap();
        dropped
    };
    drop(ledger);
    // The head, a write, and the sync that nobody asked for.
    while disk.operations.load(std::sync::atomic::Ordering::SeqCst) < 4 {
        std::thread::yield_now();
    }
    drop(dir);
}

#[tokio::test]
async fn a_sync_that_fails_counts_what_was_acknowledged_before_it() {
    let bench = bench();
    bench.write("a").await.unwrap();
    bench.write("b").await.unwrap();
    bench.disk.fail(1, 1);
    assert_eq!(step(bench.ledger.append(decided("c")).await), FaultStep::Sync);
    let health = bench.ledger.health();
    assert_eq!((health.writable, health.last_seq, health.why), (false, 1, Some("sync-failed")));
    assert_eq!(bench.ledger.append(decided("d")).await.unwrap(), 4);
    assert_eq!(kinds(bench.path()), ["segment", "segment", "gap", "decision d"]);
    assert_eq!(told(&bench.gaps()[0]), ("sync-failed", 1, Some(2)));
    assert_eq!(all(bench.path())[1].value["open"], serde_json::json!([]), "what is gone is not open");
    let life = verify(bench.path(), &[], &mut |_, _| {}).unwrap().life;
    assert_eq!((life.gaps, life.refused, life.lost), (1, 1, 2));
}

/// A file that takes no more bytes can still be synced: what was acknowledged of it stays.
#[tokio::test]
async fn a_write_that_fails_keeps_what_was_written_before() {
    let bench = bench();
    bench.write("a").await.unwrap();
    bench.disk.fail(0, 1);
    assert_eq!(step(bench.write("b").await), FaultStep::Write);
    bench.write("c").await.unwrap();
    assert_eq!(kinds(bench.path()), ["segment", "decision a", "segment", "gap", "decision c"]);
    assert_eq!(told(&bench.gaps()[0]), ("write-failed", 1, None));

    // Unless that fails as well.
    bench.disk.fail(0, 2);
    assert_eq!(step(bench.write("d").await), FaultStep::Write);
    bench.write("e").await.unwrap();
    assert_eq!(told(&bench.gaps()[1]), ("write-failed", 1, Some(1)));
}

#[tokio::test]
async fn a_segment_is_begun_when_all_before_it_is_durable() {
    let bench = Bench::new(|options| {
        options.sync_interval_ms = AN_HOUR_MS;
        options.segment_bytes_max = 300;
    });
    bench.write("a").await.unwrap();
    bench.disk.fail(0, 1);
    assert_eq!(step(bench.write("b").await), FaultStep::Sync);
    bench.write("c").await.unwrap();
    assert_eq!(told(&bench.gaps()[0]), ("sync-failed", 1, Some(1)));
    bench.write("d").await.unwrap();
    verify(bench.path(), &[], &mut |_, _| {}).unwrap();
}

/// Whichever operation fails: what was synced is there, and what else was acknowledged is there or counted.
#[tokio::test]
async fn any_operation_may_fail() {
    for failures in [1, 2, 5] {
        for skip in 0..24 {
            let bench = Bench::new(|options| {
                options.sync_interval_ms = AN_HOUR_MS;
                options.segment_bytes_max = 900;
                options.reopen_interval_ms = 0;
            });
            bench.disk.fail(skip, failures);
            let (mut synced, mut written, mut refused) = (Vec::new(), Vec::new(), 0);
            for at in 0..48 {
                let id = format!("d{at}");
                let is_synced = at % 4 == 3;
                let durability = if is_synced { Durability::Sync } else { Durability::Write };
                match bench.ledger.append_as(decided(&id), durability).await {
                    Ok(_) if is_synced => synced.push(id),
                    Ok(_) => written.push(id),
                    Err(_) => refused += 1,
                }
            }
            bench.ledger.clone().close().await.unwrap();
            let lines = all(bench.path());
            let has = |id: &String| lines.iter().any(|line| line.value["id"].as_str() == Some(id));
            assert!(synced.iter().all(has), "skip {skip}");
            let sum = |member: &str| lines.iter().filter_map(|line| line.value[member].as_u64()).sum::<u64>();
            assert_eq!(sum("refused"), refused, "skip {skip}");
            let missing = written.iter().filter(|id| !has(id)).count();
            assert_eq!(sum("lost"), missing as u64, "skip {skip}");
            verify(bench.path(), &[], &mut |_, _| {}).unwrap();
        }
    }
}

/// What a machine that fails may leave: of lines that were never synced, later ones without earlier ones.
#[tokio::test]
async fn a_hole_in_what_was_never_synced_is_a_torn_tail_and_one_before_a_sync_is_damage() {
    for is_synced_after in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let time = Standing::default();
        let never = LedgerOptions { sync_interval_ms: AN_HOUR_MS, ..options(dir.path()) };
        let (ledger, _) = Ledger::open(never, time.clock()).unwrap();
        for id in ["a", "b", "c"] {
            ledger.append_as(decided(id), Durability::Write).await.unwrap();
        }
        if is_synced_after {
            ledger.append(decided("d")).await.unwrap();
            ledger.append_as(decided("e"), Durability::Write).await.unwrap();
        }
        let path = dir.path().join("ledger").join(segment_name(1));
        let mut bytes = fs::read(&path).unwrap();
        drop(ledger);
        let hole = bytes.windows(10).position(|part| part == br#""id":"b",""#).unwrap();
        bytes[hole + 6] = 0;
        // The copy of a moment at which the writer had synced no more.
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir(copy.path().join("ledger")).unwrap();
        fs::write(copy.path().join("ledger").join(segment_name(1)), &bytes).unwrap();
        match Ledger::open(options(copy.path()), time.clock()) {
            Ok((_, report)) => {
                assert!(!is_synced_after && report.cut_bytes > 0, "{report:?}");
                assert_eq!(kinds(copy.path()), ["segment", "decision a", "outcome a", "recovered"]);
            }
            Err(LedgerError::Damaged { line: 3, flaw: Flaw::Checksum, .. }) => assert!(is_synced_after),
            Err(other) => panic!("{other}"),
        }
    }
}
