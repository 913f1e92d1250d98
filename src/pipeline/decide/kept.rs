//! Under what a verdict of plain Cedar is kept: everything that it read.
//!
//! A verdict that read something that is not part of the key is not kept at all.

use std::collections::BTreeSet;

use crate::bundle::current::Snapshot;
use crate::bundle::dependencies::Dependencies;
use crate::bundle::slices::GATE_ACTIONS;
use crate::model::principal::{Asker, Attested, EntityRef};
use crate::model::record::{Attribute, AttributeValue, RecordFacts};

/// The key of a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VerdictKey {
    generation: u64,
    principal: EntityRef,
    attested: Attested,
    type_name: String,
    identity: Option<String>,
    time: Vec<i8>,
    values: String,
}

impl VerdictKey {
    /// Of what is asked; `None` if the verdict must not be kept.
    pub fn of(snapshot: &Snapshot, asker: &Asker, facts: &RecordFacts) -> Option<Self> {
        // A policy may come to the record by the directory as well, and what it reads there is not part of the key.
        if snapshot.directory.knows_type(&facts.type_name) {
            return None;
        }
        let mut time = Vec::new();
        let mut reads_identity = false;
        for action in GATE_ACTIONS {
            let Some(slice) = snapshot.bundle.slices.of(action, &facts.type_name) else { continue };
            let dependencies = &slice.dependencies;
            // Whatever else of the context a policy reads is not part of the key.
            let is_kept = |key: &String| KEPT_CONTEXT.contains(&key.as_str());
            let reads_more = !dependencies.context_keys.iter().all(is_kept);
            if dependencies.now.is_opaque || dependencies.reads_whole_context || reads_more {
                return None;
            }
            reads_identity |= dependencies.reads_identity;
            time_places(snapshot, asker, dependencies, facts, &mut time)?;
        }
        let needed: &BTreeSet<String> = &snapshot.bundle.slices.needs(&facts.type_name).names;
        let (_, record_type) = snapshot.bundle.profile.type_named(&facts.type_name)?;
        let attributes = record_type.attributes.iter().zip(&facts.attributes);
        let values = attributes.filter(|(spec, _)| needed.contains(&spec.name));
        let values = values.map(|(spec, value)| (&spec.name, value)).collect::<Vec<_>>();
        Some(Self {
            generation: snapshot.generation,
            principal: asker.entity.clone(),
            attested: asker.attested.clone(),
            type_name: facts.type_name.clone(),
            identity: reads_identity.then(|| facts.id.clone()),
            time,
            values: format!("{values:?}"),
        })
    }
}

/// What is asked of every record of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kept {
    /// All that a record's verdict says.
    Verdict,
    /// One action.
    Action(&'static str),
}

/// The key of what holds on every record of a type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlwaysKey {
    generation: u64,
    principal: EntityRef,
    attested: Attested,
    type_name: String,
    kept: Kept,
    field: Option<String>,
    time: Vec<i8>,
    /// The time itself, where policies use it in other ways than to compare it.
    moment: Option<i64>,
}

impl AlwaysKey {
    /// Of what is asked. Beside the time the key has all of the context, and with the record unknown a comparison of the time with
    /// an attribute of it stays open at any time.
    pub fn of(snapshot: &Snapshot, asker: &Asker, type_name: &str, kept: Kept, field: Option<&str>) -> Self {
        let (mut time, mut moment) = (Vec::new(), None);
        let actions = match &kept {
            Kept::Verdict => GATE_ACTIONS,
            Kept::Action(action) => std::slice::from_ref(action),
        };
        for action in actions {
            let Some(slice) = snapshot.bundle.slices.of(action, type_name) else { continue };
            let dependencies = &slice.dependencies;
            let is_opaque = dependencies.now.is_opaque || dependencies.reads_whole_context;
            if is_opaque || fixed_places(snapshot, asker, dependencies, &mut time).is_none() {
                moment = Some(asker.now_ms);
            }
        }
        Self {
            generation: snapshot.generation,
            principal: asker.entity.clone(),
            attested: asker.attested.clone(),
            type_name: type_name.to_owned(),
            kept,
            field: field.map(str::to_owned),
            time,
            moment,
        }
    }
}

/// Where the time stands relative to each point that it is compared with. Points that come from attributes are in
/// the key by their values, so a list of "before, at, after" in a fixed order says all.
fn time_places(
    snapshot: &Snapshot,
    asker: &Asker,
    dependencies: &Dependencies,
    facts: &RecordFacts,
    places: &mut Vec<i8>,
) -> Option<()> {
    fixed_places(snapshot, asker, dependencies, places)?;
    let mut place = |point: i64| places.push(asker.now_ms.cmp(&point) as i8);
    let (_, record_type) = snapshot.bundle.profile.type_named(&facts.type_name)?;
    for name in &dependencies.now.resource_attributes {
        match facts.attributes.get(record_type.attribute(name)?)? {
            Attribute::Present(AttributeValue::Datetime(point)) => place(*point),
            Attribute::Absent => {}
            Attribute::Present(_) | Attribute::NotCarried | Attribute::Nonconforming(_) => return None,
        }
    }
    Some(())
}

/// The same, of points that no record holds.
fn fixed_places(
    snapshot: &Snapshot,
    asker: &Asker,
    dependencies: &Dependencies,
    places: &mut Vec<i8>,
) -> Option<()> {
    let mut place = |point: i64| places.push(asker.now_ms.cmp(&point) as i8);
    dependencies.now.literals.iter().for_each(|point| place(*point));
    if dependencies.now.principal_attributes.is_empty() {
        return Some(());
    }
    let person = snapshot.directory.person(&asker.entity)?;
    for name in &dependencies.now.principal_attributes {
        match name.as_str() {
            "accessFrom" => person.access_from.into_iter().for_each(&mut place),
            "accessUntil" => person.access_until.into_iter().for_each(&mut place),
            _ => return None,
        }
    }
    Some(())
}

/// What of the context is part of a key.
const KEPT_CONTEXT: &[&str] = &["now", "field", "authLevel", "onBehalfOf"];
