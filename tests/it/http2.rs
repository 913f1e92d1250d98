//! HTTP/2 from callers: the same answers, the same refusals, limits of its own, and delivery that is told truthfully.

use http::{HeaderValue, Method};
use lockkeeper::model::reason::Reason;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::folder::Options;
use lockkeeper::testkit::http2::{
    DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, Http2, RST_STREAM, literals,
};

use super::certificates::{Authority, listening};

async fn in_the_clear(change: impl FnOnce(Options) -> Options) -> TestSidecar {
    TestSidecar::with(|options| change(options.set("listen", "h2c", true))).await
}

fn fields<'a>(method: &'a str, path: &'a str, key: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", method),
        (":scheme", "http"),
        (":authority", "lockkeeper.test"),
        (":path", path),
        ("authorization", key),
    ]
}

fn key(sidecar: &TestSidecar) -> String {
    format!("Bearer {}", sidecar.folder().key("rep-east"))
}

#[tokio::test]
async fn answers_are_those_of_the_first_version() {
    let authority = Authority::new();
    let sidecar =
        TestSidecar::with(|options| listening(options, &authority.issue(&["lockkeeper.test"]))).await;
    let first = sidecar.as_person("rep-east").over_tls(authority.client(&["http/1.1"]));
    let second = sidecar.as_person("rep-east").over_tls(authority.client(&["h2", "http/1.1"]));
    let second = Http2::connect(&second, "https").await;
    for target in
        ["/api/deals/42", "/api/deals", "/api/deals/7", "/api/deals?sort=margin", "/nowhere", "/api//deals"]
    {
        let (old, new) = (first.get(target).await, second.get(target).await);
        assert_eq!((old.status, old.observable().text()), (new.status, new.observable().text()), "{target}");
        assert!(new.header("connection").is_none());
    }
    let write =
        second.send(second.request(Method::PATCH, "/api/deals/42", r#"{"title":"Over HTTP/2"}"#)).await;
    assert_eq!(write.status, 200);
    assert_eq!(sidecar.crm_writes(), ["PATCH /api/deals/42"]);
    let seen = sidecar.crm().requests();
    // No hosts are listed here, so what the caller calls us is not handed on.
    assert!(seen.iter().all(|request| !request.headers.contains_key("x-forwarded-host")));
}

/// Many streams at once: each has its decision and its outcome, and what was read is recorded as delivered.
#[tokio::test]
async fn many_streams_are_each_recorded() {
    let sidecar = in_the_clear(|options| options).await;
    let connection = std::sync::Arc::new(Http2::connect(&sidecar.as_person("rep-east"), "http").await);
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let connection = std::sync::Arc::clone(&connection);
            tokio::spawn(async move { connection.get("/api/deals/42").await })
        })
        .collect();
    let mut ids = Vec::new();
    for asked in asking {
        let reply = asked.await.unwrap();
        assert_eq!(reply.status, 200);
        ids.push(reply.decision().to_owned());
    }
    let head = connection.send(connection.request(Method::HEAD, "/api/deals/42", "")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    let ledger = sidecar.stop().await;
    for id in &ids {
        assert_eq!(ledger.outcome(id).unwrap()["delivered"], "yes");
    }
    // Nothing tells when the head of an answer without a body has left.
    assert_eq!(ledger.outcome(head.decision()).unwrap()["delivered"], "unknown");
}

/// An answer for which the caller leaves no room is not delivered, however often the connection is flushed for others.
#[tokio::test]
async fn an_answer_without_room_is_not_delivered() {
    let sidecar = in_the_clear(|options| options.set("listen", "write_timeout_ms", 500)).await;
    const INITIAL_WINDOW: u16 = 4;
    let mut frames = Frames::connect(&sidecar.as_nobody(), &[(INITIAL_WINDOW, 10)]).await;
    let key = key(&sidecar);
    frames.request(1, &fields("GET", "/api/deals/42", &key)).await;
    let head = frames.read_until(HEADERS).await.unwrap();
    assert_eq!((head.stream, head.flags & END_STREAM), (1, 0));
    let part = frames.read_until(DATA).await.unwrap();
    assert_eq!((part.payload.len(), part.flags & END_STREAM), (10, 0));
    // Pings make the connection flush again and again.
    for _ in 0..5 {
        frames.write(6, 0, 0, b"pingping").await;
        assert!(frames.read_until(6).await.is_some());
    }
    assert_eq!(sidecar.ledger().of_kind("outcome").len(), 0);
    // The caller never makes room: the connection is closed, and the ledger knows.
    while frames.read().await.is_some() {}
    let ledger = sidecar.ledger_when("an outcome", |ledger| !ledger.of_kind("outcome").is_empty()).await;
    assert_eq!(ledger.of_kind("outcome")[0]["delivered"], "abandoned");
}

#[tokio::test]
async fn a_stream_that_is_taken_back_is_abandoned() {
    let sidecar = in_the_clear(|options| options).await;
    let mut frames = Frames::connect(&sidecar.as_nobody(), &[(4, 10)]).await;
    let key = key(&sidecar);
    frames.request(1, &fields("GET", "/api/deals/42", &key)).await;
    assert!(frames.read_until(DATA).await.is_some());
    frames.write(RST_STREAM, 0, 1, &8_u32.to_be_bytes()).await;
    let ledger = sidecar.ledger_when("an outcome", |ledger| !ledger.of_kind("outcome").is_empty()).await;
    assert_eq!(ledger.of_kind("outcome")[0]["delivered"], "abandoned");
    // The connection serves on.
    frames.write(8, 0, 0, &1_000_000_u32.to_be_bytes()).await;
    frames.request(3, &fields("GET", "/api/nowhere", &key)).await;
    assert_eq!(frames.read_until(HEADERS).await.unwrap().stream, 3);
}

#[tokio::test]
async fn requests_that_say_two_things() {
    let sidecar = in_the_clear(|options| options).await;
    let connection = Http2::connect(&sidecar.as_person("rep-east"), "http").await;
    let with = |name: &'static str, value: &'static str| {
        let mut request = connection.request(Method::GET, "/api/deals/42", "");
        request.headers_mut().append(name, HeaderValue::from_static(value));
        request
    };
    for (name, value, reason) in [
        ("host", "other.test", Some("target-form")),
        ("host", "lockkeeper.test", None),
        ("x_api_key", "1", Some("header-underscore")),
        ("x-http-method-override", "DELETE", Some("method-override")),
        ("authorization", "Bearer other", Some("credentials-conflict")),
        ("te", "trailers", None),
    ] {
        let reply = connection.send(with(name, value)).await;
        match reason {
            Some(reason) => assert_eq!(reply.reason(), reason, "{name}: {value}"),
            None => assert_eq!(reply.status, 200, "{name}: {value}"),
        }
    }
    let mut tunnel = connection.request(Method::CONNECT, "", "");
    *tunnel.uri_mut() = "lockkeeper.test:443".parse().unwrap();
    assert_eq!(connection.send(tunnel).await.reason(), "target-form");
}

/// What RFC 9113 calls malformed ends the stream, or the connection, and reaches nobody.
#[tokio::test]
async fn malformed_requests_end_their_stream() {
    let sidecar = in_the_clear(|options| options).await;
    let key = key(&sidecar);
    let good = fields("GET", "/api/deals/42", &key);
    let with = |extra: &[(&'static str, &'static str)]| [good.clone(), extra.to_vec()].concat();
    let cases: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("connection", with(&[("connection", "x-api-key")])),
        ("keep-alive", with(&[("keep-alive", "timeout=1")])),
        ("transfer-encoding", with(&[("transfer-encoding", "chunked")])),
        ("upgrade", with(&[("upgrade", "websocket")])),
        ("te", with(&[("te", "gzip")])),
        ("upper case", with(&[("X-Note", "1")])),
        ("late pseudo-header", with(&[(":path", "/api/deals/7")])),
        ("two paths", [vec![(":path", "/api/deals/7")], good.clone()].concat()),
        ("no path", good.iter().copied().filter(|(name, _)| *name != ":path").collect()),
        ("no method", good.iter().copied().filter(|(name, _)| *name != ":method").collect()),
        (
            "a tunnel for websockets",
            [vec![(":protocol", "websocket")], fields("CONNECT", "/api/deals/42", &key)].concat(),
        ),
        ("two lengths", with(&[("content-length", "4"), ("content-length", "5")])),
        ("a length and no body", with(&[("content-length", "4")])),
    ];
    for (what, fields) in cases {
        let mut frames = Frames::connect(&sidecar.as_nobody(), &[]).await;
        frames.request(1, &fields).await;
        let told = loop {
            match frames.read().await {
                Some(frame) if ![HEADERS, RST_STREAM, GOAWAY].contains(&frame.kind) => {}
                frame => break frame.map(|frame| frame.kind),
            }
        };
        assert!(matches!(told, Some(RST_STREAM | GOAWAY)), "{what}: {told:?}");
    }
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
}

