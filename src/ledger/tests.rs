//! Tests of the ledger, and what they share: entries, a clock, and a disk that fails when told to.

mod batches;
mod durability;
mod golden;
mod handles;
mod line;
mod note;
mod open;
mod proof;
mod read;
mod recover;
mod retain;
mod revisions;
mod seal;
mod split;
mod verify;
mod writer;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::append::LedgerOptions;
use super::clock::Clock;
use super::entry::Sets;
use super::field_set::FieldSet;
use super::folder::{SegmentFile, Wrap};
use super::made_up::{decided, decision, outcome};
use super::read::{Line, entries};

/// A clock that stands until it is moved.
#[derive(Clone, Default)]
pub(super) struct Standing(Arc<AtomicI64>);

impl Standing {
    pub(super) fn clock(&self) -> Clock {
        let now_ms = Arc::clone(&self.0);
        Arc::new(move || {
            i128::from(1_795_000_000_000 + now_ms.load(Ordering::SeqCst)) * 1_000_000 + 123_456_789
        })
    }

    pub(super) fn pass_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

/// A disk under the segments: counts, fails the nth operation, or hangs.
#[derive(Default)]
pub(super) struct Disk {
    /// Operations (writes and syncs) so far.
    pub(super) operations: AtomicUsize,
    /// Operations from this one on fail, counted from 1; 0 for none.
    pub(super) fail_from: AtomicUsize,
    /// How many fail.
    pub(super) failures: AtomicUsize,
    /// Held by a test for as long as syncs shall hang.
    pub(super) gate: Mutex<()>,
}

impl Disk {
    pub(super) fn wrap(self: &Arc<Self>) -> Wrap {
        let disk = Arc::clone(self);
        Arc::new(move |file| Box::new(OnDisk { disk: Arc::clone(&disk), file }))
    }

    /// Lets `failures` operations fail, from the next but `skip`.
    pub(super) fn fail(&self, skip: usize, failures: usize) {
        let next = self.operations.load(Ordering::SeqCst) + 1;
        self.failures.store(failures, Ordering::SeqCst);
        self.fail_from.store(next + skip, Ordering::SeqCst);
    }

    fn operation(&self) -> io::Result<()> {
        let number = self.operations.fetch_add(1, Ordering::SeqCst) + 1;
        let from = self.fail_from.load(Ordering::SeqCst);
        if from > 0 && (from..from + self.failures.load(Ordering::SeqCst)).contains(&number) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }
}

struct OnDisk {
    disk: Arc<Disk>,
    file: File,
}

impl SegmentFile for OnDisk {
    /// A write that fails leaves half of its bytes behind.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.disk.operation() {
            self.file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.operation()?;
        drop(self.disk.gate.lock().unwrap());
        self.file.sync_data()
    }
}

/// Options with entries that nobody waits for written at once.
pub(super) fn options(dir: &Path) -> LedgerOptions {
    LedgerOptions { soon_wait_ms: 0, ..LedgerOptions::new(dir, "boot-1") }
}

pub(super) fn shown(names: &[&str], ids: Vec<String>) -> Sets {
    let (shown, hidden) = (FieldSet::of(names.iter().copied()), FieldSet::of(["Deal.margin"]));
    let masked = FieldSet::default();
    Sets { record_type: "Deal".into(), shown, hidden, masked, ids, policies: vec!["own-deals".into()] }
}

/// All entries, which must be whole.
pub(super) fn all(dir: &Path) -> Vec<Line> {
    let lines: Vec<Line> = entries(dir, 0).collect::<Result<_, _>>().unwrap();
    let seqs: Vec<u64> = lines.iter().map(|line| line.place.seq).collect();
    assert_eq!(seqs, (1..=lines.len() as u64).collect::<Vec<_>>(), "seq has no gaps");
    lines
}

/// Kinds in order, with what they are about.
pub(super) fn kinds(dir: &Path) -> Vec<String> {
    let name = |line: &Line| match line.value.get("id").or(line.value.get("of")) {
        Some(id) => format!("{} {}", line.kind, id.as_str().unwrap()),
        None => line.kind.clone(),
    };
    all(dir).iter().map(name).collect()
}
