//! Requests that say no one thing: refused with a reason each, and nothing of them reaches the CRM.

use lockkeeper::model::reason::Reason;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::TestReply;

/// Targets that are refused before anyone is identified: counted, not recorded one by one.
#[tokio::test]
async fn targets() {
    let sidecar = TestSidecar::start().await;
    let long = format!("/api/deals/{}", "9".repeat(9000));
    let many = format!("/api/deals?{}", "page=1&".repeat(201));
    let cases = [
        ("/api/deals%2F42", Reason::PathEncodedSlash),
        ("/api/deals/..%5c42", Reason::PathBackslash),
        ("/api/deals\\42", Reason::PathBackslash),
        ("/api/./deals/42", Reason::PathDotSegment),
        ("/api/contacts/../deals/42", Reason::PathDotSegment),
        ("/api/%2e%2e/deals/42", Reason::PathDotSegment),
        ("/api//deals/42", Reason::PathEmptySegment),
        ("//api/deals/42", Reason::PathEmptySegment),
        ("/api/deals;v=1/42", Reason::PathParameter),
        ("/api/deals/42%3Bx", Reason::PathParameter),
        ("/api/deals/42%00", Reason::PathControl),
        ("/api/deals/42%0d%0aX:1", Reason::PathControl),
        ("/api/deals/%2534%32", Reason::PathDoubleEncoding),
        ("/api/deals/%252e%252e", Reason::PathDoubleEncoding),
        ("/api/deals/%4", Reason::PathBadEscape),
        ("/api/deals/%zz", Reason::PathBadEscape),
        ("/api/deals/%c0%ae", Reason::PathNotUtf8),
        ("/api/deals/%ff", Reason::PathNotUtf8),
        (long.as_str(), Reason::PathTooLong),
        ("/api/deals?stage=%zz", Reason::QueryBadEscape),
        ("/api/deals?stage=%ff", Reason::QueryNotUtf8),
        ("/api/deals?stage=%00", Reason::QueryControl),
        ("/api/deals?stage=won;page=1", Reason::QuerySemicolon),
        (many.as_str(), Reason::QueryTooMany),
        ("/api/deals/42?_method=DELETE", Reason::MethodOverride),
        ("/api/deals/42?_METHOD=DELETE", Reason::MethodOverride),
        ("http://crm.internal/api/deals/42", Reason::TargetForm),
    ];
    for (target, reason) in cases {
        for person in [true, false] {
            let caller = if person { sidecar.as_person("admin") } else { sidecar.as_nobody() };
            let reply = caller.get(target).await;
            assert_eq!((reply.status, reply.reason().as_str()), (reason.status(), reason.code()), "{target}");
        }
    }
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    let mut expected: Vec<(Reason, u64)> = Vec::new();
    for (_, reason) in cases {
        match expected.iter_mut().find(|(found, _)| *found == reason) {
            Some((_, count)) => *count += 2,
            None => expected.push((reason, 2)),
        }
    }
    expected.sort_by_key(|(reason, _)| reason.code());
    sidecar.expect_refusals(&expected).await;
}

