//! What decides where something is known and something is not: a formula over the conditions that are left.
//!
//! Promises: Cedar itself evaluates every part that is known, and nothing else is taken for true or false. What cannot be settled stays
//! in the formula. Never says more than the policies do.

pub mod known;
pub mod decided;
pub mod words;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;

use super::condition::{Condition, Tree};

/// A formula over parts of conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Formula {
    /// It holds whatever is left open.
    True,
    /// It does not hold.
    False,
    /// A part of a condition, in Cedar's public JSON form.
    Atom(Arc<Json>),
    /// A part of a condition does not hold.
    Not(Arc<Json>),
    /// All of these hold.
    All(Vec<Formula>),
    /// One of these holds.
    Any(Vec<Formula>),
}

impl Formula {
    /// Known or not.
    pub fn of(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }

    /// Whether it is neither true nor false.
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::True | Self::False)
    }

    /// That all of them hold.
    pub fn all(parts: impl IntoIterator<Item = Formula>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::True => {}
                Self::False => return Self::False,
                Self::All(inner) => inner.into_iter().for_each(|part| add(&mut flat, part)),
                part => add(&mut flat, part),
            }
        }
        if flat.iter().any(|part| flat.contains(&part.clone().negated())) {
            return Self::False;
        }
        let is_implied = |part: &Formula, flat: &[Formula]| match part {
            Self::Any(choices) => choices.iter().any(|choice| choice.parts().all(|part| flat.contains(part))),
            _ => false,
        };
        let implied: Vec<bool> = flat.iter().map(|part| is_implied(part, &flat)).collect();
        let kept = flat.into_iter().zip(implied).filter(|(_, implied)| !implied).map(|(part, _)| part);
        match kept.collect::<Vec<_>>() {
            parts if parts.is_empty() => Self::True,
            mut parts if parts.len() == 1 => parts.pop().unwrap_or(Self::True),
            parts => Self::All(parts),
        }
    }

    /// That one of them holds.
    pub fn any(parts: impl IntoIterator<Item = Formula>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::False => {}
                Self::True => return Self::True,
                Self::Any(inner) => inner.into_iter().for_each(|part| add(&mut flat, part)),
                part => add(&mut flat, part),
            }
        }
        if flat.iter().any(|part| flat.contains(&part.clone().negated())) {
            return Self::True;
        }
        // What asks for more than another choice adds nothing to it; of two that ask for the same, the first stays.
        let asks_for_all_of = |part: &Formula, other: &Formula| {
            other.parts().all(|wanted| part.parts().any(|own| own == wanted))
        };
        let is_doomed = |(place, part): (usize, &Formula)| {
            let others = flat.iter().enumerate().filter(|(other_place, _)| *other_place != place);
            let mut others = others.filter(|(_, other)| asks_for_all_of(part, other));
            others.any(|(other_place, other)| other_place < place || !asks_for_all_of(other, part))
        };
        let doomed: Vec<bool> = flat.iter().enumerate().map(is_doomed).collect();
        let kept = flat.into_iter().zip(doomed).filter(|(_, doomed)| !doomed).map(|(part, _)| part);
        match kept.collect::<Vec<_>>() {
            parts if parts.is_empty() => Self::False,
            mut parts if parts.len() == 1 => parts.pop().unwrap_or(Self::False),
            parts => Self::Any(parts),
        }
    }

    /// That it does not hold.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Atom(atom) => Self::Not(atom),
            Self::Not(atom) => Self::Atom(atom),
            Self::All(parts) => Self::any(parts.into_iter().map(Formula::negated)),
            Self::Any(parts) => Self::all(parts.into_iter().map(Formula::negated)),
        }
    }

    /// What a policy's condition comes to where `known` says of some of its parts whether they hold.
    pub fn of_condition(condition: &Condition, known: &mut dyn FnMut(&Json) -> Option<bool>) -> Self {
        from_tree(&condition.tree, &condition.atoms, known)
    }

    /// Every part of a condition that is left in it.
    pub fn atoms(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.visit(&mut |atom| {
            found.insert(atom.to_string());
        });
        found
    }

    /// Whether it holds where each part that is left holds or not.
    pub fn holds(&self, truth: &dyn Fn(&Json) -> bool) -> bool {
        match self {
            Self::True => true,
            Self::False => false,
            Self::Atom(atom) => truth(atom),
            Self::Not(atom) => !truth(atom),
            Self::All(parts) => parts.iter().all(|part| part.holds(truth)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(truth)),
        }
    }

    /// Looks at every part of a condition that is left in it.
    pub fn visit(&self, look: &mut dyn FnMut(&Json)) {
        match self {
            Self::True | Self::False => {}
            Self::Atom(atom) | Self::Not(atom) => look(atom),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.visit(look)),
        }
    }

    /// What all has to hold: the parts of [`All`](Self::All), or itself.
    pub fn parts(&self) -> impl Iterator<Item = &Formula> {
        match self {
            Self::All(parts) => parts.iter(),
            other => std::slice::from_ref(other).iter(),
        }
    }

    /// Of what one has to hold: the parts of [`Any`](Self::Any), or itself.
    pub fn choices(&self) -> impl Iterator<Item = &Formula> {
        match self {
            Self::Any(parts) => parts.iter(),
            other => std::slice::from_ref(other).iter(),
        }
    }
}

