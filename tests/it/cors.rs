//! Pages of other sites: preflights, and who may read an answer.

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::{Caller, TestReply};
use lockkeeper::testkit::folder::Options;

const APP: &str = "https://app.example";

fn with_app(options: Options) -> Options {
    options.set("browsers", "cors_origins", r#"["https://app.example"]"#)
}

async fn preflight(caller: &Caller, origin: &str, target: &str) -> TestReply {
    let caller = caller.clone().with_header(&format!("Origin: {origin}"));
    caller.with_header("Access-Control-Request-Method: PATCH").send("OPTIONS", target, "").await
}

fn cors(reply: &TestReply) -> Vec<(&str, &str)> {
    let pairs = reply.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    pairs
        .filter(|(name, value)| name.starts_with("access-control-") || (*name, *value) == ("vary", "Origin"))
        .collect()
}

#[tokio::test]
async fn preflights_are_answered_here_in_the_same_words_for_every_path() {
    let sidecar = TestSidecar::with(with_app).await;
    let nobody = sidecar.as_nobody();
    let known = preflight(&nobody, APP, "/api/deals/42").await;
    assert_eq!((known.status, known.body.len()), (204, 0));
    assert_eq!(known.header("access-control-allow-origin"), Some(APP));
    assert_eq!(known.header("access-control-allow-methods"), Some("DELETE, GET, HEAD, PATCH, POST, PUT"));
    assert_eq!(
        known.header("access-control-allow-headers"),
        Some("accept-language, authorization, content-type, if-match, if-none-match")
    );
    assert_eq!(known.header("access-control-max-age"), Some("600"));
    assert_eq!(known.header("access-control-allow-credentials"), None);
    let unknown = preflight(&nobody, APP, "/no/such/route").await;
    assert_eq!(known.observable(), unknown.observable());
    for origin in ["https://evil.example", "null", "https://app.example.evil.example", "https://APP.example"]
    {
        let reply = preflight(&nobody, origin, "/api/deals/42").await;
        assert_eq!((reply.status, reply.reason().as_str()), (403, "origin-refused"), "{origin}");
        assert_eq!(cors(&reply), [("vary", "Origin")], "{origin}");
    }
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    let ledger = sidecar.stop().await;
    assert_eq!(ledger.of_kind("passes")[0]["counts"][0]["route"], "OPTIONS");
}

#[tokio::test]
async fn answers_may_be_read_by_listed_sites_alone() {
    let sidecar = TestSidecar::with(with_app).await;
    let rep = sidecar.as_person("rep-east");
    let app = rep.clone().with_header(&format!("Origin: {APP}"));
    for (target, status) in [("/api/deals/42", 200), ("/api/deals/9999", 404), ("/api/nothing", 403)] {
        let reply = app.get(target).await;
        assert_eq!(reply.status, status);
        assert_eq!(
            cors(&reply),
            [
                ("vary", "Origin"),
                ("access-control-allow-origin", APP),
                (
                    "access-control-expose-headers",
                    "Lockkeeper-Decision, ETag, Link, Location, Content-Disposition, Content-Range"
                ),
            ],
            "{target}"
        );
    }
    let evil = rep.clone().with_header("Origin: https://evil.example").get("/api/deals/42").await;
    assert_eq!((evil.status, cors(&evil)), (200, vec![("vary", "Origin")]));
    assert_eq!(cors(&rep.get("/api/deals/42").await), [("vary", "Origin")]);
}

#[tokio::test]
async fn without_the_setting_there_is_no_other_site() {
    let sidecar = TestSidecar::start().await;
    assert_eq!(preflight(&sidecar.as_nobody(), APP, "/api/deals/42").await.reason(), "credential-missing");
    let reply =
        sidecar.as_person("rep-east").with_header(&format!("Origin: {APP}")).get("/api/deals/42").await;
    assert_eq!(cors(&reply), Vec::new());
}

#[tokio::test]
async fn credentials_are_told_where_they_are_meant() {
    let with = |options: Options| with_app(options).set("browsers", "cors_credentials", true);
    let sidecar = TestSidecar::with(with).await;
    let reply = preflight(&sidecar.as_nobody(), APP, "/x").await;
    assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(reply.header("access-control-allow-origin"), Some(APP));
    let session = sidecar.as_nobody().with_header("Cookie: sid=s").with_header(&format!("Origin: {APP}"));
    assert_eq!(session.post("/logout", "").await.status, 204);
}
