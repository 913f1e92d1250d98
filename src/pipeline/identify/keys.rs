//! Keys by their SHA-256: a table from hash to principal, so that the file gives nobody a key.
//!
//! Keys hold 256 random bits, so a plain hash cannot be guessed and a slow one would only cost each request.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use http::header::HeaderName;

use super::carrier::Credential;
use crate::config::author::{Problems, SourceFile};
use crate::config::reader::{Reading, Table};
use crate::model::principal::{Authn, EntityRef};

/// One table of keys, and what carries them.
pub struct KeySource {
    /// What the ledger calls it.
    pub authn: Authn,
    /// The header that carries the key.
    pub header: HeaderName,
    /// The scheme before the key, e.g. `Bearer`; `None` if the header holds just the key.
    pub scheme: Option<String>,
    /// The hashes of the known keys.
    pub keys: KeyTable,
}

impl KeySource {
    /// The principal whose key this is.
    pub fn find(&self, credential: &Credential<'_>) -> Option<&EntityRef> {
        credential.behind(&self.header, self.scheme.as_deref()).and_then(|key| self.keys.find(key))
    }
}

/// Known keys of one source.
#[derive(Default)]
pub struct KeyTable {
    principals: HashMap<[u8; 32], EntityRef>,
}

impl KeyTable {
    /// The principal of a key.
    pub fn find(&self, key: &str) -> Option<&EntityRef> {
        self.principals.get(&hash(key))
    }

    /// Every principal that has a key.
    pub fn principals(&self) -> impl Iterator<Item = &EntityRef> {
        self.principals.values()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.principals.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.principals.is_empty()
    }

    /// Adds a key.
    pub fn insert(&mut self, key: &str, principal: EntityRef) {
        self.principals.insert(hash(key), principal);
    }
}

/// Reads `[[key]]` tables with `sha256` and `principal`; every problem is noted.
pub fn load(source: &Arc<SourceFile>, problems: &mut Problems) -> KeyTable {
    let reading = Reading::new(Arc::clone(source));
    let mut table = KeyTable::default();
    if let Some(parsed) = reading.parse(&source.text) {
        let root = reading.table(&parsed);
        for key in root.tables("key") {
            read_key(&key, &mut table);
        }
        root.finish();
    }
    problems.extend(reading.into_problems());
    table
}

fn read_key(key: &Table<'_>, table: &mut KeyTable) {
    let hash = key.required("sha256", "It is printed by `lockkeeper key new` and `lockkeeper key hash`.");
    let principal = key.required("principal", "Write a reference such as `User::\"anna\"`.");
    key.text("note");
    key.finish();
    let (Some(hash), Some(principal)) = (hash, principal) else { return };
    let Some(digest) = from_hex(&hash.value) else {
        key.reading().error(hash.span, "a SHA-256 is 64 hexadecimal digits", "");
        return;
    };
    let Some(entity) = EntityRef::parse(&principal.value).filter(EntityRef::is_person) else {
        let help = "Write a reference such as `User::\"anna\"`; there are User, Service and Agent.";
        key.reading().error(principal.span, format!("`{}` is not a principal", principal.value), help);
        return;
    };
    if table.principals.insert(digest, entity).is_some() {
        key.reading().error(hash.span, "two keys have this hash", "Give each principal a key of their own.");
    }
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let bytes: Vec<u8> =
        digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit)).collect();
    bytes.try_into().ok().filter(|_| text.len() == 64)
}
