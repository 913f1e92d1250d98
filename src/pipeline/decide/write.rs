//! Judges a change of one record (PDP): the action, each field, and the stage move, on the record as it stands and as
//! it would become.
//!
//! A forbidden field sent unchanged is no violation, but only for callers who can see its value: for all others
//! "unchanged" would be an answer to a guess.

use std::collections::BTreeSet;

use super::evaluate::{Circumstances, Resource, decide};
use super::gate::{RecordGate, Visibility};
use super::keys::{Claim, KeyPlan, PlannedKey};
use crate::bundle::current::Snapshot;
use crate::bundle::profile::convert::Kind as ValueKind;
use crate::bundle::profile::route::{When, WriteSemantics, Writes};
use crate::bundle::profile::types::RecordType;
use crate::json::same::same_value;
use crate::json::value::{NodeId, Value};
use crate::model::access::Action;
use crate::model::decision::Decision;
use crate::model::principal::EntityRef;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::record::{Attribute, AttributeValue, RecordFacts};
use crate::pipeline::hydrate::convert::Lookups;
use crate::pipeline::hydrate::extract::{Completeness, attribute, walk};
use crate::pipeline::hydrate::image::Image;
use crate::pipeline::map::Mapped;

/// One decision, for the ledger and for explaining.
#[derive(Clone, Debug)]
pub struct AccessDecision {
    /// The action's name.
    pub action: &'static str,
    /// The record type.
    pub type_name: String,
    /// The records.
    pub ids: Vec<String>,
    /// For field actions: the field's full name.
    pub field: Option<String>,
    /// What was decided.
    pub decision: Decision,
}

/// What was decided on one record's change.
#[derive(Clone, Debug, Default)]
pub struct WriteVerdict {
    /// Every decision, in order.
    pub accesses: Vec<AccessDecision>,
    /// Full names of the fields that the caller asked to write.
    pub asked: BTreeSet<String>,
    /// Full names of the fields that the caller may not write.
    pub refused: BTreeSet<String>,
    /// Full names of forbidden fields that were sent unchanged and are left out.
    pub unchanged: BTreeSet<String>,
    /// Body nodes to leave out of what is forwarded.
    pub leave_out: Vec<NodeId>,
    /// Cedar ids of the stages of a move.
    pub stage: Option<(String, String)>,
    /// Owner before and after, by entity id, where it changes.
    pub owner: Option<(String, String)>,
    /// Team before and after, by entity id, where it changes.
    pub team: Option<(String, String)>,
    /// Why the change may not go on.
    pub problem: Option<Problem>,
}

/// What is asked, for all records of a request.
pub struct WriteQuestion<'a> {
    /// What serves.
    pub snapshot: &'a Snapshot,
    /// The gate of the principal.
    pub gate: &'a RecordGate,
    /// Who asks.
    pub principal: &'a EntityRef,
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// The request.
    pub mapped: &'a Mapped<'a>,
    /// The type of the records.
    pub record_type: &'a RecordType,
}

/// Judges the change of a record that exists.
pub fn judge_change(question: &WriteQuestion<'_>, action: Action, before: &Image) -> WriteVerdict {
    let mut judge = Judge { question, verdict: WriteVerdict::default() };
    if let Err(problem) = judge.change(action, before) {
        judge.verdict.problem = Some(problem);
    }
    judge.verdict
}

/// Judges a new record, on its proposed values.
pub fn judge_creation(question: &WriteQuestion<'_>, proposed: &Image) -> WriteVerdict {
    let mut judge = Judge { question, verdict: WriteVerdict::default() };
    if let Err(problem) = judge.creation(proposed) {
        judge.verdict.problem = Some(problem);
    }
    judge.verdict
}

struct Judge<'q, 'a> {
    question: &'q WriteQuestion<'a>,
    verdict: WriteVerdict,
}

