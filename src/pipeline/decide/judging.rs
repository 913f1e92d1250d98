//! Judges the records of one list (PDP): by what is read of them already, or by their attributes as the CRM spells them.
//!
//! Promises: both ways give the same verdict, and it is that of plain Cedar. What a list may keep is bounded.

use std::collections::HashMap;
use std::sync::Arc;

use super::gate::{RecordGate, RecordVerdict};
use super::program::hash::Table;
use super::program::run::{Run, Seen};
use crate::bundle::profile::types::{KeyPath, RecordType};
use crate::model::decision::Decision;
use crate::model::reason::Reason;
use crate::model::record::{Attribute, RecordFacts};
use crate::pipeline::hydrate::convert::Lookups;
use crate::pipeline::hydrate::extract::{Completeness, Place, extract_needed};

/// Judges the records of one list.
pub struct Judging<'g> {
    gate: &'g RecordGate,
    /// By the type's place in the profile.
    types: Vec<Option<Box<OfType<'g>>>>,
    verdicts: Vec<Arc<RecordVerdict>>,
    /// The numbers of all but the first [`SCANNED`], which are looked through.
    numbers: Table<Arc<RecordVerdict>, u32>,
}

/// What is said of a record by its spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawJudgement {
    /// The verdict of that number, see [`Judging::verdict`].
    Verdict(u32),
    /// A verdict that has no number, as [`VERDICTS_MAX`] others have one.
    Unnumbered(Arc<RecordVerdict>),
    /// A needed attribute is not carried, and it matters: it must be found elsewhere first.
    Lacking,
}

/// What is known of one record type.
struct OfType<'g> {
    record_type: &'g RecordType,
    run: Option<Run<'g>>,
    /// The numbers of the run's verdicts, by theirs.
    numbers: Vec<Option<u32>>,
    /// The age of the run to which they belong.
    age: u32,
    sees_alike: Option<bool>,
    /// What is said where an attribute cannot be used.
    unusable: HashMap<(usize, Reason), Arc<RecordVerdict>>,
}

/// A record by its spelling.
#[derive(Clone, Copy)]
struct Spelled<'r> {
    index: usize,
    id: &'r str,
    completeness: Completeness,
    places: &'r [Place<&'r [u8]>],
}

impl<'g> Judging<'g> {
    /// For a gate.
    pub fn new(gate: &'g RecordGate) -> Self {
        let types = gate.snapshot().bundle.profile.types.iter().map(|_| None).collect();
        Self { gate, types, verdicts: Vec::new(), numbers: HashMap::default() }
    }

    /// The places of attributes to hand over for a record of a type, which is named by its place in the profile.
    pub fn places(&self, index: usize) -> &'g [KeyPath] {
        let bundle = &self.gate.snapshot().bundle;
        let record_type = bundle.profile.types.get(index);
        record_type.map_or(&[], |record_type| &bundle.slices.needs(&record_type.name).places)
    }

    /// What may be seen of a record.
    pub fn judge(&mut self, facts: &RecordFacts) -> Arc<RecordVerdict> {
        let gate = self.gate;
        let named = gate.snapshot().bundle.profile.type_named(&facts.type_name);
        let Some(of_type) = named.and_then(|(index, _)| self.of_type(index)) else {
            return gate.judge_plainly(facts);
        };
        let verdict = match of_type.run.as_mut().map(|run| run.judge(facts)) {
            Some(Ok(seen)) => of_type.verdict(gate, seen),
            Some(Err(_)) | None => None,
        };
        let Some(verdict) = verdict else { return gate.judge_plainly(facts) };
        let denied = gate.is_checked().then(|| gate.disproved(facts, &verdict)).flatten();
        denied.map_or(verdict, Arc::new)
    }

    /// What may be seen of a record of the type at a place of the profile, by what stands at [`Judging::places`], in their
    /// order.
    pub fn judge_raw(
        &mut self,
        index: usize,
        id: &str,
        completeness: Completeness,
        places: &[Place<&[u8]>],
    ) -> RawJudgement {
        let record = Spelled { index, id, completeness, places };
        let gate = self.gate;
        let Some(of_type) = self.of_type(index) else {
            let denied = RecordVerdict::hidden(Decision::deny(Reason::NoPermit), 1);
            return self.number(Arc::new(denied));
        };
        let seen = match &mut of_type.run {
            Some(run) if run.needs_facts() => run.judge(&facts(gate, record)).ok(),
            Some(run) => run.judge_raw(id, completeness, places).ok(),
            None => None,
        };
        let Some(seen) = seen else { return self.judge_raw_plainly(record) };
        if let Seen::Unusable { lacks: true, .. } = seen
            && !of_type.sees_alike(gate)
        {
            return RawJudgement::Lacking;
        }
        let is_checked = gate.is_checked();
        if let (Some(number), false) = (of_type.number(seen), is_checked) {
            return RawJudgement::Verdict(number);
        }
        let Some(verdict) = of_type.verdict(gate, seen) else { return self.judge_raw_plainly(record) };
        if is_checked && let Some(denied) = gate.disproved(&facts(gate, record), &verdict) {
            return self.number(Arc::new(denied));
        }
        let judgement = self.number(verdict);
        if let (RawJudgement::Verdict(number), Some(of_type)) = (&judgement, self.of_type(index)) {
            of_type.note(seen, *number);
        }
        judgement
    }

    /// The same for a record of which nothing can be found elsewhere: it is denied for what it lacks.
    pub fn judge_lacking(
        &mut self,
        index: usize,
        id: &str,
        completeness: Completeness,
        places: &[Place<&[u8]>],
    ) -> RawJudgement {
        let facts = facts(self.gate, Spelled { index, id, completeness, places });
        self.number(self.gate.judge_plainly(&facts))
    }

    /// Whether half of the numbers are given.
    pub fn is_filling(&self) -> bool {
        self.verdicts.len() >= VERDICTS_MAX / 2
    }

    /// The verdict of a number that this judging gave.
    pub fn verdict(&self, number: u32) -> Option<&Arc<RecordVerdict>> {
        self.verdicts.get(number as usize)
    }

    fn judge_raw_plainly(&mut self, record: Spelled<'_>) -> RawJudgement {
        let gate = self.gate;
        let facts = facts(gate, record);
        let lacks = facts_lack(gate, record.index, &facts);
        if lacks && self.of_type(record.index).is_some_and(|of_type| !of_type.sees_alike(gate)) {
            return RawJudgement::Lacking;
        }
        self.number(gate.judge_plainly(&facts))
    }

    /// Equal verdicts have one number.
    fn number(&mut self, verdict: Arc<RecordVerdict>) -> RawJudgement {
        let early = self.verdicts.iter().take(SCANNED);
        let scanned = (0..).zip(early).find(|(_, known)| **known == verdict);
        let known = scanned.map(|(number, _)| number).or_else(|| self.numbers.get(&verdict).copied());
        if let Some(number) = known {
            return RawJudgement::Verdict(number);
        }
        match u32::try_from(self.verdicts.len()) {
            Ok(number) if self.verdicts.len() < VERDICTS_MAX => {
                if self.verdicts.len() >= SCANNED {
                    self.numbers.insert(Arc::clone(&verdict), number);
                }
                self.verdicts.push(verdict);
                RawJudgement::Verdict(number)
            }
            _ => RawJudgement::Unnumbered(verdict),
        }
    }

    fn of_type(&mut self, index: usize) -> Option<&mut OfType<'g>> {
        let gate = self.gate;
        let place = self.types.get_mut(index)?;
        if place.is_none() {
            let record_type = gate.snapshot().bundle.profile.types.get(index)?;
            *place = Some(Box::new(OfType::new(gate, index, record_type)));
        }
        let of_type = place.as_mut()?;
        if gate.has_lost_trust() {
            of_type.run = None;
        }
        Some(of_type)
    }
}

