//! Lines of the ledger as rows of the index, written in one transaction.
//!
//! Promises: memory is bounded by the batch's limits. Every member of `sets` counts wherever it stands: in a decision, its parts, the
//! parts of a long list, an outcome. A later line finds its decision in this batch or in the index.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Deserialize;

use super::error::IndexError;
use super::facts::{self, Text};
use super::pending::{CHANGED, Decision, End, HELD_BACK, Key, SHOWED};
use super::store::{Cursor, whole};
use super::words::{ALLOW, OBSERVE, Shape, Words};
use crate::audit::when::nanoseconds;
use crate::ledger::line::Flaw;
use crate::ledger::read::{RawLine, Tail};
use crate::model::access::{Action, Scope};

/// Lines that are written in one transaction.
pub struct Batch<'b> {
    at: &'b Connection,
    state: &'b Path,
    words: &'b mut Words,
    /// Decisions of this batch, by their first line's number.
    decisions: BTreeMap<i64, Decision>,
    /// Where they are, by id.
    places: HashMap<Key, i64>,
    seen: Vec<(i64, String, i64, i64)>,
    written: Vec<(i64, String, i64)>,
    /// Decisions with what they allowed, and with the ways in which they showed records.
    exercised: Vec<(i64, i64)>,
    showed: Vec<(i64, i64)>,
    lines: usize,
    bytes: usize,
    first: Option<(i64, i64)>,
    last: Option<(RawLine, i64)>,
    times: Option<(i64, i64)>,
}

/// A decision that a later line is about.
#[derive(Clone, Copy)]
struct Known {
    seq: i64,
    is_observed: bool,
}

impl<'b> Batch<'b> {
    /// An empty batch.
    pub fn new(at: &'b Connection, state: &'b Path, words: &'b mut Words) -> Self {
        Self {
            at,
            state,
            words,
            decisions: BTreeMap::new(),
            places: HashMap::new(),
            seen: Vec::new(),
            written: Vec::new(),
            exercised: Vec::new(),
            showed: Vec::new(),
            lines: 0,
            bytes: 0,
            first: None,
            last: None,
            times: None,
        }
    }

    /// Takes lines up to the batch's limits; whether there may be more.
    pub fn fill(&mut self, tail: &mut Tail) -> Result<bool, IndexError> {
        while self.lines < BATCH_LINES && self.bytes < BATCH_BYTES && self.seen.len() < BATCH_ROWS {
            let Some(line) = tail.next_raw()? else { return Ok(false) };
            let t = nanoseconds(&line.t);
            self.take(&line, t)?;
            self.lines += 1;
            self.bytes += line.bytes.len();
            self.first.get_or_insert((whole(line.place.seq), t));
            let (t_min, t_max) = self.times.unwrap_or((t, t));
            self.times = Some((t_min.min(t), t_max.max(t)));
            self.last = Some((line, t));
        }
        Ok(true)
    }

