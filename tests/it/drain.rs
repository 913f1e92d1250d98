//! The end of a service: new callers go elsewhere, those within get their answers, and every record is written.

use lockkeeper::demo::crm::faults::Fault;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::{Caller, TestReply, read_to_end};
use lockkeeper::testkit::http2::{Frames, GOAWAY, HEADERS};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Waits until the CRM was asked so many times.
async fn asked(sidecar: &TestSidecar, count: usize) {
    while sidecar.crm_saw().len() < count {
        lockkeeper::testkit::a_moment().await;
    }
}

#[tokio::test]
async fn those_within_get_their_answers() {
    let sidecar = TestSidecar::with(|options| options.set("listen", "h2c", true)).await;
    sidecar.crm().set_fault(Some(Fault::Hang));
    let key = format!("Bearer {}", sidecar.folder().key("rep-east"));
    // Neither asks for the end of its connection.
    let mut first = sidecar.connect().await;
    let request = format!("GET /api/deals/42 HTTP/1.1\r\nHost: h\r\nAuthorization: {key}\r\n\r\n");
    first.write_all(request.as_bytes()).await.unwrap();
    let mut second = Frames::connect(&sidecar.as_nobody(), &[]).await;
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/api/deals/42")];
    second.request(1, &[&fields[..], &[("authorization", key.as_str())]].concat()).await;
    let idle = sidecar.connect().await;
    asked(&sidecar, 2).await;
    let (crm, address) = (sidecar.crm().clone(), sidecar.address());
    let stopping = tokio::spawn(sidecar.stop());
    assert!(second.read_until(GOAWAY).await.is_some());
    // Nobody new is let in once the word is out.
    while TcpStream::connect(address).await.is_ok() {
        lockkeeper::testkit::a_moment().await;
    }
    crm.set_fault(None);
    let (reply, _) = TestReply::parse(&read_to_end(first).await, false);
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert!(second.read_until(HEADERS).await.is_some());
    while second.read().await.is_some() {}
    assert_eq!(read_to_end(idle).await, b"");
    let ledger = stopping.await.unwrap();
    let outcomes = ledger.of_kind("outcome");
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes.iter().all(|outcome| outcome["delivered"] == "yes"), "{outcomes:?}");
    assert_eq!(ledger.of_kind("stop").len(), 1);
}

/// Whoever outstays the drain time is cut off; what they began is recorded all the same.
#[tokio::test]
async fn those_who_outstay_are_cut_and_recorded() {
    let sidecar = TestSidecar::with(|options| {
        options.set("listen", "drain_timeout_ms", 0).set("upstream", "answer_timeout_ms", 300)
    })
    .await;
    sidecar.crm().set_fault_for(http::Method::PATCH, Fault::Hang);
    let write = sidecar.as_person("admin").open("PATCH", "/api/deals/42", r#"{"title":"x"}"#).await;
    asked(&sidecar, 2).await;
    let ledger = sidecar.stop().await;
    assert!(TestReply::try_parse(&read_to_end(write).await).is_none());
    let outcomes = ledger.of_kind("outcome");
    assert_eq!((outcomes.len(), outcomes[0]["reason"].as_str()), (1, Some("upstream-timeout")));
    assert_eq!(ledger.of_kind("delivery").len(), 1);
    // Nothing is left open for the next start to close.
    assert_eq!(ledger.of_kind("decision").len(), 1);
}

#[tokio::test]
async fn readiness_turns_red_before_the_listener_closes() {
    let sidecar = TestSidecar::with(|options| {
        options.set("listen", "drain_delay_ms", 2_000).set("listen", "health_address", "\"127.0.0.1:0\"")
    })
    .await;
    let health = Caller::new(sidecar.running().health_address.unwrap());
    assert_eq!(health.get("/readyz").await.status, 200);
    let caller = sidecar.as_person("rep-east");
    let stopping = tokio::spawn(sidecar.stop());
    while health.get("/readyz").await.status != 503 {
        lockkeeper::testkit::a_moment().await;
    }
    assert_eq!(caller.get("/api/deals/42").await.status, 200);
    assert_eq!(health.get("/livez").await.status, 200);
    assert_eq!(stopping.await.unwrap().of_kind("outcome").len(), 1);
}
