//! Judges a change of one record (PDP): the action, each field, and the stage move, on the record as it stands and as
//! it would become.
//!
//! A forbidden field sent unchanged is no violation, but only for callers who can see its value: for all others
//! "unchanged" would be an answer to a guess.

use std::collections::BTreeSet;

use super::evaluate::{Circumstances, Resource, decide};
use super::gate::{RecordGate, Visibility};
use super::held::Held;
use super::keys::{Claim, KeyPlan, PlannedKey};
use super::links::Link;
use super::merge::Merged;
use crate::bundle::current::Snapshot;
use crate::bundle::profile::route::{Also, When, WriteSemantics, Writes};
use crate::bundle::profile::tree::Meaning;
use crate::bundle::profile::types::{AttributeSpec, KeyPath, RecordType};
use crate::json::path::Segment;
use crate::json::same::same_value;
use crate::json::value::{Document, NodeId, Value};
use crate::model::access::Action;
use crate::model::decision::Decision;
use crate::model::principal::Asker;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::record::{Attribute, AttributeValue, RecordFacts, Version};
use crate::model::seeded::{Fault, is_seeded};
use crate::pipeline::hydrate::convert::Lookups;
use crate::pipeline::hydrate::extract::{Completeness, attribute, canonical_id, walk};
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
    /// The records that the caller's body names anew.
    pub links: Vec<Link>,
    /// Body nodes to leave out of what is forwarded.
    pub leave_out: Vec<NodeId>,
    /// Members to add to the object that holds the fields, as JSON texts by key: what the CRM would otherwise erase. They
    /// come from the before image, and go to the CRM alone.
    pub send_along: Vec<(String, String)>,
    /// The object that holds the fields, anew, where hidden values were merged into it, as JSON text.
    pub merged: Option<String>,
    /// Whether it changes whatever records the CRM finds, and was decided for all of them.
    pub is_unbounded: bool,
    /// Whether it makes a record that must not be there yet.
    pub is_new: bool,
    /// The version to which the write is pinned.
    pub version: Option<Version>,
    /// What policy would know of the record afterwards, where the record is read again then.
    pub expected: Option<RecordFacts>,
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
    pub asker: &'a Asker,
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

/// One change under judgement: the record as it stands, and as it would become.
pub(super) struct Change<'c> {
    /// The record as it stands; `None` for a new record.
    pub(super) held: Option<Held<'c>>,
    /// The part of the body that holds fields.
    pub(super) written: Option<Value<'c>>,
    /// What policy may know of it now, or of the proposal for a new record.
    pub(super) before: &'c RecordFacts,
    /// What policy would know of it afterwards.
    pub(super) after: RecordFacts,
    /// What the decisions depend on beside the record.
    pub(super) circumstances: Circumstances,
    /// The keys of the body.
    pub(super) plan: KeyPlan,
    /// Whether the body replaces the record.
    pub(super) semantics: WriteSemantics,
    /// The body with what its caller cannot see, where the route keeps that.
    pub(super) merged: Option<Merged>,
}

pub(super) struct Judge<'q, 'a> {
    pub(super) question: &'q WriteQuestion<'a>,
    pub(super) verdict: WriteVerdict,
}

