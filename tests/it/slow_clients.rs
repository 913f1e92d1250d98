//! Callers who are slow, never read, or come in numbers: each phase has its limit, and others are served.

use std::io::Read;
use std::process::{Command, Stdio};

use lockkeeper::demo::crm::faults::Fault;
use lockkeeper::model::reason::Reason;
use lockkeeper::telemetry::readings::Readings;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::{Caller, TestReply, read_to_end};
use lockkeeper::testkit::folder::{Options, TestFolder};
use lockkeeper::testkit::http2::Http2;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn sidecar(section: &'static str, key: &'static str, value: impl ToString) -> TestSidecar {
    TestSidecar::with(|options| options.set(section, key, value)).await
}

fn keeping(sidecar: &TestSidecar) -> String {
    let key = sidecar.folder().key("rep-east");
    format!("GET /api/deals/42 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {key}\r\n\r\n")
}

/// Reads one answer off a connection that stays open.
async fn one_reply(stream: &mut tokio::net::TcpStream) -> TestReply {
    let mut bytes = Vec::new();
    loop {
        if let Some(reply) = TestReply::try_parse(&bytes) {
            return reply;
        }
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.unwrap();
        assert_ne!(read, 0, "the connection ended within an answer");
        bytes.extend_from_slice(&part[..read]);
    }
}

#[tokio::test]
async fn heads_that_do_not_end() {
    let sidecar = sidecar("listen", "head_timeout_ms", 300).await;
    let silent = sidecar.connect().await;
    let mut half = sidecar.connect().await;
    half.write_all(b"GET /api/deals/42 HTTP/1.1\r\nHost: h\r\n").await.unwrap();
    let mut second = sidecar.connect().await;
    second.write_all(keeping(&sidecar).as_bytes()).await.unwrap();
    assert_eq!(one_reply(&mut second).await.status, 200);
    second.write_all(b"GET /").await.unwrap();
    // Single bytes do not prolong it.
    let mut drip = sidecar.connect().await;
    let dripping = tokio::spawn(async move {
        for byte in keeping_forever() {
            if drip.write_all(&[byte]).await.is_err() {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        false
    });
    for stream in [silent, half, second] {
        assert_eq!(read_to_end(stream).await, b"");
    }
    assert!(dripping.await.unwrap());
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.status, 200);
    sidecar.expect_refusals(&[(Reason::HeadTimeout, 4)]).await;
}

fn keeping_forever() -> impl Iterator<Item = u8> + Send {
    b"GET / HTTP/1.1\r\nX-Note: ".iter().copied().chain(std::iter::repeat_n(b'x', 1_000))
}

#[tokio::test]
async fn connections_on_which_nothing_is_asked() {
    let sidecar = sidecar("listen", "idle_timeout_ms", 200).await;
    let mut stream = sidecar.connect().await;
    for _ in 0..2 {
        stream.write_all(keeping(&sidecar).as_bytes()).await.unwrap();
        assert_eq!(one_reply(&mut stream).await.status, 200);
    }
    assert_eq!(read_to_end(stream).await, b"");
    sidecar.expect_refusals(&[]).await;
}

/// An answer larger than the buffers between us, of which not a byte is read.
#[tokio::test]
async fn answers_that_nobody_reads() {
    let sidecar = TestSidecar::with(|options| {
        options.set("listen", "write_timeout_ms", 500).set("limits", "answer_bytes", 64 << 20)
    })
    .await;
    let unread = sidecar.as_person("rep-east").open("GET", "/api/pipelines", "").await;
    drop(unread);
    sidecar.crm().set_fault(Some(Fault::Big(30_000_000)));
    let mut unread = sidecar.as_person("rep-east").open("GET", "/api/pipelines", "").await;
    let ledger = sidecar.ledger_when("an outcome", |ledger| ledger.of_kind("outcome").len() == 2).await;
    assert_eq!(ledger.of_kind("outcome")[1]["delivered"], "abandoned");
    let mut whole = Vec::new();
    let _ = unread.read_to_end(&mut whole).await;
    assert!(whole.len() < 30_000_000, "the connection was closed before its end");
    sidecar.crm().set_fault(None);
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.status, 200);
}

