//! Opens an answer of the CRM: what kind it is, and its body as JSON or not at all.
//!
//! Promises: an answer that cannot be read whole is a failure without any of its bytes; codings that the CRM was not asked
//! for are undone within limits; validators, redirects and partial contents never come through.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};

use super::super::forward::{UpstreamResponse, is_success};
use super::super::map::body::{has_charset_utf8_or_none, is_json};
use super::csv::{self, Layout};
use crate::bundle::profile::route::{Route, Rows, tells_of_records};
use crate::bundle::profile::shape::Shape;
use crate::json::parse::JsonLimits;
use crate::json::value::Document;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::seeded::{Fault, is_seeded};
use crate::net::coding::{self, Coding, CodingError, CodingLimits};

/// Limits on reading an answer.
#[derive(Clone, Copy, Debug)]
pub struct AnswerLimits {
    /// Of what it says, undone codings included.
    pub json: JsonLimits,
    /// Of codings.
    pub coding: CodingLimits,
}

/// An answer of the CRM, by kind.
pub enum Answer {
    /// A success with a JSON body.
    Success(Document),
    /// A success with a table of text.
    Table(Document, Layout),
    /// A success without a body.
    Empty,
    /// There is no such record.
    NotFound,
    /// The CRM did not accept the request; the body is there if it is JSON.
    Rejected(u16, Option<Document>),
}

/// Opens an answer.
pub fn open(response: &UpstreamResponse, route: &Route, limits: &AnswerLimits) -> Result<Answer, Problem> {
    // A record that is hidden from the service account, locked or in conflict is there, which a status must not tell.
    if tells_of_records(response.status) && route.reads_one_record() {
        return Ok(Answer::NotFound);
    }
    open_as(response, limits, || success(response, route, limits))
}

/// Opens the answer of a place that no route describes: JSON, whatever it says.
pub fn open_json(response: &UpstreamResponse, limits: &AnswerLimits) -> Result<Answer, Problem> {
    open_as(response, limits, || document(response, limits).map(Answer::Success))
}

fn open_as(
    response: &UpstreamResponse,
    limits: &AnswerLimits,
    success: impl FnOnce() -> Result<Answer, Problem>,
) -> Result<Answer, Problem> {
    let fail = |reason: Reason| Problem::new(reason).upstream(response.status);
    match response.status {
        200..=203 | 207 if response.body.is_empty() => Ok(Answer::Empty),
        204 | 205 => Ok(Answer::Empty),
        200..=203 | 207 => success().map_err(|problem| problem.upstream(response.status)),
        404 | 410 => Ok(Answer::NotFound),
        400..=499 => Ok(Answer::Rejected(response.status, document(response, limits).ok())),
        300..=399 => Err(fail(Reason::UpstreamRedirect)),
        500..=599 => Err(fail(Reason::UpstreamError)),
        _ => Err(fail(Reason::UpstreamShape)),
    }
}

/// Whether one pass can judge the answers of a route.
pub fn is_scannable(route: &Route) -> bool {
    let others = [&route.pushed_shape, &route.refilled_shape];
    let are_plain = route.shape.is_plain && others.into_iter().flatten().all(|shape| shape.is_plain);
    route.csv.is_none() && route.success.is_none() && are_plain
}

/// The body of an answer that one pass can judge; `None` if it must be read as a document, or needs no reading.
pub fn scannable(
    response: &UpstreamResponse,
    route: &Route,
    limits: &AnswerLimits,
) -> Result<Option<Bytes>, Problem> {
    if !is_success(response.status) || response.body.is_empty() || !is_scannable(route) {
        return Ok(None);
    }
    let body = text_of(response, is_json, limits);
    body.map(Some).map_err(|problem| problem.upstream(response.status))
}

fn success(response: &UpstreamResponse, route: &Route, limits: &AnswerLimits) -> Result<Answer, Problem> {
    if let Some(spec) = &route.csv {
        let table = csv::read(&text_of(response, is_csv, limits)?, spec, &limits.json);
        let (document, layout) = table.ok_or(Reason::UpstreamMalformed)?;
        return Ok(Answer::Table(document, layout));
    }
    let document = document(response, limits)?;
    let Some(success) = &route.success else { return Ok(Answer::Success(document)) };
    let says =
        success.at.first(document.root()).is_some_and(|value| success.is.iter().any(|is| value.is(is)));
    match says {
        true => Ok(Answer::Success(document)),
        false => Ok(Answer::Rejected(response.status, Some(document))),
    }
}

