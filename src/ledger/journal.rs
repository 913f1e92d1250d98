//! The segments as a journal: numbers entries, lands batches, begins segments, and comes back after a fault.
//!
//! Promises: what was synced is durable; all lines between two syncs are one batch; after a fault nothing of a batch that was not
//! synced stays, what had been acknowledged of it is counted, and the failed file gets no further line. Never waits for anything
//! but the file system.

use std::collections::{BTreeSet, HashSet};

use sha2::{Digest as _, Sha256};

use super::clock::Clock;
use super::durability::Durability;
use super::error::{Fault, FaultStep, LedgerError};
use super::folder::{Folder, SegmentFile, segment_name};
use super::line::{self, Flaw, Place};
use super::own::{FIELDS, GAP, Gap, Previous, SEGMENT, SegmentHead};
use super::prepare::{OpenEffect, Prepared};
use super::recover::{End, Scan};
use super::split;
use crate::model::hex::hex;

/// The journal at its end, ready for the next batch.
pub(super) struct Journal {
    folder: Folder,
    life: JournalLife,
    segment: Option<Segment>,
    next_seq: u64,
    /// The first line that is not durable, and so the batch of all lines until the next sync.
    batch_seq: u64,
    unsynced: Unsynced,
    /// Entries that were acknowledged and are gone, since somebody asked.
    lost: u64,
    open: BTreeSet<String>,
    sets: HashSet<String>,
}

/// What was written since the last sync.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unsynced {
    /// When the first of it was, in nanoseconds since 1970.
    pub(super) since_ns: i128,
    /// How many bytes it has.
    pub(super) bytes: u64,
    /// How many entries of it are acknowledged already.
    acknowledged: u64,
}

/// What holds for all that one process writes.
pub(super) struct JournalLife {
    /// What lines are stamped with.
    pub(super) clock: Clock,
    /// The process, as segment heads name it.
    pub(super) boot: String,
    /// A segment over this size is followed by a new one.
    pub(super) segment_bytes_max: u64,
    /// One that began longer ago, too.
    pub(super) segment_ms_max: u64,
}

/// The segment that holds the last line.
struct Segment {
    first_seq: u64,
    /// When it began, in nanoseconds since 1970.
    began_ns: i128,
    /// How many bytes are written.
    bytes: u64,
    /// The digest of these bytes; after a fault of more, until they are read again.
    digest: Sha256,
    /// `None` after a fault.
    file: Option<Box<dyn SegmentFile>>,
}

impl Journal {
    /// A journal whose first segment begins with entry `next_seq`, already durable with its head.
    pub(super) fn begin(folder: Folder, life: JournalLife, next_seq: u64) -> Result<Self, Fault> {
        let mut journal = Self::empty(folder, life, next_seq);
        journal.begin_segment(None)?;
        Ok(journal)
    }

    /// A journal that goes on behind the intact lines of its last segment.
    pub(super) fn resume(
        folder: Folder,
        life: JournalLife,
        first_seq: u64,
        scan: Scan,
    ) -> Result<Self, LedgerError> {
        let next_seq = scan.last.map_or(first_seq, |last| last.seq.saturating_add(1));
        let file = Some(folder.resume(first_seq)?);
        let Scan { bytes, began_ns, digest, open, sets, .. } = scan;
        let segment = Some(Segment { first_seq, began_ns, bytes, digest, file });
        Ok(Self { segment, open, sets, ..Self::empty(folder, life, next_seq) })
    }

    fn empty(folder: Folder, life: JournalLife, next_seq: u64) -> Self {
        let (open, sets, unsynced) = (BTreeSet::new(), HashSet::new(), Unsynced::default());
        Self { folder, life, segment: None, next_seq, batch_seq: next_seq, unsynced, lost: 0, open, sets }
    }

    /// The number of the last durable entry; 0 before the first.
    pub(super) fn last_seq(&self) -> u64 {
        self.batch_seq.saturating_sub(1)
    }

    /// What is written and not yet durable, if anything is.
    pub(super) fn unsynced(&self) -> Option<Unsynced> {
        (self.batch_seq != self.next_seq).then_some(self.unsynced)
    }

