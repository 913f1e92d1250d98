//! `lockkeeper audit verify`: the ledger of a real service, as it was written and as somebody changed it.
#![expect(clippy::disallowed_methods, reason = "a test changes the ledger's files")]

use std::collections::BTreeSet;
use std::path::Path;

use lockkeeper::ledger::made_up::rewritten_all;
use lockkeeper::ledger::note::{KeyName, Signer};
use lockkeeper::ledger::seal::Sealer;
use lockkeeper::model::keys::SigningKey;
use serde_json::{Value, json};

use crate::run::{Ran, run};
use crate::tail::a_day_that_is_over;

fn verify(args: &[&str], state: &str) -> Ran {
    let args: Vec<&str> = ["audit", "verify", "--state", state].iter().chain(args).copied().collect();
    run(Path::new("/"), &args)
}

fn head(ran: &Ran) -> String {
    ran.stdout.lines().find_map(|line| line.strip_prefix("head ")).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_as_it_was_written_passes() {
    let (_kept, state) = a_day_that_is_over().await;
    let ran = verify(&[], &state);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    let head = head(&ran);
    let (size, _) = head.split_once(':').unwrap();
    let intact = format!("\n  every checksum holds: {size} entries, 1 segment, ");
    assert!(ran.stdout.contains(&intact), "{}", ran.stdout);
    assert!(ran.stdout.contains("\n  every bundle and directory that decided is kept\n"), "{}", ran.stdout);
    let ran = verify(&["--head", &head, "--format", "json"], &state);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &told["head"]), (0, &json!(head)));
    let integrity = json!({"noted": [{"head": head, "state": "kept"}], "checkpoints": null, "wrong_tiles": 0, "first_wrong_tile": null});
    assert_eq!(told["integrity"], integrity);
    let completeness = json!({
        "open": 0, "unfinished_bytes": 0, "gaps": 0, "refused": 0, "lost": 0, "passed": 0, "missing_revisions": [], "unsigned": null,
        "removed": null, "remaining": 0,
    });
    assert_eq!(told["completeness"], completeness);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_somebody_changed_does_not() {
    let (_kept, state) = a_day_that_is_over().await;
    let head = head(&verify(&[], &state));
    let segment = format!("{state}/ledger/segment-00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    // A byte: the line's own checksum says so, and where.
    let third: usize = text.split_inclusive('\n').take(2).map(str::len).sum();
    let mut bytes = text.clone().into_bytes();
    bytes[third + 40] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let ran = verify(&[], &state);
    assert_eq!((ran.code, ran.stdout.as_str()), (5, ""));
    let place = format!("is damaged at byte {third}, line 3: ");
    assert!(ran.stderr.contains(&place), "{}", ran.stderr);
    let told: Value = serde_json::from_str(&verify(&["--format", "json"], &state).stdout).unwrap();
    let damaged = &told["damaged"];
    assert_eq!(
        (&damaged["offset"], &damaged["line"], &damaged["file"]),
        (&json!(third), &json!(3), &json!(segment))
    );
    // The end: every line that is left is whole.
    let lines: Vec<&str> = text.lines().collect();
    let fewer = lines[..lines.len() - 2].join("\n") + "\n";
    std::fs::write(&segment, fewer).unwrap();
    let (left, size) = (lines.len() - 2, lines.len());
    let ran = verify(&["--head", &head], &state);
    let expected =
        format!("error: the ledger has {left} entries and had {size}: those at its end are gone\n");
    assert_eq!((ran.code, ran.stderr), (5, expected));
    assert_eq!(verify(&[], &state).code, 0, "without a head nobody can tell");
    // Another ledger, whole in itself.
    std::fs::write(&segment, &text).unwrap();
    let other = format!("{size}:{}", "0".repeat(64));
    let ran = verify(&["--head", &other, "--format", "json"], &state);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &told["integrity"]["noted"][0]["state"]), (5, &json!("changed")));
    let expected = format!(
        "error: the first {size} entries are not those of the noted head: some were changed, added or removed\n"
    );
    assert_eq!(ran.stderr, expected);
}

#[test]
fn what_cannot_be_verified_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let ran = verify(&[], &folder.path().display().to_string());
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("there is no ledger under"), "{}", ran.stderr);
    let head = format!("1:{}", "0".repeat(64));
    assert_eq!(verify(&["--head", &head], &folder.path().display().to_string()).code, 5, "there was one");
    let ran = verify(&["--head", "12"], "/nowhere");
    assert_eq!(ran.code, 64);
    assert!(ran.stderr.contains("expected SIZE:ROOT"), "{}", ran.stderr);
    let empty = "0:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let ran = verify(&["--head", empty], "/nowhere");
    assert_eq!(ran.code, 64);
    assert!(ran.stderr.contains("a head of no entries proves nothing"), "{}", ran.stderr);
}

