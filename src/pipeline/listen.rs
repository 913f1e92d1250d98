//! Listening [edge]: connections become exchanges, replies become bytes.
//!
//! Promises: heads, connections and time are limited; a connection that cannot be read as HTTP is counted; a caller who
//! leaves does not end what was begun.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: sockets; the one place where callers' bodies are collected"
)]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::forward::Passage;
use super::outgoing::{Deliveries, Outgoing, OutgoingBody, Watched};
use super::sidecar::Sidecar;
use crate::bundle::profile::route::Route;
use crate::model::peer::Peer;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// A request as it came.
pub struct Exchange {
    /// The head.
    pub head: http::request::Parts,
    /// The body, not yet read.
    pub body: Incoming,
    /// The other end of the connection.
    pub peer: Arc<Peer>,
    /// What the CRM is told of the caller.
    pub passage: Passage,
}

/// Limits on connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Milliseconds for a head to arrive.
    pub head_timeout_ms: u64,
    /// Bytes of a head.
    pub head_bytes_max: usize,
    /// Header fields of a head.
    pub headers_max: usize,
    /// Milliseconds that open exchanges get when the service ends.
    pub drain_timeout_ms: u64,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            head_timeout_ms: 10_000,
            head_bytes_max: 64 * 1024,
            headers_max: 100,
            drain_timeout_ms: 10_000,
        }
    }
}

/// Serves callers until `shutdown` is ready, then lets open exchanges end.
pub async fn serve(
    listener: TcpListener,
    sidecar: Arc<Sidecar>,
    limits: ConnectionLimits,
    shutdown: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(sidecar.limits.connections_max));
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted");
                // Descriptors may be exhausted: without a pause this would be a busy loop.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&connections).try_acquire_owned() else {
            sidecar.refuse_connection(Reason::ConnectionsExhausted, &peer.ip().to_string());
            continue;
        };
        let peer = Arc::new(Peer::plain(peer.ip()));
        let connection = connection(stream, Arc::clone(&peer), Arc::clone(&sidecar), limits);
        let connection = graceful.watch(connection);
        let sidecar = Arc::clone(&sidecar);
        tokio::spawn(async move {
            let _slot = slot;
            let _open = sidecar.metrics.connection();
            if let Err(error) = connection.await
                && (error.is_parse() || error.is_parse_too_large())
            {
                sidecar.refuse_connection(Reason::HttpUnreadable, &peer.address.to_string());
            }
        });
    }
    drop(listener);
    if timeout(Duration::from_millis(limits.drain_timeout_ms), graceful.shutdown()).await.is_err() {
        tracing::warn!("exchanges were still open when the drain time ended");
    }
}

fn connection(
    stream: TcpStream,
    peer: Arc<Peer>,
    sidecar: Arc<Sidecar>,
    limits: ConnectionLimits,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let (stream, deliveries) = Watched::new(TokioIo::new(stream));
    let service = service_fn(move |request| {
        exchange(request, Arc::clone(&peer), Arc::clone(&sidecar), Arc::clone(&deliveries))
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.head_timeout_ms))
        .max_buf_size(limits.head_bytes_max.max(8 * 1024))
        .max_headers(limits.headers_max)
        // A client that closes its sending half after the request still gets its answer.
        .half_close(true)
        .serve_connection(stream, service)
}

async fn exchange(
    request: Request<Incoming>,
    peer: Arc<Peer>,
    sidecar: Arc<Sidecar>,
    deliveries: Arc<Deliveries>,
) -> Result<Response<OutgoingBody>, Infallible> {
    let (head, body) = request.into_parts();
    let passage = Passage { forwarded: forwarded(&head.headers, &peer), ..Passage::default() };
    let exchange = Exchange { head, body, peer, passage };
    let (reply_to, reply) = oneshot::channel();
    // hyper drops this future when the caller leaves; the task goes on and records.
    tokio::spawn(super::run(sidecar, exchange, reply_to));
    let outgoing = reply.await.unwrap_or_else(|_| {
        let (outgoing, _) = Outgoing::new(500, HeaderMap::new(), Bytes::new());
        outgoing
    });
    Ok(outgoing.into_response(&deliveries))
}

fn forwarded(headers: &HeaderMap, peer: &Peer) -> Vec<(HeaderName, HeaderValue)> {
    let mut forwarded =
        vec![(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static(peer.scheme.name()))];
    if let Ok(address) = HeaderValue::try_from(peer.address.to_string()) {
        forwarded.push((HeaderName::from_static("x-forwarded-for"), address));
    }
    if let Some(host) = headers.get(HOST) {
        forwarded.push((HeaderName::from_static("x-forwarded-host"), host.clone()));
    }
    forwarded
}

impl Passage {
    /// The passage on a route, with its own limits.
    pub fn with(&self, route: &Route) -> Passage {
        Passage {
            forwarded: self.forwarded.clone(),
            watch: self.watch.clone(),
            time_ms: route.limits.time_ms,
            answer_bytes_max: route.limits.answer_bytes,
        }
    }
}

/// Reads a request body whole.
pub async fn read_body(body: Incoming, bytes_max: usize, timeout_ms: u64) -> Result<Bytes, Problem> {
    let collected = timeout(Duration::from_millis(timeout_ms), Limited::new(body, bytes_max).collect()).await;
    match collected {
        Err(_) => Err(Reason::BodyTimeout.into()),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(Reason::BodyTooLarge.into())
        }
        Ok(Err(error)) => Err(Problem::new(Reason::BodyUnreadable).internal(error.to_string())),
    }
}
