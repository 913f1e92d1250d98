//! `@silence("lint, lint")` on a policy, with `@because("…")`: findings that are meant.

use std::collections::BTreeSet;

use cedar_policy as cedar;

use super::{Found, NOBODY, SILENCE, SILENCEABLE};
use crate::bundle::compile::Bundle;
use crate::config::author::{AuthorProblem, nearest};

/// Leaves out what policies silence, and adds what is wrong with how they do it.
pub fn apply(bundle: &Bundle, found: Vec<Found>, knows_people: bool) -> Vec<AuthorProblem> {
    let mut used: BTreeSet<(String, &'static str)> = BTreeSet::new();
    let mut told = Vec::new();
    for finding in found {
        let is_silenced = |id: &String| silenced(bundle, id).iter().any(|name| name == finding.lint);
        match finding.policy.filter(is_silenced) {
            Some(id) => {
                used.insert((id, finding.lint));
            }
            None => told.push(finding.problem),
        }
    }
    for id in bundle.policies.ids() {
        for name in silenced(bundle, id) {
            let is_used = used.iter().any(|(policy, lint)| policy == id && *lint == name);
            // Without a directory it is not known whom it has.
            let is_unasked = name == NOBODY && !knows_people;
            if !is_used && !is_unasked {
                told.push(without_effect(bundle, id, &name));
            }
        }
        if annotation(bundle, id, "silence").is_some() && annotation(bundle, id, "because").is_none() {
            let message = format!("policy `{id}` does not say why it silences");
            let help = "Add `@because(\"…\")`: whoever reads it next has to know why that is meant.";
            told.push(bundle.policies.problem(id, message).help(help).of_lint(SILENCE));
        }
    }
    told
}

fn without_effect(bundle: &Bundle, id: &str, name: &str) -> AuthorProblem {
    let message = format!("policy `{id}` silences `{name}`, which finds nothing in it");
    let near = nearest(name, SILENCEABLE.iter().copied()).filter(|near| *near != name);
    let help = match near {
        Some(near) => format!("Did you mean `{near}`?"),
        None => "Remove the name: it would hide the next finding.".to_owned(),
    };
    bundle.policies.problem_at(id, name, message).help(help).of_lint(SILENCE)
}

/// The lints that a policy silences.
fn silenced(bundle: &Bundle, id: &str) -> Vec<String> {
    let names = annotation(bundle, id, "silence").unwrap_or_default();
    names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn annotation<'b>(bundle: &'b Bundle, id: &str, name: &str) -> Option<&'b str> {
    let policy = bundle.policies.set.policy(&cedar::PolicyId::new(id))?;
    policy.annotation(name).filter(|text| !text.is_empty())
}
