//! A request with everything that it refers to, as found against a claim: replayed, made small and readable.
//!
//! Promises: what is shown was decided by Cedar's own authorizer on all policies that decide there, after the last change to it;
//! fields, sets, stages, groups and pipelines in it are the bundle's own.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy as cedar;
use serde_json::{Value, json};

use super::environment::Question;
use super::invariant::{ClaimKind, Invariant};
use super::values::{self, plain, references, renamed};
use crate::bundle::catalogue::{CATALOGUE_TYPES, from_uid, to_uid};
use crate::model::principal::{EntityRef, PRINCIPAL_TYPES};

/// A request, and the entities behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Who asks.
    pub principal: EntityRef,
    /// What for.
    pub action: EntityRef,
    /// On what.
    pub resource: EntityRef,
    /// The context, in Cedar's JSON form.
    pub context: BTreeMap<String, Value>,
    /// Attributes and parents of each entity.
    pub entities: BTreeMap<EntityRef, Known>,
}

/// An entity as a scene knows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Attributes, in Cedar's JSON form.
    pub attributes: BTreeMap<String, Value>,
    /// What it is in.
    pub parents: BTreeSet<EntityRef>,
}

/// What Cedar made of a scene.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Whether the invariant describes the request.
    pub is_described: bool,
    /// Whether it was allowed.
    pub is_allowed: bool,
    /// The policies that determined that.
    pub determining: Vec<String>,
    /// The policies that failed.
    pub failed: Vec<String>,
}

impl Replayed {
    /// Whether it contradicts a claim.
    pub fn contradicts(&self, kind: ClaimKind) -> bool {
        let is_against = match kind {
            ClaimKind::Never => self.is_allowed,
            ClaimKind::Always => !self.is_allowed,
        };
        self.is_described && self.failed.is_empty() && is_against
    }
}

impl Scene {
    /// A request of Cedar's with its entities; the error says what of it is not understood.
    pub fn of(request: &cedar::Request, entities: &cedar::Entities) -> Result<Self, String> {
        let part = |uid: Option<&cedar::EntityUid>| uid.map(from_uid).ok_or("a part of the request is open");
        let context = request.context().ok_or("the context is open")?.to_json_value();
        let context = context.map_err(|error| values::whole(&error))?;
        Ok(Self {
            principal: part(request.principal())?,
            action: part(request.action())?,
            resource: part(request.resource())?,
            context: members(&context),
            entities: Self::entities_of(entities)?,
        })
    }

    /// Cedar's entities without the actions, which the schema adds; the error says what of them is not understood.
    pub fn entities_of(entities: &cedar::Entities) -> Result<BTreeMap<EntityRef, Known>, String> {
        let listed = entities.to_json_value().map_err(|error| values::whole(&error))?;
        let mut found = BTreeMap::new();
        for entity in listed.as_array().into_iter().flatten() {
            let uid = entity.get("uid").and_then(values::entity).ok_or("an entity has no id")?;
            let attributes = entity.get("attrs").map(members);
            let parents = entity.get("parents").and_then(Value::as_array).into_iter().flatten();
            let parents = parents.filter_map(values::entity).collect();
            if uid.type_name != "Action" {
                found.insert(uid, Known { attributes: attributes.unwrap_or_default(), parents });
            }
        }
        Ok(found)
    }

    /// Adds what is referred to and not there, so that nothing fails for want of it.
    pub fn complete(&mut self) {
        let mut waiting: Vec<EntityRef> = vec![self.principal.clone(), self.resource.clone()];
        waiting.extend(self.context.values().flat_map(references));
        for known in self.entities.values() {
            waiting.extend(known.references());
        }
        for entity in waiting {
            let is_person = PRINCIPAL_TYPES.contains(&entity.type_name.as_str());
            self.entities.entry(entity).or_insert_with(|| {
                let active = is_person.then(|| ("active".to_owned(), json!(true)));
                Known { attributes: active.into_iter().collect(), parents: BTreeSet::new() }
            });
        }
    }

