//! Traces: spans reach a collector with the right parents and without anything of a record; a collector that is down
//! costs nobody anything.

use lockkeeper::telemetry::readings::Readings;
use lockkeeper::testkit::folder::Options;
use lockkeeper::testkit::ledger::Entries;
use lockkeeper::testkit::{CRM_KEY, TestSidecar};
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::collector::{Collector, Mood};

const CALLER: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn traced(options: Options, collector: &Collector) -> Options {
    options
        .set("telemetry.traces", "endpoint", collector.endpoint())
        .set("telemetry.traces", "sample_permille", 1000)
        .set("telemetry.traces", "batch_delay_ms", 10)
}

#[tokio::test]
async fn spans_arrive_with_the_right_parents_and_nothing_of_a_record() {
    let collector = Collector::start(Mood::Takes).await;
    let sidecar = TestSidecar::with(|options| traced(options, &collector)).await;
    let rep = sidecar.as_person("rep-east").with_header(CALLER).with_header("tracestate: vendor=opaque");
    let read = rep.get("/api/deals/42").await;
    assert_eq!(read.status, 200);
    let canary = "canary-title-5a17";
    let write = rep.patch("/api/deals/42", format!("{{\"title\":\"{canary}\"}}")).await;
    assert_eq!(write.status, 200, "{}", write.text());
    let told: Vec<(String, String)> = sidecar
        .crm()
        .requests()
        .iter()
        .map(|seen| {
            let header = |name: &str| seen.headers[name].to_str().unwrap().to_owned();
            (header("traceparent"), header("tracestate"))
        })
        .collect();
    let (rep_key, hidden) = (sidecar.folder().key("rep-east"), read.json()["title"].to_string());
    sidecar.stop().await;

    let spans = collector.spans();
    let roots: Vec<&Span> = spans.iter().filter(|span| span.kind == 2).collect();
    let names: Vec<&str> = roots.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["GET /api/deals/{id:int}", "PATCH /api/deals/{id:int}"]);
    for root in &roots {
        assert_eq!(root.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
        assert_eq!(root.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes());
        let stages: Vec<&str> = spans
            .iter()
            .filter(|span| span.parent_span_id == root.span_id)
            .map(|span| span.name.as_str())
            .collect();
        for stage in ["identify", "map", "decide", "forward", "enforce", "ledger", "record"] {
            assert!(stages.contains(&stage), "{stage}: {stages:?}");
        }
    }
    // The CRM knows each question by its span.
    let questions: Vec<&Span> = spans.iter().filter(|span| span.kind == 3).collect();
    assert!(questions.len() >= 3, "a read, a before image and a write");
    assert_eq!(questions.len(), told.len());
    for (question, (parent, state)) in questions.iter().zip(&told) {
        let id = u64::from_be_bytes(question.span_id.clone().try_into().unwrap());
        assert_eq!(*parent, format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{id:016x}-01"));
        assert_eq!(state, "vendor=opaque");
        let stage = spans.iter().find(|span| span.span_id == question.parent_span_id).unwrap();
        assert!(["forward", "hydrate", "enforce"].contains(&stage.name.as_str()), "{}", stage.name);
    }
    for (headers, bytes) in collector.raw() {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let text = String::from_utf8_lossy(&bytes);
        for secret in [canary, "rep-east", "/deals/42", CRM_KEY, rep_key.as_str(), hidden.trim_matches('"')] {
            assert!(!text.contains(secret), "`{secret}` left with a span");
        }
    }
}

#[tokio::test]
async fn a_trace_context_that_is_malformed_is_not_taken_over() {
    let collector = Collector::start(Mood::Takes).await;
    let sidecar = TestSidecar::with(|options| traced(options, &collector)).await;
    let malformed = CALLER.replace("4bf9", "4BF9");
    let reply = sidecar
        .as_person("rep-east")
        .with_header(&malformed)
        .with_header("tracestate: a=b")
        .get("/api/deals/42")
        .await;
    let seen = sidecar.crm().requests().pop().unwrap();
    let trace_id = reply.decision().replace('-', "");
    assert!(seen.headers["traceparent"].to_str().unwrap().starts_with(&format!("00-{trace_id}-")));
    assert!(!seen.headers.contains_key("tracestate"));
    sidecar.stop().await;
    assert!(collector.spans().iter().any(|span| span.kind == 2 && span.parent_span_id.is_empty()));
}

#[tokio::test]
async fn without_the_section_no_trace_headers_are_sent() {
    let sidecar = TestSidecar::start().await;
    sidecar.as_person("rep-east").with_header(CALLER).get("/api/deals/42").await;
    let seen = sidecar.crm().requests().pop().unwrap();
    assert!(!seen.headers.contains_key("traceparent"));
}

#[tokio::test]
async fn the_collector_is_shown_the_headers_of_the_file() {
    let collector = Collector::start(Mood::Takes).await;
    let sidecar = TestSidecar::with(|options| {
        traced(options, &collector)
            .set("telemetry.traces", "headers_file", "\"collector.headers\"")
            .edit("collector.headers", |_| "x-collector-key: k1\n\nx-tenant: t\n".to_owned())
    })
    .await;
    sidecar.as_person("rep-east").get("/api/deals/42").await;
    sidecar.stop().await;
    let (headers, _) = collector.raw().pop().unwrap();
    assert_eq!(
        (&headers["x-collector-key"], &headers["x-tenant"]),
        (&"k1".parse().unwrap(), &"t".parse().unwrap())
    );
}

#[tokio::test]
async fn a_collector_that_refuses_or_hangs_or_is_not_there_costs_spans_only() {
    let (exported, dropped) = twenty_reads(Some(Mood::Takes)).await;
    assert!(exported > 100 && dropped == 0, "{exported} {dropped}");
    for mood in [Some(Mood::Refuses), Some(Mood::Hangs), None] {
        assert_eq!(twenty_reads(mood).await, (0, exported), "no span is lost uncounted");
    }
}

/// How many spans of twenty reads, all of which succeed, were exported and how many dropped.
async fn twenty_reads(mood: Option<Mood>) -> (u64, u64) {
    let collector = Collector::start(mood.unwrap_or(Mood::Takes)).await;
    let sidecar = TestSidecar::with(|options| match mood {
        Some(Mood::Takes) => traced(options, &collector),
        // So little room and time that some must be dropped at the door.
        Some(_) => traced(options, &collector).set("telemetry.traces", "timeout_ms", 50).set(
            "telemetry.traces",
            "queue_requests",
            1,
        ),
        // Nothing listens on the port of discard.
        None => traced(options, &collector).set(
            "telemetry.traces",
            "endpoint",
            "\"http://127.0.0.1:9/v1/traces\"",
        ),
    })
    .await;
    let rep = sidecar.as_person("rep-east");
    for _ in 0..20 {
        assert_eq!(rep.get("/api/deals/42").await.status, 200);
    }
    let metrics = std::sync::Arc::clone(&sidecar.running().sidecar.metrics);
    sidecar.stop().await;
    let text = metrics.encode(&Readings::default());
    let count = |name: &str| {
        let value =
            text.lines().find_map(|line| line.strip_prefix(&format!("lockkeeper_trace_spans_{name}_total ")));
        value.unwrap().parse().unwrap()
    };
    (count("exported"), count("dropped"))
}

/// The service manager may end us before a collector answers; by then the ledger has ended in order.
#[tokio::test]
async fn a_collector_that_hangs_keeps_no_ledger_from_its_end() {
    let collector = Collector::start(Mood::Hangs).await;
    let sidecar = TestSidecar::with(|options| {
        traced(options, &collector).set("telemetry.traces", "timeout_ms", 600_000)
    })
    .await;
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.status, 200);
    let state = sidecar.folder().state();
    let stopping = tokio::spawn(sidecar.stop_keeping_files());
    Entries::when(&state, "the end", |entries| !entries.of_kind("stop").is_empty()).await;
    assert!(!stopping.is_finished());
    stopping.abort();
}
