//! What somebody may do to one record or to all of a type, asked in the order in which the proxy asks it.
//!
//! Promises: every decision is one of the functions that decide requests. A change is judged on the record as it stands and as it would
//! become; a record that may not be viewed can be neither changed nor moved.

use std::sync::Arc;

use crate::bundle::current::Snapshot;
use crate::bundle::profile::types::RecordType;
use crate::model::access::{Action, Scope};
use crate::model::decision::Decision;
use crate::model::principal::{Asker, EntityRef};
use crate::model::reason::Reason;
use crate::model::record::{Attribute, AttributeValue, RecordFacts};
use crate::pipeline::decide::evaluate::{Circumstances, Resource, decide};
use crate::pipeline::decide::gate::{RecordGate, RecordVerdict, VerdictCache, Visibility};
use crate::pipeline::decide::stage::Places;
use crate::pipeline::identify::admit;

/// What is asked about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A record that is there, as it stands and as a change would leave it.
    Record {
        /// As it stands.
        before: RecordFacts,
        /// As it would become; the same where nothing is proposed.
        after: RecordFacts,
    },
    /// A record that would be made.
    New(RecordFacts),
    /// All records of a type, and how many of them are concerned.
    Collection(String, Option<i64>),
}

impl Subject {
    /// A record that nothing is proposed for.
    pub fn unchanged(facts: RecordFacts) -> Self {
        Self::Record { after: facts.clone(), before: facts }
    }

    /// The record's type, or the collection's.
    pub fn type_name(&self) -> &str {
        match self {
            Self::Record { before, .. } => &before.type_name,
            Self::New(facts) => &facts.type_name,
            Self::Collection(name, _) => name,
        }
    }
}

/// One question about a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// An action.
    Action(Action),
    /// A move to a stage, by its id in Cedar.
    Move(String),
    /// An action on a field, by its place in the type.
    Field(&'static str, usize),
}

/// Somebody at a moment, and what decides.
pub struct Asking {
    snapshot: Arc<Snapshot>,
    asker: Asker,
    gate: RecordGate,
}

impl Asking {
    /// For somebody; verdicts are kept for as long as this is.
    pub fn new(snapshot: &Arc<Snapshot>, asker: Asker) -> Self {
        let cache = Arc::new(VerdictCache::new(VERDICTS_MAX, 1));
        let gate = RecordGate::new(Arc::clone(snapshot), asker.clone(), cache);
        Self { snapshot: Arc::clone(snapshot), asker, gate }
    }

    /// What may be seen of a record, which need not be viewable.
    pub fn seen(&self, facts: &RecordFacts) -> Arc<RecordVerdict> {
        match self.admitted() {
            Ok(()) => self.gate.judge(facts),
            Err(denied) => {
                let fields = self.record_type(&facts.type_name).map_or(0, |found| found.fields.len());
                Arc::new(RecordVerdict::hidden(denied, fields + 1))
            }
        }
    }

    /// What may be seen of a field; one that is to be masked and has no mask is held back.
    pub fn visibility(&self, facts: &RecordFacts, index: usize) -> Visibility {
        let record_type = self.record_type(&facts.type_name);
        let has_mask = record_type.and_then(|found| found.fields.get(index)?.mask.as_ref()).is_some();
        match self.seen(facts).field(index) {
            Visibility::Masked if !has_mask => Visibility::Hidden,
            seen => seen,
        }
    }

    /// The decision on a question.
    pub fn decide(&self, question: &Question, subject: &Subject) -> Decision {
        let decided = self.admitted().and_then(|()| match (question, subject) {
            (Question::Action(action), _) => self.action(*action, subject),
            (Question::Move(to), Subject::Record { before, after }) => self.move_to(to, before, after),
            (Question::Field(action @ "writeField", index), _) => self.write(action, *index, subject),
            (Question::Field(action, index), Subject::Record { before, .. }) => {
                self.viewable(before)?;
                Ok(self.field(action, *index, before, Vec::new()))
            }
            (Question::Move(_) | Question::Field(..), _) => Err(Decision::deny(Reason::NoPermit)),
        });
        decided.unwrap_or_else(|denied| denied)
    }

    fn admitted(&self) -> Result<(), Decision> {
        let admitted = admit(&self.asker.entity, &self.snapshot.directory, self.asker.now_ms);
        let person = self.asker.attested.on_behalf_of.as_ref();
        let admitted = admitted.and_then(|()| {
            person.map_or(Ok(()), |person| admit(person, &self.snapshot.directory, self.asker.now_ms))
        });
        admitted.map_err(|problem| Decision::deny(problem.reason))
    }

