//! Entries that are longer than a line: split by the ids in their lists into parts that are entries of
//! their own.
//!
//! Promises: the parts' lists, joined, are the entry's lists; every part fits a line; what has no list
//! stays whole in each. Never drops an id: an entry whose single member is too long is an error.

use std::ops::Range;

use serde::Serialize;

use super::counts::{Passes, Refusals, Unrecorded};
use super::entry::revision::{PolicyChanges, Revision};
use super::entry::{Access, Decision, Outcome, Part, RowsHidden, Sets, Shown};
use super::error::LedgerError;
use super::line::OBJECT_BYTES_MAX;
use super::own::SegmentHead;

/// An entry that can be split.
pub(super) trait Split: Serialize + Sized {
    /// The entry's lists in a fixed order, as sizes.
    fn lists(&self) -> Result<Vec<List>, serde_json::Error>;

    /// The entry with only these items of its lists; a list that a part does not touch is `None`.
    fn part(&self, keep: &[Keep], part: Part) -> Self;
}

/// One list of an entry: what it costs to mention it at all, and each of its items.
pub(super) struct List {
    head_bytes: usize,
    item_bytes: Vec<usize>,
}

/// The items of one list that a part carries.
pub(super) type Keep = Option<Range<usize>>;

/// The entry as JSON objects, one unless it must be split, each short enough for a line.
pub(super) fn encode<E: Split>(kind: &'static str, entry: &E) -> Result<Vec<Vec<u8>>, LedgerError> {
    let whole = object(kind, entry)?;
    if whole.len() <= OBJECT_BYTES_MAX {
        return Ok(vec![whole]);
    }
    let lists = entry.lists().map_err(|source| LedgerError::Encode { kind, source })?;
    let none = vec![None; lists.len()];
    let base = object(kind, &entry.part(&none, Part { n: u32::MAX, of: u32::MAX }))?.len() + FRAME_BYTES_MAX;
    let parts = pack(base, &lists).map_err(|bytes| too_large(kind, bytes))?;
    let of = u32::try_from(parts.len()).map_err(|_| too_large(kind, whole.len()))?;
    let encode_part = |(n, keep): (u32, &Vec<Keep>)| fitting(kind, &entry.part(keep, Part { n, of }));
    (1..=of).zip(&parts).map(encode_part).collect()
}

/// The entry as one JSON object, or an error where it does not fit a line.
pub(super) fn fitting<E: Serialize>(kind: &'static str, entry: &E) -> Result<Vec<u8>, LedgerError> {
    let object = object(kind, entry)?;
    if object.len() > OBJECT_BYTES_MAX { Err(too_large(kind, object.len())) } else { Ok(object) }
}

fn object<E: Serialize>(kind: &'static str, entry: &E) -> Result<Vec<u8>, LedgerError> {
    serde_json::to_vec(entry).map_err(|source| LedgerError::Encode { kind, source })
}

fn too_large(kind: &'static str, bytes: usize) -> LedgerError {
    LedgerError::EntryTooLarge { kind, bytes, limit: OBJECT_BYTES_MAX }
}

/// Fills parts in the order of the lists. An item that fits no part of its own gives its size as the error.
fn pack(base: usize, lists: &[List]) -> Result<Vec<Vec<Keep>>, usize> {
    let mut packer = Packer { base, used: base, current: vec![None; lists.len()], parts: Vec::new() };
    for (at, list) in lists.iter().enumerate() {
        if list.item_bytes.is_empty() {
            packer.place(at, 0..0, list.head_bytes, 0)?;
        }
        for (item, bytes) in list.item_bytes.iter().enumerate() {
            packer.place(at, item..item + 1, list.head_bytes, bytes + 1)?;
        }
    }
    packer.parts.push(packer.current);
    Ok(packer.parts)
}

/// The part that is being filled, and those that are full.
struct Packer {
    base: usize,
    used: usize,
    current: Vec<Keep>,
    parts: Vec<Vec<Keep>>,
}

