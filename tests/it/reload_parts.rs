//! Bundle, directory and keys go live apart: what is broken stays as it was and delays nothing else.
#![expect(clippy::disallowed_methods, reason = "edge: moves the ledger's folder away under its writer")]

use lockkeeper::ledger::entry::{Entry, Read};
use lockkeeper::service::reload::Reloaded;
use lockkeeper::testkit::TestSidecar;
use serde_json::Value;

const BROKEN_POLICY: &str = "permit (principal, action, resource";
const DIRECTORY: &str = "directory.cedarentities.json";
const EAST: &str = r#"{"active": true, "crmId": "1""#;

fn deactivated(text: &str) -> String {
    text.replace(EAST, &EAST.replace("true", "false"))
}

#[track_caller]
fn expect_refused(reloaded: &Reloaded, expected: &[&str]) {
    let parts = match reloaded {
        Reloaded::Refused { parts, .. } => parts.as_slice(),
        Reloaded::Active { .. } => &[],
    };
    assert_eq!(parts, expected, "{reloaded:?}");
}

/// What the ledger says of the last reload: part and result, in order.
fn revisions(sidecar: &TestSidecar, after: usize) -> Vec<(String, String)> {
    let ledger = sidecar.ledger();
    let of = |entry: &Value, member: &str| entry[member].as_str().unwrap_or_default().to_owned();
    ledger.of_kind("revision").into_iter().skip(after).map(|e| (of(e, "what"), of(e, "result"))).collect()
}

#[tokio::test]
async fn a_key_is_removed_while_a_policy_file_is_broken() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    assert_eq!(rep.get("/api/deals/42").await.status, 200);
    let before = revisions(&sidecar, 0).len();
    assert_eq!(before, 3, "bundle, directory and keys");
    sidecar.folder().write("bundle/policies/test.cedar", BROKEN_POLICY);
    let without = |text: String| text.replace("rep-east", "rep-nobody");
    expect_refused(&sidecar.reload_with("api-keys.toml", without).await, &["bundle"]);
    sidecar.crm().reset();
    assert_eq!(rep.get("/api/deals/42").await.reason(), "principal-unknown");
    expect_refused(&sidecar.reload_with("api-keys.toml", |_| String::new()).await, &["bundle"]);
    assert_eq!(rep.get("/api/deals/42").await.reason(), "credential-unknown");
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    let said = revisions(&sidecar, before);
    let pair = |what: &str, result: &str| (what.to_owned(), result.to_owned());
    // That the bundle is still broken is said once.
    assert_eq!(said, [pair("keys", "active"), pair("bundle", "refused"), pair("keys", "active")]);
}

#[tokio::test]
async fn a_person_is_deactivated_while_a_policy_file_is_broken() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    // Twice, so that the verdict is kept.
    for _ in 0..2 {
        assert_eq!(rep.get("/api/deals/42").await.status, 200);
    }
    let bundle = sidecar.running().sidecar.current.snapshot().bundle.revision.clone();
    sidecar.folder().write("bundle/policies/test.cedar", BROKEN_POLICY);
    sidecar.crm().reset();
    expect_refused(&sidecar.reload_with(DIRECTORY, |text| deactivated(&text)).await, &["bundle"]);
    assert_eq!(rep.get("/api/deals/42").await.reason(), "principal-inactive");
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    let after = sidecar.running().sidecar.current.snapshot();
    assert_eq!((after.generation, &after.bundle.revision), (2, &bundle));
    // The policy file is whole again, and the directory is not: the bundle does not wait either.
    sidecar.folder().write(DIRECTORY, "[");
    let forbid = r#"@id("test.none") forbid (principal, action == Action::"view", resource);"#;
    let whole = |_: String| forbid.to_owned();
    expect_refused(&sidecar.reload_with("bundle/policies/test.cedar", whole).await, &["directory"]);
    assert_eq!(sidecar.as_person("admin").get("/api/deals/42").await.status, 404);
    assert_eq!(
        rep.get("/api/deals/42").await.reason(),
        "principal-inactive",
        "the last whole directory holds"
    );
}

/// All three are broken: all three stay, and each says so.
#[tokio::test]
async fn what_is_broken_everywhere_stays_everywhere() {
    let sidecar = TestSidecar::start().await;
    sidecar.folder().write("bundle/profile.toml", "profile = 99");
    sidecar.folder().write(DIRECTORY, "[");
    let reloaded = sidecar.reload_with("api-keys.toml", |_| "[[key]]".to_owned()).await;
    expect_refused(&reloaded, &["bundle", "directory", "keys"]);
    let Reloaded::Refused { problems, .. } = reloaded else { unreachable!("checked above") };
    for name in ["profile.toml", "directory.cedarentities.json", "api-keys.toml"] {
        assert!(problems.contains(name), "{name} in {problems}");
    }
    assert_eq!(sidecar.running().sidecar.current.snapshot().generation, 1);
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.status, 200);
}

/// What nobody changed is no new generation, so that kept verdicts stay.
#[tokio::test]
async fn a_reload_of_what_serves_changes_nothing() {
    let sidecar = TestSidecar::start().await;
    for _ in 0..2 {
        assert!(matches!(sidecar.running().reloader.reload().await, Reloaded::Active { .. }));
    }
    assert_eq!(sidecar.running().sidecar.current.snapshot().generation, 1);
    assert_eq!(revisions(&sidecar, 0).len(), 3);
}

