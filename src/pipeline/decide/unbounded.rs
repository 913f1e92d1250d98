//! Judges a change of whatever records the CRM finds (PDP): it names none, so it is decided for all of a type at once, before
//! anything goes to the CRM.
//!
//! Promises: allowed only where policies allow it on every record of the type, whatever its attributes; what depends on a record as
//! it stands, or as it would become, is refused. There is one refusal for all of it, which tells of no policy and of no field that
//! is hidden. Looks at no record and never asks the programs.

use std::collections::BTreeSet;

use super::always::{About, Outcome, on_every_record, stays_allowed};
use super::keys::{Claim, KeyPlan, PlannedKey};
use super::write::{AccessDecision, WriteQuestion, WriteVerdict};
use crate::bundle::profile::convert::Kind;
use crate::bundle::profile::route::version::VersionSource;
use crate::bundle::profile::types::{KeyPath, RecordType};
use crate::model::access::Action;
use crate::model::decision::Decision;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::record::Attribute;
use crate::pipeline::hydrate::convert::Lookups;
use crate::pipeline::hydrate::extract::{Completeness, attribute};

/// Judges a change of many that names no records, by its action on the collection.
pub(super) fn judge(question: &WriteQuestion<'_>, action: Action) -> WriteVerdict {
    let verdict = WriteVerdict { is_unbounded: true, ..WriteVerdict::default() };
    let mut judge = Judge { question, verdict };
    if let Err(problem) = judge.change(action) {
        judge.verdict.problem = Some(problem);
    }
    judge.verdict
}

/// What a change asks for that is refused before it is judged.
pub(super) fn unjudged(question: &WriteQuestion<'_>) -> WriteVerdict {
    let mut verdict = WriteVerdict { is_unbounded: true, ..WriteVerdict::default() };
    if let Ok(plan) = plan(question) {
        verdict.asked = asked(&plan, question.record_type);
    }
    verdict
}

fn plan(question: &WriteQuestion<'_>) -> Result<KeyPlan, Problem> {
    let WriteQuestion { snapshot, mapped, record_type, .. } = question;
    KeyPlan::read(mapped, mapped.route.writes.as_ref(), record_type, &snapshot.bundle.profile)
}

/// The fields that a body writes.
fn asked(plan: &KeyPlan, record_type: &RecordType) -> BTreeSet<String> {
    let fields = plan.keys.iter().filter(|key| matches!(key.claim, Claim::Field(_)));
    fields.map(|key| key.field_name(record_type)).collect()
}

struct Judge<'q, 'a> {
    question: &'q WriteQuestion<'a>,
    verdict: WriteVerdict,
}

impl Judge<'_, '_> {
    fn change(&mut self, action: Action) -> Result<(), Problem> {
        let plan = plan(self.question)?;
        self.verdict.asked = asked(&plan, self.question.record_type);
        self.verdict.leave_out.clone_from(&plan.ignored);
        let per_record = if action == Action::BulkDelete { Action::Delete } else { Action::Edit };
        let mut is_allowed = self.is_allowed("view", None) && self.is_allowed(per_record.name(), None);
        if per_record != Action::Edit && !plan.keys.is_empty() {
            is_allowed = is_allowed && self.is_allowed(Action::Edit.name(), None);
        }
        let refused = |why: String| Err(Problem::new(Reason::UnboundedRefused).internal(why));
        if !is_allowed {
            return refused("policies do not allow the action on every record".to_owned());
        }
        for key in &plan.keys {
            self.judge_key(key);
        }
        if !self.verdict.refused.is_empty() {
            return refused("a field may not be written on every record".to_owned());
        }
        if plan.stated_id.is_some() {
            return refused("the body names a record".to_owned());
        }
        // Such as to hand records over, which is asked on a record that changes by it.
        if !self.question.mapped.also.is_empty() {
            return refused("the body calls for a further action".to_owned());
        }
        match self.unreadable() {
            Some(name) => refused(format!("what the body makes of the attribute `{name}` does not convert")),
            None => Ok(()),
        }
    }

