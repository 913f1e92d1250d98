//! The gate that each record of an answer passes (PDP): may it be viewed, and which of its fields?
//!
//! Programs decide where there are any, and plain Cedar elsewhere; now and then both, and then they must agree. A verdict of
//! plain Cedar may come from the cache only if the key holds everything that the decision read: the snapshot, the
//! principal with what is attested of them, the values of the attributes, the record's identity if a policy looks at it,
//! and where the time stands among the points that it is compared with.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::entities::{EntitiesError, Gathering};
use super::evaluate::{self, authorize, unusable};
use super::program::bind::{self, Bound};
use super::program::run::{KnownValues, Run};
use super::whatever::Whatever;
use crate::bundle::catalogue::to_uid;
use crate::bundle::current::Snapshot;
use crate::bundle::dependencies::Dependencies;
use crate::bundle::profile::types::RecordType;
use crate::bundle::slices::Slice;
use crate::model::decision::Decision;
use crate::model::principal::{Asker, Attested, EntityRef};
use crate::model::reason::Reason;
use crate::model::record::{Attribute, AttributeValue, RecordFacts};
use cedar_policy as cedar;

/// What may be seen of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// The value.
    Shown,
    /// That there is a value, behind the profile's mask.
    Masked,
    /// Nothing.
    Hidden,
}

/// What may be seen of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordVerdict {
    /// Whether the record may be viewed at all.
    pub view: Decision,
    /// By field index; the last entry stands for all unclassified keys. All hidden where the record is.
    pub fields: Vec<Visibility>,
    /// Every policy that determined any of it, sorted.
    pub policies: Vec<String>,
    /// Every policy that failed to evaluate, sorted.
    pub errors: Vec<String>,
}

/// What is kept between requests: programs bound to principals, and verdicts where there is no program.
pub struct VerdictCache {
    bound: moka::sync::Cache<BoundKey, Option<Arc<Bound>>>,
    known: KnownValues,
    entries: moka::sync::Cache<VerdictKey, Arc<RecordVerdict>>,
    whatever: moka::sync::Cache<WhateverKey, Arc<Whatever>>,
    counts: Counts,
    trust: ProgramTrust,
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    bypasses: AtomicU64,
    compiled: AtomicU64,
    plain: AtomicU64,
    mismatches: AtomicU64,
}

/// Generation, who asks, and the record type.
type BoundKey = (u64, EntityRef, Attested, String);

/// Whether programs decide, and how often Cedar is asked as well.
#[derive(Debug)]
struct ProgramTrust {
    is_lost: AtomicBool,
    checked_every: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct VerdictKey {
    generation: u64,
    principal: EntityRef,
    attested: Attested,
    type_name: String,
    identity: Option<String>,
    time: Vec<i8>,
    values: String,
}

/// How often the cache was asked, and who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheCounts {
    /// Programs, or verdicts of plain Cedar, that were found.
    pub hits: u64,
    /// Those that were made and kept.
    pub misses: u64,
    /// Verdicts of plain Cedar that cannot be kept.
    pub bypasses: u64,
    /// Verdicts that programs gave.
    pub compiled: u64,
    /// Verdicts that plain Cedar gave because there is no program for them.
    pub plain: u64,
    /// Verdicts of programs that plain Cedar did not confirm.
    pub mismatches: u64,
}

impl VerdictCache {
    /// A cache of at most so many programs and so many verdicts, which lets plain Cedar check one of so many verdicts.
    pub fn new(entries_max: u64, checked_every: u64) -> Self {
        let bound = moka::sync::Cache::builder().max_capacity(entries_max.saturating_mul(ENTRY_BYTES));
        let weigh = |_: &BoundKey, bound: &Option<Arc<Bound>>| {
            let bytes = bound.as_ref().map_or(0, |bound| bound.weight());
            u32::try_from(bytes).unwrap_or(u32::MAX).max(1)
        };
        Self {
            bound: bound.weigher(weigh).build(),
            known: KnownValues::new(entries_max),
            entries: moka::sync::Cache::new(entries_max),
            whatever: moka::sync::Cache::new(WHATEVER_MAX),
            counts: Counts::default(),
            trust: ProgramTrust { is_lost: AtomicBool::new(false), checked_every: checked_every.max(1) },
        }
    }

