//! Binds a program to a principal: what the principal settles is computed, and what is left waits for time and record.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::learnt::Learnt;
use super::reading::{Looks, Reading, named_records};
use super::world::Entities;
use crate::bundle::current::Snapshot;
use crate::bundle::profile::types::RecordType;
use crate::bundle::program::compile::{Program, Rule};
use crate::bundle::program::evaluate::{Stop, World};
use crate::bundle::program::expression::{Expression, NOW, Op};
use crate::bundle::program::fold::{Leaves, fold};
use crate::bundle::program::tree::{Outcome, Tree};
use crate::bundle::program::value::Value;
use crate::model::principal::{Asker, EntityRef};
use crate::pipeline::decide::entities::Gathering;
use crate::pipeline::decide::evaluate::{request, shared_context};
use crate::pipeline::decide::gate::Visibility;

/// A program for one principal. Does not change once it is made; what lists learn from it is kept beside.
pub struct Bound {
    /// The rules that can still apply.
    pub rules: Vec<Rule>,
    /// The rules about viewing, by number.
    pub view: Vec<u32>,
    /// The questions about fields.
    pub questions: Vec<BoundQuestion>,
    /// What is computed once per moment: slot and expression.
    pub moments: Vec<(usize, Expression)>,
    /// What is computed from the record's identity alone.
    pub identity: Identity,
    /// What is computed from one attribute of the record, by attribute.
    pub readings: Vec<Reading>,
    /// What is computed from more than that.
    pub others: Vec<(usize, Expression)>,
    /// How many slots there are.
    pub slots: usize,
    /// How many fields the type has, the unclassified one included.
    pub fields: usize,
    learnt: Mutex<Vec<Learnt>>,
    weighed: AtomicUsize,
}

/// What depends on which record it is.
#[derive(Default)]
pub struct Identity {
    /// Slots and expressions.
    pub slots: Vec<(usize, Expression)>,
    /// The ids that they name, each with a number.
    pub named: HashMap<String, usize>,
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
pub(in crate::pipeline::decide) struct Standing<'s> {
    entities: Entities<'s>,
    principal: &'s EntityRef,
    above: HashSet<EntityRef>,
}

impl<'s> Standing<'s> {
    /// Of a principal.
    pub(in crate::pipeline::decide) fn of(snapshot: &'s Snapshot, principal: &'s EntityRef) -> Self {
        let above = snapshot.directory.ancestors(principal).into_iter().collect();
        Self { entities: Entities(snapshot), principal, above }
    }

    /// What the principal is in.
    pub(in crate::pipeline::decide) fn above(&self) -> &HashSet<EntityRef> {
        &self.above
    }
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
    let world = Standing::of(snapshot, &asker.entity);
    let leaves = |op: &Op| match op {
        Op::Principal => Some(Ok(principal.clone())),
        Op::Context(key) if key.as_ref() != NOW => {
            Some(context.get(key.as_ref()).cloned().ok_or(Stop::Fails))
        }
        Op::HasContext(key) => Some(Ok(Value::Bool(context.contains_key(key.as_ref())))),
        _ => None,
    };
    let mut binding =
        Binding { program, leaves: &leaves, world: &world, bound: HashMap::new(), is_unsupported: false };
    let mut layout = Layout::default();
    let mut rules = Vec::new();
    let mut asked: Vec<Vec<u32>> = vec![Vec::new(); program.questions.len()];
    for number in program.reach.rules(&asker.entity, &world.above) {
        let (Some(rule), Some(asked_by)) =
            (program.rules.get(number as usize), program.asked_by.get(number as usize))
        else {
            continue;
        };
        let tree = rule.tree.reduced(&mut |atom| binding.outcome(atom));
        if tree == Tree::Known(Outcome::False) {
            continue;
        }
        for question in asked_by {
            let place = u32::try_from(rules.len()).unwrap_or(u32::MAX);
            asked.get_mut(*question).into_iter().for_each(|rules| rules.push(place));
        }
        let tree = tree.renumbered(&mut |atom| layout.slot(atom));
        rules.push(Rule { policy: Arc::clone(&rule.policy), effect: rule.effect, tree });
    }
    if binding.is_unsupported {
        return Err(Stop::Unsupported);
    }
    let mut bound = Bound::new(program, record_type, rules, asked);
    bound.slots = layout.slots.len();
    for (atom, slot) in layout.slots {
        let Some(Part::Rest(expression)) = binding.bound.remove(&atom) else {
            return Err(Stop::Unsupported);
        };
        bound.place(slot, expression, record_type);
    }
    for reading in &mut bound.readings {
        let spec = record_type.attributes.get(reading.attribute).ok_or(Stop::Unsupported)?;
        reading.put_in_order(spec);
    }
    Ok(bound)
}

