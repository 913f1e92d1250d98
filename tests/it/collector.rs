//! A collector of spans that keeps what it is sent, or hangs, or refuses [edge].
#![expect(clippy::disallowed_methods, reason = "edge: sockets of a collector under test")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;

/// How it answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Takes,
    Refuses,
    Hangs,
}

/// A collector that runs until the test ends.
pub struct Collector {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Collector {
    pub async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Vec<(HeaderMap, Bytes)>>> = Arc::default();
        let kept = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                let service = service_fn(move |request: Request<Incoming>| {
                    let kept = Arc::clone(&kept);
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await?.to_bytes();
                        kept.lock().unwrap().push((head.headers, body));
                        if mood == Mood::Hangs {
                            std::future::pending::<()>().await;
                        }
                        let mut response = Response::new(Full::<Bytes>::default());
                        *response.status_mut() =
                            http::StatusCode::from_u16(if mood == Mood::Takes { 200 } else { 503 }).unwrap();
                        Ok::<_, hyper::Error>(response)
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, received }
    }

    /// As it stands in the configuration.
    pub fn endpoint(&self) -> String {
        format!("\"http://{}/v1/traces\"", self.address)
    }

    /// Everything that came, as bytes.
    pub fn raw(&self) -> Vec<(HeaderMap, Bytes)> {
        self.received.lock().unwrap().clone()
    }

    /// The spans of everything that came.
    pub fn spans(&self) -> Vec<Span> {
        let message = |bytes: Bytes| ExportTraceServiceRequest::decode(bytes).unwrap();
        let messages = self.raw().into_iter().map(|(_, bytes)| message(bytes));
        let scopes = messages.flat_map(|message| message.resource_spans).flat_map(|spans| spans.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}
