//! What would have to differ for a denied question to be allowed: the policies that came nearest, and which of their conditions fail.
//!
//! Promises: Cedar says of each condition whether it holds. What is told for one policy is the least that would make it apply, or not
//! apply; that no other policy then speaks against it is not promised.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy as cedar;
use serde::Serialize;
use serde_json::Value as Json;

use super::condition::{Tree, Truth, probe};
use super::formula::decided::Conditions;
use super::formula::words::of_atom;
use crate::bundle::catalogue::from_uid;
use crate::pipeline::decide::witness::Asked;

/// A question that was denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denied {
    /// The action.
    pub action: String,
    /// The record, or the collection, in Cedar's form.
    pub resource: String,
    /// The field, for questions about fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Forbids that apply, each with what would have to differ for it not to.
    pub forbids: Vec<Near>,
    /// Where nothing permits it: the permits that came nearest, each with what would have to differ for it to apply.
    pub permits: Vec<Near>,
}

/// A policy, and what would have to differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Near {
    /// Its id.
    pub policy: String,
    /// Conditions, in words, as they would have to be.
    pub differs: Vec<String>,
}

/// Every denied question among those that Cedar was asked, each once.
pub fn denied(conditions: &Conditions<'_>, asked: &[Asked]) -> Vec<Denied> {
    let mut found: BTreeMap<(String, String, Option<String>), Denied> = BTreeMap::new();
    for one in asked {
        let (Some(action), Some(resource)) = (one.request.action(), one.request.resource()) else { continue };
        let (action, resource) = (from_uid(action).id, from_uid(resource));
        let Some(slice) = conditions.bundle().slices.of(&action, &resource.type_name) else { continue };
        let response = cedar::Authorizer::new().is_authorized(&one.request, &slice.policies, &one.entities);
        let field = field_of(&one.request);
        if response.decision() == cedar::Decision::Allow {
            continue;
        }
        let key = (action.clone(), resource.to_string(), field.clone());
        if found.len() < DENIED_MAX && !found.contains_key(&key) {
            let applying: BTreeSet<String> =
                response.diagnostics().reason().map(ToString::to_string).collect();
            let (forbids, permits) = near(conditions, one, &slice.policies, &applying);
            let denied = Denied { action, resource: resource.to_string(), field, forbids, permits };
            found.insert(key, denied);
        }
    }
    found.into_values().collect()
}

fn field_of(request: &cedar::Request) -> Option<String> {
    match request.context()?.get("field")? {
        cedar::EvalResult::EntityUid(uid) => Some(from_uid(&uid).id),
        _ => None,
    }
}

fn near(
    conditions: &Conditions<'_>,
    asked: &Asked,
    policies: &cedar::PolicySet,
    applying: &BTreeSet<String>,
) -> (Vec<Near>, Vec<Near>) {
    let (mut forbids, mut permits) = (Vec::new(), Vec::new());
    for policy in policies.policies() {
        let id = policy.id().to_string();
        let Some((is_permit, condition)) = conditions.condition(&id) else { continue };
        let truths = truths(asked, &condition.atoms);
        let truth = |atom: usize| truths.get(atom).copied().unwrap_or(Truth::Failed);
        if !is_permit && !applying.contains(&id) {
            continue;
        }
        let is_fixed = |atom: usize| condition.atoms.get(atom).is_none_or(is_of_the_question);
        let given = |atom: usize| (truth(atom), !is_fixed(atom));
        let Some(least) = least(&condition.tree, is_permit, &given) else {
            if !is_permit {
                forbids.push(Near { policy: id, differs: Vec::new() });
            }
            continue;
        };
        let words =
            least.iter().filter_map(|(atom, holds)| Some(of_atom(condition.atoms.get(*atom)?, *holds)));
        let near = Near { policy: id, differs: words.collect() };
        if is_permit { permits.push(near) } else { forbids.push(near) }
    }
    // Where a permit applies already, only the forbids stand in the way.
    if permits.iter().any(|near| near.differs.is_empty()) {
        permits.clear();
    }
    permits.sort_by(|a, b| (a.differs.len(), &a.policy).cmp(&(b.differs.len(), &b.policy)));
    permits.truncate(NEAREST_MAX);
    forbids.sort_by(|a, b| a.policy.cmp(&b.policy));
    (forbids, permits)
}

