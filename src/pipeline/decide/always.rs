//! Which fields a principal may read on every record (PDP): the test for filters, sorts, searches and groupings.
//!
//! Asked of Cedar's type-aware partial evaluation with the record unknown. Only "allow, whatever the record" counts;
//! a residual, an error or a surprise is a no. The only module that names the experimental part of Cedar.

use std::str::FromStr;

use cedar_policy as cedar;

use super::entities::Gathering;
use crate::bundle::catalogue::to_uid;
use crate::bundle::current::Snapshot;
use crate::bundle::instant;
use crate::model::principal::EntityRef;

/// Whether the principal may view every record of a type.
pub fn views_every_record(snapshot: &Snapshot, principal: &EntityRef, type_name: &str, now_ms: i64) -> bool {
    views_every_record_by(snapshot, principal, type_name, now_ms).is_some()
}

/// The policies by which the principal may view every record of a type; `None` if they may not.
pub fn views_every_record_by(
    snapshot: &Snapshot,
    principal: &EntityRef,
    type_name: &str,
    now_ms: i64,
) -> Option<Vec<String>> {
    allowed_on_every_record(snapshot, principal, "view", type_name, None, now_ms)
}

/// Whether the principal may read a field on every record of a type; the field by its full name.
pub fn reads_on_every_record(
    snapshot: &Snapshot,
    principal: &EntityRef,
    type_name: &str,
    field: &str,
    now_ms: i64,
) -> bool {
    allowed_on_every_record(snapshot, principal, "readField", type_name, Some(field), now_ms).is_some()
}

/// The same for its mask.
pub fn reads_masked_on_every_record(
    snapshot: &Snapshot,
    principal: &EntityRef,
    type_name: &str,
    field: &str,
    now_ms: i64,
) -> bool {
    allowed_on_every_record(snapshot, principal, "readFieldMasked", type_name, Some(field), now_ms).is_some()
}

/// Whether an action on a field has one outcome on every record, whatever that is.
pub fn is_settled(
    snapshot: &Snapshot,
    principal: &EntityRef,
    action: &str,
    type_name: &str,
    field: &str,
    now_ms: i64,
) -> bool {
    let outcome = on_every_record(snapshot, principal, action, type_name, Some(field), now_ms);
    outcome.is_some_and(|outcome| outcome != Outcome::Depends)
}

/// What is known of a decision without the record.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Allow, by these policies.
    Allow(Vec<String>),
    /// Deny.
    Deny,
    /// It depends on the record.
    Depends,
}

/// The determining policies, if they allow whatever the record.
fn allowed_on_every_record(
    snapshot: &Snapshot,
    principal: &EntityRef,
    action: &str,
    type_name: &str,
    field: Option<&str>,
    now_ms: i64,
) -> Option<Vec<String>> {
    match on_every_record(snapshot, principal, action, type_name, field, now_ms)? {
        Outcome::Allow(determining) => Some(determining),
        Outcome::Deny | Outcome::Depends => None,
    }
}

fn on_every_record(
    snapshot: &Snapshot,
    principal: &EntityRef,
    action: &str,
    type_name: &str,
    field: Option<&str>,
    now_ms: i64,
) -> Option<Outcome> {
    let slice = snapshot.bundle.slices.of(action, type_name)?;
    let schema = &snapshot.bundle.schema.schema;
    let mut gathering = Gathering::new(snapshot);
    gathering.add(principal).ok()?;
    let now = instant::to_cedar_datetime(now_ms)?;
    let mut pairs = vec![("now".to_owned(), cedar::RestrictedExpression::new_datetime(now))];
    if let Some(field) = field {
        let field = EntityRef::new("Field", field);
        gathering.add(&field).ok()?;
        pairs.push(("field".to_owned(), cedar::RestrictedExpression::new_entity_uid(to_uid(&field)?)));
    }
    let entities = cedar::PartialEntities::from_concrete(gathering.finish().ok()?, schema).ok()?;
    let request = cedar::PartialRequest::new(
        cedar::PartialEntityUid::from_concrete(to_uid(principal)?),
        to_uid(&EntityRef::new("Action", action))?,
        cedar::PartialEntityUid::new(cedar::EntityTypeName::from_str(type_name).ok()?, None),
        Some(cedar::Context::from_pairs(pairs).ok()?),
        schema,
    );
    let request = request.ok()?;
    let response = slice.policies.tpe(&request, &entities, schema).ok()?;
    let no_forbid_may_apply =
        response.residual_forbids().next().is_none() && response.error_forbids().next().is_none();
    // A policy that fails on some record denies there, so a permit that is left open must not be able to fail.
    let may_fail = |id: &cedar::PolicyId| slice.policies.policy(id).is_none_or(can_fail);
    let no_error = response.error_permits().next().is_none() && !response.residual_permits().any(may_fail);
    let mut determining: Vec<String> = response.true_permits().map(ToString::to_string).collect();
    determining.sort();
    Some(match response.decision() {
        Some(cedar::Decision::Allow) if no_forbid_may_apply && no_error => Outcome::Allow(determining),
        Some(cedar::Decision::Deny) => Outcome::Deny,
        _ => Outcome::Depends,
    })
}

/// Whether a policy that passed the validator can still fail: by arithmetic, or by a date that leaves its range.
fn can_fail(policy: &cedar::Policy) -> bool {
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