/// A new schema and people who conform only to it go live together; a schema that the people do not conform to waits.
#[tokio::test]
async fn bundle_and_directory_that_serve_together_fit() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    let schema = sidecar.folder().text("bundle/crm.cedarschema");
    let declare = |text: String| text + "type UserAttributes = { floor?: Long };";
    let live_on = |text: String| text.replace(EAST, &format!("{EAST}, \"custom\": {{\"floor\": 3}}"));
    // People first: they do not conform to the schema that serves.
    expect_refused(&sidecar.reload_with(DIRECTORY, live_on).await, &["directory"]);
    // With the schema they do.
    let reloaded = sidecar.reload_with("bundle/crm.cedarschema", declare).await;
    assert!(matches!(reloaded, Reloaded::Active { .. }), "{reloaded:?}");
    assert_eq!(rep.get("/api/deals/42").await.status, 200);
    // The schema alone goes back: the people would not conform.
    let reloaded = sidecar.reload_with("bundle/crm.cedarschema", |_| schema).await;
    expect_refused(&reloaded, &["bundle"]);
    let Reloaded::Refused { problems, .. } = reloaded else { unreachable!("checked above") };
    assert!(problems.contains("floor") && problems.contains("directory.cedarentities.json:"), "{problems}");
    assert_eq!(rep.get("/api/deals/42").await.status, 200);
    // A deactivation goes live meanwhile, and the schema still waits.
    expect_refused(&sidecar.reload_with(DIRECTORY, |text| deactivated(&text)).await, &["bundle"]);
    assert_eq!(rep.get("/api/deals/42").await.reason(), "principal-inactive");
}

/// The service account's key is replaced without a trace of it in the state folder.
#[tokio::test]
async fn a_secret_that_changes_is_taken_up_and_never_hashed_into_the_ledger() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    let reloaded = sidecar.reload_with("crm.key", |_| "another-secret".to_owned()).await;
    assert!(matches!(reloaded, Reloaded::Active { .. }));
    assert_eq!(rep.get("/api/deals/42").await.status, 502, "the CRM does not know it");
    assert_eq!(revisions(&sidecar, 0).len(), 3, "no entry: its hash would be a hash of a secret");
    expect_refused(&sidecar.reload_with("crm.key", |_| String::new()).await, &["keys"]);
    let state = sidecar.folder().all_text("state");
    for secret in ["another-secret", &lockkeeper::bundle::revision::hash(b"another-secret")] {
        assert!(!state.contains(secret));
    }
}

/// Nothing serves before the ledger says so: not the new bundle, not the new people, not the new keys. Once it takes entries
/// again, all go live and are recorded with what they replaced.
#[tokio::test]
async fn what_cannot_be_recorded_does_not_serve() {
    let sidecar = TestSidecar::with(|options| options.set("ledger", "segment_bytes", 65_536)).await;
    let serving = || sidecar.running().sidecar.current.serving();
    let first = serving();
    let ledger = sidecar.folder().state().join("ledger");
    let aside = sidecar.folder().state().join("aside");
    std::fs::rename(&ledger, &aside).unwrap();
    let recorder = &sidecar.running().sidecar.recorder;
    while recorder.append(Entry::Read(Read { command: "x".repeat(30_000), by: String::new() })).await.is_ok()
    {
    }
    let forbid = r#"@id("test.none") forbid (principal, action == Action::"view", resource);"#;
    sidecar.folder().write("bundle/policies/test.cedar", forbid);
    sidecar.folder().edit(DIRECTORY, |text| deactivated(&text));
    let without = |text: String| text.replace("rep-east", "rep-nobody");
    let reloaded = sidecar.reload_with("api-keys.toml", without).await;
    expect_refused(&reloaded, &["bundle", "directory", "keys"]);
    let Reloaded::Refused { problems, .. } = reloaded else { unreachable!("checked above") };
    assert!(problems.contains("could not be recorded"), "{problems}");
    assert!(std::sync::Arc::ptr_eq(&first, &serving()), "what served before serves");
    std::fs::rename(&aside, &ledger).unwrap();
    // The ledger tries once in a while to begin anew.
    while !matches!(sidecar.running().reloader.reload().await, Reloaded::Active { .. }) {}
    let (old, new) = (&first.snapshot, &serving().snapshot);
    assert_ne!(
        (&old.bundle.revision, &old.directory.revision),
        (&new.bundle.revision, &new.directory.revision)
    );
    let entries = sidecar.ledger();
    let last = |what: &str| {
        let mut of = entries.of_kind("revision").into_iter().filter(|entry| entry["what"] == what);
        of.next_back().unwrap().clone()
    };
    let bundle = last("bundle");
    assert_eq!(
        (&bundle["result"], &bundle["previous"]),
        (&"active".into(), &old.bundle.revision.as_str().into())
    );
    assert_eq!(bundle["policies"]["added"], serde_json::json!(["test.none"]));
    for (what, before, after) in [
        ("directory", &old.directory.revision, &new.directory.revision),
        ("keys", &first.identity.revision, &serving().identity.revision),
    ] {
        let entry = last(what);
        assert_eq!((&entry["result"], &entry["previous"]), (&"active".into(), &before.as_str().into()));
        assert_eq!(entry["hash"], after.as_str());
    }
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.reason(), "principal-unknown");
}
