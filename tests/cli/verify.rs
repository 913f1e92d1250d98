//! `lockkeeper audit verify`: the ledger of a real service, as it was written and as somebody changed it.
#![expect(clippy::disallowed_methods, reason = "a test changes the ledger's files")]

use serde_json::{Value, json};

use crate::run::{Ran, run};
use crate::tail::a_day_that_is_over;

fn verify(args: &[&str], state: &str) -> Ran {
    let args: Vec<&str> = ["audit", "verify", "--state", state].iter().chain(args).copied().collect();
    run(std::path::Path::new("/"), &args)
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
    let intact = format!("every checksum holds: {size} entries, 1 segment, ");
    assert!(ran.stdout.starts_with(&intact), "{}", ran.stdout);
    let empty = "0:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let ran = verify(&["--head", &head, "--head", empty, "--format", "json"], &state);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &told["head"]), (0, &json!(head)));
    let noted = json!([{"head": head, "state": "kept"}, {"head": empty, "state": "kept"}]);
    assert_eq!((&told["noted"], &told["open"], &told["unfinished_bytes"]), (&noted, &json!(0), &json!(0)));
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
    assert_eq!((ran.code, &told["noted"][0]["state"]), (5, &json!("changed")));
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
}
