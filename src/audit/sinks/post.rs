//! `POST` by HTTPS for whatever leaves the ledger [edge].
//!
//! Promises: TLS is verified, in the clear only to loopback; redirects are never followed; only a 2xx whose answer came whole
//! counts; tokens and certificates are read anew after each failure and never told to anybody else. Gives up when it is dropped: time
//! limits are the caller's.
#![expect(clippy::disallowed_methods, reason = "edge: sockets; collects the answer, of bounded size")]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};

use super::fault::{SinkError, SinkFault};
use super::target::blocking;
use crate::config::author::Problems;
use crate::config::load;
use crate::net::connector::{explain, rustls_error};
use crate::net::https::{self, HttpsClient};
use crate::net::remote::causes;
use crate::net::renewed::TlsError;
use crate::net::roots;
use crate::net::tls_client::ClientTlsOptions;
use crate::telemetry::clock::Clock;

/// Where to.
#[derive(Clone, Debug)]
pub struct PostOptions {
    /// The whole URL: `https`, or `http` on loopback.
    pub url: Uri,
    /// The file with the bearer token, if there is one.
    pub token_file: Option<PathBuf>,
    /// Whom to trust, and who we are.
    pub tls: ClientTlsOptions,
    /// For connecting.
    pub timeout_ms: u64,
}

/// Posts to one URL.
pub struct Post {
    options: PostOptions,
    clock: Clock,
    open: Option<Open>,
}

/// What was made of the files as they were.
struct Open {
    client: HttpsClient<Full<Bytes>>,
    authorization: Option<HeaderValue>,
}

impl Post {
    /// Nothing is connected and no file read yet.
    #[must_use]
    pub fn new(options: PostOptions, clock: Clock) -> Self {
        Self { options, clock, open: None }
    }

    /// Reads the files as they are now.
    ///
    /// # Errors
    /// [`SinkFault::Credentials`], [`SinkFault::Tls`].
    pub async fn open(&mut self) -> Result<(), SinkError> {
        self.open = None;
        let (options, now_ms) = (self.options.clone(), self.clock.now_ms());
        self.open = Some(blocking(move || open(&options, now_ms)).await??);
        Ok(())
    }

    /// Sends a body. `Ok` says that the other side took it; after anything else the files are read anew.
    ///
    /// # Errors
    /// Why it was not taken, or may not have been.
    pub async fn send(&mut self, headers: HeaderMap, body: Bytes) -> Result<(), SinkError> {
        if self.open.is_none() {
            self.open().await?;
        }
        let none = || SinkError::new(SinkFault::Unreachable, "there is no connection");
        let open = self.open.take().ok_or_else(none)?;
        let request = self.request(&open, headers, body);
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

    fn request(&self, open: &Open, headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.options.url.clone();
        *request.headers_mut() = headers;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(https::USER_AGENT));
        if let Some(authorization) = &open.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        request
    }
}

/// Makes a client of the files as they are. Blocks on the file system.
fn open(options: &PostOptions, now_ms: i64) -> Result<Open, SinkError> {
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

fn authorization(options: &PostOptions) -> Result<Option<HeaderValue>, SinkError> {
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

/// The secret in a file, as it is now.
pub(super) fn secret(path: &Path) -> Result<String, SinkError> {
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

/// What of an answer is read; whoever says more than that has not understood.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
