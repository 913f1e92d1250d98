//! A CRM that breaks HTTP itself: callers get a reason and none of its bytes, writes are sent once, and what is left on
//! a broken connection is never taken for somebody's answer.
#![expect(clippy::disallowed_methods, reason = "edge: the CRM's listener")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::TestReply;
use lockkeeper::testkit::ledger::Entries;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the origin does once it has read a request's head.
#[derive(Clone, Copy, Debug)]
enum Script {
    /// Sends these bytes and closes.
    Close(&'static str),
    /// Sends these bytes and then nothing, until the other side leaves.
    Hang(&'static str),
    /// Sends these bytes and resets the connection.
    Reset(&'static str),
    /// Sends the first bytes, then the second ones again and again, until the other side leaves.
    Endless(&'static str, &'static str),
    /// As `Endless`, but slowly.
    Drip(&'static str, &'static str),
}

/// What answers in the CRM's place.
struct Origin {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    /// Answers the first request of each connection: with `sane` if its method is `GET` and there is one, else by the script.
    async fn start(script: Script, sane: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(script));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (current, seen) = (Arc::clone(&script), Arc::clone(&heads));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let script = *current.lock().unwrap();
                tokio::spawn(serve(stream, script, sane.clone(), Arc::clone(&seen)));
            }
        });
        Self { address, script, heads }
    }

    /// Changes what connections from now on get, and forgets what was asked.
    fn set(&self, script: Script) {
        *self.script.lock().unwrap() = script;
        self.heads.lock().unwrap().clear();
    }

    fn count(&self, method: &str) -> usize {
        self.heads.lock().unwrap().iter().filter(|head| head.starts_with(method)).count()
    }
}

async fn serve(mut stream: TcpStream, script: Script, sane: Option<String>, heads: Arc<Mutex<Vec<String>>>) {
    let Some(head) = read_head(&mut stream).await else { return };
    let is_read = head.starts_with("GET");
    heads.lock().unwrap().push(head);
    let mut send = async |text: &str| stream.write_all(text.as_bytes()).await.is_ok();
    match (script, sane) {
        (_, Some(answer)) if is_read => {
            send(&answer).await;
        }
        (Script::Close(text), _) => {
            send(text).await;
        }
        (Script::Hang(text), _) => {
            send(text).await;
            let _ = stream.read(&mut [0]).await;
        }
        (Script::Reset(text), _) => {
            send(text).await;
            stream.set_zero_linger().unwrap();
        }
        (Script::Endless(first, then), _) => {
            let mut goes_on = send(first).await;
            while goes_on {
                goes_on = send(then).await;
            }
        }
        (Script::Drip(first, then), _) => {
            let mut goes_on = send(first).await;
            while goes_on {
                tokio::time::sleep(Duration::from_millis(20)).await;
                goes_on = send(then).await;
            }
        }
    }
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        head.extend_from_slice(buffer.get(..read)?);
    }
    String::from_utf8(head).ok()
}

/// Stands in everything that must not get through.
const CANARY: &str = "canary-5c1f";

/// What the origin does, and the reason that a reader gets. What never ends may meet the limit of time before that of size.
const SCRIPTS: &[(Script, &[&str])] = &[
    (Script::Close(""), &["upstream-broken"]),
    (Script::Close("canary-5c1f, not HTTP at all\r\n\r\n"), &["upstream-broken"]),
    (Script::Close("HTTP/1.1 200 OK\r\nX-Canary: canary-5c1f\r\n"), &["upstream-broken"]),
    (Script::Close("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"canary-5c1f\":1"), &["upstream-broken"]),
    (
        Script::Close("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x"),
        &["upstream-broken"],
    ),
    (
        Script::Close(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\ncanary-5c1f",
        ),
        &["upstream-broken"],
    ),
    (
        Script::Close("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\nzz\r\ncanary-5c1f"),
        &["upstream-broken"],
    ),
    (
        Script::Close("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\ncanary-5c1f"),
        &["upstream-malformed"],
    ),
    // A transfer coding that nobody undoes (RFC 9112 §7.2): what says it is gzip and is not, and what is.
    (
        Script::Close(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: gzip, chunked\r\n\r\nb\r\ncanary-5c1f\r\n0\r\n\r\n",
        ),
        &["upstream-malformed"],
    ),
    (
        Script::Close(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: gzip\r\n\r\ncanary-5c1f",
        ),
        &["upstream-malformed", "upstream-broken"],
    ),
    (Script::Close("HTTP/1.1 101 Switching Protocols\r\nUpgrade: canary-5c1f\r\n\r\n"), &["upstream-shape"]),
    (Script::Reset("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"canary-5c1f\":1"), &["upstream-broken"]),
    (Script::Hang(""), &["upstream-timeout"]),
    (Script::Hang("HTTP/1.1 200 OK\r\nX-Canary: canary-5c1f\r\n"), &["upstream-timeout"]),
    (Script::Hang("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"canary-5c1f\":1"), &["upstream-timeout"]),
    (Script::Drip("HTTP/1.1 200 OK\r\n", "X-Canary: canary-5c1f\r\n"), &["upstream-timeout"]),
    (
        Script::Drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "b\r\ncanary-5c1f\r\n"),
        &["upstream-timeout"],
    ),
    (Script::Endless("", "HTTP/1.1 103 Early Hints\r\nLink: canary-5c1f\r\n\r\n"), &["upstream-timeout"]),
    (
        Script::Endless("HTTP/1.1 200 OK\r\n", "X-Canary: canary-5c1f\r\n"),
        &["upstream-broken", "upstream-timeout"],
    ),
    (
        Script::Endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "b\r\ncanary-5c1f\r\n"),
        &["upstream-too-large", "upstream-timeout"],
    ),
];

