//! The tailer with a sink that does what it is told to.
#![expect(clippy::disallowed_methods, reason = "a test takes a segment away and puts it back")]

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::fault::{SinkError, SinkFault};
use super::tailer::{Phase, Tailer, TailerOptions};
use super::target::{Log, Position, Target};
use super::watch::SinkWatch;
use crate::ledger::append::{Ledger, LedgerOptions};
use crate::ledger::batches::{Batch, BatchLimits};
use crate::ledger::clock;
use crate::ledger::cursor::{CursorFile, Mark};
use crate::ledger::entry::sink::SinkState;
use crate::ledger::entry::{Entry, Read};
use crate::ledger::log_id::LogId;
use crate::ledger::read::entries;
use crate::telemetry::clock::Clock;
use crate::telemetry::metrics::Metrics;

/// What the sink does with the next exchange; nothing left means that it takes everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Takes it and says so.
    Take,
    /// Takes it, and the answer is lost.
    TakeSilently,
    /// Does not.
    Refuse,
    /// Never answers.
    Hang,
    /// Forgets so many entries, then takes it, but does not say so.
    Forget(usize),
}

/// A sink in memory, as its tests see it.
#[derive(Default)]
struct Memory {
    lines: Vec<Vec<u8>>,
    script: VecDeque<Act>,
    positions: usize,
}

type Shared = Arc<Mutex<Memory>>;

/// It keeps its own cursor, as a store does, or not, as a receiver does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeps {
    Cursor,
    Nothing,
}

struct Fake(Shared, Keeps);

impl Target for Fake {
    fn kind(&self) -> &'static str {
        "fake"
    }

    async fn position(&mut self, _: &Log) -> Result<Position, SinkError> {
        let mut memory = self.0.lock().unwrap();
        memory.positions += 1;
        Ok(match (self.1, memory.lines.last()) {
            (Keeps::Nothing, _) => Position::KeptHere,
            (Keeps::Cursor, None) => Position::Nothing,
            (Keeps::Cursor, Some(line)) => Position::At(Mark::at(seq(line), line)),
        })
    }

    async fn deliver(&mut self, _: &Log, _: &Mark, batch: &Batch) -> Result<(), SinkError> {
        let act = self.0.lock().unwrap().script.pop_front().unwrap_or(Act::Take);
        let refused = || Err(SinkError::new(SinkFault::Refused, "as told"));
        match act {
            Act::Refuse => return refused(),
            Act::Hang => std::future::pending().await,
            Act::Take | Act::TakeSilently | Act::Forget(_) => {}
        }
        let mut memory = self.0.lock().unwrap();
        if let Act::Forget(count) = act {
            let left = memory.lines.len().saturating_sub(count);
            memory.lines.truncate(left);
            return refused();
        }
        memory.lines.extend(batch.lines().map(<[u8]>::to_vec));
        if act == Act::TakeSilently { refused() } else { Ok(()) }
    }
}

/// A ledger and its one sink.
struct Rig {
    dir: tempfile::TempDir,
    ledger: Ledger,
    memory: Shared,
    watch: Arc<SinkWatch>,
    metrics: Arc<Metrics>,
    phase: watch::Sender<Phase>,
    task: JoinHandle<()>,
}

impl Rig {
    fn new(keeps: Keeps, script: &[Act]) -> Self {
        let memory = Memory { script: script.iter().copied().collect(), ..Memory::default() };
        Self::on(tempfile::tempdir().unwrap(), keeps, Arc::new(Mutex::new(memory)))
    }

    fn on(dir: tempfile::TempDir, keeps: Keeps, memory: Shared) -> Self {
        let options = LedgerOptions {
            segment_bytes_max: 3_000,
            soon_wait_ms: 0,
            ..LedgerOptions::new(dir.path(), "boot")
        };
        let (ledger, _) = Ledger::open(options, clock::system()).unwrap();
        let log = Log { id: LogId::open(dir.path()).unwrap(), label: None };
        let watch = Arc::new(SinkWatch::new("fake".to_owned(), "fake"));
        let (phase, listening) = watch::channel(Phase::Running);
        let options = TailerOptions {
            state: dir.path().to_owned(),
            timeout_ms: 200,
            batch: BatchLimits { lines_max: 7, bytes_max: 1 << 20 },
            retry_first_ms: 1,
            retry_max_ms: 4,
            poll_ms: 1,
        };
        let metrics = Arc::new(Metrics::default());
        let tailer = Tailer::new(
            Fake(Arc::clone(&memory), keeps),
            log,
            ledger.clone(),
            options,
            Arc::clone(&watch),
            Arc::clone(&metrics),
            Clock::system(),
        );
        let task = tokio::spawn(tailer.run(listening));
        Self { dir, ledger, memory, watch, metrics, phase, task }
    }

