//! Lists: rows and what stands beside them, totals, filters, people, teams, dashboards. [edge]

#![expect(clippy::disallowed_methods, reason = "edge: writes a file of the test")]

use serde_json::json;

use crate::rig::{Rig, at, recorded};

const PAGE: &str = "/api/opportunities/?limit=5&offset=0";

#[tokio::test]
async fn hidden_rows_are_left_out_with_all_that_counts_them() {
    let rig = Rig::start().await;
    let rep = rig.person("rep-4").get(PAGE).await;
    let body = rep.json();
    let rows = at(&body, "/opportunities").as_array().unwrap();
    assert_eq!(rows.len(), 1, "{body}");
    assert_eq!(*at(&body, "/opportunities/0/amount"), json!("232573.00"));
    for gone in ["totals", "opportunities_count", "offset"] {
        assert_eq!(body.get(gone), None, "{gone}");
    }
    assert_eq!(*at(&body, "/per_page"), json!(10));
    assert_eq!(*at(&body, "/stage/5"), json!(["CLOSED_LOST", "Closed Lost"]));
    assert_eq!(at(&body, "/accounts_list").as_array().unwrap().len(), 20);
    for secret in ["31147976.00", "15136646.04", "@example.com", "555-555", "Internal margin note"] {
        assert!(!rep.text().contains(secret), "{secret}");
    }
    let manager = rig.person("manager").get(PAGE).await.json();
    let closed =
        at(&manager, "/opportunities").as_array().unwrap().iter().find(|row| !row["closed_by"].is_null());
    assert_eq!(*at(closed.unwrap(), "/closed_by/user_details/name"), json!("admin"));
    let admin = rig.person("admin").get(PAGE).await;
    assert_eq!(at(&admin.json(), "/opportunities").as_array().unwrap().len(), 5);
    // Whether a row was hidden or not, the sums are gone: that they are there would tell.
    assert_eq!(admin.json().get("totals"), None);
    // Each row byte for byte.
    let whole = recorded("04-list-page1");
    let first = admin.text().split_once("\"opportunities\":[").unwrap().1;
    assert!(whole.contains(first.split_once("],\"accounts_list\"").unwrap().0));
    rig.stop().await;
}

#[tokio::test]
async fn the_next_page_is_filtered_like_the_first() {
    let rig = Rig::start().await;
    let body = rig.person("rep-3").get("/api/opportunities/?limit=5&offset=5").await.json();
    let rows = at(&body, "/opportunities").as_array().unwrap();
    assert_eq!(*at(&body, "/opportunities/0/id"), json!("fb42c9db-f6c0-4edb-bb4f-38882531d9d8"));
    assert!(rows.len() < 5);
    rig.stop().await;
}

#[tokio::test]
async fn nobody_filters_or_sorts_by_what_they_cannot_read_everywhere() {
    let rig = Rig::start().await;
    let target = "/api/opportunities/?search=renewal&stage=PROPOSAL&limit=3&ordering=-amount";
    for target in [
        target,
        "/api/opportunities/?ordering=-amount",
        "/api/opportunities/?stage=PROPOSAL",
        "/api/opportunities/?amount__gte=1000",
        "/api/opportunities/?search=renewal",
    ] {
        let reply = rig.person("rep-4").get(target).await;
        assert_eq!((reply.status, reply.reason().as_str()), (403, "reference-refused"), "{target}");
    }
    assert_eq!(rig.seen(), Vec::<String>::new(), "refused before the CRM was asked");
    let manager = rig.person("manager").get(target).await;
    assert_eq!(manager.status, 200, "{}", manager.text());
    assert_eq!(at(&manager.json(), "/opportunities").as_array().unwrap().len(), 3);
    let undeclared = rig.person("admin").get("/api/opportunities/?created_by=1").await;
    assert_eq!(undeclared.reason(), "query-undeclared");
    rig.stop().await;
}

