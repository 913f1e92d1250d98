//! Says what one value means to a bound program: every expression on it, evaluated once.

use super::column::Code;
use super::reading::{Reading, comparison};
use super::world::Entities;
use crate::bundle::current::Snapshot;
use crate::bundle::instant;
use crate::bundle::program::evaluate::{Record, Scene, Stop};
use crate::bundle::program::expression::{Expression, Op};
use crate::bundle::program::tree::Outcome;
use crate::bundle::program::value::Value;
use crate::model::reason::Reason;
use crate::model::record::AttributeValue;
use crate::pipeline::decide::entities::Known;

/// Evaluates at one moment.
pub struct Teacher<'s> {
    /// The entities.
    pub snapshot: &'s Snapshot,
    /// Which entities are known to be there with all that they refer to.
    pub known: &'s Known,
    /// Milliseconds since 1970.
    pub now_ms: i64,
}

impl Teacher<'_> {
    /// What everything that depends on an attribute comes to, or the code that says why that does not matter.
    pub fn outcomes(
        &self,
        value: Option<&AttributeValue>,
        reading: &Reading,
    ) -> Result<Box<[Outcome]>, Code> {
        if let Some(code) = value.and_then(|value| self.denied(value)) {
            return Err(code);
        }
        let record = Record::Attribute(reading.attribute, value);
        let outcomes = reading.slots.iter().map(|(_, expression)| {
            at_a_glance(expression, value).map_or_else(|| self.outcome(expression, record), Ok)
        });
        outcomes.collect::<Result<_, Stop>>().map_err(|_| Code::UNSUPPORTED)
    }

    /// What an expression comes to.
    pub fn outcome(&self, expression: &Expression, record: Record<'_>) -> Result<Outcome, Stop> {
        let world = Entities(self.snapshot);
        let scene = Scene { world: &world, now_ms: Some(self.now_ms), record };
        match scene.truth(expression) {
            Ok(truth) => Ok(Outcome::of(truth)),
            Err(Stop::Fails) => Ok(Outcome::Fails),
            Err(Stop::Unsupported) => Err(Stop::Unsupported),
        }
    }

    /// The code of a value that Cedar does not take, whatever else is asked of it.
    pub fn out_of_range(value: &AttributeValue) -> Option<Code> {
        match value {
            AttributeValue::Datetime(millis) if !instant::is_in_range(*millis) => Some(Code::OUT_OF_RANGE),
            _ => None,
        }
    }

    fn denied(&self, value: &AttributeValue) -> Option<Code> {
        match self.known.problem(self.snapshot, value)? {
            Reason::EntityUnknown => Some(Code::ENTITY_UNKNOWN),
            _ => Some(Code::OUT_OF_RANGE),
        }
    }
}

/// The commonest expressions, without making values of what the record has.
fn at_a_glance(expression: &Expression, value: Option<&AttributeValue>) -> Option<Outcome> {
    if let Op::HasAttribute(_) = &expression.op {
        return Some(Outcome::of(value.is_some()));
    }
    match (value, comparison(expression)?) {
        (None, _) => Some(Outcome::Fails),
        (Some(AttributeValue::Entity(own)), Value::Entity(other)) => Some(Outcome::of(own == other.as_ref())),
        _ => None,
    }
}
