//! The handle on the ledger that every stage holds: hand over an entry, wait until it is durable.
//!
//! Promises: an entry whose [`Ledger::append`] returned its number survives a crash of the machine, and one of
//! [`Durability::Write`] a crash of the process; a full queue or a slow disk is an error in bounded time. Never drops an entry silently: what a fault kept from being recorded
//! is counted in a `gap` entry.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot::{self, error::TryRecvError};

use super::clock::Clock;
use super::durability::Durability;
use super::entry::Entry;
use super::error::{Fault, LedgerError};
use super::folder::{self, Wrap};
use super::open::{self, RecoveryReport};
use super::prepare::Prepared;
use super::writer::{Request, Shared, State, Writer};

/// How the ledger is kept.
#[derive(Clone, Debug)]
pub struct LedgerOptions {
    /// The state folder; segments lie in `ledger/` under it.
    pub dir: PathBuf,
    /// A random id of this process's life, named in each segment's head.
    pub boot: String,
    /// A segment over this size is followed by a new one.
    pub segment_bytes_max: u64,
    /// A segment that began longer ago is followed by a new one.
    pub segment_ms_max: u64,
    /// How many entries may wait for the writer; at least 1.
    pub queue_entries_max: usize,
    /// How many lines a batch may have, dictionary lines not counted. A single entry of more lines is a
    /// batch of its own.
    pub batch_entries_max: usize,
    /// How many bytes of entries a batch may have. A single larger entry is a batch of its own.
    pub batch_bytes_max: usize,
    /// How long an append may take.
    pub write_timeout_ms: u64,
    /// How long to wait between attempts to open a new segment after a fault.
    pub reopen_interval_ms: u64,
    /// How long entries that nobody waits for give others to share their sync.
    pub soon_wait_ms: u64,
    /// How long an entry that was acknowledged once it was written waits for its sync at most.
    pub sync_interval_ms: u64,
}

impl LedgerOptions {
    /// The defaults for a state folder.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, boot: impl Into<String>) -> Self {
        Self {
            dir: dir.into(),
            boot: boot.into(),
            segment_bytes_max: 256 << 20,
            segment_ms_max: 24 * 60 * 60 * 1000,
            queue_entries_max: 4096,
            batch_entries_max: 256,
            batch_bytes_max: 1 << 20,
            write_timeout_ms: 5000,
            reopen_interval_ms: 1000,
            soon_wait_ms: 10,
            sync_interval_ms: 1000,
        }
    }
}

/// A handle on an open ledger; clones share it. Closed by [`Ledger::close`]; when the last handle is
/// dropped instead, what was handed over is still written, but the ledger does not end with a `stop` entry.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    queue: SyncSender<Request>,
    shared: Arc<Shared>,
    clock: Clock,
    queue_entries_max: usize,
    write_timeout_ms: u64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Whether the ledger can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether the last commit succeeded, and none is overdue.
    pub writable: bool,
    /// The last durable entry; 0 before the first.
    pub last_seq: u64,
    /// Since when it is not writable, in nanoseconds since 1970.
    pub since_ns: Option<i128>,
    /// Why it is not writable: a fault's code, or `write-stalled`.
    pub why: Option<&'static str>,
}

/// An entry on its way to the queue, already as bytes.
pub struct Waiting(Prepared);

impl Waiting {
    /// Makes an entry ready to be handed over. With [`Durability::Write`] it may wait for a sync for as long as entries that are
    /// acknowledged so.
    ///
    /// # Errors
    /// [`LedgerError::EntryTooLarge`].
    pub fn new(entry: Entry, durability: Durability) -> Result<Self, LedgerError> {
        Ok(Self(Prepared { durability, ..entry.prepare()? }))
    }
}

/// An entry that was handed over.
pub struct Pending(oneshot::Receiver<Result<u64, Fault>>);

impl Pending {
    /// The number of its last line once it is durable, or why it was not recorded; `None` as long as neither is known. To be asked
    /// until it is.
    ///
    /// # Errors
    /// [`LedgerError::Unwritable`], [`LedgerError::Closed`].
    pub fn outcome(&mut self) -> Option<Result<u64, LedgerError>> {
        match self.0.try_recv() {
            Err(TryRecvError::Empty) => None,
            answer => Some(answered(answer)),
        }
    }
}

