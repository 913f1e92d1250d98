//! Words that stand in many rows, each kept once and named by a number.
//!
//! Promises: equal words have equal numbers within one index. What is remembered in memory is bounded; what was forgotten is
//! looked up.

use std::collections::HashMap;
use std::hash::Hash;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::facts::{Sets, Text};

/// The words that every index begins with; a word's number is its place, from 1.
pub const FIXED: &[&str] = &[
    "allow",
    "deny",
    "refuse",
    "fail",
    "enforce",
    "observe",
    "all",
    "filtered",
    "problem",
    "none",
    "unknown",
    "yes",
    "partial",
    "abandoned",
    "asserted",
];

/// The number of `allow`.
pub const ALLOW: i64 = 1;
/// The number of `observe`, which the schema names too.
pub const OBSERVE: i64 = 6;
/// The number of `asserted`: another service asked what would be decided.
pub const ASSERTED: i64 = 15;

/// What was looked up lately.
#[derive(Default)]
pub struct Words {
    words: HashMap<String, i64>,
    principals: HashMap<String, i64>,
    field_sets: HashMap<String, i64>,
    lists: HashMap<String, i64>,
    shapes: HashMap<Shape, i64>,
    permissions: HashMap<(i64, i64), i64>,
}

/// A way in which records were treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// The records' type, a word.
    pub record_type: i64,
    /// The set of fields that were shown; 0 for none.
    pub shown: i64,
    /// The set that was stripped.
    pub hidden: i64,
    /// The set that was masked.
    pub masked: i64,
    /// The determining policies, a list.
    pub policies: i64,
    /// 1 for rows that policies would have left out.
    pub whole: i64,
}

impl Words {
    /// The number of a word.
    pub fn word(&mut self, at: &Connection, word: &str) -> rusqlite::Result<i64> {
        recall(&mut self.words, word, || {
            let known = "SELECT id FROM words WHERE word = ?1";
            let found = at.prepare_cached(known)?.query_row([word], |row| row.get(0)).optional()?;
            found.map_or_else(|| insert(at, "INSERT INTO words(word) VALUES (?1)", [word]), Ok)
        })
    }

    /// The number of a word that may be missing.
    pub fn maybe(&mut self, at: &Connection, word: Option<&Text<'_>>) -> rusqlite::Result<Option<i64>> {
        word.map(|word| self.word(at, word.as_str())).transpose()
    }

    /// The number of a principal. `principal_type` is unknown for those on whose behalf others act.
    pub fn principal(
        &mut self,
        at: &Connection,
        handle: &str,
        principal_type: Option<&str>,
    ) -> rusqlite::Result<i64> {
        if let Some(id) = self.principals.get(handle) {
            return Ok(*id);
        }
        let number = principal_type.map(|name| self.word(at, name)).transpose()?.unwrap_or(0);
        // Whoever was only acted for may come by themselves later.
        let sql = "INSERT INTO principals(handle, type) VALUES (?1, ?2)
                   ON CONFLICT(handle) DO UPDATE SET type = max(type, excluded.type) RETURNING id";
        let id = at.prepare_cached(sql)?.query_row(params![handle, number], |row| row.get(0))?;
        if number > 0 {
            remember(&mut self.principals, handle.to_owned(), id);
        }
        Ok(id)
    }

    /// Learns how a set of fields is spelled.
    pub fn spell(&mut self, at: &Connection, code: &str, names: &[String]) -> rusqlite::Result<()> {
        if self.field_sets.contains_key(code) {
            return Ok(());
        }
        let sql = "INSERT INTO field_sets(code, names) VALUES (?1, ?2)
                   ON CONFLICT(code) DO UPDATE SET names = excluded.names RETURNING id";
        let spelled = serde_json::Value::from(names).to_string();
        let id: i64 = at.prepare_cached(sql)?.query_row(params![code, spelled], |row| row.get(0))?;
        let mut fields =
            at.prepare_cached("INSERT OR IGNORE INTO set_fields(field, field_set) VALUES (?1, ?2)")?;
        for name in names {
            fields.execute(params![name, id])?;
        }
        remember(&mut self.field_sets, code.to_owned(), id);
        Ok(())
    }

