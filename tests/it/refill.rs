//! Refill: callers with hidden rows page through the rows that they may view, with the CRM's own parameters.

use lockkeeper::model::reason::Reason;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::TestReply;
use lockkeeper::testkit::folder::Options;
use lockkeeper::testkit::ledger::Entries;
use serde_json::{Value, json};

use crate::any_crm::{Answer, AnyCrm};
use crate::observe::{group, observing};

const ROUTES: &str = r#"
[[routes]]
match   = "GET,HEAD /v2/deals"
action  = "list"
records = { at = "$.data[*]", type = "Deal", complete = true }
refill  = { size = "limit", offset = "offset", default = 3, most = 5, read = 4 }
[routes.query]
limit  = "paging"
offset = "paging"
sort   = { role = "sort", form = "comma-list" }
group  = { role = "group", form = "comma-list" }
margin = { role = "filter", form = "key" }
amount = { role = "filter", form = "key" }

[[routes]]
match   = "GET /v2/counted"
action  = "list"
records = { at = "$.data[*]", type = "Deal", complete = true }
totals  = [{ at = "$.total", counts_rows = true }, { at = "$.sum" }, { at = "$.shown", when_rows_hidden = "count-shown" }]
keep    = ["$.unit"]
pages   = ["$.next", "header.link"]
refill  = { size = "per_page", page = "page", default = 3, most = 4 }
query   = { per_page = "paging", page = "paging" }

[[routes]]
match   = "GET /v2/bare"
action  = "list"
records = { at = "$[*]", type = "Deal" }
refill  = { size = "limit", offset = "offset", default = 3, most = 4 }
query   = { limit = "paging", offset = "paging" }

[[routes]]
match   = "GET /v2/bare/whole"
action  = "list"
records = { at = "$[*]", type = "Deal", complete = true }
refill  = { size = "limit", offset = "offset", default = 3, most = 4 }
query   = { limit = "paging", offset = "paging" }

[[routes]]
match   = "GET /v2/pushed"
action  = "list"
records = { at = "$.data[*]", type = "Deal", complete = true }
push_down = { into = "where", attributes = { owner = "owner_id" }, equal = "=" }
refill  = { size = "limit", offset = "offset", default = 3, most = 4 }
[routes.query]
limit  = "paging"
offset = "paging"
sort   = { role = "sort", form = "comma-list" }
where  = { role = "filter", form = "triples", operators = ["="] }
"#;

/// A sidecar in front of a CRM that says whatever it is told to.
async fn rig(change: impl FnOnce(Options) -> Options) -> (AnyCrm, TestSidecar) {
    let crm = AnyCrm::start().await;
    let sidecar =
        crm.behind(|options| change(options.edit("bundle/profile.toml", |profile| profile + ROUTES))).await;
    (crm, sidecar)
}

/// A row of a number; its owner is 1, or another one.
fn row(id: u64, owner: &str) -> String {
    format!(r#"{{"id":{id},"title":"d{id}","owner_id":{owner}}}"#)
}

/// Rows of which the ones of these numbers are of the first rep, of so many.
fn rows(count: u64, own: &[u64]) -> Vec<String> {
    (1..=count).map(|id| row(id, if own.contains(&id) { "1" } else { "2" })).collect()
}

fn number(target: &str, name: &str) -> Option<usize> {
    let pairs = target.split_once('?')?.1.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok())
}

/// Answers a page as its parameters ask for it, of at most so many rows.
fn page_of(rows: &[String], target: &str, most: usize) -> Answer {
    let length = number(target, "limit").or(number(target, "per_page")).unwrap_or(3).min(most);
    let skip = number(target, "offset")
        .unwrap_or_else(|| length * number(target, "page").map_or(0, |page| page - 1));
    let page: Vec<&str> = rows.iter().skip(skip).take(length).map(String::as_str).collect();
    let list = format!("[{}]", page.join(","));
    let body = match target.starts_with("/v2/bare") {
        true => list,
        false => format!(
            "{{ \"unit\": 1.50, \"total\":\"{}\",\"data\":{list},\"sum\":9,\"shown\":{},\"next\":\"/v2/counted?per_page=2&page=9\" }}",
            rows.len(),
            page.len()
        ),
    };
    Answer::json(body.into_bytes())
        .header("Content-Range: items 0-3/9")
        .header("Link: </v2/counted?page=9>; rel=\"next\"")
}

fn serves(crm: &AnyCrm, rows: Vec<String>, most: usize) {
    crm.answers_by(move |target| page_of(&rows, target, most));
}

