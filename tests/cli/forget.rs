//! `lockkeeper audit forget`: the person is gone from the state folder, and everything that was proved still is.
#![expect(clippy::disallowed_methods, reason = "a test reads the files of the service")]

use std::path::Path;

use lockkeeper::testkit::TestSidecar;
use serde_json::Value;

use crate::run::{Ran, run};
use crate::tail::a_day_that_is_over;

const TOKEN: &str = "admin-token-canary-51cd";

fn forget(args: &[&str]) -> Ran {
    run(Path::new("/"), &[&["audit", "forget"], args].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_belongs_to_nobody_and_every_head_still_holds() {
    let (_kept, state) = a_day_that_is_over().await;
    let verify = |head: &str| run(Path::new("/"), &["audit", "verify", "--state", &state, "--head", head]);
    let told = run(Path::new("/"), &["audit", "verify", "--state", &state]).stdout;
    let head = told.lines().find_map(|line| line.strip_prefix("head ")).unwrap();
    let table = || std::fs::read_to_string(format!("{state}/principals.jsonl")).unwrap();
    assert!(table().contains("\"rep-east\""));
    let rows = table().lines().count();
    let ran = forget(&["--state", &state, "User::\"rep-east\""]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("no entry says that this was done"), "{}", ran.stderr);
    let handle = ran.stdout.trim();
    assert!(!table().contains("rep-east") && table().contains(handle) && table().contains("manager-east"));
    assert_eq!(table().lines().count(), rows, "the handle is not given out again");
    assert_eq!(verify(head).code, 0);
    let ran = run(Path::new("/"), &["audit", "tail", "--state", &state, "--names=always"]);
    assert!(ran.stdout.contains(handle) && !ran.stdout.contains("rep-east"), "{}", ran.stdout);
    let again = forget(&["--state", &state, "User::\"rep-east\""]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("has no handle"), "{}", again.stderr);
    assert_eq!(forget(&["--state", &state, "anna"]).code, 64);
}

/// Backups often leave the lock out, and a person must be gone from them too.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_without_its_lock_forgets_as_well() {
    let (_kept, state) = a_day_that_is_over().await;
    let (ledger, table) = (format!("{state}/ledger"), format!("{state}/principals.jsonl"));
    std::fs::remove_file(format!("{ledger}/lock")).unwrap();
    let ran = forget(&["--state", &state, "User::\"rep-east\""]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!std::fs::read_to_string(&table).unwrap().contains("rep-east"));
    // Where no ledger is, none is begun.
    std::fs::remove_dir_all(&ledger).unwrap();
    std::fs::create_dir(&ledger).unwrap();
    let ran = forget(&["--state", &state, "User::\"rep-west\""]);
    assert_eq!((ran.code, std::fs::read_dir(&ledger).unwrap().count()), (1, 0), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_does_it_itself_and_says_so() {
    let sidecar = TestSidecar::with(|options| {
        options
            .set("admin", "address", "\"127.0.0.1:0\"")
            .set("admin", "token_file", "\"admin.token\"")
            .edit("admin.token", |_| TOKEN.to_owned())
    })
    .await;
    let rep = sidecar.as_person("rep-east");
    let first = rep.get("/api/deals/42").await;
    let state = sidecar.folder().state().display().to_string();
    let ran = forget(&["--state", &state, "User::\"rep-east\""]);
    assert_eq!(ran.code, 1, "nobody else writes the table");
    assert!(ran.stderr.contains("a service writes this ledger"), "{}", ran.stderr);
    let admin = sidecar.running().admin_address.unwrap();
    sidecar
        .folder()
        .edit("lockkeeper.toml", |text| text.replace("127.0.0.1:0\"\ntoken", &format!("{admin}\"\ntoken")));
    let config = sidecar.folder().path().join("lockkeeper.toml").display().to_string();
    let ran = forget(&["--config", &config, "User::\"rep-east\""]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let handle = ran.stdout.trim().to_owned();
    let ran = forget(&["--config", &config, "User::\"rep-west\""]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("answered 404: this principal has no handle"), "{}", ran.stderr);
    // Whoever comes back is somebody else, now and after a restart.
    let second = rep.get("/api/deals/42").await;
    let sidecar = sidecar.restart().await;
    let third = sidecar.as_person("rep-east").get("/api/deals/42").await;
    let ledger = sidecar.stop().await;
    let of = |reply: &lockkeeper::testkit::client::TestReply| -> String {
        ledger.decision(reply)["who"]["handle"].as_str().unwrap().to_owned()
    };
    assert_eq!((of(&first), of(&second)), (handle.clone(), of(&third)));
    assert_ne!(of(&first), of(&second));
    let erasures: Vec<Value> = ledger.of_kind("erasure").into_iter().cloned().collect();
    assert_eq!(erasures.len(), 1);
    assert_eq!(
        (erasures[0]["handle"].as_str(), erasures[0]["by"].as_str()),
        (Some(handle.as_str()), Some("admin-token"))
    );
}
