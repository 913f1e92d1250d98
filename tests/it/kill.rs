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
    let crm = TestCrm::start().await;
    let folder = TestFolder::new(signing(Options::default()), crm.address);
    let (mut answered, rounds) = (BTreeSet::new(), scaled(ROUNDS));
    for round in 0..rounds {
        let mut program = Program::start(&folder).await;
        // From before the first answer to some dozens later.
        let answers = round % ROUNDS * 3;
        let found = write_until_killed(&mut program, &folder, answers).await;
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
    println!(
        "| the program killed by SIGKILL under writes | {rounds} times | {} answers, each with its decision; {} decisions, none open; {} checkpoints hold | ",
        answered.len(),
        decided.len(),
        checkpoints.len()
    );
}

/// Several callers write until so many answers have come; then the program is killed, whatever it is doing.
async fn write_until_killed(program: &mut Program, folder: &TestFolder, answers: usize) -> Vec<String> {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let is_killed = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|number| {
            let key = folder.key("admin");
            let caller = Caller::new(program.address).with_header(&format!("Authorization: Bearer {key}"));
            let (tell, is_killed) = (tell.clone(), Arc::clone(&is_killed));
            tokio::spawn(async move {
                let target = format!("/api/deals/{}", number + 1);
                while let Some(reply) = try_patch(&caller, &target).await {
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

/// One write; `None` once nobody answers any more.
async fn try_patch(caller: &Caller, target: &str) -> Option<TestReply> {
    let stream = caller.try_open("PATCH", target, r#"{"title":"x"}"#).await?;
    let bytes = read_to_end(stream).await;
    // The kill may cut an answer short: then nobody was answered.
    TestReply::try_parse(&bytes)
}
