//! One question to Cedar (PDP): may this principal do this to that, in this context?
//!
//! Any policy error denies. An attribute that the decision depends on and that is not carried or does not convert
//! denies. An entity that is referred to and not known denies. Nothing is ever guessed.

use std::collections::BTreeSet;

use cedar_policy as cedar;

use super::entities::{EntitiesError, Gathering};
use super::witness;
use crate::bundle::catalogue::to_uid;
use crate::bundle::current::Snapshot;
use crate::bundle::instant;
use crate::bundle::slices::Slice;
use crate::model::decision::{Decision, Effect};
use crate::model::principal::{Asker, Attested, EntityRef};
use crate::model::reason::Reason;
use crate::model::record::{Attribute, AttributeValue, RecordFacts};

/// What is asked about.
#[derive(Clone, Copy)]
pub enum Resource<'a> {
    /// One record.
    Record(&'a RecordFacts),
    /// All records of a type.
    Collection(&'a str),
}

/// What the decision may depend on beside principal and resource.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// What the principal's credential says beside who they are.
    pub attested: Attested,
    /// For field actions: the field's full name.
    pub field: Option<String>,
    /// For stage moves: the Cedar ids of the stages.
    pub stages: Option<(String, String)>,
    /// For writes: what the record would have, by attribute.
    pub proposed: Vec<(String, Attribute)>,
    /// For collections: how many records are concerned.
    pub count: Option<i64>,
}

impl Circumstances {
    /// What all decisions of one request depend on.
    pub fn of(asker: &Asker) -> Self {
        Self { now_ms: asker.now_ms, attested: asker.attested.clone(), ..Self::default() }
    }
}

/// Decides one question with Cedar's own authorizer, on the slice that can apply.
pub fn decide(
    snapshot: &Snapshot,
    principal: &EntityRef,
    action: &str,
    resource: Resource<'_>,
    circumstances: &Circumstances,
) -> Decision {
    let type_name = match resource {
        Resource::Record(facts) => facts.type_name.as_str(),
        Resource::Collection(_) => "Collection",
    };
    let Some(slice) = snapshot.bundle.slices.of(action, type_name) else {
        return Decision::deny(Reason::NoPermit);
    };
    if let Resource::Record(facts) = resource
        && let Some(denied) = unusable(snapshot, facts, &slice.dependencies.resource_attributes)
    {
        return denied;
    }
    if slice.dependencies.reads_context("proposed")
        && let Some(denied) = unusable_proposal(snapshot, circumstances)
    {
        return denied;
    }
    match ask(snapshot, slice, principal, action, resource, circumstances) {
        Ok(decision) => decision,
        Err(error) => Decision::deny(error.reason()),
    }
}

/// The denial of a record that cannot be decided on, if one of the needed attributes is not usable.
pub fn unusable(snapshot: &Snapshot, facts: &RecordFacts, needed: &BTreeSet<String>) -> Option<Decision> {
    let (_, record_type) = snapshot.bundle.profile.type_named(&facts.type_name)?;
    let attributes = record_type.attributes.iter().zip(&facts.attributes);
    let needed = attributes.filter(|(spec, _)| needed.contains(&spec.name));
    let unusable = needed.filter_map(|(spec, attribute)| Some((why_unusable(attribute)?, &spec.name)));
    let mut unusable: Vec<(Reason, &String)> = unusable.collect();
    // What cannot be read outweighs what is not there.
    unusable.sort_by_key(|(reason, _)| *reason == Reason::AttributeNotCarried);
    unusable.first().map(|(reason, name)| Decision::unusable(*reason, name))
}

/// The same for what a write proposes: a value that is there and cannot be read would look as if there were none.
fn unusable_proposal(snapshot: &Snapshot, circumstances: &Circumstances) -> Option<Decision> {
    let known = &snapshot.bundle.schema.proposed;
    let mut proposed = circumstances.proposed.iter().filter(|(name, _)| known.contains(name));
    proposed.find_map(|(name, attribute)| Some(Decision::unusable(why_unusable(attribute)?, name)))
}

fn why_unusable(attribute: &Attribute) -> Option<Reason> {
    match attribute {
        Attribute::Present(_) | Attribute::Absent => None,
        Attribute::NotCarried => Some(Reason::AttributeNotCarried),
        Attribute::Nonconforming(_) => Some(Reason::AttributeNonconforming),
    }
}

fn ask(
    snapshot: &Snapshot,
    slice: &Slice,
    principal: &EntityRef,
    action: &str,
    resource: Resource<'_>,
    circumstances: &Circumstances,
) -> Result<Decision, EntitiesError> {
    let mut gathering = Gathering::of(snapshot, principal, &circumstances.attested)?;
    let resource_ref = match resource {
        Resource::Record(facts) => {
            gathering.add_record(facts, &slice.dependencies.resource_attributes)?;
            EntityRef::new(&facts.type_name, &facts.id)
        }
        Resource::Collection(type_name) => {
            let collection = EntityRef::new("Collection", type_name);
            gathering.add(&collection)?;
            collection
        }
    };
    let context = context(snapshot, circumstances, &mut gathering)?;
    let entities = gathering.finish()?;
    let request = request(snapshot, principal, action, &resource_ref, context)?;
    Ok(authorize(&request, slice, &entities))
}

