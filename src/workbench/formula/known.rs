//! What is known of a question before any record is: who asks, the action, and as far as it is said the stage, the field and the move.
//!
//! Promises: a part of a condition that looks at nothing else is evaluated by Cedar; of any other nothing is said.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy as cedar;
use serde_json::Value as Json;

use crate::bundle::catalogue::to_uid;
use crate::bundle::current::Snapshot;
use crate::bundle::forms::{single, variable};
use crate::bundle::instant;
use crate::bundle::profile::convert::Kind;
use crate::bundle::profile::types::RecordType;
use crate::model::access::{Action, Scope as ActionScope};
use crate::model::principal::EntityRef;
use crate::workbench::condition::probe;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// A user of whom only the roles are known, this one and those above it: active, and with access that does not end, since all
    /// others are refused before any policy is asked.
    Role(String),
    /// Somebody of the directory.
    Person(EntityRef),
}

/// The place of a question, beside who asks it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place<'a> {
    /// The action.
    pub action: &'a str,
    /// The record's stage, if it is said; [`NO_STAGE`] where it has none.
    pub stage: Option<&'a str>,
    /// The field's full name, for actions on fields.
    pub field: Option<&'a str>,
    /// From which stage to which, for moves.
    pub moved: Option<(&'a str, &'a str)>,
    /// Whether the record would be made by the request.
    pub is_new: bool,
}

/// A record type, and the stage of a record of it.
type TypeAndStage = (String, Option<String>);

impl Place<'_> {
    /// Whether it is about all records of a type.
    pub fn is_on_collection(&self) -> bool {
        Action::parse(self.action).is_some_and(|action| action.scope() == ActionScope::Collection)
    }
}

/// Evaluates what is known of one asker.
pub struct Known<'s> {
    snapshot: &'s Snapshot,
    who: Who,
    principal: cedar::EntityUid,
    now_ms: i64,
    /// The asker, all above them, and what the bundle has: by type and stage of the record that is added.
    entities: RefCell<BTreeMap<TypeAndStage, Arc<cedar::Entities>>>,
    /// Parts of conditions that were evaluated, by all that they could look at.
    settled: RefCell<HashMap<String, Option<bool>>>,
}

impl<'s> Known<'s> {
    /// For an asker at a moment; `None` for somebody who is not there.
    pub fn new(snapshot: &'s Snapshot, who: Who, now_ms: i64) -> Option<Self> {
        let principal = match &who {
            Who::Role(_) => EntityRef::new("User", ANYBODY),
            Who::Person(person) => {
                snapshot.directory.person(person)?;
                person.clone()
            }
        };
        Some(Self {
            snapshot,
            who,
            principal: to_uid(&principal)?,
            now_ms,
            entities: RefCell::default(),
            settled: RefCell::default(),
        })
    }

    /// Which of some policies apply, and which fail, all of which look at nothing but the asker and the time.
    pub fn applying(&self, policies: &cedar::PolicySet) -> Option<BTreeSet<String>> {
        let schema = &self.snapshot.bundle.schema.schema;
        let now = cedar::RestrictedExpression::new_datetime(instant::to_cedar_datetime(self.now_ms)?);
        let anything = to_uid(&EntityRef::new("Collection", ANYBODY))?;
        let action = to_uid(&EntityRef::new("Action", "view"))?;
        let context = cedar::Context::from_pairs([("now".to_owned(), now)]).ok()?;
        let request = cedar::Request::new(self.principal.clone(), action, anything, context, None).ok()?;
        let entities = cedar::Entities::from_entities(self.asker()?, Some(schema)).ok()?;
        let response = cedar::Authorizer::new().is_authorized(&request, policies, &entities);
        let failing =
            response.diagnostics().errors().map(|cedar::AuthorizationError::PolicyEvaluationError(error)| {
                format!("! {}", error.policy_id())
            });
        Some(response.diagnostics().reason().map(ToString::to_string).chain(failing).collect())
    }

    /// Whether a part of a condition looks at the asker and the time alone, at the place of a question too, or at more.
    pub fn reach(&self, atom: &Json) -> Reach {
        let at = |place| Scope { known: self, stage: None, place };
        let written = atom.to_string();
        // What looks at the action or at the record's type is another condition at another place.
        let is_of_asker =
            !written.contains("{\"Var\":\"action\"}") && !written.contains("{\"Var\":\"resource\"}");
        if is_of_asker && at(Place::default()).is_closed(atom, &mut Reads::default()) {
            return Reach::Asker;
        }
        let somewhere = Place { field: Some(""), stage: Some(""), moved: Some(("", "")), ..Place::default() };
        let types = self.snapshot.bundle.profile.types.iter();
        let mut reads = Reads { stages: types.filter_map(stage_attribute).collect(), ..Reads::default() };
        if at(somewhere).is_closed(atom, &mut reads) { Reach::Place } else { Reach::Record }
    }

