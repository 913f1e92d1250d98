//! A set of logical field names and its id: entries carry the id, a `fields` entry spells the names once
//! per segment.
//!
//! Promises: equal sets have equal ids, in whatever order and however often the names were given.
//! Never holds a field's value.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::model::hex::hex;

/// Logical field names, sorted, each once. Cheap to clone: make one per field class and keep it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet(Option<Arc<Spelled>>);

#[derive(Debug, PartialEq, Eq)]
struct Spelled {
    id: String,
    names: Vec<String>,
    object: Vec<u8>,
}

impl FieldSet {
    /// The set of these names.
    pub fn of(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            return Self::default();
        }
        let digest = Sha256::digest(names.join("\n"));
        let id = format!("f_{}", hex(digest.get(..ID_DIGEST_BYTES).unwrap_or_default()));
        let spelled = serde_json::Value::from(names.clone());
        let object = format!(r#"{{"set":"{id}","names":{spelled}}}"#).into_bytes();
        Self(Some(Arc::new(Spelled { id, names, object })))
    }

    /// Whether the set has no name; such a set has no id and is omitted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// `f_` and 16 hex digits of the SHA-256 of the names joined by line feeds; empty for the empty set.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.as_ref().map_or("", |set| &set.id)
    }

    /// The names, sorted.
    #[must_use]
    pub fn names(&self) -> &[String] {
        self.0.as_ref().map_or(&[], |set| &set.names)
    }

    /// The set's `fields` entry as a JSON object.
    pub(super) fn object(&self) -> &[u8] {
        self.0.as_ref().map_or(b"{}", |set| &set.object)
    }
}

impl From<Vec<String>> for FieldSet {
    fn from(names: Vec<String>) -> Self {
        Self::of(names)
    }
}

impl Serialize for FieldSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

/// How much of the digest an id spells.
const ID_DIGEST_BYTES: usize = 8;
