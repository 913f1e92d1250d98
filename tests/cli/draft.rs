//! `lockkeeper check` of observed groups, and `check --from-ledger`: drafts, reports and exit codes.

use lockkeeper::testkit::folder::Options;
use lockkeeper::testkit::{TestSidecar, folder::TestFolder};
use serde_json::Value;

use crate::run::{folder, run};

const GROUP: &str = "\n[[observe]]\nname = \"all\"\nroutes = \"*\"\nuntil = \"2026-07-01T00:00:00Z\"\n";

/// A state folder in which a parameter, a route and nothing else are missing.
async fn observed() -> TestFolder {
    let options = |options: Options| options.edit("lockkeeper.toml", |text| text + GROUP);
    let sidecar = TestSidecar::with(options).await;
    let rep = sidecar.as_person("rep-east");
    rep.get("/api/companies?colour=red").await;
    let reply = rep.get("/api/tasks/7").await;
    sidecar
        .ledger_when("what was observed", |ledger| {
            ledger.of_kind("observed").iter().any(|entry| entry["of"] == reply.decision())
        })
        .await;
    sidecar.stop_keeping_files().await
}

#[tokio::test]
async fn a_draft_says_what_is_missing() {
    let folder = observed().await;
    let ran = run(folder.path(), &["check", "bundle", "--from-ledger", "state"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let parsed: toml::Table = toml::from_str(&ran.stdout).unwrap();
    assert_eq!(parsed["routes"][0]["match"].as_str(), Some("GET /api/tasks/{id:int}"));
    assert!(ran.stdout.contains("# GET /api/companies\n#   colour = \"refused\""), "{}", ran.stdout);
    assert!(ran.stderr.contains("missing: 1 route, 1 parameter, 1 field;"), "{}", ran.stderr);
    let ran = run(folder.path(), &["check", "--from-ledger", "state", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &report["ok"], &report["entries"]), (3, &Value::Bool(false), &Value::from(2)));
    assert_eq!(report["routes"][0]["seen"]["count"], 1);
    assert_eq!(report["parameters"][0]["names"][0]["name"], "colour");
}

#[tokio::test]
async fn a_tail_marks_what_was_not_enforced() {
    let folder = observed().await;
    let ran = run(folder.path(), &["audit", "tail", "--state", "state"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("observing all until 2026-07-01T00:00:00Z"), "{}", ran.stdout);
    assert!(ran.stdout.contains("route-unmapped  (observed, not enforced)"), "{}", ran.stdout);
    assert!(ran.stdout.contains("unmapped /api/tasks/{int}"), "{}", ran.stdout);
}

#[test]
fn nothing_to_draft_from() {
    let folder = folder();
    let ran = run(folder.path(), &["check", "bundle", "--from-ledger", "nowhere"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("there is no ledger under `nowhere`"), "{}", ran.stderr);
    assert_eq!(run(folder.path(), &["check", "--from-ledger", "state", "--emit-schema"]).code, 64);
}

/// The dates are told whenever the configuration is checked; the program's clock is the system's.
#[test]
fn a_check_tells_what_is_not_enforced() {
    let folder = folder();
    let original = folder.text("lockkeeper.toml");
    let with = |until: &str| {
        folder.write("lockkeeper.toml", &(original.clone() + &GROUP.replace("2026-07-01T00:00:00Z", until)));
        run(folder.path(), &["check"])
    };
    let over = with("2001-01-01T00:00:00Z");
    assert_eq!(over.code, 0);
    let told = over.stderr.matches("`all` observes no more since 2001-01-01T00:00:00Z").count();
    assert_eq!(told, 1, "{}", over.stderr);
    let far = with("2999-01-01T00:00:00Z");
    assert_eq!(far.code, 3);
    assert!(far.stderr.contains("which is too far away"), "{}", far.stderr);
    // Not started either, whatever else is right.
    let served = run(folder.path(), &["serve"]);
    assert_eq!(served.code, 1);
    assert!(served.stderr.contains("not started: 1 problem"), "{}", served.stderr);
}
