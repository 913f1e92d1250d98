//! One batch as one transaction: the cursor's row locked, the months' partitions made, the rows inserted, the cursor moved.

use std::collections::{BTreeSet, HashSet};

use tokio_postgres::{Statement, Transaction};

use super::connect::{Session, failed};
use super::mark;
use super::rows::{Entries, Rows, Touched};
use crate::audit::sinks::fault::{SinkError, SinkFault};
use crate::audit::sinks::target::{Log, blocking};
use crate::ledger::batches::Batch;
use crate::ledger::cursor::Mark;

/// A connection with its statements.
pub(super) struct Writing {
    session: Session,
    settings: String,
    lock: Statement,
    register: Statement,
    month: Statement,
    entries: Statement,
    touched: Statement,
    sets: Statement,
    advance: Statement,
}

impl Writing {
    /// Prepares what each batch needs.
    pub(super) async fn prepare(session: Session, timeout_ms: u64) -> Result<Self, SinkError> {
        let prepare = async |sql: &str| session.client.prepare(sql).await.map_err(|error| failed(&error));
        let (lock, register, month) = (prepare(LOCK).await?, prepare(REGISTER).await?, prepare(MONTH).await?);
        let (entries, touched) = (prepare(ENTRIES).await?, prepare(TOUCHED).await?);
        let (sets, advance) = (prepare(SETS).await?, prepare(ADVANCE).await?);
        // Set within each transaction: behind a pooler the next one may be another connection's.
        let settings = format!("{DURABLE}; set local statement_timeout = {timeout_ms}");
        Ok(Self { session, settings, lock, register, month, entries, touched, sets, advance })
    }

    /// Writes a batch and moves the cursor, or neither.
    pub(super) async fn write(
        &mut self,
        log: &Log,
        before: &Mark,
        batch: &Batch,
        months: &mut HashSet<String>,
    ) -> Result<(), SinkError> {
        let parsed = batch.clone();
        let rows = blocking(move || Rows::of(&parsed)).await??;
        let step = |error: tokio_postgres::Error| failed(&error);
        let tx = self.session.client.transaction().await.map_err(step)?;
        tx.batch_execute(&self.settings).await.map_err(step)?;
        let id = log.id.as_str();
        let mut found = tx.query_opt(&self.lock, &[&id]).await.map_err(step)?;
        if found.is_none() {
            let first_seq = signed(batch.first_seq())?;
            tx.execute(&self.register, &[&id, &log.label, &first_seq]).await.map_err(step)?;
            found = tx.query_opt(&self.lock, &[&id]).await.map_err(step)?;
        }
        let held = found.as_ref().map(mark).transpose()?;
        if held.as_ref().map(|held| held.seq) != Some(before.seq) {
            let held = held.map_or(0, |held| held.seq);
            let detail = format!("the store's cursor of log {id} is {held}, not {}", before.seq);
            return Err(SinkError::new(SinkFault::StoreMoved, detail));
        }
        // Reading them as JSON has shown that they are UTF-8.
        let lines: Vec<&str> =
            batch.lines().map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
        let made = make_months(&tx, &self.month, &rows.months, months).await?;
        insert_entries(&tx, &self.entries, id, &rows.entries, &lines).await.map_err(step)?;
        insert_touched(&tx, &self.touched, id, &rows.touched).await.map_err(step)?;
        if !rows.sets.is_empty() {
            let (ids, names): (Vec<_>, Vec<_>) = rows.sets.iter().unzip();
            tx.execute(&self.sets, &[&ids, &names]).await.map_err(step)?;
        }
        let after = Mark::at(batch.last_seq(), batch.last_line());
        let advance: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&id, &log.label, &signed(after.seq)?, &after.sha256];
        tx.execute(&self.advance, &advance).await.map_err(step)?;
        tx.commit().await.map_err(step)?;
        months.extend(made);
        Ok(())
    }
}

/// Makes the partitions that rows need, and those of the month after them. Returns the months that are there now.
async fn make_months(
    tx: &Transaction<'_>,
    statement: &Statement,
    needed: &BTreeSet<String>,
    known: &HashSet<String>,
) -> Result<Vec<String>, SinkError> {
    let ahead = needed.iter().next_back().and_then(|last| next_month(last));
    let missing: Vec<String> =
        needed.iter().cloned().chain(ahead).filter(|month| !known.contains(month)).collect();
    for month in &missing {
        tx.execute(statement, &[month]).await.map_err(|error| failed(&error))?;
    }
    Ok(missing)
}

