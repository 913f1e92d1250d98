//! What Cedar's validator cannot see: ids that nothing has, guards that absence disarms.

use cedar_policy as cedar;

use super::catalogue::{CATALOGUE_TYPES, Catalogue, from_uid};
use super::policies::Policies;
use super::profile::Profile;
use crate::config::author::{AuthorProblem, Problems, nearest};

/// Checks policies against the catalogue; every finding is noted.
pub fn lint(policies: &Policies, catalogue: &Catalogue, profile: &Profile, problems: &mut Problems) {
    for policy in policies.set.policies() {
        check_literals(policies, policy, catalogue, problems);
    }
    for (set, _) in profile.field_sets.iter() {
        let used = profile.types.iter().flat_map(|t| &t.fields).any(|field| field.sets.contains(set));
        let holds = profile.field_sets.values().any(|parents| parents.contains(set));
        if !used && !holds {
            problems.push(AuthorProblem::warning(format!("the field set `{set}` holds no field")));
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
        problems.push(policies.problem(id, message).help(help));
    }
}