impl Ledger {
    /// Opens the ledger and recovers what a former life left. Blocks on the file system.
    ///
    /// # Errors
    /// Another writer, damage, or a file system that refuses; the ledger is then as it was.
    pub fn open(options: LedgerOptions, clock: Clock) -> Result<(Self, RecoveryReport), LedgerError> {
        Self::open_with(options, clock, folder::plain())
    }

    /// As [`Ledger::open`], with a way to put something in the place of segment files.
    pub(super) fn open_with(
        options: LedgerOptions,
        clock: Clock,
        wrap: Wrap,
    ) -> Result<(Self, RecoveryReport), LedgerError> {
        let (journal, report) = open::open(&options, clock.clone(), wrap)?;
        let shared = Arc::new(Shared::default());
        *shared.state() = State { last_seq: journal.last_seq(), failed: None };
        let (queue_entries_max, write_timeout_ms) =
            (options.queue_entries_max.max(1), options.write_timeout_ms);
        let (queue, requests) = mpsc::sync_channel(queue_entries_max);
        let dir = options.dir.clone();
        let writer = Writer::new(journal, clock.clone(), options, Arc::clone(&shared), requests);
        let spawned = thread::Builder::new().name("ledger".to_owned()).spawn(|| writer.run());
        let thread = Mutex::new(Some(spawned.map_err(LedgerError::io("start the writer of", &dir))?));
        let inner = Inner { queue, shared, clock, queue_entries_max, write_timeout_ms, thread };
        Ok((Self { inner: Arc::new(inner) }, report))
    }

    /// Records an entry; it is durable when this returns the number of its last line. Dropping the future
    /// gives up: the entry is then recorded or not. Each decision that was handed over, also one that timed
    /// out, needs an outcome, else it stays open until the next start; an outcome of a decision that was
    /// never recorded does no harm.
    ///
    /// # Errors
    /// [`LedgerError::QueueFull`] at once, [`LedgerError::Timeout`] after `write_timeout_ms` (the entry may
    /// still become durable), [`LedgerError::Unwritable`] where a write or sync failed,
    /// [`LedgerError::EntryTooLarge`].
    pub async fn append(&self, entry: Entry) -> Result<u64, LedgerError> {
        self.append_as(entry, Durability::Sync).await
    }

