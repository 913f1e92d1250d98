//! Segments that are removed: what still holds, what is told, and what is damage all the same.
#![expect(clippy::disallowed_methods, reason = "edge: tests look at and damage the ledger's files")]

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::seal::Sealed;
use super::{Standing, options};
use crate::ledger::append::LedgerOptions;
use crate::ledger::batches::{BatchError, BatchLimits, Batches};
use crate::ledger::entry::Entry;
use crate::ledger::error::LedgerError;
use crate::ledger::evidence::Prover;
use crate::ledger::folder::plain;
use crate::ledger::line::Flaw;
use crate::ledger::open;
use crate::ledger::read::{Tail, entries};
use crate::ledger::removal::Removal;
use crate::ledger::retain::{carry_out, examine, oldest};
use crate::ledger::seal::{checkpoint_file, folder};
use crate::ledger::tiled::WrongTiles;
use crate::ledger::tree::{Tree, TreeHead};
use crate::ledger::verify::{Noted, Verified, verify};

/// A little more than the 400 days for which entries are kept here.
const KEPT_MS: i64 = 401 * 24 * 60 * 60 * 1000;

/// A ledger of which segments are removed, and what all of its entries ever came to.
struct Kept {
    sealed: Sealed,
    tree: Tree,
    heads: Vec<TreeHead>,
    lines: Vec<Vec<u8>>,
}

impl Kept {
    /// A ledger that grew and was signed for.
    fn new(requests: usize) -> Self {
        let sealed = Sealed::new();
        let mut kept = Self { sealed, tree: Tree::default(), heads: vec![], lines: vec![] };
        kept.grow(requests);
        kept.seal();
        kept
    }

    fn grow(&mut self, requests: usize) {
        self.sealed.grow(requests);
        self.learn();
    }

    /// Takes the lines that came.
    fn learn(&mut self) {
        for line in entries(self.sealed.path(), self.tree.size() + 1) {
            let line = line.unwrap();
            assert_eq!(line.place.seq, self.tree.size() + 1);
            self.tree.push(&line.bytes);
            self.heads.push(self.tree.head());
            self.lines.push(line.bytes);
        }
    }

    /// Signs for all of it, as a service that starts does.
    fn seal(&mut self) {
        let note = self.sealed.open().unwrap().seal(self.tree.size()).unwrap();
        assert_eq!(self.sealed.read(&note), self.tree.head());
    }

    fn examine(&self) -> Result<Removal, LedgerError> {
        let oldest = oldest(self.sealed.path()).unwrap().unwrap();
        examine(self.sealed.path(), &oldest, 400)
    }

    /// Records that the oldest segment is removed.
    fn record(&mut self) -> Removal {
        let removal = self.examine().unwrap();
        self.sealed.clock.pass_ms(KEPT_MS);
        self.sealed.journal.commit(&[Entry::Removal(removal.clone()).prepare().unwrap()]).unwrap();
        self.learn();
        removal
    }

    fn remove(&mut self) -> Removal {
        let removal = self.record();
        assert!(carry_out(self.sealed.path(), &removal).unwrap());
        removal
    }

    fn verified(&self) -> Result<Verified, LedgerError> {
        verify(self.sealed.path(), &self.heads, &mut |_, _| {})
    }

    /// Everything that was ever signed or noted still holds.
    fn holds(&self) -> Verified {
        let verified = self.verified().unwrap();
        assert_eq!(verified.head, self.tree.head());
        assert_eq!(verified.noted, vec![Noted::Kept; self.heads.len()]);
        assert_eq!(verified.tiles, WrongTiles::default());
        verified
    }

    fn first(&self) -> PathBuf {
        self.sealed.segments()[0].clone()
    }
}

/// Changes a file, looks, and puts it back.
fn with<V>(file: &PathBuf, after: &[u8], look: impl FnOnce() -> V) -> V {
    let before = fs::read(file).unwrap();
    assert_ne!(before, after);
    fs::write(file, after).unwrap();
    let looked = look();
    fs::write(file, before).unwrap();
    looked
}

