//! The demo CRM's HTTP/1.1 server on a listener that the caller opened. [edge]
//!
//! Promises bounded bodies and connections. Never speaks TLS, never closes in good order: connections that are still
//! open at shutdown are dropped.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: collects request bodies, which are limited right before"
)]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::SERVER;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::DemoCrm;
use super::body::WireBody;
use super::error::ApiError;
use super::faults::Delivery;
use super::reply::Reply;
use super::seen::SeenRequest;

/// Serves `crm` until `shutdown` resolves; hanging requests end with it.
pub async fn serve(listener: TcpListener, crm: DemoCrm, shutdown: impl Future<Output = ()>) {
    serve_at_most(CONNECTIONS_MAX, listener, crm, shutdown).await;
}

/// [`serve`] with room for `connections_max` connections.
pub(super) async fn serve_at_most(
    connections_max: usize,
    listener: TcpListener,
    crm: DemoCrm,
    shutdown: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(connections_max));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some((stream, slot)) = accept(&listener, &slots) => {
                connections.spawn(converse(stream, crm.clone(), slot));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((stream, slot)),
            // Out of descriptors, as a rule: trying again at once would only burn the processor.
            Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
        }
    }
}

async fn converse(stream: TcpStream, crm: DemoCrm, slot: OwnedSemaphorePermit) {
    // Only latency is at stake, so a socket that refuses the option is served all the same.
    drop(stream.set_nodelay(true));
    let service = service_fn(|request| respond(&crm, request));
    // A client that goes away in the middle ends its own connection; nobody else has to know.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
    drop(slot);
}

async fn respond(crm: &DemoCrm, request: Request<Incoming>) -> Result<Response<WireBody>, Infallible> {
    let (head, body) = request.into_parts();
    let body = received(body).await;
    let request = SeenRequest {
        method: head.method,
        target: head.uri.to_string(),
        headers: head.headers,
        body: body.clone().unwrap_or_default(),
    };
    crm.note(request.clone());
    let delivery = match body {
        Ok(_) => crm.answer(&request).await,
        Err(error) => Reply::from(error).into(),
    };
    Ok(response(delivery))
}

async fn received(body: Incoming) -> Result<Bytes, ApiError> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge),
        Err(_) => Err(ApiError::MalformedJson),
    }
}

fn response(delivery: Delivery) -> Response<WireBody> {
    let mut response = Response::new(delivery.body);
    *response.status_mut() = delivery.head.status;
    *response.headers_mut() = delivery.head.headers;
    response.headers_mut().insert(SERVER, HeaderValue::from_static("LegacyCRM/3.2"));
    response
}

/// The largest request body, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Connections served at once; further ones wait in the listener's backlog.
pub const CONNECTIONS_MAX: usize = 4_096;
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
