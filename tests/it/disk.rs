//! The real program on a disk that is full, breaks or hangs: what was answered is recorded, nothing is forwarded that is not, and it
//! goes on by itself once the disk does.
//!
//! A full disk is a small file system of the program's own, made in a mount namespace; a broken one is `strace`, which injects
//! errors and delays into the program's syncs.
#![expect(clippy::disallowed_methods, reason = "edge: fills the disk of the program under test")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use http::Method;
use lockkeeper::ledger::verify::verify;
use lockkeeper::testkit::TestCrm;
use lockkeeper::testkit::client::{Caller, PATIENCE, TestReply};
use lockkeeper::testkit::folder::{Options, TestFolder};
use lockkeeper::testkit::ledger::Entries;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::program::Program;
use super::scaled;

const TOKEN: &str = "an-admin-token-of-32-characters-or-more";

/// The program with something under it, in front of a CRM.
struct Under {
    crm: TestCrm,
    folder: TestFolder,
    program: Program,
    admin: Caller,
    /// The state folder as this process can see it.
    state: PathBuf,
    answered: Vec<String>,
}

impl Under {
    async fn start(other: &[&str], change: impl FnOnce(Options) -> Options) -> Self {
        let crm = TestCrm::start().await;
        let admin = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let options = Options::default()
            .file("state/.keep", Vec::new())
            .file("admin.token", TOKEN.into())
            .set("admin", "address", format!("\"{admin}\""))
            .set("admin", "token_file", "\"admin.token\"");
        let folder = TestFolder::new(change(options), crm.address);
        let path = folder.state().display().to_string();
        let other: Vec<&str> =
            other.iter().map(|word| if *word == STATE { path.as_str() } else { word }).collect();
        let program = Program::start_under(&other, &folder).await;
        // It listens there after it listens to callers.
        let listens = timeout(PATIENCE, async {
            while tokio::net::TcpStream::connect(admin).await.is_err() {
                sleep(Duration::from_millis(5)).await;
            }
        });
        listens.await.unwrap();
        let state = PathBuf::from(format!("/proc/{}/root{path}", program.id()));
        let admin = Caller::new(admin).with_header(&format!("Authorization: Bearer {TOKEN}"));
        Self { crm, folder, program, admin, state, answered: Vec::new() }
    }

