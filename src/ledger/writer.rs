//! The one thread that writes: gathers what waits, lands it, and tells those who wait.
//!
//! Promises: no timer delays an entry that someone waits for; those who wait for a sync all hear the same of it; what was only
//! written is synced within an interval, and earlier where it becomes much; while the ledger is unhealthy each entry is refused at
//! once, but for one attempt per interval to open a new segment. Never reports an entry as recorded before its sync returned, or its
//! write where that is enough for it.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::append::LedgerOptions;
use super::clock::Clock;
use super::durability::Durability;
use super::error::Fault;
use super::journal::Journal;
use super::own::Gap;
use super::prepare::Prepared;

/// How a waiter hears of its entry: the number of its last line.
pub(super) type Reply = oneshot::Sender<Result<u64, Fault>>;

/// What comes through the queue.
pub(super) enum Request {
    /// An entry, and who waits for it.
    Append(Prepared, Option<Reply>),
    /// Nothing, but a reason to come back after a fault.
    Retry,
    /// The last request: land what came before, say `stop`, and end.
    Close(Reply),
}

/// What the handles may look at while the thread works.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// When the commit that is under way began, in nanoseconds since 1970; 0 while none is.
    pub(super) commit_began_ns: AtomicI64,
    /// Entries that were handed over and are in no batch yet.
    pub(super) queued: AtomicUsize,
}

/// What is known after the last commit.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) last_seq: u64,
    /// Since when, in nanoseconds since 1970, and why nothing can be written.
    pub(super) failed: Option<(i128, Fault)>,
}

impl Shared {
    /// The state; a thread that panicked with it in hand left it whole.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's own things.
pub(super) struct Writer {
    journal: Journal,
    clock: Clock,
    options: LedgerOptions,
    shared: Arc<Shared>,
    queue: Receiver<Request>,
    /// Taken from the queue, and left for the next batch.
    carried: Option<Request>,
    failed: Option<Failed>,
}

/// What happened since the last fault.
struct Failed {
    fault: Fault,
    since_ns: i128,
    tried_ns: Option<i128>,
    refused: u64,
    lost: u64,
}

/// Requests that will be one batch.
#[derive(Default)]
struct Gathered {
    entries: Vec<Prepared>,
    replies: Vec<Option<Reply>>,
    lines: usize,
    bytes: usize,
    close: Option<Reply>,
    /// Nobody will send anything any more.
    ended: bool,
}

impl Writer {
    /// A writer that goes on with the journal and has nothing in hand.
    pub(super) fn new(
        journal: Journal,
        clock: Clock,
        options: LedgerOptions,
        shared: Arc<Shared>,
        queue: Receiver<Request>,
    ) -> Self {
        Self { journal, clock, options, shared, queue, carried: None, failed: None }
    }

    /// Works until closed, or until all handles are gone.
    pub(super) fn run(mut self) {
        loop {
            let gathered = self.gather();
            let Gathered { entries, replies, close, ended, .. } = gathered;
            // Nothing at all: what was written has waited long enough, or somebody asks for another attempt.
            if !entries.is_empty() || (close.is_none() && !ended) {
                self.land(&entries, replies);
            }
            if let Some(reply) = close {
                self.land(&[Prepared::stop()], vec![Some(reply)]);
                return;
            }
            if ended {
                self.land(&[], Vec::new());
                return;
            }
        }
    }

