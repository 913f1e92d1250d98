//! Looks for a request against a claim without a solver: records whose attributes have the values that policies compare them with,
//! and values next to those.
//!
//! Promises: what is found was decided by Cedar's own authorizer. That nothing is found means nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::environment::Question;
use super::invariant::Invariant;
use super::people::Group;
use super::scene::{Replayed, Scene};
use super::values;
use super::world::World;
use crate::bundle::current::Snapshot;
use crate::bundle::dependencies::Dependencies;
use crate::bundle::profile::convert::Kind;
use crate::model::principal::{Attested, EntityRef, PRINCIPAL_TYPES};
use crate::pipeline::decide::entities::Gathering;

/// What requests are made of.
pub struct Witnesses<'a> {
    question: &'a Question<'a>,
    invariant: &'a Invariant,
    snapshot: &'a Snapshot,
    /// The attributes that matter, with what they are made of.
    attributes: Vec<(String, Kind)>,
    literals: Literals,
}

/// Values that policies write out.
#[derive(Default)]
struct Literals {
    numbers: Vec<i64>,
    texts: Vec<String>,
    decimals: Vec<String>,
    datetimes: Vec<String>,
}

impl<'a> Witnesses<'a> {
    /// Prepares requests of an environment.
    pub fn of(question: &'a Question<'a>, invariant: &'a Invariant, snapshot: &'a Snapshot) -> Self {
        let mut reads = Dependencies::of(&invariant.probe.policy);
        let mut literals = Literals::default();
        literals.collect(&invariant.probe.form);
        for policy in &question.policies {
            let form = policy.to_json().ok();
            reads.add(policy, form.as_ref());
            literals.collect(&form.unwrap_or_default());
        }
        let record_type = question.bundle.profile.type_named(&question.environment.resource);
        let attributes = record_type.into_iter().flat_map(|(_, record_type)| &record_type.attributes);
        let attributes = attributes.filter(|spec| reads.resource_attributes.contains(&spec.name));
        let attributes = attributes.map(|spec| (spec.name.clone(), spec.conversion.kind.clone())).collect();
        Self { question, invariant, snapshot, attributes, literals }
    }

    /// A request by one of a group that is decided against the claim, with what Cedar made of it.
    pub fn find(&self, group: &Group, world: &World<'_>) -> Option<(Scene, Replayed)> {
        let person = &group.person;
        let choices: Vec<(&String, Vec<Option<Value>>)> =
            self.attributes.iter().map(|(name, kind)| (name, self.choices(person, kind))).collect();
        let base = self.base(person, world, &choices)?;
        for number in 0..TRIES_MAX {
            let mut scene = base.clone();
            let mut rest = number;
            let record = scene.entities.entry(scene.resource.clone()).or_default();
            for (name, values) in &choices {
                let value = values.get(rest % values.len().max(1)).cloned().flatten();
                rest /= values.len().max(1);
                record.attributes.extend(value.map(|value| ((*name).clone(), value)));
            }
            if rest > 0 {
                break;
            }
            if scene.contradicts(self.question, self.invariant).is_some() {
                return scene.without_strangers(self.question, self.invariant);
            }
        }
        None
    }

    /// The request without its record, with everybody and everything that the choices refer to.
    fn base(
        &self,
        person: &EntityRef,
        world: &World<'_>,
        choices: &[(&String, Vec<Option<Value>>)],
    ) -> Option<Scene> {
        let environment = self.question.environment;
        let id = if environment.resource == COLLECTION { self.collection()? } else { "1".to_owned() };
        let resource = EntityRef::new(&environment.resource, id);
        let mut gathering = Gathering::of(self.snapshot, person, &Attested::default()).ok()?;
        let values = choices.iter().flat_map(|(_, values)| values).flatten();
        let named = world.named.iter().map(|(_, entity)| entity.clone());
        let known = (environment.resource == COLLECTION).then(|| resource.clone());
        for entity in values.flat_map(values::references).chain(named).chain(known) {
            gathering.add(&entity).ok()?;
        }
        let mut context = BTreeMap::new();
        context.insert("now".to_owned(), values::datetime(NOW));
        for (key, entity) in &world.named {
            let entity = json!({"__entity": {"type": entity.type_name, "id": entity.id}});
            context.insert((*key).to_owned(), entity);
        }
        Some(Scene {
            principal: person.clone(),
            action: EntityRef::new("Action", &environment.action),
            resource,
            context,
            entities: Scene::entities_of(&gathering.finish().ok()?).ok()?,
        })
    }

