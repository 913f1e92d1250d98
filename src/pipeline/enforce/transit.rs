//! Judges the head of an answer whose body passes as it comes (PEP): its status, its type, where it redirects to.
//!
//! Promises: a body leaves only under a type that the route declares, so that no page and no JSON stands in for a file; no
//! place of the CRM's own leaves.

use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION,
};

use super::super::forward::StreamedResponse;
use super::answer::rejected;
use crate::bundle::profile::route::Route;
use crate::bundle::profile::transit::{IdentityNeed, Ranges, Redirects, Transit};
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// Where the CRM's API lies.
#[derive(Clone, Copy, Debug)]
pub struct CrmPlace<'a> {
    /// Scheme and authority.
    pub origin: &'a str,
    /// The path before every path of the profile, without a trailing slash.
    pub base_path: &'a str,
}

/// The head of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'r> {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: &'r HeaderMap,
    /// Whether no body follows.
    pub is_empty: bool,
}

impl<'r> From<&'r StreamedResponse> for Answered<'r> {
    fn from(response: &'r StreamedResponse) -> Self {
        Self { status: response.status, headers: &response.headers, is_empty: response.body.is_empty() }
    }
}

/// What may leave of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Passable {
    /// Head and body.
    Body,
    /// A head without a body; a redirect leads to this place here.
    Head(Option<HeaderValue>),
}

/// Whether an answer may leave, and what of it.
pub fn judge(
    answered: &Answered<'_>,
    route: &Route,
    transit: &Transit,
    crm: CrmPlace<'_>,
) -> Result<Passable, Problem> {
    let (status, headers, is_empty) = (answered.status, answered.headers, answered.is_empty);
    let fail = |reason: Reason| Err(Problem::new(reason).upstream(status));
    match status {
        204 | 205 => Ok(Passable::Head(None)),
        206 if transit.ranges == Ranges::Removed || !headers.contains_key(CONTENT_RANGE) => {
            fail(Reason::UpstreamShape)
        }
        200..=203 | 206 if is_empty && !headers.contains_key(CONTENT_TYPE) => Ok(Passable::Head(None)),
        200..=203 | 206 => check_body(headers, transit).map(|()| Passable::Body).or_else(fail),
        301 | 302 | 303 | 307 | 308 => {
            let place = headers.get(LOCATION).filter(|_| transit.redirects == Redirects::Rewritten);
            let place = place.and_then(|place| crm.here(place.to_str().ok()?));
            place.map_or_else(|| fail(Reason::UpstreamRedirect), |place| Ok(Passable::Head(Some(place))))
        }
        300..=399 => fail(Reason::UpstreamRedirect),
        // "Wrong password" is for whoever tried it; an error about a file tells of the record.
        400..=499 if route.identity == IdentityNeed::Nobody && check_body(headers, transit).is_ok() => {
            Ok(Passable::Body)
        }
        404 | 410 => Err(Reason::NotFound.into()),
        400..=499 => Err(rejected(status)),
        500..=599 => fail(Reason::UpstreamError),
        _ => fail(Reason::UpstreamShape),
    }
}

fn check_body(headers: &HeaderMap, transit: &Transit) -> Result<(), Reason> {
    if has_coding(headers) {
        return Err(Reason::UpstreamCoding);
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let content_type = types.next().and_then(|value| value.to_str().ok());
    let is_declared = content_type.is_some_and(|content_type| transit.lets_out(content_type));
    match is_declared && types.next().is_none() {
        true => Ok(()),
        false => Err(Reason::UpstreamType),
    }
}

/// Whether the body is in a coding, or in one that is no text: an unreadable header is not the absence of one. What passes
/// is not looked into, and would leave without the word on its coding.
fn has_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The headers of the CRM that leave with a body that passes.
pub fn headers(upstream: &HeaderMap, transit: &Transit, listed: &[String]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let listed = listed.iter().filter_map(|name| http::HeaderName::try_from(name.as_str()).ok());
    let ranged = [CONTENT_RANGE, ACCEPT_RANGES].into_iter().filter(|_| transit.ranges == Ranges::Passed);
    for name in listed.chain(transit.header_names()).chain(ranged).chain([CONTENT_TYPE]) {
        if let Some(value) = upstream.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers
}

impl CrmPlace<'_> {
    /// A `Location` of the CRM as a path here; `None` for one that leads elsewhere, or that names the CRM's own place.
    pub fn here(&self, location: &str) -> Option<HeaderValue> {
        let path = location.strip_prefix(self.origin).unwrap_or(location);
        let path = if path.is_empty() { "/" } else { path };
        // `//host` and `/\host` are other hosts for a browser.
        let is_path = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
        let is_plain = path.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        let inner = path.strip_prefix(self.base_path)?;
        let inner =
            if inner.is_empty() || inner.starts_with('?') { format!("/{inner}") } else { inner.to_owned() };
        let (_, authority) = self.origin.split_once("://")?;
        let tells_place = inner.to_ascii_lowercase().contains(&authority.to_ascii_lowercase());
        let leads_here = inner.starts_with('/') && !inner.starts_with("//");
        (is_path && is_plain && leads_here && !tells_place).then(|| HeaderValue::try_from(inner).ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(location: &str, base_path: &str, expected: Option<&str>) {
        let crm = CrmPlace { origin: "http://crm.internal:8069", base_path };
        let found = crm.here(location);
        assert_eq!(found.as_ref().map(|value| value.to_str().unwrap()), expected, "{location}");
    }

    #[test]
    fn redirects_lead_here_or_nowhere() {
        check("/login?next=/deals", "", Some("/login?next=/deals"));
        check("http://crm.internal:8069/home", "", Some("/home"));
        check("http://crm.internal:8069", "", Some("/"));
        check("/crm/home", "/crm", Some("/home"));
        check("/crm", "/crm", Some("/"));
        check("/crm?x=1", "/crm", Some("/?x=1"));
        check("/crmx", "/crm", None);
        check("/other", "/crm", None);
        check("/crm//evil.example", "/crm", None);
        check("http://crm.internal:80690/x", "", None);
        check("http://crm.internal:8069.evil.example/", "", None);
        check("http://crm.internal:8069@evil.example/", "", None);
        check("https://evil.example/", "", None);
        check("//evil.example/", "", None);
        check("/\\evil.example/", "", None);
        check("javascript:alert(1)", "", None);
        check("login", "", None);
        check("/login?next=http://CRM.internal:8069/x", "", None);
        check("/a b", "", None);
    }
}