    async fn write(&self, count: usize) {
        for number in 0..count {
            let entry = Entry::Read(Read { command: format!("command {number}"), by: "admin-token".into() });
            self.ledger.append(entry).await.unwrap();
        }
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(
            waited.await.is_ok(),
            "never: {what}: {:?}",
            self.watch.status(self.ledger.health().last_seq, 0)
        );
    }

    async fn caught_up(&self) {
        self.until("caught up", |rig| rig.watch.acknowledged() == Some(rig.ledger.health().last_seq)).await;
    }

    /// Ends the sink as the end of a service does, and returns its folder and what it has.
    async fn end(self) -> (tempfile::TempDir, Shared) {
        self.ledger.clone().close().await.unwrap();
        self.phase.send(Phase::Finishing).unwrap();
        self.task.await.unwrap();
        (self.dir, self.memory)
    }

    fn sink_entries(&self) -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let lines = entries(self.dir.path(), 0).map(Result::unwrap).filter(|line| line.kind == "sink");
        lines.map(|line| (text(&line.value["state"]), text(&line.value["reason"]))).collect()
    }
}

fn seq(line: &[u8]) -> u64 {
    crate::ledger::line::check(line).unwrap().place.seq
}

/// Whether the sink has these lines and no others.
#[track_caller]
fn same(memory: &Shared, expected: &[Vec<u8>]) {
    let held: Vec<u64> = memory.lock().unwrap().lines.iter().map(|line| seq(line)).collect();
    assert_eq!(held, expected.iter().map(|line| seq(line)).collect::<Vec<_>>());
    assert!(memory.lock().unwrap().lines == expected, "a line differs");
}

