//! Runs a bound program on records: each attribute's value becomes a code, and what follows from the codes is concluded once.

use std::sync::Arc;

use super::bind::Bound;
use super::column::{Code, Column};
use super::learnt::{BYTES_MAX, Learnt};
use super::reading::Reading;
use super::teacher::Teacher;
use crate::bundle::profile::types::{AttributeSpec, RecordType};
use crate::bundle::program::compile::{Rule, RuleEffect};
use crate::bundle::program::evaluate::{Record, Stop};
use crate::bundle::program::tree::Outcome;
use crate::model::decision::{Decision, Effect};
use crate::model::reason::Reason;
use crate::model::record::RecordFacts;
use crate::pipeline::decide::gate::RecordVerdict;
use crate::pipeline::hydrate::convert::{Lookups, plain_number};
use crate::pipeline::hydrate::extract::{Completeness, Place, Reached, reach, read_raw};

/// A bound program at one moment, with what it has learnt from records. Lives for one list.
pub struct Run<'s> {
    teacher: Teacher<'s>,
    record_type: &'s RecordType,
    bound: Arc<Bound>,
    learnt: Learnt,
    moment: Code,
    key: Vec<Code>,
    judged: u32,
    /// Counts how often everything was forgotten, and with it what the numbers of verdicts stand for.
    age: u32,
}

/// What a run says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The verdict of that number, while the age stays the same.
    Verdict(u32),
    /// An attribute that is needed cannot be used.
    Unusable {
        /// The attribute, by place.
        attribute: usize,
        /// Why.
        reason: Reason,
        /// Whether any needed attribute is not carried.
        lacks: bool,
    },
}

impl<'s> Run<'s> {
    /// Starts at a moment.
    pub fn new(teacher: Teacher<'s>, record_type: &'s RecordType, bound: Arc<Bound>) -> Result<Self, Stop> {
        let mut learnt = bound.take_learnt();
        let moment = learnt.start(&bound, &teacher)?;
        let key = Vec::with_capacity(bound.readings.len() + bound.others.len() + 2);
        Ok(Self { teacher, record_type, bound, learnt, moment, key, judged: 0, age: 0 })
    }

    /// What may be seen of a record. [`Stop::Unsupported`] where plain Cedar must say.
    pub fn judge(&mut self, facts: &RecordFacts) -> Result<Seen, Stop> {
        self.begin(&facts.id)?;
        for (reading, column) in self.bound.readings.iter().zip(&mut self.learnt.columns) {
            self.key.push(column.of(facts.attributes.get(reading.attribute), reading, &self.teacher));
        }
        if let Some(seen) = self.unusable() {
            return Ok(seen);
        }
        for (_, expression) in &self.bound.others {
            let outcome = self.teacher.outcome(expression, Record::Whole(facts))?;
            self.key.push(Code(u32::from(outcome.code())));
        }
        self.settle()
    }

    /// The same of a record whose attributes are as they are spelled. Not for programs that look at several attributes at
    /// once, see [`Run::needs_facts`].
    pub fn judge_raw(
        &mut self,
        id: &str,
        completeness: Completeness,
        places: &[Place<&[u8]>],
    ) -> Result<Seen, Stop> {
        self.begin(id)?;
        let lookups = Lookups {
            profile: &self.teacher.snapshot.bundle.profile,
            directory: &self.teacher.snapshot.directory,
        };
        for (reading, column) in self.bound.readings.iter().zip(&mut self.learnt.columns) {
            let spec = self.record_type.attributes.get(reading.attribute).ok_or(Stop::Unsupported)?;
            let own = places.get(reading.places.clone()).ok_or(Stop::Unsupported)?;
            // What was read at a first place before is read there again.
            if !reading.is_plain()
                && let Some(Place::Found(raw)) = own.first()
                && let Some(code) = column.of_raw(raw)
            {
                self.key.push(code);
                continue;
            }
            let code = match reach(spec, own.iter().copied()) {
                Reached::Value(raw) => of_raw(raw, spec, column, reading, &self.teacher, lookups),
                Reached::Absent => column.of_absent(reading, &self.teacher),
                Reached::Missing if completeness == Completeness::Complete => {
                    column.of_absent(reading, &self.teacher)
                }
                Reached::Missing => Code::NOT_CARRIED,
                Reached::Misshapen => Code::NONCONFORMING,
            };
            self.key.push(code);
        }
        if let Some(seen) = self.unusable() {
            return Ok(seen);
        }
        self.settle()
    }

    /// Whether something is asked that more than one attribute answers.
    pub fn needs_facts(&self) -> bool {
        !self.bound.others.is_empty()
    }

    /// The verdict of a number.
    pub fn verdict(&self, number: u32) -> Result<&Arc<RecordVerdict>, Stop> {
        self.learnt.verdict(number).ok_or(Stop::Unsupported)
    }

    /// How often the numbers of verdicts have begun anew.
    pub fn age(&self) -> u32 {
        self.age
    }

    /// The program, and what it has learnt.
    pub fn end(self) -> (Arc<Bound>, Learnt) {
        (self.bound, self.learnt)
    }

    fn begin(&mut self, id: &str) -> Result<(), Stop> {
        self.judged = self.judged.wrapping_add(1);
        if self.judged.is_multiple_of(WEIGHED_EVERY) && self.learnt.weight() > BYTES_MAX {
            self.learnt = Learnt::default();
            self.moment = self.learnt.start(&self.bound, &self.teacher)?;
            self.age = self.age.wrapping_add(1);
        }
        self.key.clear();
        self.key.push(self.moment);
        if !self.bound.identity.slots.is_empty() {
            let identity = (self.record_type.name.as_str(), id);
            self.key.push(self.learnt.of_identity(&self.bound, identity, &self.teacher));
        }
        Ok(())
    }

