//! Policies that never apply, and permits to which another leaves nothing.

use std::collections::BTreeSet;

use super::cells::{Meaning, Meanings};
use super::{Found, NEVER, SHADOWED};

/// Policies that apply to nothing that is ever asked.
pub fn never_matching(meanings: &Meanings<'_>) -> Vec<Found> {
    let found = |meaning: &Meaning<'_>| {
        let id = meaning.id;
        let (message, help) = match meaning.at.values().next() {
            None => (
                format!("policy `{id}` is about what no request asks"),
                "Name an action that is asked, on what it is asked of: the reference of policies lists them.",
            ),
            Some(_) => (
                format!("the condition of policy `{id}` never holds"),
                "Its parts exclude each other, or no field of the types that it is for is in a set that it names.",
            ),
        };
        Found::in_policy(meanings.bundle, NEVER, id, message, help)
    };
    meanings.policies.iter().filter(|meaning| is_never(meaning)).map(found).collect()
}

fn is_never(meaning: &Meaning<'_>) -> bool {
    meaning.at.values().all(|choices| choices.is_false())
}

/// Permits that permit nothing which one other permit does not permit as well.
pub fn shadowed(meanings: &Meanings<'_>, same: &[BTreeSet<String>]) -> Vec<Found> {
    let permits = || meanings.policies.iter().filter(|meaning| meaning.is_permit && !is_never(meaning));
    let are_the_same = |a: &str, b: &str| same.iter().any(|group| group.contains(a) && group.contains(b));
    let found = |narrow: &Meaning<'_>| {
        let leaves_nothing = |wide: &&Meaning<'_>| {
            // Of two that come to the same, the later one is told.
            wide.id != narrow.id
                && is_within(narrow, wide)
                && (wide.id < narrow.id || !is_within(wide, narrow))
                && !are_the_same(narrow.id, wide.id)
        };
        let wide = permits().find(leaves_nothing)?;
        let message = format!("policy `{}` permits nothing that `{}` does not permit", narrow.id, wide.id);
        let help = "Remove it, or narrow the other one if that is too wide.";
        Some(Found::in_policy(meanings.bundle, SHADOWED, narrow.id, message, help))
    };
    permits().filter_map(found).collect()
}

/// Whether a policy applies wherever another does.
fn is_within(narrow: &Meaning<'_>, wide: &Meaning<'_>) -> bool {
    let mut asked = narrow.at.iter().filter(|(_, choices)| !choices.is_false());
    asked.all(|(cell, own)| wide.at.get(cell).is_some_and(|other| own.imply(other)))
}
