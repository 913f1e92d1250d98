//! The policies of a bundle: parsed, and named by their `@id`.
//!
//! Cedar numbers policies by place and accepts two with one `@id`; a ledger that names policies cannot.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use cedar_policy as cedar;

use super::schema::from_diagnostic;
use crate::config::author::{AuthorProblem, Problems, SourceFile};

/// All policies of a bundle.
#[derive(Debug, Default)]
pub struct Policies {
    /// Cedar's own form, ids being the `@id` annotations.
    pub set: cedar::PolicySet,
    /// What `@reason` says, by policy id.
    pub reasons: BTreeMap<String, String>,
    /// Each policy's text, by id, for comparing revisions.
    pub texts: BTreeMap<String, String>,
    places: BTreeMap<String, (Arc<SourceFile>, usize)>,
}

impl Policies {
    /// Every policy id, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }

    /// A problem of a policy, at its first line.
    pub fn problem(&self, id: &str, message: impl Into<String>) -> AuthorProblem {
        let problem = AuthorProblem::error(message);
        match self.places.get(id) {
            Some((source, at)) => problem.at(source, line_at(source, *at)),
            None => problem,
        }
    }

    /// A problem of a policy, at the first place in it where that text stands.
    pub fn problem_at(&self, id: &str, text: &str, message: impl Into<String>) -> AuthorProblem {
        let problem = self.problem(id, message);
        let Some(((source, at), whole)) = self.places.get(id).zip(self.texts.get(id)) else { return problem };
        let own = source.text.get(*at..).and_then(|rest| rest.get(..whole.trim().len()));
        match own.and_then(|own| own.find(text)) {
            Some(inside) => problem.at(source, at + inside..at + inside + text.len()),
            None => problem,
        }
    }

    /// The file that a policy stands in, and where it begins there.
    pub(super) fn start(&self, id: &str) -> Option<(&Arc<SourceFile>, usize)> {
        self.places.get(id).map(|(source, at)| (source, *at))
    }

    /// Where a policy stands, as `policies/deals.cedar:14`.
    pub fn place(&self, id: &str) -> Option<String> {
        let (source, at) = self.places.get(id)?;
        Some(format!("{}:{}", source.name, source.line_of(*at)))
    }
}

/// Parses every file; every problem is noted.
pub fn load(files: &[Arc<SourceFile>], problems: &mut Problems) -> Policies {
    let mut policies = Policies::default();
    for file in files {
        match file.text.parse::<cedar::PolicySet>() {
            Ok(set) => add_file(&mut policies, file, &set, problems),
            Err(errors) => {
                for error in errors.iter() {
                    problems.push(from_diagnostic(error, file));
                }
            }
        }
    }
    let count = policies.texts.len();
    if count > POLICIES_MAX {
        let message = format!("there are {count} policies, more than {POLICIES_MAX}");
        let help = "Say what many have in common once, by attributes and groups.";
        problems.push(AuthorProblem::error(message).help(help));
    }
    policies
}

fn add_file(
    policies: &mut Policies,
    file: &Arc<SourceFile>,
    set: &cedar::PolicySet,
    problems: &mut Problems,
) {
    for template in set.templates() {
        let message =
            format!("the policy `{}` has slots", template.annotation("id").unwrap_or("without @id"));
        let help = "Write it out for each principal group; templates are not linked here.";
        let at = file.text.find(template.to_cedar().trim()).unwrap_or(0);
        problems.push(AuthorProblem::error(message).at(file, line_at(file, at)).help(help));
    }
    let mut end = 0;
    for policy in in_order(set) {
        let text = policy.to_cedar().unwrap_or_default();
        // Each is looked for behind the one before: from the beginning, many policies would take the square of their number.
        let rest = file.text.get(end..).unwrap_or_default();
        let at = end + rest.find(text.trim()).unwrap_or(0);
        end = at + text.trim().len();
        let Some(id) = policy.annotation("id").filter(|id| !id.is_empty()) else {
            let help = "Every policy carries a unique `@id(\"…\")`: the ledger names policies by it.";
            let problem = AuthorProblem::error("a policy has no `@id`");
            problems.push(problem.at(file, line_at(file, at)).help(help));
            continue;
        };
        if id.len() > ID_BYTES_MAX || id.chars().any(char::is_control) {
            let message = format!("an `@id` of {} bytes cannot be recorded", id.len());
            let help = format!(
                "At most {ID_BYTES_MAX} bytes without control characters: the ledger names policies by it."
            );
            problems.push(AuthorProblem::error(message).at(file, line_at(file, at)).help(help));
            continue;
        }
        if let Some((other, other_at)) = policies.places.get(id) {
            let message =
                format!("the id `{id}` is taken by a policy at {}:{}", other.name, other.line_of(*other_at));
            let problem = AuthorProblem::error(message).at(file, line_at(file, at));
            problems.push(problem.help("Give each policy its own `@id`."));
            continue;
        }
        policies.places.insert(id.to_owned(), (Arc::clone(file), at));
        if let Some(reason) = policy.annotation("reason") {
            policies.reasons.insert(id.to_owned(), reason.to_owned());
        }
        policies.texts.insert(id.to_owned(), text);
        if let Err(error) = policies.set.add(policy.new_id(cedar::PolicyId::new(id))) {
            problems.push(AuthorProblem::error(error.to_string()).at(file, at..at + 1));
        }
    }
}

/// Policies as they stand in their file, by the numbers that Cedar gives them.
fn in_order(set: &cedar::PolicySet) -> Vec<&cedar::Policy> {
    let place = |policy: &&cedar::Policy| {
        let id: &str = policy.id().as_ref();
        id.strip_prefix("policy").and_then(|number| number.parse::<usize>().ok())
    };
    let mut policies: Vec<&cedar::Policy> = set.policies().collect();
    policies.sort_by_cached_key(place);
    policies
}

/// From an offset to the end of its line.
fn line_at(source: &SourceFile, at: usize) -> Range<usize> {
    let rest = source.text.get(at..).unwrap_or_default();
    at..at + rest.find('\n').unwrap_or(rest.len())
}

/// Bytes of a policy's id. Together with [`POLICIES_MAX`] it keeps every entry on a change of bundles within the ledger's limit.
pub const ID_BYTES_MAX: usize = 200;
/// Policies of a bundle.
pub const POLICIES_MAX: usize = 10_000;