/// The body that leaves on a route that passes: that of a success, without the codings that nobody asked for.
pub fn passing(response: &UpstreamResponse, limits: &AnswerLimits) -> Result<Bytes, Problem> {
    let fail = |reason: Reason| Err(Problem::new(reason).upstream(response.status));
    match response.status {
        200..=203 | 207 if !response.body.is_empty() && !has_json(response) => fail(Reason::UpstreamType),
        200..=205 | 207 => undone(response, limits),
        300..=399 => fail(Reason::UpstreamRedirect),
        400..=499 => Err(rejected(response.status)),
        500..=599 => fail(Reason::UpstreamError),
        _ => fail(Reason::UpstreamShape),
    }
}

/// Whether the CRM did what a write asked for, as far as its answer tells.
pub fn is_taken(response: &UpstreamResponse, route: &Route, limits: &AnswerLimits) -> bool {
    let says_no = || matches!(open(response, route, limits), Ok(Answer::Rejected(..) | Answer::NotFound));
    (200..300).contains(&response.status) && !says_no()
}

/// What may leave of an answer.
pub enum Described<'r> {
    /// There is no body.
    Empty,
    /// The body, as far as the shape describes it.
    Body(Document, &'r Shape),
    /// The same for a table of text.
    Table(Document, &'r Shape, Layout),
}

/// Finds what a route says of an answer. An error of the CRM leaves only as far as the profile describes it.
pub fn describe<'r>(
    response: &UpstreamResponse,
    route: &'r Route,
    rows: Rows,
    limits: &AnswerLimits,
) -> Result<Described<'r>, Problem> {
    let shape = route.shape_of(rows);
    match open(response, route, limits)? {
        Answer::Success(document) => Ok(Described::Body(document, shape)),
        Answer::Table(document, layout) => Ok(Described::Table(document, shape, layout)),
        Answer::Empty => Ok(Described::Empty),
        Answer::NotFound if is_seeded(Fault::MissingIsSaid) => Err(rejected(response.status)),
        Answer::NotFound => {
            let why = format!("the CRM answered {}", response.status);
            Err(Problem::new(Reason::NotFound).internal(why))
        }
        // Whatever else the CRM says then may be about what the caller cannot see.
        Answer::Rejected(status, _) if route.version.is_conflict(status) => {
            let why = "the record has another version than the one that was judged";
            Err(Problem::new(Reason::RecordChanged).upstream(status).internal(why))
        }
        Answer::Rejected(status, document) => {
            let rule = route.errors.iter().find(|rule| rule.statuses.contains(&status));
            match (rule, document) {
                _ if is_seeded(Fault::ErrorsAreTold) => {
                    Err(rejected(status).detail(String::from_utf8_lossy(&response.body)))
                }
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
    if !is_write || status >= 300 || problem.reason == Reason::CrmRejected {
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

fn document(response: &UpstreamResponse, limits: &AnswerLimits) -> Result<Document, Problem> {
    let body = text_of(response, is_json, limits)?;
    Document::parse(body, &limits.json)
        .map_err(|error| Problem::new(Reason::UpstreamMalformed).internal(error.to_string()))
}

/// The codings of an answer that says that it is JSON.
pub fn codings_of_json(headers: &HeaderMap, status: u16) -> Result<Vec<Coding>, Problem> {
    codings_of(headers, is_json, status).map_err(|problem| problem.upstream(status))
}

fn codings_of(headers: &HeaderMap, is_type: fn(&str) -> bool, status: u16) -> Result<Vec<Coding>, Problem> {
    let codings = coding::named_in(headers).map_err(|error| undecodable(&error, status))?;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match content_type.is_some_and(is_type) {
        true => Ok(codings),
        false => Err(Reason::UpstreamType.into()),
    }
}

/// The body as it was written, if it is of that type.
fn text_of(
    response: &UpstreamResponse,
    is_type: fn(&str) -> bool,
    limits: &AnswerLimits,
) -> Result<Bytes, Problem> {
    codings_of(&response.headers, is_type, response.status)?;
    undone(response, limits)
}

/// The body of an answer without its codings.
pub fn undone(response: &UpstreamResponse, limits: &AnswerLimits) -> Result<Bytes, Problem> {
    let body = coding::undone(&response.headers, &response.body, limits.json.bytes_max, limits.coding);
    body.map_err(|error| undecodable(&error, response.status))
}

/// Why a body in a coding cannot be read.
pub fn undecodable(error: &CodingError, status: u16) -> Problem {
    let reason = if error.is_size() { Reason::UpstreamTooLarge } else { Reason::UpstreamCoding };
    Problem::new(reason).upstream(status).internal(error.to_string())
}

fn is_csv(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("text/csv") && has_charset_utf8_or_none(content_type)
}

fn has_json(response: &UpstreamResponse) -> bool {
    response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_json)
}