fn add(parts: &mut Vec<Formula>, part: Formula) {
    if !parts.contains(&part) {
        parts.push(part);
    }
}

fn from_tree(tree: &Tree, atoms: &[Json], known: &mut dyn FnMut(&Json) -> Option<bool>) -> Formula {
    match tree {
        Tree::And(left, right) => match from_tree(left, atoms, known) {
            Formula::False => Formula::False,
            left => Formula::all([left, from_tree(right, atoms, known)]),
        },
        Tree::Or(left, right) => match from_tree(left, atoms, known) {
            Formula::True => Formula::True,
            left => Formula::any([left, from_tree(right, atoms, known)]),
        },
        Tree::Not(inner) => from_tree(inner, atoms, known).negated(),
        Tree::If(three) => {
            let [test, then, other] = three.as_ref();
            match from_tree(test, atoms, known) {
                Formula::True => from_tree(then, atoms, known),
                Formula::False => from_tree(other, atoms, known),
                test => {
                    let (then, other) = (from_tree(then, atoms, known), from_tree(other, atoms, known));
                    let otherwise = Formula::all([test.clone().negated(), other]);
                    Formula::any([Formula::all([test, then]), otherwise])
                }
            }
        }
        Tree::Literal(value) => Formula::of(*value),
        Tree::Atom(number) => match atoms.get(*number) {
            Some(atom) => match known(atom) {
                Some(truth) => Formula::of(truth),
                None => Formula::Atom(Arc::new(atom.clone())),
            },
            None => Formula::False,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(name: &str) -> Formula {
        Formula::Atom(Arc::new(Json::from(name)))
    }

    #[test]
    fn what_adds_nothing_goes() {
        let (a, b, c) = (atom("a"), atom("b"), atom("c"));
        let all = |parts: &[&Formula]| Formula::all(parts.iter().map(|part| (*part).clone()));
        let any = |parts: &[&Formula]| Formula::any(parts.iter().map(|part| (*part).clone()));
        let not = |part: &Formula| part.clone().negated();
        assert_eq!(all(&[&a, &a, &Formula::True]), a);
        assert_eq!(all(&[&a, &not(&a)]), Formula::False);
        assert_eq!(any(&[&a, &not(&a)]), Formula::True);
        assert_eq!(any(&[&a, &all(&[&a, &b])]), a);
        assert_eq!(all(&[&a, &any(&[&a, &b])]), a);
        assert_eq!(all(&[&any(&[&all(&[&a, &b]), &c]), &a, &b]), all(&[&a, &b]));
        assert_eq!(all(&[&any(&[&a, &b]), &any(&[&a, &b])]), any(&[&a, &b]));
        assert_eq!(not(&all(&[&a, &any(&[&b, &c])])), any(&[&not(&a), &all(&[&not(&b), &not(&c)])]));
        assert_eq!(all(&[]), Formula::True);
        assert_eq!(any(&[]), Formula::False);
    }

    proptest::proptest! {
        /// Whatever is left out, the truth stays.
        #[test]
        fn shorter_means_the_same(shape in proptest::collection::vec(0_u8..6, 1..40), truths in 0_u8..16) {
            let truth = |atom: &Json| truths & (1 << (atom.as_str().unwrap_or_default().len() - 1)) != 0;
            let mut stack: Vec<(Formula, bool)> = Vec::new();
            for step in shape {
                let pair = (step >= 4).then(|| stack.pop().zip(stack.pop())).flatten();
                let next = match (step, pair) {
                    (4, Some(((a, x), (b, y)))) => (Formula::all([a, b]), x && y),
                    (5, Some(((a, x), (b, y)))) => (Formula::any([a, b]), x || y),
                    (step, _) => {
                        let formula = atom(&"x".repeat(usize::from(step % 4) + 1));
                        let holds = formula.holds(&truth);
                        if stack.len().is_multiple_of(2) { (formula.negated(), !holds) } else { (formula, holds) }
                    }
                };
                stack.push(next);
            }
            for (formula, expected) in stack {
                proptest::prop_assert_eq!(formula.holds(&truth), expected, "{:?}", formula);
            }
        }
    }
}
