//! The answer to one AuthZEN question (§6.2): the decision, and beside it what made it and which fields may be shown.

use serde_json::json;

use crate::bundle::profile::types::RecordType;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::pipeline::decide::gate::{RecordVerdict, Visibility};
use crate::pipeline::decide::request::RequestVerdict;
use crate::pipeline::decide::write::AccessDecision;
use crate::pipeline::enforce::shown::{Outcome, ShownSets};
use crate::pipeline::trail::Trail;

/// What was found on the way to a decision.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Every decision, in order.
    pub accesses: Vec<AccessDecision>,
    /// The fields of a record that may be viewed.
    pub fields: Option<Outcome>,
    /// Fields of a proposal that may not be written, by full name.
    pub denied: Vec<String>,
    /// Fields of a proposal that say what the record says already, and may not be written or need not be.
    pub unchanged: Vec<String>,
    /// The record that they are of.
    pub id: String,
    /// What is wrong with the question.
    pub error: Option<String>,
    /// Members of the question that were left unread.
    pub ignored: Vec<String>,
}

/// An answer, and what the ledger is to know of it.
pub struct Answer {
    id: String,
    told: Told,
    problem: Option<Problem>,
    trail: Trail,
}

impl Told {
    /// Tells what becomes of each field of a record. A field that is to be masked and has no mask is held back, as in the proxy.
    pub fn tell_fields(&mut self, record_type: &RecordType, id: &str, verdict: &RecordVerdict) {
        let mut outcome = Outcome {
            type_name: record_type.name.clone(),
            shown: Vec::new(),
            hidden: Vec::new(),
            masked: Vec::new(),
            policies: verdict.policies.clone(),
        };
        for index in 0..=record_type.fields.len() {
            let has_mask = record_type.fields.get(index).is_some_and(|field| field.mask.is_some());
            let list = match verdict.field(index) {
                Visibility::Shown => &mut outcome.shown,
                Visibility::Masked if has_mask => &mut outcome.masked,
                Visibility::Masked | Visibility::Hidden => &mut outcome.hidden,
            };
            list.push(record_type.field_name(index));
        }
        for list in [&mut outcome.shown, &mut outcome.hidden, &mut outcome.masked] {
            list.sort();
        }
        id.clone_into(&mut self.id);
        self.fields = Some(outcome);
    }
}

impl Answer {
    /// An answer; `problem` is why the decision is false, if it is.
    pub fn new(trail: Trail, told: Told, problem: Option<Problem>) -> Self {
        Self { id: trail.id.clone(), told, problem, trail }
    }

    /// Whether the decision is true.
    pub fn is_allow(&self) -> bool {
        self.problem.is_none()
    }

    /// What the ledger records of it.
    pub fn to_record(&self) -> (Trail, Option<Problem>) {
        let mut sets = ShownSets::default();
        if let Some(outcome) = &self.told.fields {
            sets.sets.insert(outcome.clone(), vec![self.told.id.clone()]);
        }
        let verdict = RequestVerdict { accesses: self.told.accesses.clone(), ..RequestVerdict::default() };
        let trail = Trail {
            id: self.trail.id.clone(),
            method: self.trail.method.clone(),
            route: self.trail.route.clone(),
            principal: self.trail.principal.clone(),
            serving: self.trail.serving.clone(),
            verdict,
            sets,
            ..Trail::default()
        };
        (trail, self.problem.clone())
    }

    /// The answer as the asking service gets it.
    pub fn to_json(&self) -> serde_json::Value {
        let mut context = json!({ "id": self.id });
        let mut add = |key: &str, value: serde_json::Value| {
            if let Some(context) = context.as_object_mut() {
                context.insert(key.to_owned(), value);
            }
        };
        if let Some(problem) = &self.problem {
            // The decision's own reason says more than what a caller of the proxy is told.
            let reason = match problem.reason {
                Reason::FieldsDenied => Reason::FieldsDenied,
                other => self.deciding().and_then(|access| access.decision.reason).unwrap_or(other),
            };
            add("reason", json!(reason.code()));
            add("reason_admin", json!({ "en": reason.title() }));
            if problem.reason != reason {
                add("outcome", json!(problem.reason.code()));
            }
        }
        if let Some(message) = &self.told.error {
            add("error", json!({ "status": 400, "message": message }));
        }
        if let Some(snapshot) = &self.trail.serving {
            let revision =
                json!({ "bundle": snapshot.bundle.revision, "directory": snapshot.directory.revision });
            add("revision", revision);
        }
        add("policies", json!(self.policies(|access| &access.decision.determining)));
        add("policy_errors", json!(self.policies(|access| &access.decision.errors)));
        if let Some(outcome) = &self.told.fields {
            add("released", json!(outcome.shown));
            add("masked", json!(outcome.masked));
            add("hidden", json!(outcome.hidden));
        }
        for (key, names) in [("denied", &self.told.denied), ("unchanged", &self.told.unchanged)] {
            if !names.is_empty() {
                add(key, json!(names));
            }
        }
        if !self.told.ignored.is_empty() {
            add("ignored", json!(self.told.ignored));
        }
        json!({ "decision": self.is_allow(), "context": context })
    }

    /// The decision that made the answer: the last, or the last that denied if the answer is no.
    fn deciding(&self) -> Option<&AccessDecision> {
        let accesses = &self.told.accesses;
        let denied = accesses.iter().rev().find(|access| !access.decision.is_allow());
        denied.filter(|_| self.problem.is_some()).or(accesses.last())
    }

    /// Policies of the decision that made the answer.
    fn policies(&self, of: fn(&AccessDecision) -> &Vec<String>) -> Vec<String> {
        self.deciding().map(of).cloned().unwrap_or_default()
    }
}
