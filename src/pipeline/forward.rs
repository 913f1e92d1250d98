//! The one file that talks to the CRM [edge]: it forwards what was cleared, and fetches images for deciding.
//!
//! Promises: a request without a Clearance cannot be forwarded; redirects are never followed; a write is never sent
//! twice; every phase has a time-out and every answer a size limit.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: sockets; the one place where the CRM's answers are collected"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::enforce::request::{Clearance, UpstreamRequest, base_headers, target};
use crate::bundle::profile::Profile;
use crate::bundle::profile::route::Route;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::telemetry::watch::Watch;

/// Where the CRM is and how long to wait for it.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// `http://host:port`, without a path.
    pub origin: String,
    /// A path before every path of the profile, without a trailing slash.
    pub base_path: String,
    /// The `Host` header, if not the origin's.
    pub host: Option<String>,
    /// Milliseconds to connect.
    pub connect_timeout_ms: u64,
    /// Milliseconds from the request to the end of the answer.
    pub answer_timeout_ms: u64,
    /// Bytes of an answer.
    pub answer_bytes_max: usize,
    /// Idle connections that are kept.
    pub idle_connections_max: usize,
    /// Milliseconds that an idle connection is kept.
    pub idle_timeout_ms: u64,
}

/// What differs from request to request.
#[derive(Clone, Default)]
pub struct Passage {
    /// `X-Forwarded-For`, `-Proto` and `-Host`, which are always ours.
    pub forwarded: Vec<(HeaderName, HeaderValue)>,
    /// The route's own time-out.
    pub time_ms: Option<u64>,
    /// The route's own limit.
    pub answer_bytes_max: Option<usize>,
    /// What watches the request.
    pub watch: Option<Arc<Watch>>,
}

/// An answer of the CRM, not yet looked at.
#[derive(Clone, Debug)]
pub struct UpstreamResponse {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

/// The CRM.
pub struct Upstream {
    client: Client<HttpConnector, Full<Bytes>>,
    options: UpstreamOptions,
}

impl Upstream {
    /// Prepares the way to the CRM; nothing is connected yet.
    pub fn new(options: UpstreamOptions) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_millis(options.connect_timeout_ms)));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(options.idle_timeout_ms))
            .pool_max_idle_per_host(options.idle_connections_max)
            // A pooled connection may have closed while it was idle. hyper then takes another one, but only for a
            // request of which not one byte was written: no write is ever sent twice.
            .retry_canceled_requests(true)
            .build(connector);
        Self { client, options }
    }

    /// Forwards what was cleared.
    pub async fn forward(
        &self,
        clearance: Clearance,
        passage: &Passage,
    ) -> Result<UpstreamResponse, Problem> {
        self.send(clearance.into_request(), passage).await
    }

    async fn send(&self, request: UpstreamRequest, passage: &Passage) -> Result<UpstreamResponse, Problem> {
        let mut request = request;
        let asked = passage.watch.as_ref().map(|watch| watch.ask(&request.method, &mut request.headers));
        let limit = passage.time_ms.unwrap_or(self.options.answer_timeout_ms);
        let result = match timeout(Duration::from_millis(limit), self.exchange(request, passage)).await {
            Ok(result) => result,
            Err(_) => Err(Reason::UpstreamTimeout.into()),
        };
        if let Some((watch, asked)) = passage.watch.as_ref().zip(asked) {
            let told = result.as_ref().map(|response| response.status).map_err(|problem| problem.reason);
            watch.answered(asked, told);
        }
        result
    }

    async fn exchange(
        &self,
        request: UpstreamRequest,
        passage: &Passage,
    ) -> Result<UpstreamResponse, Problem> {
        let is_read = request.method == Method::GET;
        let mut sent = self.client.request(self.build(&request, passage)?).await;
        if is_read && sent.as_ref().is_err_and(|error| !error.is_connect()) {
            sent = self.client.request(self.build(&request, passage)?).await;
        }
        let response = sent.map_err(|error| {
            let reason =
                if error.is_connect() { Reason::UpstreamUnreachable } else { Reason::UpstreamBroken };
            Problem::new(reason).internal(format!("{}: {}", self.options.origin, describe(&error)))
        })?;
        let (parts, body) = response.into_parts();
        let bytes_max = passage
            .answer_bytes_max
            .map_or(self.options.answer_bytes_max, |own| own.min(self.options.answer_bytes_max));
        let status = parts.status.as_u16();
        match Limited::new(body, bytes_max).collect().await {
            Ok(collected) => {
                Ok(UpstreamResponse { status, headers: parts.headers, body: collected.to_bytes() })
            }
            Err(error) => {
                let too_large = error.downcast_ref::<LengthLimitError>().is_some();
                let reason = if too_large { Reason::UpstreamTooLarge } else { Reason::UpstreamBroken };
                Err(Problem::new(reason).internal(describe(error.as_ref())).upstream(status))
            }
        }
    }

    fn build(&self, request: &UpstreamRequest, passage: &Passage) -> Result<Request<Full<Bytes>>, Problem> {
        let internal =
            |error: &dyn std::fmt::Display| Problem::new(Reason::Internal).internal(error.to_string());
        let uri = format!("{}{}{}", self.options.origin, self.options.base_path, request.target);
        let uri: Uri = uri.parse().map_err(|error: http::uri::InvalidUri| internal(&error))?;
        let mut built = Request::new(Full::new(request.body.clone()));
        *built.method_mut() = request.method.clone();
        *built.uri_mut() = uri;
        let headers = built.headers_mut();
        *headers = request.headers.clone();
        if let Some(host) = &self.options.host {
            headers.insert(HOST, HeaderValue::try_from(host.as_str()).map_err(|error| internal(&error))?);
        }
        for (name, value) in &passage.forwarded {
            headers.insert(name.clone(), value.clone());
        }
        Ok(built)
    }
}

/// Asks the CRM for single records, for deciding only and read-only.
pub struct Probe<'u> {
    /// The CRM.
    pub upstream: &'u Upstream,
    /// The profile.
    pub profile: &'u Profile,
    /// The credential that made the principal, or the service account's.
    pub credential: &'u (HeaderName, HeaderValue),
    /// What every request of this exchange carries.
    pub passage: &'u Passage,
}

impl Probe<'_> {
    /// Fetches one record by a `GET` route of the profile.
    pub async fn fetch(
        &self,
        route: &Route,
        parameters: &[(String, String)],
        pairs: &[(String, String)],
    ) -> Result<UpstreamResponse, Problem> {
        let (segments, slash) = route.template.write_path(&parameters.to_vec());
        let request = UpstreamRequest {
            method: Method::GET,
            target: target(&segments, slash, pairs),
            headers: base_headers(self.profile, self.credential),
            body: Bytes::new(),
        };
        let passage =
            Passage { time_ms: route.limits.time_ms.or(self.passage.time_ms), ..self.passage.clone() };
        self.upstream.send(request, &passage).await
    }
}

fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
