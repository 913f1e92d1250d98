//! Judges a change of whatever records the CRM finds (PDP): it names none, so it is decided for all of a type at once, before
//! anything goes to the CRM.
//!
//! Promises: allowed only where policies allow it on every record of the type, whatever its attributes; what depends on a record as
//! it stands, or as it would become, is refused. There is one refusal for all of it, which tells of no policy and of no field that
//! is hidden. Looks at no record and never asks the programs.

use super::always::{About, Outcome, on_every_record, stays_allowed};
use super::keys::{Claim, KeyPlan, PlannedKey};
use super::write::{AccessDecision, WriteQuestion, WriteVerdict};
use crate::bundle::profile::convert::Kind;
use crate::bundle::profile::route::version::VersionSource;
use crate::bundle::profile::types::KeyPath;
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

struct Judge<'q, 'a> {
    question: &'q WriteQuestion<'a>,
    verdict: WriteVerdict,
}

impl Judge<'_, '_> {
    fn change(&mut self, action: Action) -> Result<(), Problem> {
        let question = self.question;
        let (mapped, record_type) = (question.mapped, question.record_type);
        let writes = mapped.route.writes.as_ref();
        let plan = KeyPlan::read(mapped, writes, record_type, &question.snapshot.bundle.profile)?;
        self.verdict.leave_out.clone_from(&plan.ignored);
        let per_record = if action == Action::BulkDelete { Action::Delete } else { Action::Edit };
        let mut is_allowed = self.is_allowed("view", None) && self.is_allowed(per_record.name(), None);
        if per_record != Action::Edit && !plan.keys.is_empty() {
            is_allowed = is_allowed && self.is_allowed(Action::Edit.name(), None);
        }
        for key in &plan.keys {
            self.judge_key(key);
        }
        // A further action, such as to hand records over, is asked on a record that changes by it.
        let is_alone = plan.stated_id.is_none() && mapped.also.is_empty() && self.converts();
        match is_allowed && is_alone && self.verdict.refused.is_empty() {
            true => Ok(()),
            false => Err(Reason::UnboundedRefused.into()),
        }
    }

    /// A field is written if it may be on every record. Who may not read it on every record could send a mask back, or overwrite
    /// what they never saw.
    fn judge_key(&mut self, key: &PlannedKey) {
        let name = key.field_name(self.question.record_type);
        if matches!(key.claim, Claim::Field(_)) {
            self.verdict.asked.insert(name.clone());
        }
        let is_settled = self.is_plain(key)
            && self.is_allowed("readField", Some(&name))
            && self.is_allowed("writeField", Some(&name));
        if !is_settled {
            self.verdict.refused.insert(name);
        }
    }

    /// Whether policies allow an action on every record, whatever it would become.
    fn is_allowed(&mut self, action: &'static str, field: Option<&str>) -> bool {
        let WriteQuestion { snapshot, asker, record_type, .. } = self.question;
        let type_name = &record_type.name;
        let decision = match on_every_record(snapshot, asker, action, type_name, field) {
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
        let mut pinnings = profile.routes.iter().filter_map(|route| route.version.pinning());
        let is_version =
            pinnings.any(|pinning| matches!(&pinning.from, VersionSource::Record(at) if meets(at)));
        is_whole && field.names_records_of().is_none() && !is_place && !is_version
    }

    /// Whether what policies may know of the records afterwards can be read: a record of which it cannot is denied.
    fn converts(&self) -> bool {
        let WriteQuestion { snapshot, mapped, record_type, .. } = self.question;
        let lookups = Lookups { profile: &snapshot.bundle.profile, directory: &snapshot.directory };
        let object = mapped.document().zip(mapped.route.writes.as_ref());
        let Some(object) = object.and_then(|(body, writes)| writes.at.first(body.root())) else {
            return true;
        };
        record_type.attributes.iter().all(|spec| {
            let proposed = attribute(spec, object, Completeness::Partial, lookups);
            !matches!(proposed, Attribute::Nonconforming(_))
        })
    }
}
