//! The one place where a refusal, a denial or a failure becomes HTTP, and where an answer gets its headers.
//!
//! Promises: a problem document (RFC 9457) says reason and decision id, never a policy, a hidden field or an upstream
//! address. Hidden and non-existing are the same bytes.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LINK,
};
use http::header::{
    CONTENT_DISPOSITION, LOCATION, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use serde_json::json;

use super::enforce::response::{Released, ReleasedStream};
use crate::bundle::profile::{NotFound, Profile};
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::seeded::{Fault, is_seeded};

/// An answer to the caller.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Released,
    /// What follows it while it is sent, on routes whose bodies pass.
    pub stream: Option<ReleasedStream>,
}

/// The head of an answer whose body passes.
pub struct Passing {
    /// The status.
    pub status: u16,
    /// The headers of the CRM that leave.
    pub headers: HeaderMap,
    /// The cookies of the CRM that leave, as they do.
    pub cookies: Vec<HeaderValue>,
}

/// The header that names the decision on every answer that we make.
pub const DECISION_HEADER: HeaderName = HeaderName::from_static("lockkeeper-decision");

/// A problem as HTTP.
pub fn problem(problem: &Problem, decision_id: &str, profile: Option<&Profile>) -> Reply {
    if let (Reason::NotFound, Some(NotFound::Stated { status, content_type, body })) =
        (problem.reason, profile.map(|profile| &profile.not_found))
    {
        let mut headers = common_headers(decision_id);
        if let Ok(value) = HeaderValue::try_from(content_type.as_str()) {
            headers.insert(CONTENT_TYPE, value);
        }
        let body = Released::problem(Bytes::from(body.clone()));
        return Reply { status: *status, headers, body, stream: None };
    }
    let status = problem.status();
    let mut document = json!({
        "type": format!("urn:lockkeeper:reason:{}", problem.reason),
        "title": problem.reason.title(),
        "status": status,
        "reason": problem.reason.code(),
        "decision": decision_id,
    });
    if let Some(members) = document.as_object_mut() {
        if let Some(detail) = &problem.detail {
            members.insert("detail".to_owned(), json!(detail));
        }
        if !problem.fields.is_empty() {
            members.insert("fields".to_owned(), json!(problem.fields));
        }
        if problem.reason == Reason::AnswerWithheld {
            members.insert("upstreamStatus".to_owned(), json!(problem.upstream_status));
        }
    }
    let mut headers = common_headers(decision_id);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if status == 503 {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Reply { status, headers, body: Released::problem(Bytes::from(document.to_string())), stream: None }
}

/// A released answer as HTTP; of the CRM's headers only those on the profile's list leave.
pub fn release(
    status: u16,
    upstream: &HeaderMap,
    released: Released,
    decision_id: &str,
    profile: &Profile,
) -> Reply {
    let mut headers = common_headers(decision_id);
    for name in &profile.response_headers {
        let Ok(name) = HeaderName::try_from(name.as_str()) else { continue };
        let Some(value) = upstream.get(&name) else { continue };
        let value = if name == CONTENT_RANGE { without_total(value) } else { Some(value.clone()) };
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    if let Some(value) = upstream.get(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, value.clone());
    }
    for (fault, name) in TELLING {
        headers.extend(
            upstream.get(name).filter(|_| is_seeded(*fault)).map(|value| (name.clone(), value.clone())),
        );
    }
    Reply { status, headers, body: released, stream: None }
}

/// Headers that tell of what was held back: they never leave, unless a fault lets them.
const TELLING: &[(Fault, HeaderName)] = &[(Fault::TagPasses, ETAG), (Fault::LinksPass, LINK)];

/// An answer whose body passes as it comes.
pub fn pass(passing: Passing, stream: ReleasedStream, decision_id: &str) -> Reply {
    let status = passing.status;
    let headers = passing.into_headers(decision_id);
    Reply { status, headers, body: Released::passed(Bytes::new()), stream: Some(stream) }
}

/// An answer of which only the head passes.
pub fn pass_head(passing: Passing, location: Option<HeaderValue>, decision_id: &str) -> Reply {
    let status = passing.status;
    let mut headers = passing.into_headers(decision_id);
    headers.remove(CONTENT_TYPE);
    if let Some(location) = location {
        headers.insert(LOCATION, location);
    }
    Reply { status, headers, body: Released::empty(), stream: None }
}

/// Saves what is sent as a file, unless the CRM's own word on it leaves.
pub fn as_file(reply: &mut Reply) {
    reply.headers.entry(CONTENT_DISPOSITION).or_insert(HeaderValue::from_static("attachment"));
}

/// The answer to a preflight.
pub fn preflight(allowed: HeaderMap, decision_id: &str) -> Reply {
    let mut headers = common_headers(decision_id);
    headers.extend(allowed);
    Reply { status: 204, headers, body: Released::empty(), stream: None }
}

impl Passing {
    fn into_headers(self, decision_id: &str) -> HeaderMap {
        let mut headers = common_headers(decision_id);
        for (name, value) in &self.headers {
            // That a browser must not guess types is not for the CRM to say.
            if *name != X_CONTENT_TYPE_OPTIONS && *name != DECISION_HEADER {
                headers.insert(name, value.clone());
            }
        }
        for cookie in self.cookies {
            headers.append(SET_COOKIE, cookie);
        }
        headers
    }
}

/// An observed answer as HTTP: the CRM's headers but for those that are about connections, about credentials, or that
/// would lead the caller past us.
pub fn release_observed(status: u16, upstream: &HeaderMap, released: Released, decision_id: &str) -> Reply {
    let mut headers = common_headers(decision_id);
    let is_elsewhere = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        // Browsers read a backslash as a slash and leave out tabs.
        !bytes.starts_with(b"/")
            || bytes.starts_with(b"//")
            || bytes.iter().any(|byte| b"\\\t".contains(byte))
    };
    for (name, value) in upstream {
        let is_ours = headers.contains_key(name) && OURS.contains(&name.as_str());
        let leads_away = name == LOCATION && is_elsewhere(value);
        // What pages of other sites may read is said by `[browsers]` alone.
        let is_cors = name.as_str().starts_with("access-control-");
        if !(is_ours || leads_away || is_cors || NEVER_OBSERVED.contains(&name.as_str())) {
            headers.append(name.clone(), value.clone());
        }
    }
    Reply { status, headers, body: released, stream: None }
}

