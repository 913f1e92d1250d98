//! What policies leave of a question once the principal and the time are known, as a formula over the record's attributes (PDP).
//!
//! Promises: a record all of whose attributes convert fulfils the formula exactly where the policies allow, failures of theirs
//! included. Where that cannot be promised there is no formula. Looks at no record.

pub mod formula;
pub mod states;

use std::collections::{BTreeMap, HashMap};

use super::program::bind::{Standing, context};
use crate::bundle::current::Snapshot;
use crate::bundle::profile::convert::Kind;
use crate::bundle::profile::types::RecordType;
use crate::bundle::program::compile::{Program, Rule, RuleEffect};
use crate::bundle::program::evaluate::{Record, Scene, Stop};
use crate::bundle::program::expression::{Expression, NOW, Op, Operator, parts};
use crate::bundle::program::fold::{Leaves, fold};
use crate::bundle::program::tree::{Outcome, Tree};
use crate::bundle::program::value::Value;
use crate::model::principal::{Asker, EntityRef};
use crate::model::record::AttributeValue;
use formula::Formula;
use states::States;

/// What is asked of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Whether it may be viewed.
    View,
    /// Whether this field of it may be read, by its place.
    Read(usize),
}

/// Which records of a type a principal may view, or may read a field of.
pub fn residual(
    snapshot: &Snapshot,
    record_type: &RecordType,
    asker: &Asker,
    asked: Asked,
) -> Option<Formula> {
    let program = snapshot.bundle.programs.of(&record_type.name)?.as_ref().ok()?;
    let question = program.questions.iter().position(|question| match asked {
        Asked::View => question.action == "view",
        Asked::Read(field) => question.action == "readField" && question.fields.contains(&field),
    })?;
    let context = context(snapshot, record_type, asker).ok()?;
    let principal = Value::entity(&asker.entity);
    let world = Standing::of(snapshot, &asker.entity);
    let leaves = |op: &Op| match op {
        Op::Principal => Some(Ok(principal.clone())),
        Op::Context(key) if key.as_ref() == NOW => Some(Ok(Value::Datetime(asker.now_ms))),
        Op::Context(key) => Some(context.get(key.as_ref()).cloned().ok_or(Stop::Fails)),
        Op::HasContext(key) if key.as_ref() == NOW => Some(Ok(Value::Bool(true))),
        Op::HasContext(key) => Some(Ok(Value::Bool(context.contains_key(key.as_ref())))),
        _ => None,
    };
    let rules = program.reach.rules(&asker.entity, world.above());
    let mut reading =
        Reading { snapshot, record_type, program, leaves: &leaves, world: &world, atoms: HashMap::new() };
    let (mut permits, mut whole) = (Vec::new(), Vec::new());
    for number in rules {
        let number = usize::try_from(number).ok()?;
        let (rule, asked_by) = (program.rules.get(number)?, program.asked_by.get(number)?);
        if !asked_by.contains(&question) {
            continue;
        }
        let Rule { effect, tree, .. } = rule;
        let Three { holds, not, .. } = reading.three(tree)?;
        // A policy that fails denies, whatever it says.
        match effect {
            RuleEffect::Permit => {
                whole.push(holds.clone().or(not));
                permits.push(holds);
            }
            RuleEffect::Forbid => whole.push(not),
        }
    }
    whole.push(Formula::any(permits));
    let whole = Formula::all(whole);
    (whole.size() <= SIZE_MAX).then_some(whole)
}

/// Whether a field, by its full name, may be read on every record that fulfils a formula. A no may be a "nobody can tell".
pub fn reads_wherever(
    viewed: &Formula,
    snapshot: &Snapshot,
    record_type: &RecordType,
    asker: &Asker,
    field: &str,
) -> bool {
    let last = record_type.fields.len();
    let place = (0..last).find(|index| record_type.field_name(*index) == field);
    let place = place.or((record_type.unclassified_name() == field).then_some(last));
    let read = place.and_then(|place| residual(snapshot, record_type, asker, Asked::Read(place)));
    read.is_some_and(|read| viewed.implies(&read))
}

/// What a condition comes to: for each outcome, where. Each record is in exactly one of the three.
#[derive(Clone)]
struct Three {
    holds: Formula,
    not: Formula,
    fails: Formula,
}

impl Three {
    fn known(outcome: Outcome) -> Self {
        let is = |wanted: Outcome| if outcome == wanted { Formula::Always } else { Formula::Never };
        Self { holds: is(Outcome::True), not: is(Outcome::False), fails: is(Outcome::Fails) }
    }