fn ids(reply: &TestReply) -> Vec<u64> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    let rows = body.as_array().or(body["data"].as_array()).unwrap();
    rows.iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

/// What the CRM was asked since, without the path.
fn asked(crm: &AnyCrm) -> Vec<String> {
    let query = |line: String| {
        let target = line.split(' ').nth(1).unwrap_or_default();
        target.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default()
    };
    crm.seen().into_iter().map(query).collect()
}

const OWN: &[u64] = &[2, 3, 7, 8, 9, 12, 13];

#[tokio::test]
async fn pages_are_full_of_what_may_be_viewed() {
    let (crm, sidecar) = rig(|options| options).await;
    let rep = sidecar.as_person("rep-east");
    for (query, expected) in [
        ("", &OWN[..3]),
        ("?limit=2", &OWN[..2]),
        ("?limit=2&offset=2", &OWN[2..4]),
        ("?offset=5", &OWN[5..]),
        ("?offset=6&limit=1", &OWN[6..]),
        ("?offset=7", &[]),
        ("?offset=999999999&limit=5", &[]),
        // As the CRM would, a greater wish is cut.
        ("?limit=100", &OWN[..5]),
    ] {
        for most in [100, 3, 1] {
            serves(&crm, rows(14, OWN), most);
            let reply = rep.get(&format!("/v2/deals{query}")).await;
            assert_eq!(ids(&reply), expected, "{query} {most}");
            assert_eq!(reply.json().get("total"), None);
        }
    }
    // No more is read than is needed, and all else is forwarded.
    serves(&crm, rows(14, OWN), 100);
    rep.get("/v2/deals?limit=2&sort=title&offset=1").await;
    assert_eq!(asked(&crm), ["sort=title&limit=4&offset=0", "sort=title&limit=4&offset=4"]);
    // Whose rows they are does not matter: the same rows make the same page.
    let one = rep.get("/v2/deals?limit=2&offset=2").await;
    serves(&crm, rows(14, OWN).into_iter().filter(|row| row.contains("_id\":1")).collect(), 100);
    assert_eq!(rep.get("/v2/deals?limit=2&offset=2").await.body, one.body);
    // Nobody who sees nothing learns how much there is.
    serves(&crm, rows(9, &[]), 100);
    let nothing = rep.get("/v2/deals").await;
    serves(&crm, Vec::new(), 100);
    assert_eq!((rep.get("/v2/deals").await.body, ids(&nothing)), (nothing.body.clone(), Vec::new()));
}

/// Whichever rows are hidden: page after page, callers get what they may view, each row once and in order.
#[tokio::test]
async fn pages_put_together_are_the_list() {
    let (crm, sidecar) = rig(|options| options).await;
    let rep = sidecar.as_person("rep-east");
    for pattern in (0_u64..128).step_by(13) {
        let own: Vec<u64> = (1..=9).filter(|id| pattern >> (id % 7) & 1 == 1).collect();
        serves(&crm, rows(9, &own), 4);
        let (mut by_offset, mut by_number) = (Vec::new(), Vec::new());
        for page in 1..=10 {
            let counted = rep.get(&format!("/v2/counted?per_page=2&page={page}")).await;
            assert_eq!(counted.json()["total"], own.len().to_string());
            by_number.extend(ids(&counted));
            by_offset.extend(ids(&rep.get(&format!("/v2/deals?limit=1&offset={}", page - 1)).await));
        }
        assert_eq!((&by_offset, &by_number), (&own, &own), "{pattern:b}");
    }
}

#[tokio::test]
async fn who_views_every_row_gets_the_crms_pages() {
    let (crm, sidecar) = rig(|options| options).await;
    serves(&crm, rows(14, OWN), 100);
    let reply = sidecar.as_person("service").get("/v2/deals?limit=6&offset=2").await;
    assert_eq!(ids(&reply), [3, 4, 5, 6, 7, 8]);
    // What the CRM makes of it is for the CRM to say.
    sidecar.as_person("service").get("/v2/deals?limit=all").await;
    assert_eq!(asked(&crm), ["limit=6&offset=2", "limit=all"]);
    serves(&crm, rows(14, OWN), 100);
    let reply = sidecar.as_person("service").get("/v2/counted?per_page=2&page=2").await;
    let (next, rows) = ("/v2/counted?per_page=2&page=9", shown(&[3, 4]));
    let expected =
        format!("{{\"unit\":1.50,\"total\":\"14\",\"data\":[{rows}],\"shown\":2,\"next\":\"{next}\"}}");
    assert_eq!(reply.text(), expected);
    assert!(reply.header("link").is_some());
}