/// Makes a key as an auditor would, and gives its public half.
fn keygen(file: &Path) -> String {
    let ran = run(
        Path::new("/"),
        &["audit", "keygen", "--origin", "crm/ledger", "--out", &file.display().to_string()],
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.stdout.trim().to_owned()
}

/// A checkpoint over the first entries, signed by the keys in these files.
fn seal(state: &str, files: &[&Path], size: u64) -> String {
    let signer = |file: &&Path| {
        let key = SigningKey::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
        Signer::new(KeyName::parse("crm/ledger").unwrap(), key).unwrap()
    };
    let signers = files.iter().map(signer).collect();
    let mut sealer =
        Sealer::open(Path::new(state), None, KeyName::parse("crm/ledger").unwrap(), signers).unwrap();
    sealer.seal(size).unwrap()
}

fn size(state: &str) -> u64 {
    head(&verify(&[], state)).split_once(':').unwrap().0.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_checkpoints_find_what_checksums_do_not() {
    let (kept, state) = a_day_that_is_over().await;
    let _ = &kept;
    let elsewhere = tempfile::tempdir().unwrap();
    let (private, exported) = (elsewhere.path().join("ledger.pem"), elsewhere.path().join("checkpoint"));
    let key = keygen(&private);
    let all = size(&state);
    std::fs::write(&exported, seal(&state, &[&private], all)).unwrap();
    let exported = exported.display().to_string();
    let ran = verify(&["--key", &key, "--checkpoint", &exported], &state);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    let holds =
        format!("\n  begins with what 1 checkpoint stands for, the newest for {all} entries\n  key {key}\n");
    assert!(ran.stdout.contains(&holds), "{}", ran.stdout);
    // A key that signed nothing.
    let other = keygen(&elsewhere.path().join("other.pem"));
    let ran = verify(&["--key", &other, "--checkpoint", &exported], &state);
    let expected = format!("error: the checkpoint for {all} entries: none of the given keys signed it\n");
    assert_eq!((ran.code, ran.stderr), (5, expected));
    // The whole ledger written anew by somebody who has no key: every checksum holds.
    let segment = format!("{state}/ledger/segment-00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    let forged = rewritten_all(&text, |covered| covered.replace("\"method\":\"GET\"", "\"method\":\"PUT\""));
    assert_ne!(forged, text);
    std::fs::write(&segment, forged).unwrap();
    assert_eq!(verify(&[], &state).code, 0, "checksums find no forger");
    let ran = verify(&["--key", &key, "--checkpoint", &exported, "--format", "json"], &state);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    let why = format!(
        "the first {all} entries are not those that were signed for: some were changed, added or removed"
    );
    assert_eq!(
        (ran.code, &told["integrity"]["checkpoints"]["broken"]),
        (5, &json!([{"entries": all, "why": why}]))
    );
    // Rolled back, with the state folder's own checkpoint as it was then.
    let fewer: String =
        text.lines().take(usize::try_from(all).unwrap() - 1).map(|line| format!("{line}\n")).collect();
    std::fs::write(&segment, fewer).unwrap();
    std::fs::remove_dir_all(format!("{state}/tree")).unwrap();
    let ran = verify(&["--key", &key, "--checkpoint", &exported], &state);
    let gone = format!("the ledger has {} entries and had {all}: those at its end are gone\n", all - 1);
    assert_eq!((ran.code, ran.stderr), (5, format!("error: the checkpoint for {all} entries: {gone}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_that_cannot_be_read_are_said() {
    let (_kept, state) = a_day_that_is_over().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let key = keygen(&elsewhere.path().join("ledger.pem"));
    let ran = verify(&["--key", &key], &state);
    assert_eq!(ran.code, 5);
    assert!(ran.stderr.contains("a key was given, and there is no checkpoint"), "{}", ran.stderr);
    let ran = verify(&["--checkpoint", "x"], &state);
    assert_eq!(ran.code, 64, "a checkpoint without a key proves nothing");
    for (content, expected) in [
        (&b"nothing"[..], "there is no checkpoint in"),
        (b"{\"checkpoint\":\"nothing\"}\n", "line 1 is not a checkpoint"),
        (b"\xff", "it is not text"),
    ] {
        let file = elsewhere.path().join("given");
        std::fs::write(&file, content).unwrap();
        let ran = verify(&["--key", &key, "--checkpoint", &file.display().to_string()], &state);
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    std::fs::create_dir(format!("{state}/tree")).unwrap();
    std::fs::write(format!("{state}/tree/checkpoint"), "nothing").unwrap();
    let ran = verify(&["--key", &key], &state);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("own last checkpoint"), "{}", ran.stderr);
    let ran = verify(&["--key", "crm+00000000+AAAA"], &state);
    assert_eq!(ran.code, 64);
    assert!(ran.stderr.contains("is not a key of the form NAME+ID+BASE64"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_proved_to_whoever_has_the_key() {
    let (_kept, state) = a_day_that_is_over().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let key = keygen(&elsewhere.path().join("ledger.pem"));
    let private = elsewhere.path().join("ledger.pem");
    let text = std::fs::read_to_string(format!("{state}/ledger/segment-00000000000000000001.jsonl")).unwrap();
    let decided = text
        .lines()
        .find(|line| line.contains("\"kind\":\"decision\"") && line.contains("\"sets\""))
        .unwrap();
    let decided: Value = serde_json::from_str(decided).unwrap();
    let id = decided["id"].as_str().unwrap();
    let out = elsewhere.path().join("proofs");
    let prove = |id: &str| {
        run(Path::new("/"), &["audit", "prove", id, "--state", &state, "--out", &out.display().to_string()])
    };
    let ran = prove(id);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("there is no checkpoint"), "{}", ran.stderr);
    seal(&state, &[&private], decided["seq"].as_u64().unwrap() - 1);
    let ran = prove(id);
    assert_eq!(ran.code, 4);
    assert!(ran.stderr.contains("are younger than the last checkpoint"), "{}", ran.stderr);
    seal(&state, &[&private], size(&state));
    let ran = prove(id);
    let offline = "the ledger does not record this reading: no service writes it now\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (0, offline));
    let files: Vec<&str> = ran.stdout.lines().collect();
    let check = |key: &str, files: &[&str]| {
        run(Path::new("/"), &[&["audit", "verify-proof", "--key", key], files].concat())
    };
    let ran = check(&key, &files);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let kinds: Vec<String> = ran
        .stdout
        .lines()
        .map(|line| {
            assert!(text.lines().any(|written| written == line), "the exact line");
            serde_json::from_str::<Value>(line).unwrap()["kind"].as_str().unwrap().to_owned()
        })
        .collect();
    assert!(
        kinds.contains(&"fields".to_owned())
            && kinds.contains(&"decision".to_owned())
            && kinds.contains(&"outcome".to_owned()),
        "{kinds:?}"
    );
    // What cannot be read is no broken ledger, unless another proof is broken.
    let folder = elsewhere.path().display().to_string();
    for unreadable in ["/nonexistent", &folder] {
        let ran = check(&key, &[unreadable, files[0]]);
        assert_eq!((ran.code, ran.stdout.lines().count()), (1, 1), "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("cannot read `{unreadable}`")), "{}", ran.stderr);
    }
    assert_eq!(check(&key, &[&private.display().to_string(), "/nonexistent"]).code, 5);
    let ran = check(&private.display().to_string(), &files[..1]);
    assert!(ran.code == 64 && ran.stderr.contains("write --key \"$(cat "), "{}", ran.stderr);
    let again = ["audit", "keygen", "--origin", "a", "--out", &private.display().to_string()];
    let again = run(Path::new("/"), &again);
    assert!(again.code == 1 && again.stderr.contains("a key is never overwritten"), "{}", again.stderr);
    let other = keygen(&elsewhere.path().join("other.pem"));
    let ran = check(&other, &files[..1]);
    assert_eq!((ran.code, ran.stdout.as_str()), (5, ""));
    assert!(ran.stderr.contains("none of the given keys signed it"), "{}", ran.stderr);
    assert_eq!(prove("no-such-decision").code, 1);
}

/// Every row of an answer comes with proofs of all that it rests on, which need no ledger.
#[tokio::test(flavor = "multi_thread")]
async fn answers_come_with_proofs() {
    let (_kept, state) = a_day_that_is_over().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let private = elsewhere.path().join("ledger.pem");
    let key = keygen(&private);
    let out = elsewhere.path().join("proofs");
    let ask = |more: &[&str]| {
        let question = ["audit", "query", "who-saw", "--type", "Deal", "--id", "42", "--state", &state];
        let proof = ["--format", "json", "--proof", out.to_str().unwrap()];
        run(Path::new("/"), &[&question[..], &proof, more].concat())
    };
    let ran = ask(&[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("there is no checkpoint"), "{}", ran.stderr);
    // What the last checkpoint does not stand for yet is told.
    let question =
        ["audit", "query", "who-saw", "--type", "Deal", "--id", "42", "--state", &state, "--format", "json"];
    let plain: Value = serde_json::from_str(&run(Path::new("/"), &question).stdout).unwrap();
    seal(&state, &[&private], plain["rows"][0]["entry"].as_u64().unwrap());
    let ran = ask(&["--limit", "1"]);
    assert_eq!(ran.code, 4);
    assert!(ran.stderr.contains("are younger than the last checkpoint"), "{}", ran.stderr);
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    let early = answer["rows"][0]["proofs"].as_array().unwrap().len();
    seal(&state, &[&private], size(&state));
    let ran = ask(&[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    let rows = answer["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert!(early > 0 && early < rows[0]["proofs"].as_array().unwrap().len());
    let mut files = BTreeSet::new();
    for row in rows {
        let proofs: Vec<String> = row["proofs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| out.join(name.as_str().unwrap()).display().to_string())
            .collect();
        let named: Vec<&str> = proofs.iter().map(String::as_str).collect();
        let ran = run(Path::new("/"), &[&["audit", "verify-proof", "--key", &key], &named[..]].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let entries: Vec<Value> =
            ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |kind: &str| entries.iter().filter(|entry| entry["kind"] == kind).collect::<Vec<_>>();
        assert_eq!((of("decision").len(), of("outcome").len()), (1, 1), "{entries:?}");
        assert_eq!((&of("decision")[0]["id"], &of("decision")[0]["seq"]), (&row["decision"], &row["entry"]));
        // The proofs explain themselves: every set of fields that they name is among them.
        let sets: BTreeSet<&str> = entries
            .iter()
            .flat_map(|entry| entry["sets"].as_array().into_iter().flatten())
            .flat_map(|set| ["shown", "hidden", "masked"].map(|member| set[member].as_str()))
            .flatten()
            .collect();
        let spelled: BTreeSet<&str> =
            of("fields").iter().map(|entry| entry["set"].as_str().unwrap()).collect();
        assert!(!sets.is_empty() && sets == spelled, "{sets:?} {spelled:?}");
        files.extend(proofs);
    }
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), files.len());
    assert!(ran.stderr.ends_with(&format!("{} proofs written\n", files.len())), "{}", ran.stderr);
}

/// Whoever trusts only the old key follows to the new one where the old one signed for the entry that names it.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_followed_from_the_old_one() {
    let (_kept, state) = a_day_that_is_over().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let (old_file, new_file) = (elsewhere.path().join("old.pem"), elsewhere.path().join("new.pem"));
    let (old, new) = (keygen(&old_file), keygen(&new_file));
    // A start that names both.
    let segment = format!("{state}/ledger/segment-00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    let named = rewritten_all(&text, |covered| match covered.contains("\"kind\":\"start\"") {
        true => format!("{covered},\"keys\":[\"{new}\",\"{old}\"]"),
        false => covered.to_owned(),
    });
    std::fs::write(&segment, named).unwrap();
    let all = size(&state);
    let both = seal(&state, &[&new_file, &old_file], all - 1);
    let alone = seal(&state, &[&new_file], all);
    let history = elsewhere.path().join("checkpoints.jsonl");
    let line = |note: &str| json!({"t": "2026-11-21T00:00:00Z", "checkpoint": note}).to_string();
    let told = |lines: &[&str]| {
        std::fs::write(&history, lines.join("\n")).unwrap();
        std::fs::remove_dir_all(format!("{state}/tree")).ok();
        verify(&["--key", &old, "--checkpoint", &history.display().to_string()], &state)
    };
    let ran = told(&["a line of the log", &line(&both), &line(&alone)]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    assert!(ran.stdout.contains(&format!("\n  key {new}\n")), "{}", ran.stdout);
    // Without the checkpoint by both, nobody vouches for the new key.
    let ran = told(&[&line(&alone)]);
    assert_eq!(ran.code, 5);
    assert!(ran.stderr.contains("none of the given keys signed it"), "{}", ran.stderr);
}