impl<'a> Judge<'_, 'a> {
    fn change(&mut self, action: Action, image: &Image) -> Result<(), Problem> {
        let view = self.question.gate.judge(&image.facts);
        self.note("view", &image.facts, None, view.view.clone());
        if !view.view.is_allow() {
            let is_told = is_seeded(Fault::HiddenChangeIsDenied);
            return Err(if is_told { Reason::Denied } else { Reason::NotFound }.into());
        }
        let held = Held { record: image.record(), seen: &view, record_type: self.question.record_type };
        let change = self.read(Some(held), &image.facts)?;
        let is_other = |stated: &String| *stated != image.facts.id && !is_seeded(Fault::OtherIdsPass);
        if change.plan.stated_id.as_ref().is_some_and(is_other) {
            return Err(Reason::IdConflict.into());
        }
        let is_replace = change.semantics == WriteSemantics::Replace;
        let is_partial = view.fields.iter().any(|field| *field != Visibility::Shown);
        if is_replace && change.merged.is_none() && is_partial && !is_seeded(Fault::PartialViewsReplace) {
            return Err(Reason::PutPartialView.into());
        }
        self.note_body(&change);
        let target = self.target_stage(action, &change, held)?;
        let has_other_keys = change.plan.keys.iter().any(|key| !self.places().is_stage_key(key));
        let is_pure_move = target.is_some() && !has_other_keys && action == Action::Edit && !is_replace;
        if action != Action::MoveStage && !is_pure_move {
            self.require(action, &change)?;
        }
        if action != Action::Edit && self.edits_besides(action, &change) {
            self.require(Action::Edit, &change)?;
        }
        for also in &self.question.mapped.also {
            if also.when != When::Changes || self.changes(also, held, &change) {
                self.require(also.action, &change)?;
            }
        }
        if let Some((from, to)) = target {
            self.require_move(&change, from, to)?;
        }
        self.fields(&change)?;
        self.send_along(&change);
        self.note_people(&change);
        self.keep_to_version(&change, image)
    }

    fn creation(&mut self, proposed: &Image) -> Result<(), Problem> {
        let mut change = self.read(None, &proposed.facts)?;
        self.verdict.is_new = true;
        self.add_asked_key(&mut change)?;
        // An id in a new record may name one that is already there.
        if change.plan.stated_id.as_ref().is_some_and(|id| !self.is_asked_id(id)) {
            return Err(Reason::IdConflict.into());
        }
        self.places().check_new(&proposed.facts)?;
        self.require(Action::Create, &change)?;
        for also in &self.question.mapped.also {
            self.require(also.action, &change)?;
        }
        self.note_body(&change);
        self.fields(&change)
    }

    /// Whether a route with an action of its own writes more than this action covers: by any other route that is an edit.
    fn edits_besides(&self, action: Action, change: &Change<'_>) -> bool {
        let covers = self.question.mapped.covers;
        let is_covered = |path: &[String]| covers.iter().any(|key| path.starts_with(key));
        let is_own = |key: &PlannedKey| {
            let is_move = action == Action::MoveStage && self.places().is_stage_key(key);
            is_move || is_covered(&key.path)
        };
        let erases = self.erased_if_left_out().iter().any(|path| !is_covered(path));
        let is_replace = change.semantics == WriteSemantics::Replace;
        is_replace || erases || !change.plan.keys.iter().all(is_own)
    }

    /// A request that names a record by a key of it writes that key where it creates the record.
    fn add_asked_key(&self, change: &mut Change<'_>) -> Result<(), Problem> {
        let mapped = self.question.mapped;
        let Some((key, asked)) = mapped.alternate_key.zip(mapped.ids.first()) else { return Ok(()) };
        match change.written.and_then(|written| walk(written, key)) {
            Some(stated) if canonical_id(stated).as_ref() == Some(asked) => {}
            Some(_) => return Err(Reason::IdConflict.into()),
            None => {
                let tree = self.question.snapshot.bundle.profile.tree(&self.question.record_type.name);
                let claim = match tree.map(|tree| tree.meaning_of(key)) {
                    Some(Meaning::Field(index)) => Claim::Field(index),
                    _ => Claim::Unknown,
                };
                change.plan.keys.push(PlannedKey { path: key.clone(), claim, node: None });
            }
        }
        Ok(())
    }

    /// Whether an id is the one under which a request creates what is missing.
    fn is_asked_id(&self, id: &String) -> bool {
        let mapped = self.question.mapped;
        mapped.alternate_key.is_none() && mapped.ids.as_slice() == std::slice::from_ref(id)
    }

    /// Notes what becomes of the body whatever is decided.
    fn note_body(&mut self, change: &Change<'_>) {
        self.verdict.leave_out.extend(change.plan.ignored.iter().copied());
        let merged = change.merged.as_ref().and_then(|merged| merged.document.as_ref());
        self.verdict.merged = merged.map(|document| document.root().raw().to_owned());
        let kept = change.plan.kept.iter().map(|key| key.field_name(self.question.record_type));
        self.verdict.unchanged.extend(kept);
    }

    fn read<'c>(&self, held: Option<Held<'c>>, before: &'c RecordFacts) -> Result<Change<'c>, Problem>
    where
        'a: 'c,
    {
        let question = self.question;
        let writes = question.mapped.route.writes.as_ref();
        let mut plan =
            KeyPlan::read(question.mapped, writes, question.record_type, &question.snapshot.bundle.profile)?;
        // For a new record a body states all there is, whatever the route's semantics.
        let semantics = match held {
            Some(_) => writes.map_or(WriteSemantics::Merge, |writes| writes.semantics),
            None => WriteSemantics::Merge,
        };
        let written = self.written();
        let merged = self.merged(held, written)?;
        if let Some((merged, merging)) = merged.as_ref().zip(held.and_then(|held| self.merging(held))) {
            plan.kept = merged.take_kept(&mut plan.keys, merging);
        }
        let whole = merged.as_ref().and_then(|merged| merged.document.as_ref()).map(Document::root);
        let after = match (held, whole.or(written)) {
            (Some(_), Some(body)) => self.overlay(before, body, semantics),
            (None, _) | (_, None) => before.clone(),
        };
        let circumstances = self.circumstances(&after);
        Ok(Change { held, written, before, after, circumstances, plan, semantics, merged })
    }

    /// The part of the body that holds fields.
    fn written(&self) -> Option<Value<'a>> {
        let mapped = self.question.mapped;
        mapped.route.writes.as_ref()?.at.first(mapped.document()?.root())
    }

    /// The record as it would become: attributes that the body speaks of, over those that it holds now.
    fn overlay(&self, before: &RecordFacts, body: Value<'_>, semantics: WriteSemantics) -> RecordFacts {
        let mut after = before.clone();
        let snapshot = self.question.snapshot;
        let lookups = Lookups { profile: &snapshot.bundle.profile, directory: &snapshot.directory };
        let completeness = match semantics {
            WriteSemantics::Replace => Completeness::Complete,
            WriteSemantics::Merge => Completeness::Partial,
        };
        for (spec, value) in self.question.record_type.attributes.iter().zip(&mut after.attributes) {
            let proposed = attribute(spec, body, self.completeness_of(spec, completeness), lookups);
            if proposed != Attribute::NotCarried {
                *value = proposed;
            }
        }
        after
    }

    /// What a merge leaves out stays, but for the keys that the CRM erases then.
    fn completeness_of(&self, spec: &AttributeSpec, otherwise: Completeness) -> Completeness {
        let cleared = self.erased_if_left_out();
        let is_cleared = spec.at.iter().any(|at| cleared.iter().any(|key| at.starts_with(key)));
        if is_cleared { Completeness::Complete } else { otherwise }
    }

    /// Keys that the CRM erases where the body leaves them out, and that are not sent along.
    pub(super) fn erased_if_left_out(&self) -> Vec<KeyPath> {
        let writes = self.question.mapped.route.writes.as_ref();
        let is_resent =
            |writes: &Writes, key: &KeyPath| key.first().is_some_and(|key| writes.resend.contains_key(key));
        let keys = writes
            .into_iter()
            .flat_map(|writes| writes.clears.iter().filter(move |key| !is_resent(writes, key)).cloned());
        keys.collect()
    }

    fn circumstances(&self, after: &RecordFacts) -> Circumstances {
        let names = self.question.record_type.attributes.iter().map(|spec| spec.name.clone());
        let proposed = names.zip(after.attributes.iter().cloned());
        Circumstances { proposed: proposed.collect(), ..Circumstances::of(self.question.asker) }
    }

    fn changes(&self, also: &Also, held: Held<'_>, change: &Change<'_>) -> bool {
        let mapped = self.question.mapped;
        let proposed = mapped.document().and_then(|body| also.at.first(body.root()));
        let prefix = mapped.route.writes.as_ref().map_or(0, |writes| writes.at.segments().len());
        let inner = also.at.segments().get(prefix..).unwrap_or_default();
        let keys = inner.iter().map(|segment| match segment {
            Segment::Key(key) => Some(key.clone()),
            Segment::Index(_) | Segment::EachItem | Segment::EachMember => None,
        });
        let record_type = self.question.record_type;
        let tree = self.question.snapshot.bundle.profile.tree(&record_type.name);
        let Some((keys, tree)) = keys.collect::<Option<Vec<String>>>().zip(tree) else { return true };
        if let Some((merged, merging)) = change.merged.as_ref().zip(self.merging(held))
            && (proposed.is_none() || merged.stand_ins.contains(&keys))
        {
            return merged.changes(&keys, merging, held.record, change.written);
        }
        if held.visibility(tree.meaning_of(&keys), &keys) != Visibility::Shown {
            return true;
        }
        let current = walk(held.record, &keys);
        match (current, proposed) {
            (Some(current), Some(proposed)) => !same_value(current, proposed),
            (None, Some(_)) => true,
            // Left out of a full replacement: what there was is erased.
            (current, None) => current.is_some_and(|current| !current.is_null()),
        }
    }

    /// The action on the record as it stands, and as it would become if that differs.
    fn require(&mut self, action: Action, change: &Change<'_>) -> Result<(), Problem> {
        match self.is_allowed(action.name(), change, &change.circumstances) {
            true => Ok(()),
            false => Err(Reason::Denied.into()),
        }
    }

    fn require_move(&mut self, change: &Change<'_>, from: String, to: String) -> Result<(), Problem> {
        self.verdict.stage = Some((from.clone(), to.clone()));
        let circumstances = Circumstances { stages: Some((from, to)), ..change.circumstances.clone() };
        match self.ask("moveStage", change.before, &circumstances).is_allow() {
            true => Ok(()),
            false => Err(Reason::StageMoveDenied.into()),
        }
    }

    /// Whether an action is allowed on the record as it stands and as it would become.
    pub(super) fn is_allowed(
        &mut self,
        action: &'static str,
        change: &Change<'_>,
        circumstances: &Circumstances,
    ) -> bool {
        let is_allowed_now = self.ask(action, change.before, circumstances).is_allow();
        let stays_the_same = change.after == *change.before;
        is_allowed_now && (stays_the_same || self.ask(action, &change.after, circumstances).is_allow())
    }

    fn note_people(&mut self, change: &Change<'_>) {
        let changed = |name: &str| {
            let index = self.question.record_type.attribute(name)?;
            let id = |facts: &RecordFacts| match facts.attributes.get(index) {
                Some(Attribute::Present(AttributeValue::Entity(entity))) => entity.id.clone(),
                _ => String::new(),
            };
            let (from, to) = (id(change.before), id(&change.after));
            (from != to).then_some((from, to))
        };
        let (owner, team) = (changed("owner"), changed("team"));
        (self.verdict.owner, self.verdict.team) = (owner, team);
    }

    fn ask(&mut self, action: &'static str, facts: &RecordFacts, circumstances: &Circumstances) -> Decision {
        let question = self.question;
        let resource = Resource::Record(facts);
        let decision = decide(question.snapshot, &question.asker.entity, action, resource, circumstances);
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