#[tokio::test]
async fn a_list_is_never_asked_for_in_a_coding() {
    let rig = Rig::start().await;
    let gzip = rig.person("rep-1").with_header("Accept-Encoding: gzip");
    let reply = gzip.get("/api/opportunities/?limit=50").await;
    assert_eq!((reply.status, reply.header("content-encoding")), (200, None));
    let body = reply.json();
    let rows = at(&body, "/opportunities").as_array().unwrap();
    assert!(!rows.is_empty() && rows.len() < 50, "{}", rows.len());
    for row in rows {
        let owners = at(row, "/assigned_to").as_array().unwrap();
        assert!(
            owners.iter().any(|owner| *at(owner, "/id") == json!("f4ebf3b9-4d78-4cd0-afd4-31dda9e77d86"))
        );
    }
    rig.stop().await;
}

#[tokio::test]
async fn contacts_stand_twice_and_are_filtered_twice() {
    let rig = Rig::start().await;
    let rep = rig.person("rep-1").get("/api/contacts/?limit=2").await;
    let body = rep.json();
    for place in ["/results/0", "/contact_obj_list/0"] {
        let contact = at(&body, place);
        assert_eq!(*at(contact, "/first_name"), json!("Noah"));
        assert_eq!(*at(contact, "/email"), json!("hidden@example.invalid"));
        assert_eq!(
            (contact.get("phone"), contact.get("phone_e164"), contact.get("postcode")),
            (None, None, None)
        );
    }
    for gone in ["count", "contacts_count", "active_count"] {
        assert_eq!(body.get(gone), None, "{gone}");
    }
    let manager = rig.person("manager").get("/api/contacts/?limit=2").await;
    assert!(manager.text().contains("noah.reyes8057@example.com") && manager.text().contains("+15555550111"));
    rig.stop().await;
}

#[tokio::test]
async fn people_and_teams_leave_without_their_addresses() {
    let rig = Rig::start().await;
    for target in ["/api/users/", "/api/teams/"] {
        let rep = rig.person("rep-1").get(target).await;
        assert_eq!(rep.status, 200);
        for secret in
            ["@example.com", "@acme.test", "@localhost", "555-555", "active_token_count", "last_login"]
        {
            assert!(!rep.text().contains(secret), "{target}: {secret} in {}", rep.text());
        }
        assert!(rep.text().contains("user3_f8ee321c"));
        let manager = rig.person("manager").get(target).await;
        assert!(manager.text().contains("user3_f8ee321c@example.com"));
        assert!(!manager.text().contains("active_token_count"));
    }
    rig.stop().await;
}

#[tokio::test]
async fn sums_over_everything_are_for_those_who_see_everything() {
    let rig = Rig::start().await;
    let manager = rig.person("manager").get("/api/dashboard/").await;
    assert_eq!(manager.status, 200, "{}", manager.text());
    assert!(manager.text().contains("\"pipeline_value\":21706330.5"));
    for gone in ["activities", "tasks", "hot_leads", "goal_summary"] {
        assert_eq!(manager.json().get(gone), None, "{gone}");
    }
    for person in ["rep-1", "service"] {
        let reply = rig.person(person).get("/api/dashboard/").await;
        assert_eq!((reply.status, reply.reason().as_str()), (403, "denied"), "{person}");
    }
    assert_eq!(rig.seen(), ["GET /api/dashboard/"]);
    rig.stop().await;
}

#[tokio::test]
async fn who_may_report_and_does_not_see_everything_still_may_not() {
    let permit = "permit (principal is User in Role::\"rep\", action == Action::\"report\", resource);";
    let more = move |folder: &std::path::Path| {
        let file = folder.join("bundle/policies/report.cedar");
        std::fs::write(file, format!("@id(\"test.report\")\n{permit}\n")).unwrap();
    };
    let rig = Rig::with_files(more, |config| config).await;
    let reply = rig.person("rep-1").get("/api/dashboard/").await;
    assert_eq!((reply.status, reply.reason().as_str()), (403, "denied"));
    assert_eq!(rig.seen(), Vec::<String>::new());
    rig.stop().await;
}

#[tokio::test]
async fn stages_pass_for_everybody() {
    let rig = Rig::start().await;
    let reply = rig.person("service").get("/api/opportunities/pipelines/").await;
    assert_eq!(reply.text(), recorded("10-pipelines-and-stages"));
    rig.stop().await;
}
