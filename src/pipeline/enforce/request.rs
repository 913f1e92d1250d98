//! Enforcement on the way in (PEP): only what was decided is forwarded, written anew. The only maker of [`Clearance`].
//!
//! Forwarding without one does not build:
//!
//! ```compile_fail,E0451
//! use lockkeeper::pipeline::enforce::request::{Clearance, UpstreamRequest};
//! fn forge(request: UpstreamRequest) -> Clearance {
//!     Clearance { request }
//! }
//! ```

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, header};

use super::super::canonical::{CanonicalHead, write_path, write_query};
use super::super::decide::request::RequestVerdict;
use super::super::map::Mapped;
use super::body;
use crate::bundle::profile::Profile;
use crate::model::problem::Problem;

/// The right to forward one request.
pub struct Clearance {
    request: UpstreamRequest,
}

/// A request to the CRM.
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    /// The method.
    pub method: Method,
    /// Path and query, below the CRM's base path.
    pub target: String,
    /// The headers, credential included.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Clearance {
    /// The request, once.
    pub fn into_request(self) -> UpstreamRequest {
        self.request
    }
}

/// Makes a clearance of a verdict that allows, or hands back why not. `missing` are the names that the projection must
/// have on top of the caller's.
pub fn clear(
    verdict: &RequestVerdict,
    mapped: &Mapped<'_>,
    head: &CanonicalHead,
    profile: &Profile,
    credential: &(HeaderName, HeaderValue),
    missing: &[String],
) -> Result<Clearance, Problem> {
    if let Some(problem) = &verdict.problem {
        return Err(problem.clone());
    }
    let (segments, slash) = mapped.route.template.write_path(&mapped.parameters);
    let mut pairs = mapped.query.pairs.clone();
    if let Some(projection) = &mapped.query.projection {
        pairs.extend(projection.pairs(missing));
    }
    let write = verdict.writes.first();
    let left_out = write.map(|write| write.leave_out.as_slice()).unwrap_or_default();
    let send_along = write.map(|write| write.send_along.as_slice()).unwrap_or_default();
    let fields_at = mapped.route.writes.as_ref().map(|writes| &writes.at);
    let body = mapped.body.as_ref().map(|body| body::write(body, fields_at, left_out, send_along));
    let body = body.transpose()?;
    // HEAD is answered from GET, so that a length never tells what was held back.
    let method = if mapped.route.action.is_some() && head.method == Method::HEAD {
        Method::GET
    } else {
        head.method.clone()
    };
    let mut headers = base_headers(profile, credential);
    for name in &profile.request_headers {
        if let (Ok(name), Some(value)) =
            (HeaderName::try_from(name.as_str()), head.headers.get(name.as_str()))
        {
            headers.insert(name, value.clone());
        }
    }
    for (name, value) in &mapped.headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()))
        {
            headers.insert(name, value);
        }
    }
    if let Some(body) = &body {
        let own = body.content_type.as_ref().and_then(|text| HeaderValue::try_from(text.as_str()).ok());
        headers.extend(
            own.or_else(|| head.headers.get(CONTENT_TYPE).cloned()).map(|value| (CONTENT_TYPE, value)),
        );
    }
    // Last, so that no header of the caller's can stand in the credential's place.
    headers.insert(credential.0.clone(), credential.1.clone());
    let request = UpstreamRequest {
        method,
        target: target(&segments, slash, &pairs),
        headers,
        body: body.map(|body| body.bytes).unwrap_or_default(),
    };
    Ok(Clearance { request })
}

/// Headers that every request to the CRM carries.
pub fn base_headers(profile: &Profile, credential: &(HeaderName, HeaderValue)) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let accept = profile.accept.as_deref().and_then(|accept| HeaderValue::try_from(accept).ok());
    headers.insert(ACCEPT, accept.unwrap_or(HeaderValue::from_static("application/json")));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("lockkeeper/", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert(credential.0.clone(), credential.1.clone());
    headers
}

/// Path and query as they are forwarded.
pub fn target(segments: &[String], has_trailing_slash: bool, pairs: &[(String, String)]) -> String {
    let mut target = write_path(segments, has_trailing_slash);
    if !pairs.is_empty() {
        target.push('?');
        target.push_str(&write_query(pairs));
    }
    target
}