    /// The number of a list of policies.
    pub fn list(&mut self, at: &Connection, policies: &[Text<'_>]) -> rusqlite::Result<i64> {
        let names: Vec<&str> = policies.iter().map(Text::as_str).collect();
        let spelled = serde_json::Value::from(names.as_slice()).to_string();
        recall(&mut self.lists, spelled.as_str(), || {
            let known = "SELECT id FROM policy_lists WHERE policies = ?1";
            let found = at.prepare_cached(known)?.query_row([&spelled], |row| row.get(0)).optional()?;
            if let Some(id) = found {
                return Ok(id);
            }
            let id = insert(at, "INSERT INTO policy_lists(policies) VALUES (?1)", [&spelled])?;
            let mut members =
                at.prepare_cached("INSERT OR IGNORE INTO list_policies(policy, list) VALUES (?1, ?2)")?;
            for name in &names {
                members.execute(params![name, id])?;
            }
            Ok(id)
        })
    }

    /// The number of the way in which the records of an entry were treated.
    pub fn shape(&mut self, at: &Connection, sets: &Sets<'_>) -> rusqlite::Result<(Shape, i64)> {
        let shape = Shape {
            record_type: self.word(at, sets.record_type.as_str())?,
            shown: self.field_set(at, sets.shown.as_ref())?,
            hidden: self.field_set(at, sets.hidden.as_ref())?,
            masked: self.field_set(at, sets.masked.as_ref())?,
            policies: self.list(at, &sets.policies)?,
            whole: 0,
        };
        Ok((shape, self.shape_id(at, shape)?))
    }

    /// The number of a shape.
    pub fn shape_id(&mut self, at: &Connection, shape: Shape) -> rusqlite::Result<i64> {
        let Shape { record_type, shown, hidden, masked, policies, whole } = shape;
        let values = params![record_type, shown, hidden, masked, policies, whole];
        recall(&mut self.shapes, &shape, || {
            let known = "SELECT id FROM shapes WHERE type = ?1 AND shown = ?2 AND hidden = ?3 AND masked = ?4
                         AND policies = ?5 AND whole = ?6";
            let found = at.prepare_cached(known)?.query_row(values, |row| row.get(0)).optional()?;
            let new = "INSERT INTO shapes(type, shown, hidden, masked, policies, whole) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            found.map_or_else(|| insert(at, new, values), Ok)
        })
    }

    /// The number of a permission: an action on a type, or on a field.
    pub fn permission(&mut self, at: &Connection, action: &str, subject: &str) -> rusqlite::Result<i64> {
        let pair = (self.word(at, action)?, self.word(at, subject)?);
        recall(&mut self.permissions, &pair, || {
            let known = "SELECT id FROM permissions WHERE action = ?1 AND subject = ?2";
            let found = at.prepare_cached(known)?.query_row(pair, |row| row.get(0)).optional()?;
            let new = "INSERT INTO permissions(action, subject) VALUES (?1, ?2)";
            found.map_or_else(|| insert(at, new, pair), Ok)
        })
    }

    /// The number of a set of fields; 0 for none. A set that nothing spelled has no names.
    fn field_set(&mut self, at: &Connection, code: Option<&Text<'_>>) -> rusqlite::Result<i64> {
        let Some(code) = code.map(Text::as_str) else { return Ok(0) };
        if let Some(id) = self.field_sets.get(code) {
            return Ok(*id);
        }
        let known = "SELECT id FROM field_sets WHERE code = ?1";
        let found = at.prepare_cached(known)?.query_row([code], |row| row.get(0)).optional()?;
        found.map_or_else(|| insert(at, "INSERT INTO field_sets(code, names) VALUES (?1, '[]')", [code]), Ok)
    }
}

fn insert(at: &Connection, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<i64> {
    at.prepare_cached(sql)?.insert(values)
}

/// What is remembered under a key, or is found now.
fn recall<K, Q>(
    known: &mut HashMap<K, i64>,
    key: &Q,
    find: impl FnOnce() -> rusqlite::Result<i64>,
) -> rusqlite::Result<i64>
where
    K: Eq + Hash + std::borrow::Borrow<Q>,
    Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
{
    if let Some(id) = known.get(key) {
        return Ok(*id);
    }
    let id = find()?;
    remember(known, key.to_owned(), id);
    Ok(id)
}

fn remember<K: Eq + Hash>(known: &mut HashMap<K, i64>, key: K, id: i64) {
    if known.len() >= REMEMBERED_MAX {
        known.clear();
    }
    known.insert(key, id);
}

/// How many of a kind are remembered.
const REMEMBERED_MAX: usize = 1 << 16;
