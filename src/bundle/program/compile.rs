//! Compiles the policies that a gate asks for one record type: once per bundle, for all principals.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy as cedar;

use super::evaluate::{Stop, World};
use super::expression::{Expression, Op, Operator};
use super::fold::fold;
use super::read::{self, Subject, Unread};
use super::tree::{Outcome, Tree};
use super::value::Value;
use crate::bundle::catalogue::{Catalogue, from_uid};
use crate::bundle::forms::Forms;
use crate::bundle::profile::Profile;
use crate::bundle::profile::types::RecordType;
use crate::bundle::slices::{FIELD_ACTIONS, GATE_ACTIONS, Slice, Slices, action_groups};
use crate::model::principal::EntityRef;

/// The programs of a bundle, by record type.
#[derive(Debug, Default)]
pub struct Programs {
    programs: BTreeMap<String, Result<Arc<Program>, Unread>>,
}

/// Everything that a gate asks about records of one type.
#[derive(Debug)]
pub struct Program {
    /// The atoms, by number.
    pub atoms: Vec<Expression>,
    /// The rules, each once.
    pub rules: Vec<Rule>,
    /// What is asked: first whether the record may be viewed, then what may be seen of its fields.
    pub questions: Vec<Question>,
    /// The questions that a rule is part of, by rule.
    pub asked_by: Vec<Vec<usize>>,
    /// The attributes of the record that the policies look at, by place and in their order.
    pub attributes: Vec<usize>,
    /// The rules by whom they can apply to.
    pub reach: Reach,
}

/// The rules of a program by whom they can apply to, so that binding looks at those of one principal only.
#[derive(Debug, Default)]
pub struct Reach {
    /// Rules that cannot hold or fail unless the principal is this entity or below it.
    below: HashMap<EntityRef, Vec<u32>>,
    /// All others.
    anybody: Vec<u32>,
}

/// A policy, as far as one question is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The policy's id.
    pub policy: Arc<str>,
    /// What it says.
    pub effect: RuleEffect,
    /// When.
    pub tree: Tree,
}

/// What a policy says where it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleEffect {
    /// Permit.
    Permit,
    /// Forbid.
    Forbid,
}

/// One question: about the record, or about fields that the policies cannot tell apart.
#[derive(Debug)]
pub struct Question {
    /// The action.
    pub action: &'static str,
    /// The fields, by place; the place after the last stands for what no profile describes.
    pub fields: Arc<[usize]>,
}

impl Reach {
    fn of(rules: &[Rule], atoms: &[Expression]) -> Self {
        let mut reach = Self::default();
        for (number, rule) in (0..).zip(rules) {
            match asked_first(&rule.tree, atoms) {
                Some(entity) => reach.below.entry(entity.clone()).or_default().push(number),
                None => reach.anybody.push(number),
            }
        }
        reach
    }

    /// The rules that can apply to a principal with these entities above, by number, in order.
    pub fn rules(&self, principal: &EntityRef, above: &HashSet<EntityRef>) -> Vec<u32> {
        let own = above.iter().chain((!above.contains(principal)).then_some(principal));
        let own = own.filter_map(|entity| self.below.get(entity)).flatten();
        let mut rules: Vec<u32> = self.anybody.iter().chain(own).copied().collect();
        rules.sort_unstable();
        rules
    }
}

/// The entity that a principal must be or be below for a rule to come to anything but "does not hold": the first that its
/// conjunction asks for. What is asked before that can only hold or not, whoever the principal is.
fn asked_first<'a>(tree: &Tree, atoms: &'a [Expression]) -> Option<&'a EntityRef> {
    let mut waiting = vec![tree];
    while let Some(tree) = waiting.pop() {
        match tree {
            Tree::And(left, right) => waiting.extend([right.as_ref(), left.as_ref()]),
            Tree::Atom(number) => match &atoms.get(*number as usize)?.op {
                Op::Two(Operator::In | Operator::Equal, two) => match two.as_ref() {
                    [
                        Expression { op: Op::Principal, .. },
                        Expression { op: Op::Value(Value::Entity(entity)), .. },
                    ] => {
                        return Some(entity.as_ref());
                    }
                    _ => return None,
                },
                Op::Is(who, _) if who.op == Op::Principal => {}
                _ => return None,
            },
            Tree::Known(_) | Tree::Not(_) | Tree::Or(..) | Tree::If(_) => return None,
        }
    }
    None
}

impl Programs {
    /// The program of a type, or why there is none.
    pub fn of(&self, type_name: &str) -> Option<&Result<Arc<Program>, Unread>> {
        self.programs.get(type_name)
    }

    /// The types without a program, each with why.
    pub fn missing(&self) -> impl Iterator<Item = (&str, &Unread)> {
        self.programs.iter().filter_map(|(name, program)| Some((name.as_str(), program.as_ref().err()?)))
    }
}

/// Compiles for every type.
pub fn compile(
    profile: &Profile,
    slices: &Slices,
    schema: &cedar::Schema,
    catalogue: &Catalogue,
    forms: &Forms,
) -> Programs {
    let one = |record_type: &RecordType| {
        let mut making = Making { catalogue, schema, forms, atoms: HashMap::new(), rules: HashMap::new() };
        (record_type.name.clone(), making.program(record_type, slices).map(Arc::new))
    };
    Programs { programs: profile.types.iter().map(one).collect() }
}