    /// Whether a part of a condition holds; `None` if it looks at what is not known.
    pub fn settle(&self, record_type: &RecordType, place: Place<'_>, atom: &Json) -> Option<bool> {
        let scope = Scope { known: self, stage: stage_attribute(record_type), place };
        let mut reads = Reads::default();
        if !scope.is_closed(atom, &mut reads) {
            return None;
        }
        let key = format!(
            "{atom}|{}|{}|{:?}|{:?}|{:?}",
            record_type.name,
            place.action,
            place.field.filter(|_| reads.field),
            place.stage.filter(|_| reads.stage),
            place.moved.filter(|_| reads.moved)
        );
        if let Some(settled) = self.settled.borrow().get(&key) {
            return *settled;
        }
        let settled = self.evaluate(record_type, place, atom);
        self.settled.borrow_mut().insert(key, settled);
        settled
    }

    fn evaluate(&self, record_type: &RecordType, place: Place<'_>, atom: &Json) -> Option<bool> {
        let uid = |type_name: &str, id: &str| to_uid(&EntityRef::new(type_name, id));
        let mut pairs = Vec::new();
        let now = instant::to_cedar_datetime(self.now_ms)?;
        pairs.push(("now".to_owned(), cedar::RestrictedExpression::new_datetime(now)));
        let (from, to) = place.moved.unzip();
        for (key, type_name, id) in
            [("field", "Field", place.field), ("from", "Stage", from), ("to", "Stage", to)]
        {
            if let Some(id) = id {
                let value = cedar::RestrictedExpression::new_entity_uid(uid(type_name, id)?);
                pairs.push((key.to_owned(), value));
            }
        }
        let request = cedar::Request::new(
            self.principal.clone(),
            uid("Action", place.action)?,
            match place.is_on_collection() {
                true => uid("Collection", &record_type.name)?,
                false => uid(&record_type.name, ANYBODY)?,
            },
            cedar::Context::from_pairs(pairs).ok()?,
            None,
        )
        .ok()?;
        let entities = self.entities(record_type, place.stage)?;
        let policies = cedar::PolicySet::from_policies([probe("atom", atom)?]).ok()?;
        let response = cedar::Authorizer::new().is_authorized(&request, &policies, &entities);
        let has_failed = response.diagnostics().errors().next().is_some();
        (!has_failed).then(|| response.decision() == cedar::Decision::Allow)
    }

    fn entities(&self, record_type: &RecordType, stage: Option<&str>) -> Option<Arc<cedar::Entities>> {
        let key = (record_type.name.clone(), stage.map(str::to_owned));
        if let Some(entities) = self.entities.borrow().get(&key) {
            return Some(Arc::clone(entities));
        }
        let schema = &self.snapshot.bundle.schema.schema;
        let attribute = stage_attribute(record_type).zip(stage.filter(|stage| *stage != NO_STAGE));
        let attributes: HashMap<String, cedar::RestrictedExpression> = attribute
            .and_then(|(name, stage)| {
                let uid = to_uid(&EntityRef::new("Stage", stage))?;
                Some((name.to_owned(), cedar::RestrictedExpression::new_entity_uid(uid)))
            })
            .into_iter()
            .collect();
        let record = to_uid(&EntityRef::new(&record_type.name, ANYBODY))?;
        let record = cedar::Entity::new(record, attributes, HashSet::new()).ok()?;
        let catalogue = &self.snapshot.bundle.catalogue;
        let own = catalogue.references().filter_map(|name| catalogue.entity(name).cloned());
        let all = own.chain(self.asker()?).chain([record]);
        let entities = Arc::new(cedar::Entities::from_entities(all, Some(schema)).ok()?);
        self.entities.borrow_mut().insert(key, Arc::clone(&entities));
        Some(entities)
    }

    /// The asker and everything above them.
    fn asker(&self) -> Option<Vec<cedar::Entity>> {
        let directory = &self.snapshot.directory;
        let mut waiting = Vec::new();
        let mut found: BTreeMap<EntityRef, cedar::Entity> = BTreeMap::new();
        match &self.who {
            Who::Person(person) => waiting.push(person.clone()),
            Who::Role(role) => {
                let role = EntityRef::new(ROLE, role);
                let parents = HashSet::from([to_uid(&role)?]);
                let active = cedar::RestrictedExpression::new_bool(true);
                let attributes = HashMap::from([("active".to_owned(), active)]);
                let anybody = cedar::Entity::new(self.principal.clone(), attributes, parents).ok()?;
                found.insert(EntityRef::new("User", ANYBODY), anybody);
                waiting.push(role);
            }
        }
        while let Some(entity) = waiting.pop() {
            if found.contains_key(&entity) {
                continue;
            }
            let made = match directory.entity(&entity) {
                Some(made) => made,
                // A role that policies name and the directory does not have.
                None => cedar::Entity::new_no_attrs(to_uid(&entity)?, HashSet::new()),
            };
            waiting.extend(directory.ancestors(&entity));
            waiting.extend(references(&made));
            found.insert(entity, made);
        }
        Some(found.into_values().collect())
    }
}

