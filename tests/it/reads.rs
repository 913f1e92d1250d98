//! Reads: the same records by different people, and what of the CRM's answer never leaves.

use http::Method;
use lockkeeper::demo::crm::faults::Fault;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::TestReply;

/// The keys of deal 42 as the CRM writes them, that nobody is refused.
const FOR_ALL: &[&str] = &[
    r#""id":42,"title":"Cold storage roll-out","stage":"proposal","pipeline":"sales","owner_id":1,"#,
    r#""owner":{"id":1,"name":"Rep East","email":"rep-east@crm.example"},"team_id":10,"#,
    r#""strategic":false,"close_date":"2026-12-15","created_at":"2026-03-01T09:30:00.123456+01:00","#,
    r#""company_id":201,"company":{"id":201,"name":"Harbor Foods","tier":"gold"},"#,
    r#""notes":"Site visit done \u2014 see \/files\/42; customer said \"yes, if by Q4\".","#,
    r#""address":{"street":"Pier 7","city":"Bremen","postal_code":"28217"},"tags":["cold-chain","q4"]"#,
];
const AMOUNTS: &str = r#""amount":125000.50,"currency":"EUR","amount_formatted":"€125,000.50","amount_weighted":62500.25,"probability":0.50,"#;
const MARGINS: &str = r#""margin":31250.25,"margin_pct":25.0,"#;
const NO_MARGINS: &str = r#""margin":null,"margin_pct":null,"#;
const INTERNAL: &str =
    r#""internal_notes":"Competitor offers 118,000; we can go down to 119,500.","address""#;
const RISK: &str = r#""risk_score":73,"#;
const CONTACT: &str = r#""contact":{"id":101,"name":"Contact 101","email":"contact-101@customer.example","phone":"+1 555 0101","company_id":201},"#;
const MASKED: &str = r#""contact":{"id":101,"name":"Contact 101","email":"•••@•••","company_id":201},"#;

/// What each person is shown of deal 42: slices of the CRM's own bytes that must be there, and keys that must not.
#[tokio::test]
async fn the_same_deal_four_ways() {
    let sidecar = TestSidecar::start().await;
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("rep-east", &[AMOUNTS, NO_MARGINS, CONTACT], &["internal_notes", "risk_score", "31250", "25.0"]),
        ("manager-east", &[AMOUNTS, MARGINS, INTERNAL, MASKED], &["risk_score", "contact-101", "0101"]),
        (
            "service",
            &[NO_MARGINS, CONTACT],
            &["internal", "risk", "amount", "125", "probability", "discount"],
        ),
        ("admin", &[AMOUNTS, MARGINS, INTERNAL, RISK, CONTACT], &["•"]),
    ];
    for (person, shown, hidden) in cases {
        let reply = sidecar.as_person(person).get("/api/deals/42").await;
        assert_eq!(reply.status, 200, "{person}");
        for slice in FOR_ALL.iter().chain(*shown) {
            assert!(reply.text().contains(slice), "{person} is shown `{slice}` in {}", reply.text());
        }
        for text in *hidden {
            assert!(!reply.text().contains(text), "{person} is not shown `{text}` in {}", reply.text());
        }
    }
    let hidden = sidecar.as_person("rep-west").get("/api/deals/42").await;
    assert_eq!((hidden.status, hidden.text()), (404, r#"{"error":"not found"}"#));
}

/// Who sees everything gets the CRM's bytes, number text, key order and escapes included.
#[tokio::test]
async fn what_passes_is_the_crms_own_bytes() {
    let sidecar = TestSidecar::start().await;
    for target in
        ["/api/deals/42", "/api/deals/8", "/api/deals/13", "/api/contacts/101", "/api/companies/201"]
    {
        let reply = sidecar.as_person("admin").get(target).await;
        let direct = crm_answer(&sidecar, target).await;
        assert_eq!(reply.text(), direct.text(), "{target}");
    }
}

async fn crm_answer(sidecar: &TestSidecar, target: &str) -> TestReply {
    sidecar.crm_caller().get(target).await
}

/// Every key that leaves stands in the CRM's order, with the CRM's value.
#[tokio::test]
async fn what_is_left_keeps_its_order() {
    let sidecar = TestSidecar::start().await;
    let whole = crm_answer(&sidecar, "/api/deals/42").await;
    for person in ["rep-east", "manager-east", "service"] {
        let reply = sidecar.as_person(person).get("/api/deals/42").await;
        let places: Vec<usize> =
            top_keys(reply.text()).iter().map(|key| whole.text().find(key.as_str()).unwrap()).collect();
        assert!(places.is_sorted(), "{person}: {}", reply.text());
    }
}

fn top_keys(object: &str) -> Vec<String> {
    let parsed: serde_json::Value = serde_json::from_str(object).unwrap();
    let mut keys: Vec<String> = parsed.as_object().unwrap().keys().map(|key| format!("\"{key}\":")).collect();
    keys.sort_by_key(|key| object.find(key.as_str()));
    keys
}

#[tokio::test]
async fn embedded_records_are_judged_under_their_own_type() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    // Deal 3 is rep-east's, its contact belongs to team west.
    let deal = rep.get("/api/deals/3").await.json();
    assert_eq!(deal["owner_id"], 1);
    let contact_id = deal["contact_id"].as_u64().unwrap();
    assert_eq!(deal["contact"], serde_json::Value::Null);
    assert_eq!(rep.get(&format!("/api/contacts/{contact_id}")).await.status, 404);
    // The company is for everybody; of its deals and contacts, each is for whom it is for.
    let company = rep.get("/api/companies/201").await.json();
    for deal in company["deals"].as_array().unwrap() {
        assert_eq!(deal["owner_id"], 1);
        assert_eq!(deal["margin"], serde_json::Value::Null);
    }
    assert!(!company["deals"].as_array().unwrap().is_empty());
    assert_eq!(company.get("internal_rating"), None);
    assert_eq!(company.get("credit_limit"), None);
}