/// Headers that we set on every answer.
const OURS: &[&str] = &["lockkeeper-decision", "cache-control", "x-content-type-options"];
/// Headers of the CRM that leave with no answer: framing, sessions of the credential that we showed, other ways to it.
const NEVER_OBSERVED: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authentication-info",
    "authentication-info",
    "www-authenticate",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "date",
    "set-cookie",
    "set-cookie2",
    "alt-svc",
    "accept-ranges",
];

/// `records 0-5/220` tells how many rows there are, hidden ones included.
fn without_total(value: &HeaderValue) -> Option<HeaderValue> {
    let (range, _) = value.to_str().ok()?.split_once('/')?;
    HeaderValue::try_from(format!("{range}/*")).ok()
}

fn common_headers(decision_id: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::try_from(decision_id) {
        headers.insert(DECISION_HEADER, value);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_reason_and_decision_and_nothing_internal() {
        let secret =
            Problem::new(Reason::Denied).internal("policy margin-is-for-finance at http://crm.internal");
        let reply = problem(&secret, "0195", None);
        assert_eq!(reply.status, 403);
        let body = String::from_utf8(reply.body.into_body().to_vec()).unwrap();
        insta::assert_snapshot!(body, @r#"{"type":"urn:lockkeeper:reason:denied","title":"Policy does not permit this request.","status":403,"reason":"denied","decision":"0195"}"#);
    }

    #[test]
    fn a_stated_not_found_is_given_byte_for_byte() {
        let stated = NotFound::Stated {
            status: 404,
            content_type: "text/html".to_owned(),
            body: "<h1>Not Found</h1>".to_owned(),
        };
        let mut profile = Profile::default();
        profile.not_found = stated;
        let reply = problem(&Reason::NotFound.into(), "0195", Some(&profile));
        assert_eq!((reply.status, reply.body.into_body()), (404, Bytes::from_static(b"<h1>Not Found</h1>")));
    }

    #[test]
    fn an_observed_answer_opens_nothing_to_other_sites() {
        let upstream = HeaderMap::from_iter([
            (http::header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
            (http::header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")),
            (LOCATION, HeaderValue::from_static("/\t/evil.example/")),
            (http::header::ETAG, HeaderValue::from_static("\"1\"")),
        ]);
        let reply = release_observed(200, &upstream, Released::empty(), "0195");
        let mut names: Vec<&str> = reply.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["cache-control", "etag", "lockkeeper-decision", "x-content-type-options"]);
    }

    #[test]
    fn a_range_leaves_without_its_total() {
        let check = |text: &'static str| without_total(&HeaderValue::from_static(text));
        assert_eq!(check("records 0-5/220").unwrap(), "records 0-5/*");
        assert_eq!(check("records 0-5"), None);
    }
}
