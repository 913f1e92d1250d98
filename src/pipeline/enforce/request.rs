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
use super::super::observe::Observed;
use crate::bundle::profile::Profile;
use crate::json::strip;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

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
    let body = mapped.body.as_ref().map(|document| {
        let left_out = verdict.writes.first().map(|write| write.leave_out.as_slice()).unwrap_or_default();
        let edits: Vec<_> = left_out.iter().map(|node| (*node, None)).collect();
        Bytes::from(strip::replace_in(document, &edits))
    });
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
    if let Some(value) = head.headers.get(CONTENT_TYPE).filter(|_| body.is_some()) {
        headers.insert(CONTENT_TYPE, value.clone());
    }
    // Last, so that no header of the caller's can stand in the credential's place.
    headers.insert(credential.0.clone(), credential.1.clone());
    let request = UpstreamRequest {
        method,
        target: target(&segments, slash, &pairs),
        headers,
        body: body.unwrap_or_default(),
    };
    Ok(Clearance { request })
}

/// Makes a clearance of an observed request, whatever was decided of it: the canonical request as it came. It takes the
/// proof that this request is observed. What no reader of ours could read stays refused.
pub fn clear_observed(
    _: &Observed,
    mapped: &Mapped<'_>,
    head: &CanonicalHead,
    body: Bytes,
    profile: &Profile,
    credential: &(HeaderName, HeaderValue),
    missing: &[String],
) -> Result<Clearance, Problem> {
    let codings = head.headers.get_all(header::CONTENT_ENCODING);
    if codings.iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Reason::BodyCoding.into());
    }
    // Others could echo the credential or open a tunnel.
    if !OBSERVED_METHODS.contains(&head.method.as_str()) {
        return Err(Reason::RouteUnmapped.into());
    }
    let is_judged = mapped.action.is_some();
    let method = if is_judged && head.method == Method::HEAD { Method::GET } else { head.method.clone() };
    let mut pairs = head.query.clone();
    // As under enforcement the CRM is asked for what policy needs, so that its answer can be judged.
    if let Some(projection) = mapped.query.projection.as_ref().filter(|_| !missing.is_empty()) {
        pairs.retain(|(name, _)| *name != projection.parameter);
        pairs.extend(projection.pairs(missing));
    }
    let mut headers = base_headers(profile, credential);
    let listed = profile.request_headers.iter().map(String::as_str).chain(OBSERVED_HEADERS.iter().copied());
    let conditions = OBSERVED_CONDITIONS.iter().copied().filter(|_| !head.method.is_safe());
    for name in listed.chain(conditions) {
        if let (Ok(name), Some(value)) = (HeaderName::try_from(name), head.headers.get(name)) {
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
    headers.insert(credential.0.clone(), credential.1.clone());
    let target = target(&head.segments, head.has_trailing_slash, &pairs);
    Ok(Clearance { request: UpstreamRequest { method, target, headers, body } })
}

/// Methods that an observed request may have.
const OBSERVED_METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Request headers that an observed request keeps beside the profile's: none of them can say who asks.
const OBSERVED_HEADERS: &[&str] =
    &["accept", "accept-language", "content-type", "content-language", "prefer", "x-requested-with"];
/// Conditions of a write. Those of a read only save bytes, and would hide the answer from being judged.
const OBSERVED_CONDITIONS: &[&str] = &["if-match", "if-none-match", "if-unmodified-since"];

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