    fn negated(self) -> Self {
        Self { holds: self.not, not: self.holds, fails: self.fails }
    }

    /// Where `self` holds, `then`; where it does not, `other`.
    fn choosing(self, then: Self, other: Self) -> Self {
        let part =
            |then: Formula, other: Formula| self.holds.clone().and(then).or(self.not.clone().and(other));
        Self {
            holds: part(then.holds, other.holds),
            not: part(then.not, other.not),
            fails: self.fails.clone().or(part(then.fails, other.fails)),
        }
    }

    fn size(&self) -> usize {
        self.holds.size() + self.not.size() + self.fails.size()
    }
}

struct Reading<'a> {
    snapshot: &'a Snapshot,
    record_type: &'a RecordType,
    program: &'a Program,
    leaves: Leaves<'a>,
    world: &'a Standing<'a>,
    atoms: HashMap<u32, Option<Three>>,
}

impl Reading<'_> {
    fn three(&mut self, tree: &Tree) -> Option<Three> {
        let found = match tree {
            Tree::Known(outcome) => Three::known(*outcome),
            Tree::Atom(number) => self.atom(*number)?,
            Tree::Not(inner) => self.three(inner)?.negated(),
            Tree::And(left, right) => {
                let left = self.three(left)?;
                // What stands behind a condition that never holds is never looked at.
                let right = if left.holds == Formula::Never {
                    Three::known(Outcome::False)
                } else {
                    self.three(right)?
                };
                left.choosing(right, Three::known(Outcome::False))
            }
            Tree::Or(left, right) => {
                let left = self.three(left)?;
                let right =
                    if left.not == Formula::Never { Three::known(Outcome::True) } else { self.three(right)? };
                left.choosing(Three::known(Outcome::True), right)
            }
            Tree::If(three) => {
                let [test, then, other] = three.as_ref();
                let (test, then, other) = (self.three(test)?, self.three(then)?, self.three(other)?);
                test.choosing(then, other)
            }
        };
        (found.size() <= SIZE_MAX).then_some(found)
    }

    fn atom(&mut self, number: u32) -> Option<Three> {
        if let Some(known) = self.atoms.get(&number) {
            return known.clone();
        }
        let atom = self.program.atoms.get(usize::try_from(number).ok()?)?;
        let found = match fold(atom, self.leaves, self.world) {
            Expression { op: Op::Value(Value::Bool(truth)), .. } => Some(Three::known(Outcome::of(truth))),
            Expression { op: Op::Value(_) | Op::Fail, .. } => Some(Three::known(Outcome::Fails)),
            rest => self.of_attribute(&rest),
        };
        self.atoms.insert(number, found.clone());
        found
    }

    /// What a condition on one attribute comes to, by the values that it can have.
    fn of_attribute(&self, atom: &Expression) -> Option<Three> {
        let attribute = one_attribute(atom)?;
        let spec = self.record_type.attributes.get(attribute).filter(|spec| !spec.conversion.is_set)?;
        let (values, others) = match told_apart(atom, self.snapshot) {
            Told::Values(values, others) => (values, Some(others)),
            Told::Nothing => (self.values(&spec.conversion.kind)?, None),
        };
        // Of what a principal is in, only entities of its own type can stand in an attribute.
        let values: Vec<_> = values.into_iter().filter(|value| fits(value, &spec.conversion.kind)).collect();
        let outcome = |value: Option<&AttributeValue>| {
            let scene =
                Scene { world: self.world, now_ms: None, record: Record::Attribute(attribute, value) };
            match scene.truth(atom) {
                Ok(truth) => Some(Outcome::of(truth)),
                Err(Stop::Fails) => Some(Outcome::Fails),
                Err(Stop::Unsupported) => None,
            }
        };
        let absent = outcome(None)?;
        let mut outcomes = BTreeMap::new();
        for value in &values {
            outcomes.insert(Value::from_attribute(value), outcome(Some(value))?);
        }
        let part = |wanted: Outcome| {
            let listed = outcomes.iter().map(|(value, outcome)| (value.clone(), *outcome == wanted));
            Formula::is(attribute, States::of(absent == wanted, others == Some(wanted), listed.collect()))
        };
        Some(Three { holds: part(Outcome::True), not: part(Outcome::False), fails: part(Outcome::Fails) })
    }

    /// Every value of a kind, if they are few. Others do not convert, and deny their record.
    fn values(&self, kind: &Kind) -> Option<Vec<AttributeValue>> {
        let entity = |type_name: &str, id: &str| AttributeValue::Entity(EntityRef::new(type_name, id));
        let stages = &self.snapshot.bundle.profile.stages;
        Some(match kind {
            Kind::Bool { .. } => vec![AttributeValue::Bool(false), AttributeValue::Bool(true)],
            Kind::Stage => stages.stages().iter().map(|stage| entity("Stage", &stage.id)).collect(),
            Kind::Pipeline => stages.pipelines().into_iter().map(|id| entity("Pipeline", id)).collect(),
            Kind::Entity { type_name, .. } => {
                let ids = self.snapshot.directory.ids_of(type_name, VALUES_MAX)?;
                ids.iter().map(|id| entity(type_name, id)).collect()
            }
            Kind::Long | Kind::Text | Kind::Decimal(_) | Kind::Datetime(_) => return None,
        })
    }
}

