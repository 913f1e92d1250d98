//! Reading while it grows, and what ends it.
#![expect(clippy::disallowed_methods, reason = "edge: tests damage the ledger's files")]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::ledger::error::LedgerError;
use crate::ledger::folder::segment_name;
use crate::ledger::line::{self, Flaw, Place};
use crate::ledger::read::{Tail, entries};

/// The lines of a segment with these numbers, each a batch of its own.
fn lines(seqs: std::ops::RangeInclusive<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for seq in seqs {
        line::write(&mut bytes, Place { seq, batch: seq }, "read", 0, br#"{"command":"x"}"#);
    }
    bytes
}

fn file(dir: &Path, first_seq: u64) -> PathBuf {
    fs::create_dir_all(dir.join("ledger")).unwrap();
    dir.join("ledger").join(segment_name(first_seq))
}

fn append(dir: &Path, first_seq: u64, bytes: &[u8]) {
    let path = file(dir, first_seq);
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
}

/// The numbers that a tail gives now.
#[track_caller]
fn check(tail: &mut Tail, expected: &[u64]) {
    let mut found = Vec::new();
    while let Some(line) = tail.next_available().unwrap() {
        found.push(line.place.seq);
    }
    assert_eq!(found, expected);
}

#[track_caller]
fn check_flaw(tail: &mut Tail, expected: Flaw) {
    match tail.next_available() {
        Err(LedgerError::Damaged { flaw, .. }) => assert_eq!(flaw, expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tail_follows_over_segments() {
    let dir = tempfile::tempdir().unwrap();
    let mut tail = Tail::new(&dir.path().join("not-yet"), 0);
    check(&mut tail, &[]);
    let mut tail = Tail::new(dir.path(), 0);
    append(dir.path(), 1, &lines(1..=2));
    check(&mut tail, &[1, 2]);
    check(&mut tail, &[]);
    let third = lines(3..=3);
    append(dir.path(), 1, &third[..10]);
    check(&mut tail, &[]);
    append(dir.path(), 1, &third[10..]);
    append(dir.path(), 4, b"");
    check(&mut tail, &[3]);
    append(dir.path(), 4, &lines(4..=5));
    check(&mut tail, &[4, 5]);
}

#[test]
fn a_reader_starts_where_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 3, &lines(3..=5));
    append(dir.path(), 6, &lines(6..=7));
    for (from, expected) in [(0, 3..=7), (1, 3..=7), (3, 3..=7), (4, 4..=7), (6, 6..=7), (7, 7..=7)] {
        let found: Vec<u64> = entries(dir.path(), from).map(|line| line.unwrap().place.seq).collect();
        assert_eq!(found, expected.collect::<Vec<_>>(), "from {from}");
    }
    assert_eq!(entries(dir.path(), 8).count(), 0);
}

#[test]
fn lines_are_given_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = lines(1..=1);
    append(dir.path(), 1, &bytes);
    let line = entries(dir.path(), 0).next().unwrap().unwrap();
    assert_eq!(line.bytes, bytes.strip_suffix(b"\n").unwrap());
    assert_eq!((line.kind.as_str(), &line.value["command"]), ("read", &"x".into()));
}

#[test]
fn a_flaw_ends_the_reading() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = lines(1..=3);
    let second = bytes.len() / 3;
    bytes[second + 30] ^= 1;
    append(dir.path(), 1, &bytes);
    let found: Vec<_> = entries(dir.path(), 0).collect();
    assert_eq!(found.len(), 2);
    assert!(
        matches!(&found[1], Err(LedgerError::Damaged { line: 2, offset, .. }) if *offset == second as u64)
    );
    let mut tail = Tail::new(dir.path(), 2);
    check_flaw(&mut tail, Flaw::Checksum);
    check_flaw(&mut tail, Flaw::Checksum);
}

#[test]
fn segments_must_join() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 1, &lines(1..=2));
    append(dir.path(), 4, &lines(4..=4));
    let mut tail = Tail::new(dir.path(), 2);
    assert_eq!(tail.next_available().unwrap().unwrap().place.seq, 2);
    check_flaw(&mut tail, Flaw::Sequence { expected: 3, found: 4 });

    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 1, &lines(1..=1));
    append(dir.path(), 1, b"{\"v\":1");
    append(dir.path(), 2, &lines(2..=2));
    let mut tail = Tail::new(dir.path(), 1);
    assert_eq!(tail.next_available().unwrap().unwrap().place.seq, 1);
    check_flaw(&mut tail, Flaw::NoLineFeed);
}

#[test]
fn a_file_that_became_shorter_is_told() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 1, &lines(1..=2));
    let mut tail = Tail::new(dir.path(), 0);
    check(&mut tail, &[1, 2]);
    fs::write(file(dir.path(), 1), lines(1..=1)).unwrap();
    check_flaw(&mut tail, Flaw::Cut);
}