async fn in_front_of(origin: &Origin) -> TestSidecar {
    let url = format!("\"http://{}\"", origin.address);
    TestSidecar::with(|options| {
        let options = options.set("upstream", "url", url).set("limits", "answer_bytes", 1_000_000);
        options.set("upstream", "answer_timeout_ms", 500)
    })
    .await
}

#[track_caller]
fn check(reply: &TestReply, reasons: &[&str], script: Script) {
    let reason = reply.reason();
    assert!(reasons.contains(&reason.as_str()), "{script:?}: {reason}");
    assert_eq!(reply.status, if reason == "upstream-timeout" { 504 } else { 502 }, "{script:?}");
    let everything = format!("{:?} {}", reply.headers, reply.text());
    assert!(!everything.contains(CANARY), "{script:?}: {everything}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_end_with_a_reason_and_one_record() {
    let origin = Origin::start(Script::Close(""), None).await;
    let sidecar = in_front_of(&origin).await;
    for (script, reasons) in SCRIPTS {
        origin.set(*script);
        let reply = sidecar.as_person("admin").get("/api/deals/42").await;
        check(&reply, reasons, *script);
        assert!(origin.count("GET") <= 2, "{script:?}: a read is tried twice at most");
        let has_ended = |ledger: &Entries| ledger.outcome(reply.decision()).is_some();
        let ledger = sidecar.ledger_when("the outcome", has_ended).await;
        assert_eq!(
            ledger.outcome(reply.decision()).unwrap()["reason"],
            reply.reason().as_str(),
            "{script:?}"
        );
    }
    let ledger = sidecar.stop_keeping_files().await;
    assert_eq!(Entries::read(&ledger.state()).of_kind("decision").len(), SCRIPTS.len());
    assert!(!ledger.all_text("state/ledger").contains(CANARY));
    println!(
        "| a CRM that breaks HTTP | {} ways | 502 or 504 each, none of its bytes, one record each |",
        SCRIPTS.len()
    );
}

/// Whatever becomes of it, a write is sent once, and what the CRM may have taken is told apart from what it cannot have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_sent_once() {
    let real = TestSidecar::start().await;
    let deal = real.crm_caller().get("/api/deals/42").await;
    let sane = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: \"1\"\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}",
        deal.body.len(),
        deal.text()
    );
    let origin = Origin::start(Script::Close(""), Some(sane)).await;
    let sidecar = in_front_of(&origin).await;
    for (script, _) in SCRIPTS {
        origin.set(*script);
        let reply = sidecar.as_person("admin").patch("/api/deals/42", r#"{"title":"x"}"#).await;
        assert!([502, 504].contains(&reply.status), "{script:?}: {}", reply.text());
        assert!(!format!("{:?} {}", reply.headers, reply.text()).contains(CANARY), "{script:?}");
        assert_eq!(origin.count("PATCH"), 1, "{script:?}");
        let ledger = sidecar.ledger();
        let outcome = ledger.outcome(reply.decision()).unwrap();
        assert_eq!(outcome["status"], reply.status, "{script:?}");
        assert_eq!(outcome["reason"], reply.reason().as_str(), "{script:?}");
    }
}

/// An origin that sends one answer more than it was asked for: the second is nobody's.
#[tokio::test]
async fn bytes_after_an_answer_are_nobodys_answer() {
    let two = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}\
               HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{\"id\":\"canary-5c1f\"}";
    let origin = Origin::start(Script::Hang(two), None).await;
    let sidecar = in_front_of(&origin).await;
    for person in ["admin", "rep-east"] {
        let reply = sidecar.as_person(person).get("/api/deals/42").await;
        check(&reply, &["upstream-shape"], Script::Hang(two));
    }
    assert_eq!(origin.count("GET"), 2, "each on a connection of its own");
}

/// Trailers, early hints and headers beyond the list stay behind; the body's own bytes arrive.
#[tokio::test]
async fn what_surrounds_an_answer_stays_behind() {
    let real = TestSidecar::start().await;
    let deal = real.crm_caller().get("/api/deals/42").await;
    let answer = format!(
        "HTTP/1.1 103 Early Hints\r\nLink: {CANARY}\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
         X-Canary: {CANARY}\r\nTrailer: X-Late\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
         {:x};ext={CANARY}\r\n{}\r\n0\r\nX-Late: {CANARY}\r\n\r\n",
        deal.body.len(),
        deal.text()
    );
    let origin = Origin::start(Script::Close(""), Some(answer)).await;
    let sidecar = in_front_of(&origin).await;
    let reply = sidecar.as_person("rep-east").get("/api/deals/42").await;
    assert_eq!((reply.status, &reply.json()["notes"]), (200, &deal.json()["notes"]));
    assert!(!format!("{:?}", reply.headers).contains(CANARY), "{:?}", reply.headers);
}
