//! The real program, killed at any moment: what a client was answered is in the ledger, and the next start succeeds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lockkeeper::testkit::TestCrm;
use lockkeeper::testkit::client::{Caller, PATIENCE, TestReply, read_to_end};
use lockkeeper::testkit::folder::{Options, TestFolder};
use lockkeeper::testkit::ledger::Entries;
use tokio::time::timeout;

use super::checkpoints::{all_hold, exported, signing};
use super::program::Program;
use super::scaled;

/// How often the program is killed.
const ROUNDS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_sidecar_answered_nothing_that_it_did_not_record() {
    println!("{}", kill_under("PATCH", Options::default()).await);
}

/// Also where an answer to a read waits for no sync.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_sidecar_that_only_writes_its_entries_recorded_what_it_answered() {
    let only_written =
        |text| format!("{text}\n[[ledger.routes]]\nroutes = [\"GET /api/deals*\"]\ndurability = \"write\"\n");
    // No sync is due while it runs, but for those of checkpoints and of the start.
    let options =
        Options::default().set("ledger", "sync_interval_ms", 60_000).edit("lockkeeper.toml", only_written);
    println!("{}", kill_under("GET", options).await);
}

/// Kills the program under requests again and again, looks at its ledger, and returns a line on what was found.
async fn kill_under(method: &'static str, options: Options) -> String {
    let crm = TestCrm::start().await;
    let folder = TestFolder::new(signing(options), crm.address);
    let (mut answered, rounds) = (BTreeSet::new(), scaled(ROUNDS));
    for round in 0..rounds {
        let mut program = Program::start(&folder).await;
        // From before the first answer to some dozens later.
        let answers = round % ROUNDS * 3;
        let found = ask_until_killed(&mut program, &folder, method, answers).await;
        assert!(found.len() >= answers);
        answered.extend(found);
    }
    let program = Program::start(&folder).await;
    drop(program);
    let entries = Entries::read(&folder.state());
    // Whatever was signed before a kill, the ledger still begins with it.
    let checkpoints = exported(&folder);
    all_hold(&folder.state(), &checkpoints);
    let ids = |kind: &str, member: &str| -> Vec<String> {
        let named = |entry: &&serde_json::Value| entry[member].as_str().map(str::to_owned);
        entries.of_kind(kind).iter().filter_map(named).collect()
    };
    let decided: BTreeSet<String> = ids("decision", "id").into_iter().collect();
    let closed: BTreeSet<String> = ids("outcome", "of").into_iter().collect();
    assert!(answered.is_subset(&decided), "every answer has its decision");
    assert_eq!(decided, closed, "no decision is open after a start");
    // What reached the CRM was decided before: there is a decision for each write that it saw.
    let writes = crm.handle.requests().into_iter().filter(|request| request.method == http::Method::PATCH);
    assert!(writes.count() <= decided.len());
    assert!(answered.len() > rounds * 10, "{}", answered.len());
    format!(
        "| the program killed by SIGKILL under {method} | {rounds} times | {} answers, each with its decision; {} decisions, none open; {} checkpoints hold | ",
        answered.len(),
        decided.len(),
        checkpoints.len()
    )
}

/// Several callers ask until so many answers have come; then the program is killed, whatever it is doing.
async fn ask_until_killed(
    program: &mut Program,
    folder: &TestFolder,
    method: &'static str,
    answers: usize,
) -> Vec<String> {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let is_killed = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|number| {
            let key = folder.key("admin");
            let caller = Caller::new(program.address).with_header(&format!("Authorization: Bearer {key}"));
            let (tell, is_killed) = (tell.clone(), Arc::clone(&is_killed));
            tokio::spawn(async move {
                let target = format!("/api/deals/{}", number + 1);
                while let Some(reply) = try_to_ask(&caller, method, &target).await {
                    if reply.status != 200 {
                        // By then another test's program may listen where ours did; it does not know our keys.
                        assert!(is_killed.load(Ordering::SeqCst), "{}: {}", reply.status, reply.text());
                        break;
                    }
                    tell.send(reply.decision().to_owned()).unwrap();
                }
            })
        })
        .collect();
    drop(tell);
    let mut found = Vec::new();
    while found.len() < answers {
        found.push(timeout(PATIENCE, told.recv()).await.unwrap().unwrap());
    }
    is_killed.store(true, Ordering::SeqCst);
    program.kill();
    for caller in callers {
        caller.await.unwrap();
    }
    while let Some(id) = told.recv().await {
        found.push(id);
    }
    found
}

/// One request; `None` once nobody answers any more.
async fn try_to_ask(caller: &Caller, method: &str, target: &str) -> Option<TestReply> {
    let body = if method == "PATCH" { r#"{"title":"x"}"# } else { "" };
    let stream = caller.try_open(method, target, body).await?;
    let bytes = read_to_end(stream).await;
    // The kill may cut an answer short: then nobody was answered.
    TestReply::try_parse(&bytes)
}
