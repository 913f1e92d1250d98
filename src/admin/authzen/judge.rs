//! Judges AuthZEN questions with the functions that judge for the proxy: the gate for what may be seen, `decide` for all
//! else, on the record as it stands and as it would become.

use std::sync::Arc;

use super::ROUTE;
use super::answer::{Answer, Told};
use super::question::Question;
use crate::bundle::current::Snapshot;
use crate::bundle::profile::types::RecordType;
use crate::json::value::Value;
use crate::model::access::{Action, Scope};
use crate::model::decision::Decision;
use crate::model::principal::{Asker, Attested, Authn, Principal};
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::record::{Attribute, AttributeValue, RecordFacts};
use crate::pipeline::decide::evaluate::{Circumstances, Resource, decide};
use crate::pipeline::decide::gate::{RecordGate, RecordVerdict};
use crate::pipeline::decide::stage::Places;
use crate::pipeline::decide::write::AccessDecision;
use crate::pipeline::hydrate::convert::Lookups;
use crate::pipeline::hydrate::extract::{Completeness, attribute, extract, is_canonical, record_id};
use crate::pipeline::hydrate::image::PROPOSED_ID;
use crate::pipeline::identify::admit;
use crate::pipeline::sidecar::Sidecar;
use crate::pipeline::trail::Trail;

/// What questions of one request are judged with: one snapshot, one time.
pub struct Judge<'s> {
    sidecar: &'s Sidecar,
    snapshot: Arc<Snapshot>,
    now_ms: i64,
}

/// One question under judgement.
pub(super) struct Case<'a, 'd> {
    judge: &'a Judge<'a>,
    pub(super) question: &'a Question<'d>,
    asker: Asker,
    pub(super) told: Told,
}

/// A record that a question is about.
pub(super) struct Subject<'a> {
    record_type: &'a RecordType,
    /// As it stands.
    pub(super) before: RecordFacts,
    /// As it would become.
    pub(super) after: RecordFacts,
}

impl<'s> Judge<'s> {
    /// Judges by what serves now.
    pub fn new(sidecar: &'s Sidecar) -> Self {
        Self { sidecar, snapshot: sidecar.current.snapshot(), now_ms: sidecar.clock.now_ms() }
    }

    /// Answers a question.
    pub fn answer(&self, question: &Question<'_>) -> Answer {
        let asker = Asker::plain(question.subject.clone(), self.now_ms);
        let told = Told { ignored: question.ignored.clone(), ..Told::default() };
        let mut case = Case { judge: self, question, asker, told };
        let problem = case.path().err();
        let told = case.told;
        let principal = Principal {
            entity: question.subject.clone(),
            authn: Authn::Asserted,
            attested: Attested::default(),
        };
        // Whoever is not in the directory gets no handle: nobody could ever be asked about.
        let is_known = self.snapshot.directory.person(&question.subject).is_some();
        let trail = Trail { principal: Some(principal).filter(|_| is_known), ..self.trail() };
        Answer::new(trail, told, problem)
    }

    /// The answer to a question that cannot be read.
    pub fn unreadable(&self, message: String) -> Answer {
        let told = Told { error: Some(message), ..Told::default() };
        Answer::new(self.trail(), told, Some(Reason::QuestionUnreadable.into()))
    }

    fn trail(&self) -> Trail {
        Trail {
            id: self.sidecar.clock.decision_id(),
            method: "POST".to_owned(),
            route: Some(ROUTE.to_owned()),
            serving: Some(Arc::clone(&self.snapshot)),
            ..Trail::default()
        }
    }

    fn lookups(&self) -> Lookups<'_> {
        Lookups { profile: &self.snapshot.bundle.profile, directory: &self.snapshot.directory }
    }
}

