//! The dictionary of field sets: entries name a set by its id, and the segment spells it before its first use.
//!
//! Promises: a set that was not spelled stays an id; nothing is guessed. Holds one segment's sets at a time.

use std::collections::HashMap;

use serde_json::Value;

use crate::ledger::read::Line;

/// The field sets of the segment that is being read.
#[derive(Debug, Default)]
pub struct Dictionary {
    sets: HashMap<String, Value>,
}

impl Dictionary {
    /// An entry with its sets spelled, and its kind; `None` for those that only carry the dictionary.
    pub fn read(&mut self, line: Line) -> Option<(String, Value)> {
        let (kind, mut entry) = (line.kind, line.value);
        self.learn(&kind, &entry);
        if matches!(kind.as_str(), "segment" | "fields") {
            return None;
        }
        self.spell(&mut entry);
        Some((kind, entry))
    }

    /// Takes note of an entry, if it begins a segment or spells a set.
    pub fn learn(&mut self, kind: &str, entry: &Value) {
        match kind {
            "segment" => self.sets.clear(),
            "fields" => {
                let set = entry.get("set").and_then(Value::as_str);
                if let (Some(set), Some(names)) = (set, entry.get("names")) {
                    self.sets.insert(set.to_owned(), names.clone());
                }
            }
            _ => {}
        }
    }

    /// Takes note of a set that was looked up elsewhere.
    pub fn put(&mut self, set: String, names: Value) {
        self.sets.insert(set, names);
    }

    /// The ids of the sets that an entry names.
    pub fn named(entry: &Value) -> Vec<String> {
        let sets = entry.get("sets").and_then(Value::as_array).into_iter().flatten();
        let ids = sets.flat_map(|set| SPELLED.iter().filter_map(|member| set.get(*member)?.as_str()));
        ids.map(str::to_owned).collect()
    }

    /// Puts the names in the place of the ids, in an entry's `sets`.
    pub fn spell(&self, entry: &mut Value) {
        for set in entry.get_mut("sets").and_then(Value::as_array_mut).into_iter().flatten() {
            for member in SPELLED {
                let Some(id) = set.get_mut(*member) else { continue };
                if let Some(names) = id.as_str().and_then(|id| self.sets.get(id)) {
                    *id = names.clone();
                }
            }
        }
    }
}

/// The members of `sets` that name a field set.
pub const SPELLED: &[&str] = &["shown", "hidden", "masked"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(entries: &[(&str, Value)], set: &str, expected: Value) {
        let mut dictionary = Dictionary::default();
        entries.iter().for_each(|(kind, entry)| dictionary.learn(kind, entry));
        let mut entry = json!({"sets": [{"type": "Deal", "shown": set}]});
        dictionary.spell(&mut entry);
        assert_eq!(entry["sets"][0]["shown"], expected);
    }

    #[test]
    fn a_set_is_spelled_within_its_segment() {
        let spelled = ("fields", json!({"set": "f_1", "names": ["Deal.amount", "Deal.title"]}));
        check(std::slice::from_ref(&spelled), "f_1", json!(["Deal.amount", "Deal.title"]));
        check(std::slice::from_ref(&spelled), "f_2", json!("f_2"));
        check(&[spelled, ("segment", json!({}))], "f_1", json!("f_1"));
    }
}
