//! Durable lines of the ledger in batches, for whoever copies them elsewhere. [edge]
//!
//! Promises: nothing behind the entry that the caller calls durable is taken or kept, also where such lines are cut again and
//! their numbers written anew; lines come in order, each checked, none left out; memory is bounded by the batch and one line.
//! Never writes, locks or waits.
#![expect(clippy::disallowed_methods, reason = "edge: the ledger's file system")]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::error::LedgerError;
use super::folder;
use super::line::{self, Flaw};
use super::recover;

/// Lines of one segment that follow each other; at least one.
#[derive(Clone, Debug)]
pub struct Batch {
    first_seq: u64,
    bytes: Bytes,
    /// Where each line ends in `bytes`, before its line feed.
    ends: Vec<usize>,
}

/// How large a batch may become. A single larger line is a batch of its own.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Lines; at least 1.
    pub lines_max: usize,
    /// Bytes, line feeds included.
    pub bytes_max: usize,
}

/// Why there is no further batch.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The segments that held the next entries are not there any more.
    #[error("the segments with the entries {wanted} to {} are gone", kept - 1)]
    Gone {
        /// The next entry.
        wanted: u64,
        /// The first entry behind it that is kept.
        kept: u64,
    },
    /// The ledger's files cannot be read, or are not what was written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A place in a ledger that grows.
#[derive(Debug)]
pub struct Batches {
    folder: PathBuf,
    next_seq: u64,
    at: Option<At>,
}

/// Where the next line begins. Nothing is kept of what stands behind it: that may not be durable.
#[derive(Clone, Copy, Debug)]
struct At {
    segment: u64,
    offset: u64,
    line: u64,
}

impl Batch {
    /// The number of its first entry.
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// The number of its last entry.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        (self.first_seq + self.ends.len() as u64).saturating_sub(1)
    }

    /// How many entries it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// All lines with their line feeds.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Each line without its line feed.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let starts = [0].into_iter().chain(self.ends.iter().map(|end| end + 1));
        starts.zip(&self.ends).map(|(start, end)| self.bytes.get(start..*end).unwrap_or_default())
    }

    /// The last line without its line feed.
    #[must_use]
    pub fn last_line(&self) -> &[u8] {
        self.lines().last().unwrap_or_default()
    }
}

impl Batches {
    /// A place before entry `next_seq`.
    #[must_use]
    pub fn new(state: &Path, next_seq: u64) -> Self {
        Self { folder: folder::path_under(state), next_seq, at: None }
    }

    /// The line of one entry that is durable.
    ///
    /// # Errors
    /// As [`Batches::read`].
    pub fn line(state: &Path, seq: u64) -> Result<Option<Batch>, BatchError> {
        Self::new(state, seq).read(seq, BatchLimits { lines_max: 1, bytes_max: 0 })
    }

    /// The number of the next entry.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The next entries up to `durable_seq`; `None` where there are none. Blocks on the file system.
    ///
    /// # Errors
    /// Segments that are gone, damage, or a file system that refuses. The place then stays where it is.
    pub fn read(&mut self, durable_seq: u64, limits: BatchLimits) -> Result<Option<Batch>, BatchError> {
        if self.next_seq > durable_seq {
            return Ok(None);
        }
        let mut at = match self.at {
            Some(at) => at,
            None => self.enter()?,
        };
        loop {
            let found = self.gather(&mut at, durable_seq, limits)?;
            if let Some(batch) = found {
                self.next_seq = batch.last_seq() + 1;
                self.at = Some(at);
                return Ok(Some(batch));
            }
            at = self.successor(at)?;
        }
    }

