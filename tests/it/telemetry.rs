//! Metrics, readiness and health of a running service, as operators see them.

use std::collections::BTreeSet;

use lockkeeper::telemetry::readings::Readings;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::Caller;

fn metrics(sidecar: &TestSidecar) -> String {
    sidecar.running().sidecar.metrics.encode(&Readings::default())
}

/// Every series without its value.
fn series(text: &str) -> BTreeSet<String> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name.to_owned()).collect()
}

#[tokio::test]
async fn what_callers_write_makes_no_series() {
    let sidecar = TestSidecar::start().await;
    let hostile = |n: usize| {
        let marker = format!("hostile{n}");
        [
            ("GET".to_owned(), format!("/api/{marker}")),
            (marker.to_uppercase(), "/api/deals/42".to_owned()),
            ("GET".to_owned(), format!("/api/deals/{marker}")),
            ("GET".to_owned(), format!("/api/deals?{marker}=1")),
            ("GET".to_owned(), format!("/api/deals/42;{marker}")),
            ("DELETE".to_owned(), format!("/{marker}\"}} 1")),
        ]
    };
    let callers =
        [sidecar.as_person("rep-east"), sidecar.as_nobody().with_header("Authorization: Bearer hostile")];
    let mut after_one = None;
    for n in 0..5 {
        for caller in &callers {
            for (method, target) in hostile(n) {
                let caller = caller.clone().with_header(&format!("X-Hostile{n}: hostile"));
                sidecar.raw(caller.request(&method, &target, "")).await;
            }
        }
        let found = series(&metrics(&sidecar));
        assert!(!found.iter().any(|name| name.to_lowercase().contains("hostile")), "{found:?}");
        let first = after_one.get_or_insert(found.clone());
        assert_eq!(*first, found, "another round of hostile requests made new series");
    }
}

#[tokio::test]
async fn requests_and_what_they_cost_are_measured() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    rep.get("/api/deals/42").await;
    sidecar.as_nobody().get("/api/deals/42").await;
    let text = metrics(&sidecar);
    for expected in [
        "lockkeeper_request_duration_seconds_count{route=\"GET,HEAD /api/deals/{id:int}\",status=\"2xx\"} 1",
        "lockkeeper_request_duration_seconds_count{route=\"none\",status=\"4xx\"} 1",
        "lockkeeper_upstream_duration_seconds_count{status=\"2xx\"} 2",
        "lockkeeper_directory_loaded_timestamp_seconds 1781524800",
        &format!("lockkeeper_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected}\n{text}");
    }
    // The start, its configuration, three revisions and the decision.
    let appended =
        text.lines().find_map(|line| line.strip_prefix("lockkeeper_ledger_append_duration_seconds_count "));
    assert_eq!(appended, Some("6"));
    sidecar.reload_with("bundle/profile.toml", |text| text).await;
    sidecar.reload_with("bundle/profile.toml", |_| "broken".to_owned()).await;
    let text = metrics(&sidecar);
    assert!(text.contains("lockkeeper_reloads_total{result=\"active\"} 1\n"), "{text}");
    assert!(text.contains("lockkeeper_reloads_total{result=\"refused\"} 1\n"), "{text}");
}

#[tokio::test]
async fn readiness_follows_its_conditions_and_tells_nothing_more() {
    let sidecar =
        TestSidecar::with(|options| options.set("listen", "health_address", "\"127.0.0.1:0\"")).await;
    let health = Caller::new(sidecar.running().health_address.unwrap());
    let parts = std::sync::Arc::clone(&sidecar.running().sidecar);
    assert_eq!((health.get("/livez").await.status, health.get("/readyz").await.status), (200, 200));
    parts.readiness.require("directory", Box::new(|| Err("secret-detail: too old".to_owned())));
    let ready = health.get("/readyz").await;
    assert_eq!((ready.status, ready.text()), (503, "not ready\n"));
    assert_eq!(health.get("/livez").await.status, 200);
    parts.readiness.require("directory", Box::new(|| Ok(())));
    assert_eq!(health.get("/readyz").await.status, 200);
    sidecar.break_ledger().await;
    parts.readiness.drain();
    assert_eq!((health.get("/livez").await.status, health.get("/readyz").await.status), (200, 503));
}
