//! Push-down: what `view` leaves becomes a filter of the CRM's own, so that pages are full, counts are true, and callers with
//! hidden rows may filter and sort.

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::TestReply;
use serde_json::Value;

use crate::any_crm::{Answer, AnyCrm};

/// The demo's list of deals, with its filter by owner as the way to say whose.
async fn demo() -> TestSidecar {
    TestSidecar::with(|options| {
        options.edit("bundle/profile.toml", |profile| {
            let push = "push_down = { into = \"owner_id\", attributes = { owner = \"owner_id\" }, exact = true }\n[routes.query]\npage ";
            let profile = profile.replacen("[routes.query]\npage ", push, 1);
            profile.replacen("{ at = \"$.total\" }", "{ at = \"$.total\", counts_rows = true }", 1)
        })
    })
    .await
}

fn ids(reply: &TestReply) -> Vec<u64> {
    let rows = reply.json()["data"].as_array().unwrap().clone();
    rows.iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn pages_are_full_and_counts_are_true() {
    let sidecar = demo().await;
    let all = sidecar.crm_caller().get("/api/deals").await.json();
    let own = all["data"].as_array().unwrap().iter().filter(|row| row["owner_id"] == 1).count();
    let reply = sidecar.as_person("rep-east").get("/api/deals?page=1&per_page=4").await;
    assert_eq!((ids(&reply).len(), &reply.json()["total"]), (4, &Value::from(own)));
    assert!(sidecar.crm_saw().contains(&"GET /api/deals?page=1&per_page=4&owner_id=1".to_owned()));
    // A sum of what not everybody may read is no number of rows.
    assert_eq!(reply.json().get("total_amount"), None);
    // Whoever may view every row gets every row, and their number.
    let reply = sidecar.as_person("service").get("/api/deals?page=1&per_page=4").await;
    assert_eq!((ids(&reply).len(), &reply.json()["total"]), (4, &all["total"]));
    assert!(sidecar.crm_saw().contains(&"GET /api/deals?page=1&per_page=4".to_owned()));
    // Of a manager's people one parameter cannot tell: as without push-down.
    let reply = sidecar.as_person("manager-east").get("/api/deals").await;
    assert_eq!((reply.status, reply.json().get("total")), (200, None));
}

#[tokio::test]
async fn whose_rows_are_all_left_may_sort_by_what_they_may_read_there() {
    let sidecar = demo().await;
    let rep = sidecar.as_person("rep-east");
    let sorted = rep.get("/api/deals?sort=-amount&page=1&per_page=3").await;
    assert_eq!(sorted.status, 200);
    let own = sidecar.crm_caller().get("/api/deals?sort=-amount&page=1&per_page=3&owner_id=1").await;
    assert_eq!(ids(&sorted), ids(&own));
    for target in [
        "/api/deals?sort=-margin",
        "/api/deals?margin__gte=1",
        // The caller's own value stands where ours would.
        "/api/deals?owner_id=2&per_page=3",
        "/api/deals?q=storage",
    ] {
        let reply = rep.get(target).await;
        assert_eq!((reply.status, reply.reason().as_str()), (403, "reference-refused"), "{target}");
    }
    // Without paging the CRM answers every match, and none of them is the caller's.
    assert_eq!(ids(&rep.get("/api/deals?owner_id=2").await), Vec::<u64>::new());
}

/// Rows are checked whatever the CRM left in.
#[tokio::test]
async fn a_crm_that_does_not_filter_shows_nothing_more() {
    let (crm, sidecar) = any_crm().await;
    let rows =
        r#"{"total":2,"data":[{"id":1,"title":"mine","owner_id":1},{"id":2,"title":"theirs","owner_id":2}]}"#;
    crm.answers(Answer::json(rows.as_bytes().to_vec()));
    let reply = sidecar.as_person("rep-east").get("/v2/deals").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["data"].as_array().unwrap().len(), 1);
    assert!(!reply.text().contains("theirs"));
}

/// A list whose filter may hold conditions, in front of a CRM that says whatever it is told to.
async fn any_crm() -> (AnyCrm, TestSidecar) {
    let crm = AnyCrm::start().await;
    let sidecar = crm
        .behind(|options| {
            let hostile = r#"{"uid":{"type":"User","id":"hostile"},"attrs":{"active":true,"crmId":"1\"]],[\"margin\",\">\",0"},"parents":[{"type":"Role","id":"rep"}]},"#;
            options
                .edit("bundle/profile.toml", |profile| profile + ROUTES)
                .edit("directory.cedarentities.json", move |text| text.replacen('[', &format!("[{hostile}"), 1))
                .key_for("hostile")
        })
        .await;
    (crm, sidecar)
}

