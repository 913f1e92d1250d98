//! Cases about a record or a collection: which actions, moves and fields somebody is allowed.

use std::collections::BTreeSet;

use super::expect::{Mismatch, NamedField, fields};
use super::given::{Attributes, unknown};
use super::scene::Scene;
use crate::bundle::profile::types::RecordType;
use crate::config::reader::{Table, Text};
use crate::model::access::{Action, Scope};
use crate::model::decision::Decision;
use crate::model::record::RecordFacts;
use crate::pipeline::decide::gate::Visibility;
use crate::pipeline::hydrate::image::PROPOSED_ID;
use crate::workbench::ask::{Asking, Question, Subject};

/// What a case says of a record or a collection.
pub struct AboutRecord {
    subject: Subject,
    effects: Vec<Wanted>,
    fields: Vec<NamedField>,
    policies: Vec<(String, Question, Vec<String>)>,
}

/// A question, and whether it is to be allowed.
struct Wanted {
    told: String,
    question: Question,
    effect: Effect,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

impl AboutRecord {
    /// Reads the keys of such a case.
    pub fn read(scene: &Scene, table: &Table<'_>) -> Option<Self> {
        let profile = &scene.snapshot.bundle.profile;
        let subject = subject(scene, table);
        let record_type = subject.as_ref().and_then(|subject| profile.type_named(subject.type_name()));
        let record_type = record_type.map(|(_, record_type)| record_type);
        let reader = Reader { scene, table, record_type, subject: subject.as_ref() };
        let mut effects = reader.actions("allow", Effect::Allow);
        effects.extend(reader.actions("deny", Effect::Deny));
        effects.extend(reader.moves("moves", Effect::Allow));
        effects.extend(reader.moves("no_moves", Effect::Deny));
        let mut named = fields(profile, record_type, table, READ_WORDS);
        named.extend(fields(profile, record_type, table, WRITE_WORDS));
        let policies = reader.policies();
        let subject = subject?;
        if let Some(field) = named.iter().find(|field| field.type_name != subject.type_name()) {
            let message = format!("`{}` is no field of {}", field.name, subject.type_name());
            table.reading().error(table.span(), message, "");
            return None;
        }
        if effects.is_empty() && named.is_empty() && policies.is_empty() {
            let help = "Say what is allowed, e.g. `allow = [\"view\"]` or `hidden = [\"margin\"]`.";
            table.reading().error(table.span(), "the case says nothing", help);
        }
        Some(Self { subject, effects, fields: named, policies })
    }

    /// What is decided otherwise than the case says.
    pub fn judge(&self, asking: &Asking) -> Vec<Mismatch> {
        let mut found = Vec::new();
        for wanted in &self.effects {
            let decision = asking.decide(&wanted.question, &self.subject);
            if decision.is_allow() != (wanted.effect == Effect::Allow) {
                let expected = if wanted.effect == Effect::Allow { "allow" } else { "deny" };
                found.push(Mismatch::new(&wanted.told, expected, told(&decision)));
            }
        }
        for field in &self.fields {
            found.extend(self.field(asking, field));
        }
        for (told, question, policies) in &self.policies {
            let decision = asking.decide(question, &self.subject);
            if decision.determining != *policies {
                let found_policies = list(&decision.determining);
                found.push(Mismatch::new(format!("policies of {told}"), list(policies), found_policies));
            }
        }
        found
    }

