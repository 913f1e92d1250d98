//! What the keys of an object mean, as tables that are made once and shared by all bodies.

use crate::json::alike::folded;

/// A level: one kind of object that is walked.
#[derive(Debug, Default)]
pub struct Level {
    table: KeyTable,
    affixes: Vec<(Affix, Slot)>,
    alike: Option<(KeyTable, Vec<Affix>, Slot)>,
    /// What is inside of the value under each slot.
    inside: Vec<Inside>,
}

/// All levels of some record types.
#[derive(Debug, Default)]
pub struct Levels {
    levels: Vec<Level>,
}

/// The number of a level.
pub type LevelId = u16;

/// The number of a key's meaning within its level.
pub type Slot = u16;

/// The slot of keys that the level does not know, and of items of lists.
pub const UNKNOWN: Slot = 0;

/// What a value may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// Nothing that is looked into.
    Whole,
    /// If it is an object, members of this level.
    Object(LevelId),
    /// If it is an object, or a list with objects, members of this level in each of them.
    Records(LevelId),
}

/// Keys that begin and end so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affix {
    /// How they begin.
    pub prefix: String,
    /// How they end.
    pub suffix: String,
}

/// Folded spellings: keys that fold to one of them look like a key of the level.
#[derive(Clone, Debug, Default)]
pub struct Alike {
    /// Of keys.
    pub keys: Vec<String>,
    /// Of patterns of keys.
    pub affixes: Vec<Affix>,
}

impl Levels {
    /// Reserves the number of a level, so that levels can lead to each other. `None` if there are too many.
    pub fn reserve(&mut self) -> Option<LevelId> {
        let id = LevelId::try_from(self.levels.len()).ok()?;
        self.levels.push(Level { inside: vec![Inside::Whole], ..Level::default() });
        Some(id)
    }

    /// Says what a level is.
    pub fn define(&mut self, id: LevelId, level: Level) {
        if let Some(reserved) = self.levels.get_mut(usize::from(id)) {
            *reserved = level;
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.levels.len()
    }

    pub(super) fn of(&self, id: LevelId) -> Option<&Level> {
        self.levels.get(usize::from(id))
    }
}

impl Level {
    /// A level of some keys and of patterns of keys, each with what is inside; the first slot is 1. Keys that none of them is
    /// and that fold to one of `alike` have the last slot. `None` if there are too many.
    pub fn new(
        keys: impl IntoIterator<Item = (String, Inside)>,
        affixes: impl IntoIterator<Item = (Affix, Inside)>,
        alike: Alike,
    ) -> Option<Self> {
        let mut level = Level { inside: vec![Inside::Whole], ..Level::default() };
        let mut entries = Vec::new();
        for (key, inside) in keys {
            entries.push((key.into_bytes().into_boxed_slice(), level.add(inside)?));
        }
        for (affix, inside) in affixes {
            let slot = level.add(inside)?;
            level.affixes.push((affix, slot));
        }
        level.table = KeyTable::new(entries);
        let slot = level.add(Inside::Whole)?;
        let entries = alike.keys.into_iter().map(|key| (key.into_bytes().into_boxed_slice(), slot));
        level.alike = Some((KeyTable::new(entries.collect()), alike.affixes, slot));
        Some(level)
    }

    fn add(&mut self, inside: Inside) -> Option<Slot> {
        let slot = Slot::try_from(self.inside.len()).ok()?;
        self.inside.push(inside);
        Some(slot)
    }

    pub(super) fn inside(&self, slot: Slot) -> Inside {
        self.inside.get(usize::from(slot)).copied().unwrap_or(Inside::Whole)
    }

    /// What a decoded key means, and whether other keys may mean the same.
    pub(super) fn find(&self, key: &[u8]) -> (Slot, Uniqueness) {
        if let Some(slot) = self.table.find(key) {
            return (slot, Uniqueness::OneKey);
        }
        let found = self.affixes.iter().find(|(affix, _)| affix.fits(key));
        let slot = found.map(|(_, slot)| *slot).or_else(|| self.find_alike(key));
        (slot.unwrap_or(UNKNOWN), Uniqueness::ManyKeys)
    }

    /// Keys are looked up like this where nothing was learned of them, so a key that comes again costs nothing.
    #[inline(never)]
    fn find_alike(&self, key: &[u8]) -> Option<Slot> {
        let (table, affixes, slot) = self.alike.as_ref()?;
        let key = folded(std::str::from_utf8(key).ok()?);
        let is_alike =
            table.find(key.as_bytes()).is_some() || affixes.iter().any(|affix| affix.fits(key.as_bytes()));
        is_alike.then_some(*slot)
    }
}

impl Affix {
    fn fits(&self, key: &[u8]) -> bool {
        key.starts_with(self.prefix.as_bytes()) && key.ends_with(self.suffix.as_bytes())
    }
}

/// Whether a slot stands for one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Uniqueness {
    OneKey,
    ManyKeys,
}

/// A table of keys with open addressing, at most half full.
#[derive(Debug, Default)]
struct KeyTable {
    places: Vec<Option<(Box<[u8]>, Slot)>>,
}

impl KeyTable {
    fn new(entries: Vec<(Box<[u8]>, Slot)>) -> Self {
        let size = (entries.len() * 2).next_power_of_two().max(2);
        let mut table = Self { places: vec![None; size] };
        for (key, slot) in entries {
            let mut at = hash(&key);
            // Half of the places stay free, so one is found.
            while let Some(place) = table.places.get_mut(at & (size - 1)) {
                if place.is_none() {
                    *place = Some((key, slot));
                    break;
                }
                at = at.wrapping_add(1);
            }
        }
        table
    }

    fn find(&self, key: &[u8]) -> Option<Slot> {
        let mask = self.places.len().checked_sub(1)?;
        let mut at = hash(key);
        loop {
            let (known, slot) = self.places.get(at & mask)?.as_ref()?;
            if **known == *key {
                return Some(*slot);
            }
            at = at.wrapping_add(1);
        }
    }
}

/// Spreads keys by their length and both ends. The table's keys come from the profile, so nobody can choose them to collide.
fn hash(key: &[u8]) -> usize {
    let first = key.first_chunk::<8>().map_or_else(|| short(key), |bytes| u64::from_le_bytes(*bytes));
    let last = key.last_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let length = u64::try_from(key.len()).unwrap_or_default();
    let mixed = (first ^ last.rotate_left(23) ^ length).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    usize::try_from(mixed >> 40).unwrap_or_default()
}

fn short(key: &[u8]) -> u64 {
    key.iter().take(8).fold(0, |text, byte| (text << 8) | u64::from(*byte))
}