/// A CRM that sends a style sheet in two parts with a pause between them.
async fn crm_that_pauses(bytes: usize, pause_ms: u64) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let read = stream.read(&mut [0; 4096]).await?;
                assert_ne!(read, 0, "a head comes");
                let head =
                    format!("HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nContent-Length: {bytes}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                let body = vec![b'x'; bytes];
                let (first, second) = body.split_at(bytes / 2);
                stream.write_all(first).await?;
                tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
                stream.write_all(second).await
            });
        }
    });
    address
}

/// A file is cut off where its caller reads nothing, and not where the CRM sends nothing.
#[tokio::test]
async fn files_wait_for_the_crm_and_not_for_the_caller() {
    async fn sidecar(crm: std::net::SocketAddr) -> TestSidecar {
        TestSidecar::with(|options| {
            let options =
                options.set("upstream", "url", format!("\"http://{crm}\"")).set("listen", "h2c", true);
            options.set("listen", "write_timeout_ms", 300)
        })
        .await
    }
    let slow = sidecar(crm_that_pauses(2_000, 1_500).await).await;
    assert_eq!(slow.as_nobody().get("/static/app.css").await.body.len(), 2_000);
    let second = Http2::connect(&slow.as_nobody(), "http").await;
    assert_eq!(second.get("/static/app.css").await.body.len(), 2_000);

    let large = sidecar(crm_that_pauses(60_000_000, 0).await).await;
    let unread = large.as_nobody().open("GET", "/static/app.css", "").await;
    let closed = |sidecar: &TestSidecar| {
        let metrics = sidecar.running().sidecar.metrics.encode(&Readings::default());
        metrics.contains("connections_closed_total{cause=\"unread\"} 1")
    };
    while !closed(&large) {
        lockkeeper::testkit::a_moment().await;
    }
    drop(unread);
}

#[tokio::test]
async fn connections_in_numbers() {
    for (key, max) in [("connections", 3), ("connections_per_source", 3)] {
        let sidecar = sidecar("limits", key, max).await;
        let mut held = Vec::new();
        for _ in 0..max {
            let mut stream = sidecar.connect().await;
            stream.write_all(keeping(&sidecar).as_bytes()).await.unwrap();
            assert_eq!(one_reply(&mut stream).await.status, 200);
            held.push(stream);
        }
        assert_eq!(read_to_end(sidecar.connect().await).await, b"", "{key}");
        drop(held.pop());
        // The place is given back once the sidecar has seen the end.
        let caller = sidecar.as_person("rep-east");
        let mut reply = None;
        while reply.is_none() {
            let stream = caller.open("GET", "/api/deals/42", "").await;
            reply = TestReply::try_parse(&read_to_end(stream).await);
        }
        assert_eq!(reply.unwrap().status, 200, "{key}");
        let refusals = sidecar.stop().await.refusals();
        assert_eq!(refusals[0].0, "connections-exhausted", "{key}");
    }
}

#[tokio::test]
async fn a_connection_that_has_carried_enough() {
    let sidecar = sidecar("listen", "connection_requests", 3).await;
    let mut stream = sidecar.connect().await;
    for number in 1..=3 {
        stream.write_all(keeping(&sidecar).as_bytes()).await.unwrap();
        let reply = one_reply(&mut stream).await;
        assert_eq!(reply.header("connection"), (number == 3).then_some("close"), "answer {number}");
    }
    assert_eq!(read_to_end(stream).await, b"");
}

#[tokio::test]
async fn a_connection_that_is_old() {
    let sidecar = sidecar("listen", "connection_age_ms", 200).await;
    let mut stream = sidecar.connect().await;
    stream.write_all(keeping(&sidecar).as_bytes()).await.unwrap();
    assert_eq!(one_reply(&mut stream).await.status, 200);
    assert_eq!(read_to_end(stream).await, b"");
}