impl Judge<'_, '_> {
    fn change(&mut self, action: Action, before: &Image) -> Result<(), Problem> {
        let view = self.question.gate.judge(&before.facts);
        self.note("view", &before.facts, None, view.view.clone());
        if !view.view.is_allow() {
            return Err(Reason::NotFound.into());
        }
        let writes = self.question.mapped.route.writes.as_ref();
        let plan = self.plan(writes)?;
        self.check_id(&plan, &before.facts.id)?;
        let is_replace = writes.is_some_and(|writes| writes.semantics == WriteSemantics::Replace);
        if is_replace && view.fields.iter().any(|field| *field != Visibility::Shown) {
            return Err(Reason::PutPartialView.into());
        }
        let after = self.overlay(&before.facts, writes, is_replace);
        let circumstances = self.circumstances(&after);
        let target = self.target_stage(action, before, &after, &plan)?;
        let has_other_keys = plan.keys.iter().any(|key| !self.is_stage_key(key));
        let is_pure_move = target.is_some() && !has_other_keys && action == Action::Edit && !is_replace;
        if action != Action::MoveStage && !is_pure_move {
            self.require(action, &before.facts, &after, &circumstances)?;
        }
        for also in &self.question.mapped.also {
            let changes = also.when != When::Changes || self.changes(also, before);
            if changes && also.action != Action::MoveStage {
                self.require(also.action, &before.facts, &after, &circumstances)?;
            }
        }
        if let Some((from, to)) = target {
            self.require_move(&before.facts, from, to, &circumstances)?;
        }
        self.fields(&plan, Some(before), &before.facts, &after, &circumstances, is_replace)?;
        self.note_people(&before.facts, &after);
        Ok(())
    }

    fn creation(&mut self, proposed: &Image) -> Result<(), Problem> {
        let plan = self.plan(self.question.mapped.route.writes.as_ref())?;
        // An id in a new record may name one that is already there.
        if plan.stated_id.is_some() {
            return Err(Reason::IdConflict.into());
        }
        let circumstances = self.circumstances(&proposed.facts);
        self.require(Action::Create, &proposed.facts, &proposed.facts, &circumstances)?;
        self.fields(&plan, None, &proposed.facts, &proposed.facts, &circumstances, false)
    }

    fn plan(&self, writes: Option<&Writes>) -> Result<KeyPlan, Problem> {
        let mapped = self.question.mapped;
        KeyPlan::read(mapped, writes, self.question.record_type, &self.question.snapshot.bundle.profile)
    }

    fn check_id(&self, plan: &KeyPlan, id: &str) -> Result<(), Problem> {
        match plan.stated_id.as_deref() {
            Some(stated) if stated != id => Err(Reason::IdConflict.into()),
            _ => Ok(()),
        }
    }

