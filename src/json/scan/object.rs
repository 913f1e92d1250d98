//! Objects that are walked: where each member lies, and what its key means.

use std::borrow::Cow;

use super::Stop;
use super::learned::{Chain, LENGTH_MAX, NONE, Parsed, Place};
use super::levels::{Inside, Level, LevelId, Levels, Slot, UNKNOWN, Uniqueness};
use super::lex::{byte, key_and_value, skip_space, value_end, window};
use crate::json::token;

/// A member or item of what is walked, followed by those inside of it. Places are bytes of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where its key starts, with the quote; where the item starts, if it has none.
    pub start: usize,
    /// Where its key ends, behind the quote; its start, if it has none.
    pub key_end: usize,
    /// Where its value starts.
    pub value: usize,
    /// Where its value ends.
    pub end: usize,
    /// The number of the node after those inside of it.
    pub after: usize,
    /// If the value is an object that was walked: the number of its [`Slots`]; else [`NO_OBJECT`].
    pub object: u32,
    /// What its key means in its level.
    pub slot: Slot,
}

/// Of a node whose value is no object that was walked.
pub const NO_OBJECT: u32 = u32::MAX;

/// What was learned from earlier objects, and what was found in this one. Made to be kept from body to body.
#[derive(Debug, Default)]
pub struct Scanner {
    chains: Vec<Chain>,
    nodes: Vec<Node>,
    slots: Vec<Slots>,
    /// Keys that share a slot with others, by where they start and end; of all objects that are open.
    odd: Vec<(usize, usize)>,
    embedded: usize,
}

/// Which slots of its level an object has, one bit each. Slots past the last bit are not noted.
pub type Slots = [u64; SLOT_WORDS];

/// Words of [`Slots`].
pub const SLOT_WORDS: usize = 4;

/// Members, objects and keys for which memory is kept between bodies.
const NODES_KEPT: usize = 2_048;

/// What a scan needs to know besides a place.
#[derive(Clone, Copy)]
pub struct Scan<'s> {
    /// What keys mean.
    pub levels: &'s Levels,
    /// The bytes.
    pub source: &'s [u8],
    /// How many containers may be open inside of each other.
    pub depth: usize,
}

/// What comes next in an object.
enum Next {
    Member(Member),
    End(usize),
}

/// A key that was read.
struct Member {
    start: usize,
    key_end: usize,
    value: usize,
    slot: Slot,
    uniqueness: Uniqueness,
    separator: u16,
}

impl Scanner {
    /// Walks the object at a place and says where it ends. What it has is there until the next scan.
    pub fn object(&mut self, scan: Scan<'_>, at: usize, level: LevelId) -> Result<usize, Stop> {
        if self.chains.len() < scan.levels.count() {
            self.chains.resize(scan.levels.count(), Chain::default());
        }
        self.nodes.clear();
        self.odd.clear();
        self.slots.clear();
        self.embedded = 0;
        self.walk(scan, at, level)
    }

    /// Gives memory back that only a very large object needs. What was learned stays.
    pub fn shrink(&mut self) {
        self.nodes.clear();
        self.nodes.shrink_to(NODES_KEPT);
        self.slots.clear();
        self.slots.shrink_to(NODES_KEPT);
        self.odd.clear();
        self.odd.shrink_to(NODES_KEPT);
    }

