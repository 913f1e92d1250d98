//! Merging random bodies into random records: against a slow twin on serde_json, and against hidden values that differ.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::{FIELDS, LOADED, Outcome, changes, merged};
use crate::model::reason::Reason;
use crate::pipeline::decide::gate::Visibility;

/// Merges by a table of paths, on values: slow and plain.
fn twin(
    before: &Map<String, Json>,
    body: &Map<String, Json>,
    prefix: &str,
    fields: &[Visibility],
) -> Map<String, Json> {
    let (_, record_type) = LOADED.type_named("Deal").unwrap();
    let field = |path: &str| record_type.fields.iter().position(|field| field.at.join(".") == path);
    let is_twin = |path: &str| path.starts_with("nulled_");
    let is_composite = |path: &str| ["place", "place.geo"].contains(&path);
    let stand_in = |path: &str, value: &Json| -> bool {
        let index = if is_twin(path) { field("nulled") } else { field(path) };
        let Some(index) = index else { return false };
        let blank = match path {
            "zeroed" => Some(json!(0)),
            "place.geo.long" => Some(json!("")),
            "masked_null" | "place.city" => Some(Json::Null),
            path if path.starts_with("nulled") => Some(Json::Null),
            _ => None,
        };
        let mask = match path {
            "masked" => Some(json!("•••")),
            "masked_null" => Some(json!(9)),
            _ => None,
        };
        let is = |some: Option<Json>| some.as_ref() == Some(value);
        match fields[index] {
            Visibility::Shown => false,
            Visibility::Hidden => is(blank),
            Visibility::Masked => is(blank) || is(mask),
        }
    };
    let mut out = Map::new();
    let empty = Map::new();
    for (key, value) in body {
        let path = format!("{prefix}{key}");
        let now = before.get(key);
        if path == "derived" {
            continue;
        }
        if stand_in(&path, value) {
            if let Some(now) = now.filter(|_| !is_twin(&path)) {
                out.insert(key.clone(), now.clone());
            }
        } else if let (true, Json::Object(value)) = (is_composite(&path), value) {
            let now = now.and_then(Json::as_object).unwrap_or(&empty);
            out.insert(key.clone(), Json::Object(twin(now, value, &format!("{path}."), fields)));
        } else {
            out.insert(key.clone(), value.clone());
        }
    }
    for (key, now) in before.iter().filter(|(key, _)| !body.contains_key(*key)) {
        let path = format!("{prefix}{key}");
        let is_meta = ["id", "__name__", "derived"].contains(&path.as_str()) || is_twin(&path);
        match (is_composite(&path), now) {
            _ if is_meta => {}
            (true, Json::Object(now)) => {
                let inner = twin(now, &empty, &format!("{path}."), fields);
                if !inner.is_empty() {
                    out.insert(key.clone(), Json::Object(inner));
                }
            }
            (true, Json::Null) => {}
            (true, other) => drop(out.insert(key.clone(), other.clone())),
            (false, _) => {
                let visibility = fields[field(&path).unwrap_or(FIELDS)];
                if visibility != Visibility::Shown {
                    out.insert(key.clone(), now.clone());
                }
            }
        }
    }
    out
}

fn leaf() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        Just(json!(0)),
        Just(json!(9)),
        Just(json!("")),
        Just(json!("•••")),
        (0..100_i64).prop_map(|number| json!(number)),
        "[a-z\"\\\\é]{0,3}".prop_map(Json::String),
        vec(any::<bool>().prop_map(Json::Bool), 0..2).prop_map(Json::Array),
    ]
}

fn object(keys: &'static [&'static str], inner: BoxedStrategy<Json>) -> BoxedStrategy<Json> {
    let member = (proptest::sample::select(keys), inner);
    vec(member, 0..9)
        .prop_map(|members| {
            Json::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        })
        .boxed()
}

fn record() -> BoxedStrategy<Json> {
    let geo = prop_oneof![3 => object(&["lat", "long", "y"], leaf().boxed()), 1 => leaf()];
    let place = (object(&["street", "city", "x"], leaf().boxed()), proptest::option::of(geo)).prop_map(
        |(mut place, geo)| {
            if let (Some(geo), Some(members)) = (geo, place.as_object_mut()) {
                members.insert("geo".to_owned(), geo);
            }
            place
        },
    );
    let place = prop_oneof![4 => place, 1 => leaf()];
    let flat = object(
        &[
            "title",
            "plain",
            "nulled",
            "nulled_text",
            "zeroed",
            "masked",
            "masked_null",
            "risk",
            "derived",
            "__name__",
        ],
        leaf().boxed(),
    );
    (flat, proptest::option::of(place))
        .prop_map(|(mut record, place)| {
            if let (Some(place), Some(members)) = (place, record.as_object_mut()) {
                members.insert("place".to_owned(), place);
            }
            record
        })
        .boxed()
}

fn visibilities() -> impl Strategy<Value = Vec<Visibility>> {
    let one = prop_oneof![Just(Visibility::Shown), Just(Visibility::Hidden), Just(Visibility::Masked)];
    vec(one, FIELDS + 1).prop_map(|mut fields| {
        // What no field claims has no mask.
        if fields[FIELDS] == Visibility::Masked {
            fields[FIELDS] = Visibility::Hidden;
        }
        fields
    })
}

