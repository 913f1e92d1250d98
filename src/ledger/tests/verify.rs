//! What a check of the whole ledger finds: any byte that changed, and entries that were forged, swapped, put in or cut off.
#![expect(clippy::disallowed_methods, reason = "edge: tests damage the ledger's files")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::ledger::append::LedgerOptions;
use crate::ledger::error::LedgerError;
use crate::ledger::folder::{plain, segment_name, segments};
use crate::ledger::life::Life;
use crate::ledger::line::Flaw;
use crate::ledger::made_up::rewritten;
use crate::ledger::open;
use crate::ledger::tests::{Standing, all, decided, options, outcome};
use crate::ledger::tiled::WrongTiles;
use crate::ledger::tree::{Tree, TreeHead};
use crate::ledger::verify::{Noted, Verified, verify};

/// A ledger of several segments, of which the last has an open decision.
fn ledger() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let options = LedgerOptions { segment_bytes_max: 900, ..options(dir.path()) };
    let (mut journal, _) = open::open(&options, Standing::default().clock(), plain()).unwrap();
    for id in ["a", "b", "c", "d", "e"] {
        journal.commit(&[decided(id).prepare().unwrap()]).unwrap();
        if id != "e" {
            journal.commit(&[outcome(id).prepare().unwrap()]).unwrap();
        }
    }
    assert!(files(dir.path()).len() >= 3, "the segments are small");
    dir
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let folder = dir.join("ledger");
    segments(&folder).unwrap().into_iter().map(|first_seq| folder.join(segment_name(first_seq))).collect()
}

fn verified(dir: &Path, heads: &[TreeHead]) -> Result<Verified, LedgerError> {
    verify(dir, heads, &mut |_, _| {})
}

/// What is found with one head noted: what became of it, or the flaw.
fn found(dir: &Path, head: TreeHead) -> Result<Noted, Flaw> {
    match verified(dir, &[head]) {
        Ok(verified) => Ok(verified.noted[0]),
        Err(LedgerError::Damaged { flaw, .. }) => Err(flaw),
        Err(other) => panic!("{other}"),
    }
}

/// Changes a file, looks what is found, and puts it back.
fn changed(
    dir: &Path,
    head: TreeHead,
    file: &Path,
    change: impl FnOnce(&str) -> String,
) -> Result<Noted, Flaw> {
    let before = fs::read_to_string(file).unwrap();
    let after = change(&before);
    assert_ne!(after, before);
    fs::write(file, after).unwrap();
    let found = found(dir, head);
    fs::write(file, before).unwrap();
    found
}

/// A line with other text in it, and the checksum of that.
fn forged(line: &str, from: &str, to: &str) -> String {
    rewritten(line, |covered| covered.replacen(from, to, 1))
}

fn lines(text: &str, change: impl FnOnce(&mut Vec<String>)) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_ledger_as_it_was_written() {
    let dir = ledger();
    let (mut tree, mut heads) = (Tree::default(), vec![Tree::default().head()]);
    for line in all(dir.path()) {
        tree.push(&line.bytes);
        heads.push(tree.head());
    }
    let bytes: u64 = files(dir.path()).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    let expected = Verified {
        head: tree.head(),
        segments: files(dir.path()).len(),
        bytes,
        open: 1,
        life: Life { revisions: ["b1", "d1"].map(str::to_owned).into(), ..Life::default() },
        removed: None,
        remaining: 0,
        unfinished_bytes: 0,
        noted: vec![Noted::Kept; heads.len()],
        tiles: WrongTiles::default(),
    };
    assert_eq!(verified(dir.path(), &heads).unwrap(), expected);
    // A commit that is under way says nothing yet.
    let last = files(dir.path()).pop().unwrap();
    let text = fs::read_to_string(&last).unwrap();
    fs::write(&last, format!("{text}{{\"v\":1,\"seq\":")).unwrap();
    assert_eq!(verified(dir.path(), &heads).unwrap(), Verified { unfinished_bytes: 13, ..expected });
}

#[test]
fn any_changed_byte_is_found() {
    let dir = ledger();
    let head = verified(dir.path(), &[]).unwrap().head;
    for file in files(dir.path()) {
        let before = fs::read(&file).unwrap();
        for place in 0..before.len() {
            let mut after = before.clone();
            after[place] ^= 1;
            fs::write(&file, &after).unwrap();
            assert_ne!(found(dir.path(), head), Ok(Noted::Kept), "{} byte {place}", file.display());
        }
        fs::write(&file, before).unwrap();
    }
    assert_eq!(found(dir.path(), head), Ok(Noted::Kept));
}

