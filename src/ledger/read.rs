//! Reading the ledger from its files, also while it is being written. [edge]
//!
//! Promises: lines come in order, each checked, as the exact bytes and as JSON; the first flaw ends the
//! reading. A reader may see a line shortly before it is durable. Never writes, locks, or waits.
#![expect(clippy::disallowed_methods, reason = "edge: the ledger's file system")]

use std::fs::{File, TryLockError};
use std::io::{BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::LedgerError;
use super::folder;
use super::line::{self, Flaw, Place};
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

/// One entry as its bytes, checked but not read as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawLine {
    /// Seq and batch.
    pub place: Place,
    /// The entry's kind.
    pub kind: String,
    /// The time of writing, RFC 3339.
    pub t: String,
    /// The exact bytes, without line feed.
    pub bytes: Vec<u8>,
    /// Where the line begins.
    pub spot: Spot,
}

/// Where a line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The first entry of the segment.
    pub segment: u64,
    /// Bytes from the start of the segment.
    pub offset: u64,
    /// The number of the line, from 1.
    pub line: u64,
}

impl Spot {
    /// The error for a line that begins here, in the ledger under a state folder.
    #[must_use]
    pub fn damaged(self, state: &Path, flaw: Flaw) -> LedgerError {
        let path = folder::path_under(state).join(folder::segment_name(self.segment));
        LedgerError::Damaged { path, offset: self.offset, line: self.line, flaw }
    }
}

impl RawLine {
    /// The same with its JSON.
    ///
    /// # Errors
    /// [`Flaw::Json`].
    fn read(self) -> Result<Line, Flaw> {
        let value = serde_json::from_slice(&self.bytes).map_err(|_| Flaw::Json)?;
        Ok(Line { place: self.place, kind: self.kind, bytes: self.bytes, value })
    }
}

/// Whether a service writes the ledger under a state folder now. Makes nothing; a writer that opens the ledger at this very
/// moment waits for it.
///
/// # Errors
/// A lock that cannot be looked at.
pub fn has_writer(state: &Path) -> Result<bool, LedgerError> {
    let path = folder::path_under(state).join(folder::LOCK);
    let lock = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        opened => opened.map_err(LedgerError::io("open", &path))?,
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(LedgerError::io("look at the lock", &path)(error)),
    }
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

