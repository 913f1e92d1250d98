//! Content hashes: what names a bundle or a directory in the ledger, and what a kept copy is checked against.

use std::collections::BTreeMap;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::model::hex::hex;

/// The SHA-256 of some bytes, in hex.
pub fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The hash of a set of files: over each name, length and content in the order of the names.
pub fn hash_files(files: &BTreeMap<String, Bytes>) -> String {
    let mut hasher = Sha256::new();
    for (name, content) in files {
        hasher.update(format!("{}:{name}:{}\n", name.len(), content.len()));
        hasher.update(content);
    }
    hex(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, Bytes> {
        pairs.iter().map(|(n, c)| (n.to_string(), Bytes::copy_from_slice(c.as_bytes()))).collect()
    }

    #[test]
    fn moving_bytes_between_files_changes_the_hash() {
        let hashes = [
            hash_files(&files(&[("a", "xy"), ("b", "")])),
            hash_files(&files(&[("a", "x"), ("b", "y")])),
            hash_files(&files(&[("ab", "xy")])),
            hash_files(&files(&[("a", "xy")])),
        ];
        let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
        assert_eq!(distinct.len(), hashes.len());
    }
}
