//! The same questions, answered by reading every line: slow, and simple enough to be seen to be right.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::super::Index;
use super::super::question::{Act, Answer, Change, Counted, Did, Move, Sighting, Spelled, Stages, Within};
use crate::audit::dictionary::Dictionary;
use crate::audit::index::error::IndexError;
use crate::audit::item::{Item, list, text, texts};
use crate::ledger::read::entries;

/// A ledger in memory.
pub struct Twin {
    decisions: Vec<Decided>,
    refusals: Vec<Value>,
    last: u64,
}

/// A decision and every other line about it, field sets spelled.
struct Decided {
    lines: Vec<Value>,
}

/// A sighting without what all rows have: number, id, shown, masked, unenforced, whole, policies.
type Seen = (u64, String, Vec<String>, Vec<String>, Vec<String>, bool, Vec<String>);

/// A move: number, from, to, what became of it.
type Moved = (u64, Option<String>, Option<String>, Change);

/// A deed: number, whether it came to something, whether fields or rows were held back, what it exercised, the shapes it showed.
type Done = (u64, bool, bool, BTreeSet<(String, String)>, BTreeSet<Shape>);

/// A shape: type, shown, masked, hidden, whole.
type Shape = (String, Vec<String>, Vec<String>, Vec<String>, bool);

/// Rows, and whether there are more.
type Cut<T> = (Vec<T>, bool);

impl Twin {
    pub fn read(state: &Path) -> Self {
        let mut twin = Self { decisions: Vec::new(), refusals: Vec::new(), last: 0 };
        let mut dictionary = Dictionary::default();
        for line in entries(state, 0) {
            let line = line.unwrap();
            let mut entry = line.value;
            twin.last = line.place.seq;
            dictionary.learn(&line.kind, &entry);
            dictionary.spell(&mut entry);
            let is_first = entry.get("part").is_none_or(|part| part["n"] == 1);
            match line.kind.as_str() {
                "decision" if is_first => twin.decisions.push(Decided { lines: vec![entry] }),
                "refusals" => twin.refusals.push(entry),
                _ => {
                    let of = entry.get("of").or(entry.get("id")).cloned();
                    let decided = twin
                        .decisions
                        .iter_mut()
                        .rev()
                        .find(|decided| Some(&decided.lines[0]["id"]) == of.as_ref());
                    if let (Some(decided), Some(_)) = (decided, of) {
                        decided.lines.push(entry);
                    }
                }
            }
        }
        twin
    }

    pub fn last(&self) -> u64 {
        self.last
    }

    pub fn item(&self, seq: u64) -> Item {
        let decided = self.decisions.iter().find(|decided| decided.seq() == seq).unwrap();
        let mut lines = decided.lines.iter();
        let mut item = Item::new("decision", lines.next().unwrap().clone());
        for line in lines {
            match item.continues_with(text(line, "kind"), line) {
                true => item.join(line),
                false => item.add_later(line.clone()),
            }
        }
        item
    }

    pub fn who_saw(&self, id: &str, field: Option<&str>, within: &Within) -> Cut<Seen> {
        let mut found = Vec::new();
        for decided in self.decisions.iter().filter(|decided| decided.is_in(within) && decided.leaves()) {
            let mut rows: BTreeSet<Seen> = BTreeSet::new();
            for group in decided.groups("sets") {
                let wanted = |member: &str| -> Vec<String> {
                    let names = texts(group, member)
                        .into_iter()
                        .filter(|name| field.is_none_or(|field| field == *name));
                    names.map(str::to_owned).collect()
                };
                let (shown, mut masked, mut unenforced) = (wanted("shown"), wanted("masked"), Vec::new());
                if decided.is_observed() {
                    unenforced = [wanted("hidden"), std::mem::take(&mut masked)].concat();
                    unenforced.sort();
                }
                if shown.len() + masked.len() + unenforced.len() > 0 {
                    rows.extend(seen(decided, group, id, within, (shown, masked, unenforced, false)));
                }
            }
            for group in decided.groups("rows_hidden").filter(|_| decided.is_observed()) {
                rows.extend(seen(decided, group, id, within, (vec![], vec![], vec![], true)));
            }
            found.extend(rows);
        }
        ordered(cut_between(found, within))
    }