    /// Where the codes of attributes begin in a key.
    fn first_attribute(&self) -> usize {
        1 + usize::from(!self.bound.identity.slots.is_empty())
    }

    /// What cannot be read outweighs what is not there.
    fn unusable(&self) -> Option<Seen> {
        if self.key.iter().all(|code| *code < Code::NONCONFORMING) {
            return None;
        }
        let codes = self.key.get(self.first_attribute()..)?;
        let first = |wanted: Code| codes.iter().position(|code| *code == wanted);
        let (place, reason) = match (first(Code::NONCONFORMING), first(Code::NOT_CARRIED)) {
            (Some(place), _) => (place, Reason::AttributeNonconforming),
            (None, place) => (place?, Reason::AttributeNotCarried),
        };
        let attribute = self.bound.readings.get(place)?.attribute;
        Some(Seen::Unusable { attribute, reason, lacks: first(Code::NOT_CARRIED).is_some() })
    }

    fn settle(&mut self) -> Result<Seen, Stop> {
        if let Some(number) = self.learnt.concluded(&self.key) {
            return Ok(Seen::Verdict(number));
        }
        let verdict = match self.key.iter().find(|code| !code.is_meaning()) {
            Some(code) => {
                let reason = code.denial().ok_or(Stop::Unsupported)?;
                RecordVerdict::hidden(Decision::deny(reason), self.bound.fields)
            }
            None => self.conclude(),
        };
        Ok(Seen::Verdict(self.learnt.conclude(&self.key, verdict)))
    }

    /// The outcomes of all slots. One that nothing fills fails: it must not pass for an answer.
    fn slots(&self) -> Vec<Outcome> {
        let mut slots = vec![Outcome::Fails; self.bound.slots];
        let mut fill = |places: &[(usize, _)], outcomes: &[Outcome]| {
            for ((slot, _), outcome) in places.iter().zip(outcomes) {
                if let Some(place) = slots.get_mut(*slot) {
                    *place = *outcome;
                }
            }
        };
        let (bound, learnt) = (&self.bound, &self.learnt);
        fill(&bound.moments, learnt.moments.outcomes(self.moment));
        if let (false, Some(code)) = (bound.identity.slots.is_empty(), self.key.get(1)) {
            fill(&bound.identity.slots, learnt.identity.outcomes(*code));
        }
        let mut codes = self.key.iter().skip(self.first_attribute());
        for (reading, column) in bound.readings.iter().zip(&learnt.columns) {
            fill(&reading.slots, codes.next().map_or(&[], |code| column.codes().outcomes(*code)));
        }
        let others: Vec<Outcome> = codes.map(|code| Outcome::from_code(code.0)).collect();
        fill(&bound.others, &others);
        slots
    }

    fn conclude(&self) -> RecordVerdict {
        let (bound, slots) = (&self.bound, self.slots());
        let atoms = |slot: u32| slots.get(slot as usize).copied().unwrap_or(Outcome::Fails);
        let outcomes: Vec<Outcome> = bound.rules.iter().map(|rule| rule.tree.outcome(&atoms)).collect();
        let decide = |rules: &[u32]| {
            let of =
                |number: &u32| Some((bound.rules.get(*number as usize)?, *outcomes.get(*number as usize)?));
            decision(rules.iter().filter_map(of))
        };
        let mut verdict = RecordVerdict::hidden(decide(&bound.view), bound.fields);
        if !verdict.view.is_allow() {
            return verdict;
        }
        for question in &bound.questions {
            verdict.answer(&question.fields, question.shown, decide(&question.rules));
        }
        verdict.in_order()
    }
}

/// The code of a value whose spelling is new: by the number that it is, else by what it converts to.
fn of_raw(
    raw: &[u8],
    spec: &AttributeSpec,
    column: &mut Column,
    reading: &Reading,
    teacher: &Teacher<'_>,
    lookups: Lookups<'_>,
) -> Code {
    if reading.is_plain()
        && let Some(value) = plain_number(raw, &spec.conversion)
    {
        return column.of_value(&value, reading, teacher);
    }
    // Other spellings of a number are kept as those of any value.
    if let Some(code) = column.of_raw(raw) {
        return code;
    }
    let code = column.of(Some(&read_raw(raw, spec, lookups)), reading, teacher);
    column.note(raw, code);
    code
}

/// Decides as Cedar does: any failure denies, then any forbid, then any permit allows.
fn decision<'r>(rules: impl Iterator<Item = (&'r Rule, Outcome)>) -> Decision {
    let (mut permits, mut forbids, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for (rule, outcome) in rules {
        let list = match (outcome, rule.effect) {
            (Outcome::False, _) => continue,
            (Outcome::Fails, _) => &mut errors,
            (Outcome::True, RuleEffect::Permit) => &mut permits,
            (Outcome::True, RuleEffect::Forbid) => &mut forbids,
        };
        list.push(rule.policy.to_string());
    }
    match (forbids.is_empty(), permits.is_empty()) {
        (true, false) => Decision::by_policies(Effect::Allow, permits, errors),
        (_, _) => Decision::by_policies(Effect::Deny, forbids, errors),
    }
}

/// Records after which it is looked again at how much was learnt.
const WEIGHED_EVERY: u32 = 16;
