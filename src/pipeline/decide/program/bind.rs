//! Binds a program to a principal: what the principal settles is computed, and what is left waits for time and record.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::world::Entities;
use crate::bundle::current::Snapshot;
use crate::bundle::profile::types::RecordType;
use crate::bundle::program::compile::{Program, Question, Rule};
use crate::bundle::program::evaluate::{Stop, World};
use crate::bundle::program::expression::{Expression, NOW, Op, Operator, parts};
use crate::bundle::program::fold::fold;
use crate::bundle::program::tree::{Outcome, Tree};
use crate::bundle::program::value::Value;
use crate::model::principal::{Asker, EntityRef};
use crate::pipeline::decide::entities::Gathering;
use crate::pipeline::decide::evaluate::{request, shared_context};
use crate::pipeline::decide::gate::Visibility;

/// A program for one principal. Does not change once it is made.
pub struct Bound {
    /// A number that no other one has.
    pub number: u64,
    /// The rules that can still apply.
    pub rules: Vec<Rule>,
    /// The rules about viewing, by number.
    pub view: Vec<u32>,
    /// The questions about fields.
    pub questions: Vec<BoundQuestion>,
    /// What is computed once per moment: slot and expression.
    pub moments: Vec<(usize, Expression)>,
    /// What is computed from one attribute of the record, by attribute.
    pub readings: Vec<Reading>,
    /// What is computed from the whole record.
    pub others: Vec<(usize, Expression)>,
    /// How many slots there are.
    pub slots: usize,
    /// How many fields the type has, the unclassified one included.
    pub fields: usize,
}

/// Everything that depends on one attribute.
pub struct Reading {
    /// The attribute, by place.
    pub attribute: usize,
    /// Slots and expressions.
    pub slots: Vec<(usize, Expression)>,
}

/// A question about fields that are alike.
pub struct BoundQuestion {
    /// What the fields are if it is answered with allow.
    pub shown: Visibility,
    /// The fields, by place.
    pub fields: Arc<[usize]>,
    /// The rules, by number.
    pub rules: Vec<u32>,
}

/// What each entity of a principal's own hierarchy is in, looked up by hash and not by walking.
struct Standing<'s> {
    entities: Entities<'s>,
    principal: &'s EntityRef,
    above: HashSet<EntityRef>,
}

impl World for Standing<'_> {
    fn attribute(&self, entity: &EntityRef, name: &str) -> Result<Option<Value>, Stop> {
        self.entities.attribute(entity, name)
    }

    fn tag(&self, entity: &EntityRef, name: &str) -> Result<Option<Value>, Stop> {
        self.entities.tag(entity, name)
    }

    fn is_below(&self, entity: &EntityRef, above: &EntityRef) -> Result<bool, Stop> {
        match entity == self.principal {
            true => Ok(self.above.contains(above)),
            false => self.entities.is_below(entity, above),
        }
    }
}

/// Binds. [`Stop::Unsupported`] where plain Cedar must decide for this principal.
pub fn bind(
    snapshot: &Snapshot,
    program: &Program,
    record_type: &RecordType,
    asker: &Asker,
) -> Result<Bound, Stop> {
    let context = context(snapshot, record_type, asker)?;
    let principal = Value::entity(&asker.entity);
    let above = snapshot.directory.ancestors(&asker.entity).into_iter().collect();
    let world = Standing { entities: Entities(snapshot), principal: &asker.entity, above };
    let leaves = |op: &Op| match op {
        Op::Principal => Some(Ok(principal.clone())),
        Op::Context(key) if key.as_ref() != NOW => {
            Some(context.get(key.as_ref()).cloned().ok_or(Stop::Fails))
        }
        Op::HasContext(key) => Some(Ok(Value::Bool(context.contains_key(key.as_ref())))),
        _ => None,
    };
    let mut binding = Binding { bound: vec![None; program.atoms.len()], is_unsupported: false };
    let mut reduced: Vec<Tree> = Vec::with_capacity(program.rules.len());
    for rule in &program.rules {
        reduced.push(rule.tree.reduced(&mut |atom| binding.outcome(atom, program, &leaves, &world)));
    }
    if binding.is_unsupported {
        return Err(Stop::Unsupported);
    }
    let mut layout = Layout::default();
    let mut places = HashMap::new();
    let mut rules = Vec::new();
    for (number, (rule, tree)) in (0_u32..).zip(program.rules.iter().zip(&reduced)) {
        if *tree != Tree::Known(Outcome::False) {
            places.insert(number, u32::try_from(rules.len()).unwrap_or(u32::MAX));
            let tree = tree.renumbered(&mut |atom| layout.slot(atom));
            rules.push(Rule { policy: Arc::clone(&rule.policy), effect: rule.effect, tree });
        }
    }
    let here = |rules: &[u32]| rules.iter().filter_map(|rule| places.get(rule).copied()).collect();
    let question = |question: &Question| BoundQuestion {
        shown: if question.action == "readField" { Visibility::Shown } else { Visibility::Masked },
        fields: Arc::clone(&question.fields),
        rules: here(&question.rules),
    };
    let mut bound = Bound {
        number: NUMBERS.fetch_add(1, Ordering::Relaxed),
        view: here(&program.view),
        questions: program.questions.iter().map(question).collect(),
        rules,
        moments: Vec::new(),
        readings: program
            .attributes
            .iter()
            .map(|attribute| Reading { attribute: *attribute, slots: Vec::new() })
            .collect(),
        others: Vec::new(),
        slots: layout.slots.len(),
        fields: record_type.fields.len() + 1,
    };
    for (atom, slot) in layout.slots {
        let Some(Some(Part::Rest(expression))) = binding.bound.get(atom as usize) else {
            return Err(Stop::Unsupported);
        };
        bound.place(slot, expression.clone());
    }
    Ok(bound)
}

