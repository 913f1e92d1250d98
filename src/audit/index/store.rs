//! The index's file: whose it is, and whether it fits the ledger [edge].
//!
//! Promises: a file that is not an index is left alone; an index of another version or another ledger, or one that has entries which
//! the ledger no longer has, is emptied and made anew, never asked. Readable by its owner only.
#![expect(clippy::disallowed_methods, reason = "edge: looks at the index's file, and makes it")]

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use super::error::IndexError;
use super::words::FIXED;
use crate::ledger::read::{RawLine, Spot, Spots, Tail};
use crate::model::hex::hex;

/// How far an index is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The last line that is in it.
    pub last: RawLine,
    /// The first entry that the ledger keeps, and its time.
    pub first: (i64, i64),
    /// The time of the last entry.
    pub t: i64,
}

/// Opens an index, making its file if it is missing.
pub fn open(path: &Path) -> Result<Connection, IndexError> {
    claim(path)?;
    let io = |what| move |source| IndexError::Io { what, path: path.to_path_buf(), source };
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    drop(made.map_err(io("opened for writing"))?);
    let at = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    at.busy_timeout(PATIENCE)?;
    at.set_prepared_statement_cache_capacity(STATEMENTS);
    at.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(at)
}

/// Refuses a file that is neither empty nor an index.
fn claim(path: &Path) -> Result<(), IndexError> {
    let failed = |source| IndexError::Io { what: "read", path: path.to_path_buf(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(failed)?,
    };
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head).map_err(failed)?;
    // https://sqlite.org/fileformat2.html: the magic string, and at byte 68 the application's number.
    let is_ours =
        head.starts_with(b"SQLite format 3\0") && head.get(68..72) == Some(&APPLICATION.to_be_bytes()[..]);
    match is_ours || head.is_empty() {
        true => Ok(()),
        false => Err(IndexError::Foreign { path: path.to_path_buf() }),
    }
}

/// How far the index is; `None` where nothing in it can be trusted, and it was emptied.
pub fn cursor(at: &Connection, state: &Path, first: &RawLine) -> Result<Option<Cursor>, IndexError> {
    let version: i32 = at.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let cursor = if version == VERSION { read_cursor(at, state, first)? } else { None };
    if cursor.is_none() {
        reset(at)?;
    }
    Ok(cursor)
}

fn read_cursor(at: &Connection, state: &Path, first: &RawLine) -> Result<Option<Cursor>, IndexError> {
    let sql = "SELECT ledger, segment, offset, line, digest, first_seq, first_t, t, seq FROM about";
    let about = at.prepare_cached(sql)?.query_row([], |row| {
        let spot =
            Spot { segment: number(row.get(1)?), offset: number(row.get(2)?), line: number(row.get(3)?) };
        let ledger: String = row.get(0)?;
        let digest: String = row.get(4)?;
        Ok((ledger, spot, digest, (row.get(5)?, row.get(6)?), row.get(7)?, number(row.get(8)?)))
    });
    let Some((ledger, spot, digest_then, first_entry, t, seq)) = about.optional()? else { return Ok(None) };
    if ledger != digest(&first.bytes) {
        return Ok(None);
    }
    // What stands there now may be anything: another line, or the middle of one.
    let last = Spots::new(state).line(spot).ok().flatten();
    let last = last.filter(|last| digest(&last.bytes) == digest_then && last.place.seq == seq);
    Ok(last.map(|last| Cursor { last, first: first_entry, t }))
}

/// Notes how far the index is.
pub fn set_cursor(at: &Connection, ledger: &RawLine, cursor: &Cursor) -> rusqlite::Result<()> {
    let Cursor { last, first, t } = cursor;
    let sql = "INSERT OR REPLACE INTO about
               (only_row, ledger, first_seq, first_t, seq, t, segment, offset, line, digest)
               VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let spot = last.spot;
    let values = params![
        digest(&ledger.bytes),
        first.0,
        first.1,
        whole(last.place.seq),
        t,
        whole(spot.segment),
        whole(spot.offset),
        whole(spot.line),
        digest(&last.bytes),
    ];
    at.prepare_cached(sql)?.execute(values).map(drop)
}

/// Empties the index.
fn reset(at: &Connection) -> Result<(), IndexError> {
    let sql =
        "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'";
    let mut statement = at.prepare(sql)?;
    let made = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    for (kind, name) in made.collect::<rusqlite::Result<Vec<_>>>()? {
        at.execute_batch(&format!("DROP {kind} \"{}\"", name.replace('"', "\"\"")))?;
    }
    at.execute_batch(SCHEMA)?;
    at.pragma_update(None, "application_id", APPLICATION)?;
    at.pragma_update(None, "user_version", VERSION)?;
    for word in FIXED {
        at.execute("INSERT INTO words(word) VALUES (?1)", [word])?;
    }
    Ok(())
}

/// The first line of the ledger, which tells it from all others; `None` before there is one.
pub fn first_line(state: &Path) -> Result<Option<RawLine>, IndexError> {
    Ok(Tail::new(state, 0).next_raw()?)
}

/// A number of the ledger as SQLite takes it. No ledger has more than 2^63 entries or bytes.
pub fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The same back.
pub fn number(whole: i64) -> u64 {
    u64::try_from(whole).unwrap_or(0)
}

/// Where a tail goes on.
pub fn tail(state: &Path, cursor: Option<&Cursor>) -> Result<Tail, IndexError> {
    Ok(match cursor {
        Some(cursor) => Tail::behind(state, &cursor.last)?,
        None => Tail::new(state, 0),
    })
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

const SCHEMA: &str = include_str!("schema.sql");

/// The version of the schema; another one is made anew.
const VERSION: i32 = 2;

/// `LKIX`, in the header of every index.
const APPLICATION: i32 = 0x4C4B_4958;

/// The bytes of SQLite's header.
const HEAD_BYTES: u64 = 100;

/// How long another command that brings the index up to date is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What SQLite may keep of the index in memory.
const CACHE_KIB: i64 = 64 << 10;

/// Statements that are kept prepared.
const STATEMENTS: usize = 64;