#[tokio::test]
async fn headers() {
    let sidecar = TestSidecar::start().await;
    let cases = [
        ("Host: other.test", Reason::HostDuplicate),
        ("X_Api_Key: 1", Reason::HeaderUnderscore),
        ("X-Note: caf\u{e9}", Reason::HeaderNotText),
        ("X-HTTP-Method-Override: DELETE", Reason::MethodOverride),
        ("X-HTTP-Method: PATCH", Reason::MethodOverride),
        ("X-Method-Override: GET", Reason::MethodOverride),
        ("Upgrade: h2c", Reason::UpgradeRefused),
        ("Connection: Upgrade", Reason::UpgradeRefused),
        ("Authorization: Bearer other", Reason::CredentialsConflict),
    ];
    for (line, reason) in cases {
        let reply = sidecar.as_person("admin").with_header(line).get("/api/deals/42").await;
        assert_eq!((reply.status, reply.reason().as_str()), (reason.status(), reason.code()), "{line}");
    }
    let no_host = sidecar.raw("GET /api/deals/42 HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert_eq!(TestReply::parse(&no_host, false).0.reason(), "host-missing");
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
}

#[tokio::test]
async fn credentials() {
    let sidecar = TestSidecar::start().await;
    let nobody = sidecar.as_nobody();
    let key = sidecar.folder().key("admin");
    for (lines, reason) in [
        (vec![], "credential-missing"),
        (vec![format!("X-Api-Key: {key}")], "credential-missing"),
        (vec![format!("Cookie: key={key}")], "credential-missing"),
        (vec!["Authorization: Bearer wrong".to_owned()], "credential-unknown"),
        (vec![format!("Authorization: Bearer {key}x")], "credential-unknown"),
        (vec![format!("Authorization: Basic {key}")], "credential-unknown"),
        (vec![format!("Authorization: {key}")], "credential-unknown"),
        (vec!["Authorization:".to_owned()], "credential-unknown"),
        (vec![format!("Authorization: Bearer {key}, Bearer {key}")], "credential-unknown"),
    ] {
        let caller = lines.iter().fold(nobody.clone(), |caller, line| caller.with_header(line));
        let reply = caller.get("/api/deals/42").await;
        assert_eq!(reply.reason(), reason, "{lines:?}");
        assert_eq!(reply.status, 401);
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    }
    let twice = sidecar.as_person("admin").with_header(&format!("Authorization: Bearer {key}"));
    assert_eq!(twice.get("/api/deals/42").await.reason(), "credentials-conflict");
    // A caller cannot have the credential taken away by naming it hop by hop.
    let named = sidecar.as_person("admin").with_header("Connection: authorization, x-api-key");
    assert_eq!(named.get("/api/deals/42").await.reason(), "connection-header");
    let none = sidecar.as_nobody().get(&format!("/api/deals/42?access_token={key}")).await;
    assert_eq!(none.reason(), "credential-missing");
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    let text = sidecar.folder().all_text("state");
    assert!(!text.contains(&key));
    let ledger = sidecar.stop().await;
    let expected = [
        ("connection-header", 1),
        ("credential-missing", 4),
        ("credential-unknown", 6),
        ("credentials-conflict", 1),
    ];
    assert_eq!(ledger.refusals(), expected.map(|(reason, count)| (reason.to_owned(), count)));
    assert_eq!(ledger.of_kind("decision").len(), 0, "a refusal before identity is counted and nothing else");
}

#[tokio::test]
async fn routes_that_the_profile_does_not_have() {
    let sidecar = TestSidecar::start().await;
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/api"),
        ("GET", "/api/deals/"),
        ("GET", "/api/deals/42/"),
        ("GET", "/API/deals/42"),
        ("GET", "/api/Deals/42"),
        ("GET", "/api/deals/42/move"),
        ("GET", "/api/deals/export.csv"),
        ("GET", "/api/deals/42.json"),
        ("GET", "/api/reports/pipeline"),
        ("GET", "/api/users"),
        ("POST", "/api/contacts"),
        ("DELETE", "/api/contacts/101"),
        ("OPTIONS", "/api/deals"),
        ("TRACE", "/api/deals"),
        ("PROPFIND", "/api/deals"),
        ("get", "/api/deals"),
        ("POST", "/api/deals/42"),
        // Batches, which hold requests that nobody would judge.
        ("POST", "/api/$batch"),
        ("POST", "/api/batch"),
        ("POST", "/api/composite"),
        ("POST", "/graphql"),
        // What would have the CRM send out by itself.
        ("GET", "/api/webhooks"),
        ("POST", "/api/webhooks"),
        ("PUT", "/api/webhooks/1"),
        ("POST", "/api/subscriptions"),
        // What would bring back, join, turn or copy records.
        ("POST", "/api/deals/42/restore"),
        ("POST", "/api/deals/42/merge"),
        ("POST", "/api/deals/42/convert"),
        ("POST", "/api/deals/42/clone"),
    ] {
        let reply = sidecar.as_person("admin").send(method, target, "").await;
        assert_eq!((reply.status, reply.reason().as_str()), (403, "route-unmapped"), "{method} {target}");
        let ledger = sidecar.ledger();
        let decision = ledger.decision(&reply);
        assert_eq!((decision["effect"].as_str(), decision.get("route")), (Some("refuse"), None));
    }
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
}

