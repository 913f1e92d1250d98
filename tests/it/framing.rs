//! HTTP framing: what two readers could cut at different places, and how many requests the CRM sees of it.

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::{TestReply, read_to_end};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A head with the admin's key and some lines.
fn head(sidecar: &TestSidecar, line: &str, lines: &[&str]) -> String {
    let key = sidecar.folder().key("admin");
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{line} HTTP/1.1\r\nHost: lockkeeper.test\r\nAuthorization: Bearer {key}\r\n{lines}\r\n")
}

/// A second request hidden in the body of a first one.
fn smuggled(sidecar: &TestSidecar) -> String {
    head(sidecar, "DELETE /api/deals/3", &["Connection: close"])
}

/// With both Transfer-Encoding and Content-Length, the length is not believed and the connection ends.
#[tokio::test]
async fn two_lengths_are_one_request() {
    let sidecar = TestSidecar::start().await;
    let json = "Content-Type: application/json";
    let body = r#"{"title":"x"}"#;
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for lines in [
        vec![json, "Transfer-Encoding: chunked", "Content-Length: 4"],
        vec![json, "Content-Length: 4", "Transfer-Encoding: chunked"],
    ] {
        sidecar.crm().reset();
        let bytes = head(&sidecar, "PATCH /api/deals/42", &lines) + &chunked + &smuggled(&sidecar);
        let replies = TestReply::parse_all(&sidecar.raw(bytes).await);
        assert_eq!(replies.len(), 1, "{lines:?}");
        assert_eq!(sidecar.crm_writes(), ["PATCH /api/deals/42"], "{lines:?}");
        let forwarded = sidecar.crm().requests();
        let write = forwarded.iter().find(|request| request.method == http::Method::PATCH).unwrap();
        assert_eq!((&write.body[..], write.headers.get("transfer-encoding")), (body.as_bytes(), None));
        assert_eq!(write.headers["content-length"], body.len().to_string().as_str());
    }
}

/// What hyper refuses by itself never reaches our code: it is counted and carries no decision.
#[tokio::test]
async fn what_is_not_http() {
    let sidecar = TestSidecar::start().await;
    let json = "Content-Type: application/json";
    let cases: Vec<Vec<u8>> = vec![
        head(&sidecar, "PATCH /api/deals/42", &[json, "Content-Length: 4", "Content-Length: 5"]).into_bytes(),
        head(&sidecar, "PATCH /api/deals/42", &[json, "Content-Length: +4"]).into_bytes(),
        head(&sidecar, "PATCH /api/deals/42", &[json, "Content-Length: 0x4"]).into_bytes(),
        head(&sidecar, "PATCH /api/deals/42", &[json, "Content-Length: 4, 5"]).into_bytes(),
        head(&sidecar, "PATCH /api/deals/42", &[json, "Transfer-Encoding: xchunked"]).into_bytes(),
        head(&sidecar, "PATCH /api/deals/42", &[json, "Transfer-Encoding: chunked, identity"]).into_bytes(),
        head(&sidecar, "GET /api/deals/42", &["X-A : b"]).into_bytes(),
        head(&sidecar, "GET /api/deals/42", &["X-A: b\r\n folded"]).into_bytes(),
        head(&sidecar, "GET /api/deals/42", &["X-A: b\0c"]).into_bytes(),
        head(&sidecar, "GET /api/deals/42 x", &[]).into_bytes(),
        b"\x16\x03\x01\x02\x00\x01\x00".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        head(&sidecar, "GET /api/deals/42", &vec!["X-A: b"; 200]).into_bytes(),
        head(&sidecar, &format!("GET /api/{}", "x".repeat(70_000)), &[]).into_bytes(),
    ];
    let count = u64::try_from(cases.len()).unwrap();
    for case in cases {
        let text = String::from_utf8_lossy(&case[..case.len().min(200)]).into_owned();
        let answer = sidecar.raw([case, smuggled(&sidecar).into_bytes()].concat()).await;
        let replies = TestReply::parse_all(&answer);
        assert!(replies.len() <= 1, "{text}");
        for reply in replies {
            assert!((400..500).contains(&reply.status), "{text}: {}", reply.status);
            assert_eq!((reply.header("lockkeeper-decision"), reply.body.len()), (None, 0), "{text}");
        }
    }
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    sidecar.expect_refusals(&[(lockkeeper::model::reason::Reason::HttpUnreadable, count)]).await;
}

