//! Login and logout: routes for which nobody is identified, cookies in both directions, and forged writes.

use lockkeeper::model::reason::Reason;
use lockkeeper::testkit::client::{Caller, TestReply};
use lockkeeper::testkit::folder::Options;
use lockkeeper::testkit::{CRM_KEY, TestSidecar};
use serde_json::json;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const OURS: &str = "Origin: https://crm.example";
const PASSWORD: &str = r#"{"user":"rep-east","password":"demo"}"#;

fn with_origin(options: Options) -> Options {
    options.set("browsers", "origins", r#"["https://crm.example"]"#)
}

fn cookies(reply: &TestReply) -> Vec<&str> {
    reply.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn people_log_in_and_out() {
    let sidecar = TestSidecar::with(with_origin).await;
    let nobody = sidecar.as_nobody();
    let reply = nobody.post("/login", PASSWORD).await;
    assert_eq!((reply.status, reply.text()), (200, r#"{"user":"rep-east"}"#));
    assert_eq!(cookies(&reply), ["sid=session-rep-east-1; Path=/; HttpOnly; SameSite=Lax"]);
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));

    let session =
        nobody.clone().with_header("Cookie: other=1; sid=session-rep-east-1; csrf=2").with_header(OURS);
    let reply = session.post("/logout", "").await;
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    assert_eq!(cookies(&reply), ["sid=; Path=/; Max-Age=0; SameSite=Lax"]);

    let seen = sidecar.crm().requests();
    let header =
        |at: usize, name: &str| seen[at].headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header(1, "cookie").as_deref(), Some("sid=session-rep-east-1"));
    for at in [0, 1] {
        assert_eq!(header(at, "x-api-key"), None, "no key of ours on a route for everybody");
        assert_eq!(header(at, "authorization"), None);
    }
    assert_eq!(seen.len(), 2);
}

/// What a caller shows on such a route is not for the CRM, whatever it is.
#[tokio::test]
async fn no_credential_reaches_the_crm() {
    let sidecar = TestSidecar::start().await;
    let caller = sidecar.as_person("rep-east").with_header(&format!("X-Api-Key: {CRM_KEY}"));
    let caller = caller.with_header("Cookie: sid2=x").with_header("Range: bytes=0-1");
    assert_eq!(caller.post("/login", PASSWORD).await.status, 200);
    let seen = sidecar.crm().requests();
    for name in ["x-api-key", "authorization", "cookie", "range"] {
        assert!(!seen[0].headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn a_form_is_answered_with_a_redirect_that_stays_here() {
    let sidecar = TestSidecar::start().await;
    let reply = sidecar.as_nobody().with_header(FORM).post("/login", "user=rep-east&password=demo").await;
    assert_eq!((reply.status, reply.header("location")), (303, Some("/static/index.html")));
    assert_eq!(reply.header("content-type"), None);
}

/// "Wrong password" is an answer of the CRM that leaves; a page or a failure is not.
#[tokio::test]
async fn errors_leave_only_in_a_declared_type() {
    use lockkeeper::demo::crm::faults::Fault;
    let sidecar = TestSidecar::start().await;
    let nobody = sidecar.as_nobody();
    let wrong = nobody.post("/login", r#"{"user":"rep-east","password":"x"}"#).await;
    assert_eq!((wrong.status, wrong.text()), (401, r#"{"error":"unauthorized"}"#));
    for (fault, status, reason) in [
        (Fault::Html200, 502, "upstream-type"),
        (Fault::GzipClaimed, 502, "upstream-coding"),
        (Fault::ErrorWithSecrets500, 502, "upstream-error"),
        // To another host.
        (Fault::Redirect, 502, "upstream-redirect"),
    ] {
        sidecar.crm().set_fault(Some(fault));
        let reply = nobody.post("/login", PASSWORD).await;
        assert_eq!((reply.status, reply.reason().as_str()), (status, reason), "{fault:?}");
        assert_eq!(cookies(&reply), Vec::<&str>::new(), "{fault:?}");
    }
}

#[tokio::test]
async fn bodies_are_of_a_declared_type_and_bounded() {
    let sidecar = TestSidecar::start().await;
    let nobody = sidecar.as_nobody();
    let form = nobody.clone().with_header(FORM);
    let plain = nobody.clone().with_header("Content-Type: text/plain");
    let coded = nobody.clone().with_header("Content-Encoding: gzip");
    let two = form.clone().with_header("Content-Type: application/json");
    let fits = format!(r#"{{"user":"{}"}}"#, "x".repeat(4096 - 11));
    assert_eq!(nobody.post("/login", &fits).await.status, 401);
    let too_large = format!(r#"{{"user":"{}"}}"#, "x".repeat(4096 - 10));
    let cases: Vec<(&Caller, &str, Reason)> = vec![
        (&plain, PASSWORD, Reason::BodyType),
        (&two, PASSWORD, Reason::BodyType),
        (&coded, PASSWORD, Reason::BodyCoding),
        (&nobody, r#"{"user":"a","user":"b"}"#, Reason::JsonDuplicateKey),
        (&form, "user=a&_method=DELETE", Reason::MethodOverride),
        (&nobody, &too_large, Reason::BodyTooLarge),
    ];
    for (caller, body, reason) in cases {
        assert_eq!(caller.post("/login", body).await.reason(), reason.code(), "{body:.60}");
    }
    assert_eq!(nobody.post("/logout", "{}").await.reason(), Reason::BodyUnexpected.code());
    assert_eq!(nobody.post("/login?next=x", PASSWORD).await.reason(), Reason::QueryUndeclared.code());
    assert_eq!(sidecar.crm_saw(), ["POST /login"]);
}

/// A page of another site can make a browser send a form with the cookie, so such a request must say where it comes from.
#[tokio::test]
async fn forged_writes_never_reach_the_crm() {
    let sidecar = TestSidecar::with(with_origin).await;
    let session = sidecar.as_nobody().with_header("Cookie: sid=s");
    let cases = [
        (session.clone(), "origin-missing"),
        (session.clone().with_header("Origin: https://evil.example"), "origin-refused"),
        (session.clone().with_header("Origin: null"), "origin-refused"),
        (session.clone().with_header("Sec-Fetch-Site: cross-site"), "origin-refused"),
        (
            session.clone().with_header("Referer: https://evil.example/?https://crm.example/"),
            "origin-refused",
        ),
        (session.clone().with_header(OURS).with_header("Cookie: sid=t"), "cookie-refused"),
        // A login that somebody else's page makes would put the victim into the attacker's account.
        (sidecar.as_nobody().with_header("Origin: https://evil.example"), "origin-refused"),
        (sidecar.as_nobody().with_header("Sec-Fetch-Site: same-site"), "origin-refused"),
    ];
    for (caller, reason) in cases {
        assert_eq!(caller.post("/logout", "").await.reason(), reason);
    }
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    for line in [OURS, "Sec-Fetch-Site: same-origin", "Referer: https://crm.example/deals"] {
        assert_eq!(session.clone().with_header(line).post("/logout", "").await.status, 204, "{line}");
    }
}

/// Counted by second, route, source and status; nothing of it is an entry of its own, so that a flood stays small.
#[tokio::test]
async fn what_passes_for_anybody_is_counted() {
    let sidecar = TestSidecar::start().await;
    let nobody = sidecar.as_nobody();
    for _ in 0..20 {
        nobody.post("/login", PASSWORD).await;
    }
    nobody.post("/login", r#"{"user":"a"}"#).await;
    nobody.post("/login", "[").await;
    let ledger = sidecar.stop().await;
    assert_eq!(ledger.of_kind("decision").len() + ledger.of_kind("outcome").len(), 0);
    let counts = ledger.of_kind("passes").into_iter().flat_map(|entry| entry["counts"].as_array().unwrap());
    let mut totals = std::collections::BTreeMap::new();
    for count in counts {
        assert_eq!(count["route"], "POST /login");
        assert_eq!(count["why"], "people log in to the CRM itself");
        assert!(!count["source"].as_str().unwrap().contains("127."), "{count}");
        *totals.entry(count["status"].as_u64().unwrap()).or_insert(0) += count["count"].as_u64().unwrap();
    }
    assert_eq!(json!(totals), json!({"200": 20, "401": 1}));
    assert_eq!(ledger.refusals(), [("json-syntax".to_owned(), 1)]);
    let text = json!(ledger.0).to_string();
    assert!(!text.contains("demo\"") && !text.contains("session-"), "no password and no session: {text}");
}

/// Without a ledger nobody logs in either.
#[tokio::test]
async fn a_broken_ledger_stops_logins() {
    let sidecar = TestSidecar::start().await;
    sidecar.break_ledger().await;
    // Counts ride along, so a broken ledger shows when the next ones are written.
    assert_eq!(sidecar.as_nobody().post("/login", PASSWORD).await.status, 200);
    sidecar.running().sidecar.recorder.flush("2026-06-15T12:00:00Z");
    sidecar.crm().reset();
    assert_eq!(sidecar.as_nobody().post("/login", PASSWORD).await.reason(), "ledger-unavailable");
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
}

/// To somebody who is not identified, a route that is decided looks like one that is not there.
#[tokio::test]
async fn other_routes_tell_nothing_to_nobody() {
    let sidecar = TestSidecar::start().await;
    let nobody = sidecar.as_nobody();
    for target in ["/api/deals/42", "/api/nothing", "/login", "/logout", "/static", "/static/"] {
        let reply = nobody.get(target).await;
        assert_eq!((reply.status, reply.reason().as_str()), (401, "credential-missing"), "{target}");
    }
    assert_eq!(nobody.send("OPTIONS", "/login", "").await.reason(), "credential-missing");
    assert_eq!(sidecar.as_person("rep-east").get("/login").await.reason(), "route-unmapped");
}

/// There is a place for so many at once; the next one waits for nobody and is refused.
#[tokio::test]
async fn places_for_nobody_are_bounded() {
    use lockkeeper::demo::crm::faults::Fault;
    let sidecar = TestSidecar::with(|options| options.set("limits", "open_requests", 1)).await;
    sidecar.crm().set_fault(Some(Fault::Hang));
    let held = sidecar.as_nobody().open("POST", "/login", PASSWORD).await;
    while sidecar.crm_saw().is_empty() {
        lockkeeper::testkit::a_moment().await;
    }
    assert_eq!(sidecar.as_nobody().post("/login", PASSWORD).await.reason(), "overloaded");
    sidecar.crm().set_fault(None);
    let answer = lockkeeper::testkit::client::read_to_end(held).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.status, 200);
    assert_eq!(sidecar.as_nobody().post("/login", PASSWORD).await.status, 200);
}

/// From the login to a change with the session's cookie: the CRM says whose it is, and a page of another site gets nowhere.
#[tokio::test]
async fn changes_by_session_need_a_page_of_ours() {
    let section =
        "\n[identity.introspection]\npath = \"/api/me\"\nid = \"$.id\"\nby = \"crmId\"\ncookie = \"sid\"\n";
    let with = |options: Options| with_origin(options).edit("lockkeeper.toml", move |text| text + section);
    let sidecar = TestSidecar::with(with).await;
    let login = sidecar.as_nobody().post("/login", PASSWORD).await;
    let cookie = cookies(&login)[0].split(';').next().unwrap().to_owned();
    let session = sidecar.as_nobody().with_header(&format!("Cookie: {cookie}"));
    let evil = session.clone().with_header("Origin: https://evil.example");
    let seen = sidecar.crm_saw().len();
    let title = r#"{"title":"x"}"#;
    assert_eq!(session.patch("/api/deals/42", title).await.reason(), "origin-missing");
    assert_eq!(evil.patch("/api/deals/42", title).await.reason(), "origin-refused");
    assert_eq!(evil.delete("/api/nothing").await.reason(), "origin-refused");
    assert_eq!(sidecar.crm_saw().len(), seen, "not even asked whose session it is");

    assert_eq!(session.get("/api/deals/42").await.status, 200);
    assert_eq!(session.get("/api/files/501/content").await.status, 200);
    assert_eq!(session.clone().with_header(OURS).patch("/api/deals/42", title).await.status, 200);
    let changes = sidecar.crm().requests();
    let change = changes.iter().find(|request| request.method == http::Method::PATCH).unwrap();
    assert_eq!(change.headers["cookie"], cookie.as_str());
    assert!(!change.headers.contains_key("x-api-key"));
    assert_eq!(session.with_header(OURS).post("/logout", "").await.status, 204);
}

/// Two routes of one path, told apart by the body: a body that does not fulfil the condition of the one that is judged does not
/// lead to the one that passes, least of all with a credential of ours.
#[tokio::test]
async fn a_body_never_leads_to_what_passes() {
    let routes = r#"
[[routes]]
match = "POST /mixed"
label = "judged"
action = "create"
type = "Deal"
writes = { at = "$" }
when = { body = "$.kind", is = "deal" }
over = ["open"]

[[routes]]
match = "POST /mixed"
label = "open"
identity = "none"
reason = "a test"
accepts = ["application/json"]
"#;
    let sidecar =
        TestSidecar::with(|options| options.edit("bundle/profile.toml", move |text| text + routes)).await;
    let reply = sidecar.as_person("rep-east").post("/mixed", r#"{"kind":"other"}"#).await;
    assert_eq!(reply.reason(), "route-unmapped");
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
}
