//! The policies of a bundle: parsed, named by their `@id`, validated strictly, with warnings as errors.
//!
//! Cedar numbers policies by place and accepts two with one `@id`; a ledger that names policies cannot.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use cedar_policy as cedar;
use serde_json::Value;

use super::schema::{BundleSchema, from_diagnostic, sentence};
use crate::config::author::{AuthorProblem, Problems, SourceFile, nearest};
use crate::model::principal::PRINCIPAL_TYPES;

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
    for policy in set.policies() {
        let text = policy.to_cedar().unwrap_or_default();
        let at = file.text.find(text.trim()).unwrap_or(0);
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

/// Validates against the joined schema: errors and warnings alike stop the load.
pub fn validate(policies: &Policies, schema: &BundleSchema, problems: &mut Problems) {
    let validator = cedar::Validator::new(schema.schema.clone());
    let result =
        validator.validate_with_level(&policies.set, cedar::ValidationMode::Strict, DEREFERENCE_LEVEL_MAX);
    let mut told = BTreeSet::new();
    // Cedar tells them in another order each time.
    let mut errors: Vec<_> = result.validation_errors().collect();
    errors.sort_by_key(|error| (error.policy_id().to_string(), error.to_string()));
    for error in errors {
        told.insert(error.policy_id().to_string());
        problems.push(located(policies, error.policy_id().as_ref(), error));
    }
    for policy in policies.set.policies() {
        if check_has(policies, policy, schema, problems) {
            told.insert(policy.id().to_string());
        }
    }
    // That a policy with an error in it can never apply is no further problem.
    for warning in result.validation_warnings() {
        if !told.contains(&warning.policy_id().to_string()) {
            let problem = located(policies, warning.policy_id().as_ref(), warning);
            problems.push(problem.help("Warnings stop the load: a guard that can never apply is no guard."));
        }
    }
}

fn located(policies: &Policies, id: &str, error: &(dyn miette::Diagnostic + 'static)) -> AuthorProblem {
    let Some((source, at)) = policies.places.get(id) else {
        return AuthorProblem::error(error.to_string());
    };
    let message = error.to_string();
    // Cedar starts with "for policy `id`, ", which it words differently from place to place.
    let own = message.split_once(", ").filter(|(head, _)| head.starts_with("for policy"));
    let own = own.map_or(message.as_str(), |(_, rest)| rest);
    let problem = policies.problem(id, format!("policy `{id}`: {own}"));
    let label = error.labels().and_then(|mut labels| labels.next());
    // A label on the whole policy says no more than its first line.
    let inside = label.filter(|label| {
        label.offset() > *at && label.offset() + label.len() <= source.text.len() && !label.is_empty()
    });
    let problem = match inside {
        Some(label) => problem.at(source, label.offset()..label.offset() + label.len()),
        None => problem,
    };
    if is_of_kinds(own) {
        return problem.help(KIND_HELP);
    }
    match error.help() {
        Some(help) => problem.help(sentence(&help.to_string())),
        None => problem,
    }
}

/// Whether Cedar says that one kind of principal is not another: the policy does not say which kind it is for.
fn is_of_kinds(message: &str) -> bool {
    let words = || message.split(|c: char| !c.is_alphanumeric());
    let is_named = |kind: &&&str| words().any(|word| word == **kind);
    message.starts_with("the types ") && PRINCIPAL_TYPES.iter().filter(is_named).count() > 1
}

/// Inside `||` or `!(…)` Cedar does not even warn about a `has` of an attribute that nothing declares, and a guard with
/// such a typo never applies. Says whether it found one.
fn check_has(
    policies: &Policies,
    policy: &cedar::Policy,
    schema: &BundleSchema,
    problems: &mut Problems,
) -> bool {
    let id: &str = policy.id().as_ref();
    let Ok(json) = policy.to_json() else { return false };
    let mut names = Vec::new();
    collect_has(&json, &mut names);
    names.retain(|name| !schema.attribute_names.contains(name));
    for name in &names {
        let near = nearest(name, schema.attribute_names.iter().map(String::as_str));
        let help = match near {
            Some(near) => format!("Did you mean `{near}`?"),
            None => "Declare the attribute in the schema, or remove the test.".to_owned(),
        };
        let message =
            format!("policy `{id}`: no type declares the attribute `{name}` that stands after `has`");
        problems.push(policies.problem_at(id, name, message).help(help));
    }
    !names.is_empty()
}

/// From an offset to the end of its line.
fn line_at(source: &SourceFile, at: usize) -> Range<usize> {
    let rest = source.text.get(at..).unwrap_or_default();
    at..at + rest.find('\n').unwrap_or(rest.len())
}

fn collect_has(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                if key == "has" {
                    match inner.get("attr") {
                        Some(Value::String(name)) => names.push(name.clone()),
                        Some(Value::Array(list)) => {
                            names.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
                        }
                        _ => {}
                    }
                }
                collect_has(inner, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_has(item, names)),
        _ => {}
    }
}

/// How many entities deep a policy may look, counted as Cedar does: `resource.owner.position in …` is three.
pub const DEREFERENCE_LEVEL_MAX: u32 = 4;
/// Bytes of a policy's id. Together with [`POLICIES_MAX`] it keeps every entry on a change of bundles within the ledger's limit.
pub const ID_BYTES_MAX: usize = 200;
/// Policies of a bundle.
pub const POLICIES_MAX: usize = 10_000;
const KIND_HELP: &str = "A principal can be a User, a Service or an Agent. Say which this is for, e.g. `principal is User in Role::\"rep\"`.";
