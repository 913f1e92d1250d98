//! A small validator for the part of JSON Schema that schemas of this repository use; any other keyword is a panic.

use serde_json::Value;

/// Everything in a document that breaks a schema, with its place.
pub fn violations(schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    visit(schema, schema, document, "", &mut found);
    found
}

fn visit(root: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let fits = |schema: &Value| {
        let mut found = Vec::new();
        visit(root, schema, value, place, &mut found);
        found.is_empty()
    };
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "default" | "$defs" => {}
            "$ref" => {
                let pointer = rule.as_str().and_then(|text| text.strip_prefix('#')).unwrap();
                visit(root, root.pointer(pointer).unwrap(), value, place, found);
            }
            // TOML has more types than JSON, but none of the others has a key here.
            "type" => expect(has_type(value, rule.as_str().unwrap()), place, "has another type", found),
            "minimum" => {
                let fits = value.as_i64().is_none_or(|value| value >= rule.as_i64().unwrap());
                expect(fits, place, "is out of range", found);
            }
            "maximum" => {
                let fits = value.as_i64().is_none_or(|value| value <= rule.as_i64().unwrap());
                expect(fits, place, "is out of range", found);
            }
            "minLength" => {
                let fits = value.as_str().is_none_or(|text| text.len() >= size(rule));
                expect(fits, place, "is too short", found);
            }
            "pattern" => expect(has_port(rule, value), place, "has another form", found),
            "enum" => expect(rule.as_array().unwrap().contains(value), place, "is none of the words", found),
            "anyOf" => {
                let fits = rule.as_array().unwrap().iter().any(fits);
                expect(fits, place, "has no form of several", found);
            }
            "oneOf" => {
                let count = rule.as_array().unwrap().iter().filter(|schema| fits(schema)).count();
                expect(count == 1, place, "has not one form of several", found);
            }
            "allOf" => {
                for schema in rule.as_array().unwrap() {
                    visit(root, schema, value, place, found);
                }
            }
            "not" => expect(!fits(rule), place, "has a form that it may not have", found),
            "items" => {
                for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                    visit(root, rule, item, &format!("{place}/{at}"), found);
                }
            }
            "properties" => {
                for (name, rule) in rule.as_object().unwrap() {
                    if let Some(member) = value.get(name) {
                        visit(root, rule, member, &format!("{place}/{name}"), found);
                    }
                }
            }
            "additionalProperties" => others(root, schema, value, place, found),
            "required" => {
                for name in rule.as_array().unwrap() {
                    let name = name.as_str().unwrap();
                    expect(value.get(name).is_some(), &format!("{place}/{name}"), "is missing", found);
                }
            }
            other => panic!("the validator does not know `{other}`"),
        }
    }
}

/// Members that `properties` does not name.
fn others(root: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let is_named = |name: &str| schema.get("properties").is_some_and(|named| named.get(name).is_some());
    for (name, member) in value.as_object().into_iter().flatten().filter(|(name, _)| !is_named(name)) {
        let place = format!("{place}/{name}");
        match &schema["additionalProperties"] {
            Value::Bool(false) => found.push(format!("{place} is not described")),
            rule => visit(root, rule, member, &place, found),
        }
    }
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        other => panic!("the validator does not know the type `{other}`"),
    }
}

/// Whether a text ends in a port; that is the one pattern that there is.
fn has_port(pattern: &Value, value: &Value) -> bool {
    assert_eq!(pattern, "^.+:[0-9]{1,5}$", "the validator knows one pattern");
    let is_port = |port: &str| port.len() < 6 && port.parse::<u32>().is_ok();
    value.as_str().is_none_or(|text| text.rsplit_once(':').is_some_and(|(_, port)| is_port(port)))
}

fn size(rule: &Value) -> usize {
    usize::try_from(rule.as_u64().unwrap()).unwrap()
}

fn expect(holds: bool, place: &str, what: &str, found: &mut Vec<String>) {
    if !holds {
        found.push(format!("{place} {what}"));
    }
}