    fn field(&self, asking: &Asking, field: &NamedField) -> Option<Mismatch> {
        let word = match (field.word, &self.subject) {
            (READABLE, Subject::Record { before, .. })
            | (MASKED, Subject::Record { before, .. })
            | (HIDDEN, Subject::Record { before, .. }) => match asking.visibility(before, field.index) {
                Visibility::Shown => READABLE,
                Visibility::Masked => MASKED,
                Visibility::Hidden => HIDDEN,
            },
            (READABLE | MASKED | HIDDEN, _) => HIDDEN,
            _ => {
                let decision = asking.decide(&Question::Field("writeField", field.index), &self.subject);
                if decision.is_allow() { WRITABLE } else { PROTECTED }
            }
        };
        if word == field.word {
            return None;
        }
        let action = if READ_WORDS.contains(&field.word) { "readField" } else { "writeField" };
        let decision = asking.decide(&Question::Field(action, field.index), &self.subject);
        let mut mismatch = Mismatch::new(&field.name, field.word, word);
        mismatch.why = Some(format!("{action}: {}", told(&decision)));
        Some(mismatch)
    }
}

/// The record or collection that a case is about.
fn subject(scene: &Scene, table: &Table<'_>) -> Option<Subject> {
    let (record, collection) = (table.text("record"), table.text("collection"));
    let is_new = table.boolean("new").unwrap_or_default();
    let proposed = table.table("proposed");
    let count = table.integer("count", 0..=i64::MAX.unsigned_abs());
    match (record, collection) {
        (Some(name), None) => {
            if count.is_some() {
                table.reading().error(table.span(), "`count` is of a collection", "");
            }
            let Some(given) = scene.records.get(&name.value) else {
                unknown(table, &name, "a record of this file", scene.records.keys().map(String::as_str));
                return None;
            };
            let mut before = given.facts.clone();
            let after = proposed.map(|proposed| overlaid(scene, &before, &proposed));
            if is_new {
                PROPOSED_ID.clone_into(&mut before.id);
                return Some(Subject::New(before));
            }
            Some(Subject::Record { after: after.unwrap_or_else(|| before.clone()), before })
        }
        (None, Some(name)) => {
            if scene.snapshot.bundle.profile.type_named(&name.value).is_none() {
                let types = scene.snapshot.bundle.profile.types.iter().map(|found| found.name.as_str());
                unknown(table, &name, "a type of the profile", types);
                return None;
            }
            Some(Subject::Collection(name.value, count.and_then(|count| i64::try_from(count).ok())))
        }
        _ => {
            let help = "Name one of `[records]`, a type of the profile, or write a request: \"GET /path\".";
            let message = "a case has one of `record`, `collection` and `request`";
            table.reading().error(table.span(), message, help);
            None
        }
    }
}

/// A record with the attributes that a change proposes.
fn overlaid(scene: &Scene, before: &RecordFacts, proposed: &Table<'_>) -> RecordFacts {
    let mut after = before.clone();
    let profile = &scene.snapshot.bundle.profile;
    let Some((_, record_type)) = profile.type_named(&before.type_name) else { return after };
    for (name, value) in (Attributes { scene, record_type }).stated(proposed) {
        let place = record_type.attribute(&name).and_then(|index| after.attributes.get_mut(index));
        if let Some(place) = place {
            *place = value;
        }
    }
    after
}

struct Reader<'a> {
    scene: &'a Scene,
    table: &'a Table<'a>,
    record_type: Option<&'a RecordType>,
    subject: Option<&'a Subject>,
}

