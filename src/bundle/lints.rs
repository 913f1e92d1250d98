//! What Cedar's validator cannot see: ids that nothing has, look-ups that can find nobody.

use std::sync::Arc;

use cedar_policy as cedar;

use super::catalogue::{CATALOGUE_TYPES, Catalogue, from_uid};
use super::directory::Directory;
use super::policies::Policies;
use super::profile::Profile;
use super::profile::convert::Kind;
use super::schema::BundleSchema;
use crate::config::author::{AuthorProblem, Problems, SourceFile, nearest};

/// Checks policies against the catalogue; every finding is noted.
pub fn lint(
    policies: &Policies,
    catalogue: &Catalogue,
    profile: &Profile,
    source: &Arc<SourceFile>,
    problems: &mut Problems,
) {
    literals(policies, catalogue, problems);
    for (name, set) in &profile.field_sets {
        let used = profile.types.iter().flat_map(|t| &t.fields).any(|field| field.sets.contains(name));
        let mut parents = profile.field_sets.values().flat_map(|set| &set.parents);
        if !used && !parents.any(|parent| parent.value == *name) {
            let message = format!("the field set `{name}` holds no field");
            problems.push(AuthorProblem::error(message).at(source, set.span.clone()).of_lint(EMPTY_SET));
        }
    }
}

/// Finds what policies name and the catalogue does not have.
pub fn literals(policies: &Policies, catalogue: &Catalogue, problems: &mut Problems) {
    for policy in policies.set.policies() {
        check_literals(policies, policy, catalogue, problems);
    }
}

/// Warns of people, roles and teams that policies name and the directory does not have: a guard on one never applies.
pub fn people(policies: &Policies, directory: &Directory, problems: &mut Problems) {
    for policy in policies.set.policies() {
        let id: &str = policy.id().as_ref();
        for entity in policy.entity_literals().iter().map(from_uid) {
            let is_elsewhere =
                CATALOGUE_TYPES.contains(&entity.type_name.as_str()) || entity.type_name == "Action";
            if is_elsewhere || directory.contains(&entity) {
                continue;
            }
            let message = format!("policy `{id}`: the directory has no `{entity}`");
            let help = "Correct the name, or add it to the directory; until then this can never apply.";
            problems.push(policies.problem(id, message).help(help).of_lint(UNKNOWN_IN_DIRECTORY));
        }
    }
}

/// Checks that every attribute which refers to an entity can find one: of a type that exists, by an attribute that it has.
pub fn lookups(profile: &Profile, source: &Arc<SourceFile>, schema: &BundleSchema, problems: &mut Problems) {
    let did_you_mean = |near: Option<&str>, otherwise: &str| match near {
        Some(near) => format!("Did you mean `{near}`?"),
        None => otherwise.to_owned(),
    };
    for record_type in &profile.types {
        for attribute in &record_type.attributes {
            let Kind::Entity { type_name, by } = &attribute.conversion.kind else { continue };
            let name = format!("{}.{}", record_type.name, attribute.name);
            let declared = schema.entity_attributes.get(type_name);
            let unknown = by.iter().find(|by| declared.is_some_and(|declared| !declared.contains(*by)));
            let (message, help) = match (declared, unknown) {
                (None, _) => {
                    let near = nearest(type_name, schema.entity_attributes.keys().map(String::as_str));
                    let help =
                        did_you_mean(near, "Name an entity type of the base schema or of the bundle's own.");
                    (format!("`{name}` is a `{type_name}`, which no schema declares"), help)
                }
                (Some(declared), Some(by)) => {
                    let near = nearest(by, declared.iter().map(String::as_str));
                    let help = did_you_mean(
                        near,
                        "Without it nobody is ever found, and every decision that needs it denies.",
                    );
                    (
                        format!(
                            "`{name}` looks for a `{type_name}` by `{by}`, which the schema does not declare for it"
                        ),
                        help,
                    )
                }
                (Some(_), None) => continue,
            };
            problems.push(AuthorProblem::error(message).at(source, attribute.span.clone()).help(help));
        }
    }
}

fn check_literals(
    policies: &Policies,
    policy: &cedar::Policy,
    catalogue: &Catalogue,
    problems: &mut Problems,
) {
    let id: &str = policy.id().as_ref();
    for literal in policy.entity_literals() {
        let entity = from_uid(&literal);
        if !CATALOGUE_TYPES.contains(&entity.type_name.as_str()) || catalogue.entity(&entity).is_some() {
            continue;
        }
        let known = catalogue.references().filter(|e| e.type_name == entity.type_name).map(|e| e.id.as_str());
        let help = match nearest(&entity.id, known) {
            Some(near) => format!("Did you mean `{}::\"{near}\"`?", entity.type_name),
            None => "Declare it in the profile, or correct the name.".to_owned(),
        };
        let message = format!("policy `{id}`: the profile has no `{entity}`, so this can never apply");
        problems.push(policies.problem_at(id, &format!("{entity}"), message).help(help));
    }
}

/// The lint of sets without fields.
pub const EMPTY_SET: &str = "empty-field-set";
/// The lint of people, roles and teams that are not there.
pub const UNKNOWN_IN_DIRECTORY: &str = "unknown-in-directory";