#[tokio::test]
async fn bodies() {
    let sidecar =
        TestSidecar::with(|options| options.set("limits", "body_bytes", 2000).set("limits", "json_depth", 5))
            .await;
    let big = format!(r#"{{"title":"{}"}}"#, "x".repeat(2000));
    let json = "Content-Type: application/json";
    for (line, body, reason) in [
        (json, r#"{"title":"a","title":"b"}"#, "json-duplicate-key"),
        (json, r#"{"title":"a","t\u0069tle":"b"}"#, "json-duplicate-key"),
        (json, r#"{"title":"a","address":{"city":"x","city":"y"}}"#, "json-duplicate-key"),
        (json, r#"{"tags":[[[[[1]]]]]}"#, "json-depth"),
        (json, r#"{"title":"a"} {}"#, "json-syntax"),
        (json, r#"{"title":"a",}"#, "json-syntax"),
        (json, r#"{title:"a"}"#, "json-syntax"),
        (json, r#"{"title":NaN}"#, "json-syntax"),
        (json, r#"{"amount":01}"#, "json-syntax"),
        (json, r#"{"title":"\ud800"}"#, "json-syntax"),
        (json, "\u{feff}{\"title\":\"a\"}", "json-syntax"),
        (json, "{\"title\":\"a\u{1}\"}", "json-syntax"),
        (json, "// c\n{}", "json-syntax"),
        (json, big.as_str(), "body-too-large"),
        (json, "", "body-missing"),
        ("Content-Type: application/x-www-form-urlencoded", "title=x", "body-type"),
        ("Content-Type: multipart/form-data; boundary=x", "--x--", "body-type"),
        ("Content-Type: text/plain", "{}", "body-type"),
        ("Content-Type: text/json", "{}", "body-type"),
        ("Content-Type: application/json; charset=utf-16", "{}", "body-type"),
        ("Content-Type: application/json, text/html", "{}", "body-type"),
        ("Content-Type: application/xml", "<title/>", "body-type"),
        ("Content-Encoding: gzip", "{}", "body-coding"),
        ("Content-Encoding: deflate, gzip", "{}", "body-coding"),
        ("Content-Encoding: br", "{}", "body-coding"),
    ] {
        let reply = sidecar.as_person("rep-east").with_header(line).patch("/api/deals/42", body).await;
        let known = Reason::ALL.iter().find(|known| known.code() == reason).unwrap();
        assert_eq!((reply.status, reply.reason().as_str()), (known.status(), reason), "{line} {body}");
        let ledger = sidecar.ledger();
        let decision = ledger.decision(&reply);
        assert_eq!(
            (decision["effect"].as_str(), decision["reason"].as_str()),
            (Some("refuse"), Some(reason))
        );
    }
    let with_body = sidecar.as_person("rep-east").send("GET", "/api/deals/42", "{}").await;
    assert_eq!(with_body.reason(), "body-unexpected");
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
}

/// A batch sent to a route that takes one request.
#[tokio::test]
async fn batches() {
    let sidecar = TestSidecar::start().await;
    let admin = sidecar.as_person("admin");
    let part = "--b\r\nContent-Type: application/http\r\n\r\nDELETE /api/deals/42 HTTP/1.1\r\n\r\n--b--\r\n";
    for (content_type, body, reason) in [
        ("application/json", r#"[{"title":"a"},{"title":"b"}]"#, "body-shape"),
        ("application/json", r#"{"requests":[{"method":"DELETE","url":"/api/deals/42"}]}"#, "fields-denied"),
        ("application/json", r#"{"title":"a","$batch":[]}"#, "fields-denied"),
        ("multipart/mixed; boundary=b", part, "body-type"),
        ("application/http", part, "body-type"),
    ] {
        let caller = admin.clone().with_header(&format!("Content-Type: {content_type}"));
        for (method, at) in [("POST", "/api/deals"), ("PATCH", "/api/deals/42")] {
            assert_eq!(
                caller.send(method, at, body).await.reason(),
                reason,
                "{method} {content_type} {body}"
            );
        }
    }
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_body_that_does_not_come() {
    let sidecar = TestSidecar::with(|options| options.set("limits", "body_timeout_ms", 100)).await;
    let mut stalled = sidecar.as_person("rep-east").request("PATCH", "/api/deals/42", r#"{"title":"x"}"#);
    stalled.truncate(stalled.len() - 3);
    let reply = TestReply::parse(&sidecar.raw(&stalled).await, false).0;
    assert_eq!((reply.status, reply.reason().as_str()), (408, "body-timeout"));
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
}
