//! `docs/guide/your-own-crm.md`, pasted: its shell lines run as they stand, but for the ports, and print what the page says
//! that they print. [edge]
//!
//! Promises: blocks run in one shell, in the order of the page; a `text` block holds lines that the shell block before it
//! prints, in this order, with `…` for anything.
#![expect(clippy::disallowed_methods, reason = "edge: runs the page's lines in a folder of its own")]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use lockkeeper::testkit::replay::Replay;
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_can_be_pasted() {
    let replay = Replay::load(&root().join("tests/fixtures/bottlecrm"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let crm = listener.local_addr().unwrap();
    let serving = tokio::spawn(replay.clone().serve(listener));
    let steps = steps(crm);
    assert!(steps.len() >= 10, "{} steps", steps.len());
    let script = script(&steps);
    let printed = tokio::task::spawn_blocking(move || paste(&script)).await.unwrap();
    let outputs: Vec<&str> = printed.split(MARK).skip(1).collect();
    assert_eq!(outputs.len(), steps.len(), "{printed}");
    for (step, output) in steps.iter().zip(outputs) {
        check(step, output);
    }
    assert_eq!(replay.misses(), Vec::<String>::new(), "the page asks what was not recorded");
    assert_eq!(replay.writes().len(), 2, "the refused move did not get there: {:?}", replay.writes());
    serving.abort();
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

/// The page's steps, with the address of the recorded CRM and a free one for Lockkeeper.
fn steps(crm: SocketAddr) -> Vec<Step> {
    let page = std::fs::read_to_string(root().join("docs/guide/your-own-crm.md")).unwrap();
    let listen = "address = \"127.0.0.1:8080\"";
    assert!(page.contains(listen) && page.contains("127.0.0.1:18300"), "the page names its ports");
    let page = page.replace(listen, "address = \"127.0.0.1:0\"").replace("127.0.0.1:18300", &crm.to_string());
    let mut steps: Vec<Step> = Vec::new();
    for block in page.split("\n```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').unwrap();
        match (language, steps.last_mut()) {
            ("sh", _) => steps.push(Step { shell: text.to_owned(), printed: String::new() }),
            ("text", Some(step)) => step.printed = text.to_owned(),
            // Above the first step: what a newcomer builds is built.
            ("text", None) => {}
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

fn paste(script: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path(), "lockkeeper", &format!("exec {} \"$@\"", env!("CARGO_BIN_EXE_lockkeeper")));
    program(folder.path(), "curl", CURL);
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", script])
        .current_dir(folder.path())
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

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const MARK: &str = "@@@ step @@@";

/// Messages are part of what is printed; an outcome follows each decision.
const PRELUDE: &str = r#"
exec 2>&1
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
entries() { cat state/ledger/*.jsonl 2> /dev/null | grep -c "\"kind\":\"$1\""; }
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
