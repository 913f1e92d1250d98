//! The guides on one's own CRM, the workbench and continuous integration, and the example's page, pasted: their shell lines run
//! as they stand, but for the ports, and print what the pages say that they print. [edge]
//!
//! Promises: blocks run in one shell, in the order of the page; a `text` block holds lines that the shell block before it
//! prints, in this order, with `…` for anything.
#![expect(clippy::disallowed_methods, reason = "edge: runs the pages' lines in a folder of their own")]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use lockkeeper::testkit::replay::Replay;
use tokio::net::TcpListener;

use crate::rig::{copy, root};

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_can_be_pasted() {
    let writes = paste("docs/guide/your-own-crm.md").await;
    assert_eq!(writes.len(), 2, "the refused move did not get there: {writes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_example_can_be_pasted() {
    let writes = paste("examples/bottlecrm/README.md").await;
    assert_eq!(writes.len(), 1, "the refused moves did not get there: {writes:?}");
}

#[test]
fn the_guides_of_the_workbench_can_be_pasted() {
    let pages = ["docs/guide/workbench.md", "docs/guide/ci.md"];
    let page: String = pages.iter().map(|page| std::fs::read_to_string(root().join(page)).unwrap()).collect();
    follow(tempfile::tempdir().unwrap().path(), &page);
}

/// Runs a page and compares what it prints; what the CRM was asked to change.
async fn paste(page: &str) -> Vec<String> {
    let replay = Replay::load(&root().join("tests/fixtures/bottlecrm"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let crm = listener.local_addr().unwrap();
    let serving = tokio::spawn(replay.clone().serve(listener));
    let folder = tempfile::tempdir().unwrap();
    let example = folder.path().join("examples/bottlecrm");
    copy(&root().join("examples/bottlecrm"), &example);
    let config = example.join("lockkeeper.toml");
    std::fs::write(&config, with_ports(&std::fs::read_to_string(&config).unwrap(), crm)).unwrap();
    let page = with_ports(&std::fs::read_to_string(root().join(page)).unwrap(), crm);
    tokio::task::spawn_blocking(move || follow(folder.path(), &page)).await.unwrap();
    assert_eq!(replay.misses(), Vec::<String>::new(), "the page asks what was not recorded");
    serving.abort();
    replay.writes()
}

/// Runs the steps of a page in a folder and compares what they print.
fn follow(folder: &Path, page: &str) {
    let steps = steps(page);
    assert!(steps.len() >= 6, "{} steps", steps.len());
    let printed = run(folder, &script(&steps));
    let outputs: Vec<&str> = printed.split(MARK).skip(1).collect();
    assert_eq!(outputs.len(), steps.len(), "{printed}");
    for (step, output) in steps.iter().zip(outputs) {
        check(step, output);
    }
}

#[test]
fn lines_are_compared_with_gaps() {
    for (pattern, line, expected) in [
        ("a … c", "a b c", true),
        ("… c", "a b c", true),
        ("a …", "a b c", true),
        ("a c", "a b c", false),
        ("…b", "a b c", false),
        ("a…", "b a", false),
        ("a…a", "a", false),
        ("a", "a", true),
    ] {
        assert_eq!(fits(line, pattern), expected, "{pattern} {line}");
    }
}

/// A shell block of the page and what it is said to print.
struct Step {
    shell: String,
    printed: String,
}

/// With the address of the recorded CRM, and free ports for Lockkeeper.
fn with_ports(text: &str, crm: SocketAddr) -> String {
    let text = text.replace("127.0.0.1:18300", &crm.to_string());
    ["8080", "8081"].iter().fold(text, |text, port| {
        text.replace(&format!("address = \"127.0.0.1:{port}\""), "address = \"127.0.0.1:0\"")
    })
}

/// The steps of a page.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in page.split("\n```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').unwrap();
        match (language, steps.last_mut()) {
            ("sh", _) => steps.push(Step { shell: text.to_owned(), printed: String::new() }),
            ("text", Some(step)) => step.printed = text.to_owned(),
            // Above the first step: what a newcomer builds is built.
            ("text", None) => {}
            // For build servers and editors, which are not here.
            ("yaml" | "json" | "toml", _) => {}
            _ => panic!("a block of `{language}` is neither run nor compared"),
        }
    }
    steps
}

/// All steps, each after a mark, and after each what was asked is in the ledger.
fn script(steps: &[Step]) -> String {
    let steps = steps.iter().map(|step| format!("echo '{MARK}'\n{}\nsettled\n", step.shell));
    steps.fold(PRELUDE.to_owned(), |script, step| script + &step)
}

/// What a script prints in a folder, with `lockkeeper` on its path.
fn run(folder: &Path, script: &str) -> String {
    let programs = folder.join("programs");
    std::fs::create_dir(&programs).unwrap();
    program(&programs, "lockkeeper", &format!("exec {} \"$@\"", env!("CARGO_BIN_EXE_lockkeeper")));
    program(&programs, "curl", CURL);
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", script])
        .current_dir(folder)
        .envs([("PATH", path.as_str()), ("NO_PROXY", "*"), ("NO_COLOR", "1")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn program(folder: &Path, name: &str, line: &str) {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/bash\n{line}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[track_caller]
fn check(step: &Step, output: &str) {
    let mut lines = output.lines();
    for expected in step.printed.lines().filter(|line| !line.is_empty() && *line != "…") {
        let found = lines.any(|line| fits(line, expected));
        assert!(found, "`{expected}` is not printed, or not there:\n{output}\n--- by ---\n{}", step.shell);
    }
}

/// Whether a line is a pattern's, with `…` for anything.
fn fits(line: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('…') else { return line == pattern };
    let Some(line) = line.strip_prefix(start) else { return false };
    line.char_indices()
        .map(|(at, _)| at)
        .chain([line.len()])
        .any(|at| line.get(at..).is_some_and(|line| fits(line, rest)))
}

const MARK: &str = "@@@ step @@@";

/// Messages are part of what is printed; an outcome follows each decision.
const PRELUDE: &str = r#"
exec 2>&1
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
entries() { find . -name '*.jsonl' -exec cat {} + | grep -c "\"kind\":\"$1\""; }
settled() {
  for _ in {1..300}; do
    if [ "$(entries decision)" = "$(entries outcome)" ]; then return; fi
    sleep 0.1
  done
  echo 'decisions without an outcome'; exit 1
}
"#;

/// The real `curl`, with the page's port led to the one that Lockkeeper took.
const CURL: &str = r#"PATH=${PATH#*:}
port=$(sed -n 's/.* INFO serving listen=127.0.0.1:\([0-9]*\) .*/\1/p' lockkeeper.log 2> /dev/null)
exec curl --connect-to "127.0.0.1:8080:127.0.0.1:${port:-1}" "$@""#;
