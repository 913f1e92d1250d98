//! Reloads: each part whole or not at all, effective at the next request, and never in the middle of one.

use std::time::Duration;

use http::Method;
use lockkeeper::demo::crm::faults::Fault;
use lockkeeper::service::reload::Reloaded;
use lockkeeper::testkit::{NOW_MS, TestSidecar};
use serde_json::Value;

const NO_NOTES: &str = r#"
@id("test.no-notes") forbid (principal, action == Action::"readField", resource)
when { context.field == Field::"Deal.notes" };"#;

#[tokio::test]
async fn a_policy_takes_effect_at_the_next_request() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    // Twice, so that the verdict is kept.
    for _ in 0..2 {
        assert!(rep.get("/api/deals/42").await.json().get("notes").is_some());
    }
    assert!(sidecar.running().sidecar.cache.counts().hits > 0);
    let before = sidecar.running().sidecar.current.snapshot();
    let reloaded = sidecar.reload_with("bundle/policies/test.cedar", |_| NO_NOTES.to_owned()).await;
    assert!(matches!(reloaded, Reloaded::Active { .. }), "{reloaded:?}");
    assert_eq!(rep.get("/api/deals/42").await.json().get("notes"), None);
    let after = sidecar.running().sidecar.current.snapshot();
    assert_eq!(after.generation, before.generation + 1);
    let ledger = sidecar.ledger();
    let revision = ledger.of_kind("revision").into_iter().next_back().unwrap();
    assert_eq!((&revision["what"], &revision["result"]), (&Value::from("bundle"), &Value::from("active")));
    assert_eq!(revision["hash"], after.bundle.revision.as_str());
    assert_eq!(revision["previous"], before.bundle.revision.as_str());
    assert_eq!(revision["policies"]["added"], Value::from(vec!["test.no-notes"]));
    // And back: the old verdicts are not taken up again for what now serves.
    sidecar.reload_with("bundle/policies/test.cedar", |_| String::new()).await;
    assert!(rep.get("/api/deals/42").await.json().get("notes").is_some());
}

#[tokio::test]
async fn a_broken_bundle_is_refused_and_the_old_one_stays() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    for (name, text) in [
        ("bundle/policies/test.cedar", "permit (principal, action, resource"),
        ("bundle/policies/test.cedar", "permit (principal, action, resource);"),
        ("bundle/policies/test.cedar", r#"@id("guard.margin") permit (principal, action, resource);"#),
        (
            "bundle/policies/test.cedar",
            r#"@id("test.typo") forbid (principal, action, resource is Deal) when { resource has amonut };"#,
        ),
        ("bundle/crm.cedarschema", "entity Deal {"),
        ("bundle/profile.toml", "profile = 99"),
        ("directory.cedarentities.json", "["),
        ("api-keys.toml", "[[key]]\nsha256 = \"short\"\nprincipal = 'User::\"admin\"'"),
    ] {
        let former = sidecar.folder().text(name);
        let reloaded = sidecar.reload_with(name, |_| text.to_owned()).await;
        assert!(matches!(reloaded, Reloaded::Refused { .. }), "{name} {text}");
        assert_eq!(rep.get("/api/deals/42").await.status, 200, "{name} {text}");
        let ledger = sidecar.ledger();
        let revision = ledger.of_kind("revision").into_iter().next_back().unwrap();
        assert_eq!(revision["result"], "refused", "{name} {text}");
        assert!(revision["problems"].as_u64().unwrap() > 0);
        sidecar.folder().write(name, &former);
    }
    assert!(matches!(sidecar.running().reloader.reload().await, Reloaded::Active { .. }));
    assert_eq!(rep.get("/api/deals/42").await.status, 200);
}

/// A directory without anybody is whole; then nobody is known.
#[tokio::test]
async fn an_empty_directory_knows_nobody() {
    let sidecar = TestSidecar::start().await;
    let reloaded = sidecar.reload_with("directory.cedarentities.json", |_| "[]".to_owned()).await;
    assert!(matches!(reloaded, Reloaded::Active { .. }), "{reloaded:?}");
    assert_eq!(sidecar.as_person("admin").get("/api/deals/42").await.reason(), "principal-unknown");
}

