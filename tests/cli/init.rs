//! `lockkeeper init`: a bundle from a description of the CRM's API, which `check` takes and which permits nothing.
#![expect(clippy::disallowed_methods, reason = "edge: looks at the folder that was written")]

use std::path::Path;

use serde_json::Value;

use crate::run::{Ran, folder, run};

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/openapi/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn init(folder: &Path, document: &str, more: &[&str]) -> Ran {
    let args: Vec<&str> =
        ["init", "--openapi", document, "--out", "drafted"].iter().chain(more).copied().collect();
    run(folder, &args)
}

fn drafted(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join("drafted").join(name)).unwrap()
}

#[test]
fn a_document_becomes_a_bundle() {
    let folder = folder();
    let ran = init(folder.path(), &fixture("crm-3.0.yaml"), &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.starts_with("written to `drafted`: nothing is allowed yet;"), "{}", ran.stderr);
    for name in ["profile.toml", "crm.cedarschema", "policies/guards.cedar", "cases/first.toml"] {
        insta::assert_snapshot!(
            format!("init_{}", name.replace(['/', '.'], "_")),
            drafted(folder.path(), name)
        );
    }
    let checked = run(folder.path(), &["check", "drafted"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""));
    let explained = run(
        folder.path(),
        &[
            "explain",
            "--bundle",
            "drafted",
            "--directory",
            "directory.cedarentities.json",
            "--principal",
            "User::\"admin\"",
            "GET /api/v1/deals",
        ],
    );
    assert_eq!(explained.code, 2, "{}{}", explained.stdout, explained.stderr);
}

#[test]
fn a_report_says_what_was_guessed_and_what_is_refused() {
    for (document, name) in
        [("crm-2.0.json", "2_0"), ("crm-3.0.yaml", "3_0"), ("crm-3.1.json", "3_1"), ("poor.yaml", "poor")]
    {
        let folder = folder();
        let ran = init(folder.path(), &fixture(document), &[]);
        assert_eq!(ran.code, 0, "{document}: {}", ran.stderr);
        insta::assert_snapshot!(format!("init_report_{name}"), ran.stdout);
        let checked = run(folder.path(), &["check", "drafted"]);
        assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{document}");
        // Without a record type there is nothing that a case could be about.
        let tested = run(folder.path(), &["test", "drafted"]);
        assert_eq!(tested.code, i32::from(name == "poor"), "{document}: {}{}", tested.stdout, tested.stderr);
    }
}

#[test]
fn the_report_is_for_programs_too() {
    let folder = folder();
    let ran = init(folder.path(), &fixture("crm-3.1.json"), &["--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let route = |label: &str| {
        report["routes"].as_array().unwrap().iter().find(|route| route["match"] == label).unwrap()
    };
    let view = route("GET /v2/leads/{id:uuid}");
    assert_eq!(
        (&view["action"], &view["type"], &view["refused"]),
        (&"view".into(), &"Lead".into(), &Value::Null)
    );
    assert_eq!(route("GET /v2/tree")["refused"], "nothing with an id stands in its answer");
    assert_eq!(report["types"][0]["attributes"][0]["guess"]["confidence"], "medium");
    assert_eq!(report["files"].as_array().unwrap().len(), 4);
}

#[test]
fn nothing_is_written_over() {
    let folder = folder();
    let before = folder.text("bundle/profile.toml");
    let args = ["init", "--openapi", &fixture("crm-2.0.json"), "--out", "bundle"];
    let ran = run(folder.path(), &args);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("`bundle` is no new or empty folder"), "{}", ran.stderr);
    assert_eq!(folder.text("bundle/profile.toml"), before);
    let ran =
        run(folder.path(), &["init", "--openapi", &fixture("crm-2.0.json"), "--out", "lockkeeper.toml"]);
    assert!(
        ran.code == 1 && ran.stderr.contains("`lockkeeper.toml` is no new or empty folder"),
        "{}",
        ran.stderr
    );
    std::fs::create_dir(folder.path().join("drafted")).unwrap();
    assert_eq!(init(folder.path(), &fixture("crm-2.0.json"), &[]).code, 0, "an empty folder will do");
}

#[test]
fn what_is_no_description_is_told_with_its_place() {
    let folder = folder();
    for (name, text, part) in [
        ("a.yaml", "openapi: 3.0.0\npaths:\n  /deals: [\n", "a.yaml:"),
        ("a.json", "{\"openapi\": \"3.0.0\",\n \"paths\": }", "a.json:2"),
        ("b.json", "{\"info\": {}}", "is no OpenAPI document"),
    ] {
        folder.write(name, text);
        let ran = init(folder.path(), name, &[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{name}");
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
        assert!(!folder.path().join("drafted").exists(), "{name}");
    }
    let ran = init(folder.path(), "nowhere.yaml", &[]);
    assert!(ran.code == 1 && ran.stderr.contains("`nowhere.yaml` cannot be read"), "{}", ran.stderr);
}
