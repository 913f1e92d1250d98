//! Takes in request bodies: whole, for reading, or as a source that passes, where files are attached.
//!
//! Promises: a body that is looked into is without codings from here on; one that is not has the one type that its route
//! declares, in no coding; a form that passes has declared parts only.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::body::Incoming;

use super::canonical::CanonicalHead;
use super::listen::read_body;
use super::map::body::{has_charset_utf8_or_none, is_json, names_one_kind, refused};
use super::map::form;
use super::multipart::Scanner;
use super::sidecar::{Limits, RouteLimits};
use super::stream::{Sender, Source};
use crate::bundle::profile::route::Route;
use crate::bundle::profile::transit::{Transit, essence};
use crate::json::parse::JsonLimits;
use crate::json::value::Document;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::net::coding;

/// Takes in the body of a request by an identified caller: what is there of it, and what is still to come.
pub async fn take(
    body: Incoming,
    route: &Route,
    head: &CanonicalHead,
    limits: &Limits,
) -> Result<(Bytes, Option<Source>), Problem> {
    let Some(transit) = route.transit.as_ref().filter(|transit| !transit.accepts.is_empty()) else {
        let bytes_max = limits.for_route(route).body_bytes_max;
        return read_body(body, bytes_max, limits.body_timeout_ms).await.map(|body| (body, None));
    };
    let source = Source::new(body, Sender::Caller, limits.upload_stream(route))?;
    if source.is_empty() {
        return Err(Reason::BodyMissing.into());
    }
    let source = match scanner(transit, head)? {
        Some(scanner) => source.scanned_by(scanner),
        None => source,
    };
    Ok((Bytes::new(), Some(source)))
}

/// A body that is looked into, without its codings; from here on nothing says that it had any.
pub fn undone(head: &mut CanonicalHead, body: &Bytes, limits: &RouteLimits) -> Result<Bytes, Problem> {
    let body = coding::undone(&head.headers, body, limits.body_bytes_max, limits.coding);
    let body = body.map_err(|error| {
        let reason = if error.is_size() { Reason::BodyTooLarge } else { Reason::BodyCoding };
        Problem::new(reason).detail(error.to_string())
    })?;
    head.headers.remove(CONTENT_ENCODING);
    Ok(body)
}

/// Whether a body that passes would go through, for explaining.
pub fn check_passing(transit: &Transit, head: &CanonicalHead, body: &Bytes) -> Result<(), Problem> {
    if body.is_empty() {
        return Err(Reason::BodyMissing.into());
    }
    let Some(mut scanner) = scanner(transit, head)? else { return Ok(()) };
    scanner.feed(body)?;
    Ok(scanner.finish()?)
}

/// What reads a form while it passes; `None` for bodies of one piece.
fn scanner(transit: &Transit, head: &CanonicalHead) -> Result<Option<Scanner>, Problem> {
    let content_type = content_type(transit, head)?;
    if essence(content_type) != "multipart/form-data" {
        return Ok(None);
    }
    let names = transit.parts.iter().map(|part| part.value.clone()).collect();
    Ok(Some(Scanner::new(content_type, names)?))
}

/// Whether a whole body that is not looked into is of a declared type and of one meaning.
pub fn check_whole(
    transit: &Transit,
    head: &CanonicalHead,
    body: &Bytes,
    limits: &JsonLimits,
) -> Result<(), Problem> {
    if body.is_empty() {
        return Ok(());
    }
    if transit.accepts.is_empty() {
        return Err(Reason::BodyUnexpected.into());
    }
    let content_type = content_type(transit, head)?;
    if !has_charset_utf8_or_none(content_type) {
        return Err(Reason::BodyType.into());
    }
    if is_json(content_type) {
        let parsed = Document::parse(body.clone(), limits);
        return parsed.map(|_| ()).map_err(refused);
    }
    if essence(content_type) == "application/x-www-form-urlencoded" {
        form::read(body)?;
    }
    Ok(())
}

/// The one declared type of a body that is not coded.
fn content_type<'h>(transit: &Transit, head: &'h CanonicalHead) -> Result<&'h str, Problem> {
    let mut types = head.headers.get_all(CONTENT_TYPE).iter();
    let content_type = types.next().and_then(|value| value.to_str().ok());
    let is_one = |content_type: &&str| names_one_kind(content_type) && transit.lets_in(content_type);
    let content_type = content_type.filter(is_one).filter(|_| types.next().is_none());
    let coding = head.headers.get(CONTENT_ENCODING);
    if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Reason::BodyCoding.into());
    }
    content_type.ok_or_else(|| Reason::BodyType.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::profile::transit::{MediaPattern, Owner, Ranges, Redirects};
    use http::{HeaderMap, HeaderValue, Method};

    #[track_caller]
    fn check(content_type: &str, body: &'static str, expected: Result<(), Reason>) {
        let transit = Transit {
            accepts: ["application/json", "application/x-www-form-urlencoded"]
                .iter()
                .filter_map(|text| MediaPattern::parse(text))
                .collect(),
            parts: Vec::new(),
            answers: Vec::new(),
            answer_headers: Vec::new(),
            cookies: Vec::new(),
            ranges: Ranges::Removed,
            redirects: Redirects::Refused,
            owner: Owner::Unstated,
            field: None,
        };
        let head = CanonicalHead {
            method: Method::POST,
            segments: Vec::new(),
            has_trailing_slash: false,
            query: Vec::new(),
            host: None,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::try_from(content_type).unwrap())]),
        };
        let limits = JsonLimits { bytes_max: 1000, depth_max: 8, nodes_max: 100 };
        let found = check_whole(&transit, &head, &Bytes::from_static(body.as_bytes()), &limits);
        assert_eq!(found.map_err(|problem| problem.reason), expected, "{content_type}: {body}");
    }

    #[test]
    fn what_is_not_looked_into_has_one_meaning_all_the_same() {
        let form = "application/x-www-form-urlencoded";
        check("application/json", "{\"a\":1}", Ok(()));
        check("application/json; charset=utf-8", "{\"a\":1,\"a\":2}", Err(Reason::JsonDuplicateKey));
        check("application/json; charset=utf-16", "{\"a\":1,\"a\":2}", Err(Reason::BodyType));
        check("application/json; charset=utf-7", "{}", Err(Reason::BodyType));
        check(form, "a=1", Ok(()));
        check(form, "_method=DELETE", Err(Reason::MethodOverride));
        check(&format!("{form}; charset=utf-16"), "a=1", Err(Reason::BodyType));
        check("text/plain", "a=1", Err(Reason::BodyType));
        check("application/json; a=multipart; boundary=X", "{}", Err(Reason::BodyType));
    }
}
