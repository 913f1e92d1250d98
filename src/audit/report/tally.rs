//! Who did what in a period, counted from the decisions of a ledger one after the other.
//!
//! Promises: each decision is counted once, under whoever asked; memory is bounded, and what no longer fits is counted. What was before
//! the period is looked at for one thing: whether it is the first time.

use std::collections::BTreeMap;

use super::bursts::{Bursts, Rule};
use super::hours::{Hours, UtcOffset};
use super::moves::spelled;
use crate::audit::index::deeds::Deed;
use crate::audit::index::question::{Act, Move, Principal, Spelled};

/// What is counted, and what is unusual.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// When the period begins, in nanoseconds since 1970; without it at the first entry.
    pub from: Option<i64>,
    /// When refusals are a burst.
    pub burst: Rule,
    /// When people work.
    pub hours: Hours,
    /// Where they do.
    pub offset: UtcOffset,
}

/// How often, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// How often.
    pub count: u64,
    /// The first entry.
    pub seq: u64,
    /// When it was written, in nanoseconds since 1970.
    pub first: i64,
    /// When the last was.
    pub last: i64,
}

/// A right that was used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The record type.
    pub type_name: String,
    /// The action.
    pub right: String,
    /// The field, or the stages; empty where the right has none.
    pub what: String,
}

/// What one principal did.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// Who; `None` where nobody was identified.
    pub who: Option<Principal>,
    /// Whether they asked for anything before the period.
    pub was_there: bool,
    /// All requests.
    pub requests: Uses,
    /// Requests that showed something.
    pub saw: u64,
    /// Changes that were carried out, or may have been.
    pub changed: u64,
    /// Requests that did not go through.
    pub refused: u64,
    /// Answers of which something was held back.
    pub held_back: u64,
    /// Requests that were only observed.
    pub observed: u64,
    /// Requests outside of working hours, and changes among them.
    pub off_hours: (Uses, u64),
    /// Rights that were used.
    pub used: BTreeMap<Key, Uses>,
    /// What did not go through, by reason.
    pub reasons: BTreeMap<String, Uses>,
    /// Stage moves: from, to and what became of them.
    pub moves: BTreeMap<(String, String, &'static str), Uses>,
    /// Fields by the first time that they were shown.
    pub first_shown: BTreeMap<String, (u64, i64)>,
    /// Many refusals in a short time.
    pub bursts: Bursts,
}

/// Everybody.
#[derive(Debug)]
pub struct Tally {
    /// By handle; the empty one is nobody.
    pub people: BTreeMap<String, Person>,
    /// How many counts did not fit.
    pub left_out: usize,
    rules: Rules,
    counts: usize,
}

impl Tally {
    /// Nothing yet.
    pub fn new(rules: Rules) -> Self {
        Self { people: BTreeMap::new(), left_out: 0, rules, counts: 0 }
    }

    /// Counts a decision.
    pub fn take(&mut self, deed: &Deed) {
        let act = &deed.act;
        let handle = act.who.as_ref().map_or("", |who| who.handle.as_str());
        if !self.people.contains_key(handle) {
            if self.counts >= COUNTS_MAX {
                self.left_out += 1;
                return;
            }
            self.counts += 1;
            let person = Person { who: act.who.clone(), ..Person::default() };
            self.people.insert(handle.to_owned(), person);
        }
        let mut room = Room { counts: &mut self.counts, left_out: &mut self.left_out };
        let Some(person) = self.people.get_mut(handle) else { return };
        if self.rules.from.is_some_and(|from| act.t < from) {
            person.was_there = true;
            person.note_shown(deed, &mut room);
            return;
        }
        person.count(deed, &self.rules);
        person.note_shown(deed, &mut room);
        person.note_used(deed, &mut room);
        if let Some(moved) = &deed.moved {
            let Move { from, to, .. } = moved;
            let side = |stage: &Option<String>| stage.clone().unwrap_or_default();
            let key = (side(from), side(to), deed.change().word());
            room.add(&mut person.moves, key, act);
        }
        if act.is_refused() {
            let reasons = [act.reason.as_ref(), act.end.as_ref().and_then(|end| end.reason.as_ref())];
            let reason = reasons.into_iter().flatten().next().unwrap_or(&act.effect);
            room.add(&mut person.reasons, reason.clone(), act);
            person.bursts.take(act.t, act.seq, 1, self.rules.burst);
        }
    }
}

impl Person {
    fn count(&mut self, deed: &Deed, rules: &Rules) {
        let act = &deed.act;
        let is_effective = deed.is_effective();
        let is_change = act.is_change && is_effective;
        self.requests.add(act);
        self.saw += u64::from(act.may_have_shown() && deed.shown.iter().any(|shape| is_seen(shape, act)));
        self.changed += u64::from(is_change);
        self.refused += u64::from(act.is_refused());
        self.held_back += u64::from(deed.held_back);
        self.observed += u64::from(act.is_observed);
        if rules.hours.are_over(act.t, rules.offset) {
            self.off_hours.0.add(act);
            self.off_hours.1 += u64::from(is_change);
        }
    }

