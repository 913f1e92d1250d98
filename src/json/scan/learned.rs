//! What earlier objects taught about the bytes between one value and the next: comma, key, colon and the space around them.
//!
//! A separator is learned only after the full grammar and the decoding of its key; it is compared as a whole; what it says
//! is the slot of its key and nothing about the value. White space that follows a separator which was learned without any is
//! a miss. It tells nothing of values, and lives longer than a body.

use wide::u8x16;

use super::levels::{Slot, Uniqueness};

/// One level's separators.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    entries: Vec<Separator>,
    /// The separator that an object is likely to begin with.
    first: u16,
    /// The separator last seen before each slot that stands for one key.
    by_slot: Vec<u16>,
}

/// A separator that was seen, and the one that came after it.
#[derive(Clone, Copy, Debug)]
struct Separator {
    bytes: [u8; LENGTH_MAX],
    /// One bit for each byte that counts.
    wanted: u32,
    length: u8,
    /// Where its key starts and ends, quotes included.
    key: (u8, u8),
    place: Place,
    uniqueness: Uniqueness,
    slot: Slot,
    next: u16,
}

/// Where a separator may stand: at the start of an object there is no comma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Later,
}

/// A separator that matched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    /// Which one.
    pub(super) number: u16,
    /// What its key means.
    pub(super) slot: Slot,
    /// Whether the slot stands for one key.
    pub(super) uniqueness: Uniqueness,
    /// Its bytes.
    pub(super) length: usize,
    /// Where its key starts and ends, quotes included.
    pub(super) key: (u8, u8),
}

/// What was parsed and may be learned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parsed<'s> {
    /// From the end of one value to the start of the next.
    pub(super) bytes: &'s [u8],
    /// Where the key starts and ends in it, quotes included.
    pub(super) key: (usize, usize),
    /// Where it stands.
    pub(super) place: Place,
    /// What the key means.
    pub(super) slot: Slot,
    /// Whether other keys may mean the same.
    pub(super) uniqueness: Uniqueness,
}

/// No separator.
pub(super) const NONE: u16 = u16::MAX;

/// Bytes of a separator that can be learned.
pub(super) const LENGTH_MAX: usize = 32;

/// Separators of one level. When there are more, all is forgotten.
const SEPARATORS_MAX: usize = 128;

/// How many are tried after the likely one, where keys are missing.
const TRIES: usize = 4;

impl Default for Chain {
    fn default() -> Self {
        Self { entries: Vec::new(), first: NONE, by_slot: Vec::new() }
    }
}

impl Chain {
    /// The separator that is likely to begin an object.
    #[inline(always)]
    pub(super) fn first(&self) -> u16 {
        self.first
    }

    /// The separator that is likely after another.
    #[inline(always)]
    pub(super) fn after(&self, number: u16) -> u16 {
        self.entries.get(usize::from(number)).map_or(NONE, |separator| separator.next)
    }

    /// The separator at the start of a window, if it is this one.
    #[inline(always)]
    pub(super) fn is(&self, number: u16, window: &[u8; LENGTH_MAX]) -> Option<Match> {
        let separator = self.entries.get(usize::from(number))?;
        let same = equal(&separator.bytes, window);
        (same & separator.wanted == separator.wanted).then_some(Match {
            number,
            slot: separator.slot,
            uniqueness: separator.uniqueness,
            length: usize::from(separator.length),
            key: separator.key,
        })
    }

    /// The separator at the start of a window, if it is one of those that usually come after this one.
    #[inline(never)]
    pub(super) fn is_soon(&self, number: u16, window: &[u8; LENGTH_MAX]) -> Option<Match> {
        let mut number = number;
        for _ in 0..TRIES {
            number = self.after(number);
            if number == NONE {
                return None;
            }
            if let Some(found) = self.is(number, window) {
                return Some(found);
            }
        }
        None
    }

    /// Says which separator came after another, or first. What begins an object never comes later, nor the other way round.
    pub(super) fn follow(&mut self, place: Place, before: u16, number: u16) {
        if self.entries.get(usize::from(number)).is_none_or(|separator| separator.place != place) {
            return;
        }
        match (place, self.entries.get_mut(usize::from(before))) {
            (Place::First, _) => self.first = number,
            (Place::Later, Some(separator)) => separator.next = number,
            (Place::Later, None) => {}
        }
    }

    /// Keeps a separator whose key was parsed and decoded; [`NONE`] if it is too long.
    #[inline(never)]
    pub(super) fn learn(&mut self, parsed: Parsed<'_>) -> u16 {
        let Some(separator) = Separator::new(parsed) else { return NONE };
        let guess = self.by_slot.get(usize::from(parsed.slot)).copied().unwrap_or(NONE);
        if self.entries.get(usize::from(guess)).is_some_and(|known| known.is_same(&separator)) {
            return guess;
        }
        let known = self.entries.iter().position(|known| known.is_same(&separator));
        let number =
            known.map_or_else(|| self.push(separator), |number| u16::try_from(number).unwrap_or(NONE));
        if parsed.place == Place::Later && parsed.uniqueness == Uniqueness::OneKey {
            let slot = usize::from(parsed.slot);
            if self.by_slot.len() <= slot {
                self.by_slot.resize(slot + 1, NONE);
            }
            if let Some(known) = self.by_slot.get_mut(slot) {
                *known = number;
            }
        }
        number
    }

    fn push(&mut self, separator: Separator) -> u16 {
        if self.entries.len() >= SEPARATORS_MAX {
            *self = Self::default();
        }
        self.entries.push(separator);
        u16::try_from(self.entries.len() - 1).unwrap_or(NONE)
    }
}

impl Separator {
    fn new(parsed: Parsed<'_>) -> Option<Self> {
        let mut bytes = [0; LENGTH_MAX];
        bytes.get_mut(..parsed.bytes.len())?.copy_from_slice(parsed.bytes);
        let narrow = |offset: usize| u8::try_from(offset).ok();
        let wanted = 1_u32.checked_shl(u32::try_from(parsed.bytes.len()).ok()?)?.wrapping_sub(1);
        Some(Self {
            bytes,
            wanted,
            length: narrow(parsed.bytes.len())?,
            key: (narrow(parsed.key.0)?, narrow(parsed.key.1)?),
            place: parsed.place,
            uniqueness: parsed.uniqueness,
            slot: parsed.slot,
            next: NONE,
        })
    }

    fn is_same(&self, other: &Separator) -> bool {
        self.length == other.length && self.place == other.place && self.bytes == other.bytes
    }
}

/// One bit for each byte that is the same.
#[inline(always)]
fn equal(one: &[u8; LENGTH_MAX], other: &[u8; LENGTH_MAX]) -> u32 {
    let mut same = 0;
    for (index, (one, other)) in one.as_chunks::<16>().0.iter().zip(other.as_chunks::<16>().0).enumerate() {
        same |= u8x16::new(*one).simd_eq(u8x16::new(*other)).to_bitmask() << (16 * index);
    }
    same
}
