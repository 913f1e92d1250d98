//! Finds a request that one bundle allows and the other does not.
//!
//! Promises: an example was decided by both, by the functions that decide requests. That there can be none is said only where no truth
//! of the conditions tells the two apart.

use std::collections::BTreeMap;

use super::candidates::{Mentioned, places};
use super::questions::Question;
use super::truths::can_differ;
use super::{Found, Side};
use crate::bundle::profile::convert::Kind;
use crate::bundle::profile::types::RecordType;
use crate::model::decision::Decision;
use crate::model::principal::{Asker, EntityRef};
use crate::model::record::{Attribute, AttributeValue, RecordFacts};
use crate::workbench::ask::{self, Asking, Subject};
use crate::workbench::formula::Formula;
use crate::workbench::formula::known::Who;

/// A request that the two decide differently.
#[derive(Clone, Debug)]
pub struct Example {
    /// Who asks.
    pub principal: String,
    /// What the record holds, by attribute; what is not named is absent.
    pub record: BTreeMap<String, String>,
    /// What a change proposes.
    pub proposed: BTreeMap<String, String>,
    /// How many records are concerned.
    pub count: Option<i64>,
    /// What was decided.
    pub old: Decision,
    /// What is decided.
    pub new: Decision,
}

/// What is looked for.
pub struct Search<'s, 'b> {
    /// The old side.
    pub old: &'s Side<'b>,
    /// The new side.
    pub new: &'s Side<'b>,
    /// Who asks.
    pub who: &'s Who,
    /// What.
    pub question: &'s Question<'b>,
    /// In which stage the record stands.
    pub stage: Option<&'s str>,
}

impl Search<'_, '_> {
    /// Something that only the new side allows, and something that only the old one does.
    pub fn examples(&self, before: &Formula, after: &Formula) -> (Found, Found) {
        let found = |can_be: bool| if can_be { Found::Unknown } else { Found::Nothing };
        let mut gained = found(can_differ(before, after));
        let mut lost = found(can_differ(after, before));
        let (Some(person), Some(record_type)) = (self.person(), self.record_type()) else {
            return (gained, lost);
        };
        let asking = |side: &Side<'_>| Asking::new(side.snapshot, Asker::plain(person.clone(), side.now_ms));
        let (was, is) = (asking(self.old), asking(self.new));
        let questions = self.question.asked(self.old).or_else(|| self.question.asked(self.new));
        let Some(fallback) = questions else { return (gained, lost) };
        for tried in self.tries(record_type, before, after).into_iter().take(TRIES_MAX) {
            if !matches!(gained, Found::Unknown) && !matches!(lost, Found::Unknown) {
                break;
            }
            let decide = |side: &Side<'_>, asking: &Asking| {
                let question = self.question.asked(side).unwrap_or_else(|| fallback.clone());
                self.decide(side, asking, &question, &tried, record_type)
            };
            let (old, new) = (decide(self.old, &was), decide(self.new, &is));
            let place = match (old.is_allow(), new.is_allow()) {
                (false, true) => &mut gained,
                (true, false) => &mut lost,
                _ => continue,
            };
            if !matches!(place, Found::Example(_)) {
                *place = Found::Example(Box::new(tried.told(&person, record_type, old, new)));
            }
        }
        (gained, lost)
    }

    /// Somebody to ask as; of a role, somebody of the directory who has it.
    fn person(&self) -> Option<EntityRef> {
        match self.who {
            Who::Person(person) => Some(person.clone()),
            Who::Role(role) => {
                let role = EntityRef::new("Role", role);
                [self.new, self.old].into_iter().find_map(|side| {
                    let directory = &side.snapshot.directory;
                    directory.people().find(|person| directory.is_below(person, &role) == Some(true))
                })
            }
        }
    }

    fn record_type(&self) -> Option<&RecordType> {
        self.question.type_of(self.new).or_else(|| self.question.type_of(self.old))
    }

    fn decide(
        &self,
        side: &Side<'_>,
        asking: &Asking,
        question: &ask::Question,
        tried: &Tried,
        record_type: &RecordType,
    ) -> Decision {
        if self.question.is_on_collection() {
            return asking
                .decide(question, &Subject::Collection(self.question.type_name.clone(), tried.count));
        }
        let facts = |attributes: &[Attribute]| {
            // The other side may order its attributes otherwise, and have others.
            let of_side = side.snapshot.bundle.profile.type_named(&record_type.name).map(|(_, found)| found);
            let value = |name: &str| {
                record_type
                    .attribute(name)
                    .and_then(|place| attributes.get(place))
                    .cloned()
                    .unwrap_or(Attribute::Absent)
            };
            let specs = of_side.into_iter().flat_map(|found| &found.attributes);
            let attributes = specs.map(|spec| value(&spec.name)).collect();
            RecordFacts { type_name: record_type.name.clone(), id: "1".to_owned(), attributes }
        };
        let before = facts(&tried.before);
        let subject = match self.question.is_new {
            true => Subject::New(before),
            false => Subject::Record { after: facts(&tried.after), before },
        };
        asking.decide(question, &subject)
    }

    /// Records and requests to try: every combination of a few values for what the conditions look at.
    fn tries(&self, record_type: &RecordType, before: &Formula, after: &Formula) -> Vec<Tried> {
        let mentioned = Mentioned::of(&[before, after]);
        let mut all = vec![Tried::standing(self, record_type)];
        for (place, spec) in places(record_type, &mentioned.record) {
            if matches!(spec.conversion.kind, Kind::Stage | Kind::Pipeline) {
                continue;
            }
            let values = mentioned.values(self.new.snapshot, self.who, &spec);
            all = combined(all, &values, |tried, value| tried.hold(place, value));
        }
        for (place, spec) in places(record_type, &mentioned.proposed) {
            let values = mentioned.values(self.new.snapshot, self.who, &spec);
            all = combined(all, &values, |tried, value| tried.propose(place, value));
        }
        if mentioned.count {
            all = combined(all, &mentioned.counts(), |tried, count| tried.count = *count);
        }
        all
    }
}

