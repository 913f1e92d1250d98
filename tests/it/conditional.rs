//! Conditional requests: tags are made of what leaves, so what is hidden never shows in them, and a write whose condition does not
//! hold never reaches the CRM.

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::TestReply;

const DEAL: &str = "/api/deals/42";

/// Whoever is shown a version sees that something hidden has changed: here nobody but the administrator is.
async fn sidecar() -> TestSidecar {
    let hide = |text: String| {
        text.replace("version      = { sets = [\"public\"] }", "version = { sets = [\"Deal.internal\"] }")
    };
    TestSidecar::with(|options| options.edit("bundle/profile.toml", hide)).await
}

async fn tagged(sidecar: &TestSidecar, person: &str, target: &str) -> (String, TestReply) {
    let reply = sidecar.as_person(person).get(target).await;
    assert_eq!(reply.status, 200, "{person} {target}");
    let tag = reply.header("etag").unwrap().to_owned();
    assert_eq!(reply.header("cache-control"), Some("private, no-store"));
    assert_eq!(reply.header("vary"), Some("authorization"));
    (tag, reply)
}

async fn with(sidecar: &TestSidecar, person: &str, header: &str, method: &str, body: &str) -> TestReply {
    sidecar.as_person(person).with_header(header).send(method, DEAL, body).await
}

/// Changes a deal past the sidecar.
async fn behind_our_back(sidecar: &TestSidecar, body: &str) {
    assert_eq!(sidecar.crm_caller().patch(DEAL, body).await.status, 200);
}

#[tokio::test]
async fn a_tag_changes_with_what_is_visible_and_with_nothing_else() {
    let sidecar = sidecar().await;
    let upstream = sidecar.crm_caller().get(DEAL).await.header("etag").unwrap().to_owned();
    let (rep, shown) = tagged(&sidecar, "rep-east", DEAL).await;
    let (admin, _) = tagged(&sidecar, "admin", DEAL).await;
    assert!(rep != admin && ![&rep, &admin].contains(&&upstream));
    behind_our_back(&sidecar, r#"{"risk_score":1,"margin":1.00}"#).await;
    let (same, again) = tagged(&sidecar, "rep-east", DEAL).await;
    assert_eq!((same, again.text()), (rep.clone(), shown.text()));
    assert_ne!(tagged(&sidecar, "admin", DEAL).await.0, admin);
    behind_our_back(&sidecar, r#"{"title":"Another"}"#).await;
    assert_ne!(tagged(&sidecar, "rep-east", DEAL).await.0, rep);
}

#[tokio::test]
async fn who_has_an_answer_gets_it_once() {
    let sidecar = sidecar().await;
    let (tag, reply) = tagged(&sidecar, "rep-east", DEAL).await;
    for condition in [&tag, &format!("W/{tag}"), &format!("\"x\", {tag}"), "*"] {
        let caller = sidecar.as_person("rep-east").with_header(&format!("If-None-Match: {condition}"));
        let known = caller.get(DEAL).await;
        assert_eq!((known.status, known.text()), (304, ""), "{condition}");
        assert_eq!(known.header("etag"), Some(tag.as_str()));
        assert_eq!(known.header("content-type"), None);
        assert_eq!(sidecar.ledger().decision(&known)["effect"], "allow");
    }
    let other = sidecar.as_person("rep-east").with_header("If-None-Match: \"x\"").get(DEAL).await;
    assert_eq!((other.status, other.text()), (200, reply.text()));
    let head = sidecar.as_person("rep-east").head(DEAL).await;
    assert_eq!((head.status, head.header("etag")), (200, Some(&*tag)));
    // What the CRM's own validator would have said of it, nobody learns.
    let upstream = sidecar.crm_caller().get(DEAL).await.header("etag").unwrap().to_owned();
    let foreign = sidecar.as_person("rep-east").with_header(&format!("If-None-Match: {upstream}"));
    assert_eq!(foreign.get(DEAL).await.status, 200);
    let list = sidecar.as_person("rep-east").with_header("If-None-Match: *").get("/api/deals").await;
    assert_eq!((list.status, list.header("etag"), list.header("vary")), (200, None, None));
    assert!(sidecar.crm().requests().iter().all(|request| !request.headers.contains_key("if-none-match")));
}

#[tokio::test]
async fn a_write_goes_on_only_while_its_caller_sees_what_they_saw() {
    let sidecar = sidecar().await;
    let (tag, _) = tagged(&sidecar, "rep-east", DEAL).await;
    behind_our_back(&sidecar, r#"{"risk_score":2}"#).await;
    let condition = format!("If-Match: {tag}");
    let hidden_changed = with(&sidecar, "rep-east", &condition, "PATCH", r#"{"title":"A"}"#).await;
    assert_eq!(hidden_changed.status, 200);
    sidecar.crm().reset();
    let (tag, _) = tagged(&sidecar, "rep-east", DEAL).await;
    behind_our_back(&sidecar, r#"{"title":"Theirs"}"#).await;
    let writes = sidecar.crm_writes().len();
    for (header, status, reason) in [
        (format!("If-Match: {tag}"), 412, "precondition-failed"),
        (format!("If-Match: W/{tag}"), 412, "precondition-failed"),
        ("If-None-Match: *".to_owned(), 412, "precondition-failed"),
        ("If-Match: nonsense".to_owned(), 400, "condition-malformed"),
        ("If-Unmodified-Since: Mon, 01 Jun 2026 00:00:00 GMT".to_owned(), 400, "condition-refused"),
    ] {
        for (method, body) in [("PATCH", r#"{"title":"B"}"#), ("DELETE", "")] {
            let person = if method == "DELETE" { "admin" } else { "rep-east" };
            let reply = with(&sidecar, person, &header, method, body).await;
            assert_eq!((reply.status, reply.reason().as_str()), (status, reason), "{header} {method}");
            assert_eq!(sidecar.ledger().decision(&reply)["reason"], reason);
        }
    }
    assert_eq!(sidecar.crm_writes().len(), writes, "nothing reached the CRM");
    let (tag, _) = tagged(&sidecar, "rep-east", DEAL).await;
    for header in
        [format!("If-Match: \"x\", {tag}"), "If-None-Match: \"x\"".to_owned(), "If-Match: *".to_owned()]
    {
        assert_eq!(
            with(&sidecar, "rep-east", &header, "PATCH", r#"{"title":"C"}"#).await.status,
            200,
            "{header}"
        );
    }
}

/// A condition must not become a question about what its caller may not see or do.
#[tokio::test]
async fn who_may_not_write_learns_nothing_by_a_condition() {
    let sidecar = sidecar().await;
    let upstream = sidecar.crm_caller().get(DEAL).await.header("etag").unwrap().to_owned();
    for (person, body) in [("rep-west", r#"{"title":"A"}"#), ("rep-east", r#"{"margin":1}"#)] {
        let plain = sidecar.as_person(person).patch(DEAL, body).await;
        for condition in ["*", "\"x\"", &upstream] {
            let reply = with(&sidecar, person, &format!("If-Match: {condition}"), "PATCH", body).await;
            let same = |reply: &TestReply| (reply.status, reply.observable().body);
            assert_eq!(same(&reply), same(&plain), "{person} {condition}");
        }
    }
    for header in ["If-Match: *", "If-None-Match: *"] {
        let caller = sidecar.as_person("rep-east").with_header(header);
        let reply = caller.post("/api/deals", r#"{"title":"N","owner_id":1}"#).await;
        assert_eq!(reply.reason(), "condition-refused", "{header}: a new record has no state");
    }
    assert!(sidecar.crm_writes().is_empty());
}