#[tokio::test]
async fn a_person_who_left_is_refused_at_the_next_request() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    assert_eq!(rep.get("/api/deals/42").await.status, 200);
    let east = r#"{"active": true, "crmId": "1""#;
    let change = |text: String| text.replace(east, &east.replace("true", "false"));
    sidecar.reload_with("directory.cedarentities.json", change).await;
    sidecar.crm().reset();
    let refused = rep.get("/api/deals/42").await;
    assert_eq!((refused.status, refused.reason().as_str()), (403, "principal-inactive"));
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    // Their deals stay with whoever else may see them.
    assert_eq!(sidecar.as_person("manager-east").get("/api/deals/42").await.status, 200);
    // An owner whom the directory does not know at all denies that record alone.
    let forget = |text: String| text.replace(r#""crmId": "1""#, r#""crmId": "1000""#);
    sidecar.reload_with("directory.cedarentities.json", forget).await;
    assert_eq!(sidecar.as_person("manager-east").get("/api/deals/42").await.status, 404);
    assert_eq!(sidecar.as_person("manager-east").get("/api/deals/2").await.status, 200);
}

#[tokio::test]
async fn a_key_that_was_taken_away_is_unknown_at_the_next_request() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    assert_eq!(rep.get("/api/deals/42").await.status, 200);
    let reloaded = sidecar.reload_with("api-keys.toml", |text| text.replace("rep-east", "rep-west")).await;
    assert!(matches!(reloaded, Reloaded::Active { .. }));
    // The same key is now somebody else's.
    assert_eq!(rep.get("/api/deals/42").await.status, 404);
    assert_eq!(rep.get("/api/deals/7").await.status, 200);
    sidecar.reload_with("api-keys.toml", |_| String::new()).await;
    assert_eq!(rep.get("/api/deals/7").await.reason(), "credential-unknown");
}

/// Whichever of Cedar's spellings the directory uses: a window that is not read would never close.
#[tokio::test]
async fn access_ends_with_its_window() {
    for spelled in [
        r#"{"__extn": {"fn": "datetime", "arg": "DAY"}}"#,
        r#"{"fn": "datetime", "arg": "DAY"}"#,
        r#"{"__extn": {"fn": "datetime", "arg": "DAYT00:00:00.000Z"}}"#,
        r#"{"fn": "datetime", "arg": "DAYT01:00:00+0100"}"#,
    ] {
        let day = |day: &str| spelled.replace("DAY", day);
        let window = format!(
            r#"{{"active": true, "accessFrom": {}, "accessUntil": {}, "crmId": "1""#,
            day("2026-06-15"),
            day("2026-06-16")
        );
        let change = move |text: String| text.replace(r#"{"active": true, "crmId": "1""#, &window);
        let sidecar = TestSidecar::with(|options| options.edit("directory.cedarentities.json", change)).await;
        let rep = sidecar.as_person("rep-east");
        let half_a_day = i64::try_from(Duration::from_hours(12).as_millis()).unwrap();
        for (now_ms, is_open) in [
            (NOW_MS, true),
            (NOW_MS + half_a_day - 1, true),
            (NOW_MS + half_a_day, false),
            (NOW_MS - half_a_day, true),
            (NOW_MS - half_a_day - 1, false),
        ] {
            sidecar.set_now_ms(now_ms);
            let reply = rep.get("/api/deals/42").await;
            assert_eq!(reply.status, if is_open { 200 } else { 403 }, "{spelled} {now_ms}");
        }
    }
}

/// A request that began under the old policies ends under them, and its entries say so.
#[tokio::test]
async fn a_request_under_way_keeps_what_it_began_with() {
    let sidecar = TestSidecar::start().await;
    let old = sidecar.running().sidecar.current.snapshot().bundle.revision.clone();
    sidecar.crm().set_fault_for(Method::GET, Fault::Hang);
    let rep = sidecar.as_person("rep-east");
    let reading = rep.get("/api/deals/42");
    let meanwhile = async {
        while sidecar.crm_saw().is_empty() {
            lockkeeper::testkit::a_moment().await;
        }
        let reloaded = sidecar.reload_with("bundle/policies/test.cedar", |_| NO_NOTES.to_owned()).await;
        sidecar.crm().set_fault(None);
        reloaded
    };
    let (reply, reloaded) = tokio::join!(reading, meanwhile);
    assert!(matches!(reloaded, Reloaded::Active { .. }));
    assert!(reply.json().get("notes").is_some());
    assert_eq!(sidecar.ledger().decision(&reply)["bundle"], old.as_str());
    let next = rep.get("/api/deals/42").await;
    assert_eq!(next.json().get("notes"), None);
    assert_ne!(sidecar.ledger().decision(&next)["bundle"], old.as_str());
}