struct Making<'a> {
    catalogue: &'a Catalogue,
    schema: &'a cedar::Schema,
    forms: &'a Forms,
    atoms: HashMap<Expression, u32>,
    rules: HashMap<Rule, u32>,
}

impl Making<'_> {
    fn program(&mut self, record_type: &RecordType, slices: &Slices) -> Result<Program, Unread> {
        let slice = |action: &str| {
            slices.of(action, &record_type.name).ok_or_else(|| Unread(format!("no slice for {action}")))
        };
        let mut questions = Vec::new();
        let mut answers = Vec::new();
        for action in GATE_ACTIONS {
            let slice = slice(action)?;
            let conditions = self.conditions(action, slice, record_type)?;
            if !FIELD_ACTIONS.contains(action) {
                questions.push(Question { action, fields: Arc::from([]) });
                answers.push(self.rules(&conditions, None));
            }
            for class in &slice.field_classes {
                let Some(first) = class.first() else { continue };
                let field = Value::entity(&EntityRef::new("Field", record_type.field_name(*first)));
                questions.push(Question { action, fields: class.as_slice().into() });
                answers.push(self.rules(&conditions, Some(&field)));
            }
        }
        let (atoms, rules) = (in_order(&self.atoms), in_order(&self.rules));
        let mut asked_by = vec![Vec::new(); rules.len()];
        for (question, rules) in answers.iter().enumerate() {
            for rule in rules {
                asked_by
                    .get_mut(*rule as usize)
                    .into_iter()
                    .for_each(|asked: &mut Vec<usize>| asked.push(question));
            }
        }
        Ok(Program {
            reach: Reach::of(&rules, &atoms),
            atoms,
            rules,
            questions,
            asked_by,
            attributes: slices.needs(&record_type.name).attributes.clone(),
        })
    }

    fn conditions(
        &self,
        action: &str,
        slice: &Slice,
        record_type: &RecordType,
    ) -> Result<Vec<(Arc<str>, RuleEffect, Expression)>, Unread> {
        let action = EntityRef::new("Action", action);
        let actions = action_groups(&action.id, self.schema).iter().map(from_uid).collect();
        let subject = Subject { record_type, action, actions };
        let mut found: Vec<(Arc<str>, RuleEffect, Expression)> = Vec::new();
        for policy in slice.policies.policies() {
            let effect = match policy.effect() {
                cedar::Effect::Permit => RuleEffect::Permit,
                cedar::Effect::Forbid => RuleEffect::Forbid,
            };
            let id: &str = policy.id().as_ref();
            let form = self.forms.form(policy).ok_or_else(|| Unread(id.to_owned()))?;
            found.push((id.into(), effect, read::condition(form, &subject)?));
        }
        found.sort_by(|(left, ..), (right, ..)| left.cmp(right));
        Ok(found)
    }

    fn rules(
        &mut self,
        conditions: &[(Arc<str>, RuleEffect, Expression)],
        field: Option<&Value>,
    ) -> Vec<u32> {
        let leaves = |op: &Op| match (op, field) {
            (Op::Context(key), Some(field)) if key.as_ref() == "field" => Some(Ok(field.clone())),
            (Op::Context(key), None) if key.as_ref() == "field" => Some(Err(Stop::Fails)),
            (Op::HasContext(key), field) if key.as_ref() == "field" => Some(Ok(Value::Bool(field.is_some()))),
            _ => None,
        };
        let mut rules = Vec::new();
        for (policy, effect, condition) in conditions {
            let condition = fold(condition, &leaves, &Own(self.catalogue));
            let atoms = &mut self.atoms;
            let tree = Tree::of(&condition, &mut |atom| number(atoms, atom.clone()));
            if tree != Tree::Known(Outcome::False) {
                let rule = Rule { policy: Arc::clone(policy), effect: *effect, tree };
                rules.push(number(&mut self.rules, rule));
            }
        }
        rules
    }
}

fn number<T: std::hash::Hash + Eq>(numbers: &mut HashMap<T, u32>, item: T) -> u32 {
    let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    *numbers.entry(item).or_insert(next)
}

fn in_order<T: Clone>(numbers: &HashMap<T, u32>) -> Vec<T> {
    let mut items: Vec<(&T, u32)> = numbers.iter().map(|(item, number)| (item, *number)).collect();
    items.sort_by_key(|(_, number)| *number);
    items.into_iter().map(|(item, _)| item.clone()).collect()
}

/// The bundle's own entities: fields and stages, which have no attributes.
struct Own<'a>(&'a Catalogue);

impl Own<'_> {
    fn known(&self, entity: &EntityRef) -> Result<(), Stop> {
        self.0.entity(entity).map(|_| ()).ok_or(Stop::Unsupported)
    }
}

impl World for Own<'_> {
    fn attribute(&self, entity: &EntityRef, _: &str) -> Result<Option<Value>, Stop> {
        self.known(entity).map(|()| None)
    }

    fn tag(&self, entity: &EntityRef, _: &str) -> Result<Option<Value>, Stop> {
        self.known(entity).map(|()| None)
    }

    fn is_below(&self, entity: &EntityRef, above: &EntityRef) -> Result<bool, Stop> {
        self.known(entity).map(|()| self.0.is_in(entity, above))
    }
}
