//! How the records of each type lie in an answer, as tables for the scanner: made once for what serves.

use std::collections::BTreeMap;

use super::super::shown::FieldNames;
use super::learned::Idle;
use crate::bundle::profile::Profile;
use crate::bundle::profile::tree::{FieldTree, Meaning};
use crate::bundle::profile::types::{Hide, KeyPath, KeyPattern, RecordType};
use crate::json::scan::levels::{Affix, Alike, Inside, Level, LevelId, Levels, Slot};

/// The tables of all types of a profile.
#[derive(Debug, Default)]
pub struct Layouts {
    /// What the scanner reads by.
    pub levels: Levels,
    /// Scanners with what they learned of answers: it goes by the numbers of these levels.
    pub scanners: Idle,
    specs: Vec<LevelSpec>,
    types: Vec<TypeLayout>,
}

/// The tables of one type.
#[derive(Debug)]
pub struct TypeLayout {
    /// The level of its records.
    pub level: LevelId,
    /// How many places there are: the id's, and those where attributes may be that decisions need.
    pub places: usize,
    /// Whether what a record shows depends on more than which fields it has, and what its verdict is.
    pub is_irregular: bool,
    /// The full names of its fields.
    pub names: FieldNames,
}

/// What a level's slots mean.
#[derive(Debug, Default)]
pub struct LevelSpec {
    /// By slot.
    pub slots: Vec<SlotSpec>,
    /// Every field on the level and below.
    pub fields: Vec<usize>,
    /// Whether it has containers.
    pub has_containers: bool,
    /// By slot, whether an attribute or the id is here or below.
    pub has_places: Vec<bool>,
}

/// What one slot means.
#[derive(Debug)]
pub struct SlotSpec {
    /// What it is for the record.
    pub meaning: SlotMeaning,
    /// Places that are here.
    pub here: Vec<usize>,
    /// Places inside of a value that is no container.
    pub seeks: Vec<(usize, KeyPath)>,
    /// Every place below.
    pub below: Vec<usize>,
}

/// What a key of a record means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotMeaning {
    /// Shown with the record.
    Meta,
    /// A field.
    Field(usize),
    /// An object that holds fields.
    Container(LevelId),
    /// Some reader takes it for a key that has a meaning: nobody sees it.
    LookAlike,
    /// No field claims it.
    Unknown,
}

/// A place and what is left of the way to it.
type Way<'w> = (usize, &'w [String]);

