//! All sinks of a service: started together, looked at by status and metrics, and ended after the ledger.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::tailer::Phase;
use super::watch::{SinkStatus, SinkWatch};
use crate::ledger::append::Ledger;
use crate::telemetry::clock::Clock;
use crate::telemetry::sinks::SinkReading;

/// How all sinks stand, for whoever asks.
pub struct Watched {
    watches: Vec<Arc<SinkWatch>>,
    ledger: Ledger,
    clock: Clock,
}

/// The tasks of all sinks.
pub struct Sinks {
    watched: Arc<Watched>,
    phase: watch::Sender<Phase>,
    tasks: Vec<JoinHandle<()>>,
    finish_limit: Duration,
}

impl Watched {
    /// Sinks of a ledger.
    #[must_use]
    pub fn new(watches: Vec<Arc<SinkWatch>>, ledger: Ledger, clock: Clock) -> Self {
        Self { watches, ledger, clock }
    }

    /// Each sink, in the order of the configuration.
    #[must_use]
    pub fn statuses(&self) -> Vec<SinkStatus> {
        let (durable_seq, now_ms) = (self.ledger.health().last_seq, self.clock.now_ms());
        self.watches.iter().map(|watch| watch.status(durable_seq, now_ms)).collect()
    }

    /// The first required sink that does not have everything up to an entry for certain.
    #[must_use]
    pub fn lacking(&self, seq: u64) -> Option<&str> {
        let lacking = self.watches.iter().find(|watch| watch.is_required && !watch.has_for_certain(seq));
        lacking.map(|watch| watch.name.as_str())
    }

    /// What metrics show of them.
    #[must_use]
    pub fn readings(&self) -> Vec<SinkReading> {
        let reading = |status: SinkStatus| SinkReading {
            name: status.name,
            is_up: status.state == crate::ledger::entry::sink::SinkState::Up,
            lag_entries: status.lag_entries,
            lag_ms: status.lag_ms,
            lost: status.lost,
        };
        self.statuses().into_iter().map(reading).collect()
    }
}

impl Sinks {
    /// Tasks that listen to `phase`, and for how long their end may be waited for.
    #[must_use]
    pub fn new(
        watched: Watched,
        phase: watch::Sender<Phase>,
        tasks: Vec<JoinHandle<()>>,
        finish_limit: Duration,
    ) -> Self {
        Self { watched: Arc::new(watched), phase, tasks, finish_limit }
    }

    /// How they stand.
    #[must_use]
    pub fn watched(&self) -> &Arc<Watched> {
        &self.watched
    }

    /// Ends at once, in whatever is under way.
    pub async fn abort(mut self) {
        self.finish_limit = Duration::ZERO;
        self.finish().await;
    }

    /// Whether every task still works.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.tasks.iter().all(|task| !task.is_finished())
    }

    /// Sends what is durable and ends. What cannot be sent in time waits for the next start.
    pub async fn finish(self) {
        let _ = self.phase.send(Phase::Finishing);
        let stops: Vec<_> = self.tasks.iter().map(JoinHandle::abort_handle).collect();
        let ends = async {
            for task in self.tasks {
                let _ = task.await;
            }
        };
        tokio::pin!(ends);
        if timeout(self.finish_limit, &mut ends).await.is_err() {
            stops.iter().for_each(tokio::task::AbortHandle::abort);
            ends.await;
        }
    }
}
