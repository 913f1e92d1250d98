//! What of an answer leaves: hidden, masked, embedded and undescribed parts, rows and totals.

use super::super::scan::envelope::Envelope;
use super::super::scan::layout::Layouts;
use super::super::scan::task::{ScanLimits, Scanning, Task};
use super::super::scan::{Judge, Judgement, RawRecord};
use super::*;
use crate::config::author::{Problems, SourceFile};
use crate::json::parse::JsonLimits;
use crate::json::scan::object::Scanner;
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
iban   = { sets = ["public"], mask = { keep_last = 2, with = "…" } }
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
        verdicts.insert(record.node, Arc::new(view.verdict(record_type, &record.facts.id)));
        ids.insert(record.node, record.facts.id.clone());
    }
    let selection = view.selection.map(|names| {
        let mut selection = Selection::default();
        names.iter().for_each(|name| selection.add(name.split('.')));
        selection
    });
    let scanned = scan(&profile, &route.shape, view, selection.as_ref(), body);
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
            other_pages: None,
        },
    );
    if let Err(reason) = filtered {
        assert!(scanned.is_refused, "{body}");
        return Err(reason);
    }
    let (text, kind, sets) = match filtered? {
        Filtered::Released(released, sets) => {
            let kind = released.kind();
            (Some(String::from_utf8(released.into_body().to_vec()).unwrap()), kind, sets)
        }
        Filtered::Hidden(sets) => (None, ReleaseKind::Filtered, sets),
    };
    // One pass over the bytes does the same.
    assert_eq!(scanned.is_hidden, text.is_none(), "{body}");
    assert_eq!(scanned.sets, sets, "{body}");
    assert!(!scanned.is_refused, "{body}");
    if let Some(text) = &text {
        assert_eq!(String::from_utf8(scanned.body).unwrap(), *text, "{body}");
        assert_eq!(scanned.is_cut, kind == ReleaseKind::Filtered, "{body}");
    }
    Ok(text)
}

impl View<'_> {
    fn verdict(&self, record_type: &RecordType, id: &str) -> RecordVerdict {
        let visibility = |index: usize| {
            let name = record_type.field_name(index);
            if self.hidden_fields.contains(&name.as_str()) {
                Visibility::Hidden
            } else if self.masked_fields.contains(&name.as_str()) {
                Visibility::Masked
            } else {
                Visibility::Shown
            }
        };
        let is_hidden = self.hidden_ids.contains(&id);
        let decision = if is_hidden { Decision::deny(Reason::NoPermit) } else { Decision::allow(Vec::new()) };
        let mut verdict = RecordVerdict::hidden(decision, record_type.fields.len() + 1);
        verdict.fields = (0..=record_type.fields.len()).map(visibility).collect();
        verdict
    }
}

/// Judges by a view.
struct Viewer<'v> {
    profile: &'v Profile,
    view: &'v View<'v>,
    verdicts: Vec<RecordVerdict>,
}

impl Judge for Viewer<'_> {
    fn judge(&mut self, record: &RawRecord<'_>) -> Judgement {
        let verdict = self.view.verdict(&self.profile.types[record.type_index], record.id);
        let known = self.verdicts.iter().position(|known| *known == verdict);
        let number = known.unwrap_or_else(|| {
            self.verdicts.push(verdict);
            self.verdicts.len() - 1
        });
        Judgement::Verdict(u32::try_from(number).unwrap())
    }

    fn verdict(&self, number: u32) -> &RecordVerdict {
        &self.verdicts[number as usize]
    }
}

/// What the scanner makes of a body, the same whether it comes as a whole or in pieces.
fn scan(
    profile: &Profile,
    shape: &Shape,
    view: &View<'_>,
    selection: Option<&Selection>,
    body: &str,
) -> Scanning {
    let layouts = Layouts::new(profile, |_| &[]).unwrap();
    let task = Task {
        profile,
        layouts: &layouts,
        shape,
        route_type: profile.type_named("Deal").map(|(index, _)| index),
        asked_id: None,
        expected: None,
        selection,
        other_pages: None,
        limits: ScanLimits { depth: 64, keys: 100, records: 100, step_bytes: 1 << 20 },
    };
    let viewer = || Viewer { profile, view, verdicts: Vec::new() };
    let (whole, scanner) = Envelope::new(task, viewer(), Scanner::default()).whole(body.as_bytes()).unwrap();
    for size in [1, 7, 100] {
        let mut pieces = Envelope::new(task, viewer(), Scanner::default());
        body.as_bytes().chunks(size).for_each(|piece| pieces.feed(piece).unwrap());
        let (pieces, _) = pieces.finish().unwrap();
        assert_eq!((&pieces.body, &pieces.sets), (&whole.body, &whole.sets), "{body} by {size}");
    }
    let (again, _) = Envelope::new(task, viewer(), scanner).whole(body.as_bytes()).unwrap();
    assert_eq!((&again.body, &again.sets), (&whole.body, &whole.sets), "{body} with what was learned");
    whole
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
    let kept = View { masked_fields: &["Deal.iban"], ..ALL };
    check(ONE, &kept, r#"{"id":1,"iban":"DE89 3704"}"#, r#"{"id":1,"iban":"…04"}"#);
    check(ONE, &kept, r#"{"id":1,"iban":"123"}"#, r#"{"id":1,"iban":"…"}"#);
    check(ONE, &kept, r#"{"id":1,"iban":123456}"#, r#"{"id":1,"iban":"…"}"#);
    check(ONE, &kept, r#"{"id":1,"iban":null}"#, r#"{"id":1}"#);
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
