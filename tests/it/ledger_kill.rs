//! A writer that is killed at any moment: every acknowledged entry is there, and nothing stays open.
//!
//! The child is this test binary itself, told by an environment variable to append until it is killed.
#![expect(clippy::disallowed_methods, reason = "edge: the child is told its folder by the environment")]
#![expect(clippy::unwrap_used, reason = "helpers of a test may panic")]

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use lockkeeper::ledger::append::{Ledger, LedgerOptions, Waiting};
use lockkeeper::ledger::clock;
use lockkeeper::ledger::durability::Durability;
use lockkeeper::ledger::made_up::{decided, outcome};
use lockkeeper::ledger::read;

use super::scaled;

/// Names the state folder for the child.
const CHILD_FOLDER: &str = "LOCKKEEPER_LEDGER_KILL_FOLDER";

/// Says that the child's entries are acknowledged once they are written.
const CHILD_WRITES: &str = "LOCKKEEPER_LEDGER_KILL_WRITES";

/// How often a child is killed.
const ROUNDS: usize = 40;

/// The child's life. Without the variable there is nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_appends_until_killed() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let durability =
        if std::env::var_os(CHILD_WRITES).is_some() { Durability::Write } else { Durability::Sync };
    let (ledger, _) = Ledger::open(options(Path::new(&folder), durability), clock::system()).unwrap();
    let forever = |task| tokio::spawn(decide_forever(ledger.clone(), task, durability));
    let tasks: Vec<_> = (0..8).map(forever).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Decisions and outcomes, each said on standard output once it is acknowledged.
async fn decide_forever(ledger: Ledger, task: u32, durability: Durability) {
    for at in 0_u64.. {
        let id = format!("{}-{task}-{at}", std::process::id());
        let seq = ledger.append_as(decided(&id), durability).await.unwrap();
        say(&format!("\nacked {seq} {id}\n"));
        if at % 3 == 0 {
            let mut waiting = Some(Waiting::new(outcome(&id), durability).unwrap());
            while let Some(entry) = waiting {
                waiting = ledger.offer(entry).unwrap();
            }
        } else if at % 3 == 1 {
            let seq = ledger.append_as(outcome(&id), durability).await.unwrap();
            say(&format!("\nacked {seq} {id}\n"));
        }
    }
}

/// One write, so that lines of several tasks do not mix.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).unwrap();
}

#[tokio::test]
async fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    println!("{}", kill_and_look(Durability::Sync).await);
}

/// What was only written is the kernel's, which no signal takes it from.
#[tokio::test]
async fn a_killed_writer_loses_nothing_that_it_had_only_written() {
    println!("{}", kill_and_look(Durability::Write).await);
}

/// Kills a writer again and again, looks at what it left, and returns a line on what was found.
async fn kill_and_look(durability: Durability) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut cut = 0;
    let rounds = scaled(ROUNDS);
    for round in 0..rounds {
        // From before the ledger is open to some hundred entries later.
        let lines = round * round % 211;
        let found = run_and_kill(dir.path(), durability, lines);
        for (seq, id) in found {
            assert!(acknowledged.insert(seq, id).is_none(), "entry {seq} was acknowledged twice");
        }
        let (ledger, report) = Ledger::open(options(dir.path(), durability), clock::system()).unwrap();
        cut += u64::from(report.cut_bytes > 0);
        check(dir.path(), &acknowledged);
        ledger.close().await.unwrap();
    }
    assert!(acknowledged.len() > 1000);
    format!(
        "| the ledger's writer killed by SIGKILL, durability {durability:?} | {rounds} times | {} acknowledged entries, all there; {cut} torn tails cut |",
        acknowledged.len()
    )
}

/// Starts a child, kills it after so many acknowledgements, and returns all that it gave.
fn run_and_kill(dir: &Path, durability: Durability, lines: usize) -> Vec<(u64, String)> {
    let mut child = spawn(dir, durability);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut found = Vec::new();
    let mut line = String::new();
    while found.len() < lines {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the child ended by itself");
        found.extend(acknowledgement(&line));
    }
    // On Unix this is SIGKILL.
    child.kill().unwrap();
    loop {
        line.clear();
        if output.read_line(&mut line).unwrap() == 0 {
            break;
        }
        if line.ends_with('\n') {
            found.extend(acknowledgement(&line));
        }
    }
    child.wait().unwrap();
    found
}

fn spawn(dir: &Path, durability: Durability) -> Child {
    let writes = (durability == Durability::Write).then_some((CHILD_WRITES, "yes"));
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ledger_kill::child_appends_until_killed", "--nocapture"])
        .env(CHILD_FOLDER, dir)
        .envs(writes)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The number and id in `acked 7 some-id`.
fn acknowledgement(line: &str) -> Option<(u64, String)> {
    let (seq, id) = line.trim_end().strip_prefix("acked ")?.split_once(' ')?;
    Some((seq.parse().unwrap(), id.to_owned()))
}

/// Every acknowledged entry is at its number; numbers have no gaps; each decision has exactly one outcome.
fn check(dir: &Path, acknowledged: &BTreeMap<u64, String>) {
    let (mut decided, mut closed) = (HashSet::new(), HashSet::new());
    let mut seen = 0;
    for (at, line) in read::entries(dir, 0).enumerate() {
        let line = line.unwrap();
        assert_eq!(line.place.seq, at as u64 + 1);
        let named = line.value.get("id").or(line.value.get("of")).and_then(|id| id.as_str());
        if let Some(id) = acknowledged.get(&line.place.seq) {
            assert_eq!(named, Some(id.as_str()), "entry {}", line.place.seq);
            seen += 1;
        }
        match (line.kind.as_str(), named) {
            ("decision", Some(id)) => assert!(decided.insert(id.to_owned()), "{id} twice"),
            ("outcome", Some(id)) => assert!(closed.insert(id.to_owned()), "{id} closed twice"),
            _ => {}
        }
    }
    assert_eq!(seen, acknowledged.len(), "all acknowledged entries are there");
    assert_eq!(decided, closed, "none is open");
}

/// Small segments, so that kills fall into rotations as well; of what is only written much waits for its sync.
fn options(dir: &Path, durability: Durability) -> LedgerOptions {
    let segment_bytes_max = if durability == Durability::Sync { 5000 } else { 50_000 };
    LedgerOptions { segment_bytes_max, soon_wait_ms: 1, ..LedgerOptions::new(dir, "boot") }
}
