//! What readers get: records, lists, projections, conditional answers, exports.

use serde_json::Value;

use super::client::{Running, request};
use crate::demo::crm::catalogue::PIPELINES;
use crate::demo::crm::wire::DEAL_KEYS;

const SHOW_CASE: &str = concat!(
    r#"{"id":42,"title":"Cold storage roll-out","stage":"proposal","pipeline":"sales","owner_id":1,"#,
    r#""owner":{"id":1,"name":"Rep East","email":"rep-east@crm.example"},"team_id":10,"amount":125000.50,"#,
    r#""currency":"EUR","amount_formatted":"€125,000.50","amount_weighted":62500.25,"probability":0.50,"#,
    r#""margin":31250.25,"margin_pct":25.0,"discount_pct":5,"strategic":false,"close_date":"2026-12-15","#,
    r#""created_at":"2026-03-01T09:30:00.123456+01:00","contact_id":101,"contact":{"id":101,"name":"Contact 101","#,
    r#""email":"contact-101@customer.example","phone":"+1 555 0101","company_id":201},"company_id":201,"#,
    r#""company":{"id":201,"name":"Harbor Foods","tier":"gold"},"#,
    r#""notes":"Site visit done \u2014 see \/files\/42; customer said \"yes, if by Q4\".","#,
    r#""internal_notes":"Competitor offers 118,000; we can go down to 119,500.","#,
    r#""address":{"street":"Pier 7","city":"Bremen","postal_code":"28217"},"tags":["cold-chain","q4"],"#,
    r#""risk_score":73,"version":1}"#,
);

#[track_caller]
fn data_ids(body: &str) -> Vec<u64> {
    let value: Value = serde_json::from_str(body).unwrap();
    value["data"].as_array().unwrap().iter().map(|record| record["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn the_show_case_deal_is_served_word_for_word() {
    let running = Running::start().await;
    let answer = running.get("/api/deals/42").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, SHOW_CASE));
    assert_eq!(answer.header("etag"), Some("\"deal-42-v1\""));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
}

#[tokio::test]
async fn every_deal_is_complete_and_consistent() {
    let running = Running::start().await;
    let body = running.get("/api/deals").await.body;
    let value: Value = serde_json::from_str(&body).unwrap();
    let deals = value["data"].as_array().unwrap();
    assert_eq!(deals.len(), 41);
    for deal in deals {
        let single = running.get(&format!("/api/deals/{}", deal["id"])).await.record();
        assert_eq!(single.entries().map(|(key, _)| key).collect::<Vec<&str>>(), DEAL_KEYS);
        assert!(body.contains(&single.to_json()), "{deal}");
        let pipeline = PIPELINES.iter().find(|pipeline| deal["pipeline"] == pipeline.id).unwrap();
        assert!(pipeline.stages.iter().any(|stage| deal["stage"] == *stage), "{deal}");
        assert!(deal["company"].is_object() && deal["owner"].is_object(), "{deal}");
        assert_eq!(deal["contact"].is_null(), deal["id"] == 9, "{deal}");
        assert_eq!(deal["amount_weighted"].is_null(), deal["id"] == 13, "{deal}");
    }
    assert_eq!(data_ids(&body), (1..=40).chain([42]).collect::<Vec<u64>>());
}

#[tokio::test]
async fn the_key_is_required_everywhere() {
    let running = Running::start().await;
    for (target, lines) in [("/api/deals", &[][..]), ("/api/users", &["X-Api-Key: other"]), ("/nowhere", &[])]
    {
        let answer = running.raw(&request("GET", target, lines, "")).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, r#"{"error":"unauthorized"}"#), "`{target}`");
    }
}

