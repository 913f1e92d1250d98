//! The one exit of every request: what became of it is recorded, then it is answered.
//!
//! Promises: an answer to a write leaves when its outcome is durable, or says that it is withheld; whoever is identified leaves
//! an entry, and others are counted.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::respond::{self, Reply};
use super::serving::Serving;
use super::sidecar::Sidecar;
use super::trail::{End, Trail};
use super::{outgoing, passing};
use crate::ledger::entry::Delivered;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// What the exit needs to know of a request.
pub(super) struct Asked {
    pub(super) is_head: bool,
    pub(super) source: String,
    pub(super) origin: Option<http::HeaderValue>,
}

/// The one exit: records, then answers.
pub(super) async fn exit(
    sidecar: &Sidecar,
    serving: &Serving,
    mut trail: Trail,
    result: Result<Reply, Problem>,
    asked: Asked,
    reply_to: oneshot::Sender<outgoing::Outgoing>,
) {
    let mut problem = result.as_ref().err().cloned();
    let mut reply = result.unwrap_or_else(|problem| {
        respond::problem(&problem, &trail.id, Some(&serving.snapshot.bundle.profile))
    });
    let mut is_recorded = false;
    trail.enter("record");
    if let Some(found) = problem.clone() {
        sidecar.log(&trail, &found);
        if trail.principal.is_none() {
            sidecar.recorder.count_refusal(found.reason, &asked.source);
        } else if !trail.is_decided {
            match sidecar.recorder.decide(&mut trail, Some(&found)).await {
                Ok(()) => is_recorded = true,
                Err(unavailable) => {
                    reply = respond::problem(&unavailable, &trail.id, None);
                    problem = Some(unavailable);
                }
            }
        }
    }
    sidecar.metrics.count(&trail.finished(reply.status, problem.as_ref()));
    if problem.is_none() {
        passing::count(sidecar, &trail, reply.status, &asked.source);
    }
    sidecar.browsers.decorate(asked.origin.as_ref(), &mut reply.headers);
    if let Some(stream) = reply.stream.take().filter(|_| !asked.is_head) {
        return passing::deliver(sidecar, serving, &trail, reply, stream, &asked.source, reply_to).await;
    }
    if let Some(observed) = &trail.observed {
        sidecar.metrics.count_observed(observed.would().map(|problem| problem.reason));
    }
    let kind = reply.body.kind();
    let (status, headers) = (reply.status, reply.headers);
    let body = if asked.is_head { Bytes::new() } else { reply.body.into_body() };
    let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let end = |delivered| End { status, kind, bytes, delivered, problem: problem.as_ref() };
    let is_open = trail.is_decided || is_recorded;
    if is_open {
        sidecar.recorder.note_observed(&trail);
    }
    let must_be_durable = is_open && trail.is_forwarded;
    if must_be_durable
        && let Err(unavailable) = sidecar.recorder.conclude(&trail, &end(Delivered::Unknown)).await
    {
        return withhold(&trail, &unavailable, reply_to);
    }
    let (outgoing, delivered) = outgoing::Outgoing::new(status, headers, body);
    trail.end_trace(status, problem.as_ref());
    let _ = reply_to.send(outgoing);
    let delivered = delivered.await.unwrap_or(Delivered::Abandoned);
    match (is_open, must_be_durable, delivered) {
        (false, _, _) | (true, true, Delivered::Yes | Delivered::Unknown) => {}
        (true, true, Delivered::Abandoned | Delivered::Partial) => {
            sidecar.recorder.note_undelivered(&trail.id)
        }
        (true, false, delivered) => sidecar.recorder.conclude_soon(&trail, &end(delivered)),
    }
}

/// Answers a write whose outcome could not be recorded: the CRM has taken it.
fn withhold(trail: &Trail, unavailable: &Problem, reply_to: oneshot::Sender<outgoing::Outgoing>) {
    tracing::error!(decision.id = %trail.id, trace_id = trail.trace_id(), error = ?unavailable.internal, "the outcome of a write could not be recorded");
    let withheld = Problem::new(Reason::AnswerWithheld).upstream(trail.upstream_status.unwrap_or(0));
    let reply = respond::problem(&withheld, &trail.id, None);
    let reply_status = reply.status;
    let (outgoing, _) = outgoing::Outgoing::new(reply.status, reply.headers, reply.body.into_body());
    trail.end_trace(reply_status, Some(&withheld));
    let _ = reply_to.send(outgoing);
}
