//! The one place where a refusal, a denial or a failure becomes HTTP, and where an answer gets its headers.
//!
//! Promises: a problem document (RFC 9457) says reason and decision id, never a policy, a hidden field or an upstream
//! address. Hidden and non-existing are the same bytes.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::header::{LOCATION, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use serde_json::json;

use super::enforce::response::Released;
use crate::bundle::profile::{NotFound, Profile};
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// An answer to the caller.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Released,
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
        return Reply { status: *status, headers, body: Released::problem(Bytes::from(body.clone())) };
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
    Reply { status, headers, body: Released::problem(Bytes::from(document.to_string())) }
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
    Reply { status, headers, body: released }
}

/// An observed answer as HTTP: the CRM's headers but for those that are about connections, about credentials, or that
/// would lead the caller past us.
pub fn release_observed(status: u16, upstream: &HeaderMap, released: Released, decision_id: &str) -> Reply {
    let mut headers = common_headers(decision_id);
    let is_elsewhere = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        // Browsers read a backslash as a slash.
        !bytes.starts_with(b"/") || bytes.starts_with(b"//") || bytes.contains(&b'\\')
    };
    for (name, value) in upstream {
        let is_ours = headers.contains_key(name) && OURS.contains(&name.as_str());
        let leads_away = name == LOCATION && is_elsewhere(value);
        if !(is_ours || leads_away || NEVER_OBSERVED.contains(&name.as_str())) {
            headers.append(name.clone(), value.clone());
        }
    }
    Reply { status, headers, body: released }
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
    fn a_range_leaves_without_its_total() {
        let check = |text: &'static str| without_total(&HeaderValue::from_static(text));
        assert_eq!(check("records 0-5/220").unwrap(), "records 0-5/*");
        assert_eq!(check("records 0-5"), None);
    }
}
