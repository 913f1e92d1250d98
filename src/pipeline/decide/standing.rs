//! What a principal may do, told without a request (PDP): what reviews of access rest on.
//!
//! Promises: asks the policies that decide requests, by the same slices and entities. "Always" and "never" hold whatever the record and
//! whatever a request brings: what it proposes, how its caller was authenticated, for whom it acts, how many records it names. All
//! else is "sometimes", with the policies on which it depends. Time and directory are those of the moment that is asked about.

use std::collections::BTreeSet;

use cedar_policy as cedar;

use super::always::{About, Question, can_fail};
use super::evaluate::shared_context;
use crate::bundle::catalogue::to_uid;
use crate::bundle::current::Snapshot;
use crate::bundle::dependencies::Dependencies;
use crate::bundle::slices::Slice;
use crate::model::principal::{Asker, EntityRef};

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A record of a type.
    Record(&'a str),
    /// A field, by its full name, of a record of a type.
    Field(&'a str, &'a str),
    /// A move of a record of a type, from one stage to another.
    Move(&'a str, &'a str, &'a str),
    /// All records of a type.
    Collection(&'a str),
}

/// How a principal stands to an action.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Allowed, by these policies.
    Always(Vec<String>),
    /// It depends on the record or on the request, by these policies.
    Sometimes(Vec<String>),
    /// Denied.
    Never,
}

impl Standing {
    /// What is left of it where another decision must be allow as well.
    #[must_use]
    pub fn within(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Always(policies), Self::Sometimes(others)) => Self::Sometimes(joined(policies, others)),
            (Self::Sometimes(policies), Self::Sometimes(others)) => Self::Sometimes(joined(policies, others)),
            (standing, Self::Always(_)) => standing,
        }
    }
}

fn joined(policies: Vec<String>, others: &[String]) -> Vec<String> {
    policies.into_iter().chain(others.iter().cloned()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// How a principal stands to an action, whatever the record and the request.
pub fn standing(snapshot: &Snapshot, asker: &Asker, action: &str, subject: Subject<'_>) -> Standing {
    let about = match subject {
        Subject::Record(name) | Subject::Field(name, _) | Subject::Move(name, ..) => About::AnyRecord(name),
        Subject::Collection(name) => About::Collection(name),
    };
    let question = Question { snapshot, asker, action, about };
    let Some(slice) = snapshot.bundle.slices.of(action, question.names().0) else { return Standing::Never };
    // What cannot be asked is not known to be denied.
    asked(&question, slice, subject).unwrap_or(Standing::Sometimes(Vec::new()))
}

fn asked(question: &Question<'_>, slice: &Slice, subject: Subject<'_>) -> Option<Standing> {
    let named: Vec<(&str, EntityRef)> = match subject {
        Subject::Record(_) | Subject::Collection(_) => Vec::new(),
        Subject::Field(_, field) => vec![("field", EntityRef::new("Field", field))],
        Subject::Move(_, from, to) => {
            vec![("from", EntityRef::new("Stage", from)), ("to", EntityRef::new("Stage", to))]
        }
    };
    let mut pairs = shared_context(question.asker).ok()?;
    for (key, entity) in &named {
        pairs.push(((*key).to_owned(), cedar::RestrictedExpression::new_entity_uid(to_uid(entity)?)));
    }
    let context = Some(cedar::Context::from_pairs(pairs).ok()?);
    let named: Vec<EntityRef> = named.into_iter().map(|(_, entity)| entity).collect();
    question.ask(slice, context, &named, |response| read(slice, response))
}

/// Reads an answer that was given without the keys of the context that only a request brings.
fn read(slice: &Slice, response: &cedar::TpeResponse<'_>) -> Standing {
    let may_open = BROUGHT.iter().any(|key| slice.dependencies.reads_context(key));
    let is_open = |id: &&cedar::PolicyId| may_open && slice.policies.policy(id).is_none_or(reads_brought);
    let permits: Vec<&cedar::PolicyId> = response
        .true_permits()
        .chain(response.false_permits())
        .chain(response.residual_permits())
        .chain(response.error_permits())
        .collect();
    let forbids = response.true_forbids().chain(response.false_forbids()).chain(response.residual_forbids());
    let open_permits: Vec<&cedar::PolicyId> = permits.iter().copied().filter(is_open).collect();
    let open_forbids: Vec<&cedar::PolicyId> =
        forbids.chain(response.error_forbids()).filter(is_open).collect();
    let is_forbidden = response.true_forbids().any(|id| !is_open(&id));
    let may_permit = response.true_permits().chain(response.residual_permits()).next().is_some();
    if is_forbidden || (!may_permit && open_permits.is_empty()) {
        return Standing::Never;
    }
    let has_failed = response.error_permits().chain(response.error_forbids()).next().is_some();
    let may_fail = |id: &cedar::PolicyId| slice.policies.policy(id).is_none_or(can_fail);
    let is_settled = response.decision() == Some(cedar::Decision::Allow)
        && response.true_permits().any(|id| !is_open(&id))
        && response.residual_forbids().next().is_none()
        && open_forbids.is_empty()
        && !has_failed
        && !response.residual_permits().chain(open_permits.iter().copied()).any(may_fail);
    let determining = response.true_permits();
    if is_settled {
        return Standing::Always(names(determining));
    }
    let left_open = response.residual_permits().chain(response.residual_forbids());
    Standing::Sometimes(names(determining.chain(left_open).chain(open_permits).chain(open_forbids)))
}

fn names<'p>(ids: impl Iterator<Item = &'p cedar::PolicyId>) -> Vec<String> {
    ids.map(ToString::to_string).collect::<BTreeSet<_>>().into_iter().collect()
}

fn reads_brought(policy: &cedar::Policy) -> bool {
    let reads = Dependencies::of(policy);
    BROUGHT.iter().any(|key| reads.reads_context(key))
}

/// The keys of the context that only a request brings.
const BROUGHT: &[&str] = &["authLevel", "onBehalfOf", "breakGlassReason", "proposed", "approver", "count"];