/// Entities that an entity's own attributes refer to.
fn references(entity: &cedar::Entity) -> Vec<EntityRef> {
    let values = entity.attrs().filter_map(|(_, value)| value.ok());
    values
        .filter_map(|value| match value {
            cedar::EvalResult::EntityUid(uid) => Some(crate::bundle::catalogue::from_uid(&uid)),
            _ => None,
        })
        .collect()
}

/// What a part of a condition looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The asker and the time.
    Asker,
    /// The field, the stage or the move as well.
    Place,
    /// The record, or what a request brings.
    Record,
}

/// What a part of a condition looked at, of what may be known.
#[derive(Default)]
struct Reads<'r> {
    field: bool,
    stage: bool,
    moved: bool,
    /// Names that the attribute with the stage may have.
    stages: Vec<&'r str>,
}

struct Scope<'a, 's> {
    known: &'a Known<'s>,
    /// The attribute that holds the stage.
    stage: Option<&'a str>,
    place: Place<'a>,
}

impl Scope<'_, '_> {
    /// Whether an expression looks at nothing but what is known.
    fn is_closed(&self, expression: &Json, reads: &mut Reads<'_>) -> bool {
        let Some((operator, body)) = single(expression) else {
            return self.are_closed(expression, reads);
        };
        let side = |name: &str| body.get(name).unwrap_or(&Json::Null);
        match operator {
            "Value" => true,
            "Var" => match body.as_str() {
                Some("action") => true,
                Some("principal") => self.is_person(),
                Some("resource") => self.place.is_on_collection(),
                _ => false,
            },
            "." | "has" => self.is_access_closed(side("left"), side("attr"), reads),
            "is" => {
                let is_known = matches!(variable(side("left")), Some("principal" | "resource" | "action"));
                let inner = body.get("in");
                let is_in_known = inner.is_none_or(|inner| {
                    self.is_membership_closed(side("left"), inner)
                        || self.is_closed(inner, reads) && self.is_closed(side("left"), reads)
                });
                (is_known || self.is_closed(side("left"), reads)) && is_in_known
            }
            "in" if self.is_membership_closed(side("left"), side("right")) => true,
            _ => self.are_closed(body, reads),
        }
    }

    fn are_closed(&self, value: &Json, reads: &mut Reads<'_>) -> bool {
        match value {
            Json::Object(members) => members.values().all(|inner| self.is_closed(inner, reads)),
            Json::Array(items) => items.iter().all(|inner| self.is_closed(inner, reads)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
        }
    }

    fn is_access_closed(&self, left: &Json, attribute: &Json, reads: &mut Reads<'_>) -> bool {
        let path: Vec<&str> = match attribute {
            Json::String(name) => vec![name],
            Json::Array(names) => names.iter().filter_map(Json::as_str).collect(),
            _ => return false,
        };
        let Some(first) = path.first().copied() else { return false };
        match variable(left) {
            Some("context") => match first {
                "field" => {
                    reads.field = true;
                    self.place.field.is_some()
                }
                "from" | "to" => {
                    reads.moved = true;
                    self.place.moved.is_some()
                }
                "now" => self.is_person(),
                _ => false,
            },
            Some("resource") => {
                reads.stage = true;
                let is_stage = reads.stages.contains(&first) || self.stage == Some(first);
                self.place.stage.is_some() && path.len() == 1 && is_stage
            }
            Some("principal") => {
                self.is_person() || matches!(*path, ["active" | "accessFrom" | "accessUntil"])
            }
            _ => self.is_closed(left, reads),
        }
    }

    /// Of somebody of whom only the roles are known, it is known which roles they are in.
    fn is_membership_closed(&self, left: &Json, right: &Json) -> bool {
        let is_role = |value: &Json| {
            let literal = value.get("Value").and_then(|value| value.get("__entity"));
            literal.and_then(|entity| entity.get("type")).and_then(Json::as_str) == Some(ROLE)
        };
        let all_roles = match right.get("Set").and_then(Json::as_array) {
            Some(items) => items.iter().all(is_role),
            None => is_role(right),
        };
        variable(left) == Some("principal") && all_roles
    }

    fn is_person(&self) -> bool {
        matches!(self.known.who, Who::Person(_))
    }
}

/// The attribute that holds a record's stage.
pub fn stage_attribute(record_type: &RecordType) -> Option<&str> {
    let stage = record_type.attributes.iter().find(|spec| spec.conversion.kind == Kind::Stage)?;
    Some(&stage.name)
}

/// What stands for the stage of a record that has none.
pub const NO_STAGE: &str = "";
const ROLE: &str = "Role";
/// The id of somebody, and of a record, that stand for all.
const ANYBODY: &str = "(anybody)";
