//! Decides a file by the record that owns it (PDP): may the record be viewed, the file be fetched or attached, and the
//! field be read or written that stands for it?

use super::evaluate::{Circumstances, Resource, decide};
use super::gate::Visibility;
use super::request::RequestVerdict;
use super::write::{AccessDecision, WriteQuestion};
use crate::model::access::Action;
use crate::model::decision::Decision;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::record::RecordFacts;

/// Decides whether a file of a record may be fetched, and notes each decision.
pub fn judge_download(question: &WriteQuestion<'_>, owner: &RecordFacts, verdict: &mut RequestVerdict) {
    let result = Judge { question, owner, verdict }.download();
    verdict.problem = result.err();
}

/// Decides whether the field that stands for the files of a record may be written, beside the action itself.
pub fn judge_attachment(question: &WriteQuestion<'_>, owner: &RecordFacts, verdict: &mut RequestVerdict) {
    let Some(field) = field(question) else { return };
    let result = Judge { question, owner, verdict }.require("writeField", Some(field));
    verdict.problem = result.err();
}

fn field(question: &WriteQuestion<'_>) -> Option<String> {
    question.mapped.route.transit.as_ref()?.field.as_ref().map(|field| field.value.clone())
}

struct Judge<'q, 'v> {
    question: &'q WriteQuestion<'q>,
    owner: &'q RecordFacts,
    verdict: &'v mut RequestVerdict,
}

impl Judge<'_, '_> {
    fn download(&mut self) -> Result<(), Problem> {
        let seen = self.question.gate.judge(self.owner);
        self.note("view", None, seen.view.clone());
        if !seen.view.is_allow() {
            return Err(Reason::NotFound.into());
        }
        self.require(Action::Download.name(), None)?;
        let Some(field) = field(self.question) else { return Ok(()) };
        self.require("readField", Some(field.clone()))?;
        // What the gate makes of the field is what an answer would show of it.
        let record_type = self.question.record_type;
        let index = (0..record_type.fields.len()).find(|index| record_type.field_name(*index) == field);
        match index.is_some_and(|index| seen.field(index) == Visibility::Shown) {
            true => Ok(()),
            false => Err(Reason::Denied.into()),
        }
    }

    fn require(&mut self, action: &'static str, field: Option<String>) -> Result<(), Problem> {
        let question = self.question;
        let circumstances = Circumstances { field: field.clone(), ..Circumstances::of(question.asker) };
        let resource = Resource::Record(self.owner);
        let decision = decide(question.snapshot, &question.asker.entity, action, resource, &circumstances);
        let is_allow = decision.is_allow();
        self.note(action, field, decision);
        if is_allow { Ok(()) } else { Err(Reason::Denied.into()) }
    }

    fn note(&mut self, action: &'static str, field: Option<String>, decision: Decision) {
        self.verdict.accesses.push(AccessDecision {
            action,
            type_name: self.owner.type_name.clone(),
            ids: vec![self.owner.id.clone()],
            field,
            decision,
        });
    }
}
