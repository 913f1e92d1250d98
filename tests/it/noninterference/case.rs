//! One case: a sequence of requests, sent to two states through one sidecar, and how it ends.

use std::collections::BTreeMap;
use std::fmt;

use lockkeeper::testkit::client::TestReply;

use super::model::server::Crm;
use super::model::{Edit, Record, State};
use super::oracle::Place;
use super::requests::Ask;
use super::rig::Rig;
use super::wire::Caller;

/// What is tried.
#[derive(Clone, Debug)]
pub struct Case {
    pub person: &'static str,
    /// What the second state has else.
    pub edits: Vec<Edit>,
    pub asks: Vec<Ask>,
}

/// How it ended.
#[derive(Debug)]
pub enum End {
    /// All answers were the same.
    Alike,
    /// By what they did, the person came to see what differs.
    Opened,
    /// The states are not ones that the promise is about.
    Unrelated,
    /// Two answers differ.
    Told(Box<Difference>),
}

/// Two answers that differ, or two states of which a request made more than was hidden differ.
#[derive(Debug)]
pub struct Difference {
    pub ask: Ask,
    pub answers: [TestReply; 2],
    pub symptom: Symptom,
}

/// How it can be told that something is wrong.
#[derive(Debug)]
pub enum Symptom {
    /// By the answers.
    Answers,
    /// The states now differ here, though the person may see it and saw it before.
    States(Place),
    /// What stands here the person may not see, nor ever change, and it changed.
    Changed(Place),
}

/// What cases of a run came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub sequences: usize,
    pub requests: usize,
    pub successes: usize,
    pub refused: usize,
    pub missing: usize,
    pub changes: usize,
    pub opened: usize,
    pub edits: usize,
    /// By what was asked and what came of it.
    pub outcomes: BTreeMap<String, usize>,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.sequences += other.sequences;
        self.requests += other.requests;
        self.successes += other.successes;
        self.refused += other.refused;
        self.missing += other.missing;
        self.changes += other.changes;
        self.opened += other.opened;
        self.edits += other.edits;
        for (outcome, count) in &other.outcomes {
            *self.outcomes.entry(outcome.clone()).or_default() += count;
        }
    }

    fn count(&mut self, ask: &Ask, reply: &TestReply) {
        self.requests += 1;
        let path = ask.target.split(['/', '?']).nth(1).unwrap_or_default();
        let problem = serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap_or_default();
        let reason = problem["reason"].as_str().unwrap_or_default();
        *self.outcomes.entry(format!("{} {path} {} {reason}", ask.method, reply.status)).or_default() += 1;
        match reply.status {
            200..=299 => self.successes += 1,
            404 => self.missing += 1,
            _ => self.refused += 1,
        }
    }
}

/// A pair of slots of the CRM, and a caller for each.
pub struct Lane<'r> {
    rig: &'r Rig,
    slots: [usize; 2],
}

impl<'r> Lane<'r> {
    pub fn new(rig: &'r Rig, number: usize) -> Self {
        Self { rig, slots: [2 * number, 2 * number + 1] }
    }

    /// Tries a case from the beginning.
    pub async fn run(&self, case: &Case, start: &State, tally: &mut Tally) -> End {
        let Rig { bundle, oracle, crm, .. } = self.rig;
        let [here, there] = self.slots;
        let mut other = start.clone();
        case.edits.iter().for_each(|edit| other.apply(edit));
        if oracle.difference(bundle, case.person, start, &other).is_some() {
            return End::Unrelated;
        }
        *crm.slot(here) = start.clone();
        *crm.slot(there) = other;
        let [mut one, mut two] = self.slots.map(|slot| Caller::new(self.rig.address(), case.person, slot));
        let (mut changes, mut before) = (0, self.states(crm));
        for ask in &case.asks {
            let (first, second) = tokio::join!(one.ask(ask), two.ask(ask));
            tally.count(ask, &first);
            let count = self.slots.iter().map(|slot| crm.slot(*slot).changes).sum();
            let symptom = (count != changes).then(|| {
                tally.changes += 1;
                changes = count;
                let former = std::mem::replace(&mut before, self.states(crm));
                let changed = former.iter().zip(&before).find_map(|(former, now)| {
                    oracle.changed(bundle, case.person, former, now).map(Symptom::Changed)
                });
                if changed.is_some() {
                    return changed.map(|symptom| (symptom, false));
                }
                let place = oracle.difference(bundle, case.person, &before[0], &before[1])?;
                let is_opened = self.was_hidden(case.person, &place, &former);
                Some((Symptom::States(place), is_opened))
            });
            let symptom = match symptom.flatten() {
                // It was hidden before: the change let the person see it, or took away what hid it.
                Some((_, true)) => return End::Opened,
                None if first == second => continue,
                symptom => symptom.map_or(Symptom::Answers, |(symptom, _)| symptom),
            };
            let difference = Difference { ask: ask.clone(), answers: [first, second], symptom };
            return End::Told(Box::new(difference));
        }
        End::Alike
    }

    fn states(&self, crm: &Crm) -> [State; 2] {
        self.slots.map(|slot| crm.slot(slot).clone())
    }

    /// Whether a place already differed, unseen.
    fn was_hidden(&self, person: &str, (kind, id, key): &Place, before: &[State; 2]) -> bool {
        let [one, other] = before.each_ref().map(|state| state.record(*kind, *id));
        let value = |record: Option<&Record>| record.and_then(|record| record.get(key).cloned());
        let differed = if key == "view" { one != other } else { value(one) != value(other) };
        let Rig { bundle, oracle, .. } = self.rig;
        differed && oracle.difference_of(bundle, person, (*kind, *id), &before[0], &before[1]).is_none()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequences, requests, successes, refused, missing, changes, opened, edits, outcomes } =
            self;
        let kinds = outcomes.len();
        write!(
            f,
            "{sequences} sequences, {requests} requests: {successes} successes, {changes} changes, {refused} refused, {missing} not \
             found, {kinds} kinds of outcomes; {edits} hidden differences, {opened} sequences ended by what they opened"
        )
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "at {}", self.ask)?;
        let place = |(kind, id, key): &Place| format!("{} {id}, {key}", kind.name());
        match &self.symptom {
            Symptom::Answers => {}
            Symptom::States(at) => {
                writeln!(f, "afterwards the states differ where it can be seen: {}", place(at))?
            }
            Symptom::Changed(at) => {
                writeln!(f, "what may be neither seen nor changed has changed: {}", place(at))?
            }
        }
        for reply in &self.answers {
            let headers = reply
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
            let headers: Vec<String> = headers.collect();
            writeln!(
                f,
                "  {} {} {}",
                reply.status,
                headers.join(", "),
                String::from_utf8_lossy(&reply.body)
            )?;
        }
        Ok(())
    }
}