    pub fn who_changed(&self, id: &str, field: Option<&str>, within: &Within) -> Cut<u64> {
        const CHANGES: &[&str] = &["edit", "moveStage", "writeField", "create"];
        self.select(within, |decided| {
            let is_changed = |access: &&Value| {
                text(access, "type") == "Deal"
                    && texts(access, "ids").contains(&id)
                    && CHANGES.contains(&text(access, "action"))
            };
            let asked = texts(&decided.lines[0]["write"], "asked");
            decided.groups("access").any(|access| is_changed(&access))
                && field.is_none_or(|field| asked.contains(&field))
        })
    }

    pub fn by(&self, handle: &str, did: Option<Did>, within: &Within) -> Cut<u64> {
        self.select(within, |decided| {
            let who = &decided.lines[0]["who"];
            let is_theirs = who["handle"] == handle || who["onBehalfOf"] == handle;
            is_theirs && did.is_none_or(|did| decided.has_done(did))
        })
    }

    pub fn moves(&self, stages: &Stages, change: Option<Change>, within: &Within) -> Cut<Moved> {
        let mut found = Vec::new();
        for decided in
            self.decisions.iter().filter(|decided| decided.is_in(within) && decided.has_policy(within))
        {
            let outcomes = decided.lines.iter().filter(|line| line["kind"] == "outcome");
            // Of several outcomes the first one counts.
            let moved = outcomes.take(1).find_map(|line| line.get("stage"));
            let Some(stage) = decided.lines[0]["write"].get("stage").or(moved) else { continue };
            let side = |member: &str| stage.get(member).and_then(Value::as_str).map(str::to_owned);
            let sides = [side("from"), side("to")];
            let names = |name: &dyn Fn(&str) -> bool| sides.iter().flatten().any(|side| name(side));
            let is_asked = match stages {
                Stages::All => true,
                Stages::Stage(wanted) => names(&|side| side == wanted),
                Stages::Pipeline(wanted) => {
                    names(&|side| side.split_once('.').is_some_and(|(pipeline, _)| pipeline == wanted))
                }
            };
            let became = if moved.is_some() { Change::Done } else { decided.change() };
            if is_asked && change.is_none_or(|change| change == became) {
                let [from, to] = sides;
                found.push((decided.seq(), from, to, became));
            }
        }
        cut(found, within)
    }

    pub fn deeds(&self, within: &Within) -> Vec<Done> {
        let decided =
            self.decisions.iter().filter(|decided| decided.is_in(within) && decided.has_policy(within));
        decided.map(Decided::done).collect()
    }

    pub fn refused(&self, reason: Option<&str>, within: &Within) -> Cut<u64> {
        self.select(within, |decided| {
            let reasons = decided.reasons();
            match reason {
                None => !reasons.is_empty(),
                Some(reason) => reasons.iter().any(|found| found == reason),
            }
        })
    }

    pub fn unidentified(&self, reason: Option<&str>, within: &Within) -> Vec<(String, u64, u64)> {
        let mut found: BTreeMap<String, (u64, BTreeSet<String>)> = BTreeMap::new();
        let is_asked = |entry: &&Value| {
            is_between(entry, within) && within.policy.is_none() && within.revision.is_none()
        };
        for entry in self.refusals.iter().filter(is_asked) {
            for count in list(entry, "counts")
                .iter()
                .filter(|count| reason.is_none_or(|reason| count["reason"] == reason))
            {
                let known = found.entry(text(count, "reason").to_owned()).or_default();
                known.0 += count["count"].as_u64().unwrap();
                known.1.insert(text(count, "source").to_owned());
            }
        }
        found.into_iter().map(|(reason, (number, sources))| (reason, number, sources.len() as u64)).collect()
    }

    fn select(&self, within: &Within, is_asked: impl Fn(&Decided) -> bool) -> Cut<u64> {
        let found = self
            .decisions
            .iter()
            .filter(|decided| decided.is_in(within) && decided.has_policy(within) && is_asked(decided));
        cut(found.map(Decided::seq).collect(), within)
    }
}

fn seen(
    decided: &Decided,
    group: &Value,
    id: &str,
    within: &Within,
    (shown, masked, unenforced, is_whole): (Vec<String>, Vec<String>, Vec<String>, bool),
) -> Option<Seen> {
    let ids = texts(group, "ids");
    let policies: Vec<String> = texts(group, "policies").into_iter().map(str::to_owned).collect();
    let is_asked = text(group, "type") == "Deal" && (ids.is_empty() || ids.contains(&id));
    let is_determined = within.policy.as_ref().is_none_or(|policy| policies.contains(policy));
    let told = if ids.is_empty() { String::new() } else { id.to_owned() };
    (is_asked && is_determined).then(|| (decided.seq(), told, shown, masked, unenforced, is_whole, policies))
}