    /// As [`Ledger::append`], but with [`Durability::Write`] the entry is only written when this returns: if its sync then fails or the
    /// machine does, it is gone, a `gap` entry counts it unless the machine failed, and its number is another's.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub async fn append_as(&self, entry: Entry, durability: Durability) -> Result<u64, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let prepared = Prepared { durability, ..entry.prepare()? };
        self.hand_over(Request::Append(prepared, Some(reply)))?;
        let limit_ms = self.inner.write_timeout_ms;
        match tokio::time::timeout(Duration::from_millis(limit_ms), answer).await {
            Ok(answer) => answered(answer),
            Err(_) => Err(LedgerError::Timeout { limit_ms }),
        }
    }

    /// Records an entry with the next commit, without waiting for it. What then fails is counted in the
    /// `gap` entry.
    ///
    /// # Errors
    /// [`LedgerError::QueueFull`], [`LedgerError::EntryTooLarge`], [`LedgerError::Closed`].
    pub fn append_soon(&self, entry: Entry) -> Result<(), LedgerError> {
        self.hand_over(Request::Append(entry.prepare()?, None))
    }

    /// As [`Ledger::append_soon`], but what finds the queue full comes back, to be handed over again.
    ///
    /// # Errors
    /// [`LedgerError::Closed`].
    pub fn offer(&self, waiting: Waiting) -> Result<Option<Waiting>, LedgerError> {
        match self.try_send(Request::Append(waiting.0, None)).map_err(|unsent| *unsent) {
            Ok(()) => Ok(None),
            Err(TrySendError::Full(Request::Append(prepared, _))) => Ok(Some(Waiting(prepared))),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(LedgerError::Closed),
        }
    }

    /// Hands an entry over; what became of it can be asked of what this returns, for as long as it takes.
    ///
    /// # Errors
    /// [`LedgerError::QueueFull`], [`LedgerError::EntryTooLarge`], [`LedgerError::Closed`].
    pub fn submit(&self, entry: Entry) -> Result<Pending, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.hand_over(Request::Append(entry.prepare()?, Some(reply)))?;
        Ok(Pending(answer))
    }

    /// After a fault, has the ledger try to begin a new segment although nobody hands anything over. Does nothing while it hangs, or has
    /// entries to try with.
    pub fn retry(&self) {
        if self.inner.shared.state().failed.is_some() && self.queued() == 0 {
            // Whoever fills the queue meanwhile makes it try, too.
            drop(self.try_send(Request::Retry));
        }
    }

    /// Whether the ledger can be written now.
    #[must_use]
    pub fn health(&self) -> Health {
        let State { last_seq, failed } = self.inner.shared.state().clone();
        if let Some((since_ns, fault)) = failed {
            let why = Some(fault.what.code());
            return Health { writable: false, last_seq, since_ns: Some(since_ns), why };
        }
        let began_ns = i128::from(self.inner.shared.commit_began_ns.load(Ordering::Relaxed));
        let limit_ns = i128::from(self.inner.write_timeout_ms) * 1_000_000;
        if began_ns != 0 && (self.inner.clock)() - began_ns > limit_ns {
            let why = Some("write-stalled");
            return Health { writable: false, last_seq, since_ns: Some(began_ns), why };
        }
        Health { writable: true, last_seq, since_ns: None, why: None }
    }

    /// Records what was handed over so far and a `stop` entry, and ends the writer. Other handles get
    /// [`LedgerError::Closed`] from then on.
    ///
    /// # Errors
    /// [`LedgerError::Unwritable`] where the end could not be recorded, [`LedgerError::Closed`] where it
    /// already was, [`LedgerError::Timeout`] where the writer hangs; it then ends by itself, if ever.
    pub async fn close(self) -> Result<u64, LedgerError> {
        let limit_ms = self.inner.write_timeout_ms;
        let (done, ended) = oneshot::channel();
        let inner = Arc::clone(&self.inner);
        // A thread of its own: a runtime would wait for a blocking task even where the writer hangs.
        let spawned = thread::Builder::new().name("ledger-close".to_owned()).spawn(move || {
            // A caller that timed out does not listen any more.
            let _ = done.send(inner.end());
        });
        drop(spawned.map_err(|_| LedgerError::Closed)?);
        match tokio::time::timeout(Duration::from_millis(limit_ms), ended).await {
            Ok(ended) => ended.unwrap_or(Err(LedgerError::Closed)),
            Err(_) => Err(LedgerError::Timeout { limit_ms }),
        }
    }

    /// How many entries wait to be taken into a batch.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.inner.shared.queued.load(Ordering::Relaxed)
    }

    fn hand_over(&self, request: Request) -> Result<(), LedgerError> {
        self.try_send(request).map_err(|unsent| match *unsent {
            TrySendError::Full(_) => LedgerError::QueueFull { limit: self.inner.queue_entries_max },
            TrySendError::Disconnected(_) => LedgerError::Closed,
        })
    }

    /// Counted before it is sent, since the writer may take it at once.
    fn try_send(&self, request: Request) -> Result<(), Box<TrySendError<Request>>> {
        let queued = &self.inner.shared.queued;
        queued.fetch_add(1, Ordering::Relaxed);
        let sent = self.inner.queue.try_send(request).map_err(Box::new);
        if sent.is_err() {
            queued.fetch_sub(1, Ordering::Relaxed);
        }
        sent
    }
}

impl Inner {
    /// Sends the last request and waits for the writer's end.
    fn end(&self) -> Result<u64, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Request::Close(reply)).map_err(|_| LedgerError::Closed)?;
        let answer = answered(answer.blocking_recv());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.map_or(Ok(()), JoinHandle::join).map_err(|_| LedgerError::Closed)?;
        answer
    }
}

/// What the writer said; a writer that is gone says nothing.
fn answered<E>(answer: Result<Result<u64, Fault>, E>) -> Result<u64, LedgerError> {
    answer.map_err(|_| LedgerError::Closed)?.map_err(LedgerError::Unwritable)
}
