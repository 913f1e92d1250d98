//! Evaluates an expression as Cedar does, short circuits and failures included.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::expression::{Expression, NOW, Op, Operator, Piece};
use super::value::Value;
use crate::model::principal::EntityRef;
use crate::model::record::{Attribute, AttributeValue, RecordFacts};

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Stop {
    /// The expression fails, as it would in Cedar.
    #[error("the expression fails")]
    Fails,
    /// It cannot be said here what Cedar would do.
    #[error("the expression is not understood")]
    Unsupported,
}

/// The entities beside the record.
pub trait World {
    /// An attribute of an entity; `None` where it has none of that name, or is not there.
    fn attribute(&self, entity: &EntityRef, name: &str) -> Result<Option<Value>, Stop>;
    /// A tag of an entity.
    fn tag(&self, entity: &EntityRef, name: &str) -> Result<Option<Value>, Stop>;
    /// Whether one entity is below another; both are different.
    fn is_below(&self, entity: &EntityRef, above: &EntityRef) -> Result<bool, Stop>;
}

/// What an expression is evaluated on.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The entities.
    pub world: &'a dyn World,
    /// The time, in milliseconds since 1970.
    pub now_ms: Option<i64>,
    /// The record.
    pub record: Record<'a>,
}

/// The record, as far as it is looked at.
#[derive(Clone, Copy)]
pub enum Record<'a> {
    /// Not at all.
    Unknown,
    /// Which one it is.
    Identity {
        /// Its type.
        type_name: &'a str,
        /// Its id.
        id: &'a str,
    },
    /// One attribute, by its place, and its value if there is one.
    Attribute(usize, Option<&'a AttributeValue>),
    /// As a whole.
    Whole(&'a RecordFacts),
}

impl<'a> Record<'a> {
    fn identity(self) -> Option<(&'a str, &'a str)> {
        match self {
            Self::Identity { type_name, id } => Some((type_name, id)),
            Self::Whole(facts) => Some((&facts.type_name, &facts.id)),
            Self::Attribute(..) | Self::Unknown => None,
        }
    }
}

impl<'a> Scene<'a> {
    /// The value of an expression.
    pub fn evaluate(&self, expression: &Expression) -> Result<Value, Stop> {
        Ok(match &expression.op {
            Op::Value(value) => value.clone(),
            Op::Fail => return Err(Stop::Fails),
            Op::Context(key) if key.as_ref() == NOW => Value::Datetime(self.now_ms.ok_or(Stop::Unsupported)?),
            // What else does not come with the record was put in before.
            Op::Principal | Op::Context(_) | Op::HasContext(_) => return Err(Stop::Unsupported),
            Op::Record => {
                let (type_name, id) = self.record.identity().ok_or(Stop::Unsupported)?;
                Value::Entity(Arc::new(EntityRef::new(type_name, id)))
            }
            Op::Attribute(index) => self.own(*index)?.ok_or(Stop::Fails)?,
            Op::HasAttribute(index) => Value::Bool(self.own_attribute(*index)?.is_some()),
            Op::Get(inner, name) => self.get(&self.evaluate(inner)?, name)?.ok_or(Stop::Fails)?,
            Op::Has(inner, name) => Value::Bool(self.get(&self.evaluate(inner)?, name)?.is_some()),
            Op::Not(inner) => Value::Bool(!self.truth(inner)?),
            Op::Negate(inner) => Value::Long(self.long(inner)?.checked_neg().ok_or(Stop::Fails)?),
            Op::IsEmpty(inner) => Value::Bool(set(&self.evaluate(inner)?)?.is_empty()),
            Op::And(left, right) => Value::Bool(self.truth(left)? && self.truth(right)?),
            Op::Or(left, right) => Value::Bool(self.truth(left)? || self.truth(right)?),
            Op::If(three) => {
                let [test, then, other] = three.as_ref();
                self.evaluate(if self.truth(test)? { then } else { other })?
            }
            Op::Two(operator, two) => {
                let [left, right] = two.as_ref();
                self.two(*operator, &self.evaluate(left)?, &self.evaluate(right)?)?
            }
            Op::Like(inner, pattern) => match self.evaluate(inner)? {
                Value::Text(text) => Value::Bool(matches(&text, pattern)),
                _ => return Err(Stop::Fails),
            },
            Op::Is(inner, name) => match self.evaluate(inner)? {
                Value::Entity(entity) => Value::Bool(entity.type_name == name.as_ref()),
                _ => return Err(Stop::Fails),
            },
            Op::Set(items) => {
                let items: Result<BTreeSet<Value>, Stop> =
                    items.iter().map(|item| self.evaluate(item)).collect();
                Value::Set(Arc::new(items?))
            }
            Op::Members(members) => {
                let members = members.iter().map(|(key, inner)| Ok((key.clone(), self.evaluate(inner)?)));
                Value::Record(Arc::new(members.collect::<Result<_, Stop>>()?))
            }
            Op::Call(function, arguments) => {
                let arguments: Result<Vec<Value>, Stop> =
                    arguments.iter().map(|argument| self.evaluate(argument)).collect();
                function.call(&arguments?)?
            }
        })
    }

    /// The truth value of an expression; whatever else it is, fails.
    pub fn truth(&self, expression: &Expression) -> Result<bool, Stop> {
        match self.evaluate(expression)? {
            Value::Bool(truth) => Ok(truth),
            _ => Err(Stop::Fails),
        }
    }

    fn long(&self, expression: &Expression) -> Result<i64, Stop> {
        match self.evaluate(expression)? {
            Value::Long(number) => Ok(number),
            _ => Err(Stop::Fails),
        }
    }

    fn own_attribute(&self, index: usize) -> Result<Option<&'a AttributeValue>, Stop> {
        match self.record {
            Record::Whole(facts) => match facts.attributes.get(index) {
                Some(Attribute::Present(value)) => Ok(Some(value)),
                Some(Attribute::Absent) => Ok(None),
                // Such a record is denied before any policy is asked.
                Some(Attribute::NotCarried | Attribute::Nonconforming(_)) | None => Err(Stop::Unsupported),
            },
            Record::Attribute(place, value) if place == index => Ok(value),
            Record::Attribute(..) | Record::Identity { .. } | Record::Unknown => Err(Stop::Unsupported),
        }
    }

    fn own(&self, index: usize) -> Result<Option<Value>, Stop> {
        Ok(self.own_attribute(index)?.map(Value::from_attribute))
    }

    fn get(&self, value: &Value, name: &str) -> Result<Option<Value>, Stop> {
        match value {
            // The record is looked at by place, never as one entity among others.
            Value::Entity(entity) if self.is_record(entity) => Err(Stop::Unsupported),
            Value::Entity(entity) => self.world.attribute(entity, name),
            Value::Record(members) => Ok(members.get(name).cloned()),
            _ => Err(Stop::Fails),
        }
    }

    fn is_record(&self, entity: &EntityRef) -> bool {
        self.record.identity() == Some((&entity.type_name, &entity.id))
    }

    fn two(&self, operator: Operator, left: &Value, right: &Value) -> Result<Value, Stop> {
        let arithmetic = |compute: fn(i64, i64) -> Option<i64>| match (left, right) {
            (Value::Long(left), Value::Long(right)) => {
                compute(*left, *right).map(Value::Long).ok_or(Stop::Fails)
            }
            _ => Err(Stop::Fails),
        };
        Ok(match operator {
            Operator::Equal => Value::Bool(left == right),
            Operator::Less => Value::Bool(order(left, right)?.is_lt()),
            Operator::LessOrEqual => Value::Bool(order(left, right)?.is_le()),
            Operator::Add => arithmetic(i64::checked_add)?,
            Operator::Subtract => arithmetic(i64::checked_sub)?,
            Operator::Multiply => arithmetic(i64::checked_mul)?,
            Operator::In => Value::Bool(self.is_in(left, right)?),
            Operator::Contains => Value::Bool(set(left)?.contains(right)),
            Operator::ContainsAll => Value::Bool(set(left)?.is_superset(set(right)?)),
            Operator::ContainsAny => Value::Bool(!set(left)?.is_disjoint(set(right)?)),
            Operator::HasTag => Value::Bool(self.tag(left, right)?.is_some()),
            Operator::GetTag => self.tag(left, right)?.ok_or(Stop::Fails)?,
        })
    }

    fn tag(&self, entity: &Value, name: &Value) -> Result<Option<Value>, Stop> {
        match (entity, name) {
            (Value::Entity(entity), Value::Text(_)) if self.is_record(entity) => Ok(None),
            (Value::Entity(entity), Value::Text(name)) => self.world.tag(entity, name),
            _ => Err(Stop::Fails),
        }
    }

    fn is_in(&self, entity: &Value, above: &Value) -> Result<bool, Stop> {
        let Value::Entity(entity) = entity else { return Err(Stop::Fails) };
        let is_in = |above: &Value| match above {
            // A record is in nothing but itself, and nothing else is in it.
            Value::Entity(above) if above == entity => Ok(true),
            Value::Entity(above) => {
                Ok(!self.is_record(entity) && !self.is_record(above) && self.world.is_below(entity, above)?)
            }
            _ => Err(Stop::Fails),
        };
        match above {
            Value::Set(items) => {
                let found: Result<Vec<bool>, Stop> = items.iter().map(is_in).collect();
                Ok(found?.contains(&true))
            }
            one => is_in(one),
        }
    }
}

