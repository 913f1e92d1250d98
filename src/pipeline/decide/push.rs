//! Push-down (PDP): what `view` leaves of a list becomes a condition in the CRM's own filter language, so that hidden rows do not
//! shape a page.
//!
//! Promises: a condition is made only if all of the formula can be said in the profile's words; each value in it is one that
//! this proxy itself reads back as what was meant. Never the last word: rows are decided one by one all the same.

use super::gate::RecordGate;
use super::residual::formula::Formula;
use crate::bundle::current::Snapshot;
use crate::bundle::profile::convert::Kind;
use crate::bundle::profile::push::{Exactness, PushDown, PushedAttribute, Written};
use crate::bundle::profile::source::TypeSource;
use crate::bundle::profile::types::{AttributeSpec, RecordType};
use crate::bundle::program::value::Value;
use crate::model::record::Attribute;
use crate::pipeline::hydrate::convert::Lookups;
use crate::pipeline::hydrate::extract::read_raw;
use crate::pipeline::map::Mapped;
use crate::pipeline::map::lexer::filter::{Clause, Filter};
use crate::pipeline::map::lexer::term::Term;

/// What the CRM is told to leave out.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The condition that rows must fulfil; none if every row may be viewed.
    pub condition: Option<Filter>,
    /// Whether exactly the rows that may be viewed fulfil it.
    pub exactness: Exactness,
    /// Which rows may be viewed.
    pub formula: Formula,
}

impl Pushed {
    /// Whether hidden rows cannot shape what comes back.
    pub fn is_exact(&self) -> bool {
        self.exactness == Exactness::Exact
    }
}

/// What can be pushed down for this principal, who may view what a formula says; nothing where a part of it cannot be said. For who
/// may view every row there is nothing to push, whatever the route.
pub fn push_down(gate: &RecordGate, mapped: &Mapped<'_>, viewed: &Formula) -> Option<Pushed> {
    let (route, record_type, snapshot) = (mapped.route, mapped.record_type?, gate.snapshot());
    let pushed = |condition, exactness| Some(Pushed { condition, exactness, formula: viewed.clone() });
    let sees_all = |of: &RecordType| gate.views_every_record(&of.name);
    let sees_all_others = || others(snapshot, mapped).is_some_and(|others| others.into_iter().all(sees_all));
    // A formula speaks of records that convert; others are hidden from whom policies look at the record for.
    if matches!(viewed, Formula::Always) && sees_all(record_type) && sees_all_others() {
        return pushed(None, Exactness::Exact);
    }
    let (push, open) = (route.push_down.as_ref()?, mapped.query.open_filter.as_ref()?);
    let equal = if open.is_one_value() { Some("") } else { push.equal.as_deref() };
    let writer = Writer { snapshot, push, equal, record_type };
    let condition = match viewed {
        Formula::Always => None,
        // No filter says "nothing".
        Formula::Never => return None,
        _ => Some(writer.condition(viewed)?),
    };
    open.with(condition.as_ref())?;
    // A filter says nothing of records of other types in the same answer.
    let is_exact = push.exactness == Exactness::Exact && sees_all_others();
    pushed(condition, if is_exact { Exactness::Exact } else { Exactness::Rough })
}

/// The types of the records that an answer may have beside those of the route's own type; `None` if nobody knows.
fn others<'s>(snapshot: &'s Snapshot, mapped: &Mapped<'_>) -> Option<Vec<&'s RecordType>> {
    let profile = &snapshot.bundle.profile;
    let mut others = Vec::new();
    for location in &mapped.route.shape.records {
        match &location.type_source {
            TypeSource::Route => {}
            TypeSource::Constant(name) if mapped.record_type.is_some_and(|own| own.name == name.value) => {}
            TypeSource::Constant(name) => others.push(profile.type_named(&name.value)?.1),
            // Each row says its own type.
            TypeSource::Discriminator(_) | TypeSource::Named(_) => others.extend(&profile.types),
        }
    }
    Some(others)
}

struct Writer<'a> {
    snapshot: &'a Snapshot,
    push: &'a PushDown,
    /// The operator for one value.
    equal: Option<&'a str>,
    record_type: &'a RecordType,
}

