//! The end of the path for bodies that pass: static files, and files that were decided on.
//!
//! Promises: the decision is durable before the first byte leaves; how far the body came stands in the outcome; a body whose
//! caller lost what they had when it began is broken off.

use tokio::sync::oneshot;

use super::enforce::answer;
use super::enforce::request::Clearance;
use super::enforce::response::{Released, ReleasedStream};
use super::enforce::transit::{self, CrmPlace, Passable};
use super::forward::UpstreamResponse;
use super::outgoing::Outgoing;
use super::respond::{self, Reply};
use super::serving::Serving;
use super::sidecar::Sidecar;
use super::stream::PumpEnd;
use super::tenure;
use super::trail::{End, Trail};
use super::{Stage, work_on};
use crate::bundle::profile::transit::Transit;
use crate::ledger::entry::Delivered;
use crate::model::access::Action;
use crate::model::problem::Problem;

impl Stage<'_> {
    /// The answer of a route whose body passes: static files, and files that were decided on.
    pub(super) async fn stream(
        &self,
        clearance: Clearance,
        transit: &Transit,
        trail: &mut Trail,
    ) -> Result<Reply, Problem> {
        let (sidecar, route) = (self.sidecar, self.mapped.route);
        let profile = &self.serving.snapshot.bundle.profile;
        trail.enter("forward");
        let place = sidecar.stream_place()?;
        let limits = sidecar.limits.answer_stream(route);
        let response = sidecar.upstream.forward_streaming(clearance, self.passage, limits).await;
        let response = response.inspect_err(|problem| trail.upstream_status = problem.upstream_status)?;
        trail.upstream_status = Some(response.status);
        self.check_key(response.status)?;
        let (origin, base_path) = sidecar.upstream.place();
        let passable = transit::judge(&(&response).into(), route, transit, CrmPlace { origin, base_path })?;
        let passing = respond::Passing {
            status: response.status,
            headers: transit::headers(&response.headers, transit, &profile.response_headers),
            cookies: Vec::new(),
        };
        let mut reply = match passable {
            Passable::Head(location) => respond::pass_head(passing, location, &trail.id),
            Passable::Body => respond::pass(passing, ReleasedStream::new(response.body, place), &trail.id),
        };
        if self.mapped.action == Some(Action::Download) {
            respond::as_file(&mut reply);
            trail.show_field(transit.field.as_ref().map(|field| field.value.as_str()));
        }
        sidecar.recorder.decide(trail, None).await?;
        Ok(reply)
    }

    /// The answer of a route that passes undecided.
    pub(super) async fn pass(&self, response: &UpstreamResponse, trail: &Trail) -> Result<Reply, Problem> {
        let (pool, limits) = (&self.sidecar.pool, &self.limits.answer);
        let body = pool.run(work_on(response, trail), || answer::passing(response, limits)).await??;
        let profile = &self.serving.snapshot.bundle.profile;
        let released = Released::passed(body);
        Ok(respond::release(response.status, &response.headers, released, &trail.id, profile))
    }
}

/// Sends a body that passes, and records how far it came. A body that broke off ends the connection, so that nobody takes
/// it for whole.
pub async fn deliver(
    sidecar: &Sidecar,
    serving: &Serving,
    trail: &Trail,
    reply: Reply,
    stream: ReleasedStream,
    source: &str,
    reply_to: oneshot::Sender<Outgoing>,
) {
    let (status, kind) = (reply.status, reply.body.kind());
    let (flow, feeding) = stream.start();
    let gauge = flow.gauge();
    let (outgoing, delivered) = Outgoing::flowing(status, reply.headers, flow);
    let _ = reply_to.send(outgoing);
    let pumped = tokio::select! {
        biased;
        problem = tenure::ended(sidecar, serving, trail) => gauge.cut(problem),
        pumped = feeding => pumped,
    };
    // What was not handed on whole cannot have arrived whole, and its connection may hang for long.
    let arrived = match pumped.end == PumpEnd::Whole {
        true => delivered.await.unwrap_or(Delivered::Abandoned),
        false => Delivered::Abandoned,
    };
    trail.end_trace(status, pumped.problem.as_ref());
    if let Some(problem) = &pumped.problem {
        sidecar.log(trail, problem);
    }
    if let (None, Some(problem)) = (&trail.principal, &pumped.problem) {
        sidecar.recorder.count_refusal(problem.reason, source);
    }
    if !trail.is_decided {
        return;
    }
    let delivered = match (&pumped.problem, arrived, pumped.bytes) {
        (None, Delivered::Yes | Delivered::Unknown, _) => arrived,
        (_, _, 0) => Delivered::Abandoned,
        _ => Delivered::Partial,
    };
    let end = End { status, kind, bytes: pumped.bytes, delivered, problem: pumped.problem.as_ref() };
    sidecar.recorder.conclude_soon(trail, &end);
}

/// Counts a request for which nobody is identified and that got its answer.
pub fn count(sidecar: &Sidecar, trail: &Trail, status: u16, source: &str) {
    if let (Some(route), Some(why)) = (&trail.route, &trail.pass) {
        sidecar.recorder.count_pass(route, why, source, status);
    }
}