/// Every one of them with every value, as far as there are not too many.
fn combined<V>(all: Vec<Tried>, values: &[V], set: impl Fn(&mut Tried, &V)) -> Vec<Tried> {
    let with = |value: &V, tried: &Tried| {
        let mut tried = tried.clone();
        set(&mut tried, value);
        tried
    };
    values
        .iter()
        .flat_map(|value| all.iter().map(move |tried| with(value, tried)))
        .take(COMBINATIONS_MAX)
        .collect()
}

/// A record, as it stands and as it would become.
#[derive(Clone, Default)]
struct Tried {
    before: Vec<Attribute>,
    after: Vec<Attribute>,
    count: Option<i64>,
}

impl Tried {
    /// In its stage and that stage's pipeline, with nothing else.
    fn standing(search: &Search<'_, '_>, record_type: &RecordType) -> Self {
        let stages = [search.new, search.old].map(|side| &side.snapshot.bundle.profile.stages);
        let stage = search.stage.and_then(|id| stages.iter().find_map(|stages| stages.by_id(id)));
        let attribute = |kind: &Kind| {
            let entity = match (kind, stage) {
                (Kind::Stage, Some(stage)) => EntityRef::new("Stage", &stage.id),
                (Kind::Pipeline, Some(stage)) => EntityRef::new("Pipeline", &stage.pipeline),
                _ => return Attribute::Absent,
            };
            Attribute::Present(AttributeValue::Entity(entity))
        };
        let before: Vec<Attribute> =
            record_type.attributes.iter().map(|spec| attribute(&spec.conversion.kind)).collect();
        Self { after: before.clone(), before, count: None }
    }

    fn hold(&mut self, place: usize, value: &Attribute) {
        for attributes in [&mut self.before, &mut self.after] {
            if let Some(attribute) = attributes.get_mut(place) {
                attribute.clone_from(value);
            }
        }
    }

    fn propose(&mut self, place: usize, value: &Attribute) {
        if let Some(attribute) = self.after.get_mut(place) {
            attribute.clone_from(value);
        }
    }

    fn told(&self, person: &EntityRef, record_type: &RecordType, old: Decision, new: Decision) -> Example {
        let named = |attributes: &[Attribute]| {
            let names = record_type.attributes.iter().map(|spec| spec.name.clone());
            let values = attributes.iter().map(written);
            let pairs = names.zip(values).filter_map(|(name, value)| Some((name, value?)));
            pairs.collect::<BTreeMap<String, String>>()
        };
        let (record, mut proposed) = (named(&self.before), named(&self.after));
        proposed.retain(|name, value| record.get(name) != Some(value));
        Example { principal: person.to_string(), record, proposed, count: self.count, old, new }
    }
}

fn written(attribute: &Attribute) -> Option<String> {
    match attribute {
        Attribute::Present(value) => Some(value_text(value)),
        Attribute::Absent | Attribute::NotCarried | Attribute::Nonconforming(_) => None,
    }
}

fn value_text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Bool(truth) => truth.to_string(),
        AttributeValue::Long(number) => number.to_string(),
        AttributeValue::Text(text) => format!("{text:?}"),
        AttributeValue::Decimal(units) => crate::pipeline::decide::entities::decimal_text(*units),
        AttributeValue::Datetime(millis) => {
            crate::bundle::instant::to_cedar_datetime(*millis).unwrap_or_else(|| millis.to_string())
        }
        AttributeValue::Entity(entity) => entity.to_string(),
        AttributeValue::Set(values) => {
            let values: Vec<String> = values.iter().map(value_text).collect();
            format!("[{}]", values.join(", "))
        }
    }
}

/// Records that are made for one right.
const COMBINATIONS_MAX: usize = 4_000;
/// Records that are decided on for one right.
const TRIES_MAX: usize = 400;