#[tokio::test]
async fn the_list_pages_and_sums_over_all_pages() {
    let running = Running::start().await;
    let first = running.get("/api/deals?per_page=25").await.record();
    let second = running.get("/api/deals?page=2&per_page=25").await.record();
    assert_eq!(first.raw("next"), Some(r#""/api/deals?page=2&per_page=25""#));
    assert_eq!((first.integer("count"), second.integer("count")), (Some(25), Some(16)));
    assert_eq!((second.raw("next"), second.integer("total")), (Some("null"), Some(41)));
    assert_eq!(first.raw("total_amount"), second.raw("total_amount"));
    let keys: Vec<&str> = first.entries().map(|(key, _)| key).collect();
    assert_eq!(keys, ["data", "page", "per_page", "count", "total", "total_amount", "next"]);
    let one = running.get("/api/deals?amount__gte=125000.5&amount__lte=125000.50").await.record();
    assert_eq!((one.integer("total"), one.text("total_amount").as_deref()), (Some(1), Some("125000.50")));
}

#[tokio::test]
async fn hidden_values_can_be_searched_and_sorted_by() {
    let running = Running::start().await;
    let found = running.get("/api/deals?q=walk-away&margin__gte=0&sort=-margin&fields=id").await;
    let all = running.get("/api/deals?sort=-margin&fields=id").await;
    let found = data_ids(&found.body);
    assert!(!found.is_empty() && found.len() < 41);
    let order: Vec<u64> = data_ids(&all.body).into_iter().filter(|id| found.contains(id)).collect();
    assert_eq!(found, order);
    let refused = running.get("/api/deals?sort=secret").await;
    assert_eq!((refused.status, refused.body.as_str()), (400, r#"{"error":"unknown sort field"}"#));
}

#[tokio::test]
async fn projection_and_expansion() {
    let running = Running::start().await;
    let body = running.get("/api/deals/42?fields=margin,title").await.body;
    assert_eq!(body, r#"{"id":42,"title":"Cold storage roll-out","margin":31250.25}"#);
    let bare = running.get("/api/deals/42?expand=none").await.record();
    assert_eq!(
        (bare.raw("contact"), bare.raw("company"), bare.integer("contact_id")),
        (None, None, Some(101))
    );
    assert!(bare.raw("owner").is_some());
}

#[tokio::test]
async fn conditional_and_head_requests() {
    let running = Running::start().await;
    for (tag, status) in
        [("\"deal-42-v1\"", 304), ("W/\"x\", W/\"deal-42-v1\"", 304), ("*", 304), ("\"x\"", 200)]
    {
        let line = format!("If-None-Match: {tag}");
        let answer = running.send("GET", "/api/deals/42", &[&line], "").await;
        assert_eq!(answer.status, status, "`{tag}`");
        assert_eq!(answer.body.is_empty(), status == 304);
        assert_eq!(answer.header("etag"), Some("\"deal-42-v1\""));
    }
    let head = running.send("HEAD", "/api/deals/42", &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), Some(SHOW_CASE.len().to_string().as_str()));
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let running = Running::start().await;
    for target in [
        "/",
        "/api",
        "/api/deals/41",
        "/api/deals/x",
        "/api/deals/42/move/x",
        "/api/contacts/1",
        "/api/orders",
    ] {
        let answer = running.get(target).await;
        assert_eq!((answer.status, answer.body.as_str()), (404, r#"{"error":"not found"}"#), "`{target}`");
    }
    for (method, target, allow) in [
        ("PUT", "/api/deals", "GET, HEAD, POST"),
        ("POST", "/api/deals/42", "GET, HEAD, PATCH, PUT, DELETE"),
        ("GET", "/api/deals/42/move", "POST"),
        ("GET", "/api/deals/bulk", "POST"),
        ("DELETE", "/api/contacts/101", "GET, HEAD, PATCH"),
        ("POST", "/api/users", "GET, HEAD"),
    ] {
        let answer = running.send(method, target, &[], "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "`{method} {target}`");
    }
}

#[tokio::test]
async fn paths_are_taken_leniently() {
    let running = Running::start().await;
    for target in
        ["/api/deals/42/", "//api//deals/42", "/api%2Fdeals/42", "/%61pi/deals/4%32", "/api/deals/+42"]
    {
        assert_eq!(running.get(target).await.body, SHOW_CASE, "`{target}`");
    }
}

#[tokio::test]
async fn companies_embed_their_deals_and_contacts() {
    let running = Running::start().await;
    let company = running.get("/api/companies/201").await.record();
    let deals: Value = serde_json::from_str(company.raw("deals").unwrap()).unwrap();
    let embed = deals.as_array().unwrap().iter().find(|deal| deal["id"] == 42).unwrap();
    assert_eq!(embed["margin"].to_string(), "31250.25");
    assert_eq!(embed.as_object().unwrap().len(), 6);
    let contacts: Value = serde_json::from_str(company.raw("contacts").unwrap()).unwrap();
    assert_eq!(contacts.as_array().unwrap().len(), 2);
    assert_eq!(company.raw("credit_limit"), Some("50000.00"));
    let list = running.get("/api/companies?sort=-credit_limit").await;
    assert_eq!(data_ids(&list.body), (201..=208).rev().collect::<Vec<u64>>());
    assert!(!list.body.contains("\"deals\""));
}

#[tokio::test]
async fn contacts_and_small_lists() {
    let running = Running::start().await;
    assert_eq!(data_ids(&running.get("/api/contacts?company_id=201").await.body), [101, 102]);
    let contact = running.get("/api/contacts/103").await.body;
    assert!(contact.ends_with(r#""company_id":202,"owner_id":2,"team_id":20,"consent":false}"#), "{contact}");
    assert_eq!(data_ids(&running.get("/api/users").await.body), [1, 2, 3, 4, 5]);
    assert_eq!(
        running.get("/api/teams").await.body,
        r#"{"data":[{"id":10,"name":"east"},{"id":20,"name":"west"}]}"#
    );
    assert!(running.get("/api/pipelines").await.body.contains(r#""stages":[{"id":"upcoming","order":1},"#));
}

#[tokio::test]
async fn the_report_covers_all_stages_and_agrees_with_the_list() {
    let running = Running::start().await;
    let report: Value = serde_json::from_str(&running.get("/api/reports/pipeline").await.body).unwrap();
    let lines = report["data"].as_array().unwrap();
    assert_eq!(lines.len(), 10);
    assert_eq!(lines.iter().map(|line| line["count"].as_u64().unwrap()).sum::<u64>(), 41);
    let list = running.get("/api/deals").await.record();
    assert_eq!(report["total_amount"].as_str().map(str::to_owned), list.text("total_amount"));
}

#[tokio::test]
async fn the_export_has_all_rows_or_those_that_match() {
    let running = Running::start().await;
    let all = running.get("/api/deals/export.csv").await;
    assert_eq!(all.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(all.body.matches("\r\n").count(), 42);
    assert!(all.body.contains(",125000.50,EUR,\"€125,000.50\",62500.25,0.50,31250.25,25.0,"));
    let some = running.get("/api/deals/export.csv?amount__gte=125000.5&amount__lte=125000.5").await;
    assert_eq!(some.body.matches("\r\n").count(), 2);
}