    /// How many acknowledged entries are gone since this was asked last.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Writes entries behind all that waits for a sync. Returns the number of each entry's last line.
    /// After an error the journal takes nothing more until [`Journal::reopen`].
    pub(super) fn write(&mut self, entries: &[Prepared]) -> Result<Vec<u64>, Fault> {
        if self.segment.as_ref().is_none_or(|segment| segment.is_over(&self.life)) {
            // A segment is begun only when all before it is durable.
            self.sync()?;
            self.begin_segment(None)?;
        }
        let mut batch = self.batch();
        let mut last_seqs = Vec::with_capacity(entries.len());
        for entry in entries {
            for set in &entry.sets {
                if self.sets.insert(set.id().to_owned()) {
                    batch.line(FIELDS, set.object());
                }
            }
            entry.objects.iter().for_each(|object| batch.line(entry.kind, object));
            last_seqs.push(batch.next_seq - 1);
        }
        self.put(&batch)?;
        for entry in entries {
            self.unsynced.acknowledged += u64::from(entry.durability == Durability::Write);
            match &entry.effect {
                OpenEffect::None => {}
                OpenEffect::Opens(id) => drop(self.open.insert(id.clone())),
                OpenEffect::Closes(id) => drop(self.open.remove(id)),
            }
        }
        Ok(last_seqs)
    }

    /// Writes entries and makes them durable.
    pub(super) fn commit(&mut self, entries: &[Prepared]) -> Result<Vec<u64>, Fault> {
        let last_seqs = self.write(entries)?;
        self.sync().map(|()| last_seqs)
    }

    /// Makes durable what was written.
    pub(super) fn sync(&mut self) -> Result<(), Fault> {
        if self.unsynced().is_none() {
            return Ok(());
        }
        let file = self.segment.as_mut().and_then(|segment| segment.file.as_mut()).ok_or_else(closed)?;
        if let Err(fault) = file.sync().map_err(Fault::at(FaultStep::Sync)) {
            self.fail();
            return Err(fault);
        }
        (self.batch_seq, self.unsynced) = (self.next_seq, Unsynced::default());
        Ok(())
    }

    /// Comes back after a fault: cuts the failed file to what was durable, reads it again, and begins a new
    /// segment with a `gap` entry. The failed file is never written to again.
    pub(super) fn reopen(&mut self, gap: &Gap) -> Result<(), Fault> {
        if let Some(segment) = &mut self.segment {
            segment.file = None;
            let (first_seq, bytes) = (segment.first_seq, segment.bytes);
            let scan = self.reread(first_seq, bytes).map_err(Fault::at(FaultStep::Recover))?;
            self.open = scan.open;
            if let Some(segment) = &mut self.segment {
                segment.digest = scan.digest;
            }
        }
        let gap = Prepared::own(GAP, gap).map_err(Fault::at(FaultStep::Recover))?;
        self.begin_segment(Some(&gap))
    }

    /// Removes and cuts what was never durable, and makes sure that what was is still there.
    fn reread(&self, first_seq: u64, bytes: u64) -> Result<Scan, LedgerError> {
        for later in self.folder.segments()?.into_iter().filter(|later| *later > first_seq) {
            self.folder.remove(later)?;
        }
        if self.folder.bytes(first_seq)?.is_some_and(|found| found > bytes) {
            self.folder.cut(first_seq, bytes)?;
        }
        let scan = self.folder.scan(first_seq)?;
        let flaw = match scan.end {
            End::Damaged(flaw) => flaw,
            End::Clean if scan.bytes == bytes => return Ok(scan),
            End::Clean | End::Torn(..) => Flaw::Cut,
        };
        let (offset, line) = (scan.bytes, scan.lines + 1);
        Err(LedgerError::Damaged { path: self.folder.file(first_seq), offset, line, flaw })
    }

