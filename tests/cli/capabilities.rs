//! The example bundle of every capability: it loads without a warning, its cases hold and reach all of it, its page tells of what is
//! there, and who may do what stands in a golden file. `UPDATE_GOLDEN=1` writes that anew.
#![expect(clippy::disallowed_methods, reason = "reads the bundle's page, writes the golden file")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use crate::run::{Ran, run};

const BUNDLE: &str = "policies/capabilities";
const DIRECTORY: &str = "policies/capabilities/cases/directory.cedarentities.json";
const GOLDEN: &str = "tests/golden/capabilities-matrix.txt";

fn in_repository(args: &[&str]) -> Ran {
    run(Path::new(env!("CARGO_MANIFEST_DIR")), args)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn it_loads_without_a_warning() {
    let ran = in_repository(&["check", BUNDLE, "--directory", DIRECTORY]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(!ran.stdout.contains("warning"), "{}", ran.stdout);
}

/// The run of all cases.
static CASES: LazyLock<Ran> = LazyLock::new(|| {
    let thresholds = ["--min-policies", "100", "--min-conditions", "100"];
    let args: Vec<&str> = ["test", BUNDLE, "--format", "json"].into_iter().chain(thresholds).collect();
    in_repository(&args)
});

#[test]
fn its_cases_hold_and_reach_every_policy_and_condition() {
    assert_eq!((CASES.code, CASES.stderr.as_str()), (0, ""), "{}", CASES.stdout);
}

#[test]
fn who_may_do_what_is_that_of_the_golden_file() {
    let at = "2026-06-15T12:00:00Z";
    let matrix = ["matrix", "--bundle", BUNDLE, "--directory", DIRECTORY, "--by", "roles", "--at", at];
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
        std::fs::write(path, in_repository(&matrix).stdout).unwrap();
    }
    let against: Vec<&str> = matrix.into_iter().chain(["--golden", GOLDEN]).collect();
    let ran = in_repository(&against);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
}

#[test]
fn its_page_names_every_policy_and_only_what_is_there() {
    let page = text(&format!("{BUNDLE}/README.md"));
    let told: serde_json::Value = serde_json::from_str(&CASES.stdout).unwrap();
    let names = |list: &serde_json::Value, key: &str| -> BTreeSet<String> {
        list.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned()).collect()
    };
    let policies = names(&told["coverage"]["policies"]["all"], "id");
    let cases = names(&told["cases"], "name");
    assert!(policies.len() > 50 && cases.len() > 200, "{} and {}", policies.len(), cases.len());
    let rows = page.lines().filter(|line| line.starts_with("| C"));
    let rows: Vec<Vec<&str>> =
        rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect();
    let numbers: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(numbers, (1..=20).map(|number| format!("C{number}")).collect::<Vec<_>>());
    let quoted = |cell: &str, mark: char| -> BTreeSet<String> {
        cell.split(mark).skip(1).step_by(2).map(str::to_owned).collect()
    };
    let named: BTreeSet<String> = rows.iter().flat_map(|row| quoted(row[3], '`')).collect();
    assert_eq!(named, policies, "policies that the page names, and those that there are");
    let shown: BTreeSet<String> = rows.iter().flat_map(|row| quoted(row[4], '"')).collect();
    let unknown: Vec<&String> = shown.difference(&cases).collect();
    assert!(unknown.is_empty(), "no such cases: {unknown:?}");
}
