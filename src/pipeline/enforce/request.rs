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
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH,
};
use http::{Method, header};

use super::super::canonical::{CanonicalHead, write_path, write_query};
use super::super::decide::request::RequestVerdict;
use super::super::decide::write::WriteVerdict;
use super::super::map::Mapped;
use super::super::observe::Observed;
use super::body::{self, Edits, WrittenBody};
use crate::bundle::profile::Profile;
use crate::bundle::profile::route::version::VersionTarget;
use crate::bundle::profile::transit::{Ranges, Transit};
use crate::json::value::NodeId;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::seeded::{Fault, is_seeded};
use crate::net::https;

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

/// What the proxy asks for itself.
#[derive(Clone, Copy)]
pub struct Own<'a> {
    /// The names that the projection must have on top of the caller's.
    pub missing: &'a [String],
    /// The page, in the place of the caller's.
    pub page: Option<&'a [(String, String)]>,
}

/// Makes a clearance of a verdict that allows, or hands back why not. Whoever pages through the rows that they may view gets
/// none for a page of their own.
pub fn clear(
    verdict: &RequestVerdict,
    mapped: &Mapped<'_>,
    head: &CanonicalHead,
    profile: &Profile,
    credential: &(HeaderName, HeaderValue),
    own: Own<'_>,
) -> Result<Clearance, Problem> {
    if let Some(problem) = &verdict.problem {
        return Err(problem.clone());
    }
    if verdict.window().is_some() != own.page.is_some() {
        return Err(Problem::new(Reason::Internal).internal("a page is asked for that is not the proxy's"));
    }
    let (segments, slash) = mapped.route.template.write_path(&mapped.parameters);
    let pin = pin(mapped, verdict.writes.first())?;
    let mut pairs = pairs(verdict, mapped, own)?;
    let body = written_body(verdict, mapped, own.missing, &mut pairs)?;
    pairs.extend(pin.pair);
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
    if let Some(body) = &body {
        let own = body.content_type.as_ref().and_then(|text| HeaderValue::try_from(text.as_str()).ok());
        headers.extend(
            own.or_else(|| head.headers.get(CONTENT_TYPE).cloned()).map(|value| (CONTENT_TYPE, value)),
        );
    }
    if let Some(transit) = &mapped.route.transit {
        add_transit(&mut headers, transit, head);
    }
    headers.extend(pin.header);
    for (fault, name) in CONDITIONS {
        let value = head.headers.get(*name).filter(|_| is_seeded(*fault));
        headers.extend(value.map(|value| (HeaderName::from_static(name), value.clone())));
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

/// Headers about the CRM's own bytes: none of the caller's goes on, unless a fault lets it.
const CONDITIONS: &[(Fault, &str)] =
    &[(Fault::IfNoneMatchPasses, "if-none-match"), (Fault::IfMatchPasses, "if-match")];

/// The query as it was read, with what the projection needs, where a search may look, and the page.
fn pairs(
    verdict: &RequestVerdict,
    mapped: &Mapped<'_>,
    own: Own<'_>,
) -> Result<Vec<(String, String)>, Problem> {
    let page = own.page.unwrap_or_default();
    let is_of_page = |(name, _): &(String, String)| page.iter().any(|(of_page, _)| of_page == name);
    let mut pairs = mapped.query.pairs.clone();
    pairs.retain(|pair| !is_of_page(pair));
    pairs.extend_from_slice(page);
    if let Some(projection) = &mapped.query.projection {
        pairs.extend(projection.pairs(own.missing)?);
    }
    if let Some(scope) = &mapped.query.scope {
        pairs.extend(scope.pairs(&verdict.search_over));
    }
    Ok(pairs)
}

/// The body as it was judged: that of a read from what it refers to, that of a write without what is left out. The filter that the
/// proxy adds to stands there or in the query.
fn written_body(
    verdict: &RequestVerdict,
    mapped: &Mapped<'_>,
    missing: &[String],
    pairs: &mut Vec<(String, String)>,
) -> Result<Option<WrittenBody>, Problem> {
    let mut asked = mapped.query.body.clone();
    if let Some(open) = &mapped.query.open_filter {
        let own = verdict.pushed.as_ref().and_then(|pushed| pushed.condition.as_ref());
        let added =
            open.with(own).ok_or_else(|| Problem::new(Reason::Internal).internal("a filter has no words"))?;
        added.add_to(pairs, asked.as_mut());
    }
    if let Some(mut asked) = asked {
        if let Some(projection) = &mapped.query.projection {
            projection.put_into(&mut asked, missing);
        }
        return Ok(Some(WrittenBody { bytes: Bytes::from(asked.to_json()), content_type: None }));
    }
    let Some(body) = &mapped.body else { return Ok(None) };
    let write = verdict.writes.first();
    let version = write.and_then(|write| write.version.as_ref());
    let left_out = write.map(|write| write.leave_out.as_slice()).unwrap_or_default();
    let left_out = [left_out, &pruned_ids(mapped, verdict)].concat();
    let edits = Edits {
        fields_at: mapped.route.writes.as_ref().map(|writes| &writes.at),
        whole: write.and_then(|write| write.merged.as_deref()),
        left_out: &left_out,
        send_along: write.map(|write| write.send_along.as_slice()).unwrap_or_default(),
        set: mapped.route.version.in_body().zip(version.map(|version| version.json.as_str())),
    };
    body::write(body, edits).map(Some)
}

/// Where the body names the records that are left out.
fn pruned_ids(mapped: &Mapped<'_>, verdict: &RequestVerdict) -> Vec<NodeId> {
    let is_pruned = |id: &String| verdict.pruned.iter().any(|pruned| pruned.id == *id);
    let named = mapped.ids.iter().zip(mapped.id_values());
    named.filter(|(id, _)| is_pruned(id)).map(|(_, value)| value.node()).collect()
}

/// How a request carries the version that was judged, but for its body.
#[derive(Default)]
struct Pin {
    header: Option<(HeaderName, HeaderValue)>,
    pair: Option<(String, String)>,
}

/// A write of a pinned route carries the version, or is not forwarded.
fn pin(mapped: &Mapped<'_>, write: Option<&WriteVerdict>) -> Result<Pin, Problem> {
    let Some(pinning) = mapped.route.version.pinning() else { return Ok(Pin::default()) };
    if write.is_some_and(|write| write.is_new) {
        return Ok(Pin { header: Some((IF_NONE_MATCH, HeaderValue::from_static("*"))), pair: None });
    }
    let version = write.and_then(|write| write.version.as_ref());
    let unpinned = || Problem::new(Reason::Internal).internal("a pinned write without a version");
    let text = version.map(|version| version.text.as_str()).ok_or_else(unpinned)?;
    Ok(match &pinning.to {
        VersionTarget::Header(name) => {
            let value = HeaderValue::try_from(text).map_err(|_| unpinned())?;
            Pin { header: Some((name.clone(), value)), pair: None }
        }
        VersionTarget::Query(name) => Pin { header: None, pair: Some((name.clone(), text.to_owned())) },
        VersionTarget::Body(_) => Pin::default(),
    })
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
        pairs.retain(|(name, _)| !projection.is_parameter(name));
        pairs.extend(projection.pairs(missing)?);
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
    let mut headers = plain_headers(profile);
    headers.insert(credential.0.clone(), credential.1.clone());
    headers
}

fn plain_headers(profile: &Profile) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let accept = profile.accept.as_deref().and_then(|accept| HeaderValue::try_from(accept).ok());
    headers.insert(ACCEPT, accept.unwrap_or(HeaderValue::from_static("application/json")));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(https::USER_AGENT));
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
