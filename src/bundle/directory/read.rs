//! Reads a directory's file into the index, entity by entity.
//!
//! Promises: never in memory as a tree; every entity has a name of its own, what it is a member of exists, no key stands twice,
//! and with a schema at hand all of it conforms.

use std::sync::Arc;

use bytes::Bytes;
use cedar_policy as cedar;

use super::check::{FINDINGS_MAX, Findings, missing_parent};
use super::conformance::Conformance;
use super::hierarchy::{self, Flaw};
use super::index::Index;
use super::items::Items;
use super::{DirectoryLimits, PEOPLE_TYPES, Person};
use crate::bundle::catalogue::CATALOGUE_TYPES;
use crate::bundle::instant::parse_cedar_datetime;
use crate::config::author::{AuthorProblem, Problems, SourceFile};
use crate::json::parse::{JsonError, JsonLimits};
use crate::json::token::quoted;
use crate::json::value::{Document, Value};
use crate::model::principal::EntityRef;

/// Reads a directory; every problem is noted. Without a schema it is looked through for what can be said without one.
pub fn read(
    source: &Arc<SourceFile>,
    schema: Option<&cedar::Schema>,
    limits: &DirectoryLimits,
    problems: &mut Problems,
) -> Option<Index> {
    let mut reading = Reading {
        limits,
        index: Index::default(),
        conformance: schema.map(Conformance::to),
        names: Findings::default(),
        parts: Findings::default(),
        nonconforming: Findings::default(),
    };
    if let Err(problem) = reading.read_all(source) {
        problems.push(*problem);
        return None;
    }
    reading.check_whole();
    let Reading { mut index, names, parts, nonconforming, .. } = reading;
    // Whether something that is not whole conforms is no further problem.
    let is_whole = names.is_empty() && parts.is_empty();
    let is_sound = is_whole && nonconforming.is_empty();
    names.tell(source, problems);
    parts.tell(source, problems);
    if is_whole {
        nonconforming.tell(source, problems);
    }
    index.shrink();
    is_sound.then_some(index)
}

struct Reading<'a> {
    limits: &'a DirectoryLimits,
    index: Index,
    conformance: Option<Conformance<'a>>,
    /// What is wrong with names.
    names: Findings,
    /// What is wrong with parents and attributes.
    parts: Findings,
    nonconforming: Findings,
}

