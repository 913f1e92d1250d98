//! `lockkeeper audit export`: each decision of a real ledger as one event, and nothing that the ledger does not say.
#![expect(clippy::disallowed_methods, reason = "a test reads the ledger by itself")]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::query::a_service;
use crate::run::{Ran, run};
use crate::tail::a_day_that_is_over;

fn export(state: &str) -> Ran {
    run(std::path::Path::new("/"), &["audit", "export", "--state", state])
}

#[tokio::test(flavor = "multi_thread")]
async fn each_decision_is_one_event() {
    let (_kept, state) = a_day_that_is_over().await;
    let ran = export(&state);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, OFFLINE));
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
    // A part of a segment is told as the whole is, and nothing that came before.
    let seq = |event: &&Value| event["metadata"]["sequence"].as_u64();
    let since = modified.into_iter().max_by_key(seq).unwrap();
    let args = ["audit", "export", "--state", &state, "--since-seq", &seq(&since).unwrap().to_string()];
    let told = run(std::path::Path::new("/"), &args).stdout;
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(told.contains(since) && told.iter().all(|event| seq(&event) >= seq(&since)), "{told:#?}");
}

/// While a service writes the ledger, whoever takes decisions out of it stands in it first.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_records_what_is_taken_out() {
    let (sidecar, config) = a_service().await;
    let reply = sidecar.as_person("rep-east").get("/api/deals/42").await;
    sidecar.ledger_when("the outcome", |ledger| ledger.of_kind("outcome").len() == 1).await;
    let decision = sidecar.ledger().decision(&reply)["id"].as_str().unwrap().to_owned();
    let state = sidecar.folder().state().display().to_string();
    let out = sidecar.folder().path().join("proofs").display().to_string();
    let audit =
        |args: &[&str], whose: &[&str]| run(std::path::Path::new("/"), &[&["audit"], args, whose].concat());
    let (exported, proved) = (["export", "--since-seq", "2"], ["prove", &decision, "--out", &out]);
    for args in [&exported[..], &proved] {
        let ran = audit(args, &["--state", &state]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(ran.stderr.contains("the reading cannot be recorded"), "{}", ran.stderr);
        let ran = audit(args, &["--state", &state, "--unrecorded"]);
        assert!(
            ran.stderr.contains("the ledger does not record this reading: --unrecorded\n"),
            "{}",
            ran.stderr
        );
    }
    assert!(sidecar.ledger().of_kind("read").is_empty());
    let ran = audit(&exported, &["--config", &config]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 1), "{}", ran.stderr);
    // Without checkpoints there is nothing to prove by, and who asked is recorded all the same.
    assert_eq!(audit(&proved, &["--config", &config]).code, 1);
    let ledger = sidecar.ledger();
    let commands: Vec<&Value> = ledger.of_kind("read").into_iter().map(|read| &read["command"]).collect();
    assert_eq!(commands, [&json!("audit export --since-seq 2"), &json!(format!("audit prove {decision}"))]);
    assert_eq!(
        ran.stderr,
        format!("this reading is entry {} of the ledger\n", ledger.of_kind("read")[0]["seq"])
    );
}

const OFFLINE: &str = "the ledger does not record this reading: no service writes it now\n";

#[test]
fn without_a_ledger_there_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ran = export(&folder.path().display().to_string());
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
}
