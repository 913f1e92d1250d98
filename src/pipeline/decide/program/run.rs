//! Runs a bound program on records: slots are filled, and what follows from them is looked up or worked out once.

use std::collections::HashMap;
use std::sync::Arc;

use super::bind::{Bound, Reading, comparison};
use super::world::Entities;
use crate::bundle::current::Snapshot;
use crate::bundle::instant;
use crate::bundle::program::compile::{Rule, RuleEffect};
use crate::bundle::program::evaluate::{Scene, Stop};
use crate::bundle::program::expression::{Expression, Op};
use crate::bundle::program::tree::Outcome;
use crate::bundle::program::value::Value;
use crate::model::decision::{Decision, Effect};
use crate::model::reason::Reason;
use crate::model::record::{Attribute, AttributeValue, RecordFacts};
use crate::pipeline::decide::entities::{EntitiesError, Gathering};
use crate::pipeline::decide::gate::RecordVerdict;

/// A bound program at one moment, with what the records so far have taught it. Lives for one list.
pub struct Run<'s> {
    snapshot: &'s Snapshot,
    bound: Arc<Bound>,
    now_ms: i64,
    /// The slots of the moment, in their places; all others are empty.
    moment: Vec<u64>,
    slots: Vec<u64>,
    verdicts: HashMap<Box<[u64]>, Arc<RecordVerdict>>,
    known: &'s KnownValues,
    seen: Vec<HashMap<AttributeValue, Arc<Known>>>,
}

/// What values mean to bound programs, kept between lists: the program's number, the attribute, the value.
pub type KnownValues = moka::sync::Cache<(u64, usize, AttributeValue), Arc<Known>>;

/// What a value of an attribute means.
pub struct Known {
    outcomes: Vec<(usize, Outcome)>,
    problem: Option<Reason>,
}

impl<'s> Run<'s> {
    /// Starts at a moment.
    pub fn new(
        snapshot: &'s Snapshot,
        known: &'s KnownValues,
        bound: Arc<Bound>,
        now_ms: i64,
    ) -> Result<Self, Stop> {
        let words = bound.slots.div_ceil(SLOTS_A_WORD);
        let seen = bound.readings.iter().map(|_| HashMap::new()).collect();
        let mut run = Self {
            snapshot,
            now_ms,
            moment: vec![0; words],
            slots: vec![0; words],
            verdicts: HashMap::new(),
            known,
            seen,
            bound,
        };
        let bound = Arc::clone(&run.bound);
        for (slot, expression) in &bound.moments {
            let outcome = run.evaluate(expression, None)?;
            set(&mut run.moment, *slot, outcome);
        }
        Ok(run)
    }

    /// What may be seen of a record whose needed attributes can all be used. [`Stop::Unsupported`] where plain Cedar must say.
    pub fn judge(&mut self, facts: &RecordFacts) -> Result<Arc<RecordVerdict>, Stop> {
        let bound = Arc::clone(&self.bound);
        let is_usable = |reading: &Reading| {
            matches!(facts.attributes.get(reading.attribute), Some(Attribute::Present(_) | Attribute::Absent))
        };
        if !bound.readings.iter().all(is_usable) {
            return Err(Stop::Unsupported);
        }
        self.slots.clone_from(&self.moment);
        for (place, reading) in bound.readings.iter().enumerate() {
            if let Some(reason) = self.read(place, reading, facts)? {
                return Ok(Arc::new(RecordVerdict::hidden(Decision::deny(reason), bound.fields)));
            }
        }
        for (slot, expression) in &bound.others {
            let outcome = self.evaluate(expression, Some(facts))?;
            set(&mut self.slots, *slot, outcome);
        }
        if let Some(verdict) = self.verdicts.get(self.slots.as_slice()) {
            return Ok(Arc::clone(verdict));
        }
        let verdict = Arc::new(self.conclude());
        if self.verdicts.len() < VERDICTS_MAX {
            self.verdicts.insert(self.slots.as_slice().into(), Arc::clone(&verdict));
        }
        Ok(verdict)
    }