    fn note_shown(&mut self, deed: &Deed, room: &mut Room<'_>) {
        if !deed.act.may_have_shown() {
            return;
        }
        for field in deed.shown.iter().flat_map(|shape| seen(shape, &deed.act)) {
            if !self.first_shown.contains_key(field.name) && room.is_taken() {
                self.first_shown.insert(field.name.to_owned(), (deed.act.seq, deed.act.t));
            }
        }
    }

    fn note_used(&mut self, deed: &Deed, room: &mut Room<'_>) {
        let mut used: BTreeMap<Key, ()> = BTreeMap::new();
        let mut use_of = |type_name: &str, right: &str, what: &str| {
            let key = Key { type_name: type_name.to_owned(), right: right.to_owned(), what: what.to_owned() };
            used.insert(key, ());
        };
        if deed.is_effective() {
            for (action, subject) in &deed.exercised {
                match (&**action, &deed.moved) {
                    ("writeField", _) => use_of(type_of(subject), action, subject),
                    ("moveStage", Some(Move { from: Some(from), to: Some(to), .. })) => {
                        use_of(subject, action, &spelled(from, to));
                    }
                    _ => use_of(subject, action, ""),
                }
            }
        }
        if deed.act.may_have_shown() {
            for shape in deed.shown.iter().filter(|shape| is_seen(shape, &deed.act)) {
                use_of(&shape.type_name, "view", "");
                seen(shape, &deed.act).for_each(|field| use_of(&shape.type_name, field.right, field.name));
            }
        }
        used.into_keys().for_each(|key| room.add(&mut self.used, key, &deed.act));
    }
}

/// A field that was shown.
struct Field<'s> {
    name: &'s str,
    right: &'static str,
}

/// The fields that records showed; of an observed request everything left as it is.
fn seen<'s>(shape: &'s Spelled, act: &Act) -> impl Iterator<Item = Field<'s>> {
    let is_observed = act.is_observed;
    let masked = if is_observed { "readField" } else { "readFieldMasked" };
    let hidden = shape.hidden.iter().filter(move |_| is_observed);
    let plain = shape.shown.iter().chain(hidden).map(|name| Field { name, right: "readField" });
    plain.chain(shape.masked.iter().map(move |name| Field { name, right: masked }))
}

fn is_seen(shape: &Spelled, act: &Act) -> bool {
    shape.is_whole || seen(shape, act).next().is_some()
}

/// The type of a field by its full name.
fn type_of(field: &str) -> &str {
    field.split_once('.').map_or(field, |(type_name, _)| type_name)
}

impl Uses {
    fn add(&mut self, act: &Act) {
        if self.count == 0 {
            (self.seq, self.first) = (act.seq, act.t);
        }
        self.count += 1;
        self.last = act.t;
    }
}

/// What may still be counted.
struct Room<'t> {
    counts: &'t mut usize,
    left_out: &'t mut usize,
}

impl Room<'_> {
    /// Takes room for one more count; says whether there was any.
    fn is_taken(&mut self) -> bool {
        let has_room = *self.counts < COUNTS_MAX;
        match has_room {
            true => *self.counts += 1,
            false => *self.left_out += 1,
        }
        has_room
    }

    fn add<K: Ord>(&mut self, to: &mut BTreeMap<K, Uses>, key: K, act: &Act) {
        match to.get_mut(&key) {
            Some(uses) => uses.add(act),
            None if self.is_taken() => to.entry(key).or_default().add(act),
            None => {}
        }
    }
}

