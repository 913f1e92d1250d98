//! What a principal may do to every record, whatever it holds (PDP): the test for filters, sorts, searches and groupings, and for
//! changes that name no records.
//!
//! Asked of Cedar's type-aware partial evaluation with the record unknown. Only "allow, whatever the record" counts;
//! a residual, an error or a surprise is a no. The only module that names the experimental part of Cedar. That takes a
//! millisecond and more, so the gate keeps what was found for as long as nothing that was read has changed.

use std::str::FromStr;

use cedar_policy as cedar;

use super::entities::Gathering;
use super::evaluate::shared_context;
use super::gate::RecordGate;
use super::kept::{AlwaysKey, Kept};
use crate::bundle::catalogue::to_uid;
use crate::bundle::current::Snapshot;
use crate::bundle::dependencies::Dependencies;
use crate::bundle::slices::Slice;
use crate::model::principal::{Asker, EntityRef};
use crate::model::seeded::{Fault, is_seeded};

/// Answers that are kept, for each principal and type.
pub type AlwaysCache = moka::sync::Cache<AlwaysKey, bool>;

impl RecordGate {
    /// Whether the principal may view every record of a type.
    pub fn views_every_record(&self, type_name: &str) -> bool {
        self.may_on_every_record("view", type_name, None)
    }

    /// Whether the principal may read a field on every record of a type; the field by its full name.
    pub fn reads_on_every_record(&self, type_name: &str, field: &str) -> bool {
        self.may_on_every_record("readField", type_name, Some(field))
    }

    /// Whether the principal may do something on every record of a type, with a field of it where the action is about one.
    pub fn may_on_every_record(&self, action: &'static str, type_name: &str, field: Option<&str>) -> bool {
        let (snapshot, asker) = (self.snapshot(), self.asker());
        let ask = || on_every_record(snapshot, asker, action, type_name, field).is_allow();
        self.always().get_with(AlwaysKey::of(snapshot, asker, type_name, Kept::Action(action), field), ask)
    }
}

/// What is known of a decision without the record.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Allow, by these policies.
    Allow(Vec<String>),
    /// Deny.
    Deny,
    /// It depends on the record.
    Depends,
}

impl Outcome {
    /// Whether it is allow.
    pub fn is_allow(&self) -> bool {
        matches!(self, Outcome::Allow(_))
    }
}

/// What a decision on a record of a type is, whatever the record.
pub fn on_every_record(
    snapshot: &Snapshot,
    asker: &Asker,
    action: &str,
    type_name: &str,
    field: Option<&str>,
) -> Outcome {
    evaluate(snapshot, asker, action, type_name, field).unwrap_or(Outcome::Depends)
}

fn evaluate(
    snapshot: &Snapshot,
    asker: &Asker,
    action: &str,
    type_name: &str,
    field: Option<&str>,
) -> Option<Outcome> {
    let slice = snapshot.bundle.slices.of(action, type_name)?;
    let mut pairs = shared_context(asker).ok()?;
    let field = field.map(|field| EntityRef::new("Field", field));
    if let Some(field) = &field {
        pairs.push(("field".to_owned(), cedar::RestrictedExpression::new_entity_uid(to_uid(field)?)));
    }
    let context = Some(cedar::Context::from_pairs(pairs).ok()?);
    let question = Question { snapshot, asker, action, about: About::AnyRecord(type_name) };
    question.ask(slice, context, field.as_slice(), |response| {
        let no_forbid_may_apply =
            response.residual_forbids().next().is_none() && response.error_forbids().next().is_none();
        // A policy that fails on some record denies there, so a permit that is left open must not be able to fail.
        let may_fail = |id: &cedar::PolicyId| slice.policies.policy(id).is_none_or(can_fail);
        let no_error =
            response.error_permits().next().is_none() && !response.residual_permits().any(may_fail);
        let mut determining: Vec<String> = response.true_permits().map(ToString::to_string).collect();
        determining.sort();
        match response.decision() {
            Some(cedar::Decision::Allow) if no_forbid_may_apply && no_error => Outcome::Allow(determining),
            Some(cedar::Decision::Deny) => Outcome::Deny,
            _ if is_seeded(Fault::SometimesIsAlways) => Outcome::Allow(determining),
            _ => Outcome::Depends,
        }
    })
}

