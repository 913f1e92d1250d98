//! Opens an answer of the CRM: what kind it is, and its body as JSON or not at all.
//!
//! Promises: an answer that cannot be read whole is a failure without any of its bytes; validators, redirects and
//! partial contents never come through.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};

use super::super::forward::UpstreamResponse;
use super::super::map::is_json;
use crate::bundle::profile::route::Route;
use crate::bundle::profile::shape::Shape;
use crate::json::parse::JsonLimits;
use crate::json::value::Document;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// An answer of the CRM, by kind.
pub enum Answer {
    /// A success with a JSON body.
    Success(Document),
    /// A success without a body.
    Empty,
    /// There is no such record.
    NotFound,
    /// The CRM did not accept the request; the body is there if it is JSON.
    Rejected(u16, Option<Document>),
}

/// Opens an answer.
pub fn open(response: &UpstreamResponse, limits: &JsonLimits) -> Result<Answer, Problem> {
    let fail = |reason: Reason| Problem::new(reason).upstream(response.status);
    match response.status {
        200..=203 | 207 if response.body.is_empty() => Ok(Answer::Empty),
        204 | 205 => Ok(Answer::Empty),
        200..=203 | 207 => document(response, limits).map(Answer::Success).map_err(fail),
        404 | 410 => Ok(Answer::NotFound),
        400..=499 => Ok(Answer::Rejected(response.status, document(response, limits).ok())),
        300..=399 => Err(fail(Reason::UpstreamRedirect)),
        500..=599 => Err(fail(Reason::UpstreamError)),
        _ => Err(fail(Reason::UpstreamShape)),
    }
}

/// Whether the answer of a route that passes may leave: a success that arrives as the CRM wrote it.
pub fn check_passing(response: &UpstreamResponse) -> Result<(), Problem> {
    let fail = |reason: Reason| Err(Problem::new(reason).upstream(response.status));
    match response.status {
        200..=205 | 207 if has_coding(&response.headers) => fail(Reason::UpstreamCoding),
        200..=203 | 207 if !response.body.is_empty() && !has_json(response) => fail(Reason::UpstreamType),
        200..=205 | 207 => Ok(()),
        300..=399 => fail(Reason::UpstreamRedirect),
        400..=499 => Err(rejected(response.status)),
        500..=599 => fail(Reason::UpstreamError),
        _ => fail(Reason::UpstreamShape),
    }
}

/// What may leave of an answer.
pub enum Described<'r> {
    /// There is no body.
    Empty,
    /// The body, as far as the shape describes it.
    Body(Document, &'r Shape),
}

/// Finds what a route says of an answer. An error of the CRM leaves only as far as the profile describes it.
pub fn describe<'r>(
    response: &UpstreamResponse,
    route: &'r Route,
    limits: &JsonLimits,
) -> Result<Described<'r>, Problem> {
    match open(response, limits)? {
        Answer::Success(document) => Ok(Described::Body(document, &route.shape)),
        Answer::Empty => Ok(Described::Empty),
        Answer::NotFound => Err(Reason::NotFound.into()),
        Answer::Rejected(status, document) => {
            let rule = route.errors.iter().find(|rule| rule.statuses.contains(&status));
            match (rule, document) {
                (Some(rule), Some(document)) => Ok(Described::Body(document, &rule.shape)),
                _ => Err(rejected(status)),
            }
        }
    }
}

/// Why an answer that the profile describes may not leave. Of an error of the CRM only the status is told.
pub fn unreleased(problem: Problem, status: u16) -> Problem {
    if status >= 400 { rejected(status) } else { problem }
}

/// Why the caller gets no answer though the CRM gave one. If it took a write, the caller must not try again, whatever is
/// wrong with the answer.
pub fn withheld(problem: Problem, is_write: bool, status: u16) -> Problem {
    if !is_write || status >= 300 {
        return problem;
    }
    let why = format!("{}: {}", problem.reason, problem.internal.unwrap_or_default());
    Problem::new(Reason::AnswerWithheld).upstream(status).internal(why)
}

/// The same for an answer whose head came and whose body could not be read.
pub fn withheld_unread(problem: Problem, is_write: bool) -> Problem {
    match problem.upstream_status {
        Some(status) => withheld(problem, is_write, status),
        None => problem,
    }
}

/// The CRM did not accept the request, and of its answer only the status is told.
pub fn rejected(status: u16) -> Problem {
    Problem::new(Reason::CrmRejected).upstream(status)
}

fn document(response: &UpstreamResponse, limits: &JsonLimits) -> Result<Document, Reason> {
    if has_coding(&response.headers) {
        return Err(Reason::UpstreamCoding);
    }
    if !has_json(response) {
        return Err(Reason::UpstreamType);
    }
    Document::parse(response.body.clone(), limits).map_err(|_| Reason::UpstreamMalformed)
}

fn has_json(response: &UpstreamResponse) -> bool {
    response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_json)
}

/// Whether the body is in a coding, or in one that is no text: an unreadable header is not the absence of one.
pub fn has_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}
