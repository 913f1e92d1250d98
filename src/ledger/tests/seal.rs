//! Checkpoints over a ledger that grows, over restarts, and over a ledger that somebody changed in between.
#![expect(clippy::disallowed_methods, reason = "edge: tests look at and damage the ledger's files")]

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::note::{name, signer};
use super::{Standing, all, decided, options, outcome};
use crate::ledger::append::LedgerOptions;
use crate::ledger::checkpoint;
use crate::ledger::error::LedgerError;
use crate::ledger::evidence::{Evidence, EvidenceError, Prover};
use crate::ledger::folder::{plain, segment_name, segments};
use crate::ledger::journal::Journal;
use crate::ledger::note::VerifierKey;
use crate::ledger::open;
use crate::ledger::seal::{Mended, Sealer, checkpoint_file, folder};
use crate::ledger::tiled::WrongTiles;
use crate::ledger::tree::{HASH_BYTES, Tree, TreeHead};
use crate::ledger::verify::verify;
use crate::model::keys::SigningKey;

/// A ledger, its key, and what follows it.
pub(super) struct Sealed {
    dir: tempfile::TempDir,
    private: String,
    pub(super) key: VerifierKey,
    pub(super) journal: Journal,
    pub(super) clock: Standing,
}

impl Sealed {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let private = SigningKey::generate().unwrap();
        let key = Self::signer(&private).verifier().clone();
        let options = LedgerOptions { segment_bytes_max: 20_000, ..options(dir.path()) };
        let clock = Standing::default();
        let (journal, _) = open::open(&options, clock.clock(), plain()).unwrap();
        Self { dir, private, key, journal, clock }
    }

    /// Its folder and its journal by themselves.
    pub(super) fn apart(self) -> (tempfile::TempDir, Journal) {
        (self.dir, self.journal)
    }

    fn signer(private: &str) -> crate::ledger::note::Signer {
        let key = SigningKey::parse(private).unwrap();
        crate::ledger::note::Signer::new(name("crm/ledger"), key).unwrap()
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Adds decided requests, as one batch each.
    pub(super) fn grow(&mut self, requests: usize) {
        for number in 0..requests {
            let id = format!("{}-{number}", self.journal.last_seq());
            let entries = [decided(&id), outcome(&id)].map(|entry| entry.prepare().unwrap());
            self.journal.commit(&entries).unwrap();
        }
    }

    pub(super) fn open(&self) -> Result<Sealer, LedgerError> {
        let signers = vec![Self::signer(&self.private)];
        Sealer::open(self.path(), None, name("crm/ledger"), signers)
    }

    /// What all lines so far come to, by the tree alone.
    fn head(&self) -> TreeHead {
        let mut tree = Tree::default();
        all(self.path()).iter().for_each(|line| tree.push(&line.bytes));
        tree.head()
    }

    pub(super) fn segments(&self) -> Vec<PathBuf> {
        let folder = self.path().join("ledger");
        segments(&folder).unwrap().into_iter().map(|first_seq| folder.join(segment_name(first_seq))).collect()
    }

    pub(super) fn read(&self, note: &str) -> TreeHead {
        checkpoint::open(note, std::slice::from_ref(&self.key)).unwrap().head
    }
}

#[test]
fn a_checkpoint_stands_for_all_that_is_durable_over_restarts() {
    let mut sealed = Sealed::new();
    // Around the sizes where tiles become full, and where a level begins.
    for requests in [0, 1, 126, 1, 1, 127, 130, 400] {
        sealed.grow(requests);
        let mut sealer = sealed.open().unwrap();
        let note = sealer.seal(sealed.journal.last_seq()).unwrap();
        assert_eq!(sealed.read(&note), sealed.head());
        assert_eq!(fs::read_to_string(checkpoint_file(sealed.path())).unwrap(), note);
        // In the same life, too, and the same again where nothing was added.
        sealed.grow(3);
        let later = sealer.seal(sealed.journal.last_seq()).unwrap();
        assert_eq!(sealed.read(&later), sealed.head());
        assert_eq!(sealer.seal(sealed.journal.last_seq()).unwrap(), later);
    }
    assert!(sealed.journal.last_seq() > 1024, "a second level has several hashes");
}