fn set(value: &Value) -> Result<&BTreeSet<Value>, Stop> {
    match value {
        Value::Set(items) => Ok(items),
        _ => Err(Stop::Fails),
    }
}

fn order(left: &Value, right: &Value) -> Result<std::cmp::Ordering, Stop> {
    match (left, right) {
        (Value::Long(left), Value::Long(right))
        | (Value::Datetime(left), Value::Datetime(right))
        | (Value::Duration(left), Value::Duration(right)) => Ok(left.cmp(right)),
        _ => Err(Stop::Fails),
    }
}

/// Whether a text has the form of a pattern, in time that does not explode: only the last wildcard is tried again.
pub fn matches(text: &str, pattern: &[Piece]) -> bool {
    let mut rest = text.chars();
    let mut pieces = pattern;
    let mut again: Option<(&[Piece], std::str::Chars<'_>)> = None;
    loop {
        match pieces.split_first() {
            Some((Piece::Any, after)) => {
                again = Some((after, rest.clone()));
                pieces = after;
                continue;
            }
            Some((Piece::Char(wanted), after)) => {
                let mut next = rest.clone();
                if next.next() == Some(*wanted) {
                    (rest, pieces) = (next, after);
                    continue;
                }
            }
            None if rest.as_str().is_empty() => return true,
            None => {}
        }
        let Some((after, from)) = &mut again else { return false };
        if from.next().is_none() {
            return false;
        }
        (pieces, rest) = (*after, from.clone());
    }
}
