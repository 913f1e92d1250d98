//! A small validator for the part of JSON Schema that schemas of this repository use; any other keyword is a panic.

use serde_json::Value;

/// Everything in a document that breaks a schema, with its place.
pub fn violations(schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    visit(schema, document, "", &mut found);
    found
}

fn visit(schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "default" | "properties" => {}
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
            "pattern" => {
                assert_eq!(rule, "^.+:[0-9]{1,5}$", "the validator knows one pattern");
                let is_port = |port: &str| port.len() < 6 && port.parse::<u32>().is_ok();
                let fits = value
                    .as_str()
                    .is_none_or(|text| text.rsplit_once(':').is_some_and(|(_, port)| is_port(port)));
                expect(fits, place, "has another form", found);
            }
            "enum" => expect(rule.as_array().unwrap().contains(value), place, "is none of the words", found),
            "anyOf" => {
                let fits = rule.as_array().unwrap().iter().any(|schema| violations(schema, value).is_empty());
                expect(fits, place, "has no form of several", found);
            }
            "items" => {
                for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                    visit(rule, item, &format!("{place}/{at}"), found);
                }
            }
            "additionalProperties" => members(schema, value, place, found),
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

fn members(schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        let place = format!("{place}/{name}");
        match schema.get("properties").and_then(|properties| properties.get(name)) {
            Some(property) => visit(property, member, &place, found),
            None => found.push(format!("{place} is not described")),
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

fn size(rule: &Value) -> usize {
    usize::try_from(rule.as_u64().unwrap()).unwrap()
}

fn expect(holds: bool, place: &str, what: &str, found: &mut Vec<String>) {
    if !holds {
        found.push(format!("{place} {what}"));
    }
}
