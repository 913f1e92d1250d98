//! What one connection of a caller is doing: which exchanges are open, which replies wait to be flushed, what it is late with.
//!
//! Promises: a reply is told as delivered only by a flush that came after its last byte had left our buffers; an open
//! exchange ends exactly once; nothing here reads a clock, so a wait restarts only where something really moved.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use crate::ledger::entry::Delivered;

/// The version of HTTP that a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1: one exchange after the other.
    Http1,
    /// HTTP/2: many at once.
    Http2,
}

/// How long a connection may take for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a head to arrive, and for the first byte of a new connection.
    pub head: Duration,
    /// Between two exchanges.
    pub idle: Duration,
    /// Without a byte of an answer being taken.
    pub write: Duration,
    /// Exchanges after which the connection is asked to end.
    pub exchanges_max: Option<u64>,
}

/// What a connection is late with, or has done enough of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// A head did not arrive.
    Head,
    /// Nothing was asked.
    Idle,
    /// An answer is not read.
    Stalled,
    /// It has carried as many exchanges as it may.
    Worn,
}

/// One connection's state, shared by its reader, its writer and its replies.
pub struct Vitals {
    protocol: Protocol,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    begun: u64,
    /// By number.
    open: BTreeMap<u64, Reply>,
    /// Bytes that the socket took, and whether it takes no more at present.
    socket_bytes: u64,
    is_blocked: bool,
    waiting: Vec<Ticket>,
    /// Whether anything was ever read, and whether anything was read since the last exchange began or ended.
    has_ever_read: bool,
    has_read: bool,
    /// Counts up whenever the phase changes.
    epoch: u64,
}

/// How far a reply has come: bytes that were handed over, and those of them that were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reply {
    handed: u64,
    taken: u64,
}

/// What a wait compares at its beginning and its end.
struct Look {
    phase: Phase,
    epoch: u64,
    begun: u64,
    open: BTreeMap<u64, Reply>,
    socket_bytes: u64,
    is_blocked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Fresh,
    Head,
    Idle,
    Busy,
}

/// An exchange that is under way; it ends with this value.
pub struct Opened {
    vitals: Arc<Vitals>,
    number: u64,
}

/// How far the pieces of one reply have come.
#[derive(Clone)]
pub struct Progress {
    vitals: Arc<Vitals>,
    number: u64,
}

/// A reply's claim to be told whether it got there. Dropped untold, it says that it was abandoned.
pub struct Ticket {
    told: Option<oneshot::Sender<Delivered>>,
    opened: Option<Opened>,
}

impl Vitals {
    /// The state of a new connection.
    pub fn new(protocol: Protocol) -> Arc<Self> {
        Arc::new(Self { protocol, state: Mutex::default(), changed: Notify::new() })
    }

    /// The version of HTTP that the connection speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// A request's head was read: an exchange begins.
    pub fn begin(self: &Arc<Self>) -> Opened {
        let number = self.change(|state| {
            state.begun += 1;
            state.has_read = false;
            state.open.insert(state.begun, Reply::default());
            state.begun
        });
        Opened { vitals: Arc::clone(self), number }
    }

    /// Bytes of the caller were read.
    pub fn note_read(&self) {
        self.change(|state| {
            state.has_ever_read = true;
            state.has_read = true;
        });
    }

    /// All bytes of a reply have left our buffers; it is told by the next flush.
    pub fn await_flush(&self, ticket: Ticket) {
        self.state().waiting.push(ticket);
    }

    /// The socket took bytes.
    pub fn note_socket(&self, bytes: usize) {
        let mut state = self.state();
        state.socket_bytes = state.socket_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        state.is_blocked = false;
    }

    /// The socket takes nothing at present.
    pub fn note_blocked(&self) {
        self.state().is_blocked = true;
    }

    /// The connection was flushed, or broke.
    pub fn tell_waiting(&self, delivered: Delivered) {
        let waiting = std::mem::take(&mut self.state().waiting);
        // Tickets close exchanges when they go, and that takes the lock again.
        waiting.into_iter().for_each(|ticket| ticket.tell(delivered));
    }