/// The context without the field. What Cedar would refuse before it looks at any policy is not decided here.
pub(in crate::pipeline::decide) fn context(
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
enum Part {
    Known(Outcome),
    Rest(Expression),
}

struct Binding<'a> {
    program: &'a Program,
    leaves: Leaves<'a>,
    world: &'a dyn World,
    bound: HashMap<u32, Part>,
    is_unsupported: bool,
}

impl Binding<'_> {
    fn outcome(&mut self, atom: u32) -> Option<Outcome> {
        let (leaves, world) = (self.leaves, self.world);
        let part = self.bound.entry(atom).or_insert_with(|| {
            let folded = self.program.atoms.get(atom as usize).map(|atom| fold(atom, leaves, world));
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
    fn new(program: &Program, record_type: &RecordType, rules: Vec<Rule>, asked: Vec<Vec<u32>>) -> Self {
        let (mut view, mut questions) = (Vec::new(), Vec::new());
        for (question, rules) in program.questions.iter().zip(asked) {
            let shown = match question.action {
                "readField" => Visibility::Shown,
                "readFieldMasked" => Visibility::Masked,
                _ => {
                    view = rules;
                    continue;
                }
            };
            questions.push(BoundQuestion { shown, fields: Arc::clone(&question.fields), rules });
        }
        let mut start = 0;
        let reading = |attribute: &usize| {
            let places = record_type.attributes.get(*attribute).map_or(0, |spec| spec.at.len());
            let own = start..start + places;
            start = own.end;
            Reading::new(*attribute, own)
        };
        Self {
            rules,
            view,
            questions,
            moments: Vec::new(),
            identity: Identity::default(),
            readings: program.attributes.iter().map(reading).collect(),
            others: Vec::new(),
            slots: 0,
            fields: record_type.fields.len() + 1,
            learnt: Mutex::default(),
            weighed: AtomicUsize::new(0),
        }
    }

    fn place(&mut self, slot: usize, expression: Expression, record_type: &RecordType) {
        if !expression.reads.record {
            self.moments.push((slot, expression));
            return;
        }
        let looks = Looks::of(&expression);
        if looks.attributes.is_empty()
            && let Some(ids) = named_records(&expression, &record_type.name)
        {
            for id in ids {
                let next = self.identity.named.len();
                self.identity.named.entry(id.to_owned()).or_insert(next);
            }
            self.identity.slots.push((slot, expression));
            return;
        }
        let one = looks.attributes.first().filter(|_| !looks.at_identity && looks.attributes.len() == 1);
        let reading = one.and_then(|one| self.readings.iter_mut().find(|reading| reading.attribute == *one));
        match reading {
            Some(reading) => reading.add(slot, expression),
            None => self.others.push((slot, expression)),
        }
    }

    /// What former lists have learnt, if no other list is using it. Nobody waits here.
    pub fn take_learnt(&self) -> Learnt {
        self.learnt.try_lock().ok().and_then(|mut kept| kept.pop()).unwrap_or_default()
    }

    /// Keeps what a list has learnt. Says whether all that is kept has grown much since it was weighed.
    pub fn keep_learnt(&self, learnt: Learnt) -> bool {
        let Ok(mut kept) = self.learnt.try_lock() else { return false };
        if kept.len() < KEPT_MAX {
            kept.push(learnt);
        }
        let weight: usize = kept.iter().map(Learnt::weight).sum();
        weight > 2 * self.weighed.load(Ordering::Relaxed).max(WORTH_WEIGHING)
    }

    /// About how much memory it takes, in bytes, with what is kept of what lists have learnt.
    pub fn weight(&self) -> usize {
        let learnt = self.learnt.lock().map_or(0, |kept| kept.iter().map(Learnt::weight).sum());
        self.weighed.store(learnt, Ordering::Relaxed);
        let trees: usize = self.rules.iter().map(|rule| rule.tree.size()).sum();
        let readings = self.readings.iter().flat_map(|reading| &reading.slots);
        let expressions: usize = self
            .moments
            .iter()
            .chain(&self.others)
            .chain(&self.identity.slots)
            .chain(readings)
            .map(|(_, expression)| expression.size())
            .sum();
        let numbers: usize =
            self.view.len() + self.questions.iter().map(|question| question.rules.len() + 8).sum::<usize>();
        size_of::<Self>() + learnt + 48 * trees + 96 * expressions + 4 * numbers + 64 * self.rules.len()
    }
}

/// Lists of one principal that are judged at once and still find what former ones have learnt.
const KEPT_MAX: usize = 4;
/// Bytes that were not weighed, below which a program is not weighed again.
const WORTH_WEIGHING: usize = 4_096;
