//! Which requests are traced, what their spans say, and what happens where there is no room for them.

use http::header::HeaderValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::request::{Ended, SPANS_MAX};
use super::*;
use crate::telemetry::readings::Readings;

const DECISION: &str = "019a8f3c-0000-7000-8000-0000000003e7";
const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";

fn traces(permille: u64, decided_by: SampledBy) -> (Traces, mpsc::Receiver<Vec<Span>>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    let (queue, receiver) = SpanQueue::new(1, Arc::clone(&metrics));
    (Traces::new(Sampling { permille, decided_by }, queue), receiver, metrics)
}

fn ended(status: u16) -> Ended<'static> {
    let route = Some("GET /deals/{id}");
    Ended { decision_id: DECISION, method: "GET", route, status, reason: (status >= 400).then_some("denied") }
}

fn caller(flag: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(context::TRACEPARENT, HeaderValue::try_from(format!("{CALLER}{flag}")).unwrap());
    headers
}

#[track_caller]
fn check_sampled(permille: u64, decided_by: SampledBy, headers: &HeaderMap, expected: bool) {
    let (traces, mut receiver, _) = traces(permille, decided_by);
    traces.begin(headers, DECISION).unwrap().end(&ended(200));
    assert_eq!(receiver.try_recv().is_ok(), expected, "{permille} {decided_by:?} {headers:?}");
}

#[test]
fn who_is_sampled_is_ours_to_say_unless_the_caller_is_trusted() {
    let none = HeaderMap::new();
    // The random part of the decision id is 2^63 + 999, whose remainder by 1000 is 807.
    check_sampled(807, SampledBy::Us, &none, false);
    check_sampled(808, SampledBy::Us, &none, true);
    check_sampled(0, SampledBy::Us, &caller("1"), false);
    check_sampled(1000, SampledBy::Us, &caller("0"), true);
    check_sampled(0, SampledBy::Caller, &caller("1"), true);
    check_sampled(1000, SampledBy::Caller, &caller("0"), false);
    check_sampled(0, SampledBy::Caller, &none, false);
    check_sampled(0, SampledBy::Caller, &caller("x"), false);
}

#[test]
fn spans_hang_together() {
    let (traces, mut receiver, _) = traces(1000, SampledBy::Us);
    let trace = traces.begin(&caller("1"), DECISION).unwrap();
    trace.enter("identify");
    trace.enter("forward");
    let asked = trace.ask("crm");
    let mut headers = HeaderMap::new();
    trace.headers(&asked, &mut headers);
    trace.answered(asked, "GET", Ok(200));
    trace.end(&ended(503));
    let spans = receiver.try_recv().unwrap();
    let shown: Vec<(&str, i32)> = spans.iter().map(|span| (span.name.as_str(), span.kind)).collect();
    assert_eq!(shown, [("identify", 1), ("GET CRM", 3), ("forward", 1), ("GET /deals/{id}", 2)]);
    let [identify, crm, forward, root] = spans.as_slice() else { unreachable!() };
    assert_eq!(root.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    assert_eq!((&identify.parent_span_id, &forward.parent_span_id), (&root.span_id, &root.span_id));
    assert_eq!(crm.parent_span_id, forward.span_id);
    let told = headers[&context::TRACEPARENT].to_str().unwrap();
    let id = u64::from_be_bytes(crm.span_id.clone().try_into().unwrap());
    assert_eq!(told, format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{id:016x}-01"));
    assert!(spans.iter().all(|span| span.trace_id == root.trace_id
        && span.start_time_unix_nano >= root.start_time_unix_nano
        && span.end_time_unix_nano <= root.end_time_unix_nano));
    let attributes: Vec<(String, Value)> = root
        .attributes
        .iter()
        .map(|pair| (pair.key.clone(), pair.value.clone().unwrap().value.unwrap()))
        .collect();
    let text = |value: &str| Value::StringValue(value.to_owned());
    let expected = [
        ("http.request.method", text("GET")),
        ("http.response.status_code", Value::IntValue(503)),
        ("lockkeeper.decision.id", text(DECISION)),
        ("http.route", text("/deals/{id}")),
        ("lockkeeper.reason", text("denied")),
        ("error.type", text("denied")),
    ];
    assert_eq!(attributes, expected.map(|(key, value)| (key.to_owned(), value)));
}

#[test]
fn what_is_not_sampled_is_still_told_to_the_crm() {
    let (traces, mut receiver, _) = traces(0, SampledBy::Us);
    let trace = traces.begin(&HeaderMap::new(), DECISION).unwrap();
    trace.enter("forward");
    let asked = trace.ask("crm");
    let mut headers = HeaderMap::new();
    trace.headers(&asked, &mut headers);
    trace.answered(asked, "GET", Ok(200));
    trace.end(&ended(200));
    assert!(receiver.try_recv().is_err());
    let told = headers[&context::TRACEPARENT].to_str().unwrap();
    assert_eq!(told, format!("00-{}-80000000000003e7-00", DECISION.replace('-', "")));
}

#[test]
fn spans_of_one_request_are_bounded() {
    let (traces, mut receiver, metrics) = traces(1000, SampledBy::Us);
    let trace = traces.begin(&HeaderMap::new(), DECISION).unwrap();
    for _ in 0..SPANS_MAX + 3 {
        let asked = trace.ask("crm");
        trace.answered(asked, "GET", Err("upstream-timeout"));
    }
    trace.end(&ended(200));
    assert_eq!(receiver.try_recv().unwrap().len(), SPANS_MAX + 1);
    assert!(metrics.encode(&Readings::default()).contains("lockkeeper_trace_spans_dropped_total 3\n"));
}

#[test]
fn a_full_queue_drops_and_counts() {
    let (traces, mut receiver, metrics) = traces(1000, SampledBy::Us);
    for _ in 0..3 {
        let trace = traces.begin(&HeaderMap::new(), DECISION).unwrap();
        trace.enter("identify");
        trace.end(&ended(200));
    }
    assert!(receiver.try_recv().is_ok() && receiver.try_recv().is_err());
    assert!(metrics.encode(&Readings::default()).contains("lockkeeper_trace_spans_dropped_total 4\n"));
}