#[tokio::test]
async fn head_tells_no_length() {
    let sidecar = TestSidecar::start().await;
    for (person, target) in
        [("rep-east", "/api/deals/42"), ("rep-west", "/api/deals/42"), ("admin", "/api/deals")]
    {
        let head = sidecar.as_person(person).head(target).await;
        let get = sidecar.as_person(person).get(target).await;
        assert_eq!(head.status, get.status);
        assert_eq!((head.body.len(), head.header("content-length")), (0, None), "{person} {target}");
    }
}

#[tokio::test]
async fn of_the_crms_headers_only_listed_ones_leave() {
    let sidecar = TestSidecar::start().await;
    sidecar.crm().set_fault(Some(Fault::ExtraHeaders));
    for target in ["/api/deals/42", "/api/deals", "/api/contacts/101", "/api/pipelines"] {
        let reply = sidecar.as_person("admin").get(target).await;
        assert_eq!(reply.status, 200);
        let tagged = ["etag", "vary"];
        let is_one = target.ends_with(|last: char| last.is_ascii_digit());
        let (own, mut names): (Vec<&str>, Vec<&str>) =
            reply.headers.keys().map(|name| name.as_str()).partition(|name| tagged.contains(name));
        assert_eq!(own.len(), if is_one { 2 } else { 0 }, "{target}");
        names.sort_unstable();
        let expected = [
            "cache-control",
            "connection",
            "content-length",
            "content-type",
            "date",
            "lockkeeper-decision",
            "x-content-type-options",
        ];
        assert_eq!(names, expected, "{target}");
        let upstream = sidecar.crm_caller().get(target).await;
        assert!(!is_one || reply.header("etag") != upstream.header("etag"), "{target}");
    }
}

/// Validators and ranges would tell of values that are held back; identity headers would tell the CRM of someone else.
/// The CRM answers in the form that the profile describes, whatever the caller would like.
#[tokio::test]
async fn the_crm_is_asked_for_json_alone() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    for lines in [
        &["Accept: text/html"][..],
        &["Accept: application/xml;q=1, */*;q=0.1", "Accept: text/csv"],
        &["Accept: application/json;odata=verbose"],
        &[],
    ] {
        let caller = lines.iter().fold(rep.clone(), |caller, line| caller.with_header(line));
        assert_eq!(caller.get("/api/deals/42").await.status, 200, "{lines:?}");
        assert_eq!(caller.patch("/api/deals/42", r#"{"title":"New"}"#).await.status, 200, "{lines:?}");
    }
    let seen = sidecar.crm().requests();
    assert!(seen.len() >= 12);
    for request in seen {
        let accepted: Vec<_> = request.headers.get_all("accept").iter().collect();
        assert_eq!(accepted, ["application/json"], "{} {}", request.method, request.target);
    }
}

#[tokio::test]
async fn headers_of_the_caller_that_never_reach_the_crm() {
    let sidecar = TestSidecar::start().await;
    let lines = [
        "If-None-Match: \"deal-42-v1\"",
        "If-Match: *",
        "If-Modified-Since: Sat, 21 Nov 2026 22:00:00 GMT",
        "Range: bytes=0-10",
        "X-Api-Key: stolen",
        "X-Forwarded-User: admin",
        "X-Forwarded-For: 10.0.0.1",
        "Forwarded: for=10.0.0.1",
        "X-Original-URL: /api/deals/7",
        "X-Rewrite-URL: /api/deals/7",
        "Cookie: sid=1",
        "Impersonate-User: 5",
        "TE: trailers",
    ];
    let mut caller = sidecar.as_person("rep-east");
    for line in lines {
        caller = caller.with_header(line);
    }
    assert_eq!(caller.get("/api/deals/42").await.status, 200);
    assert_eq!(caller.patch("/api/deals/42", r#"{"title":"New"}"#).await.status, 200);
    let seen = sidecar.crm().requests();
    assert_eq!(seen.iter().filter(|request| request.method == Method::PATCH).count(), 1);
    let allowed = [
        "accept",
        "accept-encoding",
        "user-agent",
        "x-api-key",
        "host",
        "content-type",
        "content-length",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        // The proxy's own, see below.
        "if-match",
    ];
    for request in &seen {
        for (name, value) in &request.headers {
            assert!(allowed.contains(&name.as_str()), "{name} reached the CRM");
            assert!(
                !["stolen", "10.0.0.1", "\"deal-42-v9\""].contains(&value.to_str().unwrap()),
                "{name}: {value:?}"
            );
        }
        assert_eq!(request.headers["x-forwarded-for"], "127.0.0.1");
        assert_eq!(request.headers.get_all("x-api-key").iter().count(), 1);
    }
}
