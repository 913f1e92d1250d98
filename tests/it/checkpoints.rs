//! Checkpoints of a running service: what is exported is signed, stands for what is durable, and is told where it fails.
#![expect(clippy::disallowed_methods, reason = "edge: looks at and changes the files of the service")]

use std::path::Path;
use std::time::Duration;

use lockkeeper::ledger::checkpoint::{self, Checkpoint};
use lockkeeper::ledger::made_up::rewritten_all;
use lockkeeper::ledger::note::VerifierKey;
use lockkeeper::ledger::verify::{Noted, verify};
use lockkeeper::model::keys::SigningKey;
use lockkeeper::service::checkpoints::CheckpointsError;
use lockkeeper::service::start::{StartError, start};
use lockkeeper::telemetry::clock::Clock;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::{Caller, PATIENCE};
use lockkeeper::testkit::folder::{Options, TestFolder};
use serde_json::{Value, json};
use tokio::time::timeout;

const TOKEN: &str = "an-admin-token-of-32-characters-or-more";

/// A service that signs every tenth of a second into the folder `out`.
pub fn signing(options: Options) -> Options {
    options
        .file("ledger.pem", SigningKey::generate().unwrap().into_bytes())
        .file("out/.keep", Vec::new())
        .set("ledger.checkpoints", "origin", "\"crm/ledger\"")
        .set("ledger.checkpoints", "key_file", "\"ledger.pem\"")
        .set("ledger.checkpoints", "folder", "\"out\"")
        .set("ledger.checkpoints", "interval_ms", 100)
        .set("ledger.checkpoints", "idle_interval_ms", 1000)
}

/// With an admin listener.
pub fn with_admin(options: Options) -> Options {
    let options = options.file("admin.token", TOKEN.into());
    options.set("admin", "address", "\"127.0.0.1:0\"").set("admin", "token_file", "\"admin.token\"")
}

/// Whoever asks that.
pub fn admin(sidecar: &TestSidecar) -> Caller {
    let caller = Caller::new(sidecar.running().admin_address.unwrap());
    caller.with_header(&format!("Authorization: Bearer {TOKEN}"))
}

/// What the status says of checkpoints, once something holds that must come about by itself.
pub async fn told(admin: &Caller, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = timeout(PATIENCE, async {
        loop {
            let status: Value = serde_json::from_str(admin.get("/status").await.text()).unwrap();
            last = status["checkpoints"].clone();
            if holds(&last) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(found.is_ok(), "{what} did not come about: {last}");
    last
}

/// All checkpoints that were exported to a folder, each signed by the key that the ledger's starts name.
pub fn exported(folder: &TestFolder) -> Vec<Checkpoint> {
    let entries = lockkeeper::testkit::ledger::Entries::read(&folder.state());
    let start = entries.of_kind("start")[0].clone();
    let key: VerifierKey = start["keys"][0].as_str().unwrap().parse().unwrap();
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder.path().join("out")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "jsonl") {
            for line in std::fs::read_to_string(&file).unwrap().lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                assert!(line["t"].as_str().unwrap().ends_with('Z'));
                let note = line["checkpoint"].as_str().unwrap();
                found.push(checkpoint::open(note, std::slice::from_ref(&key)).unwrap());
            }
        }
    }
    found.sort_by_key(|checkpoint| checkpoint.head.size);
    found
}