/// A record with the hidden values of another one, where a caller sees no difference; masked ones stay.
fn disguised(
    record: &Map<String, Json>,
    other: Option<&Map<String, Json>>,
    prefix: &str,
    fields: &[Visibility],
) -> Map<String, Json> {
    let (_, record_type) = LOADED.type_named("Deal").unwrap();
    let is_free = |key: &str| {
        let path = if key.starts_with("nulled_") { "nulled".to_owned() } else { format!("{prefix}{key}") };
        let index = record_type.fields.iter().position(|field| field.at.join(".") == path);
        !["id", "__name__"].contains(&path.as_str()) && fields[index.unwrap_or(FIELDS)] == Visibility::Hidden
    };
    // Where something stands for a hidden value, that there is a key shows.
    let has_blank =
        |key: &str| ["nulled", "nulled_text", "zeroed", "masked_null", "city", "long"].contains(&key);
    let mut out = record.clone();
    for (key, value) in &mut out {
        let of_other = other.and_then(|other| other.get(key));
        match value {
            Json::Object(inner) if ["place", "geo"].contains(&key.as_str()) => {
                *inner =
                    disguised(inner, of_other.and_then(Json::as_object), &format!("{prefix}{key}."), fields);
            }
            value if is_free(key) => *value = of_other.unwrap_or(value).clone(),
            _ => {}
        }
    }
    out.retain(|key, _| {
        ["place", "geo"].contains(&key.as_str())
            || !is_free(key)
            || has_blank(key)
            || other.is_none_or(|other| other.contains_key(key))
    });
    let more = other.into_iter().flatten();
    let more = more.filter(|(key, _)| {
        is_free(key)
            && !has_blank(key)
            && !["place", "geo"].contains(&key.as_str())
            && !record.contains_key(*key)
    });
    out.extend(more.map(|(key, value)| (key.clone(), value.clone())));
    out
}

/// What of a record is hidden: everything else is taken away.
fn hidden(record: &Map<String, Json>, prefix: &str, fields: &[Visibility]) -> Map<String, Json> {
    twin(record, &Map::new(), prefix, fields)
}

/// A record whose composites are objects, as the profile describes them.
fn composed(record: Json) -> Map<String, Json> {
    let Json::Object(mut record) = record else { return Map::new() };
    record.retain(|key, value| key != "place" || value.is_object());
    if let Some(place) = record.get_mut("place").and_then(Json::as_object_mut) {
        place.retain(|key, value| key != "geo" || value.is_object());
    }
    record
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn equals_the_slow_twin(before in record(), body in record(), fields in visibilities()) {
        let (before, body) = (before.as_object().unwrap(), body.as_object().unwrap());
        let text = |record: &Map<String, Json>| Json::Object(record.clone()).to_string();
        match merged(&text(before), &text(body), &fields) {
            Err(reason) => prop_assert_eq!(reason, Reason::UpstreamShape),
            Ok(outcome) => {
                let found: Json = serde_json::from_str(&outcome.text).unwrap();
                prop_assert_eq!(found, Json::Object(twin(before, body, "", &fields)));
            }
        }
    }

    /// Whether a place that a body leaves out, or states as it was shown, changes is the same whatever is hidden.
    #[test]
    fn hidden_values_ask_for_no_further_decision(
        (before, other, body) in (record(), record(), record()),
        fields in visibilities(),
    ) {
        let (before, other) = (composed(before), composed(other));
        let disguised = disguised(&before, Some(&other), "", &fields);
        let text = |record: &Map<String, Json>| Json::Object(record.clone()).to_string();
        let body = text(body.as_object().unwrap());
        for place in ["title", "plain", "nulled", "nulled_text", "zeroed", "masked", "masked_null", "risk", "derived", "place",
            "place.street", "place.city", "place.city_code", "place.x", "place.geo", "place.geo.lat", "place.geo.long", "plain.x"]
        {
            let (one, two) = (text(&before), text(&disguised));
            let told = changes(place, &one, &body, &fields);
            prop_assert_eq!(told, changes(place, &two, &body, &fields), "{} {} {} {}", place, one, two, body);
        }
    }

    /// Two records that differ in hidden values alone come to the same verdict on the body, and each keeps its own.
    #[test]
    fn hidden_values_shape_nothing_that_is_told(
        (before, other, body) in (record(), record(), record()),
        fields in visibilities(),
    ) {
        let (before, other, body) = (composed(before), composed(other), body.as_object().unwrap().clone());
        let (before, other, body) = (&before, &other, &body);
        let text = |record: &Map<String, Json>| Json::Object(record.clone()).to_string();
        let one = merged(&text(before), &text(body), &fields).ok();
        let two = merged(&text(other), &text(body), &fields).ok();
        let told = |outcome: &Outcome| (outcome.stand_ins.clone(), outcome.overwritten.clone());
        prop_assert_eq!(one.as_ref().map(told), two.as_ref().map(told));
        prop_assert!(one.is_some());
        // Left out, everything hidden is still there.
        let kept = merged(&text(before), "{}", &fields).unwrap();
        let kept: Json = serde_json::from_str(&kept.text).unwrap();
        prop_assert_eq!(kept, Json::Object(hidden(before, "", &fields)));
    }
}