/// The segments that are kept, each by its first entry, with their present sizes in bytes; empty where there is no ledger.
///
/// # Errors
/// As [`segment_starts`].
pub fn segment_sizes(state: &Path) -> Result<Vec<(u64, u64)>, LedgerError> {
    let folder = folder::path_under(state);
    let size = |first_seq: u64| {
        let bytes = folder::bytes(&folder.join(folder::segment_name(first_seq)))?;
        Ok((first_seq, bytes.unwrap_or_default()))
    };
    segment_starts(state)?.into_iter().map(size).collect()
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

    /// The place behind a line that was read before.
    ///
    /// # Errors
    /// A segment that cannot be opened.
    pub fn behind(state: &Path, line: &RawLine) -> Result<Self, LedgerError> {
        let folder = folder::path_under(state);
        let mut segment = Segment::open(&folder, line.spot.segment)?;
        segment.offset = line.spot.offset + line.bytes.len() as u64 + 1;
        segment.lines = line.spot.line;
        segment.last = Some(line.place);
        segment.rewind()?;
        Ok(Self { folder, from_seq: 0, segment: Some(segment) })
    }

    /// The next entry, or `None` while there is none: ask again later.
    ///
    /// # Errors
    /// Damage, a missing segment, a file that became shorter than what was read, or a file system that
    /// refuses. The place then stays where it is.
    pub fn next_available(&mut self) -> Result<Option<Line>, LedgerError> {
        self.next_as(RawLine::read)
    }

    /// The same without its JSON.
    ///
    /// # Errors
    /// As [`Tail::next_available`], except that JSON is not looked at.
    pub fn next_raw(&mut self) -> Result<Option<RawLine>, LedgerError> {
        self.next_as(Ok)
    }

    fn next_as<T>(&mut self, read: fn(RawLine) -> Result<T, Flaw>) -> Result<Option<T>, LedgerError> {
        loop {
            if self.segment.is_none() && !self.enter()? {
                return Ok(None);
            }
            let Some(segment) = &mut self.segment else { return Ok(None) };
            let line = match segment.next_line(read)? {
                Some(line) => Some(line),
                None => match self.next_segment(read)? {
                    Step::Line(line) => Some(line),
                    Step::Entered => None,
                    Step::End => return Ok(None),
                },
            };
            if let Some((_, line)) = line.filter(|(place, _)| place.seq >= self.from_seq) {
                return Ok(Some(line));
            }
        }
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
        Ok(self.next_raw()?.map(|line| (line.place.seq, Hash::leaf(&line.bytes))))
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
    fn next_segment<T>(&mut self, read: fn(RawLine) -> Result<T, Flaw>) -> Result<Step<T>, LedgerError> {
        let Some(segment) = &mut self.segment else { return Ok(Step::End) };
        let segments = folder::segments(&self.folder)?;
        let later = segments.iter().copied().find(|later| *later > segment.first_seq);
        let Some(later) = later else { return Ok(Step::End) };
        // Lines may have come since the last look, but no more will: its successor exists.
        if let Some(line) = segment.next_line(read)? {
            return Ok(Step::Line(line));
        }
        if segment.bytes()? != segment.offset {
            return Err(segment.damaged(Flaw::NoLineFeed));
        }
        if later != segment.expected() && segments.first() == Some(&later) {
            // All that stood before it went away, this one among it; whether that was right is for others to say.
            return Err(LedgerError::Vanished { path: segment.path.clone() });
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
        let file = folder::open(&path)?;
        Ok(Self { path, first_seq, reader: BufReader::new(file), offset: 0, lines: 0, last: None })
    }

    /// The next whole line, as it is read; `None` where there is none yet.
    fn next_line<T>(
        &mut self,
        read: fn(RawLine) -> Result<T, Flaw>,
    ) -> Result<Option<(Place, T)>, LedgerError> {
        let mut bytes = Vec::new();
        let next = recover::next_line(&mut self.reader, &mut bytes);
        let found = match next.map_err(LedgerError::io("read", &self.path))? {
            Some(Ok(line)) => Some(line.len()),
            Some(Err(Flaw::NoLineFeed)) | None => None,
            Some(Err(flaw)) => return Err(self.stay(flaw)),
        };
        let Some(length) = found else {
            self.rewind()?;
            if self.bytes()? < self.offset {
                return Err(self.damaged(Flaw::Cut));
            }
            return Ok(None);
        };
        bytes.truncate(length);
        let line = self.line(bytes).and_then(|line| Ok((line.place, read(line)?)));
        let (place, line) = line.map_err(|flaw| self.stay(flaw))?;
        self.offset += length as u64 + 1;
        self.lines += 1;
        self.last = Some(place);
        Ok(Some((place, line)))
    }

    fn line(&self, bytes: Vec<u8>) -> Result<RawLine, Flaw> {
        let spot = Spot { segment: self.first_seq, offset: self.offset, line: self.lines + 1 };
        let line = raw(bytes, spot)?;
        recover::follows(line.place, self.last, self.expected())?;
        Ok(line)
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

/// A line's bytes, checked.
fn raw(bytes: Vec<u8>, spot: Spot) -> Result<RawLine, Flaw> {
    let head = line::check(&bytes)?;
    let (place, kind, t) = (head.place, head.kind.to_owned(), head.t.to_owned());
    Ok(RawLine { place, kind, t, bytes, spot })
}

/// Lines of a ledger by the places where they begin.
#[derive(Debug)]
pub struct Spots {
    state: PathBuf,
    segment: Option<(u64, BufReader<File>)>,
}

impl Spots {
    /// Those of the ledger under a state folder.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self { state: state.to_path_buf(), segment: None }
    }

    /// The line that begins at a place; `None` where the segment is not there, or ends before it.
    ///
    /// # Errors
    /// Something else than a whole line, or a file system that refuses.
    pub fn line(&mut self, spot: Spot) -> Result<Option<RawLine>, LedgerError> {
        let path = folder::path_under(&self.state).join(folder::segment_name(spot.segment));
        if self.segment.as_ref().is_none_or(|(segment, _)| *segment != spot.segment) {
            match File::open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                opened => {
                    let file = opened.map_err(LedgerError::io("open", &path))?;
                    self.segment = Some((spot.segment, BufReader::new(file)));
                }
            }
        }
        let Some((_, reader)) = &mut self.segment else { return Ok(None) };
        reader.seek(SeekFrom::Start(spot.offset)).map_err(LedgerError::io("read", &path))?;
        let mut bytes = Vec::new();
        let length = match recover::next_line(reader, &mut bytes).map_err(LedgerError::io("read", &path))? {
            Some(Ok(line)) => line.len(),
            Some(Err(Flaw::NoLineFeed)) | None => return Ok(None),
            Some(Err(flaw)) => return Err(spot.damaged(&self.state, flaw)),
        };
        bytes.truncate(length);
        raw(bytes, spot).map(Some).map_err(|flaw| spot.damaged(&self.state, flaw))
    }
}
