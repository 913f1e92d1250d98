//! `lockkeeper prove`: by the solver, by solvers that are none, and for the people of the directory.
#![expect(clippy::disallowed_methods, reason = "a test looks whether a process is still there")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use cedar_policy as cedar;
use lockkeeper::testkit::folder::TestFolder;
use serde_json::Value;

use crate::author::mistake;
use crate::run::{Ran, command, folder, redact, run};

const GUARDS: &str = "bundle/policies/guards.cedar";
const INVARIANTS: &str = "bundle/invariants/guards.cedar";

/// What was printed, with the solver's version and what else differs redacted.
fn shown(text: &str) -> String {
    let text = redact(text);
    let lines = text.lines().map(|line| match line.split_once("cvc5 ") {
        Some((head, rest)) if line.starts_with("solver") => {
            format!(
                "{head}cvc5 <version>{}\n",
                rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
            )
        }
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// Lets reps reopen what is closed.
fn let_reps_reopen(folder: &TestFolder) {
    let guard = "when { context.from in StageGroup::\"closed\" }\nunless { ";
    mistake(folder, GUARDS, guard, &format!("{guard}principal in Role::\"rep\" || "));
}

#[test]
fn invariants_of_the_examples_are_proved() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ran = run(root, &["prove", "policies/demo-crm"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    insta::assert_snapshot!("prove_demo", shown(&ran.stdout));
    let ran = run(root, &["prove", "examples/bottlecrm/bundle"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
}

#[test]
fn a_guard_with_a_gap_is_refuted_with_a_request() {
    let folder = folder();
    let_reps_reopen(&folder);
    let ran = run(folder.path(), &["prove", "--only", "closed.reps"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (3, ""));
    insta::assert_snapshot!("prove_refuted", shown(&ran.stdout));
}

#[test]
fn what_is_refuted_can_be_asked_of_cedar() {
    let folder = folder();
    let_reps_reopen(&folder);
    let ran = run(folder.path(), &["prove", "--only", "closed.reps", "--format", "json"]);
    assert_eq!(ran.code, 3);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let invariant = &report["invariants"][0];
    assert_eq!((&invariant["verdict"], &invariant["kind"]), (&"refuted".into(), &"never".into()));
    let schema = run(folder.path(), &["check", "--emit-schema"]).stdout;
    let (schema, _) = cedar::Schema::from_cedarschema_str(&schema).unwrap();
    let policies = ["guards", "records", "fields", "stages"]
        .map(|name| folder.text(&format!("bundle/policies/{name}.cedar")));
    let policies: cedar::PolicySet = policies.concat().parse().unwrap();
    let environments = invariant["environments"].as_array().unwrap();
    let refuted = environments.iter().filter(|environment| environment["verdict"] == "refuted");
    let mut count = 0;
    for environment in refuted {
        let uid = |part: &str| -> cedar::EntityUid {
            environment["request"][part].as_str().unwrap().parse().unwrap()
        };
        let context = environment["request"]["context"].clone();
        let context = cedar::Context::from_json_value(context, Some((&schema, &uid("action")))).unwrap();
        let request =
            cedar::Request::new(uid("principal"), uid("action"), uid("resource"), context, Some(&schema));
        let entities =
            cedar::Entities::from_json_value(environment["entities"].clone(), Some(&schema)).unwrap();
        let response = cedar::Authorizer::new().is_authorized(&request.unwrap(), &policies, &entities);
        assert_eq!(response.decision(), cedar::Decision::Allow, "{environment}");
        count += 1;
    }
    assert_eq!((count, environments.len()), (1, 3));
}

#[test]
fn without_a_solver_people_are_checked() {
    let folder = folder();
    let ran = run(folder.path(), &["prove", "--solver", "none"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (4, ""));
    insta::assert_snapshot!("prove_people", shown(&ran.stdout));
    let missing = run(folder.path(), &["prove", "--solver", "./cvc5"]);
    assert_eq!((missing.code, missing.stdout), (4, ran.stdout));
    insta::assert_snapshot!("prove_solver_missing", missing.stderr);
    let alone = run(folder.path(), &["prove", "bundle", "--solver", "none"]);
    assert_eq!((alone.code, alone.stdout.as_str()), (1, ""));
    insta::assert_snapshot!("prove_nobody_to_check", alone.stderr);
}

#[test]
fn people_of_the_directory_refute_by_name() {
    let folder = folder();
    mistake(&folder, INVARIANTS, " || principal in Role::\"administrator\" };", " };");
    let ran = run(folder.path(), &["prove", "--solver", "none", "--only", "margin.managers"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (3, ""));
    insta::assert_snapshot!("prove_people_refuted", shown(&ran.stdout));
}

/// Checks a folder with one mistake in its invariants.
#[track_caller]
fn check(name: &str, from: &str, to: &str) {
    let folder = folder();
    mistake(&folder, INVARIANTS, from, to);
    let Ran { code, stdout, stderr } = run(folder.path(), &["prove"]);
    assert_eq!((code, stdout.as_str()), (1, ""), "{name}");
    insta::assert_snapshot!(name, redact(&stderr));
}

#[test]
fn mistakes_in_invariants_are_told_with_their_place() {
    check(
        "invariant_without_claim",
        "@claim(\"What the profile does not describe is for administrators.\")\n",
        "",
    );
    check("invariant_of_an_unknown_set", "FieldSet::\"unclassified\"", "FieldSet::\"unclasified\"");
    check("invariant_of_an_unknown_attribute", "principal has accessFrom", "principal has acessFrom");
    let folder = folder();
    let ran = run(folder.path(), &["prove", "--only", "margin.manager"]);
    assert_eq!(ran.code, 1);
    insta::assert_snapshot!("invariant_unknown", ran.stderr);
    folder.edit(INVARIANTS, |_| String::new());
    let ran = run(folder.path(), &["prove"]);
    assert_eq!(ran.code, 1);
    insta::assert_snapshot!("invariants_missing", ran.stderr);
}

#[test]
fn the_solver_ends_with_the_program() {
    let folder = folder();
    let solver = folder.path().join("solver");
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && { echo 'This is cvc5 version 9'; exit; }\n\
                  echo $$ > pid.part && mv pid.part pid; exec sleep 600\n";
    folder.write("solver", script);
    std::fs::set_permissions(&solver, std::fs::Permissions::from_mode(0o755)).unwrap();
    for signal in ["INT", "TERM"] {
        let mut child = command(folder.path(), &["prove", "--solver", "./solver"]);
        let mut child = child.stderr(std::process::Stdio::null()).spawn().unwrap();
        let pid = folder.path().join("pid");
        wait_until("the solver runs", || pid.exists());
        let solver = std::fs::read_to_string(&pid).unwrap();
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args([format!("-{signal}"), child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(1), "{signal}");
        let state = format!("/proc/{}/stat", solver.trim());
        wait_until("the solver has ended", || {
            std::fs::read_to_string(&state).map_or(true, |state| state.contains(") Z "))
        });
        std::fs::remove_file(&pid).unwrap();
    }
}

#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not so: {what}");
}