/// The tree of 70,000 leaves in the specification, and smaller ones.
#[test]
fn tiles_lie_where_their_specification_says() {
    let mut sealed = Sealed::new();
    let first = usize::try_from(sealed.journal.last_seq()).unwrap();
    assert_eq!(first, 1);
    sealed.grow(300);
    let size = sealed.journal.last_seq();
    sealed.open().unwrap().seal(size).unwrap();
    let size = usize::try_from(size).unwrap();
    let tree = folder(sealed.path());
    let lines = all(sealed.path());
    let leaves: Vec<u8> =
        lines.iter().flat_map(|line| *crate::ledger::tree::Hash::leaf(&line.bytes).as_bytes()).collect();
    let full = fs::read(tree.join("tile/0/000")).unwrap();
    assert_eq!(full, leaves[..256 * HASH_BYTES]);
    let last = size / 256;
    let partial = fs::read(tree.join(format!("tile/0/{last:03}.p/{}", size % 256))).unwrap();
    assert_eq!(partial, leaves[last * 256 * HASH_BYTES..]);
    let level = fs::read(tree.join(format!("tile/1/000.p/{last}"))).unwrap();
    let mut first = Tree::default();
    lines[..256].iter().for_each(|line| first.push(&line.bytes));
    assert_eq!(level[..HASH_BYTES], *first.head().root.as_bytes());
    assert!(!tree.join("tile/0/000.p").exists(), "a full tile has no narrower ones");
}

#[test]
fn a_ledger_that_is_not_the_one_that_was_signed_for_is_refused() {
    let mut sealed = Sealed::new();
    sealed.grow(200);
    let signed = sealed.journal.last_seq();
    sealed.open().unwrap().seal(signed).unwrap();
    // Cut by its last line.
    let last = sealed.segments().pop().unwrap();
    let text = fs::read_to_string(&last).unwrap();
    let (fewer, _) = text.trim_end().rsplit_once('\n').unwrap();
    fs::write(&last, format!("{fewer}\n")).unwrap();
    let found = sealed.open().map(drop);
    assert!(
        matches!(found, Err(LedgerError::RolledBack { signed: size, found, .. }) if size == signed && found == size - 1)
    );
    // Cut by everything.
    let aside = sealed.path().join("aside");
    fs::rename(sealed.path().join("ledger"), &aside).unwrap();
    assert!(matches!(sealed.open().map(drop), Err(LedgerError::RolledBack { .. })));
    fs::rename(aside, sealed.path().join("ledger")).unwrap();
    fs::write(&last, text).unwrap();
    // Another name.
    let found = Sealer::open(sealed.path(), None, name("other"), vec![signer("other")]).map(drop);
    let found = found.unwrap_err().to_string();
    assert!(found.ends_with("; `origin` stays for good: write `crm/ledger` again"), "{found}");
    // Another ledger of the same size, whole in itself.
    let mut other = Sealed::new();
    other.private.clone_from(&sealed.private);
    // Other ids, as the numbers start anew each time.
    (0..201).for_each(|_| other.grow(1));
    let (ours, theirs) = (folder(sealed.path()), folder(other.path()));
    fs::create_dir_all(&theirs).unwrap();
    fs::copy(ours.join("checkpoint"), theirs.join("checkpoint")).unwrap();
    let found = other.open().map(drop);
    assert!(matches!(found, Err(LedgerError::Rewritten { signed: size, .. }) if size == signed), "{found:?}");
    // What is no checkpoint.
    fs::write(theirs.join("checkpoint"), "nothing").unwrap();
    assert!(matches!(other.open().map(drop), Err(LedgerError::Checkpoint { .. })));
    assert_eq!(sealed.open().unwrap().signed().unwrap().size, signed);
}

#[test]
fn a_key_that_nobody_knew_before_does_not_sign_on() {
    let mut sealed = Sealed::new();
    sealed.grow(3);
    sealed.open().unwrap().seal(sealed.journal.last_seq()).unwrap();
    let open = |signers| Sealer::open(sealed.path(), None, name("crm/ledger"), signers).map(drop);
    let found = open(vec![signer("crm/ledger")]).unwrap_err();
    assert!(found.to_string().contains("name the old one as `previous_key_file`"), "{found}");
    open(vec![signer("crm/ledger"), Sealed::signer(&sealed.private)]).unwrap();
}

/// Somebody put an older state folder back; what was exported is younger.
#[test]
fn an_exported_checkpoint_counts_as_our_own() {
    let mut sealed = Sealed::new();
    sealed.grow(3);
    let elsewhere = tempfile::tempdir().unwrap();
    let exported = elsewhere.path().join("checkpoint");
    let note = sealed.open().unwrap().seal(sealed.journal.last_seq()).unwrap();
    fs::write(&exported, note).unwrap();
    let open = |sealed: &Sealed| {
        let signers = vec![Sealed::signer(&sealed.private)];
        Sealer::open(sealed.path(), Some(&exported), name("crm/ledger"), signers).map(drop)
    };
    open(&sealed).unwrap();
    fs::remove_dir_all(folder(sealed.path())).unwrap();
    open(&sealed).unwrap();
    let last = sealed.segments().pop().unwrap();
    let text = fs::read_to_string(&last).unwrap();
    let (fewer, _) = text.trim_end().rsplit_once('\n').unwrap();
    fs::write(&last, format!("{fewer}\n")).unwrap();
    let refused = open(&sealed).unwrap_err();
    let is_named = matches!(&refused, LedgerError::RolledBack { path, .. } if *path == exported);
    assert!(is_named, "the file that is there: {refused}");
}