    /// Finds the segment that holds the next entry, and where that begins.
    fn enter(&self) -> Result<At, BatchError> {
        let segments = folder::segments(&self.folder)?;
        let holding = segments.iter().rev().find(|first_seq| **first_seq <= self.next_seq);
        let Some(segment) = holding.copied() else {
            let kept = segments.first().copied().unwrap_or(u64::MAX);
            return Err(BatchError::Gone { wanted: self.next_seq, kept });
        };
        let mut at = At { segment, offset: 0, line: 0 };
        let (path, mut reader) = self.open(at)?;
        let mut bytes = Vec::new();
        // Numbers have no gaps, so lines are counted and not looked into.
        while at.line < self.next_seq - segment {
            bytes.clear();
            let read = reader.read_until(b'\n', &mut bytes).map_err(LedgerError::io("read", &path))?;
            if !bytes.ends_with(b"\n") {
                return Err(self.behind_the_end(at)?);
            }
            at.offset += read as u64;
            at.line += 1;
        }
        Ok(at)
    }

    /// Lines from a place on, as many as fit; `None` where the segment has no more.
    fn gather(
        &self,
        at: &mut At,
        durable_seq: u64,
        limits: BatchLimits,
    ) -> Result<Option<Batch>, LedgerError> {
        let (path, mut reader) = self.open(*at)?;
        let (mut bytes, mut ends, mut line) = (Vec::new(), Vec::new(), Vec::new());
        let first_seq = at.segment + at.line;
        while at.segment + at.line <= durable_seq && ends.len() < limits.lines_max.max(1) {
            line.clear();
            let damaged = |flaw| LedgerError::Damaged {
                path: path.clone(),
                offset: at.offset,
                line: at.line + 1,
                flaw,
            };
            let read = recover::next_line(&mut reader, &mut line).map_err(LedgerError::io("read", &path))?;
            let Some(found) = read else { break };
            let found = found.map_err(damaged)?;
            check(found, at.segment + at.line).map_err(damaged)?;
            if !ends.is_empty() && bytes.len() + found.len() >= limits.bytes_max {
                break;
            }
            bytes.extend_from_slice(found);
            ends.push(bytes.len());
            bytes.push(b'\n');
            at.offset += found.len() as u64 + 1;
            at.line += 1;
        }
        Ok((!ends.is_empty()).then(|| Batch { first_seq, bytes: Bytes::from(bytes), ends }))
    }

    /// The segment after one that has no more lines, although more are durable.
    fn successor(&self, at: At) -> Result<At, BatchError> {
        let next_seq = at.segment + at.line;
        let segments = folder::segments(&self.folder)?;
        match segments.into_iter().find(|first_seq| *first_seq > at.segment) {
            Some(segment) if segment == next_seq => Ok(At { segment, offset: 0, line: 0 }),
            Some(kept) if kept > next_seq => Err(BatchError::Gone { wanted: next_seq, kept }),
            Some(_) | None => Err(self.behind_the_end(at)?),
        }
    }

    /// What it means that a segment ends before an entry that is durable.
    fn behind_the_end(&self, at: At) -> Result<BatchError, LedgerError> {
        let segments = folder::segments(&self.folder)?;
        let later = segments.into_iter().find(|first_seq| *first_seq > self.next_seq);
        Ok(match later {
            Some(kept) => BatchError::Gone { wanted: self.next_seq, kept },
            None => {
                let path = self.folder.join(folder::segment_name(at.segment));
                let (offset, line) = (at.offset, at.line + 1);
                LedgerError::Damaged { path, offset, line, flaw: Flaw::Cut }.into()
            }
        })
    }

    fn open(&self, at: At) -> Result<(PathBuf, BufReader<File>), LedgerError> {
        let path = self.folder.join(folder::segment_name(at.segment));
        let mut file = File::open(&path).map_err(LedgerError::io("open", &path))?;
        file.seek(SeekFrom::Start(at.offset)).map_err(LedgerError::io("read", &path))?;
        Ok((path, BufReader::with_capacity(READ_BYTES, file)))
    }
}

/// Whether a line is whole and has the number of its place.
fn check(bytes: &[u8], expected: u64) -> Result<(), Flaw> {
    let found = line::check(bytes)?.place.seq;
    if found == expected { Ok(()) } else { Err(Flaw::Sequence { expected, found }) }
}

/// How much is read at once.
const READ_BYTES: usize = 1 << 16;
