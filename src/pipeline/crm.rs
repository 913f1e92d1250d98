//! The client of the CRM, made of its options and of certificate files, and why it got no answer.
//!
//! Promises: every limit is set and none is left to a default; callers get a reason, operators what to look at.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls_pki_types::ServerName;
use tokio::sync::Semaphore;

use super::stream::Sending;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::net::coding::CodingLimits;
use crate::net::connector::{ConnectError, Connector, Target, TargetTls, explain_upstream, rustls_error};
use crate::net::remote::causes;
use crate::net::renewed::{Made, Renewed, TlsError};
use crate::net::tls_client::ClientTlsOptions;

/// Where the CRM is and how long to wait for it.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// As operators know it: `https://host:port` or `unix:/path`.
    pub origin: String,
    /// Where connections go.
    pub target: Target,
    /// A path before every path of the profile, without a trailing slash.
    pub base_path: String,
    /// The `Host` header, if not the origin's.
    pub host: Option<String>,
    /// TLS, and who is expected there; in the clear without it.
    pub tls: Option<(ClientTlsOptions, ServerName<'static>)>,
    /// Time limits.
    pub times: UpstreamTimes,
    /// Bytes of an answer.
    pub answer_bytes_max: usize,
    /// Limits on its codings.
    pub coding: CodingLimits,
    /// Connections at once.
    pub connections_max: usize,
    /// Idle connections that are kept.
    pub idle_connections_max: usize,
}

/// How long the CRM may take for what.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamTimes {
    /// To wait for a free connection.
    pub wait: Duration,
    /// To connect, TLS handshake included.
    pub connect: Duration,
    /// From the request to the head of the answer.
    pub head: Duration,
    /// Between two parts of the answer's body.
    pub body_idle: Duration,
    /// From the request to the end of the answer.
    pub answer: Duration,
    /// That an idle connection is kept.
    pub idle: Duration,
}

/// The client itself.
pub type CrmClient = Client<Connector, Sending>;

/// Makes the client, now and whenever certificate files change; what is under way keeps the old one.
pub fn open(options: &UpstreamOptions, now_ms: i64) -> Result<Renewed<CrmClient>, TlsError> {
    let files: Vec<PathBuf> = options.tls.iter().flat_map(|(tls, _)| tls.files()).collect();
    let slots = Arc::new(Semaphore::new(options.connections_max));
    let options = options.clone();
    Renewed::make("upstream", files, now_ms, move |now_ms| make_client(&options, &slots, now_ms))
}

fn make_client(
    options: &UpstreamOptions,
    slots: &Arc<Semaphore>,
    now_ms: i64,
) -> Result<Made<CrmClient>, TlsError> {
    let (tls, expires_ms) = match &options.tls {
        Some((files, server_name)) => {
            let made = files.make(now_ms)?;
            let tls = TargetTls { config: Arc::new(made.value), server_name: server_name.clone() };
            (Some(tls), made.expires_ms)
        }
        None => (None, None),
    };
    let connector = Connector {
        target: options.target.clone(),
        tls,
        slots: Arc::clone(slots),
        wait: options.times.wait,
        connect: options.times.connect,
    };
    let client = Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(options.times.idle)
        .pool_max_idle_per_host(options.idle_connections_max)
        .http1_max_buf_size(HEAD_BYTES_MAX)
        .http1_max_headers(HEADERS_MAX)
        .http2_max_header_list_size(HEAD_BYTES_MAX_U32)
        .http2_max_local_error_reset_streams(RESETS_MAX)
        .http2_keep_alive_interval(options.times.idle)
        .http2_keep_alive_timeout(options.times.connect)
        // A pooled connection may have closed while it was idle. hyper then takes another one, but only for a
        // request of which not one byte was written: no write is ever sent twice.
        .retry_canceled_requests(true)
        .build(connector);
    Ok(Made { value: client, expires_ms })
}

/// The reason for callers, and in words why there is no answer.
pub fn diagnose(error: &Error) -> (Reason, String) {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(connect) = inner.downcast_ref::<ConnectError>() {
            let reason = match connect {
                ConnectError::Saturated(_) => Reason::UpstreamSaturated,
                ConnectError::Tls(_) => Reason::UpstreamTls,
                ConnectError::Timeout { .. } | ConnectError::Socket { .. } => Reason::UpstreamUnreachable,
            };
            return (reason, connect.to_string());
        }
        cause = inner.source();
    }
    // Over TLS 1.3 a certificate of ours is refused only after the handshake.
    if let Some(tls) = rustls_error(error) {
        return (Reason::UpstreamTls, explain_upstream(tls));
    }
    // h2 keeps of an error only its text.
    let why = causes(error);
    if why.contains("received fatal alert") {
        return (Reason::UpstreamTls, format!("the other side ended the TLS session ({why})"));
    }
    let reason = if error.is_connect() { Reason::UpstreamUnreachable } else { Reason::UpstreamBroken };
    (reason, why)
}

/// A phase that took too long.
pub fn late(what: &str, limit: Duration) -> Problem {
    Problem::new(Reason::UpstreamTimeout).internal(format!("{what} did not come within {limit:?}"))
}

/// Of an answer's head; more is a broken answer.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEAD_BYTES_MAX_U32: u32 = 64 * 1024;
const HEADERS_MAX: usize = 200;
/// Streams that we reset for faults of the CRM before the connection is given up.
const RESETS_MAX: usize = 64;