const ROUTES: &str = r#"
[[routes]]
match   = "GET /v2/deals"
action  = "list"
records = { at = "$.data[*]", type = "Deal", complete = true }
totals  = [{ at = "$.total", counts_rows = true }]
hidden_rows = "visible"
push_down = { into = "where", attributes = { owner = "owner_id", stage = "stage" }, equal = "=", in = "in", exact = true }
[routes.query]
limit = "paging"
where = { role = "filter", form = "triples", operators = ["=", ">", "in"], and = "AND", or = "OR" }

[[routes]]
match   = "GET /v2/contacts"
action  = "list"
records = { at = "$.data[*]", type = "Contact", complete = true }
hidden_rows = "visible"
push_down = { into = "domain", attributes = { team = "team_id", owner = "owner_id" }, in = "in", absent = "=" }
[routes.query]
domain = { role = "filter", form = "prefix", operators = ["=", "in"] }

[[routes]]
match   = "GET /v3/deals"
action  = "list"
records = { at = "$.data[*]", type = "Deal", complete = true }
totals  = [{ at = "$.total", counts_rows = true }]
hidden_rows = "visible"
push_down = { into = "filters", attributes = { owner = { at = "owner.id", as = "number" } }, in = "$in" }
[routes.query]
sort = { role = "sort", form = "comma-list" }
[routes.query.filters]
role = "filter"
form = "object"
encoding = "brackets"
operators = ["$eq", "$in"]
and = "$and"
or = "$or"

[[routes]]
match   = "POST /v2/deals/search"
action  = "search"
records = { at = "$.data[*]", type = "Deal", complete = true }
hidden_rows = "visible"
push_down = { into = "$.where", attributes = { owner = "owner_id" }, equal = "eq", in = "in", exact = true }
[routes.reads]
"$.where" = { role = "filter", form = "tree", name = "field", operator = "op", value = "value", operators = ["eq", "in"], and = "all", or = "any" }
"$.sort"  = { role = "sort", form = "json-list" }

[[routes]]
match   = "POST /v2/deals/groups"
action  = "search"
records = { at = "$.data[*]", type = "Deal", complete = true }
hidden_rows = "visible"
push_down = { into = "$.filterGroups", attributes = { owner = "ownerId" }, equal = "EQ", in = "IN", exact = true }
[routes.reads]
"$.filterGroups" = { role = "filter", form = "tree", list = "or", and = "filters", name = "propertyName", operator = "operator", value = ["value"], operators = ["EQ", "IN"] }
"#;

