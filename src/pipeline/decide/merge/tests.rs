//! The exact text of what comes back, and what changes by what is left out; random records and bodies are in `twin`.

use std::sync::{Arc, LazyLock};

use serde_json::{Value as Json, json};

use super::*;
use crate::bundle::profile::Profile;
use crate::config::author::{Problems, SourceFile};
use crate::model::decision::Decision;
use crate::pipeline::decide::gate::RecordVerdict;

mod twin;

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