    /// Puts the bundle's own entities in place of what stands for them; the error is one that the bundle does not have.
    fn catalogue(&mut self, question: &Question<'_>) -> Result<(), EntityRef> {
        let catalogue = &question.bundle.catalogue;
        let is_catalogued = |entity: &EntityRef| CATALOGUE_TYPES.contains(&entity.type_name.as_str());
        let mut used: BTreeSet<EntityRef> = self.context.values().flat_map(references).collect();
        used.insert(self.resource.clone());
        self.entities.retain(|entity, _| !is_catalogued(entity));
        used.extend(self.entities.values().flat_map(Known::references));
        for entity in used.into_iter().filter(is_catalogued) {
            if catalogue.entity(&entity).is_none() {
                return Err(entity);
            }
            let parents: BTreeSet<EntityRef> = catalogue.ancestors(&entity).cloned().collect();
            for parent in &parents {
                self.entities.entry(parent.clone()).or_default();
            }
            self.entities.insert(entity, Known { parents, ..Known::default() });
        }
        Ok(())
    }

    /// Names entities for what they are, where nothing names them.
    fn rename(&mut self, question: &Question<'_>) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut names: BTreeMap<EntityRef, EntityRef> = BTreeMap::new();
        let all = [self.principal.clone(), self.resource.clone()];
        for entity in all.into_iter().chain(self.entities.keys().cloned()) {
            let type_name = entity.type_name.as_str();
            let is_named = CATALOGUE_TYPES.contains(&type_name) || question.literals.contains(&entity);
            if is_named || names.contains_key(&entity) {
                continue;
            }
            let count = counts.entry(type_name.to_owned()).or_default();
            *count += 1;
            let id = format!("{}-{count}", type_name.to_lowercase());
            names.insert(entity.clone(), EntityRef::new(type_name, id));
        }
        let name = |entity: &EntityRef| names.get(entity).unwrap_or(entity).clone();
        let values = |map: &BTreeMap<String, Value>| -> BTreeMap<String, Value> {
            map.iter().map(|(key, value)| (key.clone(), renamed(value, &name))).collect()
        };
        self.principal = name(&self.principal);
        self.resource = name(&self.resource);
        self.context = values(&self.context);
        let entities = self.entities.iter().map(|(entity, known)| {
            let parents = known.parents.iter().map(name).collect();
            (name(entity), Known { attributes: values(&known.attributes), parents })
        });
        self.entities = entities.collect();
    }

    /// The entities as Cedar's tools take them.
    pub fn entities_json(&self) -> Value {
        let uid = |entity: &EntityRef| json!({"type": entity.type_name, "id": entity.id});
        let entities = self.entities.iter().map(|(entity, known)| {
            let parents: Vec<Value> = known.parents.iter().map(uid).collect();
            json!({"uid": uid(entity), "attrs": known.attributes, "parents": parents})
        });
        entities.collect()
    }

    /// The request as Cedar's tools take it.
    pub fn request_json(&self) -> Value {
        let uid = |entity: &EntityRef| to_uid(entity).map(|uid| uid.to_string());
        json!({
            "principal": uid(&self.principal),
            "action": uid(&self.action),
            "resource": uid(&self.resource),
            "context": self.context,
        })
    }

    /// What Cedar decides of it, on all policies that decide there; the error says why it is no request.
    pub fn replay(&self, question: &Question<'_>, invariant: &Invariant) -> Result<Replayed, String> {
        let schema = &question.bundle.schema.schema;
        let entities = cedar::Entities::from_json_value(self.entities_json(), Some(schema));
        let entities = entities.map_err(|error| values::whole(&error))?;
        let uid = |entity: &EntityRef| to_uid(entity).ok_or_else(|| format!("`{entity}` is no entity"));
        let action = uid(&self.action)?;
        let context = cedar::Context::from_json_value(json!(self.context), Some((schema, &action)));
        let context = context.map_err(|error| values::whole(&error))?;
        let (principal, resource) = (uid(&self.principal)?, uid(&self.resource)?);
        let request = cedar::Request::new(principal, action, resource, context, Some(schema));
        let request = request.map_err(|error| values::whole(&error))?;
        let probe = cedar::PolicySet::from_policies([invariant.probe.policy.clone()]);
        let probe = probe.map_err(|error| values::whole(&error))?;
        let authorizer = cedar::Authorizer::new();
        let described = authorizer.is_authorized(&request, &probe, &entities);
        let decided = authorizer.is_authorized(&request, &question.slice.policies, &entities);
        let mut determining: Vec<String> = decided.diagnostics().reason().map(ToString::to_string).collect();
        determining.sort();
        let failed = decided.diagnostics().errors();
        let failed = failed.map(|cedar::AuthorizationError::PolicyEvaluationError(error)| error.policy_id());
        Ok(Replayed {
            is_described: described.decision() == cedar::Decision::Allow,
            is_allowed: decided.decision() == cedar::Decision::Allow,
            determining,
            failed: failed.map(ToString::to_string).collect(),
        })
    }

