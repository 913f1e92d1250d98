//! Judges what a question proposes: each key of it, and the stage move in it, as the proxy judges the body of a change.
//!
//! What only a route of the CRM knows is not judged here: further actions that it asks for, and what the CRM clears where a body
//! leaves it out. A question that allows a change therefore speaks of a merge, which leaves alone what it does not name.

use std::collections::BTreeSet;

use super::judge::{Case, Subject};
use crate::json::value::Value;
use crate::model::access::Action;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::pipeline::decide::evaluate::Circumstances;
use crate::pipeline::decide::gate::RecordVerdict;
use crate::pipeline::decide::held::{Echo, Held};
use crate::pipeline::decide::keys::{Claim, KeyPlan};

/// A proposal and the record that it would change.
struct Proposal<'p> {
    value: Value<'p>,
    plan: KeyPlan,
    /// The record as it stands; `None` for a new one, and for one of which the question says nothing.
    held: Option<Held<'p>>,
}

impl Case<'_, '_> {
    /// Judges a change of a record that exists and may be viewed.
    pub(super) fn change(
        &mut self,
        action: Action,
        subject: &Subject<'_>,
        verdict: &RecordVerdict,
    ) -> Result<(), Problem> {
        let places = self.places(subject);
        let proposed = self.question.parameters.proposed;
        let plan = proposed.map(|value| KeyPlan::of_object(value, places.record_type, places.profile));
        let plan = plan.unwrap_or_default();
        if plan.stated_id.as_ref().is_some_and(|stated| *stated != subject.before.id) {
            return Err(Reason::IdConflict.into());
        }
        let target = match action {
            Action::MoveStage => Some(self.stages(subject)?),
            _ => places.moved(&subject.before, &subject.after, &plan.keys, verdict)?,
        };
        let has_other_keys = plan.keys.iter().any(|key| !places.is_stage_key(key));
        let is_pure_move = target.is_some() && !has_other_keys && action == Action::Edit;
        let circumstances = self.circumstances(subject);
        if action != Action::MoveStage && !is_pure_move {
            self.ask_twice(action.name(), subject, &circumstances)?;
        }
        match target {
            Some(stages) => {
                let circumstances = Circumstances { stages: Some(stages), ..circumstances };
                self.ask_twice(Action::MoveStage.name(), subject, &circumstances)
                    .map_err(|_| Problem::new(Reason::StageMoveDenied))?;
            }
            None => {
                let stage_keys = plan.keys.iter().filter(|key| places.is_stage_key(key));
                self.told.unchanged.extend(stage_keys.map(|key| key.field_name(places.record_type)));
            }
        }
        let Some(value) = proposed else { return Ok(()) };
        let record_type = places.record_type;
        let held = self.question.properties.map(|record| Held { record, seen: verdict, record_type });
        self.keys(subject, &Proposal { value, plan, held })
    }

    /// Judges a new record, which the properties of the resource propose.
    pub(super) fn creation(&mut self) -> Result<(), Problem> {
        if self.question.parameters.proposed.is_some() {
            self.told.error = Some(
                "for `create`, `resource.properties` is what is proposed: leave `proposed` out".to_owned(),
            );
            return Err(Reason::QuestionUnreadable.into());
        }
        let subject = self.new_subject()?;
        let places = self.places(&subject);
        let value = self.question.properties;
        let plan = value.map(|value| KeyPlan::of_object(value, places.record_type, places.profile));
        let plan = plan.unwrap_or_default();
        // An id in a new record may name one that is already there.
        if plan.stated_id.is_some() {
            return Err(Reason::IdConflict.into());
        }
        places.check_new(&subject.before)?;
        let circumstances = self.circumstances(&subject);
        self.ask_twice(Action::Create.name(), &subject, &circumstances)?;
        match value {
            Some(value) => self.keys(&subject, &Proposal { value, plan, held: None }),
            None => Ok(()),
        }
    }

    /// Judges every key but those that move the stage, which are judged as a move.
    fn keys(&mut self, subject: &Subject<'_>, proposal: &Proposal<'_>) -> Result<(), Problem> {
        let places = self.places(subject);
        let record_type = places.record_type;
        let (mut denied, mut unchanged) = (BTreeSet::new(), BTreeSet::new());
        for key in proposal.plan.keys.iter().filter(|key| !places.is_stage_key(key)) {
            let name = key.field_name(record_type);
            let sent_back = proposal.held.map_or(Echo::No, |held| held.echo(key, proposal.value));
            let is_field = matches!(key.claim, Claim::Field(_));
            // A mask that comes back must not overwrite what it stands for.
            if is_field && sent_back != Echo::Mask && self.may_write(&name, subject) {
                continue;
            }
            match sent_back {
                Echo::No => denied.insert(name),
                Echo::Value | Echo::Mask => unchanged.insert(name),
            };
        }
        // A composite value may replace the whole composite, and with it keys inside that no field claims.
        let held = proposal.held.zip(places.profile.tree(&record_type.name));
        let left_out = held.map(|(held, tree)| proposal.plan.left_out(held.record, tree));
        let name = record_type.unclassified_name();
        let is_erasing = !proposal.plan.inside_composites(left_out.unwrap_or_default()).is_empty();
        if is_erasing && !self.may_write(&name, subject) {
            denied.insert(name);
        }
        self.told.unchanged.extend(unchanged);
        self.told.denied.extend(denied);
        match self.told.denied.is_empty() {
            true => Ok(()),
            false => Err(Reason::FieldsDenied.into()),
        }
    }

    fn may_write(&mut self, name: &str, subject: &Subject<'_>) -> bool {
        let circumstances = Circumstances { field: Some(name.to_owned()), ..self.circumstances(subject) };
        self.ask_twice("writeField", subject, &circumstances).is_ok()
    }
}