    /// How often it was asked since the start.
    pub fn counts(&self) -> CacheCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheCounts {
            hits: read(&self.counts.hits),
            misses: read(&self.counts.misses),
            bypasses: read(&self.counts.bypasses),
            compiled: read(&self.counts.compiled),
            plain: read(&self.counts.plain),
            mismatches: read(&self.counts.mismatches),
        }
    }

    /// Whether a program and plain Cedar disagreed, since when plain Cedar decides alone.
    pub fn has_lost_trust(&self) -> bool {
        self.trust.is_lost.load(Ordering::Relaxed)
    }
}

/// A gate for one principal at one moment.
pub struct RecordGate {
    snapshot: Arc<Snapshot>,
    asker: Asker,
    cache: Arc<VerdictCache>,
}

/// Generation, who asks and when, and the record type.
type WhateverKey = (u64, (EntityRef, Attested, i64), String);

/// Verdicts on every record of a type that are kept: they are made anew for each moment, so few are in use at once.
const WHATEVER_MAX: u64 = 1_000;

/// What an entry of the cache may take on average; programs are weighed.
const ENTRY_BYTES: u64 = 2_048;

/// What of the context is part of a verdict's key.
const KEPT_CONTEXT: &[&str] = &["now", "field", "authLevel", "onBehalfOf"];

/// The actions that a gate asks about.
pub const GATE_ACTIONS: &[&str] = &["view", "readField", "readFieldMasked"];

impl RecordGate {
    /// A gate for whoever asks.
    pub fn new(snapshot: Arc<Snapshot>, asker: Asker, cache: Arc<VerdictCache>) -> Self {
        Self { snapshot, asker, cache }
    }

    /// The attributes of a type that the gate needs.
    pub fn needed(&self, type_name: &str) -> BTreeSet<String> {
        self.snapshot.bundle.slices.attributes_needed(GATE_ACTIONS, type_name)
    }

