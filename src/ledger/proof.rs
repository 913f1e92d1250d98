//! Proofs of the tree, as RFC 6962 §2.1.1 and §2.1.2 have them: that a line is in it, and that a later one begins with an earlier one.
//!
//! Promises: what [`inclusion_holds`] and [`consistency_holds`] accept can only have been made of the lines that the roots stand for;
//! a proof has no more hashes than the tree has levels. Never reads files: hashes come from a [`Subtrees`].

use super::tree::{Hash, TreeHead};

/// Where the roots of full subtrees come from.
pub trait Subtrees {
    /// Why one cannot be had.
    type Error;

    /// The root over the `2^height` leaves from leaf `index * 2^height` on.
    fn root(&mut self, height: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The hashes that lead from a leaf to the root over `size` leaves, the leaf's neighbour first. Empty where there is no such leaf.
///
/// # Errors
/// A hash cannot be had.
pub fn inclusion<S: Subtrees>(of: &mut S, index: u64, size: u64) -> Result<Vec<Hash>, S::Error> {
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    if index >= size {
        return Ok(path);
    }
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(range(of, middle, end)?);
            end = middle;
        } else {
            path.push(range(of, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The hashes that show that the tree of `size` leaves begins with the one of `earlier` leaves.
///
/// # Errors
/// A hash cannot be had.
pub fn consistency<S: Subtrees>(of: &mut S, earlier: u64, size: u64) -> Result<Vec<Hash>, S::Error> {
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    if earlier == 0 || earlier >= size {
        return Ok(path);
    }
    // Whether what is left of the earlier tree is the whole of it, which its own root already stands for.
    let mut is_whole = true;
    while earlier != end {
        let middle = start + split(end - start);
        if earlier <= middle {
            path.push(range(of, middle, end)?);
            end = middle;
        } else {
            path.push(range(of, start, middle)?);
            start = middle;
            is_whole = false;
        }
    }
    if !is_whole {
        path.push(range(of, start, end)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether the leaf stands at `index` in the tree (RFC 9162 §2.1.3.2).
#[must_use]
pub fn inclusion_holds(leaf: Hash, index: u64, path: &[Hash], head: &TreeHead) -> bool {
    if index >= head.size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, head.size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = sibling.joined(hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = hash.joined(*sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == head.root
}

/// Whether the later tree begins with the earlier one (RFC 9162 §2.1.4.2). An empty tree begins everything.
#[must_use]
pub fn consistency_holds(earlier: &TreeHead, later: &TreeHead, path: &[Hash]) -> bool {
    if earlier.size == 0 || earlier.size >= later.size {
        return path.is_empty() && (earlier.size == 0 || earlier == later);
    }
    let mut path = path.iter().copied();
    let first = if earlier.size.is_power_of_two() { Some(earlier.root) } else { path.next() };
    let Some(first) = first else { return false };
    let (mut node, mut last) = (earlier.size - 1, later.size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut before, mut after) = (first, first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            before = sibling.joined(before);
            after = sibling.joined(after);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            after = after.joined(sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && before == earlier.root && after == later.root
}

/// The root over the leaves from `start` up to `end`, of which there is at least one. `start` is a multiple of every power of two up
/// to their number.
fn range<S: Subtrees>(of: &mut S, start: u64, end: u64) -> Result<Hash, S::Error> {
    let size = end - start;
    if size.is_power_of_two() {
        let height = size.trailing_zeros();
        return of.root(height, start >> height);
    }
    let middle = start + split(size);
    Ok(range(of, start, middle)?.joined(range(of, middle, end)?))
}

/// The largest power of two below a number above 1.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}
