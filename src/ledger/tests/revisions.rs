//! Revisions kept as bytes.
#![expect(clippy::disallowed_methods, reason = "edge: tests look at the revisions' files")]

use std::fs;

use bytes::Bytes;

use crate::ledger::error::LedgerError;
use crate::ledger::revisions::{REVISION_FILES_MAX, Revisions, check_files};

fn files(names: &[&str]) -> Vec<(String, Bytes)> {
    names.iter().map(|name| ((*name).to_owned(), Bytes::from(format!("of {name}")))).collect()
}

#[test]
fn what_is_kept_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let revisions = Revisions::open(dir.path()).unwrap();
    assert_eq!(revisions.load("h1").unwrap(), None);
    let kept = files(&["a.cedar", "cases/one.toml", "cases/deep/two.toml", "profile.toml"]);
    revisions.keep("h1", &kept).unwrap();
    let mut sorted = kept.clone();
    sorted.sort();
    assert_eq!(revisions.load("h1").unwrap(), Some(sorted.clone()));
    revisions.keep("h1", &files(&["other"])).unwrap();
    let again = Revisions::open(dir.path()).unwrap();
    assert_eq!(again.load("h1").unwrap(), Some(sorted), "kept once, never changed");
}

#[test]
fn what_was_not_finished_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let left = dir.path().join("revisions/.unfinished-00/cases");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("one"), b"x").unwrap();
    Revisions::open(dir.path()).unwrap();
    assert_eq!(fs::read_dir(dir.path().join("revisions")).unwrap().count(), 0);
}

#[test]
fn names_stay_inside() {
    let dir = tempfile::tempdir().unwrap();
    let revisions = Revisions::open(dir.path()).unwrap();
    for name in ["", "/etc/x", "..", "../x", "a/../b", "a//b", "a/", "./a", "a/./b", "a\\b", "a\0b"] {
        let kept = revisions.keep("h", &files(&["fine", name]));
        assert!(matches!(kept, Err(LedgerError::Name { .. })), "{name:?}");
    }
    assert!(matches!(revisions.keep("h", &files(&["a", "a"])), Err(LedgerError::Name { .. })), "twice");
    for hash in ["", "..", "a/b", "a.b", &"a".repeat(129)] {
        assert!(matches!(revisions.keep(hash, &[]), Err(LedgerError::Name { .. })), "{hash:?}");
        assert!(matches!(revisions.load(hash), Err(LedgerError::Name { .. })), "{hash:?}");
    }
    revisions.keep(&"a".repeat(128), &[]).unwrap();
}

#[test]
fn a_revision_has_a_limit() {
    let many = |count: usize| (0..count).map(|at| (format!("f{at}"), Bytes::new())).collect::<Vec<_>>();
    assert!(check_files(&many(REVISION_FILES_MAX)).is_ok());
    assert!(matches!(check_files(&many(REVISION_FILES_MAX + 1)), Err(LedgerError::RevisionTooLarge { .. })));
    let megabyte = Bytes::from(vec![0; 1 << 20]);
    let large = |count: usize| (0..count).map(|at| (format!("f{at}"), megabyte.clone())).collect::<Vec<_>>();
    assert!(check_files(&large(512)).is_ok());
    let mut over = large(512);
    over.push(("one".into(), Bytes::from_static(b"x")));
    assert!(matches!(check_files(&over), Err(LedgerError::RevisionTooLarge { .. })));
}
