//! HTTP framing: what two readers could cut at different places, and how many requests the CRM sees of it.

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::{TestReply, read_to_end};
use tokio::io::AsyncWriteExt;

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
