//! `lockkeeper bundle`: from a folder to a signed archive and back, and what each command refuses.
#![expect(clippy::disallowed_methods, reason = "a test writes keys and damages archives")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lockkeeper::testkit::folder::TestFolder;
use serde_json::Value;

use crate::author::mistake;
use crate::run::{Ran, command, folder, redact, run};

const BUILD: &[&str] = &[
    "bundle",
    "build",
    "bundle",
    "--out",
    "a.lkb",
    "--bundle-version",
    "7",
    "--author",
    "anna",
    "--approver",
    "ben",
    "--ticket",
    "CRM-1",
    "--created",
    "2026-06-15T12:00:00Z",
];
const AT: &[&str] = &["--at", "2026-06-16T00:00:00Z"];

/// A folder with an archive that nobody signed, and the keys of three people.
fn built() -> TestFolder {
    let folder = folder();
    assert_eq!(ok(&folder, BUILD).stderr.lines().count(), 1);
    for name in ["anna", "ben", "eve"] {
        let made = ok(&folder, &["bundle", "keygen", "--out", &format!("{name}.key")]);
        fs::write(folder.path().join(format!("{name}.pub")), made.stdout).unwrap();
    }
    folder
}

#[track_caller]
fn ok(folder: &TestFolder, args: &[&str]) -> Ran {
    let ran = run(folder.path(), args);
    assert_eq!(ran.code, 0, "{args:?}: {}", ran.stderr);
    ran
}

#[track_caller]
fn refused(folder: &TestFolder, args: &[&str], code: i32, expected: &str) {
    let ran = run(folder.path(), args);
    assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{args:?}: {}", ran.stderr);
    let told = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains(expected), "{args:?}: {told}");
}

fn bytes(folder: &TestFolder, name: &str) -> Vec<u8> {
    fs::read(folder.path().join(name)).unwrap()
}

