//! How the demo CRM misbehaves when told to, and how its server ends.

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Answer, KEY, Running, read_all, request};
use crate::demo::crm::faults::{BIG_BODY_BYTES_MIN, Fault};

const MOVE: (&str, &str, &str) = ("POST", "/api/deals/42/move", r#"{"stage":"won"}"#);

async fn under(fault: Fault, method: &str, target: &str, body: &str) -> (Running, Answer) {
    let running = Running::start().await;
    running.crm.set_fault(Some(fault));
    let answer = running.send(method, target, &[], body).await;
    running.crm.set_fault(None);
    (running, answer)
}

async fn read(fault: Fault, target: &str) -> Answer {
    under(fault, "GET", target, "").await.1
}

#[tokio::test]
async fn bodies_that_are_not_what_they_claim() {
    let html = read(Fault::Html200, "/api/deals/42").await;
    assert_eq!((html.status, html.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let malformed = read(Fault::MalformedJson, "/api/deals/42").await;
    assert!(malformed.body.ends_with("\"version\":1,}"), "{}", malformed.body);
    let gzip = read(Fault::GzipClaimed, "/api/deals/42").await;
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    assert!(gzip.body.starts_with("{\"id\":42"));
    let twice = read(Fault::DuplicateKey, "/api/deals/42").await;
    assert!(twice.body.contains("\"margin\":null,\"margin\":31250.25"), "{}", twice.body);
    let without = read(Fault::DuplicateKey, "/api/teams").await;
    assert!(without.body.contains("{\"id\":null,\"id\":10"), "{}", without.body);
}

#[tokio::test]
async fn shapes_that_are_not_expected() {
    assert!(read(Fault::ArrayInsteadOfObject, "/api/deals").await.body.starts_with("[{\"data\":["));
    assert!(read(Fault::ArrayInsteadOfObject, "/api/deals/42").await.body.starts_with("[{\"id\":42"));
    assert_eq!(read(Fault::ScalarRecord, "/api/deals").await.body, r#"{"data":[1,2]}"#);
    assert_eq!(read(Fault::ScalarRecord, "/api/deals/42").await.body, "1");
}

#[tokio::test]
async fn a_truncated_body_is_shorter_than_its_header_says() {
    let answer = read(Fault::TruncatedBody, "/api/deals/42").await;
    let announced: usize = answer.header("content-length").unwrap().parse().unwrap();
    assert!(answer.body.len() < announced && !answer.body.is_empty(), "{} of {announced}", answer.body.len());
}

#[tokio::test]
async fn secrets_appear_where_they_should_not() {
    let broken = read(Fault::ErrorWithSecrets500, "/api/deals/42").await;
    assert_eq!(broken.status, 500);
    assert!(broken.record().raw("detail").unwrap().contains("\"margin\":31250.25"));
    let conflict = read(Fault::Conflict409, "/api/deals/7").await;
    assert_eq!(conflict.status, 409);
    assert!(conflict.record().raw("current").unwrap().starts_with("{\"id\":7,"));
    assert!(conflict.record().raw("related").unwrap().starts_with("[{\"id\":1,"));
    let headers = read(Fault::ExtraHeaders, "/api/deals/42").await;
    assert_eq!((headers.status, headers.header("x-internal-margin")), (200, Some("31250.25")));
    assert!(headers.header("set-cookie").is_some() && headers.header("server-timing").is_some());
}

#[tokio::test]
async fn statuses() {
    let redirect = read(Fault::Redirect, "/api/deals/42").await;
    assert_eq!((redirect.status, redirect.header("location").is_some()), (302, true));
    for (code, status) in [(503, 503), (204, 204), (304, 304), (418, 418), (101, 500), (1_000, 500), (0, 500)]
    {
        assert_eq!(read(Fault::Status(code), "/api/deals/42").await.status, status, "{code}");
    }
}

#[tokio::test]
async fn big_bodies_have_the_size_asked_for_and_are_valid() {
    for (target, bytes) in [("/api/deals", 64), ("/api/deals/42", 65_536 + 33), ("/api/deals", 3_000_000)] {
        let answer = read(Fault::Big(bytes), target).await;
        assert_eq!(u64::try_from(answer.body.len()), Ok(bytes), "`{target}`");
        assert!(answer.record().raw("id").or(answer.record().raw("data")).is_some());
    }
    assert_eq!(u64::try_from(read(Fault::Big(0), "/api/deals/42").await.body.len()), Ok(BIG_BODY_BYTES_MIN));
}

#[tokio::test]
async fn some_faults_strike_before_the_work_and_some_after() {
    let (method, target, body) = MOVE;
    for (fault, stage) in [
        (Fault::Html200, "won"),
        (Fault::TruncatedBody, "won"),
        (Fault::ErrorWithSecrets500, "won"),
        (Fault::ScalarRecord, "won"),
        (Fault::Big(100), "won"),
        (Fault::Redirect, "proposal"),
        (Fault::Conflict409, "proposal"),
        (Fault::Status(503), "proposal"),
    ] {
        let (running, _) = under(fault, method, target, body).await;
        let deal = running.get("/api/deals/42").await.record();
        assert_eq!(deal.text("stage").as_deref(), Some(stage), "{fault:?}");
    }
}

#[tokio::test]
async fn a_fault_can_be_for_one_method_and_needs_the_key() {
    let running = Running::start().await;
    running.crm.set_fault_for(Method::PATCH, Fault::Status(503));
    assert_eq!(running.get("/api/deals/42").await.status, 200);
    assert_eq!(running.send("PATCH", "/api/deals/42", &[], "{}").await.status, 503);
    assert_eq!(running.raw(&request("PATCH", "/api/deals/42", &[], "{}")).await.status, 401);
    running.crm.reset();
    assert_eq!(running.send("PATCH", "/api/deals/42", &[], "{}").await.status, 200);
}

/// A hanging request listens for the fault's end, so that waiting for it needs no clock.
async fn until_hanging(running: &Running, requests: usize) {
    while running.crm.shared.fault.receiver_count() != requests {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_hanging_request_has_no_effect_until_the_fault_is_cleared() {
    let running = Running::start().await;
    running.crm.set_fault_for(Method::POST, Fault::Hang);
    let key = format!("X-Api-Key: {KEY}");
    let (method, target, body) = MOVE;
    let stream = running.open(&request(method, target, &[&key], body)).await;
    until_hanging(&running, 1).await;
    assert_eq!(running.get("/api/deals/42").await.record().text("stage").as_deref(), Some("proposal"));
    running.crm.set_fault(None);
    assert_eq!(Answer::parse(&read_all(stream).await).record().text("stage").as_deref(), Some("won"));
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_hanging_request_along() {
    let running = Running::start().await;
    running.crm.set_fault(Some(Fault::Hang));
    let key = format!("X-Api-Key: {KEY}");
    let (method, target, body) = MOVE;
    let stream = running.open(&request(method, target, &[&key], body)).await;
    until_hanging(&running, 1).await;
    drop(stream);
    until_hanging(&running, 0).await;
    running.crm.set_fault(None);
    assert_eq!(running.get("/api/deals/42").await.record().text("stage").as_deref(), Some("proposal"));
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_for_a_free_place() {
    let running = Running::with_connections(1).await;
    let key = format!("X-Api-Key: {KEY}\r\nHost: crm");
    let teams = format!("GET /api/teams?first HTTP/1.1\r\n{key}\r\n\r\n");
    let mut first = running.open(&teams).await;
    read_teams(&mut first).await;
    let second =
        running.open(&request("GET", "/api/teams?second", &[&format!("X-Api-Key: {KEY}")], "")).await;
    first.write_all(teams.as_bytes()).await.unwrap();
    read_teams(&mut first).await;
    drop(first);
    assert_eq!(Answer::parse(&read_all(second).await).status, 200);
    let targets: Vec<String> = running.crm.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/api/teams?first", "/api/teams?first", "/api/teams?second"]);
}

async fn read_teams(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"}]}") {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn shutdown_ends_hanging_requests_and_closes_the_port() {
    let running = Running::start().await;
    running.crm.set_fault(Some(Fault::Hang));
    let key = format!("X-Api-Key: {KEY}");
    let mut stream = running.open(&request("GET", "/api/deals", &[&key], "")).await;
    until_hanging(&running, 1).await;
    running.stop.send(()).unwrap();
    running.task.await.unwrap();
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}
