//! One stage move by every way that BottleCRM has: `PATCH`, `PUT` and the board's own, as JSON, form and multipart.

use lockkeeper::testkit::client::TestReply;
use serde_json::json;

use crate::rig::{DEAL, MADE, Rig, recorded};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const MULTIPART: &str = "Content-Type: multipart/form-data; boundary=xY7";

fn part(name: &str, value: &str) -> String {
    format!("--xY7\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n--xY7--\r\n")
}

#[tokio::test]
async fn a_move_that_policy_does_not_permit_never_reaches_the_crm() {
    let rig = Rig::start().await;
    let rep = rig.person("rep-4");
    let move_to = format!("{DEAL}move/");
    let denied: Vec<TestReply> = vec![
        rep.patch(DEAL, json!({"stage": "CLOSED_WON"})).await,
        rep.patch(&move_to, json!({"column_id": "CLOSED_WON"})).await,
        rep.with_header(FORM).send("PATCH", DEAL, "stage=CLOSED_WON").await,
        rig.person("rep-4").with_header(FORM).send("PATCH", &move_to, "column_id=CLOSED_WON").await,
        rig.person("rep-4")
            .with_header(MULTIPART)
            .send("PATCH", &move_to, part("column_id", "CLOSED_WON"))
            .await,
        rig.person("rep-4").with_header(MULTIPART).send("PATCH", DEAL, part("stage", "CLOSED_WON")).await,
        // Above the sum up to which a rep gives up.
        rig.person("rep-4").patch(&move_to, json!({"column_id": "Closed Lost"})).await,
    ];
    for reply in &denied {
        assert_eq!((reply.status, reply.reason().as_str()), (403, "stage-move-denied"));
    }
    // A replacement needs to see what it replaces.
    let put = rig.person("rep-4").put(DEAL, json!({"name": "x", "stage": "CLOSED_WON"})).await;
    assert_eq!(put.reason(), "put-partial-view");
    assert_eq!(rig.writes(), Vec::<String>::new());
    let ledger = rig.stop().await;
    let moves = ledger.of_kind("decision");
    let denied = moves.iter().filter(|entry| entry.to_string().contains("sales.negotiation"));
    assert_eq!(denied.count(), 7, "each is recorded with where from and where to");
}

#[tokio::test]
async fn somebody_elses_is_not_there_by_any_way() {
    let rig = Rig::start().await;
    let rep = || rig.person("rep-1");
    for reply in [
        rep().patch(DEAL, json!({"stage": "CLOSED_LOST"})).await,
        rep().put(DEAL, json!({"stage": "CLOSED_LOST"})).await,
        rep().patch(&format!("{DEAL}move/"), json!({"column_id": "CLOSED_LOST"})).await,
        rep().with_header(FORM).send("PATCH", &format!("{DEAL}move/"), "column_id=CLOSED_LOST").await,
        rep().delete(DEAL).await,
    ] {
        assert_eq!((reply.status, reply.text()), (404, recorded("21-update-not-mine").as_str()));
    }
    assert_eq!(rig.writes(), Vec::<String>::new());
    rig.stop().await;
}

#[tokio::test]
async fn a_patch_moves_and_keeps_what_it_would_erase() {
    let rig = Rig::start().await;
    rig.happened("13b-update-with-relations-composed").await;
    // The CRM empties the owners, teams and contacts that a body leaves out: what was recorded has them sent along.
    let reply = rig.person("rep-1").patch(MADE, json!({"stage": "QUALIFICATION"})).await;
    assert_eq!((reply.status, reply.text()), (200, recorded("16-stage-move-by-patch").as_str()));
    assert_eq!(rig.writes().len(), 2);
    rig.stop().await;
}

#[tokio::test]
async fn the_board_moves_by_json_and_by_multipart() {
    for (header, body) in [
        ("Content-Type: application/json", json!({"column_id": "QUALIFICATION"}).to_string()),
        (MULTIPART, part("column_id", "QUALIFICATION")),
    ] {
        let rig = Rig::start().await;
        let reply =
            rig.person("rep-1").with_header(header).send("PATCH", &format!("{MADE}move/"), body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        // The answer is filtered like a read, as the record stands after the move.
        assert!(reply.text().contains("\"stage\":\"QUALIFICATION\""));
        assert!(reply.text().contains("\"opportunity_amount\":\"12345.67\""));
        assert!(!reply.text().contains("@example.com") && !reply.text().contains("next_activity"));
        rig.stop().await;
    }
}

#[tokio::test]
async fn an_administrator_moves_as_it_was_recorded() {
    let rig = Rig::start().await;
    rig.happened("14-update-partial-patch").await;
    let admin = rig.person("admin");
    let reply = admin.patch(MADE, json!({"stage": "NEGOTIATION"})).await;
    assert_eq!((reply.status, reply.text()), (200, recorded("16-stage-move-by-patch").as_str()));
    let form = rig.person("admin").with_header(FORM);
    let reply = form.send("PATCH", &format!("{MADE}move/"), "column_id=PROPOSAL").await;
    assert_eq!((reply.status, reply.text()), (200, recorded("18-stage-move-form-encoded").as_str()));
    let body = json!({"name": "Capture deal", "account": "e1eb0049-faa4-46be-bb9d-e1a1d6045794",
        "pipeline": "9fc28d98-bcce-45a2-9ec7-0e7886141fca", "stage": "NEGOTIATION", "currency": "USD",
        "amount": "12345.67", "probability": 50, "closed_on": "2026-12-31"});
    let reply = admin.put(MADE, body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(rig.writes().len(), 4);
    let ledger = rig.stop().await;
    let moves: Vec<String> = ledger.of_kind("decision").iter().map(|entry| entry.to_string()).collect();
    assert_eq!(moves.iter().filter(|entry| entry.contains("moveStage")).count(), 3, "{moves:?}");
}

#[tokio::test]
async fn stages_are_those_of_the_catalogue() {
    let rig = Rig::start().await;
    let admin = rig.person("admin");
    for reply in [
        admin.patch(&format!("{DEAL}move/"), json!({"column_id": "NOPE"})).await,
        admin.patch(DEAL, json!({"stage": "NOPE"})).await,
        admin.patch(DEAL, json!({"stage": null})).await,
    ] {
        assert_eq!((reply.status, reply.reason().as_str()), (422, "stage-unknown"));
    }
    assert_eq!(rig.writes(), Vec::<String>::new());
    rig.stop().await;
}
