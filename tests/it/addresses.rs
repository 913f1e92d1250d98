//! Addresses in answers: of other pages, and of new records. They lead to the proxy or nowhere.

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::folder::Options;
use serde_json::{Value, json};

use crate::any_crm::{Answer, AnyCrm};
use crate::long_lists::Poured;

const ROUTES: &str = r#"
[[routes]]
match   = "GET /v2/deals"
action  = "list"
records = { at = "$.data[*]", type = "Deal", complete = true }
totals  = [{ at = "$.count", counts_rows = true }]
pages   = ["$.next", "$.pages.previous", "header.link"]
hidden_rows = "visible"
[routes.query]
offset = "paging"
limit  = "paging"
fields = { role = "select", form = "comma-list", default = "all" }
"#;

async fn rig() -> (AnyCrm, TestSidecar) {
    let crm = AnyCrm::start().await;
    let sidecar = crm.behind(|options| options.edit("bundle/profile.toml", |profile| profile + ROUTES)).await;
    (crm, sidecar)
}

const PAGE: &str = r#"{"count":9,"next":"http://crm.internal:8069/v2/deals?fields=id,title,owner_id,stage&offset=2&limit=1","pages":{"previous":"\/v2\/deals?offset=0","last":"/v2/deals?offset=8"},"data":[{"id":1,"title":"a","stage":"lead","owner_id":1}]}"#;

fn page() -> Answer {
    let link = "Link: <http://crm.internal:8069/v2/deals?offset=2>; rel=\"next\", </internal>; rel=\"up\"";
    Answer::json(PAGE.as_bytes().to_vec()).header(link)
}

/// Whoever may view every row is told how many there are and where the others are; for others both would tell of hidden rows.
#[tokio::test]
async fn other_pages_are_told_where_no_row_is_hidden() {
    let (crm, sidecar) = rig().await;
    crm.answers(page());
    let reply = sidecar.as_person("service").get("/v2/deals?fields=title&offset=1&limit=1").await;
    let told = reply.json();
    assert_eq!(told["next"], json!("http://lockkeeper.test/v2/deals?fields=title&offset=2&limit=1"));
    assert_eq!(told["pages"], json!({ "previous": "/v2/deals?fields=title&offset=0" }));
    assert_eq!(told["count"], json!(9));
    assert_eq!(
        reply.header("link"),
        Some("<http://lockkeeper.test/v2/deals?fields=title&offset=2>; rel=\"next\"")
    );

    let reply = sidecar.as_person("rep-east").get("/v2/deals?fields=title&offset=1&limit=1").await;
    assert_eq!((reply.status, reply.header("link")), (200, None));
    assert_eq!(reply.json(), json!({ "data": [{ "id": 1, "title": "a" }] }));
}