/// Counts of all people together.
const COUNTS_MAX: usize = 2_000_000;

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::audit::index::question::{Change, End};

    /// A request of `who` at an hour of a Monday, which showed these fields of deals.
    fn deed(who: &str, hour: i64, shown: &[&str]) -> Deed {
        let principal =
            (!who.is_empty()).then(|| Principal { handle: who.to_owned(), type_name: "User".to_owned() });
        let end = End {
            seq: 2,
            status: Some(200),
            upstream: Some(200),
            released: "filtered".to_owned(),
            delivered: "yes".to_owned(),
            reason: None,
        };
        let act = Act {
            seq: u64::try_from(hour).unwrap(),
            id: "d".to_owned(),
            t: (4 * 24 + hour) * 3_600_000_000_000,
            who: principal,
            on_behalf_of: None,
            is_asserted: false,
            method: "GET".to_owned(),
            route: None,
            effect: "allow".to_owned(),
            reason: None,
            bundle: "b".to_owned(),
            directory: "d".to_owned(),
            is_observed: false,
            is_change: false,
            end: Some(end),
        };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let shape = Spelled {
            type_name: "Deal".to_owned(),
            shown: names(shown),
            hidden: names(&["Deal.margin"]),
            masked: Vec::new(),
            policies: Vec::new(),
            is_whole: false,
        };
        Deed { act, held_back: true, exercised: Vec::new(), shown: vec![Rc::new(shape)], moved: None }
    }

    fn tally(from_hour: i64, deeds: &[Deed]) -> Tally {
        let rules = Rules {
            from: Some((4 * 24 + from_hour) * 3_600_000_000_000),
            burst: Rule { number: 2, minutes: 60 },
            hours: "07:00-19:00".parse().unwrap(),
            offset: "+00:00".parse().unwrap(),
        };
        let mut tally = Tally::new(rules);
        deeds.iter().for_each(|deed| tally.take(deed));
        tally
    }

    fn used(person: &Person) -> Vec<(&str, &str, u64)> {
        person.used.iter().map(|(key, uses)| (key.right.as_str(), key.what.as_str(), uses.count)).collect()
    }

    #[test]
    fn what_was_before_the_period_counts_for_first_times_alone() {
        let (title, amount) = (["Deal.title"], ["Deal.title", "Deal.amount"]);
        let tally = tally(10, &[deed("p_a", 9, &title), deed("p_a", 20, &amount), deed("", 11, &title)]);
        let person = &tally.people["p_a"];
        assert!(person.was_there && !tally.people[""].was_there);
        assert_eq!(
            (person.requests.count, person.saw, person.held_back, person.off_hours.0.count),
            (1, 1, 1, 1)
        );
        let firsts: Vec<u64> =
            ["Deal.title", "Deal.amount"].map(|field| person.first_shown[field].0).to_vec();
        assert_eq!(firsts, [9, 20]);
        assert_eq!(
            used(person),
            [("readField", "Deal.amount", 1), ("readField", "Deal.title", 1), ("view", "", 1)]
        );
    }

    #[test]
    fn what_was_only_observed_was_seen_whole() {
        let mut observed = deed("p_a", 9, &["Deal.title"]);
        observed.act.is_observed = true;
        observed.act.effect = "deny".to_owned();
        observed.act.reason = Some("denied".to_owned());
        let tally = tally(0, &[observed]);
        let person = &tally.people["p_a"];
        assert_eq!(
            used(person),
            [("readField", "Deal.margin", 1), ("readField", "Deal.title", 1), ("view", "", 1)]
        );
        assert_eq!((person.observed, person.refused, person.reasons["denied"].count), (1, 1, 1));
    }

    #[test]
    fn what_did_not_go_through_used_no_right() {
        let exercised =
            || vec![(Rc::from("edit"), Rc::from("Deal")), (Rc::from("writeField"), Rc::from("Deal.title"))];
        let change = |upstream: Option<u16>, effect: &str| {
            let mut change = deed("p_a", 9, &[]);
            (change.act.is_change, change.act.effect) = (true, effect.to_owned());
            change.act.end.iter_mut().for_each(|end| end.upstream = upstream);
            Deed { exercised: exercised(), shown: Vec::new(), ..change }
        };
        let none: Vec<(&str, &str, u64)> = Vec::new();
        for (upstream, effect, is_done) in [
            (Some(200), "allow", true),
            (None, "allow", true),
            (Some(422), "allow", false),
            (None, "deny", false),
        ] {
            let tally = self::tally(0, &[change(upstream, effect)]);
            let done = [("edit", "", 1), ("writeField", "Deal.title", 1)];
            assert_eq!(
                used(&tally.people["p_a"]),
                if is_done { &done[..] } else { &none[..] },
                "{upstream:?} {effect}"
            );
            assert_eq!(tally.people["p_a"].changed, u64::from(is_done));
        }
        // A move that the CRM carried out, although its answer broke.
        let mut moving = change(None, "allow");
        moving.exercised = vec![(Rc::from("moveStage"), Rc::from("Deal"))];
        let (from, to) = (Some("open".to_owned()), Some("won".to_owned()));
        moving.moved = Some(Move { act: moving.act.clone(), from, to, change: Change::Done });
        let tally = self::tally(0, &[moving]);
        assert_eq!(used(&tally.people["p_a"]), [("moveStage", "open → won", 1)]);
        assert_eq!(
            tally.people["p_a"].moves.keys().next().map(|(_, to, became)| (to.as_str(), *became)),
            Some(("won", "done"))
        );
        // An answer of which nothing left.
        let mut withheld = deed("p_a", 9, &["Deal.title"]);
        withheld.act.end.iter_mut().for_each(|end| end.released = "problem".to_owned());
        let tally = self::tally(0, &[withheld]);
        assert_eq!((used(&tally.people["p_a"]), tally.people["p_a"].first_shown.len()), (none, 0));
    }
}
