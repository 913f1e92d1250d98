//! The people of a directory, as far as policies and invariants can tell them apart.
//!
//! Promises: whoever is not told apart here answers every condition that is about the principal alone in the same way. Each such
//! condition is asked of Cedar, once per person.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use cedar_policy as cedar;
use serde_json::Value;

use super::environment::Ground;
use super::invariant::Invariant;
use super::values::collect_variables;
use super::world::World;
use crate::bundle::catalogue::to_uid;
use crate::bundle::current::Snapshot;
use crate::model::principal::{Attested, EntityRef, PRINCIPAL_TYPES};
use crate::pipeline::decide::entities::Gathering;
use crate::workbench::condition::probe;

/// Everybody in a directory, by type.
pub struct People {
    groups: BTreeMap<String, Vec<Group>>,
}

/// People who are not told apart.
#[derive(Clone, Debug)]
pub struct Group {
    /// One of them.
    pub person: EntityRef,
    /// How many they are.
    pub count: usize,
    /// What holds of them, by the condition's text; a condition that fails is not there.
    pub truths: BTreeMap<String, bool>,
}

impl People {
    /// Asks of everybody in the directory what any policy or invariant asks about the principal; the error is about somebody of whom
    /// that cannot be asked.
    pub fn of(ground: &Ground<'_>, invariants: &[Invariant], snapshot: &Snapshot) -> Result<Self, String> {
        let mut groups: BTreeMap<String, Vec<Group>> = BTreeMap::new();
        for kind in PRINCIPAL_TYPES {
            let conditions = conditions(ground, invariants, kind);
            let asked = asked(&conditions).ok_or("a condition cannot be read back")?;
            let mut told: BTreeMap<Vec<Option<bool>>, Group> = BTreeMap::new();
            for person in snapshot.directory.people().filter(|person| person.type_name == *kind) {
                let answers = answers(snapshot, &person, &asked, conditions.len());
                let answers = answers.ok_or_else(|| format!("`{person}` cannot be asked about"))?;
                let group = told.entry(answers).or_insert_with_key(|answers| {
                    let truths = conditions.keys().zip(answers);
                    let truths = truths.filter_map(|(text, truth)| Some((text.clone(), (*truth)?)));
                    Group { person, count: 0, truths: truths.collect() }
                });
                group.count += 1;
            }
            groups.insert((*kind).to_owned(), told.into_values().collect());
        }
        Ok(Self { groups })
    }

    /// Those of a type, as far as these conditions tell them apart.
    pub fn told_apart_by(&self, kind: &str, conditions: &BTreeSet<String>) -> Vec<Group> {
        let mut told: BTreeMap<BTreeMap<String, bool>, Group> = BTreeMap::new();
        for group in self.groups.get(kind).into_iter().flatten() {
            let truths = group.truths.iter().filter(|(text, _)| conditions.contains(*text));
            let truths: BTreeMap<String, bool> = truths.map(|(text, truth)| (text.clone(), *truth)).collect();
            let found = told.entry(truths).or_insert_with_key(|truths| Group {
                person: group.person.clone(),
                count: 0,
                truths: truths.clone(),
            });
            found.count += group.count;
        }
        told.into_values().collect()
    }
}

/// Every condition on a principal of a kind alone, by its text.
fn conditions(ground: &Ground<'_>, invariants: &[Invariant], kind: &str) -> BTreeMap<String, Value> {
    let found = RefCell::new(BTreeMap::new());
    let note = |condition: &Value| {
        if is_about_principal(condition) {
            found.borrow_mut().insert(condition.to_string(), condition.clone());
        }
        None
    };
    let policies = ground.bundle.policies.set.policies();
    let forms = policies.filter_map(|policy| ground.forms.form(policy));
    for form in forms.chain(invariants.iter().map(|invariant| &invariant.probe.form)) {
        for environment in ground.environments.iter().filter(|environment| environment.principal == kind) {
            World::open(environment, &ground.bundle.catalogue).applies_where(form, &note);
        }
    }
    found.into_inner()
}

/// Whether a condition is about the principal and nothing else of the request.
pub fn is_about_principal(condition: &Value) -> bool {
    let mut variables = BTreeSet::new();
    collect_variables(condition, &mut variables);
    variables == BTreeSet::from(["principal"])
}

/// The conditions as policies, by their places.
fn asked(conditions: &BTreeMap<String, Value>) -> Option<cedar::PolicySet> {
    let policies = conditions.values().enumerate();
    let policies = policies.map(|(place, condition)| probe(&place.to_string(), condition));
    cedar::PolicySet::from_policies(policies.collect::<Option<Vec<_>>>()?).ok()
}

/// What holds of a person, condition by condition; `None` for one that fails.
fn answers(
    snapshot: &Snapshot,
    person: &EntityRef,
    asked: &cedar::PolicySet,
    count: usize,
) -> Option<Vec<Option<bool>>> {
    let gathering = Gathering::of(snapshot, person, &Attested::default()).ok()?;
    let (entities, principal) = (gathering.finish().ok()?, to_uid(person)?);
    let action = to_uid(&EntityRef::new("Action", "view"))?;
    let request = cedar::Request::new(principal.clone(), action, principal, cedar::Context::empty(), None);
    let response = cedar::Authorizer::new().is_authorized(&request.ok()?, asked, &entities);
    let mut answers = vec![Some(false); count];
    let place = |id: &cedar::PolicyId| id.to_string().parse::<usize>().ok();
    for id in response.diagnostics().reason() {
        *answers.get_mut(place(id)?)? = Some(true);
    }
    for cedar::AuthorizationError::PolicyEvaluationError(error) in response.diagnostics().errors() {
        *answers.get_mut(place(error.policy_id())?)? = None;
    }
    Some(answers)
}
