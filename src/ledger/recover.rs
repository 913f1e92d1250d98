//! What a segment's bytes say: its intact lines, where they end, and whether the rest is a torn tail or
//! damage.
//!
//! Promises: no line with a changed byte is taken for intact; nothing before a later batch is taken for torn.
//! Never writes, and never reads but from the reader it is given.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::io::{self, BufRead, Read as _};

use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

use super::entry::Part;
use super::life::Life;
use super::line::{self, Flaw, Head, LINE_BYTES_MAX, LINE_MARK, Place};
use super::own::{DECISION, FIELDS, GAP, OUTCOME, Previous, REMOVAL, SEGMENT, START};
use super::removal::Removed;

/// What one segment holds.
#[derive(Debug)]
pub(super) struct Scan {
    /// How many bytes from the start are intact lines.
    pub(super) bytes: u64,
    /// How many lines these are.
    pub(super) lines: u64,
    /// The last of them.
    pub(super) last: Option<Place>,
    /// When the first of them was written, in nanoseconds since 1970.
    pub(super) began_ns: i128,
    /// When its last line was written, in nanoseconds since 1970.
    pub ended_ns: i128,
    /// Whether the `segment` entry at the start is there with all its parts.
    pub(super) head_complete: bool,
    /// The segment before, as the head names it.
    pub(super) previous: Option<Previous>,
    /// Decisions without outcome.
    pub(super) open: BTreeSet<String>,
    /// Ids of field sets that the segment spells.
    pub(super) sets: HashSet<String>,
    /// What the lines tell of the ledger's life.
    pub(super) life: Life,
    /// The digest of the intact bytes so far.
    pub(super) digest: Sha256,
    /// What follows them.
    pub(super) end: End,
}

/// What follows a segment's intact lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing.
    Clean,
    /// So many bytes of a commit that was interrupted, and what is wrong with the first line of them.
    Torn(u64, Flaw),
    /// Bytes that were durable, and are not what was written.
    Damaged(Flaw),
}

/// Reads a segment whose name says that it begins with entry `first_seq`, and tells each intact line, without its line feed.
pub(super) fn scan(
    source: &mut impl BufRead,
    first_seq: u64,
    mut each: impl FnMut(&[u8]),
) -> io::Result<Scan> {
    let mut scan = Scan::empty();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let flaw = match next_line(source, &mut bytes)? {
            None => return Ok(scan),
            Some(Err(flaw)) => flaw,
            Some(Ok(line)) => match scan.take(line, first_seq) {
                Ok(()) => {
                    each(line);
                    continue;
                }
                Err(flaw) => flaw,
            },
        };
        source.read_to_end(&mut bytes)?;
        let expected = scan.expected(first_seq);
        let torn = flaw.may_be_torn() && !begins_later_batch(&bytes, expected);
        scan.end = if torn { End::Torn(bytes.len() as u64, flaw) } else { End::Damaged(flaw) };
        return Ok(scan);
    }
}

/// The next line without its line feed, left in `buffer` with it; `None` at the end.
pub(super) fn next_line<'a>(
    source: &mut impl BufRead,
    buffer: &'a mut Vec<u8>,
) -> io::Result<Option<Result<&'a [u8], Flaw>>> {
    let limit = LINE_BYTES_MAX + 1;
    if source.by_ref().take(limit as u64).read_until(b'\n', buffer)? == 0 {
        return Ok(None);
    }
    Ok(Some(match buffer.strip_suffix(b"\n") {
        Some(line) => Ok(line),
        None if buffer.len() == limit => Err(Flaw::TooLong),
        None => Err(Flaw::NoLineFeed),
    }))
}

impl Scan {
    fn empty() -> Self {
        Self {
            bytes: 0,
            lines: 0,
            last: None,
            began_ns: 0,
            ended_ns: 0,
            head_complete: false,
            previous: None,
            open: BTreeSet::new(),
            sets: HashSet::new(),
            life: Life::default(),
            digest: Sha256::new(),
            end: End::Clean,
        }
    }

    /// The number that the next line must have.
    fn expected(&self, first_seq: u64) -> u64 {
        self.last.map_or(first_seq, |last| last.seq.saturating_add(1))
    }

    fn take(&mut self, line: &[u8], first_seq: u64) -> Result<(), Flaw> {
        let head = line::check(line)?;
        follows(head.place, self.last, self.expected(first_seq))?;
        if self.lines == 0 {
            self.began_ns = line::unix_ns(head.t);
        }
        self.ended_ns = line::unix_ns(head.t);
        self.note(head, line)?;
        self.bytes += line.len() as u64 + 1;
        self.lines += 1;
        self.last = Some(head.place);
        self.digest.update(line);
        self.digest.update(b"\n");
        Ok(())
    }