/// Whether each part of a condition holds in a question.
fn truths(asked: &Asked, atoms: &[Json]) -> Vec<Truth> {
    let one = |atom: &Json| {
        let Some(policies) =
            probe("atom", atom).and_then(|probe| cedar::PolicySet::from_policies([probe]).ok())
        else {
            return Truth::Failed;
        };
        let response = cedar::Authorizer::new().is_authorized(&asked.request, &policies, &asked.entities);
        match (response.diagnostics().errors().next(), response.decision()) {
            (Some(_), _) => Truth::Failed,
            (None, cedar::Decision::Allow) => Truth::True,
            (None, cedar::Decision::Deny) => Truth::False,
        }
    };
    atoms.iter().map(one).collect()
}

/// Whether a part looks at what the question itself says: another field, or another stage to go to, is another question.
fn is_of_the_question(atom: &Json) -> bool {
    let text = atom.to_string();
    ["field", "to"].iter().any(|key| {
        text.contains(&format!("{{\"attr\":\"{key}\",\"left\":{{\"Var\":\"context\"}}}}"))
            || text.contains(&format!("{{\"left\":{{\"Var\":\"context\"}},\"attr\":\"{key}\"}}"))
    })
}

/// The fewest parts that would have to be otherwise, and how, for a condition to come out as wanted; `None` where it never does. Of each part
/// it is said whether it holds, and whether it could be otherwise.
fn least(tree: &Tree, wanted: bool, truth: &dyn Fn(usize) -> (Truth, bool)) -> Option<Vec<(usize, bool)>> {
    let both = |a: &Tree, wants_a: bool, b: &Tree, wants_b: bool| {
        let mut all = least(a, wants_a, truth)?;
        all.extend(least(b, wants_b, truth)?);
        Some(all)
    };
    match tree {
        Tree::Literal(value) => (*value == wanted).then(Vec::new),
        Tree::Not(inner) => least(inner, !wanted, truth),
        Tree::Atom(atom) => match (truth(*atom), wanted) {
            ((Truth::True, _), true) | ((Truth::False, _), false) => Some(Vec::new()),
            ((_, true), _) => Some(vec![(*atom, wanted)]),
            ((_, false), _) => None,
        },
        Tree::And(a, b) if wanted => both(a, true, b, true),
        Tree::Or(a, b) if !wanted => both(a, false, b, false),
        Tree::And(a, b) | Tree::Or(a, b) => shorter(least(a, wanted, truth), least(b, wanted, truth)),
        Tree::If(three) => {
            let [test, then, other] = three.as_ref();
            shorter(both(test, true, then, wanted), both(test, false, other, wanted))
        }
    }
}

fn shorter<T>(a: Option<Vec<T>>, b: Option<Vec<T>>) -> Option<Vec<T>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.len() < a.len() { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// Questions that are told.
const DENIED_MAX: usize = 200;
/// Permits that are told of one question.
const NEAREST_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workbench::condition::Condition;

    #[track_caller]
    fn check(condition: &str, truths: &[Truth], wanted: bool, expected: Option<&[&str]>) {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let policy = cedar::Policy::parse(None, text).unwrap();
        let condition = Condition::of(&policy.to_json().unwrap());
        let found = least(&condition.tree, wanted, &|atom| (truths[atom], true));
        let words = found.map(|least| {
            least.iter().map(|(atom, holds)| of_atom(&condition.atoms[*atom], *holds)).collect::<Vec<_>>()
        });
        assert_eq!(
            words.as_deref(),
            expected.map(|e| e.iter().map(ToString::to_string).collect::<Vec<_>>()).as_deref()
        );
    }

    #[test]
    fn the_least_that_would_have_to_differ() {
        use Truth::{Failed as X, False as F, True as T};
        let own = "resource has owner && resource.owner == principal";
        check(own, &[T, F], true, Some(&["owner is the caller"]));
        check(own, &[F, X], true, Some(&["owner is set", "owner is the caller"]));
        check(own, &[T, T], false, Some(&["owner is not set"]));
        check("resource.a && resource.b || resource.c", &[F, F, F], true, Some(&["c is true"]));
        check("resource.a && resource.b || resource.c", &[T, F, F], true, Some(&["b is true"]));
        check("!(resource.a || resource.b)", &[T, T], true, Some(&["a is false", "b is false"]));
        check("if resource.a then resource.b else resource.c", &[T, F, T], true, Some(&["b is true"]));
        check("resource.a && false", &[T], true, None);
        check("resource.a", &[T], true, Some(&[]));
    }
}
