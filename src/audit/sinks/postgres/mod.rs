//! A store of many logs in PostgreSQL: exactly once, since a batch and its cursor are one transaction.
//!
//! Promises: an entry is there once, whatever breaks when; what is acknowledged was committed with `synchronous_commit` at
//! least `on`; the store's own cursor is the truth on how far it has come. Never changes tables: that is `audit store migrate`.

pub mod connect;
pub mod tls;
pub mod schema;
pub mod rows;
mod write;

use std::collections::HashSet;

use tokio_postgres::Row;

use self::connect::{PostgresOptions, Session, failed};
use self::schema::require_version;
use self::write::Writing;
use super::fault::{SinkError, SinkFault};
use super::target::{Log, Position, Target};
use crate::ledger::batches::Batch;
use crate::ledger::cursor::Mark;
use crate::telemetry::clock::Clock;

/// The sink.
pub struct PostgresSink {
    options: PostgresOptions,
    clock: Clock,
    writing: Option<Writing>,
    /// Months whose partitions are there.
    months: HashSet<String>,
}

impl PostgresSink {
    /// A sink that is not connected.
    #[must_use]
    pub fn new(options: PostgresOptions, clock: Clock) -> Self {
        Self { options, clock, writing: None, months: HashSet::new() }
    }
}

impl Target for PostgresSink {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    async fn position(&mut self, log: &Log) -> Result<Position, SinkError> {
        self.writing = None;
        self.months.clear();
        let session = Session::open(&self.options, self.clock.now_ms()).await?;
        require_version(&session.client).await?;
        let position = position(&session, log).await?;
        self.writing = Some(Writing::prepare(session, self.options.timeout_ms).await?);
        Ok(position)
    }

    async fn deliver(&mut self, log: &Log, before: &Mark, batch: &Batch) -> Result<(), SinkError> {
        let none = || SinkError::new(SinkFault::Unreachable, "the connection is gone");
        // Taken, so that whatever is given up half-way takes its connection with it.
        let mut writing = self.writing.take().ok_or_else(none)?;
        writing.write(log, before, batch, &mut self.months).await?;
        self.writing = Some(writing);
        Ok(())
    }
}

/// How far the store has come with a log.
async fn position(session: &Session, log: &Log) -> Result<Position, SinkError> {
    let found = session.client.query_opt(POSITION, &[&log.id.as_str()]).await.map_err(|e| failed(&e))?;
    found.map_or(Ok(Position::Nothing), |row| mark(&row).map(Position::At))
}

/// The cursor in a row of `seq` and `line_sha256`.
fn mark(row: &Row) -> Result<Mark, SinkError> {
    let seq: i64 = row.try_get(0).map_err(|e| failed(&e))?;
    let sha256: String = row.try_get(1).map_err(|e| failed(&e))?;
    Ok(Mark { seq: u64::try_from(seq).unwrap_or(0), sha256 })
}

const POSITION: &str = "select seq, line_sha256 from lockkeeper.log where log = $1";
