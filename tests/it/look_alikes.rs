//! Keys that differ from a described one in letter case or white space alone: the CRM or a client may take one for the other,
//! so nobody sees them, nobody writes them and nobody refers to them, even where policy permits keys that nothing describes.

use lockkeeper::testkit::TestSidecar;
use serde_json::{Value, json};

use super::any_crm::{Answer, AnyCrm};

/// A deal of a CRM that says some things twice. An administrator may see and write all there is.
fn deal() -> Value {
    json!({
        "id": 42, "title": "A", "stage": "lead", "pipeline": "sales", "owner_id": 1, "team_id": 10, "amount": 5,
        "risk_score": 7, "Margin": 8, "STAGE": "won", "\u{17f}tage": "won", " notes": "n", "Amount_Formatted": "5",
        "ID": 43, "address": {"city": "B", "City": "C", "floor": 2},
    })
}

const SEEN: &str = r#"{"id":42,"title":"A","stage":"lead","pipeline":"sales","owner_id":1,"team_id":10,"amount":5,"risk_score":7,"address":{"city":"B","floor":2}}"#;

async fn start() -> (AnyCrm, TestSidecar) {
    let crm = AnyCrm::start().await;
    let sidecar = crm.behind(|options| options).await;
    (crm, sidecar)
}

#[tokio::test]
async fn they_are_in_no_answer() {
    let (crm, sidecar) = start().await;
    let (admin, seen) = (sidecar.as_person("admin"), serde_json::from_str::<Value>(SEEN).unwrap());
    crm.answers(Answer::json(deal().to_string().into_bytes()));
    assert_eq!(admin.get("/api/deals/42").await.json(), seen);
    assert_eq!(admin.patch("/api/deals/42", r#"{"title":"A"}"#).await.json(), seen);
    let list = json!({"data": [deal(), deal()], "page": 1});
    crm.answers(Answer::json(list.to_string().into_bytes()));
    assert_eq!(admin.get("/api/deals").await.json()["data"], json!([seen, seen]));
}

#[tokio::test]
async fn they_reach_no_crm() {
    let (crm, sidecar) = start().await;
    crm.answers(Answer::json(deal().to_string().into_bytes()));
    let admin = sidecar.as_person("admin");
    for body in [
        r#"{"Stage":"won"}"#,
        r#"{"stage ":"won"}"#,
        r#"{"\u017ftage":"won"}"#,
        r#"{"Id":43}"#,
        r#"{"AMOUNT_formatted":"6"}"#,
        r#"{"address":{"CITY":"D","city":"B","floor":2}}"#,
        // As the CRM itself answered it.
        r#"{"STAGE":"won"}"#,
        r#"{"Margin":8}"#,
    ] {
        for (method, at) in [("PATCH", "/api/deals/42"), ("POST", "/api/deals")] {
            let reply = admin.send(method, at, body).await;
            assert_eq!((reply.status, reply.reason().as_str()), (403, "fields-denied"), "{method} {body}");
        }
    }
    let whole = admin.put("/api/deals/42", deal()).await;
    assert_eq!((whole.status, whole.reason().as_str()), (403, "fields-denied"));
    for (target, reason) in [
        ("/api/deals?Amount__gte=1", "query-undeclared"),
        ("/api/deals?sort=Amount", "reference-refused"),
        ("/api/deals?SORT=amount", "query-undeclared"),
    ] {
        assert_eq!(admin.get(target).await.reason(), reason, "{target}");
    }
    for (target, body, reason) in [
        ("/api/deals/42/move", r#"{"Stage":"won"}"#, "stage-unknown"),
        ("/api/deals/42/move", r#"{"stage":"won","Stage":"lost"}"#, "body-shape"),
        ("/api/deals/bulk", r#"{"ids":[42],"set":{"title":"A"},"Ids":[43]}"#, "body-shape"),
    ] {
        assert_eq!(admin.post(target, body).await.reason(), reason, "{body}");
    }
    assert!(crm.seen().iter().all(|line| line.starts_with("GET /api/deals/42 ")), "{:?}", crm.seen());
}
