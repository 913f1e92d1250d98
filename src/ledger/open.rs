//! What a start makes of the files: the last segment is read, made durable and a torn tail cut, open decisions closed as unknown.
//!
//! Promises: a start that returns goes on behind the last intact line; damage refuses the start and changes
//! nothing. Never reads older segments: `audit verify` does. Never removes entries, whatever they say of each other.

use super::append::LedgerOptions;
use super::clock::Clock;
use super::entry::{Delivered, Entry, Outcome, Release};
use super::error::LedgerError;
use super::folder::{Folder, Wrap, segment_name};
use super::journal::{Journal, JournalLife};
use super::own::{Previous, Recovered};
use super::prepare::Prepared;
use super::recover::{End, Scan};
use super::removal::Removal;

/// What a start found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The first entry of the oldest segment that is kept; 0 in a new ledger.
    pub oldest_seq: u64,
    /// The last entry, those that recovery added included.
    pub last_seq: u64,
    /// The file whose torn tail was cut, if one was.
    pub cut_file: Option<String>,
    /// How many bytes were cut.
    pub cut_bytes: u64,
    /// How many decisions were closed as unknown.
    pub closed: usize,
    /// The removal of the oldest segment, if the last one says so and it is still there.
    pub recorded: Option<Removal>,
    /// When the last entry before this start was written, in nanoseconds since 1970.
    pub ended_ns: Option<i128>,
}

/// Opens the journal under the options' state folder.
pub(super) fn open(
    options: &LedgerOptions,
    clock: Clock,
    wrap: Wrap,
) -> Result<(Journal, RecoveryReport), LedgerError> {
    let folder = Folder::open(&options.dir, wrap)?;
    let found = last_segment(&folder)?;
    let mut report = RecoveryReport::default();
    for headless in &found.headless {
        note_cut(&mut report, *headless, folder.bytes(*headless)?.unwrap_or_default());
        folder.remove(*headless)?;
    }
    report.oldest_seq = folder.segments()?.first().copied().unwrap_or_default();
    if let Some((first_seq, scan)) = &found.last {
        // What a process wrote and did not sync before it was killed is read like all else, so it must be as durable.
        folder.sync(*first_seq)?;
        let mut recorded = scan.life.removals.iter().rev().map(|removed| &removed.removal);
        report.recorded = recorded.find(|removal| removal.first == report.oldest_seq).cloned();
        report.ended_ns = Some(scan.ended_ns);
    }
    let life = JournalLife {
        clock,
        boot: options.boot.clone(),
        segment_bytes_max: options.segment_bytes_max,
        segment_ms_max: options.segment_ms_max,
    };
    let journal = if let Some((first_seq, scan)) = found.last {
        if let End::Torn(bytes, _) = scan.end {
            folder.cut(first_seq, scan.bytes)?;
            note_cut(&mut report, first_seq, bytes);
        }
        let open: Vec<String> = scan.open.iter().cloned().collect();
        let journal = Journal::resume(folder, life, first_seq, scan)?;
        finish(journal, first_seq, &open, &mut report)?
    } else {
        let next_seq = found.headless.last().copied().unwrap_or(1);
        Journal::begin(folder, life, next_seq).map_err(LedgerError::Unwritable)?
    };
    report.last_seq = journal.last_seq();
    Ok((journal, report))
}

/// Where the journal ends, and what lies behind its end.
struct Found {
    /// Segments without a whole head, latest first: nothing in them was ever durable.
    headless: Vec<u64>,
    /// The last segment that has one.
    last: Option<(u64, Scan)>,
}

/// Looks from the end for the last segment that has a whole head. Changes nothing.
fn last_segment(folder: &Folder) -> Result<Found, LedgerError> {
    let mut headless = Vec::new();
    for first_seq in folder.segments()?.into_iter().rev() {
        let scan = folder.scan(first_seq)?;
        let flaw = match scan.end {
            End::Damaged(flaw) => Some(flaw),
            // A segment is begun only when all before it is durable.
            End::Torn(_, flaw) if !headless.is_empty() && scan.head_complete => Some(flaw),
            End::Clean | End::Torn(..) => None,
        };
        if let Some(flaw) = flaw {
            let (offset, line) = (scan.bytes, scan.lines + 1);
            return Err(LedgerError::Damaged { path: folder.file(first_seq), offset, line, flaw });
        }
        if scan.head_complete {
            check_predecessor(folder, first_seq, &scan)?;
            return Ok(Found { headless, last: Some((first_seq, scan)) });
        }
        headless.push(first_seq);
    }
    Ok(Found { headless, last: None })
}

fn note_cut(report: &mut RecoveryReport, first_seq: u64, bytes: u64) {
    if bytes > 0 {
        report.cut_file = Some(segment_name(first_seq));
        report.cut_bytes += bytes;
    }
}

/// The segment before must have the size that its successor noted. It may be missing only if all older ones
/// are.
fn check_predecessor(folder: &Folder, first_seq: u64, scan: &Scan) -> Result<(), LedgerError> {
    let segments = folder.segments()?;
    let Some(older) = segments.iter().rev().find(|older| **older < first_seq).copied() else { return Ok(()) };
    let bytes = folder.bytes(older)?.unwrap_or_default();
    Previous::check(scan.previous.as_ref(), &segment_name(older), bytes)
        .map_err(|flaw| LedgerError::Damaged { path: folder.file(first_seq), offset: 0, line: 1, flaw })
}

/// Closes what a former life left open, and records that it did.
fn finish(
    mut journal: Journal,
    first_seq: u64,
    open: &[String],
    report: &mut RecoveryReport,
) -> Result<Journal, LedgerError> {
    if open.is_empty() && report.cut_bytes == 0 {
        return Ok(journal);
    }
    let (cut_bytes, closed) = (report.cut_bytes, open.len());
    let file = report.cut_file.clone().unwrap_or_else(|| segment_name(first_seq));
    let recovered = Prepared::own("recovered", &Recovered { file, cut_bytes, closed })?;
    let outcomes = open.iter().map(|id| unknown(id).prepare());
    let entries = outcomes.chain([Ok(recovered)]).collect::<Result<Vec<_>, _>>()?;
    journal.commit(&entries).map_err(LedgerError::Unwritable)?;
    report.closed = closed;
    Ok(journal)
}

/// The outcome of a decision whose process ended before it said so.
fn unknown(id: &str) -> Entry {
    Entry::Outcome(Outcome {
        of: id.to_owned(),
        status: None,
        upstream: None,
        released: Release::Unknown,
        bytes: None,
        delivered: Delivered::Unknown,
        reason: Some("recovered".to_owned()),
        mode: None,
        sets: Vec::new(),
        stage: None,
        part: None,
    })
}
