//! The task of one sink: reads what is durable, sends it, and moves its cursor when the sink has acknowledged.
//!
//! Promises: after any failure the sink is asked anew how far it has come, and what it has is compared with the ledger; waits
//! double up to a limit and are never random; a change of state is told once. Never reads behind the durable end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::fault::{SinkError, SinkFault};
use super::target::{Log, Position, Target, blocking, within};
use super::watch::SinkWatch;
use crate::ledger::append::Ledger;
use crate::ledger::batches::{Batch, BatchError, BatchLimits, Batches};
use crate::ledger::cursor::{CursorFile, Mark};
use crate::ledger::entry::Entry;
use crate::ledger::entry::sink::{SinkChange, SinkState};
use crate::ledger::line;
use crate::ledger::read::segment_starts;
use crate::telemetry::clock::Clock;
use crate::telemetry::metrics::Metrics;

/// What a sink may cost.
#[derive(Clone, Debug)]
pub struct TailerOptions {
    /// The state folder.
    pub state: PathBuf,
    /// For one exchange with the sink.
    pub timeout_ms: u64,
    /// How large a batch may become.
    pub batch: BatchLimits,
    /// The first wait after a failure; each further one doubles it.
    pub retry_first_ms: u64,
    /// The longest wait after a failure.
    pub retry_max_ms: u64,
    /// How often new entries are looked for.
    pub poll_ms: u64,
}

/// What the service wants of its sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Go on.
    Running,
    /// Send what is there, and end; a sink that fails is not waited for.
    Finishing,
}

/// The task of one sink.
pub struct Tailer<T> {
    target: T,
    log: Log,
    ledger: Ledger,
    options: TailerOptions,
    cursor: CursorFile,
    watch: Arc<SinkWatch>,
    metrics: Arc<Metrics>,
    clock: Clock,
    at: Option<Place>,
    /// The last entry that the sink has, as far as this process knows.
    has: Option<Mark>,
    /// What is kept in the cursor's file, and when that was written.
    kept: (Mark, i64),
    failures: u32,
    /// What the operational log was last told.
    logged: SinkState,
    /// What the ledger was last told.
    told: SinkState,
}

/// Where the sink stands: what it has, and what comes next.
struct Place {
    mark: Mark,
    batches: Batches,
}

/// What a step came to.
enum Step {
    /// A batch was taken.
    Moved,
    /// There is nothing to send.
    Idle,
    /// It failed: wait so long.
    Failed(Duration),
}

impl<T: Target> Tailer<T> {
    /// A task that has not begun.
    pub fn new(
        target: T,
        log: Log,
        ledger: Ledger,
        options: TailerOptions,
        watch: Arc<SinkWatch>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        let cursor = CursorFile::new(&options.state, &watch.name);
        let (kept, told) = ((Mark::before(0), 0), SinkState::Up);
        Self {
            target,
            log,
            ledger,
            options,
            cursor,
            watch,
            metrics,
            clock,
            at: None,
            has: None,
            kept,
            failures: 0,
            logged: told,
            told,
        }
    }

    /// Works until it is told to finish.
    pub async fn run(mut self, mut phase: watch::Receiver<Phase>) {
        loop {
            // Looked at before the step: what became durable while a step was under way is not in it.
            let is_finishing = *phase.borrow() == Phase::Finishing;
            let step = self.step().await;
            self.tell();
            let wait = match step {
                Step::Moved => continue,
                Step::Idle => Duration::from_millis(self.options.poll_ms),
                Step::Failed(wait) => wait,
            };
            if is_finishing {
                break;
            }
            let finishing = phase.wait_for(|phase| *phase == Phase::Finishing);
            // Nobody is left who could say more.
            if let Ok(Err(_)) = timeout(wait, finishing).await {
                break;
            }
        }
        // What cannot be kept is sent once more at the next start.
        let _ = self.keep_cursor().await;
    }

    async fn step(&mut self) -> Step {
        match self.try_step().await {
            Ok(step) => step,
            Err(error) => self.failed(error),
        }
    }