impl Packer {
    /// Puts one item of the list `at` into the current part, or into a new one.
    fn place(&mut self, at: usize, item: Range<usize>, head: usize, bytes: usize) -> Result<(), usize> {
        let begun = self.current.get(at).is_some_and(Option::is_some);
        let cost = if begun { bytes } else { head + bytes };
        if self.used + cost > OBJECT_BYTES_MAX {
            if self.base + head + bytes > OBJECT_BYTES_MAX {
                return Err(self.base + head + bytes);
            }
            let fresh = vec![None; self.current.len()];
            self.parts.push(std::mem::replace(&mut self.current, fresh));
            self.used = self.base + head + bytes;
        } else {
            self.used += cost;
        }
        if let Some(keep) = self.current.get_mut(at) {
            let start = keep.as_ref().map_or(item.start, |kept| kept.start);
            *keep = Some(start..item.end);
        }
        Ok(())
    }
}

impl Split for Decision {
    fn lists(&self) -> Result<Vec<List>, serde_json::Error> {
        let access = self.access.iter().map(|item| list(&Access { ids: vec![], ..item.clone() }, &item.ids));
        access.chain(records(&self.sets, &self.rows_hidden)).collect()
    }

    fn part(&self, keep: &[Keep], part: Part) -> Self {
        let (access, keep) = keep.split_at(self.access.len().min(keep.len()));
        let (sets, rows) = keep.split_at(self.sets.len().min(keep.len()));
        let of_access = |(item, ids): (&Access, _)| Access { ids, ..item.clone() };
        Self {
            access: kept(&self.access, access, |item| &item.ids).map(of_access).collect(),
            sets: kept_sets(&self.sets, sets),
            rows_hidden: kept_rows(&self.rows_hidden, rows),
            part: Some(part),
            ..self.without_lists()
        }
    }
}

impl Decision {
    /// The decision without what is split, so that a part does not copy it first.
    fn without_lists(&self) -> Self {
        let Self {
            id,
            who,
            method,
            route,
            query,
            effect,
            reason,
            reasons,
            write,
            bundle,
            directory,
            mode,
            ..
        } = self;
        Self {
            id: id.clone(),
            who: who.clone(),
            method: method.clone(),
            route: route.clone(),
            query: query.clone(),
            effect: *effect,
            reason: reason.clone(),
            reasons: reasons.clone(),
            access: vec![],
            sets: vec![],
            rows_hidden: vec![],
            write: write.clone(),
            bundle: bundle.clone(),
            directory: directory.clone(),
            mode: *mode,
            part: None,
        }
    }
}

impl Split for Shown {
    fn lists(&self) -> Result<Vec<List>, serde_json::Error> {
        records(&self.sets, &self.rows_hidden).collect()
    }

    fn part(&self, keep: &[Keep], part: Part) -> Self {
        let (sets, rows) = keep.split_at(self.sets.len().min(keep.len()));
        Self {
            of: self.of.clone(),
            n: self.n,
            sets: kept_sets(&self.sets, sets),
            rows_hidden: kept_rows(&self.rows_hidden, rows),
            reasons: self.reasons.clone(),
            errors: self.errors.clone(),
            part: Some(part),
        }
    }
}

impl Split for Outcome {
    fn lists(&self) -> Result<Vec<List>, serde_json::Error> {
        self.sets.iter().map(|item| list(&Sets { ids: vec![], ..item.clone() }, &item.ids)).collect()
    }

    fn part(&self, keep: &[Keep], part: Part) -> Self {
        let sets = kept_sets(&self.sets, keep);
        let (of, reason, stage) = (self.of.clone(), self.reason.clone(), self.stage.clone());
        let Self { status, upstream, released, bytes, delivered, mode, .. } = *self;
        let part = Some(part);
        Self { of, status, upstream, released, bytes, delivered, reason, mode, sets, stage, part }
    }
}

impl Split for Revision {
    fn lists(&self) -> Result<Vec<List>, serde_json::Error> {
        let lists = self.policies.iter().flat_map(|ids| [&ids.added, &ids.removed, &ids.changed]);
        lists.map(|ids| items(LIST_HEAD_BYTES, ids)).collect()
    }

    fn part(&self, keep: &[Keep], part: Part) -> Self {
        let ids = |list: fn(&PolicyChanges) -> &Vec<String>, at: usize| {
            let ids = self.policies.as_ref().map_or(&[][..], |ids| list(ids));
            slice(ids, keep.get(at).unwrap_or(&None))
        };
        let policies = PolicyChanges {
            added: ids(|ids| &ids.added, 0),
            removed: ids(|ids| &ids.removed, 1),
            changed: ids(|ids| &ids.changed, 2),
        };
        Self { policies: Some(policies), part: Some(part), ..self.clone() }
    }
}

