//! A condition on a record's attributes without negation, kept small while it is made.

use std::collections::BTreeMap;

use super::states::States;
use crate::bundle::program::value::Value;
use crate::model::record::{Attribute, RecordFacts};

/// A condition on a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Formula {
    /// No record fulfils it.
    Never,
    /// Every record does.
    Always,
    /// An attribute, by its place, is in one of these states.
    Is(usize, States),
    /// All of these.
    All(Vec<Formula>),
    /// One of these.
    Any(Vec<Formula>),
}

impl Formula {
    /// A condition on one attribute.
    pub fn is(attribute: usize, states: States) -> Self {
        match (states.is_none(), states.is_all()) {
            (true, _) => Self::Never,
            (_, true) => Self::Always,
            _ => Self::Is(attribute, states),
        }
    }

    /// All of these.
    pub fn all(parts: Vec<Formula>) -> Self {
        let (mut known, mut rest): (BTreeMap<usize, States>, Vec<Formula>) = (BTreeMap::new(), Vec::new());
        let mut waiting = parts;
        waiting.reverse();
        while let Some(part) = waiting.pop() {
            match part {
                Self::Never => return Self::Never,
                Self::Always => {}
                Self::All(parts) => waiting.extend(parts.into_iter().rev()),
                Self::Is(attribute, states) => {
                    let both = known.get(&attribute).map_or(states.clone(), |known| known.and(&states));
                    if both.is_none() {
                        return Self::Never;
                    }
                    known.insert(attribute, both);
                }
                part @ Self::Any(_) if rest.contains(&part) => {}
                part @ Self::Any(_) => rest.push(part),
            }
        }
        // What is known of an attribute settles parts of the alternatives, and an alternative that shrinks to a condition on one
        // attribute is known in turn.
        let narrowed: Vec<Formula> = rest.iter().map(|part| part.given(&known)).collect();
        let known = known.into_iter().map(|(attribute, states)| Self::Is(attribute, states));
        if narrowed != rest {
            return Self::all(known.chain(narrowed).collect());
        }
        Self::joined(known.chain(rest).collect(), Self::Always, Self::All)
    }

    /// One of these.
    pub fn any(parts: Vec<Formula>) -> Self {
        let (mut known, mut rest): (BTreeMap<usize, States>, Vec<Formula>) = (BTreeMap::new(), Vec::new());
        let mut waiting = parts;
        waiting.reverse();
        while let Some(part) = waiting.pop() {
            match part {
                Self::Always => return Self::Always,
                Self::Never => {}
                Self::Any(parts) => waiting.extend(parts.into_iter().rev()),
                Self::Is(attribute, states) => {
                    let either = known.get(&attribute).map_or(states.clone(), |known| known.or(&states));
                    if either.is_all() {
                        return Self::Always;
                    }
                    known.insert(attribute, either);
                }
                part @ Self::All(_) if rest.contains(&part) => {}
                part @ Self::All(_) => rest.push(part),
            }
        }
        let known = known.into_iter().map(|(attribute, states)| Self::Is(attribute, states));
        Self::joined(known.chain(rest).collect(), Self::Never, Self::Any)
    }

    fn joined(mut parts: Vec<Formula>, none: Formula, many: fn(Vec<Formula>) -> Formula) -> Self {
        match parts.len() {
            0 => none,
            1 => parts.pop().unwrap_or(none),
            _ => many(parts),
        }
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::all(vec![self, other])
    }