    /// Judges records of one list, which share what they teach.
    pub fn judging(&self) -> Judging<'_> {
        Judging { gate: self, runs: Vec::new() }
    }

    /// What may be seen of one record.
    pub fn judge(&self, facts: &RecordFacts) -> Arc<RecordVerdict> {
        self.judging().judge(facts)
    }

    /// The program of a type for this principal, if programs can decide on it.
    fn bound(&self, type_name: &str) -> Option<Arc<Bound>> {
        if self.cache.has_lost_trust() {
            return None;
        }
        let program = self.snapshot.bundle.programs.of(type_name)?.as_ref().ok()?;
        let (_, record_type) = self.snapshot.bundle.profile.type_named(type_name)?;
        let (entity, attested) = (self.asker.entity.clone(), self.asker.attested.clone());
        let key = (self.snapshot.generation, entity, attested, type_name.to_owned());
        if let Some(bound) = self.cache.bound.get(&key) {
            self.cache.counts.hits.fetch_add(1, Ordering::Relaxed);
            return bound;
        }
        self.cache.counts.misses.fetch_add(1, Ordering::Relaxed);
        let bound = bind::bind(&self.snapshot, program, record_type, &self.asker).ok().map(Arc::new);
        self.cache.bound.insert(key, bound.clone());
        bound
    }

    /// What plain Cedar says, from the cache of its verdicts if nothing that it read has changed.
    fn judge_plainly(&self, facts: &RecordFacts) -> Arc<RecordVerdict> {
        self.cache.counts.plain.fetch_add(1, Ordering::Relaxed);
        let Some(key) = self.key(facts) else {
            self.cache.counts.bypasses.fetch_add(1, Ordering::Relaxed);
            return Arc::new(self.judge_afresh(facts));
        };
        if let Some(verdict) = self.cache.entries.get(&key) {
            self.cache.counts.hits.fetch_add(1, Ordering::Relaxed);
            return verdict;
        }
        self.cache.counts.misses.fetch_add(1, Ordering::Relaxed);
        let verdict = Arc::new(self.judge_afresh(facts));
        self.cache.entries.insert(key, Arc::clone(&verdict));
        verdict
    }

    /// Has plain Cedar confirm one verdict of many. A disagreement denies, and no program decides from then on.
    fn confirmed(&self, facts: &RecordFacts, verdict: Arc<RecordVerdict>) -> Arc<RecordVerdict> {
        let number = self.cache.counts.compiled.fetch_add(1, Ordering::Relaxed);
        if !number.is_multiple_of(self.cache.trust.checked_every) {
            return verdict;
        }
        if self.judge_afresh(facts) == *verdict {
            return verdict;
        }
        self.cache.trust.is_lost.store(true, Ordering::Relaxed);
        self.cache.counts.mismatches.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            record_type = facts.type_name,
            "a program and Cedar disagree: the record is denied, and Cedar decides alone from now on"
        );
        let fields = verdict.fields.len();
        Arc::new(RecordVerdict::hidden(Decision::deny(Reason::DecisionMismatch), fields))
    }

    /// What may be seen of a record, without the cache.
    pub fn judge_afresh(&self, facts: &RecordFacts) -> RecordVerdict {
        let Some((_, record_type)) = self.snapshot.bundle.profile.type_named(&facts.type_name) else {
            return RecordVerdict::hidden(Decision::deny(Reason::NoPermit), 1);
        };
        let hidden = record_type.fields.len() + 1;
        if let Some(denied) = unusable(&self.snapshot, facts, &self.needed(&facts.type_name)) {
            // What was not carried may be anything, so only what holds for any value is said.
            let whatever = self.whatever(record_type);
            let holds =
                denied.reason == Some(Reason::AttributeNotCarried) && whatever.verdict.view.is_allow();
            return if holds { (*whatever.verdict).clone() } else { RecordVerdict::hidden(denied, hidden) };
        }
        match self.judge_usable(record_type, facts) {
            Ok(verdict) => verdict,
            Err(EntitiesError::Unknown(_)) => {
                RecordVerdict::hidden(Decision::deny(Reason::EntityUnknown), hidden)
            }
            Err(EntitiesError::Nonconforming(_)) => {
                RecordVerdict::hidden(Decision::deny(Reason::AttributeNonconforming), hidden)
            }
        }
    }

    /// Whether what the principal may see of a record of a type is the same for every record, so that no attribute matters.
    pub fn sees_alike(&self, record_type: &RecordType) -> bool {
        self.whatever(record_type).is_settled
    }

    /// Whether the principal may see every record of a type and all its described fields.
    pub fn sees_all_fields(&self, record_type: &RecordType) -> bool {
        let verdict = Arc::clone(&self.whatever(record_type).verdict);
        let mut fields = verdict.fields.iter().take(record_type.fields.len());
        verdict.view.is_allow() && fields.all(|field| *field == Visibility::Shown)
    }

    fn whatever(&self, record_type: &RecordType) -> Arc<Whatever> {
        let asker = &self.asker;
        let who = (asker.entity.clone(), asker.attested.clone(), asker.now_ms);
        let key = (self.snapshot.generation, who, record_type.name.clone());
        let make = || Arc::new(Whatever::new(&self.snapshot, asker, record_type));
        self.cache.whatever.get_with(key, make)
    }

    fn judge_usable(
        &self,
        record_type: &RecordType,
        facts: &RecordFacts,
    ) -> Result<RecordVerdict, EntitiesError> {
        let slice = |action| self.snapshot.bundle.slices.of(action, &facts.type_name);
        let (Some(view), Some(read), Some(masked)) =
            (slice("view"), slice("readField"), slice("readFieldMasked"))
        else {
            return Ok(RecordVerdict::hidden(Decision::deny(Reason::NoPermit), record_type.fields.len() + 1));
        };
        let mut gathering = Gathering::of(&self.snapshot, &self.asker.entity, &self.asker.attested)?;
        gathering.add_record(facts, &self.needed(&facts.type_name))?;
        for class in read.field_classes.iter().chain(&masked.field_classes) {
            if let Some(index) = class.first() {
                gathering.add(&EntityRef::new("Field", record_type.field_name(*index)))?;
            }
        }
        let entities = gathering.finish()?;
        let resource = EntityRef::new(&facts.type_name, &facts.id);
        let decision = self.ask("view", view, &resource, None, &entities)?;
        let mut verdict = RecordVerdict::hidden(decision, record_type.fields.len() + 1);
        if !verdict.view.is_allow() {
            return Ok(verdict);
        }
        for (action, slice, shown) in
            [("readFieldMasked", masked, Visibility::Masked), ("readField", read, Visibility::Shown)]
        {
            for class in &slice.field_classes {
                let Some(first) = class.first() else { continue };
                let decision =
                    self.ask(action, slice, &resource, Some(record_type.field_name(*first)), &entities)?;
                verdict.answer(class, shown, decision);
            }
        }
        Ok(verdict.in_order())
    }

    fn ask(
        &self,
        action: &str,
        slice: &Slice,
        resource: &EntityRef,
        field: Option<String>,
        entities: &cedar::Entities,
    ) -> Result<Decision, EntitiesError> {
        let mut pairs = evaluate::shared_context(&self.asker)?;
        if let Some(uid) = field.and_then(|field| to_uid(&EntityRef::new("Field", field))) {
            pairs.push(("field".to_owned(), cedar::RestrictedExpression::new_entity_uid(uid)));
        }
        let context = cedar::Context::from_pairs(pairs);
        let context = context.map_err(|error| EntitiesError::Nonconforming(error.to_string()))?;
        let request = evaluate::request(&self.snapshot, &self.asker.entity, action, resource, context)?;
        Ok(authorize(&request, slice, entities))
    }

    fn key(&self, facts: &RecordFacts) -> Option<VerdictKey> {
        let mut needed = BTreeSet::new();
        let mut time = Vec::new();
        let mut reads_identity = false;
        for action in GATE_ACTIONS {
            let Some(slice) = self.snapshot.bundle.slices.of(action, &facts.type_name) else { continue };
            let dependencies = &slice.dependencies;
            // Whatever else of the context a policy reads is not part of the key.
            let is_kept = |key: &String| KEPT_CONTEXT.contains(&key.as_str());
            let reads_more = !dependencies.context_keys.iter().all(is_kept);
            if dependencies.now.is_opaque || dependencies.reads_whole_context || reads_more {
                return None;
            }
            reads_identity |= dependencies.reads_identity;
            needed.extend(dependencies.resource_attributes.iter().map(String::as_str));
            self.time_places(dependencies, facts, &mut time)?;
        }
        let (_, record_type) = self.snapshot.bundle.profile.type_named(&facts.type_name)?;
        let attributes = record_type.attributes.iter().zip(&facts.attributes);
        let values: Vec<_> = attributes.filter(|(spec, _)| needed.contains(spec.name.as_str())).collect();
        let values = values.iter().map(|(spec, value)| (&spec.name, value)).collect::<Vec<_>>();
        Some(VerdictKey {
            generation: self.snapshot.generation,
            principal: self.asker.entity.clone(),
            attested: self.asker.attested.clone(),
            type_name: facts.type_name.clone(),
            identity: reads_identity.then(|| facts.id.clone()),
            time,
            values: format!("{values:?}"),
        })
    }

    /// Where the time stands relative to each point that it is compared with. Points that come from attributes are in
    /// the key by their values, so a list of "before, at, after" in a fixed order says all.
    fn time_places(
        &self,
        dependencies: &Dependencies,
        facts: &RecordFacts,
        places: &mut Vec<i8>,
    ) -> Option<()> {
        let mut place = |point: i64| places.push(self.asker.now_ms.cmp(&point) as i8);
        dependencies.now.literals.iter().for_each(|point| place(*point));
        let person = self.snapshot.directory.person(&self.asker.entity)?;
        for name in &dependencies.now.principal_attributes {
            match name.as_str() {
                "accessFrom" => person.access_from.into_iter().for_each(&mut place),
                "accessUntil" => person.access_until.into_iter().for_each(&mut place),
                _ => return None,
            }
        }
        let (_, record_type) = self.snapshot.bundle.profile.type_named(&facts.type_name)?;
        for name in &dependencies.now.resource_attributes {
            match facts.attributes.get(record_type.attribute(name)?)? {
                Attribute::Present(AttributeValue::Datetime(point)) => place(*point),
                Attribute::Absent => {}
                Attribute::Present(_) | Attribute::NotCarried | Attribute::Nonconforming(_) => return None,
            }
        }
        Some(())
    }
}

