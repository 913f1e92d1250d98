//! Whether a store has what the ledger has: counts and ranges of numbers, and on request every line.
//!
//! Promises: what is not there yet, since the store is behind, is told apart from what is missing; each difference has its place.
//! Only reads, on both sides.

use std::path::Path;

use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::fault::SinkError;
use super::postgres::connect::failed;
use crate::ledger::batches::{BatchLimits, Batches};
use crate::ledger::log_id::LogId;
use crate::ledger::read::{entries, segment_starts};

/// How closely is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Numbers only.
    Numbers,
    /// Every line, byte by byte.
    Lines,
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The log.
    pub log: String,
    /// The first entry that both should have.
    pub first_seq: u64,
    /// The last entry that the store says it has.
    pub stored_seq: u64,
    /// The last entry of the ledger.
    pub ledger_seq: u64,
    /// Each segment that both should have, at least in part.
    pub segments: Vec<SegmentCompared>,
    /// What differs; at most [`DIFFERENCES_MAX`] for each segment.
    pub differences: Vec<Difference>,
}

/// One segment in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentCompared {
    /// Its first entry that the store should have.
    pub first_seq: u64,
    /// Its last one.
    pub last_seq: u64,
    /// How many of them the store has.
    pub stored: u64,
}

/// Where store and ledger differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The store knows nothing of this log.
    Unknown,
    /// The store says that it has entries that the ledger does not have.
    Ahead,
    /// The ledger has these entries, the store says it has them and has not.
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The store has so many entries behind those that it says it has.
    Beyond {
        /// How many.
        count: u64,
    },
    /// The store has so many rows more than entries there.
    Doubled {
        /// The first entry of the segment.
        from: u64,
        /// The last one.
        to: u64,
        /// How many rows too many.
        count: u64,
    },
    /// The store has so many entries before the first that it was sent.
    Before {
        /// How many.
        count: u64,
    },
    /// The store has another line.
    Line {
        /// The entry.
        seq: u64,
    },
}

impl Compared {
    /// How many entries wait to be sent.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.ledger_seq.saturating_sub(self.stored_seq)
    }
}

/// The entries of a state folder by their segments.
struct Held {
    starts: Vec<u64>,
    last_seq: u64,
}

/// Compares a store, of this program's version, with the ledger in a state folder.
///
/// # Errors
/// A ledger that cannot be read, no connection, or no right to read.
pub async fn compare(
    client: &Client,
    state: &Path,
    log: &LogId,
    depth: Depth,
) -> Result<Compared, SinkError> {
    let held = held(state)?;
    let mut compared = Compared {
        log: log.to_string(),
        first_seq: 0,
        stored_seq: 0,
        ledger_seq: held.last_seq,
        segments: Vec::new(),
        differences: Vec::new(),
    };
    let found = query(client, CURSOR, &[&log.as_str()]).await?;
    let Some([first_seq, stored_seq]) = found.first() else {
        compared.differences.push(Difference::Unknown);
        return Ok(compared);
    };
    compared.first_seq = (*first_seq).max(held.starts.first().copied().unwrap_or(1));
    compared.stored_seq = *stored_seq;
    if compared.stored_seq > held.last_seq {
        compared.differences.push(Difference::Ahead);
    }
    let both = compared.first_seq..=compared.stored_seq.min(held.last_seq);
    for (at, start) in held.starts.iter().enumerate() {
        let next = held.starts.get(at + 1).copied().unwrap_or(held.last_seq + 1);
        let (first, last) = ((*start).max(*both.start()), (next - 1).min(*both.end()));
        if first <= last {
            segment(client, log, first, last, &mut compared).await?;
        }
    }
    let before = query(client, BEFORE, &[&log.as_str(), &signed(*first_seq)]).await?;
    if let Some([count, _]) = before.first().filter(|[count, _]| *count > 0) {
        compared.differences.push(Difference::Before { count: *count });
    }
    let beyond = query(client, BEYOND, &[&log.as_str(), &signed(compared.stored_seq)]).await?;
    if let Some([count, _]) = beyond.first().filter(|[count, _]| *count > 0) {
        compared.differences.push(Difference::Beyond { count: *count });
    }
    if depth == Depth::Lines {
        lines(client, state, log, *both.start(), *both.end(), &mut compared).await?;
    }
    Ok(compared)
}

