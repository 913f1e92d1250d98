//! Reading the ledger from its files, also while it is being written. [edge]
//!
//! Promises: lines come in order, each checked, as the exact bytes and as JSON; the first flaw ends the
//! reading. A reader may see a line shortly before it is durable. Never writes, locks, or waits.
#![expect(clippy::disallowed_methods, reason = "edge: the ledger's file system")]

use std::fs::File;
use std::io::{BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::LedgerError;
use super::folder;
use super::line::{self, Flaw, Head, Place};
use super::recover;
use super::tree::Hash;

/// One entry as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Seq and batch.
    pub place: Place,
    /// The entry's kind.
    pub kind: String,
    /// The exact bytes, without line feed: a leaf of the tree.
    pub bytes: Vec<u8>,
    /// The same as JSON.
    pub value: Value,
}

/// The entries from number `from_seq` on (0: all), over all segments under the state folder, up to the
/// present end.
///
/// # Errors
/// Each item may be an error; none follows it.
pub fn entries(state: &Path, from_seq: u64) -> impl Iterator<Item = Result<Line, LedgerError>> + use<> {
    let mut tail = Some(Tail::new(state, from_seq));
    std::iter::from_fn(move || {
        let next = tail.as_mut()?.next_available().transpose();
        if !matches!(next, Some(Ok(_))) {
            tail = None;
        }
        next
    })
}

/// The first entry of each segment that is kept, ascending; empty where there is no ledger. Each segment can be read
/// alone: it spells the field sets that it names.
///
/// # Errors
/// A file system that refuses.
pub fn segment_starts(state: &Path) -> Result<Vec<u64>, LedgerError> {
    let folder = folder::path_under(state);
    match std::fs::metadata(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(LedgerError::io("look into", &folder)(error)),
        Ok(_) => folder::segments(&folder),
    }
}

/// A place in a ledger that may still grow.
#[derive(Debug)]
pub struct Tail {
    folder: PathBuf,
    from_seq: u64,
    segment: Option<Segment>,
}

/// The segment that is being read.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    first_seq: u64,
    reader: BufReader<File>,
    offset: u64,
    lines: u64,
    last: Option<Place>,
}

impl Tail {
    /// A place before entry `from_seq`; 0 for the start.
    #[must_use]
    pub fn new(state: &Path, from_seq: u64) -> Self {
        Self { folder: folder::path_under(state), from_seq, segment: None }
    }

    /// The next entry, or `None` while there is none: ask again later.
    ///
    /// # Errors
    /// Damage, a missing segment, a file that became shorter than what was read, or a file system that
    /// refuses. The place then stays where it is.
    pub fn next_available(&mut self) -> Result<Option<Line>, LedgerError> {
        let found = self.next_as(|head, bytes| {
            let value = serde_json::from_slice(bytes).map_err(|_| Flaw::Json)?;
            Ok(Line { place: head.place, kind: head.kind.to_owned(), bytes: bytes.to_vec(), value })
        })?;
        Ok(found.map(|(_, line)| line))
    }