impl Layouts {
    /// The tables of a profile, with the places of what decisions on a type need. `None` if it is too large for tables.
    pub fn new<'n>(profile: &Profile, needed: impl Fn(&str) -> &'n [KeyPath]) -> Option<Self> {
        let mut layouts = Layouts::default();
        for _ in &profile.types {
            layouts.reserve()?;
        }
        for (index, (record_type, tree)) in profile.types.iter().zip(&profile.trees).enumerate() {
            let needed = needed(&record_type.name);
            let paths = std::iter::once(&record_type.id).chain(needed).map(KeyPath::as_slice);
            let ways: Vec<Way<'_>> = paths.enumerate().collect();
            let level = LevelId::try_from(index).ok()?;
            layouts.define(profile, record_type, tree, level, &ways)?;
            let is_irregular = record_type.fields.iter().any(|field| field.hide == Hide::Branch);
            let names = FieldNames::of(record_type);
            layouts.types.push(TypeLayout { level, places: ways.len(), is_irregular, names });
        }
        Some(layouts)
    }

    /// The tables of a type, by its number.
    pub fn of(&self, type_index: usize) -> Option<&TypeLayout> {
        self.types.get(type_index)
    }

    /// What a level's slots mean.
    pub fn spec(&self, level: LevelId) -> Option<&LevelSpec> {
        self.specs.get(usize::from(level))
    }

    fn reserve(&mut self) -> Option<LevelId> {
        self.specs.push(LevelSpec::default());
        self.levels.reserve()
    }

    fn define(
        &mut self,
        profile: &Profile,
        record_type: &RecordType,
        tree: &FieldTree,
        id: LevelId,
        ways: &[Way<'_>],
    ) -> Option<()> {
        let mut keys: BTreeMap<&str, Meaning<'_>> = tree.entries().collect();
        for (_, way) in ways {
            if let Some(first) = way.first() {
                keys.entry(first).or_insert_with(|| tree.meaning(first));
            }
        }
        let twins = tree.twins().iter();
        for (pattern, field) in twins {
            if let KeyPattern::Exact(key) = pattern {
                keys.entry(key).or_insert(Meaning::Field(*field));
            }
        }
        let mut spec =
            LevelSpec { slots: vec![SlotSpec::plain(SlotMeaning::Unknown)], ..LevelSpec::default() };
        let (mut exact, mut affixes) = (Vec::new(), Vec::new());
        for (key, meaning) in keys {
            let onward: Vec<Way<'_>> = ways.iter().filter_map(|way| step(*way, key)).collect();
            let (slot, inside) = self.slot(profile, record_type, meaning, &onward)?;
            spec.has_containers |= matches!(slot.meaning, SlotMeaning::Container(_));
            spec.slots.push(slot);
            exact.push((key.to_owned(), inside));
        }
        for (affix, field) in
            tree.twins().iter().filter_map(|(pattern, field)| Some((affix(pattern)?, *field)))
        {
            affixes.push((affix, self.inside(profile, record_type, field)));
            spec.slots.push(SlotSpec::plain(SlotMeaning::Field(field)));
        }
        let (keys, patterns) = tree.alike();
        let alike = Alike {
            keys: keys.chain(patterns.iter().filter_map(exact_key)).map(str::to_owned).collect(),
            affixes: patterns.iter().filter_map(affix).collect(),
        };
        spec.slots.push(SlotSpec::plain(SlotMeaning::LookAlike));
        self.levels.define(id, Level::new(exact, affixes, alike)?);
        spec.fields = tree.fields();
        spec.has_places = spec.slots.iter().map(SlotSpec::has_places).collect();
        *self.specs.get_mut(usize::from(id))? = spec;
        Some(())
    }

    fn slot(
        &mut self,
        profile: &Profile,
        record_type: &RecordType,
        meaning: Meaning<'_>,
        onward: &[Way<'_>],
    ) -> Option<(SlotSpec, Inside)> {
        let here = onward.iter().filter(|(_, way)| way.is_empty()).map(|(place, _)| *place).collect();
        let ways: Vec<Way<'_>> = onward.iter().filter(|(_, way)| !way.is_empty()).copied().collect();
        let below = ways.iter().map(|(place, _)| *place).collect();
        let seeks = || ways.iter().map(|(place, way)| (*place, way.to_vec())).collect();
        let (meaning, inside, seeks) = match meaning {
            Meaning::Container(tree) => {
                let id = self.reserve()?;
                self.define(profile, record_type, tree, id, &ways)?;
                (SlotMeaning::Container(id), Inside::Object(id), Vec::new())
            }
            Meaning::Field(field) => {
                (SlotMeaning::Field(field), self.inside(profile, record_type, field), seeks())
            }
            Meaning::Meta => (SlotMeaning::Meta, Inside::Whole, seeks()),
            Meaning::LookAlike => (SlotMeaning::LookAlike, Inside::Whole, seeks()),
            Meaning::Unknown => (SlotMeaning::Unknown, Inside::Whole, seeks()),
        };
        Some((SlotSpec { meaning, here, seeks, below }, inside))
    }

    /// What is inside of a field. The levels of types have the numbers of the types.
    fn inside(&self, profile: &Profile, record_type: &RecordType, field: usize) -> Inside {
        let embed = record_type.fields.get(field).and_then(|field| field.embeds.as_ref());
        let embedded = embed.and_then(|embed| profile.type_named(&embed.type_name));
        embedded.and_then(|(index, _)| LevelId::try_from(index).ok()).map_or(Inside::Whole, Inside::Records)
    }
}

impl LevelSpec {
    /// Whether a slot is shown with the record.
    pub fn is_meta(&self, slot: Slot) -> bool {
        self.slots.get(usize::from(slot)).is_some_and(|slot| slot.meaning == SlotMeaning::Meta)
    }
}

impl SlotSpec {
    fn plain(meaning: SlotMeaning) -> Self {
        Self { meaning, here: Vec::new(), seeks: Vec::new(), below: Vec::new() }
    }

    fn has_places(&self) -> bool {
        !self.here.is_empty() || !self.below.is_empty()
    }
}

/// What is left of a way behind a key.
fn step<'w>((place, way): Way<'w>, key: &str) -> Option<Way<'w>> {
    let (first, rest) = way.split_first()?;
    (first == key).then_some((place, rest))
}

/// The pattern of several keys; `None` if it is one.
fn affix(pattern: &KeyPattern) -> Option<Affix> {
    match pattern {
        KeyPattern::Exact(_) => None,
        KeyPattern::Prefix(prefix) => Some(Affix { prefix: prefix.clone(), suffix: String::new() }),
        KeyPattern::Suffix(suffix) => Some(Affix { prefix: String::new(), suffix: suffix.clone() }),
    }
}

/// The pattern of one key.
fn exact_key(pattern: &KeyPattern) -> Option<&str> {
    match pattern {
        KeyPattern::Exact(key) => Some(key),
        KeyPattern::Prefix(_) | KeyPattern::Suffix(_) => None,
    }
}