    /// Waits until the connection is late with something, or has carried enough. Never ready otherwise.
    pub async fn over(&self, patience: &Patience) -> Over {
        loop {
            let before = self.look();
            if patience.exchanges_max.is_some_and(|max| before.begun >= max) {
                return Over::Worn;
            }
            let limit = match before.phase {
                Phase::Fresh | Phase::Head => patience.head,
                Phase::Idle => patience.idle,
                Phase::Busy => patience.write,
            };
            tokio::select! {
                () = sleep(limit) => {}
                () = self.changed.notified() => continue,
            }
            let after = self.look();
            match before.phase {
                Phase::Busy if after.stands_since(&before) => return Over::Stalled,
                Phase::Fresh | Phase::Head if after.epoch == before.epoch => return Over::Head,
                Phase::Idle if after.epoch == before.epoch => return Over::Idle,
                _ => {}
            }
        }
    }

    fn look(&self) -> Look {
        let state = self.state();
        Look {
            phase: state.phase(self.protocol),
            epoch: state.epoch,
            begun: state.begun,
            open: state.open.clone(),
            socket_bytes: state.socket_bytes,
            is_blocked: state.is_blocked,
        }
    }

    /// Wakes who waits only where the phase changes: a caller must not be able to restart a wait at will.
    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let before = state.phase(self.protocol);
        let result = act(&mut state);
        if state.phase(self.protocol) != before {
            state.epoch += 1;
            self.changed.notify_one();
        }
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn phase(&self, protocol: Protocol) -> Phase {
        match (self.open.is_empty(), self.has_ever_read, self.has_read) {
            (false, _, _) => Phase::Busy,
            (true, false, _) => Phase::Fresh,
            // Over HTTP/2, bytes between exchanges may be pings and windows: they are not a head that is late.
            (true, true, true) if protocol == Protocol::Http1 => Phase::Head,
            (true, true, _) => Phase::Idle,
        }
    }
}

impl Look {
    /// Whether something waits for the caller, and nothing of it has moved: the socket, or one of the replies.
    fn stands_since(&self, before: &Look) -> bool {
        let is_stuck = before.is_blocked && self.is_blocked && self.socket_bytes == before.socket_bytes;
        let waits = |(number, reply): (&u64, &Reply)| {
            reply.taken < reply.handed && before.open.get(number) == Some(reply)
        };
        is_stuck || self.open.iter().any(waits)
    }
}

impl Opened {
    /// The version of HTTP that the reply will leave by.
    pub fn protocol(&self) -> Protocol {
        self.vitals.protocol
    }

    /// Where pieces of the reply note how far they have come.
    pub fn progress(&self) -> Progress {
        Progress { vitals: Arc::clone(&self.vitals), number: self.number }
    }
}

impl Progress {
    /// Bytes of the reply wait to be taken.
    pub fn hand_over(&self, bytes: usize) {
        self.change(|reply, bytes| reply.handed = reply.handed.saturating_add(bytes), bytes);
    }

    /// Bytes of the reply were taken to be written.
    pub fn take(&self, bytes: usize) {
        self.change(|reply, bytes| reply.taken = reply.taken.saturating_add(bytes), bytes);
    }

    fn change(&self, change: impl FnOnce(&mut Reply, u64), bytes: usize) {
        if let Some(reply) = self.vitals.state().open.get_mut(&self.number) {
            change(reply, u64::try_from(bytes).unwrap_or(u64::MAX));
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.vitals.change(|state| {
            state.open.remove(&self.number);
            state.has_read = false;
        });
    }
}

impl Ticket {
    /// A ticket for a reply, and what will be told.
    pub fn new() -> (Self, oneshot::Receiver<Delivered>) {
        let (told, telling) = oneshot::channel();
        (Self { told: Some(told), opened: None }, telling)
    }

    /// Binds the ticket to the exchange that its reply ends.
    pub fn bind(&mut self, opened: Opened) {
        self.opened = Some(opened);
    }

    /// The exchange, once there is a connection.
    pub fn opened(&self) -> Option<&Opened> {
        self.opened.as_ref()
    }

    /// All bytes have left our buffers: the connection's next flush tells.
    pub fn await_flush(self) {
        if let Some(vitals) = self.opened.as_ref().map(|opened| Arc::clone(&opened.vitals)) {
            vitals.await_flush(self);
        }
    }

    /// Tells, and ends the exchange.
    pub fn tell(mut self, delivered: Delivered) {
        if let Some(told) = self.told.take() {
            let _ = told.send(delivered);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(told) = self.told.take() {
            let _ = told.send(Delivered::Abandoned);
        }
    }
}

#[cfg(test)]
#[path = "vitals_tests.rs"]
mod tests;
