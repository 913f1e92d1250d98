//! Entries that were kept for long enough: a running service removes them, and everything that reads a ledger copes.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: looks at the files of the service, and runs the program"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lockkeeper::ledger::append::{Ledger, LedgerOptions};
use lockkeeper::ledger::made_up::{decided, outcome};
use lockkeeper::ledger::read::segment_starts;
use lockkeeper::ledger::verify::verify;
use lockkeeper::testkit::client::{Caller, PATIENCE};
use lockkeeper::testkit::folder::{Options, TestFolder};
use lockkeeper::testkit::ledger::Entries;
use lockkeeper::testkit::{TestCrm, TestSidecar};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::checkpoints::{all_hold, exported, signing};
use super::program::Program;

/// The hashes of a tile.
const TILE_ENTRIES: usize = 256;

const TOKEN: &str = "an-admin-token-of-32-characters-or-more";

/// A service whose ledger begins with four segments of 2020, and which keeps entries for 30 days.
pub async fn grown_old(options: Options) -> Options {
    // It served until now: whoever was away for years might as well have a wrong clock.
    aged(options, now()).await
}

/// The same, whose last entries were written at a time.
async fn aged(options: Options, ended_ms: i64) -> Options {
    let dir = tempfile::tempdir().unwrap();
    let now_ms = Arc::new(AtomicI64::new(1_577_880_000_000));
    let ticking = Arc::clone(&now_ms);
    let clock = Arc::new(move || i128::from(ticking.fetch_add(1, Ordering::SeqCst)) * 1_000_000);
    let limits = LedgerOptions { segment_bytes_max: 20_000, ..LedgerOptions::new(dir.path(), "long-ago") };
    let (ledger, _) = Ledger::open(limits, clock).unwrap();
    for round in 0..5 {
        for number in 0..75 {
            let id = format!("{round}-{number}");
            ledger.append_soon(decided(&id)).unwrap();
            ledger.append_soon(outcome(&id)).unwrap();
        }
        let id = format!("{round}-last");
        ledger.append(decided(&id)).await.unwrap();
        ledger.append(outcome(&id)).await.unwrap();
    }
    now_ms.store(ended_ms, Ordering::SeqCst);
    ledger.append(decided("today")).await.unwrap();
    ledger.append(outcome("today")).await.unwrap();
    ledger.close().await.unwrap();
    let starts = segment_starts(dir.path()).unwrap();
    assert!(starts.len() >= 4, "{starts:?}");
    let file = |options: Options, start: &u64| {
        let name = format!("ledger/segment-{start:020}.jsonl");
        let content = std::fs::read(dir.path().join(&name)).unwrap();
        options.file(&format!("state/{name}"), content)
    };
    let options = starts.iter().fold(options, file);
    signing(options)
        .file("admin.token", TOKEN.into())
        .set("admin", "address", "\"127.0.0.1:0\"")
        .set("admin", "token_file", "\"admin.token\"")
        .set("ledger.retention", "keep_days", 30)
        .set("ledger.retention", "interval_ms", 100)
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

pub async fn admin(sidecar: &TestSidecar, path: &str) -> String {
    let admin = Caller::new(sidecar.running().admin_address.unwrap());
    admin.with_header(&format!("Authorization: Bearer {TOKEN}")).get(path).await.text().to_owned()
}

/// What `/status` says of removal, once it is as it must become.
pub async fn until(sidecar: &TestSidecar, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = timeout(PATIENCE, async {
        loop {
            let status: Value = serde_json::from_str(&admin(sidecar, "/status").await).unwrap();
            last = status["retention"].clone();
            if holds(&last) {
                return last.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let found = found.await;
    assert!(found.is_ok(), "never {what}: {last}");
    found.unwrap()
}

fn run(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockkeeper"));
    let ran = command.args(args).current_dir(folder).env("NO_COLOR", "1").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_for_long_enough_goes_and_is_proved_to_have_been_there() {
    let options = grown_old(Options::default()).await;
    let sidecar = TestSidecar::with(move |_| options).await;
    // The last segment of long ago ends within a tile, which today's entries must fill first.
    let waits = until(&sidecar, "waiting", |told| told["waitsFor"].is_string()).await;
    assert!(waits["waitsFor"].as_str().unwrap().starts_with("an exported checkpoint over entry "), "{waits}");
    assert_eq!(waits["keepDays"], 30);
    let metrics = admin(&sidecar, "/metrics").await;
    assert!(metrics.contains("lockkeeper_ledger_removal_overdue 1\n"), "{metrics}");
    let caller = sidecar.as_person("admin");
    let reply = caller.get("/api/deals/42").await;
    assert_eq!(reply.status, 200);
    // A read is two entries.
    for _ in 0..TILE_ENTRIES / 2 {
        assert_eq!(caller.get("/api/deals/42").await.status, 200);
    }
    // The last one of long ago is not older than the next began: today.
    let kept = || segment_starts(&sidecar.folder().state()).unwrap();
    until(&sidecar, "done", |told| told["waitsFor"].is_null() && kept().len() == 2).await;
    let entries = sidecar.ledger();
    let removals: Vec<Value> = entries.of_kind("removal").into_iter().cloned().collect();
    assert!(removals.len() >= 4, "{removals:?}");
    for (before, after) in removals.iter().zip(&removals[1..]) {
        assert_eq!(before["last"].as_u64().unwrap() + 1, after["first"].as_u64().unwrap());
        assert!(after["until"].as_str().unwrap().starts_with("2020-01-01T"), "{after}");
    }
    let oldest = removals.last().unwrap()["last"].as_u64().unwrap() + 1;
    let starts = kept();
    assert_eq!((starts[0], starts.len()), (oldest, 2), "{starts:?}");
    let sidecar = sidecar.restart().await;
    assert_eq!(sidecar.as_person("admin").get("/api/deals/42").await.status, 200);
    let folder = sidecar.stop_keeping_files().await;
    all_hold(&folder.state(), &exported(&folder));
    let decided = reply.decision();
    commands(folder.path(), decided, oldest);
    // The same files, and nothing says why they begin so late.
    let segment = folder.state().join(format!("ledger/segment-{:020}.jsonl", starts[1]));
    let told = std::fs::read_to_string(&segment).unwrap();
    let silent: String = told
        .lines()
        .filter(|line| !line.contains("\"kind\":\"removal\""))
        .fold(String::new(), |text, line| format!("{text}{line}\n"));
    std::fs::write(&segment, silent).unwrap();
    let (code, out, err) = run(folder.path(), &["audit", "verify"]);
    assert_eq!((code, out.as_str()), (5, ""));
    assert!(err.contains("the segment before is missing"), "{err}");
}

/// The real program with a ledger of long ago, of which the first segment's removal meets what is injected.
async fn removing(inject: &str) -> (TestCrm, TestFolder, Program, PathBuf) {
    let options = grown_old(Options::default()).await;
    let crm = TestCrm::start().await;
    let folder = TestFolder::new(options, crm.address);
    let segment = folder.state().join("ledger/segment-00000000000000000001.jsonl");
    let path = segment.display().to_string();
    let strace = [
        "strace",
        "-D",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-P",
        path.as_str(),
        "-e",
        "trace=unlink",
        "-e",
        inject,
    ];
    let program = Program::start_under(&strace, &folder).await;
    (crm, folder, program, segment)
}

/// How often it is recorded that the first segment is removed.
fn recorded(folder: &TestFolder) -> usize {
    let entries = Entries::read(&folder.state());
    entries.of_kind("removal").iter().filter(|entry| entry["first"] == 1).count()
}

async fn gone(segment: &Path) {
    let goes = timeout(PATIENCE, async {
        while segment.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(goes.await.is_ok(), "it stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_fails_is_tried_again_and_recorded_once() {
    let (_crm, folder, program, segment) = removing("inject=unlink:error=EIO:when=1..3").await;
    gone(&segment).await;
    drop(program);
    assert_eq!(recorded(&folder), 1);
    verify(&folder.state(), &[], &mut |_, _| {}).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_killed_before_a_removal_finishes_it_at_its_next_start() {
    let (_crm, folder, mut program, segment) = removing("inject=unlink:error=EIO:signal=SIGKILL").await;
    program.ended().await;
    assert!(segment.exists());
    assert_eq!(recorded(&folder), 1);
    let verified = verify(&folder.state(), &[], &mut |_, _| {}).unwrap();
    assert_eq!((verified.removed, verified.remaining), (None, 1));
    let program = Program::start(&folder).await;
    gone(&segment).await;
    drop(program);
    assert_eq!(recorded(&folder), 1, "once");
    let verified = verify(&folder.state(), &[], &mut |_, _| {}).unwrap();
    assert!(verified.removed.is_some());
}

/// A start with a wrong clock looks like one after a long time.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_away_for_long_removes_nothing_at_once() {
    let options = aged(Options::default(), now() - 40 * 24 * 60 * 60 * 1000).await;
    let sidecar = TestSidecar::with(|_| options).await;
    let waits = |status: &Value| status["waitsFor"].as_str().is_some_and(|why| why.contains("was away"));
    let told = until(&sidecar, "a wait", waits).await;
    assert_eq!(told["removed"], 0);
    let entries = sidecar.stop().await;
    assert!(entries.of_kind("removal").is_empty());
}

/// Every command that reads a ledger, on one that begins with entry `oldest`.
fn commands(folder: &Path, decided: &str, oldest: u64) {
    let start = run(folder, &["audit", "tail", "--kind", "start", "--format", "json", "--names=never"]).1;
    let start: Value = serde_json::from_str(start.lines().next().unwrap()).unwrap();
    let key = start["keys"][0].as_str().unwrap();
    let (code, out, err) = run(folder, &["audit", "verify", "--key", key, "--checkpoint", "out"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let removed = format!("says: the entries 1 to {}, until 2020-01-01T", oldest - 1);
    assert!(out.contains("\n  removed after 30 days, as entry ") && out.contains(&removed), "{out}");
    let (code, out, _) = run(folder, &["audit", "verify", "--format", "json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    let removal = &told["completeness"]["removed"]["removal"];
    assert_eq!((code, &removal["last"], &removal["keep_days"]), (0, &json!(oldest - 1), &json!(30)));
    let (code, out, err) = run(folder, &["audit", "tail", "--kind", "removal", "--names=never"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("REMOVAL  the entries 1 to "), "{out}");
    let (code, out, err) = run(
        folder,
        &["audit", "query", "who-saw", "--type", "Deal", "--id", "42", "--format", "json", "--names=never"],
    );
    assert!(code == 0 && out.contains(decided), "{out}{err}");
    let (code, out, err) = run(folder, &["audit", "export"]);
    assert!(code == 0 && out.contains(decided) && !out.contains("\"0-1\""), "{err}");
    let (code, out, err) = run(folder, &["audit", "prove", decided, "--out", "proofs"]);
    assert_eq!(code, 0, "{err}");
    let proofs: Vec<&str> = out.lines().collect();
    let (code, _, err) = run(folder, &[&["audit", "verify-proof", "--key", key], proofs.as_slice()].concat());
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = run(folder, &["audit", "prove", "0-1", "--out", "proofs"]);
    assert_eq!((code, err.contains("no decision `0-1` is in this ledger")), (1, true), "{err}");
}