/// A long list leaves part by part, and says the same.
#[tokio::test]
async fn long_lists_name_their_other_pages() {
    let crm = AnyCrm::start().await;
    let sidecar = crm
        .behind(|options| {
            let options = options.edit("bundle/profile.toml", |profile| profile + ROUTES);
            options.set("limits", "hold_bytes", 65_536).set("limits", "records", 100_000)
        })
        .await;
    let row =
        |id: usize| format!(r#"{{"id":{id},"title":"{}","stage":"lead","owner_id":1}}"#, "t".repeat(200));
    let rows: Vec<String> = (1..2000).map(row).collect();
    let body = format!(r#"{{"data":[{}],"count":9,"next":"/v2/deals?offset=2"}}"#, rows.join(","));
    crm.answers(Answer::json(body.into_bytes()));
    let told = async |person: &str| -> Value {
        let poured = Poured::from(&sidecar, person, "/v2/deals").await;
        assert!(poured.is_whole, "{}", poured.status);
        serde_json::from_str(&poured.body).unwrap()
    };
    let reply = told("service").await;
    assert_eq!((&reply["next"], &reply["count"]), (&json!("/v2/deals?offset=2"), &json!(9)));
    let reply = told("rep-east").await;
    assert_eq!((reply.get("next"), reply.get("count")), (None, None));
    assert_eq!(reply["data"].as_array().map(Vec::len), Some(1999));
}

#[tokio::test]
async fn what_is_no_other_page_is_dropped() {
    let (crm, sidecar) = rig().await;
    for (next, told) in [
        ("null", Some(Value::Null)),
        (r#""/v2/deals""#, Some(json!("/v2/deals"))),
        (r#""/v2/deals?offset=b2Zmc2V0""#, None),
        (r#""http://crm.internal:8069/api/contacts?offset=1""#, None),
        ("{\"href\":\"/v2/deals\"}", None),
    ] {
        crm.answers(Answer::json(format!(r#"{{"data":[],"next":{next}}}"#).into_bytes()));
        let reply = sidecar.as_person("service").get("/v2/deals").await;
        assert_eq!((reply.status, reply.json().get("next")), (200, told.as_ref()), "{next}");
    }
}

#[tokio::test]
async fn a_new_record_is_where_the_profile_says() {
    let crm = AnyCrm::start().await;
    let sidecar = crm.behind(|options| options).await;
    let deal = r#"{"title":"new","stage":"lead","owner_id":1}"#;
    let made = r#"{"id":77,"title":"new","stage":"lead","owner_id":1}"#;
    for (location, told) in [
        ("http://crm.internal:8069/api/deals/77", Some("http://lockkeeper.test/api/deals/77")),
        ("/api/deals/77", Some("/api/deals/77")),
        ("/api/deals/77?token=secret", None),
        // Not the record that the answer shows.
        ("/api/deals/78", None),
        ("/api/contacts/77", None),
        ("/internal/deals/77", None),
        ("//evil.example/api/deals/77", None),
    ] {
        let answer = Answer::json(made.as_bytes().to_vec()).status(201);
        crm.answers(answer.header(&format!("Location: {location}")));
        let reply = sidecar.as_person("rep-east").post("/api/deals", deal).await;
        assert_eq!((reply.status, reply.header("location")), (201, told), "{location}");
    }
    // Of an answer that shows nothing it is all there is.
    crm.answers(Answer::json(Vec::new()).status(201).header("Location: /api/deals/78"));
    let reply = sidecar.as_person("rep-east").post("/api/deals", deal).await;
    assert_eq!((reply.status, reply.header("location")), (201, Some("/api/deals/78")));
    // Only what is new is somewhere else than asked.
    crm.answers(Answer::json(made.as_bytes().to_vec()).header("Location: /api/deals/77"));
    let reply = sidecar.as_person("rep-east").post("/api/deals", deal).await;
    assert_eq!(reply.header("location"), None);
}

/// A path may hold more than the id, such as the record's owner: of that only what the caller asked with leaves.
#[tokio::test]
async fn a_place_tells_nothing_beside_the_id() {
    let crm = AnyCrm::start().await;
    let within = r#"
[[routes]]
match   = "GET /v2/owners/{owner:int}/deals/{id:int}"
action  = "view"
records = { at = "$", type = "Deal", complete = true }

[[routes]]
match   = "POST /v2/owners/{owner:int}/deals"
action  = "create"
type    = "Deal"
writes  = { at = "$", defaults = { pipeline = "sales" } }
records = { at = "$", complete = true }
"#;
    let sidecar = crm.behind(|options| options.edit("bundle/profile.toml", |profile| profile + within)).await;
    let deal = r#"{"title":"new","stage":"lead","owner_id":1}"#;
    let made = r#"{"id":77,"title":"new","stage":"lead","owner_id":1}"#;
    for (target, told) in [
        ("/v2/owners/3/deals", Some("/v2/owners/3/deals/77")),
        ("/v2/owners/4/deals", None),
        ("/api/deals", None),
    ] {
        let answer = Answer::json(made.as_bytes().to_vec()).status(201);
        crm.answers(answer.header("Location: /v2/owners/3/deals/77"));
        let reply = sidecar.as_person("rep-east").post(target, deal).await;
        assert_eq!((reply.status, reply.header("location")), (201, told), "{target}");
    }
}

/// Rows of another type may be hidden from somebody who may view every record of the route's own.
#[tokio::test]
async fn a_list_of_two_types_tells_of_neither() {
    const MIXED: &str = r#"
[[routes]]
match   = "GET /v2/recent"
action  = "list"
type    = "Deal"
records = { at = "$.data[*]", type = { key = "kind" }, complete = true }
totals  = [{ at = "$.count", counts_rows = true }]
pages   = ["$.next"]
hidden_rows = "visible"
query   = { offset = "paging" }
"#;
    const FORBID: &str = r#"@id("test.contacts") forbid (principal, action == Action::"view", resource is Contact)
        when { resource has owner };"#;
    let rows = br#"{"count":9,"next":"/v2/recent?offset=2","data":[]}"#;
    for (policies, told) in [("", true), (FORBID, false)] {
        let crm = AnyCrm::start().await;
        let with = |options: Options| options.edit("bundle/profile.toml", |profile| profile + MIXED);
        let sidecar = crm.behind(|options| with(options).policies(policies)).await;
        crm.answers(Answer::json(rows.to_vec()));
        let reply = sidecar.as_person("admin").get("/v2/recent").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let reply = reply.json();
        assert_eq!((reply.get("count").is_some(), reply.get("next").is_some()), (told, told), "{policies}");
    }
}

/// Whoever may view every row has nothing pushed down, so it is all one whether that could be said, and exactly.
#[tokio::test]
async fn push_down_takes_nothing_from_who_sees_all() {
    let crm = AnyCrm::start().await;
    let pushing = r#"push_down = { into = "owner_id", attributes = { owner = "owner_id" } }
[routes.query]
owner_id = { role = "filter", form = "key" }"#;
    let routes = ROUTES.replace("[routes.query]", pushing);
    let sidecar =
        crm.behind(|options| options.edit("bundle/profile.toml", move |profile| profile + &routes)).await;
    crm.answers(page());
    for (person, count) in [("service", Some(json!(9))), ("rep-east", None)] {
        let reply = sidecar.as_person(person).get("/v2/deals").await;
        assert_eq!((reply.status, reply.json().get("count")), (200, count.as_ref()), "{person}");
    }
}
