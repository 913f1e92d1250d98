//! One record: pick-lists beside it, people and teams inside of it, the same answer for hidden and missing.

use serde_json::{Value, json};

use crate::rig::{DEAL, MADE, Rig, at, recorded};

#[tokio::test]
async fn an_administrator_sees_the_record_as_it_was_recorded() {
    let rig = Rig::start().await;
    let reply = rig.person("admin").get(DEAL).await;
    assert_eq!(reply.status, 200);
    let (found, whole): (Value, Value) =
        (reply.json(), serde_json::from_str(&recorded("01-get-one-admin")).unwrap());
    // Byte for byte, keys of nobody's included, but for what stands beside the record and is not described.
    let record = |body: &str| {
        body.split_once("\"opportunity_obj\":").unwrap().1.split_once(",\"co").unwrap().0.to_owned()
    };
    assert!(recorded("01-get-one-admin").contains(&record(reply.text())));
    for place in ["/opportunity_obj", "/contacts", "/users", "/stage", "/lead_source", "/currency"] {
        assert_eq!(at(&found, place), at(&whole, place), "{place}");
    }
    assert!(found.get("users_mention").is_none(), "e-mails of everybody, in no record");
    rig.stop().await;
}

#[tokio::test]
async fn the_same_key_means_two_things_at_two_depths() {
    let rig = Rig::start().await;
    let reply = rig.person("rep-4").get(DEAL).await;
    let body = reply.json();
    assert_eq!(*at(&body, "/opportunity_obj/stage"), json!("NEGOTIATION"));
    assert_eq!(*at(&body, "/stage/0"), json!(["PROSPECTING", "Prospecting"]));
    assert_eq!(*at(&body, "/opportunity_obj/currency"), json!("USD"));
    assert_eq!(*at(&body, "/currency/0"), json!(["USD", "USD, Dollar"]));
    // Both are contacts, and both are judged as contacts: one has an e-mail, which is masked.
    assert_eq!(*at(&body, "/opportunity_obj/contacts/0/email"), json!("hidden@example.invalid"));
    assert_eq!(*at(&body, "/contacts/0/title"), json!("Product Manager"));
    // Decimals stay as the CRM wrote them.
    assert!(reply.text().contains("\"amount\":\"232573.00\""), "{}", reply.text());
    rig.stop().await;
}

#[tokio::test]
async fn embedded_people_are_filtered_as_people() {
    let rig = Rig::start().await;
    let reply = rig.person("rep-4").get(DEAL).await;
    let body = reply.json();
    let owner = at(&body, "/opportunity_obj/assigned_to/0");
    assert_eq!(*at(owner, "/user_details/name"), json!("user4_f8ee321c"));
    for hidden in ["/phone", "/address", "/user_details/email", "/user_details/last_login"] {
        assert_eq!(owner.pointer(hidden), None, "{hidden}");
    }
    // Four levels deep, by the same rule.
    let member = at(&body, "/opportunity_obj/teams/0/users/0");
    assert_eq!(*at(member, "/user_details/name"), json!("user3_f8ee321c"));
    assert_eq!(member.pointer("/phone"), None);
    assert_eq!(*at(&body, "/opportunity_obj/teams/0/created_by/name"), json!("admin"));
    for secret in
        ["@example.com", "@acme.test", "555-555", "Internal margin note", "last_login", "custom_fields"]
    {
        assert!(!reply.text().contains(secret), "{secret} in {}", reply.text());
    }
    let manager = rig.person("manager").get(DEAL).await;
    for shown in ["user4_f8ee321c@example.com", "+1 555-555-0104", "Internal margin note: 32%"] {
        assert!(manager.text().contains(shown), "{shown}");
    }
    assert!(
        !manager.text().contains("custom_fields"),
        "nobody but administrators sees what is not described"
    );
    rig.stop().await;
}