/// A change that waits for another of the same record gives up in time, and nothing of it is forwarded.
#[tokio::test]
async fn changes_that_wait_for_each_other() {
    let sidecar = sidecar("limits", "lock_timeout_ms", 200).await;
    sidecar.crm().set_fault_for(http::Method::PATCH, Fault::Hang);
    let first = sidecar.as_person("admin").open("PATCH", "/api/deals/42", r#"{"title":"first"}"#).await;
    while sidecar.crm_writes().is_empty() {
        lockkeeper::testkit::a_moment().await;
    }
    let second = sidecar.as_person("admin").patch("/api/deals/42", r#"{"title":"second"}"#).await;
    assert_eq!((second.status, second.reason().as_str()), (503, "record-busy"));
    let other = sidecar.as_person("admin").get("/api/deals/42").await;
    assert_eq!(other.status, 200);
    sidecar.crm().set_fault(None);
    assert_eq!(TestReply::parse(&read_to_end(first).await, false).0.status, 200);
    assert_eq!(sidecar.crm_writes().len(), 1);
}

/// Few descriptors: callers hold all that they can get, and health, ledger and those who were let in go on.
#[tokio::test]
async fn descriptors_run_out() {
    let crm = lockkeeper::testkit::TestCrm::start().await;
    let options = Options::default()
        .set("listen", "health_address", "\"127.0.0.1:0\"")
        .set("log", "format", "\"json\"");
    let folder = TestFolder::new(options, crm.address);
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" serve --config \"$1\"", env!("CARGO_BIN_EXE_lockkeeper")])
        .arg(folder.path().join("lockkeeper.toml"))
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (address, health) =
        tokio::task::spawn_blocking(move || addresses(&mut child).map(|found| (found, child)))
            .await
            .unwrap()
            .map(|((address, health), child)| ((address, child), health))
            .unwrap();
    let (address, mut child) = address;
    let caller =
        Caller::new(address).with_header(&format!("Authorization: Bearer {}", folder.key("rep-east")));
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(caller.connect().await.unwrap());
    }
    assert_eq!(Caller::new(health).get("/readyz").await.status, 200);
    held.truncate(4);
    let mut served = None;
    while served.is_none() {
        let stream = caller.open("GET", "/api/deals/42", "").await;
        served = TestReply::try_parse(&read_to_end(stream).await);
    }
    assert_eq!(served.unwrap().status, 200);
    assert_eq!(Caller::new(health).get("/readyz").await.status, 200);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The addresses that the log of a start names.
fn addresses(child: &mut std::process::Child) -> Option<(std::net::SocketAddr, std::net::SocketAddr)> {
    let mut text = String::new();
    let mut log = child.stderr.take()?;
    let mut part = [0; 4096];
    loop {
        let read = log.read(&mut part).ok().filter(|read| *read > 0)?;
        text.push_str(&String::from_utf8_lossy(&part[..read]));
        let find = |name: &str| {
            let (_, rest) = text.split_once(&format!("\"{name}\":\""))?;
            rest.split('"').next()?.parse().ok()
        };
        if let (Some(address), Some(health)) = (find("listen"), find("health")) {
            // What comes later must have somewhere to go.
            std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
            return Some((address, health));
        }
    }
}

/// Whoever holds every place of the health or the admin listener without asking keeps no probe and no operator out.
#[tokio::test]
async fn idle_connections_keep_no_probe_out() {
    const TOKEN: &str = "admin-token-canary-90ab";
    let sidecar = TestSidecar::with(|options| {
        options
            .set("listen", "health_address", "\"127.0.0.1:0\"")
            .set("admin", "address", "\"127.0.0.1:0\"")
            .set("admin", "token_file", "\"admin.token\"")
            .edit("admin.token", |_| TOKEN.to_owned())
    })
    .await;
    let (health, admin) =
        (sidecar.running().health_address.unwrap(), sidecar.running().admin_address.unwrap());
    for (address, path) in [(health, "/readyz"), (admin, "/status")] {
        let mut held = Vec::new();
        for _ in 0..100 {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        let caller = Caller::new(address).with_header(&format!("Authorization: Bearer {TOKEN}"));
        for _ in 0..3 {
            assert_eq!(caller.get(path).await.status, 200, "{path}");
        }
        // The oldest made room; the youngest still waits to be asked something.
        let mut oldest = held.remove(0);
        assert_eq!(oldest.read(&mut [0; 1]).await.unwrap(), 0);
        let mut youngest = held.pop().unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
        youngest.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        youngest.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
}