/// Whether an attribute of a kind can have a value.
fn fits(value: &AttributeValue, kind: &Kind) -> bool {
    match (value, kind) {
        (AttributeValue::Entity(entity), Kind::Entity { type_name, .. }) => entity.type_name == *type_name,
        (AttributeValue::Entity(entity), Kind::Stage) => entity.type_name == "Stage",
        (AttributeValue::Entity(entity), Kind::Pipeline) => entity.type_name == "Pipeline",
        (AttributeValue::Bool(_), Kind::Bool { .. })
        | (AttributeValue::Text(_), Kind::Text)
        | (AttributeValue::Long(_), Kind::Long) => true,
        _ => false,
    }
}

/// The one attribute that an expression looks at; `None` if it looks at several, or at which record it is.
fn one_attribute(expression: &Expression) -> Option<usize> {
    let (mut found, mut waiting) = (None, vec![expression]);
    while let Some(next) = waiting.pop() {
        match &next.op {
            Op::Record => return None,
            Op::Attribute(index) | Op::HasAttribute(index) => {
                if found.is_some_and(|known| known != *index) {
                    return None;
                }
                found = Some(*index);
            }
            op => waiting.extend(parts(op)),
        }
    }
    found
}

/// By what values of an attribute a condition can be told apart.
enum Told {
    /// By these; for all others it comes to the same.
    Values(Vec<AttributeValue>, Outcome),
    /// One cannot tell without trying all.
    Nothing,
}

fn told_apart(atom: &Expression, snapshot: &Snapshot) -> Told {
    let (operator, two) = match &atom.op {
        Op::HasAttribute(_) => return Told::Values(Vec::new(), Outcome::True),
        Op::Two(operator, two) => (operator, two.as_ref()),
        _ => return Told::Nothing,
    };
    let is_attribute = |expression: &Expression| matches!(expression.op, Op::Attribute(_));
    match (operator, two) {
        (Operator::Equal, [one, Expression { op: Op::Value(value), .. }])
        | (Operator::Equal, [Expression { op: Op::Value(value), .. }, one])
            if is_attribute(one) =>
        {
            match attribute_value(value) {
                Some(value) => Told::Values(vec![value], Outcome::False),
                None => Told::Nothing,
            }
        }
        // Whoever asks is in few things.
        (Operator::In, [Expression { op: Op::Value(Value::Entity(entity)), .. }, one])
            if is_attribute(one) =>
        {
            if !snapshot.directory.contains(entity) {
                return Told::Nothing;
            }
            let above = snapshot.directory.ancestors(entity).into_iter().chain([entity.as_ref().clone()]);
            Told::Values(above.map(AttributeValue::Entity).collect(), Outcome::False)
        }
        _ => Told::Nothing,
    }
}

/// A value that an attribute can have; `None` for those that other values equal only by another way of comparing.
fn attribute_value(value: &Value) -> Option<AttributeValue> {
    match value {
        Value::Bool(truth) => Some(AttributeValue::Bool(*truth)),
        Value::Long(number) => Some(AttributeValue::Long(*number)),
        Value::Text(text) => Some(AttributeValue::Text(text.to_string())),
        Value::Entity(entity) => Some(AttributeValue::Entity(entity.as_ref().clone())),
        Value::Decimal(_) | Value::Datetime(_) | Value::Duration(_) | Value::Set(_) | Value::Record(_) => {
            None
        }
    }
}

/// Parts of a formula, above which no CRM would take it.
const SIZE_MAX: usize = 200;
/// Values of a kind that are tried one by one.
const VALUES_MAX: usize = 1_000;
