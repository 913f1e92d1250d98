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
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::enforce::request::{Clearance, UpstreamRequest, base_headers, target};
use super::stream::{self, Sender, Sending, Source, StreamLimits};
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

/// An answer of the CRM whose body still comes in.
pub struct StreamedResponse {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Source,
}

/// The CRM.
pub struct Upstream {
    client: Client<HttpConnector, Sending>,
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

    /// Forwards what was cleared, and hands back the answer once its head is there.
    pub async fn forward_streaming(
        &self,
        clearance: Clearance,
        passage: &Passage,
        limits: StreamLimits,
    ) -> Result<StreamedResponse, Problem> {
        let mut request = clearance.into_request();
        let asked = passage.watch.as_ref().map(|watch| watch.ask(&request.method, &mut request.headers));
        let built = self.build(&request, request.body.clone().into(), passage)?;
        let limit = passage.time_ms.unwrap_or(self.options.answer_timeout_ms);
        let sent = timeout(Duration::from_millis(limit), self.client.request(built)).await;
        let sent = sent.map_err(|_| Problem::from(Reason::UpstreamTimeout));
        let sent = sent.and_then(|sent| sent.map_err(|error| self.unsent(&error)));
        if let Some((watch, asked)) = passage.watch.as_ref().zip(asked) {
            let told = sent.as_ref().map(|response| response.status().as_u16());
            watch.answered(asked, told.map_err(|problem| problem.reason));
        }
        let (parts, body) = sent?.into_parts();
        let status = parts.status.as_u16();
        let body = Source::new(body, Sender::Crm, limits).map_err(|problem| problem.upstream(status))?;
        Ok(StreamedResponse { status, headers: parts.headers, body })
    }

    /// Forwards what was cleared with a body that still comes in, and hands back the whole answer.
    pub async fn forward_upload(
        &self,
        clearance: Clearance,
        upload: Source,
        passage: &Passage,
    ) -> Result<UpstreamResponse, Problem> {
        let mut request = clearance.into_request();
        let asked = passage.watch.as_ref().map(|watch| watch.ask(&request.method, &mut request.headers));
        let result = self.upload(request, upload, passage).await;
        if let Some((watch, asked)) = passage.watch.as_ref().zip(asked) {
            let told = result.as_ref().map(|response| response.status).map_err(|problem| problem.reason);
            watch.answered(asked, told);
        }
        result
    }

    async fn upload(
        &self,
        request: UpstreamRequest,
        upload: Source,
        passage: &Passage,
    ) -> Result<UpstreamResponse, Problem> {
        let (sink, flow) = stream::flow(upload.length());
        let asking = self.client.request(self.build(&request, Sending::Flow(flow), passage)?);
        let mut pumping = std::pin::pin!(upload.pump(sink));
        let mut asking = std::pin::pin!(asking);
        let (pumped, answered) = tokio::select! {
            pumped = &mut pumping => (Some(pumped), None),
            // It may answer before it has read everything, and then reads no more.
            answered = &mut asking => (None, Some(answered)),
        };
        // The body has its own limits; the answer is waited for from its end on.
        let limit = Duration::from_millis(passage.time_ms.unwrap_or(self.options.answer_timeout_ms));
        let sent = match answered {
            Some(answered) => answered,
            None => timeout(limit, asking).await.map_err(|_| Problem::from(Reason::UpstreamTimeout))?,
        };
        let broken = pumped.and_then(|pumped| pumped.problem);
        match (sent, broken) {
            (Ok(response), None) => self.collect(response, passage).await,
            // What it answered to a part of a body is nothing that the caller asked for.
            (Ok(response), Some(problem)) => Err(problem.upstream(response.status().as_u16())),
            (Err(_), Some(problem)) => Err(problem),
            (Err(error), None) => Err(self.unsent(&error)),
        }
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
        let build = || self.build(&request, request.body.clone().into(), passage);
        let mut sent = self.client.request(build()?).await;
        if is_read && sent.as_ref().is_err_and(|error| !error.is_connect()) {
            sent = self.client.request(build()?).await;
        }
        self.collect(sent.map_err(|error| self.unsent(&error))?, passage).await
    }

    fn unsent(&self, error: &hyper_util::client::legacy::Error) -> Problem {
        let reason = if error.is_connect() { Reason::UpstreamUnreachable } else { Reason::UpstreamBroken };
        Problem::new(reason).internal(format!("{}: {}", self.options.origin, describe(error)))
    }

    async fn collect(
        &self,
        response: http::Response<Incoming>,
        passage: &Passage,
    ) -> Result<UpstreamResponse, Problem> {
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

    /// Where the CRM is, for what it says of its own places.
    pub fn place(&self) -> (&str, &str) {
        (&self.options.origin, &self.options.base_path)
    }

    fn build(
        &self,
        request: &UpstreamRequest,
        body: Sending,
        passage: &Passage,
    ) -> Result<Request<Sending>, Problem> {
        let internal =
            |error: &dyn std::fmt::Display| Problem::new(Reason::Internal).internal(error.to_string());
        let uri = format!("{}{}{}", self.options.origin, self.options.base_path, request.target);
        let uri: Uri = uri.parse().map_err(|error: http::uri::InvalidUri| internal(&error))?;
        let mut built = Request::new(body);
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

/// Asks the CRM whose credential something is, read-only.
#[derive(Clone, Copy)]
pub struct Asking<'u> {
    /// The CRM.
    pub upstream: &'u Upstream,
    /// The profile.
    pub profile: &'u Profile,
    /// What every request of this exchange carries.
    pub passage: &'u Passage,
}

impl Asking<'_> {
    /// Shows the CRM a credential on its "who am I" path.
    pub async fn who_am_i(
        &self,
        path: &str,
        credential: &(HeaderName, HeaderValue),
        bytes_max: usize,
    ) -> Result<UpstreamResponse, Problem> {
        let request = UpstreamRequest {
            method: Method::GET,
            target: path.to_owned(),
            headers: base_headers(self.profile, credential),
            body: Bytes::new(),
        };
        let passage = Passage { answer_bytes_max: Some(bytes_max), ..self.passage.clone() };
        self.upstream.send(request, &passage).await
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
