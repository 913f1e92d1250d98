//! Changes of many records: each is judged on its own, and what is left out is named in the answer.

use http::Method;
use lockkeeper::demo::crm::faults::Fault;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::folder::Options;
use serde_json::{Value, json};

const BULK: &str = "/api/deals/bulk";

/// The demo with a change of many that leaves out what may not be changed.
fn pruning(options: Options) -> Options {
    options.edit("bundle/profile.toml", |profile| {
        let ids = "id     = \"body.$.ids[*]\"\n";
        assert!(profile.contains(ids));
        profile.replace(ids, &format!("{ids}prune  = \"$.refused\"\n"))
    })
}

fn sent(sidecar: &TestSidecar) -> Option<Value> {
    let requests = sidecar.crm().requests();
    let write = requests.into_iter().rev().find(|request| request.method != Method::GET);
    write.map(|write| serde_json::from_slice(&write.body).unwrap())
}

/// What becomes of a record in a change of many is what becomes of it alone; hidden and missing ones are told alike.
#[tokio::test]
async fn each_record_is_judged_as_it_is_alone() {
    let all_or_nothing = TestSidecar::start().await;
    let sidecar = TestSidecar::with(pruning).await;
    let ids: Vec<u64> = (1..=16).chain([42, 9007]).collect();
    for (person, set) in [
        ("manager-east", r#"{"notes":"x"}"#),
        ("manager-east", r#"{"stage":"won"}"#),
        ("manager-east", r#"{"owner_id":3,"title":"x"}"#),
        ("admin", r#"{"notes":"x"}"#),
        ("admin", r#"{"stage":"won"}"#),
    ] {
        let (mut kept, mut refused) = (Vec::new(), Vec::new());
        for id in &ids {
            sidecar.crm().reset();
            let alone = sidecar.as_person(person).patch(&format!("/api/deals/{id}"), set).await;
            match alone.status {
                200 => kept.push(*id),
                404 => refused.push(json!({"id": id, "reason": "not-found"})),
                _ => refused.push(json!({"id": id, "reason": alone.reason()})),
            }
        }
        assert!(!kept.is_empty() && !refused.is_empty(), "{person} {set}");
        sidecar.crm().reset();
        let body = format!(r#"{{"ids":{},"set":{set}}}"#, json!(ids));
        let reply = sidecar.as_person(person).post(BULK, &body).await;
        assert_eq!(reply.status, 200, "{person} {set}: {}", reply.text());
        let expected = json!({"updated": kept.len(), "refused": refused});
        assert_eq!(reply.json(), expected, "{person} {set}");
        let set: Value = serde_json::from_str(set).unwrap();
        assert_eq!(sent(&sidecar), Some(json!({"ids": kept, "set": set})), "{person}");
        let ledger = sidecar.ledger();
        assert_eq!(ledger.decision(&reply)["effect"], "allow");
        assert_eq!(ledger.of_kind("alarm"), Vec::<&Value>::new());
        let whole = all_or_nothing.as_person(person).post(BULK, &body).await;
        assert_ne!(whole.status, 200, "{person}: {}", whole.text());
    }
    assert_eq!(all_or_nothing.crm_writes(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_left_out_is_named_or_nothing_is_answered() {
    let sidecar = TestSidecar::with(pruning).await;
    let admin = sidecar.as_person("admin");
    let body = r#"{"ids":[42,9007],"set":{"notes":"x"}}"#;
    // An answer of another form cannot name anything.
    sidecar.crm().set_fault_for(Method::POST, Fault::ArrayInsteadOfObject);
    let reply = admin.post(BULK, body).await;
    assert_eq!((reply.status, reply.reason().as_str()), (502, "answer-withheld"));
    sidecar.crm().set_fault_for(Method::POST, Fault::Status(204));
    let reply = admin.post(BULK, body).await;
    assert_eq!((reply.status, reply.reason().as_str()), (502, "answer-withheld"));
    // A refusal of the CRM is one of all.
    sidecar.crm().set_fault_for(Method::POST, Fault::Status(422));
    let reply = admin.post(BULK, body).await;
    assert_eq!((reply.status, reply.reason().as_str()), (422, "crm-rejected"));
    sidecar.crm().set_fault(None);
    let reply = admin.post(BULK, r#"{"ids":[42],"set":{"notes":"x"}}"#).await;
    assert_eq!(reply.json(), json!({"updated": 1, "refused": []}));
}

/// Nothing is forwarded if nothing is left, and one look that fails is no refusal of one record.
#[tokio::test]
async fn nothing_left_is_a_refusal() {
    let sidecar = TestSidecar::with(pruning).await;
    let post = async |ids: &str, set: &str| {
        sidecar.as_person("manager-east").post(BULK, format!(r#"{{"ids":{ids},"set":{set}}}"#)).await
    };
    let missing = post("[9007,9008]", r#"{"notes":"x"}"#).await;
    assert_eq!(missing.status, 404);
    let denied = post("[42,3]", r#"{"margin":1}"#).await;
    assert_eq!((denied.status, denied.reason().as_str()), (403, "fields-denied"));
    let unknown = post("[42]", r#"{"stage":"nowhere"}"#).await;
    assert_eq!((unknown.status, unknown.reason().as_str()), (422, "stage-unknown"));
    sidecar.crm().set_fault_on("/api/deals/3", Fault::Status(500));
    let broken = post("[42,3]", r#"{"notes":"x"}"#).await;
    assert_eq!((broken.status, broken.reason().as_str()), (502, "upstream-error"));
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new());
}