impl Split for Refusals {
    fn lists(&self) -> Result<Vec<List>, serde_json::Error> {
        Ok(vec![items(LIST_HEAD_BYTES, &self.counts)?])
    }

    /// Counts add up over entries of one second, so that parts need no numbers.
    fn part(&self, keep: &[Keep], _: Part) -> Self {
        let counts = slice(&self.counts, keep.first().unwrap_or(&None));
        Self { second: self.second.clone(), counts }
    }
}

impl Split for Passes {
    fn lists(&self) -> Result<Vec<List>, serde_json::Error> {
        Ok(vec![items(LIST_HEAD_BYTES, &self.counts)?])
    }

    /// As for refusals.
    fn part(&self, keep: &[Keep], _: Part) -> Self {
        let counts = slice(&self.counts, keep.first().unwrap_or(&None));
        Self { second: self.second.clone(), counts }
    }
}

impl Split for Unrecorded {
    fn lists(&self) -> Result<Vec<List>, serde_json::Error> {
        Ok(vec![items(LIST_HEAD_BYTES, &self.passed)?])
    }

    /// As for refusals.
    fn part(&self, keep: &[Keep], _: Part) -> Self {
        self.with(slice(&self.passed, keep.first().unwrap_or(&None)))
    }
}

impl Split for SegmentHead {
    fn lists(&self) -> Result<Vec<List>, serde_json::Error> {
        Ok(vec![items(LIST_HEAD_BYTES, &self.open)?])
    }

    fn part(&self, keep: &[Keep], part: Part) -> Self {
        let open = slice(&self.open, keep.first().unwrap_or(&None));
        Self { boot: self.boot.clone(), previous: self.previous.clone(), open, part: Some(part) }
    }
}

/// The sizes of one list under a head that is mentioned in each part that touches the list.
fn list<H: Serialize, T: Serialize>(head: &H, ids: &[T]) -> Result<List, serde_json::Error> {
    items(serde_json::to_vec(head)?.len() + LIST_HEAD_BYTES, ids)
}

fn items<T: Serialize>(head_bytes: usize, items: &[T]) -> Result<List, serde_json::Error> {
    let item_bytes = items.iter().map(|item| serde_json::to_vec(item).map(|json| json.len()));
    Ok(List { head_bytes, item_bytes: item_bytes.collect::<Result<_, _>>()? })
}

/// Each item that the part touches, with the ids that it keeps.
fn kept<'a, T>(
    all: &'a [T],
    keep: &'a [Keep],
    ids: fn(&T) -> &Vec<String>,
) -> impl Iterator<Item = (&'a T, Vec<String>)> {
    all.iter()
        .zip(keep)
        .filter(|(_, keep)| keep.is_some())
        .map(move |(item, keep)| (item, slice(ids(item), keep)))
}

/// The lists of what was shown and of what was left out.
fn records<'e>(
    sets: &'e [Sets],
    rows: &'e [RowsHidden],
) -> impl Iterator<Item = Result<List, serde_json::Error>> + 'e {
    let sets = sets.iter().map(|item| list(&Sets { ids: vec![], ..item.clone() }, &item.ids));
    sets.chain(rows.iter().map(|item| list(&RowsHidden { ids: vec![], ..item.clone() }, &item.ids)))
}

fn kept_rows(all: &[RowsHidden], keep: &[Keep]) -> Vec<RowsHidden> {
    kept(all, keep, |item| &item.ids).map(|(item, ids)| RowsHidden { ids, ..item.clone() }).collect()
}

fn kept_sets(all: &[Sets], keep: &[Keep]) -> Vec<Sets> {
    kept(all, keep, |item| &item.ids).map(|(item, ids)| Sets { ids, ..item.clone() }).collect()
}

fn slice<T: Clone>(all: &[T], keep: &Keep) -> Vec<T> {
    keep.clone().and_then(|range| all.get(range)).unwrap_or_default().to_vec()
}

/// More than the names, brackets and commas of all of an entry's lists, which the base does not count.
const FRAME_BYTES_MAX: usize = 128;

/// The bytes of `,"ids":[]` and a comma, or of any other list's name.
const LIST_HEAD_BYTES: usize = 16;