    fn written(&self, writes: Option<&Writes>) -> Option<Value<'_>> {
        let body = self.question.mapped.body.as_ref()?;
        writes?.at.first(body.root())
    }

    /// The record as it would become: attributes that the body speaks of, over those that it holds now.
    fn overlay(&self, before: &RecordFacts, writes: Option<&Writes>, is_replace: bool) -> RecordFacts {
        let mut after = before.clone();
        let Some(body) = self.written(writes) else { return after };
        let snapshot = self.question.snapshot;
        let lookups = Lookups { profile: &snapshot.bundle.profile, directory: &snapshot.directory };
        let completeness = Completeness::from_flag(is_replace);
        for (spec, value) in self.question.record_type.attributes.iter().zip(&mut after.attributes) {
            let proposed = attribute(spec, body, completeness, lookups);
            if proposed != Attribute::NotCarried {
                *value = proposed;
            }
        }
        after
    }

    fn circumstances(&self, after: &RecordFacts) -> Circumstances {
        let specs = self.question.record_type.attributes.iter();
        let proposed = specs.zip(&after.attributes).filter_map(|(spec, attribute)| match attribute {
            Attribute::Present(value) => Some((spec.name.clone(), value.clone())),
            Attribute::Absent | Attribute::NotCarried | Attribute::Nonconforming(_) => None,
        });
        Circumstances {
            now_ms: self.question.now_ms,
            proposed: proposed.collect(),
            ..Circumstances::default()
        }
    }

    /// From where to where a request moves the record, if it does.
    fn target_stage(
        &self,
        action: Action,
        before: &Image,
        after: &RecordFacts,
        plan: &KeyPlan,
    ) -> Result<Option<(String, String)>, Problem> {
        let from = self.entity_of(&before.facts, &ValueKind::Stage);
        let unknown_from =
            || Problem::new(Reason::StageMoveDenied).internal("the record's own stage is not known");
        if action == Action::MoveStage {
            let to = self.question.mapped.target_stage.clone().ok_or(Reason::StageUnknown)?;
            return Ok(Some((from.ok_or_else(unknown_from)?, to)));
        }
        let touches_stage = plan.keys.iter().any(|key| self.is_stage_key(key));
        if !touches_stage {
            return Ok(None);
        }
        let to = self.entity_of(after, &ValueKind::Stage).ok_or(Reason::StageUnknown)?;
        let catalogue = &self.question.snapshot.bundle.profile.stages;
        let new_pipeline = self.entity_of(after, &ValueKind::Pipeline);
        let stage_pipeline = catalogue.by_id(&to).map(|stage| stage.pipeline.clone());
        if new_pipeline.is_some() && new_pipeline != stage_pipeline {
            return Err(Problem::new(Reason::StageUnknown).detail("the stage is not one of that pipeline's"));
        }
        let from = from.ok_or_else(unknown_from)?;
        let is_visible = self.sees_stage(before);
        Ok((from != to || !is_visible).then_some((from, to)))
    }

    fn sees_stage(&self, before: &Image) -> bool {
        let verdict = self.question.gate.judge(&before.facts);
        let fields = self.question.record_type.fields.iter().enumerate();
        let stage_fields = fields.filter(|(_, field)| self.is_stage_path(&field.at));
        stage_fields.into_iter().all(|(index, _)| verdict.field(index) == Visibility::Shown)
    }

    fn is_stage_key(&self, key: &PlannedKey) -> bool {
        matches!(key.claim, Claim::Field(_)) && self.is_stage_path(&key.path)
    }

    fn is_stage_path(&self, path: &[String]) -> bool {
        let attributes = self.question.record_type.attributes.iter();
        let mut stages =
            attributes.filter(|spec| matches!(spec.conversion.kind, ValueKind::Stage | ValueKind::Pipeline));
        stages.any(|spec| spec.at.iter().any(|at| at.starts_with(path) || path.starts_with(at)))
    }

    fn entity_of(&self, facts: &RecordFacts, kind: &ValueKind) -> Option<String> {
        let specs = self.question.record_type.attributes.iter().zip(&facts.attributes);
        specs.filter(|(spec, _)| spec.conversion.kind == *kind).find_map(|(_, attribute)| match attribute {
            Attribute::Present(AttributeValue::Entity(entity)) => Some(entity.id.clone()),
            _ => None,
        })
    }

    fn changes(&self, also: &crate::bundle::profile::route::Also, before: &Image) -> bool {
        let Some(body) = self.question.mapped.body.as_ref() else { return false };
        let Some(proposed) = also.at.first(body.root()) else { return false };
        let writes_at =
            self.question.mapped.route.writes.as_ref().map_or(0, |writes| writes.at.segments().len());
        let inner = also.at.segments().get(writes_at..).unwrap_or_default();
        let current = inner.iter().try_fold(before.record(), |value, segment| match segment {
            crate::json::path::Segment::Key(key) => value.member(key),
            _ => None,
        });
        !current.is_some_and(|current| same_value(current, proposed))
    }

    /// The action on the record as it stands, and as it would become if that differs.
    fn require(
        &mut self,
        action: Action,
        before: &RecordFacts,
        after: &RecordFacts,
        circumstances: &Circumstances,
    ) -> Result<(), Problem> {
        for facts in both(before, after) {
            let decision = self.ask(action.name(), facts, circumstances);
            if !decision.is_allow() {
                return Err(Reason::Denied.into());
            }
        }
        Ok(())
    }

    fn require_move(
        &mut self,
        before: &RecordFacts,
        from: String,
        to: String,
        circumstances: &Circumstances,
    ) -> Result<(), Problem> {
        self.verdict.stage = Some((from.clone(), to.clone()));
        let circumstances = Circumstances { stages: Some((from, to)), ..circumstances.clone() };
        match self.ask("moveStage", before, &circumstances).is_allow() {
            true => Ok(()),
            false => Err(Reason::StageMoveDenied.into()),
        }
    }

    fn fields(
        &mut self,
        plan: &KeyPlan,
        image: Option<&Image>,
        before: &RecordFacts,
        after: &RecordFacts,
        circumstances: &Circumstances,
        is_replace: bool,
    ) -> Result<(), Problem> {
        let mut refused_keys = Vec::new();
        let (stage_keys, other_keys): (Vec<_>, Vec<_>) =
            plan.keys.iter().partition(|key| self.is_stage_key(key));
        for key in other_keys {
            let name = self.name_of(key);
            if let Claim::Field(_) = key.claim {
                self.verdict.asked.insert(name.clone());
                if self.may_write(&name, before, after, circumstances) {
                    continue;
                }
            }
            if image.is_some_and(|image| self.says_nothing_new(key, image)) {
                self.verdict.unchanged.insert(name);
                // What a full replacement leaves out it erases, so there it stays as it was sent.
                self.verdict.leave_out.extend(key.node.filter(|_| !is_replace));
                continue;
            }
            self.verdict.refused.insert(name);
            refused_keys.push(key.wire());
        }
        let moved: Vec<String> = stage_keys.into_iter().map(|key| self.name_of(key)).collect();
        self.verdict.asked.extend(moved);
        if is_replace {
            refused_keys.extend(self.erased(plan, image, before, after, circumstances));
        }
        refused_keys.sort();
        refused_keys.dedup();
        match refused_keys.is_empty() {
            true => Ok(()),
            false => Err(Problem::new(Reason::FieldsDenied).fields(refused_keys)),
        }
    }

    fn name_of(&self, key: &PlannedKey) -> String {
        match key.claim {
            Claim::Field(index) | Claim::Twin(index) | Claim::Nested(index) => {
                self.question.record_type.field_name(index)
            }
            Claim::Meta | Claim::Unknown => self.question.record_type.unclassified_name(),
        }
    }

    /// Whether a key sends back just what the caller was shown: the value as it stands, or the mask in its place. A value
    /// that the caller cannot see is never compared, and neither are records inside a field, which may hold such values.
    fn says_nothing_new(&self, key: &PlannedKey, image: &Image) -> bool {
        let verdict = self.question.gate.judge(&image.facts);
        let field = |index: usize| self.question.record_type.fields.get(index);
        let visibility = match key.claim {
            Claim::Field(index) | Claim::Twin(index) => verdict.field(index),
            Claim::Meta => Visibility::Shown,
            Claim::Unknown => verdict.unclassified(),
            Claim::Nested(_) => return false,
        };
        let writes = self.question.mapped.route.writes.as_ref();
        let Some(proposed) = self.written(writes).and_then(|body| walk(body, &key.path)) else {
            return false;
        };
        match (visibility, key.claim) {
            (Visibility::Shown, _) => {
                walk(image.record(), &key.path).is_some_and(|now| same_value(now, proposed))
            }
            (Visibility::Masked, Claim::Field(index) | Claim::Twin(index)) => {
                let mask = field(index).and_then(|field| field.mask.as_ref());
                let mask = mask.and_then(|mask| serde_json::from_str::<String>(mask).ok());
                mask.is_some() && mask.as_deref() == proposed.text().as_deref()
            }
            (Visibility::Masked | Visibility::Hidden, _) => false,
        }
    }

    /// A full replacement erases what it leaves out, so leaving a value out is writing it.
    fn erased(
        &mut self,
        plan: &KeyPlan,
        image: Option<&Image>,
        before: &RecordFacts,
        after: &RecordFacts,
        circumstances: &Circumstances,
    ) -> Vec<String> {
        let mut refused = Vec::new();
        let record_type = self.question.record_type;
        for (index, field) in record_type.fields.iter().enumerate() {
            let is_stated = plan.keys.iter().any(|key| key.claim == Claim::Field(index));
            let holds =
                image.and_then(|image| crate::pipeline::hydrate::extract::walk(image.record(), &field.at));
            if is_stated || holds.is_none_or(|value| value.is_null()) {
                continue;
            }
            let name = record_type.field_name(index);
            self.verdict.asked.insert(name.clone());
            if !self.may_write(&name, before, after, circumstances) {
                self.verdict.refused.insert(name);
                refused.push(field.at.join("."));
            }
        }
        refused
    }

    fn may_write(
        &mut self,
        name: &str,
        before: &RecordFacts,
        after: &RecordFacts,
        circumstances: &Circumstances,
    ) -> bool {
        let circumstances = Circumstances { field: Some(name.to_owned()), ..circumstances.clone() };
        both(before, after).into_iter().all(|facts| self.ask("writeField", facts, &circumstances).is_allow())
    }

    fn note_people(&mut self, before: &RecordFacts, after: &RecordFacts) {
        let changed = |name: &str| {
            let index = self.question.record_type.attribute(name)?;
            let id = |facts: &RecordFacts| match facts.attributes.get(index) {
                Some(Attribute::Present(AttributeValue::Entity(entity))) => entity.id.clone(),
                _ => String::new(),
            };
            let (from, to) = (id(before), id(after));
            (from != to).then_some((from, to))
        };
        let (owner, team) = (changed("owner"), changed("team"));
        (self.verdict.owner, self.verdict.team) = (owner, team);
    }

    fn ask(&mut self, action: &'static str, facts: &RecordFacts, circumstances: &Circumstances) -> Decision {
        let question = self.question;
        let resource = Resource::Record(facts);
        let decision = decide(question.snapshot, question.principal, action, resource, circumstances);
        self.note(action, facts, circumstances.field.clone(), decision.clone());
        decision
    }

    fn note(&mut self, action: &'static str, facts: &RecordFacts, field: Option<String>, decision: Decision) {
        self.verdict.accesses.push(AccessDecision {
            action,
            type_name: facts.type_name.clone(),
            ids: vec![facts.id.clone()],
            field,
            decision,
        });
    }
}

fn both<'f>(before: &'f RecordFacts, after: &'f RecordFacts) -> Vec<&'f RecordFacts> {
    if before == after { vec![before] } else { vec![before, after] }
}
