//! Every decision of a time with what it did, one after the other: what reviews are made of.
//!
//! Promises: all that the index holds of that time is visited once, in the order of the ledger, as far as the ledger was indexed when
//! the index was opened. Nothing is collected here.

use std::rc::Rc;

use rusqlite::OptionalExtension as _;

use super::Index;
use super::error::IndexError;
use super::pending::HELD_BACK;
use super::question::{Act, Change, Move, Spelled, Unidentified, Within};
use super::store::{number, whole};

/// One decision and what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// The decision.
    pub act: Act,
    /// Whether fields were stripped or rows left out.
    pub held_back: bool,
    /// What it was allowed, or did while it was only observed: an action and a type, or `writeField` and a field.
    pub exercised: Vec<(Rc<str>, Rc<str>)>,
    /// The ways in which it showed records.
    pub shown: Vec<Rc<Spelled>>,
    /// The stage move that it is about.
    pub moved: Option<Move>,
}

impl Deed {
    /// Whether it came to something: an answer left, or the CRM carried a change out, or may have.
    pub fn is_effective(&self) -> bool {
        let act = &self.act;
        match act.is_change {
            true => matches!(self.change(), Change::Done | Change::Unconfirmed | Change::Unknown),
            false => (act.effect == "allow" || act.is_observed) && act.may_have_shown(),
        }
    }

    /// What became of a change: a move tells more than its answer does.
    pub fn change(&self) -> Change {
        self.moved.as_ref().map_or_else(|| self.act.change(), |moved| moved.change)
    }
}

impl Index {
    /// Visits every decision.
    ///
    /// # Errors
    /// The index cannot be read, or the visitor's own.
    pub fn deeds(
        &self,
        within: &Within,
        mut visit: impl FnMut(Deed) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let Some(cursor) = &self.cursor else { return Ok(()) };
        // Another command may bring the index further meanwhile.
        let last = whole(cursor.last.place.seq);
        let sql = "SELECT seq FROM decisions WHERE seq BETWEEN ?1 AND ?2 AND seq <= ?3 ORDER BY seq";
        self.walk(sql, [last.into()], within, |raw, act| {
            let moved = self.move_of(raw.seq, &act)?;
            let (exercised, shown) = (self.exercised(raw.seq)?, self.showed(raw.seq)?);
            visit(Deed { act, held_back: raw.acts & HELD_BACK > 0, exercised, shown, moved })?;
            Ok(None::<()>)
        })?;
        Ok(())
    }

    /// Visits what was refused before anyone was identified, in the order of the ledger.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn unidentified(
        &self,
        within: &Within,
        mut visit: impl FnMut(Unidentified),
    ) -> Result<(), IndexError> {
        let bounds = self.bounds(within)?;
        let sql = "SELECT seq, t, reason, source, number FROM refusals
                   WHERE seq BETWEEN ?1 AND ?2 AND t >= ?3 AND t < ?4 ORDER BY seq, rowid";
        let mut statement = self.at.prepare_cached(sql)?;
        let mut found = statement.query([bounds.low, bounds.high, bounds.from, bounds.to])?;
        while let Some(row) = found.next()? {
            let word = |id: i64| self.rows.word(&self.at, id).map(|word| word.to_string());
            visit(Unidentified {
                seq: number(row.get(0)?),
                t: row.get(1)?,
                reason: word(row.get(2)?)?,
                source: word(row.get(3)?)?,
                number: number(row.get(4)?),
            });
        }
        Ok(())
    }

    fn move_of(&self, seq: i64, act: &Act) -> Result<Option<Move>, IndexError> {
        let sql = "SELECT 1 FROM moves WHERE decision = ?1";
        let is_move = self.at.prepare_cached(sql)?.query_row([seq], |_| Ok(())).optional()?;
        is_move.map(|()| self.a_move(seq, act.clone())).transpose()
    }

    fn exercised(&self, seq: i64) -> rusqlite::Result<Vec<(Rc<str>, Rc<str>)>> {
        let sql =
            "SELECT action, subject FROM exercised JOIN permissions ON id = permission WHERE decision = ?1";
        let mut statement = self.at.prepare_cached(sql)?;
        let pairs = statement.query_map([seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let pairs = pairs.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
        let words =
            |(action, subject)| Ok((self.rows.word(&self.at, action)?, self.rows.word(&self.at, subject)?));
        pairs.into_iter().map(words).collect()
    }

    fn showed(&self, seq: i64) -> rusqlite::Result<Vec<Rc<Spelled>>> {
        let mut statement = self.at.prepare_cached("SELECT shape FROM showed WHERE decision = ?1")?;
        let shapes = statement.query_map([seq], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
        shapes.into_iter().map(|shape| self.rows.shape(&self.at, shape)).collect()
    }
}
