//! Policies in Cedar's public JSON form, written once per bundle, and the few ways to look into it.

use std::collections::HashMap;

use cedar_policy as cedar;
use serde_json::Value;

use crate::model::principal::EntityRef;

/// The form of each policy; one that Cedar cannot write has none.
#[derive(Debug, Default)]
pub struct Forms {
    forms: HashMap<cedar::PolicyId, Value>,
}

impl Forms {
    /// The forms of all policies of a set.
    pub fn of(policies: &cedar::PolicySet) -> Self {
        let form = |policy: &cedar::Policy| Some((policy.id().clone(), policy.to_json().ok()?));
        Self { forms: policies.policies().filter_map(form).collect() }
    }

    /// The form of a policy.
    pub fn form(&self, policy: &cedar::Policy) -> Option<&Value> {
        self.forms.get(policy.id())
    }
}

/// The operator of an expression and what it is applied to.
pub fn single(expression: &Value) -> Option<(&str, &Value)> {
    let mut entries = expression.as_object()?.iter();
    match (entries.next(), entries.next()) {
        (Some((key, inner)), None) => Some((key.as_str(), inner)),
        _ => None,
    }
}

/// The name of a variable, if an expression is just that.
pub fn variable(expression: &Value) -> Option<&str> {
    match single(expression) {
        Some(("Var", name)) => name.as_str(),
        _ => None,
    }
}

/// An entity by its parts.
pub fn entity(parts: &Value) -> Option<EntityRef> {
    Some(EntityRef::new(parts.get("type")?.as_str()?, parts.get("id")?.as_str()?))
}

/// Whether an expression is a key of the context.
pub fn is_context(value: &Value, key: &str) -> bool {
    match single(value) {
        Some((".", body)) => {
            body.get("attr").and_then(Value::as_str) == Some(key)
                && body.get("left").and_then(variable) == Some("context")
        }
        _ => false,
    }
}

/// The entities of an expression that is one, or a set of some.
pub fn entity_literals(value: &Value) -> Option<Vec<EntityRef>> {
    match single(value)? {
        ("Value", literal) => entity(literal.get("__entity")?).map(|entity| vec![entity]),
        ("Set", items) => {
            items.as_array()?.iter().map(|item| entity_literals(item)?.into_iter().next()).collect()
        }
        _ => None,
    }
}
