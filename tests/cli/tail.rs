//! `lockkeeper audit tail`: a real ledger of a real service, read while it is written and after.
#![expect(clippy::disallowed_methods, reason = "a test looks at every file and tears a line")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::folder::TestFolder;
use lockkeeper::testkit::ledger::Entries;
use serde_json::Value;

use crate::run::{Ran, command, redact, run};

/// What people did: reads, a denied move, an allowed one, a denied field, a list, and a stranger.
async fn a_day(sidecar: &TestSidecar) {
    let (rep, manager) = (sidecar.as_person("rep-east"), sidecar.as_person("manager-east"));
    rep.get("/api/deals/42").await;
    manager.get("/api/deals/42").await;
    rep.post("/api/deals/42/move", "{\"stage\":\"won\"}").await;
    rep.post("/api/deals/42/move", "{\"stage\":\"negotiation\"}").await;
    rep.patch("/api/deals/42", "{\"title\":\"x\",\"margin\":1}").await;
    rep.get("/api/deals?per_page=4&page=1").await;
    sidecar.as_nobody().get("/api/deals").await;
}

/// The folder of a day that is over. Its ledger is free.
pub async fn a_day_that_is_over() -> (tempfile::TempDir, String) {
    let sidecar = TestSidecar::start().await;
    a_day(&sidecar).await;
    let kept = tempfile::tempdir().unwrap();
    let state = kept.path().join("state");
    let from = sidecar.folder().state();
    // Outcomes of reads may still be on their way, and refusals are counted by the second.
    let is_over =
        |entries: &Entries| entries.of_kind("outcome").len() == 6 && entries.of_kind("refusals").len() == 1;
    sidecar.ledger_when("the end of the day", is_over).await;
    let copied = Command::new("cp").args(["-r"]).arg(&from).arg(&state).status().unwrap();
    assert!(copied.success());
    sidecar.stop().await;
    (kept, state.display().to_string())
}

fn tail(args: &[&str], state: &str) -> Ran {
    let args: Vec<&str> = ["audit", "tail", "--state", state].iter().chain(args).copied().collect();
    run(std::path::Path::new("/"), &args)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_decisions_are_told() {
    let (_kept, state) = a_day_that_is_over().await;
    let ran = tail(&[], &state);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, UNRECORDED));
    insta::assert_snapshot!("tail", redact(&without_numbers(&ran.stdout)));
}

/// The outcome of a read may stand before or after the next decision, and sizes are those of the demo's data.
fn without_numbers(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_once(", entry ").map_or(line, |(id, _)| id));
    let parts = |line: &str| {
        let parts = line.split(", ").map(|part| if part.ends_with(" bytes") { "<size>" } else { part });
        parts.collect::<Vec<_>>().join(", ")
    };
    lines.map(parts).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_formats() {
    let (_kept, state) = a_day_that_is_over().await;
    let decisions = |args: &[&str]| {
        let args: Vec<&str> = args.iter().chain(&["--format", "json"]).copied().collect();
        let ran = tail(&args, &state);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, UNRECORDED), "{args:?}");
        let entries: Vec<Value> =
            ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        entries.into_iter().filter(|entry| entry["kind"] == "decision").collect::<Vec<_>>()
    };
    let all = decisions(&[]);
    assert_eq!(all.len(), 6);
    assert_eq!(decisions(&["--last", "2"]), all[4..]);
    assert_eq!(decisions(&["--who", "User::\"manager-east\""]), all[1..2]);
    assert_eq!(decisions(&["--id", all[2]["id"].as_str().unwrap()]), all[2..3]);
    assert_eq!(decisions(&["--kind", "start"]), Vec::<Value>::new());
    assert_eq!(all[0]["who"]["principal"], "User::\"rep-east\"");
    // From the middle of a segment on: what the field sets are, stands before it.
    let since = decisions(&["--since-seq", &all[5]["seq"].to_string()]);
    assert_eq!(since, all[5..]);
    let sets = since[0]["sets"].as_array().unwrap();
    let deal = sets.iter().find(|set| set["type"] == "Deal").unwrap();
    assert!(deal["hidden"].as_array().unwrap().contains(&"Deal.margin".into()), "{deal}");
}

