//! What watches one request on its way: its time, its questions to the CRM and, if it is traced, its spans.
//!
//! Promises: watching changes nothing about a request and cannot fail.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::HeaderMap;

use super::metrics::{Finished, Metrics};
use super::stopwatch::Stopwatch;
use super::trace::Traces;
use super::trace::request::{Ended, Opened, RequestTrace};
use crate::model::reason::Reason;

/// Watches one request.
pub struct Watch {
    metrics: Arc<Metrics>,
    trace: Option<RequestTrace>,
    stopwatch: Stopwatch,
}

/// A question to the CRM that has not been answered.
pub struct Asked {
    opened: Option<Opened>,
    method: &'static str,
    stopwatch: Stopwatch,
}

impl Watch {
    /// Begins with the request's head.
    pub fn begin(
        metrics: &Arc<Metrics>,
        traces: Option<&Traces>,
        headers: &HeaderMap,
        decision_id: &str,
    ) -> Arc<Self> {
        let trace = traces.and_then(|traces| traces.begin(headers, decision_id));
        Arc::new(Self { metrics: Arc::clone(metrics), trace, stopwatch: Stopwatch::start() })
    }

    /// The id of the trace, if the request is part of one.
    pub fn trace_id(&self) -> Option<&str> {
        self.trace.as_ref().map(RequestTrace::id)
    }

    /// A stage begins, and the one before it ends.
    pub fn enter(&self, stage: &'static str) {
        if let Some(trace) = &self.trace {
            trace.enter(stage);
        }
    }

    /// The CRM is asked something; its headers are given what it is told of the trace.
    pub fn ask(&self, method: &Method, headers: &mut HeaderMap) -> Asked {
        let opened = self.trace.as_ref().map(|trace| {
            let opened = trace.ask("crm");
            trace.headers(&opened, headers);
            opened
        });
        Asked { opened, method: method_name(method), stopwatch: Stopwatch::start() }
    }

    /// The CRM answered, or why it did not.
    pub fn answered(&self, asked: Asked, result: Result<u16, Reason>) {
        self.metrics.upstream(result.ok(), asked.stopwatch.elapsed());
        if let Some((trace, opened)) = self.trace.as_ref().zip(asked.opened) {
            trace.answered(opened, asked.method, result.map_err(Reason::code));
        }
    }

    /// How long it has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.stopwatch.elapsed()
    }

    /// The request ends.
    pub fn end(&self, decision_id: &str, method: &str, finished: &Finished<'_>) {
        let (route, status) = (finished.route, finished.status);
        let reason = finished.reason.map(Reason::code);
        if let Some(trace) = &self.trace {
            trace.end(&Ended { decision_id, method, route, status, reason });
        }
    }
}

/// A method's name where callers must not choose it.
pub fn method_name(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    known.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}
