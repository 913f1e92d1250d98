//! The observed request on its path: what is looked at on the way in, and how its answer leaves as the CRM gave it.
//!
//! Promises: the answer is judged by the same stages as under enforcement; only what becomes of their verdict differs.

use http::header::CONTENT_TYPE;

use super::super::Stage;
use super::super::canonical::CanonicalHead;
use super::super::enforce::answer::{Answer, open, undone};
use super::super::enforce::response::Released;
use super::super::forward::UpstreamResponse;
use super::super::map::body::is_json;
use super::super::map::query::is_declared;
use super::super::map::{self, Limits, Mapped};
use super::super::pool::{Entry, Work};
use super::super::respond::{self, Reply};
use super::super::sidecar::Sidecar;
use super::super::trail::Trail;
use super::{Observed, instead, names, no_route, unmapped};
use crate::bundle::profile::Profile;
use crate::bundle::profile::route::Route;
use crate::bundle::profile::route::condition::Condition;
use crate::bundle::profile::template::Parameters;
use crate::json::parse::JsonLimits;
use crate::json::value::Document;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use bytes::Bytes;

/// Finds the route of a request, and whether the request is observed; then the lack of a route does not end it.
///
/// Where only the body decides which route takes the request, or where a caller stated something that none of the path takes,
/// every route of the path must be in the same group.
pub fn route<'p>(
    sidecar: &Sidecar,
    profile: &'p Profile,
    head: &CanonicalHead,
    trail: &mut Trail,
) -> Result<(&'p Route, Parameters), Problem> {
    let found = map::route(profile, head);
    let route = found.as_ref().ok().map(|(route, _)| *route);
    trail.route = route.map(Route::label);
    let observed = |route| sidecar.observing.of(&sidecar.clock, head, route);
    let siblings = || profile.routes_at(&head.method, &head.segments, head.has_trailing_slash);
    let is_settled = route.is_some() && !siblings().any(|other| other.when.iter().any(Condition::is_on_body));
    // A body that is not looked into cannot be judged beside its passing: such routes are enforced.
    let own = observed(route).filter(|_| route.is_none_or(|route| route.transit.is_none()));
    trail.observed = own.filter(|own| {
        let is_with_it = |other| observed(Some(other)).is_some_and(|other| other.group() == own.group());
        is_settled || siblings().all(is_with_it)
    });
    // The CRM may take it for a route that it almost is: where one of those is enforced, so is this.
    if route.is_none()
        && !profile.routes_like(&head.method, &head.segments).all(|like| observed(Some(like)).is_some())
    {
        trail.observed = None;
    }
    instead(&mut trail.observed, found, no_route)
}

/// The request as it was mapped; where it was not and is observed, one that asks for nothing that is decided.
pub fn mapped<'p>(
    mapped: Result<Mapped<'p>, Problem>,
    route: &'p Route,
    trail: &mut Trail,
) -> Result<Mapped<'p>, Problem> {
    instead(&mut trail.observed, mapped, |observed| unmapped(route, observed))
}

/// Looks at a request for names that the profile does not have.
pub fn see_request(
    observed: &mut Observed,
    head: &CanonicalHead,
    mapped: &Mapped<'_>,
    body: &Bytes,
    profile: &Profile,
    limits: &Limits,
) {
    let route = mapped.route;
    let seen = &mut observed.seen;
    if route.template.methods.is_empty() {
        seen.note_path(&head.segments, head.has_trailing_slash, profile);
    }
    seen.note_query(head.query.iter().filter(|(name, _)| !is_declared(route, name)));
    let declared_type = || head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match (mapped.document(), route.writes.as_ref()) {
        (Some(document), Some(writes)) => {
            if let Some((value, record_type)) = writes.at.first(document.root()).zip(mapped.record_type) {
                seen.note_record(value, record_type, profile);
            }
        }
        (Some(_), None) => {}
        (None, _) if body.is_empty() => {}
        (None, _) if route.refuse.is_none() && !is_body_unread(observed.would.as_ref()) => {}
        (None, _) => {
            seen.request_type = Some(declared_type().map_or("none", names::content_type));
            if let Some(document) = parse(declared_type(), body, &limits.json) {
                seen.note_request_keys(&document);
            }
        }
    }
}

fn is_body_unread(problem: Option<&Problem>) -> bool {
    problem.is_some_and(|problem| UNREAD_BODY.contains(&problem.reason))
}

impl Stage<'_> {
    /// Judges the answer of an observed request, notes what would have become of it, and releases it as it is.
    pub(in crate::pipeline) async fn observe(
        &self,
        response: &UpstreamResponse,
        trail: &mut Trail,
    ) -> Result<Reply, Problem> {
        // What would have ended before the CRM was asked would have had no answer.
        let ends_here = trail.observed.as_ref().is_some_and(|observed| observed.would().is_some());
        let judged = if ends_here { None } else { Some(self.reply(response, trail).await) };
        let problem = judged.and_then(Result::err);
        let Some(observed) = &mut trail.observed else {
            return Err(
                Problem::new(Reason::Internal).internal("an answer is observed of a request that is not")
            );
        };
        let work = Work::on(&response.headers, &response.body, Entry::Begun);
        let see = || self.see_answer(observed, response, problem.as_ref());
        self.sidecar.pool.run(work, see).await?;
        observed.note(problem);
        if response.status < 200 {
            return Err(Problem::new(Reason::UpstreamShape).upstream(response.status));
        }
        let released = Released::observed(response.body.clone(), observed);
        Ok(respond::release_observed(response.status, &response.headers, released, &trail.id))
    }

    /// Looks at an answer for names that the profile does not have: of its records, or of all of it where it is not
    /// described.
    fn see_answer(&self, observed: &mut Observed, response: &UpstreamResponse, problem: Option<&Problem>) {
        let profile = &self.serving.snapshot.bundle.profile;
        let (route, seen) = (self.mapped.route, &mut observed.seen);
        let content_type = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_success = (200..300).contains(&response.status);
        let is_unread = problem.is_some_and(|problem| UNREAD.contains(&problem.reason));
        if route.refuse.is_some() || is_unread {
            seen.answer_type =
                Some(content_type.map_or("none", names::content_type)).filter(|_| !response.body.is_empty());
            let body = undone(response, &self.limits.answer).ok().filter(|_| is_success);
            if let Some(document) = body.and_then(|body| parse(content_type, &body, &self.limits.answer.json))
            {
                seen.note_answer_keys(&document);
            }
        } else if route.pass.is_none()
            && is_success
            && let Ok(Answer::Success(document) | Answer::Table(document, _)) =
                open(response, route, &self.limits.answer)
        {
            seen.note_records(&document, &route.shape, self.mapped.record_type, profile);
        }
    }
}

fn parse(content_type: Option<&str>, body: &Bytes, limits: &JsonLimits) -> Option<Document> {
    let is_readable = content_type.is_some_and(is_json) && !body.is_empty();
    is_readable.then(|| Document::parse(body.clone(), limits).ok()).flatten()
}

/// Why a request's body could not be read as the profile describes it.
const UNREAD_BODY: &[Reason] = &[
    Reason::BodyType,
    Reason::BodyUnexpected,
    Reason::FormSyntax,
    Reason::FormDuplicateKey,
    Reason::FormFile,
    Reason::JsonSyntax,
    Reason::JsonDuplicateKey,
    Reason::JsonDepth,
];
/// Why an answer could not be read as the profile describes it.
const UNREAD: &[Reason] =
    &[Reason::UpstreamType, Reason::UpstreamCoding, Reason::UpstreamMalformed, Reason::UpstreamShape];