/// The rows of the service, as they leave.
fn shown(ids: &[u64]) -> String {
    let owner = |id: &u64| if OWN.contains(id) { "1" } else { "2" };
    ids.iter().map(|id| row(*id, owner(id))).collect::<Vec<_>>().join(",")
}

#[tokio::test]
async fn counts_are_those_of_what_may_be_viewed() {
    let (crm, sidecar) = rig(|options| options).await;
    let rep = sidecar.as_person("rep-east");
    for (query, own, count) in [
        ("", &OWN[..3], 3),
        ("?page=2", &OWN[3..6], 3),
        ("?page=3", &OWN[6..], 1),
        ("?page=4", &[], 0),
        ("?page=2&per_page=4", &OWN[4..], 3),
        ("?page=2&per_page=99", &OWN[4..], 3),
    ] {
        serves(&crm, rows(14, OWN), 4);
        let reply = rep.get(&format!("/v2/counted{query}")).await;
        // Keys stand where the CRM put them, and numbers are written as it wrote them.
        let expected =
            format!("{{\"unit\":1.50,\"total\":\"7\",\"data\":[{}],\"shown\":{count}}}", shown(own));
        assert_eq!((reply.status, reply.text()), (200, expected.as_str()), "{query}");
        // What the CRM says of other pages it says of those that the proxy reads.
        assert_eq!(reply.header("link"), None, "{query}");
        // A page that is not full is the last.
        let pages = (1..=4).map(|page| format!("per_page=4&page={page}")).collect::<Vec<_>>();
        assert_eq!(asked(&crm), pages, "{query}");
    }
    // Whose last page is full, of that list one more is read.
    serves(&crm, rows(8, OWN), 4);
    assert_eq!(rep.get("/v2/counted").await.json()["total"], "4");
    assert_eq!(asked(&crm).len(), 3);
}

#[tokio::test]
async fn what_is_readable_on_what_may_be_viewed_may_sort_and_filter() {
    let (crm, sidecar) = rig(|options| options).await;
    serves(&crm, rows(14, OWN), 100);
    let rep = sidecar.as_person("rep-east");
    for target in ["/v2/deals?sort=title", "/v2/deals?sort=amount&limit=1", "/v2/deals?amount=5&offset=1"] {
        assert_eq!(rep.get(target).await.status, 200, "{target}");
    }
    let asked_before = asked(&crm).len();
    for (person, target) in [
        ("rep-east", "/v2/deals?sort=margin"),
        ("rep-east", "/v2/deals?margin=5"),
        // What the CRM computes it computes of hidden rows too.
        ("rep-east", "/v2/deals?group=title"),
    ] {
        let reply = sidecar.as_person(person).get(target).await;
        assert_eq!((reply.status, reply.reason().as_str()), (403, "reference-refused"), "{target}");
    }
    assert_eq!(asked(&crm).len(), asked_before);
    assert_eq!(sidecar.as_person("service").get("/v2/deals?group=title").await.status, 200);
}

#[tokio::test]
async fn a_condition_that_is_pushed_down_spares_pages() {
    let (crm, sidecar) = rig(|options| options).await;
    serves(&crm, rows(14, OWN), 100);
    let reply = sidecar.as_person("rep-east").get("/v2/pushed?limit=2&offset=1&sort=amount").await;
    assert_eq!(ids(&reply), [3, 7]);
    let condition = "where=%5B%5B%22owner_id%22,%22%3D%22,%221%22%5D%5D";
    let pages = [0, 4].map(|offset| format!("sort=amount&limit=4&offset={offset}&{condition}"));
    assert_eq!(asked(&crm), pages);
}

#[tokio::test]
async fn what_is_no_number_is_refused_before_the_crm_is_asked() {
    let (crm, sidecar) = rig(|options| options).await;
    serves(&crm, rows(14, OWN), 100);
    let rep = sidecar.as_person("rep-east");
    for target in [
        "/v2/deals?limit=0",
        "/v2/deals?limit=",
        "/v2/deals?limit=-1",
        "/v2/deals?offset=1e1",
        "/v2/deals?offset=%201",
        "/v2/deals?offset=0x1",
        "/v2/counted?page=0",
        "/v2/counted?page=9999999999",
    ] {
        let reply = rep.get(target).await;
        assert_eq!((reply.status, reply.reason().as_str()), (400, "paging-malformed"), "{target}");
        assert!(reply.json()["detail"].as_str().unwrap().starts_with("parameter `"), "{target}");
    }
    assert_eq!(rep.get("/v2/deals?limit=1&limit=2").await.reason(), "query-repeated");
    assert_eq!(asked(&crm), Vec::<String>::new());
}