    /// Begins a segment with its head, and a gap's entry if there was one, as a batch of its own.
    fn begin_segment(&mut self, gap: Option<&Prepared>) -> Result<(), Fault> {
        let began_ns = (self.life.clock)();
        let head = SegmentHead {
            boot: self.life.boot.clone(),
            previous: self.segment.as_ref().map(Segment::seal),
            open: self.open.iter().cloned().collect(),
            part: None,
        };
        let heads = split::encode(SEGMENT, &head).map_err(Fault::at(FaultStep::Create));
        let mut batch = self.batch();
        heads.inspect_err(|_| self.fail())?.iter().for_each(|object| batch.line(SEGMENT, object));
        if let Some(gap) = gap {
            gap.objects.iter().for_each(|object| batch.line(gap.kind, object));
        }
        let created = self.folder.create(batch.first_seq).map_err(Fault::at(FaultStep::Create));
        let mut file = created.inspect_err(|_| self.fail())?;
        write_and_sync(file.as_mut(), &batch.bytes).inspect_err(|_| self.fail())?;
        let mut segment = Segment {
            first_seq: batch.first_seq,
            began_ns,
            bytes: 0,
            digest: Sha256::new(),
            file: Some(file),
        };
        segment.grow(&batch);
        self.segment = Some(segment);
        self.sets.clear();
        (self.next_seq, self.batch_seq) = (batch.next_seq, batch.next_seq);
        Ok(())
    }

    /// Writes lines of the batch.
    fn put(&mut self, batch: &Batch) -> Result<(), Fault> {
        let segment = self.segment.as_mut().ok_or_else(closed)?;
        let file = segment.file.as_mut().ok_or_else(closed)?;
        if let Err(fault) = file.write(&batch.bytes).map_err(Fault::at(FaultStep::Write)) {
            // What was written before is whole, and no sync of it has failed: it can still be kept, now or never.
            drop(self.sync());
            self.fail();
            return Err(fault);
        }
        segment.grow(batch);
        if self.batch_seq == self.next_seq {
            self.unsynced.since_ns = (self.life.clock)();
        }
        self.unsynced.bytes += batch.bytes.len() as u64;
        self.next_seq = batch.next_seq;
        Ok(())
    }

    /// Closes the file for good. What was not synced is as if it had never been written.
    fn fail(&mut self) {
        let unsynced = std::mem::take(&mut self.unsynced);
        self.next_seq = self.batch_seq;
        self.lost += unsynced.acknowledged;
        if let Some(segment) = &mut self.segment {
            segment.file = None;
            segment.bytes = segment.bytes.saturating_sub(unsynced.bytes);
        }
    }

    /// Lines to be written next.
    fn batch(&self) -> Batch {
        let (first_seq, next_seq) = (self.batch_seq, self.next_seq);
        Batch { clock: self.life.clock.clone(), first_seq, next_seq, bytes: Vec::new() }
    }
}

impl Segment {
    /// Whether the next batch belongs into a new one. A clock that was put back must not keep one open for as long as that.
    fn is_over(&self, life: &JournalLife) -> bool {
        let age_ns = (life.clock)() - self.began_ns;
        let age_ns_max = i128::from(life.segment_ms_max) * NS_PER_MS;
        self.bytes > life.segment_bytes_max || !(0..=age_ns_max).contains(&age_ns)
    }

    fn grow(&mut self, batch: &Batch) {
        self.bytes += batch.bytes.len() as u64;
        self.digest.update(&batch.bytes);
    }

    fn seal(&self) -> Previous {
        let sha256 = hex(&self.digest.clone().finalize());
        Previous { file: segment_name(self.first_seq), bytes: self.bytes, sha256 }
    }
}

/// Lines of one batch, written at once.
struct Batch {
    clock: Clock,
    first_seq: u64,
    next_seq: u64,
    bytes: Vec<u8>,
}

impl Batch {
    fn line(&mut self, kind: &str, object: &[u8]) {
        let place = Place { seq: self.next_seq, batch: self.first_seq };
        line::write(&mut self.bytes, place, kind, (self.clock)(), object);
        self.next_seq += 1;
    }
}

fn write_and_sync(file: &mut dyn SegmentFile, bytes: &[u8]) -> Result<(), Fault> {
    file.write(bytes).map_err(Fault::at(FaultStep::Write))?;
    file.sync().map_err(Fault::at(FaultStep::Sync))
}

/// A commit after a fault, which the writer does not ask for.
fn closed() -> Fault {
    Fault { what: FaultStep::Recover, detail: "the segment was closed after a fault".to_owned() }
}

/// Nanoseconds in a millisecond.
const NS_PER_MS: i128 = 1_000_000;