#[tokio::test]
async fn trailers_of_a_request_are_dropped() {
    let sidecar = in_the_clear(|options| options).await;
    let key = key(&sidecar);
    let body = br#"{"title":"With trailers"}"#;
    let head = [fields("PATCH", "/api/deals/42", &key), vec![("content-type", "application/json")]].concat();
    let mut frames = Frames::connect(&sidecar.as_nobody(), &[]).await;
    frames.write(HEADERS, END_HEADERS, 1, &literals(&head)).await;
    frames.write(DATA, 0, 1, body).await;
    frames
        .write(HEADERS, END_HEADERS | END_STREAM, 1, &literals(&[("x-api-key", "stolen"), ("if-match", "1")]))
        .await;
    assert!(frames.read_until(DATA).await.is_some());
    let write = sidecar.crm().requests().into_iter().find(|request| request.method == Method::PATCH).unwrap();
    assert_eq!(write.body, &body[..]);
    assert!(write.headers["if-match"] != "1" && write.headers.get("trailer").is_none());
    assert_ne!(write.headers["x-api-key"], "stolen");
}

#[tokio::test]
async fn heads_have_their_limits() {
    let sidecar =
        in_the_clear(|options| options.set("limits", "headers", 10).set("limits", "head_bytes", 8192)).await;
    let connection = Http2::connect(&sidecar.as_person("rep-east"), "http").await;
    let many = |count: usize| {
        let mut request = connection.request(Method::GET, "/api/deals/42", "");
        for _ in 0..count {
            request.headers_mut().append("x-note", HeaderValue::from_static("1"));
        }
        request
    };
    assert_eq!(connection.send(many(9)).await.status, 200);
    let over = connection.send(many(10)).await;
    assert_eq!((over.status, over.reason().as_str()), (431, "header-too-many"));
    let mut long = connection.request(Method::GET, "/api/deals/42", "");
    long.headers_mut().insert("x-note", HeaderValue::try_from("x".repeat(9000)).unwrap());
    let over = connection.send(long).await;
    assert_eq!((over.status, over.body.len()), (431, 0));
}

