//! The README, pasted: its shell lines run as they stand, but for the ports, with the binary of this build.
#![expect(clippy::disallowed_methods, reason = "edge: runs the README's lines in a folder of its own")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test may panic")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;

#[test]
fn the_demo_can_be_pasted() {
    let printed = paste(&section("## Try it"));
    assert!(
        printed.contains("sales.proposal → sales.negotiation"),
        "the ledger tells of the move: {printed}"
    );
    let answers = answers(&printed);
    let [rep, manager, service, admin, refused, moved] = answers.as_slice() else {
        panic!("expected six answers, got {answers:#?}");
    };
    let notes = "internal_notes";
    assert!(printed.contains(r#""amount":125000.50,"#), "number text stays as the CRM wrote it");
    assert_eq!((rep["amount"].as_f64(), &rep["margin"]), (Some(125_000.5), &Value::Null));
    assert_eq!((rep.get(notes), &rep["margin_pct"]), (None, &Value::Null));
    assert_eq!((&manager["margin"].to_string(), manager[notes].is_string()), (&"31250.25".to_owned(), true));
    assert_eq!(
        (&manager["contact"]["email"], manager["contact"].get("phone")),
        (&Value::from("•••@•••"), None)
    );
    assert_eq!((service.get("amount"), service["contact"]["phone"].is_string()), (None, true));
    assert_eq!((&admin["risk_score"], rep.get("risk_score")), (&Value::from(73), None));
    assert_eq!(refused["reason"], "stage-move-denied");
    assert_eq!(moved["stage"], "negotiation");
}

/// In the place of `cargo run --release --`: the binary that was built for the tests.
const CARGO: &str = concat!("#!/bin/sh\nshift 3\nexec ", env!("CARGO_BIN_EXE_lockkeeper"), " \"$@\"\n");

/// A section of the README, up to the next heading of its level.
fn section(heading: &str) -> String {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once(&format!("\n{heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap().to_owned()
}

/// What the shell lines of a section print.
fn paste(section: &str) -> String {
    let blocks = section.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let script = blocks.collect::<String>();
    let script = script.replace("127.0.0.1:8080", "127.0.0.1:0").replace("127.0.0.1:8090", "127.0.0.1:0");
    assert!(script.matches("127.0.0.1:0").count() == 2, "the README names its ports: {script}");
    let folder = tempfile::tempdir().unwrap();
    let cargo = folder.path().join("cargo");
    std::fs::write(&cargo, CARGO).unwrap();
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-euc", &format!("trap 'kill $(jobs -p) || true' EXIT\n{script}")])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The lines that are JSON.
fn answers(printed: &str) -> Vec<Value> {
    let lines = printed.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}