async fn segment(
    client: &Client,
    log: &LogId,
    first_seq: u64,
    last_seq: u64,
    compared: &mut Compared,
) -> Result<(), SinkError> {
    let (first, last) = (signed(first_seq), signed(last_seq));
    let counted = query(client, COUNT, &[&log.as_str(), &first, &last]).await?;
    let [rows, stored] = counted.first().copied().unwrap_or_default();
    compared.segments.push(SegmentCompared { first_seq, last_seq, stored });
    if rows > stored {
        let count = rows - stored;
        compared.differences.push(Difference::Doubled { from: first_seq, to: last_seq, count });
    }
    if stored != last_seq - first_seq + 1 {
        let limit = i64::try_from(DIFFERENCES_MAX).unwrap_or(i64::MAX);
        let missing = query(client, MISSING, &[&log.as_str(), &first, &last, &limit]).await?;
        let missing = missing.into_iter().map(|[from, to]| Difference::Missing { from, to });
        compared.differences.extend(missing);
    }
    Ok(())
}

/// Compares every line that the store has with the ledger's; those that it does not have were told already.
async fn lines(
    client: &Client,
    state: &Path,
    log: &LogId,
    first_seq: u64,
    last_seq: u64,
    compared: &mut Compared,
) -> Result<(), SinkError> {
    let mut batches = Batches::new(state, first_seq);
    let mut found = 0;
    while let Some(batch) = batches.read(last_seq, LINES_AT_ONCE)? {
        let (first, last) = (signed(batch.first_seq()), signed(batch.last_seq()));
        let rows = client.query(LINES, &[&log.as_str(), &first, &last]).await.map_err(|e| failed(&e))?;
        let own: Vec<&[u8]> = batch.lines().collect();
        for row in rows {
            let seq: i64 = row.try_get(0).map_err(|e| failed(&e))?;
            let stored: &str = row.try_get(1).map_err(|e| failed(&e))?;
            // Each row by itself, since there may be two of one entry.
            let place = usize::try_from(seq - first).ok();
            let line = place.and_then(|place| own.get(place).copied());
            if line.is_some_and(|line| line != stored.as_bytes()) && found < DIFFERENCES_MAX {
                found += 1;
                compared.differences.push(Difference::Line { seq: unsigned(seq) });
            }
        }
    }
    Ok(())
}

fn held(state: &Path) -> Result<Held, SinkError> {
    let starts = segment_starts(state)?;
    let last_start = starts.last().copied().unwrap_or(0);
    let mut last_seq = last_start.saturating_sub(1);
    for line in entries(state, last_start) {
        last_seq = line?.place.seq;
    }
    Ok(Held { starts, last_seq })
}

/// Rows of two numbers.
async fn query(
    client: &Client,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<[u64; 2]>, SinkError> {
    let rows = client.query(sql, values).await.map_err(|error| failed(&error))?;
    let pair = |row: &tokio_postgres::Row| {
        let (first, second): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok([unsigned(first), unsigned(second)])
    };
    rows.iter().map(pair).collect::<Result<_, _>>().map_err(|error: tokio_postgres::Error| failed(&error))
}

fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn unsigned(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}

/// How many differences are told of one segment, and how many lines in all.
pub const DIFFERENCES_MAX: usize = 20;

const LINES_AT_ONCE: BatchLimits = BatchLimits { lines_max: 1_000, bytes_max: 4 << 20 };

const CURSOR: &str = "select first_seq, seq from lockkeeper.log where log = $1";

const COUNT: &str = "select count(*), count(distinct seq) from lockkeeper.entry where log = $1 and seq between $2::bigint and $3::bigint";

const BEFORE: &str = "select count(*), 0::bigint from lockkeeper.entry where log = $1 and seq < $2::bigint";

const BEYOND: &str = "select count(*), 0::bigint from lockkeeper.entry where log = $1 and seq > $2::bigint";

/// The holes between neighbours, with the ends of the range as neighbours too.
const MISSING: &str = "select seq + 1, next - 1 from ( \
                         select seq, lead(seq) over (order by seq) as next from ( \
                           select seq from lockkeeper.entry where log = $1 and seq between $2::bigint and $3::bigint \
                           union all select $2::bigint - 1 union all select $3::bigint + 1) as stored) as pairs \
                       where next > seq + 1 order by seq limit $4::bigint";

const LINES: &str = "select seq, line from lockkeeper.entry where log = $1 and seq between $2::bigint and $3::bigint \
                     order by seq";
