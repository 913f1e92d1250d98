//! A sink that takes batches by HTTPS: `POST` of NDJSON, at least once [edge].
//!
//! Promises: TLS is verified, in the clear only to loopback; redirects are never followed; only a 2xx whose answer came whole
//! acknowledges; tokens and certificates are read anew after each failure and never told to anybody else.
#![expect(clippy::disallowed_methods, reason = "edge: sockets; collects the sink's answer, of bounded size")]

use std::path::PathBuf;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};

use super::fault::{SinkError, SinkFault};
use super::target::{Log, Position, Target, blocking};
use crate::config::author::Problems;
use crate::config::load;
use crate::ledger::batches::Batch;
use crate::ledger::cursor::Mark;
use crate::net::connector::{explain, rustls_error};
use crate::net::https::{self, HttpsClient};
use crate::net::remote::causes;
use crate::net::renewed::TlsError;
use crate::net::roots;
use crate::net::tls_client::ClientTlsOptions;
use crate::telemetry::clock::Clock;

/// Where batches go.
#[derive(Clone, Debug)]
pub struct HttpsOptions {
    /// The whole URL: `https`, or `http` on loopback.
    pub url: Uri,
    /// The file with the bearer token, if there is one.
    pub token_file: Option<PathBuf>,
    /// Whom to trust, and who we are.
    pub tls: ClientTlsOptions,
    /// For connecting.
    pub timeout_ms: u64,
}

/// The sink.
pub struct HttpsSink {
    options: HttpsOptions,
    clock: Clock,
    open: Option<Open>,
}

/// What was made of the files as they were.
struct Open {
    client: HttpsClient<Full<Bytes>>,
    authorization: Option<HeaderValue>,
}

impl HttpsSink {
    /// A sink that is not connected.
    #[must_use]
    pub fn new(options: HttpsOptions, clock: Clock) -> Self {
        Self { options, clock, open: None }
    }

    fn request(&self, open: &Open, log: &Log, batch: &Batch) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(batch.bytes()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.options.url.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        headers.insert(USER_AGENT, HeaderValue::from_static(https::USER_AGENT));
        if let Some(authorization) = &open.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        add(headers, LOG, log.id.as_str());
        if let Some(label) = &log.label {
            add(headers, LABEL, label);
        }
        headers.insert(FIRST_SEQ, HeaderValue::from(batch.first_seq()));
        headers.insert(LAST_SEQ, HeaderValue::from(batch.last_seq()));
        request
    }
}

impl Target for HttpsSink {
    fn kind(&self) -> &'static str {
        "https"
    }

    async fn position(&mut self, _: &Log) -> Result<Position, SinkError> {
        self.open = None;
        let (options, now_ms) = (self.options.clone(), self.clock.now_ms());
        self.open = Some(blocking(move || open(&options, now_ms)).await??);
        Ok(Position::KeptHere)
    }

    async fn deliver(&mut self, log: &Log, _: &Mark, batch: &Batch) -> Result<(), SinkError> {
        let none = || SinkError::new(SinkFault::Unreachable, "there is no connection");
        let open = self.open.take().ok_or_else(none)?;
        let request = self.request(&open, log, batch);
        let response = open.client.request(request).await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let answer = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        match status.as_u16() {
            200..=299 => answer.map(drop).map_err(|error| unreachable(error.as_ref()))?,
            300..=399 => {
                let detail = format!("it answered {status}: redirects are not followed, name the right URL");
                return Err(SinkError::new(SinkFault::Redirected, detail));
            }
            401 | 403 => return Err(SinkError::new(SinkFault::Credentials, format!("it answered {status}"))),
            _ => return Err(SinkError::new(SinkFault::Refused, format!("it answered {status}"))),
        }
        self.open = Some(open);
        Ok(())
    }
}

/// Makes a client of the files as they are. Blocks on the file system.
fn open(options: &HttpsOptions, now_ms: i64) -> Result<Open, SinkError> {
    let tls = if options.url.scheme_str() == Some("https") {
        let made = options.tls.make(now_ms);
        made.map_err(|error| unusable(&error))?.value
    } else {
        let made = roots::client_config_for(&options.url, None);
        made.map_err(|error| SinkError::new(SinkFault::Tls, error.to_string()))?
    };
    let client = https::client(tls, options.timeout_ms, 1);
    Ok(Open { client, authorization: authorization(options)? })
}

fn authorization(options: &HttpsOptions) -> Result<Option<HeaderValue>, SinkError> {
    let Some(path) = &options.token_file else { return Ok(None) };
    let token = secret(path)?;
    let refused = |_| {
        let detail = format!("what `{}` holds cannot be a token", path.display());
        SinkError::new(SinkFault::Credentials, detail)
    };
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(refused)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The secret in a file, as it is now.
pub(super) fn secret(path: &std::path::Path) -> Result<String, SinkError> {
    let mut problems = Problems::default();
    load::secret(path, &mut problems)
        .ok_or_else(|| SinkError::new(SinkFault::Credentials, problems.to_string()))
}

/// Certificates that cannot be used.
pub(super) fn unusable(error: &TlsError) -> SinkError {
    let fault = match error {
        TlsError::Pair(_) => SinkFault::Credentials,
        TlsError::Roots(_) | TlsError::Setup(_) => SinkFault::Tls,
    };
    SinkError::new(fault, error.to_string())
}

fn unreachable(error: &(dyn std::error::Error + 'static)) -> SinkError {
    match rustls_error(error) {
        Some(inner) => SinkError::new(SinkFault::Tls, explain(inner)),
        None => SinkError::new(SinkFault::Unreachable, causes(error)),
    }
}

const LOG: HeaderName = HeaderName::from_static("lockkeeper-log");
const LABEL: HeaderName = HeaderName::from_static("lockkeeper-log-label");
const FIRST_SEQ: HeaderName = HeaderName::from_static("lockkeeper-first-seq");
const LAST_SEQ: HeaderName = HeaderName::from_static("lockkeeper-last-seq");

/// What of an answer is read; a sink that says more than that has not understood.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
