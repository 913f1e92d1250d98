//! A condition as a tree of truth values over atoms. Atoms are evaluated apart; a tree says what follows from them.

use super::expression::{Expression, Op};
use super::value::Value;

/// What an atom, a tree or a policy comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It does not hold.
    False,
    /// It holds.
    True,
    /// It fails.
    Fails,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tree {
    /// Known.
    Known(Outcome),
    /// An atom, by its number.
    Atom(u32),
    /// `!`
    Not(Box<Tree>),
    /// `&&`
    And(Box<Tree>, Box<Tree>),
    /// `||`
    Or(Box<Tree>, Box<Tree>),
    /// `if … then … else …`
    If(Box<[Tree; 3]>),
}

impl Outcome {
    /// From a truth value.
    pub fn of(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }

    /// A number for it.
    pub fn code(self) -> u8 {
        match self {
            Self::False => 0,
            Self::True => 1,
            Self::Fails => 2,
        }
    }

    /// What such a number stands for; any other for a failure.
    pub fn from_code(code: u32) -> Self {
        match code {
            0 => Self::False,
            1 => Self::True,
            _ => Self::Fails,
        }
    }
}

impl Tree {
    /// The tree of a condition; `number` gives each atom its number.
    pub fn of(condition: &Expression, number: &mut impl FnMut(&Expression) -> u32) -> Self {
        match &condition.op {
            Op::Value(Value::Bool(truth)) => Self::Known(Outcome::of(*truth)),
            // What is no truth value fails as a condition.
            Op::Value(_) | Op::Fail => Self::Known(Outcome::Fails),
            Op::Not(inner) => Self::Not(Box::new(Self::of(inner, number))),
            Op::And(left, right) => {
                Self::And(Box::new(Self::of(left, number)), Box::new(Self::of(right, number)))
            }
            Op::Or(left, right) => {
                Self::Or(Box::new(Self::of(left, number)), Box::new(Self::of(right, number)))
            }
            Op::If(three) => {
                let [test, then, other] = three.as_ref();
                Self::If(Box::new([Self::of(test, number), Self::of(then, number), Self::of(other, number)]))
            }
            _ => Self::Atom(number(condition)),
        }
    }

    /// What it comes to.
    pub fn outcome(&self, atoms: &impl Fn(u32) -> Outcome) -> Outcome {
        match self {
            Self::Known(outcome) => *outcome,
            Self::Atom(number) => atoms(*number),
            Self::Not(inner) => match inner.outcome(atoms) {
                Outcome::True => Outcome::False,
                Outcome::False => Outcome::True,
                Outcome::Fails => Outcome::Fails,
            },
            Self::And(left, right) => match left.outcome(atoms) {
                Outcome::True => right.outcome(atoms),
                settled => settled,
            },
            Self::Or(left, right) => match left.outcome(atoms) {
                Outcome::False => right.outcome(atoms),
                settled => settled,
            },
            Self::If(three) => {
                let [test, then, other] = three.as_ref();
                match test.outcome(atoms) {
                    Outcome::True => then.outcome(atoms),
                    Outcome::False => other.outcome(atoms),
                    Outcome::Fails => Outcome::Fails,
                }
            }
        }
    }

    /// What is left of it where some atoms are known. An atom is asked about only if it can matter.
    pub fn reduced(&self, known: &mut impl FnMut(u32) -> Option<Outcome>) -> Self {
        match self {
            Self::Known(_) => self.clone(),
            Self::Atom(number) => known(*number).map_or_else(|| self.clone(), Self::Known),
            Self::Not(inner) => match inner.reduced(known) {
                Self::Known(Outcome::True) => Self::Known(Outcome::False),
                Self::Known(Outcome::False) => Self::Known(Outcome::True),
                Self::Known(Outcome::Fails) => Self::Known(Outcome::Fails),
                rest => Self::Not(Box::new(rest)),
            },
            Self::And(left, right) => match left.reduced(known) {
                Self::Known(Outcome::True) => right.reduced(known),
                Self::Known(settled) => Self::Known(settled),
                left => Self::And(Box::new(left), Box::new(right.reduced(known))),
            },
            Self::Or(left, right) => match left.reduced(known) {
                Self::Known(Outcome::False) => right.reduced(known),
                Self::Known(settled) => Self::Known(settled),
                left => Self::Or(Box::new(left), Box::new(right.reduced(known))),
            },
            Self::If(three) => {
                let [test, then, other] = three.as_ref();
                match test.reduced(known) {
                    Self::Known(Outcome::True) => then.reduced(known),
                    Self::Known(Outcome::False) => other.reduced(known),
                    Self::Known(Outcome::Fails) => Self::Known(Outcome::Fails),
                    test => Self::If(Box::new([test, then.reduced(known), other.reduced(known)])),
                }
            }
        }
    }

    /// The same over atoms with other numbers.
    pub fn renumbered(&self, number: &mut impl FnMut(u32) -> u32) -> Self {
        let mut boxed = |inner: &Self| Box::new(inner.renumbered(number));
        match self {
            Self::Known(outcome) => Self::Known(*outcome),
            Self::Not(inner) => Self::Not(boxed(inner)),
            Self::And(left, right) => Self::And(boxed(left), boxed(right)),
            Self::Or(left, right) => Self::Or(boxed(left), boxed(right)),
            Self::Atom(atom) => Self::Atom(number(*atom)),
            Self::If(three) => {
                let [test, then, other] = three.as_ref();
                Self::If(Box::new([
                    test.renumbered(number),
                    then.renumbered(number),
                    other.renumbered(number),
                ]))
            }
        }
    }

    /// How many nodes it has.
    pub fn size(&self) -> usize {
        match self {
            Self::Known(_) | Self::Atom(_) => 1,
            Self::Not(inner) => 1 + inner.size(),
            Self::And(left, right) | Self::Or(left, right) => 1 + left.size() + right.size(),
            Self::If(three) => 1 + three.iter().map(Self::size).sum::<usize>(),
        }
    }
}
