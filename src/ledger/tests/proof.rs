//! Proofs of the tree against an independent implementation of RFC 6962, and against everything that is nearly one.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;

use crate::ledger::proof::{Subtrees, consistency, consistency_holds, inclusion, inclusion_holds};
use crate::ledger::tree::{HASH_BYTES, Hash, Tree, TreeHead};

/// Roots of full subtrees from all leaves.
struct Leaves(Vec<Hash>);

impl Subtrees for Leaves {
    type Error = String;

    fn root(&mut self, height: u32, index: u64) -> Result<Hash, String> {
        let (start, width) = (usize::try_from(index).unwrap() << height, 1 << height);
        let mut tree = Tree::default();
        let leaves = self.0.get(start..start + width).ok_or("outside of the tree")?;
        leaves.iter().for_each(|leaf| tree.push_leaf(*leaf));
        Ok(tree.head().root)
    }
}

fn line(number: u64) -> Vec<u8> {
    format!("entry {number}").into_bytes()
}

/// Heads of all sizes, the leaves, and the other implementation's tree.
fn trees(size: u64) -> (Vec<TreeHead>, Leaves, MemoryBackedTree<Sha256, Vec<u8>>) {
    let (mut tree, mut other) = (Tree::default(), MemoryBackedTree::new());
    let (mut heads, mut leaves) = (vec![tree.head()], Vec::new());
    for number in 0..size {
        tree.push(&line(number));
        other.push(line(number));
        heads.push(tree.head());
        leaves.push(Hash::leaf(&line(number)));
    }
    (heads, Leaves(leaves), other)
}

fn bytes(path: &[Hash]) -> Vec<u8> {
    path.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

fn hash(byte: u8) -> Hash {
    Hash::from_slice(&[byte; HASH_BYTES]).unwrap()
}

#[test]
fn they_are_those_of_another_implementation() {
    for size in 1..=70 {
        let (heads, mut leaves, other) = trees(size);
        let head = heads[usize::try_from(size).unwrap()];
        assert_eq!(head.root.as_bytes().as_slice(), other.root().as_bytes().as_slice());
        for index in 0..size {
            let path = inclusion(&mut leaves, index, size).unwrap();
            let theirs = other.prove_inclusion(usize::try_from(index).unwrap());
            assert_eq!(bytes(&path), theirs.as_bytes(), "entry {index} of {size}");
            assert!(inclusion_holds(Hash::leaf(&line(index)), index, &path, &head));
        }
        for earlier in 1..size {
            let path = consistency(&mut leaves, earlier, size).unwrap();
            let theirs = other.prove_consistency(usize::try_from(size - earlier).unwrap());
            assert_eq!(bytes(&path), theirs.as_bytes(), "{earlier} of {size}");
            assert!(consistency_holds(&heads[usize::try_from(earlier).unwrap()], &head, &path));
        }
    }
}

#[test]
fn what_is_nearly_a_proof_of_inclusion_is_none() {
    let (heads, mut leaves, _) = trees(37);
    let head = heads[37];
    for index in 0..37 {
        let (leaf, path) = (Hash::leaf(&line(index)), inclusion(&mut leaves, index, 37).unwrap());
        let holds = |leaf, index, path: &[Hash], head: &TreeHead| inclusion_holds(leaf, index, path, head);
        assert!(holds(leaf, index, &path, &head));
        assert!(!holds(Hash::leaf(b"another entry"), index, &path, &head));
        for other in (0..40).filter(|other| *other != index) {
            assert!(!holds(leaf, other, &path, &head), "{index} as {other}");
        }
        for place in 0..path.len() {
            let mut changed = path.clone();
            changed[place] = hash(7);
            assert!(!holds(leaf, index, &changed, &head));
            changed = path.clone();
            changed.remove(place);
            assert!(!holds(leaf, index, &changed, &head));
            changed = path.clone();
            changed.insert(place, hash(7));
            assert!(!holds(leaf, index, &changed, &head));
        }
        assert!(!holds(leaf, index, &[path.as_slice(), &[hash(7)]].concat(), &head));
        assert!(!holds(leaf, index, &path, &TreeHead { root: hash(7), ..head }));
        // A root of more or fewer entries needs another path, or the entry is not there yet.
        assert!(!holds(leaf, index, &path, &heads[36]));
    }
    assert!(!inclusion_holds(Hash::leaf(b""), 0, &[], &heads[0]), "nothing is in an empty ledger");
}

#[test]
fn what_is_nearly_a_proof_of_consistency_is_none() {
    let (heads, mut leaves, _) = trees(37);
    let later = heads[37];
    for earlier in heads.iter().take(37).skip(1).copied() {
        let path = consistency(&mut leaves, earlier.size, 37).unwrap();
        assert!(consistency_holds(&earlier, &later, &path));
        let other = TreeHead { root: hash(7), ..earlier };
        assert!(!consistency_holds(&other, &later, &path), "a root that was never signed");
        assert!(!consistency_holds(&earlier, &TreeHead { root: hash(7), ..later }, &path));
        for place in 0..path.len() {
            let mut changed = path.clone();
            changed[place] = hash(7);
            assert!(!consistency_holds(&earlier, &later, &changed));
            changed = path.clone();
            changed.remove(place);
            assert!(!consistency_holds(&earlier, &later, &changed));
        }
        assert!(!consistency_holds(&earlier, &later, &[path.as_slice(), &[hash(7)]].concat()));
        assert!(!consistency_holds(&later, &earlier, &path), "nothing shrinks");
    }
    assert!(consistency_holds(&later, &later, &[]) && consistency_holds(&heads[0], &later, &[]));
    assert!(!consistency_holds(&later, &later, &[hash(7)]));
    assert!(!consistency_holds(&TreeHead { root: hash(7), ..later }, &later, &[]));
}

/// A tree of any size over leaves that are all the same to it.
struct Endless;

impl Subtrees for Endless {
    type Error = String;

    fn root(&mut self, height: u32, _: u64) -> Result<Hash, String> {
        Ok(hash(u8::try_from(height).unwrap()))
    }
}

#[test]
fn the_largest_trees_have_proofs() {
    for (size, of_the_last) in [((1 << 63) + 1, 1), (u64::MAX, 63)] {
        assert_eq!(inclusion(&mut Endless, 0, size).unwrap().len(), 64, "{size}");
        assert_eq!(inclusion(&mut Endless, size - 1, size).unwrap().len(), of_the_last, "{size}");
        assert!(!consistency(&mut Endless, size - 1, size).unwrap().is_empty(), "{size}");
    }
}