impl Decided {
    fn seq(&self) -> u64 {
        self.lines[0]["seq"].as_u64().unwrap()
    }

    fn groups<'d>(&'d self, member: &'d str) -> impl Iterator<Item = &'d Value> {
        self.lines.iter().flat_map(move |line| list(line, member))
    }

    fn is_observed(&self) -> bool {
        self.lines[0]["mode"] == "observe"
    }

    fn outcome(&self) -> Option<&Value> {
        self.lines.iter().find(|line| line["kind"] == "outcome")
    }

    fn leaves(&self) -> bool {
        let withheld =
            self.outcome().is_some_and(|end| end["released"] == "problem" || end["released"] == "none");
        !withheld || self.lines[0]["who"]["authn"] == "asserted"
    }

    fn is_in(&self, within: &Within) -> bool {
        let begins = |member: &str, begin: &String| text(&self.lines[0], member).starts_with(begin.as_str());
        let revision = within.revision.as_ref();
        is_between(&self.lines[0], within)
            && revision.is_none_or(|begin| begins("bundle", begin) || begins("directory", begin))
    }

    fn has_policy(&self, within: &Within) -> bool {
        let Some(policy) = &within.policy else { return true };
        ["access", "sets", "rows_hidden"].into_iter().any(|member| {
            self.groups(member).any(|group| texts(group, "policies").contains(&policy.as_str()))
        })
    }

    /// Reasons, of the decision and of its first outcome.
    fn reasons(&self) -> Vec<String> {
        let of = |line: Option<&Value>| line.and_then(|line| line.get("reason")?.as_str().map(str::to_owned));
        [of(self.lines.first()), of(self.outcome())].into_iter().flatten().collect()
    }

    fn change(&self) -> Change {
        let is_allowed = self.lines[0]["effect"] == "allow" || self.is_observed();
        let upstream = self.outcome().and_then(|end| end["upstream"].as_u64());
        let has_reason = self.outcome().is_some_and(|end| end.get("reason").is_some());
        match (is_allowed, upstream) {
            (false, _) => Change::Refused,
            (true, None) => Change::Unknown,
            (true, Some(status)) if status >= 400 => Change::Rejected,
            (true, Some(_)) if has_reason && !self.is_observed() => Change::Unconfirmed,
            (true, Some(_)) => Change::Done,
        }
    }

    fn done(&self) -> Done {
        let mut exercised = BTreeSet::new();
        for access in self.groups("access").filter(|access| self.is_observed() || access["effect"] == "allow")
        {
            exercised.insert((text(access, "action").to_owned(), text(access, "type").to_owned()));
        }
        exercised.retain(|(action, _)| action != "writeField");
        let write = &self.lines[0]["write"];
        let refused = if self.is_observed() { vec![] } else { texts(write, "refused") };
        for field in texts(write, "asked").into_iter().filter(|field| !refused.contains(field)) {
            exercised.insert(("writeField".to_owned(), field.to_owned()));
        }
        let names = |group: &Value, member: &str| -> Vec<String> {
            texts(group, member).into_iter().map(str::to_owned).collect()
        };
        let sets = self.groups("sets").map(|group| {
            let type_name = text(group, "type").to_owned();
            (type_name, names(group, "shown"), names(group, "masked"), names(group, "hidden"), false)
        });
        let left_out = self.groups("rows_hidden").filter(|_| self.is_observed());
        let left_out = left_out.map(|group| (text(group, "type").to_owned(), vec![], vec![], vec![], true));
        let is_moved = self
            .lines
            .iter()
            .filter(|line| line["kind"] == "outcome")
            .take(1)
            .any(|end| end.get("stage").is_some());
        let is_change = self.has_done_anything_but_reads();
        let is_effective = match is_change {
            true => is_moved || !matches!(self.change(), Change::Refused | Change::Rejected),
            false => (self.lines[0]["effect"] == "allow" || self.is_observed()) && self.leaves(),
        };
        let shown = sets.chain(left_out).collect();
        (self.seq(), is_effective, self.has_done(Did::HeldBack), exercised, shown)
    }