impl Reader<'_> {
    fn actions(&self, key: &str, effect: Effect) -> Vec<Wanted> {
        let names = self.table.texts(key).unwrap_or_default();
        let wanted = |text: Text| {
            let question = Question::Action(self.action(&text)?);
            Some(Wanted { told: text.value, question, effect })
        };
        names.into_iter().filter_map(wanted).collect()
    }

    /// An action that can be asked of the subject.
    fn action(&self, text: &Text) -> Option<Action> {
        let fits = |action: &Action| match self.subject {
            None => true,
            Some(Subject::Collection(..)) => action.scope() == Scope::Collection,
            Some(Subject::New(_)) => *action == Action::Create,
            Some(Subject::Record { .. }) => {
                let is_other = matches!(action, Action::Create | Action::MoveStage);
                action.scope() != Scope::Collection && !is_other
            }
        };
        let action = Action::parse(&text.value).filter(fits);
        if action.is_none() {
            let known = Action::ALL.iter().filter(|action| fits(action)).map(|action| action.name());
            unknown(self.table, text, "an action that can be asked here", known);
        }
        action
    }

    fn moves(&self, key: &str, effect: Effect) -> Vec<Wanted> {
        let stages = self.table.texts(key).unwrap_or_default();
        let wanted = |text: Text| {
            let question = self.stage(&text)?;
            Some(Wanted { told: format!("moveStage {}", text.value), question, effect })
        };
        stages.into_iter().filter_map(wanted).collect()
    }

    fn stage(&self, text: &Text) -> Option<Question> {
        let stages = &self.scene.snapshot.bundle.profile.stages;
        if stages.by_id(&text.value).is_none() {
            let known = stages.stages().iter().map(|stage| stage.id.as_str());
            unknown(self.table, text, "a stage of the profile", known);
            return None;
        }
        if !matches!(self.subject, Some(Subject::Record { .. }) | None) {
            self.table.reading().error(text.span.clone(), "only a record that is there can move", "");
            return None;
        }
        Some(Question::Move(text.value.clone()))
    }

    /// `policies = { view = ["…"], "moveStage sales.won" = [] }`.
    fn policies(&self) -> Vec<(String, Question, Vec<String>)> {
        let Some(table) = self.table.table("policies") else { return Vec::new() };
        let mut wanted = Vec::new();
        for (key, item) in table.entries() {
            let Some(policies) = item.texts() else { continue };
            let known = &self.scene.snapshot.bundle.policies;
            let lost = policies.iter().filter(|text| !known.texts.contains_key(&text.value));
            lost.for_each(|text| unknown(&table, text, "a policy of the bundle", known.ids()));
            let ids: BTreeSet<String> = policies.into_iter().map(|text| text.value).collect();
            if let Some(question) = self.question(&key) {
                wanted.push((key.value, question, ids.into_iter().collect()));
            }
        }
        wanted
    }

    fn question(&self, key: &Text) -> Option<Question> {
        let (word, rest) = match key.value.split_once(' ') {
            None => return self.action(key).map(Question::Action),
            Some((word, rest)) => (word, Text { value: rest.to_owned(), span: key.span.clone() }),
        };
        if word == Action::MoveStage.name() {
            return self.stage(&rest);
        }
        let action = FIELD_ACTIONS.iter().find(|action| **action == word);
        let record_type = self.record_type?;
        let names = || (0..=record_type.fields.len()).map(|index| record_type.field_name(index));
        let full = format!("{}.{}", record_type.name, rest.value);
        let index = names().position(|name| name == rest.value || name == full);
        match (action, index) {
            (Some(action), Some(index)) => Some(Question::Field(action, index)),
            (Some(_), None) => {
                let known: Vec<String> = record_type.fields.iter().map(|field| field.name.clone()).collect();
                unknown(self.table, &rest, "a field", known.iter().map(String::as_str));
                None
            }
            (None, _) => {
                let help = "Write an action, `moveStage STAGE`, or `readField FIELD`, `readFieldMasked FIELD`, `writeField FIELD`.";
                let message = format!("`{}` is no question", key.value);
                self.table.reading().error(key.span.clone(), message, help);
                None
            }
        }
    }
}

/// A decision in a line.
pub fn told(decision: &Decision) -> String {
    let by = match decision.determining.is_empty() {
        true => String::new(),
        false => format!(" by {}", decision.determining.join(", ")),
    };
    let failed = match decision.errors.is_empty() {
        true => String::new(),
        false => format!("; {} failed", decision.errors.join(", ")),
    };
    let attribute = decision.attribute.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    match decision.reason {
        None => format!("allow{by}"),
        Some(reason) => format!("deny, {reason}{attribute}{by}{failed}"),
    }
}

/// Names in a line, or that there is none.
pub fn list<T: AsRef<str>>(names: &[T]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", "),
    }
}

const READABLE: &str = "visible";
const MASKED: &str = "masked";
const HIDDEN: &str = "hidden";
const WRITABLE: &str = "writable";
const PROTECTED: &str = "protected";
/// What can be said of a field that is read.
pub const READ_WORDS: &[&str] = &[READABLE, MASKED, HIDDEN];
const WRITE_WORDS: &[&str] = &[WRITABLE, PROTECTED];
const FIELD_ACTIONS: &[&str] = &["readField", "readFieldMasked", "writeField"];