    /// Waits for the first request and takes what else is there. Entries that nobody waits for give others
    /// `soon_wait_ms` to come along.
    fn gather(&mut self) -> Gathered {
        let mut gathered = Gathered::default();
        let mut began_ns = None;
        while gathered.close.is_none() && !gathered.ended {
            let waited = gathered.replies.iter().any(Option::is_some);
            let wait = match (gathered.entries.is_empty(), waited) {
                (true, _) => self.sync_wait(),
                (false, true) => Some(Duration::ZERO),
                (false, false) => {
                    let now_ns = (self.clock)();
                    Some(left(self.options.soon_wait_ms, now_ns - *began_ns.get_or_insert(now_ns)))
                }
            };
            match self.next(wait) {
                Ok(Request::Close(reply)) => gathered.close = Some(reply),
                Ok(Request::Retry) => {
                    self.shared.queued.fetch_sub(1, Ordering::Relaxed);
                    break;
                }
                Ok(Request::Append(entry, reply)) => {
                    if !gathered.has_room(&entry, &self.options) {
                        self.carried = Some(Request::Append(entry, reply));
                        break;
                    }
                    self.shared.queued.fetch_sub(1, Ordering::Relaxed);
                    gathered.push(entry, reply);
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => gathered.ended = true,
            }
        }
        gathered
    }

    /// The next request, waiting as long as it takes where `wait` is `None`.
    fn next(&mut self, wait: Option<Duration>) -> Result<Request, RecvTimeoutError> {
        match (self.carried.take(), wait) {
            (Some(request), _) => Ok(request),
            (None, None) => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            (None, Some(wait)) => self.queue.recv_timeout(wait),
        }
    }

    /// How long what was written may still wait for its sync; `None` where nothing does.
    fn sync_wait(&self) -> Option<Duration> {
        let unsynced = self.journal.unsynced()?;
        let is_much = unsynced.bytes >= UNSYNCED_BYTES_MAX;
        let passed_ns = (self.clock)() - unsynced.since_ns;
        Some(if is_much { Duration::ZERO } else { left(self.options.sync_interval_ms, passed_ns) })
    }

    /// Lands entries, or tells those who wait why not. Without entries, what was written is synced, and after a fault a new segment begun.
    fn land(&mut self, entries: &[Prepared], mut replies: Vec<Option<Reply>>) {
        let began_ns = (self.clock)();
        self.shared.commit_began_ns.store(i64::try_from(began_ns).unwrap_or(i64::MAX), Ordering::Relaxed);
        let mut refused = entries.len();
        let landed = self.recover(began_ns).and_then(|()| {
            let last_seqs = if entries.is_empty() { Vec::new() } else { self.journal.write(entries)? };
            let of_sync = tell_written(entries, &mut replies, &last_seqs);
            refused = of_sync;
            if of_sync > 0 || entries.is_empty() || self.sync_wait() == Some(Duration::ZERO) {
                self.journal.sync()?;
            }
            Ok(last_seqs)
        });
        self.shared.commit_began_ns.store(0, Ordering::Relaxed);
        match &landed {
            Ok(_) => {
                self.failed = None;
                let (last_seq, failed) = (self.journal.last_seq(), None);
                *self.shared.state() = State { last_seq, failed };
            }
            Err(fault) => self.fail(fault.clone(), began_ns, refused as u64),
        }
        for (at, reply) in replies.into_iter().enumerate() {
            let answer = match &landed {
                Ok(last_seqs) => Ok(last_seqs.get(at).copied().unwrap_or_default()),
                Err(fault) => Err(fault.clone()),
            };
            // A waiter that gave up is told by its own time-out.
            let _ = reply.map(|reply| reply.send(answer));
        }
    }

    /// After a fault, tries once per interval to begin a new segment.
    fn recover(&mut self, now_ns: i128) -> Result<(), Fault> {
        let Some(failed) = &mut self.failed else { return Ok(()) };
        let interval_ns = i128::from(self.options.reopen_interval_ms) * NS_PER_MS;
        let soon = failed.tried_ns.is_some_and(|tried_ns| (0..interval_ns).contains(&(now_ns - tried_ns)));
        if soon {
            return Err(failed.fault.clone());
        }
        failed.tried_ns = Some(now_ns);
        let gap = Gap { reason: failed.fault.what.code(), refused: failed.refused, lost: failed.lost };
        self.journal.reopen(&gap)?;
        self.failed = None;
        Ok(())
    }

    /// Notes that `refused` more entries were not recorded; the first fault since the last success is the
    /// one to tell.
    fn fail(&mut self, fault: Fault, now_ns: i128, refused: u64) {
        let fresh = Failed { fault, since_ns: now_ns, tried_ns: None, refused: 0, lost: 0 };
        let failed = self.failed.get_or_insert(fresh);
        failed.refused += refused;
        failed.lost += self.journal.take_lost();
        self.shared.state().failed = Some((failed.since_ns, failed.fault.clone()));
    }
}

/// Tells those for whom it is enough that their entries are written, and returns how many entries need a sync.
fn tell_written(entries: &[Prepared], replies: &mut [Option<Reply>], last_seqs: &[u64]) -> usize {
    let mut of_sync = 0;
    for ((entry, reply), last_seq) in entries.iter().zip(replies).zip(last_seqs) {
        match entry.durability {
            Durability::Sync => of_sync += 1,
            // A waiter that gave up is told by its own time-out.
            Durability::Write => drop(reply.take().map(|reply| reply.send(Ok(*last_seq)))),
        }
    }
    of_sync
}

/// What is left of a wait. A clock that went back ends it, so that it cannot become longer.
fn left(whole_ms: u64, passed_ns: i128) -> Duration {
    let whole = Duration::from_millis(whole_ms);
    u64::try_from(passed_ns)
        .map_or(Duration::ZERO, |passed| whole.saturating_sub(Duration::from_nanos(passed)))
}

impl Gathered {
    /// Whether the entry may join. The first always may: no entry is larger than `ENTRY_BYTES_MAX`.
    fn has_room(&self, entry: &Prepared, options: &LedgerOptions) -> bool {
        let lines = self.lines + entry.objects.len();
        let bytes = self.bytes + entry.bytes();
        self.entries.is_empty() || (lines <= options.batch_entries_max && bytes <= options.batch_bytes_max)
    }

    /// Takes the entry, unless the one who waited for it has given up.
    fn push(&mut self, entry: Prepared, reply: Option<Reply>) {
        if reply.as_ref().is_some_and(Reply::is_closed) {
            return;
        }
        self.lines += entry.objects.len();
        self.bytes += entry.bytes();
        self.entries.push(entry);
        self.replies.push(reply);
    }
}

/// How many bytes may be written and not yet synced. A torn tail after a crash of the machine is at most this and a batch.
const UNSYNCED_BYTES_MAX: u64 = 4 << 20;

/// Nanoseconds in a millisecond.
const NS_PER_MS: i128 = 1_000_000;
