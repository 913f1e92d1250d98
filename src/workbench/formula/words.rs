//! Formulas in words, for people who do not read Cedar.
//!
//! Promises: what has no words of its own stands as it is written, between backticks. Of a test that something is there, and another of
//! what it is, only the second is told.

use serde_json::Value as Json;

use super::Formula;
use crate::bundle::forms::{entity, single, variable};
use crate::workbench::condition;

/// A formula in words.
pub fn words(formula: &Formula) -> String {
    match formula {
        Formula::True => "yes".to_owned(),
        Formula::False => "no".to_owned(),
        Formula::Atom(atom) => of_atom(atom, true),
        Formula::Not(atom) => of_atom(atom, false),
        Formula::All(parts) => {
            let is_told_elsewhere = |part: &Formula| {
                let path = tested_only(part);
                path.is_some_and(|path| parts.iter().any(|other| other != part && mentions(other, &path)))
            };
            let told = parts.iter().filter(|part| !is_told_elsewhere(part));
            let told = told.map(|part| match part {
                Formula::Any(_) => format!("({})", words(part)),
                part => words(part),
            });
            told.collect::<Vec<_>>().join(" and ")
        }
        Formula::Any(parts) => parts.iter().map(words).collect::<Vec<_>>().join("; or "),
    }
}

/// The path whose presence is all that a formula asks for.
fn tested_only(formula: &Formula) -> Option<String> {
    let Formula::Atom(atom) = formula else { return None };
    let body = atom.get("has")?;
    Some(format!("{}.{}", operand(body.get("left")?)?, path(body.get("attr")?)?))
}

/// Whether a formula looks into what stands at a path.
fn mentions(formula: &Formula, wanted: &str) -> bool {
    let mut found = false;
    formula.visit(&mut |atom| found |= reads(atom, wanted));
    found
}

fn reads(value: &Json, wanted: &str) -> bool {
    if let Some((".", body)) = single(value)
        && let Some(told) = operand(value)
        && (told == wanted || body.get("left").is_some_and(|left| reads(left, wanted)))
    {
        return true;
    }
    match value {
        Json::Object(members) => members.values().any(|inner| reads(inner, wanted)),
        Json::Array(items) => items.iter().any(|inner| reads(inner, wanted)),
        _ => false,
    }
}

/// A part of a condition, or that it does not hold.
pub fn of_atom(atom: &Json, holds: bool) -> String {
    told(atom, holds).unwrap_or_else(|| {
        let written = condition::text(atom);
        if holds { format!("`{written}`") } else { format!("not `{written}`") }
    })
}

fn told(atom: &Json, holds: bool) -> Option<String> {
    let (operator, body) = single(atom)?;
    let two = || Some((operand(body.get("left")?)?, operand(body.get("right")?)?));
    let compared = |[yes, no]: [&str; 2]| {
        let (left, right) = two()?;
        Some(format!("{left} {} {right}", if holds { yes } else { no }))
    };
    match operator {
        "==" => compared(["is", "is not"]),
        "!=" => compared(["is not", "is"]),
        "<" => compared(["<", "≥"]),
        "<=" => compared(["≤", ">"]),
        ">" => compared([">", "≤"]),
        ">=" => compared(["≥", "<"]),
        "in" => compared(["is in", "is not in"]),
        "contains" | "containsAny" | "containsAll" => {
            let words = match operator {
                "contains" => ["has", "does not have"],
                "containsAny" => ["has one of", "has none of"],
                _ => ["has all of", "does not have all of"],
            };
            compared(words)
        }
        "has" => {
            let there = format!("{}.{}", operand(body.get("left")?)?, path(body.get("attr")?)?);
            Some(format!("{} {}", spelled(&there), if holds { "is set" } else { "is not set" }))
        }
        "." => Some(format!("{} is {}", spelled(&operand(atom)?), if holds { "true" } else { "false" })),
        "is" if body.get("in").is_none() => {
            let kind = body.get("entity_type")?.as_str()?;
            Some(format!("{} is {} {kind}", operand(body.get("left")?)?, if holds { "a" } else { "no" }))
        }
        "lessThan" | "lessThanOrEqual" | "greaterThan" | "greaterThanOrEqual" => {
            let [left, right] = body.as_array()?.as_slice() else { return None };
            let [yes, no] = match operator {
                "lessThan" => ["<", "≥"],
                "lessThanOrEqual" => ["≤", ">"],
                "greaterThan" => [">", "≤"],
                _ => ["≥", "<"],
            };
            Some(format!("{} {} {}", operand(left)?, if holds { yes } else { no }, operand(right)?))
        }
        _ => None,
    }
    .map(|text| spelled(&text))
}