    /// Either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::any(vec![self, other])
    }

    /// What does not fulfil it.
    #[must_use]
    pub fn not(&self) -> Self {
        match self {
            Self::Never => Self::Always,
            Self::Always => Self::Never,
            Self::Is(attribute, states) => Self::is(*attribute, states.not()),
            Self::All(parts) => Self::any(parts.iter().map(Self::not).collect()),
            Self::Any(parts) => Self::all(parts.iter().map(Self::not).collect()),
        }
    }

    /// What is left of it where attributes are known to be in some states.
    fn given(&self, known: &BTreeMap<usize, States>) -> Self {
        match self {
            Self::Is(attribute, states) => match known.get(attribute) {
                Some(known) if known.and(states) == *known => Self::Always,
                Some(known) => Self::is(*attribute, known.and(states)),
                None => self.clone(),
            },
            Self::All(parts) => Self::all(parts.iter().map(|part| part.given(known)).collect()),
            Self::Any(parts) => Self::any(parts.iter().map(|part| part.given(known)).collect()),
            Self::Never | Self::Always => self.clone(),
        }
    }

    /// How many parts it has.
    pub fn size(&self) -> usize {
        match self {
            Self::Never | Self::Always | Self::Is(..) => 1,
            Self::All(parts) | Self::Any(parts) => 1 + parts.iter().map(Self::size).sum::<usize>(),
        }
    }

    /// Whether every record that fulfils this fulfils the other. A no may be a "nobody can tell".
    pub fn implies(&self, other: &Self) -> bool {
        self.clone().and(other.not()) == Self::Never
    }

    /// Whether a record fulfils it; `None` if an attribute that it looks at did not convert or was not carried.
    pub fn holds(&self, facts: &RecordFacts) -> Option<bool> {
        match self {
            Self::Never => Some(false),
            Self::Always => Some(true),
            Self::Is(attribute, states) => match facts.attributes.get(*attribute)? {
                Attribute::Present(value) => Some(states.has(Some(&Value::from_attribute(value)))),
                Attribute::Absent => Some(states.has(None)),
                Attribute::NotCarried | Attribute::Nonconforming(_) => None,
            },
            Self::All(parts) => parts.iter().try_fold(true, |all, part| Some(all & part.holds(facts)?)),
            Self::Any(parts) => parts.iter().try_fold(false, |any, part| Some(any | part.holds(facts)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::AttributeValue;
    use proptest::prelude::*;

    /// A formula as it was made, and the same without any simplification.
    #[derive(Clone, Debug)]
    enum Plain {
        Is(usize, States),
        All(Vec<Plain>),
        Any(Vec<Plain>),
        Not(Box<Plain>),
    }

    impl Plain {
        fn made(&self) -> Formula {
            match self {
                Self::Is(attribute, states) => Formula::is(*attribute, states.clone()),
                Self::All(parts) => Formula::all(parts.iter().map(Self::made).collect()),
                Self::Any(parts) => Formula::any(parts.iter().map(Self::made).collect()),
                Self::Not(inner) => inner.made().not(),
            }
        }

        fn holds(&self, record: &[Option<i64>]) -> bool {
            match self {
                Self::Is(attribute, states) => states.has(record[*attribute].map(Value::Long).as_ref()),
                Self::All(parts) => parts.iter().all(|part| part.holds(record)),
                Self::Any(parts) => parts.iter().any(|part| part.holds(record)),
                Self::Not(inner) => !inner.holds(record),
            }
        }
    }

    fn any_plain() -> impl Strategy<Value = Plain> {
        let listed = prop::collection::btree_map((0_i64..3).prop_map(Value::Long), any::<bool>(), 0..3);
        let leaf = (0..3_usize, any::<bool>(), any::<bool>(), listed).prop_map(
            |(attribute, absent, others, listed)| Plain::Is(attribute, States::of(absent, others, listed)),
        );
        leaf.prop_recursive(4, 16, 3, |inner| {
            let many = || prop::collection::vec(inner.clone(), 0..3);
            prop_oneof![
                many().prop_map(Plain::All),
                many().prop_map(Plain::Any),
                inner.clone().prop_map(|inner| Plain::Not(Box::new(inner))),
            ]
        })
    }

    fn records() -> Vec<[Option<i64>; 3]> {
        let values = [None, Some(0), Some(1), Some(2), Some(9)];
        let pairs = values.iter().flat_map(|one| values.iter().map(move |two| (*one, *two)));
        pairs.flat_map(|(one, two)| values.iter().map(move |three| [one, two, *three])).collect()
    }

    fn facts(record: &[Option<i64>]) -> RecordFacts {
        let attribute = |value: &Option<i64>| {
            value.map_or(Attribute::Absent, |value| Attribute::Present(AttributeValue::Long(value)))
        };
        let attributes = record.iter().map(attribute).collect();
        RecordFacts { type_name: "Deal".to_owned(), id: "1".to_owned(), attributes }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn making_it_small_changes_nothing(plain in any_plain(), other in any_plain()) {
            let (made, another) = (plain.made(), other.made());
            for record in records() {
                prop_assert_eq!(made.holds(&facts(&record)), Some(plain.holds(&record)), "{:?}", made);
                prop_assert!(
                    !made.implies(&another) || !plain.holds(&record) || other.holds(&record),
                    "{:?} does not imply {:?}", made, another
                );
            }
        }
    }

    #[test]
    fn one_attribute_is_decided_exactly() {
        let is = |values: &[i64]| {
            let listed = values.iter().map(|value| (Value::Long(*value), true)).collect();
            Formula::is(0, States::of(false, false, listed))
        };
        assert!(is(&[1]).implies(&is(&[1, 2])) && !is(&[1, 2]).implies(&is(&[1])));
        assert_eq!(is(&[1]).and(is(&[2])), Formula::Never);
        assert_eq!(is(&[1]).or(is(&[1]).not()), Formula::Always);
    }
}
