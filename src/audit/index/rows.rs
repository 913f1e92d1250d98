//! Decisions and shapes as the index has them, with their words.
//!
//! Promises: a word is looked up once; what is remembered lives as long as the question's index does.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::pending::CHANGED;
use super::question::{Act, End, Principal, Spelled};
use super::store::number;
use super::words::{ASSERTED, OBSERVE};

/// What was looked up.
#[derive(Default)]
pub struct Rows {
    words: RefCell<HashMap<i64, Rc<str>>>,
    principals: RefCell<HashMap<i64, Principal>>,
    shapes: RefCell<HashMap<i64, Rc<Spelled>>>,
}

/// A decision's row, its words still numbers.
pub struct Raw {
    pub seq: i64,
    pub t: i64,
    pub bundle: i64,
    pub directory: i64,
    pub acts: i64,
    id: rusqlite::types::Value,
    who: Option<i64>,
    on_behalf_of: Option<i64>,
    authn: Option<i64>,
    method: i64,
    route: Option<i64>,
    effect: i64,
    reason: Option<i64>,
    mode: i64,
    end: Option<RawEnd>,
}

struct RawEnd {
    seq: i64,
    status: Option<u16>,
    upstream: Option<u16>,
    released: i64,
    delivered: i64,
    reason: Option<i64>,
}

/// A decision's row; `None` where there is none.
pub fn raw(at: &Connection, seq: i64) -> rusqlite::Result<Option<Raw>> {
    let sql = "SELECT seq, t, bundle, directory, acts, id, who, on_behalf_of, authn, method, route, effect, reason, mode,
               end_seq, status, upstream, released, delivered, end_reason FROM decisions WHERE seq = ?1";
    at.prepare_cached(sql)?.query_row([seq], read_raw).optional()
}

fn read_raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let end = match row.get(14)? {
        None => None,
        Some(seq) => Some(RawEnd {
            seq,
            status: row.get(15)?,
            upstream: row.get(16)?,
            released: row.get(17)?,
            delivered: row.get(18)?,
            reason: row.get(19)?,
        }),
    };
    Ok(Raw {
        seq: row.get(0)?,
        t: row.get(1)?,
        bundle: row.get(2)?,
        directory: row.get(3)?,
        acts: row.get(4)?,
        id: row.get(5)?,
        who: row.get(6)?,
        on_behalf_of: row.get(7)?,
        authn: row.get(8)?,
        method: row.get(9)?,
        route: row.get(10)?,
        effect: row.get(11)?,
        reason: row.get(12)?,
        mode: row.get(13)?,
        end,
    })
}

impl Rows {
    /// A decision in words.
    pub fn act(&self, at: &Connection, raw: &Raw) -> rusqlite::Result<Act> {
        let word = |id: i64| self.word(at, id).map(|word| word.to_string());
        let maybe = |id: Option<i64>| id.map(word).transpose();
        let end = raw.end.as_ref().map(|end| -> rusqlite::Result<End> {
            Ok(End {
                seq: number(end.seq),
                status: end.status,
                upstream: end.upstream,
                released: word(end.released)?,
                delivered: word(end.delivered)?,
                reason: maybe(end.reason)?,
            })
        });
        Ok(Act {
            seq: number(raw.seq),
            id: decision_id(&raw.id),
            t: raw.t,
            who: raw.who.map(|id| self.principal(at, id)).transpose()?,
            on_behalf_of: raw.on_behalf_of.map(|id| self.principal(at, id)).transpose()?,
            is_asserted: raw.authn == Some(ASSERTED),
            method: word(raw.method)?,
            route: maybe(raw.route)?,
            effect: word(raw.effect)?,
            reason: maybe(raw.reason)?,
            bundle: word(raw.bundle)?,
            directory: word(raw.directory)?,
            is_observed: raw.mode == OBSERVE,
            is_change: raw.acts & CHANGED > 0,
            end: end.transpose()?,
        })
    }

    /// A word.
    pub fn word(&self, at: &Connection, id: i64) -> rusqlite::Result<Rc<str>> {
        if let Some(word) = self.words.borrow().get(&id) {
            return Ok(Rc::clone(word));
        }
        let sql = "SELECT word FROM words WHERE id = ?1";
        let word: String = at.prepare_cached(sql)?.query_row([id], |row| row.get(0))?;
        let word: Rc<str> = word.into();
        self.words.borrow_mut().insert(id, Rc::clone(&word));
        Ok(word)
    }

    fn principal(&self, at: &Connection, id: i64) -> rusqlite::Result<Principal> {
        if let Some(principal) = self.principals.borrow().get(&id) {
            return Ok(principal.clone());
        }
        let sql = "SELECT handle, type FROM principals WHERE id = ?1";
        let (handle, type_id): (String, i64) =
            at.prepare_cached(sql)?.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let type_name = match type_id {
            0 => String::new(),
            id => self.word(at, id)?.to_string(),
        };
        let principal = Principal { handle, type_name };
        self.principals.borrow_mut().insert(id, principal.clone());
        Ok(principal)
    }

    /// A shape with its names.
    pub fn shape(&self, at: &Connection, id: i64) -> rusqlite::Result<Rc<Spelled>> {
        if let Some(shape) = self.shapes.borrow().get(&id) {
            return Ok(Rc::clone(shape));
        }
        let sql = "SELECT type, shown, hidden, masked, policies, whole FROM shapes WHERE id = ?1";
        let shape: (i64, i64, i64, i64, i64, bool) =
            at.prepare_cached(sql)?.query_row([id], |row| row.try_into())?;
        let (type_id, shown, hidden, masked, policies, is_whole) = shape;
        let names = |set: i64| list(at, "SELECT names FROM field_sets WHERE id = ?1", set);
        let spelled = Rc::new(Spelled {
            type_name: self.word(at, type_id)?.to_string(),
            shown: names(shown)?,
            hidden: names(hidden)?,
            masked: names(masked)?,
            policies: list(at, "SELECT policies FROM policy_lists WHERE id = ?1", policies)?,
            is_whole,
        });
        self.shapes.borrow_mut().insert(id, Rc::clone(&spelled));
        Ok(spelled)
    }
}

/// A list of names that is kept as JSON; none where there is no such row.
fn list(at: &Connection, sql: &str, id: i64) -> rusqlite::Result<Vec<String>> {
    let text: Option<String> = at.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

fn decision_id(id: &rusqlite::types::Value) -> String {
    match id {
        rusqlite::types::Value::Blob(bytes) => {
            uuid::Uuid::from_slice(bytes).map(|id| id.to_string()).unwrap_or_default()
        }
        rusqlite::types::Value::Text(text) => text.clone(),
        _ => String::new(),
    }
}