#[tokio::test]
async fn streams_have_their_limit() {
    let sidecar = in_the_clear(|options| options.set("listen.http2", "streams", 2)).await;
    sidecar.crm().set_fault(Some(lockkeeper::demo::crm::faults::Fault::Hang));
    let mut frames = Frames::connect(&sidecar.as_nobody(), &[]).await;
    let key = key(&sidecar);
    for stream in [1, 3, 5] {
        frames.request(stream, &fields("GET", "/api/deals/42", &key)).await;
    }
    let refused = frames.read_until(RST_STREAM).await.unwrap();
    const REFUSED_STREAM: u32 = 7;
    assert_eq!((refused.stream, refused.payload), (5, REFUSED_STREAM.to_be_bytes().to_vec()));
    sidecar.crm().set_fault(None);
    assert!(frames.read_until(HEADERS).await.is_some());
}

/// A caller who opens streams and takes them back at once is cut off, and what it began stays within its streams.
#[tokio::test]
async fn streams_that_are_opened_and_taken_back() {
    let sidecar = in_the_clear(|options| options.set("listen.http2", "streams", 5)).await;
    sidecar.crm().set_fault(Some(lockkeeper::demo::crm::faults::Fault::Hang));
    let mut frames = Frames::connect(&sidecar.as_nobody(), &[]).await;
    let key = key(&sidecar);
    for number in 0..2_000_u32 {
        let stream = number * 2 + 1;
        frames.request(stream, &fields("GET", "/api/deals/42", &key)).await;
        frames.write(RST_STREAM, 0, stream, &8_u32.to_be_bytes()).await;
    }
    // Either side of the race may win: the announced end, or its connection's.
    let _ = frames.read_until(GOAWAY).await;
    assert!(sidecar.crm_saw().len() <= 5, "{} requests of one connection at once", sidecar.crm_saw().len());
    // Others are served.
    sidecar.crm().set_fault(None);
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.status, 200);
}

#[tokio::test]
async fn in_the_clear_only_where_it_is_configured() {
    let sidecar = TestSidecar::start().await;
    let mut frames = Frames::connect(&sidecar.as_nobody(), &[]).await;
    while frames.read().await.is_some() {}
    sidecar.expect_refusals(&[(Reason::HttpUnreadable, 1)]).await;
    // Where it is, HTTP/1.1 is spoken as before.
    let both = in_the_clear(|options| options).await;
    assert_eq!(both.as_person("rep-east").get("/api/deals/42").await.status, 200);
    let mut frames = Frames::connect(&both.as_nobody(), &[]).await;
    // A frame that has no place here (RFC 9113 §6.6).
    frames.write(5, 0, 1, &[0; 4]).await;
    assert!(frames.read_until(GOAWAY).await.is_some());
}
