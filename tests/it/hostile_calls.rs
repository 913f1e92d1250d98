//! Hostile callers: requests that two readers take for two different things, and paths that almost are a route's.

use lockkeeper::testkit::TestSidecar;

use super::observe::{group, observing};

/// A CRM that believes the charset of a JSON body would read another document than the one that was judged.
#[tokio::test]
async fn a_json_body_has_one_charset() {
    let sidecar = TestSidecar::start().await;
    // In UTF-7 this moves the deal; in UTF-8 it is a title.
    let body = r#"{"title":"x+ACI-,+ACI-stage+ACI-:+ACI-won"}"#;
    for content_type in [
        "application/json; charset=utf-7",
        "application/json; charset =utf-7",
        "application/json; charset*=us-ascii''utf-7",
        "application/json; a=\"; charset=utf-7; b=\"",
    ] {
        let caller = sidecar.as_person("rep-east").with_header(&format!("Content-Type: {content_type}"));
        assert_eq!(caller.patch("/api/deals/42", body).await.reason(), "body-type", "{content_type}");
    }
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new());
}

/// Django and others cut a form at its boundary wherever that stands.
#[tokio::test]
async fn a_form_that_passes_is_cut_at_one_place() {
    let sidecar = TestSidecar::start().await;
    let caller = sidecar.as_person("rep-east").with_header("Content-Type: multipart/form-data; boundary=XX");
    let form = "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nx--XX\r\n\
                Content-Disposition: form-data; name=\"deal_id\"\r\n\r\n2\r\n--XX--\r\n";
    assert_eq!(caller.post("/api/deals/42/files", form).await.reason(), "multipart-refused");
}

/// Part of the routes is enforced while the rest is observed: what almost is an enforced route is not observed either, since
/// the CRM may take it for that route.
#[tokio::test]
async fn what_almost_is_an_enforced_route_is_not_observed() {
    let groups =
        group("done", r#"["GET,HEAD /api/deals/{id:int}", "GET /api/deals"]"#, "2026-06-14T00:00:00Z")
            + &group("rest", r#""*""#, "2026-07-01T00:00:00Z");
    let sidecar = TestSidecar::with(observing(groups)).await;
    let rep = sidecar.as_person("rep-east");
    for target in ["/api/deals/042", "/api/deals/42/", "/API/Deals/42", "/api/deals/42.json", "/api/deals/"] {
        assert_eq!(rep.get(target).await.reason(), "route-unmapped", "{target}");
    }
    assert_eq!(rep.head("/api/deals/042").await.status, 403);
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    for target in ["/api/nowhere", "/api/deals/42/nowhere", "/api/contacts/042"] {
        assert_eq!(rep.get(target).await.status, 404, "{target}");
    }
    assert_eq!(sidecar.crm_saw().len(), 3);
}