impl Reading<'_> {
    fn read_all(&mut self, source: &Arc<SourceFile>) -> Result<(), Box<AuthorProblem>> {
        for (item, place) in Items::of(&source.text).enumerate() {
            let at =
                |from: usize, message: String| Box::new(AuthorProblem::error(message).at(source, from..from));
            let place = place
                .map_err(|broken| at(broken.at, format!("not valid JSON: expected {}", broken.expected)))?;
            if item >= self.limits.entities_max {
                let message = format!("the directory has more than {} entities", self.limits.entities_max);
                return Err(at(place.start, message));
            }
            let text = source.text.get(place.clone()).unwrap_or_default();
            let document = self.parse(text).map_err(|error| {
                at(place.start + error.offset(), format!("not valid JSON: {}", said(error)))
            })?;
            self.entity(item, text, document.root());
        }
        Ok(())
    }

    fn parse(&self, text: &str) -> Result<Document, JsonError> {
        let bytes_max = self.limits.entity_bytes_max;
        let limits = JsonLimits { bytes_max, depth_max: JSON_DEPTH_MAX, nodes_max: bytes_max };
        Document::parse(Bytes::copy_from_slice(text.as_bytes()), &limits)
    }

    fn entity(&mut self, item: usize, text: &str, root: Value<'_>) {
        let Some(entity) = root.member("uid").and_then(reference) else {
            let message = "an entity has no `uid` of the form {\"type\": …, \"id\": …}";
            return self.names.push(item, "", message.to_owned(), "");
        };
        if CATALOGUE_TYPES.contains(&entity.type_name.as_str()) || entity.type_name == "Action" {
            let help = "Fields, sets, stages, pipelines and actions come from the bundle.";
            let message = format!("`{entity}` does not belong in a directory");
            self.names.push(item, quoted(&entity.id), message, help);
        }
        let number = self.index.refer(&entity);
        if self.index.is_defined(number) {
            let help = "Each entity stands once, with all its attributes and parents.";
            return self.names.push(item, quoted(&entity.id), format!("`{entity}` stands twice"), help);
        }
        let parents = self.parents(item, &entity, root);
        self.check_windows(item, root);
        if PEOPLE_TYPES.contains(&entity.type_name.as_str()) {
            self.index.add_person(number, person(root));
        }
        self.index.define(number, item, root, &parents);
        if self.names.is_empty() && self.parts.is_empty() && !self.nonconforming.is_full() {
            self.check_conformance(item, &entity, text, root);
        }
    }

    fn parents(&mut self, item: usize, entity: &EntityRef, root: Value<'_>) -> Vec<u32> {
        let mut numbers = Vec::new();
        for parent in root.member("parents").into_iter().flat_map(|parents| parents.items()) {
            match reference(parent) {
                Some(parent) => numbers.push(self.index.refer(&parent)),
                None => {
                    let message = "a parent has no `type` and `id`".to_owned();
                    self.parts.push(item, quoted("parents"), message, "");
                }
            }
        }
        if numbers.len() > self.limits.parents_max {
            let message = format!(
                "`{entity}` has {} parents, which is more than {}",
                numbers.len(),
                self.limits.parents_max
            );
            self.parts.push(item, quoted("parents"), message, "Group what they are members of.");
        }
        numbers
    }

    /// An access window that cannot be compared would never close.
    fn check_windows(&mut self, item: usize, root: Value<'_>) {
        for name in ["accessFrom", "accessUntil"] {
            let instant = root.member("attrs").and_then(|attributes| attributes.member(name));
            if instant.is_some_and(|instant| datetime(instant).is_none()) {
                let message = format!("`{name}` is not a point in time that can be compared");
                let help = "Write `{\"__extn\": {\"fn\": \"datetime\", \"arg\": \"2026-12-31T18:00:00Z\"}}`.";
                self.parts.push(item, quoted(name), message, help);
            }
        }
    }

    fn check_conformance(&mut self, item: usize, entity: &EntityRef, text: &str, root: Value<'_>) {
        let Some(conformance) = &mut self.conformance else { return };
        if let Err(message) = conformance.check(text, root) {
            // Cedar names the attribute in backticks.
            let mut names = root.member("attrs").into_iter().flat_map(|a| a.members()).map(|m| m.key());
            let named = names.find(|name| message.contains(&format!("`{name}`")));
            let needle = named.map_or_else(|| quoted(&entity.id), |name| quoted(&name));
            self.nonconforming.push(item, needle, about(entity, message), "");
        }
    }

    /// What can be said once all entities are known.
    fn check_whole(&mut self) {
        let index = &self.index;
        for number in index.numbers().filter(|number| index.is_defined(*number)) {
            for parent in index.parents(number).iter().filter(|parent| !index.is_defined(**parent)) {
                let (parent, is_full) = (index.reference(*parent), self.parts.is_full());
                let (message, help) =
                    if is_full { Default::default() } else { missing_parent(index, &parent) };
                self.parts.push(index.item(number), quoted(&parent.id), message, help);
            }
        }
        for (number, flaw) in hierarchy::check(index, self.limits, FINDINGS_MAX) {
            let entity = index.reference(number);
            let (message, help) = self.tell_flaw(&entity, &flaw);
            self.parts.push(index.item(number), quoted(&entity.id), message, help);
        }
        self.parts.sort();
    }

    fn tell_flaw(&self, entity: &EntityRef, flaw: &Flaw) -> (String, String) {
        let limits = self.limits;
        let nest = "Let fewer groups nest in each other.".to_owned();
        match flaw {
            Flaw::Circle(circle) => {
                let names = circle.iter().skip(1).take(CIRCLE_NAMES_MAX);
                let names = names.map(|number| format!("`{}`", self.index.reference(*number)));
                let names: Vec<String> = names.collect();
                let through = match names.is_empty() {
                    true => String::new(),
                    false => format!(", through {}", names.join(", ")),
                };
                let help = "Memberships may nest, but not in a circle.".to_owned();
                (format!("`{entity}` is a member of itself{through}"), help)
            }
            Flaw::TooDeep => (format!("more than {} levels are above `{entity}`", limits.levels_max), nest),
            Flaw::TooMany => {
                (format!("`{entity}` is a member of more than {} entities", limits.ancestors_max), nest)
            }
        }
    }
}

/// What Cedar said, with the entity's name in it.
pub fn about(entity: &EntityRef, message: String) -> String {
    match message.contains(&entity.to_string()) {
        true => message,
        false => format!("`{entity}`: {message}"),
    }
}

fn said(error: JsonError) -> String {
    match error {
        JsonError::Syntax { expected, .. } => format!("expected {expected}"),
        JsonError::DuplicateKey { .. } => "a key stands twice in one object".to_owned(),
        JsonError::TooDeep { .. } => format!("nested deeper than {JSON_DEPTH_MAX} levels"),
        JsonError::TooLarge { .. } | JsonError::TooMany { .. } => "the entity is too large".to_owned(),
        JsonError::NotUtf8 { .. } => "not UTF-8".to_owned(),
    }
}

fn reference(value: Value<'_>) -> Option<EntityRef> {
    let value = value.member("__entity").unwrap_or(value);
    let text = |name: &str| value.member(name)?.text();
    Some(EntityRef::new(text("type")?, text("id")?))
}

fn person(root: Value<'_>) -> Person {
    let attribute = |name: &str| root.member("attrs")?.member(name);
    let instant = |name: &str| attribute(name).and_then(datetime);
    Person {
        is_active: attribute("active").and_then(|active| active.boolean()).unwrap_or(false),
        access_from: instant("accessFrom"),
        access_until: instant("accessUntil"),
    }
}

/// Reads the three spellings that Cedar takes for a point in time: the text alone, its call, and the escaped call.
fn datetime(value: Value<'_>) -> Option<i64> {
    let call = value.member("__extn").unwrap_or(value);
    let argument = || {
        call.member("fn").and_then(|name| name.text()).filter(|name| name == "datetime")?;
        call.member("arg")?.text()
    };
    parse_cedar_datetime(&value.text().or_else(argument)?)
}

/// Deeper than any directory's attributes.
const JSON_DEPTH_MAX: usize = 64;
/// Names of a circle that a message lists.
const CIRCLE_NAMES_MAX: usize = 8;