/// The first day of the month after.
fn next_month(first_day: &str) -> Option<String> {
    let day: jiff::civil::Date = first_day.parse().ok()?;
    Some(day.checked_add(jiff::Span::new().months(1)).ok()?.to_string())
}

async fn insert_entries(
    tx: &Transaction<'_>,
    statement: &Statement,
    log: &str,
    e: &Entries,
    lines: &[&str],
) -> Result<u64, tokio_postgres::Error> {
    let columns: [&(dyn tokio_postgres::types::ToSql + Sync); 15] = [
        &log,
        &e.seq,
        &e.t,
        &e.kind,
        &e.decision,
        &e.part,
        &e.handle,
        &e.method,
        &e.route,
        &e.effect,
        &e.reason,
        &e.stage_from,
        &e.stage_to,
        &e.delivered,
        &lines,
    ];
    tx.execute(statement, &columns).await
}

async fn insert_touched(
    tx: &Transaction<'_>,
    statement: &Statement,
    log: &str,
    r: &Touched,
) -> Result<u64, tokio_postgres::Error> {
    if r.seq.is_empty() {
        return Ok(0);
    }
    let columns: [&(dyn tokio_postgres::types::ToSql + Sync); 13] = [
        &log,
        &r.seq,
        &r.t,
        &r.n,
        &r.decision,
        &r.place,
        &r.record_type,
        &r.records,
        &r.action,
        &r.effect,
        &r.shown,
        &r.masked,
        &r.hidden,
    ];
    tx.execute(statement, &columns).await
}

fn signed(seq: u64) -> Result<i64, SinkError> {
    i64::try_from(seq)
        .map_err(|_| SinkError::new(SinkFault::Refused, "the number is too large for the store"))
}

/// What a commit says must be durable, whatever the role's or the database's defaults are; stronger ones stay.
const DURABLE: &str = "select set_config('synchronous_commit', 'on', true) \
                       where current_setting('synchronous_commit') in ('off', 'local')";

const LOCK: &str = "select seq, line_sha256 from lockkeeper.log where log = $1 for update";

const REGISTER: &str = "insert into lockkeeper.log (log, label, first_seq, seq, line_sha256) \
                        values ($1, $2, $3::bigint, $3::bigint - 1, '') on conflict do nothing";

const MONTH: &str = "select lockkeeper.ensure_month($1::text::date)";

const ENTRIES: &str = "insert into lockkeeper.entry (log, seq, t, kind, decision, part, handle, method, route, effect, \
                       reason, stage_from, stage_to, delivered, line) \
                       select $1, r.seq, r.t::timestamptz, r.kind, r.decision, r.part, r.handle, r.method, r.route, \
                       r.effect, r.reason, r.stage_from, r.stage_to, r.delivered, r.line \
                       from unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::text[], \
                       $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], \
                       $15::text[]) as r (seq, t, kind, decision, part, handle, method, route, effect, reason, \
                       stage_from, stage_to, delivered, line) on conflict do nothing";

const TOUCHED: &str = "insert into lockkeeper.touched (log, seq, t, n, decision, place, type, records, action, effect, \
                       shown, masked, hidden) \
                       select $1, r.seq, r.t::timestamptz, r.n, r.decision, r.place, r.type, r.records::text[], \
                       r.action, r.effect, r.shown, r.masked, r.hidden \
                       from unnest($2::bigint[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::text[], \
                       $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[]) \
                       as r (seq, t, n, decision, place, type, records, action, effect, shown, masked, hidden) \
                       on conflict do nothing";

/// In the order of their ids, so that two writers wait for each other and never both ways.
const SETS: &str = "insert into lockkeeper.field_set (set, names) \
                    select r.set, r.names::text[] from unnest($1::text[], $2::text[]) as r (set, names) \
                    on conflict do nothing";

const ADVANCE: &str =
    "update lockkeeper.log set label = $2, seq = $3, line_sha256 = $4, updated = now() where log = $1";