/// Judges the records of one list.
pub struct Judging<'g> {
    gate: &'g RecordGate,
    runs: Vec<(String, Option<Run<'g>>)>,
}

impl Judging<'_> {
    /// What may be seen of a record.
    pub fn judge(&mut self, facts: &RecordFacts) -> Arc<RecordVerdict> {
        let gate = self.gate;
        // Few types are in one list.
        let place = self.runs.iter().position(|(name, _)| *name == facts.type_name);
        let place = place.unwrap_or_else(|| {
            let run = gate
                .bound(&facts.type_name)
                .and_then(|bound| Run::new(&gate.snapshot, &gate.cache.known, bound, gate.asker.now_ms).ok());
            self.runs.push((facts.type_name.clone(), run));
            self.runs.len() - 1
        });
        let run = self.runs.get_mut(place).and_then(|(_, run)| run.as_mut());
        match run.map(|run| run.judge(facts)) {
            Some(Ok(verdict)) => gate.confirmed(facts, verdict),
            Some(Err(_)) | None => gate.judge_plainly(facts),
        }
    }
}

impl RecordVerdict {
    /// A verdict that shows nothing: the record is denied, or its fields are still to be asked about.
    pub fn hidden(view: Decision, field_count: usize) -> Self {
        let policies = view.determining.clone();
        let errors = view.errors.clone();
        Self { view, fields: vec![Visibility::Hidden; field_count], policies, errors }
    }

    /// Adds what was decided about some fields, which are `shown` if it is allow.
    pub fn answer(&mut self, fields: &[usize], shown: Visibility, decision: Decision) {
        if decision.is_allow() {
            for index in fields {
                if let Some(field) = self.fields.get_mut(*index) {
                    *field = shown;
                }
            }
        }
        self.policies.extend(decision.determining);
        self.errors.extend(decision.errors);
    }

    /// The verdict once all questions are answered: each policy once, in order.
    pub fn in_order(mut self) -> Self {
        for list in [&mut self.policies, &mut self.errors] {
            list.sort();
            list.dedup();
        }
        self
    }

    /// What may be seen of a field, by its index; unknown fields are hidden.
    pub fn field(&self, index: usize) -> Visibility {
        self.fields.get(index).copied().unwrap_or(Visibility::Hidden)
    }

    /// What may be seen of keys that no field claims.
    pub fn unclassified(&self) -> Visibility {
        self.fields.last().copied().unwrap_or(Visibility::Hidden)
    }
}
