//! The moment between look and write: a write is kept to the version that was judged, or the record is read again after it.

use http::Method;
use lockkeeper::demo::crm::faults::Fault;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::TestReply;
use lockkeeper::testkit::folder::Options;
use serde_json::{Value, json};

use super::any_crm::{Answer, AnyCrm};

/// Routes of the demo that change one deal.
const ROUTES: &[&str] = &[
    "PATCH /api/deals/{id:int}",
    "PUT /api/deals/{id:int}",
    "POST /api/deals/{id:int}/move",
    "DELETE /api/deals/{id:int}",
];
const BULK: &str = "POST /api/deals/bulk";
const BY_ETAG: &str = r#"{ from = "header.etag", to = "header.if-match" }"#;
const IN_BODY: &str = r#"{ from = "record.version", to = "body.$.version" }"#;

/// The demo's profile with another `version` on some routes.
pub fn versioned(options: Options, routes: &'static [&'static str], version: &'static str) -> Options {
    options.edit("bundle/profile.toml", move |profile| with_version(&profile, routes, version))
}

fn with_version(profile: &str, routes: &[&str], version: &str) -> String {
    let is_route = |route: &str| routes.iter().any(|label| route.contains(&format!("\"{label}\"\n")));
    let edited = profile.split("[[routes]]\n").map(|route| match is_route(route) {
        false => route.to_owned(),
        true => {
            let kept = route.lines().filter(|line| !line.starts_with("version "));
            let lines: Vec<&str> = kept.collect();
            let (first, rest) = lines.split_first().unwrap();
            format!("{first}\nversion = {version}\n{}\n", rest.join("\n"))
        }
    });
    edited.collect::<Vec<_>>().join("[[routes]]\n")
}

async fn start(routes: &'static [&'static str], version: &'static str) -> TestSidecar {
    TestSidecar::with(|options| versioned(options, routes, version)).await
}

/// Something happens at the CRM after the record was looked at and before the write is carried out.
async fn in_between(
    sidecar: &TestSidecar,
    (method, target, body): (&str, &str, &str),
    act: impl Future<Output = ()>,
) -> TestReply {
    let held = Method::from_bytes(method.as_bytes()).unwrap();
    sidecar.crm().set_fault_for(held, Fault::Hang);
    let write = sidecar.as_person("manager-east");
    let act = async {
        while sidecar.crm_writes().is_empty() {
            lockkeeper::testkit::a_moment().await;
        }
        act.await;
        sidecar.crm().set_fault(None);
    };
    tokio::join!(write.send(method, target, body), act).0
}

/// Deal 42 as the CRM holds it.
async fn deal(sidecar: &TestSidecar) -> Value {
    sidecar.crm_caller().get("/api/deals/42").await.json()
}

