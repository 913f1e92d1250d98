//! The entries of a decision, read in the ledger where the index says they are.
//!
//! Promises: what is told comes from lines whose checksums hold; a line that is not the decision's is an error, never told.

use rusqlite::params;
use serde_json::Value;

use super::Index;
use super::error::IndexError;
use super::question::{Act, Answer, Found, Reading, Within};
use super::store::{number, whole};
use crate::audit::dictionary::Dictionary;
use crate::audit::item::{Item, text};
use crate::ledger::line::Flaw;
use crate::ledger::read::Spot;

impl Index {
    /// A decision with all that came of it, names of fields spelled out.
    ///
    /// # Errors
    /// A line that is damaged, or is not where the index has it.
    pub fn item(&self, act: &Act) -> Result<Item, IndexError> {
        let mut item: Option<Item> = None;
        for (seq, offset) in self.places(act)? {
            let mut entry = self.entry(seq, offset)?;
            let kind = text(&entry, "kind").to_owned();
            let of = text(&entry, if kind == "decision" { "id" } else { "of" });
            if of != act.id {
                return Err(IndexError::Stale { seq });
            }
            self.spell(&mut entry)?;
            match &mut item {
                None => item = Some(Item::new(&kind, entry)),
                Some(item) if item.continues_with(&kind, &entry) => item.join(&entry),
                Some(item) => item.add_later(entry),
            }
        }
        let item = item.ok_or(IndexError::Stale { seq: act.seq })?;
        let handle = item.entry.get("who").map(|who| text(who, "handle")).unwrap_or_default();
        match act.who.as_ref().map_or("", |who| who.handle.as_str()) == handle {
            true => Ok(item),
            false => Err(IndexError::Stale { seq: act.seq }),
        }
    }

    /// Who read the ledger. A reading has no policy and no revision.
    ///
    /// # Errors
    /// As [`Index::item`].
    pub fn readings(&self, within: &Within) -> Answer<Reading> {
        let Found { rows: places, has_more } = self.placed("readings", within)?;
        let rows = places.into_iter().map(|(seq, offset, t)| {
            let entry = self.entry(seq, offset)?;
            let member = |name: &str| text(&entry, name).to_owned();
            Ok(Reading { seq, t, command: member("command"), by: member("by") })
        });
        Ok(Found { rows: rows.collect::<Result<_, IndexError>>()?, has_more })
    }

    /// Bundles, directories and keys that were offered, each as its entry, the parts of one joined.
    ///
    /// # Errors
    /// As [`Index::item`].
    pub fn revisions(&self, within: &Within) -> Answer<Item> {
        let Found { rows: places, has_more } = self.placed("revisions", within)?;
        let mut rows: Vec<Item> = Vec::new();
        for (seq, offset, _) in places {
            let entry = self.entry(seq, offset)?;
            match rows.last_mut() {
                Some(last) if last.continues_with("revision", &entry) => last.join(&entry),
                _ => rows.push(Item::new("revision", entry)),
            }
        }
        Ok(Found { rows, has_more })
    }

    /// Where the lines of a table are, with their times, and whether there are more. They have no policy and no revision.
    fn placed(&self, table: &str, within: &Within) -> Answer<(u64, u64, i64)> {
        let bounds = self.bounds(within)?;
        if bounds.lists.is_some() || bounds.revisions.is_some() {
            return Ok(Found { rows: Vec::new(), has_more: false });
        }
        let sql = format!(
            "SELECT seq, offset, t FROM {table} WHERE seq BETWEEN ?1 AND ?2 AND t >= ?3 AND t < ?4 ORDER BY seq LIMIT ?5"
        );
        let limit = whole(bounds.limit as u64).saturating_add(1);
        let mut statement = self.at.prepare_cached(&sql)?;
        let found = statement
            .query_map(params![bounds.low, bounds.high, bounds.from, bounds.to, limit], |row| {
                Ok((number(row.get(0)?), number(row.get(1)?), row.get(2)?))
            })?;
        let mut rows = found.collect::<rusqlite::Result<Vec<_>>>()?;
        let has_more = rows.len() > bounds.limit;
        rows.truncate(bounds.limit);
        Ok(Found { rows, has_more })
    }

    /// Where the lines of a decision begin, in their order.
    fn places(&self, act: &Act) -> Result<Vec<(u64, u64)>, IndexError> {
        let sql = "SELECT seq, offset FROM decisions WHERE seq = ?1
                   UNION ALL SELECT seq, offset FROM later WHERE decision = ?1
                   UNION ALL SELECT end_seq, end_offset FROM decisions WHERE seq = ?1 AND end_seq IS NOT NULL ORDER BY 1";
        let mut statement = self.at.prepare_cached(sql)?;
        let places =
            statement.query_map([whole(act.seq)], |row| Ok((number(row.get(0)?), number(row.get(1)?))))?;
        Ok(places.collect::<rusqlite::Result<Vec<_>>>()?)
    }

    fn entry(&self, seq: u64, offset: u64) -> Result<Value, IndexError> {
        let segment = self.segments.iter().find(|first| **first <= seq).copied();
        let segment = segment.ok_or(IndexError::Stale { seq })?;
        // Which line of the segment it is, only a reader from its start knows.
        let spot = Spot { segment, offset, line: seq - segment + 1 };
        let line = self.spots.borrow_mut().line(spot)?.filter(|line| line.place.seq == seq);
        let line = line.ok_or(IndexError::Stale { seq })?;
        let value = serde_json::from_slice(&line.bytes);
        value.map_err(|_| IndexError::Ledger(spot.damaged(&self.state, Flaw::Json)))
    }

    /// Puts names in the place of ids of field sets.
    fn spell(&self, entry: &mut Value) -> Result<(), IndexError> {
        let mut dictionary = Dictionary::default();
        for code in Dictionary::named(entry) {
            let sql = "SELECT names FROM field_sets WHERE code = ?1";
            let names = self.at.prepare_cached(sql)?.query_row([&code], |row| row.get::<_, String>(0));
            if let Some(names) = names.ok().and_then(|names| serde_json::from_str(&names).ok()) {
                dictionary.put(code, names);
            }
        }
        dictionary.spell(entry);
        Ok(())
    }
}
