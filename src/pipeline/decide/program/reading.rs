//! What of a bound program depends on one attribute of the record, and by what its values can be told apart.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::bundle::profile::convert::{Conversion, Kind};
use crate::bundle::profile::types::AttributeSpec;
use crate::bundle::program::expression::{Expression, NOW, Op, Operator, parts};
use crate::bundle::program::functions::Function;
use crate::bundle::program::value::Value;
use crate::model::record::AttributeValue;
use crate::pipeline::hydrate::convert::takes_plain_numbers;

/// Everything that depends on one attribute.
pub struct Reading {
    /// The attribute, by place.
    pub attribute: usize,
    /// Which of the places that are handed over for the record are its own.
    pub places: Range<usize>,
    /// Slots and expressions.
    pub slots: Vec<(usize, Expression)>,
    /// Whether any of them looks at the time as well.
    pub reads_now: bool,
    /// If values matter only by where they stand among some points: these.
    pub order: Option<Order>,
}

/// Points that a number is compared with, and nothing else is done with it.
pub struct Order {
    /// In rising order.
    pub points: Vec<i64>,
    /// Whether the time is one of them.
    pub has_now: bool,
    /// Whether a plain number on the wire is the value, as it stands there.
    pub is_plain: bool,
}

impl Reading {
    /// Of an attribute that nothing depends on yet.
    pub fn new(attribute: usize, places: Range<usize>) -> Self {
        Self { attribute, places, slots: Vec::new(), reads_now: false, order: None }
    }

    /// Adds an expression on this attribute.
    pub fn add(&mut self, slot: usize, expression: Expression) {
        self.reads_now |= expression.reads.now;
        self.slots.push((slot, expression));
    }

    /// Whether a plain number on the wire is the value, as it stands there, and only its place in an order matters.
    pub fn is_plain(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.is_plain)
    }

    /// Looks for an order once all expressions are there.
    pub fn put_in_order(&mut self, spec: &AttributeSpec) {
        if spec.conversion.is_set {
            return;
        }
        let mut order =
            Order { points: Vec::new(), has_now: false, is_plain: takes_plain_numbers(&spec.conversion) };
        for (_, expression) in &self.slots {
            match compared(expression, &spec.conversion) {
                Some(Compared::At(point)) => order.points.push(point),
                Some(Compared::WithNow) => order.has_now = true,
                Some(Compared::Alike) => {}
                None => return,
            }
        }
        order.points.sort_unstable();
        order.points.dedup();
        self.order = is_ordered(&spec.conversion).then_some(order);
    }
}

fn is_ordered(conversion: &Conversion) -> bool {
    matches!(conversion.kind, Kind::Long | Kind::Decimal(_) | Kind::Datetime(_))
}

/// The number by which a value stands in an order.
pub fn number(value: &AttributeValue) -> Option<i64> {
    match value {
        AttributeValue::Long(number) | AttributeValue::Decimal(number) | AttributeValue::Datetime(number) => {
            Some(*number)
        }
        AttributeValue::Bool(_)
        | AttributeValue::Text(_)
        | AttributeValue::Entity(_)
        | AttributeValue::Set(_) => None,
    }
}

/// What the values of an attribute are compared with.
enum Compared {
    /// A point.
    At(i64),
    /// The time.
    WithNow,
    /// Something that no value of the attribute's kind differs from another by.
    Alike,
}

/// What an expression compares the values with, if it does nothing else with them.
fn compared(expression: &Expression, conversion: &Conversion) -> Option<Compared> {
    let (left, right) = match &expression.op {
        Op::HasAttribute(_) => return Some(Compared::Alike),
        Op::Two(Operator::Equal | Operator::Less | Operator::LessOrEqual, two) => {
            let [left, right] = two.as_ref();
            (left, right)
        }
        Op::Call(
            Function::LessThan
            | Function::LessThanOrEqual
            | Function::GreaterThan
            | Function::GreaterThanOrEqual,
            arguments,
        ) => match arguments.as_slice() {
            [left, right] => (left, right),
            _ => return None,
        },
        _ => return None,
    };
    let other = match (&left.op, &right.op) {
        (Op::Attribute(_), other) | (other, Op::Attribute(_)) => other,
        _ => return None,
    };
    match (other, &conversion.kind) {
        (Op::Value(Value::Long(point)), Kind::Long)
        | (Op::Value(Value::Decimal(point)), Kind::Decimal(_))
        | (Op::Value(Value::Datetime(point)), Kind::Datetime(_)) => Some(Compared::At(*point)),
        (Op::Context(key), Kind::Datetime(_)) if key.as_ref() == NOW => Some(Compared::WithNow),
        // A value of another kind is equal to none, and no order of the two is known: that fails.
        (Op::Value(_), _) => Some(Compared::Alike),
        _ => None,
    }
}

/// What an expression looks at of the record.
#[derive(Default)]
pub struct Looks {
    /// Attributes, by place.
    pub attributes: BTreeSet<usize>,
    /// Which record it is.
    pub at_identity: bool,
}

impl Looks {
    /// Of an expression.
    pub fn of(expression: &Expression) -> Self {
        let mut looks = Self::default();
        looks.add(expression);
        looks
    }

    fn add(&mut self, expression: &Expression) {
        match &expression.op {
            Op::Attribute(index) | Op::HasAttribute(index) => {
                self.attributes.insert(*index);
            }
            Op::Record => self.at_identity = true,
            op => parts(op).into_iter().for_each(|part| self.add(part)),
        }
    }
}

/// The ids of the records that an expression compares the record with, if it does nothing else: `resource == …`, and `in`,
/// since a record is in nothing but itself.
pub fn named_records<'e>(expression: &'e Expression, type_name: &str) -> Option<Vec<&'e str>> {
    let Op::Two(operator, two) = &expression.op else { return None };
    let [left, right] = two.as_ref();
    let other = match (&left.op, operator, &right.op) {
        (Op::Record, Operator::Equal | Operator::In, Op::Value(other))
        | (Op::Value(other), Operator::Equal, Op::Record) => other,
        _ => return None,
    };
    let entities: Vec<&Value> = match other {
        Value::Set(items) => items.iter().collect(),
        one => vec![one],
    };
    let ids = entities.into_iter().filter_map(|value| match value {
        Value::Entity(entity) if entity.type_name == type_name => Some(entity.id.as_str()),
        _ => None,
    });
    Some(ids.collect())
}

/// The value that an attribute is compared with, if an expression is just that: attribute, `==`, value.
pub fn comparison(expression: &Expression) -> Option<&Value> {
    let Op::Two(Operator::Equal, two) = &expression.op else { return None };
    match two.as_ref() {
        [Expression { op: Op::Attribute(_), .. }, Expression { op: Op::Value(value), .. }]
        | [Expression { op: Op::Value(value), .. }, Expression { op: Op::Attribute(_), .. }] => Some(value),
        _ => None,
    }
}
