//! Validates policies strictly against the joined schema; warnings stop the load as errors do.
//!
//! Cedar's validator looks at every policy in every environment of a request: kind of principal, action, type. Promises: a
//! policy whose scope names its actions is looked at in the environments of those alone, with the same findings; all
//! others could only ever be told that its scope does not hold there.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy as cedar;
use serde_json::Value;

use super::forms::Forms;
use super::policies::Policies;
use super::schema::{BundleSchema, sentence};
use super::slices::{action_applies, action_groups};
use crate::config::author::{AuthorProblem, Problems, nearest};
use crate::model::principal::PRINCIPAL_TYPES;

/// Validates all policies; every problem is noted.
pub fn validate(policies: &Policies, forms: &Forms, schema: &BundleSchema, problems: &mut Problems) {
    let results = by_actions(&policies.set, schema);
    let mut told = BTreeSet::new();
    // Cedar tells them in another order each time.
    let mut errors: Vec<_> = results.iter().flat_map(cedar::ValidationResult::validation_errors).collect();
    errors.sort_by_key(|error| (error.policy_id().to_string(), error.to_string()));
    for error in errors {
        told.insert(error.policy_id().to_string());
        problems.push(located(policies, error.policy_id().as_ref(), error));
    }
    for policy in policies.set.policies() {
        if check_has(policies, policy, forms, schema, problems) {
            told.insert(policy.id().to_string());
        }
    }
    // That a policy with an error in it can never apply is no further problem.
    let mut warnings: Vec<_> =
        results.iter().flat_map(cedar::ValidationResult::validation_warnings).collect();
    warnings.sort_by_key(|warning| (warning.policy_id().to_string(), warning.to_string()));
    for warning in warnings {
        if !told.contains(&warning.policy_id().to_string()) {
            let problem = located(policies, warning.policy_id().as_ref(), warning);
            problems.push(problem.help("Warnings stop the load: a guard that can never apply is no guard."));
        }
    }
}

/// What Cedar finds, policies with the same actions together.
fn by_actions(policies: &cedar::PolicySet, schema: &BundleSchema) -> Vec<cedar::ValidationResult> {
    let groups: BTreeMap<&str, _> =
        schema.actions.iter().map(|name| (name.as_str(), action_groups(name, &schema.schema))).collect();
    let mut parts: BTreeMap<Vec<&str>, cedar::PolicySet> = BTreeMap::new();
    for policy in policies.policies() {
        let actions = groups.iter().filter(|(_, groups)| action_applies(policy, groups));
        // Ids are unique in the whole set, so adding to a part of it cannot fail.
        let _ = parts.entry(actions.map(|(name, _)| *name).collect()).or_default().add(policy.clone());
    }
    let validated = parts.iter().map(|(actions, part)| {
        let is_whole = actions.is_empty() || actions.len() == schema.actions.len();
        let narrowed = if is_whole { None } else { schema.narrowed(actions) };
        let validator = cedar::Validator::new(narrowed.unwrap_or_else(|| schema.schema.clone()));
        validator.validate_with_level(part, cedar::ValidationMode::Strict, DEREFERENCE_LEVEL_MAX)
    });
    validated.collect()
}