/// A chunked body that breaks off is a request that did not come.
#[tokio::test]
async fn broken_chunks() {
    let sidecar = TestSidecar::start().await;
    let lines = ["Content-Type: application/json", "Transfer-Encoding: chunked"];
    for tail in [
        "d\r\n{\"title\":\"x\"}\r\n",
        "zz\r\n{}\r\n0\r\n\r\n",
        "-1\r\n\r\n",
        "2\r\n{}x0\r\n\r\n",
        "ffffffffffffffff\r\n{}",
    ] {
        let bytes = head(&sidecar, "PATCH /api/deals/42", &lines) + tail;
        let mut stream = sidecar.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let replies = TestReply::parse_all(&read_to_end(stream).await);
        assert!(replies.iter().all(|reply| reply.status == 400), "{tail:?}: {replies:?}");
    }
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
}

#[tokio::test]
async fn a_caller_that_closes_its_half_still_gets_its_answer() {
    let sidecar = TestSidecar::start().await;
    let mut stream = sidecar.as_person("rep-east").open("GET", "/api/deals/42", "").await;
    stream.shutdown().await.unwrap();
    let bytes = read_to_end(stream).await;
    assert_eq!(TestReply::parse(&bytes, false).0.status, 200);
}

#[tokio::test]
async fn pipelined_requests_are_each_judged() {
    let sidecar = TestSidecar::start().await;
    let key = |person: &str| format!("Authorization: Bearer {}", sidecar.folder().key(person));
    let one = |target: &str, person: &str, last: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: h\r\n{}\r\n{last}\r\n", key(person))
    };
    let bytes = one("/api/deals/42", "admin", "")
        + &one("/api/deals/42", "rep-west", "")
        + &one("/api/deals/42", "rep-east", "")
        + "GET /api/deals/42 HTTP/1.1\r\nHost: h\r\n\r\n"
        + &one("/api/deals/42", "service", "Connection: close\r\n");
    let replies = TestReply::parse_all(&sidecar.raw(bytes).await);
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [200, 404, 200, 401, 200]);
    assert!(replies[0].text().contains("risk_score") && !replies[4].text().contains("risk_score"));
}

/// A transfer coding that is not undone: what is in it is read as it is, so a body that says it is gzip is no JSON.
#[tokio::test]
async fn a_transfer_coding_hides_nothing() {
    let sidecar = TestSidecar::start().await;
    let lines = ["Content-Type: application/json", "Transfer-Encoding: gzip, chunked", "Connection: close"];
    let gzip = super::codings::gzip(br#"{"title":"x"}"#);
    let head = head(&sidecar, "PATCH /api/deals/42", &lines);
    let chunk = format!("{:x}\r\n", gzip.len());
    let bytes = [head.as_bytes(), chunk.as_bytes(), &gzip, b"\r\n0\r\n\r\n"].concat();
    let replies = TestReply::parse_all(&sidecar.raw(bytes).await);
    assert!(replies.iter().all(|reply| (400..500).contains(&reply.status)), "{replies:?}");
    assert_eq!(replies.len(), 1);
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
}

/// `Expect: 100-continue` (RFC 9110 §10.1.1) is between caller and proxy: whoever may not send a body is told so at once, and
/// the CRM gets a whole request that expects nothing.
#[tokio::test]
async fn an_expectation_is_ours_to_answer() {
    let sidecar = TestSidecar::start().await;
    let body = r#"{"title":"x"}"#;
    let length = format!("Content-Length: {}", body.len());
    let lines = ["Content-Type: application/json", &length, "Expect: 100-continue", "Connection: close"];
    let mut stream = sidecar.connect().await;
    stream.write_all(head(&sidecar, "PATCH /api/deals/42", &lines).as_bytes()).await.unwrap();
    let go = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut interim = vec![0; go.len()];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(interim, go);
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new(), "nothing is forwarded before the body is there");
    stream.write_all(body.as_bytes()).await.unwrap();
    assert_eq!(TestReply::parse(&read_to_end(stream).await, false).0.status, 200);
    let seen = sidecar.crm().requests();
    let write = seen.iter().find(|request| request.method == http::Method::PATCH).unwrap();
    assert_eq!((&write.body[..], write.headers.get("expect")), (body.as_bytes(), None));
    for (line, key, status) in [
        ("PATCH /api/deals/42", false, 401),
        ("PATCH /api/nowhere", true, 403),
        ("GET /api/deals/..%2f42", true, 400),
    ] {
        let head = head(&sidecar, line, &lines);
        let head = if key { head } else { head.replace("Bearer ", "Bearer x") };
        let mut stream = sidecar.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let (reply, rest) = (read_to_end(stream).await, line);
        assert!(!String::from_utf8_lossy(&reply).contains("100 Continue"), "{rest}");
        assert_eq!(TestReply::parse(&reply, false).0.status, status, "{line}");
    }
}
