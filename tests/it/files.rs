//! Files: decided by the record that owns them, then passed piece by piece, both ways.

use http::Method;
use lockkeeper::demo::crm::faults::Fault;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::{TestReply, read_to_end};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const FORM: &str = "Content-Type: multipart/form-data; boundary=XX";

fn form(parts: &[(&str, &str)]) -> String {
    let part = |(head, body): &(&str, &str)| {
        format!("--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n")
    };
    parts.iter().map(part).collect::<String>() + "--XX--\r\n"
}

#[tokio::test]
async fn a_file_is_fetched_by_who_may_fetch_it() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    for target in ["/api/files/501/content", "/api/deals/42/files/501"] {
        let reply = rep.get(target).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/pdf")), "{target}");
        assert!(reply.text().starts_with("%PDF-1.7 offer for deal 42"), "{target}");
        assert_eq!(reply.header("content-disposition"), Some("attachment; filename=\"offer.pdf\""));
        assert_eq!(reply.header("etag"), None);
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("cache-control"), Some("private, no-store"));
    }
    let head = rep.head("/api/files/501/content").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for person in ["manager-east", "admin"] {
        assert_eq!(sidecar.as_person(person).get("/api/files/501/content").await.status, 200, "{person}");
    }
    // The service may see the deal and fetch its files, but not read the field that stands for them.
    let service = sidecar.as_person("service").get("/api/files/501/content").await;
    assert_eq!((service.status, service.reason().as_str()), (403, "denied"));
}

/// A hidden record's file, a file that does not exist, one under another deal: all the same bytes, and none is fetched.
#[tokio::test]
async fn what_may_not_be_seen_is_not_there() {
    let sidecar = TestSidecar::start().await;
    let (east, west) = (sidecar.as_person("rep-east"), sidecar.as_person("rep-west"));
    let missing = east.get("/api/files/9999/content").await;
    assert_eq!(missing.status, 404);
    for (caller, target) in [
        (&west, "/api/files/501/content"),
        (&west, "/api/deals/42/files/501"),
        (&east, "/api/files/502/content"),
        // The CRM would serve file 502 of deal 2 under deal 42, which the caller may see.
        (&east, "/api/deals/42/files/502"),
        (&west, "/api/deals/2/files/501"),
        (&east, "/api/deals/42/files/9999"),
    ] {
        assert_eq!(caller.get(target).await.observable(), missing.observable(), "{target}");
    }
    let fetched =
        sidecar.crm_saw().into_iter().filter(|line| line.contains("content") || line.contains("/files/5"));
    let fetched: Vec<String> = fetched.filter(|line| line.starts_with("GET /api/deals")).collect();
    assert_eq!(fetched, Vec::<String>::new());
    assert!(!sidecar.crm_saw().iter().any(|line| line.ends_with("content")), "{:?}", sidecar.crm_saw());
}

#[tokio::test]
async fn a_file_has_a_declared_type_and_a_sound_answer() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    let html = rep.get("/api/files/503/content").await;
    assert_eq!((html.status, html.reason().as_str()), (502, "upstream-type"));
    for (fault, status) in [
        (Fault::Redirect, 502),
        (Fault::ErrorWithSecrets500, 502),
        (Fault::GzipClaimed, 502),
        (Fault::Status(404), 404),
        (Fault::Conflict409, 409),
        (Fault::Html200, 502),
    ] {
        sidecar.crm().set_fault_on("/content", fault);
        let reply = rep.get("/api/files/501/content").await;
        assert_eq!(reply.status, status, "{fault:?}");
        assert!(!reply.text().contains("31250"), "{fault:?}");
    }
}