impl<'a> Case<'a, '_> {
    fn path(&mut self) -> Result<(), Problem> {
        let (judge, question) = (self.judge, self.question);
        judge.sidecar.standing.check(&judge.snapshot.bundle, judge.now_ms)?;
        judge.sidecar.directory_age.require_fresh(judge.now_ms)?;
        admit(&question.subject, &judge.snapshot.directory, judge.now_ms)?;
        match (Action::parse(&question.action), question.action.as_str()) {
            (Some(action), _) if action.scope() == Scope::Collection => self.collection(action),
            (Some(Action::Create), _) => self.creation(),
            (Some(action), _) => self.record(action),
            (None, "readField" | "readFieldMasked" | "writeField") => self.field(),
            (None, name) => {
                self.told.error = Some(format!("`{name}` is not an action that can be asked about"));
                Err(Reason::NoPermit.into())
            }
        }
    }

    fn collection(&mut self, action: Action) -> Result<(), Problem> {
        let (question, profile) = (self.question, &self.judge.snapshot.bundle.profile);
        let resource = &question.resource;
        let is_known = resource.type_name == "Collection" && profile.type_named(&resource.id).is_some();
        if !is_known {
            self.told.error =
                Some("ask for all records of a type as `Collection` with the type as its id".to_owned());
            return Err(Reason::TypeUnknown.into());
        }
        let circumstances =
            Circumstances { count: question.parameters.count, ..Circumstances::of(&self.asker) };
        let decision = self.decide(action.name(), Resource::Collection(&resource.id), &circumstances);
        self.require(action.name(), &resource.id, None, None, decision)
    }

    fn record(&mut self, action: Action) -> Result<(), Problem> {
        let subject = self.subject()?;
        let verdict = self.view(&subject)?;
        if action == Action::View {
            self.told.tell_fields(subject.record_type, &subject.before.id, &verdict);
            return Ok(());
        }
        match action {
            Action::Download => {
                let circumstances = Circumstances::of(&self.asker);
                self.ask_twice(action.name(), &subject, &circumstances)
            }
            _ => self.change(action, &subject, &verdict),
        }
    }

    /// A record that does not exist yet: what the properties leave out is not there.
    pub(super) fn new_subject(&mut self) -> Result<Subject<'a>, Problem> {
        self.subject_with(Completeness::Complete, PROPOSED_ID)
    }

    fn field(&mut self) -> Result<(), Problem> {
        let subject = self.subject()?;
        let name = self.question.parameters.field.clone().unwrap_or_default();
        let fields = 0..=subject.record_type.fields.len();
        if !fields.into_iter().any(|index| subject.record_type.field_name(index) == name) {
            self.told.error =
                Some("`action.properties.field` must be the full name of a field of the type".to_owned());
            return Err(Reason::NoPermit.into());
        }
        self.view(&subject)?;
        let shared = match self.question.action.as_str() {
            "writeField" => self.circumstances(&subject),
            _ => Circumstances::of(&self.asker),
        };
        let circumstances = Circumstances { field: Some(name), ..shared };
        let action = ["readField", "readFieldMasked", "writeField"];
        let action = action.into_iter().find(|action| *action == self.question.action).unwrap_or("readField");
        self.ask_twice(action, &subject, &circumstances)
    }

    /// Whether the record may be viewed, as before every other action on it.
    fn view(&mut self, subject: &Subject<'_>) -> Result<Arc<RecordVerdict>, Problem> {
        let (judge, facts) = (self.judge, &subject.before);
        let cache = Arc::clone(&judge.sidecar.cache);
        let gate = RecordGate::new(Arc::clone(&judge.snapshot), self.asker.clone(), cache);
        let verdict = gate.judge(facts);
        self.require("view", &facts.type_name, Some(&facts.id), None, verdict.view.clone())
            .map_err(|_| Problem::new(Reason::NotFound))?;
        Ok(verdict)
    }

    fn subject(&mut self) -> Result<Subject<'a>, Problem> {
        let id = self.question.resource.id.clone();
        self.subject_with(Completeness::Partial, &id)
    }

    /// The record, read as the profile says: what its properties leave out is not carried, which is not the same as absent.
    fn subject_with(&mut self, completeness: Completeness, id: &str) -> Result<Subject<'a>, Problem> {
        let (judge, question) = (self.judge, self.question);
        let profile = &judge.snapshot.bundle.profile;
        let (_, record_type) = profile.type_named(&question.resource.type_name).ok_or(Reason::TypeUnknown)?;
        if !is_canonical(id) {
            return Err(Reason::IdMalformed.into());
        }
        let stated = question.properties.and_then(|record| record_id(record_type, record));
        if completeness == Completeness::Partial && stated.is_some_and(|stated| stated != id) {
            return Err(Reason::IdConflict.into());
        }
        let before = match question.properties {
            Some(record) => extract(record_type, record, id.to_owned(), completeness, judge.lookups()),
            None => nothing_of(record_type, id, completeness),
        };
        let after = match question.parameters.proposed {
            Some(proposed) => self.overlay(record_type, &before, proposed),
            None => before.clone(),
        };
        Ok(Subject { record_type, before, after })
    }

    /// Where records of the subject's type can stand.
    pub(super) fn places(&self, subject: &Subject<'a>) -> Places<'a> {
        Places { record_type: subject.record_type, profile: &self.judge.snapshot.bundle.profile }
    }

    fn overlay(&self, record_type: &RecordType, before: &RecordFacts, proposed: Value<'_>) -> RecordFacts {
        let mut after = before.clone();
        for (spec, value) in record_type.attributes.iter().zip(&mut after.attributes) {
            let new = attribute(spec, proposed, Completeness::Partial, self.judge.lookups());
            if new != Attribute::NotCarried {
                *value = new;
            }
        }
        after
    }

    pub(super) fn circumstances(&self, subject: &Subject<'_>) -> Circumstances {
        let names = subject.record_type.attributes.iter().map(|spec| spec.name.clone());
        let proposed = names.zip(subject.after.attributes.iter().cloned()).collect();
        Circumstances { proposed, ..Circumstances::of(&self.asker) }
    }

    /// From where to where: from is what the record says, never what the question says.
    pub(super) fn stages(&mut self, subject: &Subject<'_>) -> Result<(String, String), Problem> {
        let from = subject.before.attributes.iter().find_map(|attribute| match attribute {
            Attribute::Present(AttributeValue::Entity(entity)) if entity.type_name == "Stage" => {
                Some(entity.id.clone())
            }
            _ => None,
        });
        let Some(from) = from else {
            self.told.error =
                Some("`resource.properties` does not say in which stage the record is".to_owned());
            return Err(Reason::StageMoveDenied.into());
        };
        let stages = &self.judge.snapshot.bundle.profile.stages;
        let to = self.question.parameters.to.clone().filter(|to| stages.by_id(to).is_some());
        let Some(to) = to else {
            self.told.error =
                Some("`action.properties.to` must be the id of a stage of the profile".to_owned());
            return Err(Reason::StageUnknown.into());
        };
        self.places(subject).check_pipeline(&to, &subject.after)?;
        Ok((from, to))
    }

    /// On the record as it stands, and as it would become if that differs; a stage move only on the record as it stands.
    pub(super) fn ask_twice(
        &mut self,
        action: &'static str,
        subject: &Subject<'_>,
        circumstances: &Circumstances,
    ) -> Result<(), Problem> {
        let mut all = vec![&subject.before];
        if subject.after != subject.before && circumstances.stages.is_none() {
            all.push(&subject.after);
        }
        for facts in all {
            let decision = self.decide(action, Resource::Record(facts), circumstances);
            let field = circumstances.field.clone();
            self.require(action, &facts.type_name, Some(&facts.id), field, decision)?;
        }
        Ok(())
    }

    fn decide(&self, action: &str, resource: Resource<'_>, circumstances: &Circumstances) -> Decision {
        decide(&self.judge.snapshot, &self.asker.entity, action, resource, circumstances)
    }

    /// Notes a decision, and ends if it is a deny.
    fn require(
        &mut self,
        action: &'static str,
        type_name: &str,
        id: Option<&str>,
        field: Option<String>,
        decision: Decision,
    ) -> Result<(), Problem> {
        let is_allow = decision.is_allow();
        self.told.accesses.push(AccessDecision {
            action,
            type_name: type_name.to_owned(),
            ids: id.map(str::to_owned).into_iter().collect(),
            field,
            decision,
        });
        if is_allow { Ok(()) } else { Err(Reason::Denied.into()) }
    }
}

/// A record of which nothing is known; of a new one, nothing is there.
fn nothing_of(record_type: &RecordType, id: &str, completeness: Completeness) -> RecordFacts {
    let each = match completeness {
        Completeness::Complete => Attribute::Absent,
        Completeness::Partial => Attribute::NotCarried,
    };
    let attributes = record_type.attributes.iter().map(|_| each.clone()).collect();
    RecordFacts { type_name: record_type.name.clone(), id: id.to_owned(), attributes }
}
