//! Puts what the stages said into an explanation.
//!
//! Never decides, and never looks at a record.

use std::collections::BTreeSet;

use cedar_policy as cedar;

use super::explanation::{Because, Changes, Decided, Ended, Explanation, Outcome, PolicyNote, Sent};
use crate::bundle::policies::Policies;
use crate::bundle::slices::{Slice, Slices};
use crate::model::access::{Action, Scope};
use crate::model::decision::Decision;
use crate::model::problem::Problem;
use crate::model::reason::{Class, Reason};
use crate::pipeline::decide::write::{AccessDecision, WriteVerdict};
use crate::pipeline::enforce::request::UpstreamRequest;

impl Explanation {
    /// Notes how the request ended.
    pub(super) fn end(&mut self, problem: Option<&Problem>) {
        self.outcome = match problem.map(|problem| problem.reason.class()) {
            None => Outcome::Allow,
            Some(Class::Deny) => Outcome::Deny,
            Some(Class::Refuse) => Outcome::Refuse,
            Some(Class::Fail) => Outcome::Fail,
        };
        self.problem = problem.map(|problem| Ended {
            reason: problem.reason.code(),
            title: problem.reason.title(),
            status: problem.status(),
            detail: problem.detail.clone(),
            fields: problem.fields.clone(),
            internal: problem.internal.clone(),
        });
    }

    /// Notes a decision. The record as it stands and as it would become often give the same one: it is told once.
    pub(super) fn decided(&mut self, access: &AccessDecision, slices: &Slices) {
        let decided = Decided {
            action: access.action,
            type_name: access.type_name.clone(),
            ids: access.ids.clone(),
            field: access.field.clone(),
            because: Because::of(&access.decision, slices.of(access.action, slice_type(access))),
        };
        if !self.decisions.contains(&decided) {
            self.decisions.push(decided);
        }
    }

    /// Describes every policy that is named.
    pub(super) fn describe_policies(&mut self, policies: &Policies) {
        let mut ids = BTreeSet::new();
        let records = self.answer.iter().flat_map(|answer| &answer.records);
        let causes = self.decisions.iter().map(|decided| &decided.because);
        for because in causes.chain(records.clone().map(|record| &record.view)) {
            ids.extend(because.policies.iter().chain(&because.errors).chain(&because.unmet).cloned());
        }
        ids.extend(records.flat_map(|record| &record.fields).flat_map(|field| field.policies.clone()));
        self.policies = ids.into_iter().map(|id| (id.clone(), PolicyNote::of(policies, &id))).collect();
    }
}

impl Because {
    /// What made a decision on a slice.
    pub(super) fn of(decision: &Decision, slice: Option<&Slice>) -> Self {
        let is_unpermitted = decision.reason == Some(Reason::NoPermit);
        let policies =
            slice.filter(|_| is_unpermitted).into_iter().flat_map(|slice| slice.policies.policies());
        let permits = policies.filter(|policy| policy.effect() == cedar::Effect::Permit);
        let mut unmet: Vec<String> = permits.map(|policy| policy.id().to_string()).collect();
        unmet.sort();
        Self {
            effect: decision.effect.code(),
            reason: decision.reason.map(|reason| reason.code()),
            policies: decision.determining.clone(),
            errors: decision.errors.clone(),
            unmet,
        }
    }
}

/// The type under which a decision's slice is kept.
fn slice_type(access: &AccessDecision) -> &str {
    let is_on_collection =
        Action::parse(access.action).is_some_and(|action| action.scope() == Scope::Collection);
    if is_on_collection { "Collection" } else { &access.type_name }
}

impl From<&WriteVerdict> for Changes {
    fn from(write: &WriteVerdict) -> Self {
        Self {
            asked: write.asked.clone(),
            refused: write.refused.clone(),
            unchanged: write.unchanged.clone(),
            stage: write.stage.clone(),
            owner: write.owner.clone(),
            team: write.team.clone(),
        }
    }
}

impl From<&UpstreamRequest> for Sent {
    fn from(request: &UpstreamRequest) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = request.headers.iter().filter(|(_, value)| value.as_bytes() != CREDENTIAL.as_bytes());
        Self {
            method: request.method.to_string(),
            target: request.target.clone(),
            headers: headers.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
            credential: CREDENTIAL,
            body: text(&request.body),
        }
    }
}

impl PolicyNote {
    fn of(policies: &Policies, id: &str) -> Self {
        let policy = policies.set.policy(&cedar::PolicyId::new(id));
        let effect = match policy.map(cedar::Policy::effect) {
            Some(cedar::Effect::Permit) => "permit",
            Some(cedar::Effect::Forbid) => "forbid",
            None => "unknown",
        };
        Self { effect, reason: policies.reasons.get(id).cloned(), place: policies.place(id) }
    }
}

/// What stands in the credential's place.
pub(super) const CREDENTIAL: &str = "<credential>";