#[tokio::test]
async fn ranges_pass_where_the_profile_says_so() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    let part = rep.clone().with_header("Range: bytes=0-7").get("/api/files/501/content").await;
    assert_eq!((part.status, part.text()), (206, "%PDF-1.7"));
    assert!(part.header("content-range").unwrap().starts_with("bytes 0-7/"));
    for range in ["bytes=0-1,3-4", "records=0-1", "bytes=a-b", "bytes=-", "BYTES=0-1"] {
        let whole = rep.clone().with_header(&format!("Range: {range}")).get("/api/files/501/content").await;
        assert_eq!(whole.status, 200, "{range}");
    }
    let other = rep.with_header("Range: bytes=0-7").get("/api/deals/42/files/501").await;
    assert_eq!(other.status, 200);
}

#[tokio::test]
async fn a_download_is_recorded_with_deal_field_and_bytes() {
    let sidecar = TestSidecar::start().await;
    let reply = sidecar.as_person("rep-east").get("/api/files/501/content").await;
    let id = reply.decision().to_owned();
    let ledger = sidecar.ledger_when("the outcome", |ledger| ledger.outcome(&id).is_some()).await;
    let decision = ledger.decision(&reply);
    let actions: Vec<&str> = decision["access"]
        .as_array()
        .unwrap()
        .iter()
        .map(|access| access["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["view", "download", "readField"]);
    assert_eq!(decision["access"][1]["ids"][0], "42");
    assert_eq!(decision["access"][1]["policies"][0], "deal.files.own");
    assert_eq!(decision["sets"][0]["ids"][0], "42");
    assert_eq!(decision["write"], serde_json::Value::Null);
    let outcome = ledger.outcome(&id).unwrap();
    assert_eq!(outcome["bytes"], reply.body.len());
    assert_eq!((outcome["delivered"].as_str(), outcome["released"].as_str()), (Some("yes"), Some("all")));

    let hidden = sidecar.as_person("rep-west").get("/api/files/501/content").await;
    let ledger = sidecar.ledger();
    assert_eq!(
        (&ledger.decision(&hidden)["effect"], &ledger.decision(&hidden)["reason"]),
        (&"deny".into(), &"not-found".into())
    );
}

/// Many megabytes pass, with memory for a few pieces.
#[tokio::test]
async fn large_files_pass_whole() {
    let sidecar = TestSidecar::start().await;
    sidecar.crm().set_fault_on("/content", Fault::Big(64 << 20));
    let mut stream = sidecar.as_person("rep-east").open("GET", "/api/files/501/content", "").await;
    let mut total = 0;
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        if read == 0 {
            break;
        }
        total += read;
    }
    assert!(total > 64 << 20, "{total}");
}

/// A caller who takes nothing holds a place for a while, not for ever.
#[tokio::test]
async fn who_takes_nothing_is_left() {
    let sidecar =
        TestSidecar::with(|options| options.set("limits", "stream_idle_ms", 100).set("limits", "streams", 1))
            .await;
    sidecar.crm().set_fault_on("/content", Fault::Big(64 << 20));
    let rep = sidecar.as_person("rep-east");
    let _idle = rep.open("GET", "/api/files/501/content", "").await;
    let ledger = sidecar.ledger_when("the outcome", |ledger| !ledger.of_kind("outcome").is_empty()).await;
    assert_eq!(ledger.of_kind("outcome")[0]["delivered"], "partial");
    sidecar.crm().set_fault(None);
    assert_eq!(rep.get("/api/files/501/content").await.status, 200, "its place is free");
}

/// One byte over the limit is refused before anything leaves, if the CRM says how much there is.
#[tokio::test]
async fn files_have_a_limit() {
    let sidecar = TestSidecar::with(|options| options.set("limits", "stream_bytes", 100)).await;
    for (bytes, status) in [(100, 200), (101, 502)] {
        sidecar.crm().set_fault_on("/content", Fault::Big(bytes));
        assert_eq!(
            sidecar.as_person("rep-east").get("/api/files/501/content").await.status,
            status,
            "{bytes}"
        );
    }
}

/// An answer that breaks off breaks the caller's connection: nobody takes a part for the whole.
#[tokio::test]
async fn a_broken_answer_is_seen_to_be_broken() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    let whole = rep.get("/api/files/501/content").await;
    sidecar.crm().set_fault_on("/content", Fault::TruncatedBody);
    let bytes = read_to_end(rep.open("GET", "/api/files/501/content", "").await).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.contains(&format!("content-length: {}", whole.body.len())), "{text}");
    assert_eq!(TestReply::try_parse(&bytes), None, "less came than was announced: {text}");
    let ledger = sidecar
        .ledger_when("the broken outcome", |ledger| {
            ledger.of_kind("outcome").iter().any(|outcome| outcome["reason"] == "upstream-broken")
        })
        .await;
    let outcomes = ledger.of_kind("outcome");
    let broken = outcomes.iter().find(|outcome| outcome["reason"] == "upstream-broken").unwrap();
    assert_eq!(broken["delivered"], "partial");
    assert_eq!(broken["bytes"], whole.body.len() / 2);
}

