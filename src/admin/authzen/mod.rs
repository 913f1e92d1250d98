//! AuthZEN Authorization API 1.0 on the admin listener: other services ask the same policies.
//!
//! Promises: decided by the functions that decide for the proxy, on the same snapshot; recorded before it is answered.
//! Whatever cannot be read, converted or found is `decision: false`, never a guess. Never asks the CRM: what policy may know
//! of a record is what the question carries.

mod question;
mod judge;
mod change;
mod answer;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::json;
use tokio::task::JoinSet;

use super::{Admin, JSON, body, reply};
use crate::json::parse::JsonLimits;
use crate::json::value::{Document, Value};
use crate::ledger::entry::Delivered;
use crate::model::problem::Problem;
use crate::pipeline::enforce::response::ReleaseKind;
use crate::pipeline::sidecar::Sidecar;
use crate::pipeline::trail::End;
use answer::Answer;
use judge::Judge;

/// What the endpoints may cost, and where they are.
#[derive(Clone, Debug)]
pub struct AuthzenOptions {
    /// How callers reach the listener, without a path.
    pub url: String,
    /// Bytes of a question.
    pub body_bytes_max: usize,
    /// Questions in one request.
    pub evaluations_max: usize,
}

/// A question that is not answered as a whole: the status and what is wrong with it (§10.1.2).
struct Unanswered(StatusCode, String);

impl Admin {
    /// Answers one of the AuthZEN paths; `None` for any other.
    pub(super) async fn authzen(&self, request: Request<Incoming>) -> Option<Response<Full<Bytes>>> {
        let path = request.uri().path().to_owned();
        let is_many = match (request.method(), path.as_str()) {
            (&Method::GET, METADATA) => return Some(reply(StatusCode::OK, JSON, self.metadata())),
            (&Method::POST, EVALUATION) => false,
            (&Method::POST, EVALUATIONS) => true,
            (_, METADATA | EVALUATION | EVALUATIONS) => {
                let body = json!({"error": "method not allowed"}).to_string();
                return Some(reply(StatusCode::METHOD_NOT_ALLOWED, JSON, body));
            }
            _ => return None,
        };
        let request_id =
            request.headers().get(REQUEST_ID).filter(|id| id.len() <= REQUEST_ID_BYTES_MAX).cloned();
        let mut response = match self.evaluate(request, is_many).await {
            Ok(body) => reply(StatusCode::OK, JSON, body),
            Err(Unanswered(status, message)) => reply(status, "text/plain; charset=utf-8", message + "\n"),
        };
        if let Some(id) = request_id {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        Some(response)
    }

    /// The metadata (§9): what is not named is not supported.
    fn metadata(&self) -> String {
        let url = self.authzen.url.trim_end_matches('/');
        json!({
            "policy_decision_point": url,
            "access_evaluation_endpoint": format!("{url}{EVALUATION}"),
            "access_evaluations_endpoint": format!("{url}{EVALUATIONS}"),
        })
        .to_string()
    }

    async fn evaluate(&self, request: Request<Incoming>, is_many: bool) -> Result<String, Unanswered> {
        let body = self.read(request).await?;
        let (sidecar, options) = (Arc::clone(&self.sidecar), self.authzen.clone());
        let work = tokio::task::spawn_blocking(move || judged(&sidecar, &options, body, is_many));
        let judged = work.await.map_err(|_| failed("the decision did not end"))??;
        let mut recording = JoinSet::new();
        for answer in &judged.answers {
            let (sidecar, (trail, problem)) = (Arc::clone(&self.sidecar), answer.to_record());
            recording.spawn(async move { record(&sidecar, trail, problem).await });
        }
        while let Some(recorded) = recording.join_next().await {
            let recorded = recorded.map_err(|_| failed("the decision could not be recorded"))?;
            recorded.map_err(|problem| {
                Unanswered(StatusCode::SERVICE_UNAVAILABLE, problem.reason.title().to_owned())
            })?;
        }
        Ok(judged.to_json())
    }

    async fn read(&self, request: Request<Incoming>) -> Result<Bytes, Unanswered> {
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_json = content_type.is_some_and(|value| {
            value.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case(JSON))
        });
        if !is_json {
            return Err(bad("the content type must be application/json"));
        }
        let body = body::read(request, self.authzen.body_bytes_max).await;
        body.map_err(|(status, message)| Unanswered(status, message))
    }
}