    /// A field is written if it may be on every record. Who may not read it on every record could send a mask back, or overwrite
    /// what they never saw.
    fn judge_key(&mut self, key: &PlannedKey) {
        let name = key.field_name(self.question.record_type);
        let is_settled = self.is_plain(key)
            && self.is_allowed("readField", Some(&name))
            && self.is_allowed("writeField", Some(&name));
        if !is_settled {
            self.verdict.refused.insert(name);
        }
    }

    /// Whether policies allow an action on every record, whatever it would become.
    fn is_allowed(&mut self, action: &'static str, field: Option<&str>) -> bool {
        let WriteQuestion { snapshot, gate, asker, record_type, .. } = self.question;
        let type_name = &record_type.name;
        // What is refused is known from before, so that asking for it again costs little.
        let outcome = match gate.may_on_every_record(action, type_name, field) {
            true => on_every_record(snapshot, asker, action, type_name, field),
            false => Outcome::Deny,
        };
        let decision = match outcome {
            Outcome::Allow(policies)
                if stays_allowed(
                    snapshot,
                    asker,
                    action,
                    About::AnyRecord(type_name),
                    "proposed",
                    &policies,
                ) =>
            {
                Decision::allow(policies)
            }
            Outcome::Allow(_) | Outcome::Deny | Outcome::Depends => Decision::deny(Reason::UnboundedRefused),
        };
        let is_allow = decision.is_allow();
        self.verdict.accesses.push(AccessDecision {
            action,
            type_name: type_name.clone(),
            ids: Vec::new(),
            field: field.map(str::to_owned),
            decision,
        });
        is_allow
    }

    /// Whether a key is all of one field that stands for nothing but itself: no part of a composite, no other record, nobody's
    /// record, no place in a pipeline, no version.
    fn is_plain(&self, key: &PlannedKey) -> bool {
        let (record_type, profile) = (self.question.record_type, &self.question.snapshot.bundle.profile);
        let Claim::Field(index) = key.claim else { return false };
        let Some(field) = record_type.fields.get(index) else { return false };
        let is_whole = key.node.is_some() && key.path.len() == 1;
        let meets = |at: &KeyPath| at.starts_with(&key.path) || key.path.starts_with(at);
        let mut attributes = record_type.attributes.iter();
        let is_place = attributes.any(|spec| {
            let is_entity =
                matches!(spec.conversion.kind, Kind::Entity { .. } | Kind::Stage | Kind::Pipeline);
            let is_whose = matches!(spec.name.as_str(), "owner" | "team");
            (is_entity || is_whose) && spec.at.iter().any(meets)
        });
        let own = profile
            .routes
            .iter()
            .filter(|route| profile.type_of_image(route).is_none_or(|of| of.name == record_type.name));
        let mut pinnings = own.filter_map(|route| route.version.pinning());
        let is_version =
            pinnings.any(|pinning| matches!(&pinning.from, VersionSource::Record(at) if meets(at)));
        let is_id = meets(&record_type.id);
        is_whole && field.names_records_of().is_none() && !is_place && !is_version && !is_id
    }

    /// An attribute that policies could not read afterwards: a record of which it cannot be read is denied.
    fn unreadable(&self) -> Option<&str> {
        let WriteQuestion { snapshot, mapped, record_type, .. } = self.question;
        let lookups = Lookups { profile: &snapshot.bundle.profile, directory: &snapshot.directory };
        let object = mapped.document().zip(mapped.route.writes.as_ref());
        let object = object.and_then(|(body, writes)| writes.at.first(body.root()))?;
        let mut attributes = record_type.attributes.iter();
        let unreadable = attributes.find(|spec| {
            let proposed = attribute(spec, object, Completeness::Partial, lookups);
            matches!(proposed, Attribute::Nonconforming(_))
        });
        unreadable.map(|spec| spec.name.as_str())
    }
}