/// A proof that does not hold is not given out.
#[test]
fn nothing_is_proved_from_a_tile_that_is_not_what_it_was() {
    let mut sealed = Sealed::new();
    sealed.grow(200);
    sealed.open().unwrap().seal(sealed.journal.last_seq()).unwrap();
    let (prover, line) = (Prover::open(sealed.path()).unwrap().unwrap(), all(sealed.path())[4].bytes.clone());
    assert!(prover.prove(5, &line).unwrap().is_some());
    assert!(matches!(prover.prove(5, b"another"), Err(LedgerError::Rewritten { .. })));
    let tile = folder(sealed.path()).join("tile/0/000");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[HASH_BYTES * 5] ^= 1;
    fs::write(&tile, bytes).unwrap();
    assert!(matches!(prover.prove(5, &line), Err(LedgerError::Rewritten { .. })));
}

/// Tiles are not synced, so a crash of the machine may leave anything.
#[test]
fn tiles_that_are_gone_or_wrong_are_made_anew() {
    let mut sealed = Sealed::new();
    sealed.grow(400);
    let mut sealer = sealed.open().unwrap();
    sealer.seal(sealed.journal.last_seq()).unwrap();
    let tile = folder(sealed.path()).join("tile/0/001");
    let before = fs::read(&tile).unwrap();
    let mut wrong = before.clone();
    wrong[5] ^= 1;
    for damage in [Some(wrong), Some(Vec::new()), Some(vec![0; before.len()]), None] {
        match damage {
            Some(bytes) => fs::write(&tile, bytes).unwrap(),
            None => fs::remove_file(&tile).unwrap(),
        }
        sealed.grow(1);
        let note = sealed.open().unwrap().seal(sealed.journal.last_seq()).unwrap();
        assert_eq!(sealed.read(&note), sealed.head());
        assert_eq!(fs::read(&tile).unwrap(), before);
    }
}

/// Also those that no checkpoint needs any more, which opening does not look at.
#[test]
fn verification_finds_tiles_that_are_not_what_the_entries_make() {
    let mut sealed = Sealed::new();
    sealed.grow(400);
    sealed.open().unwrap().seal(sealed.journal.last_seq()).unwrap();
    let wrong = || verify(sealed.path(), &[], &mut |_, _| {}).unwrap().tiles;
    assert_eq!(wrong(), WrongTiles::default());
    let tiles = ["tile/0/000", "tile/0/002"].map(|name| folder(sealed.path()).join(name));
    for tile in &tiles {
        let mut bytes = fs::read(tile).unwrap();
        bytes[5] ^= 1;
        fs::write(tile, bytes).unwrap();
    }
    assert_eq!(wrong(), WrongTiles { count: 2, first: Some(tiles[0].clone()) });
    // One that is not there says nothing wrong.
    tiles.iter().for_each(|tile| fs::remove_file(tile).unwrap());
    assert_eq!(wrong(), WrongTiles::default());
}

/// What the tile above says otherwise is not written beside it: either may be the wrong one, and verification says which.
#[test]
fn a_tile_that_does_not_fit_the_one_above_is_not_made() {
    let mut sealed = Sealed::new();
    sealed.grow(400);
    let mut sealer = sealed.open().unwrap();
    sealer.seal(sealed.journal.last_seq()).unwrap();
    let [tile, above] = ["tile/0/000", "tile/1/000.p/3"].map(|name| folder(sealed.path()).join(name));
    let before = fs::read(&above).unwrap();
    let mut wrong = before.clone();
    wrong[5] ^= 1;
    fs::write(&above, wrong).unwrap();
    fs::remove_file(&tile).unwrap();
    assert_eq!(sealer.mend().unwrap(), Mended { made: 0, lost: 1 });
    assert!(!tile.exists());
    fs::write(&above, before).unwrap();
    assert_eq!(sealer.mend().unwrap(), Mended { made: 1, lost: 0 });
}

