//! Mapping: what a request names, and each refusal with its reason.

use super::*;
use crate::config::author::{Problems, SourceFile};
use crate::pipeline::canonical::{self, HeadLimits};
use crate::pipeline::decide::keys::{Claim, KeyPlan};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

const PROFILE: &str = r#"profile = 1
[field_sets]
public = []
[pipelines.sales.stages]
lead = {}
won = { names = ["won", "WON"] }
[types.Deal]
id = "id"
names = ["deals", "0-3"]
[types.Deal.fields]
title  = { sets = ["public"] }
stage  = { sets = ["public"] }
amount = { sets = ["public"], twins = ["amount_text"] }
"address.city" = { sets = ["public"] }
"address.zip"  = { sets = ["public"] }
contact = { sets = ["public"], is = "Contact", hide = "remove" }
[types.Contact]
id = "id"
[types.Contact.fields]
name = { sets = ["public"] }
[[routes]]
match = "GET /deals/{id:int}"
action = "view"
records = { at = "$", type = "Deal" }
query = { lang = "harmless", cb = "refused", utm = "ignored" }
[[routes]]
match = "GET /deals"
action = "list"
records = { at = "$[*]", type = "Deal" }
hidden_rows = "visible"
headers = { range = { role = "paging", prefix = "records=" }, x-debug = "refused" }
[routes.query]
fields = { role = "select", form = "comma-list" }
f      = { role = "expand", form = "repeated", values = ["none"] }
sort   = { role = "sort", form = "signed-list" }
title  = { role = "filter", form = "key" }
who    = { role = "filter", form = "key", field = "contact.name" }
order  = { role = "sort", form = "direction-list" }
cols   = { role = "select", form = "json-list" }
"filter[*" = { role = "filter", form = "bracketed" }
dir    = { role = "harmless", values = ["asc", "desc"] }
"amount__*" = { role = "filter", form = "operator-suffix" }
q      = "search"
page   = "paging"
[[routes]]
match = "PATCH /deals/{id:int}"
action = "edit"
type = "Deal"
before = "GET /deals/{id:int}"
writes = { at = "$.deal" }
also = [{ when = { at = "$.deal.deleted", is = [true, 1, "1"] }, action = "delete" }]
[[routes]]
match = "POST /rpc/{verb:word}"
action = { from = "path.verb", verbs = { win = { action = "moveStage", to = "won" }, drop = { action = "delete" } } }
type = "Deal"
id = "query.id"
before = "GET /deals/{id:int}"
body = "optional"
query = { id = "harmless" }
[[routes]]
match = "POST /objects/{model}/{id}/move"
action = "moveStage"
type = { from = "path.model" }
before = "GET /deals/{id:int}"
to = { at = "$.to.stage" }
[[routes]]
match = "POST /bulk"
action = "bulkEdit"
type = "Deal"
id = "body.$.ids[*]"
before = "GET /deals/{id:int}"
writes = { at = "$.set" }
also = [{ when = { at = "$.set.deleted", is = [true, 1, "1"] }, action = "delete" }]
"#;

