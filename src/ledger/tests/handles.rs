//! Handles of principals and sources.
#![expect(clippy::disallowed_methods, reason = "edge: tests damage the table's file")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::ledger::error::LedgerError;
use crate::ledger::handles::Handles;

fn rows(dir: &Path) -> String {
    fs::read_to_string(dir.join("principals.jsonl")).unwrap()
}

#[test]
fn a_principal_has_one_handle_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let handles = Handles::open(dir.path()).unwrap();
    assert_eq!(handles.known("User", "anna"), None);
    let anna = handles.handle("User", "anna").unwrap();
    assert!(anna.len() == 26 && anna.starts_with("p_"), "{anna}");
    assert_eq!(handles.handle("User", "anna").unwrap(), anna);
    assert_ne!(handles.handle("Service", "anna").unwrap(), anna);
    assert_eq!(rows(dir.path()).lines().count(), 2);
    assert_eq!(
        rows(dir.path()).lines().next().unwrap(),
        format!(r#"{{"handle":"{anna}","type":"User","id":"anna"}}"#)
    );
    let again = Handles::open(dir.path()).unwrap();
    assert_eq!(again.known("User", "anna"), Some(anna.clone()));
    assert_eq!(again.resolve(&anna), Some(("User".into(), "anna".into())));
    assert_eq!(again.resolve("p_unknown"), None);
}

#[test]
fn a_row_cut_anywhere_was_never_given_out() {
    let dir = tempfile::tempdir().unwrap();
    let handles = Handles::open(dir.path()).unwrap();
    let anna = handles.handle("User", "anna").unwrap();
    let kept = rows(dir.path()).len();
    handles.handle("User", "bela").unwrap();
    let whole = rows(dir.path());
    for length in kept..whole.len() {
        fs::write(dir.path().join("principals.jsonl"), &whole.as_bytes()[..length]).unwrap();
        let handles = Handles::open(dir.path()).unwrap();
        assert_eq!(handles.known("User", "anna"), Some(anna.clone()));
        assert_eq!(handles.known("User", "bela"), None);
        let cara = handles.handle("User", "cara").unwrap();
        assert_eq!(Handles::open(dir.path()).unwrap().known("User", "cara"), Some(cara));
    }
}

#[test]
fn a_row_that_cannot_be_written_is_told_until_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let handles = Handles::open(dir.path()).unwrap();
    let table = dir.path().join("principals.jsonl");
    fs::create_dir(&table).unwrap();
    assert!(handles.is_writable(), "nobody was told of anything yet");
    handles.handle("User", "anna").unwrap_err();
    handles.retry().unwrap_err();
    assert_eq!((handles.is_writable(), handles.known("User", "anna")), (false, None));
    fs::remove_dir(&table).unwrap();
    handles.retry().unwrap();
    assert!(handles.is_writable());
    let anna = handles.known("User", "anna");
    assert_eq!((Handles::open(dir.path()).unwrap().known("User", "anna"), anna.is_some()), (anna, true));
}

#[test]
fn erased_rows_resolve_to_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let anna = Handles::open(dir.path()).unwrap().handle("User", "anna").unwrap();
    let row = rows(dir.path());
    for erased in [
        String::new(),
        "\n".to_owned(),
        " ".repeat(row.len() - 1) + "\n",
        format!("{{\"handle\":\"{anna}\"}}\n"),
    ] {
        fs::write(dir.path().join("principals.jsonl"), erased).unwrap();
        let handles = Handles::open(dir.path()).unwrap();
        assert_eq!(handles.resolve(&anna), None);
        assert_ne!(handles.handle("User", "anna").unwrap(), anna);
    }
}

#[test]
fn a_row_that_is_none_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("principals.jsonl"), "{\"handle\":\"p_1\"}\n{\"id\":\"anna\"}\n").unwrap();
    let opened = Handles::open(dir.path()).map(drop);
    assert!(matches!(opened, Err(LedgerError::Damaged { line: 2, offset: 17, .. })), "{opened:?}");
}

#[test]
fn sources_are_handles_under_a_key_of_this_installation() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let handle = Handles::open(one.path()).unwrap().source_handle("203.0.113.7");
    assert!(handle.len() == 18 && handle.starts_with("s_"), "{handle}");
    assert_eq!(Handles::open(one.path()).unwrap().source_handle("203.0.113.7"), handle);
    assert_ne!(Handles::open(one.path()).unwrap().source_handle("203.0.113.8"), handle);
    assert_ne!(Handles::open(other.path()).unwrap().source_handle("203.0.113.7"), handle);
    let key = one.path().join("source.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    // As another implementation of HMAC-SHA256 gives it.
    fs::write(&key, [0x0b; 32]).unwrap();
    assert_eq!(Handles::open(one.path()).unwrap().source_handle("Hi There"), "s_198a607eb44bfbc6");
    for length in [0, 31, 33] {
        fs::write(&key, vec![0; length]).unwrap();
        assert!(matches!(Handles::open(one.path()).map(drop), Err(LedgerError::Io { .. })), "{length}");
    }
}
