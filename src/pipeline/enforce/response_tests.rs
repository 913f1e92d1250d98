//! What of an answer leaves: hidden, masked, embedded and undescribed parts, rows and totals.

use super::*;
use crate::config::author::{Problems, SourceFile};
use crate::json::parse::JsonLimits;
use crate::model::decision::Decision;

const PROFILE: &str = r#"profile = 1
[field_sets]
public = []
[types.Deal]
id = "id"
meta = ["kind"]
[types.Deal.fields]
title  = { sets = ["public"] }
amount = { sets = ["public"], twins = ["amount_*"] }
margin = { sets = ["public"], hide = "null" }
score  = { sets = ["public"], hide = { value = 0 } }
email  = { sets = ["public"], mask = "***" }
"address.city" = { sets = ["public"], hide = "branch" }
"address.zip"  = { sets = ["public"] }
contact  = { sets = ["public"], is = "Contact", hide = "null" }
contacts = { sets = ["public"], is = "Contact", hide = "remove" }
[types.Contact]
id = "id"
[types.Contact.fields]
name = { sets = ["public"] }
[[routes]]
match = "GET /one/{id}"
action = "view"
records = { at = "$", type = "Deal" }
[[routes]]
match = "GET /list"
action = "list"
records = { at = "$.data[*]", type = "Deal" }
totals = [{ at = "$.total" }, { at = "$.count", when_rows_hidden = "count-shown" }, { at = "$.all", when_rows_hidden = { unknown = -1 } }]
keep = ["$.page"]
hidden_rows = "visible"
[[routes]]
match = "GET /map"
action = "list"
records = { at = "$.*.record", type = "Deal" }
hidden_rows = "visible"
"#;

/// Who may see what: fields of deals by name, ids of records that are hidden.
struct View<'v> {
    hidden_fields: &'v [&'v str],
    masked_fields: &'v [&'v str],
    hidden_ids: &'v [&'v str],
    selection: Option<&'v [&'v str]>,
}

const ALL: View<'static> = View { hidden_fields: &[], masked_fields: &[], hidden_ids: &[], selection: None };

fn run(route: &str, view: &View<'_>, body: &str) -> Result<Option<String>, Reason> {
    let mut problems = Problems::default();
    let profile =
        Profile::load(&SourceFile::new("p", PROFILE), &mut problems).unwrap_or_else(|| panic!("{problems}"));
    let (_, route) = profile.route_labelled(route).unwrap();
    let document = Document::parse(Bytes::copy_from_slice(body.as_bytes()), &JsonLimits::default()).unwrap();
    let route_type = profile.type_named("Deal").map(|(_, t)| t);
    let mut problems = Problems::default();
    let schema = format!("{}\ntype UserAttributes = {{}};", crate::bundle::schema::BASE);
    let (schema, _) = cedar_policy::Schema::from_cedarschema_str(&schema).unwrap();
    let directory =
        crate::bundle::directory::load(&SourceFile::new("d", "[]"), &schema, &mut problems).unwrap();
    let lookups = crate::pipeline::hydrate::convert::Lookups { profile: &profile, directory: &directory };
    let asked = crate::pipeline::hydrate::records::Asked { record_type: route_type, id: None };
    let found = crate::pipeline::hydrate::records::find(&document, &route.shape, asked, lookups, 100)
        .map_err(|_| Reason::UpstreamShape)?;
    let (mut verdicts, mut ids) = (HashMap::new(), HashMap::new());
    for record in &found {
        let (_, record_type) = profile.type_named(&record.facts.type_name).unwrap();
        let is_hidden = view.hidden_ids.contains(&record.facts.id.as_str());
        let visibility = |index: usize| {
            let name = record_type.field_name(index);
            if view.hidden_fields.contains(&name.as_str()) {
                Visibility::Hidden
            } else if view.masked_fields.contains(&name.as_str()) {
                Visibility::Masked
            } else {
                Visibility::Shown
            }
        };
        let decision = if is_hidden { Decision::deny(Reason::NoPermit) } else { Decision::allow(Vec::new()) };
        let mut verdict = RecordVerdict::denied(decision, record_type.fields.len() + 1);
        verdict.fields = (0..=record_type.fields.len()).map(visibility).collect();
        verdicts.insert(record.node, Arc::new(verdict));
        ids.insert(record.node, record.facts.id.clone());
    }
    let selection = view.selection.map(|names| Selection::from_names(names.iter().copied()));
    let filtered = filter(
        &document,
        &Filter {
            profile: &profile,
            shape: &route.shape,
            route_type,
            verdicts: &verdicts,
            ids: &ids,
            selection: selection.as_ref(),
            watch: None,
            layout: None,
        },
    )?;
    Ok(match filtered {
        Filtered::Released(released, _) => Some(String::from_utf8(released.into_body().to_vec()).unwrap()),
        Filtered::Hidden(_) => None,
    })
}

#[track_caller]
fn check(route: &str, view: &View<'_>, body: &str, expected: &str) {
    assert_eq!(run(route, view, body).unwrap().as_deref(), Some(expected), "{body}");
}

const ONE: &str = "GET /one/{id}";
const LIST: &str = "GET /list";