fn context(
    snapshot: &Snapshot,
    circumstances: &Circumstances,
    gathering: &mut Gathering<'_>,
) -> Result<cedar::Context, EntitiesError> {
    let mut pairs = shared_pairs(circumstances.now_ms, &circumstances.attested)?;
    let mut entity = |key: &str, entity: EntityRef| -> Result<(), EntitiesError> {
        pairs.push((key.to_owned(), gathering.expression(&AttributeValue::Entity(entity))?));
        Ok(())
    };
    if let Some(field) = &circumstances.field {
        entity("field", EntityRef::new("Field", field))?;
    }
    if let Some((from, to)) = &circumstances.stages {
        entity("from", EntityRef::new("Stage", from))?;
        entity("to", EntityRef::new("Stage", to))?;
    }
    if let Some(count) = circumstances.count {
        pairs.push(("count".to_owned(), cedar::RestrictedExpression::new_long(count)));
    }
    let known = &snapshot.bundle.schema.proposed;
    let proposed: Result<Vec<_>, _> = circumstances
        .proposed
        .iter()
        .filter(|(name, _)| known.contains(name))
        .filter_map(|(name, attribute)| match attribute {
            Attribute::Present(value) => Some((name, value)),
            Attribute::Absent | Attribute::NotCarried | Attribute::Nonconforming(_) => None,
        })
        .map(|(name, value)| Ok((name.clone(), gathering.expression(value)?)))
        .collect();
    let proposed = proposed?;
    if !proposed.is_empty() {
        let record = cedar::RestrictedExpression::new_record(proposed);
        let record = record.map_err(|error| EntitiesError::Nonconforming(error.to_string()))?;
        pairs.push(("proposed".to_owned(), record));
    }
    cedar::Context::from_pairs(pairs).map_err(|error| EntitiesError::Nonconforming(error.to_string()))
}

/// The part of the context that all decisions of one request share: the time, and what is attested of the principal.
pub fn shared_context(asker: &Asker) -> Result<Vec<ContextPair>, EntitiesError> {
    shared_pairs(asker.now_ms, &asker.attested)
}

/// A key of the context and its value.
pub type ContextPair = (String, cedar::RestrictedExpression);

fn shared_pairs(now_ms: i64, attested: &Attested) -> Result<Vec<ContextPair>, EntitiesError> {
    use cedar::RestrictedExpression as Expression;
    let now = instant::to_cedar_datetime(now_ms);
    let now = now.ok_or_else(|| EntitiesError::Nonconforming("the clock is out of range".to_owned()))?;
    let mut pairs = vec![("now".to_owned(), Expression::new_datetime(now))];
    if let Some(level) = attested.auth_level {
        pairs.push(("authLevel".to_owned(), Expression::new_long(level)));
    }
    if let Some(person) = &attested.on_behalf_of {
        let uid = to_uid(person).ok_or_else(|| EntitiesError::Unknown(person.clone()))?;
        pairs.push(("onBehalfOf".to_owned(), Expression::new_entity_uid(uid)));
    }
    Ok(pairs)
}

/// Builds a request that conforms to the schema.
pub fn request(
    snapshot: &Snapshot,
    principal: &EntityRef,
    action: &str,
    resource: &EntityRef,
    context: cedar::Context,
) -> Result<cedar::Request, EntitiesError> {
    let uid = |entity: &EntityRef| to_uid(entity).ok_or_else(|| EntitiesError::Unknown(entity.clone()));
    let action = uid(&EntityRef::new("Action", action))?;
    let schema = &snapshot.bundle.schema.schema;
    cedar::Request::new(uid(principal)?, action, uid(resource)?, context, Some(schema))
        .map_err(|error| EntitiesError::Nonconforming(error.to_string()))
}

/// Asks Cedar and turns its answer into ours: any error denies.
pub fn authorize(request: &cedar::Request, slice: &Slice, entities: &cedar::Entities) -> Decision {
    let response = cedar::Authorizer::new().is_authorized(request, &slice.policies, entities);
    let determining = response.diagnostics().reason().map(ToString::to_string).collect();
    let errors = response
        .diagnostics()
        .errors()
        .map(|cedar::AuthorizationError::PolicyEvaluationError(e)| e.policy_id().to_string())
        .collect();
    let effect = match response.decision() {
        cedar::Decision::Allow => Effect::Allow,
        cedar::Decision::Deny => Effect::Deny,
    };
    witness::tell(request, entities);
    Decision::by_policies(effect, determining, errors)
}
