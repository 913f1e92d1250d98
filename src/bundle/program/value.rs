//! Values as Cedar computes with them. Two values are equal exactly where Cedar says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy as cedar;

use super::functions::parse_decimal;
use crate::bundle::catalogue::from_uid;
use crate::bundle::instant::parse_cedar_datetime;
use crate::model::principal::EntityRef;
use crate::model::record::AttributeValue;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// Text.
    Text(Arc<str>),
    /// A reference to an entity.
    Entity(Arc<EntityRef>),
    /// Ten-thousandths.
    Decimal(i64),
    /// Milliseconds since 1970.
    Datetime(i64),
    /// Milliseconds.
    Duration(i64),
    /// A set.
    Set(Arc<BTreeSet<Value>>),
    /// A record.
    Record(Arc<BTreeMap<String, Value>>),
}

impl Value {
    /// An entity by its parts.
    pub fn entity(entity: &EntityRef) -> Self {
        Self::Entity(Arc::new(entity.clone()))
    }

    /// What Cedar holds; `None` where it is of a kind that is not computed with here.
    pub fn from_cedar(value: &cedar::EvalResult) -> Option<Self> {
        Some(match value {
            cedar::EvalResult::Bool(truth) => Self::Bool(*truth),
            cedar::EvalResult::Long(number) => Self::Long(*number),
            cedar::EvalResult::String(text) => Self::Text(text.as_str().into()),
            cedar::EvalResult::EntityUid(uid) => Self::entity(&from_uid(uid)),
            cedar::EvalResult::Set(set) => {
                let items: Option<BTreeSet<Value>> = set.iter().map(Self::from_cedar).collect();
                Self::Set(Arc::new(items?))
            }
            cedar::EvalResult::Record(record) => {
                let members =
                    record.iter().map(|(key, value)| Some((key.to_string(), Self::from_cedar(value)?)));
                let members: Option<BTreeMap<String, Value>> = members.collect();
                Self::Record(Arc::new(members?))
            }
            cedar::EvalResult::ExtensionValue(text) => from_call(text)?,
        })
    }

    /// What the CRM stated.
    pub fn from_attribute(value: &AttributeValue) -> Self {
        match value {
            AttributeValue::Bool(truth) => Self::Bool(*truth),
            AttributeValue::Long(number) => Self::Long(*number),
            AttributeValue::Text(text) => Self::Text(text.as_str().into()),
            AttributeValue::Decimal(units) => Self::Decimal(*units),
            AttributeValue::Datetime(millis) => Self::Datetime(*millis),
            AttributeValue::Entity(entity) => Self::entity(entity),
            AttributeValue::Set(values) => {
                Self::Set(Arc::new(values.iter().map(Self::from_attribute).collect()))
            }
        }
    }
}

/// An extension value as Cedar writes it.
fn from_call(text: &str) -> Option<Value> {
    if let Some(decimal) = argument(text, "decimal") {
        return parse_decimal(decimal).map(Value::Decimal);
    }
    if let Some(duration) = argument(text, "duration") {
        return duration.strip_suffix("ms")?.parse().ok().map(Value::Duration);
    }
    if let Some(datetime) = argument(text, "datetime") {
        return parse_cedar_datetime(datetime).map(Value::Datetime);
    }
    // A datetime that Cedar computed is written as an offset from 1970.
    let offset = text.strip_prefix(EPOCH)?.strip_suffix(')')?;
    argument(offset, "duration")?.strip_suffix("ms")?.parse().ok().map(Value::Datetime)
}

fn argument<'t>(text: &'t str, function: &str) -> Option<&'t str> {
    text.strip_prefix(function)?.strip_prefix("(\"")?.strip_suffix("\")").filter(|inner| !inner.contains('"'))
}

const EPOCH: &str = "datetime(\"1970-01-01\").offset(";