#[tokio::test]
async fn files_are_attached_by_who_may() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east").with_header(FORM);
    let body = form(&[("name=\"file\"; filename=\"a.pdf\"", "hello")]);
    let reply = rep.post("/api/deals/42/files", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.json()["deal_id"], 42);
    assert_eq!(reply.json()["size"], 5);
    let seen = sidecar.crm().requests();
    let upload = seen.iter().find(|request| request.method == Method::POST).unwrap();
    assert_eq!(upload.body, body.as_bytes(), "byte for byte");
    assert_eq!(upload.headers["content-type"], "multipart/form-data; boundary=XX");
    assert_eq!(upload.headers["content-length"], body.len().to_string().as_str());

    let raw = sidecar.as_person("rep-east").with_header("Content-Type: application/pdf");
    assert_eq!(raw.post("/api/deals/42/files", "%PDF").await.json()["media_type"], "application/pdf");

    let ledger = sidecar.ledger();
    let decision = ledger.decision(&reply);
    assert_eq!(decision["access"][1]["action"], "attach");
    assert_eq!(ledger.outcome(reply.decision()).unwrap()["upstream"], 201);
}

#[tokio::test]
async fn attachments_that_are_not_permitted_never_reach_the_crm() {
    let sidecar = TestSidecar::start().await;
    let body = form(&[("name=\"file\"; filename=\"a\"", "x")]);
    for (person, target, reason) in [
        ("rep-west", "/api/deals/42/files", None),
        ("rep-east", "/api/deals/9999/files", None),
        ("service", "/api/deals/42/files", Some("denied")),
    ] {
        let reply = sidecar.as_person(person).with_header(FORM).post(target, &body).await;
        match reason {
            Some(reason) => assert_eq!(reply.reason(), reason, "{person}"),
            None => assert_eq!((reply.status, reply.text()), (404, r#"{"error":"not found"}"#), "{person}"),
        }
    }
    let rep = sidecar.as_person("rep-east");
    let json = rep.post("/api/deals/42/files", "{}").await;
    assert_eq!(json.reason(), "body-type");
    assert_eq!(
        rep.clone()
            .with_header("Content-Type: application/pdf")
            .post("/api/deals/42/files", "")
            .await
            .reason(),
        "body-missing"
    );
    assert_eq!(
        rep.with_header("Content-Type: multipart/form-data")
            .post("/api/deals/42/files", &body)
            .await
            .reason(),
        "multipart-refused"
    );
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new());
}

/// The CRM takes `deal_id` of the form for the deal that the file goes to. It never gets such a form whole.
#[tokio::test]
async fn a_form_cannot_name_another_record() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east").with_header(FORM);
    let before = sidecar.crm_caller().get("/api/deals/2/files").await.json();
    for body in [
        form(&[("name=\"file\"; filename=\"a\"", "x"), ("name=\"deal_id\"", "2")]),
        form(&[("name=\"deal_id\"", "2"), ("name=\"file\"; filename=\"a\"", "x")]),
        form(&[("name=\"file\"; filename=\"a\"", "x"), ("name=\"_method\"", "DELETE")]),
        form(&[("name=\"file\"; filename=\"a\"", "x")]) + &form(&[("name=\"deal_id\"", "2")]),
        form(&[("name=\"file\"; filename=\"a\"", "x")]).replace("--XX--", "--XX"),
    ] {
        let reply = rep.post("/api/deals/42/files", &body).await;
        assert_eq!(reply.reason(), "multipart-refused", "{body}");
    }
    assert_eq!(sidecar.crm_caller().get("/api/deals/2/files").await.json(), before);
    let after = sidecar.crm_caller().get("/api/deals/42/files").await.json();
    assert_eq!(after["data"].as_array().unwrap().len(), 2, "nothing was attached: {after}");
}