impl Writer<'_> {
    fn condition(&self, formula: &Formula) -> Option<Filter> {
        let many = |parts: &[Formula]| parts.iter().map(|part| self.condition(part)).collect::<Option<_>>();
        match formula {
            Formula::All(parts) => many(parts).map(Filter::All),
            Formula::Any(parts) => many(parts).map(Filter::Any),
            Formula::Is(attribute, states) => {
                let spec = self.record_type.attributes.get(*attribute)?;
                let pushed = self.push.attributes.get(&spec.name)?;
                let (values, is_absent_in) = states.listed()?;
                let mut alternatives = Vec::new();
                if is_absent_in {
                    // What else the CRM writes for "there is none" would be left out.
                    let operator = self.push.absent.as_ref().filter(|_| spec.conversion.empty.is_empty())?;
                    alternatives.push(clause(pushed, operator, Term::Null));
                }
                let mut terms = Vec::new();
                for value in values {
                    terms.extend(self.spelled(value, spec, pushed)?);
                }
                alternatives.extend(self.one_of(pushed, terms)?);
                match alternatives.len() {
                    1 => alternatives.pop(),
                    _ => Some(Filter::Any(alternatives)),
                }
            }
            Formula::Never | Formula::Always => None,
        }
    }

    /// A condition for some values: none for none.
    fn one_of(&self, pushed: &PushedAttribute, mut terms: Vec<Term>) -> Option<Vec<Filter>> {
        if terms.len() > VALUES_MAX {
            return None;
        }
        Some(match (self.equal, &self.push.one_of, terms.len()) {
            (_, _, 0) => Vec::new(),
            (Some(equal), _, 1) => vec![clause(pushed, equal, terms.pop()?)],
            (_, Some(one_of), _) => vec![clause(pushed, one_of, Term::List(terms))],
            (Some(equal), None, _) => {
                let clauses = terms.into_iter().map(|term| clause(pushed, equal, term));
                vec![Filter::Any(clauses.collect())]
            }
            (None, None, _) => return None,
        })
    }

    /// Every way in which the CRM spells a value, each read back as this value and no other.
    fn spelled(&self, value: &Value, spec: &AttributeSpec, pushed: &PushedAttribute) -> Option<Vec<Term>> {
        if spec.conversion.map.is_some() || spec.conversion.is_set {
            return None;
        }
        let lookups = Lookups { profile: &self.snapshot.bundle.profile, directory: &self.snapshot.directory };
        let terms = match (value, &spec.conversion.kind) {
            (Value::Bool(truth), Kind::Bool { .. }) => vec![Term::Bool(*truth)],
            (value, kind) => self.names(value, kind)?.into_iter().map(|name| written(name, pushed)).collect(),
        };
        let is_read_back = |term: &Term| match read_raw(term.to_json().as_bytes(), spec, lookups) {
            Attribute::Present(found) => Value::from_attribute(&found) == *value,
            Attribute::Absent | Attribute::NotCarried | Attribute::Nonconforming(_) => false,
        };
        terms.iter().all(is_read_back).then_some(terms)
    }

    fn names(&self, value: &Value, kind: &Kind) -> Option<Vec<String>> {
        match (value, kind) {
            (Value::Text(text), Kind::Text) => Some(vec![text.to_string()]),
            (Value::Long(number), Kind::Long) => Some(vec![number.to_string()]),
            (Value::Entity(stage), Kind::Stage) => {
                self.snapshot.bundle.profile.stages.by_id(&stage.id).map(|stage| stage.names.clone())
            }
            (Value::Entity(entity), Kind::Entity { by, .. }) => match by.as_slice() {
                [] => Some(vec![entity.id.clone()]),
                [attribute] => {
                    let found = self.snapshot.directory.shared_entity(entity)?;
                    match found.attr(attribute)?.ok()? {
                        cedar_policy::EvalResult::String(text) => Some(vec![text]),
                        _ => None,
                    }
                }
                // Which of them the CRM holds for this one nobody can tell.
                _ => None,
            },
            _ => None,
        }
    }
}

fn written(name: String, pushed: &PushedAttribute) -> Term {
    match pushed.written {
        Written::Text => Term::Text(name),
        Written::Number => Term::Number(name),
    }
}

fn clause(pushed: &PushedAttribute, operator: &str, value: Term) -> Filter {
    let (path, operator) = (vec![pushed.name.clone()], operator.to_owned());
    Filter::Clause(Clause { path, operator, values: vec![(String::new(), value)] })
}

/// Values in one condition.
const VALUES_MAX: usize = 100;