#[tokio::test]
async fn amounts_and_all_their_twins_are_hidden_together() {
    let rig = Rig::start().await;
    let body = rig.person("service").get(DEAL).await.json();
    let record = at(&body, "/opportunity_obj");
    assert_eq!(*at(record, "/name"), json!("Deal 039 new business"));
    for hidden in ["amount", "line_items_total", "line_items", "probability", "description"] {
        assert_eq!(record.get(hidden), None, "{hidden}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn hidden_and_missing_are_the_same_bytes() {
    let rig = Rig::start().await;
    let missing = "/api/opportunities/00000000-0000-0000-0000-000000000000/";
    let hidden = rig.person("rep-1").get(DEAL).await;
    let absent = rig.person("rep-1").get(missing).await;
    assert_eq!(hidden.status, 404);
    assert_eq!(hidden.observable(), absent.observable());
    assert_eq!(hidden.text(), recorded("03-get-one-not-mine"));
    assert_eq!(hidden.text(), recorded("41-not-found"));
    let ledger = rig.stop().await;
    drop(ledger);
}

#[tokio::test]
async fn a_head_tells_no_length_of_what_is_hidden() {
    let rig = Rig::start().await;
    let head = rig.person("rep-4").head(DEAL).await;
    let get = rig.person("rep-4").get(DEAL).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_ne!(head.header("content-length"), Some("7013"), "the CRM's own length");
    assert!(get.body.len() < 7013);
    assert!(rig.seen().iter().all(|line| line.starts_with("GET ")), "{:?}", rig.seen());
    rig.stop().await;
}

#[tokio::test]
async fn an_answer_without_the_id_is_about_the_record_of_the_path() {
    let rig = Rig::start().await;
    let target = format!("{MADE}line-items/");
    let own = rig.person("rep-1").get(&target).await;
    assert_eq!(own.status, 200, "{}", own.text());
    assert!(own.text().contains("\"opportunity_amount\":222.22"), "{}", own.text());
    assert!(own.text().contains("\"price\":\"6485.00\""));
    // Whose it is stands in no line items: the record itself was asked.
    assert!(rig.seen().contains(&format!("GET {MADE}")));
    let service = rig.person("service").get(&target).await;
    assert_eq!(service.status, 200);
    assert!(
        !service.text().contains("222.22") && !service.text().contains("line_items"),
        "{}",
        service.text()
    );
    assert_eq!(rig.person("rep-4").get(&target).await.text(), recorded("41-not-found"));
    rig.stop().await;
}

#[tokio::test]
async fn an_account_shows_just_the_deals_that_its_reader_may_see() {
    let rig = Rig::start().await;
    let target = "/api/accounts/e1eb0049-faa4-46be-bb9d-e1a1d6045794/";
    let body = rig.person("manager").get(target).await.json();
    let (short, full) = (at(&body, "/account_obj/opportunities"), at(&body, "/opportunity_list"));
    assert_eq!((short.as_array().unwrap().len(), full.as_array().unwrap().len()), (13, 13));
    assert_eq!(*at(short, "/0/amount"), json!("298.50"));
    assert!(body.get("invoices").is_none() && at(&body, "/account_obj").get("rollups").is_none());
    let before = rig.seen().len();
    let body = rig.person("rep-5").get(target).await.json();
    let (short, full) = (at(&body, "/account_obj/opportunities"), at(&body, "/opportunity_list"));
    let ids = |rows: &Value| {
        let ids = rows.as_array().unwrap().iter().map(|row| at(row, "/id").as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert!(!ids(full).is_empty() && ids(full).len() < 13, "{full}");
    assert_eq!(ids(short), ids(full), "the short rows do not say whose they are; the same answer does");
    for row in full.as_array().unwrap() {
        let owners = at(row, "/assigned_to").as_array().unwrap();
        assert!(
            owners.iter().any(|owner| *at(owner, "/user_details/name") == json!("user5_f8ee321c")),
            "{row}"
        );
    }
    assert_eq!(rig.seen().len(), before + 1, "nothing more was asked of the CRM");
    rig.stop().await;
}
