//! The writer with a disk that fails and a clock that stands.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::ledger::append::{Health, Ledger, LedgerOptions, Pending, Waiting};
use crate::ledger::durability::Durability;
use crate::ledger::entry::{Entry, Read};
use crate::ledger::error::{FaultStep, LedgerError};
use crate::ledger::folder::segments;
use crate::ledger::tests::{Disk, Standing, all, decided, decision, kinds, options, outcome, shown};

/// A ledger on a disk that can fail.
pub(super) struct Bench {
    pub(super) dir: tempfile::TempDir,
    pub(super) disk: Arc<Disk>,
    time: Standing,
    pub(super) ledger: Ledger,
}

impl Bench {
    pub(super) fn new(set: impl FnOnce(&mut LedgerOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (disk, time) = (Arc::new(Disk::default()), Standing::default());
        let mut options = options(dir.path());
        set(&mut options);
        let (ledger, _) = Ledger::open_with(options, time.clock(), disk.wrap()).unwrap();
        Self { dir, disk, time, ledger }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn operations(&self) -> usize {
        self.disk.operations.load(Ordering::SeqCst)
    }

    fn segments(&self) -> Vec<u64> {
        segments(&self.path().join("ledger")).unwrap()
    }

    /// Waits until the writer is within its nth operation.
    pub(super) fn wait_for_operation(&self, number: usize) {
        while self.operations() < number {
            std::thread::yield_now();
        }
    }
}

/// What an append came to.
#[track_caller]
pub(super) fn step(result: Result<u64, LedgerError>) -> FaultStep {
    match result {
        Err(LedgerError::Unwritable(fault)) => fault.what,
        other => panic!("{other:?}"),
    }
}

fn read(command: &str) -> Entry {
    Entry::Read(Read { command: command.into(), by: "admin-token".into() })
}

#[tokio::test]
async fn what_was_appended_is_in_the_file() {
    let bench = Bench::new(|_| {});
    assert_eq!(bench.ledger.append(decided("a")).await.unwrap(), 2);
    assert_eq!(kinds(bench.path()), ["segment", "decision a"]);
    assert_eq!(bench.ledger.append(outcome("a")).await.unwrap(), 3);
    assert_eq!(bench.ledger.health(), Health { writable: true, last_seq: 3, since_ns: None, why: None });
    assert_eq!(bench.ledger.clone().close().await.unwrap(), 4);
    assert_eq!(kinds(bench.path()), ["segment", "decision a", "outcome a", "stop"]);
}

#[tokio::test]
async fn a_closed_ledger_takes_nothing() {
    let bench = Bench::new(|_| {});
    let other = bench.ledger.clone();
    bench.ledger.clone().close().await.unwrap();
    assert!(matches!(other.append(decided("a")).await, Err(LedgerError::Closed)));
    assert!(matches!(other.append_soon(decided("a")), Err(LedgerError::Closed)));
    assert!(matches!(other.close().await, Err(LedgerError::Closed)));
}

#[tokio::test]
async fn a_failed_write_or_sync_is_final_for_its_file() {
    for (skip, what) in [(0, FaultStep::Write), (1, FaultStep::Sync)] {
        let bench = Bench::new(|_| {});
        bench.ledger.append(decided("a")).await.unwrap();
        bench.disk.fail(skip, 1);
        assert_eq!(step(bench.ledger.append(decided("lost")).await), what);
        let health = bench.ledger.health();
        assert_eq!((health.writable, health.last_seq, health.why), (false, 2, Some(what.code())));
        assert!(health.since_ns.is_some());

        assert_eq!(bench.ledger.append(decided("b")).await.unwrap(), 5);
        assert!(bench.ledger.health().writable);
        assert_eq!(kinds(bench.path()), ["segment", "decision a", "segment", "gap", "decision b"]);
        assert_eq!(bench.segments(), [1, 3]);
        let lines = all(bench.path());
        assert_eq!(lines[2].value["open"], serde_json::json!(["a"]));
        assert_eq!((&lines[3].value["reason"], &lines[3].value["refused"]), (&what.code().into(), &1.into()));
    }
}

#[tokio::test]
async fn one_attempt_per_interval_opens_a_new_segment() {
    let bench = Bench::new(|options| options.reopen_interval_ms = 1000);
    bench.ledger.append(decided("a")).await.unwrap();
    bench.disk.fail(1, 3);
    assert_eq!(step(bench.ledger.append(decided("x1")).await), FaultStep::Sync);
    assert_eq!(
        step(bench.ledger.append(decided("x2")).await),
        FaultStep::Write,
        "the attempt that comes at once"
    );
    let operations = bench.operations();
    bench.time.pass_ms(999);
    assert_eq!(step(bench.ledger.append(decided("x3")).await), FaultStep::Sync, "the first fault is told");
    assert_eq!(bench.operations(), operations, "no attempt within the interval");
    bench.time.pass_ms(1);
    assert_eq!(step(bench.ledger.append(decided("x4")).await), FaultStep::Write);
    assert_eq!(bench.operations(), operations + 1);
    bench.time.pass_ms(1000);
    bench.ledger.append(decided("b")).await.unwrap();
    assert_eq!(kinds(bench.path()), ["segment", "decision a", "segment", "gap", "decision b"]);
    let gap = &all(bench.path())[3].value;
    assert_eq!((&gap["reason"], &gap["refused"]), (&"sync-failed".into(), &4.into()));
}

#[tokio::test]
async fn a_ledger_that_nobody_hands_anything_comes_back_when_it_is_asked_to_try() {
    let bench = Bench::new(|_| {});
    bench.disk.fail(1, 1);
    assert_eq!(step(outcome_of(bench.ledger.submit(decided("lost")).unwrap()).await), FaultStep::Sync);
    bench.ledger.retry();
    while !bench.ledger.health().writable {
        tokio::task::yield_now().await;
    }
    assert_eq!(kinds(bench.path()), ["segment", "segment", "gap"]);
    assert_eq!(all(bench.path())[2].value["refused"], 1, "an attempt is no entry");
    let operations = bench.operations();
    bench.ledger.retry();
    assert_eq!(outcome_of(bench.ledger.submit(decided("a")).unwrap()).await.unwrap(), 4);
    assert_eq!(bench.operations(), operations + 2, "one that is well is left alone");
}

/// Asks until it is known.
async fn outcome_of(mut pending: Pending) -> Result<u64, LedgerError> {
    loop {
        match pending.outcome() {
            Some(outcome) => return outcome,
            None => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn a_clock_that_stepped_back_does_not_keep_the_ledger_closed() {
    let bench = Bench::new(|_| {});
    bench.disk.fail(0, 2);
    step(bench.ledger.append(decided("x1")).await);
    step(bench.ledger.append(decided("x2")).await);
    bench.time.pass_ms(-3_600_000);
    assert!(bench.ledger.append(decided("a")).await.is_ok());
}

#[tokio::test]
async fn a_name_that_is_taken_fails_the_rotation_until_it_is_free() {
    let bench = Bench::new(|options| options.segment_bytes_max = 1);
    let taken = bench.path().join("ledger").join(crate::ledger::folder::segment_name(2));
    std::fs::create_dir(&taken).unwrap();
    assert_eq!(step(bench.ledger.append(decided("a")).await), FaultStep::Create);
    std::fs::remove_dir(&taken).unwrap();
    assert_eq!(bench.ledger.append(decided("a")).await.unwrap(), 5);
    assert_eq!(kinds(bench.path()), ["segment", "segment", "gap", "segment", "decision a"]);
}

/// Whichever operation fails, what was acknowledged is there, what failed is not, and the ledger comes back.
#[tokio::test]
async fn any_operation_may_fail() {
    for failures in [1, 2, 5] {
        for skip in 0..24 {
            let bench = Bench::new(|options| {
                options.segment_bytes_max = 900;
                options.reopen_interval_ms = 0;
            });
            bench.disk.fail(skip, failures);
            let (mut acknowledged, mut failed) = (Vec::new(), 0);
            for at in 0..32 {
                match bench.ledger.append(decided(&format!("d{at}"))).await {
                    Ok(seq) => acknowledged.push((seq, format!("d{at}"))),
                    Err(_) => failed += 1,
                }
            }
            assert!(failed > 0 && failed <= failures, "skip {skip}: {failed}");
            assert_eq!(acknowledged.len() + failed, 32);
            let lines = all(bench.path());
            let found: Vec<(u64, String)> = lines
                .iter()
                .filter(|line| line.kind == "decision")
                .map(|line| (line.place.seq, line.value["id"].as_str().unwrap().to_owned()))
                .collect();
            assert_eq!(found, acknowledged, "skip {skip}");
            let refused: u64 = lines.iter().filter_map(|line| line.value["refused"].as_u64()).sum();
            assert_eq!(refused, failed as u64, "skip {skip}");
            bench.ledger.clone().close().await.unwrap();
            let time = Standing::default();
            let (again, report) = Ledger::open(options(bench.dir.path()), time.clock()).unwrap();
            assert_eq!((report.closed, report.cut_bytes), (acknowledged.len(), 0));
            again.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let bench = Bench::new(|options| options.queue_entries_max = 2);
    let hang = bench.disk.gate.lock().unwrap();
    bench.ledger.append_soon(read("in hand")).unwrap();
    bench.wait_for_operation(4);
    bench.ledger.append_soon(read("first")).unwrap();
    bench.ledger.append_soon(read("second")).unwrap();
    assert!(matches!(bench.ledger.append_soon(read("third")), Err(LedgerError::QueueFull { limit: 2 })));
    let mut back = bench.ledger.offer(Waiting::new(outcome("fourth"), Durability::Sync).unwrap()).unwrap();
    assert!(back.is_some());
    drop(hang);
    while let Some(waiting) = back {
        back = bench.ledger.offer(waiting).unwrap();
    }
    bench.ledger.clone().close().await.unwrap();
    assert_eq!(kinds(bench.path()), ["segment", "read", "read", "read", "outcome fourth", "stop"]);
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "the lock is what makes the disk hang")]
async fn a_disk_that_hangs_is_an_error_in_time() {
    let bench = Bench::new(|options| options.write_timeout_ms = 0);
    let hang = bench.disk.gate.lock().unwrap();
    assert!(matches!(bench.ledger.append(decided("late")).await, Err(LedgerError::Timeout { limit_ms: 0 })));
    bench.ledger.append_soon(read("x")).unwrap();
    bench.wait_for_operation(4);
    bench.time.pass_ms(1);
    let health = bench.ledger.health();
    assert_eq!((health.writable, health.why), (false, Some("write-stalled")));
    drop(hang);
    let Bench { ledger, .. } = bench;
    drop(ledger);
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "the lock is what makes the disk hang")]
async fn who_gave_up_before_the_batch_is_not_recorded() {
    let bench = Bench::new(|_| {});
    let hang = bench.disk.gate.lock().unwrap();
    bench.ledger.append_soon(read("in hand")).unwrap();
    bench.wait_for_operation(4);
    let waiting = tokio::time::timeout(std::time::Duration::ZERO, bench.ledger.append(decided("a")));
    assert!(waiting.await.is_err());
    drop(hang);
    bench.ledger.clone().close().await.unwrap();
    assert_eq!(kinds(bench.path()), ["segment", "read", "stop"]);
}

#[tokio::test]
async fn entries_that_nobody_waits_for_ride_along() {
    let bench = Bench::new(|options| options.soon_wait_ms = 3_600_000);
    bench.ledger.append_soon(outcome("x")).unwrap();
    bench.ledger.append_soon(outcome("y")).unwrap();
    assert_eq!(bench.ledger.append(decided("a")).await.unwrap(), 4);
    let batches: Vec<u64> = all(bench.path()).iter().map(|line| line.place.batch).collect();
    assert_eq!(batches, [1, 2, 2, 2]);
    bench.ledger.append_soon(outcome("a")).unwrap();
    bench.ledger.clone().close().await.unwrap();
    assert_eq!(kinds(bench.path())[4..], ["outcome a", "stop"]);
}

#[tokio::test]
async fn the_last_handle_takes_the_writer_along() {
    let bench = Bench::new(|options| options.soon_wait_ms = 3_600_000);
    bench.ledger.append_soon(read("x")).unwrap();
    let Bench { dir, ledger, .. } = bench;
    drop(ledger);
    let time = Standing::default();
    let again = loop {
        match Ledger::open(options(dir.path()), time.clock()) {
            Ok((ledger, _)) => break ledger,
            Err(LedgerError::Locked { .. }) => std::thread::yield_now(),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(kinds(dir.path()), ["segment", "read"]);
    again.close().await.unwrap();
}

/// How many lines each batch has when `entries` wait for one that hangs.
async fn batch_lines(entries: Vec<Entry>, set: impl FnOnce(&mut LedgerOptions)) -> Vec<usize> {
    let bench = Bench::new(set);
    {
        let hang = bench.disk.gate.lock().unwrap();
        bench.ledger.append_soon(read("in hand")).unwrap();
        bench.wait_for_operation(4);
        entries.into_iter().for_each(|entry| bench.ledger.append_soon(entry).unwrap());
        drop(hang);
    }
    let Bench { dir, ledger, .. } = bench;
    ledger.close().await.unwrap();
    let mut batches = std::collections::BTreeMap::new();
    all(dir.path()).iter().for_each(|line| *batches.entry(line.place.batch).or_insert(0) += 1);
    let lines: Vec<usize> = batches.into_values().collect();
    lines[2..lines.len() - 1].to_vec()
}

#[tokio::test]
async fn a_batch_ends_at_its_limits() {
    let reads = |count: usize| (0..count).map(|_| read("x")).collect::<Vec<_>>();
    let of_four = |options: &mut LedgerOptions| {
        options.batch_entries_max = 4;
        options.soon_wait_ms = 1000;
    };
    assert_eq!(batch_lines(reads(4), of_four).await, [4]);
    assert_eq!(batch_lines(reads(5), of_four).await, [4, 1]);
    let object = r#"{"command":"x","by":"admin-token"}"#.len();
    for (bytes, expected) in [(2 * object, vec![2, 2]), (2 * object - 1, vec![1, 1, 1, 1]), (0, vec![1; 4])] {
        let lines = batch_lines(reads(4), |options| {
            options.batch_bytes_max = bytes;
            options.soon_wait_ms = 1000;
        });
        assert_eq!(lines.await, expected, "{bytes}");
    }
}

#[tokio::test]
async fn an_entry_of_many_lines_is_one_batch() {
    let bench = Bench::new(|options| options.batch_entries_max = 2);
    let mut large = decision("a");
    large.sets = vec![shown(&["Deal.title"], (0..5000).map(|id| format!("{id:036}")).collect())];
    let last = bench.ledger.append(Entry::Decision(Box::new(large))).await.unwrap();
    let lines = all(bench.path());
    assert_eq!(last, lines.len() as u64);
    assert_eq!(
        kinds(bench.path())[1..],
        ["fields", "fields", "decision a", "decision a", "decision a", "decision a"]
    );
    assert!(lines[1..].iter().all(|line| line.place.batch == 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_share_syncs_and_have_numbers_of_their_own() {
    let bench = Bench::new(|options| options.segment_bytes_max = 20_000);
    let tasks: Vec<_> = (0..400)
        .map(|at| {
            let ledger = bench.ledger.clone();
            tokio::spawn(async move { (ledger.append(decided(&format!("d{at}"))).await.unwrap(), at) })
        })
        .collect();
    let mut seqs = std::collections::BTreeMap::new();
    for task in tasks {
        let (seq, at) = task.await.unwrap();
        assert!(seqs.insert(seq, at).is_none());
    }
    let lines = all(bench.path());
    for (seq, at) in seqs {
        assert_eq!(lines[usize::try_from(seq).unwrap() - 1].value["id"], format!("d{at}"));
    }
}