/// Whether a path is one of those that questions go to.
pub fn is_path(path: &str) -> bool {
    matches!(path, METADATA | EVALUATION | EVALUATIONS)
}

/// The answers of one request.
struct Judged {
    answers: Vec<Answer>,
    is_many: bool,
}

impl Judged {
    fn to_json(&self) -> String {
        let mut answers: Vec<serde_json::Value> = self.answers.iter().map(Answer::to_json).collect();
        match (self.is_many, answers.pop()) {
            (false, Some(one)) => one.to_string(),
            (_, last) => {
                json!({"evaluations": answers.into_iter().chain(last).collect::<Vec<_>>()}).to_string()
            }
        }
    }
}

/// Reads and judges all questions of a body, in order, as far as the semantics ask for them (§7.1.2.1).
fn judged(
    sidecar: &Sidecar,
    options: &AuthzenOptions,
    body: Bytes,
    is_many: bool,
) -> Result<Judged, Unanswered> {
    let limits = JsonLimits {
        bytes_max: options.body_bytes_max,
        depth_max: sidecar.limits.json_depth_max,
        nodes_max: sidecar.limits.json_values_max,
    };
    let document =
        Document::parse(body, &limits).map_err(|error| bad(&format!("not a question: {error}")))?;
    let root = document.root();
    if root.kind() != crate::json::value::Kind::Object {
        return Err(bad("a question is a JSON object"));
    }
    let judge = Judge::new(sidecar);
    let items = question::items(root).map_err(|message| bad(&message))?.filter(|_| is_many);
    let Some(items) = items else {
        // Without `evaluations` this is one question, on either path (§7.1).
        let question = question::read(root, None).map_err(|message| bad(&message))?;
        return Ok(Judged { answers: vec![judge.answer(&question)], is_many: false });
    };
    if items.len() > options.evaluations_max {
        return Err(bad(&format!("there are more than {} evaluations", options.evaluations_max)));
    }
    let semantic = question::semantic(root).map_err(|message| bad(&message))?;
    let mut answers = Vec::new();
    for item in items {
        let answer = one_of_many(&judge, item, root);
        let is_last = semantic.ends_with(answer.is_allow());
        answers.push(answer);
        if is_last {
            break;
        }
    }
    Ok(Judged { answers, is_many: true })
}

/// A question that cannot be read denies itself and no other (§7.2.1).
fn one_of_many(judge: &Judge<'_>, item: Value<'_>, defaults: Value<'_>) -> Answer {
    match question::read(item, Some(defaults)) {
        Ok(question) => judge.answer(&question),
        Err(message) => judge.unreadable(message),
    }
}

/// Makes one decision durable. There is no later outcome: what the asking service does with it is its own.
async fn record(
    sidecar: &Sidecar,
    mut trail: crate::pipeline::trail::Trail,
    problem: Option<Problem>,
) -> Result<(), Problem> {
    sidecar.recorder.require_writable()?;
    sidecar.recorder.decide(&mut trail, problem.as_ref()).await?;
    let end = End {
        status: StatusCode::OK.as_u16(),
        kind: ReleaseKind::None,
        bytes: 0,
        delivered: Delivered::Unknown,
        problem: problem.as_ref(),
    };
    sidecar.recorder.conclude_soon(&trail, &end);
    sidecar.metrics.count(&trail.finished(StatusCode::OK.as_u16(), problem.as_ref()));
    Ok(())
}

fn bad(message: &str) -> Unanswered {
    Unanswered(StatusCode::BAD_REQUEST, message.to_owned())
}

fn failed(message: &str) -> Unanswered {
    Unanswered(StatusCode::INTERNAL_SERVER_ERROR, message.to_owned())
}

const METADATA: &str = "/.well-known/authzen-configuration";
const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES_MAX: usize = 256;
/// The route under which the ledger and the counters know these decisions.
const ROUTE: &str = "authzen";
