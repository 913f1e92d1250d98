//! The trace of one request: a server span, a span for each stage, and one for each question to the CRM.
//!
//! Promises: at most [`SPANS_MAX`] spans; of a request that is not sampled nothing is kept but its ids.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::HeaderMap;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::SpanQueue;
use super::context::{TRACEPARENT, TRACESTATE, TraceContext, parent_header};
use crate::telemetry::stopwatch::{Stopwatch, unix_ns};

/// One request's trace.
pub struct RequestTrace {
    context: TraceContext,
    id: String,
    root: u64,
    began_ns: u64,
    stopwatch: Stopwatch,
    spans: Mutex<Spans>,
    queue: SpanQueue,
}

#[derive(Default)]
struct Spans {
    made: u64,
    stage: Option<Opened>,
    ended: Vec<Span>,
    dropped: u32,
}

/// A span that has not ended.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    name: &'static str,
    id: u64,
    parent: u64,
    began: Duration,
}

/// How a request ended, as its span tells it.
pub struct Ended<'a> {
    /// The decision id.
    pub decision_id: &'a str,
    /// The method, or `other`.
    pub method: &'a str,
    /// The route's label.
    pub route: Option<&'a str>,
    /// The status.
    pub status: u16,
    /// The reason's code.
    pub reason: Option<&'static str>,
}

impl RequestTrace {
    /// Begins now. `random` makes the ids of spans.
    pub fn new(context: TraceContext, random: u64, queue: SpanQueue) -> Self {
        let id = format!("{:032x}", context.trace_id);
        let (began_ns, stopwatch) = (unix_ns(), Stopwatch::start());
        Self { context, id, root: random.max(1), began_ns, stopwatch, spans: Mutex::default(), queue }
    }

    /// The trace's id as it stands in logs.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Begins a stage; the one before it ends.
    pub fn enter(&self, name: &'static str) {
        if !self.context.is_sampled {
            return;
        }
        let now = self.stopwatch.elapsed();
        let mut spans = self.spans();
        self.end_stage(&mut spans, now);
        let id = spans.next_id(self.root);
        spans.stage = Some(Opened { name, id, parent: self.root, began: now });
    }

    /// Begins a question to the CRM, inside of the stage.
    pub fn ask(&self, name: &'static str) -> Opened {
        let mut spans = self.spans();
        let parent = spans.stage.map_or(self.root, |stage| stage.id);
        let id = if self.context.is_sampled { spans.next_id(self.root) } else { self.root };
        Opened { name, id, parent, began: self.stopwatch.elapsed() }
    }

    /// What the CRM is told of the question.
    pub fn headers(&self, asked: &Opened, headers: &mut HeaderMap) {
        let parent = parent_header(self.context.trace_id, asked.id, self.context.is_sampled);
        headers.extend(parent.map(|parent| (TRACEPARENT, parent)));
        headers.extend(self.context.state.clone().map(|state| (TRACESTATE, state)));
    }

    /// Ends a question with the CRM's status, or with the reason for which there is none.
    pub fn answered(&self, asked: Opened, method: &'static str, result: Result<u16, &'static str>) {
        if !self.context.is_sampled {
            return;
        }
        let mut attributes = vec![text("http.request.method", method)];
        match result {
            Ok(status) => attributes.push(number("http.response.status_code", status)),
            Err(reason) => attributes.push(text("error.type", reason)),
        }
        let mut span = self.span(asked, SpanKind::Client, self.stopwatch.elapsed());
        span.name = format!("{method} CRM");
        span.attributes = attributes;
        span.status = status(result.is_err());
        self.spans().keep(span);
    }

    /// Ends the trace and hands its spans to the exporter.
    pub fn end(&self, ended: &Ended<'_>) {
        if !self.context.is_sampled {
            return;
        }
        let now = self.stopwatch.elapsed();
        let mut spans = self.spans();
        self.end_stage(&mut spans, now);
        let method = if ended.method == "other" { "_OTHER" } else { ended.method };
        let template = ended.route.map(|route| route.split_once(' ').map_or(route, |(_, template)| template));
        let mut attributes = vec![
            text("http.request.method", method),
            number("http.response.status_code", ended.status),
            text("lockkeeper.decision.id", ended.decision_id),
        ];
        attributes.extend(template.map(|template| text("http.route", template)));
        attributes.extend(ended.reason.map(|reason| text("lockkeeper.reason", reason)));
        let failed = ended.status >= 500;
        attributes.extend(ended.reason.filter(|_| failed).map(|reason| text("error.type", reason)));
        let opened = Opened {
            name: "",
            id: self.root,
            parent: self.context.parent.unwrap_or(0),
            began: Duration::ZERO,
        };
        let mut root = self.span(opened, SpanKind::Server, now);
        root.name = template.map_or(method.to_owned(), |template| format!("{method} {template}"));
        root.attributes = attributes;
        root.status = status(failed);
        let mut all = std::mem::take(&mut spans.ended);
        all.push(root);
        self.queue.metrics.spans_dropped(usize::try_from(spans.dropped).unwrap_or(usize::MAX));
        self.queue.push(all);
    }

    fn end_stage(&self, spans: &mut Spans, now: Duration) {
        if let Some(stage) = spans.stage.take() {
            let span = self.span(stage, SpanKind::Internal, now);
            spans.keep(span);
        }
    }

    fn span(&self, opened: Opened, kind: SpanKind, ended: Duration) -> Span {
        let at = |passed: Duration| {
            self.began_ns.saturating_add(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX))
        };
        let parent = if opened.parent == 0 { Vec::new() } else { opened.parent.to_be_bytes().to_vec() };
        Span {
            trace_id: self.context.trace_id.to_be_bytes().to_vec(),
            span_id: opened.id.to_be_bytes().to_vec(),
            parent_span_id: parent,
            flags: FLAG_SAMPLED,
            name: opened.name.to_owned(),
            kind: kind.into(),
            start_time_unix_nano: at(opened.began),
            end_time_unix_nano: at(ended),
            ..Span::default()
        }
    }

    fn spans(&self) -> MutexGuard<'_, Spans> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spans {
    /// Ids of one request follow each other, and 0 is none.
    fn next_id(&mut self, root: u64) -> u64 {
        self.made += 1;
        root.wrapping_add(self.made).max(1)
    }

    fn keep(&mut self, span: Span) {
        match self.ended.len() < SPANS_MAX {
            true => self.ended.push(span),
            false => self.dropped = self.dropped.saturating_add(1),
        }
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: u16) -> KeyValue {
    attribute(key, Value::IntValue(i64::from(value)))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn status(is_error: bool) -> Option<Status> {
    is_error.then(|| Status { code: StatusCode::Error.into(), ..Status::default() })
}

/// Spans of one request, its own not counted; fetches of a long list are what could make more.
pub const SPANS_MAX: usize = 256;
const FLAG_SAMPLED: u32 = 1;