fn written(dir: &Path) -> Vec<Vec<u8>> {
    entries(dir, 0).map(|line| line.unwrap().bytes).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_gets_every_line_once_whatever_it_does() {
    use Act::{Forget, Hang, Refuse, Take, TakeSilently};
    let script = [Take, TakeSilently, Refuse, Take, Hang, TakeSilently, Forget(9), Take, Forget(1), Take];
    let rig = Rig::new(Keeps::Cursor, &script);
    rig.write(60).await;
    rig.until("the script is over", |rig| rig.memory.lock().unwrap().script.is_empty()).await;
    rig.write(5).await;
    rig.caught_up().await;
    // 9 and 1, but what was taken silently was never known to be there.
    let lost = rig.watch.status(0, 0).lost;
    assert!((1..=10).contains(&lost), "{lost}");
    let (dir, memory) = rig.end().await;
    // The end of the ledger too.
    same(&memory, &written(dir.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_misses_nothing_and_goes_on_where_it_was_after_a_restart() {
    let rig = Rig::new(Keeps::Nothing, &[Act::Take, Act::TakeSilently, Act::Refuse, Act::Hang]);
    rig.write(30).await;
    rig.caught_up().await;
    let (dir, memory) = rig.end().await;
    let first: Vec<u64> = memory.lock().unwrap().lines.iter().map(|line| seq(line)).collect();
    let distinct: std::collections::BTreeSet<u64> = first.iter().copied().collect();
    assert!(first.len() > distinct.len(), "what was taken silently came again");
    assert_eq!(distinct.len(), written(dir.path()).len());
    memory.lock().unwrap().lines.clear();
    let rig = Rig::on(dir, Keeps::Nothing, memory);
    rig.write(3).await;
    rig.caught_up().await;
    let (dir, memory) = rig.end().await;
    let second: Vec<u64> = memory.lock().unwrap().lines.iter().map(|line| seq(line)).collect();
    let last = u64::try_from(written(dir.path()).len()).unwrap();
    let before = distinct.len() as u64;
    assert_eq!(second, (before + 1..=last).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn down_and_up_are_told_once_each() {
    let rig = Rig::new(Keeps::Cursor, &[Act::Refuse; 12]);
    rig.write(2).await;
    rig.until("down", |rig| rig.watch.state() == SinkState::Down).await;
    let status = rig.watch.status(rig.ledger.health().last_seq, i64::MAX);
    assert!(status.failures >= 3 && status.lag_entries > 0 && status.lag_ms > 0, "{status:?}");
    assert_eq!(status.error.as_ref().map(|error| error.fault), Some(SinkFault::Refused));
    rig.until("up", |rig| rig.sink_entries().len() == 2).await;
    rig.caught_up().await;
    rig.until("nothing waits", |rig| rig.watch.status(rig.ledger.health().last_seq, i64::MAX).failures == 0)
        .await;
    let (down, up) = (("down", "sink-refused"), ("up", ""));
    let told = [down, up].map(|(state, reason)| (state.to_owned(), reason.to_owned()));
    assert_eq!(rig.sink_entries(), told);
    let status = rig.watch.status(rig.ledger.health().last_seq, i64::MAX);
    assert_eq!((status.failures, status.lag_entries, status.lag_ms, status.error), (0, 0, 0, None));
    let metrics = rig.metrics.encode(&Default::default());
    let failures = "lockkeeper_sink_failures_total{sink=\"fake\",reason=\"sink-refused\"} 12";
    assert!(metrics.contains(failures), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_hangs_delays_no_entry() {
    let rig = Rig::new(Keeps::Cursor, &[Act::Hang; 3]);
    rig.write(40).await;
    assert_eq!(rig.watch.acknowledged().unwrap_or(0), 0, "nothing was taken, and the ledger took everything");
    rig.caught_up().await;
    assert_eq!(rig.sink_entries()[0], ("down".to_owned(), "sink-timeout".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_a_copy_of_this_ledger_gets_nothing() {
    let rig = Rig::new(Keeps::Cursor, &[]);
    rig.write(10).await;
    rig.caught_up().await;
    let (_dir, memory) = rig.end().await;
    let others = memory.lock().unwrap().lines.clone();
    // As many lines as this ledger has, of another one; and more than it has, as after it was put back to an older state.
    for (count, expected) in [(5, "is not this ledger's"), (others.len(), "put back to an older state")] {
        let held = Memory { lines: others[..count].to_vec(), ..Memory::default() };
        let rig = Rig::on(tempfile::tempdir().unwrap(), Keeps::Cursor, Arc::new(Mutex::new(held)));
        rig.write(6).await;
        // Before the entries are there, the ledger seems to be an older state.
        let is_told =
            |rig: &Rig| rig.watch.status(0, 0).error.is_some_and(|error| error.detail.contains(expected));
        rig.until(expected, |rig| rig.watch.state() == SinkState::Down && is_told(rig)).await;
        assert_eq!(rig.watch.status(0, 0).error.unwrap().fault, SinkFault::Diverged);
        // Nothing was sent.
        same(&rig.memory, &others[..count]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_that_are_gone_are_never_left_out_in_silence() {
    let rig = Rig::new(Keeps::Cursor, &[Act::Take, Act::Hang, Act::Hang, Act::Hang, Act::Hang]);
    rig.write(120).await;
    rig.until("a batch was taken", |rig| rig.watch.acknowledged().is_some()).await;
    let starts = crate::ledger::read::segment_starts(rig.dir.path()).unwrap();
    let second = rig.dir.path().join(format!("ledger/segment-{:020}.jsonl", starts[1]));
    let kept = std::fs::read(&second).unwrap();
    std::fs::remove_file(&second).unwrap();
    let is_missing = |rig: &Rig| {
        let error = rig.watch.status(0, 0).error;
        error.is_some_and(|error| {
            error.fault == SinkFault::SegmentsMissing && error.detail.contains("are gone")
        })
    };
    rig.until("missing", is_missing).await;
    std::fs::write(&second, kept).unwrap();
    rig.caught_up().await;
    let (dir, memory) = rig.end().await;
    same(&memory, &written(dir.path()));
}

/// What may be removed from the ledger is what a sink has now, and what a crash would not make it ask for again.
#[tokio::test]
async fn a_sink_has_for_certain_what_it_says_now_and_what_is_kept() {
    let rig = Rig::new(Keeps::Nothing, &[]);
    rig.write(5).await;
    let last = rig.ledger.health().last_seq;
    assert!(!rig.watch.has_for_certain(last + 1));
    rig.until("certain", |rig| rig.watch.has_for_certain(last)).await;
    assert!(!rig.watch.has_for_certain(last + 1), "it was sent no more");
    let kept = CursorFile::new(rig.dir.path(), "fake").read(LogId::open(rig.dir.path()).unwrap().as_str());
    assert!(kept.unwrap().is_some_and(|kept| kept.seq >= last), "so far is durable here");
    rig.memory.lock().unwrap().script = [Act::Refuse; 50].into_iter().collect();
    rig.write(1).await;
    rig.until("failing", |rig| !rig.watch.has_for_certain(1)).await;
    assert!(rig.watch.acknowledged() >= Some(last), "which it may have lost");
    rig.caught_up().await;
    rig.until("certain again", |rig| rig.watch.has_for_certain(last)).await;
    drop(rig.end().await);
}