    fn action(&self, action: Action, subject: &Subject) -> Result<Decision, Decision> {
        match (action, subject) {
            (_, Subject::Collection(name, count)) if action.scope() == Scope::Collection => {
                let circumstances = Circumstances { count: *count, ..Circumstances::of(&self.asker) };
                Ok(self.ask(action.name(), Resource::Collection(name), &circumstances))
            }
            (Action::Create, Subject::New(facts)) => {
                let circumstances = self.proposing(facts);
                Ok(self.ask(action.name(), Resource::Record(facts), &circumstances))
            }
            (Action::View, Subject::Record { before, .. }) => Ok(self.gate.judge(before).view.clone()),
            (_, Subject::Record { before, after }) if action.scope() != Scope::Collection => {
                self.viewable(before)?;
                let circumstances = match action.scope() {
                    Scope::RecordWrite => self.proposing(after),
                    Scope::RecordRead | Scope::Collection => Circumstances::of(&self.asker),
                };
                Ok(self.twice(action.name(), before, after, &circumstances))
            }
            _ => Err(Decision::deny(Reason::NoPermit)),
        }
    }

    /// A move is judged on the record as it stands.
    fn move_to(&self, to: &str, before: &RecordFacts, after: &RecordFacts) -> Result<Decision, Decision> {
        self.viewable(before)?;
        let record_type = self.record_type(&before.type_name).ok_or(Decision::deny(Reason::TypeUnknown))?;
        let places = Places { record_type, profile: &self.snapshot.bundle.profile };
        let denied = |problem: crate::model::problem::Problem| Decision::deny(problem.reason);
        let from = places.stage_now(before).map_err(denied)?;
        places.check_pipeline(to, after).map_err(denied)?;
        let mut moved = after.clone();
        for value in &mut moved.attributes {
            if let Attribute::Present(AttributeValue::Entity(entity)) = value
                && entity.type_name == "Stage"
            {
                *entity = EntityRef::new("Stage", to);
            }
        }
        let circumstances = Circumstances { stages: Some((from, to.to_owned())), ..self.proposing(&moved) };
        Ok(self.ask(Action::MoveStage.name(), Resource::Record(before), &circumstances))
    }

    /// A field is written by whoever may change the record, or make it, and write the field.
    fn write(&self, action: &'static str, index: usize, subject: &Subject) -> Result<Decision, Decision> {
        let (whole, before, after) = match subject {
            Subject::Record { before, after } => (Action::Edit, before, after),
            Subject::New(facts) => (Action::Create, facts, facts),
            Subject::Collection(..) => return Err(Decision::deny(Reason::NoPermit)),
        };
        let decision = self.action(whole, subject)?;
        if !decision.is_allow() {
            return Ok(decision);
        }
        let field = self.field_name(&before.type_name, index);
        Ok(self.twice(action, before, after, &Circumstances { field, ..self.proposing(after) }))
    }

    fn field(
        &self,
        action: &'static str,
        index: usize,
        facts: &RecordFacts,
        proposed: Vec<(String, Attribute)>,
    ) -> Decision {
        let field = self.field_name(&facts.type_name, index);
        let circumstances = Circumstances { field, proposed, ..Circumstances::of(&self.asker) };
        self.ask(action, Resource::Record(facts), &circumstances)
    }

    /// A record that may not be viewed does not exist for its caller.
    fn viewable(&self, facts: &RecordFacts) -> Result<(), Decision> {
        let view = self.gate.judge(facts).view.clone();
        if view.is_allow() { Ok(()) } else { Err(Decision { reason: Some(Reason::NotFound), ..view }) }
    }

    fn twice(
        &self,
        action: &'static str,
        before: &RecordFacts,
        after: &RecordFacts,
        circumstances: &Circumstances,
    ) -> Decision {
        let first = self.ask(action, Resource::Record(before), circumstances);
        if !first.is_allow() || before == after {
            return first;
        }
        let second = self.ask(action, Resource::Record(after), circumstances);
        if !second.is_allow() {
            return second;
        }
        let mut determining = first.determining;
        determining.extend(second.determining);
        determining.sort();
        determining.dedup();
        Decision::allow(determining)
    }

    fn proposing(&self, facts: &RecordFacts) -> Circumstances {
        let names = self.record_type(&facts.type_name).into_iter().flat_map(|found| &found.attributes);
        let proposed = names.map(|spec| spec.name.clone()).zip(facts.attributes.iter().cloned()).collect();
        Circumstances { proposed, ..Circumstances::of(&self.asker) }
    }

    fn ask(&self, action: &str, resource: Resource<'_>, circumstances: &Circumstances) -> Decision {
        decide(&self.snapshot, &self.asker.entity, action, resource, circumstances)
    }

    fn field_name(&self, type_name: &str, index: usize) -> Option<String> {
        self.record_type(type_name).map(|record_type| record_type.field_name(index))
    }

    fn record_type(&self, name: &str) -> Option<&RecordType> {
        self.snapshot.bundle.profile.type_named(name).map(|(_, record_type)| record_type)
    }
}

/// Verdicts kept while one case is judged.
const VERDICTS_MAX: u64 = 10_000;
