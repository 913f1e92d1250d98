//! Finds the stage move in a change (PDP), by whichever key or route it comes.

use super::gate::{RecordVerdict, Visibility};
use super::held::Held;
use super::keys::{Claim, PlannedKey};
use super::write::{Change, Judge};
use crate::bundle::profile::Profile;
use crate::bundle::profile::convert::Kind;
use crate::bundle::profile::types::RecordType;
use crate::model::access::Action;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::record::{Attribute, AttributeValue, RecordFacts};

/// Where records of a type can stand: in stages of pipelines.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    /// The type.
    pub record_type: &'a RecordType,
    /// The profile, which has the catalogue of stages.
    pub profile: &'a Profile,
}

impl Judge<'_, '_> {
    /// From where to where a request moves the record, if it does.
    pub(super) fn target_stage(
        &self,
        action: Action,
        change: &Change<'_>,
        held: Held<'_>,
    ) -> Result<Option<(String, String)>, Problem> {
        let places = self.places();
        if action == Action::MoveStage {
            let from = places.stage_now(change.before);
            let to = self.question.mapped.target_stage.clone().ok_or(Reason::StageUnknown)?;
            places.check_pipeline(&to, &change.after)?;
            return Ok(Some((from?, to)));
        }
        places.moved(change.before, &change.after, &change.plan.keys, held.seen)
    }

    pub(super) fn places(&self) -> Places<'_> {
        let question = self.question;
        Places { record_type: question.record_type, profile: &question.snapshot.bundle.profile }
    }
}

impl Places<'_> {
    /// From where to where a change moves a record, if it does; `seen` is what its caller sees of the record as it stands.
    pub fn moved(
        &self,
        before: &RecordFacts,
        after: &RecordFacts,
        keys: &[PlannedKey],
        seen: &RecordVerdict,
    ) -> Result<Option<(String, String)>, Problem> {
        // A full replacement that leaves the stage out would erase it.
        let is_touched = keys.iter().any(|key| self.is_stage_key(key));
        if !is_touched && self.place_of(before) == self.place_of(after) {
            return Ok(None);
        }
        let to = self.entity_of(after, &Kind::Stage).ok_or(Reason::StageUnknown)?;
        self.check_pipeline(&to, after)?;
        let from = self.stage_now(before)?;
        // For somebody who cannot see the stage, "you are there already" would be an answer to a guess.
        Ok((from != to || !self.sees_stage(seen)).then_some((from, to)))
    }

    /// Refuses a new record whose stage is not of the catalogue or not of its pipeline.
    pub fn check_new(&self, proposed: &RecordFacts) -> Result<(), Problem> {
        let place = self.place_of(proposed);
        if place.iter().all(|attribute| **attribute == Attribute::Absent) {
            return Ok(());
        }
        let stage = self.entity_of(proposed, &Kind::Stage).ok_or(Reason::StageUnknown)?;
        self.check_pipeline(&stage, proposed)
    }

    /// Whether a key of the body writes the stage or the pipeline.
    pub fn is_stage_key(&self, key: &PlannedKey) -> bool {
        matches!(key.claim, Claim::Field(_)) && self.is_stage_path(&key.path)
    }

    /// The stage of a record as it stands.
    pub fn stage_now(&self, facts: &RecordFacts) -> Result<String, Problem> {
        self.entity_of(facts, &Kind::Stage).ok_or_else(|| {
            Problem::new(Reason::StageMoveDenied).internal("the record's own stage is not known")
        })
    }

    /// A record stands in a stage of its pipeline; it never stands in a stage without its pipeline or in none that is known.
    pub fn check_pipeline(&self, stage: &str, facts: &RecordFacts) -> Result<(), Problem> {
        let has_pipeline =
            self.record_type.attributes.iter().any(|spec| spec.conversion.kind == Kind::Pipeline);
        let of_stage = self.profile.stages.by_id(stage).map(|stage| &stage.pipeline);
        match !has_pipeline || self.entity_of(facts, &Kind::Pipeline).as_ref() == of_stage {
            true => Ok(()),
            false => {
                Err(Problem::new(Reason::StageUnknown).detail("the stage is not one of that pipeline's"))
            }
        }
    }

    /// Where a record stands: its stage and its pipeline.
    fn place_of<'f>(&self, facts: &'f RecordFacts) -> Vec<&'f Attribute> {
        let specs = self.record_type.attributes.iter().zip(&facts.attributes);
        let place = specs.filter(|(spec, _)| matches!(spec.conversion.kind, Kind::Stage | Kind::Pipeline));
        place.map(|(_, attribute)| attribute).collect()
    }

    fn sees_stage(&self, seen: &RecordVerdict) -> bool {
        let mut fields = self.record_type.fields.iter().enumerate();
        fields.all(|(index, field)| !self.is_stage_path(&field.at) || seen.field(index) == Visibility::Shown)
    }

    fn is_stage_path(&self, path: &[String]) -> bool {
        let attributes = self.record_type.attributes.iter();
        let mut stages =
            attributes.filter(|spec| matches!(spec.conversion.kind, Kind::Stage | Kind::Pipeline));
        stages.any(|spec| spec.at.iter().any(|at| at.starts_with(path) || path.starts_with(at)))
    }

    fn entity_of(&self, facts: &RecordFacts, kind: &Kind) -> Option<String> {
        let specs = self.record_type.attributes.iter().zip(&facts.attributes);
        specs.filter(|(spec, _)| spec.conversion.kind == *kind).find_map(|(_, attribute)| match attribute {
            Attribute::Present(AttributeValue::Entity(entity)) => Some(entity.id.clone()),
            _ => None,
        })
    }
}
