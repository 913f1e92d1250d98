//! Hidden and missing are the same bytes: no route, body or spelling tells that a record exists.

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::Caller;

use super::any_crm::{Answer, AnyCrm};

/// Deal 7 is rep-west's; there is no deal 9007.
const HIDDEN: &str = "7";
const MISSING: &str = "9007";

/// Sends the same to a hidden and a missing record; `{id}` stands for the id in target and body.
async fn check(caller: &Caller, method: &str, target: &str, body: &str) {
    let at = |id: &str| (target.replace("{id}", id), body.replace("{id}", id));
    let (hidden_target, hidden_body) = at(HIDDEN);
    let (missing_target, missing_body) = at(MISSING);
    let hidden = caller.send(method, &hidden_target, hidden_body).await;
    let missing = caller.send(method, &missing_target, missing_body).await;
    assert_eq!(hidden.observable(), missing.observable(), "{method} {target} {body}");
}

#[tokio::test]
async fn a_hidden_record_is_a_missing_one_by_every_route() {
    let sidecar = TestSidecar::start().await;
    for person in ["rep-east", "manager-east"] {
        let caller = sidecar.as_person(person);
        let view = caller.get("/api/deals/7").await;
        // Deal 7's owner is rep-west, who is not in manager-east's line.
        assert_eq!(view.status, 404, "{person}");
        for (method, target, body) in [
            ("GET", "/api/deals/{id}", ""),
            ("HEAD", "/api/deals/{id}", ""),
            ("GET", "/api/deals/{id}?fields=id", ""),
            ("GET", "/api/deals/{id}?fields=risk_score", ""),
            ("GET", "/api/deals/{id}?expand=contact", ""),
            ("PATCH", "/api/deals/{id}", r#"{"title":"x"}"#),
            ("PATCH", "/api/deals/{id}", r#"{"id":{id}}"#),
            ("PATCH", "/api/deals/{id}", r#"{"id":1}"#),
            ("PATCH", "/api/deals/{id}", r#"{"stage":"won"}"#),
            ("PATCH", "/api/deals/{id}", r#"{"stage":"nowhere"}"#),
            ("PATCH", "/api/deals/{id}", r#"{"risk_score":1}"#),
            ("PATCH", "/api/deals/{id}", r#"{"owner_id":1}"#),
            ("PATCH", "/api/deals/{id}", r#"{"address":5}"#),
            ("PATCH", "/api/deals/{id}", "{}"),
            ("PATCH", "/api/deals/{id}", "[]"),
            ("PATCH", "/api/deals/{id}", "{"),
            ("PATCH", "/api/deals/{id}", ""),
            ("PUT", "/api/deals/{id}", r#"{"title":"x"}"#),
            ("PUT", "/api/deals/{id}", r#"{"id":{id},"title":"x"}"#),
            ("DELETE", "/api/deals/{id}", ""),
            ("DELETE", "/api/deals/{id}", "{}"),
            ("POST", "/api/deals/{id}/move", r#"{"stage":"won"}"#),
            ("POST", "/api/deals/{id}/move", r#"{"stage":"nowhere"}"#),
            ("POST", "/api/deals/{id}/move", r#"{"stage":"won","title":"x"}"#),
            ("POST", "/api/deals/bulk", r#"{"ids":[{id}],"set":{"title":"x"}}"#),
            ("POST", "/api/deals/bulk", r#"{"ids":[{id},42],"set":{"title":"x"}}"#),
            ("POST", "/api/deals/bulk", r#"{"ids":[42,{id}],"set":{"stage":"nowhere"}}"#),
            ("POST", "/api/deals/bulk", r#"{"ids":["{id}"],"set":{"title":"x"}}"#),
            ("POST", "/api/deals/bulk", r#"{"ids":[{id}],"set":{"risk_score":1}}"#),
            ("POST", "/api/deals/bulk", r#"{"ids":[{id}],"set":5}"#),
        ] {
            check(&caller, method, target, body).await;
        }
    }
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new());
}

/// An id in a body goes into the path of a request to the CRM: it must be an id and nothing else.
#[tokio::test]
async fn an_id_in_a_body_is_no_path() {
    let sidecar = TestSidecar::start().await;
    for id in [
        r#""42/move""#,
        r#""../contacts/101""#,
        r#""42/../7""#,
        r#""..""#,
        r#"".""#,
        r#""export.csv""#,
        r#""42?fields=id""#,
        r#""42#""#,
        r#""042""#,
        r#""+42""#,
        r#"" 42""#,
        r#""4\\2""#,
        r#""42%2f..""#,
        r#""anna@customer.example""#,
        "4.2e1",
        "42.0",
        "-42",
        "null",
        "true",
        "[42]",
        r#"{"id":42}"#,
        "[]",
    ] {
        for person in ["manager-east", "rep-east"] {
            let body = format!(r#"{{"ids":[{id}],"set":{{"title":"x"}}}}"#);
            let reply = sidecar.as_person(person).post("/api/deals/bulk", &body).await;
            assert_eq!((reply.status, reply.reason().as_str()), (400, "id-malformed"), "{person} {id}");
        }
    }
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    let ledger = sidecar.folder().all_text("state/ledger");
    assert!(!ledger.contains("anna@customer.example"));
}

#[tokio::test]
async fn other_spellings_of_an_id_are_no_route() {
    let sidecar = TestSidecar::start().await;
    let caller = sidecar.as_person("rep-east");
    for id in ["07", "7.0", "+7", "%207", "7%20", "٧", "7e0", "0x7", "99999999999999999999"] {
        assert_eq!(caller.get(&format!("/api/deals/{id}")).await.reason(), "route-unmapped", "{id}");
    }
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    // An escaped digit is the same digit, and is forwarded plain.
    assert_eq!(caller.get("/api/deals/%34%32").await.status, 200);
    assert_eq!(sidecar.crm_saw()[0], "GET /api/deals/42");
}

/// Where ids are text, the CRM may take a spelling for another one's: what it answers is no answer then, and nothing is written.
#[tokio::test]
async fn other_spellings_of_a_text_id_are_no_record() {
    let crm = AnyCrm::start().await;
    let sidecar = crm
        .behind(|options| {
            options.edit("bundle/profile.toml", |profile| {
                profile
                    .replace("/deals/{id:int}\"", "/deals/{id}\"")
                    .replace("\"GET,HEAD /api/deals/{id:int}\"", "\"GET,HEAD /api/deals/{id}\"")
            })
        })
        .await;
    let deal = r#"{"id":"ab42","title":"A","stage":"lead","pipeline":"sales","owner_id":1,"team_id":10}"#;
    crm.answers(Answer::json(deal.as_bytes().to_vec()));
    let admin = sidecar.as_person("admin");
    assert_eq!(admin.get("/api/deals/ab42").await.status, 200);
    for id in
        ["ab42.", "ab42..", "ab42%20", "%20ab42", "AB42", "ab42%E3%80%82", "ab42:", "ab42::$DATA", "ab42~1"]
    {
        let at = format!("/api/deals/{id}");
        for reply in [
            admin.get(&at).await,
            admin.patch(&at, r#"{"title":"x"}"#).await,
            admin.put(&at, deal).await,
            admin.delete(&at).await,
        ] {
            assert_eq!(reply.status, 404, "{id} {}", reply.text());
        }
    }
    assert!(crm.seen().iter().all(|line| line.starts_with("GET ")), "{:?}", crm.seen());
}
