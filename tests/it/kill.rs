//! The real program, killed at any moment: what a client was answered is in the ledger, and the next start succeeds.
#![expect(clippy::disallowed_methods, reason = "edge: starts the program and reads its files")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use lockkeeper::testkit::TestCrm;
use lockkeeper::testkit::client::{Caller, PATIENCE, TestReply, read_to_end};
use lockkeeper::testkit::folder::{Options, TestFolder};
use lockkeeper::testkit::ledger::Entries;
use tokio::time::timeout;

/// How often the program is killed.
const ROUNDS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_sidecar_answered_nothing_that_it_did_not_record() {
    let crm = TestCrm::start().await;
    let folder = TestFolder::new(Options::default(), crm.address);
    let mut answered = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut program = Program::start(&folder).await;
        // From before the first answer to some dozens later.
        let found = write_until_killed(&mut program, &folder, round * 3).await;
        assert!(found.len() >= round * 3);
        answered.extend(found);
    }
    let program = Program::start(&folder).await;
    drop(program);
    let entries = Entries::read(&folder.state());
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
    assert!(answered.len() > ROUNDS * 10, "{}", answered.len());
}

/// Several callers write until so many answers have come; then the program is killed, whatever it is doing.
async fn write_until_killed(program: &mut Program, folder: &TestFolder, answers: usize) -> Vec<String> {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let callers: Vec<_> = (0..4)
        .map(|number| {
            let key = folder.key("admin");
            let caller = Caller::new(program.address).with_header(&format!("Authorization: Bearer {key}"));
            let tell = tell.clone();
            tokio::spawn(async move {
                let target = format!("/api/deals/{}", number + 1);
                while let Some(reply) = try_patch(&caller, &target).await {
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
    let reply = TestReply::try_parse(&bytes)?;
    assert_eq!(reply.status, 200);
    Some(reply)
}

/// The program, running.
struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    /// Starts it on a free port and waits until it serves.
    async fn start(folder: &TestFolder) -> Self {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        folder.edit("lockkeeper.toml", |text| {
            let line = text.lines().find(|line| line.starts_with("address = ")).unwrap().to_owned();
            text.replace(&line, &format!("address = \"{address}\""))
        });
        let child = Command::new(env!("CARGO_BIN_EXE_lockkeeper"))
            .args(["serve", "--config"])
            .arg(folder.path().join("lockkeeper.toml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut program = Self { child, address };
        timeout(PATIENCE, async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                assert!(program.child.try_wait().unwrap().is_none(), "the program did not start");
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        program
    }

    /// SIGKILL on Unix.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
