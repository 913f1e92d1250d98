//! The gate that each record of an answer passes (PDP): may it be viewed, and which of its fields?
//!
//! Programs decide where there are any, and plain Cedar elsewhere; now and then both, and then they must agree. A verdict of
//! plain Cedar may come from the cache only if the key holds everything that the decision read: the snapshot, the
//! principal with what is attested of them, the values of the attributes, the record's identity if a policy looks at it,
//! and where the time stands among the points that it is compared with.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::always::AlwaysCache;
use super::entities::{EntitiesError, Gathering, Known};
use super::evaluate::{self, authorize, unusable};
use super::judging::Judging;
use super::kept::{AlwaysKey, Kept, VerdictKey};
use super::program::bind::{self, Bound};
use super::program::hash::Keyed;
use super::program::run::Run;
use super::program::teacher::Teacher;
use super::whatever::Whatever;
use crate::bundle::catalogue::to_uid;
use crate::bundle::current::Snapshot;
use crate::bundle::profile::types::RecordType;
use crate::bundle::slices::Slice;
use crate::model::decision::Decision;
use crate::model::principal::{Asker, Attested, EntityRef};
use crate::model::reason::Reason;
use crate::model::record::RecordFacts;
use cedar_policy as cedar;
use equivalent::Equivalent;

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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    bound: moka::sync::Cache<BoundKey, Option<Arc<Bound>>, Keyed>,
    known: Known,
    entries: moka::sync::Cache<VerdictKey, Arc<RecordVerdict>>,
    always: AlwaysCache,
    whatever: moka::sync::Cache<AlwaysKey, Arc<Whatever>>,
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

/// Which program is bound to whom.
#[derive(PartialEq, Eq, Hash)]
struct BoundKey {
    generation: u64,
    record_type: usize,
    entity: EntityRef,
    attested: Attested,
}

/// The same, to look it up.
#[derive(Clone, Copy, Hash)]
struct BoundQuestion<'a> {
    generation: u64,
    record_type: usize,
    entity: &'a EntityRef,
    attested: &'a Attested,
}

impl Equivalent<BoundKey> for BoundQuestion<'_> {
    fn equivalent(&self, key: &BoundKey) -> bool {
        let same_program = self.generation == key.generation && self.record_type == key.record_type;
        same_program && *self.entity == key.entity && *self.attested == key.attested
    }
}

impl BoundQuestion<'_> {
    fn key(self) -> BoundKey {
        let (entity, attested) = (self.entity.clone(), self.attested.clone());
        BoundKey { generation: self.generation, record_type: self.record_type, entity, attested }
    }
}

/// Whether programs decide, and how often Cedar is asked as well.
#[derive(Debug)]
struct ProgramTrust {
    is_lost: AtomicBool,
    checked_every: u64,
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
        let whatever = moka::sync::Cache::builder().max_capacity(entries_max.saturating_mul(ENTRY_BYTES));
        let weigh_whatever = |_: &AlwaysKey, whatever: &Arc<Whatever>| {
            u32::try_from(whatever.weight()).unwrap_or(u32::MAX).max(1)
        };
        Self {
            bound: bound.weigher(weigh).build_with_hasher(Keyed::default()),
            known: Known::new(entries_max),
            entries: moka::sync::Cache::new(entries_max),
            always: AlwaysCache::new(entries_max),
            whatever: whatever.weigher(weigh_whatever).build(),
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
#[derive(Clone)]
pub struct RecordGate {
    snapshot: Arc<Snapshot>,
    asker: Asker,
    cache: Arc<VerdictCache>,
}

/// What an entry of the cache may take on average; programs are weighed.
const ENTRY_BYTES: u64 = 2_048;

impl RecordGate {
    /// A gate for whoever asks.
    pub fn new(snapshot: Arc<Snapshot>, asker: Asker, cache: Arc<VerdictCache>) -> Self {
        Self { snapshot, asker, cache }
    }

    /// The attributes of a type that the gate needs.
    pub fn needed(&self, type_name: &str) -> &BTreeSet<String> {
        &self.snapshot.bundle.slices.needs(type_name).names
    }

    /// What it decides on.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// For whom it decides.
    pub fn asker(&self) -> &Asker {
        &self.asker
    }

    /// What was found to hold on every record of a type.
    pub(super) fn always(&self) -> &AlwaysCache {
        &self.cache.always
    }

    /// Judges records of one list, which share what they teach.
    pub fn judging(&self) -> Judging<'_> {
        Judging::new(self)
    }

    /// What may be seen of one record.
    pub fn judge(&self, facts: &RecordFacts) -> Arc<RecordVerdict> {
        self.judging().judge(facts)
    }

    /// The program of a type for this principal at this moment, if programs can decide on it.
    pub fn run(&self, index: usize) -> Option<Run<'_>> {
        let record_type =
            self.snapshot.bundle.profile.types.get(index).filter(|_| !self.cache.has_lost_trust())?;
        let program = self.snapshot.bundle.programs.of(&record_type.name)?.as_ref().ok()?;
        let question = self.question(index);
        let bound = match self.cache.bound.get(&question) {
            Some(bound) => {
                self.cache.counts.hits.fetch_add(1, Ordering::Relaxed);
                bound
            }
            None => {
                self.cache.counts.misses.fetch_add(1, Ordering::Relaxed);
                let bound = bind::bind(&self.snapshot, program, record_type, &self.asker).ok().map(Arc::new);
                self.cache.bound.insert(question.key(), bound.clone());
                bound
            }
        };
        let teacher =
            Teacher { snapshot: &self.snapshot, known: &self.cache.known, now_ms: self.asker.now_ms };
        Run::new(teacher, record_type, bound?).ok()
    }