/// Each is for a beginning of the ledger as it is now; returns how many entries that has.
pub fn all_hold(state: &Path, exported: &[Checkpoint]) -> u64 {
    let heads: Vec<_> = exported.iter().map(|checkpoint| checkpoint.head).collect();
    let verified = verify(state, &heads, &mut |_, _| {}).unwrap();
    assert_eq!(verified.noted, vec![Noted::Kept; heads.len()]);
    verified.head.size
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_checkpoint_stands_for_the_end_over_restarts() {
    let mut sidecar = TestSidecar::with(signing).await;
    for _ in 0..3 {
        assert_eq!(sidecar.as_person("admin").get("/api/deals/42").await.status, 200);
        sidecar = sidecar.restart().await;
    }
    let folder = sidecar.stop_keeping_files().await;
    let exported = exported(&folder);
    let entries = all_hold(&folder.state(), &exported);
    let last = exported.last().unwrap();
    assert_eq!(
        (last.head.size, last.origin.as_str()),
        (entries, "crm/ledger"),
        "the `stop` entry is signed for"
    );
    let latest = std::fs::read_to_string(folder.path().join("out/checkpoint")).unwrap();
    assert_eq!(latest, std::fs::read_to_string(folder.state().join("tree/checkpoint")).unwrap());
    assert!(exported.len() >= 4, "one for each end at least");
}

/// Starts on a folder whose service ended; why it did not.
async fn refused(folder: &TestFolder) -> StartError {
    let (config, loaded) = folder.load();
    start(config, loaded, Clock::system()).await.map(drop).unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_somebody_changed_in_between_does_not_start() {
    let sidecar = TestSidecar::with(signing).await;
    assert_eq!(sidecar.as_person("admin").get("/api/deals/42").await.status, 200);
    let folder = sidecar.stop_keeping_files().await;
    let segment = folder.state().join("ledger/segment-00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    // Cut by whole lines: nothing is torn.
    let fewer: String = text.lines().take(text.lines().count() - 2).map(|line| format!("{line}\n")).collect();
    std::fs::write(&segment, fewer).unwrap();
    let found = refused(&folder).await;
    let StartError::Checkpoints(CheckpointsError::Ledger(error)) = &found else { panic!("{found}") };
    assert!(error.is_evidence() && error.to_string().contains("those at its end are gone"), "{error}");
    // Forged with checksums that hold.
    let forged =
        rewritten_all(&text, |covered| covered.replace("\"effect\":\"allow\"", "\"effect\":\"refus\""));
    assert_ne!(forged, text);
    std::fs::write(&segment, forged).unwrap();
    let found = refused(&folder).await;
    let StartError::Checkpoints(CheckpointsError::Ledger(error)) = &found else { panic!("{found}") };
    assert!(error.is_evidence() && error.to_string().contains("some were changed"), "{error}");
    std::fs::write(&segment, text).unwrap();
    let (config, loaded) = folder.load();
    start(config, loaded, Clock::system()).await.unwrap().stop().await.unwrap();
    all_hold(&folder.state(), &exported(&folder));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_sign_does_not_start() {
    let sidecar = TestSidecar::with(signing).await;
    let folder = sidecar.stop_keeping_files().await;
    let (pem, out) = (folder.path().join("ledger.pem"), folder.path().join("out"));
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&pem, readable).unwrap();
    assert!(refused(&folder).await.to_string().contains("others than its owner can read it (mode 0644)"));
    folder.write("ledger.pem", "no key");
    assert!(refused(&folder).await.to_string().contains("is not a private Ed25519 key"));
    folder.write("ledger.pem", &SigningKey::generate().unwrap());
    std::fs::rename(&out, folder.path().join("gone")).unwrap();
    let why = refused(&folder).await.to_string();
    assert!(
        why.contains("checkpoints cannot be put into"),
        "a mount that is missing must not become a folder: {why}"
    );
    assert!(!out.exists());
    std::fs::rename(folder.path().join("gone"), &out).unwrap();
    folder.edit("lockkeeper.toml", |text| text.replace("\"crm/ledger\"", "\"crm/other\""));
    let why = refused(&folder).await.to_string();
    assert!(why.contains("it is a checkpoint of the log `crm/ledger`"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_fails_is_told_and_catches_up() {
    let sidecar = TestSidecar::with(|options| with_admin(signing(options))).await;
    let admin = admin(&sidecar);
    let whole = told(&admin, "an export of all", |status| {
        status["unprovable"] == 0 && status["exported"].as_u64().is_some_and(|exported| exported > 0)
    });
    let whole = whole.await;
    assert_eq!((&whole["exported"], &whole["failures"]), (&whole["signed"], &json!([])));
    let out = sidecar.folder().path().join("out");
    std::fs::rename(&out, sidecar.folder().path().join("gone")).unwrap();
    assert_eq!(sidecar.as_person("admin").get("/api/deals/42").await.status, 200);
    let failing = told(&admin, "a failure", |status| status["failures"] != json!([])).await;
    assert!(failing["unprovable"].as_u64() > Some(0), "{failing}");
    assert_eq!(failing["exported"], whole["exported"]);
    let metrics = admin.get("/metrics").await;
    let metrics = metrics.text();
    assert!(metrics.contains("lockkeeper_checkpoint_failing 1\n"), "{metrics}");
    std::fs::rename(sidecar.folder().path().join("gone"), &out).unwrap();
    told(&admin, "a catching up", |status| status["unprovable"] == 0 && status["failures"] == json!([]))
        .await;
    let folder = sidecar.stop_keeping_files().await;
    all_hold(&folder.state(), &exported(&folder));
}