    fn has_done_anything_but_reads(&self) -> bool {
        let changes = |access: &Value| !matches!(text(access, "action"), "view" | "list");
        self.lines[0].get("write").is_some() || self.groups("access").any(changes)
    }

    fn has_done(&self, did: Did) -> bool {
        let has = |group: &Value, member: &str| !texts(group, member).is_empty();
        let rows = || self.groups("rows_hidden").next().is_some();
        match did {
            Did::Saw => {
                let sees = |group: &Value| {
                    has(group, "shown")
                        || has(group, "masked")
                        || (self.is_observed() && has(group, "hidden"))
                };
                self.leaves() && (self.groups("sets").any(sees) || (self.is_observed() && rows()))
            }
            Did::Changed => {
                self.has_done_anything_but_reads()
                    && !matches!(self.change(), Change::Refused | Change::Rejected)
            }
            Did::Refused => !self.reasons().is_empty(),
            Did::HeldBack => self.groups("sets").any(|group| has(group, "hidden")) || rows(),
        }
    }
}

fn is_between(entry: &Value, within: &Within) -> bool {
    let t = text(entry, "t").parse::<jiff::Timestamp>().unwrap().as_nanosecond();
    let is_after = within.from.is_none_or(|from| t >= i128::from(from));
    let is_before = within.to.is_none_or(|to| t < i128::from(to));
    is_after && is_before && entry["seq"].as_u64().unwrap() > within.after
}

fn cut<T>(mut found: Vec<T>, within: &Within) -> Cut<T> {
    let has_more = found.len() > within.limit;
    found.truncate(within.limit);
    (found, has_more)
}

/// As `cut`, but never within a decision.
fn cut_between(mut found: Vec<Seen>, within: &Within) -> Cut<Seen> {
    let last = within.limit.checked_sub(1).and_then(|last| found.get(last)).map(|row| row.0);
    let kept = found.iter().take_while(|row| last.is_some_and(|last| row.0 <= last)).count();
    let has_more = found.len() > kept && found.len() > within.limit;
    if has_more {
        found.truncate(kept);
    }
    (found, has_more)
}

/// Rows of one decision have no order among themselves: of those that were cut, only the number of the decision is told.
fn ordered((mut rows, has_more): Cut<Seen>) -> Cut<Seen> {
    rows.sort();
    if has_more {
        rows = rows
            .into_iter()
            .map(|row| (row.0, String::new(), vec![], vec![], vec![], false, vec![]))
            .collect();
    }
    (rows, has_more)
}

/// What the index found, in the twin's words.
pub fn sightings(found: Answer<Sighting>) -> Cut<Seen> {
    let found = found.unwrap();
    let row = |row: Sighting| {
        let Sighting { act, record, shown, masked, unenforced, is_whole, policies } = row;
        (act.seq, record.id, shown, masked, unenforced, is_whole, policies)
    };
    let seqs: Vec<u64> = found.rows.iter().map(|row| row.act.seq).collect();
    assert!(seqs.is_sorted(), "{seqs:?}");
    ordered((found.rows.into_iter().map(row).collect(), found.has_more))
}

pub fn deeds(index: &Index, within: &Within) -> Vec<Done> {
    let mut found = Vec::new();
    let visited = index.deeds(within, |deed| {
        let exercised =
            deed.exercised.iter().map(|(action, subject)| (action.to_string(), subject.to_string()));
        let shown = deed.shown.iter().map(|shape| {
            let Spelled { type_name, shown, masked, hidden, is_whole, .. } = &**shape;
            (type_name.clone(), shown.clone(), masked.clone(), hidden.clone(), *is_whole)
        });
        let is_effective = deed.is_effective();
        found.push((deed.act.seq, is_effective, deed.held_back, exercised.collect(), shown.collect()));
        Ok(())
    });
    visited.unwrap();
    found
}

pub fn seqs(found: Answer<Act>) -> Cut<u64> {
    let found = found.unwrap();
    (found.rows.into_iter().map(|act| act.seq).collect(), found.has_more)
}

pub fn moves(found: Answer<Move>) -> Cut<Moved> {
    let found = found.unwrap();
    (found.rows.into_iter().map(|row| (row.act.seq, row.from, row.to, row.change)).collect(), found.has_more)
}

pub fn counted(found: Result<Vec<Counted>, IndexError>) -> Vec<(String, u64, u64)> {
    found.unwrap().into_iter().map(|counted| (counted.reason, counted.number, counted.sources)).collect()
}
