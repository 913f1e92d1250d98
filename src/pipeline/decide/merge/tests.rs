//! Merging against a slow twin on serde_json, against hidden values that differ, and the exact text of what comes back.

use std::sync::{Arc, LazyLock};

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::bundle::profile::Profile;
use crate::config::author::{Problems, SourceFile};
use crate::model::decision::Decision;
use crate::pipeline::decide::gate::RecordVerdict;

/// A record with a field of every kind that can be hidden, composites in composites included.
const PROFILE: &str = r#"profile = 1
[types.Deal]
id = "id"
meta = ["__name__"]
[types.Deal.fields]
title       = { sets = ["a"] }
plain       = { sets = ["a"] }
nulled      = { sets = ["a"], hide = "null", twins = ["nulled_*"] }
zeroed      = { sets = ["a"], hide = { value = 0 } }
masked      = { sets = ["a"], mask = "•••" }
masked_null = { sets = ["a"], mask = 9, hide = "null" }
"place.street"   = { sets = ["a"] }
"place.city"     = { sets = ["a"], hide = "null", twins = ["city_*"] }
"place.geo.lat"  = { sets = ["a"] }
"place.geo.long" = { sets = ["a"], hide = { value = "" } }
"#;

static LOADED: LazyLock<Profile> = LazyLock::new(|| {
    let mut problems = Problems::default();
    let source: Arc<SourceFile> = SourceFile::new("profile.toml", PROFILE);
    Profile::load(&source, &mut problems).unwrap_or_else(|| panic!("{problems:?}"))
});

const FIELDS: usize = 10;
const IGNORED: &[&str] = &["derived"];

fn document(text: &str) -> Document {
    parse(text.to_owned()).unwrap()
}

fn seen(fields: &[Visibility]) -> RecordVerdict {
    let mut seen = RecordVerdict::hidden(Decision::allow(Vec::new()), FIELDS + 1);
    seen.fields.copy_from_slice(fields);
    seen
}

struct Outcome {
    text: String,
    stand_ins: BTreeSet<KeyPath>,
    overwritten: Vec<KeyPath>,
}