    /// The same as the bundle has it, as small as it still contradicts the claim, with what Cedar made of it; the error says why it
    /// does not contradict it.
    pub fn settled(
        mut self,
        question: &Question<'_>,
        invariant: &Invariant,
    ) -> Result<(Self, Replayed), String> {
        if let Err(entity) = self.catalogue(question) {
            return Err(format!(
                "the example that was found needs `{entity}`, which the profile does not have"
            ));
        }
        self.complete();
        let contradicts = |scene: &Self| scene.contradicts(question, invariant);
        let Some(mut replayed) = contradicts(&self) else {
            return Err(
                "the example that was found is none with the fields and stages of the profile".to_owned()
            );
        };
        let mut readable = self.clone();
        readable.rename(question);
        if let Some(found) = contradicts(&readable) {
            (self, replayed) = (readable, found);
        }
        let mut number = 0;
        for _ in 0..TRIES_MAX {
            let Some(smaller) = self.without(number) else { break };
            match contradicts(&smaller).filter(|_| smaller != self) {
                Some(found) => (self, replayed) = (smaller, found),
                None => number += 1,
            }
        }
        Ok(self.clone().without_strangers(question, invariant).unwrap_or((self, replayed)))
    }

    /// The scene without one of its parts, by number; `None` past the last.
    fn without(&self, number: usize) -> Option<Self> {
        let mut scene = self.clone();
        let mut rest = number;
        if let Some(key) = self.context.keys().nth(rest).cloned() {
            match key == NOW {
                true => scene.context.insert(key, values::datetime(PLAIN_NOW)),
                false => scene.context.remove(&key),
            };
            return Some(scene);
        }
        rest -= self.context.len();
        for (entity, known) in &self.entities {
            if CATALOGUE_TYPES.contains(&entity.type_name.as_str()) {
                continue;
            }
            let attributes = known.attributes.len();
            let parts = attributes + known.parents.len();
            if rest >= parts {
                rest -= parts;
                continue;
            }
            let inner = scene.entities.get_mut(entity)?;
            if let Some(key) = known.attributes.keys().nth(rest) {
                inner.attributes.remove(key);
            } else if let Some(parent) = known.parents.iter().nth(rest - attributes) {
                inner.parents.remove(parent);
            }
            return Some(scene);
        }
        None
    }

    /// The scene without what nothing in it refers to, if it still contradicts the claim.
    pub fn without_strangers(
        mut self,
        question: &Question<'_>,
        invariant: &Invariant,
    ) -> Option<(Self, Replayed)> {
        loop {
            let strangers: Vec<EntityRef> =
                self.entities.keys().filter(|entity| !self.refers_to(entity)).cloned().collect();
            if strangers.is_empty() {
                let replayed = self.contradicts(question, invariant)?;
                return Some((self, replayed));
            }
            self.entities.retain(|entity, _| !strangers.contains(entity));
        }
    }

    /// What Cedar makes of it, if that contradicts the claim.
    pub fn contradicts(&self, question: &Question<'_>, invariant: &Invariant) -> Option<Replayed> {
        let replayed = self.replay(question, invariant).ok()?;
        replayed.contradicts(invariant.kind).then_some(replayed)
    }

    fn refers_to(&self, entity: &EntityRef) -> bool {
        let context = self.context.values().flat_map(references);
        let known = self.entities.iter().filter(|(other, _)| *other != entity);
        let mut all = known.flat_map(|(_, known)| known.references()).chain(context);
        *entity == self.principal || *entity == self.resource || all.any(|other| other == *entity)
    }
}

impl Known {
    /// What it refers to.
    fn references(&self) -> Vec<EntityRef> {
        let mut found = self.attributes.values().flat_map(references).collect::<Vec<_>>();
        found.extend(self.parents.iter().cloned());
        found
    }
}

/// What a record holds, by name.
fn members(record: &Value) -> BTreeMap<String, Value> {
    let members = record.as_object().into_iter().flatten();
    members.map(|(key, value)| (key.clone(), plain(value))).collect()
}

/// The key of the context that is the time.
const NOW: &str = "now";
/// A time that says nothing by itself.
const PLAIN_NOW: &str = "2026-01-01T12:00:00Z";
/// Parts that are left out for a try.
const TRIES_MAX: usize = 500;
