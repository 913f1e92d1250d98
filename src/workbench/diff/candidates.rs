//! Values that records and requests are tried with, so that conditions come out both ways: those that policies name, and their
//! neighbours.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::bundle::current::Snapshot;
use crate::bundle::forms::{single, variable};
use crate::bundle::instant;
use crate::bundle::profile::convert::{DecimalForm, Kind};
use crate::bundle::profile::types::{AttributeSpec, RecordType};
use crate::model::principal::EntityRef;
use crate::model::record::{Attribute, AttributeValue};
use crate::pipeline::hydrate::convert::parse_decimal;
use crate::workbench::formula::Formula;
use crate::workbench::formula::known::Who;

/// What conditions look at, and the values that they compare it with.
#[derive(Debug, Default)]
pub struct Mentioned {
    /// Attributes of the record.
    pub record: BTreeSet<String>,
    /// Attributes that a change proposes.
    pub proposed: BTreeSet<String>,
    /// Whether the number of records counts.
    pub count: bool,
    texts: BTreeSet<String>,
    numbers: BTreeSet<i64>,
    decimals: BTreeSet<i64>,
    times: BTreeSet<i64>,
    entities: BTreeSet<EntityRef>,
}

impl Mentioned {
    /// What some formulas look at.
    pub fn of(formulas: &[&Formula]) -> Self {
        let mut found = Self::default();
        formulas.iter().for_each(|formula| formula.visit(&mut |atom| found.walk(atom)));
        found
    }

    fn walk(&mut self, value: &Json) {
        match single(value) {
            Some(("." | "has", body)) => self.access(body),
            Some(("Value", literal)) => self.literal(literal),
            Some((name @ ("decimal" | "datetime"), arguments)) => {
                let text = arguments.get(0).and_then(|first| first.get("Value")).and_then(Json::as_str);
                let text = text.unwrap_or_default();
                match name {
                    "decimal" => self.decimals.extend(parse_decimal(text, &DecimalForm::default())),
                    _ => self.times.extend(instant::parse_cedar_datetime(text)),
                }
            }
            _ => self.walk_inside(value),
        }
    }

    fn walk_inside(&mut self, value: &Json) {
        match value {
            Json::Object(members) => members.values().for_each(|inner| self.walk(inner)),
            Json::Array(items) => items.iter().for_each(|inner| self.walk(inner)),
            _ => {}
        }
    }

    fn access(&mut self, body: &Json) {
        let left = body.get("left").unwrap_or(&Json::Null);
        let first = match body.get("attr") {
            Some(Json::Array(names)) => names.first().and_then(Json::as_str),
            Some(name) => name.as_str(),
            None => None,
        };
        let Some(name) = first else { return };
        let is_proposed = single(left).is_some_and(|(operator, inner)| {
            let of_context = inner.get("left").and_then(variable) == Some("context");
            operator == "." && of_context && inner.get("attr").and_then(Json::as_str) == Some("proposed")
        });
        match variable(left) {
            Some("resource") => {
                self.record.insert(name.to_owned());
            }
            Some("context") => self.count |= name == "count",
            _ if is_proposed => {
                self.proposed.insert(name.to_owned());
            }
            _ => self.walk(left),
        }
    }

    fn literal(&mut self, literal: &Json) {
        match literal {
            Json::String(text) => {
                self.texts.insert(text.clone());
            }
            Json::Number(number) => self.numbers.extend(number.as_i64()),
            Json::Object(members) => {
                self.entities.extend(members.get("__entity").and_then(crate::bundle::forms::entity));
            }
            _ => {}
        }
    }

    /// Numbers of records to try.
    pub fn counts(&self) -> Vec<Option<i64>> {
        let near = self
            .numbers
            .iter()
            .flat_map(|number| [number.saturating_sub(1), *number, number.saturating_add(1)]);
        let mut counts: Vec<Option<i64>> = near.filter(|count| *count >= 0).map(Some).collect();
        counts.push(None);
        counts
    }

    /// Values of an attribute to try, the likelier ones first; the stage is one that is asked about.
    pub fn values(&self, side: &Snapshot, who: &Who, spec: &AttributeSpec) -> Vec<Attribute> {
        let mut values = self.of_kind(side, who, &spec.conversion.kind);
        if spec.conversion.is_set {
            let one = |value: AttributeValue| AttributeValue::Set(vec![value]);
            values = values.into_iter().map(one).chain([AttributeValue::Set(Vec::new())]).collect();
        }
        values.into_iter().take(VALUES_MAX).map(Attribute::Present).chain([Attribute::Absent]).collect()
    }

    fn of_kind(&self, side: &Snapshot, who: &Who, kind: &Kind) -> Vec<AttributeValue> {
        let near = |numbers: &BTreeSet<i64>| {
            let all = numbers
                .iter()
                .flat_map(|number| [*number, number.saturating_add(1), number.saturating_sub(1)]);
            all.collect::<BTreeSet<i64>>().into_iter().collect::<Vec<i64>>()
        };
        match kind {
            Kind::Bool { .. } => vec![AttributeValue::Bool(true), AttributeValue::Bool(false)],
            Kind::Long => near(&self.numbers).into_iter().chain([0]).map(AttributeValue::Long).collect(),
            Kind::Decimal(_) => {
                near(&self.decimals).into_iter().chain([0]).map(AttributeValue::Decimal).collect()
            }
            Kind::Datetime(_) => {
                near(&self.times).into_iter().chain([0]).map(AttributeValue::Datetime).collect()
            }
            Kind::Text => {
                self.texts.iter().cloned().chain(["x".to_owned()]).map(AttributeValue::Text).collect()
            }
            Kind::Stage => Vec::new(),
            Kind::Pipeline => Vec::new(),
            Kind::Entity { type_name, .. } => self.people(side, who, type_name),
        }
    }

    /// The caller and what they are in, what policies name, and some others.
    fn people(&self, side: &Snapshot, who: &Who, type_name: &str) -> Vec<AttributeValue> {
        let mut found: Vec<EntityRef> = Vec::new();
        if let Who::Person(person) = who {
            let above = side.directory.ancestors(person);
            found.extend(
                [person.clone()].into_iter().chain(above).filter(|entity| entity.type_name == type_name),
            );
        }
        found.extend(self.entities.iter().filter(|entity| entity.type_name == type_name).cloned());
        let others = side.directory.ids_of(type_name, usize::MAX - 1).unwrap_or_default();
        let step = (others.len() / OTHERS_MAX).max(1);
        found.extend(others.iter().step_by(step).map(|id| EntityRef::new(type_name, id)));
        let mut once = BTreeSet::new();
        found.retain(|entity| once.insert(entity.clone()));
        found.into_iter().map(AttributeValue::Entity).collect()
    }
}

/// The places in a type of the attributes of some names.
pub fn places(record_type: &RecordType, names: &BTreeSet<String>) -> BTreeMap<usize, AttributeSpec> {
    let specs = record_type.attributes.iter().enumerate();
    specs.filter(|(_, spec)| names.contains(&spec.name)).map(|(place, spec)| (place, spec.clone())).collect()
}

/// Values of one attribute that are tried.
const VALUES_MAX: usize = 24;
/// People and groups that are tried beside those that policies and the caller name.
const OTHERS_MAX: usize = 12;
