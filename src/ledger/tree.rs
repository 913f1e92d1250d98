//! The Merkle tree over the ledger's lines, as RFC 6962 has it: one number stands for all of them, and for every beginning.
//!
//! A leaf is a line's exact bytes without the line feed; entry `seq` is leaf `seq - 1`. Keeps as many hashes as the size has bits.
//! Never reads files, and never looks at what a line says.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::model::hex::hex;

/// A SHA-256, written as 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hash([u8; HASH_BYTES]);

/// What stands for the first so many lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// How many.
    pub size: u64,
    /// Their root.
    pub root: Hash,
}

/// The tree as far as it has grown.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    /// The roots of the full subtrees that make it up, the largest first.
    peaks: Vec<Hash>,
}

impl Tree {
    /// A tree of `size` lines by the roots of its full subtrees, the largest first; `None` where there are more or fewer of them.
    pub fn resume(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// The roots of the full subtrees, the largest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Adds a line.
    pub fn push(&mut self, line: &[u8]) {
        self.push_leaf(Hash::leaf(line));
    }

    /// Adds a line that is known by its leaf.
    pub fn push_leaf(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each full subtree joins its neighbour of the same height.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = left.joined(hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// How many lines there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What stands for all lines so far.
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: Hash::of_peaks(&self.peaks) }
    }
}

impl Hash {
    /// The leaf of a line without its line feed.
    #[must_use]
    pub fn leaf(line: &[u8]) -> Self {
        Self::of(&[LEAF, line])
    }

    /// Its 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    /// The hash of these bytes, if they are 32.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The hash that 64 hex digits spell.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        let mut bytes = [0; HASH_BYTES];
        // Numbers may have signs elsewhere.
        if digits.len() != 2 * bytes.len() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The root over full subtrees, the largest first.
    pub(super) fn of_peaks(peaks: &[Self]) -> Self {
        let mut peaks = peaks.iter().rev().copied();
        let last = peaks.next().unwrap_or_else(|| Self::of(&[]));
        peaks.fold(last, |right, left| left.joined(right))
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        parts.iter().for_each(|part| digest.update(part));
        Self(digest.finalize().into())
    }

    /// The node over this one and its right neighbour.
    #[must_use]
    pub fn joined(self, right: Self) -> Self {
        Self::of(&[NODE, &self.0, &right.0])
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::from_hex(&digits).ok_or_else(|| de::Error::custom("expected 64 hex digits"))
    }
}

impl fmt::Display for TreeHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.size, self.root)
    }
}

/// The text is not a number of entries, a colon and 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected SIZE:ROOT, a number of entries and 64 hex digits, as `audit verify` prints it")]
pub struct NotAHead;

impl FromStr for TreeHead {
    type Err = NotAHead;

    fn from_str(text: &str) -> Result<Self, NotAHead> {
        let (size, digits) = text.split_once(':').ok_or(NotAHead)?;
        // Numbers may have signs elsewhere.
        let is_plain = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
        let size = size.parse().ok().filter(|_| is_plain).ok_or(NotAHead)?;
        Ok(Self { size, root: Hash::from_hex(digits).ok_or(NotAHead)? })
    }
}

/// The bytes of a hash.
pub const HASH_BYTES: usize = 32;

/// What is hashed before a line.
const LEAF: &[u8] = &[0];

/// What is hashed before two nodes.
const NODE: &[u8] = &[1];

#[cfg(test)]
mod tests {
    use super::*;

    /// The leaves and roots by which implementations of RFC 6962 are checked.
    const KNOWN: &[(&[u8], &str)] = &[
        (b"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (b"\x00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (b"\x10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (b"\x20\x21", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        (b"\x30\x31", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        (b"\x40\x41\x42\x43", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        (
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        ),
        (
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ),
    ];

    #[test]
    fn roots_are_those_of_rfc_6962() {
        let mut tree = Tree::default();
        let empty = "0:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(tree.head().to_string(), empty);
        for (size, (leaf, root)) in (1..).zip(KNOWN) {
            tree.push(leaf);
            assert_eq!(tree.head().to_string(), format!("{size}:{root}"));
        }
    }

    /// The root as RFC 6962 writes it down, which needs all leaves at once.
    fn by_definition(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => Hash::of(&[]),
            [leaf] => Hash::of(&[LEAF, leaf]),
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                by_definition(left).joined(by_definition(right))
            }
        }
    }

    #[test]
    fn each_size_has_the_root_of_the_definition() {
        let leaves: Vec<Vec<u8>> = (0..300_u32).map(|number| number.to_be_bytes().to_vec()).collect();
        let mut tree = Tree::default();
        for size in 0..=leaves.len() {
            let expected = TreeHead { size: size as u64, root: by_definition(&leaves[..size]) };
            assert_eq!(tree.head(), expected);
            assert_eq!(expected.to_string().parse(), Ok(expected));
            leaves.get(size).into_iter().for_each(|leaf| tree.push(leaf));
        }
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let (digits, short) = ("0".repeat(64), "0".repeat(63));
        for text in [
            String::new(),
            digits.clone(),
            format!(":{digits}"),
            format!("+1:{digits}"),
            format!("-1:{digits}"),
            format!("1:{short}"),
            format!("1:{digits}0"),
            format!("1:{short}g"),
            format!("1:+{short}"),
            format!("99999999999999999999:{digits}"),
            format!("1:{digits} "),
        ] {
            assert_eq!(text.parse::<TreeHead>(), Err(NotAHead), "{text}");
        }
    }
}
