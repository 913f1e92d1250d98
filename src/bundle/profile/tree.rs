//! A record type's fields as a tree over wire keys, so that each key of a record has exactly one meaning.

use std::collections::{HashMap, HashSet};

use super::types::{KeyPattern, RecordType};
use crate::json::alike::folded;
use crate::model::seeded::{Fault, is_seeded};

/// What a key of a record means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning<'t> {
    /// The record's id or a key that says what it is: shown with the record.
    Meta,
    /// A field, by its index in the type.
    Field(usize),
    /// An object that holds fields.
    Container(&'t FieldTree),
    /// No field claims it, and some reader takes it for a key that has a meaning: nobody sees it, nobody writes it.
    LookAlike,
    /// No field claims it.
    Unknown,
}

/// One level of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldTree {
    keys: HashMap<String, Branch>,
    twins: Vec<(KeyPattern, usize)>,
    /// The folded spelling of each key of this level.
    alike: HashSet<String>,
    /// The folded spelling of each twin's pattern.
    alike_twins: Vec<KeyPattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Branch {
    Meta,
    Field(usize),
    Container(FieldTree),
}

impl FieldTree {
    /// Builds the tree of a type; the error says which two things claim one place.
    pub fn build(record_type: &RecordType) -> Result<Self, String> {
        let mut tree = FieldTree::default();
        for key in &record_type.meta {
            tree.insert(std::slice::from_ref(key), Branch::Meta)?;
        }
        for (index, field) in record_type.fields.iter().enumerate() {
            tree.insert(&field.at, Branch::Field(index))?;
            let parent = field.at.split_last().map_or(&[][..], |(_, parent)| parent);
            let level = tree.level(parent).ok_or_else(|| format!("`{}` has no container", field.name))?;
            let meets = |twin: &KeyPattern| level.twins.iter().any(|(other, _)| other.overlaps(twin));
            if field.twins.iter().any(meets) {
                return Err(format!("a twin of `{}` may also be a twin of another field", field.name));
            }
            let twins = field.twins.iter().filter(|_| !is_seeded(Fault::TwinsAreForgotten));
            level.twins.extend(twins.map(|twin| (twin.clone(), index)));
        }
        let claimed = tree.meaning_of(&record_type.id);
        if matches!(claimed, Meaning::Unknown) {
            tree.insert(&record_type.id, Branch::Meta)?;
        }
        tree.fold();
        Ok(tree)
    }

    /// What a key on this level means.
    pub fn meaning(&self, key: &str) -> Meaning<'_> {
        match self.keys.get(key) {
            Some(Branch::Meta) => Meaning::Meta,
            Some(Branch::Field(index)) => Meaning::Field(*index),
            Some(Branch::Container(tree)) => Meaning::Container(tree),
            None => match self.twins.iter().find(|(pattern, _)| pattern.matches(key)) {
                Some((_, index)) => Meaning::Field(*index),
                None if self.has_alike(key) => Meaning::LookAlike,
                None => Meaning::Unknown,
            },
        }
    }

    /// What a path of keys means.
    pub fn meaning_of(&self, path: &[String]) -> Meaning<'_> {
        let Some((first, rest)) = path.split_first() else { return Meaning::Unknown };
        match self.meaning(first) {
            Meaning::Container(tree) if !rest.is_empty() => tree.meaning_of(rest),
            meaning if rest.is_empty() => meaning,
            Meaning::Field(index) => Meaning::Field(index),
            _ => Meaning::Unknown,
        }
    }

    /// Each key of this level and what it means; twins apart.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Meaning<'_>)> {
        self.keys.iter().map(|(key, branch)| {
            let meaning = match branch {
                Branch::Meta => Meaning::Meta,
                Branch::Field(index) => Meaning::Field(*index),
                Branch::Container(tree) => Meaning::Container(tree),
            };
            (key.as_str(), meaning)
        })
    }

    /// The patterns of this level's twins, each with the field that it follows.
    pub fn twins(&self) -> &[(KeyPattern, usize)] {
        &self.twins
    }

    /// The folded spelling of each key of this level, and of each pattern of a twin.
    pub fn alike(&self) -> (impl Iterator<Item = &str>, &[KeyPattern]) {
        (self.alike.iter().map(String::as_str), &self.alike_twins)
    }

    /// Every field on this level and below.
    pub fn fields(&self) -> Vec<usize> {
        let below = self.keys.values().flat_map(|branch| match branch {
            Branch::Meta => Vec::new(),
            Branch::Field(index) => vec![*index],
            Branch::Container(tree) => tree.fields(),
        });
        below.collect()
    }

    fn insert(&mut self, path: &[String], branch: Branch) -> Result<(), String> {
        let (key, rest) = path.split_first().ok_or("a place needs at least one key")?;
        if rest.is_empty() {
            return match self.keys.insert(key.clone(), branch) {
                None => Ok(()),
                Some(_) => Err(format!("two things stand at `{key}`")),
            };
        }
        let entry = self.keys.entry(key.clone()).or_insert_with(|| Branch::Container(FieldTree::default()));
        match entry {
            Branch::Container(tree) => tree.insert(rest, branch),
            // The id inside an object that is itself a field or meta needs no place of its own.
            Branch::Meta | Branch::Field(_) => Err(format!("`{key}` is a field and also holds fields")),
        }
    }

    fn fold(&mut self) {
        self.alike = self.keys.keys().map(|key| folded(key).into_owned()).collect();
        self.alike_twins = self.twins.iter().map(|(pattern, _)| pattern.folded()).collect();
        for branch in self.keys.values_mut() {
            match branch {
                Branch::Container(tree) => tree.fold(),
                Branch::Meta | Branch::Field(_) => {}
            }
        }
    }

    fn has_alike(&self, key: &str) -> bool {
        let key = folded(key);
        self.alike.contains(key.as_ref()) || self.alike_twins.iter().any(|twin| twin.matches(&key))
    }

    fn level(&mut self, path: &[String]) -> Option<&mut FieldTree> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        match self.keys.get_mut(first)? {
            Branch::Container(tree) => tree.level(rest),
            Branch::Meta | Branch::Field(_) => None,
        }
    }
}
