//! Who the caller is where something stands in front: PROXY headers, `X-Forwarded-For`, unix sockets, and whom to believe.

use lockkeeper::model::reason::Reason;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::{TestReply, read_to_end};
use lockkeeper::testkit::folder::Options;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

const LOOPBACK: &str = r#"["127.0.0.0/8"]"#;

async fn behind(
    protocol: &str,
    trusted: &'static str,
    change: impl FnOnce(Options) -> Options,
) -> TestSidecar {
    TestSidecar::with(|options| {
        let options = options.set("listen", "proxy_protocol", format!("\"{protocol}\""));
        change(options.set("listen", "trusted_proxies", trusted))
    })
    .await
}

/// What the sidecar answers to some bytes before a request.
async fn after(sidecar: &TestSidecar, start: &[u8], header: &str) -> Option<TestReply> {
    let request = sidecar.as_person("rep-east").with_header(header).request("GET", ONE, "");
    TestReply::try_parse(&sidecar.raw([start, request.as_bytes()].concat()).await)
}

fn told(sidecar: &TestSidecar) -> Vec<String> {
    let seen = sidecar.crm().requests();
    seen.iter().map(|request| request.headers["x-forwarded-for"].to_str().unwrap().to_owned()).collect()
}

fn binary(address: [u8; 4]) -> Vec<u8> {
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &address, &[10, 0, 0, 1, 0, 80, 0, 80]].concat()
}

const NO_HEADER: &str = "X-Note: 1";
/// A route for which the CRM is asked exactly once.
const ONE: &str = "/api/pipelines";

#[tokio::test]
async fn the_caller_that_the_header_names() {
    let sidecar = behind("any", LOOPBACK, |options| options).await;
    let line = b"PROXY TCP4 203.0.113.9 10.0.0.1 5000 443\r\n";
    assert_eq!(after(&sidecar, line, NO_HEADER).await.unwrap().status, 200);
    assert_eq!(after(&sidecar, &binary([203, 0, 113, 10]), NO_HEADER).await.unwrap().status, 200);
    assert_eq!(after(&sidecar, b"PROXY UNKNOWN\r\n", NO_HEADER).await.unwrap().status, 200);
    assert_eq!(told(&sidecar), ["203.0.113.9", "203.0.113.10", "127.0.0.1"]);
    // The caller behind the load balancer is not believed, whatever he says.
    let lie = "X-Forwarded-For: 6.6.6.6";
    assert_eq!(after(&sidecar, line, lie).await.unwrap().status, 200);
    assert_eq!(told(&sidecar).last().unwrap(), "203.0.113.9");
}