    /// Forgets what was read ahead of the last entry that was given out: it may have been cut since.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn forget_ahead(&mut self) -> Result<(), LedgerError> {
        self.segment.as_mut().map_or(Ok(()), Segment::rewind)
    }

    /// The next entry as its number and its leaf of the tree, or `None` while there is none. What it says is not looked at.
    ///
    /// # Errors
    /// As [`Tail::next_available`].
    pub fn next_leaf(&mut self) -> Result<Option<(u64, Hash)>, LedgerError> {
        let found = self.next_as(|_, bytes| Ok(Hash::leaf(bytes)))?;
        Ok(found.map(|(place, leaf)| (place.seq, leaf)))
    }

    /// The next entry as `read` makes it of the line's head and bytes.
    fn next_as<T>(
        &mut self,
        read: impl Fn(Head<'_>, &[u8]) -> Result<T, Flaw>,
    ) -> Result<Option<(Place, T)>, LedgerError> {
        loop {
            if self.segment.is_none() && !self.enter()? {
                return Ok(None);
            }
            let Some(segment) = &mut self.segment else { return Ok(None) };
            let line = match segment.next_line(&read)? {
                Some(line) => Some(line),
                None => match self.next_segment(&read)? {
                    Step::Line(line) => Some(line),
                    Step::Entered => None,
                    Step::End => return Ok(None),
                },
            };
            if let Some(line) = line.filter(|(place, _)| place.seq >= self.from_seq) {
                return Ok(Some(line));
            }
        }
    }

    /// Opens the segment that holds entry `from_seq`, or the oldest that is kept. False while there is none.
    fn enter(&mut self) -> Result<bool, LedgerError> {
        if !self.folder.is_dir() {
            return Ok(false);
        }
        let segments = folder::segments(&self.folder)?;
        let holding = segments.iter().rev().find(|first_seq| **first_seq <= self.from_seq);
        let Some(first_seq) = holding.or(segments.first()) else { return Ok(false) };
        self.segment = Some(Segment::open(&self.folder, *first_seq)?);
        Ok(true)
    }

    /// Goes on to the segment after the one that seems to be at its end.
    fn next_segment<T>(
        &mut self,
        read: impl Fn(Head<'_>, &[u8]) -> Result<T, Flaw>,
    ) -> Result<Step<T>, LedgerError> {
        let Some(segment) = &mut self.segment else { return Ok(Step::End) };
        let later = folder::segments(&self.folder)?.into_iter().find(|later| *later > segment.first_seq);
        let Some(later) = later else { return Ok(Step::End) };
        // Lines may have come since the last look, but no more will: its successor exists.
        if let Some(line) = segment.next_line(read)? {
            return Ok(Step::Line(line));
        }
        if segment.bytes()? != segment.offset {
            return Err(segment.damaged(Flaw::NoLineFeed));
        }
        if later != segment.expected() {
            return Err(segment.damaged(Flaw::Sequence { expected: segment.expected(), found: later }));
        }
        self.segment = Some(Segment::open(&self.folder, later)?);
        Ok(Step::Entered)
    }
}

/// What was found behind the end of a segment.
enum Step<T> {
    Line((Place, T)),
    Entered,
    End,
}

impl Segment {
    fn open(folder: &Path, first_seq: u64) -> Result<Self, LedgerError> {
        let path = folder.join(folder::segment_name(first_seq));
        let file = File::open(&path).map_err(LedgerError::io("open", &path))?;
        Ok(Self { path, first_seq, reader: BufReader::new(file), offset: 0, lines: 0, last: None })
    }

    /// The next whole line; `None` where there is none yet.
    fn next_line<T>(
        &mut self,
        read: impl Fn(Head<'_>, &[u8]) -> Result<T, Flaw>,
    ) -> Result<Option<(Place, T)>, LedgerError> {
        let mut bytes = Vec::new();
        let next = recover::next_line(&mut self.reader, &mut bytes);
        let found = match next.map_err(LedgerError::io("read", &self.path))? {
            Some(Ok(bytes)) => Some(bytes),
            Some(Err(Flaw::NoLineFeed)) | None => None,
            Some(Err(flaw)) => return Err(self.stay(flaw)),
        };
        let Some(bytes) = found else {
            self.rewind()?;
            if self.bytes()? < self.offset {
                return Err(self.damaged(Flaw::Cut));
            }
            return Ok(None);
        };
        let (place, line) = self.check(bytes, read).map_err(|flaw| self.stay(flaw))?;
        self.offset += bytes.len() as u64 + 1;
        self.lines += 1;
        self.last = Some(place);
        Ok(Some((place, line)))
    }

    fn check<T>(
        &self,
        bytes: &[u8],
        read: impl Fn(Head<'_>, &[u8]) -> Result<T, Flaw>,
    ) -> Result<(Place, T), Flaw> {
        let head = line::check(bytes)?;
        recover::follows(head.place, self.last, self.expected())?;
        Ok((head.place, read(head, bytes)?))
    }

    /// The number that the next line must have.
    fn expected(&self) -> u64 {
        self.last.map_or(self.first_seq, |last| last.seq.saturating_add(1))
    }

    fn bytes(&self) -> Result<u64, LedgerError> {
        let found = self.reader.get_ref().metadata();
        found.map(|found| found.len()).map_err(LedgerError::io("read the size of", &self.path))
    }

    /// Goes back to the start of the line that could not be taken.
    fn rewind(&mut self) -> Result<(), LedgerError> {
        let sought = self.reader.seek(SeekFrom::Start(self.offset));
        sought.map(drop).map_err(LedgerError::io("read", &self.path))
    }

    /// The error for this place, to which the reader goes back.
    fn stay(&mut self, flaw: Flaw) -> LedgerError {
        self.rewind().err().unwrap_or_else(|| self.damaged(flaw))
    }

    fn damaged(&self, flaw: Flaw) -> LedgerError {
        LedgerError::Damaged { path: self.path.clone(), offset: self.offset, line: self.lines + 1, flaw }
    }
}
