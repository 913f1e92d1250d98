//! Callers: a plain HTTP/1.1 client, one connection per request, that changes and follows nothing. [edge]
//!
//! Promises to show answers as they are. Never waits longer than [`PATIENCE`].
#![expect(clippy::disallowed_methods, reason = "edge: connects to the sidecar under test")]
#![expect(clippy::expect_used, clippy::panic, reason = "a test whose sockets fail has failed")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::net::socket::Stream;
use crate::pipeline::respond::DECISION_HEADER;

/// Someone who sends requests.
#[derive(Clone)]
pub struct Caller {
    address: SocketAddr,
    headers: Vec<String>,
    tls: Option<Arc<ClientConfig>>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestReply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Caller {
    /// A caller of an address, without a credential.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, headers: Vec::new(), tls: None }
    }

    /// The same caller with one more header on every request, as `Name: value`.
    #[must_use]
    pub fn with_header(mut self, line: &str) -> Self {
        self.headers.push(line.to_owned());
        self
    }

    /// The same caller over TLS, who expects a server named `lockkeeper.test`.
    #[must_use]
    pub fn over_tls(mut self, config: ClientConfig) -> Self {
        self.tls = Some(Arc::new(config));
        self
    }

    /// The headers that every request carries, as names and values.
    pub fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let pair = |line: &String| {
            let (name, value) = line.split_once(": ").expect("a header line has a colon");
            let name = HeaderName::try_from(name).expect("a header's name");
            (name, HeaderValue::try_from(value).expect("a header's value"))
        };
        self.headers.iter().map(pair).collect()
    }

    /// A connection on which nothing was written; fails as the handshake does.
    pub async fn connect(&self) -> io::Result<Stream> {
        let stream = TcpStream::connect(self.address).await?;
        let Some(config) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(SERVER_NAME).expect("a name of a server");
        Ok(Box::new(TlsConnector::from(Arc::clone(config)).connect(name, stream).await?))
    }

    /// `GET`.
    pub async fn get(&self, target: &str) -> TestReply {
        self.send("GET", target, "").await
    }

    /// `HEAD`.
    pub async fn head(&self, target: &str) -> TestReply {
        self.send("HEAD", target, "").await
    }

    /// `DELETE`.
    pub async fn delete(&self, target: &str) -> TestReply {
        self.send("DELETE", target, "").await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&self, target: &str, body: impl ToString) -> TestReply {
        self.send("PATCH", target, body).await
    }

    /// `PUT` with a JSON body.
    pub async fn put(&self, target: &str, body: impl ToString) -> TestReply {
        self.send("PUT", target, body).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, target: &str, body: impl ToString) -> TestReply {
        self.send("POST", target, body).await
    }

    /// Any method; a body is JSON unless a header says otherwise.
    pub async fn send(&self, method: &str, target: &str, body: impl ToString) -> TestReply {
        let mut stream = self.connect().await.expect("the sidecar listens");
        // The sidecar may close before it has read everything; what it answered counts.
        let _ = stream.write_all(self.request(method, target, &body.to_string()).as_bytes()).await;
        let bytes = read_to_end(stream).await;
        let (reply, rest) = TestReply::parse(&bytes, method == "HEAD");
        assert!(rest.is_empty(), "bytes after the answer to {method} {target}");
        reply
    }

    /// The bytes of a request that closes its connection.
    pub fn request(&self, method: &str, target: &str, body: &str) -> String {
        let mut text =
            format!("{method} {target} HTTP/1.1\r\nHost: lockkeeper.test\r\nConnection: close\r\n");
        for line in &self.headers {
            text.push_str(&format!("{line}\r\n"));
        }
        let has_type = self.headers.iter().any(|line| line.to_ascii_lowercase().starts_with("content-type:"));
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
            if !has_type {
                text.push_str("Content-Type: application/json\r\n");
            }
        }
        text + "\r\n" + body
    }

    /// A connection on which a request was written and nothing read.
    pub async fn open(&self, method: &str, target: &str, body: &str) -> TcpStream {
        self.try_open(method, target, body).await.expect("the sidecar listens")
    }

    /// The same where the sidecar may be gone.
    pub async fn try_open(&self, method: &str, target: &str, body: &str) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(self.address).await.ok()?;
        stream.write_all(self.request(method, target, body).as_bytes()).await.ok()?;
        Some(stream)
    }
}

impl TestReply {
    /// Takes one answer off the front of some bytes.
    #[track_caller]
    pub fn parse(bytes: &[u8], is_head: bool) -> (Self, &[u8]) {
        match Self::split(bytes, is_head) {
            Some(found) => found,
            None => panic!("not a whole answer: `{}`", String::from_utf8_lossy(bytes)),
        }
    }

    /// The answer at the front of some bytes, if it came whole.
    pub fn try_parse(bytes: &[u8]) -> Option<Self> {
        Self::split(bytes, false).map(|(reply, _)| reply)
    }

    fn split(bytes: &[u8], is_head: bool) -> Option<(Self, &[u8])> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let (head, rest) = bytes.split_at_checked(end + 4)?;
        let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
        }
        let announced = headers.get("content-length").and_then(|value| value.to_str().ok());
        let length = if is_head { 0 } else { announced.map_or(Some(0), |text| text.parse().ok())? };
        let (body, rest) = rest.split_at_checked(length)?;
        Some((Self { status, headers, body: body.to_vec() }, rest))
    }

    /// All answers in some bytes.
    #[track_caller]
    pub fn parse_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut replies = Vec::new();
        while !bytes.is_empty() {
            let (reply, rest) = Self::parse(bytes, false);
            replies.push(reply);
            bytes = rest;
        }
        replies
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body is text")
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in `{}`", self.text()))
    }

    /// The reason of a problem document; fails unless it is one in every respect.
    #[track_caller]
    pub fn reason(&self) -> String {
        let problem = self.json();
        let member = |name: &str| problem.get(name).cloned().unwrap_or_default();
        let reason = member("reason").as_str().map(str::to_owned).expect("a reason");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(member("type"), format!("urn:lockkeeper:reason:{reason}"));
        assert_eq!(member("status"), self.status);
        assert_eq!(member("decision"), self.decision());
        reason
    }

    /// The decision id.
    #[track_caller]
    pub fn decision(&self) -> &str {
        self.header(DECISION_HEADER.as_str()).expect("every answer of ours names its decision")
    }

    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// All that two answers may be told apart by: everything but the date and the decision id.
    #[must_use]
    pub fn observable(&self) -> Self {
        let mut same = self.clone();
        let decision = self.header(DECISION_HEADER.as_str()).unwrap_or_default();
        if let (Ok(text), false) = (std::str::from_utf8(&self.body), decision.is_empty()) {
            same.body = text.replace(decision, "").into_bytes();
        }
        same.headers.remove(DATE);
        same.headers.remove(DECISION_HEADER);
        same
    }
}

/// Writes bytes on a connection of their own and reads until it is closed.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("the sidecar listens");
    // The sidecar may close before it has read everything; what it answered counts.
    let _ = stream.write_all(bytes).await;
    read_to_end(stream).await
}

/// Reads until the other side closes.
pub async fn read_to_end(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset ends the answer like a close: what came before it counts.
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    assert!(read.is_ok(), "no end of the answer; so far `{}`", String::from_utf8_lossy(&bytes));
    bytes
}

/// The name that callers over TLS expect, and put into `Host`.
pub const SERVER_NAME: &str = "lockkeeper.test";
/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(30);