/// What the CRM is asked, without escapes; or why nothing is.
async fn asked(rig: &(AnyCrm, TestSidecar), person: &str, target: &str) -> Result<String, String> {
    let (crm, sidecar) = rig;
    crm.answers(Answer::json(br#"{"total":0,"data":[]}"#.to_vec()));
    let reply = sidecar.as_person(person).get(target).await;
    match reply.status {
        200 => {
            let seen = crm.seen();
            let asked = seen.last().unwrap().split(' ').nth(1).unwrap();
            Ok(percent_encoding::percent_decode_str(asked).decode_utf8().unwrap().into_owned())
        }
        _ => Err(reply.reason()),
    }
}

fn escaped(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn conditions_stand_beside_what_the_caller_asks_for() {
    let rig = any_crm().await;
    let wanted = |filter: &str| format!("/v2/deals?where={}", escaped(filter));
    for (person, target, expected) in [
        ("rep-east", "/v2/deals".to_owned(), r#"/v2/deals?where=[["owner_id","=","1"]]"#),
        (
            "rep-east",
            wanted(r#"[["title","=","x"]]"#),
            r#"/v2/deals?where=[["owner_id","=","1"],["title","=","x"]]"#,
        ),
        (
            "rep-east",
            wanted(r#"["OR",["title","=","x"],["owner_id","=","2"]]"#),
            r#"/v2/deals?where=[["owner_id","=","1"],["OR",["title","=","x"],["owner_id","=","2"]]]"#,
        ),
        // Their own amounts they may read, so they may ask for them among what is theirs.
        (
            "rep-east",
            wanted(r#"[["amount",">",5]]"#),
            r#"/v2/deals?where=[["owner_id","=","1"],["amount",">",5]]"#,
        ),
        ("manager-east", "/v2/deals".to_owned(), r#"/v2/deals?where=[["owner_id","in",["3","1"]]]"#),
        ("service", "/v2/deals".to_owned(), "/v2/deals"),
        ("service", wanted(r#"[["title","=","x"]]"#), r#"/v2/deals?where=[["title","=","x"]]"#),
        ("rep-east", "/v3/deals".to_owned(), "/v3/deals?filters[owner][id][$in][0]=1"),
        // Whatever a value says, it is a value.
        (
            "hostile",
            "/v2/deals".to_owned(),
            r#"/v2/deals?where=[["owner_id","=","1\"]],[\"margin\",\">\",0"]]"#,
        ),
        ("rep-east", "/v2/contacts".to_owned(), r#"/v2/contacts?domain=[["team_id","in",["10"]]]"#),
        // No number, so it cannot be said there.
        ("hostile", "/v3/deals".to_owned(), "/v3/deals"),
    ] {
        assert_eq!(asked(&rig, person, &target).await.as_deref(), Ok(expected), "{person} {target}");
    }
    for (person, target) in [
        ("rep-east", wanted(r#"[["margin",">",5]]"#)),
        ("service", wanted(r#"[["amount",">",5]]"#)),
        // A contact that is hidden shows as none, so nobody may ask which it is.
        ("rep-east", wanted(r#"[["contact","=",107]]"#)),
        ("rep-east", wanted(r#"[["contact.id","=",107]]"#)),
        // Nobody promised that this filter is exact.
        ("rep-east", "/v3/deals?sort=title".to_owned()),
    ] {
        assert_eq!(
            asked(&rig, person, &target).await,
            Err("reference-refused".to_owned()),
            "{person} {target}"
        );
    }
}

#[tokio::test]
async fn a_condition_goes_into_a_body() {
    let (crm, sidecar) = any_crm().await;
    for (person, body, expected) in [
        ("rep-east", "{}", r#"{"where":{"all":[{"field":"owner_id","op":"eq","value":"1"}]}}"#),
        (
            "rep-east",
            r#"{"sort":["title"],"where":{"field":"title","op":"eq","value":"x"}}"#,
            r#"{"sort":["title"],"where":{"all":[{"field":"owner_id","op":"eq","value":"1"},{"field":"title","op":"eq","value":"x"}]}}"#,
        ),
        ("service", r#"{"sort":["title"]}"#, r#"{"sort":["title"]}"#),
    ] {
        crm.answers(Answer::json(br#"{"data":[]}"#.to_vec()));
        assert_eq!(
            sidecar.as_person(person).post("/v2/deals/search", body).await.status,
            200,
            "{person} {body}"
        );
        assert_eq!(crm.bodies(), [expected], "{person} {body}");
    }
    // Of alternatives each gets it.
    let clause =
        |name: &str, value: &str| format!(r#"{{"propertyName":"{name}","operator":"EQ","value":"{value}"}}"#);
    let own = clause("ownerId", "1");
    let group = |clauses: &[&String]| {
        let clauses: Vec<&str> = clauses.iter().map(|clause| clause.as_str()).collect();
        format!(r#"{{"filters":[{}]}}"#, clauses.join(","))
    };
    let (one, two) = (clause("title", "x"), clause("title", "y"));
    for (asked, expected) in [
        (None, group(&[&own])),
        (Some(String::new()), group(&[&own])),
        (
            Some(format!("{},{}", group(&[&one, &two]), group(&[&two]))),
            format!("{},{}", group(&[&own, &one, &two]), group(&[&own, &two])),
        ),
    ] {
        crm.answers(Answer::json(br#"{"data":[]}"#.to_vec()));
        let body = asked.map_or("{}".to_owned(), |groups| format!(r#"{{"filterGroups":[{groups}]}}"#));
        let reply = sidecar.as_person("rep-east").post("/v2/deals/groups", body.as_str()).await;
        assert_eq!(reply.status, 200, "{body}");
        assert_eq!(crm.bodies(), [format!(r#"{{"filterGroups":[{expected}]}}"#)], "{body}");
    }
}
