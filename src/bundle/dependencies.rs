//! What a policy reads: attributes of the record, keys of the context, the time, the field's sets.
//!
//! Walked on Cedar's public JSON form. Whatever the walk does not recognise counts as "reads everything": a cache key
//! or a group of fields built on it may be too fine, never too coarse.

use std::collections::BTreeSet;

use cedar_policy as cedar;
use serde_json::Value;

use super::forms::{entity_literals, is_context, single, variable};
use crate::model::principal::EntityRef;

/// What a set of policies reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// Attributes of the resource.
    pub resource_attributes: BTreeSet<String>,
    /// Whether the resource is looked at as a whole: its id, or its place in a hierarchy.
    pub reads_identity: bool,
    /// Keys of the context, `now` and `field` included.
    pub context_keys: BTreeSet<String>,
    /// Whether the context is looked at as a whole.
    pub reads_whole_context: bool,
    /// What the time is compared with.
    pub now: NowUse,
    /// Fields and field sets that the context's field is compared with.
    pub field_literals: BTreeSet<EntityRef>,
    /// Whether the context's field is used in any other way.
    pub reads_field_opaquely: bool,
}

/// How policies use the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NowUse {
    /// Points in time written in policies, in milliseconds since 1970.
    pub literals: BTreeSet<i64>,
    /// Attributes of the principal that it is compared with.
    pub principal_attributes: BTreeSet<String>,
    /// Attributes of the resource that it is compared with.
    pub resource_attributes: BTreeSet<String>,
    /// Whether it is used in any other way.
    pub is_opaque: bool,
}

impl Dependencies {
    /// What one policy reads.
    pub fn of(policy: &cedar::Policy) -> Self {
        let mut found = Self::default();
        found.add(policy, policy.to_json().ok().as_ref());
        found
    }

    /// Adds what one policy reads, scope included; without its form, everything.
    pub fn add(&mut self, policy: &cedar::Policy, form: Option<&Value>) {
        use cedar::ResourceConstraint as On;
        match policy.resource_constraint() {
            On::Any | On::Is(_) => {}
            On::Eq(_) | On::In(_) | On::IsIn(_, _) => self.reads_identity = true,
        }
        match form {
            Some(form) => {
                for condition in form.get("conditions").and_then(Value::as_array).into_iter().flatten() {
                    self.walk(condition.get("body").unwrap_or(&Value::Null));
                }
            }
            None => self.read_everything(),
        }
    }

    /// Whether a key of the context is looked at.
    pub fn reads_context(&self, key: &str) -> bool {
        self.reads_whole_context || self.context_keys.contains(key)
    }

    fn read_everything(&mut self) {
        self.reads_identity = true;
        self.reads_whole_context = true;
        self.reads_field_opaquely = true;
        self.now.is_opaque = true;
    }

    fn walk(&mut self, expression: &Value) {
        let Some((operator, body)) = single(expression) else {
            return self.walk_children(expression);
        };
        match operator {
            "Value" => {}
            "Var" => self.read_variable(body.as_str()),
            "." | "has" => self.walk_access(body),
            "is" => self.walk_is(body),
            "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" => self.walk_comparison(operator, body),
            _ => self.walk_children(body),
        }
    }

    fn walk_children(&mut self, value: &Value) {
        match value {
            Value::Object(map) => map.values().for_each(|inner| self.walk(inner)),
            Value::Array(items) => items.iter().for_each(|inner| self.walk(inner)),
            _ => {}
        }
    }

    fn read_variable(&mut self, name: Option<&str>) {
        match name {
            Some("resource") => self.reads_identity = true,
            Some("principal" | "action") => {}
            Some("context") => {
                self.reads_whole_context = true;
                self.reads_field_opaquely = true;
                self.now.is_opaque = true;
            }
            _ => self.read_everything(),
        }
    }

