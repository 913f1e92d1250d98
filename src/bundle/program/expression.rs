//! Expressions of policies in a form of our own, each with what it reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::functions::Function;
use super::value::Value;

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expression {
    /// What it computes.
    pub op: Op,
    /// What it reads.
    pub reads: Reads,
}

/// What an expression reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reads {
    /// The principal, or anything of the directory, or what is attested.
    pub principal: bool,
    /// The time.
    pub now: bool,
    /// The field that is asked about.
    pub field: bool,
    /// The record.
    pub record: bool,
}

impl Reads {
    /// What either reads.
    pub fn and(self, other: Self) -> Self {
        Self {
            principal: self.principal || other.principal,
            now: self.now || other.now,
            field: self.field || other.field,
            record: self.record || other.record,
        }
    }

    /// Whether it is the same for all requests of a principal.
    pub fn is_settled_by_principal(self) -> bool {
        !(self.now || self.field || self.record)
    }
}

/// What an expression computes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// A value.
    Value(Value),
    /// Nothing: it fails.
    Fail,
    /// The principal.
    Principal,
    /// The record.
    Record,
    /// A key of the context.
    Context(Arc<str>),
    /// Whether the context has a key.
    HasContext(Arc<str>),
    /// An attribute of the record, by its place among the type's attributes.
    Attribute(usize),
    /// Whether the record has an attribute.
    HasAttribute(usize),
    /// An attribute of an entity, or a member of a record value.
    Get(Box<Expression>, Arc<str>),
    /// Whether there is one.
    Has(Box<Expression>, Arc<str>),
    /// `!`
    Not(Box<Expression>),
    /// `-`
    Negate(Box<Expression>),
    /// `isEmpty`
    IsEmpty(Box<Expression>),
    /// `&&`
    And(Box<Expression>, Box<Expression>),
    /// `||`
    Or(Box<Expression>, Box<Expression>),
    /// `if … then … else …`
    If(Box<[Expression; 3]>),
    /// Anything else that takes two.
    Two(Operator, Box<[Expression; 2]>),
    /// `like`
    Like(Box<Expression>, Arc<[Piece]>),
    /// `is`, and `is … in …` as a conjunction of both.
    Is(Box<Expression>, Arc<str>),
    /// A set.
    Set(Vec<Expression>),
    /// A record.
    Members(BTreeMap<String, Expression>),
    /// A function of an extension.
    Call(Function, Vec<Expression>),
}

/// An operator on two values, both of which are always evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `==`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `in`
    In,
    /// `contains`
    Contains,
    /// `containsAll`
    ContainsAll,
    /// `containsAny`
    ContainsAny,
    /// `hasTag`
    HasTag,
    /// `getTag`
    GetTag,
}

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Any text.
    Any,
    /// This character.
    Char(char),
}

impl Expression {
    /// An expression; what it reads is what its parts read.
    pub fn new(op: Op) -> Self {
        let reads = own_reads(&op);
        let reads = parts(&op).into_iter().fold(reads, |reads, part| reads.and(part.reads));
        Self { op, reads }
    }

    /// A value.
    pub fn value(value: Value) -> Self {
        Self::new(Op::Value(value))
    }

    /// A truth value.
    pub fn truth(truth: bool) -> Self {
        Self::value(Value::Bool(truth))
    }

    /// `self && other`
    pub fn and(self, other: Self) -> Self {
        Self::new(Op::And(Box::new(self), Box::new(other)))
    }

    /// `!self`
    pub fn negated(self) -> Self {
        Self::new(Op::Not(Box::new(self)))
    }

    /// An operator on two.
    pub fn two(operator: Operator, left: Self, right: Self) -> Self {
        Self::new(Op::Two(operator, Box::new([left, right])))
    }

    /// How many expressions it is made of.
    pub fn size(&self) -> usize {
        1 + parts(&self.op).into_iter().map(Self::size).sum::<usize>()
    }
}

fn own_reads(op: &Op) -> Reads {
    let none = Reads::default();
    match op {
        Op::Principal => Reads { principal: true, ..none },
        Op::Record | Op::Attribute(_) | Op::HasAttribute(_) => Reads { record: true, ..none },
        Op::Context(key) | Op::HasContext(key) => match key.as_ref() {
            NOW => Reads { now: true, ..none },
            "field" => Reads { field: true, ..none },
            _ => Reads { principal: true, ..none },
        },
        // What stands behind an entity is the directory's.
        Op::Get(..) | Op::Has(..) => Reads { principal: true, ..none },
        Op::Two(Operator::In | Operator::HasTag | Operator::GetTag, _) => Reads { principal: true, ..none },
        _ => none,
    }
}

/// The parts of an expression.
pub fn parts(op: &Op) -> Vec<&Expression> {
    match op {
        Op::Value(_)
        | Op::Fail
        | Op::Principal
        | Op::Record
        | Op::Context(_)
        | Op::HasContext(_)
        | Op::Attribute(_)
        | Op::HasAttribute(_) => Vec::new(),
        Op::Get(inner, _)
        | Op::Has(inner, _)
        | Op::Not(inner)
        | Op::Negate(inner)
        | Op::IsEmpty(inner)
        | Op::Like(inner, _)
        | Op::Is(inner, _) => vec![inner],
        Op::And(left, right) | Op::Or(left, right) => vec![left, right],
        Op::If(three) => three.iter().collect(),
        Op::Two(_, two) => two.iter().collect(),
        Op::Set(items) | Op::Call(_, items) => items.iter().collect(),
        Op::Members(members) => members.values().collect(),
    }
}

/// The same operation on other parts, made one by one in their order.
pub fn rebuild<E>(op: &Op, mut make: impl FnMut(&Expression) -> Result<Expression, E>) -> Result<Op, E> {
    let mut one = |inner: &Expression| make(inner).map(Box::new);
    Ok(match op {
        Op::Get(inner, name) => Op::Get(one(inner)?, Arc::clone(name)),
        Op::Has(inner, name) => Op::Has(one(inner)?, Arc::clone(name)),
        Op::Not(inner) => Op::Not(one(inner)?),
        Op::Negate(inner) => Op::Negate(one(inner)?),
        Op::IsEmpty(inner) => Op::IsEmpty(one(inner)?),
        Op::Like(inner, pattern) => Op::Like(one(inner)?, Arc::clone(pattern)),
        Op::Is(inner, name) => Op::Is(one(inner)?, Arc::clone(name)),
        Op::And(left, right) => Op::And(one(left)?, one(right)?),
        Op::Or(left, right) => Op::Or(one(left)?, one(right)?),
        Op::If(three) => {
            let [test, then, other] = three.as_ref();
            Op::If(Box::new([make(test)?, make(then)?, make(other)?]))
        }
        Op::Two(operator, two) => {
            let [left, right] = two.as_ref();
            Op::Two(*operator, Box::new([make(left)?, make(right)?]))
        }
        Op::Set(items) => Op::Set(items.iter().map(make).collect::<Result<_, _>>()?),
        Op::Call(function, items) => Op::Call(*function, items.iter().map(make).collect::<Result<_, _>>()?),
        Op::Members(members) => {
            let made = members.iter().map(|(key, inner)| Ok((key.clone(), make(inner)?)));
            Op::Members(made.collect::<Result<_, _>>()?)
        }
        Op::Value(_)
        | Op::Fail
        | Op::Principal
        | Op::Record
        | Op::Context(_)
        | Op::HasContext(_)
        | Op::Attribute(_)
        | Op::HasAttribute(_) => op.clone(),
    })
}

/// The key of the context that holds the time.
pub const NOW: &str = "now";
