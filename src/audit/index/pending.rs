//! A decision that is held until its batch is written: its outcome often follows at once, and is then written with it.

use rusqlite::{Connection, params};

/// A decision id: the bytes of a UUID, or whatever else stands there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    Uuid([u8; 16]),
    Other(String),
}

/// A decision that is not written yet.
pub struct Decision {
    pub key: Key,
    pub t: i64,
    pub offset: i64,
    pub who: Option<i64>,
    pub on_behalf_of: Option<i64>,
    pub authn: Option<i64>,
    pub method: i64,
    pub route: Option<i64>,
    pub effect: i64,
    pub reason: Option<i64>,
    pub bundle: i64,
    pub directory: i64,
    pub mode: i64,
    pub acts: i64,
    pub end: Option<End>,
}

/// How a decision ended.
pub struct End {
    pub seq: i64,
    pub offset: i64,
    pub status: Option<u16>,
    pub upstream: Option<u16>,
    pub released: i64,
    pub delivered: i64,
    pub reason: Option<i64>,
}

impl Decision {
    /// Writes it under its number.
    pub fn insert(self, at: &Connection, seq: i64) -> rusqlite::Result<()> {
        let sql = "INSERT INTO decisions(seq, id, t, offset, who, on_behalf_of, authn, method, route, effect, reason, bundle,
                   directory, mode, acts, end_seq, end_offset, status, upstream, released, delivered, end_reason)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)";
        let end = self.end.as_ref();
        let values = params![
            seq,
            self.key,
            self.t,
            self.offset,
            self.who,
            self.on_behalf_of,
            self.authn,
            self.method,
            self.route,
            self.effect,
            self.reason,
            self.bundle,
            self.directory,
            self.mode,
            self.acts,
            end.map(|end| end.seq),
            end.map(|end| end.offset),
            end.and_then(|end| end.status),
            end.and_then(|end| end.upstream),
            end.map(|end| end.released),
            end.map(|end| end.delivered),
            end.and_then(|end| end.reason),
        ];
        at.prepare_cached(sql)?.execute(values).map(drop)
    }
}

impl Key {
    /// The key of an id.
    pub fn of(id: &str) -> Self {
        match uuid::Uuid::try_parse(id) {
            // Only this spelling comes back as it was.
            Ok(uuid) if uuid.to_string() == id => Self::Uuid(*uuid.as_bytes()),
            _ => Self::Other(id.to_owned()),
        }
    }
}

impl rusqlite::ToSql for Key {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Uuid(bytes) => Ok(bytes.as_slice().into()),
            Self::Other(text) => Ok(text.as_str().into()),
        }
    }
}

/// The decision showed fields of records.
pub const SHOWED: i64 = 1;
/// It is a change.
pub const CHANGED: i64 = 2;
/// Fields were stripped, or rows left out.
pub const HELD_BACK: i64 = 4;