fn located(policies: &Policies, id: &str, error: &(dyn miette::Diagnostic + 'static)) -> AuthorProblem {
    let Some((source, at)) = policies.start(id) else {
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
        label.offset() > at && label.offset() + label.len() <= source.text.len() && !label.is_empty()
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
    forms: &Forms,
    schema: &BundleSchema,
    problems: &mut Problems,
) -> bool {
    let id: &str = policy.id().as_ref();
    let Some(form) = forms.form(policy) else { return false };
    let mut names = Vec::new();
    collect_has(form, &mut names);
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
const KIND_HELP: &str = "A principal can be a User, a Service or an Agent. Say which this is for, e.g. `principal is User in Role::\"rep\"`.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::profile::Profile;
    use crate::bundle::schema;
    use crate::config::author::SourceFile;

    const PROFILE: &str = "profile = 1\n\
        [pipelines.sales.stages]\nlead = { groups = [\"open\"] }\n\
        [field_sets]\nmoney = []\n\
        [types.Deal]\nid = \"id\"\n[types.Deal.attributes]\nowner = { as = \"User\" }\namount = { as = \"decimal\" }\n\
        [types.Deal.fields]\namount = { sets = [\"money\"] }\n\
        [types.Note]\nid = \"id\"\n[types.Note.attributes]\ntext = { as = \"string\" }\n\
        [types.Note.fields]\ntext = { sets = [\"money\"] }\n\
        [[routes]]\nmatch = \"GET /deals/{id:int}\"\naction = \"view\"\nrecords = { at = \"$\", type = \"Deal\", complete = true }\n";
    const CUSTOMER: &str =
        "entity Deal { owner?: User, amount?: decimal };\nentity Note { text?: String };\n";

    fn joined() -> BundleSchema {
        let mut problems = Problems::default();
        let (profile, customer) =
            (SourceFile::new("profile.toml", PROFILE), SourceFile::new("crm.cedarschema", CUSTOMER));
        let loaded = Profile::load(&profile, &mut problems);
        let schema = loaded.and_then(|loaded| schema::join(&loaded, &profile, &customer, &mut problems));
        schema.unwrap_or_else(|| panic!("{problems}"))
    }

    /// Every scope with every condition, sound or not.
    fn every_policy() -> cedar::PolicySet {
        let principals = ["principal", "principal is User", "principal in Role::\"r\"", "principal is Deal"];
        let actions = [
            "action",
            "action == Action::\"view\"",
            "action == Action::\"readField\"",
            "action == Action::\"moveStage\"",
            "action == Action::\"list\"",
            "action == Action::\"recordRead\"",
            "action in Action::\"recordRead\"",
            "action in [Action::\"fieldRead\", Action::\"export\"]",
            "action == Action::\"lok\"",
        ];
        let resources = [
            "resource",
            "resource is Deal",
            "resource is Note",
            "resource is Stage",
            "resource == Deal::\"1\"",
            "resource is Dael",
        ];
        let conditions = [
            "true",
            "resource has owner && resource.owner == principal",
            "resource.owner == principal",
            "resource has amount && resource.amount",
            "context.field in FieldSet::\"money\"",
            "context has proposed && context.proposed has amount",
            "context.from == context.to",
            "principal.active && false",
            "resource has owner && resource.owner has position && resource.owner.position in principal.position",
            "1 + \"a\" == 2",
            "context.count > 10",
        ];
        let mut set = cedar::PolicySet::new();
        let mut add = |scope: [&str; 3], condition: &str| {
            let text = format!("permit ({}, {}, {}) when {{ {condition} }};", scope[0], scope[1], scope[2]);
            let id = cedar::PolicyId::new(text.replace('"', "'"));
            set.add(cedar::Policy::parse(Some(id), text).unwrap()).unwrap();
        };
        for principal in principals {
            for action in actions {
                for resource in resources {
                    conditions.iter().for_each(|condition| add([principal, action, resource], condition));
                }
            }
        }
        set
    }

    fn told(results: &[cedar::ValidationResult]) -> BTreeSet<String> {
        let errors =
            results.iter().flat_map(|result| result.validation_errors()).map(|it| format!("error: {it}"));
        let warnings =
            results.iter().flat_map(|result| result.validation_warnings()).map(|it| it.to_string());
        errors.chain(warnings).collect()
    }

    #[test]
    fn what_is_narrowed_finds_what_the_whole_finds() {
        let (schema, policies) = (joined(), every_policy());
        let validator = cedar::Validator::new(schema.schema.clone());
        let whole =
            validator.validate_with_level(&policies, cedar::ValidationMode::Strict, DEREFERENCE_LEVEL_MAX);
        let (whole, parts) = (told(&[whole]), told(&by_actions(&policies, &schema)));
        let differing: Vec<_> = whole.symmetric_difference(&parts).take(5).collect();
        assert!(differing.is_empty(), "{differing:#?}");
        assert!(whole.len() > policies.policies().count() / 2 && by_actions(&policies, &schema).len() > 5);
    }
}