/// A value in words.
fn operand(value: &Json) -> Option<String> {
    if let Some(name) = variable(value) {
        return Some(match name {
            "principal" => "the caller".to_owned(),
            "resource" => "the record".to_owned(),
            other => other.to_owned(),
        });
    }
    match single(value)? {
        (".", body) => {
            let (left, name) = (body.get("left")?, path(body.get("attr")?)?);
            Some(format!("{}.{name}", operand(left)?))
        }
        ("Value", literal) => literal_words(literal),
        ("decimal" | "datetime" | "ip" | "duration", arguments) => {
            let text = arguments.as_array()?.first()?.get("Value")?.as_str()?;
            Some(text.to_owned())
        }
        ("Set", items) => {
            let items: Option<Vec<String>> = items.as_array()?.iter().map(operand).collect();
            Some(items?.join(", "))
        }
        _ => None,
    }
}

fn literal_words(literal: &Json) -> Option<String> {
    match literal {
        Json::Bool(value) => Some(value.to_string()),
        Json::Number(number) => Some(number.to_string()),
        Json::String(text) => Some(format!("\"{text}\"")),
        Json::Object(_) => {
            let entity = entity(literal.get("__entity")?)?;
            let kind = match entity.type_name.as_str() {
                "User" | "Stage" => return Some(entity.id),
                "StageGroup" => "stages",
                "FieldSet" => "fields",
                "PermissionSet" => "permission set",
                "BusinessUnit" => "business unit",
                other => return Some(format!("{} {}", other.to_lowercase(), entity.id)),
            };
            Some(format!("{kind} {}", entity.id))
        }
        Json::Null | Json::Array(_) => None,
    }
}

fn path(attribute: &Json) -> Option<String> {
    match attribute {
        Json::String(name) => Some(name.clone()),
        Json::Array(names) => {
            names.iter().map(Json::as_str).collect::<Option<Vec<_>>>().map(|names| names.join("."))
        }
        _ => None,
    }
}

/// Paths as people say them.
fn spelled(text: &str) -> String {
    let bare =
        text.replace("the record.", "").replace("context.proposed.", "the new ").replace("context.", "");
    bare.replace("the caller.", "the caller's ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workbench::condition::Condition;
    use cedar_policy as cedar;

    #[track_caller]
    fn check(condition: &str, expected: &str) {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let policy = cedar::Policy::parse(None, text).unwrap();
        let form = policy.to_json().unwrap();
        let formula = Formula::of_condition(&Condition::of(&form), &mut |_| None);
        assert_eq!(words(&formula), expected);
    }

    #[test]
    fn conditions_are_told_in_words() {
        check("resource has owner && resource.owner == principal", "owner is the caller");
        check("resource has owner", "owner is set");
        check("!(resource has owner)", "owner is not set");
        check(
            "principal has position && resource has owner && resource.owner has position && resource.owner.position in principal.position",
            "owner.position is in the caller's position",
        );
        check(
            "resource has amount && resource.amount.lessThanOrEqual(decimal(\"50000.00\"))",
            "amount ≤ 50000.00",
        );
        check("!(resource.amount.lessThan(decimal(\"1.00\")))", "amount ≥ 1.00");
        check("resource has team && principal in resource.team", "the caller is in team");
        check("context has count && context.count <= 20", "count ≤ 20");
        check(
            "context has proposed && context.proposed has amount && context.proposed.amount.greaterThan(decimal(\"5.0\"))",
            "the new amount > 5.0",
        );
        check(
            "resource.assignees.contains(principal) || principal in PermissionSet::\"x\"",
            "assignees has the caller; or the caller is in permission set x",
        );
        check(
            "resource.stage in StageGroup::\"open\" && (resource.a || resource.b)",
            "stage is in stages open and (a is true; or b is true)",
        );
        check("resource.name like \"A*\"", "`resource.name like \"A*\"`");
        check("!(resource.name like \"A*\")", "not `resource.name like \"A*\"`");
        check("context.now < datetime(\"2026-01-01\")", "now < 2026-01-01");
    }
}
