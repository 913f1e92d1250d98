//! `lockkeeper check`: all problems in one run, a schema for Cedar's own tools, and a report for programs.

use std::os::unix::fs::PermissionsExt as _;

use cedar_policy as cedar;
use lockkeeper::testkit::folder::{Options, TestFolder};
use serde_json::Value;

use crate::author::mistake;
use crate::run::{folder, redact, run, run_with_input};

#[test]
fn a_sound_bundle_is_reported() {
    let folder = folder();
    let ran = run(folder.path(), &["check"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    insta::assert_snapshot!("check_sound", redact(&ran.stdout));
}

#[test]
fn what_passes_is_listed_for_programs() {
    let folder = folder();
    let ran = run(folder.path(), &["check", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let passes = report["passes"].as_array().unwrap();
    let told = |route: &str| passes.iter().find(|pass| pass["route"] == route).unwrap();
    let login = told("POST /login");
    assert_eq!(
        (&login["identity"], &login["reason"]),
        (&"none".into(), &"people log in to the CRM itself".into())
    );
    assert_eq!(told("GET /api/teams")["identity"], "required");
    assert_eq!(passes.len(), 5);
}

#[test]
fn origins_are_spelled_as_browsers_do() {
    let folder = folder();
    let section = "\n[browsers]\norigins = [\"https://crm.example/\", \"*\"]\ncors_credentials = true\n";
    folder.edit("lockkeeper.toml", |text| text + section);
    let ran = run(folder.path(), &["check"]);
    assert_eq!(ran.code, 3);
    for message in [
        "`https://crm.example/` is not an origin",
        "no slash at the end",
        "`*` is not an origin",
        "Every site would be let in",
        "`cors_credentials` without `cors_origins`",
    ] {
        let told = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(message), "{message}: {told}");
    }
}

#[test]
fn a_role_that_nobody_has_is_a_warning() {
    let folder = folder();
    mistake(&folder, "bundle/policies/records.cedar", "Role::\"service\"", "Role::\"servce\"");
    let ran = run(folder.path(), &["check"]);
    assert_eq!(ran.code, 0);
    assert!(ran.stderr.contains("the directory has no `Role::\"servce\"`"), "{}", ran.stderr);
}

/// A lint is a warning with a name: in text, for programs, and never for a start.
#[test]
fn a_lint_is_told_by_its_name() {
    let folder = folder();
    let policy = "\n@id(\"z\") permit (principal in Role::\"rep\", action == Action::\"view\", resource is Company);\n";
    folder.edit("bundle/policies/records.cedar", |text| text + policy);
    let ran = run(folder.path(), &["check"]);
    assert_eq!(ran.code, 0);
    let told = "policy `z` permits nothing that `company.view` does not permit";
    assert!(ran.stderr.starts_with("shadowed-policy") && ran.stderr.contains(told), "{}", ran.stderr);
    let ran = run(folder.path(), &["check", "bundle", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let problem = &report["problems"][0];
    assert_eq!((&problem["lint"], &problem["severity"]), (&"shadowed-policy".into(), &"warning".into()));
    assert_eq!((ran.code, &report["ok"], &problem["message"]), (0, &true.into(), &told.into()));
}

#[test]
fn all_problems_are_told_in_one_run() {
    let folder = folder();
    let records = "bundle/policies/records.cedar";
    mistake(&folder, records, "resource.owner == principal", "resource.ownr == principal");
    mistake(&folder, records, "@id(\"company.view\")", "@id(\"collection.list\")");
    mistake(&folder, "bundle/policies/guards.cedar", "Deal.margin", "Deal.magrin");
    mistake(&folder, "bundle/profile.toml", "sets = [\"Company.credit\"]", "sets = [\"Company.credits\"]");
    mistake(&folder, "bundle/crm.cedarschema", "strategic?: Bool", "strategic: Bool");
    mistake(&folder, "directory.cedarentities.json", "\"id\": \"east\"}]", "\"id\": \"eest\"}]");
    let ran = run(folder.path(), &["check", "--format", "json"]);
    assert_eq!(ran.code, 3);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let told = |problem: &Value| {
        let text = |member: &str| problem[member].as_str().unwrap_or_default().to_owned();
        let place = text("place").replace(&format!("{}/", folder.path().display()), "");
        let told = format!("{place}: {} {}", text("message"), text("help"));
        (problem["severity"] == "error").then(|| redact(&told))
    };
    let mut told: Vec<String> = report["problems"].as_array().unwrap().iter().filter_map(told).collect();
    told.sort();
    insta::assert_snapshot!("check_all_problems", told.join("\n"));
    assert_eq!(report["ok"], false);
}

#[test]
fn the_emitted_schema_is_cedars() {
    let folder = folder();
    let ran = run(folder.path(), &["check", "bundle", "--emit-schema"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let (schema, warnings) = cedar::Schema::from_cedarschema_str(&ran.stdout).unwrap();
    let warnings: Vec<String> = warnings.map(|warning| warning.to_string()).collect();
    assert_eq!(warnings, Vec::<String>::new());
    let types: Vec<String> = schema.entity_types().map(ToString::to_string).collect();
    for name in ["User", "Field", "Stage", "Deal", "Contact", "Company"] {
        assert!(types.iter().any(|known| known == name), "{name} is not in {types:?}");
    }
    let actions: Vec<String> = schema.actions().map(|action| action.id().unescaped().to_owned()).collect();
    for name in ["view", "readField", "writeField", "moveStage", "bulkEdit"] {
        assert!(actions.iter().any(|known| known == name), "{name} is not in {actions:?}");
    }
}

/// What would keep the service from starting, `check` says before.
#[test]
fn the_files_of_operators_are_checked_too() {
    let options = Options::default()
        .set("admin", "address", "\"127.0.0.1:0\"")
        .set("admin", "token_file", "\"admin.token\"")
        .set("admin", "authzen_token_file", "\"authzen.token\"")
        .set("telemetry.traces", "endpoint", "\"http://127.0.0.1:9/v1/traces\"")
        .set("telemetry.traces", "headers_file", "\"headers\"");
    let folder = TestFolder::new(options, ([127, 0, 0, 1], 9).into());
    folder.write("headers", "no colon\n");
    for command in ["check", "serve"] {
        let ran = run(folder.path(), &[command]);
        assert_ne!(ran.code, 0, "{command}");
        for name in ["admin.token", "authzen.token"] {
            assert!(ran.stderr.contains(&format!("{name}` cannot be read")), "{command}: {}", ran.stderr);
        }
        assert!(ran.stderr.contains("headers`, line 1: not a header"), "{command}: {}", ran.stderr);
    }
    assert!(!folder.state().exists(), "what cannot start leaves no ledger");
    folder.write("admin.token", "token-canary-16b");
    folder.write("authzen.token", "token-canary-15");
    for command in ["check", "serve"] {
        let ran = run(folder.path(), &[command]);
        assert_ne!(ran.code, 0, "{command}");
        assert!(
            ran.stderr.contains("authzen.token` has 15 bytes, less than 16"),
            "{command}: {}",
            ran.stderr
        );
    }
    folder.write("authzen.token", "token-canary-16b");
    let ran = run(folder.path(), &["check"]);
    assert!(ran.code != 0 && ran.stderr.contains("hold the same token"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("canary"), "{}", ran.stderr);
    folder.write("authzen.token", "token-canary-17bb");
    folder.write("headers", "authorization: secret\n");
    assert_eq!(run(folder.path(), &["check"]).code, 0);
    for name in ["admin.token", "headers"] {
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(folder.path().join(name), open).unwrap();
    }
    let ran = run(folder.path(), &["check"]);
    for name in ["admin.token", "headers"] {
        assert!(ran.stderr.contains(&format!("{name}` holds a secret and everybody")), "{}", ran.stderr);
    }
}

#[test]
fn whatever_checkpoints_need_is_looked_at_in_one_run() {
    let folder = folder();
    let section = "\n[ledger.checkpoints]\norigin = \"crm/ledger\"\nkey_file = \"ledger.pem\"\nprevious_key_file = \"old.pem\"\nfolder = \"out\"\n\
                   [ledger.checkpoints.https]\nurl = \"https://log.example/in\"\ntoken_file = \"log.token\"\nca_file = \"ca.pem\"\n";
    folder.edit("lockkeeper.toml", |text| text + section);
    folder.write("old.pem", "no key");
    std::fs::set_permissions(folder.path().join("old.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
    for command in ["check", "serve"] {
        let ran = run(folder.path(), &[command]);
        assert_ne!(ran.code, 0, "{command}");
        let told = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        for message in [
            "`[ledger.checkpoints] key_file`: the key",
            "ledger.pem` cannot be used",
            "help: `lockkeeper audit keygen` makes a key.",
            "`[ledger.checkpoints] previous_key_file`: the key",
            "old.pem` cannot be used",
            "`[ledger.checkpoints] folder`: checkpoints cannot be put into",
            "out`: No such file",
            "log.token` cannot be read",
            "`[ledger.checkpoints.https]`: ",
            "ca.pem` cannot be read",
        ] {
            assert!(told.contains(message), "{command}: {message}: {told}");
        }
    }
    folder.edit("lockkeeper.toml", |text| text.replace("old.pem", "older.pem"));
    for file in ["ledger.pem", "older.pem"] {
        let made = run(folder.path(), &["audit", "keygen", "--origin", "crm/ledger", "--out", file]);
        assert_eq!(made.code, 0, "{}", made.stderr);
    }
    std::fs::create_dir(folder.path().join("out")).unwrap();
    folder.edit("lockkeeper.toml", |text| text.replace("ca_file = \"ca.pem\"\n", ""));
    folder.write("log.token", "canary");
    std::fs::set_permissions(folder.path().join("log.token"), std::fs::Permissions::from_mode(0o600))
        .unwrap();
    let ran = run(folder.path(), &["check"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    // A key that is there needs no other advice than what is wrong with it.
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path().join("ledger.pem"), open).unwrap();
    let ran = run(folder.path(), &["check"]);
    let told = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("`chmod 600`") && !told.contains("keygen"), "{told}");
    let made = run(folder.path(), &["audit", "keygen", "--origin", "crm/ledger", "--out", "new.pem"]);
    folder.write("ledger.pem", &made.stdout);
    let ran = run(folder.path(), &["check"]);
    let told = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("ledger.pem` is the public key, which cannot sign"), "{told}");
}

#[test]
fn what_a_host_could_do_unseen_is_a_warning() {
    let folder = folder();
    let made = run(folder.path(), &["audit", "keygen", "--origin", "crm/ledger", "--out", "ledger.pem"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let section = "\n[ledger.checkpoints]\norigin = \"crm/ledger\"\nkey_file = \"ledger.pem\"\n";
    let config = folder.text("lockkeeper.toml");
    let told = |more: &str| {
        folder.write("lockkeeper.toml", &format!("{config}{section}{more}"));
        let ran = run(folder.path(), &["check"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(told("stdout = true\n[ledger.retention]\nkeep_days = 7\n"), "");
    assert_eq!(told(""), "", "nothing is removed");
    for name in ["out", "state"] {
        let path = folder.path().join(name);
        // The state folder may be there already.
        drop(std::fs::create_dir(&path));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let told = told("folder = \"out\"\n");
    assert_eq!(told.matches("everybody on this host can write to the folder").count(), 2, "{told}");
}

#[test]
fn an_endpoint_on_this_host_is_named_by_its_address() {
    let folder = folder();
    let section = "\n[ledger.checkpoints]\norigin = \"crm/ledger\"\nkey_file = \"ledger.pem\"\n\
                   [ledger.checkpoints.https]\nurl = \"http://localhost:1/in\"\n";
    folder.edit("lockkeeper.toml", |text| text + section);
    let ran = run(folder.path(), &["check"]);
    let told = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        ran.code == 3 && told.contains("or `http://127.0.0.1:PORT/path` for what is on this host"),
        "{told}"
    );
}

#[test]
fn a_draft_asks_no_crm() {
    let ran = run(folder().path(), &["check", "--from-ledger", "state", "--probe"]);
    assert_eq!(ran.code, 64);
    assert!(ran.stderr.contains("cannot be used with"), "{}", ran.stderr);
}

/// A hash of something else than the key would only show when its owner is turned away.
#[test]
fn a_key_is_hashed_whole_or_not_at_all() {
    let folder = folder();
    let hash =
        |input: &str| run_with_input(folder.path(), &["key", "hash", "--principal", "User::\"a\""], input);
    assert_eq!(hash(&"k".repeat(8_192)).code, 0);
    for (input, expected) in
        [("k".repeat(8_193), "more than 8192 bytes"), ("one\ntwo\n".to_owned(), "more than one line")]
    {
        let ran = hash(&input);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
}
