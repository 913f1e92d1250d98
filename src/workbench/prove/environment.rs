//! Request environments: the kinds of principal and resource that an action is asked with, and what the catalogue says of them.
//!
//! Promises: every environment in which the service decides is told, and none in which nothing asks.

use std::collections::BTreeSet;
use std::str::FromStr;

use cedar_policy as cedar;
use serde_json::Value;

use super::invariant::Probe;
use super::values::collect_variables;
use super::world::{World, signature, worlds};
use crate::bundle::catalogue::{from_uid, to_uid};
use crate::bundle::compile::Bundle;
use crate::bundle::dependencies::Dependencies;
use crate::bundle::forms::Forms;
use crate::bundle::profile::convert::Kind;
use crate::bundle::slices::{FIELD_ACTIONS, Slice, action_applies, action_groups};
use crate::model::access::{Action, Scope};
use crate::model::principal::{EntityRef, PRINCIPAL_TYPES};

/// One environment.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The principal's type.
    pub principal: String,
    /// The action's name.
    pub action: String,
    /// The resource's type.
    pub resource: String,
    /// Keys of the context that name something of the catalogue, and what they can name.
    pub named: Vec<(&'static str, Vec<EntityRef>)>,
}

/// A bundle, and what is worked out of it once.
pub struct Ground<'a> {
    /// The bundle.
    pub bundle: &'a Bundle,
    /// Its policies in Cedar's JSON form.
    pub forms: Forms,
    /// Every environment that the service asks in.
    pub environments: Vec<Environment>,
}

/// What of a bundle can matter to an invariant in an environment.
pub struct Question<'a> {
    /// The bundle.
    pub bundle: &'a Bundle,
    /// The environment.
    pub environment: &'a Environment,
    /// The policies that decide there.
    pub slice: &'a Slice,
    /// The worlds in which the invariant may describe a request; never empty.
    pub worlds: Vec<World<'a>>,
    /// The policies of the slice that may apply in one of them, by id.
    pub policies: Vec<&'a cedar::Policy>,
    /// What these and the invariant name.
    pub literals: BTreeSet<EntityRef>,
    compares_fields: bool,
}

/// What an answer follows from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grounds {
    principal: String,
    resource: String,
    context: String,
    policies: Vec<String>,
}

impl<'a> Ground<'a> {
    /// Works it out.
    pub fn of(bundle: &'a Bundle) -> Self {
        let forms = Forms::of(&bundle.policies.set);
        Self { bundle, forms, environments: environments(bundle) }
    }
}

fn environments(bundle: &Bundle) -> Vec<Environment> {
    let record_types = || bundle.profile.types.iter().map(|record_type| record_type.name.as_str());
    let mut asked: Vec<(&str, &str)> = Vec::new();
    for action in Action::ALL {
        match action.scope() {
            Scope::Collection => asked.push((action.name(), COLLECTION)),
            Scope::RecordRead | Scope::RecordWrite => {
                asked.extend(record_types().map(|name| (action.name(), name)));
            }
        }
    }
    asked.extend(FIELD_ACTIONS.iter().flat_map(|action| record_types().map(|name| (*action, name))));
    let environments = asked.into_iter().flat_map(|(action, resource)| {
        PRINCIPAL_TYPES.iter().map(move |principal| Environment {
            principal: (*principal).to_owned(),
            action: action.to_owned(),
            resource: resource.to_owned(),
            named: named(bundle, action, resource),
        })
    });
    environments.collect()
}

/// What the context of an action names of the catalogue.
fn named(bundle: &Bundle, action: &str, resource: &str) -> Vec<(&'static str, Vec<EntityRef>)> {
    if FIELD_ACTIONS.contains(&action) {
        let record_type = bundle.profile.types.iter().find(|record_type| record_type.name == resource);
        let fields = record_type.into_iter().flat_map(|record_type| {
            let described = (0..record_type.fields.len()).map(|index| record_type.field_name(index));
            described.chain([record_type.unclassified_name()])
        });
        return vec![("field", fields.map(|name| EntityRef::new("Field", name)).collect())];
    }
    match action == Action::MoveStage.name() {
        true => vec![("from", entities_of(bundle, "Stage")), ("to", entities_of(bundle, "Stage"))],
        false => Vec::new(),
    }
}

/// Everything of a type that the catalogue has.
fn entities_of(bundle: &Bundle, type_name: &str) -> Vec<EntityRef> {
    bundle.catalogue.references().filter(|entity| entity.type_name == type_name).cloned().collect()
}

impl Environment {
    /// Its name in reports.
    pub fn name(&self) -> String {
        format!("{}, {}, {}", self.principal, self.action, self.resource)
    }

    /// Cedar's own form.
    pub fn to_cedar(&self) -> Option<cedar::RequestEnv> {
        let name = |name: &str| cedar::EntityTypeName::from_str(name).ok();
        let action = to_uid(&EntityRef::new("Action", &self.action))?;
        Some(cedar::RequestEnv::new(name(&self.principal)?, action, name(&self.resource)?))
    }
}

