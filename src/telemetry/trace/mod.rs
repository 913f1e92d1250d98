//! Traces: each request as a tree of spans, sent to a collector by OTLP, with W3C Trace Context in and out.
//!
//! Promises: a span holds methods, templates of routes, statuses, reasons and the decision id, all bounded; never ids of
//! records, values, names of people or credentials. A slow or absent collector costs spans, never requests.

pub mod context;
pub mod request;
pub mod export;

use std::sync::Arc;

use http::header::HeaderMap;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::sync::mpsc;

use super::metrics::Metrics;
use context::{TraceContext, from_headers};
use request::RequestTrace;

/// Which requests are traced, and where their spans go.
pub struct Traces {
    sampling: Sampling,
    queue: SpanQueue,
}

/// Which requests are traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Of 1000 requests, how many.
    pub permille: u64,
    /// Whose word counts on a request that is part of a trace already.
    pub decided_by: SampledBy,
}

/// Who decides whether a request with a trace context is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampledBy {
    /// We do, as for any other request.
    Us,
    /// The caller's `sampled` flag does.
    Caller,
}

/// The way of spans to the exporter: bounded, and what does not fit is dropped and counted.
#[derive(Clone)]
pub struct SpanQueue {
    sender: mpsc::Sender<Vec<Span>>,
    metrics: Arc<Metrics>,
}

impl Traces {
    /// Traces whose spans go into a queue.
    pub fn new(sampling: Sampling, queue: SpanQueue) -> Self {
        Self { sampling, queue }
    }

    /// Begins a request's trace: the caller's, if it names one in good order, else a new one. A new trace has the id of the
    /// decision. `None` for an id that is none.
    pub fn begin(&self, headers: &HeaderMap, decision_id: &str) -> Option<RequestTrace> {
        let own: u128 = u128::from_str_radix(&decision_id.replace('-', ""), 16).ok().filter(|id| *id != 0)?;
        // The second half of a UUID of version 7 is random.
        let random = u64::try_from(own & u128::from(u64::MAX)).unwrap_or_default();
        let caller = from_headers(headers);
        let is_sampled = match (&caller, self.sampling.decided_by) {
            (Some(caller), SampledBy::Caller) => caller.is_sampled,
            _ => random % 1000 < self.sampling.permille,
        };
        let context = caller
            .map_or(TraceContext { trace_id: own, parent: None, is_sampled, state: None }, |caller| {
                TraceContext { is_sampled, ..caller }
            });
        Some(RequestTrace::new(context, random, self.queue.clone()))
    }
}

impl SpanQueue {
    /// A queue for the spans of so many requests, and its other end.
    pub fn new(requests_max: usize, metrics: Arc<Metrics>) -> (Self, mpsc::Receiver<Vec<Span>>) {
        let (sender, receiver) = mpsc::channel(requests_max.max(1));
        (Self { sender, metrics }, receiver)
    }

    fn push(&self, spans: Vec<Span>) {
        let count = spans.len();
        if self.sender.try_send(spans).is_err() {
            self.metrics.spans_dropped(count);
        }
    }
}

#[cfg(test)]
mod tests;