fn merged(before: &str, body: &str, fields: &[Visibility]) -> Result<Outcome, Reason> {
    let (seen, ignored) = (seen(fields), IGNORED.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
    let (_, record_type) = LOADED.type_named("Deal").unwrap();
    let tree = LOADED.tree("Deal").unwrap();
    let merging = Merging { record_type, tree, seen: &seen, ignored: &ignored };
    let (before, own) = (document(before), document(body));
    let merged = merging.merge(before.root(), own.root())?;
    let text = merged.document.as_ref().map_or(body, |document| document.root().raw()).to_owned();
    Ok(Outcome { text, stand_ins: merged.stand_ins, overwritten: merged.overwritten })
}

/// All hidden but the fields that are named; `*` for what no field claims.
fn only(shown: &[&str]) -> Vec<Visibility> {
    let (_, record_type) = LOADED.type_named("Deal").unwrap();
    let names = record_type.fields.iter().map(|field| field.name.as_str()).chain(["*"]);
    let visibility = |name: &str| if shown.contains(&name) { Visibility::Shown } else { Visibility::Hidden };
    names.map(visibility).collect()
}

#[track_caller]
fn check(shown: &[&str], before: &str, body: &str, expected: &str) {
    let outcome = merged(before, body, &only(shown)).unwrap();
    assert_eq!(outcome.text, expected, "{before} {body}");
}

#[test]
fn what_comes_back_is_the_text_that_the_crm_wrote() {
    let before = r#"{"id":7,"title":"old","plain" : 1.50e+02,"nulled":"\u00e9\/","risk":[1, 2.0 ],"place":{"street":"s","city":"c","x":-0}}"#;
    check(
        &["title", "place.street"],
        before,
        r#"{"title" : "n\u0065w","place":{"street":"t"}}"#,
        r#"{"title":"n\u0065w","place":{"street":"t","city":"c","x":-0},"plain":1.50e+02,"nulled":"\u00e9\/","risk":[1, 2.0 ]}"#,
    );
    // Left out whole: what was seen of it is erased, what was not stays.
    check(
        &["title", "place.street"],
        before,
        "{}",
        r#"{"plain":1.50e+02,"nulled":"\u00e9\/","risk":[1, 2.0 ],"place":{"city":"c","x":-0}}"#,
    );
    // Nothing is hidden: the body is the caller's own, to the byte.
    let all = [
        "title",
        "plain",
        "nulled",
        "zeroed",
        "masked",
        "masked_null",
        "place.street",
        "place.city",
        "place.geo.lat",
        "place.geo.long",
        "*",
    ];
    check(&all, before, r#"{ "title" : 1 , "place":null}"#, r#"{ "title" : 1 , "place":null}"#);
}

#[test]
fn what_was_shown_in_the_place_of_a_value_is_that_value() {
    let before = r#"{"nulled":5,"nulled_text":"5 EUR","zeroed":"z","masked":"secret","place":{"city":"c","geo":{"long":1}}}"#;
    check(
        &["title"],
        before,
        r#"{"nulled":null,"nulled_text":null,"zeroed":0,"place":{"city":null,"geo":{"long":""}}}"#,
        r#"{"nulled":5,"zeroed":"z","place":{"city":"c","geo":{"long":1}},"masked":"secret"}"#,
    );
    // Where the record has none, the stand-in is cut away rather than written.
    check(&["title"], "{}", r#"{"nulled":null,"zeroed":0,"title":"t"}"#, r#"{"title":"t"}"#);
    // What is no stand-in is the caller's, and is judged as a write.
    check(
        &["title"],
        before,
        r#"{"nulled":0,"zeroed":null,"masked":null,"place":{"city":"","geo":{"long":null}}}"#,
        r#"{"nulled":0,"zeroed":null,"masked":null,"place":{"city":"","geo":{"long":null}}}"#,
    );
    let mut masked = only(&["title"]);
    masked[4..6].fill(Visibility::Masked);
    let before = r#"{"masked":"secret","masked_null":12}"#;
    for body in [r#"{"masked":"\u2022••","masked_null":9}"#, r#"{"masked_null":null,"masked":"•••"}"#, "{}"]
    {
        let text = merged(before, body, &masked).unwrap().text;
        assert_eq!(
            serde_json::from_str::<Json>(&text).unwrap(),
            json!({"masked":"secret","masked_null":12}),
            "{body}"
        );
    }
}

#[test]
fn what_the_crm_ignores_is_cut_and_never_kept() {
    check(&["title"], r#"{"derived":1}"#, r#"{"derived":{"a":1},"title":"t"}"#, r#"{"title":"t"}"#);
    check(&["title"], r#"{"derived":1,"id":7,"__name__":"x"}"#, r#"{"title":"t"}"#, r#"{"title":"t"}"#);
}

#[test]
fn a_composite_is_not_overwritten_unseen() {
    let outcome = |body: &str| merged(r#"{"place":{"city":"c"}}"#, body, &only(&["place.street"])).unwrap();
    for body in [r#"{"place":null}"#, r#"{"place":[]}"#, r#"{"place":{"geo":1}}"#] {
        assert_eq!(outcome(body).overwritten.len(), 1, "{body}");
    }
    assert_eq!(outcome(r#"{"place":{}}"#).overwritten, Vec::<KeyPath>::new());
    // A record that is not as the profile describes it: nothing can be merged into what is no composite.
    for before in [r#"{"place":[1]}"#, r#"{"place":"x"}"#] {
        let body = r#"{"place":{"street":"s"}}"#;
        assert_eq!(
            merged(before, body, &only(&["place.street"])).err(),
            Some(Reason::UpstreamShape),
            "{before}"
        );
        assert_eq!(merged(before, "{}", &only(&["place.street"])).unwrap().text, before);
    }
}

/// Whether a place changes, of those where the merged body says so.
fn changes(place: &str, before: &str, body: &str, fields: &[Visibility]) -> Option<bool> {
    let path: KeyPath = place.split('.').map(str::to_owned).collect();
    let (seen, ignored) = (seen(fields), [IGNORED[0].to_owned()]);
    let (_, record_type) = LOADED.type_named("Deal").unwrap();
    let merging = Merging { record_type, tree: LOADED.tree("Deal").unwrap(), seen: &seen, ignored: &ignored };
    let (before, body) = (document(before), document(body));
    let merged = merging.merge(before.root(), body.root()).unwrap();
    let is_asked = walk(body.root(), &path).is_none() || merged.stand_ins.contains(&path);
    is_asked.then(|| merged.changes(&path, merging, before.root(), Some(body.root())))
}

/// Whether a further decision is asked for at a place that the body leaves out would else tell of values that nobody sees.
#[test]
fn what_is_left_out_changes_whatever_is_hidden() {
    let fields = only(&["title", "place.street"]);
    for (place, body, records, expected) in [
        // A composite that holds what is hidden, nothing, and what follows a hidden field.
        (
            "place",
            "{}",
            ["{\"place\":{\"city\":1}}", "{\"place\":{}}", "{\"place\":{\"city_code\":1}}"],
            false,
        ),
        ("place.geo", "{}", ["{\"place\":{\"geo\":{\"y\":1}}}", "{\"place\":{\"geo\":{}}}", "{}"], false),
        (
            "place",
            "{}",
            [
                "{\"place\":{\"street\":1,\"city\":1}}",
                "{\"place\":{\"street\":1}}",
                "{\"place\":{\"street\":0}}",
            ],
            true,
        ),
        // What follows a hidden field, left out or as it was shown.
        (
            "nulled_text",
            "{}",
            ["{\"nulled\":1,\"nulled_text\":\"1\"}", "{\"nulled_text\":null}", "{}"],
            false,
        ),
        (
            "nulled_text",
            "{\"nulled_text\":null}",
            ["{\"nulled\":1,\"nulled_text\":\"1\"}", "{\"nulled_text\":null}", "{}"],
            false,
        ),
        // What would go with a composite that is overwritten unseen.
        (
            "place.geo.lat",
            "{\"place\":null}",
            ["{\"place\":{\"geo\":{\"lat\":1}}}", "{\"place\":{\"geo\":{\"y\":1}}}", "{\"place\":{}}"],
            true,
        ),
        // A guess at what is hidden, itself, by what follows it, and by what stands inside of it.
        ("nulled_text", "{\"nulled\":1}", ["{\"nulled\":1}", "{\"nulled\":2}", "{}"], true),
        ("plain.x", "{\"plain\":{}}", ["{\"plain\":{\"x\":1}}", "{\"plain\":{}}", "{}"], true),
        ("risk.x", "{\"risk\":{}}", ["{\"risk\":{\"x\":1}}", "{\"risk\":1}", "{}"], true),
        // What the CRM takes no notice of.
        ("derived", "{}", ["{\"derived\":1}", "{\"derived\":null}", "{}"], false),
        ("title", "{}", ["{\"title\":1}", "{\"title\":2,\"plain\":1}", "{\"title\":3}"], true),
    ] {
        for before in records {
            assert_eq!(changes(place, before, body, &fields), Some(expected), "{place} {before} {body}");
        }
    }
}

/// The same by a table of paths, on values: slow and plain.
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
