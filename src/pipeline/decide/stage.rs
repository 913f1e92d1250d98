//! Finds the stage move in a change (PDP), by whichever key or route it comes.

use super::gate::Visibility;
use super::held::Held;
use super::keys::{Claim, PlannedKey};
use super::write::{Change, Judge};
use crate::bundle::profile::convert::Kind;
use crate::model::access::Action;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::record::{Attribute, AttributeValue, RecordFacts};

impl Judge<'_, '_> {
    /// From where to where a request moves the record, if it does.
    pub(super) fn target_stage(
        &self,
        action: Action,
        change: &Change<'_>,
        held: Held<'_>,
    ) -> Result<Option<(String, String)>, Problem> {
        let from = self.entity_of(change.before, &Kind::Stage);
        let from = from.ok_or_else(|| {
            Problem::new(Reason::StageMoveDenied).internal("the record's own stage is not known")
        });
        if action == Action::MoveStage {
            let to = self.question.mapped.target_stage.clone().ok_or(Reason::StageUnknown)?;
            self.check_pipeline(&to, &change.after)?;
            return Ok(Some((from?, to)));
        }
        // A full replacement that leaves the stage out would erase it.
        let to = self.entity_of(&change.after, &Kind::Stage);
        let is_touched = change.plan.keys.iter().any(|key| self.is_stage_key(key));
        if !is_touched && self.place_of(change.before) == self.place_of(&change.after) {
            return Ok(None);
        }
        let to = to.ok_or(Reason::StageUnknown)?;
        self.check_pipeline(&to, &change.after)?;
        let from = from?;
        // For somebody who cannot see the stage, "you are there already" would be an answer to a guess.
        Ok((from != to || !self.sees_stage(held)).then_some((from, to)))
    }

    /// Refuses a new record whose stage is not of the catalogue or not of its pipeline.
    pub(super) fn check_new_place(&self, proposed: &RecordFacts) -> Result<(), Problem> {
        let place = self.place_of(proposed);
        if place.iter().all(|attribute| **attribute == Attribute::Absent) {
            return Ok(());
        }
        let stage = self.entity_of(proposed, &Kind::Stage).ok_or(Reason::StageUnknown)?;
        self.check_pipeline(&stage, proposed)
    }

    /// A record stands in a stage of its pipeline; it never stands in a stage without its pipeline or in none that is known.
    fn check_pipeline(&self, stage: &str, facts: &RecordFacts) -> Result<(), Problem> {
        let has_pipeline =
            self.question.record_type.attributes.iter().any(|spec| spec.conversion.kind == Kind::Pipeline);
        let of_stage = self.question.snapshot.bundle.profile.stages.by_id(stage).map(|stage| &stage.pipeline);
        match !has_pipeline || self.entity_of(facts, &Kind::Pipeline).as_ref() == of_stage {
            true => Ok(()),
            false => {
                Err(Problem::new(Reason::StageUnknown).detail("the stage is not one of that pipeline's"))
            }
        }
    }

    /// Where a record stands: its stage and its pipeline.
    fn place_of<'f>(&self, facts: &'f RecordFacts) -> Vec<&'f Attribute> {
        let specs = self.question.record_type.attributes.iter().zip(&facts.attributes);
        let place = specs.filter(|(spec, _)| matches!(spec.conversion.kind, Kind::Stage | Kind::Pipeline));
        place.map(|(_, attribute)| attribute).collect()
    }

    /// Whether a key of the body writes the stage or the pipeline.
    pub(super) fn is_stage_key(&self, key: &PlannedKey) -> bool {
        matches!(key.claim, Claim::Field(_)) && self.is_stage_path(&key.path)
    }

    fn sees_stage(&self, held: Held<'_>) -> bool {
        let mut fields = self.question.record_type.fields.iter().enumerate();
        fields.all(|(index, field)| {
            !self.is_stage_path(&field.at) || held.seen.field(index) == Visibility::Shown
        })
    }

    fn is_stage_path(&self, path: &[String]) -> bool {
        let attributes = self.question.record_type.attributes.iter();
        let mut stages =
            attributes.filter(|spec| matches!(spec.conversion.kind, Kind::Stage | Kind::Pipeline));
        stages.any(|spec| spec.at.iter().any(|at| at.starts_with(path) || path.starts_with(at)))
    }

    fn entity_of(&self, facts: &RecordFacts, kind: &Kind) -> Option<String> {
        let specs = self.question.record_type.attributes.iter().zip(&facts.attributes);
        specs.filter(|(spec, _)| spec.conversion.kind == *kind).find_map(|(_, attribute)| match attribute {
            Attribute::Present(AttributeValue::Entity(entity)) => Some(entity.id.clone()),
            _ => None,
        })
    }
}