    fn walk_access(&mut self, body: &Value) {
        let left = body.get("left").unwrap_or(&Value::Null);
        let attributes: Vec<&str> = match body.get("attr") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).take(1).collect(),
            _ => return self.read_everything(),
        };
        match variable(left) {
            Some("resource") => {
                self.resource_attributes.extend(attributes.iter().map(|name| (*name).to_owned()));
            }
            Some("context") => {
                for name in attributes {
                    self.context_keys.insert(name.to_owned());
                    self.now.is_opaque |= name == "now";
                    self.reads_field_opaquely |= name == "field";
                }
            }
            Some("principal") => {}
            _ => self.walk(left),
        }
    }

    fn walk_is(&mut self, body: &Value) {
        let left = body.get("left").unwrap_or(&Value::Null);
        let is_plain = body.get("in").is_none();
        match (variable(left), is_plain) {
            (Some("resource"), true) => {}
            _ if is_plain && is_context(left, "field") => {}
            _ => self.walk_children(body),
        }
    }

    fn walk_comparison(&mut self, operator: &str, body: &Value) {
        let (left, right) =
            (body.get("left").unwrap_or(&Value::Null), body.get("right").unwrap_or(&Value::Null));
        if is_context(left, "field")
            && matches!(operator, "==" | "in")
            && let Some(literals) = entity_literals(right)
        {
            self.context_keys.insert("field".to_owned());
            self.field_literals.extend(literals);
            return;
        }
        for (now, other) in [(left, right), (right, left)] {
            if is_context(now, "now") && operator != "in" && self.note_threshold(other) {
                self.context_keys.insert("now".to_owned());
                return;
            }
        }
        self.walk(left);
        self.walk(right);
    }

    fn note_threshold(&mut self, other: &Value) -> bool {
        match single(other) {
            Some((".", body)) => {
                let name = body.get("attr").and_then(Value::as_str).map(str::to_owned);
                match (variable(body.get("left").unwrap_or(&Value::Null)), name) {
                    (Some("principal"), Some(name)) => self.now.principal_attributes.insert(name),
                    (Some("resource"), Some(name)) => {
                        self.resource_attributes.insert(name.clone());
                        self.now.resource_attributes.insert(name)
                    }
                    _ => return false,
                };
                true
            }
            Some(("datetime", body)) => {
                let text =
                    body.as_array().and_then(|arguments| arguments.first()).and_then(|v| v.get("Value"));
                let millis = text.and_then(Value::as_str).and_then(super::instant::parse_cedar_datetime);
                millis.map(|millis| self.now.literals.insert(millis)).is_some()
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependencies(condition: &str) -> Dependencies {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        Dependencies::of(&cedar::Policy::parse(None, text).unwrap())
    }

    fn names(set: &BTreeSet<String>) -> Vec<&str> {
        set.iter().map(String::as_str).collect()
    }

    #[test]
    fn attributes_of_the_record_are_found() {
        let found = dependencies(
            "resource has owner && resource.owner.position in principal.position && resource.amount.lessThan(decimal(\"1.0\"))",
        );
        assert_eq!(names(&found.resource_attributes), ["amount", "owner"]);
        assert!(!found.reads_identity);
    }

    #[test]
    fn the_bare_record_is_its_identity() {
        for condition in [
            "resource == Deal::\"1\"",
            "[resource].contains(principal)",
            "resource in principal.x",
            "principal.x == resource",
        ] {
            assert!(dependencies(condition).reads_identity, "{condition}");
        }
        assert!(!dependencies("resource is Deal").reads_identity);
    }

    #[test]
    fn time_is_a_threshold_or_opaque() {
        let found = dependencies(
            "context.now < principal.accessFrom || context.now >= datetime(\"1970-01-01T00:00:01Z\") || resource.closes > context.now",
        );
        assert!(!found.now.is_opaque);
        assert_eq!(found.now.literals.iter().copied().collect::<Vec<_>>(), [1000]);
        assert_eq!(names(&found.now.principal_attributes), ["accessFrom"]);
        assert_eq!(names(&found.now.resource_attributes), ["closes"]);
        for condition in [
            "context.now.offset(duration(\"1d\")) > principal.a",
            "context.now.toDate() == principal.d",
            "context.now < resource.owner.until",
            "context == principal.c",
        ] {
            assert!(dependencies(condition).now.is_opaque, "{condition}");
        }
    }

    #[test]
    fn fields_are_literals_or_opaque() {
        let found = dependencies(
            "context.field in FieldSet::\"pii\" || context.field == Field::\"Deal.amount\" || context.field in [FieldSet::\"a\", FieldSet::\"b\"]",
        );
        assert!(!found.reads_field_opaquely);
        assert_eq!(found.field_literals.len(), 4);
        for condition in [
            "context.field in principal.sets",
            "principal.f == context.field",
            "[context.field].contains(principal.f)",
        ] {
            assert!(dependencies(condition).reads_field_opaquely, "{condition}");
        }
    }
}