    /// Bytes that it takes beside what was learned.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.slots.capacity() * size_of::<Slots>()
            + self.odd.capacity() * size_of::<(usize, usize)>()
    }

    /// The members of the object that was walked, in source order, each followed by what is inside of it.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Which slots each walked object has; that of the outermost is the first.
    pub fn slots(&self) -> &[Slots] {
        &self.slots
    }

    /// How many objects there are in it that are records of their own.
    pub fn embedded(&self) -> usize {
        self.embedded
    }

    fn walk(&mut self, scan: Scan<'_>, at: usize, level_id: LevelId) -> Result<usize, Stop> {
        let depth = scan.depth.checked_sub(1).ok_or(Stop::TooDeep)?;
        let scan = Scan { depth, ..scan };
        let (source, level) = (scan.source, scan.levels.of(level_id).ok_or(Stop::Flaw)?);
        let (number, odd_start) = (self.slots.len(), self.odd.len());
        self.slots.push([0; SLOT_WORDS]);
        let mut seen: Slots = [0; SLOT_WORDS];
        let (mut at, mut place, mut before) = (at + 1, Place::First, NONE);
        loop {
            let member = match self.guess(source, at, level_id, place, before)? {
                Some(member) => member,
                None => match self.parse(source, at, (level_id, level), place, before)? {
                    Next::Member(member) => member,
                    Next::End(end) => {
                        at = end;
                        break;
                    }
                },
            };
            self.note(&mut seen, &member)?;
            at = match level.inside(member.slot) {
                Inside::Whole => {
                    let end = value_end(source, member.value, depth)?;
                    self.push(&member, end);
                    end
                }
                inside => self.inside(scan, &member, inside)?,
            };
            (place, before) = (Place::Later, member.separator);
        }
        if self.odd.len() > odd_start + 1 {
            self.check_odd(source, odd_start)?;
        }
        self.odd.truncate(odd_start);
        if let Some(slots) = self.slots.get_mut(number) {
            *slots = seen;
        }
        Ok(at)
    }

    /// The next member, if its separator is one that was learned.
    #[inline(always)]
    fn guess(
        &mut self,
        source: &[u8],
        at: usize,
        level: LevelId,
        place: Place,
        before: u16,
    ) -> Result<Option<Member>, Stop> {
        let Some(chain) = self.chains.get_mut(usize::from(level)) else { return Ok(None) };
        let window = window::<LENGTH_MAX>(source, at)?;
        let likely = if place == Place::First { chain.first() } else { chain.after(before) };
        let found = match chain.is(likely, window) {
            Some(found) => found,
            None if place == Place::First || window.first() == Some(&b'}') => return Ok(None),
            None => match chain.is_soon(likely, window) {
                Some(found) => {
                    chain.follow(place, before, found.number);
                    found
                }
                None => return Ok(None),
            },
        };
        let value = at + found.length;
        if source.get(value).is_none_or(|byte| *byte <= b' ') {
            return Ok(None);
        }
        Ok(Some(Member {
            start: at + usize::from(found.key.0),
            key_end: at + usize::from(found.key.1),
            value,
            slot: found.slot,
            uniqueness: found.uniqueness,
            separator: found.number,
        }))
    }

    /// The next member or the end, by the grammar; what separates it from the one before is learned.
    #[inline(never)]
    fn parse(
        &mut self,
        source: &[u8],
        at: usize,
        (level_id, level): (LevelId, &Level),
        place: Place,
        before: u16,
    ) -> Result<Next, Stop> {
        let gap = skip_space(source, at)?;
        let start = match (byte(source, gap)?, place) {
            (b'}', _) => return Ok(Next::End(gap + 1)),
            (b',', Place::Later) => skip_space(source, gap + 1)?,
            (_, Place::First) => gap,
            (_, Place::Later) => return Err(Stop::Flaw),
        };
        let (key_end, value) = key_and_value(source, start)?;
        let (slot, uniqueness) = level.find(&decoded(source, start, key_end)?);
        let bytes = source.get(at..value).unwrap_or_default();
        let key = (start - at, key_end - at);
        let mut separator = NONE;
        if let Some(chain) = self.chains.get_mut(usize::from(level_id)) {
            separator = chain.learn(Parsed { bytes, key, place, slot, uniqueness });
            chain.follow(place, before, separator);
        }
        Ok(Next::Member(Member { start, key_end, value, slot, uniqueness, separator }))
    }

    /// Notes that a slot is there; a key that stands twice is a flaw.
    #[inline(always)]
    fn note(&mut self, seen: &mut Slots, member: &Member) -> Result<(), Stop> {
        let bit = 1_u64 << (member.slot % 64);
        let word = seen.get_mut(usize::from(member.slot / 64));
        match (word, member.uniqueness) {
            (Some(word), Uniqueness::OneKey) => {
                if *word & bit != 0 {
                    return Err(Stop::Flaw);
                }
                *word |= bit;
            }
            (word, _) => {
                if let Some(word) = word {
                    *word |= bit;
                }
                self.odd.push((member.start, member.key_end));
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn check_odd(&self, source: &[u8], odd_start: usize) -> Result<(), Stop> {
        let odd = self.odd.get(odd_start..).unwrap_or_default();
        let keys: Result<Vec<_>, Stop> =
            odd.iter().map(|(start, end)| decoded(source, *start, *end)).collect();
        let mut keys = keys?;
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair.first() == pair.last()) { Err(Stop::Flaw) } else { Ok(()) }
    }

    #[inline(always)]
    fn push(&mut self, member: &Member, end: usize) {
        self.nodes.push(Node {
            start: member.start,
            key_end: member.key_end,
            value: member.value,
            end,
            after: self.nodes.len() + 1,
            object: NO_OBJECT,
            slot: member.slot,
        });
    }

    /// Reads a value that may hold something which is looked into.
    #[inline(never)]
    fn inside(&mut self, scan: Scan<'_>, member: &Member, inside: Inside) -> Result<usize, Stop> {
        let number = self.nodes.len();
        self.push(member, member.value);
        let end = match (byte(scan.source, member.value)?, inside) {
            (b'{', Inside::Object(level) | Inside::Records(level)) => {
                if let Some(node) = self.nodes.get_mut(number) {
                    node.object = u32::try_from(self.slots.len()).unwrap_or(NO_OBJECT);
                }
                self.embedded += usize::from(matches!(inside, Inside::Records(_)));
                self.walk(scan, member.value, level)?
            }
            (b'[', Inside::Records(level)) => self.items(scan, member.value, level)?,
            _ => value_end(scan.source, member.value, scan.depth)?,
        };
        let after = self.nodes.len();
        if let Some(node) = self.nodes.get_mut(number) {
            (node.end, node.after) = (end, after);
        }
        Ok(end)
    }

    /// Reads a list whose objects are walked.
    fn items(&mut self, scan: Scan<'_>, at: usize, level: LevelId) -> Result<usize, Stop> {
        let depth = scan.depth.checked_sub(1).ok_or(Stop::TooDeep)?;
        let scan = Scan { depth, ..scan };
        let mut at = skip_space(scan.source, at + 1)?;
        if byte(scan.source, at)? == b']' {
            return Ok(at + 1);
        }
        loop {
            let item = Member {
                start: at,
                key_end: at,
                value: at,
                slot: UNKNOWN,
                uniqueness: Uniqueness::ManyKeys,
                separator: NONE,
            };
            self.embedded += usize::from(byte(scan.source, at)? == b'{');
            let end = self.inside(scan, &item, Inside::Object(level))?;
            let next = skip_space(scan.source, end)?;
            match byte(scan.source, next)? {
                b',' => at = skip_space(scan.source, next + 1)?,
                b']' => return Ok(next + 1),
                _ => return Err(Stop::Flaw),
            }
        }
    }
}

/// What a key says, by its place with quotes.
pub fn decoded(source: &[u8], start: usize, end: usize) -> Result<Cow<'_, [u8]>, Stop> {
    let raw = source.get(start..end).ok_or(Stop::Flaw)?;
    if !raw.contains(&b'\\') {
        return Ok(Cow::Borrowed(raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()));
    }
    let raw = std::str::from_utf8(raw).map_err(|_| Stop::Flaw)?;
    Ok(Cow::Owned(token::decode(raw).into_owned().into_bytes()))
}