    fn collection(&self) -> Option<String> {
        let mut all = self.question.bundle.catalogue.references();
        all.find(|entity| entity.type_name == COLLECTION).map(|entity| entity.id.clone())
    }

    /// What an attribute may be; `None` is that it is not there.
    fn choices(&self, person: &EntityRef, kind: &Kind) -> Vec<Option<Value>> {
        let extension = |name: &str, arg: String| json!({"__extn": {"fn": name, "arg": arg}});
        let entity = |entity: &EntityRef| json!({"__entity": {"type": entity.type_name, "id": entity.id}});
        let catalogued = |type_name: &str| {
            let all = self.question.bundle.catalogue.references();
            all.filter(|known| known.type_name == type_name).map(entity).collect()
        };
        let literals = &self.literals;
        let mut values: Vec<Value> = match kind {
            Kind::Bool { .. } => vec![json!(true), json!(false)],
            Kind::Long => literals
                .numbers
                .iter()
                .flat_map(|number| [*number, number + 1, number - 1])
                .map(Value::from)
                .collect(),
            Kind::Text => literals.texts.iter().map(|text| json!(text)).collect(),
            Kind::Decimal(_) => {
                let near = literals.decimals.iter().flat_map(|text| near(text));
                near.map(|text| extension("decimal", text)).collect()
            }
            Kind::Datetime(_) => {
                let all = literals.datetimes.iter().cloned().chain([NOW.to_owned()]);
                all.map(|text| extension("datetime", text)).collect()
            }
            Kind::Stage => catalogued("Stage"),
            Kind::Pipeline => catalogued("Pipeline"),
            Kind::Entity { type_name, .. } => self.candidates(person, type_name).iter().map(entity).collect(),
        };
        values.dedup();
        values.truncate(CHOICES_MAX);
        values.into_iter().map(Some).chain([None]).collect()
    }

    /// Whom an attribute may name: the person, what they are in, and somebody or something else.
    fn candidates(&self, person: &EntityRef, type_name: &str) -> Vec<EntityRef> {
        let directory = &self.snapshot.directory;
        let mut found: Vec<EntityRef> = Vec::new();
        if person.type_name == type_name {
            found.push(person.clone());
        }
        found.extend(
            directory.ancestors(person).into_iter().filter(|above| above.type_name == type_name).take(2),
        );
        let others = match PRINCIPAL_TYPES.contains(&type_name) {
            true => {
                directory.people().filter(|other| other.type_name == type_name).take(OTHERS_MAX).collect()
            }
            false => {
                let ids = directory.ids_of(type_name, OTHERS_MAX).unwrap_or_default();
                ids.into_iter().map(|id| EntityRef::new(type_name, id)).collect::<Vec<_>>()
            }
        };
        for other in others {
            if !found.contains(&other) {
                found.push(other);
            }
        }
        found
    }
}

impl Literals {
    fn collect(&mut self, form: &Value) {
        let argument = |call: &Value| Some(call.get(0)?.get("Value")?.as_str()?.to_owned());
        match form {
            Value::Object(map) => {
                for (key, inner) in map {
                    match (key.as_str(), inner) {
                        ("Value", Value::Number(number)) => self.numbers.extend(number.as_i64()),
                        ("Value", Value::String(text)) => self.texts.push(text.clone()),
                        ("decimal", call) => self.decimals.extend(argument(call)),
                        ("datetime", call) => self.datetimes.extend(argument(call)),
                        _ => self.collect(inner),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            _ => {}
        }
    }
}

/// A decimal, and the ones above and below it.
fn near(text: &str) -> Vec<String> {
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let units = format!("{whole}{places:0<4}").parse::<i64>();
    let Ok(units) = units else { return vec![text.to_owned()] };
    let shown = |units: i64| {
        let sign = if units < 0 { "-" } else { "" };
        format!("{sign}{}.{:04}", units.unsigned_abs() / 10_000, units.unsigned_abs() % 10_000)
    };
    let all = [Some(units), units.checked_add(1), units.checked_sub(1)];
    all.into_iter().flatten().map(shown).collect()
}

/// The type of what stands for all records of a type.
const COLLECTION: &str = "Collection";
/// The time at which requests are made up.
const NOW: &str = "2026-01-01T12:00:00Z";
/// Requests that are tried for one group of people.
const TRIES_MAX: usize = 500;
/// Values of one attribute.
const CHOICES_MAX: usize = 12;
/// People, teams and so on that are nothing to the person.
const OTHERS_MAX: usize = 2;