/// The last request that changes something, as it came to the CRM: header, target, body.
fn written(sidecar: &TestSidecar) -> (Option<String>, String, String) {
    let requests = sidecar.crm().requests();
    let write = requests.iter().rev().find(|request| request.method != Method::GET).unwrap();
    let tag = write.headers.get("if-match").map(|value| value.to_str().unwrap().to_owned());
    (tag, write.target.clone(), String::from_utf8(write.body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_write_carries_the_version_that_was_judged() {
    let sidecar = start(ROUTES, BY_ETAG).await;
    let admin = || sidecar.as_person("admin").with_header("If-None-Match: \"deal-42-v77\"");
    let whole = {
        let mut whole = sidecar.as_person("admin").get("/api/deals/42").await.json();
        for embedded in ["contact", "company"] {
            whole.as_object_mut().unwrap().remove(embedded);
        }
        whole.to_string()
    };
    for (version, (method, target, body, status)) in (1..).zip([
        ("PATCH", "/api/deals/42", r#"{"title":"x"}"#, 200),
        ("PUT", "/api/deals/42", whole.as_str(), 200),
        ("POST", "/api/deals/42/move", r#"{"stage":"won"}"#, 200),
        ("DELETE", "/api/deals/42", "", 204),
    ]) {
        let reply = admin().send(method, target, body).await;
        assert_eq!(reply.status, status, "{method}: {}", reply.text());
        let tag = Some(format!("\"deal-42-v{version}\""));
        assert_eq!(written(&sidecar), (tag, target.to_owned(), body.to_owned()), "{method}");
    }
}

/// The CRM's refusal is a conflict with a reason of its own; nothing of the CRM's answer leaves, and nothing is changed.
#[tokio::test]
async fn a_change_in_between_is_a_conflict() {
    let sidecar = start(ROUTES, BY_ETAG).await;
    for (method, target, body) in [
        ("PATCH", "/api/deals/42", r#"{"title":"mine"}"#),
        ("POST", "/api/deals/42/move", r#"{"stage":"won"}"#),
        ("DELETE", "/api/deals/42", ""),
    ] {
        sidecar.crm().reset();
        let theirs = async {
            let theirs = sidecar.crm_caller();
            let theirs = if method == "PATCH" {
                theirs.post("/api/deals/42/move", r#"{"stage":"lost"}"#).await
            } else {
                theirs.patch("/api/deals/42", r#"{"amount":9000000}"#).await
            };
            assert_eq!(theirs.status, 200);
        };
        let reply = in_between(&sidecar, (method, target, body), theirs).await;
        assert_eq!((reply.status, reply.reason().as_str()), (409, "record-changed"), "{method}");
        let everything = format!("{:?} {}", reply.headers, reply.text());
        for hidden in ["deal-42", "9000000", "lost", "precondition"] {
            assert!(!everything.contains(hidden), "{method}: `{hidden}` in {everything}");
        }
        let now = deal(&sidecar).await;
        assert_ne!(now["title"], "mine");
        assert_ne!(now["stage"], "won");
        let ledger = sidecar.ledger();
        let decision = ledger.decision(&reply);
        assert_eq!(decision["effect"], "allow", "{method}");
        let outcome = ledger.outcome(reply.decision()).unwrap();
        assert_eq!((&outcome["reason"], &outcome["upstream"]), (&json!("record-changed"), &json!(412)));
        assert_eq!(outcome["stage"], Value::Null, "{method} moved nothing");
    }
}

/// The version may stand in the record and travel in the body, where callers may state one as well.
#[tokio::test]
async fn a_version_in_the_body_is_the_proxys() {
    let sidecar = start(&["PATCH /api/deals/{id:int}"], IN_BODY).await;
    let patch = async |body: &str| sidecar.as_person("rep-east").patch("/api/deals/42", body).await;
    let sent = |expected: &str| assert_eq!(written(&sidecar).2, expected);
    assert_eq!(patch(r#"{"title":"a"}"#).await.status, 200);
    sent(r#"{"title":"a","version":1}"#);
    assert_eq!(patch(r#"{"version" : 2,"title":"b"}"#).await.status, 200);
    sent(r#"{"version" : 2,"title":"b"}"#);
    assert_eq!(patch("{}").await.status, 200);
    sent(r#"{"version":3}"#);
    let before = sidecar.crm_writes().len();
    for stated in ["3", "9", "\"x\"", "null", "[4]", "{}"] {
        let reply = patch(&format!(r#"{{"version":{stated},"title":"c"}}"#)).await;
        assert_eq!((reply.status, reply.reason().as_str()), (409, "record-changed"), "{stated}");
    }
    assert_eq!(sidecar.crm_writes().len(), before);
}

/// Who cannot see the version cannot find it by stating some.
#[tokio::test]
async fn a_version_that_is_not_seen_is_not_compared() {
    let forbid = r#"@id("test.version") forbid (principal, action == Action::"readField", resource is Deal)
        when { context.field == Field::"Deal.version" };"#;
    let routes: &[&str] = &["PATCH /api/deals/{id:int}"];
    let sidecar = TestSidecar::with(|options| versioned(options.policies(forbid), routes, IN_BODY)).await;
    for stated in 0..3 {
        let body = format!(r#"{{"version":{stated},"title":"x"}}"#);
        let reply = sidecar.as_person("rep-east").patch("/api/deals/42", body).await;
        assert_eq!((reply.status, reply.reason().as_str()), (403, "fields-denied"), "{stated}");
        assert_eq!(reply.json()["fields"], json!(["version"]));
    }
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new());
    assert_eq!(sidecar.as_person("rep-east").patch("/api/deals/42", r#"{"title":"x"}"#).await.status, 200);
    assert_eq!(written(&sidecar).2, r#"{"title":"x","version":1}"#);
}

#[tokio::test]
async fn a_version_in_the_query_is_the_proxys() {
    let version = r#"{ from = "header.etag", to = "query.expected", conflict = [409, 412] }"#;
    let sidecar = start(ROUTES, version).await;
    let admin = sidecar.as_person("admin");
    assert_eq!(admin.patch("/api/deals/42", r#"{"title":"x"}"#).await.status, 200);
    assert_eq!(written(&sidecar).1, "/api/deals/42?expected=%22deal-42-v1%22");
    let stated = admin.patch("/api/deals/42?expected=%22deal-42-v2%22", r#"{"title":"x"}"#).await;
    assert_eq!((stated.status, stated.reason().as_str()), (400, "query-undeclared"));
    sidecar.crm().set_fault_for(Method::PATCH, Fault::Conflict409);
    let reply = admin.patch("/api/deals/42", r#"{"title":"x"}"#).await;
    assert_eq!((reply.status, reply.reason().as_str()), (409, "record-changed"));
    assert!(!reply.text().contains("current"), "{}", reply.text());
}

/// Without a version nothing is written; what the caller learns does not depend on whether they may see the record.
#[tokio::test]
async fn a_record_without_its_version_is_not_written() {
    let deal = TestSidecar::start().await.crm_caller().get("/api/deals/42").await.body;
    let crm = AnyCrm::start().await;
    let sidecar = crm.behind(|options| versioned(options, ROUTES, BY_ETAG)).await;
    for headers in [&[][..], &["ETag: *"], &["ETag: \"a\"", "ETag: \"b\""], &["ETag: \u{fc}"], &["ETag:"]] {
        let answer = headers
            .iter()
            .fold(Answer::of_type("application/json", deal.clone()), |answer, line| answer.header(line));
        crm.answers(answer);
        let reply = sidecar.as_person("rep-east").patch("/api/deals/42", r#"{"title":"x"}"#).await;
        assert_eq!((reply.status, reply.reason().as_str()), (502, "upstream-shape"), "{headers:?}");
        assert_eq!(crm.seen(), ["GET /api/deals/42 HTTP/1.1"], "{headers:?}");
        let denied = sidecar.as_person("rep-east").patch("/api/deals/42", r#"{"margin":1}"#).await;
        assert_eq!((denied.status, denied.reason().as_str()), (403, "fields-denied"), "{headers:?}");
    }
}

fn alarms(sidecar: &TestSidecar) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ledger = sidecar.ledger();
    ledger.of_kind("alarm").into_iter().map(|alarm| (text(&alarm["of"]), text(&alarm["reason"]))).collect()
}

const PATCH: (&str, &str, &str) = ("PATCH", "/api/deals/42", r#"{"title":"mine"}"#);
const MOVE: (&str, &str, &str) = ("POST", "/api/deals/42/move", r#"{"stage":"won"}"#);
const AGAIN: &str = r#""read-again""#;
const AGAIN_ROUTES: &[&str] =
    &["PATCH /api/deals/{id:int}", "PUT /api/deals/{id:int}", "POST /api/deals/{id:int}/move", BULK];

/// What changed in between is an alarm; the caller's answer is what it would be without.
#[tokio::test]
async fn what_is_not_as_it_was_judged_is_an_alarm() {
    let sidecar = start(AGAIN_ROUTES, AGAIN).await;
    let theirs = |method: &'static str, target: &'static str, body: &'static str| {
        let caller = sidecar.crm_caller();
        async move { assert_eq!(caller.send(method, target, body).await.status, 200, "{method} {target}") }
    };
    let mut expected = Vec::new();
    for (write, other, alarm) in [
        (PATCH, ("POST", "/api/deals/42/move", r#"{"stage":"lost"}"#), Some("stage-mismatch")),
        (
            PATCH,
            ("PUT", "/api/deals/42", r#"{"owner_id":1,"team_id":10,"stage":"proposal"}"#),
            Some("stage-mismatch"),
        ),
        (MOVE, ("PATCH", "/api/deals/42", r#"{"amount":9000000}"#), Some("record-mismatch")),
        (MOVE, ("PATCH", "/api/deals/42", r#"{"owner_id":3}"#), Some("record-mismatch")),
        (MOVE, ("PATCH", "/api/deals/42", r#"{"notes":"no policy looks at these"}"#), None),
        (MOVE, ("PATCH", "/api/deals/3", r#"{"amount":1}"#), None),
    ] {
        sidecar.crm().reset();
        let (method, target, body) = other;
        let reply = in_between(&sidecar, write, theirs(method, target, body)).await;
        assert_eq!(reply.status, 200, "{write:?} {other:?}: {}", reply.text());
        expected.extend(alarm.map(|alarm| (reply.decision().to_owned(), alarm.to_owned())));
        assert_eq!(alarms(&sidecar), expected, "{write:?} {other:?}");
    }
    let metrics = sidecar.running().sidecar.metrics.encode(&Default::default());
    for line in ["{reason=\"stage-mismatch\"} 2", "{reason=\"record-mismatch\"} 2"] {
        assert!(metrics.contains(&format!("lockkeeper_writes_unconfirmed_total{line}")), "{metrics}");
    }
}

/// Whatever is written as it was judged raises no alarm, whoever writes which kind of value.
#[tokio::test]
async fn what_is_as_it_was_judged_is_none() {
    let sidecar = start(AGAIN_ROUTES, AGAIN).await;
    let manager = sidecar.as_person("manager-east");
    for (method, target, body) in [
        ("PATCH", "/api/deals/42", r#"{"title":"x","amount":1.50}"#),
        ("PATCH", "/api/deals/42", r#"{"amount":"1.5"}"#),
        ("PATCH", "/api/deals/42", r#"{"amount":null,"owner_id":3}"#),
        ("PATCH", "/api/deals/42", r#"{"stage":"negotiation"}"#),
        ("POST", "/api/deals/42/move", r#"{"stage":"won"}"#),
        ("POST", "/api/deals/bulk", r#"{"ids":[42,3],"set":{"owner_id":3}}"#),
    ] {
        let reply = manager.send(method, target, body).await;
        assert_eq!(reply.status, 200, "{method} {target} {body}: {}", reply.text());
        let saw = sidecar.crm_saw();
        let after = saw.iter().rev().take_while(|line| line.starts_with("GET "));
        assert!(after.into_iter().any(|line| line == "GET /api/deals/42"), "{method} {target}: {saw:?}");
    }
    // What the CRM refused changed nothing, and is not looked at.
    sidecar.crm().set_fault_for(Method::PATCH, Fault::Status(422));
    assert_eq!(manager.patch("/api/deals/42", r#"{"title":"y"}"#).await.status, 422);
    assert!(sidecar.crm_saw().last().unwrap().starts_with("PATCH"), "{:?}", sidecar.crm_saw());
    assert_eq!(alarms(&sidecar), []);
}

/// A record that cannot be read again is one that nobody vouches for.
#[tokio::test]
async fn a_second_look_that_fails_is_an_alarm() {
    let sidecar = start(AGAIN_ROUTES, AGAIN).await;
    sidecar.crm().set_fault_for(Method::PATCH, Fault::Hang);
    let write = sidecar.as_person("manager-east").with_header("X-Test: 1");
    let break_reads = async {
        while sidecar.crm_writes().is_empty() {
            lockkeeper::testkit::a_moment().await;
        }
        sidecar.crm().set_fault_for(Method::GET, Fault::Status(500));
    };
    let (reply, ()) = tokio::join!(write.patch("/api/deals/42", r#"{"title":"x"}"#), break_reads);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(alarms(&sidecar), [(reply.decision().to_owned(), "second-look-failed".to_owned())]);
}

/// Moves of one record that come through one proxy wait for each other: the second is judged on what the first made.
#[tokio::test]
async fn moves_of_one_record_wait_for_each_other() {
    let sidecar = TestSidecar::start().await;
    let manager = sidecar.as_person("manager-east");
    let moves = |stage: &str| manager.post("/api/deals/42/move", format!(r#"{{"stage":"{stage}"}}"#));
    sidecar.crm().set_fault_for(Method::POST, Fault::Hang);
    let release = async {
        while sidecar.crm_writes().is_empty() || sidecar.running().sidecar.requests_open() < 2 {
            lockkeeper::testkit::a_moment().await;
        }
        sidecar.crm().set_fault(None);
    };
    let (first, second, ()) = tokio::join!(moves("negotiation"), moves("negotiation"), release);
    let ledger = sidecar.ledger();
    let mut stages: Vec<&Value> =
        [&first, &second].map(|reply| &ledger.decision(reply)["write"]["stage"]["from"]).to_vec();
    stages.sort_by_key(|stage| stage.to_string());
    assert_eq!(stages, [&json!("sales.negotiation"), &json!("sales.proposal")], "{ledger:#?}");
}