#[tokio::test]
async fn connections_without_a_header_that_is_believed() {
    let sidecar = behind("v2", LOOPBACK, |options| options.set("listen", "handshake_timeout_ms", 300)).await;
    for start in
        [&b""[..], b"PROXY TCP4 203.0.113.9 10.0.0.1 5000 443\r\n", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0"]
    {
        assert_eq!(after(&sidecar, start, NO_HEADER).await, None);
    }
    let silent = sidecar.connect().await;
    assert_eq!(read_to_end(silent).await, b"");
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    sidecar.expect_refusals(&[(Reason::ProxyHeader, 4)]).await;
    // The same header from a peer that is not named.
    let stranger = behind("v2", r#"["192.0.2.0/24"]"#, |options| options).await;
    assert_eq!(after(&stranger, &binary([203, 0, 113, 10]), NO_HEADER).await, None);
    stranger.expect_refusals(&[(Reason::ProxyHeader, 1)]).await;
    // Where none is configured, none is read.
    let off = TestSidecar::start().await;
    let reply = after(&off, b"PROXY TCP4 203.0.113.9 10.0.0.1 5000 443\r\n", NO_HEADER).await;
    assert_eq!(reply.unwrap().status, 400);
    off.expect_refusals(&[(Reason::HttpUnreadable, 1)]).await;
}

/// Connections are counted by the caller that the header names, not by the load balancer.
#[tokio::test]
async fn each_caller_behind_a_load_balancer_has_his_own_limit() {
    let sidecar = behind("v1", LOOPBACK, |options| options.set("limits", "connections_per_source", 1)).await;
    let key = sidecar.folder().key("rep-east");
    let mut held = sidecar.connect().await;
    let line = "PROXY TCP4 203.0.113.9 10.0.0.1 5000 443\r\n";
    let request = format!("{line}GET {ONE} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {key}\r\n\r\n");
    held.write_all(request.as_bytes()).await.unwrap();
    while told(&sidecar).is_empty() {
        lockkeeper::testkit::a_moment().await;
    }
    assert_eq!(after(&sidecar, line.as_bytes(), NO_HEADER).await, None);
    let other = b"PROXY TCP4 203.0.113.10 10.0.0.1 5000 443\r\n";
    assert_eq!(after(&sidecar, other, NO_HEADER).await.unwrap().status, 200);
    drop(held);
    sidecar.expect_refusals(&[(Reason::ConnectionsExhausted, 1)]).await;
}

#[tokio::test]
async fn forwarded_headers_of_trusted_proxies() {
    let cases = [
        (r#"[]"#, "X-Forwarded-For: 203.0.113.9", "127.0.0.1"),
        (LOOPBACK, "X-Forwarded-For: 203.0.113.9", "203.0.113.9"),
        (LOOPBACK, "X-Forwarded-For: 6.6.6.6, 203.0.113.9, 127.0.0.2", "203.0.113.9"),
        (LOOPBACK, "X-Forwarded-For: 203.0.113.9, nonsense", "127.0.0.1"),
        (r#"["192.0.2.0/24"]"#, "X-Forwarded-For: 203.0.113.9", "127.0.0.1"),
    ];
    for (trusted, header, expected) in cases {
        let sidecar = behind("off", trusted, |options| options).await;
        assert_eq!(after(&sidecar, b"", header).await.unwrap().status, 200);
        assert_eq!(told(&sidecar), [expected], "{trusted} {header}");
        let sent = sidecar.crm().requests();
        assert_eq!(sent[0].headers.get_all("x-forwarded-for").iter().count(), 1);
    }
}

#[tokio::test]
async fn hosts_that_are_served() {
    let sidecar =
        TestSidecar::with(|options| options.set("listen", "hosts", r#"["CRM.test", "other.test:81"]"#)).await;
    for (host, expected) in [
        ("crm.test", None),
        ("CRM.TEST:8443", None),
        ("other.test:81", None),
        ("other.test", Some("host-unlisted")),
        ("other.test:82", Some("host-unlisted")),
        ("[::1]:80", Some("host-unlisted")),
        ("crm.test.evil.test", Some("host-unlisted")),
        ("crm.test, evil.test", Some("host-malformed")),
        ("crm.test/", Some("host-malformed")),
        ("a@crm.test", Some("host-malformed")),
    ] {
        let key = sidecar.folder().key("rep-east");
        let request = format!(
            "GET {ONE} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\r\n"
        );
        let (reply, _) = TestReply::parse(&sidecar.raw(request).await, false);
        match expected {
            Some(reason) => assert_eq!(reply.reason(), reason, "{host}"),
            None => {
                assert_eq!(reply.status, 200, "{host}");
                let told = sidecar.crm().requests().pop().unwrap().headers["x-forwarded-host"].clone();
                assert_eq!(told.to_str().unwrap().to_lowercase(), host.to_lowercase());
            }
        }
        assert_eq!(reply.status == 421, expected == Some("host-unlisted"), "{host}");
    }
}

#[tokio::test]
async fn a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    // One that an earlier process left behind is replaced.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    for (trusted, expected) in [("[]", "127.0.0.1"), (r#"["unix"]"#, "203.0.113.9")] {
        let sidecar = TestSidecar::with(|options| {
            options
                .set("listen", "address", format!("\"unix:{}\"", path.display()))
                .set("listen", "socket_mode", "\"0600\"")
                .set("listen", "trusted_proxies", trusted)
        })
        .await;
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let caller = sidecar.as_person("rep-east").with_header("X-Forwarded-For: 203.0.113.9");
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(caller.request("GET", ONE, "").as_bytes()).await.unwrap();
        assert_eq!(TestReply::parse(&read_to_end(stream).await, false).0.status, 200);
        assert_eq!(told(&sidecar), [expected]);
        drop(sidecar.stop().await);
        assert!(!path.exists(), "the file goes with the service");
    }
}
