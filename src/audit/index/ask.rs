//! Questions as look-ups: each begins at an index of the tables and walks on in the order of the ledger.
//!
//! Promises: rows come in the order of the ledger, and `has_more` says whether the limit cut them; what cannot be told apart is told,
//! not left out: an answer without an outcome may have been seen, a record without an id may be any.

use std::rc::Rc;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension as _, params_from_iter};

use super::Index;
use super::error::IndexError;
use super::pending::{CHANGED, HELD_BACK, SHOWED};
use super::question::{
    Act, Answer, Change, Counted, Did, Found, Move, Record, Sighting, Spelled, Stages, Within,
};
use super::rows::{self, Raw};
use super::store::{number, whole};
use crate::audit::item::texts;
use crate::config::author::nearest;

/// The bounds of a question, found once.
pub(super) struct Bounds {
    /// Entries between which everything of that time is.
    pub(super) low: i64,
    pub(super) high: i64,
    pub(super) from: i64,
    pub(super) to: i64,
    /// Lists of policies that hold the one that is asked for.
    pub(super) lists: Option<Vec<i64>>,
    /// Hashes that begin as is asked for.
    pub(super) revisions: Option<Vec<i64>>,
    pub(super) limit: usize,
}

impl Index {
    /// Who was shown a record, or one field of it.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn who_saw(&self, record: &Record, field: Option<&str>, within: &Within) -> Answer<Sighting> {
        let Some(type_id) = self.word_id(&record.type_name)? else { return Ok(Found::none()) };
        let bounds = self.bounds(within)?;
        let sql = "SELECT decision, id, shape FROM seen WHERE type = ?1 AND id = ?2 AND decision BETWEEN ?3 AND ?4
                   UNION ALL
                   SELECT decision, id, shape FROM seen WHERE type = ?1 AND id = '' AND decision BETWEEN ?3 AND ?4
                   ORDER BY 1, 2, 3";
        let mut statement = self.at.prepare_cached(sql)?;
        let mut found = statement.query(rusqlite::params![type_id, record.id, bounds.low, bounds.high])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let (decision, id, shape): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let shape = self.rows.shape(&self.at, shape)?;
            if !names(&shape, field) {
                continue;
            }
            let Some(act) = self.act_within(decision, &bounds, Some(&shape.policies), within)? else {
                continue;
            };
            let record = Record { type_name: record.type_name.clone(), id };
            let Some(sighting) = sighting(act, record, &shape, field) else { continue };
            // Shapes may differ in what is not told.
            let mut same_decision =
                rows.iter().rev().take_while(|row: &&Sighting| row.act.seq == sighting.act.seq);
            if same_decision.any(|row| *row == sighting) {
                continue;
            }
            // `--after` goes on behind a whole decision, so what is told ends with one.
            let is_begun = rows.last().is_some_and(|row: &Sighting| row.act.seq == sighting.act.seq);
            if rows.len() >= bounds.limit && !is_begun {
                return Ok(Found { rows, has_more: true });
            }
            rows.push(sighting);
        }
        Ok(Found { rows, has_more: false })
    }

    /// Who changed a record, or one field of it, or tried to.
    ///
    /// # Errors
    /// The index cannot be read, or the entries that say which fields.
    pub fn who_changed(&self, record: &Record, field: Option<&str>, within: &Within) -> Answer<Act> {
        let Some(type_id) = self.word_id(&record.type_name)? else { return Ok(Found::none()) };
        let sql = "SELECT decision FROM written WHERE type = ?3 AND id = ?4 AND decision BETWEEN ?1 AND ?2 ORDER BY decision";
        self.walk(sql, [type_id.into(), record.id.clone().into()], within, |_, act| {
            let Some(field) = field else { return Ok(Some(act)) };
            let item = self.item(&act)?;
            let asked = item.entry.get("write").map(|write| texts(write, "asked")).unwrap_or_default();
            Ok(Some(act).filter(|_| asked.contains(&field)))
        })
    }

    /// What a principal did, by itself or through those who acted on its behalf; `None` for all of it.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn by(&self, handle: &str, did: Option<Did>, within: &Within) -> Answer<Act> {
        let sql = "SELECT id FROM principals WHERE handle = ?1";
        let who: Option<i64> =
            self.at.prepare_cached(sql)?.query_row([handle], |row| row.get(0)).optional()?;
        let Some(who) = who else { return Ok(Found::none()) };
        // What was refused is rare: it is looked for among all that was.
        let sql = match did {
            Some(Did::Refused) => {
                "SELECT DISTINCT decision FROM refused JOIN decisions ON seq = decision
                 WHERE (who = ?3 OR on_behalf_of = ?3) AND decision BETWEEN ?1 AND ?2 ORDER BY decision"
            }
            _ => {
                "SELECT seq FROM decisions WHERE who = ?3 AND seq BETWEEN ?1 AND ?2
                 UNION SELECT seq FROM decisions WHERE on_behalf_of = ?3 AND seq BETWEEN ?1 AND ?2 ORDER BY 1"
            }
        };
        self.walk(sql, [who.into()], within, |raw, act| {
            Ok(Some(act).filter(|act| did.is_none_or(|did| has_done(did, raw.acts, act))))
        })
    }

    /// Stage moves; with `change`, those of which that became.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn moves(&self, stages: &Stages, change: Option<Change>, within: &Within) -> Answer<Move> {
        // What was refused is rare: the others need not be looked at.
        let only = match change {
            Some(Change::Refused) => {
                "AND EXISTS (SELECT 1 FROM refused WHERE refused.decision = moves.decision)"
            }
            _ => "",
        };
        let (sql, values): (_, Vec<Value>) = match stages {
            Stages::All => {
                let sql = format!(
                    "SELECT decision FROM moves WHERE decision BETWEEN ?1 AND ?2 {only} ORDER BY decision"
                );
                (sql, vec![])
            }
            Stages::Stage(stage) => {
                let Some(stage) = self.word_id(stage)? else { return Ok(Found::none()) };
                let sql = format!(
                    "SELECT decision FROM moves WHERE from_stage = ?3 AND decision BETWEEN ?1 AND ?2 {only}
                     UNION SELECT decision FROM moves WHERE to_stage = ?3 AND decision BETWEEN ?1 AND ?2 {only} ORDER BY 1"
                );
                (sql, vec![stage.into()])
            }
            // A stage's id is its pipeline's, a point and its name: what lies between `sales.` and `sales/`.
            Stages::Pipeline(pipeline) => {
                let sql = format!(
                    "SELECT decision FROM moves WHERE decision BETWEEN ?1 AND ?2 {only} AND (
                     +from_stage IN (SELECT id FROM words WHERE word >= ?3 AND word < ?4) OR
                     +to_stage IN (SELECT id FROM words WHERE word >= ?3 AND word < ?4)) ORDER BY decision"
                );
                (sql, vec![format!("{pipeline}.").into(), format!("{pipeline}/").into()])
            }
        };
        self.walk(&sql, values, within, |raw, act| {
            let found = self.a_move(raw.seq, act)?;
            Ok(Some(found).filter(|found| change.is_none_or(|change| found.change == change)))
        })
    }

    /// What did not go through: denied, refused or failed, as decided or later.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn refused(&self, reason: Option<&str>, within: &Within) -> Answer<Act> {
        let Some(reason) = reason else {
            let sql =
                "SELECT DISTINCT decision FROM refused WHERE decision BETWEEN ?1 AND ?2 ORDER BY decision";
            return self.walk(sql, [], within, |_, act| Ok(Some(act)));
        };
        let Some(reason) = self.word_id(reason)? else { return Ok(Found::none()) };
        let sql =
            "SELECT decision FROM refused WHERE reason = ?3 AND decision BETWEEN ?1 AND ?2 ORDER BY decision";
        self.walk(sql, [reason.into()], within, |_, act| Ok(Some(act)))
    }

    /// What was refused before anyone was identified, by reason. No policy and no revision is known of it.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn refused_unidentified(
        &self,
        reason: Option<&str>,
        within: &Within,
    ) -> Result<Vec<Counted>, IndexError> {
        let bounds = self.bounds(within)?;
        if bounds.lists.is_some() || bounds.revisions.is_some() {
            return Ok(Vec::new());
        }
        let sql = "SELECT word, sum(number), count(DISTINCT source) FROM refusals JOIN words ON id = reason
                   WHERE seq BETWEEN ?1 AND ?2 AND t >= ?3 AND t < ?4 AND (?5 IS NULL OR word = ?5) GROUP BY word ORDER BY word";
        let mut statement = self.at.prepare_cached(sql)?;
        let values = rusqlite::params![bounds.low, bounds.high, bounds.from, bounds.to, reason];
        let counted = statement.query_map(values, |row| {
            Ok(Counted { reason: row.get(0)?, number: number(row.get(1)?), sources: number(row.get(2)?) })
        })?;
        Ok(counted.collect::<rusqlite::Result<Vec<_>>>()?)
    }

    /// Walks over decisions in order. `sql` gives their numbers between `?1` and `?2`.
    pub(super) fn walk<T>(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
        within: &Within,
        mut take: impl FnMut(&Raw, Act) -> Result<Option<T>, IndexError>,
    ) -> Answer<T> {
        let bounds = self.bounds(within)?;
        let values = [bounds.low.into(), bounds.high.into()].into_iter().chain(values);
        let mut statement = self.at.prepare_cached(sql)?;
        let mut found = statement.query(params_from_iter(values))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let Some(raw) = self.raw_within(row.get(0)?, &bounds)? else { continue };
            if !self.is_determined(raw.seq, &bounds)? {
                continue;
            }
            let act = self.rows.act(&self.at, &raw)?;
            let Some(taken) = take(&raw, act)? else { continue };
            if rows.len() == bounds.limit {
                return Ok(Found { rows, has_more: true });
            }
            rows.push(taken);
        }
        Ok(Found { rows, has_more: false })
    }

    pub(super) fn bounds(&self, within: &Within) -> Result<Bounds, IndexError> {
        let (from, to) = (within.from.unwrap_or(i64::MIN), within.to.unwrap_or(i64::MAX));
        let sql = "SELECT coalesce(min(first), 1), coalesce(max(last), 0) FROM blocks WHERE t_max >= ?1 AND t_min < ?2";
        let (low, high): (i64, i64) =
            self.at.prepare_cached(sql)?.query_row([from, to], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let column = |sql: &str, values: &[&str]| -> rusqlite::Result<Vec<i64>> {
            let mut statement = self.at.prepare_cached(sql)?;
            let found = statement.query_map(params_from_iter(values), |row| row.get(0))?;
            found.collect()
        };
        let lists = within.policy.as_deref();
        let lists = lists.map(|policy| column("SELECT list FROM list_policies WHERE policy = ?1", &[policy]));
        // Hashes are hex digits: what begins like one is before the same with a `g` behind it.
        let revisions = within.revision.as_deref().map(|begin| {
            column("SELECT id FROM words WHERE word >= ?1 AND word < ?2", &[begin, &format!("{begin}g")])
        });
        Ok(Bounds {
            low: low.max(whole(within.after.saturating_add(1))),
            high,
            from,
            to,
            lists: lists.transpose()?,
            revisions: revisions.transpose()?,
            limit: within.limit,
        })
    }

    fn raw_within(&self, seq: i64, bounds: &Bounds) -> Result<Option<Raw>, IndexError> {
        let in_time = |raw: &Raw| (bounds.from..bounds.to).contains(&raw.t);
        let by_revision = |raw: &Raw| {
            let is_asked = |ids: &Vec<i64>| ids.contains(&raw.bundle) || ids.contains(&raw.directory);
            bounds.revisions.as_ref().is_none_or(is_asked)
        };
        Ok(rows::raw(&self.at, seq)?.filter(|raw| in_time(raw) && by_revision(raw)))
    }

    /// A decision of the time and revision that are asked for, if these policies are too.
    fn act_within(
        &self,
        seq: i64,
        bounds: &Bounds,
        policies: Option<&[String]>,
        within: &Within,
    ) -> Result<Option<Act>, IndexError> {
        let is_determined =
            |policy: &String| policies.is_none_or(|policies| policies.iter().any(|other| other == policy));
        if !within.policy.as_ref().is_none_or(is_determined) {
            return Ok(None);
        }
        let raw = self.raw_within(seq, bounds)?;
        Ok(raw.map(|raw| self.rows.act(&self.at, &raw)).transpose()?)
    }

    /// Whether the policy that is asked for determined any of it.
    fn is_determined(&self, seq: i64, bounds: &Bounds) -> Result<bool, IndexError> {
        let Some(lists) = &bounds.lists else { return Ok(true) };
        let mut statement = self.at.prepare_cached("SELECT list FROM decided_by WHERE decision = ?1")?;
        let mut found = statement.query([seq])?;
        while let Some(row) = found.next()? {
            if lists.contains(&row.get(0)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn a_move(&self, seq: i64, act: Act) -> Result<Move, IndexError> {
        let sql = "SELECT from_stage, to_stage, is_moved FROM moves WHERE decision = ?1";
        let (from, to, is_moved): (Option<i64>, Option<i64>, bool) = self
            .at
            .prepare_cached(sql)?
            .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let word = |id: Option<i64>| id.map(|id| self.rows.word(&self.at, id)).transpose();
        let (from, to) = (word(from)?, word(to)?);
        let change = if is_moved { Change::Done } else { act.change() };
        let told = |word: Option<Rc<str>>| word.map(|word| word.to_string());
        Ok(Move { act, from: told(from), to: told(to), change })
    }

    fn word_id(&self, word: &str) -> Result<Option<i64>, IndexError> {
        let sql = "SELECT id FROM words WHERE word = ?1";
        Ok(self.at.prepare_cached(sql)?.query_row([word], |row| row.get(0)).optional()?)
    }

    /// If nothing of that name was ever in the ledger: the known name that is nearest, if one is near.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn unknown(&self, named: &Named<'_>) -> Result<Option<Unknown>, IndexError> {
        let (sql, values): (_, Vec<&str>) = match named {
            Named::Type(_) => (
                "SELECT word FROM words WHERE id IN (SELECT type FROM shapes UNION SELECT type FROM written)",
                vec![],
            ),
            Named::FieldOf(type_name, _) => (
                "SELECT DISTINCT field FROM set_fields WHERE field >= ?1 || '.' AND field < ?1 || '/'",
                vec![*type_name],
            ),
            Named::Stage(_) | Named::Pipeline(_) => (
                "SELECT word FROM words WHERE id IN (SELECT from_stage FROM moves UNION SELECT to_stage FROM moves)",
                vec![],
            ),
            Named::Reason(_) => (
                "SELECT word FROM words WHERE id IN (SELECT reason FROM refused UNION SELECT reason FROM refusals)",
                vec![],
            ),
            Named::Policy(_) => ("SELECT DISTINCT policy FROM list_policies", vec![]),
            Named::Revision(begin) => {
                ("SELECT word FROM words WHERE word >= ?1 AND word < ?1 || 'g'", vec![*begin])
            }
        };
        let mut statement = self.at.prepare(sql)?;
        let known = statement.query_map(params_from_iter(values), |row| row.get(0))?;
        let mut known = known.collect::<rusqlite::Result<Vec<String>>>()?;
        if matches!(named, Named::Pipeline(_)) {
            known = known.iter().filter_map(|stage| Some(stage.split_once('.')?.0.to_owned())).collect();
        }
        let typed = named.name();
        let is_typed = |name: &String| match named {
            Named::Revision(begin) => name.starts_with(begin),
            _ => name == typed,
        };
        // A stage may be named without its pipeline.
        let is_of_pipeline = |name: &&String| {
            let stage = name.split_once('.').map(|(_, stage)| stage);
            matches!(named, Named::Stage(_)) && stage == Some(typed)
        };
        let near = || {
            let with_pipeline = known.iter().filter(is_of_pipeline).min().map(String::as_str);
            with_pipeline.or_else(|| nearest(typed, known.iter().map(String::as_str))).map(str::to_owned)
        };
        Ok((!known.iter().any(is_typed)).then(|| Unknown { nearest: near() }))
    }
}

/// A name in a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'n> {
    /// Of a record type.
    Type(&'n str),
    /// Of a type's field, in full.
    FieldOf(&'n str, &'n str),
    /// Of a stage.
    Stage(&'n str),
    /// Of a pipeline.
    Pipeline(&'n str),
    /// A reason's code.
    Reason(&'n str),
    /// A policy's id.
    Policy(&'n str),
    /// The beginning of a bundle's or directory's hash.
    Revision(&'n str),
}

/// A name that no entry has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The nearest one that some entry has.
    pub nearest: Option<String>,
}

impl<'n> Named<'n> {
    /// The name itself.
    pub fn name(&self) -> &'n str {
        match self {
            Self::Type(name)
            | Self::FieldOf(_, name)
            | Self::Stage(name)
            | Self::Pipeline(name)
            | Self::Reason(name)
            | Self::Policy(name)
            | Self::Revision(name) => name,
        }
    }
}

impl<T> Found<T> {
    fn none() -> Self {
        Self { rows: Vec::new(), has_more: false }
    }
}

fn has_done(did: Did, acts: i64, act: &Act) -> bool {
    match did {
        Did::Saw => acts & SHOWED > 0 && act.may_have_shown(),
        Did::Changed => {
            acts & CHANGED > 0 && matches!(act.change(), Change::Done | Change::Unconfirmed | Change::Unknown)
        }
        Did::Refused => act.is_refused(),
        Did::HeldBack => acts & HELD_BACK > 0,
    }
}

/// Whether a shape says anything of a field.
fn names(shape: &Spelled, field: Option<&str>) -> bool {
    let Some(field) = field else { return true };
    let all = shape.shown.iter().chain(&shape.hidden).chain(&shape.masked);
    shape.is_whole || all.into_iter().any(|name| name == field)
}

/// What of a record was shown, if anything was.
fn sighting(act: Act, record: Record, shape: &Spelled, field: Option<&str>) -> Option<Sighting> {
    let asked = |names: &[String]| -> Vec<String> {
        names.iter().filter(|name| field.is_none_or(|field| field == *name)).cloned().collect()
    };
    let (shown, mut masked, mut unenforced) = (asked(&shape.shown), asked(&shape.masked), Vec::new());
    if act.is_observed {
        unenforced = asked(&shape.hidden);
        unenforced.append(&mut masked);
        unenforced.sort_unstable();
    }
    let is_whole = shape.is_whole;
    let is_seen = is_whole || !(shown.is_empty() && masked.is_empty() && unenforced.is_empty());
    let policies = shape.policies.clone();
    let is_told = is_seen && act.may_have_shown();
    is_told.then_some(Sighting { act, record, shown, masked, unenforced, is_whole, policies })
}
