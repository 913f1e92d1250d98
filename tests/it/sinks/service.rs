//! Sinks as the service runs them, and the commands around them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lockkeeper::ledger::entry::sink::SinkState;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::{Caller, PATIENCE};
use lockkeeper::testkit::folder::Options;
use serde_json::Value;
use tokio::time::timeout;

use super::cluster::{Database, shared};
use super::receiver::{Mood, Receiver};
use super::rig::{lines, same};
use super::store::stored;

/// A sidecar with a receiver and a store, and an admin listener.
fn options(options: Options, receiver: &Receiver, database: &Database<'_>) -> Options {
    let sinks = format!(
        "\n[[ledger.sinks]]\nname = \"siem\"\nkind = \"https\"\nurl = \"http://{}/in\"\ntoken_file = \"sink.token\"\n\
         retry_max_ms = 20\n[[ledger.sinks]]\nname = \"store\"\nkind = \"postgres\"\nurl = \"{}\"\n",
        receiver.address,
        database.url("writer")
    );
    options
        .set("admin", "address", "\"127.0.0.1:0\"")
        .set("admin", "token_file", "\"admin.token\"")
        .edit("admin.token", |_| "a-token-of-administrators".to_owned())
        .edit("sink.token", |_| "canary-sink-token".to_owned())
        .edit("lockkeeper.toml", move |text| text + &sinks)
}

async fn admin(sidecar: &TestSidecar, path: &str) -> String {
    let address = sidecar.running().admin_address.unwrap();
    let caller = Caller::new(address).with_header("Authorization: Bearer a-token-of-administrators");
    caller.get(path).await.text().to_owned()
}

async fn status(sidecar: &TestSidecar) -> Value {
    let status: Value = serde_json::from_str(&admin(sidecar, "/status").await).unwrap();
    status["sinks"].clone()
}

async fn until(sidecar: &TestSidecar, what: &str, holds: impl Fn(&Value) -> bool) {
    let found = timeout(PATIENCE, async {
        while !holds(&status(sidecar).await) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(found.await.is_ok(), "never {what}: {}", status(sidecar).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_whatever_sinks_do() {
    let database = shared().store().await;
    let receiver = Receiver::start(Mood::Says(503)).await;
    let sidecar = TestSidecar::with(|defaults| options(defaults, &receiver, &database)).await;
    let rep = sidecar.as_person("rep-east");
    assert_eq!(rep.get("/api/deals/42").await.status, 200);
    until(&sidecar, "down", |sinks| sinks[0]["state"] == "down" && sinks[1]["lagEntries"] == 0).await;
    let sinks = status(&sidecar).await;
    assert_eq!((&sinks[0]["name"], &sinks[0]["kind"]), (&"siem".into(), &"https".into()));
    assert_eq!(
        (&sinks[0]["reason"], &sinks[0]["error"]),
        (&"sink-refused".into(), &"it answered 503 Service Unavailable".into())
    );
    assert!(sinks[0]["lagEntries"].as_u64().unwrap() > 5, "{sinks}");
    assert_eq!((&sinks[1]["state"], &sinks[1]["reason"]), (&"up".into(), &Value::Null));
    assert_eq!(rep.get("/api/deals").await.status, 200);
    let metrics = admin(&sidecar, "/metrics").await;
    assert!(metrics.contains("lockkeeper_sink_up{sink=\"siem\"} 0"), "{metrics}");
    assert!(metrics.contains("lockkeeper_sink_up{sink=\"store\"} 1"), "{metrics}");
    assert!(sidecar.running().sidecar.readiness.is_ready(), "a sink that is down takes no caller away");
    assert!(sidecar.running().copies.now().sinks.statuses().iter().any(|sink| sink.state == SinkState::Down));
    receiver.turn(Mood::Takes);
    until(&sidecar, "up", |sinks| sinks[0]["state"] == "up" && sinks[0]["lagEntries"] == 0).await;
    for text in [admin(&sidecar, "/status").await, admin(&sidecar, "/metrics").await] {
        assert!(!text.contains("canary-sink-token"), "{text}");
    }
    let folder = sidecar.stop_keeping_files().await;
    // The end of the ledger reached both.
    let written = lines(&folder.state());
    assert!(written.values().last().unwrap().contains("\"kind\":\"stop\""));
    same(&receiver.distinct(), &written);
    let id = folder.text("state/ledger/log-id");
    same(&stored(&database.connect("auditor").await, id.trim()).await, &written);
    for place in ["state/ledger", "state/sinks"] {
        assert!(!folder.all_text(place).contains("canary-sink-token"), "{place}");
    }
    compare_by_command(folder.path(), &database).await;
}

/// Runs the real program on the folder of a service that is over.
async fn compare_by_command(folder: &Path, database: &Database<'_>) {
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockkeeper"));
        let ran = command.args(args).current_dir(folder).env("NO_COLOR", "1").output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
    };
    let (code, out, err) = run(&["audit", "compare", "--user", "auditor", "--lines"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("every line is there, from entry 1 to "), "{out}");
    let owner = database.connect("owner").await;
    owner.batch_execute("delete from lockkeeper.entry where seq between 3 and 4").await.unwrap();
    let (code, out, err) = run(&["audit", "compare", "--user", "auditor", "--format", "json"]);
    assert_eq!((code, err.as_str()), (5, "error: the store does not have the entries 3 to 4\n"));
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["differences"][0]["from"], 3);
    let (code, _, err) = run(&["audit", "compare"]);
    assert_eq!(code, 1);
    assert!(err.contains("permission denied for table entry"), "the writer cannot read: {err}");
    let (code, _, err) = run(&["audit", "compare", "--sink", "siem"]);
    assert_eq!((code, err.contains("has no sink `siem` of kind `postgres`")), (1, true), "{err}");
    let (code, out, _) = run(&["audit", "store", "migrate", "--user", "owner"]);
    assert_eq!((code, out.as_str()), (0, "the store has version 1 already; grants were made again\n"));
    let (code, _, err) = run(&["audit", "store", "migrate", "--user", "nobody-there"]);
    assert_eq!((code, err.contains("role \"nobody-there\" does not exist")), (1, true), "{err}");
    let (code, out, _) = run(&["audit", "store", "migrate", "--print"]);
    assert_eq!((code, out.contains("create table lockkeeper.entry")), (0, true));
}