    /// Keeps what a run has learnt for the next one.
    pub fn keep(&self, index: usize, run: Run<'_>) {
        let (bound, learnt) = run.end();
        if bound.keep_learnt(learnt) {
            // Put in again, it is weighed again.
            self.cache.bound.insert(self.question(index).key(), Some(bound));
        }
    }

    fn question(&self, record_type: usize) -> BoundQuestion<'_> {
        let (entity, attested) = (&self.asker.entity, &self.asker.attested);
        BoundQuestion { generation: self.snapshot.generation, record_type, entity, attested }
    }

    /// Whether programs have lost the right to decide.
    pub fn has_lost_trust(&self) -> bool {
        self.cache.has_lost_trust()
    }

    /// What plain Cedar says, from the cache of its verdicts if nothing that it read has changed.
    pub fn judge_plainly(&self, facts: &RecordFacts) -> Arc<RecordVerdict> {
        self.cache.counts.plain.fetch_add(1, Ordering::Relaxed);
        let Some(key) = VerdictKey::of(&self.snapshot, &self.asker, facts) else {
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

    /// Counts a verdict of a program. Says whether it is one of those that plain Cedar has to confirm.
    pub fn is_checked(&self) -> bool {
        let number = self.cache.counts.compiled.fetch_add(1, Ordering::Relaxed);
        number.is_multiple_of(self.cache.trust.checked_every)
    }

    /// Asks plain Cedar about a verdict of a program. A disagreement denies, and no program decides from then on.
    pub fn disproved(&self, facts: &RecordFacts, verdict: &RecordVerdict) -> Option<RecordVerdict> {
        if self.judge_afresh(facts) == *verdict {
            return None;
        }
        self.cache.trust.is_lost.store(true, Ordering::Relaxed);
        self.cache.counts.mismatches.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            record_type = facts.type_name,
            "a program and Cedar disagree: the record is denied, and Cedar decides alone from now on"
        );
        Some(RecordVerdict::hidden(Decision::deny(Reason::DecisionMismatch), verdict.fields.len()))
    }

    /// What may be seen of a record, without the cache.
    pub fn judge_afresh(&self, facts: &RecordFacts) -> RecordVerdict {
        let Some((_, record_type)) = self.snapshot.bundle.profile.type_named(&facts.type_name) else {
            return RecordVerdict::hidden(Decision::deny(Reason::NoPermit), 1);
        };
        let hidden = record_type.fields.len() + 1;
        if let Some(denied) = unusable(&self.snapshot, facts, self.needed(&facts.type_name)) {
            return self.judge_unusable(record_type, denied);
        }
        let judged = self.judge_usable(record_type, facts);
        judged.unwrap_or_else(|error| RecordVerdict::hidden(Decision::deny(error.reason()), hidden))
    }

    /// What may be seen of a record of which a needed attribute cannot be used. What was not carried may be anything, so only
    /// what holds for any value is said.
    pub fn judge_unusable(&self, record_type: &RecordType, denied: Decision) -> RecordVerdict {
        let whatever = self.whatever(record_type);
        match denied.reason == Some(Reason::AttributeNotCarried) && whatever.verdict.view.is_allow() {
            true => (*whatever.verdict).clone(),
            false => RecordVerdict::hidden(denied, record_type.fields.len() + 1),
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
        let make = || Arc::new(Whatever::new(&self.snapshot, &self.asker, record_type));
        let key = AlwaysKey::of(&self.snapshot, &self.asker, &record_type.name, Kept::Verdict, None);
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
        gathering.add_record(facts, self.needed(&facts.type_name))?;
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

    /// Whether anything may be seen of a composite that holds these fields.
    pub fn shows_any(&self, fields: impl IntoIterator<Item = usize>) -> bool {
        let shows_field = fields.into_iter().any(|index| self.field(index) != Visibility::Hidden);
        shows_field || self.unclassified() == Visibility::Shown
    }

    /// What may be seen of keys that no field claims.
    pub fn unclassified(&self) -> Visibility {
        self.fields.last().copied().unwrap_or(Visibility::Hidden)
    }
}
