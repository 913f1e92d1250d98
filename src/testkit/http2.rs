//! Callers over HTTP/2: a client of hyper for what is well-formed, and frames by hand for what is not. [edge]
//!
//! Promises: one connection, as many requests as asked for. Never waits longer than [`PATIENCE`].
#![expect(clippy::disallowed_methods, reason = "edge: collects answers of the sidecar under test")]
#![expect(clippy::expect_used, clippy::panic, reason = "a test whose sockets fail has failed")]

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::client::{Caller, PATIENCE, SERVER_NAME, TestReply};
use crate::net::socket::Stream;

/// One connection of a caller.
pub struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    headers: HeaderMap,
    scheme: &'static str,
    /// Ends with the connection, with how it ended.
    pub ended: JoinHandle<Result<(), hyper::Error>>,
}

impl Http2 {
    /// Connects as a caller does, in the clear or over TLS.
    pub async fn connect(caller: &Caller, scheme: &'static str) -> Self {
        let stream = caller.connect().await.expect("the sidecar listens");
        let (sender, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a preface was exchanged");
        let headers = caller.headers().into_iter().collect();
        Self { sender, headers, scheme, ended: tokio::spawn(connection) }
    }

    /// A request as this caller sends it; a body is JSON.
    pub fn request(&self, method: Method, target: &str, body: &str) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(Bytes::from(body.to_owned())));
        let uri = format!("{}://{SERVER_NAME}{target}", self.scheme);
        *request.uri_mut() = uri.parse().expect("a target");
        *request.method_mut() = method;
        *request.headers_mut() = self.headers.clone();
        if !body.is_empty() {
            let json = http::HeaderValue::from_static("application/json");
            request.headers_mut().insert(http::header::CONTENT_TYPE, json);
        }
        request
    }

    /// Sends a request; the answer's body is not yet read.
    pub fn start(
        &self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = hyper::Result<http::Response<Incoming>>> + use<> {
        let mut sender = self.sender.clone();
        async move {
            sender.ready().await?;
            sender.send_request(request).await
        }
    }

    /// Sends a request and reads its answer whole.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> TestReply {
        let whole = async {
            let response = self.start(request).await.expect("an answer");
            let (head, body) = response.into_parts();
            let body = body.collect().await.expect("a whole body").to_bytes();
            TestReply { status: head.status.as_u16(), headers: head.headers, body: body.to_vec() }
        };
        match timeout(PATIENCE, whole).await {
            Ok(reply) => reply,
            Err(_) => panic!("no answer over HTTP/2"),
        }
    }

    /// `GET`.
    pub async fn get(&self, target: &str) -> TestReply {
        self.send(self.request(Method::GET, target, "")).await
    }
}

/// A connection on which frames are written by hand (RFC 9113 §4.1).
pub struct Frames {
    /// The connection.
    pub stream: Stream,
}

/// A frame that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frames {
    /// Connects and sends preface and settings, each setting an identifier and a value.
    pub async fn connect(caller: &Caller, settings: &[(u16, u32)]) -> Self {
        let mut frames = Self { stream: caller.connect().await.expect("the sidecar listens") };
        frames.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("a preface can be written");
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        frames.write(SETTINGS, 0, 0, &payload).await;
        frames
    }

    /// Writes a frame; a connection that is closed already swallows it.
    pub async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        let bytes = [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat();
        let _ = self.stream.write_all(&bytes).await;
    }

    /// Writes a request without a body, its header fields as literals (RFC 7541 §6.2.2).
    pub async fn request(&mut self, stream: u32, fields: &[(&str, &str)]) {
        self.write(HEADERS, END_STREAM | END_HEADERS, stream, &literals(fields)).await;
    }

    /// The next frame; none once the other side has closed.
    pub async fn read(&mut self) -> Option<Frame> {
        let reading = async {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let [a, b, c, kind, flags, stream @ ..] = head;
            let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?];
            self.stream.read_exact(&mut payload).await.ok()?;
            Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
        };
        match timeout(PATIENCE, reading).await {
            Ok(frame) => frame,
            Err(_) => panic!("no frame and no end"),
        }
    }

    /// Reads until a frame of a kind comes; none if the other side closes before.
    pub async fn read_until(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.read().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }
}

/// Header fields as literals without indexing.
pub fn literals(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short text");
        [&[length], text.as_bytes()].concat()
    };
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// Kinds of frames and flags.
pub const DATA: u8 = 0;
/// A head, or its first part.
pub const HEADERS: u8 = 1;
/// The end of a stream before its time.
pub const RST_STREAM: u8 = 3;
/// Limits of the sender.
pub const SETTINGS: u8 = 4;
/// The end of a connection, announced.
pub const GOAWAY: u8 = 7;
/// Nothing follows on this stream.
pub const END_STREAM: u8 = 1;
/// The head is whole.
pub const END_HEADERS: u8 = 4;
