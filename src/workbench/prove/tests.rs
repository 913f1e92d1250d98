//! Claims on the demo's bundle: by the real solver, by solvers that misbehave, and for the people of the demo's directory.
#![expect(
    clippy::disallowed_methods,
    reason = "tests write solvers of their own, and look whether they are still there"
)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cedar_policy_symcc::CompiledSchema;
use serde_json::json;

use super::environment::Ground;
use super::invariant::Invariant;
use super::people::People;
use super::search::prove;
use super::solver::Solver;
use super::{Finding, Findings, Verdict, bounded, invariant};
use crate::bundle::compile::compile;
use crate::bundle::current::Snapshot;
use crate::bundle::directory;
use crate::cli::demo::FILES;
use crate::config::author::{Problems, SourceFile};

/// The demo's bundle with another invariant and further policies, and its directory.
fn demo(invariant: &str, policies: &str) -> (Arc<Snapshot>, Vec<Invariant>) {
    let mut problems = Problems::default();
    let files = FILES.iter().filter_map(|(name, text)| Some((name.strip_prefix("bundle/")?, *text)));
    let files = files.filter(|(name, _)| !name.starts_with("invariants/"));
    let files = files.chain([("invariants/test.cedar", invariant), ("policies/test.cedar", policies)]);
    let files: BTreeMap<String, Bytes> =
        files.map(|(name, text)| (name.to_owned(), Bytes::from(text.to_owned()))).collect();
    let bundle = compile(files, &mut problems).unwrap_or_else(|| panic!("{problems}"));
    let people = FILES.iter().find(|(name, _)| name.starts_with("directory")).unwrap();
    let people = SourceFile::new(people.0, people.1);
    let directory = directory::load(&people, &bundle.schema.schema, &mut problems);
    let directory = directory.unwrap_or_else(|| panic!("{problems}"));
    let invariants = invariant::load(&bundle, &mut problems).unwrap_or_else(|| panic!("{problems}"));
    (Snapshot::first(bundle, directory), invariants)
}

/// A claim in the words of a policy.
fn claim(text: &str) -> String {
    format!("@id(\"it\") @claim(\"so it is\") {text}")
}

/// What a solver finds.
fn solved<'a>(demo: &'a (Arc<Snapshot>, Vec<Invariant>), program: &Path, limit_ms: u64) -> Findings<'a> {
    let (snapshot, invariants) = demo;
    let ground = Ground::of(&snapshot.bundle);
    let schema = CompiledSchema::new(&snapshot.bundle.schema.schema).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let limit = Duration::from_millis(limit_ms);
        let mut solver = Solver::find(PathBuf::from(program), limit).await.unwrap();
        prove(&ground, &schema, &invariants[0], &mut solver).await
    })
}

/// What is found of the people of the directory.
fn checked<'a>(demo: &'a (Arc<Snapshot>, Vec<Invariant>)) -> Findings<'a> {
    let (snapshot, invariants) = demo;
    let ground = Ground::of(&snapshot.bundle);
    let people = People::of(&ground, invariants, snapshot).unwrap();
    bounded::check(&ground, &invariants[0], snapshot, &people)
}

/// What solver and directory make of a claim, and who refuted it first, by which policies.
#[track_caller]
fn check(text: &str, policies: &str, by_solver: (Verdict, &str), by_people: (Verdict, &str)) {
    let demo = demo(&claim(text), policies);
    let first = |findings: &Findings<'_>| {
        let mut told = findings.environments.iter().filter_map(|(environment, finding)| match finding {
            Finding::Refuted(scene, by) => Some(format!("{} {} {by:?}", environment.action, scene.principal)),
            Finding::Undetermined(_) | Finding::Holds(_) | Finding::Proved => None,
        });
        told.next().unwrap_or_default()
    };
    let (solved, checked) = (solved(&demo, Path::new("cvc5"), 30_000), checked(&demo));
    assert_eq!((solved.verdict(), first(&solved).as_str()), by_solver, "{text}");
    assert_eq!((checked.verdict(), first(&checked).as_str()), by_people, "{text}");
}

