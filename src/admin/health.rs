//! Health: `/livez` and `/readyz`, without detail and without authentication, on a listener of their own.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::net::TcpListener;

use super::door::{Pace, accept};
use super::reply;
use crate::pipeline::sidecar::Sidecar;

/// Serves health until `shutdown` is ready.
pub async fn serve(listener: TcpListener, sidecar: Arc<Sidecar>, shutdown: impl Future<Output = ()>) {
    accept(listener, PACE, shutdown, move |request| {
        let is_ready = sidecar.readiness.is_ready();
        let is_observing = sidecar.observing.open(sidecar.clock.now_ms()).next().is_some();
        async move {
            let (status, text) = match (request.method(), request.uri().path()) {
                (&Method::GET, "/livez") => (StatusCode::OK, "ok\n"),
                (&Method::GET, "/readyz") if is_ready && is_observing => (StatusCode::OK, "ok, observing\n"),
                (&Method::GET, "/readyz") if is_ready => (StatusCode::OK, "ok\n"),
                (&Method::GET, "/readyz") => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
                _ => (StatusCode::NOT_FOUND, "not found\n"),
            };
            reply(status, "text/plain; charset=utf-8", text.to_owned())
        }
    })
    .await;
}

/// A probe asks at once, and is not asked from far away.
const PACE: Pace = Pace { head: Duration::from_secs(2), whole: Duration::from_secs(5) };
