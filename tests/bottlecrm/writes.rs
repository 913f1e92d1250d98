//! Creating and changing: decimals, forms, relations that a body would erase, the CRM's own errors.

use serde_json::json;

use crate::rig::{DEAL, MADE, Rig, recorded};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

#[tokio::test]
async fn a_create_answers_just_its_id() {
    let rig = Rig::start().await;
    let body = json!({"name": "Capture deal", "account": "e1eb0049-faa4-46be-bb9d-e1a1d6045794", "stage": "PROSPECTING",
        "amount": "12345.67", "currency": "USD", "closed_on": "2026-12-31",
        "assigned_to": ["f4ebf3b9-4d78-4cd0-afd4-31dda9e77d86"], "teams": ["ce8ad7c2-45e9-4f0c-896b-75fb25ed0023"],
        "contacts": ["154a9cfa-60ef-42d1-9ceb-5a5a17316793"]});
    let reply = rig.person("admin").post("/api/opportunities/", &body).await;
    assert_eq!((reply.status, reply.text()), (200, recorded("11-create").as_str()));
    let manager = rig.person("manager").post("/api/opportunities/", &body).await;
    assert_eq!(manager.status, 200);
    // A rep may not fill in teams and contacts of a new one, and makes none for others.
    let rep = rig.person("rep-1").post("/api/opportunities/", &body).await;
    assert_eq!(rep.reason(), "fields-denied");
    assert_eq!(rep.json().pointer("/fields"), Some(&json!(["contacts", "teams"])));
    let mut for_others = body.clone();
    for_others["assigned_to"] = json!(["661e0117-b371-4e4c-998a-b900371be67c"]);
    assert_eq!(rig.person("rep-1").post("/api/opportunities/", &for_others).await.reason(), "denied");
    let mut as_won = body;
    as_won["stage"] = json!("CLOSED_WON");
    assert_eq!(rig.person("manager").post("/api/opportunities/", &as_won).await.reason(), "denied");
    assert_eq!(rig.writes().len(), 2);
    rig.stop().await;
}

#[tokio::test]
async fn errors_of_the_crm_leave_as_far_as_they_are_described() {
    let rig = Rig::start().await;
    let admin = rig.person("admin");
    // Its own unknown stage never gets there.
    let reply = admin.post("/api/opportunities/", json!({"stage": "NOPE", "amount": "abc"})).await;
    assert_eq!(reply.reason(), "stage-unknown");
    let broken = admin.post("/api/opportunities/", "{\"name\": ").await;
    assert_eq!((broken.status, broken.reason().as_str()), (400, "json-syntax"));
    assert_eq!(rig.seen(), Vec::<String>::new(), "neither was forwarded");
    rig.stop().await;
    // With the stage's name in the catalogue, the CRM's validation answers.
    let known = |profile: String| profile.replace("\"CLOSED_LOST\"", "\"CLOSED_LOST\", \"NOPE\"");
    let entry = |profile: String| {
        profile.replace("lost          = { groups = [\"closed\"]", "lost = { groups = [\"entry\"]")
    };
    let money = |profile: String| profile.replace("as = \"decimal\"", "as = \"decimal\", empty = [\"abc\"]");
    let rig = Rig::with(|profile| money(entry(known(profile))), |config| config).await;
    let reply =
        rig.person("admin").post("/api/opportunities/", json!({"stage": "NOPE", "amount": "abc"})).await;
    assert_eq!((reply.status, reply.text()), (400, recorded("12-create-validation-error").as_str()));
    rig.stop().await;
}

#[tokio::test]
async fn what_a_patch_leaves_out_is_sent_along() {
    let rig = Rig::start().await;
    let reply = rig.person("rep-1").patch(MADE, json!({"closed_on": "2026-12-30"})).await;
    // The record that was recorded for this has the owner, team and contact in its body.
    assert_eq!((reply.status, reply.text()), (200, recorded("14-update-partial-patch").as_str()));
    rig.stop().await;
}

#[tokio::test]
async fn what_a_patch_erases_counts_as_written() {
    let without = |profile: String| {
        let (before, rest) = profile.split_once("resend = {").unwrap();
        let (_, after) = rest.split_once('\n').unwrap();
        format!("{before}\n{after}")
    };
    let rig = Rig::with(without, |config| config).await;
    // The rep would no longer be its owner.
    let reply = rig.person("rep-1").patch(MADE, json!({"closed_on": "2026-12-30"})).await;
    assert_eq!((reply.status, reply.reason().as_str()), (403, "denied"));
    // Who may empty them may, and then what was recorded is what is forwarded.
    let body = json!({"description": "changed", "probability": 35});
    let reply = rig.person("manager").patch(MADE, &body).await;
    assert_eq!((reply.status, reply.text()), (200, recorded("14-update-partial-patch").as_str()));
    rig.stop().await;
}

#[tokio::test]
async fn fields_are_judged_in_forms_as_in_json() {
    let rig = Rig::start().await;
    let reply = rig.person("rep-4").with_header(FORM).send("PATCH", DEAL, "description=low&name=x").await;
    assert_eq!(reply.reason(), "fields-denied");
    assert_eq!(reply.json().pointer("/fields"), Some(&json!(["description"])));
    let reply = rig.person("rep-4").with_header(FORM).send("PATCH", DEAL, "amount=1000000.01").await;
    assert_eq!(reply.reason(), "fields-denied");
    for (body, reason) in [
        ("stage=PROPOSAL&stage=CLOSED_WON", "form-duplicate-key"),
        ("stage=PROPOSAL&_method=DELETE", "method-override"),
        ("stage=%ZZ", "form-syntax"),
        ("id=18f54b54-02ae-4953-9184-57379d164a4d&name=x", "id-conflict"),
        ("nobody=x", "fields-denied"),
    ] {
        let reply = rig.person("rep-4").with_header(FORM).send("PATCH", DEAL, body).await;
        assert_eq!(reply.reason(), reason, "{body}");
    }
    let file = "--b\r\nContent-Disposition: form-data; name=\"name\"; filename=\"x\"\r\n\r\nx\r\n--b--\r\n";
    let multipart = rig.person("rep-4").with_header("Content-Type: multipart/form-data; boundary=b");
    assert_eq!(multipart.send("PATCH", DEAL, file).await.reason(), "form-file");
    assert_eq!(rig.writes(), Vec::<String>::new());
    rig.stop().await;
}

#[tokio::test]
async fn an_error_inside_of_a_success_is_an_error() {
    // As if the CRM said no with `"error": false` in a 200.
    let turned = |profile: String| profile.replace("is = [false]", "is = [true]");
    let rig = Rig::with(turned, |config| config).await;
    rig.happened("14-update-partial-patch").await;
    let reply = rig.person("admin").patch(MADE, json!({"stage": "NEGOTIATION"})).await;
    assert_eq!((reply.status, reply.reason().as_str()), (400, "crm-rejected"));
    assert_eq!(rig.writes().len(), 2);
    rig.stop().await;
}