    /// One write; its answer.
    async fn write(&mut self) -> TestReply {
        let key = self.folder.key("admin");
        let caller = Caller::new(self.program.address).with_header(&format!("Authorization: Bearer {key}"));
        let reply = caller.patch("/api/deals/42", r#"{"title":"x"}"#).await;
        if reply.status == 200 {
            self.answered.push(reply.decision().to_owned());
        }
        reply
    }

    /// Writes until one is not answered as it should be, at most `most`.
    async fn write_until_refused(&mut self, most: usize) -> TestReply {
        for _ in 0..most {
            let reply = self.write().await;
            if reply.status != 200 {
                return reply;
            }
        }
        unreachable!("{most} writes were answered")
    }

    /// Writes until one is answered as it should be; it comes to that by itself.
    async fn write_until_answered(&mut self) {
        let found = timeout(PATIENCE, async {
            while self.write().await.status != 200 {
                sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(found.await.is_ok(), "it does not come back");
    }

    /// What carries something is refused; then asks for what carries nothing for longer than refusals wait to be counted, so that nothing
    /// else makes the ledger try again. Returns how often.
    async fn ask_while_unwritable(&self) -> usize {
        let nobody = Caller::new(self.program.address);
        let key = self.folder.key("admin");
        let known = nobody.clone().with_header(&format!("Authorization: Bearer {key}"));
        let login = nobody.post("/login", r#"{"user":"x"}"#).await;
        for refused in [known.get("/api/deals/42").await, known.get("/api/pipelines").await, login] {
            assert_eq!((refused.status, refused.reason().as_str()), (503, "ledger-unavailable"));
        }
        let (until, mut passed) = (Instant::now() + Duration::from_millis(2_200), 0);
        while Instant::now() < until {
            assert_eq!(nobody.get("/static/app.css").await.status, 200);
            passed += 1;
        }
        passed
    }

    /// Waits until the ledger has counted as many requests that passed unrecorded, and returns the reasons. Nobody asks anything meanwhile.
    async fn passed_unrecorded(&self, times: usize) -> BTreeSet<String> {
        let of_minutes = |entries: &Entries| {
            let gaps = entries.of_kind("gap").into_iter().filter(|gap| gap["minute"].is_string());
            gaps.cloned().collect::<Vec<Value>>()
        };
        let count = |gap: &Value| {
            assert_eq!((&gap["refused"], &gap["passed"][0]["route"]), (&0.into(), &STATIC.into()));
            gap["passed"][0]["count"].as_u64().unwrap_or(0)
        };
        let is_whole = |entries: &Entries| of_minutes(entries).iter().map(count).sum::<u64>() >= times as u64;
        let entries = Entries::when(&self.state, "what passed", is_whole).await;
        let metrics = self.admin.get("/metrics").await;
        let metric = format!("lockkeeper_passed_unrecorded_total{{route=\"{STATIC}\"}} {times}\n");
        assert!(metrics.text().contains(&metric), "{}", metrics.text());
        assert_eq!(verify(&self.state, &[], &mut |_, _| {}).unwrap().life.passed, times as u64);
        of_minutes(&entries).iter().filter_map(|gap| gap["reason"].as_str().map(str::to_owned)).collect()
    }

    /// How many writes the CRM saw.
    fn forwarded(&self) -> usize {
        self.crm.handle.requests().into_iter().filter(|request| request.method == Method::PATCH).count()
    }

    async fn status(&self) -> Value {
        serde_json::from_str(self.admin.get("/status").await.text()).unwrap()
    }

    /// What `/status` says of the ledger, once it is as it must become.
    async fn ledger_when(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        let found = timeout(PATIENCE, async {
            while !holds(&self.status().await["ledger"]) {
                sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(found.await.is_ok(), "never {what}: {}", self.status().await["ledger"]);
    }

    /// The ledger is whole; every answer and every write that the CRM saw has its decision. Returns its gaps.
    fn check(&self) -> Vec<Value> {
        verify(&self.state, &[], &mut |_, _| {}).unwrap();
        let entries = Entries::read(&self.state);
        let decided: Vec<&str> =
            entries.of_kind("decision").iter().filter_map(|entry| entry["id"].as_str()).collect();
        for id in &self.answered {
            assert!(decided.contains(&id.as_str()), "{id} was answered and is not recorded");
        }
        assert!(self.forwarded() <= decided.len(), "{} of {}", self.forwarded(), decided.len());
        entries.of_kind("gap").into_iter().cloned().collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_forwards_nothing_and_room_brings_it_back() {
    let Some(own) = own_mounts() else { return };
    let mount = r#"mount -t tmpfs -o size=2m,mode=700 tmpfs "$0" && exec "$@""#;
    let mut under = Under::start(&[own, &["sh", "-c", mount, STATE]].concat(), |options| {
        options.set("ledger", "free_bytes", 500_000)
    })
    .await;
    let (rounds, mut refused) = (scaled(2), 0);
    for round in 1..=rounds {
        under.ledger_when("with room", |ledger| ledger["spaceLow"] == false).await;
        assert_eq!(under.write().await.status, 200);
        let ballast = under.state.join("ballast");
        fill(&ballast);
        under.ledger_when("short of room", |ledger| ledger["spaceLow"] == true).await;
        let metrics = under.admin.get("/metrics").await;
        assert!(metrics.text().contains("lockkeeper_ledger_space_low 1\n"), "{}", metrics.text());
        // A last page may have room for a few.
        under.write_until_refused(100).await;
        let forwarded = under.forwarded();
        for _ in 0..20 {
            let reply = under.write().await;
            assert_eq!((reply.status, reply.reason().as_str()), (503, "ledger-unavailable"));
            refused += 1;
        }
        assert_eq!(under.forwarded(), forwarded, "nothing was forwarded that could not be recorded");
        assert_eq!(under.status().await["ledger"]["writable"], false);
        std::fs::remove_file(&ballast).unwrap();
        under.write_until_answered().await;
        let gaps = under.check();
        assert_eq!(gaps.len(), round, "{gaps:?}");
        assert!(gaps[round - 1]["refused"].as_u64() > Some(0), "{gaps:?}");
    }
    println!(
        "| the disk full (tmpfs of 2 MB) | {rounds} times | {refused} writes refused, none forwarded; it came back with room by itself, each gap is an entry |"
    );
}

/// Fills what room there is.
fn fill(ballast: &Path) {
    let mut file = File::create(ballast).unwrap();
    for size in [65_536, 4_096, 512, 1] {
        let bytes = vec![b'x'; size];
        while file.write_all(&bytes).is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_carries_nothing_goes_on_without_a_ledger_where_it_is_marked_so() {
    let Some(own) = own_mounts() else { return };
    let mount = r#"mount -t tmpfs -o size=2m,mode=700 tmpfs "$0" && exec "$@""#;
    let mut under = Under::start(&[own, &["sh", "-c", mount, STATE]].concat(), open_for_static).await;
    // Who asks has a handle.
    assert_eq!(under.write().await.status, 200);
    let ballast = under.state.join("ballast");
    fill(&ballast);
    under.write_until_refused(100).await;
    let passed = under.ask_while_unwritable().await;
    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(under.passed_unrecorded(passed).await, ["write-failed".to_owned()].into());
    println!(
        "| the disk full, a route marked `open` | 2 seconds | {passed} requests passed there, each counted in the ledger; all else refused |"
    );

    let inject = format!("inject=fdatasync:delay_enter=6000000:when={DECISION}");
    let hangs = |options: Options| open_for_static(options).set("ledger", "write_timeout_ms", 700);
    let mut under = Under::start(&strace(&inject), hangs).await;
    under.write_until_refused(30).await;
    under.ledger_when("stalled", |ledger| ledger["why"] == "write-stalled").await;
    let passed = under.ask_while_unwritable().await;
    assert_eq!(under.passed_unrecorded(passed).await, ["write-stalled".to_owned()].into());
}

fn open_for_static(options: Options) -> Options {
    options.edit("lockkeeper.toml", |text| {
        format!("{text}\n[[ledger.routes]]\nroutes = \"GET,HEAD /static*\"\non_failure = \"open\"\n")
    })
}

/// The demo's route of files that are the same for everybody.
const STATIC: &str = "GET,HEAD /static/{path...}";

/// What a start writes: `start`, `config`, and a `revision` each of bundle, directory and keys, each with a sync.
const OF_THE_START: u32 = 5;
/// The number of a sync of the ledger's thread: behind those of the start, each write has one for its decision and one for its outcome.
const DECISION: u32 = OF_THE_START + 2 * 8 + 1;
const OUTCOME: u32 = DECISION + 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_ends_its_file_and_not_the_service() {
    for sync in [DECISION, OUTCOME] {
        let inject = format!("inject=fdatasync:error=EIO:when={sync}");
        let mut under = Under::start(&strace(&inject), |options| options).await;
        let before = under.write_until_refused(30).await;
        let is_decision = sync == DECISION;
        let expected = if is_decision { (503, "ledger-unavailable") } else { (502, "answer-withheld") };
        assert_eq!((before.status, before.reason().as_str()), expected);
        assert_eq!(under.forwarded(), under.answered.len() + usize::from(!is_decision));
        under.write_until_answered().await;
        let gaps = under.check();
        assert_eq!((gaps.len(), &gaps[0]["reason"]), (1, &"sync-failed".into()), "{gaps:?}");
        let segments = lockkeeper::ledger::read::segment_starts(&under.state).unwrap();
        assert_eq!(segments.len(), 2, "the failed file gets no further line");
    }
    println!(
        "| a sync of the ledger fails (EIO) | 2 times | of a decision: 503 and nothing forwarded; of an outcome: the answer withheld; a new segment with a gap |"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_every_sync_fails_nothing_is_forwarded() {
    let inject = format!("inject=fdatasync:error=EIO:when={DECISION}+");
    let mut under = Under::start(&strace(&inject), |options| options).await;
    under.write_until_refused(30).await;
    let forwarded = under.forwarded();
    assert_eq!(forwarded, under.answered.len());
    let until = Instant::now() + Duration::from_secs(3);
    let mut refused = 0;
    // Longer than the pause between two attempts to begin a new segment.
    while Instant::now() < until {
        let reply = under.write().await;
        assert_eq!((reply.status, reply.reason().as_str()), (503, "ledger-unavailable"));
        refused += 1;
    }
    assert_eq!(under.forwarded(), forwarded);
    under.check();
    println!("| every sync fails (EIO) | 3 seconds | {refused} writes refused, none forwarded |");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_sync_is_waited_for() {
    let inject = format!("inject=fdatasync:delay_exit=1500000:when={DECISION}");
    let mut under = Under::start(&strace(&inject), |options| options).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..15 {
        let began = Instant::now();
        assert_eq!(under.write().await.status, 200);
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest >= Duration::from_millis(1500), "{slowest:?}");
    assert_eq!(under.check(), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_hangs_is_given_up_and_holds_what_follows() {
    let inject = format!("inject=fdatasync:delay_enter=4000000:when={DECISION}");
    let mut under =
        Under::start(&strace(&inject), |options| options.set("ledger", "write_timeout_ms", 700)).await;
    let began = Instant::now();
    let reply = under.write_until_refused(30).await;
    assert_eq!((reply.status, reply.reason().as_str()), (503, "ledger-unavailable"));
    let forwarded = under.forwarded();
    assert_eq!(forwarded, under.answered.len());
    under.ledger_when("stalled", |ledger| ledger["why"] == "write-stalled").await;
    let reply = under.write().await;
    assert_eq!((reply.status, reply.reason().as_str()), (503, "ledger-unavailable"));
    assert!(began.elapsed() < Duration::from_secs(4), "both were told while it hung: {:?}", began.elapsed());
    assert_eq!(under.forwarded(), forwarded);
    under.write_until_answered().await;
    under.check();
    println!(
        "| a sync slow (1.5 s), and hanging (4 s, over the time limit) | once each | waited for, and given up with 503; nothing forwarded meanwhile; no error stays |"
    );
}

/// Starts the rest of a command line as a process whose syncs are injected into; the process is the child, and the tracer its own.
fn strace(inject: &str) -> Vec<&str> {
    vec!["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject]
}

/// What starts the rest of a command line with mounts of its own, if this system lets us.
fn own_mounts() -> Option<&'static [&'static str]> {
    let ways: [&'static [&'static str]; 2] = [&["unshare", "-m"], &["unshare", "-U", "-r", "-m"]];
    let works = |way: &&&'static [&'static str]| {
        let tried =
            Command::new(way[0]).args(&way[1..]).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
        tried.is_ok_and(|ran| ran.status.success())
    };
    let found = ways.iter().find(works).copied();
    if found.is_none() {
        // Past what the test harness captures: nobody shall take this for a test that passed.
        let told = "\nNOT TESTED: a full disk. This system lets us mount nothing, not even in a namespace of our own.\n";
        std::io::stderr().write_all(told.as_bytes()).unwrap();
    }
    found
}

/// Stands for the state folder in a command line.
const STATE: &str = "{state}";