    /// Keeps what the line says about open decisions, field sets and the segment before.
    fn note(&mut self, head: Head<'_>, line: &[u8]) -> Result<(), Flaw> {
        if self.lines == 0 && head.kind != SEGMENT {
            return Err(Flaw::NotSegment);
        }
        match head.kind {
            SEGMENT => {
                let SegmentFacts { previous, open, part } = parse(line)?;
                self.previous = previous;
                self.open.extend(open);
                self.head_complete = part.is_none_or(|part| part.n == part.of);
            }
            FIELDS => self.sets.extend([parse::<FieldsFacts>(line)?.set]),
            DECISION => {
                let DecisionFacts { id, bundle, directory } = parse(line)?;
                self.open.insert(id);
                self.life.serves(&bundle);
                self.life.serves(&directory);
            }
            GAP => {
                let GapFacts { refused, lost, minute, passed } = parse(line)?;
                self.life.gaps += u64::from(minute.is_none());
                self.life.refused += refused;
                self.life.lost += lost;
                self.life.passed += passed.iter().map(|passed| passed.count).sum::<u64>();
            }
            START => {
                let StartFacts { keys } = parse(line)?;
                // A ledger that nobody signs for names no keys, however often it starts.
                let is_news = self.life.keys.last().map_or(&[][..], |(_, last)| last) != keys;
                self.life.keys.extend(is_news.then_some((head.place.seq, keys)));
            }
            REMOVAL => {
                let (seq, t, offset) = (head.place.seq, head.t.to_owned(), self.bytes);
                self.life.removals.push(Removed { seq, t, offset, removal: parse(line)? });
            }
            OUTCOME => {
                let OutcomeFacts { of, part } = parse(line)?;
                if part.is_none_or(|part| part.n == part.of) {
                    self.open.remove(&of);
                }
            }
            _ => drop(parse::<IgnoredAny>(line)?),
        }
        Ok(())
    }
}

/// Whether a line may stand after the line before.
pub(super) fn follows(place: Place, last: Option<Place>, expected: u64) -> Result<(), Flaw> {
    if place.seq != expected {
        return Err(Flaw::Sequence { expected, found: place.seq });
    }
    let begins = place.batch == place.seq;
    if begins || last.is_some_and(|last| last.batch == place.batch) { Ok(()) } else { Err(Flaw::Batch) }
}

/// Whether an intact line of a batch that began after entry `expected` stands anywhere behind the start of
/// `bytes`. Lines are looked for by their mark and not by line feeds, since a damaged line feed joins two
/// lines.
fn begins_later_batch(bytes: &[u8], expected: u64) -> bool {
    let starts = bytes.windows(LINE_MARK.len()).enumerate().skip(1).filter(|(_, mark)| *mark == LINE_MARK);
    starts.filter_map(|(start, _)| bytes.get(start..)).any(|rest| {
        let reach = rest.get(..rest.len().min(LINE_BYTES_MAX + 1)).unwrap_or_default();
        let end = reach.iter().position(|byte| *byte == b'\n').unwrap_or(reach.len());
        line::check(reach.get(..end).unwrap_or_default()).is_ok_and(|head| head.place.batch > expected)
    })
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Flaw> {
    serde_json::from_slice(line).map_err(|_| Flaw::Json)
}

#[derive(Deserialize)]
struct SegmentFacts {
    previous: Option<Previous>,
    open: Vec<String>,
    part: Option<Part>,
}

#[derive(Deserialize)]
struct FieldsFacts {
    set: String,
}

#[derive(Deserialize)]
struct DecisionFacts<'a> {
    id: String,
    #[serde(borrow, default)]
    bundle: Cow<'a, str>,
    #[serde(borrow, default)]
    directory: Cow<'a, str>,
}

#[derive(Deserialize)]
struct GapFacts {
    refused: u64,
    #[serde(default)]
    lost: u64,
    minute: Option<IgnoredAny>,
    #[serde(default)]
    passed: Vec<PassedFacts>,
}

#[derive(Deserialize)]
struct PassedFacts {
    count: u64,
}

#[derive(Deserialize)]
struct StartFacts {
    #[serde(default)]
    keys: Vec<String>,
}

#[derive(Deserialize)]
struct OutcomeFacts {
    of: String,
    part: Option<Part>,
}
