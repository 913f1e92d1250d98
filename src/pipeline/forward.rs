//! The one file that talks to the CRM, over the connections of `net/connector.rs`: it forwards what was cleared, and
//! fetches images for deciding.
//!
//! Promises: a request without a Clearance cannot be forwarded; redirects are never followed; a write is never sent
//! twice; every phase has a time-out and every answer a size limit; trailers and interim answers are dropped. Callers get
//! a reason, operators why.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::crm::{self, CrmClient, UpstreamOptions, diagnose, late};
use super::enforce::request::{Clearance, UpstreamRequest, base_headers, target};
use super::stream::{self, Sender, Sending, Source, StreamLimits};
use crate::bundle::profile::Profile;
use crate::bundle::profile::route::Route;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::net::coding::CodingLimits;
use crate::net::connector::Target;
use crate::net::remote::causes;
use crate::net::renewed::{Renew, Renewed, TlsError};
use crate::telemetry::watch::Watch;

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

/// An answer that may be too long to be held.
pub enum Listing {
    /// It is there as a whole.
    Whole(UpstreamResponse),
    /// It is a success, and longer than what is held back.
    Long(Long),
}

/// A long answer of which the start is there.
pub struct Long {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// What came so far.
    pub held: Vec<Bytes>,
    /// What is still to come.
    pub rest: Source,
}

impl Listing {
    /// The status.
    pub fn status(&self) -> u16 {
        match self {
            Listing::Whole(response) => response.status,
            Listing::Long(long) => long.status,
        }
    }
}

/// The CRM.
pub struct Upstream {
    /// Made anew when certificate files change; what is under way keeps the old one.
    client: Arc<Renewed<CrmClient>>,
    /// `scheme://authority`, as requests name it.
    authority: String,
    options: UpstreamOptions,
}

impl Upstream {
    /// Prepares the way to the CRM; certificate files are read, nothing is connected yet.
    pub fn new(options: UpstreamOptions, now_ms: i64) -> Result<Self, TlsError> {
        let named = match (&options.host, &options.target) {
            (Some(host), _) => host.clone(),
            (None, Target::Address(uri)) => uri.authority().map(ToString::to_string).unwrap_or_default(),
            (None, Target::Unix(_)) => "localhost".to_owned(),
        };
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let client = Arc::new(crm::open(&options, now_ms)?);
        Ok(Self { client, authority: format!("{scheme}://{named}"), options })
    }

    /// Limits on the codings of its answers.
    pub fn coding(&self) -> CodingLimits {
        self.options.coding
    }