impl Drop for Judging<'_> {
    fn drop(&mut self) {
        let types = self.types.iter_mut().enumerate();
        for (index, run) in types.filter_map(|(index, of_type)| Some((index, of_type.take()?.run?))) {
            self.gate.keep(index, run);
        }
    }
}

impl<'g> OfType<'g> {
    fn new(gate: &'g RecordGate, index: usize, record_type: &'g RecordType) -> Self {
        let run = gate.run(index);
        Self { record_type, run, numbers: Vec::new(), age: 0, sees_alike: None, unusable: HashMap::new() }
    }

    fn sees_alike(&mut self, gate: &RecordGate) -> bool {
        let record_type = self.record_type;
        *self.sees_alike.get_or_insert_with(|| gate.sees_alike(record_type))
    }

    /// `None`: plain Cedar must say.
    fn verdict(&mut self, gate: &RecordGate, seen: Seen) -> Option<Arc<RecordVerdict>> {
        match seen {
            Seen::Verdict(number) => self.run.as_ref()?.verdict(number).ok().cloned(),
            Seen::Unusable { attribute, reason, .. } => {
                let name = &self.record_type.attributes.get(attribute)?.name;
                let judge =
                    || Arc::new(gate.judge_unusable(self.record_type, Decision::unusable(reason, name)));
                Some(Arc::clone(self.unusable.entry((attribute, reason)).or_insert_with(judge)))
            }
        }
    }

    fn number(&self, seen: Seen) -> Option<u32> {
        match seen {
            Seen::Verdict(number) if self.run.as_ref()?.age() == self.age => {
                self.numbers.get(number as usize).copied().flatten()
            }
            Seen::Verdict(_) | Seen::Unusable { .. } => None,
        }
    }

    fn note(&mut self, seen: Seen, number: u32) {
        let (Seen::Verdict(own), Some(run)) = (seen, &self.run) else { return };
        if run.age() != self.age {
            self.numbers.clear();
            self.age = run.age();
        }
        let place = own as usize;
        if self.numbers.len() <= place {
            self.numbers.resize(place + 1, None);
        }
        if let Some(noted) = self.numbers.get_mut(place) {
            *noted = Some(number);
        }
    }
}

fn facts(gate: &RecordGate, record: Spelled<'_>) -> RecordFacts {
    let snapshot = gate.snapshot();
    let (profile, directory) = (&snapshot.bundle.profile, &*snapshot.directory);
    let lookups = Lookups { profile, directory };
    match profile.types.get(record.index) {
        Some(record_type) => {
            let needed = &snapshot.bundle.slices.needs(&record_type.name).attributes;
            extract_needed(record_type, needed, record.id, record.completeness, record.places, lookups)
        }
        None => RecordFacts { type_name: String::new(), id: record.id.to_owned(), attributes: Vec::new() },
    }
}

fn facts_lack(gate: &RecordGate, index: usize, facts: &RecordFacts) -> bool {
    let bundle = &gate.snapshot().bundle;
    let needed = bundle.profile.types.get(index).map(|of| &bundle.slices.needs(&of.name).attributes);
    let mut needed = needed.into_iter().flatten();
    needed.any(|place| facts.attributes.get(*place) == Some(&Attribute::NotCarried))
}

/// Verdicts that are compared one by one: most lists have no more.
const SCANNED: usize = 8;
/// Verdicts that have a number in one list.
pub const VERDICTS_MAX: usize = 4_096;