#[tokio::test]
async fn attachments_have_a_limit_and_an_end() {
    let sidecar = TestSidecar::with(|options| options.set("limits", "stream_bytes", 100)).await;
    let rep = sidecar.as_person("rep-east").with_header("Content-Type: application/pdf");
    assert_eq!(rep.post("/api/deals/42/files", "x".repeat(100)).await.status, 201);
    assert_eq!(rep.post("/api/deals/42/files", "x".repeat(101)).await.reason(), "body-too-large");
    assert_eq!(
        sidecar.crm_writes().len(),
        1,
        "what announces too much is refused before the CRM hears of it"
    );

    // Without an announced length it shows on the way: the CRM's connection breaks, and it stores nothing.
    let key = sidecar.folder().key("rep-east");
    let head = format!(
        "POST /api/deals/42/files HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {key}\r\nContent-Type: application/pdf\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let chunked = format!("{head}40\r\n{}\r\n40\r\n{}\r\n0\r\n\r\n", "x".repeat(64), "y".repeat(64));
    let reply = TestReply::parse(&sidecar.raw(chunked).await, false).0;
    assert_eq!((reply.status, reply.reason().as_str()), (413, "body-too-large"));
    let outcome = sidecar.ledger().outcome(reply.decision()).cloned().unwrap();
    assert_eq!(outcome["reason"], "body-too-large");

    // A caller who leaves in the middle has attached nothing either.
    let mut stream = sidecar.connect().await;
    stream.write_all(format!("{head}40\r\n{}\r\n", "x".repeat(64)).as_bytes()).await.unwrap();
    drop(stream);
    sidecar
        .ledger_when("the abandoned upload", |ledger| {
            ledger.of_kind("outcome").iter().any(|outcome| outcome["reason"] == "body-unreadable")
        })
        .await;
    let files = sidecar.crm_caller().get("/api/deals/42/files").await.json();
    assert_eq!(
        files["data"].as_array().unwrap().len(),
        3,
        "two from the beginning and the one that fits: {files}"
    );
}

/// The decision stands in the ledger before the CRM hears of an attachment.
#[tokio::test]
async fn nothing_is_attached_unrecorded() {
    let sidecar = TestSidecar::start().await;
    sidecar.break_ledger().await;
    let rep = sidecar.as_person("rep-east").with_header(FORM);
    let reply = rep.post("/api/deals/42/files", form(&[("name=\"file\"; filename=\"a\"", "x")])).await;
    assert_eq!(reply.reason(), "ledger-unavailable");
    assert_eq!(
        sidecar.as_person("rep-east").get("/api/files/501/content").await.reason(),
        "ledger-unavailable"
    );
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new());
}

#[tokio::test]
async fn files_that_pass_at_once_are_bounded() {
    let sidecar = TestSidecar::with(|options| options.set("limits", "streams", 1)).await;
    sidecar.crm().set_fault_on("/content", Fault::Hang);
    let held = sidecar.as_person("rep-east").open("GET", "/api/files/501/content", "").await;
    while !sidecar.crm_saw().iter().any(|line| line.ends_with("/content")) {
        lockkeeper::testkit::a_moment().await;
    }
    assert_eq!(sidecar.as_person("rep-east").get("/api/files/501/content").await.reason(), "overloaded");
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.status, 200);
    sidecar.crm().set_fault(None);
    assert!(read_to_end(held).await.starts_with(b"HTTP/1.1 200"));
}
