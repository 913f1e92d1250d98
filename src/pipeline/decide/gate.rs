//! The gate that each record of an answer passes (PDP): may it be viewed, and which of its fields?
//!
//! A verdict may come from the cache only if the key holds everything that the decision read: the snapshot, the
//! principal with what is attested of them, the values of the attributes, the record's identity if a policy looks at it,
//! and where the time stands among the points that it is compared with.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::entities::{EntitiesError, Gathering};
use super::evaluate::{self, authorize, unusable};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// The cache of verdicts, shared by all requests.
pub struct VerdictCache {
    entries: moka::sync::Cache<VerdictKey, Arc<RecordVerdict>>,
    hits: AtomicU64,
    misses: AtomicU64,
    bypasses: AtomicU64,
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

/// How often the cache was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheCounts {
    /// Verdicts found.
    pub hits: u64,
    /// Verdicts made and kept.
    pub misses: u64,
    /// Verdicts made because a policy uses the time in a way that cannot be kept.
    pub bypasses: u64,
}

impl VerdictCache {
    /// A cache of at most so many verdicts.
    pub fn new(entries_max: u64) -> Self {
        let entries = moka::sync::Cache::new(entries_max);
        Self { entries, hits: AtomicU64::new(0), misses: AtomicU64::new(0), bypasses: AtomicU64::new(0) }
    }

    /// How often it was asked since the start.
    pub fn counts(&self) -> CacheCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheCounts { hits: read(&self.hits), misses: read(&self.misses), bypasses: read(&self.bypasses) }
    }
}

/// A gate for one principal at one moment.
pub struct RecordGate {
    snapshot: Arc<Snapshot>,
    asker: Asker,
    cache: Arc<VerdictCache>,
}

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

    /// What may be seen of a record.
    pub fn judge(&self, facts: &RecordFacts) -> Arc<RecordVerdict> {
        let Some(key) = self.key(facts) else {
            self.cache.bypasses.fetch_add(1, Ordering::Relaxed);
            return Arc::new(self.judge_afresh(facts));
        };
        if let Some(verdict) = self.cache.entries.get(&key) {
            self.cache.hits.fetch_add(1, Ordering::Relaxed);
            return verdict;
        }
        self.cache.misses.fetch_add(1, Ordering::Relaxed);
        let verdict = Arc::new(self.judge_afresh(facts));
        self.cache.entries.insert(key, Arc::clone(&verdict));
        verdict
    }

    /// What may be seen of a record, without the cache.
    pub fn judge_afresh(&self, facts: &RecordFacts) -> RecordVerdict {
        let Some((_, record_type)) = self.snapshot.bundle.profile.type_named(&facts.type_name) else {
            return RecordVerdict::denied(Decision::deny(Reason::NoPermit), 1);
        };
        let hidden = record_type.fields.len() + 1;
        if let Some(denied) = unusable(&self.snapshot, facts, &self.needed(&facts.type_name)) {
            return RecordVerdict::denied(denied, hidden);
        }
        match self.judge_usable(record_type, facts) {
            Ok(verdict) => verdict,
            Err(EntitiesError::Unknown(_)) => {
                RecordVerdict::denied(Decision::deny(Reason::EntityUnknown), hidden)
            }
            Err(EntitiesError::Nonconforming(_)) => {
                RecordVerdict::denied(Decision::deny(Reason::AttributeNonconforming), hidden)
            }
        }
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
            return Ok(RecordVerdict::denied(Decision::deny(Reason::NoPermit), record_type.fields.len() + 1));
        };
        let mut gathering = Gathering::new(&self.snapshot);
        gathering.add(&self.asker.entity)?;
        if let Some(person) = &self.asker.attested.on_behalf_of {
            gathering.add(person)?;
        }
        gathering.add_record(facts, &self.needed(&facts.type_name))?;
        for class in read.field_classes.iter().chain(&masked.field_classes) {
            if let Some(index) = class.first() {
                gathering.add(&EntityRef::new("Field", record_type.field_name(*index)))?;
            }
        }
        let entities = gathering.finish()?;
        let resource = EntityRef::new(&facts.type_name, &facts.id);
        let decision = self.ask("view", view, &resource, None, &entities)?;
        if !decision.is_allow() {
            return Ok(RecordVerdict::denied(decision, record_type.fields.len() + 1));
        }
        let mut verdict = RecordVerdict {
            fields: vec![Visibility::Hidden; record_type.fields.len() + 1],
            policies: decision.determining.clone(),
            errors: Vec::new(),
            view: decision,
        };
        for (action, slice, shown) in
            [("readFieldMasked", masked, Visibility::Masked), ("readField", read, Visibility::Shown)]
        {
            for class in &slice.field_classes {
                let Some(first) = class.first() else { continue };
                let decision =
                    self.ask(action, slice, &resource, Some(record_type.field_name(*first)), &entities)?;
                if decision.is_allow() {
                    for index in class {
                        if let Some(field) = verdict.fields.get_mut(*index) {
                            *field = shown;
                        }
                    }
                }
                verdict.policies.extend(decision.determining);
                verdict.errors.extend(decision.errors);
            }
        }
        for list in [&mut verdict.policies, &mut verdict.errors] {
            list.sort();
            list.dedup();
        }
        Ok(verdict)
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

impl RecordVerdict {
    /// A verdict that shows nothing.
    pub fn denied(view: Decision, field_count: usize) -> Self {
        let policies = view.determining.clone();
        let errors = view.errors.clone();
        Self { view, fields: vec![Visibility::Hidden; field_count], policies, errors }
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
