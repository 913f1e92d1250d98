//! A CRM that answers wrongly: a status, a reason, none of its bytes, and a connection that stays usable.

use http::Method;
use lockkeeper::demo::crm::faults::Fault;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::TestReply;

/// Texts that the CRM's wrong answers hold and that may be in no answer and in no ledger.
const CANARIES: &[&str] = &[
    "31250.25",
    "125000.50",
    "Competitor",
    "contact-101@customer.example",
    "Session expired",
    "UPDATE deals",
    "crm.example/login",
    "sid=5f0c9d",
    "xxxxxxxx",
    "crm-service-key",
];

/// Status and reason; `None` where a fault does no harm.
type Told = Option<(u16, &'static str)>;

/// Every fault, with status and reason of a read and of a write that meet it.
const FAULTS: &[(Fault, Told, Told)] = &[
    (Fault::Html200, Some((502, "upstream-type")), Some((502, "answer-withheld"))),
    (Fault::MalformedJson, Some((502, "upstream-malformed")), Some((502, "answer-withheld"))),
    (Fault::TruncatedBody, Some((502, "upstream-broken")), Some((502, "answer-withheld"))),
    (Fault::DuplicateKey, Some((502, "upstream-malformed")), Some((502, "answer-withheld"))),
    (Fault::Redirect, Some((502, "upstream-redirect")), Some((502, "upstream-redirect"))),
    (Fault::GzipClaimed, Some((502, "upstream-coding")), Some((502, "answer-withheld"))),
    (Fault::ErrorWithSecrets500, Some((502, "upstream-error")), Some((502, "upstream-error"))),
    (Fault::Conflict409, Some((409, "crm-rejected")), Some((409, "crm-rejected"))),
    (Fault::Big(300_000), Some((502, "upstream-too-large")), Some((502, "answer-withheld"))),
    (Fault::Status(204), None, None),
    (Fault::Status(206), Some((502, "upstream-shape")), Some((502, "answer-withheld"))),
    (Fault::Status(304), Some((502, "upstream-redirect")), Some((502, "upstream-redirect"))),
    (Fault::Status(401), Some((502, "upstream-error")), Some((502, "upstream-error"))),
    (Fault::Status(418), Some((418, "crm-rejected")), Some((418, "crm-rejected"))),
    (Fault::Status(429), Some((429, "crm-rejected")), Some((429, "crm-rejected"))),
    (Fault::Status(503), Some((502, "upstream-error")), Some((502, "upstream-error"))),
    (Fault::Status(599), Some((502, "upstream-error")), Some((502, "upstream-error"))),
    (Fault::ExtraHeaders, None, None),
    (Fault::ArrayInsteadOfObject, Some((502, "upstream-shape")), Some((502, "answer-withheld"))),
    (Fault::ScalarRecord, Some((502, "upstream-shape")), Some((502, "answer-withheld"))),
];

fn check(reply: &TestReply, expected: Told, what: &str) {
    match expected {
        Some((status, reason)) => {
            assert_eq!((reply.status, reply.reason().as_str()), (status, reason), "{what}")
        }
        None => assert!(reply.status < 300, "{what}: {}", reply.status),
    }
    let everything = format!("{:?} {}", reply.headers, reply.text());
    for canary in CANARIES.iter().filter(|_| expected.is_some()) {
        assert!(!everything.contains(canary), "{what}: `{canary}` in {everything}");
    }
}

/// The same bytes as for a record that does not exist.
async fn check_missing(sidecar: &TestSidecar, person: &str, reply: &TestReply) {
    sidecar.crm().set_fault(None);
    let missing = sidecar.as_person(person).get("/api/deals/9007").await;
    assert_eq!((missing.status, missing.observable()), (404, reply.observable()), "{person}");
}

#[tokio::test]
async fn a_status_that_tells_of_a_record_is_that_of_a_missing_one() {
    let sidecar = TestSidecar::start().await;
    for status in [403, 404, 409, 410, 412, 423, 424, 428, 451] {
        for (method, body) in [("GET", ""), ("PATCH", r#"{"title":"x"}"#)] {
            sidecar.crm().set_fault(Some(Fault::Status(status)));
            let reply = sidecar.as_person("rep-east").send(method, "/api/deals/42", body).await;
            sidecar.crm().set_fault(None);
            let missing = sidecar.as_person("rep-east").send(method, "/api/deals/9007", body).await;
            assert_eq!(reply.observable(), missing.observable(), "{method} {status}");
        }
    }
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new());
}

async fn small_answers() -> TestSidecar {
    TestSidecar::with(|options| options.set("limits", "answer_bytes", 200_000)).await
}

#[tokio::test]
async fn reads() {
    let sidecar = small_answers().await;
    for (fault, expected, _) in FAULTS {
        for (person, target) in
            [("admin", "/api/deals/42"), ("manager-east", "/api/deals"), ("rep-east", "/api/companies/201")]
        {
            sidecar.crm().reset();
            sidecar.crm().set_fault(Some(*fault));
            let reply = sidecar.as_person(person).get(target).await;
            let is_record = target != "/api/deals";
            match (is_record, fault) {
                // It would tell that there is a record.
                (true, Fault::Conflict409) => check_missing(&sidecar, person, &reply).await,
                _ => check(&reply, *expected, &format!("{fault:?} {person} {target}")),
            }
            sidecar.crm().set_fault(None);
            assert_eq!(sidecar.as_person(person).get(target).await.status, 200, "after {fault:?}");
        }
    }
    let ledger = sidecar.folder().all_text("state/ledger");
    CANARIES.iter().for_each(|canary| assert!(!ledger.contains(canary), "`{canary}` in the ledger"));
}

/// A write is sent once, whatever comes back, and says so if the CRM may have taken it.
#[tokio::test]
async fn writes() {
    let sidecar = small_answers().await;
    for (fault, _, expected) in FAULTS {
        for (method, target, body) in [
            (Method::PATCH, "/api/deals/42", r#"{"title":"New"}"#),
            (Method::POST, "/api/deals/42/move", r#"{"stage":"negotiation"}"#),
        ] {
            sidecar.crm().reset();
            sidecar.crm().set_fault_for(method.clone(), *fault);
            let reply = sidecar.as_person("admin").send(method.as_str(), target, body).await;
            check(&reply, *expected, &format!("{fault:?} {method} {target}"));
            assert_eq!(sidecar.crm_writes().len(), 1, "{fault:?}");
            let withheld = expected.is_some_and(|(_, reason)| reason == "answer-withheld");
            let ledger = sidecar.ledger();
            let outcome = ledger.outcome(reply.decision()).unwrap();
            assert_eq!(ledger.decision(&reply)["effect"], "allow", "{fault:?}");
            assert_eq!(outcome["status"], reply.status, "{fault:?}");
            assert_eq!(reply.text().contains("upstreamStatus"), withheld, "{fault:?}");
        }
    }
    let ledger = sidecar.folder().all_text("state/ledger");
    CANARIES.iter().for_each(|canary| assert!(!ledger.contains(canary), "`{canary}` in the ledger"));
}

/// A before image that cannot be read ends a write before it is forwarded.
#[tokio::test]
async fn before_images() {
    let sidecar = small_answers().await;
    for (fault, _, _) in FAULTS {
        if *fault == Fault::ExtraHeaders {
            continue;
        }
        sidecar.crm().reset();
        sidecar.crm().set_fault_for(Method::GET, *fault);
        let reply = sidecar.as_person("admin").patch("/api/deals/42", r#"{"title":"New"}"#).await;
        assert!(reply.status >= 400, "{fault:?}: {}", reply.text());
        assert_eq!(sidecar.crm_writes(), Vec::<String>::new(), "{fault:?}");
        let everything = format!("{:?} {}", reply.headers, reply.text());
        CANARIES.iter().for_each(|canary| assert!(!everything.contains(canary), "{fault:?} {everything}"));
    }
}

/// Routes that pass undecided pass successes alone, and only whole ones.
#[tokio::test]
async fn routes_that_pass() {
    let sidecar = small_answers().await;
    for (fault, expected) in [
        (Fault::GzipClaimed, Some((502, "upstream-coding"))),
        (Fault::TruncatedBody, Some((502, "upstream-broken"))),
        (Fault::Redirect, Some((502, "upstream-redirect"))),
        (Fault::ErrorWithSecrets500, Some((502, "upstream-error"))),
        (Fault::Conflict409, Some((409, "crm-rejected"))),
        (Fault::Status(503), Some((502, "upstream-error"))),
        (Fault::Status(304), Some((502, "upstream-redirect"))),
        (Fault::Big(300_000), Some((502, "upstream-too-large"))),
        (Fault::ExtraHeaders, None),
    ] {
        sidecar.crm().set_fault(Some(fault));
        let reply = sidecar.as_person("rep-east").get("/api/pipelines").await;
        check(&reply, expected, &format!("{fault:?}"));
    }
}

#[tokio::test]
async fn a_crm_that_is_down() {
    let mut sidecar = TestSidecar::start().await;
    sidecar.stop_crm().await;
    for (method, target, body) in [
        ("GET", "/api/deals/42", ""),
        ("PATCH", "/api/deals/42", r#"{"title":"x"}"#),
        ("GET", "/api/pipelines", ""),
    ] {
        let reply = sidecar.as_person("admin").send(method, target, body).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (502, "upstream-unreachable"),
            "{method} {target}"
        );
        assert!(!reply.text().contains("127.0.0.1"));
    }
    // What needs no CRM is still decided.
    let refused = sidecar.as_person("rep-east").get("/api/deals?sort=margin").await;
    assert_eq!(refused.reason(), "reference-refused");
}

#[tokio::test]
async fn a_crm_that_hangs() {
    let sidecar = TestSidecar::with(|options| options.set("upstream", "answer_timeout_ms", 200)).await;
    sidecar.crm().set_fault(Some(Fault::Hang));
    let read = sidecar.as_person("admin").get("/api/deals/42").await;
    assert_eq!((read.status, read.reason().as_str()), (504, "upstream-timeout"));
    sidecar.crm().reset();
    sidecar.crm().set_fault_for(Method::PATCH, Fault::Hang);
    let write = sidecar.as_person("admin").patch("/api/deals/42", r#"{"title":"x"}"#).await;
    assert_eq!((write.status, write.reason().as_str()), (504, "upstream-timeout"));
    assert_eq!(sidecar.crm_writes(), ["PATCH /api/deals/42"]);
    let ledger = sidecar.ledger();
    assert_eq!(ledger.outcome(write.decision()).unwrap()["reason"], "upstream-timeout");
    sidecar.crm().set_fault(None);
    assert_eq!(sidecar.as_person("admin").patch("/api/deals/42", r#"{"title":"x"}"#).await.status, 200);
}

/// An embedded record that cannot be fetched is hidden, and the rest is shown.
#[tokio::test]
async fn what_cannot_be_fetched_is_hidden() {
    let sidecar = TestSidecar::with(|options| options.set("limits", "records", 3)).await;
    // Three records at most: a deal with its contact and company fits, a list does not.
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.status, 200);
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals").await.reason(), "upstream-shape");
}
