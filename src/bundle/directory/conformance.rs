//! Whether entities conform to a schema, by Cedar's own word, asked once for each shape.
//!
//! Cedar takes 50 µs to read an entity, so 100,000 would take it five seconds. What it checks are names and types, never the
//! value of a text, a number or an id; only extension values (dates, decimals) must be read to be known. So entities of
//! one shape conform together, and those with extension values are asked about one by one.
//!
//! Promises: never accepts what Cedar would refuse. Whatever is used is read by Cedar once more.

use std::collections::HashSet;
use std::fmt::Write;

use cedar_policy as cedar;

use super::BASE_TYPES;
use crate::json::value::{Kind, Value};

/// Asks Cedar, and remembers shapes.
pub struct Conformance<'s> {
    schema: &'s cedar::Schema,
    known: HashSet<String>,
    shape: String,
}

impl<'s> Conformance<'s> {
    /// Conformance to a schema.
    pub fn to(schema: &'s cedar::Schema) -> Self {
        Self { schema, known: HashSet::new(), shape: String::new() }
    }

    /// What is wrong with an entity, by its text and the same text parsed.
    pub fn check(&mut self, text: &str, root: Value<'_>) -> Result<(), String> {
        self.shape.clear();
        shape(root, &mut self.shape);
        if self.known.contains(&self.shape) {
            return Ok(());
        }
        let entity = cedar::Entity::from_json_str(text, Some(self.schema)).map_err(innermost)?;
        if self.known.len() < SHAPES_MAX && !has_extension_value(&entity) {
            self.known.insert(self.shape.clone());
        }
        Ok(())
    }
}

/// The outer texts only say that something is wrong with an entity.
fn innermost(error: impl std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        message = inner.to_string();
        cause = inner.source();
    }
    message
}

/// What Cedar looks at: the names of members, the kinds of values, the types of entities. Where in doubt, more than that.
fn shape(value: Value<'_>, to: &mut String) {
    match value.kind() {
        Kind::Null => to.push('n'),
        Kind::Bool => to.push('b'),
        Kind::String => to.push('s'),
        // Whatever is spelled in another way may be read as a float.
        Kind::Number => match value.raw().parse::<i64>() {
            Ok(number) if number.to_string() == value.raw() => to.push('i'),
            _ => to.push_str(value.raw()),
        },
        Kind::Array => {
            to.push('[');
            let mut last = to.len()..to.len();
            for item in value.items() {
                let start = to.len();
                shape(item, to);
                // Several of one shape in a row are as good as one.
                if to.get(last.clone()) == to.get(start..) {
                    to.truncate(start);
                } else {
                    last = start..to.len();
                }
            }
            to.push(']');
        }
        Kind::Object => shape_of_object(value, to),
    }
}

fn shape_of_object(value: Value<'_>, to: &mut String) {
    if let (2, Some(type_name), Some(id)) = (value.len(), value.member("type"), value.member("id"))
        && let (Some(type_name), Some(id)) = (type_name.text(), id.text())
    {
        // The ids of enumerated types matter, and those types are never our own.
        let _ = match BASE_TYPES.contains(&&*type_name) {
            true => write!(to, "@{type_name:?}"),
            false => write!(to, "@{type_name:?}{id:?}"),
        };
        return;
    }
    to.push('{');
    for member in value.members() {
        let _ = write!(to, "{:?}:", member.key());
        shape(member.value(), to);
        to.push(',');
    }
    to.push('}');
}

fn has_extension_value(entity: &cedar::Entity) -> bool {
    // What cannot be shown as a value is not known to be free of one.
    let holds = |value: Option<cedar::EvalResult>| value.is_none_or(|value| holds_extension_value(&value));
    entity.attrs().any(|(_, value)| holds(value.ok())) || entity.tags().any(|(_, value)| holds(value.ok()))
}

fn holds_extension_value(value: &cedar::EvalResult) -> bool {
    match value {
        cedar::EvalResult::ExtensionValue(_) => true,
        cedar::EvalResult::Set(set) => set.iter().any(holds_extension_value),
        cedar::EvalResult::Record(record) => record.iter().any(|(_, inner)| holds_extension_value(inner)),
        cedar::EvalResult::Bool(_)
        | cedar::EvalResult::Long(_)
        | cedar::EvalResult::String(_)
        | cedar::EvalResult::EntityUid(_) => false,
    }
}

/// Real directories have a dozen; from here on nothing more is remembered, and every entity is asked about.
const SHAPES_MAX: usize = 1_024;