/// What a question is about that leaves something open.
#[derive(Clone, Copy)]
pub enum About<'a> {
    /// Whichever record of a type.
    AnyRecord(&'a str),
    /// All records of a type.
    Collection(&'a str),
}

/// Whether what policies allow without a key of the context stays allowed whatever that key holds: none of those that read it may
/// forbid or fail, and one of the `determining` ones does not read it.
pub fn stays_allowed(
    snapshot: &Snapshot,
    asker: &Asker,
    action: &str,
    about: About<'_>,
    key: &str,
    determining: &[String],
) -> bool {
    let question = Question { snapshot, asker, action, about };
    let Some(slice) = snapshot.bundle.slices.of(action, question.names().0) else { return false };
    if !slice.dependencies.reads_context(key) {
        return true;
    }
    let with_key = |id: &cedar::PolicyId| {
        slice.policies.policy(id).filter(|policy| Dependencies::of(policy).reads_context(key))
    };
    let is_permitted = determining.iter().any(|id| with_key(&cedar::PolicyId::new(id)).is_none());
    // Nothing of the context is known here, so that nothing of it can hide what the key could do.
    let stays = question.ask(slice, None, &[], |response| {
        let may_forbid = response.residual_forbids().any(|id| with_key(id).is_some());
        may_forbid || response.residual_permits().any(|id| with_key(id).is_some_and(can_fail))
    });
    is_permitted && stays == Some(false)
}

/// One question that leaves something open.
pub(super) struct Question<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) asker: &'a Asker,
    pub(super) action: &'a str,
    pub(super) about: About<'a>,
}

impl<'a> Question<'a> {
    /// The resource's Cedar type, and its id where that is known.
    pub(super) fn names(&self) -> (&'a str, Option<&'a str>) {
        match self.about {
            About::AnyRecord(type_name) => (type_name, None),
            About::Collection(type_name) => ("Collection", Some(type_name)),
        }
    }

    /// Reads what Cedar makes of it, without a context if nothing of that is known. `named` is what the context refers to.
    pub(super) fn ask<T>(
        &self,
        slice: &Slice,
        context: Option<cedar::Context>,
        named: &[EntityRef],
        read: impl FnOnce(&cedar::TpeResponse<'_>) -> T,
    ) -> Option<T> {
        let (snapshot, asker) = (self.snapshot, self.asker);
        let (type_name, id) = self.names();
        let schema = &snapshot.bundle.schema.schema;
        let mut gathering = Gathering::of(snapshot, &asker.entity, &asker.attested).ok()?;
        let collection = id.map(|id| EntityRef::new(type_name, id));
        for known in named.iter().chain(&collection) {
            gathering.add(known).ok()?;
        }
        let (entities, principal) = (gathering.finish().ok()?, to_uid(&asker.entity)?);
        let policies = in_scope(slice, &principal, &entities)?;
        let entities = cedar::PartialEntities::from_concrete(entities, schema).ok()?;
        let request = cedar::PartialRequest::new(
            cedar::PartialEntityUid::from_concrete(principal),
            to_uid(&EntityRef::new("Action", self.action))?,
            cedar::PartialEntityUid::new(
                cedar::EntityTypeName::from_str(type_name).ok()?,
                id.map(cedar::EntityId::new),
            ),
            context,
            schema,
        );
        Some(read(&policies.tpe(&request.ok()?, &entities, schema).ok()?))
    }
}

/// The policies whose scope a principal is in. No other says anything, whatever the record, and each takes time to look at.
fn in_scope(
    slice: &Slice,
    principal: &cedar::EntityUid,
    entities: &cedar::Entities,
) -> Option<cedar::PolicySet> {
    use cedar::PrincipalConstraint as Who;
    let is_in = |group: &cedar::EntityUid| group == principal || entities.is_ancestor_of(group, principal);
    let is_a = |kind: &cedar::EntityTypeName| kind == principal.type_name();
    let reaches = |policy: &&cedar::Policy| match policy.principal_constraint() {
        Who::Any => true,
        Who::Eq(person) => person == *principal,
        Who::In(group) => is_in(&group),
        Who::Is(kind) => is_a(&kind),
        Who::IsIn(kind, group) => is_a(&kind) && is_in(&group),
    };
    cedar::PolicySet::from_policies(slice.policies.policies().filter(reaches).cloned()).ok()
}

/// Whether a policy that passed the validator can still fail: by arithmetic, or by a date that leaves its range.
pub fn can_fail(policy: &cedar::Policy) -> bool {
    policy.to_json().map_or(true, |json| json.get("conditions").is_none_or(computes))
}

fn computes(expression: &serde_json::Value) -> bool {
    match expression {
        serde_json::Value::Object(map) => {
            map.iter().any(|(operator, inner)| FALLIBLE.contains(&operator.as_str()) || computes(inner))
        }
        serde_json::Value::Array(items) => items.iter().any(computes),
        _ => false,
    }
}

/// Operators whose evaluation can fail on values of the right type.
const FALLIBLE: &[&str] = &["+", "-", "*", "neg", "offset", "durationSince", "toDate", "toTime", "getTag"];
