//! The CRM is asked whose credential something is: exactly one person comes out, or nobody.

use super::server::{Answer, Server};
use super::*;

const DEAL: &str = r#"{"id":42,"owner_id":1,"title":"Rollout"}"#;

/// A CRM that knows `good` as the person with the id 1.
fn crm(head: &http::request::Parts) -> Answer {
    let credential = head.headers.get("authorization").or_else(|| head.headers.get("cookie"));
    let is_known =
        credential.is_some_and(|value| ["Token good", "sid=good"].contains(&value.to_str().unwrap()));
    let json = "application/json";
    match (head.uri.path(), is_known) {
        (_, false) => (401, json, "{}".to_owned()),
        ("/api/me", true) => (200, json, r#"{"user":{"id":1,"name":"Rep East"}}"#.to_owned()),
        _ => (200, json, DEAL.to_owned()),
    }
}

async fn asking(section: &str) -> (TestSidecar, Server) {
    let server = Server::start(crm).await;
    let place = if section.contains("cookie") { "" } else { "scheme = \"Token\"\n" };
    let section = format!(
        "\n[identity.introspection]\npath = \"/api/me\"\nid = \"$.user.id\"\nby = \"crmId\"\n{place}{section}"
    );
    let url = format!("\"http://{}\"", server.address);
    let sidecar = TestSidecar::with(|options| {
        options.set("upstream", "url", url).edit("lockkeeper.toml", move |text| text + &section)
    });
    (sidecar.await, server)
}

async fn get(sidecar: &TestSidecar, header: &str) -> String {
    let reply = sidecar.as_nobody().with_header(header).get("/api/deals/42").await;
    if reply.status == 200 { "200".to_owned() } else { reply.reason() }
}

const GOOD: &str = "Authorization: Token good";

#[tokio::test]
async fn the_crm_says_who_it_is_and_gets_the_same_credential() {
    let (sidecar, server) = asking("").await;
    assert_eq!(get(&sidecar, GOOD).await, "200");
    assert_eq!(get(&sidecar, GOOD).await, "200");
    assert_eq!(server.asked("/api/me").len(), 1);
    for headers in server.asked("/api/deals/42") {
        assert_eq!(headers.get("authorization").unwrap(), "Token good");
    }
    assert_eq!(get(&sidecar, "Authorization: Token bad").await, "credential-unknown");
    assert_eq!(get(&sidecar, "Authorization: Bearer good").await, "credential-unknown");
    assert_eq!(get(&sidecar, "Authorization: Token ").await, "credential-unknown");
    assert_eq!(server.asked("/api/deals/42").len(), 2);
    // What was kept is asked again after its time.
    sidecar.set_now_ms(NOW_MS + 9_999);
    assert_eq!(get(&sidecar, GOOD).await, "200");
    assert_eq!(server.asked("/api/me").len(), 2);
    sidecar.set_now_ms(NOW_MS + 10_000);
    assert_eq!(get(&sidecar, GOOD).await, "200");
    assert_eq!(server.asked("/api/me").len(), 3);
    let ledger = sidecar.stop().await;
    assert!(ledger.of_kind("decision").iter().all(|entry| entry["who"]["authn"] == "introspection"));
}

#[tokio::test]
async fn of_cookies_only_the_named_one_goes_to_the_crm() {
    let (sidecar, server) = asking("cookie = \"sid\"\n").await;
    assert_eq!(get(&sidecar, "Cookie: theme=dark; sid=good; tracker=1").await, "200");
    for path in ["/api/me", "/api/deals/42"] {
        assert_eq!(server.asked(path)[0].get("cookie").unwrap(), "sid=good");
    }
    assert_eq!(get(&sidecar, "Cookie: theme=dark").await, "credential-missing");
    assert_eq!(get(&sidecar, "Cookie: sid=good; sid=other").await, "credentials-conflict");
    assert_eq!(get(&sidecar, "Cookie: sid=good\r\nCookie: sid=good").await, "credentials-conflict");
    assert_eq!(get(&sidecar, "Cookie: sid=good\r\nAuthorization: Bearer x").await, "credentials-conflict");
    assert_eq!(get(&sidecar, "Cookie: SID=good").await, "credential-missing");
}

#[tokio::test]
async fn an_answer_that_does_not_name_one_person_names_nobody() {
    let (sidecar, server) = asking("cache_ms = 0\nanswer_bytes = 300\n").await;
    let json = "application/json";
    let long = format!(r#"{{"user":{{"id":1,"bio":"{}"}}}}"#, "x".repeat(300));
    let cases: Vec<(Answer, &str)> = vec![
        ((200, json, r#"[{"user":{"id":1}}]"#.to_owned()), "upstream-shape"),
        ((200, json, r#"{"user":[{"id":1},{"id":5}]}"#.to_owned()), "upstream-shape"),
        ((200, json, r#"{"user":{"id":[1]}}"#.to_owned()), "upstream-shape"),
        ((200, json, r#"{"user":{"id":null}}"#.to_owned()), "upstream-shape"),
        ((200, json, r#"{"user":{"id":""}}"#.to_owned()), "upstream-shape"),
        ((200, json, r#"{"user":{"id":true}}"#.to_owned()), "upstream-shape"),
        ((200, json, r#"{"user":{"id":1.0}}"#.to_owned()), "upstream-shape"),
        ((200, json, r#"{"user":{}}"#.to_owned()), "upstream-shape"),
        ((200, json, r#"{"user":{"id":5,"id":1}}"#.to_owned()), "upstream-malformed"),
        ((200, json, "{".to_owned()), "upstream-malformed"),
        ((200, json, String::new()), "upstream-error"),
        ((200, "text/html", r#"{"user":{"id":1}}"#.to_owned()), "upstream-type"),
        ((200, json, long), "upstream-too-large"),
        ((200, json, r#"{"user":{"id":999}}"#.to_owned()), "principal-unknown"),
        ((302, json, r#"{"user":{"id":1}}"#.to_owned()), "upstream-redirect"),
        ((403, json, r#"{"user":{"id":1}}"#.to_owned()), "credential-unknown"),
        ((404, json, r#"{"user":{"id":1}}"#.to_owned()), "upstream-error"),
        ((429, json, r#"{"user":{"id":1}}"#.to_owned()), "upstream-error"),
        ((500, json, r#"{"user":{"id":1}}"#.to_owned()), "upstream-error"),
    ];
    for (answer, expected) in cases {
        let shown = format!("{answer:?}");
        server.answer_with(move |_| answer.clone());
        assert_eq!(get(&sidecar, GOOD).await, expected, "{shown}");
    }
    assert!(server.asked("/api/deals/42").is_empty());
}

#[tokio::test]
async fn a_crm_that_is_down_is_not_an_unknown_credential() {
    let sidecar = {
        let section = "\n[identity.introspection]\npath = \"/api/me\"\nid = \"$.id\"\n";
        TestSidecar::with(|options| options.edit("lockkeeper.toml", move |text| text + section)).await
    };
    let mut sidecar = sidecar;
    sidecar.stop_crm().await;
    let reply = sidecar.as_nobody().with_header("Authorization: Bearer x").get("/api/deals/42").await;
    assert_eq!((reply.status, reply.reason().as_str()), (502, "upstream-unreachable"));
}

#[tokio::test]
async fn equal_questions_are_asked_once_and_others_only_so_many() {
    let (sidecar, server) = asking("lookups = 1\n").await;
    server.hold().await;
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let caller = sidecar.as_nobody().with_header(GOOD);
            tokio::spawn(async move { caller.get("/api/deals/42").await.status })
        })
        .collect();
    while server.asked("/api/me").is_empty() {
        lockkeeper::testkit::a_moment().await;
    }
    // Another credential is another question, for which there is no room.
    assert_eq!(get(&sidecar, "Authorization: Token other").await, "overloaded");
    server.release();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 200);
    }
    assert_eq!(server.asked("/api/me").len(), 1);
}
