//! Decisions of a ledger asked again of another bundle and directory: what would have been decided otherwise, for whom.
//!
//! Promises: an entry holds no values, so what a decision rested on is asked as far as policies can tell without them. What is told as
//! changed is changed whatever the record held; what depends on the record is told as the same only where the condition is the
//! very one that decided then, and as not replayable otherwise.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::formula::Formula;
use super::formula::decided::Conditions;
use super::formula::known::{Known, Place, Who};
use super::formula::words::words;
use crate::audit::item::{list, text, texts};
use crate::bundle::current::Snapshot;
use crate::model::access::{Action, Scope};
use crate::model::principal::EntityRef;
use crate::pipeline::identify::admit;

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub struct Replayed {
    /// Decisions that were read.
    pub decisions: u64,
    /// Questions that they rest on.
    pub questions: u64,
    /// Those that would be decided as they were.
    pub same: u64,
    /// Those that would not.
    pub changed: Vec<Changed>,
    /// Those that cannot be asked again, by why.
    pub unknown: BTreeMap<String, u64>,
}

/// Questions that would have been decided otherwise, alike but for when they were asked.
#[derive(Debug, Serialize)]
pub struct Changed {
    /// Who asked.
    pub who: String,
    /// The record type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The action.
    pub action: String,
    /// The field, or from which stage to which.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub on: String,
    /// What was decided: `allow` or `deny`.
    pub was: &'static str,
    /// What would be.
    pub would: &'static str,
    /// How often.
    pub count: u64,
    /// The first decision of them.
    pub first: String,
}

/// Asks decisions again, one after the other.
pub struct Replay<'s> {
    now: &'s Snapshot,
    conditions: Conditions<'s>,
    then: Then<'s>,
    known: HashMap<(EntityRef, i64), Option<Known<'s>>>,
    answers: HashMap<Key, Answer>,
    changed: BTreeMap<ChangedKey, (u64, String)>,
    told: Replayed,
    reads_time: bool,
}

/// Loads what decided then, by the hashes of bundle and directory; `None` where it is not kept or does not load.
pub type Then<'s> = Box<dyn FnMut(&str, &str) -> Option<Arc<Snapshot>> + 's>;

/// Who, type, action, field or move, what was decided, what would be.
type ChangedKey = (String, String, String, String, &'static str, &'static str);
/// Who, when (where policies look at the time), the question, and the hashes that decided.
type Key = (EntityRef, i64, Question, String, String);

/// What would be decided.
#[derive(Clone, Debug)]
enum Answer {
    Known(bool),
    Same,
    Unknown(String),
}

/// One question of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    action: String,
    type_name: String,
    field: Option<String>,
    moved: Option<(String, String)>,
    stage: Option<String>,
    is_new: bool,
}

impl<'s> Replay<'s> {
    /// Of a bundle and a directory.
    pub fn new(now: &'s Snapshot, then: Then<'s>) -> Self {
        let conditions = Conditions::of(&now.bundle);
        let reads_time = reads_time(&conditions);
        Self {
            now,
            conditions,
            then,
            known: HashMap::new(),
            answers: HashMap::new(),
            changed: BTreeMap::new(),
            told: Replayed::default(),
            reads_time,
        }
    }

    /// Asks one decision again. `who` is its principal; `None` where nobody can say any more.
    pub fn add(&mut self, entry: &Value, who: Option<EntityRef>, at_ms: i64) {
        if entry.get("who").is_none() {
            return;
        }
        self.told.decisions += 1;
        let asked = questions(entry);
        self.told.questions += asked.len() as u64;
        let Some(who) = who else {
            self.unknown("the person was erased, or is in no table of handles", asked.len());
            return;
        };
        let revisions = (text(entry, "bundle").to_owned(), text(entry, "directory").to_owned());
        let is_admitted = admit(&who, &self.now.directory, at_ms).is_ok();
        let at_ms = if self.reads_time { at_ms } else { 0 };
        for (question, was) in asked {
            let key = (who.clone(), at_ms, question, revisions.0.clone(), revisions.1.clone());
            let answer = match self.answers.get(&key) {
                _ if !is_admitted => Answer::Known(false),
                Some(answer) => answer.clone(),
                None => {
                    let answer = self.answer(&key);
                    if self.answers.len() < ANSWERS_MAX {
                        self.answers.insert(key.clone(), answer.clone());
                    }
                    answer
                }
            };
            match answer {
                Answer::Same => self.told.same += 1,
                Answer::Known(would) if would == was => self.told.same += 1,
                Answer::Known(would) => self.note(&who, key.2, was, would, text(entry, "id")),
                Answer::Unknown(why) => self.unknown(&why, 1),
            }
        }
    }

    /// All that was found.
    pub fn end(mut self) -> Replayed {
        let changed = self.changed.into_iter();
        let told =
            |((who, type_name, action, on, was, would), (count, first)): (ChangedKey, (u64, String))| {
                Changed { who, type_name, action, on, was, would, count, first }
            };
        self.told.changed = changed.map(told).collect();
        self.told
    }

    fn note(&mut self, who: &EntityRef, question: Question, was: bool, would: bool, id: &str) {
        let effect = |allowed: bool| if allowed { "allow" } else { "deny" };
        let moved = question.moved.map(|(from, to)| format!("{from} → {to}"));
        let on = question.field.or(moved).unwrap_or_default();
        let key = (who.to_string(), question.type_name, question.action, on, effect(was), effect(would));
        let (count, first) = self.changed.entry(key).or_default();
        *count += 1;
        if first.is_empty() {
            id.clone_into(first);
        }
    }