/// Attributes that a page does not carry are fetched, for rows that are looked at; a row that cannot be decided on is no row.
#[tokio::test]
async fn rows_that_lack_something_are_fetched_and_those_that_convert_to_nothing_leave_no_trace() {
    let few = |options: Options| options.set("limits", "fetches", 5);
    let (crm, sidecar) = rig(few).await;
    let serve = |owners: &[&'static str]| {
        let owners = owners.to_vec();
        crm.answers_by(move |target| match target.strip_prefix("/api/deals/") {
            Some(rest) => {
                let id: usize = rest.split('?').next().unwrap().parse().unwrap();
                Answer::json(row(id as u64, owners[id - 1]).into_bytes())
            }
            None => {
                let bare = |id: usize| format!(r#"{{"id":{id},"title":"d{id}"}}"#);
                page_of(&(1..=owners.len()).map(bare).collect::<Vec<_>>(), target, 100)
            }
        })
    };
    let rep = sidecar.as_person("rep-east");
    serve(&["1", "2", "1", "1", "2", "2", "2"]);
    let reply = rep.get("/v2/bare?limit=2").await;
    assert_eq!(ids(&reply), [1, 3]);
    // Three were looked at, and two of them once more when they left.
    let fetches = || crm.seen().iter().filter(|line| line.contains("/api/deals/")).count();
    assert_eq!(fetches(), 5);
    let reply = rep.get("/v2/bare?limit=3").await;
    assert_eq!(ids(&reply), [1, 3, 4]);
    // A fourth row would need more fetches than there may be: hidden ones would leave their places to nobody.
    let reply = rep.get("/v2/bare?limit=4").await;
    assert_eq!((reply.status, reply.reason().as_str()), (422, "list-too-long"));
    serve(&["1", "[]", "1", "\"99\""]);
    let with = rep.get("/v2/bare").await;
    assert_eq!(ids(&with), [1, 3]);
    let ledger = sidecar.ledger_when("the outcome", |ledger| ledger.outcome(with.decision()).is_some()).await;
    let hidden = ledger.decision(&with)["rows_hidden"].as_array().unwrap();
    let told = |row: &&Value| (row["ids"].clone(), row["reason"].clone());
    assert_eq!(
        hidden.iter().map(|row| told(&row)).collect::<Vec<_>>(),
        [(json!(["2", "4"]), json!("attribute-nonconforming"))]
    );
}

#[tokio::test]
async fn what_is_read_has_limits() {
    let rows_max = |options: Options| options.set("limits", "refill_rows", 8);
    let (crm, sidecar) = rig(rows_max).await;
    let rep = sidecar.as_person("rep-east");
    serves(&crm, rows(8, &[8]), 100);
    assert_eq!(ids(&rep.get("/v2/deals").await), [8]);
    serves(&crm, rows(9, &[8]), 100);
    let reply = rep.get("/v2/deals").await;
    assert_eq!((reply.status, reply.reason().as_str()), (422, "list-too-long"));
    assert!(!reply.text().contains("refill_rows"));
    // What is found before the limit is an answer.
    assert_eq!(ids(&rep.get("/v2/deals?limit=1").await), [8]);
    let pages_max = |options: Options| options.set("limits", "refill_pages", 3);
    let (crm, sidecar) = rig(pages_max).await;
    let rep = sidecar.as_person("rep-east");
    serves(&crm, rows(8, &[8]), 100);
    assert_eq!(ids(&rep.get("/v2/deals").await), [8]);
    serves(&crm, rows(9, &[8]), 100);
    assert_eq!(rep.get("/v2/deals").await.reason(), "list-too-long");
}

#[tokio::test]
async fn a_page_that_fails_ends_the_request() {
    let (crm, sidecar) = rig(|options| options).await;
    let rep = sidecar.as_person("rep-east");
    let third = |answer: Answer| {
        crm.answers_by(move |target| match target.contains("offset=8") {
            true => answer.clone(),
            false => page_of(&rows(14, &[13]), target, 100),
        })
    };
    let json = |text: &str| Answer::json(text.as_bytes().to_vec());
    for (answer, status, reason) in [
        (json("{}").status(500), 502, "upstream-error"),
        (json("{}").status(429), 429, "crm-rejected"),
        (json("{}").status(302), 502, "upstream-redirect"),
        (json("{}"), 502, "upstream-shape"),
        (json("{\"data\":[1]}"), 502, "upstream-shape"),
        (json("{\"data\":"), 502, "upstream-malformed"),
        (json("").status(204), 502, "upstream-shape"),
        (Answer::of_type("text/html", b"<p>".to_vec()), 502, "upstream-type"),
    ] {
        third(answer);
        let reply = rep.get("/v2/deals").await;
        assert_eq!((reply.status, reply.reason().as_str()), (status, reason));
        assert_eq!(asked(&crm).len(), 3);
    }
    third(json("{}").status(404));
    assert_eq!(rep.get("/v2/deals").await.status, 404);
    // A CRM that does not look at its parameters has no second page.
    crm.answers_by(|_| page_of(&rows(14, OWN), "/v2/deals?limit=4", 100));
    assert_eq!(rep.get("/v2/deals").await.reason(), "upstream-shape");
    assert_eq!(asked(&crm).len(), 2);
}

/// A list of bare rows of which nothing is cut but rows is not all that the CRM has.
#[tokio::test]
async fn what_lacks_rows_is_not_released_whole() {
    let (crm, sidecar) = rig(|options| options).await;
    for (own, released) in [(&[1, 2, 3][..], "all"), (&[1, 3, 4], "filtered")] {
        serves(&crm, rows(4, own), 100);
        let reply = sidecar.as_person("rep-east").get("/v2/bare/whole").await;
        assert_eq!(ids(&reply), own);
        let is_there = |ledger: &Entries| ledger.outcome(reply.decision()).is_some();
        let ledger = sidecar.ledger_when("the outcome", is_there).await;
        assert_eq!(ledger.outcome(reply.decision()).unwrap()["released"], released);
    }
}

/// One decision, one outcome: what was shown, and what was hidden on the way to it.
#[tokio::test]
async fn the_ledger_tells_what_was_hidden_on_the_way() {
    let (crm, sidecar) = rig(|options| options).await;
    serves(&crm, rows(14, OWN), 100);
    let reply = sidecar.as_person("rep-east").get("/v2/deals?limit=2&offset=1").await;
    let ledger =
        sidecar.ledger_when("the outcome", |ledger| ledger.outcome(reply.decision()).is_some()).await;
    let decision = ledger.decision(&reply);
    assert_eq!(decision["sets"][0]["ids"], json!(["3", "7"]));
    let hidden: Vec<&Value> = decision["rows_hidden"].as_array().unwrap().iter().collect();
    assert_eq!(hidden[0]["ids"], json!(["1", "4", "5", "6"]));
    assert_eq!(decision["query"], json!(["limit", "offset"]));
    assert_eq!(ledger.outcome(reply.decision()).unwrap()["released"], "filtered");
    assert_eq!(ledger.of_kind("decision").iter().filter(|entry| entry["id"] == reply.decision()).count(), 1);
}

#[tokio::test]
async fn head_tells_as_little_and_what_is_observed_is_the_crms() {
    let (crm, sidecar) = rig(|options| options).await;
    serves(&crm, rows(14, OWN), 100);
    let rep = sidecar.as_person("rep-east");
    let (get, head) = (rep.get("/v2/deals?limit=2").await, rep.head("/v2/deals?limit=2").await);
    assert_eq!((head.status, head.body.len()), (get.status, 0));
    assert!(crm.seen().iter().all(|line| line.starts_with("GET ")));
    assert!(["etag", "content-range", "link"].iter().all(|name| !get.headers.contains_key(*name)));
    let (crm, sidecar) = rig(observing(group("g", "[\"GET,HEAD /v2/deals\"]", "2026-07-01T00:00:00Z"))).await;
    serves(&crm, rows(14, OWN), 100);
    let rep = sidecar.as_person("rep-east");
    assert_eq!(ids(&rep.get("/v2/deals?limit=2&offset=3").await), [4, 5]);
    assert_eq!(rep.get("/v2/deals?limit=x").await.status, 200);
    assert_eq!(asked(&crm), ["limit=2&offset=3", "limit=x"]);
    let reasons = sidecar.ledger();
    let would =
        reasons.of_kind("decision").iter().any(|entry| entry["reason"] == Reason::PagingMalformed.code());
    assert!(would);
}
