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
use crate::bundle::profile::Profile;
use crate::bundle::profile::transit::{Ranges, Transit};
use crate::json::strip;
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
    let body = mapped.body.as_ref().map(|document| {
        let left_out = verdict.writes.first().map(|write| write.leave_out.as_slice()).unwrap_or_default();
        let edits: Vec<_> = left_out.iter().map(|node| (*node, None)).collect();
        Bytes::from(strip::replace_in(document, &edits))
    });
    // HEAD is answered from GET, so that a length never tells what was held back.
    let is_filtered = mapped.route.action.is_some() && mapped.route.transit.is_none();
    let method = if is_filtered && head.method == Method::HEAD { Method::GET } else { head.method.clone() };
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
    if let Some(transit) = &mapped.route.transit {
        add_transit(&mut headers, transit, head);
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

/// Makes a clearance for a route where nobody is identified: it carries what the route declares, and never a credential
/// of ours. `cookies` are the declared ones.
pub fn clear_open(
    mapped: &Mapped<'_>,
    transit: &Transit,
    head: &CanonicalHead,
    profile: &Profile,
    cookies: Option<HeaderValue>,
    body: Bytes,
) -> Clearance {
    let (segments, slash) = mapped.route.template.write_path(&mapped.parameters);
    let mut headers = plain_headers(profile);
    let listed = profile.request_headers.iter();
    for name in listed.filter_map(|name| HeaderName::try_from(name.as_str()).ok()) {
        if let Some(value) = head.headers.get(&name) {
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
    add_transit(&mut headers, transit, head);
    if let Some(cookies) = cookies {
        headers.insert(header::COOKIE, cookies);
    }
    let target = target(&segments, slash, &mapped.query.pairs);
    Clearance { request: UpstreamRequest { method: head.method.clone(), target, headers, body } }
}

/// What a body that is not looked into needs: its type, the types that are asked for, and one range if the route has them.
fn add_transit(headers: &mut HeaderMap, transit: &Transit, head: &CanonicalHead) {
    if !transit.answers.is_empty()
        && let Ok(value) = HeaderValue::try_from(transit.accept_header())
    {
        headers.insert(ACCEPT, value);
    }
    if let Some(value) = head.headers.get(CONTENT_TYPE).filter(|_| !transit.accepts.is_empty()) {
        headers.insert(CONTENT_TYPE, value.clone());
    }
    let range = head.headers.get(header::RANGE).filter(|_| transit.ranges == Ranges::Passed);
    if let Some(range) = range.filter(|range| range.to_str().is_ok_and(is_one_range)) {
        headers.insert(header::RANGE, range.clone());
    }
}

/// `bytes=0-499`, `bytes=500-` or `bytes=-500`. Any other is ignored, as a server may (RFC 9110 §14.2).
fn is_one_range(text: &str) -> bool {
    let Some((from, to)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return false;
    };
    let is_number = |text: &str| text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number(from) && is_number(to) && !(from.is_empty() && to.is_empty())
}

/// Headers that every request to the CRM carries.
pub fn base_headers(profile: &Profile, credential: &(HeaderName, HeaderValue)) -> HeaderMap {
    let mut headers = plain_headers(profile);
    headers.insert(credential.0.clone(), credential.1.clone());
    headers
}

fn plain_headers(profile: &Profile) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let accept = profile.accept.as_deref().and_then(|accept| HeaderValue::try_from(accept).ok());
    headers.insert(ACCEPT, accept.unwrap_or(HeaderValue::from_static("application/json")));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("lockkeeper/", env!("CARGO_PKG_VERSION"))),
    );
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