    async fn try_step(&mut self) -> Result<Step, SinkError> {
        let durable_seq = self.ledger.health().last_seq;
        let place = match self.at.take() {
            Some(place) => place,
            None => self.locate(durable_seq).await?,
        };
        if place.mark.seq < durable_seq {
            self.watch.waits(self.clock.now_ms());
        }
        let (Place { mark, mut batches }, limits) = (place, self.options.batch);
        let (batches, batch) = blocking(move || {
            let batch = batches.read(durable_seq, limits);
            (batches, batch)
        })
        .await?;
        let Some(batch) = batch? else {
            self.watch.has(mark.seq, None);
            self.watch.took();
            self.at = Some(Place { mark, batches });
            self.failures = 0;
            self.keep_cursor_sometimes().await?;
            return Ok(Step::Idle);
        };
        let first = batch.lines().next().unwrap_or_default();
        self.watch.waits(time_ms(first).unwrap_or(self.clock.now_ms()));
        let sent = self.target.deliver(&self.log, &mark, &batch);
        within(self.options.timeout_ms, sent).await?;
        self.acknowledged(batches, &batch, durable_seq);
        self.keep_cursor_sometimes().await?;
        Ok(Step::Moved)
    }

    /// Asks the sink how far it has come, and compares what it has with what was written.
    async fn locate(&mut self, durable_seq: u64) -> Result<Place, SinkError> {
        if self.has.is_none() {
            let (cursor, id) = (self.cursor.clone(), self.log.id.clone());
            self.has = blocking(move || cursor.read(id.as_str())).await??;
        }
        let here = self.has.clone();
        // So far it had come, as far as is known without asking.
        if let Some(here) = &here {
            self.watch.knows(here.seq);
        }
        let asked = self.target.position(&self.log);
        let position = within(self.options.timeout_ms, asked).await?;
        let mark = match (position, &here) {
            (Position::At(mark), _) => mark,
            // Without a digest it has nothing yet, and what was removed since cannot be sent any more.
            (Position::KeptHere, Some(here)) if !here.sha256.is_empty() => here.clone(),
            (Position::KeptHere | Position::Nothing, _) => {
                let state = self.options.state.clone();
                let starts = blocking(move || segment_starts(&state)).await??;
                Mark::before(starts.first().copied().unwrap_or(1))
            }
        };
        let (log, state, found) = (self.log.clone(), self.options.state.clone(), mark.clone());
        blocking(move || compare(&log, &state, &found, durable_seq)).await??;
        let place = Place { mark: mark.clone(), batches: Batches::new(&self.options.state, mark.seq + 1) };
        self.watch.knows(mark.seq);
        self.has = Some(mark.clone());
        if let Some(here) = here.filter(|here| here.seq > mark.seq) {
            self.lost(here.seq, mark.seq);
            // Said once: from now on this is how far it has come.
            self.keep(mark).await?;
        }
        Ok(place)
    }

    /// The sink forgot entries that it had acknowledged, as after a failover. They are sent again.
    fn lost(&mut self, had: u64, has: u64) {
        self.watch.lost(had - has);
        let sink = self.watch.name.as_str();
        tracing::error!(sink, had, has, "a sink lost entries that it had acknowledged; they are sent again");
    }

    fn acknowledged(&mut self, batches: Batches, batch: &Batch, durable_seq: u64) {
        let mark = Mark::at(batch.last_seq(), batch.last_line());
        let is_behind = mark.seq < durable_seq;
        let behind_since_ms = is_behind.then(|| time_ms(batch.last_line())).flatten();
        self.watch.has(mark.seq, behind_since_ms);
        self.watch.took();
        self.metrics.sinks().took(&self.watch.name, batch.count());
        self.has = Some(mark.clone());
        self.at = Some(Place { mark, batches });
    }

    fn failed(&mut self, error: SinkError) -> Step {
        let fault = error.fault;
        self.metrics.sinks().failed(&self.watch.name, fault.code());
        if self.ledger.health().last_seq > self.watch.acknowledged().unwrap_or(0) {
            self.watch.waits(self.clock.now_ms());
        }
        self.watch.failed(error, DOWN_AFTER);
        let wait_ms = self.options.retry_first_ms.saturating_mul(1 << self.failures.min(DOUBLINGS_MAX));
        self.failures = self.failures.saturating_add(1);
        Step::Failed(Duration::from_millis(wait_ms.min(self.options.retry_max_ms)))
    }