#[test]
fn what_passes_is_as_the_crm_wrote_it() {
    let body = r#"{"kind":"deal", "id":7, "amount":1.50E+3, "title":"\u00e9\/x"}"#;
    check(ONE, &ALL, body, r#"{"kind":"deal","id":7,"amount":1.50E+3,"title":"\u00e9\/x"}"#);
}

#[test]
fn hidden_fields_go_as_the_profile_says() {
    let hides = |hidden| View { hidden_fields: hidden, ..ALL };
    let body = r#"{"id":1,"title":"t","amount":5,"amount_text":"5 EUR","margin":2,"score":9,"email":"a@b"}"#;
    check(ONE, &hides(&["Deal.amount"]), body, r#"{"id":1,"title":"t","margin":2,"score":9,"email":"a@b"}"#);
    check(ONE, &hides(&["Deal.margin"]), r#"{"id":1,"margin":2}"#, r#"{"id":1,"margin":null}"#);
    check(ONE, &hides(&["Deal.margin"]), r#"{"id":1,"margin":null}"#, r#"{"id":1,"margin":null}"#);
    check(ONE, &hides(&["Deal.score"]), r#"{"id":1,"score":null}"#, r#"{"id":1,"score":0}"#);
    let address = r#"{"id":1,"address":{"city":"x","zip":"1"}}"#;
    check(ONE, &hides(&["Deal.address.city"]), address, r#"{"id":1}"#);
    check(ONE, &hides(&["Deal.address.zip"]), address, r#"{"id":1,"address":{"city":"x"}}"#);
}

#[test]
fn a_mask_stands_for_any_value() {
    let masks = View { masked_fields: &["Deal.email"], ..ALL };
    check(ONE, &masks, r#"{"id":1,"email":"a@b"}"#, r#"{"id":1,"email":"***"}"#);
    let no_mask = View { masked_fields: &["Deal.title"], ..ALL };
    check(ONE, &no_mask, r#"{"id":1,"title":"t"}"#, r#"{"id":1}"#);
}

#[test]
fn unknown_keys_are_one_field() {
    let hides = View { hidden_fields: &["Deal.*"], ..ALL };
    check(ONE, &hides, r#"{"id":1,"risk":5,"title":"t"}"#, r#"{"id":1,"title":"t"}"#);
    check(ONE, &ALL, r#"{"id":1,"risk":5}"#, r#"{"id":1,"risk":5}"#);
}

#[test]
fn embedded_records_pass_under_their_own_type() {
    let hides = View { hidden_ids: &["9"], hidden_fields: &["Contact.*"], ..ALL };
    let body = r#"{"id":1,"contact":{"id":9,"name":"n"},"contacts":[{"id":9,"name":"n"},{"id":8,"name":"m","x":1},7,null,[1]]}"#;
    check(ONE, &hides, body, r#"{"id":1,"contact":null,"contacts":[{"id":8,"name":"m"},7,null]}"#);
    // A record without an id cannot be decided on.
    check(ONE, &ALL, r#"{"id":1,"contacts":[{"name":"n"}]}"#, r#"{"id":1,"contacts":[]}"#);
}

#[test]
fn rows_totals_and_all_that_is_not_described_go() {
    let hides = View { hidden_ids: &["2"], ..ALL };
    let body = r#"{"count":2,"total":40,"all":40,"page":1,"data":[{"id":1,"title":"a"},{"id":2,"title":"b"}],"debug":{"sql":"…"}}"#;
    check(LIST, &hides, body, r#"{"count":1,"all":-1,"page":1,"data":[{"id":1,"title":"a"}]}"#);
}

#[test]
fn keyed_maps_are_walked_by_path() {
    let hides = View { hidden_ids: &["2"], ..ALL };
    let body = r#"{"a":{"record":{"id":1,"title":"x"},"etag":"s"},"b":{"record":{"id":2}}}"#;
    check("GET /map", &hides, body, r#"{"a":{"record":{"id":1,"title":"x"}},"b":{}}"#);
}

#[test]
fn only_what_was_asked_for_leaves() {
    let asks = View { selection: Some(&["title", "contact.name"]), ..ALL };
    let body = r#"{"kind":"deal","id":1,"title":"t","amount":5,"contact":{"id":9,"name":"n","phone":"p"}}"#;
    check(ONE, &asks, body, r#"{"kind":"deal","id":1,"title":"t","contact":{"id":9,"name":"n"}}"#);
}

#[test]
fn a_hidden_record_is_hidden_whole() {
    let hides = View { hidden_ids: &["1"], ..ALL };
    assert_eq!(run(ONE, &hides, r#"{"id":1,"title":"t"}"#), Ok(None));
}

#[test]
fn other_shapes_are_unreadable() {
    for (route, body) in [
        (ONE, "[]"),
        (ONE, "7"),
        (ONE, "null"),
        (ONE, r#"{"title":"no id"}"#),
        (ONE, r#"{"id":null}"#),
        (ONE, r#"{"id":1.5}"#),
        (LIST, "{}"),
        (LIST, r#"{"data":{}}"#),
        (LIST, r#"{"data":[1]}"#),
        (LIST, r#"{"data":null}"#),
        (LIST, "[]"),
        ("GET /map", r#"{"a":{}}"#),
        ("GET /map", r#"{"a":1}"#),
    ] {
        assert_eq!(run(route, &ALL, body), Err(Reason::UpstreamShape), "{route} {body}");
    }
}
