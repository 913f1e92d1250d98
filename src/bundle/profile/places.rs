//! What a shape says about each place of an answer, as a tree over path segments.

use std::collections::HashMap;

use super::shape::{Shape, TotalTreatment};
use crate::json::path::Segment;

/// One place and what is below.
#[derive(Clone, Debug, Default)]
pub struct PlaceTree {
    keys: HashMap<String, PlaceTree>,
    each_member: Option<Box<PlaceTree>>,
    each_item: Option<Box<PlaceTree>>,
    indices: HashMap<usize, PlaceTree>,
    end: Option<Place>,
    /// Record locations at this place or below, by their numbers in the shape.
    locations: Vec<usize>,
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A record, of the location of that number.
    Record(usize),
    /// A count or sum over rows.
    Total(TotalTreatment),
    /// Something that passes as it is.
    Whole,
    /// The address of another page.
    Page,
}

impl PlaceTree {
    /// The tree of a shape's parts.
    pub fn build(shape: &Shape) -> Self {
        let mut tree = PlaceTree::default();
        for (location, record) in shape.records.iter().enumerate() {
            tree.insert(record.at.segments(), Place::Record(location));
        }
        for total in &shape.totals {
            tree.insert(total.at.segments(), Place::Total(total.treatment.clone()));
        }
        for path in &shape.keep {
            tree.insert(path.segments(), Place::Whole);
        }
        for path in &shape.pages {
            tree.insert(path.segments(), Place::Page);
        }
        tree
    }

    /// What stands here.
    pub fn end(&self) -> Option<&Place> {
        self.end.as_ref()
    }

    /// What is known of the member under a key. A single key goes before all keys.
    pub fn member(&self, key: &str) -> Option<&PlaceTree> {
        self.keys.get(key).or(self.each_member.as_deref())
    }

    /// What is known of an item.
    pub fn item(&self, index: usize) -> Option<&PlaceTree> {
        self.indices.get(&index).or(self.each_item.as_deref())
    }

    /// Whether the member under a key is a total.
    pub fn is_total(&self, key: &str) -> bool {
        self.keys.get(key).is_some_and(|next| matches!(next.end, Some(Place::Total(_))))
    }

    /// Record locations at this place or below.
    pub fn locations(&self) -> &[usize] {
        &self.locations
    }

    /// The keys, and then the indices, under which records must be found.
    pub fn steps(&self) -> impl Iterator<Item = (Step<'_>, &PlaceTree)> {
        let keys = self.keys.iter().map(|(key, next)| (Step::Key(key), next));
        let indices = self.indices.iter().map(|(index, next)| (Step::Index(*index), next));
        keys.chain(indices).filter(|(_, next)| !next.locations.is_empty())
    }

    /// Whether records are looked for in members, and whether in items.
    pub fn looks_into(&self) -> (bool, bool) {
        let leads = |next: &PlaceTree| !next.locations.is_empty();
        let members = self.keys.values().any(leads) || self.each_member.as_deref().is_some_and(leads);
        let items = self.indices.values().any(leads) || self.each_item.as_deref().is_some_and(leads);
        (members, items)
    }

    /// Whether each place can be reached in one way only, with at most one thing there, so that one pass can judge it.
    pub fn is_plain(&self) -> bool {
        let children = || {
            let each = self.each_member.as_deref().into_iter().chain(self.each_item.as_deref());
            self.keys.values().chain(self.indices.values()).chain(each)
        };
        let is_one_way = (self.keys.is_empty() || self.each_member.is_none())
            && (self.indices.is_empty() || self.each_item.is_none());
        let is_counted = |next: &PlaceTree| matches!(next.end, Some(Place::Total(_)));
        let counts_item = self.indices.values().chain(self.each_item.as_deref()).any(is_counted);
        let is_end = self.end.is_some();
        let is_one_thing = !is_end || (children().next().is_none() && self.locations.len() <= 1);
        is_one_way && is_one_thing && !counts_item && children().all(PlaceTree::is_plain)
    }

    fn insert(&mut self, segments: &[Segment], place: Place) {
        if let Place::Record(location) = place {
            self.locations.push(location);
        }
        let Some((segment, rest)) = segments.split_first() else {
            self.end = Some(place);
            return;
        };
        let next = match segment {
            Segment::Key(key) => self.keys.entry(key.clone()).or_default(),
            Segment::Index(index) => self.indices.entry(*index).or_default(),
            Segment::EachItem => self.each_item.get_or_insert_default(),
            Segment::EachMember => self.each_member.get_or_insert_default(),
        };
        next.insert(rest, place);
    }
}

/// One step to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step<'p> {
    /// A member.
    Key(&'p str),
    /// An item.
    Index(usize),
}