/// Who can write files can write checksums too.
#[test]
fn forged_entries_are_found() {
    let dir = ledger();
    let head = verified(dir.path(), &[]).unwrap().head;
    let files = files(dir.path());
    let (first, last) = (&files[0], &files[files.len() - 1]);
    let forge = |text: &str| {
        lines(text, |lines| {
            let line = lines.iter_mut().find(|line| line.contains("\"kind\":\"decision\"")).unwrap();
            *line = forged(line, "\"effect\":\"allow\"", "\"effect\":\"refus\"");
        })
    };
    // The next segment has the digest, and the tree the rest.
    assert_eq!(changed(dir.path(), head, first, forge), Err(Flaw::PredecessorDigest));
    assert_eq!(changed(dir.path(), head, last, forge), Ok(Noted::Changed));
    let longer = |text: &str| {
        lines(text, |lines| {
            let line = lines.iter_mut().find(|line| line.contains("\"kind\":\"decision\"")).unwrap();
            *line = forged(line, "\"allow\"", "\"refuse\"");
        })
    };
    assert!(matches!(changed(dir.path(), head, first, longer), Err(Flaw::Predecessor { .. })));
    assert_eq!(changed(dir.path(), head, last, longer), Ok(Noted::Changed));
}

#[test]
fn entries_that_are_gone_swapped_or_put_in_are_found() {
    let dir = ledger();
    let head = verified(dir.path(), &[]).unwrap().head;
    let files = files(dir.path());
    let last = &files[files.len() - 1];
    let cut = |text: &str| lines(text, |lines| drop(lines.pop()));
    assert_eq!(changed(dir.path(), head, last, cut), Ok(Noted::Cut));
    let swap = |text: &str| {
        lines(text, |lines| {
            let place = lines.len() - 1;
            lines.swap(place, place - 1);
        })
    };
    assert!(matches!(changed(dir.path(), head, last, swap), Err(Flaw::Sequence { .. })));
    let deleted = |text: &str| lines(text, |lines| drop(lines.remove(1)));
    assert!(matches!(changed(dir.path(), head, &files[0], deleted), Err(Flaw::Sequence { .. })));
    let added = |text: &str| {
        lines(text, |lines| {
            let (seq, next) = (head.size, head.size + 1);
            let line = lines[lines.len() - 1].clone();
            lines.push(forged(
                &line,
                &format!("\"seq\":{seq},\"batch\":{seq}"),
                &format!("\"seq\":{next},\"batch\":{next}"),
            ));
        })
    };
    // What comes after a head does not concern it.
    assert_eq!(changed(dir.path(), head, last, added), Ok(Noted::Kept));
    let after = TreeHead { size: head.size + 1, ..head };
    assert_eq!(changed(dir.path(), after, last, added), Ok(Noted::Changed));
}

#[test]
fn segments_that_are_gone_are_found() {
    let dir = ledger();
    let head = verified(dir.path(), &[]).unwrap().head;
    let files = files(dir.path());
    let without = |place: usize| {
        let aside = dir.path().join("aside");
        fs::rename(&files[place], &aside).unwrap();
        let found = found(dir.path(), head);
        fs::rename(&aside, &files[place]).unwrap();
        found
    };
    assert_eq!(without(0), Err(Flaw::Missing));
    assert!(matches!(without(1), Err(Flaw::Sequence { .. })));
    assert_eq!(without(files.len() - 1), Ok(Noted::Cut));
}

/// Heads come in any order, some of them twice.
#[test]
fn heads_are_compared_whatever_their_order() {
    let dir = ledger();
    let (mut tree, mut heads) = (Tree::default(), Vec::new());
    for line in all(dir.path()) {
        tree.push(&line.bytes);
        heads.push(tree.head());
    }
    let size = tree.size();
    let later = TreeHead { size: size + 1, ..heads[0] };
    let other = TreeHead { size: 2, ..heads[0] };
    let given =
        [heads[3], later, heads[0], other, heads[3], heads[1], TreeHead { size: u64::MAX, ..heads[0] }];
    let expected =
        [Noted::Kept, Noted::Cut, Noted::Kept, Noted::Changed, Noted::Kept, Noted::Kept, Noted::Cut];
    assert_eq!(verified(dir.path(), &given).unwrap().noted, expected);
}