    fn take(&mut self, line: &RawLine, t: i64) -> Result<(), IndexError> {
        match line.kind.as_str() {
            "fields" => {
                let facts::Fields { set, names } = self.read(line)?;
                self.words.spell(self.at, set.as_str(), &names)?;
            }
            "decision" => self.decision(line, t)?,
            "shown" => {
                let shown: facts::Shown<'_> = self.read(line)?;
                self.of(line, &shown.of, |batch, known| {
                    batch.sets(known, &shown.sets)?;
                    batch.rows_hidden(known, &shown.rows_hidden)
                })?;
            }
            "outcome" => self.outcome(line)?,
            "delivery" => {
                let delivery: facts::Delivery<'_> = self.read(line)?;
                self.of(line, &delivery.of, |batch, known| batch.delivery(known, &delivery.delivered))?;
            }
            "alarm" | "observed" => {
                let remark: facts::Remark<'_> = self.read(line)?;
                if let Some(of) = &remark.of {
                    self.of(line, of, |_, _| Ok(()))?;
                }
            }
            "refusals" => self.refusals(line, t)?,
            "read" => self.place("INSERT INTO readings(seq, t, offset) VALUES (?1, ?2, ?3)", line, t)?,
            "revision" => self.place("INSERT INTO revisions(seq, t, offset) VALUES (?1, ?2, ?3)", line, t)?,
            "gap" => {
                let gap: facts::Gap = self.read(line)?;
                if gap.minute.is_some() {
                    return Ok(());
                }
                let sql = "INSERT INTO gaps(seq, t, refused) VALUES (?1, ?2, ?3)";
                let unrecorded = whole(gap.refused.saturating_add(gap.lost));
                self.at.prepare_cached(sql)?.execute([whole(line.place.seq), t, unrecorded])?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes where a line is that is read again when it is asked for.
    fn place(&self, sql: &str, line: &RawLine, t: i64) -> rusqlite::Result<()> {
        let values = [whole(line.place.seq), t, whole(line.spot.offset)];
        self.at.prepare_cached(sql)?.execute(values).map(drop)
    }

    fn read<'l, T: Deserialize<'l>>(&self, line: &'l RawLine) -> Result<T, IndexError> {
        let facts = serde_json::from_slice(&line.bytes);
        facts.map_err(|_| IndexError::Ledger(line.spot.damaged(self.state, Flaw::Json)))
    }

    fn decision(&mut self, line: &RawLine, t: i64) -> Result<(), IndexError> {
        let facts: facts::Decision<'_> = self.read(line)?;
        if facts.part.is_some_and(|part| part.n > 1) {
            return self.of(line, &facts.id, |batch, known| batch.lists(known, &facts));
        }
        let (at, seq, key) = (self.at, whole(line.place.seq), Key::of(facts.id.as_str()));
        let who = facts.who.as_ref();
        let principal = |who: &facts::Who<'_>, words: &mut Words| {
            words.principal(at, who.handle.as_str(), Some(who.principal_type.as_str()))
        };
        let acted_for = who.and_then(|who| who.on_behalf_of.as_ref());
        let words = &mut *self.words;
        let decision = Decision {
            key: key.clone(),
            t,
            offset: whole(line.spot.offset),
            who: who.map(|who| principal(who, words)).transpose()?,
            on_behalf_of: acted_for.map(|handle| words.principal(at, handle.as_str(), None)).transpose()?,
            authn: words.maybe(at, who.map(|who| &who.authn))?,
            method: words.word(at, facts.method.as_str())?,
            route: words.maybe(at, facts.route.as_ref())?,
            effect: words.word(at, facts.effect.as_str())?,
            reason: words.maybe(at, facts.reason.as_ref())?,
            bundle: words.word(at, facts.bundle.as_str())?,
            directory: words.word(at, facts.directory.as_str())?,
            mode: words.word(at, facts.mode.as_str())?,
            acts: 0,
            end: None,
        };
        let known = Known { seq, is_observed: decision.mode == OBSERVE };
        if decision.effect != ALLOW {
            self.refused(seq, decision.reason.unwrap_or(decision.effect))?;
        }
        self.decisions.insert(seq, decision);
        self.places.insert(key, seq);
        if let Some(stage) = facts.write.as_ref().and_then(|write| write.stage.as_ref()) {
            self.stage(known, stage, 0)?;
        }
        self.lists(known, &facts)
    }

    /// What is split over the parts of a decision.
    fn lists(&mut self, known: Known, facts: &facts::Decision<'_>) -> Result<(), IndexError> {
        self.add_acts(known, if is_change(facts) { CHANGED } else { 0 })?;
        for access in &facts.access {
            self.decided_by(known, &access.policies)?;
            self.exercise(known, access)?;
            if is_change_of_records(access.action.as_str()) {
                let record_type = self.words.word(self.at, access.record_type.as_str())?;
                let ids = access.ids.iter().map(|id| (record_type, id.as_str().to_owned(), known.seq));
                self.written.extend(ids);
            }
        }
        let write = facts.write.iter();
        let may = |write: &facts::Write<'_>, field: &Text<'_>| known.is_observed || !write.has_refused(field);
        for field in write.flat_map(|write| write.asked.iter().filter(move |field| may(write, field))) {
            let permission = self.words.permission(self.at, WRITE_FIELD, field.as_str())?;
            self.exercised.push((known.seq, permission));
        }
        self.sets(known, &facts.sets)?;
        self.rows_hidden(known, &facts.rows_hidden)
    }

    /// What an access request stands for that was allowed, or only observed; which fields it writes, `write` says.
    fn exercise(&mut self, known: Known, access: &facts::Access<'_>) -> rusqlite::Result<()> {
        let is_allowed = known.is_observed || access.effect.as_str() == "allow";
        if is_allowed && access.action.as_str() != WRITE_FIELD {
            let (action, record_type) = (access.action.as_str(), access.record_type.as_str());
            let permission = self.words.permission(self.at, action, record_type)?;
            self.exercised.push((known.seq, permission));
        }
        Ok(())
    }

    fn sets(&mut self, known: Known, sets: &[facts::Sets<'_>]) -> Result<(), IndexError> {
        for group in sets {
            let (shape, id) = self.words.shape(self.at, group)?;
            self.decided_by(known, &group.policies)?;
            let is_seen = shape.shown > 0 || shape.masked > 0 || (known.is_observed && shape.hidden > 0);
            let acts = if is_seen { SHOWED } else { 0 } | if shape.hidden > 0 { HELD_BACK } else { 0 };
            self.add_acts(known, acts)?;
            self.see(known, (shape.record_type, id), &group.ids);
        }
        Ok(())
    }

    /// Rows that were left out; of an observed request they were not.
    fn rows_hidden(&mut self, known: Known, rows: &[facts::RowsHidden<'_>]) -> Result<(), IndexError> {
        for group in rows {
            self.decided_by(known, &group.policies)?;
            self.add_acts(known, if known.is_observed { SHOWED | HELD_BACK } else { HELD_BACK })?;
            if known.is_observed {
                let record_type = self.words.word(self.at, group.record_type.as_str())?;
                let policies = self.words.list(self.at, &group.policies)?;
                let shape = Shape { record_type, shown: 0, hidden: 0, masked: 0, policies, whole: 1 };
                let id = self.words.shape_id(self.at, shape)?;
                self.see(known, (record_type, id), &group.ids);
            }
        }
        Ok(())
    }

    fn see(&mut self, known: Known, (record_type, shape): (i64, i64), ids: &[Text<'_>]) {
        self.showed.push((known.seq, shape));
        if ids.is_empty() {
            self.seen.push((record_type, String::new(), known.seq, shape));
        }
        let rows = ids.iter().map(|id| (record_type, id.as_str().to_owned(), known.seq, shape));
        self.seen.extend(rows);
    }

    fn outcome(&mut self, line: &RawLine) -> Result<(), IndexError> {
        let facts: facts::Outcome<'_> = self.read(line)?;
        let Some(known) = self.known(facts.of.as_str())? else { return Ok(()) };
        self.sets(known, &facts.sets)?;
        let is_later_part = facts.part.is_some_and(|part| part.n > 1);
        if is_later_part || self.has_end(known)? {
            return Ok(self.later(line, known)?);
        }
        let (at, words) = (self.at, &mut *self.words);
        let end = End {
            seq: whole(line.place.seq),
            offset: whole(line.spot.offset),
            status: facts.status,
            upstream: facts.upstream,
            released: words.word(at, facts.released.as_str())?,
            delivered: words.word(at, facts.delivered.as_str())?,
            reason: words.maybe(at, facts.reason.as_ref())?,
        };
        if let Some(reason) = end.reason {
            self.refused(known.seq, reason)?;
        }
        if let Some(stage) = &facts.stage {
            self.stage(known, stage, 1)?;
        }
        match self.decisions.get_mut(&known.seq) {
            Some(decision) => decision.end = Some(end),
            None => {
                let sql = "UPDATE decisions SET end_seq = ?2, end_offset = ?3, status = ?4, upstream = ?5, released = ?6,
                           delivered = ?7, end_reason = ?8 WHERE seq = ?1";
                let End { seq, offset, status, upstream, released, delivered, reason } = end;
                let values = params![known.seq, seq, offset, status, upstream, released, delivered, reason];
                self.at.prepare_cached(sql)?.execute(values)?;
            }
        }
        Ok(())
    }

    fn has_end(&self, known: Known) -> rusqlite::Result<bool> {
        if let Some(decision) = self.decisions.get(&known.seq) {
            return Ok(decision.end.is_some());
        }
        let sql = "SELECT end_seq IS NOT NULL FROM decisions WHERE seq = ?1";
        self.at.prepare_cached(sql)?.query_row([known.seq], |row| row.get(0))
    }

    fn delivery(&mut self, known: Known, delivered: &Text<'_>) -> Result<(), IndexError> {
        let delivered = self.words.word(self.at, delivered.as_str())?;
        match self.decisions.get_mut(&known.seq) {
            Some(decision) => decision.end.iter_mut().for_each(|end| end.delivered = delivered),
            None => {
                let sql = "UPDATE decisions SET delivered = ?2 WHERE seq = ?1";
                self.at.prepare_cached(sql)?.execute([known.seq, delivered])?;
            }
        }
        Ok(())
    }

    fn stage(&mut self, known: Known, change: &facts::Change<'_>, is_moved: i64) -> Result<(), IndexError> {
        let (at, words) = (self.at, &mut *self.words);
        let (from, to) = (words.maybe(at, change.from.as_ref())?, words.maybe(at, change.to.as_ref())?);
        let sql = "INSERT INTO moves(decision, from_stage, to_stage, is_moved) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT(decision) DO UPDATE SET is_moved = max(is_moved, excluded.is_moved)";
        at.prepare_cached(sql)?.execute(params![known.seq, from, to, is_moved])?;
        Ok(())
    }

    fn refused(&self, decision: i64, reason: i64) -> rusqlite::Result<()> {
        let sql = "INSERT OR IGNORE INTO refused(decision, reason) VALUES (?1, ?2)";
        self.at.prepare_cached(sql)?.execute([decision, reason]).map(drop)
    }

    fn refusals(&mut self, line: &RawLine, t: i64) -> Result<(), IndexError> {
        let facts: facts::Refusals<'_> = self.read(line)?;
        for count in &facts.counts {
            let reason = self.words.word(self.at, count.reason.as_str())?;
            let source = self.words.word(self.at, count.source.as_str())?;
            let sql = "INSERT INTO refusals(seq, t, reason, source, number) VALUES (?1, ?2, ?3, ?4, ?5)";
            let values = [whole(line.place.seq), t, reason, source, whole(count.count)];
            self.at.prepare_cached(sql)?.execute(values)?;
        }
        Ok(())
    }

    fn decided_by(&mut self, known: Known, policies: &[Text<'_>]) -> Result<(), IndexError> {
        if !policies.is_empty() {
            let list = self.words.list(self.at, policies)?;
            let sql = "INSERT OR IGNORE INTO decided_by(decision, list) VALUES (?1, ?2)";
            self.at.prepare_cached(sql)?.execute([known.seq, list])?;
        }
        Ok(())
    }

    fn add_acts(&mut self, known: Known, acts: i64) -> rusqlite::Result<()> {
        match self.decisions.get_mut(&known.seq) {
            Some(decision) => decision.acts |= acts,
            None => {
                let sql = "UPDATE decisions SET acts = acts | ?2 WHERE seq = ?1 AND acts & ?2 <> ?2";
                self.at.prepare_cached(sql)?.execute([known.seq, acts])?;
            }
        }
        Ok(())
    }

    /// Notes a line that belongs to a decision, and what it says; nothing where the decision is not kept.
    fn of(
        &mut self,
        line: &RawLine,
        id: &Text<'_>,
        take: impl FnOnce(&mut Self, Known) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let Some(known) = self.known(id.as_str())? else { return Ok(()) };
        self.later(line, known)?;
        take(self, known)
    }

    fn later(&self, line: &RawLine, known: Known) -> rusqlite::Result<()> {
        let sql = "INSERT INTO later(decision, seq, offset) VALUES (?1, ?2, ?3)";
        let values = [known.seq, whole(line.place.seq), whole(line.spot.offset)];
        self.at.prepare_cached(sql)?.execute(values).map(drop)
    }

    fn known(&self, id: &str) -> rusqlite::Result<Option<Known>> {
        let key = Key::of(id);
        if let Some((seq, decision)) = self.places.get(&key).and_then(|seq| self.decisions.get_key_value(seq))
        {
            return Ok(Some(Known { seq: *seq, is_observed: decision.mode == OBSERVE }));
        }
        let sql = "SELECT seq, mode FROM decisions WHERE id = ?1 ORDER BY seq DESC LIMIT 1";
        let mut statement = self.at.prepare_cached(sql)?;
        let found = |row: &rusqlite::Row<'_>| {
            Ok(Known { seq: row.get(0)?, is_observed: row.get::<_, i64>(1)? == OBSERVE })
        };
        statement.query_row([&key], found).optional()
    }

    /// Writes what was held, and says how far the index now is.
    pub fn finish(self, cursor: Option<Cursor>) -> Result<Option<Cursor>, IndexError> {
        let Self { at, decisions, mut seen, mut written, exercised, showed, first, last, times, .. } = self;
        let (Some(first), Some((last, t)), Some((t_min, t_max))) = (first, last, times) else {
            return Ok(cursor);
        };
        for (seq, decision) in decisions {
            decision.insert(at, seq)?;
        }
        // In the order of the tree: neighbours go to the same page.
        seen.sort_unstable();
        let mut insert = at.prepare_cached(
            "INSERT OR IGNORE INTO seen(type, id, decision, shape) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for (record_type, id, decision, shape) in seen {
            insert.execute(params![record_type, id, decision, shape])?;
        }
        written.sort_unstable();
        let mut insert =
            at.prepare_cached("INSERT OR IGNORE INTO written(type, id, decision) VALUES (?1, ?2, ?3)")?;
        for (record_type, id, decision) in written {
            insert.execute(params![record_type, id, decision])?;
        }
        let sql = "INSERT OR IGNORE INTO exercised(decision, permission) VALUES (?1, ?2)";
        insert_pairs(at, sql, exercised)?;
        insert_pairs(at, "INSERT OR IGNORE INTO showed(decision, shape) VALUES (?1, ?2)", showed)?;
        let sql = "INSERT INTO blocks(first, last, t_min, t_max) VALUES (?1, ?2, ?3, ?4)";
        at.prepare_cached(sql)?.execute([first.0, whole(last.place.seq), t_min, t_max])?;
        Ok(Some(Cursor { last, first: cursor.map_or(first, |cursor| cursor.first), t }))
    }
}

fn insert_pairs(at: &Connection, sql: &str, mut pairs: Vec<(i64, i64)>) -> rusqlite::Result<()> {
    pairs.sort_unstable();
    pairs.dedup();
    let mut insert = at.prepare_cached(sql)?;
    pairs.into_iter().try_for_each(|pair| insert.execute(pair).map(drop))
}

/// Whether a request wanted to change something.
fn is_change(decision: &facts::Decision<'_>) -> bool {
    decision.write.is_some()
        || decision.access.iter().any(|access| is_change_of_records(access.action.as_str()))
}

/// Whether an action changes the records that it names.
fn is_change_of_records(action: &str) -> bool {
    let is_bulk = |action| matches!(action, Action::BulkEdit | Action::BulkDelete);
    let known = Action::parse(action).map(|action| action.scope() == Scope::RecordWrite || is_bulk(action));
    known.unwrap_or(action == WRITE_FIELD)
}

/// The action on a field that is written.
const WRITE_FIELD: &str = "writeField";
/// Lines of one transaction.
const BATCH_LINES: usize = 1 << 15;
/// Bytes of lines of one transaction.
const BATCH_BYTES: usize = 32 << 20;
/// Records of one transaction.
const BATCH_ROWS: usize = 1 << 18;
