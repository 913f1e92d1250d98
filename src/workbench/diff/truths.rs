//! Which parts of conditions can hold together.
//!
//! Promises: leaves out no combination that some record has. Comparisons of one thing with numbers, sums or times are known to go
//! together; all else is taken to be free.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::bundle::forms::single;
use crate::bundle::instant;
use crate::bundle::profile::convert::DecimalForm;
use crate::pipeline::hydrate::convert::parse_decimal;
use crate::workbench::formula::Formula;

/// Whether some truth of the conditions makes one formula hold and the other not. With too many to try, it may be.
pub fn can_differ(denied: &Formula, allowed: &Formula) -> bool {
    let mut atoms: BTreeMap<String, Json> = BTreeMap::new();
    for formula in [denied, allowed] {
        formula.visit(&mut |atom| {
            atoms.insert(atom.to_string(), atom.clone());
        });
    }
    let Some(truths) = truths(&atoms) else { return true };
    truths.iter().any(|holding| {
        let truth = |atom: &Json| holding.contains(&atom.to_string());
        !denied.holds(&truth) && allowed.holds(&truth)
    })
}

/// The texts of those that hold, for each combination; `None` if there are too many.
fn truths(atoms: &BTreeMap<String, Json>) -> Option<Vec<BTreeSet<String>>> {
    let mut groups: BTreeMap<String, Vec<(String, Comparison)>> = BTreeMap::new();
    let mut tested: BTreeMap<String, String> = BTreeMap::new();
    let mut all = vec![BTreeSet::new()];
    for (text, atom) in atoms {
        if let Some((of, comparison)) = comparison(atom) {
            groups.entry(of).or_default().push((text.clone(), comparison));
        }
    }
    for (text, atom) in atoms.iter().filter(|(_, atom)| comparison(atom).is_none()) {
        let path = atom.get("has").map(Json::to_string).unwrap_or_default();
        match groups.contains_key(&path) {
            true => {
                tested.insert(path, text.clone());
            }
            false => all = joined(&all, &[BTreeSet::new(), BTreeSet::from([text.clone()])])?,
        }
    }
    for (path, group) in groups {
        let near = group.iter().flat_map(|(_, comparison)| comparison.near());
        let holding = |value: i64| {
            let of_value = group.iter().filter(|(_, comparison)| comparison.holds(value));
            of_value.map(|(text, _)| text).chain(tested.get(&path)).cloned().collect::<BTreeSet<String>>()
        };
        // What is not there fails every comparison, and is not there.
        let choices: BTreeSet<BTreeSet<String>> = near.map(holding).chain([BTreeSet::new()]).collect();
        all = joined(&all, &choices.into_iter().collect::<Vec<_>>())?;
    }
    Some(all)
}

fn joined(all: &[BTreeSet<String>], choices: &[BTreeSet<String>]) -> Option<Vec<BTreeSet<String>>> {
    if all.len() * choices.len() > TRUTHS_MAX {
        return None;
    }
    let with = |known: &BTreeSet<String>, choice: &BTreeSet<String>| known.union(choice).cloned().collect();
    Some(all.iter().flat_map(|known| choices.iter().map(move |choice| with(known, choice))).collect())
}

/// A comparison with a constant.
struct Comparison {
    operator: Order,
    constant: i64,
}

#[derive(Clone, Copy)]
enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
}

impl Comparison {
    fn holds(&self, value: i64) -> bool {
        match self.operator {
            Order::Less => value < self.constant,
            Order::LessOrEqual => value <= self.constant,
            Order::Greater => value > self.constant,
            Order::GreaterOrEqual => value >= self.constant,
            Order::Equal => value == self.constant,
        }
    }

    /// The constant and its neighbours: between two such values no comparison changes.
    fn near(&self) -> [i64; 3] {
        [self.constant.saturating_sub(1), self.constant, self.constant.saturating_add(1)]
    }
}

/// What is compared, and with what.
fn comparison(atom: &Json) -> Option<(String, Comparison)> {
    let (name, body) = single(atom)?;
    let operator = match name {
        "lessThan" | "<" => Order::Less,
        "lessThanOrEqual" | "<=" => Order::LessOrEqual,
        "greaterThan" | ">" => Order::Greater,
        "greaterThanOrEqual" | ">=" => Order::GreaterOrEqual,
        "==" => Order::Equal,
        _ => return None,
    };
    let (left, right) = match body.as_array() {
        Some(arguments) => (arguments.first()?, arguments.get(1)?),
        None => (body.get("left")?, body.get("right")?),
    };
    // An attribute has one type, so what it is compared with are numbers, sums or times, never two of them.
    let path = left.get(".").map_or_else(|| left.to_string(), Json::to_string);
    Some((path, Comparison { operator, constant: constant(right)? }))
}

fn constant(value: &Json) -> Option<i64> {
    let text = |arguments: &Json| Some(arguments.get(0)?.get("Value")?.as_str()?.to_owned());
    match single(value)? {
        ("Value", Json::Number(number)) => number.as_i64(),
        ("decimal", arguments) => parse_decimal(&text(arguments)?, &DecimalForm::default()).ok(),
        ("datetime", arguments) => instant::parse_cedar_datetime(&text(arguments)?),
        _ => None,
    }
}

/// Combinations that are tried.
const TRUTHS_MAX: usize = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workbench::condition::Condition;
    use cedar_policy as cedar;

    fn formula(condition: &str) -> Formula {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let policy = cedar::Policy::parse(None, text).unwrap();
        Formula::of_condition(&Condition::of(&policy.to_json().unwrap()), &mut |_| None)
    }

    /// Whether the first may deny what the second allows, and the reverse.
    #[track_caller]
    fn check(first: &str, second: &str, expected: (bool, bool)) {
        let (first, second) = (formula(first), formula(second));
        assert_eq!((can_differ(&first, &second), can_differ(&second, &first)), expected);
    }

    #[test]
    fn what_cannot_be_is_not_tried() {
        let below = |limit: &str| {
            format!("resource has amount && resource.amount.lessThanOrEqual(decimal(\"{limit}\"))")
        };
        check(&below("50.00"), &below("75.00"), (true, false));
        check(&below("50.00"), &below("50.0"), (false, false));
        check("resource.n < 5", "resource.n <= 4", (false, false));
        check("resource.n < 5", "resource.n <= 5", (true, false));
        check("resource.n == 5", "resource.n >= 5", (true, false));
        check(
            "context.now < datetime(\"2026-01-01\")",
            "context.now < datetime(\"2026-01-02\")",
            (true, false),
        );
        check("resource.a", "resource.a && resource.b", (false, true));
        check("resource.a", "resource.b", (true, true));
        check("resource.m < 5", "resource.n < 5", (true, true));
        check("resource has n && resource.n <= 5", "resource has n && !(resource.n > 5)", (false, false));
        check("resource has n && resource.n <= 5", "!(resource has n) || resource.n <= 5", (true, false));
        check("resource has m && resource.n <= 5", "resource has m && !(resource.n > 5)", (true, false));
    }

    #[test]
    fn with_too_many_conditions_all_may_be() {
        let many: Vec<String> = (0..20).map(|number| format!("resource.a{number}")).collect();
        let all = many.join(" && ");
        check(&all, &all, (true, true));
    }
}
