//! A set of states of one attribute: that there is none, and values, given by those that differ from all others.

use std::collections::BTreeMap;

use crate::bundle::program::value::Value;

/// A set of states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct States {
    absent: bool,
    /// Whether values are in it that are not listed.
    others: bool,
    /// Values that are not as the others.
    listed: BTreeMap<Value, bool>,
}

impl States {
    /// A set, by what is in it.
    pub fn of(absent: bool, others: bool, mut listed: BTreeMap<Value, bool>) -> Self {
        listed.retain(|_, is_in| *is_in != others);
        Self { absent, others, listed }
    }

    /// Whether it has no state.
    pub fn is_none(&self) -> bool {
        !self.absent && !self.others && self.listed.is_empty()
    }

    /// Whether it has every state.
    pub fn is_all(&self) -> bool {
        self.absent && self.others && self.listed.is_empty()
    }

    /// What is in both.
    pub fn and(&self, other: &Self) -> Self {
        self.with(other, |one, two| one && two)
    }

    /// What is in one of them.
    pub fn or(&self, other: &Self) -> Self {
        self.with(other, |one, two| one || two)
    }

    /// What is not in it.
    pub fn not(&self) -> Self {
        self.with(self, |one, _| !one)
    }

    /// Whether a value, or that there is none, is in it.
    pub fn has(&self, value: Option<&Value>) -> bool {
        value.map_or(self.absent, |value| self.listed.get(value).copied().unwrap_or(self.others))
    }

    /// The values in it, if they can be listed, and whether it has that there is none.
    pub fn listed(&self) -> Option<(Vec<&Value>, bool)> {
        (!self.others).then(|| (self.listed.keys().collect(), self.absent))
    }

    fn with(&self, other: &Self, op: fn(bool, bool) -> bool) -> Self {
        let values = self.listed.keys().chain(other.listed.keys());
        let listed = values.map(|value| (value.clone(), op(self.has(Some(value)), other.has(Some(value)))));
        Self::of(op(self.absent, other.absent), op(self.others, other.others), listed.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_states() -> impl Strategy<Value = States> {
        let listed = prop::collection::btree_map((0_i64..4).prop_map(Value::Long), any::<bool>(), 0..4);
        (any::<bool>(), any::<bool>(), listed)
            .prop_map(|(absent, others, listed)| States::of(absent, others, listed))
    }

    proptest! {
        #[test]
        fn sets_are_sets(one in any_states(), two in any_states()) {
            let values: Vec<Value> = (0..6).map(Value::Long).collect();
            let states = || values.iter().map(Some).chain([None]);
            for state in states() {
                prop_assert_eq!(one.and(&two).has(state), one.has(state) && two.has(state));
                prop_assert_eq!(one.or(&two).has(state), one.has(state) || two.has(state));
                prop_assert_eq!(one.not().has(state), !one.has(state));
            }
            prop_assert_eq!(one.is_none(), states().all(|state| !one.has(state)));
            prop_assert_eq!(one.is_all(), states().all(|state| one.has(state)));
            prop_assert!(one.and(&one.not()).is_none() && one.or(&one.not()).is_all());
        }
    }
}