/// The demo's bundle changes; how many policies and bytes it has is not what the snapshot is for.
fn without_sizes(text: &str) -> String {
    let line = |line: &str| match line.rsplit_once(" (") {
        Some((file, _)) => format!("{file} (<size>)\n"),
        None if line.starts_with("policies ") => "policies  <number>\n".to_owned(),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_archive_is_built_signed_and_verified() {
    let folder = built();
    for name in ["anna", "ben"] {
        ok(&folder, &["bundle", "sign", "a.lkb", "--key", &format!("{name}.key")]);
    }
    let verify =
        ["bundle", "verify", "a.lkb", "--keys", "anna.pub", "--keys", "ben.pub", "--signatures-min", "2"];
    let verified = ok(&folder, &[&verify, AT].concat());
    let checked = ok(&folder, &["check"]);
    let revision = |text: &str| text.lines().next().unwrap().split_whitespace().last().unwrap().to_owned();
    assert_eq!(revision(&verified.stdout), revision(&checked.stdout), "archive and folder have one revision");
    let both = bytes(&folder, "a.lkb");
    // Signing once more changes nothing, and the order of signing leaves no trace.
    ok(&folder, &["bundle", "sign", "a.lkb", "--key", "anna.key"]);
    assert_eq!(bytes(&folder, "a.lkb"), both);
    ok(&folder, BUILD);
    ok(&folder, &["bundle", "sign", "a.lkb", "--key", "ben.key"]);
    ok(&folder, &["bundle", "sign", "a.lkb", "--key", "anna.key", "--out", "b.lkb"]);
    assert_eq!(bytes(&folder, "b.lkb"), both);
    insta::assert_snapshot!("bundle_verify", redact(&verified.stdout));
}

#[test]
fn the_same_input_gives_the_same_archive() {
    let folder = built();
    let once = bytes(&folder, "a.lkb");
    ok(&folder, BUILD);
    assert_eq!(bytes(&folder, "a.lkb"), once);
}

#[test]
fn an_archive_is_shown_with_what_it_changes() {
    let folder = built();
    ok(&folder, &["bundle", "sign", "a.lkb", "--key", "anna.key"]);
    let shown = ok(&folder, &["bundle", "inspect", "a.lkb"]);
    assert!(shown.stderr.contains("not verified"), "{}", shown.stderr);
    insta::assert_snapshot!("bundle_inspect", redact(&without_sizes(&shown.stdout)));
    let file = "bundle/policies/records.cedar";
    let more = "@id(\"test.new\") permit (principal, action == Action::\"view\", resource is Deal);\n";
    folder.write(file, &format!("{}\n{more}", folder.text(file)));
    let changed = ok(&folder, &["bundle", "inspect", "a.lkb", "--against", "bundle", "--format", "json"]);
    let told: Value = serde_json::from_str(&changed.stdout).unwrap();
    assert_eq!(told["verified"], false);
    assert_eq!(told["manifest"]["version"], 7);
    assert_eq!(told["changes"]["removed"], Value::from(vec!["test.new"]));
    assert_eq!(told["signedBy"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_not_trusted_is_refused() {
    let folder = built();
    let verify = |keys: &'static str| [&["bundle", "verify", "a.lkb", "--keys", keys], AT].concat();
    refused(&folder, &verify("anna.pub"), 3, "the bundle is unsigned");
    ok(&folder, &["bundle", "sign", "a.lkb", "--key", "anna.key"]);
    refused(&folder, &verify("eve.pub"), 3, "which is not trusted");
    refused(
        &folder,
        &[verify("anna.pub").as_slice(), &["--signatures-min", "2"]].concat(),
        3,
        "by 1 of the 2 trusted keys that are needed",
    );
    let late = ["bundle", "verify", "a.lkb", "--keys", "anna.pub", "--at", "2026-09-13T12:00:00Z"];
    refused(&folder, &late, 3, "expired at 2026-09-13T12:00:00Z");
    let shown = ok(&folder, &["bundle", "inspect", "a.lkb", "--format", "json"]);
    let told: Value = serde_json::from_str(&shown.stdout).unwrap();
    let id = told["signedBy"][0].as_str().unwrap().to_owned();
    refused(
        &folder,
        &[verify("anna.pub").as_slice(), &["--revoked-key", &id]].concat(),
        3,
        "by the revoked key",
    );
    let mut broken = bytes(&folder, "a.lkb");
    broken.truncate(broken.len() - 1);
    fs::write(folder.path().join("a.lkb"), broken).unwrap();
    refused(&folder, &verify("anna.pub"), 3, "not a whole gzip stream");
    for command in ["sign", "inspect"] {
        let args = ["bundle", command, "a.lkb", "--key", "anna.key"];
        refused(&folder, &args[..if command == "sign" { 5 } else { 3 }], 3, "not a whole gzip stream");
    }
}

#[test]
fn private_keys_stay_private() {
    let folder = built();
    let key = folder.path().join("anna.key");
    assert_eq!(mode(&key), 0o600);
    refused(&folder, &["bundle", "keygen", "--out", "anna.key"], 1, "a key is never overwritten");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    refused(&folder, &["bundle", "sign", "a.lkb", "--key", "anna.key"], 1, "chmod 600");
    // As systemd hands it in, and not from another folder nor for everybody.
    let handed_in = |mode: u32, credentials: &Path| {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let mut sign = command(folder.path(), &["bundle", "sign", "a.lkb", "--key", key.to_str().unwrap()]);
        sign.env("CREDENTIALS_DIRECTORY", credentials).output().unwrap().status.code()
    };
    let elsewhere = folder.path().join("bundle");
    let codes = [
        (0o440, folder.path()),
        (0o444, folder.path()),
        (0o460, folder.path()),
        (0o440, elsewhere.as_path()),
    ];
    assert_eq!(codes.map(|(mode, from)| handed_in(mode, from)), [Some(0), Some(1), Some(1), Some(1)]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    ok(&folder, &["bundle", "sign", "a.lkb", "--key", "anna.key"]);
    folder.write("other.key", "not a key");
    fs::set_permissions(folder.path().join("other.key"), fs::Permissions::from_mode(0o600)).unwrap();
    refused(&folder, &["bundle", "sign", "a.lkb", "--key", "other.key"], 1, "not a private Ed25519 key");
    refused(&folder, &["bundle", "verify", "a.lkb", "--keys", "anna.key"], 1, "holds a private key");
    refused(&folder, &["bundle", "sign", "a.lkb", "--key", "none.key"], 1, "No such file");
}

#[test]
fn what_would_be_refused_later_is_not_built() {
    let folder = built();
    let with = |more: &[&'static str]| [BUILD, more].concat();
    let before = bytes(&folder, "a.lkb");
    refused(&folder, &with(&["--expires", "soon"]), 64, "is not a time");
    refused(&folder, &with(&["--expires", "2026-06-15T12:00:00Z"]), 64, "not after `created`");
    let nameless = ["bundle", "build", "bundle", "--out", "a.lkb", "--bundle-version", "7", "--author", ""];
    refused(&folder, &nameless, 64, "`author` of the manifest");
    refused(&folder, &nameless, 64, "help: Correct `--author`: 1 to 200 bytes");
    refused(
        &folder,
        &with(&["--expires", "2026-06-15T12:00:00Z"]),
        64,
        "help: Correct `--created`, and `--expires`",
    );
    refused(
        &folder,
        &["bundle", "build", "none", "--out", "a.lkb", "--bundle-version", "7", "--author", "a"],
        3,
        "not built",
    );
    mistake(&folder, "bundle/policies/records.cedar", "Action::\"view\"", "Action::\"veiw\"");
    refused(&folder, BUILD, 3, "not built");
    assert_eq!(bytes(&folder, "a.lkb"), before);
}