/// Those that opening does not look at: 65,536 entries make a full tile of the second level.
#[test]
fn full_tiles_that_are_gone_are_made_anew_of_their_entries() {
    let mut sealed = Sealed::new();
    for batch in 0..66 {
        let id = |number| format!("{batch}-{number}");
        let entries: Vec<_> = (0..1_000).map(|number| outcome(&id(number)).prepare().unwrap()).collect();
        sealed.journal.commit(&entries).unwrap();
    }
    sealed.open().unwrap().seal(sealed.journal.last_seq()).unwrap();
    let tree = folder(sealed.path());
    let names = ["tile/0/003", "tile/0/004", "tile/0/100", "tile/1/000"];
    let read = || names.map(|name| fs::read(tree.join(name)).unwrap());
    let before = read();
    assert!(before.iter().all(|tile| tile.len() == 256 * HASH_BYTES));
    for name in &names[..2] {
        fs::remove_file(tree.join(name)).unwrap();
    }
    fs::write(tree.join(names[2]), &before[2][..100]).unwrap();
    let sealer = sealed.open().unwrap();
    fs::remove_file(tree.join(names[3])).unwrap();
    let line = &all(sealed.path())[800].bytes;
    let prove = || Prover::open(sealed.path()).unwrap().unwrap().prove(801, line);
    assert!(matches!(prove(), Err(LedgerError::NoTile { .. })));
    assert_eq!(sealer.mend().unwrap(), Mended { made: 4, lost: 0 });
    assert_eq!(read(), before);
    assert!(prove().unwrap().is_some());
    assert_eq!(sealer.mend().unwrap(), Mended::default());
    // Of entries that are gone nothing can be made; others still can.
    let first_kept = sealed.segments().into_iter().position(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        name.as_str() > segment_name(1_025).as_str()
    });
    sealed.segments()[..first_kept.unwrap()].iter().for_each(|path| fs::remove_file(path).unwrap());
    for name in &names[1..3] {
        fs::remove_file(tree.join(name)).unwrap();
    }
    assert_eq!(sealer.mend().unwrap(), Mended { made: 1, lost: 1 });
    assert_eq!(fs::read(tree.join(names[2])).unwrap(), before[2]);
}

#[test]
fn each_entry_has_evidence_that_needs_nothing_else() {
    let mut sealed = Sealed::new();
    sealed.grow(290);
    let size = sealed.journal.last_seq();
    sealed.open().unwrap().seal(size).unwrap();
    sealed.grow(1);
    let prover = Prover::open(sealed.path()).unwrap().unwrap();
    let keys = std::slice::from_ref(&sealed.key);
    for line in all(sealed.path()) {
        let (seq, evidence) = (line.place.seq, prover.prove(line.place.seq, &line.bytes).unwrap());
        let Some(evidence) = evidence else {
            assert!(seq > size, "the checkpoint is for all up to {size}");
            continue;
        };
        let read: Evidence = evidence.to_string().parse().unwrap();
        assert_eq!(read, evidence);
        assert_eq!(read.check(keys).unwrap().head.size, size);
        let other = Evidence { line: b"another".to_vec(), ..read.clone() };
        assert_eq!(other.check(keys), Err(EvidenceError::NotIncluded));
        let elsewhere = Evidence { index: read.index ^ 1, ..read };
        assert!(elsewhere.check(keys).is_err());
    }
    let late = Evidence { index: size, ..prover.prove(1, &all(sealed.path())[0].bytes).unwrap().unwrap() };
    assert_eq!(late.check(keys), Err(EvidenceError::NotYet { size, seq: size + 1 }));
    assert_eq!(prover.prove(0, b"").unwrap(), None);
}

#[test]
fn texts_that_are_no_evidence() {
    let mut sealed = Sealed::new();
    sealed.grow(3);
    sealed.open().unwrap().seal(sealed.journal.last_seq()).unwrap();
    let prover = Prover::open(sealed.path()).unwrap().unwrap();
    let text = prover.prove(2, &all(sealed.path())[1].bytes).unwrap().unwrap().to_string();
    let read = |text: &str| text.parse::<Evidence>();
    assert_eq!(read(""), Err(EvidenceError::Form { line: 1 }));
    assert_eq!(read(&text.replace("@v1", "@v2")), Err(EvidenceError::Form { line: 1 }));
    assert_eq!(read(&text.replace("extra ", "")), Err(EvidenceError::NoEntry));
    assert_eq!(read(&text.replace("index 1", "index 01")), Err(EvidenceError::Form { line: 3 }));
    assert_eq!(read(&text.replace("index 1", "index x")), Err(EvidenceError::Form { line: 3 }));
    assert_eq!(read(&text.replace("index 1\n", "index 1\nAAAA\n")), Err(EvidenceError::Form { line: 4 }));
    assert_eq!(read(&format!("{text}{}", "x".repeat(1 << 20))), Err(EvidenceError::TooLong));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever the sealer was told when, the last checkpoint stands for what is there, and each begins with the one before.
    #[test]
    fn checkpoints_never_contradict_each_other(steps in prop::collection::vec((0_usize..90, any::<bool>()), 1..12)) {
        let mut sealed = Sealed::new();
        let mut sealer = sealed.open().unwrap();
        for (requests, restarts) in steps {
            sealed.grow(requests);
            if restarts {
                sealer = sealed.open().unwrap();
            }
            let note = sealer.seal(sealed.journal.last_seq()).unwrap();
            prop_assert_eq!(sealed.read(&note), sealed.head());
        }
    }
}
