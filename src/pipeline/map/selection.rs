//! A caller's projection as a tree of wire keys: what was asked for, and what policy needs on top of it.

use std::collections::BTreeMap;

use crate::bundle::profile::Profile;
use crate::bundle::profile::tree::Meaning;
use crate::bundle::profile::types::RecordType;

/// Which keys of a record the caller asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    children: BTreeMap<String, Selection>,
}

impl Selection {
    /// What was asked for below a key: `None` if the key was not asked for.
    pub fn below(&self, key: &str) -> Option<&Selection> {
        self.children.get(key)
    }

    /// Whether nothing below was named, which asks for the whole value.
    pub fn is_whole(&self) -> bool {
        self.children.is_empty()
    }

    /// The dotted names that must be added so that the answer carries what policy needs, for a record of a type and for
    /// each embedded record that the selection reaches into.
    pub fn missing(
        &self,
        profile: &Profile,
        record_type: &RecordType,
        needed: &dyn Fn(&str) -> Vec<String>,
    ) -> Vec<String> {
        let mut missing = Vec::new();
        self.collect_missing("", profile, record_type, needed, &mut missing);
        missing.sort();
        missing.dedup();
        missing
    }

    /// Adds the keys that lead to a field.
    pub fn add<'n>(&mut self, mut keys: impl Iterator<Item = &'n str>) {
        if let Some(key) = keys.next() {
            self.children.entry(key.to_owned()).or_default().add(keys);
        }
    }

    fn has(&self, dotted: &str) -> bool {
        dotted.split('.').try_fold(self, |selection, key| selection.below(key)).is_some()
    }

    fn collect_missing(
        &self,
        prefix: &str,
        profile: &Profile,
        record_type: &RecordType,
        needed: &dyn Fn(&str) -> Vec<String>,
        missing: &mut Vec<String>,
    ) {
        for name in needed(&record_type.name) {
            if !self.has(&name) {
                missing.push(format!("{prefix}{name}"));
            }
        }
        let Some(tree) = profile.tree(&record_type.name) else { return };
        for (key, below) in self.children.iter().filter(|(_, below)| !below.is_whole()) {
            let Meaning::Field(index) = tree.meaning(key) else { continue };
            let embed = record_type.fields.get(index).and_then(|field| field.embeds.as_ref());
            if let Some((_, inner)) = embed.and_then(|embed| profile.type_named(&embed.type_name)) {
                below.collect_missing(&format!("{prefix}{key}."), profile, inner, needed, missing);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_make_a_tree() {
        let mut selection = Selection::default();
        ["title", "party.name", "party"].into_iter().for_each(|name| selection.add(name.split('.')));
        assert!(selection.below("title").unwrap().is_whole());
        assert!(selection.below("party").unwrap().below("name").is_some());
        assert!(selection.below("amount").is_none());
        assert!(selection.has("party.name"));
        assert!(!selection.has("party.code"));
    }
}
