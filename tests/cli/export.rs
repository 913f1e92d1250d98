//! `lockkeeper audit export`: each decision of a real ledger as one event, and nothing that the ledger does not say.
#![expect(clippy::disallowed_methods, reason = "a test reads the ledger by itself")]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::run::{Ran, run};
use crate::tail::a_day_that_is_over;

fn export(state: &str) -> Ran {
    run(std::path::Path::new("/"), &["audit", "export", "--state", state])
}

#[tokio::test(flavor = "multi_thread")]
async fn each_decision_is_one_event() {
    let (_kept, state) = a_day_that_is_over().await;
    let ran = export(&state);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let events: BTreeMap<String, Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|event| (event["metadata"]["uid"].as_str().unwrap().to_owned(), event))
        .collect();
    assert_eq!(events.len(), ran.stdout.lines().count(), "no decision twice");
    let text = std::fs::read_to_string(format!("{state}/ledger/segment-00000000000000000001.jsonl")).unwrap();
    let entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let decisions: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == "decision").collect();
    assert_eq!(events.len(), decisions.len());
    for decision in decisions {
        let event = &events[decision["id"].as_str().unwrap()];
        let outcome =
            entries.iter().find(|entry| entry["kind"] == "outcome" && entry["of"] == decision["id"]);
        assert_eq!(event["http_response"]["code"], outcome.unwrap()["status"]);
        assert_eq!(event["actor"]["user"]["uid"], decision["who"]["handle"]);
        let (class, activity) =
            (event["class_uid"].as_u64().unwrap(), event["activity_id"].as_u64().unwrap());
        assert_eq!((class, event["type_uid"].as_u64().unwrap()), (6003, class * 100 + activity));
        let is_denied = decision["effect"] != "allow";
        assert_eq!(
            (event["action_id"] == 2, event["disposition_id"] == 2),
            (is_denied, is_denied),
            "{event}"
        );
        for required in ["time", "severity_id", "metadata", "actor", "src_endpoint", "api", "category_uid"] {
            assert!(!event[required].is_null(), "{required} is required");
        }
        for set in decision["sets"].as_array().into_iter().flatten() {
            for id in set["ids"].as_array().unwrap() {
                let resource = event["resources"].as_array().unwrap().iter();
                let found = resource
                    .filter(|resource| resource["uid"] == *id && resource["type"] == set["type"])
                    .count();
                assert!(found > 0, "{id} of {decision}");
            }
        }
    }
    let modified: Vec<&Value> = events.values().filter(|event| event["action_id"] == 4).collect();
    let shown = modified.iter().flat_map(|event| event["resources"].as_array().unwrap());
    let names = shown.filter(|resource| {
        resource["data"]["shown"].as_array().is_some_and(|names| names.contains(&json!("Deal.title")))
    });
    assert!(names.count() > 0, "field sets are spelled");
}

#[test]
fn without_a_ledger_there_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ran = export(&folder.path().display().to_string());
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
}
