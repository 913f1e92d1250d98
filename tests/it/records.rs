//! Making, removing and changing many records, and changes of one record at the same time.

use lockkeeper::testkit::TestSidecar;
use serde_json::{Value, json};

/// What a rep sends to make a deal; the status, and the reason unless it is made.
async fn create(sidecar: &TestSidecar, body: &str, expected: (u16, Option<&str>)) {
    sidecar.crm().reset();
    let reply = sidecar.as_person("rep-east").post("/api/deals", body).await;
    let reason = (reply.status >= 400).then(|| reply.reason());
    assert_eq!((reply.status, reason.as_deref()), expected, "{body}");
    let writes = sidecar.crm_writes();
    assert_eq!(writes.len(), usize::from(reply.status == 201), "{body}");
}

#[tokio::test]
async fn a_deal_is_made_in_an_entry_stage_by_its_owner() {
    let sidecar = TestSidecar::start().await;
    let (fields, denied) = ((403, Some("fields-denied")), (403, Some("denied")));
    let (stage, conflict) = ((422, Some("stage-unknown")), (400, Some("id-conflict")));
    create(&sidecar, r#"{"title":"New","owner_id":1}"#, (201, None)).await;
    create(&sidecar, r#"{"title":"New","owner_id":1,"stage":"lead","amount":5}"#, (201, None)).await;
    create(&sidecar, r#"{"owner_id":1,"stage":"upcoming","pipeline":"renewals"}"#, (201, None)).await;
    // The CRM would make it the administrator's.
    create(&sidecar, r#"{"title":"New"}"#, denied).await;
    create(&sidecar, r#"{"title":"New","owner_id":2}"#, denied).await;
    create(&sidecar, r#"{"title":"New","owner_id":null}"#, denied).await;
    create(&sidecar, r#"{"owner_id":1,"stage":"won"}"#, denied).await;
    create(&sidecar, r#"{"owner_id":1,"stage":"qualified"}"#, denied).await;
    create(&sidecar, r#"{"owner_id":1,"stage":"upcoming"}"#, stage).await;
    create(&sidecar, r#"{"owner_id":1,"pipeline":"renewals"}"#, stage).await;
    create(&sidecar, r#"{"owner_id":1,"pipeline":null}"#, stage).await;
    create(&sidecar, r#"{"owner_id":1,"stage":"nowhere"}"#, stage).await;
    create(&sidecar, r#"{"owner_id":1,"stage":null}"#, stage).await;
    create(&sidecar, r#"{"owner_id":1,"stage":["lead"]}"#, stage).await;
    for stowaway in [
        r#""margin":1"#,
        r#""internal_notes":"x""#,
        r#""risk_score":1"#,
        r#""team_id":20"#,
        r#""created_at":"2020-01-01""#,
        r#""version":9"#,
        r#""strategic":true"#,
        r#""amount_weighted":1"#,
        r#""is_admin":true"#,
        r#""contact":{"id":101}"#,
    ] {
        create(&sidecar, &format!(r#"{{"owner_id":1,{stowaway}}}"#), fields).await;
    }
    create(&sidecar, r#"{"owner_id":1,"id":7}"#, conflict).await;
    create(&sidecar, r#"{"owner_id":1,"id":9007}"#, conflict).await;
    create(&sidecar, r#"{"owner_id":1,"id":null}"#, fields).await;
    create(&sidecar, "[]", (400, Some("body-shape"))).await;
}

/// What comes back of a new record is filtered like any other.
#[tokio::test]
async fn the_answer_to_a_creation_is_filtered() {
    let sidecar = TestSidecar::start().await;
    let reply =
        sidecar.as_person("rep-east").post("/api/deals", r#"{"title":"New","owner_id":1,"amount":7}"#).await;
    let deal = reply.json();
    assert_eq!((reply.status, &deal["amount"], &deal["margin"]), (201, &json!(7), &Value::Null));
    assert_eq!(deal.get("internal_notes"), None);
    let id = deal["id"].as_u64().unwrap();
    assert_eq!(reply.header("location"), Some(format!("/api/deals/{id}").as_str()));
    assert_eq!(sidecar.as_person("rep-west").get(&format!("/api/deals/{id}")).await.status, 404);
}

#[tokio::test]
async fn deleting() {
    let sidecar = TestSidecar::start().await;
    for (person, status) in [("rep-east", 403), ("service", 403), ("rep-west", 404), ("manager-east", 204)] {
        assert_eq!(sidecar.as_person(person).delete("/api/deals/42").await.status, status, "{person}");
    }
    assert_eq!(sidecar.crm_writes(), ["DELETE /api/deals/42"]);
    assert_eq!(sidecar.as_person("manager-east").delete("/api/deals/42").await.status, 404);
    assert_eq!(
        sidecar.as_person("admin").send("DELETE", "/api/deals/3", "{}").await.reason(),
        "body-unexpected"
    );
}

#[tokio::test]
async fn a_bulk_change_is_all_or_nothing() {
    let sidecar = TestSidecar::start().await;
    let manager = sidecar.as_person("manager-east");
    let many = |count: u64| (1..=count).collect::<Vec<u64>>();
    for (ids, set, reason) in [
        (json!([42, 3]), json!({"margin": 1}), "fields-denied"),
        (json!([42, 3]), json!({"risk_score": 1}), "fields-denied"),
        // One of the two is forbidden the change.
        (json!([42, 3]), json!({"owner_id": 2}), "denied"),
        // Sent back as it stands on one of the two: one body cannot leave it out for one alone.
        (json!([42, 3]), json!({"margin": 31250.25, "title": "x"}), "fields-denied"),
        (json!([42, 42]), json!({"title": "x"}), "id-conflict"),
        (json!([42, "42"]), json!({"title": "x"}), "id-conflict"),
        (json!([42, 3]), json!({"id": 42}), "id-conflict"),
        (json!([42]), json!({"id": 43}), "id-conflict"),
        (json!([]), json!({"title": "x"}), "id-missing"),
        (json!(many(21)), json!({"title": "x"}), "denied"),
        (json!(many(101)), json!({"title": "x"}), "id-too-many"),
        (json!([42]), json!([]), "body-shape"),
        (json!([42]), Value::Null, "body-shape"),
        (json!(42), json!({"title": "x"}), "id-missing"),
    ] {
        let reply = manager.post("/api/deals/bulk", json!({"ids": ids, "set": set})).await;
        assert_eq!(reply.reason(), reason, "{ids} {set}");
    }
    for body in
        [r#"{"ids":[42]}"#, r#"{"set":{"title":"x"}}"#, r#"{"ids":[42],"set":{"title":"x"},"all":true}"#]
    {
        let reply = manager.post("/api/deals/bulk", body).await;
        assert!(["body-shape", "id-missing"].contains(&reply.reason().as_str()), "{body}");
    }
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new());
    let reply = manager.post("/api/deals/bulk", json!({"ids": [42, 3], "set": {"title": "x"}})).await;
    assert_eq!((reply.status, reply.text()), (200, r#"{"updated":2}"#));
}

/// Two moves that exclude each other: the second is judged on what the first left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moves_of_one_record_come_one_after_another() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    for _ in 0..10 {
        sidecar.crm().reset();
        // Both are permitted from an open stage, neither from a closed one.
        let won = rep.post("/api/deals/6/move", r#"{"stage":"won"}"#);
        let lost = rep.patch("/api/deals/6", r#"{"stage":"lost"}"#);
        let (won, lost) = tokio::join!(won, lost);
        let mut statuses = [won.status, lost.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 403], "{} {}", won.text(), lost.text());
        assert_eq!(sidecar.crm_writes().len(), 1);
    }
}

/// Nobody gains a record by writing their own team into it, and nobody gives one away unasked.
#[tokio::test]
async fn a_team_is_judged_before_and_after() {
    let forbid = r#"@id("test.team") forbid (principal in Role::"manager", action == Action::"edit", resource is Deal)
        unless { resource has team && principal in resource.team };"#;
    let sidecar = TestSidecar::with(|options| options.policies(forbid)).await;
    let manager = sidecar.as_person("manager-east");
    let patch = async |body: &str| {
        let reply = manager.patch("/api/deals/42", body).await;
        (reply.status, (reply.status >= 400).then(|| reply.reason()))
    };
    let denied = (403, Some("denied".to_owned()));
    assert_eq!(patch(r#"{"title":"x"}"#).await, (200, None));
    for body in [r#"{"team_id":20}"#, r#"{"team_id":null}"#, r#"{"team_id":99}"#, r#"{"team_id":[10]}"#] {
        assert_eq!(patch(body).await, denied, "{body}");
    }
    assert_eq!(sidecar.crm_caller().patch("/api/deals/42", r#"{"team_id":20}"#).await.status, 200);
    for body in [r#"{"team_id":10}"#, r#"{"team_id":10,"title":"x"}"#, r#"{"title":"x"}"#] {
        assert_eq!(patch(body).await, denied, "{body}");
    }
    assert_eq!(sidecar.crm_writes().iter().filter(|line| line.starts_with("PATCH")).count(), 2);
}