    /// Tells the operational log and the ledger of a change of state. A ledger that takes no entries now is told the next time.
    fn tell(&mut self) {
        let status = self.watch.status(0, 0);
        let (sink, acknowledged, state) = (status.name.as_str(), status.acknowledged, status.state);
        let error = status.error.as_ref().filter(|_| state == SinkState::Down);
        if state != self.logged {
            self.logged = state;
            let (reason, detail) =
                (error.map(|error| error.fault.code()), error.map(|error| error.detail.as_str()));
            match state {
                SinkState::Down => {
                    tracing::warn!(
                        sink,
                        acknowledged,
                        reason,
                        detail,
                        "a sink is down; entries wait in the ledger"
                    )
                }
                SinkState::Up => tracing::info!(sink, acknowledged, "a sink takes entries again"),
            }
        }
        if state != self.told {
            let reason = error.map(|error| error.fault.code().to_owned());
            let change = SinkChange { name: sink.to_owned(), state, reason, acknowledged };
            if self.ledger.append_soon(Entry::Sink(change)).is_ok() {
                self.told = state;
            }
        }
    }

    async fn keep_cursor_sometimes(&mut self) -> Result<(), SinkError> {
        let age_ms = self.clock.now_ms().saturating_sub(self.kept.1);
        if (0..CURSOR_EVERY_MS).contains(&age_ms) {
            return Ok(());
        }
        self.keep_cursor().await
    }

    async fn keep_cursor(&mut self) -> Result<(), SinkError> {
        match self.has.clone() {
            Some(mark) if mark != self.kept.0 => self.keep(mark).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn keep(&mut self, mark: Mark) -> Result<(), SinkError> {
        let (cursor, id, kept) = (self.cursor.clone(), self.log.id.clone(), mark.clone());
        blocking(move || cursor.keep(id.as_str(), &kept)).await??;
        self.watch.keeps(mark.seq);
        self.kept = (mark, self.clock.now_ms());
        Ok(())
    }
}

/// A copy that has other entries than the ledger, or more, is not a copy of it: two ledgers share an id, or one was rolled
/// back. Nothing may be sent there.
fn compare(log: &Log, state: &Path, mark: &Mark, durable_seq: u64) -> Result<(), SinkError> {
    let diverged = |detail: String| Err(SinkError::new(SinkFault::Diverged, detail));
    let (log, seq) = (&log.id, mark.seq);
    if seq > durable_seq {
        return diverged(format!(
            "it has {seq} entries of log {log}, which has only {durable_seq}: was the ledger put back to an older state?"
        ));
    }
    if mark.sha256.is_empty() {
        // So begins a log of which nothing was sent: nothing that we have may lie before that.
        let oldest = segment_starts(state)?.first().copied().unwrap_or(1);
        return match seq < oldest {
            true => Ok(()),
            false => {
                diverged(format!("it says that it has {seq} entries of log {log}, and of none what it is"))
            }
        };
    }
    match Batches::line(state, seq) {
        // Nobody can compare any more; what comes next is still there, or reading says that it is not.
        Err(BatchError::Gone { .. }) | Ok(None) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(Some(line)) if Mark::at(seq, line.last_line()) == *mark => Ok(()),
        Ok(Some(_)) => diverged(format!(
            "its entry {seq} of log {log} is not this ledger's: do two ledgers share the id in `ledger/log-id`?"
        )),
    }
}

/// The time of a line in milliseconds since 1970.
fn time_ms(bytes: &[u8]) -> Option<i64> {
    let t = line::check(bytes).ok()?.t;
    t.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// Failures in a row that make a sink down.
const DOWN_AFTER: u64 = 3;

/// How often the cursor is made durable while entries flow. What was sent since is sent again after a crash.
const CURSOR_EVERY_MS: i64 = 1_000;

const DOUBLINGS_MAX: u32 = 20;
