//! The ways around authorizing proxies that were published in 2026: a path that the proxy reads in one way and the origin in another.
//! Beside each stands a route on which nobody is asked who they are, as in the advisories.

use lockkeeper::testkit::TestSidecar;

/// Asks as nobody, by the bytes as they stand, for what only identified callers may see.
async fn check(advisory: &str, targets: &[&str]) {
    let sidecar = TestSidecar::start().await;
    assert_eq!(sidecar.as_nobody().get("/static/app.css").await.status, 200, "there is an open route");
    let before = sidecar.crm_saw();
    for target in targets {
        for method in ["GET", "HEAD", "DELETE"] {
            let request =
                format!("{method} {target} HTTP/1.1\r\nHost: lockkeeper.test\r\nConnection: close\r\n\r\n");
            let answer = String::from_utf8(sidecar.raw(request).await).unwrap();
            let status = answer.get(9..12).unwrap_or_default();
            assert!(matches!(status, "400" | "401"), "{advisory}: {method} {target}: {answer}");
            assert!(!answer.contains("31250"), "{advisory}: {method} {target}");
        }
    }
    assert_eq!(sidecar.crm_saw(), before, "{advisory}");
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new(), "{advisory}");
}

/// opa-envoy-plugin: two slashes made a segment an authority, which the policy then did not see.
#[tokio::test]
async fn ghsa_9f29_v6mm_pw6w() {
    let targets = [
        "//static/api/deals/42",
        "//static//api/deals/42",
        "//api/deals/42",
        "///api/deals/42",
        "/static//api/deals/42",
        "/api//deals/42",
        "//lockkeeper.test/api/deals/42",
        "//user@static/api/deals/42",
        "//static:80/api/deals/42",
        "http://static/api/deals/42",
        "http://lockkeeper.test//static/api/deals/42",
    ];
    check("GHSA-9f29-v6mm-pw6w", &targets).await;
}

/// Oathkeeper: rules were matched against the raw path, which the origin then resolved.
#[tokio::test]
async fn ghsa_p224_6x5r_fjpm() {
    let targets = [
        "/static/../api/deals/42",
        "/static/vendor/../../api/deals/42",
        "/static/./../api/deals/42",
        "/static/%2e%2e/api/deals/42",
        "/static/.%2E/api/deals/42",
        "/static/..;/api/deals/42",
        "/static/..\\api\\deals\\42",
        "/static/..%5capi%5cdeals%5c42",
        "/static/app.css/../../api/deals/42",
        "/static/..",
    ];
    check("GHSA-p224-6x5r-fjpm", &targets).await;
}

/// heimdall: encodings that one side undid and the other did not, or twice.
#[tokio::test]
async fn cve_2026_42274() {
    let targets = [
        "/static/..%2fapi/deals/42",
        "/static%2f..%2fapi%2fdeals%2f42",
        "/static/..%2Fapi%2Fdeals%2F42",
        "/static/%252e%252e/api/deals/42",
        "/static/..%252fapi/deals/42",
        "/static/%25%32%65%25%32%65/api/deals/42",
        "/static/%c0%ae%c0%ae/api/deals/42",
        "/static/%u002e%u002e/api/deals/42",
        "/static/..%00/api/deals/42",
        "/static%2e%2e/api/deals/42",
        "/%73tatic/../api/deals/42",
        "/api/deals%2f42",
        "/static/..%",
    ];
    check("CVE-2026-42274", &targets).await;
}
