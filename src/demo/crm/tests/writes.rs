//! What writers can do, which is everything, and what stops them: form, limits and versions.

use super::client::{KEY, Running, request};
use crate::demo::crm::deals::BULK_IDS_MAX;
use crate::demo::crm::record::KEYS_MAX;
use crate::demo::crm::server::BODY_BYTES_MAX;

#[tokio::test]
async fn patch_merges_and_recomputes_the_twins() {
    let running = Running::start().await;
    let body = r#"{"amount":200000.10,"owner_id":2,"stage":"won","margin_pct":99,"id":7,"version":50,"shadow":{"x": 1.0}}"#;
    let answer = running.send("PATCH", "/api/deals/42", &[], body).await;
    let deal = answer.record();
    assert_eq!((answer.status, answer.header("etag")), (200, Some("\"deal-42-v2\"")));
    for (key, raw) in [
        ("id", "42"),
        ("amount", "200000.10"),
        ("amount_formatted", "\"€200,000.10\""),
        ("amount_weighted", "100000.05"),
        ("margin_pct", "15.6"),
        ("stage", "\"won\""),
        ("owner", r#"{"id":2,"name":"Rep West","email":"rep-west@crm.example"}"#),
        ("probability", "0.50"),
        ("version", "2"),
        ("shadow", r#"{"x": 1.0}"#),
    ] {
        assert_eq!(deal.raw(key), Some(raw), "`{key}`");
    }
    assert_eq!(running.get("/api/deals/42").await.body, answer.body);
}

#[tokio::test]
async fn put_empties_what_is_absent() {
    let running = Running::start().await;
    running.send("PATCH", "/api/deals/42", &[], r#"{"shadow":1}"#).await;
    let deal = running.send("PUT", "/api/deals/42", &[], r#"{"title":"New","amount":10}"#).await.record();
    for (key, raw) in [
        ("title", "\"New\""),
        ("amount_formatted", "\"10.00\""),
        ("margin", "null"),
        ("owner", "null"),
        ("contact", "null"),
        ("created_at", "null"),
        ("version", "3"),
    ] {
        assert_eq!(deal.raw(key), Some(raw), "`{key}`");
    }
    assert_eq!(deal.raw("shadow"), None);
}

#[tokio::test]
async fn create_fills_defaults_and_continues_after_the_show_case_deal() {
    let running = Running::start().await;
    let body = r#"{"title":"Fresh","stage":"won","id":1}"#;
    let answer = running.send("POST", "/api/deals?fields=id,title,stage,owner_id,amount", &[], body).await;
    assert_eq!((answer.status, answer.header("location")), (201, Some("/api/deals/43")));
    assert_eq!(answer.body, r#"{"id":43,"title":"Fresh","stage":"won","owner_id":5,"amount":null}"#);
    assert_eq!(
        running.send("POST", "/api/deals", &[], "{}").await.record().text("stage").as_deref(),
        Some("lead")
    );
    assert_eq!(running.get("/api/deals").await.record().integer("total"), Some(43));
}

#[tokio::test]
async fn delete_is_final() {
    let running = Running::start().await;
    let gone = running.send("DELETE", "/api/deals/42", &[], "").await;
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    for method in ["GET", "DELETE"] {
        assert_eq!(running.send(method, "/api/deals/42", &[], "").await.status, 404);
    }
    running.crm.reset();
    assert_eq!(running.get("/api/deals/42").await.status, 200);
    assert_eq!(running.crm.requests().len(), 1);
}

#[tokio::test]
async fn moves_know_the_stages_of_the_pipeline() {
    let running = Running::start().await;
    let moved = running.send("POST", "/api/deals/42/move", &[], r#"{"stage":"won"}"#).await;
    assert_eq!((moved.status, moved.record().text("stage").as_deref()), (200, Some("won")));
    let allowed =
        r#"{"error":"unknown stage","allowed":["lead","qualified","proposal","negotiation","won","lost"]}"#;
    for body in [r#"{"stage":"renewed"}"#, r#"{"stage":"Won"}"#, "{}", r#"{"stage":1}"#] {
        let refused = running.send("POST", "/api/deals/42/move", &[], body).await;
        assert_eq!((refused.status, refused.body.as_str()), (422, allowed), "`{body}`");
    }
    let silent = running.send("PATCH", "/api/deals/42", &[], r#"{"stage":"nowhere"}"#).await;
    assert_eq!(silent.record().text("stage").as_deref(), Some("nowhere"));
}

#[tokio::test]
async fn bulk_sets_all_that_exist() {
    let running = Running::start().await;
    let body = r#"{"ids":[1,2,41,42],"set":{"owner_id":3}}"#;
    assert_eq!(running.send("POST", "/api/deals/bulk", &[], body).await.body, r#"{"updated":3}"#);
    for id in [1, 2, 42] {
        assert_eq!(running.get(&format!("/api/deals/{id}")).await.record().integer("owner_id"), Some(3));
    }
    for body in ["{}", r#"{"ids":[1]}"#, r#"{"ids":"1","set":{}}"#, r#"{"ids":[1],"set":[]}"#] {
        assert_eq!(running.send("POST", "/api/deals/bulk", &[], body).await.status, 422, "`{body}`");
    }
}

#[tokio::test]
async fn bulk_takes_its_limit_of_ids_and_no_more() {
    let running = Running::start().await;
    for (ids, status, version) in [(BULK_IDS_MAX + 1, 413, 1), (BULK_IDS_MAX, 200, 1 + BULK_IDS_MAX)] {
        let body = format!(r#"{{"ids":[{}],"set":{{}}}}"#, vec!["42"; ids].join(","));
        assert_eq!(running.send("POST", "/api/deals/bulk", &[], &body).await.status, status, "{ids}");
        let deal = running.get("/api/deals/42").await.record();
        assert_eq!(deal.raw("version"), Some(version.to_string().as_str()), "{ids}");
    }
}

#[tokio::test]
async fn if_match_guards_every_write_of_a_deal() {
    let running = Running::start().await;
    let stale = ["If-Match: \"deal-42-v9\""];
    for (method, target, body) in [
        ("PATCH", "/api/deals/42", "{\"title\":\"x\"}"),
        ("PUT", "/api/deals/42", "{}"),
        ("POST", "/api/deals/42/move", "{\"stage\":\"won\"}"),
        ("DELETE", "/api/deals/42", ""),
    ] {
        assert_eq!(running.send(method, target, &stale, body).await.status, 412, "`{method} {target}`");
    }
    assert_eq!(running.get("/api/deals/42").await.record().integer("version"), Some(1));
    for tag in ["If-Match: \"deal-42-v1\"", "If-Match: *"] {
        assert_eq!(running.send("PATCH", "/api/deals/42", &[tag], "{\"title\":\"x\"}").await.status, 200);
    }
}

#[tokio::test]
async fn contacts_take_any_key() {
    let running = Running::start().await;
    let answer = running.send("PATCH", "/api/contacts/101", &[], r#"{"phone":null,"vip":true}"#).await;
    assert!(
        answer.body.contains("\"phone\":null") && answer.body.ends_with(",\"vip\":true}"),
        "{}",
        answer.body
    );
    assert!(!running.get("/api/deals/42").await.record().raw("contact").unwrap().contains("vip"));
}

#[tokio::test]
async fn malformed_bodies_change_nothing() {
    let running = Running::start().await;
    for body in ["{", "[]", "1", "{\"title\":}", "{\"title\":\"x\"}}"] {
        for (method, target) in [
            ("POST", "/api/deals"),
            ("PATCH", "/api/deals/42"),
            ("PUT", "/api/deals/42"),
            ("POST", "/api/deals/42/move"),
            ("POST", "/api/deals/bulk"),
            ("PATCH", "/api/contacts/101"),
        ] {
            let answer = running.send(method, target, &[], body).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (400, r#"{"error":"malformed JSON"}"#),
                "`{body}`"
            );
        }
    }
    let deals = running.get("/api/deals").await.record();
    assert_eq!(deals.integer("total"), Some(41));
}

#[tokio::test]
async fn bodies_hold_their_limit_and_no_more() {
    let running = Running::start().await;
    let body = |bytes: usize| format!("{{\"ids\":[],\"set\":{{}},\"x\":\"{}\"}}", "x".repeat(bytes - 26));
    assert_eq!(body(100).len(), 100);
    assert_eq!(running.send("POST", "/api/deals/bulk", &[], &body(BODY_BYTES_MAX)).await.status, 200);
    let over = running.send("POST", "/api/deals/bulk", &[], &body(BODY_BYTES_MAX + 1)).await;
    assert_eq!((over.status, over.body.as_str()), (413, r#"{"error":"body too large"}"#));
    let keys: Vec<String> = (0..=KEYS_MAX).map(|key| format!("\"k{key}\":1")).collect();
    let wide = format!("{{{}}}", keys.join(","));
    assert_eq!(running.send("PATCH", "/api/deals/42", &[], &wide).await.status, 413);
}

#[tokio::test]
async fn the_method_can_be_overridden_on_post_alone() {
    let running = Running::start().await;
    let line = ["X-HTTP-Method-Override: DELETE"];
    assert_eq!(running.send("GET", "/api/deals/42", &line, "").await.status, 200);
    assert_eq!(running.send("POST", "/api/deals/42", &line, "").await.status, 204);
    assert_eq!(running.get("/api/deals/42").await.status, 404);
}

#[tokio::test]
async fn the_last_of_duplicate_keys_wins() {
    let running = Running::start().await;
    let body = r#"{"title":"first","margin":1,"title":"second"}"#;
    let deal = running.send("PATCH", "/api/deals/42", &[], body).await.record();
    assert_eq!(deal.text("title").as_deref(), Some("second"));
}

#[tokio::test]
async fn requests_are_kept_as_they_came() {
    let running = Running::start().await;
    running.send("PATCH", "/api/deals/42?fields=%69d", &["X-Trace: 7"], "{\"title\": \"x\"}").await;
    running.raw(&request("GET", "/api/deals", &[], "")).await;
    let seen = running.crm.requests();
    let targets: Vec<&str> = seen.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["/api/deals/42?fields=%69d", "/api/deals"]);
    assert_eq!((seen[0].method.as_str(), &*seen[0].body), ("PATCH", &b"{\"title\": \"x\"}"[..]));
    assert_eq!(
        (&seen[0].headers["x-trace"], &seen[0].headers["x-api-key"]),
        (&"7".parse().unwrap(), &KEY.parse().unwrap())
    );
}