/// Every file below a folder, with its bytes.
fn all_files(folder: &std::path::Path) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(all_files(&path)),
            false => drop(found.insert(path.clone(), std::fs::read(path).unwrap())),
        }
    }
    found
}

/// Whoever reads, root too, leaves the files as they are: a torn tail, open decisions and a missing lock are the next start's.
#[tokio::test(flavor = "multi_thread")]
async fn reading_changes_no_file() {
    let (kept, state) = a_day_that_is_over().await;
    std::fs::remove_file(format!("{state}/ledger/lock")).unwrap();
    let segment = format!("{state}/ledger/segment-00000000000000000001.jsonl");
    let mut file = std::fs::OpenOptions::new().append(true).open(&segment).unwrap();
    std::io::Write::write_all(&mut file, b"{\"seq\":").unwrap();
    let before = all_files(kept.path());
    let nameless = tail(&["--names=never"], &state);
    assert!(!nameless.stdout.contains("rep-east") && nameless.stdout.contains("User p_"), "{nameless:?}");
    assert_eq!((nameless.code, nameless.stderr.as_str()), (0, ""));
    for args in [&[][..], &["--names"], &["--names=never", "--who", "User::\"rep-east\""]] {
        let ran = tail(args, &state);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, UNRECORDED), "{args:?}");
    }
    let stranger = tail(&["--who", "User::\"anna\""], &state);
    assert_eq!((stranger.code, stranger.stdout.as_str()), (0, ""));
    assert_eq!(stranger.stderr, "no request of `User::\"anna\"` is in this ledger\n");
    assert_eq!(all_files(kept.path()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_told_with_its_place() {
    let (_kept, state) = a_day_that_is_over().await;
    let segment = format!("{state}/ledger/segment-00000000000000000001.jsonl");
    let swapped =
        Command::new("sed").args(["-i", "s/stage-move-denied/stage-move-allowed/"]).arg(&segment).status();
    assert!(swapped.unwrap().success());
    let ran = tail(&["--names=never"], &state);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stderr.contains("is damaged at byte ") && ran.stderr.contains("the checksum does not match"));
    assert!(
        ran.stdout.contains("manager-east") || ran.stdout.contains("User p_"),
        "what stands before it is told"
    );
    assert!(!ran.stdout.contains("stage-move"), "{}", ran.stdout);
    let nothing = tail(&[], "/nonexistent");
    assert_eq!(
        (nothing.code, nothing.stderr.as_str()),
        (1, "error: there is no ledger under `/nonexistent`\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_is_followed() {
    let sidecar = TestSidecar::start().await;
    sidecar.as_person("rep-east").get("/api/deals/42").await;
    let mut follower = Follower::start(sidecar.folder());
    follower.until("GET /api/deals/{id:int}");
    sidecar.as_person("admin").get("/api/companies/201").await;
    follower.until("ALLOW    User::\"admin\"  GET /api/companies/{id:int}");
    follower.until("Company 201");
    sidecar.as_person("rep-east").post("/api/deals/42/move", "{\"stage\":\"won\"}").await;
    follower.until("DENY     User::\"rep-east\"  POST /api/deals/{id:int}/move  stage-move-denied");
    let (code, stderr) = follower.interrupt();
    assert_eq!((code, stderr.as_str()), (0, UNRECORDED));
}

/// `audit tail --follow`, its lines read as they come.
struct Follower {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Follower {
    fn start(folder: &TestFolder) -> Self {
        let mut command = command(folder.path(), &["audit", "tail", "--follow"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads on until a line holds the text.
    #[track_caller]
    fn until(&mut self, text: &str) {
        let found = self.lines.by_ref().any(|line| line.unwrap().contains(text));
        assert!(found, "the follower ended without `{text}`");
    }

    /// Ctrl-C.
    fn interrupt(self) -> (i32, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        drop(self.lines);
        let output = self.child.wait_with_output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_is_not_there_is_said_to_be_missing() {
    let (_kept, state) = a_day_that_is_over().await;
    let ran = tail(&["--id", "019a8f3c-0000-7000-8000-000000000000"], &state);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(
        ran.stderr.contains("no decision `019a8f3c-0000-7000-8000-000000000000` is in this ledger"),
        "{}",
        ran.stderr
    );
}

/// What whoever sees names is told.
const UNRECORDED: &str =
    "names are shown; the ledger does not record this reading (--names=never shows handles)\n";