fn flaw(found: Result<Verified, LedgerError>) -> Flaw {
    match found {
        Err(LedgerError::Damaged { flaw, .. }) => flaw,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_removed_stays_in_the_tree() {
    let mut kept = Kept::new(600);
    let segments = kept.sealed.segments().len();
    assert!(segments > 10, "{segments}");
    for _ in 0..5 {
        let removal = kept.remove();
        let verified = kept.holds();
        assert_eq!(verified.removed.unwrap().removal, removal);
        assert_eq!((verified.remaining, removal.keep_days), (0, 400));
        assert!(removal.until.ends_with('Z'), "{}", removal.until);
        kept.grow(3);
        kept.seal();
    }
    let prover = Prover::open(kept.sealed.path()).unwrap().unwrap();
    let keys = std::slice::from_ref(&kept.sealed.key);
    // Those that are removed too, for whoever has their lines from elsewhere.
    for (seq, line) in (1..).zip(&kept.lines) {
        let evidence = prover.prove(seq, line).unwrap().unwrap();
        assert_eq!(evidence.check(keys).unwrap().head, kept.tree.head());
    }
}

#[test]
fn the_newest_stays() {
    let kept = Kept::new(1);
    assert_eq!(kept.sealed.segments().len(), 1);
    assert_eq!(oldest(kept.sealed.path()).unwrap(), None);
}

#[test]
fn what_is_not_what_was_written_or_signed_for_stays() {
    let mut kept = Kept::new(300);
    let first = kept.first();
    let text = fs::read_to_string(&first).unwrap();
    let forged: String = text
        .lines()
        .map(|line| {
            let (covered, _) = line.rsplit_once(",\"crc\"").unwrap();
            let covered = covered.replace("\"effect\":\"allow\"", "\"effect\":\"refus\"");
            format!("{covered},\"crc\":\"{:08x}\"}}\n", crc32c::crc32c(covered.as_bytes()))
        })
        .collect();
    let found = with(&first, forged.as_bytes(), || kept.examine());
    assert!(matches!(found, Err(LedgerError::Damaged { flaw: Flaw::Cut, .. })), "{found:?}");
    let shorter = &text.as_bytes()[..text.len() - 9];
    let found = with(&first, shorter, || kept.examine());
    assert!(matches!(found, Err(LedgerError::Damaged { .. })), "{found:?}");
    let tile = folder(kept.sealed.path()).join("tile/0/000");
    let mut wrong = fs::read(&tile).unwrap();
    wrong[40] ^= 1;
    let found = with(&tile, &wrong, || kept.examine());
    assert!(matches!(found, Err(LedgerError::Rewritten { .. })), "{found:?}");
    let found = with(&tile, &wrong[..100], || kept.examine());
    assert!(matches!(found, Err(LedgerError::NoTile { .. })), "{found:?}");
    let checkpoint = checkpoint_file(kept.sealed.path());
    let other = checkpoint::other(&fs::read_to_string(&checkpoint).unwrap());
    let found = with(&checkpoint, other.as_bytes(), || kept.examine());
    assert!(matches!(found, Err(LedgerError::Rewritten { .. })), "{found:?}");
    kept.remove();
    kept.holds();
}

mod checkpoint {
    /// A checkpoint of as many entries with another root.
    pub fn other(note: &str) -> String {
        let root = note.lines().nth(2).unwrap();
        let first = if root.starts_with('A') { 'B' } else { 'A' };
        let other: String = [first].into_iter().chain(root.chars().skip(1)).collect();
        note.replace(root, &other)
    }
}

/// Until the tile of its last leaf is full, the hashes of a segment's end may be replaced by others that are not durable.
#[test]
fn a_checkpoint_must_fill_the_last_tile() {
    let kept = Kept::new(300);
    let oldest = oldest(kept.sealed.path()).unwrap().unwrap();
    assert!(oldest.last < 256);
    assert_eq!(oldest.signed_for(), 256);
}

#[test]
fn a_removal_is_carried_out_once_and_only_on_what_it_names() {
    let mut kept = Kept::new(300);
    let removal = kept.record();
    let path = kept.sealed.path().to_path_buf();
    for wrong in [
        Removal { bytes: removal.bytes + 1, ..removal.clone() },
        Removal { last: removal.last + 1, ..removal.clone() },
        Removal { first: removal.first + 1, ..removal.clone() },
        Removal { sha256: "0".repeat(64), ..removal.clone() },
    ] {
        assert!(!carry_out(&path, &wrong).unwrap(), "{wrong:?}");
    }
    assert!(carry_out(&path, &removal).unwrap());
    assert!(!carry_out(&path, &removal).unwrap());
    kept.holds();
}

/// The process ended between the entry and the removal: whether it may still go is looked at again.
#[test]
fn a_start_carries_out_nothing_by_itself() {
    let mut kept = Kept::new(300);
    let first = kept.first();
    kept.record();
    let verified = kept.holds();
    assert_eq!((verified.removed, verified.remaining), (None, 1));
    let path = kept.sealed.path().to_path_buf();
    let Kept { sealed, .. } = kept;
    let (dir, journal) = sealed.apart();
    drop(journal);
    let options = LedgerOptions { segment_bytes_max: 20_000, ..options(&path) };
    let (_, report) = open::open(&options, Standing::default().clock(), plain()).unwrap();
    assert!(first.exists() && report.oldest_seq == 1);
    let recorded = report.recorded.unwrap();
    assert_eq!(recorded.first, 1);
    assert!(carry_out(&path, &recorded).unwrap());
    let verified = verify(&path, &[], &mut |_, _| {}).unwrap();
    let (_, report) = open::open(&options, Standing::default().clock(), plain()).unwrap();
    assert_eq!((report.recorded, report.oldest_seq), (None, recorded.last + 1));
    assert_eq!(verified.removed.unwrap().removal, recorded);
    drop(dir);
}

/// Their entries may be gone before the tiles are made anew.
#[test]
fn a_start_that_makes_tiles_anew_keeps_the_leaves_of_what_is_to_go() {
    let mut kept = Kept::new(600);
    let removal = kept.record();
    let tiles = folder(kept.sealed.path()).join("tile/0");
    let leaves = tiles.join("000");
    let before = fs::read(&leaves).unwrap();
    fs::remove_file(tiles.join("002")).unwrap();
    drop(kept.sealed.open().unwrap());
    assert_eq!(fs::read(&leaves).unwrap(), before);
    assert!(carry_out(kept.sealed.path(), &removal).unwrap());
    kept.sealed.open().unwrap();
    kept.seal();
    kept.holds();
}

#[test]
fn the_youngest_entry_counts_where_the_clock_was_put_back() {
    let mut kept = Kept::new(10);
    kept.sealed.clock.pass_ms(36_000_000);
    kept.grow(1);
    kept.sealed.clock.pass_ms(-36_000_000);
    kept.grow(300);
    kept.seal();
    let removal = kept.examine().unwrap();
    let time = |line: &Vec<u8>| serde_json::from_slice::<serde_json::Value>(line).unwrap()["t"].to_string();
    let times: Vec<String> = kept.lines.iter().map(time).collect();
    assert_eq!(Some(&format!("{:?}", removal.until)), times.iter().max());
    assert!(times[usize::try_from(removal.last).unwrap() - 1] < format!("{:?}", removal.until));
}

#[test]
fn what_no_entry_says_was_removed_is_missing() {
    let mut kept = Kept::new(300);
    kept.remove();
    let (first, second) = (kept.first(), kept.sealed.segments()[1].clone());
    let aside = kept.sealed.path().join("aside");
    fs::rename(&first, &aside).unwrap();
    assert_eq!(flaw(kept.verified()), Flaw::Missing);
    fs::rename(&aside, &first).unwrap();
    fs::rename(&second, &aside).unwrap();
    assert!(matches!(flaw(kept.verified()), Flaw::Sequence { .. }));
    fs::rename(&aside, &second).unwrap();
    kept.holds();
}

/// Whoever can write files can write checksums: removals that do not fit are found by what they name, or by what was signed for.
#[test]
fn forged_removals_are_found() {
    let mut kept = Kept::new(300);
    let removal = kept.record();
    let last = kept.sealed.segments().pop().unwrap();
    let text = fs::read_to_string(&last).unwrap();
    let forged = |from: &str, to: &str| {
        let lines = text.lines().map(|line| match line.rsplit_once(",\"crc\"") {
            Some((covered, _)) if covered.contains("\"kind\":\"removal\"") => {
                let covered = covered.replacen(from, to, 1);
                format!("{covered},\"crc\":\"{:08x}\"}}\n", crc32c::crc32c(covered.as_bytes()))
            }
            _ => format!("{line}\n"),
        });
        lines.collect::<String>()
    };
    let (subtree, other) = (removal.subtrees[0].to_string(), "0".repeat(64));
    let changes = [
        (format!("\"bytes\":{}", removal.bytes), format!("\"bytes\":{}", removal.bytes + 1)),
        (format!("\"last\":{}", removal.last), format!("\"last\":{}", removal.last + 1)),
        (removal.sha256.clone(), other.clone()),
        (subtree.clone(), other.clone()),
    ];
    // While the segment is there, all of it can be compared.
    for (from, to) in &changes {
        let found = with(&last, forged(from, to).as_bytes(), || kept.verified());
        assert_eq!(flaw(found), Flaw::Removal, "{from} → {to}");
    }
    assert!(carry_out(kept.sealed.path(), &removal).unwrap());
    let found = changes.map(|(from, to)| with(&last, forged(&from, &to).as_bytes(), || kept.verified()));
    // Its time and that of the next segment say that it went too early.
    for (from, to) in [("\"keep_days\":400", "\"keep_days\":402"), ("\"until\":\"2", "\"until\":\"3")] {
        let found = with(&last, forged(from, to).as_bytes(), || kept.verified());
        assert_eq!(flaw(found), Flaw::Removal, "{from} → {to}");
    }
    let [bytes, entry, digest, subtrees] = found;
    assert!(matches!(flaw(bytes), Flaw::Predecessor { .. }));
    // No entry says any more that exactly these were removed.
    assert_eq!(flaw(entry), Flaw::Missing);
    assert_eq!(flaw(digest), Flaw::PredecessorDigest);
    let noted = subtrees.unwrap().noted;
    assert!(noted.iter().skip(usize::try_from(removal.last).unwrap()).all(|noted| *noted == Noted::Changed));
    let fewer = forged(&format!("\"{subtree}\","), "").replacen(&format!("[\"{subtree}\"]"), "[]", 1);
    assert_eq!(flaw(with(&last, fewer.as_bytes(), || kept.verified())), Flaw::Removal);
    kept.holds();
}

#[test]
fn heads_of_removed_entries_need_their_tiles() {
    let mut kept = Kept::new(300);
    let removal = kept.remove();
    let size = usize::try_from(removal.last).unwrap();
    let other = TreeHead { root: kept.heads[0].root, ..kept.heads[size / 2] };
    let noted = |heads: &[TreeHead]| verify(kept.sealed.path(), heads, &mut |_, _| {}).unwrap().noted;
    assert_eq!(noted(&[kept.heads[size / 2], other]), [Noted::Kept, Noted::Changed]);
    let tile = folder(kept.sealed.path()).join("tile/0/000");
    let mut wrong = fs::read(&tile).unwrap();
    wrong[5] ^= 1;
    let heads = [kept.heads[size / 2], kept.heads[size]];
    assert_eq!(with(&tile, &wrong, || noted(&heads)), [Noted::Unknown, Noted::Kept]);
    assert_eq!(with(&tile, b"", || noted(&heads)), [Noted::Unknown, Noted::Kept]);
}

/// Tiles are made anew from the hashes of leaves, which are nowhere else.
#[test]
fn a_start_needs_the_leaves_of_removed_entries() {
    let mut kept = Kept::new(600);
    (0..6).for_each(|_| drop(kept.remove()));
    kept.seal();
    let tree = folder(kept.sealed.path());
    fs::remove_dir_all(tree.join("tile/1")).unwrap();
    kept.grow(1);
    kept.seal();
    fs::remove_file(checkpoint_file(kept.sealed.path())).unwrap();
    kept.grow(1);
    kept.seal();
    let tile = tree.join("tile/0/000");
    let mut wrong = fs::read(&tile).unwrap();
    wrong[5] ^= 1;
    let found = with(&tile, &wrong, || kept.sealed.open().map(drop));
    assert!(matches!(found, Err(LedgerError::LeavesGone { .. })), "{found:?}");
    let aside = kept.sealed.path().join("aside");
    fs::rename(&tree, &aside).unwrap();
    let found = kept.sealed.open().map(drop);
    assert!(matches!(found, Err(LedgerError::LeavesGone { .. })), "{found:?}");
    fs::remove_dir_all(&tree).ok();
    fs::rename(&aside, &tree).unwrap();
    kept.seal();
    kept.holds();
}

#[test]
fn readers_cope_with_a_beginning_that_goes_away() {
    let mut kept = Kept::new(300);
    let path = kept.sealed.path().to_path_buf();
    let mut tail = Tail::new(&path, 0);
    assert_eq!(tail.next_raw().unwrap().unwrap().place.seq, 1);
    let mut batches = Batches::new(&path, 1);
    let removals = [kept.remove(), kept.remove()];
    // What it has open it reads to the end; what comes next is gone.
    let gone = loop {
        match tail.next_raw() {
            Ok(Some(line)) => assert!(line.place.seq <= removals[0].last),
            other => break other,
        }
    };
    assert!(matches!(gone, Err(LedgerError::Vanished { .. })), "{gone:?}");
    let found = batches.read(5, BatchLimits { lines_max: 3, bytes_max: 1000 });
    assert!(matches!(found, Err(BatchError::Gone { wanted: 1, kept }) if kept == removals[1].last + 1));
    assert_eq!(entries(&path, 0).next().unwrap().unwrap().place.seq, removals[1].last + 1);
    kept.grow(1);
    kept.holds();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Whatever is written, signed and removed when, every head that ever stood for the ledger still does.
    #[test]
    fn nothing_that_was_signed_stops_holding(steps in prop::collection::vec((0_usize..90, 0_usize..4), 1..8)) {
        let mut kept = Kept::new(1);
        for (requests, removals) in steps {
            kept.grow(requests);
            kept.seal();
            for _ in 0..removals {
                let oldest = oldest(kept.sealed.path()).unwrap();
                if oldest.is_some_and(|oldest| oldest.signed_for() <= kept.tree.size()) {
                    kept.remove();
                    kept.seal();
                }
            }
            kept.holds();
        }
    }
}