    /// What is made anew when certificate files change.
    pub fn renewed(&self) -> Arc<dyn Renew> {
        Arc::clone(&self.client) as Arc<dyn Renew>
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
        let limit = self.head(passage);
        let sent = timeout(limit, self.client.current().request(built)).await;
        let sent = sent.map_err(|_| late("the head of the answer", limit));
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

    /// Forwards what was cleared, and hands back the answer once it is there, or is longer than what is held back.
    pub async fn forward_listing(
        &self,
        clearance: Clearance,
        passage: &Passage,
        limits: StreamLimits,
        held_max: usize,
    ) -> Result<Listing, Problem> {
        let mut request = clearance.into_request();
        let asked = passage.watch.as_ref().map(|watch| watch.ask(&request.method, &mut request.headers));
        let limit = self.whole(passage);
        let result = match timeout(limit, self.begin(request, passage, limits, held_max)).await {
            Ok(result) => result,
            Err(_) => Err(late("the whole answer", limit)),
        };
        if let Some((watch, asked)) = passage.watch.as_ref().zip(asked) {
            let told = result.as_ref().map(Listing::status).map_err(|problem| problem.reason);
            watch.answered(asked, told);
        }
        result
    }

    async fn begin(
        &self,
        request: UpstreamRequest,
        passage: &Passage,
        limits: StreamLimits,
        held_max: usize,
    ) -> Result<Listing, Problem> {
        let response = self.answered(&request, passage).await?;
        let status = response.status().as_u16();
        if !is_success(status) {
            return self.collect(response, passage).await.map(Listing::Whole);
        }
        let (parts, body) = response.into_parts();
        let headers = parts.headers;
        let idle_ms = u64::try_from(self.options.times.body_idle.as_millis()).unwrap_or(u64::MAX);
        let limits = StreamLimits { idle_ms, ..limits };
        let failed = |problem: Problem| problem.upstream(status);
        let mut rest = Source::new(body, Sender::Crm, limits).map_err(failed)?;
        let (mut held, mut bytes) = (Vec::new(), 0);
        while let Some(piece) = rest.next().await.map_err(failed)? {
            bytes += piece.len();
            held.push(piece);
            if bytes > held_max {
                return Ok(Listing::Long(Long { status, headers, held, rest }));
            }
        }
        let mut whole = BytesMut::with_capacity(bytes);
        held.iter().for_each(|piece| whole.extend_from_slice(piece));
        Ok(Listing::Whole(UpstreamResponse { status, headers, body: whole.freeze() }))
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
        let client = self.client.current();
        let asking = client.request(self.build(&request, Sending::Flow(flow), passage)?);
        let mut pumping = std::pin::pin!(upload.pump(sink));
        let mut asking = std::pin::pin!(asking);
        let (pumped, answered) = tokio::select! {
            pumped = &mut pumping => (Some(pumped), None),
            // It may answer before it has read everything, and then reads no more.
            answered = &mut asking => (None, Some(answered)),
        };
        // The body has its own limits; the answer is waited for from its end on.
        let limit = self.whole(passage);
        let sent = match answered {
            Some(answered) => answered,
            None => timeout(limit, asking).await.map_err(|_| late("the answer", limit))?,
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
        let limit = self.whole(passage);
        let result = match timeout(limit, self.exchange(request, passage)).await {
            Ok(result) => result,
            Err(_) => Err(late("the whole answer", limit)),
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
        let response = self.answered(&request, passage).await?;
        self.collect(response, passage).await
    }

    /// The answer of which the head is there.
    async fn answered(
        &self,
        request: &UpstreamRequest,
        passage: &Passage,
    ) -> Result<http::Response<Incoming>, Problem> {
        let limit = self.head(passage);
        let sent = timeout(limit, self.ask(request, passage)).await;
        sent.map_err(|_| late("the head of the answer", limit))?
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
        let body = self.read(body, bytes_max).await.map_err(|problem| problem.upstream(status))?;
        Ok(UpstreamResponse { status, headers: parts.headers, body })
    }

    /// For the whole answer: the route's own limit, or the configured one.
    fn whole(&self, passage: &Passage) -> Duration {
        passage.time_ms.map_or(self.options.times.answer, Duration::from_millis)
    }

    /// For the head of the answer. A route that may take long may take it before its first byte.
    fn head(&self, passage: &Passage) -> Duration {
        passage.time_ms.map_or(self.options.times.head, Duration::from_millis)
    }

    fn unsent(&self, error: &hyper_util::client::legacy::Error) -> Problem {
        let (reason, why) = diagnose(error);
        Problem::new(reason).internal(format!("{}: {why}", self.options.origin))
    }

    /// Sends a request. A read is sent once more if its connection broke; a write only if nothing of it was sent, which
    /// the client sees to by itself.
    async fn ask(
        &self,
        request: &UpstreamRequest,
        passage: &Passage,
    ) -> Result<http::Response<Incoming>, Problem> {
        let client = self.client.current();
        let build = || self.build(request, request.body.clone().into(), passage);
        let mut sent = client.request(build()?).await;
        if request.method == Method::GET && sent.as_ref().is_err_and(|error| !error.is_connect()) {
            sent = client.request(build()?).await;
        }
        sent.map_err(|error| self.unsent(&error))
    }

    async fn read(&self, body: Incoming, bytes_max: usize) -> Result<Bytes, Problem> {
        let limit = self.options.times.body_idle;
        let mut body = Limited::new(body, bytes_max);
        let mut whole = BytesMut::new();
        loop {
            let frame = timeout(limit, body.frame()).await;
            match frame.map_err(|_| late("the next part of the answer", limit))? {
                None => return Ok(whole.freeze()),
                // What is no data is a trailer.
                Some(Ok(frame)) => whole.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => {
                    let too_large = error.downcast_ref::<LengthLimitError>().is_some();
                    let reason = if too_large { Reason::UpstreamTooLarge } else { Reason::UpstreamBroken };
                    return Err(Problem::new(reason).internal(causes(error.as_ref())));
                }
            }
        }
    }

    /// Where the CRM is, for what it says of its own places.
    pub fn place(&self) -> (&str, &str) {
        (&self.authority, &self.options.base_path)
    }

    fn build(
        &self,
        request: &UpstreamRequest,
        body: Sending,
        passage: &Passage,
    ) -> Result<Request<Sending>, Problem> {
        let uri = format!("{}{}{}", self.authority, self.options.base_path, request.target);
        let uri: Uri = uri.parse().map_err(|error: http::uri::InvalidUri| {
            Problem::new(Reason::Internal).internal(error.to_string())
        })?;
        let mut built = Request::new(body);
        *built.method_mut() = request.method.clone();
        *built.uri_mut() = uri;
        let headers = built.headers_mut();
        *headers = request.headers.clone();
        for (name, value) in &passage.forwarded {
            headers.insert(name.clone(), value.clone());
        }
        Ok(built)
    }
}

/// Whether the status says that the CRM did what it was asked, and that a body says more.
pub fn is_success(status: u16) -> bool {
    matches!(status, 200..=203 | 207)
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