#[test]
fn what_is_never_allowed_is_proved_or_refuted() {
    use Verdict::{Holds, Proved, Refuted, Undetermined};
    let margins = |who: &str| {
        format!(
            "forbid (principal, action == Action::\"readField\", resource is Deal) \
             when {{ context.field in FieldSet::\"Deal.margin\" }} unless {{ {who} }};"
        )
    };
    let managers = "principal in Role::\"manager\"";
    check(
        &margins(&format!("{managers} || principal in Role::\"administrator\"")),
        "",
        (Proved, ""),
        (Holds, ""),
    );
    check(
        &margins(managers),
        "",
        (Refuted, "readField User::\"user-1\" [\"admin.everything\"]"),
        (Refuted, "readField User::\"admin\" [\"admin.everything\"]"),
    );
    // The guard is not part of what the solver sees first: a rep's permit is added, and the guard still wins.
    let permit = "@id(\"loose\") permit (principal in Role::\"rep\", action, resource is Deal);";
    check(
        &margins(&format!("{managers} || principal in Role::\"administrator\"")),
        permit,
        (Proved, ""),
        (Holds, ""),
    );
    // Amounts that exclude each other: the solver knows them, the check of people does not.
    let large = "forbid (principal is User in Role::\"rep\", action == Action::\"moveStage\", resource is Deal) \
        when { context.to == Stage::\"sales.won\" && resource has amount && resource.amount.greaterThan(decimal(\"60000.0\")) } \
        unless { principal in Role::\"manager\" || principal in Role::\"administrator\" };";
    check(large, "", (Proved, ""), (Undetermined, ""));
    let small = large.replace("60000.0", "40000.0");
    check(
        &small,
        "",
        (Refuted, "moveStage User::\"user-1\" [\"stage.move.won.own\"]"),
        (Refuted, "moveStage User::\"rep-east\" [\"stage.move.won.own\"]"),
    );
}

#[test]
fn what_is_proved_of_one_kind_of_principal_is_not_of_another() {
    let permit =
        "@id(\"machines\") permit (principal is Service, action == Action::\"delete\", resource is Company);";
    let claim = "forbid (principal, action == Action::\"delete\", resource is Company) \
        unless { principal in Role::\"administrator\" };";
    check(
        claim,
        permit,
        (Verdict::Refuted, "delete Service::\"service-1\" [\"machines\"]"),
        (Verdict::Holds, ""),
    );
    check(claim, "", (Verdict::Proved, ""), (Verdict::Holds, ""));
}

#[test]
fn what_is_always_allowed_is_proved_or_refuted() {
    use Verdict::{Holds, Proved, Refuted, Undetermined};
    let public = |who: &str| {
        format!(
            "permit (principal is User, action == Action::\"readField\", resource is Deal) \
             when {{ context.field in FieldSet::\"public\" && {who} }};"
        )
    };
    let active = "principal.active && !(principal has accessFrom) && !(principal has accessUntil)";
    check(&public(active), "", (Proved, ""), (Holds, ""));
    let windowed = (Refuted, "readField User::\"user-1\" [\"guard.access-window\"]");
    check(&public("principal.active"), "", windowed, (Holds, ""));
    // A field that no policy permits.
    let all = "permit (principal is User, action == Action::\"readField\", resource is Deal) when { principal.active && \
        !(principal has accessFrom) && !(principal has accessUntil) };";
    check(
        all,
        "",
        (Refuted, "readField User::\"user-1\" [\"guard.margin\"]"),
        (Refuted, "readField User::\"service\" []"),
    );
    // A policy that fails denies, whatever it says.
    let failing = "@id(\"failing\") permit (principal, action == Action::\"readField\", resource is Deal) \
        when { context has authLevel && context.authLevel + 1 > 2 };";
    check(&public(active), failing, (Undetermined, ""), (Undetermined, ""));
}

#[test]
fn a_claim_that_describes_nothing_is_not_proved() {
    let both = "forbid (principal, action == Action::\"readField\", resource is Deal) when { \
        context.field in FieldSet::\"Deal.margin\" && context.field in FieldSet::\"public\" };";
    check(both, "", (Verdict::Undetermined, ""), (Verdict::Undetermined, ""));
    let neither = "forbid (principal, action == Action::\"view\", resource is Deal) when { \
        resource has amount && resource.amount.lessThan(decimal(\"1.0\")) && resource.amount.greaterThan(decimal(\"2.0\")) };";
    check(neither, "", (Verdict::Undetermined, ""), (Verdict::Undetermined, ""));
}

