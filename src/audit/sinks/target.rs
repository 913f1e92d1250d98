//! What the tailer asks of a sink, whatever its kind.

use std::time::Duration;

use tokio::time::timeout;

use super::fault::{SinkError, SinkFault};
use crate::ledger::batches::Batch;
use crate::ledger::cursor::Mark;
use crate::ledger::log_id::LogId;

/// The log that is copied.
#[derive(Clone, Debug)]
pub struct Log {
    /// Its id.
    pub id: LogId,
    /// What its operators call it.
    pub label: Option<String>,
}

/// How far a sink has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// It does not keep that itself: what is kept here counts.
    KeptHere,
    /// It has nothing of this log.
    Nothing,
    /// It has everything up to this entry.
    At(Mark),
}

/// Somewhere to send entries. Both calls are given up after the sink's time limit; whatever was under way then is unknown,
/// and the next call is [`Target::position`].
pub trait Target: Send + 'static {
    /// What it is, as the configuration spells it.
    fn kind(&self) -> &'static str;

    /// Connects anew, with secrets and certificates as their files are now, and asks how far it has come.
    fn position(&mut self, log: &Log) -> impl Future<Output = Result<Position, SinkError>> + Send;

    /// Sends the entries behind `before`. `Ok` says that they are kept there.
    fn deliver(
        &mut self,
        log: &Log,
        before: &Mark,
        batch: &Batch,
    ) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// Runs what waits for the disk, or computes for long, where no request does.
pub(super) async fn blocking<V: Send + 'static>(
    work: impl FnOnce() -> V + Send + 'static,
) -> Result<V, SinkError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| SinkError::new(SinkFault::Ledger, error.to_string()))
}

/// Gives an exchange up after so many milliseconds.
///
/// # Errors
/// Its own, or [`SinkFault::Timeout`].
pub async fn within<V>(
    limit_ms: u64,
    exchange: impl Future<Output = Result<V, SinkError>>,
) -> Result<V, SinkError> {
    let late = |_| SinkError::new(SinkFault::Timeout, format!("no answer within {limit_ms} ms"));
    timeout(Duration::from_millis(limit_ms), exchange).await.map_err(late)?
}
