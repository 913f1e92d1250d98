//! The entities that one evaluation may look at: the principal, the record, and everything above or behind them.
//!
//! Always built with the schema (else action groups vanish), and never with a gap: a reference that nothing defines
//! makes a guard skip, so it is an error here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cedar_policy as cedar;
use equivalent::Equivalent;

use super::program::hash::Keyed;
use crate::bundle::catalogue::{from_uid, to_uid};
use crate::bundle::current::Snapshot;
use crate::bundle::instant::is_in_range;
use crate::bundle::validate::DEREFERENCE_LEVEL_MAX;
use crate::model::principal::{Attested, EntityRef};
use crate::model::reason::Reason;
use crate::model::record::{Attribute, AttributeValue, RecordFacts};

/// Why the entities could not be gathered.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EntitiesError {
    /// Something refers to an entity that nothing defines.
    #[error("`{0}` is referred to but not known")]
    Unknown(EntityRef),
    /// Cedar did not accept the entities.
    #[error("the entities do not conform: {0}")]
    Nonconforming(String),
}

impl EntitiesError {
    /// Why whoever asked is denied.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unknown(_) => Reason::EntityUnknown,
            Self::Nonconforming(_) => Reason::AttributeNonconforming,
        }
    }
}

/// What is known of the entities that records refer to: the same for everybody who asks.
pub struct Known {
    problems: moka::sync::Cache<KnownKey, Option<Reason>, Keyed>,
}

/// Generation and entity.
#[derive(PartialEq, Eq, Hash)]
struct KnownKey(u64, EntityRef);

/// The same, to look it up.
#[derive(Hash)]
struct KnownQuestion<'a>(u64, &'a EntityRef);

impl Equivalent<KnownKey> for KnownQuestion<'_> {
    fn equivalent(&self, key: &KnownKey) -> bool {
        self.0 == key.0 && *self.1 == key.1
    }
}

impl Known {
    /// Of at most so many entities.
    pub fn new(entities_max: u64) -> Self {
        let problems = moka::sync::Cache::builder().max_capacity(entities_max);
        Self { problems: problems.build_with_hasher(Keyed::default()) }
    }

    /// Why a record with that value is denied, whoever asks: Cedar does not take it, or something that it refers to is not
    /// there.
    pub fn problem(&self, snapshot: &Snapshot, value: &AttributeValue) -> Option<Reason> {
        match value {
            AttributeValue::Entity(entity) => self.problem_of(snapshot, entity),
            AttributeValue::Set(values) => values.iter().find_map(|value| self.problem(snapshot, value)),
            AttributeValue::Datetime(millis) => {
                (!is_in_range(*millis)).then_some(Reason::AttributeNonconforming)
            }
            AttributeValue::Bool(_)
            | AttributeValue::Long(_)
            | AttributeValue::Text(_)
            | AttributeValue::Decimal(_) => None,
        }
    }

    fn problem_of(&self, snapshot: &Snapshot, entity: &EntityRef) -> Option<Reason> {
        if let Some(problem) = self.problems.get(&KnownQuestion(snapshot.generation, entity)) {
            return problem;
        }
        let problem = Gathering::new(snapshot).refer(entity).err().map(|error| error.reason());
        self.problems.insert(KnownKey(snapshot.generation, entity.clone()), problem);
        problem
    }
}

/// Gathers entities for one evaluation.
pub struct Gathering<'s> {
    snapshot: &'s Snapshot,
    found: BTreeMap<EntityRef, cedar::Entity>,
}

impl<'s> Gathering<'s> {
    /// Starts with who asks, and with whom they act for.
    pub fn of(
        snapshot: &'s Snapshot,
        principal: &EntityRef,
        attested: &Attested,
    ) -> Result<Self, EntitiesError> {
        let mut gathering = Self::new(snapshot);
        for person in std::iter::once(principal).chain(&attested.on_behalf_of) {
            gathering.add(person)?;
        }
        Ok(gathering)
    }

    /// Starts with nothing.
    pub fn new(snapshot: &'s Snapshot) -> Self {
        Self { snapshot, found: BTreeMap::new() }
    }

    /// Adds an entity of the directory or the catalogue with all that can be reached from it.
    pub fn add(&mut self, entity: &EntityRef) -> Result<(), EntitiesError> {
        let mut waiting = vec![(entity.clone(), 0)];
        while let Some((entity, depth)) = waiting.pop() {
            if self.found.contains_key(&entity) {
                continue;
            }
            let (found, above) =
                self.look_up(&entity).ok_or_else(|| EntitiesError::Unknown(entity.clone()))?;
            if depth < DEREFERENCE_LEVEL_MAX {
                waiting.extend(references_of(&found).into_iter().map(|inner| (inner, depth + 1)));
            }
            waiting.extend(above.into_iter().map(|parent| (parent, depth + 1)));
            self.found.insert(entity, found);
        }
        Ok(())
    }