    /// Fills the slots that depend on one attribute; says why a record with such a value is denied outright.
    fn read(&mut self, place: usize, reading: &Reading, facts: &RecordFacts) -> Result<Option<Reason>, Stop> {
        let value = match facts.attributes.get(reading.attribute) {
            Some(Attribute::Present(value)) => Some(value),
            _ => None,
        };
        let refers = matches!(value, Some(AttributeValue::Entity(_) | AttributeValue::Set(_)));
        if !refers {
            if let Some(AttributeValue::Datetime(millis)) = value
                && !instant::is_in_range(*millis)
            {
                return Ok(Some(Reason::AttributeNonconforming));
            }
            for (slot, expression) in &reading.slots {
                let outcome = self.evaluate(expression, Some(facts))?;
                set(&mut self.slots, *slot, outcome);
            }
            return Ok(None);
        }
        let Some(value) = value else { return Ok(None) };
        if let Some(known) = self.seen.get(place).and_then(|seen| seen.get(value)) {
            return Ok(fill(&mut self.slots, known));
        }
        let key = (self.bound.number, reading.attribute, value.clone());
        let known = match self.known.get(&key) {
            Some(known) => known,
            None => {
                let known = Arc::new(self.learn(value, reading, facts)?);
                self.known.insert(key, Arc::clone(&known));
                known
            }
        };
        let problem = fill(&mut self.slots, &known);
        let seen = self.seen.get_mut(place).ok_or(Stop::Unsupported)?;
        if seen.len() == VALUES_MAX {
            seen.clear();
        }
        seen.insert(value.clone(), known);
        Ok(problem)
    }

    fn learn(&self, value: &AttributeValue, reading: &Reading, facts: &RecordFacts) -> Result<Known, Stop> {
        let mut gathering = Gathering::new(self.snapshot);
        let problem = match gathering.expression(value) {
            Ok(_) => None,
            Err(EntitiesError::Unknown(_)) => Some(Reason::EntityUnknown),
            Err(EntitiesError::Nonconforming(_)) => Some(Reason::AttributeNonconforming),
        };
        let mut outcomes = Vec::new();
        if problem.is_none() {
            for (slot, expression) in &reading.slots {
                outcomes.push((*slot, self.evaluate(expression, Some(facts))?));
            }
        }
        Ok(Known { outcomes, problem })
    }

    fn evaluate(&self, expression: &Expression, facts: Option<&RecordFacts>) -> Result<Outcome, Stop> {
        if let Some(outcome) = facts.and_then(|facts| at_a_glance(expression, facts)) {
            return Ok(outcome);
        }
        let world = Entities(self.snapshot);
        let scene = Scene { world: &world, now_ms: Some(self.now_ms), record: facts };
        match scene.truth(expression) {
            Ok(truth) => Ok(Outcome::of(truth)),
            Err(Stop::Fails) => Ok(Outcome::Fails),
            Err(Stop::Unsupported) => Err(Stop::Unsupported),
        }
    }

    fn conclude(&self) -> RecordVerdict {
        let bound = &self.bound;
        let atoms = |slot: u32| get(&self.slots, slot as usize);
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

/// The commonest expressions, without making values of what the record has.
fn at_a_glance(expression: &Expression, facts: &RecordFacts) -> Option<Outcome> {
    if let Op::HasAttribute(index) = &expression.op {
        return match facts.attributes.get(*index)? {
            Attribute::Present(_) => Some(Outcome::True),
            Attribute::Absent => Some(Outcome::False),
            Attribute::NotCarried | Attribute::Nonconforming(_) => None,
        };
    }
    let (index, value) = comparison(expression)?;
    match (facts.attributes.get(index)?, value) {
        (Attribute::Absent, _) => Some(Outcome::Fails),
        (Attribute::Present(AttributeValue::Entity(own)), Value::Entity(other)) => {
            Some(Outcome::of(own == other.as_ref()))
        }
        _ => None,
    }
}

/// Fills in what a value means; says why a record that has it is denied outright.
fn fill(slots: &mut [u64], known: &Known) -> Option<Reason> {
    for (slot, outcome) in &known.outcomes {
        set(slots, *slot, *outcome);
    }
    known.problem
}

fn set(slots: &mut [u64], slot: usize, outcome: Outcome) {
    if let Some(word) = slots.get_mut(slot / SLOTS_A_WORD) {
        let code = match outcome {
            Outcome::False => 1,
            Outcome::True => 2,
            Outcome::Fails => 3,
        };
        *word |= code << (2 * (slot % SLOTS_A_WORD));
    }
}

fn get(slots: &[u64], slot: usize) -> Outcome {
    let word = slots.get(slot / SLOTS_A_WORD).copied().unwrap_or_default();
    match (word >> (2 * (slot % SLOTS_A_WORD))) & 3 {
        1 => Outcome::False,
        2 => Outcome::True,
        // An empty slot is one that nobody filled: that must not pass for an answer.
        _ => Outcome::Fails,
    }
}

/// Two bits a slot.
const SLOTS_A_WORD: usize = 32;
/// Verdicts that one list keeps; further ones are worked out each time.
const VERDICTS_MAX: usize = 4_096;
/// Values of one attribute that one list keeps.
const VALUES_MAX: usize = 65_536;
