//! Lints: what loads and is probably not meant. `lockkeeper check` tells them; a start and a reload never look for them.
//!
//! Promises: each finding is a warning with a stable name, a place and a way out. A policy silences a lint only by name and with a
//! reason, and what silences nothing is a finding of its own.

mod cells;
mod silence;
mod duplicates;
mod overlap;
mod nobody;
mod absence;
mod exposed;
mod derivable;

use crate::bundle::compile::Bundle;
use crate::bundle::directory::Directory;
use crate::config::author::{AuthorProblem, Problems};
use crate::workbench::formula::decided::Conditions;
use cells::Meanings;

/// One finding.
struct Found {
    lint: &'static str,
    /// The policy that can silence it.
    policy: Option<String>,
    problem: AuthorProblem,
}

impl Found {
    /// What a lint found in a policy.
    fn in_policy(bundle: &Bundle, lint: &'static str, id: &str, message: String, help: &str) -> Self {
        let problem = bundle.policies.problem(id, message).help(help).of_lint(lint);
        Self { lint, policy: Some(id.to_owned()), problem }
    }
}

/// Looks at a bundle, and at the people that its policies are for, if they are known; every finding is noted.
pub fn lint(bundle: &Bundle, directory: Option<&Directory>, problems: &mut Problems) {
    let conditions = Conditions::of(bundle);
    let meanings = Meanings::of(&conditions);
    let same = duplicates::groups(bundle);
    let mut found = duplicates::find(bundle, &same);
    found.extend(overlap::never_matching(&meanings));
    found.extend(overlap::shadowed(&meanings, &same));
    found.extend(absence::find(&conditions));
    found.extend(directory.into_iter().flat_map(|directory| nobody::find(&conditions, directory)));
    found.extend(exposed::find(&meanings));
    found.extend(derivable::find(&meanings));
    for problem in silence::apply(bundle, found, directory.is_some()) {
        problems.push(problem);
    }
}

const ABSENCE: &str = "forbid-disarmed-by-absence";
const DERIVABLE: &str = "derivable-field";
const DUPLICATE: &str = "duplicate-policy";
const EXPOSED: &str = "unguarded-set";
const NEVER: &str = "never-matches";
const NOBODY: &str = "nobody-matches";
const SHADOWED: &str = "shadowed-policy";
const SILENCE: &str = "silence-without-effect";

/// What a policy can silence.
const SILENCEABLE: &[&str] = &[ABSENCE, DUPLICATE, EXPOSED, NEVER, NOBODY, SHADOWED];

#[cfg(test)]
mod tests;