fn with<T>(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
    check: impl FnOnce(Result<&Mapped<'_>, Reason>, &Profile) -> T,
) -> T {
    let mut problems = Problems::default();
    let profile =
        Profile::load(&SourceFile::new("p", PROFILE), &mut problems).unwrap_or_else(|| panic!("{problems}"));
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter().chain(&[("host", "a"), ("content-type", "application/json")]) {
        map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    }
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let head =
        canonical::read(method, &target.parse().unwrap(), Version::HTTP_11, map, HeadLimits::default())
            .unwrap();
    let limits = Limits { json: JsonLimits::default(), ids_max: 3, filter: FilterLimits::default() };
    let body = Bytes::copy_from_slice(body.as_bytes());
    let mapped = route(&profile, &head)
        .and_then(|(route, parameters)| read(&profile, route, parameters, &head, body, &limits))
        .map_err(|problem| problem.reason);
    check(mapped.as_ref().map_err(|reason| *reason), &profile)
}

#[track_caller]
fn refused(method: &str, target: &str, body: &str, expected: Reason) {
    with(method, target, &[], body, |mapped, _| {
        assert_eq!(mapped.err(), Some(expected), "{method} {target} {body}")
    });
}

#[track_caller]
fn mapped(method: &str, target: &str, body: &str, expected: &str) {
    with(method, target, &[], body, |mapped, _| {
        let mapped = mapped.unwrap_or_else(|reason| panic!("{method} {target}: {reason}"));
        let action = mapped.action.map_or("none", Action::name);
        let also: Vec<&str> = mapped.also.iter().map(|also| also.action.name()).collect();
        let stage = mapped.target_stage.as_deref().unwrap_or("-");
        let type_name = mapped.record_type.map_or("-", |t| t.name.as_str());
        assert_eq!(
            format!("{action} {type_name} {:?} {stage} {also:?}", mapped.ids),
            expected,
            "{method} {target}"
        );
    });
}

#[test]
fn requests_become_access_requests() {
    mapped("GET", "/deals/42", "", r#"view Deal ["42"] - []"#);
    mapped("GET", "/deals", "", "list Deal [] - []");
    mapped("PATCH", "/deals/42", r#"{"deal":{"title":"x"}}"#, r#"edit Deal ["42"] - []"#);
    mapped("PATCH", "/deals/42", r#"{"deal":{"deleted":true}}"#, r#"edit Deal ["42"] - ["delete"]"#);
    mapped("PATCH", "/deals/42", r#"{"deal":{"deleted":"1"}}"#, r#"edit Deal ["42"] - ["delete"]"#);
    mapped("PATCH", "/deals/42", r#"{"deal":{"deleted":false}}"#, r#"edit Deal ["42"] - []"#);
    // What is of none of the listed kinds may become any of them in the CRM.
    for deleted in ["null", "[]", "{}", "[true]"] {
        let body = format!(r#"{{"deal":{{"deleted":{deleted}}}}}"#);
        mapped("PATCH", "/deals/42", &body, r#"edit Deal ["42"] - ["delete"]"#);
    }
    mapped("POST", "/rpc/win?id=7", "", r#"moveStage Deal ["7"] sales.won []"#);
    mapped("POST", "/rpc/drop?id=7", "{}", r#"delete Deal ["7"] - []"#);
    mapped(
        "POST",
        "/objects/0-3/7/move",
        r#"{"to":{"stage":"WON"}}"#,
        r#"moveStage Deal ["7"] sales.won []"#,
    );
    mapped("POST", "/bulk", r#"{"ids":[1,"2"],"set":{}}"#, r#"bulkEdit Deal ["1", "2"] - []"#);
}

#[test]
fn what_is_not_described_is_refused() {
    refused("GET", "/deal/42", "", Reason::RouteUnmapped);
    refused("DELETE", "/deals/42", "", Reason::RouteUnmapped);
    refused("GET", "/deals/42?fields=x", "", Reason::QueryUndeclared);
    refused("GET", "/deals/42?cb=x", "", Reason::ReferenceRefused);
    refused("GET", "/deals/42?lang=a&lang=b", "", Reason::QueryRepeated);
    refused("GET", "/deals/42", "{}", Reason::BodyUnexpected);
    refused("PATCH", "/deals/42", "", Reason::BodyMissing);
    refused("PATCH", "/deals/42", "{", Reason::JsonSyntax);
    refused("PATCH", "/deals/42", r#"{"a":1,"\u0061":2}"#, Reason::JsonDuplicateKey);
    refused("PATCH", "/deals/42", &"[".repeat(100), Reason::JsonDepth);
    refused("POST", "/rpc/search_read?id=7", "", Reason::VerbUnlisted);
    refused("POST", "/rpc/win", "", Reason::IdMissing);
    refused("POST", "/rpc/win?id=7&id=8", "", Reason::QueryRepeated);
    refused("POST", "/objects/users/7/move", r#"{"to":{"stage":"won"}}"#, Reason::TypeUnknown);
    refused("POST", "/objects/deals/7/move", r#"{"to":{"stage":"Won"}}"#, Reason::StageUnknown);
    refused("POST", "/objects/deals/7/move", r#"{"to":{}}"#, Reason::StageUnknown);
    refused("POST", "/bulk", r#"{"ids":[],"set":{}}"#, Reason::IdMissing);
    refused("POST", "/bulk", r#"{"ids":[1,1],"set":{}}"#, Reason::IdConflict);
    refused("POST", "/bulk", r#"{"ids":[1,1.5],"set":{}}"#, Reason::IdMalformed);
    refused("POST", "/bulk", r#"{"ids":[1,2,3,4],"set":{}}"#, Reason::IdTooMany);
}

#[test]
fn references_are_found_wherever_they_are() {
    let references = |target: &str| {
        with("GET", target, &[], "", |mapped, _| {
            let mapped = mapped.map_err(|reason| reason.code())?;
            let found = mapped.query.references.iter();
            Ok::<_, &str>(
                found
                    .map(|r| {
                        format!(
                            "{:?} {}",
                            r.role,
                            r.hops.iter().map(|(_, f)| f.as_str()).collect::<Vec<_>>().join("/")
                        )
                    })
                    .collect::<Vec<_>>(),
            )
        })
    };
    assert_eq!(
        references("/deals?sort=-amount,title"),
        Ok(vec!["Sort Deal.amount".to_owned(), "Sort Deal.title".to_owned()])
    );
    assert_eq!(
        references("/deals?amount__gte=5&title=x"),
        Ok(vec!["Filter Deal.amount".to_owned(), "Filter Deal.title".to_owned()])
    );
    assert_eq!(
        references("/deals?fields=contact.name,address.city"),
        Ok(vec!["Select Deal.contact/Contact.name".to_owned(), "Select Deal.address.city".to_owned()])
    );
    assert_eq!(references("/deals?f=contact&f=none"), Ok(vec!["Expand Deal.contact".to_owned()]));
    for (target, expected) in [
        ("/deals?who=x", &["Filter Deal.contact/Contact.name"][..]),
        ("/deals?order=amount%20desc,title&dir=asc", &["Sort Deal.amount", "Sort Deal.title"]),
        ("/deals?cols=%5B%22title%22%5D", &["Select Deal.title"]),
        (
            "/deals?filter%5Bamount%5D%5Bgte%5D=1&filter%5Btitle%5D=x",
            &["Filter Deal.amount", "Filter Deal.title"],
        ),
    ] {
        assert_eq!(references(target).unwrap(), expected, "{target}");
    }
    let often = format!("/deals?sort={}-title", "amount,-amount,".repeat(200));
    assert_eq!(references(&often).unwrap(), ["Sort Deal.amount", "Sort Deal.title"]);
    // An implicit search may look anywhere, so it refers to everything.
    assert_eq!(references("/deals?q=x").unwrap().len(), 7);
    for target in [
        "/deals?sort=secret",
        "/deals?sort=",
        "/deals?fields=*",
        "/deals?fields=title.x",
        "/deals?fields=contact.phone",
        "/deals?secret__gte=1",
        "/deals?fields=address",
        "/deals?order=amount%20up",
        "/deals?order=secret%20desc",
        "/deals?cols=title",
        "/deals?cols=%5B%22secret%22%5D",
        "/deals?filter%5Bsecret%5D=1",
        "/deals?filter%5Bamount%5D%5Bor%5D=1",
        "/deals?filter%5Bamount%5D%5Bgte%5D%5Bx%5D=1",
        "/deals?dir=up",
    ] {
        let expected = if target.contains("__") { "query-undeclared" } else { "reference-refused" };
        assert_eq!(references(target), Err(expected), "{target}");
    }
}

#[test]
fn headers_pass_by_their_roles() {
    let headers = |pairs: &[(&str, &str)]| {
        with("GET", "/deals", pairs, "", |mapped, _| {
            mapped.map(|mapped| (mapped.headers.clone(), mapped.query.is_paged)).map_err(Reason::code)
        })
    };
    assert_eq!(
        headers(&[("range", "records=0-5")]),
        Ok((vec![("range".to_owned(), "records=0-5".to_owned())], true))
    );
    assert_eq!(headers(&[("range", "bytes=0-5")]), Err("header-refused"));
    assert_eq!(headers(&[("x-debug", "1")]), Err("header-refused"));
    assert_eq!(headers(&[("x-other", "1")]), Ok((Vec::new(), false)));
}

#[test]
fn bodies_are_json_or_nothing() {
    for (content_type, expected) in [
        ("application/json", true),
        ("Application/JSON; charset=UTF-8", true),
        ("application/vnd.api+json", true),
        ("text/plain", false),
        ("application/x-www-form-urlencoded", false),
        ("application/json; charset=utf-16", false),
        ("text/json", false),
    ] {
        assert_eq!(body::is_json(content_type), expected, "{content_type}");
    }
}

#[test]
fn every_key_of_a_body_is_accounted_for() {
    #[track_caller]
    fn check(body: &str, expected: Result<&str, Reason>) {
        with("PATCH", "/deals/42", &[], body, |mapped, profile| {
            let mapped = mapped.unwrap();
            let record_type = mapped.record_type.unwrap();
            let plan = KeyPlan::read(mapped, mapped.route.writes.as_ref(), record_type, profile);
            let text = plan.map_err(|problem| problem.reason).map(|plan| {
                let name = |claim: Claim| match claim {
                    Claim::Field(index) => record_type.field_name(index),
                    Claim::Twin(index) => format!("twin of {}", record_type.field_name(index)),
                    Claim::Nested(index) => format!("inside {}", record_type.field_name(index)),
                    Claim::Meta => "meta".to_owned(),
                    Claim::LookAlike => "alike".to_owned(),
                    Claim::Unknown => "unknown".to_owned(),
                };
                let keys: Vec<String> =
                    plan.keys.iter().map(|key| format!("{}={}", key.wire(), name(key.claim))).collect();
                keys.join(" ")
            });
            assert_eq!(text.as_deref(), expected.as_deref(), "{body}");
        });
    }
    check(r#"{"deal":{"title":"x","amount":null}}"#, Ok("title=Deal.title amount=Deal.amount"));
    check(r#"{"deal":{"amount_text":"5","secret":1}}"#, Ok("amount_text=twin of Deal.amount secret=unknown"));
    check(r#"{"deal":{"contact":7}}"#, Ok("contact=Deal.contact"));
    check(r#"{"deal":{"contact":{"id":7,"name":"n"}}}"#, Ok("contact=inside Deal.contact"));
    check(r#"{"deal":{"contact":[["create",[{}]]]}}"#, Ok("contact=inside Deal.contact"));
    // A part of a composite may replace the whole of it.
    check(
        r#"{"deal":{"address":{"city":"x"}}}"#,
        Ok("address.zip=Deal.address.zip address.city=Deal.address.city"),
    );
    check(r#"{"deal":{"address":null}}"#, Ok("address=unknown"));
    check(r#"{"deal":{"id":42}}"#, Ok(""));
    check(r#"{"deal":{"deleted":true}}"#, Ok(""));
    check(r#"{"deal":{"deleted":"no"}}"#, Ok("deleted=unknown"));
    check(r#"{"deal":{},"other":1}"#, Err(Reason::BodyShape));
    check(r#"{"deal":[]}"#, Err(Reason::BodyShape));
    check("[]", Err(Reason::BodyShape));
    check("{}", Err(Reason::BodyShape));
}

/// `when = { header = .. }` with a value that stands twice: the CRM would get one of them, and we took the route of neither.
#[test]
fn a_condition_on_a_header_has_one_value_to_look_at() {
    let profile = r#"profile = 1
[headers]
request = ["x-version"]
[field_sets]
public = []
[types.Deal]
id = "id"
[types.Deal.fields]
title = { sets = ["public"] }
[[routes]]
match = "GET /deals/{id:int}"
label = "new"
action = "view"
records = { at = "$.deal", type = "Deal" }
when = { header = "x-version", is = "2" }
headers = { x-version = "harmless" }
over = ["old"]
[[routes]]
match = "GET /deals/{id:int}"
label = "old"
action = "view"
records = { at = "$", type = "Deal" }
"#;
    let mut problems = Problems::default();
    let profile =
        Profile::load(&SourceFile::new("p", profile), &mut problems).unwrap_or_else(|| panic!("{problems}"));
    let found = |values: &[&'static str]| {
        let mut headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("a"))]);
        for value in values {
            headers.append("x-version", HeaderValue::from_static(value));
        }
        let uri = "/deals/1".parse().unwrap();
        let head =
            canonical::read(Method::GET, &uri, Version::HTTP_11, headers, HeadLimits::default()).unwrap();
        route(&profile, &head).map(|(route, _)| route.label()).map_err(|problem| problem.reason)
    };
    assert_eq!(found(&["2"]).as_deref(), Ok("new"));
    assert_eq!(found(&["1"]).as_deref(), Ok("old"));
    assert_eq!(found(&[]).as_deref(), Ok("old"));
    for twice in [["2", "1"], ["1", "2"], ["2", "2"]] {
        assert_eq!(found(&twice), Err(Reason::HeaderRefused), "{twice:?}");
    }
}
