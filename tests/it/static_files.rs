//! Static files: the rest of a path, types by a list, and paths in one spelling.

use lockkeeper::demo::crm::faults::Fault;
use lockkeeper::testkit::TestSidecar;

#[tokio::test]
async fn style_sheets_pass_for_anybody() {
    let sidecar = TestSidecar::start().await;
    let nobody = sidecar.as_nobody();
    for (target, media_type, start) in [
        ("/static/app.css", "text/css; charset=utf-8", "body {"),
        ("/static/vendor/print.css", "text/css", "@media"),
        ("/static/logo.svg", "image/svg+xml", "<svg"),
    ] {
        let reply = nobody.get(target).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(media_type)), "{target}");
        assert!(reply.text().starts_with(start), "{target}");
        assert_eq!(reply.header("etag"), None, "not declared");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
    }
    let head = nobody.head("/static/app.css").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

/// Data and pages do not pass for style sheets, wherever they lie.
#[tokio::test]
async fn other_types_do_not_leave() {
    let sidecar = TestSidecar::start().await;
    let nobody = sidecar.as_nobody();
    for target in ["/static/deals.json", "/static/index.html"] {
        let reply = nobody.get(target).await;
        assert_eq!((reply.status, reply.reason().as_str()), (502, "upstream-type"), "{target}");
        assert!(!reply.text().contains("31250"), "{target}");
    }
    assert_eq!(nobody.get("/static/none.css").await.text(), r#"{"error":"not found"}"#);
    sidecar.crm().set_fault(Some(Fault::Html200));
    assert_eq!(nobody.get("/static/app.css").await.reason(), "upstream-type");
}

#[tokio::test]
async fn paths_have_one_spelling() {
    let sidecar = TestSidecar::start().await;
    let nobody = sidecar.as_nobody();
    for (target, reason) in [
        ("/static/../api/deals/42", "path-dot-segment"),
        ("/static/%2e%2e/api/deals/42", "path-dot-segment"),
        ("/static/..%2fapi/deals/42", "path-encoded-slash"),
        ("/static/%252e%252e/api/deals", "path-double-encoding"),
        ("/static//api/deals/42", "path-empty-segment"),
        ("/static/a;b/c.css", "path-parameter"),
        ("/static/a%5c..%5cb.css", "path-backslash"),
        ("/static/a%00.css", "path-control"),
        ("/static/app.css?x=1", "query-undeclared"),
        ("/static/app.css/", "credential-missing"),
    ] {
        assert_eq!(nobody.get(target).await.reason(), reason, "{target}");
    }
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    nobody.get("/static/vendor%2Fprint.css").await;
    nobody.get("/static/%61pp.css").await;
    assert_eq!(sidecar.crm_saw(), ["GET /static/app.css"]);
}

/// A static route can need a person: then it is decided who, and recorded like everything else.
#[tokio::test]
async fn a_static_route_can_need_a_person() {
    let edit = |profile: String| {
        let (before, after) = profile.split_once("match    = \"GET,HEAD /static/{path...}\"").unwrap();
        let after = after.replacen("identity = \"none\"\n", "", 1).replacen("reason   =", "pass     =", 1);
        format!("{before}match    = \"GET,HEAD /static/{{path...}}\"{after}")
    };
    let sidecar = TestSidecar::with(|options| options.edit("bundle/profile.toml", edit)).await;
    assert_eq!(sidecar.as_nobody().get("/static/app.css").await.reason(), "credential-missing");
    let reply = sidecar.as_person("rep-east").get("/static/app.css").await;
    assert_eq!(reply.status, 200);
    let id = reply.decision().to_owned();
    let ledger = sidecar.ledger_when("the outcome", |ledger| ledger.outcome(&id).is_some()).await;
    assert_eq!(ledger.decision(&reply)["route"], "GET,HEAD /static/{path...}");
    assert_eq!(ledger.outcome(&id).unwrap()["bytes"], reply.body.len());
    assert_eq!(ledger.outcome(&id).unwrap()["delivered"], "yes");
}