impl<'a> Question<'a> {
    /// Asks of an invariant in an environment; `None` if it describes no request there.
    pub fn of(ground: &'a Ground<'a>, environment: &'a Environment, probe: &Probe) -> Option<Self> {
        let bundle = ground.bundle;
        let groups = action_groups(&environment.action, &bundle.schema.schema);
        if !action_applies(&probe.policy, &groups) {
            return None;
        }
        let slice = bundle.slices.of(&environment.action, &environment.resource)?;
        let mut literals = probe.literals.clone();
        for policy in slice.policies.policies() {
            literals.extend(policy.entity_literals().iter().map(from_uid));
        }
        let mut worlds = worlds(environment, &bundle.catalogue, &literals);
        worlds.retain(|world| world.applies(&probe.form) != Some(false));
        let may_apply = |policy: &&cedar::Policy| {
            let form = ground.forms.form(policy);
            worlds.iter().any(|world| form.is_none_or(|form| world.applies(form) != Some(false)))
        };
        let mut policies: Vec<&cedar::Policy> = slice.policies.policies().filter(may_apply).collect();
        policies.sort_by_cached_key(|policy| policy.id().to_string());
        let mut literals = probe.literals.clone();
        let mut reads = Dependencies::of(&probe.policy);
        for policy in &policies {
            literals.extend(policy.entity_literals().iter().map(from_uid));
            reads.add(policy, ground.forms.form(policy));
        }
        let compares_fields = reads.reads_field_opaquely;
        let question = Self { bundle, environment, slice, worlds, policies, literals, compares_fields };
        (!question.worlds.is_empty()).then_some(question)
    }

    /// What the answer follows from, if not from the action itself: environments with the same of it have the same answer.
    pub fn grounds(&self, ground: &Ground<'_>, probe: &Probe) -> Option<Grounds> {
        let policies: Vec<&cedar::Policy> = self.slice.policies.policies().collect();
        let forms = policies.iter().map(|policy| ground.forms.form(policy));
        let forms: Vec<&Value> = forms.chain([Some(&probe.form)]).collect::<Option<_>>()?;
        let mut variables = BTreeSet::new();
        forms.into_iter().for_each(|form| collect_variables(form, &mut variables));
        let context = self.bundle.schema.context_of(&self.environment.action)?.to_string();
        let (principal, resource) = (self.environment.principal.clone(), self.environment.resource.clone());
        let mut policies: Vec<String> = policies.iter().map(|policy| policy.id().to_string()).collect();
        policies.sort();
        (!variables.contains("action")).then_some(Grounds { principal, resource, context, policies })
    }

    /// The policies that may apply, of an effect.
    pub fn of_effect(&self, effect: cedar::Effect) -> impl Iterator<Item = &'a cedar::Policy> + '_ {
        self.policies.iter().copied().filter(move |policy| policy.effect() == effect)
    }

    /// What the catalogue says of the requests of this environment, as conditions in Cedar.
    pub fn catalogued(&self) -> Vec<String> {
        let environment = self.environment;
        let mut conditions: Vec<String> = Vec::new();
        for (key, candidates) in &environment.named {
            conditions.extend(self.one_of(&format!("context.{key}"), candidates));
        }
        if environment.resource == COLLECTION {
            conditions.extend(self.one_of("resource", &entities_of(self.bundle, COLLECTION)));
        }
        let record_type = self.bundle.profile.type_named(&environment.resource);
        for attribute in record_type.into_iter().flat_map(|(_, record_type)| &record_type.attributes) {
            let candidates = match attribute.conversion.kind {
                Kind::Stage => entities_of(self.bundle, "Stage"),
                Kind::Pipeline => entities_of(self.bundle, "Pipeline"),
                _ => continue,
            };
            let name = format!("{:?}", attribute.name);
            let is_one = self.one_of(&format!("resource[{name}]"), &candidates);
            conditions.extend(is_one.map(|is_one| format!("if resource has {name} then {is_one} else true")));
        }
        conditions
    }

    /// That an expression is one of the candidates, in the groups in which that is, as far as anything here can tell.
    fn one_of(&self, at: &str, candidates: &[EntityRef]) -> Option<String> {
        let catalogue = &self.bundle.catalogue;
        let mut told = BTreeSet::new();
        let mut each = Vec::new();
        for candidate in candidates {
            // Fields that nothing here can tell apart stand for each other. Stages may be compared with each other.
            let stands_alone = candidate.type_name != "Field" || self.compares_fields;
            if !stands_alone && !told.insert(signature(catalogue, candidate, &self.literals)) {
                continue;
            }
            let mut one = format!("{at} == {}", to_uid(candidate)?);
            for group in self.literals.iter().filter(|literal| is_group(candidate, literal)) {
                let not = if catalogue.is_in(candidate, group) { "" } else { "!" };
                one.push_str(&format!(" && {not}({at} in {})", to_uid(group)?));
            }
            each.push(format!("({one})"));
        }
        (!each.is_empty()).then(|| each.join(" || "))
    }
}

/// Whether an entity is of a type whose members the other's type may hold.
fn is_group(candidate: &EntityRef, group: &EntityRef) -> bool {
    match candidate.type_name.as_str() {
        "Field" => group.type_name == "FieldSet",
        "Stage" => matches!(group.type_name.as_str(), "Pipeline" | "StageGroup"),
        _ => false,
    }
}

/// The type of what stands for all records of a type.
const COLLECTION: &str = "Collection";