    fn unknown(&mut self, why: &str, count: usize) {
        let why = match self.told.unknown.len() < WHYS_MAX || self.told.unknown.contains_key(why) {
            true => why.to_owned(),
            false => "other reasons".to_owned(),
        };
        *self.told.unknown.entry(why).or_default() += count as u64;
    }

    fn answer(&mut self, (who, at_ms, question, bundle, directory): &Key) -> Answer {
        let (now, entry) = (self.now, (who.clone(), *at_ms));
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
        }
        let known =
            self.known.entry(entry).or_insert_with(|| Known::new(now, Who::Person(who.clone()), *at_ms));
        let formula = question.formula(&self.conditions, known.as_ref());
        match formula {
            Formula::True => return Answer::Known(true),
            Formula::False => return Answer::Known(false),
            _ => {}
        }
        let open = format!("it depends on the record: {}", words(&formula));
        let Some(then) = (self.then)(bundle, directory) else {
            return Answer::Unknown(format!("{open}; what decided then is not kept"));
        };
        let conditions = Conditions::of(&then.bundle);
        let known = Known::new(&then, Who::Person(who.clone()), *at_ms);
        // The same words mean something else by other people and groups, and at another time.
        let same_people = then.directory.revision == now.directory.revision;
        if !same_people {
            return Answer::Unknown(format!("{open}; and the directory is another"));
        }
        if !self.reads_time && reads_time(&conditions) {
            return Answer::Unknown(format!("{open}; and policies compared the time then"));
        }
        match question.formula(&conditions, known.as_ref()) == formula {
            true => Answer::Same,
            false => Answer::Unknown(open),
        }
    }
}

impl Question {
    fn formula(&self, conditions: &Conditions<'_>, known: Option<&Known<'_>>) -> Formula {
        let found = conditions.bundle().profile.type_named(&self.type_name);
        let (Some(known), Some((_, record_type))) = (known, found) else { return Formula::False };
        let place = Place {
            action: &self.action,
            stage: self.stage.as_deref(),
            field: self.field.as_deref(),
            moved: self.moved.as_ref().map(|(from, to)| (from.as_str(), to.as_str())),
            is_new: self.is_new,
        };
        conditions.alone(known, record_type, place)
    }
}

/// Whether policies look at the time.
fn reads_time(conditions: &Conditions<'_>) -> bool {
    conditions.atoms().iter().any(|atom| atom.to_string().contains("\"now\""))
}

/// The questions that an entry tells of, each with whether it was allowed. What was denied for another reason than policy is none.
fn questions(entry: &Value) -> Vec<(Question, bool)> {
    let mut all = Vec::new();
    let write = entry.get("write");
    let stage = |side: &str| {
        let change = write.and_then(|write| write.get("stage")).and_then(|change| change.get(side));
        change.and_then(Value::as_str).map(str::to_owned)
    };
    let plain = |action: &str, type_name: &str| Question {
        action: action.to_owned(),
        type_name: type_name.to_owned(),
        field: None,
        moved: None,
        stage: None,
        is_new: action == "create",
    };
    let mut changed = None;
    for access in list(entry, "access") {
        let (action, type_name) = (text(access, "action"), text(access, "type"));
        let Some(scope) = Action::parse(action).map(Action::scope) else { continue };
        if !is_by_policy(access) {
            continue;
        }
        if scope == Scope::RecordWrite && changed.is_none() {
            changed = Some((type_name, action == "create"));
        }
        let moved = stage("from").zip(stage("to")).filter(|_| action == "moveStage");
        if action == "moveStage" && moved.is_none() {
            continue;
        }
        let of_stage = if action == "create" { stage("to") } else { stage("from") };
        all.push((
            Question { moved, stage: of_stage, ..plain(action, type_name) },
            text(access, "effect") == "allow",
        ));
    }
    for set in list(entry, "sets") {
        let type_name = text(set, "type");
        all.push((plain("view", type_name), true));
        for (member, was) in [("shown", true), ("hidden", false), ("masked", false)] {
            for field in texts(set, member) {
                let field = Some(field.to_owned());
                all.push((Question { field: field.clone(), ..plain("readField", type_name) }, was));
                if member == "masked" {
                    all.push((Question { field, ..plain("readFieldMasked", type_name) }, true));
                }
            }
        }
    }
    for hidden in list(entry, "rows_hidden").iter().filter(|hidden| is_by_policy(hidden)) {
        all.push((plain("view", text(hidden, "type")), false));
    }
    if let (Some(write), Some((type_name, is_new))) = (write, changed) {
        let refused = texts(write, "refused");
        for field in texts(write, "asked").into_iter().filter(|field| !refused.contains(field)) {
            let field = Some(field.to_owned());
            let stage = if is_new { stage("to") } else { stage("from") };
            all.push((Question { field, stage, is_new, ..plain("writeField", type_name) }, true));
        }
    }
    all
}

/// Whether policies decided: not if an attribute could not be used, or an evaluation failed.
fn is_by_policy(access: &Value) -> bool {
    let reason = access.get("reason").and_then(Value::as_str);
    reason.is_none_or(|reason| matches!(reason, "no-permit" | "forbidden"))
        && list(access, "errors").is_empty()
}

/// Answers that are kept.
const ANSWERS_MAX: usize = 200_000;
/// Askers that are kept.
const KNOWN_MAX: usize = 10_000;
/// Reasons that are told one by one.
const WHYS_MAX: usize = 100;