    /// Adds a record with just the attributes that the evaluation may read, and everything that they refer to.
    pub fn add_record(
        &mut self,
        facts: &RecordFacts,
        needed: &BTreeSet<String>,
    ) -> Result<(), EntitiesError> {
        let mut attributes = HashMap::new();
        let names = self.snapshot.bundle.profile.type_named(&facts.type_name);
        let names = names.into_iter().flat_map(|(_, record_type)| &record_type.attributes);
        for (spec, attribute) in names.zip(&facts.attributes) {
            if let (true, Attribute::Present(value)) = (needed.contains(&spec.name), attribute) {
                attributes.insert(spec.name.clone(), self.expression(value)?);
            }
        }
        let record = EntityRef::new(&facts.type_name, &facts.id);
        let uid = to_uid(&record).ok_or_else(|| EntitiesError::Unknown(record.clone()))?;
        let entity = cedar::Entity::new(uid, attributes, Default::default());
        self.found.insert(record, entity.map_err(|error| EntitiesError::Nonconforming(error.to_string()))?);
        Ok(())
    }

    /// A value as Cedar takes it; referred entities are added.
    pub fn expression(
        &mut self,
        value: &AttributeValue,
    ) -> Result<cedar::RestrictedExpression, EntitiesError> {
        use cedar::RestrictedExpression as Expression;
        Ok(match value {
            AttributeValue::Bool(truth) => Expression::new_bool(*truth),
            AttributeValue::Long(number) => Expression::new_long(*number),
            AttributeValue::Text(text) => Expression::new_string(text.clone()),
            AttributeValue::Decimal(units) => Expression::new_decimal(decimal_text(*units)),
            AttributeValue::Datetime(millis) => {
                let text = crate::bundle::instant::to_cedar_datetime(*millis);
                let text =
                    text.ok_or_else(|| EntitiesError::Nonconforming("a date is out of range".to_owned()))?;
                Expression::new_datetime(text)
            }
            AttributeValue::Entity(entity) => Expression::new_entity_uid(self.refer(entity)?),
            AttributeValue::Set(values) => {
                let values: Result<Vec<_>, _> = values.iter().map(|value| self.expression(value)).collect();
                Expression::new_set(values?)
            }
        })
    }

    fn refer(&mut self, entity: &EntityRef) -> Result<cedar::EntityUid, EntitiesError> {
        self.add(entity)?;
        to_uid(entity).ok_or_else(|| EntitiesError::Unknown(entity.clone()))
    }

    /// All that was gathered, with the actions and their groups.
    pub fn finish(self) -> Result<cedar::Entities, EntitiesError> {
        cedar::Entities::from_entities(self.found.into_values(), Some(&self.snapshot.bundle.schema.schema))
            .map_err(|error| EntitiesError::Nonconforming(error.to_string()))
    }

    fn look_up(&self, entity: &EntityRef) -> Option<(cedar::Entity, Vec<EntityRef>)> {
        let catalogue = &self.snapshot.bundle.catalogue;
        if let Some(found) = catalogue.entity(entity) {
            return Some((found.clone(), catalogue.ancestors(entity).cloned().collect()));
        }
        let directory = &self.snapshot.directory;
        directory.entity(entity).map(|found| (found, directory.ancestors(entity)))
    }
}

/// A decimal as Cedar writes it, from ten-thousandths.
pub fn decimal_text(units: i64) -> String {
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{}.{:04}", units.unsigned_abs() / 10_000, units.unsigned_abs() % 10_000)
}

fn references_of(entity: &cedar::Entity) -> Vec<EntityRef> {
    let mut found = Vec::new();
    for (_, value) in entity.attrs().filter_map(|(name, value)| value.ok().map(|value| (name, value))) {
        collect_references(&value, &mut found);
    }
    found
}

fn collect_references(value: &cedar::EvalResult, found: &mut Vec<EntityRef>) {
    match value {
        cedar::EvalResult::EntityUid(uid) => found.push(from_uid(uid)),
        cedar::EvalResult::Set(set) => set.iter().for_each(|inner| collect_references(inner, found)),
        cedar::EvalResult::Record(record) => {
            record.iter().for_each(|(_, inner)| collect_references(inner, found))
        }
        cedar::EvalResult::Bool(_)
        | cedar::EvalResult::Long(_)
        | cedar::EvalResult::String(_)
        | cedar::EvalResult::ExtensionValue(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_exactly() {
        let cases =
            [(0, "0.0000"), (-1, "-0.0001"), (125_000, "12.5000"), (i64::MIN, "-922337203685477.5808")];
        for (units, expected) in cases {
            assert_eq!(decimal_text(units), expected);
        }
    }
}
