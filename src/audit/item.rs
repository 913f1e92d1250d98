//! What is told as one: a decision with its parts, outcome, delivery and alarms; any other entry by itself.

use serde_json::Value;

/// One thing to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The kind of its first entry.
    pub kind: String,
    /// The decision id, where it is about one.
    pub id: Option<String>,
    /// The entry; of a split one, all parts joined.
    pub entry: Value,
    /// What came of it later: outcome, delivery, alarms.
    pub later: Vec<Value>,
    /// Whether further parts of the entry are to come.
    pub is_partial: bool,
}

impl Item {
    /// An item that starts with an entry.
    pub fn new(kind: &str, entry: Value) -> Self {
        let id = entry.get(if kind == "decision" { "id" } else { "of" }).and_then(Value::as_str);
        let mut item = Self {
            kind: kind.to_owned(),
            id: id.map(str::to_owned),
            is_partial: is_partial(&entry),
            later: Vec::new(),
            entry: Value::Null,
        };
        item.entry = entry;
        item
    }

    /// The entry's seq.
    pub fn seq(&self) -> u64 {
        self.entry.get("seq").and_then(Value::as_u64).unwrap_or(0)
    }

    /// Whether the decision's outcome is known.
    pub fn is_closed(&self) -> bool {
        self.kind != "decision" || self.later.iter().any(|entry| text(entry, "kind") == "outcome")
    }

    /// Whether another entry is a further part of this one's.
    pub fn continues_with(&self, kind: &str, entry: &Value) -> bool {
        let same = |member: &str| self.entry.get(member) == entry.get(member);
        self.is_partial && self.kind == kind && same("batch") && same("id") && same("of")
    }

    /// Joins a further part.
    pub fn join(&mut self, part: &Value) {
        self.is_partial = is_partial(part);
        join_lists(&mut self.entry, part);
    }

    /// Adds what came of it later; parts of an outcome are joined.
    pub fn add_later(&mut self, entry: Value) {
        let same_kind = |other: &&mut Value| text(other, "kind") == text(&entry, "kind");
        match self.later.iter_mut().find(same_kind).filter(|_| entry.get("part").is_some()) {
            Some(first) => join_lists(first, &entry),
            None => self.later.push(entry),
        }
    }
}

/// A member that is text, or nothing.
pub fn text<'v>(entry: &'v Value, member: &str) -> &'v str {
    entry.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// A member that is a list, or none.
pub fn list<'v>(entry: &'v Value, member: &str) -> &'v [Value] {
    entry.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A member that is a list of texts.
pub fn texts<'v>(entry: &'v Value, member: &str) -> Vec<&'v str> {
    list(entry, member).iter().filter_map(Value::as_str).collect()
}

fn is_partial(entry: &Value) -> bool {
    let number = |member: &str| entry.get("part").and_then(|part| part.get(member)).and_then(Value::as_u64);
    number("n") < number("of")
}

/// Each part carries a share of the lists and all other members.
fn join_lists(entry: &mut Value, part: &Value) {
    let Some(members) = entry.as_object_mut() else { return };
    members.remove("part");
    for member in SPLIT {
        let Some(more) = part.get(*member) else { continue };
        match (members.get_mut(*member), more) {
            (Some(Value::Array(items)), Value::Array(more)) => items.extend(more.iter().cloned()),
            (Some(inner @ Value::Object(_)), Value::Object(_)) => join_lists(inner, more),
            (Some(_), _) => {}
            (None, more) => {
                members.insert((*member).to_owned(), more.clone());
            }
        }
    }
}

/// The members that are split over parts; `policies` holds three of them.
const SPLIT: &[&str] = &["access", "sets", "rows_hidden", "policies", "added", "removed", "changed"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_become_one_item() {
        let part = |n: u64, ids: [&str; 1]| {
            let sets = json!([{"type": "Deal", "ids": ids}]);
            json!({"seq": n, "batch": 1, "id": "d", "method": "GET", "sets": sets, "part": {"n": n, "of": 2}})
        };
        let mut item = Item::new("decision", part(1, ["41"]));
        assert!(item.is_partial && item.continues_with("decision", &part(2, ["42"])));
        item.join(&part(2, ["42"]));
        assert!(!item.is_partial);
        let joined = json!([{"type": "Deal", "ids": ["41"]}, {"type": "Deal", "ids": ["42"]}]);
        assert_eq!((item.entry["sets"].clone(), item.entry.get("part")), (joined, None));
    }

    #[test]
    fn policies_of_a_split_revision_are_joined_by_list() {
        let part = |n: u64, id: &str| json!({"seq": n, "batch": 1, "policies": {"added": [id]}, "part": {"n": n, "of": 2}});
        let mut item = Item::new("revision", part(1, "a"));
        item.join(&part(2, "b"));
        assert_eq!(item.entry["policies"], json!({"added": ["a", "b"]}));
    }
}