/// The context without the field. What Cedar would refuse before it looks at any policy is not decided here.
fn context(
    snapshot: &Snapshot,
    record_type: &RecordType,
    asker: &Asker,
) -> Result<BTreeMap<String, Value>, Stop> {
    let unsupported = |_| Stop::Unsupported;
    Gathering::of(snapshot, &asker.entity, &asker.attested).map_err(unsupported)?;
    let pairs = shared_context(asker).map_err(unsupported)?;
    let names: Vec<String> = pairs.iter().map(|(name, _)| name.clone()).collect();
    let context = cedar_policy::Context::from_pairs(pairs).map_err(|_| Stop::Unsupported)?;
    let value = |name: String| {
        let value = context.get(&name).and_then(|value| Value::from_cedar(&value));
        value.map(|value| (name, value)).ok_or(Stop::Unsupported)
    };
    let values = names.into_iter().map(value).collect::<Result<_, Stop>>()?;
    let record = EntityRef::new(&record_type.name, "1");
    request(snapshot, &asker.entity, "view", &record, context).map_err(unsupported)?;
    Ok(values)
}

/// An atom as far as it is known.
#[derive(Clone)]
enum Part {
    Known(Outcome),
    Rest(Expression),
}

struct Binding {
    bound: Vec<Option<Part>>,
    is_unsupported: bool,
}

impl Binding {
    fn outcome(
        &mut self,
        atom: u32,
        program: &Program,
        leaves: crate::bundle::program::fold::Leaves<'_>,
        world: &dyn World,
    ) -> Option<Outcome> {
        let place = self.bound.get_mut(atom as usize)?;
        let part = place.get_or_insert_with(|| {
            let folded = program.atoms.get(atom as usize).map(|atom| fold(atom, leaves, world));
            let folded = folded.unwrap_or_else(|| Expression::new(Op::Fail));
            match &folded.op {
                Op::Value(Value::Bool(truth)) => Part::Known(Outcome::of(*truth)),
                Op::Value(_) | Op::Fail => Part::Known(Outcome::Fails),
                _ => Part::Rest(folded),
            }
        });
        match part {
            Part::Known(outcome) => Some(*outcome),
            Part::Rest(rest) => {
                // Neither time nor record is missing, so it is something that only Cedar can say.
                self.is_unsupported |= !rest.reads.record && !rest.reads.now;
                None
            }
        }
    }
}

#[derive(Default)]
struct Layout {
    slots: BTreeMap<u32, usize>,
}

impl Layout {
    fn slot(&mut self, atom: u32) -> u32 {
        let next = self.slots.len();
        let slot = *self.slots.entry(atom).or_insert(next);
        u32::try_from(slot).unwrap_or(u32::MAX)
    }
}

impl Bound {
    fn place(&mut self, slot: usize, expression: Expression) {
        if !expression.reads.record {
            self.moments.push((slot, expression));
            return;
        }
        let mut attributes = BTreeSet::new();
        let is_by_attributes = attributes_of(&expression, &mut attributes);
        let one = attributes.first().filter(|_| is_by_attributes && attributes.len() == 1);
        let reading = one.and_then(|one| self.readings.iter_mut().find(|reading| reading.attribute == *one));
        match reading {
            Some(reading) => reading.slots.push((slot, expression)),
            None => self.others.push((slot, expression)),
        }
    }

    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        let trees: usize = self.rules.iter().map(|rule| rule.tree.size()).sum();
        let readings = self.readings.iter().flat_map(|reading| &reading.slots);
        let expressions: usize = self
            .moments
            .iter()
            .chain(&self.others)
            .chain(readings)
            .map(|(_, expression)| expression.size())
            .sum();
        let numbers: usize =
            self.view.len() + self.questions.iter().map(|question| question.rules.len() + 8).sum::<usize>();
        size_of::<Self>() + 48 * trees + 96 * expressions + 4 * numbers + 64 * self.rules.len()
    }
}

/// Collects the attributes that an expression looks at; `false` if it looks at the record in another way, or at the time.
fn attributes_of(expression: &Expression, found: &mut BTreeSet<usize>) -> bool {
    match &expression.op {
        Op::Attribute(index) | Op::HasAttribute(index) => {
            found.insert(*index);
            true
        }
        Op::Record => false,
        Op::Context(key) => key.as_ref() != NOW,
        op => {
            // Every part is looked at, also after one that settles the answer.
            let alone: Vec<bool> = parts(op).into_iter().map(|part| attributes_of(part, found)).collect();
            alone.into_iter().all(|alone| alone)
        }
    }
}

/// How many programs were bound since the start.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// The comparison of one attribute with a value, if an expression is just that: attribute, operator, value.
pub fn comparison(expression: &Expression) -> Option<(usize, &Value)> {
    let Op::Two(Operator::Equal, two) = &expression.op else { return None };
    match two.as_ref() {
        [Expression { op: Op::Attribute(index), .. }, Expression { op: Op::Value(value), .. }]
        | [Expression { op: Op::Value(value), .. }, Expression { op: Op::Attribute(index), .. }] => {
            Some((*index, value))
        }
        _ => None,
    }
}