#[test]
fn a_request_against_a_claim_is_small_and_of_the_bundle() {
    let text = claim(
        "forbid (principal in Role::\"rep\", action == Action::\"moveStage\", resource is Deal) \
         when { context.from in StageGroup::\"closed\" };",
    );
    let demo = demo(&text, "");
    let findings = solved(&demo, Path::new("cvc5"), 30_000);
    let (_, finding) = &findings.environments[0];
    let Finding::Refuted(scene, by) = finding else { panic!("{finding:?}") };
    assert_eq!(by, &["admin.everything"]);
    let principal = &scene.entities[&scene.principal];
    let roles: Vec<String> = principal.parents.iter().map(ToString::to_string).collect();
    assert_eq!(roles, ["Role::\"administrator\"", "Role::\"rep\""]);
    assert_eq!(principal.attributes.get("active"), Some(&json!(true)));
    assert_eq!(principal.attributes.len(), 1);
    assert_eq!(scene.context.keys().collect::<Vec<_>>(), ["from", "now", "to"]);
    let (snapshot, _) = &demo;
    for (entity, known) in &scene.entities {
        let is_catalogued = crate::bundle::catalogue::CATALOGUE_TYPES.contains(&entity.type_name.as_str());
        let above: Vec<_> = snapshot.bundle.catalogue.ancestors(entity).collect();
        assert!(!is_catalogued || above == known.parents.iter().collect::<Vec<_>>(), "{entity}: {known:?}");
    }
    // Cedar's own tools take it.
    let entities =
        cedar_policy::Entities::from_json_value(scene.entities_json(), Some(&snapshot.bundle.schema.schema));
    assert!(entities.is_ok(), "{entities:?}");
}

/// A program that says it is cvc5 and then runs a script.
fn pretender(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("pretender");
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && {{ echo 'This is cvc5 version 9'; exit; }}\n{script}\n"
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_solver_that_misbehaves_proves_nothing() {
    let text = claim(
        "forbid (principal is User, action == Action::\"readField\", resource is Deal) \
         when { context.field in FieldSet::\"Deal.margin\" } unless { principal in Role::\"manager\" };",
    );
    let demo = demo(&text, "");
    let folder = tempfile::tempdir().unwrap();
    let answering =
        |answer: &str| format!("while read -r line; do case $line in *check-sat*) {answer};; esac; done");
    for (script, expected) in [
        ("exit 1".to_owned(), "the solver failed: "),
        (answering("echo banana"), "the solver failed: unrecognized solver output: banana"),
        (answering("exit 0"), "the solver failed: "),
        (answering("echo sat; echo '('; echo ')'"), "the solver failed: "),
        (answering("echo unknown"), "the solver has no answer within 100 ms"),
        (
            format!("echo $$ > {}/pid; exec sleep 600", folder.path().display()),
            "the solver has no answer within 100 ms",
        ),
    ] {
        let findings = solved(&demo, &pretender(folder.path(), &script), 100);
        let (_, finding) = &findings.environments[0];
        let Finding::Undetermined(why) = finding else { panic!("{script}: {finding:?}") };
        assert!(why.starts_with(expected), "{script}: {why}");
    }
    // The one that slept has ended with the question.
    let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    let is_there = || std::fs::read_to_string(&stat).is_ok_and(|state| !state.contains(") Z "));
    for _ in 0..500 {
        if !is_there() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{stat} is still there");
}

#[test]
fn what_is_no_solver_is_not_asked() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    #[track_caller]
    fn check(found: Result<Solver, String>, expected: &str) {
        assert_eq!(found.map(|solver| solver.version).unwrap_err(), expected);
    }
    let find = |program: &str| runtime.block_on(Solver::find(PathBuf::from(program), Duration::from_secs(1)));
    check(find("/bin/true"), "`/bin/true` is no cvc5");
    check(find("/nowhere/cvc5"), "`/nowhere/cvc5` cannot be started: No such file or directory (os error 2)");
}
