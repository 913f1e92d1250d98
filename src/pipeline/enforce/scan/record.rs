//! One record that was scanned: judged, and written as its verdict permits (PEP).

use std::sync::Arc;

use super::super::super::hydrate::extract::Completeness;
use super::super::super::map::selection::Selection;
use super::super::shown::{Seen, ShownSets};
use super::acts::{Act, Embedded, acts};
use super::groups::Groups;
use super::layout::{Layouts, LevelSpec, SlotMeaning};
use super::output::{IsWanted, Output};
use super::place::{Place, Reading, id_of};
use super::{Halt, Judge, Judgement, RawRecord};
use crate::bundle::profile::Profile;
use crate::bundle::profile::types::RecordType;
use crate::json::scan::levels::{LevelId, Slot};
use crate::json::scan::object::{NO_OBJECT, Node, SLOT_WORDS, Slots, decoded};
use crate::model::seeded::{Fault, is_seeded};

/// Judges and writes the records of one answer.
pub struct Writer<'p, J> {
    profile: &'p Profile,
    layouts: &'p Layouts,
    judge: J,
    /// By verdict and level.
    acts: Vec<Option<Arc<[Act<'p>]>>>,
    /// What becomes of records, for the ledger.
    groups: Groups,
    /// Whether anything was held back.
    pub is_cut: bool,
    /// Whether a field was met where the profile refuses the whole answer.
    pub is_refused: bool,
    /// The last record's fingerprint.
    print: Vec<u64>,
}

/// A record that was scanned.
#[derive(Clone, Copy)]
pub struct Scanned<'b> {
    /// All that the scan found.
    pub reading: Reading<'b>,
    /// Which slots each object of the scan has.
    pub slots: &'b [Slots],
    /// The record's members among the nodes.
    pub members: (usize, usize),
    /// The number of its object.
    pub object: u32,
    /// The number of its type.
    pub type_index: usize,
    /// Whether missing keys mean that there is no value.
    pub completeness: Completeness,
    /// The id that it has if it does not say one.
    pub asked_id: Option<&'b str>,
    /// The id that it must have.
    pub expected_id: Option<&'b str>,
}

impl<'p, J: Judge> Writer<'p, J> {
    /// A writer that has written nothing.
    pub fn new(profile: &'p Profile, layouts: &'p Layouts, judge: J) -> Self {
        Self {
            profile,
            layouts,
            judge,
            acts: Vec::new(),
            groups: Groups::default(),
            is_cut: false,
            is_refused: false,
            print: Vec::new(),
        }
    }

    /// About how many bytes it takes to record what was shown and held back and not yet told.
    pub fn noted(&self) -> usize {
        self.groups.noted()
    }

    /// Whether there are so many verdicts that what they were on should be told soon.
    pub fn is_filling(&self) -> bool {
        self.judge.is_filling()
    }

    /// What was shown and held back of the records so far, told once.
    pub fn take_sets(&mut self) -> ShownSets {
        let (layouts, judge) = (self.layouts, &self.judge);
        let names = |type_index| layouts.of(type_index).map(|layout| &layout.names);
        let sets = std::mem::take(&mut self.groups).finish(names, |number| judge.verdict(number));
        if self.judge.is_filling() {
            // Now that all is told, nothing goes by the numbers of verdicts but what they mean for keys.
            self.judge.renew();
            self.acts.clear();
        }
        sets
    }

    /// Writes what may be seen of a record; `None` if it has no id.
    pub fn record(
        &mut self,
        record: Scanned<'_>,
        selection: Option<&Selection>,
        output: &mut Output,
    ) -> Result<Option<IsShown>, Halt> {
        let (layouts, profile) = (self.layouts, self.profile);
        let layout = layouts.of(record.type_index).ok_or(Halt::Internal)?;
        let record_type = profile.types.get(record.type_index).ok_or(Halt::Internal)?;
        let mut few = [Place::Missing; PLACES_FEW];
        let mut many = Vec::new();
        let count = layout.places;
        let places = match few.get_mut(..count) {
            Some(few) => few,
            None => {
                many.resize(count, Place::Missing);
                &mut many
            }
        };
        record.reading.places(record.members, layout.level, places)?;
        let stated = places.first().copied().and_then(id_of);
        let Some(id) = stated.as_deref().or(record.asked_id) else { return Ok(None) };
        if record.expected_id.is_some_and(|expected| expected != id) {
            return Err(Halt::OtherRecord);
        }
        let judgement = self.judge.judge(&RawRecord {
            type_index: record.type_index,
            id,
            completeness: record.completeness,
            places: places.get(1..).unwrap_or_default(),
        });
        let Judgement::Verdict(number) = judgement else { return Err(Halt::Lacking) };
        let verdict = self.judge.verdict(number);
        if !verdict.view.is_allow() && !is_seeded(Fault::HiddenRowsStay) {
            self.is_cut = true;
            self.groups.hide((record.type_index, number), &record_type.name, id, verdict);
            return Ok(Some(IsShown::No));
        }
        let mut print = std::mem::take(&mut self.print);
        let is_regular = selection.is_none() && !layout.is_irregular;
        let has_print = is_regular && self.fingerprint(&mut print, record, number).is_some();
        let group = if has_print { self.groups.known(record.type_index, &print) } else { None };
        let judged = Judged { record, record_type, number };
        let part = Part { level: layout.level, members: record.members };
        let (mut seen, start) = (Seen::default(), output.length());
        let noting = if group.is_some() { None } else { Some(&mut seen) };
        let is_whole = self.level(judged, part, selection, noting, output)?;
        match group {
            Some(group) => self.groups.add_id(group, id),
            None => {
                let print = has_print.then_some(print.as_slice());
                let policies = &self.judge.verdict(number).policies;
                self.groups.add(print, (record.type_index, number), policies, id, seen);
            }
        }
        self.print = print;
        if !is_whole {
            output.truncate(start);
        }
        Ok(Some(if is_whole { IsShown::Yes } else { IsShown::No }))
    }

    /// Writes the members of one level. `false` if the object is to be left out.
    fn level(
        &mut self,
        judged: Judged<'_, 'p>,
        part: Part,
        selection: Option<&Selection>,
        mut seen: Option<&mut Seen>,
        output: &mut Output,
    ) -> Result<bool, Halt> {
        let (layouts, Reading { nodes, source, .. }) = (self.layouts, judged.record.reading);
        let spec = layouts.spec(part.level).ok_or(Halt::Internal)?;
        let acts = self.prepare(judged, part.level, spec)?;
        output.byte(b'{', IsWanted::YES);
        let first = output.length();
        let (mut at, end) = part.members;
        while at < end {
            let node = nodes.get(at).ok_or(Halt::Internal)?;
            let inside = (at + 1, node.after);
            at = inside.1;
            let mut below = None;
            if let Some(selection) = selection {
                match selected(selection, source, node)? {
                    Selected::Not if !spec.is_meta(node.slot) => continue,
                    Selected::Not => {}
                    Selected::Below(selection) => below = Some(selection).filter(|below| !below.is_whole()),
                }
            }
            if let Some(seen) = seen.as_deref_mut() {
                self.note(judged, spec, node.slot, seen);
            }
            match acts.get(usize::from(node.slot)).ok_or(Halt::Internal)? {
                Act::Copy => member(source, node, first, output),
                Act::Drop => self.is_cut = true,
                act => {
                    let place = Member { node, inside, first, selection: below };
                    if !self.rare(act, judged, place, seen.as_deref_mut(), output)? {
                        return Ok(false);
                    }
                }
            }
        }
        output.byte(b'}', IsWanted::YES);
        Ok(true)
    }

    /// Whatever is neither copied nor left out. `false` if the object around it is to be left out.
    #[inline(never)]
    fn rare(
        &mut self,
        act: &Act<'p>,
        judged: Judged<'_, 'p>,
        place: Member<'_>,
        seen: Option<&mut Seen>,
        output: &mut Output,
    ) -> Result<bool, Halt> {
        let Member { node, first, .. } = place;
        let source = judged.record.reading.source;
        let opening = source.get(node.value).copied();
        let before = output.length();
        match act {
            Act::Copy => member(source, node, first, output),
            Act::Mask(_, hide) if opening == Some(b'n') => {
                return self.rare(hide, judged, place, seen, output);
            }
            Act::Replace(text) => {
                self.is_cut = true;
                key(source, node, first, output);
                output.text(text.as_bytes());
            }
            Act::Mask(mask, _) => {
                self.is_cut = true;
                key(source, node, first, output);
                let raw = source.get(node.value..node.end).unwrap_or_default();
                output.text(mask.of(std::str::from_utf8(raw).unwrap_or_default()).as_bytes());
            }
            Act::Container(_) if opening == Some(b'n') => member(source, node, first, output),
            Act::Container(level) if node.object != NO_OBJECT => {
                let part = Part { level: *level, members: place.inside };
                key(source, node, first, output);
                if !self.level(judged, part, place.selection, seen, output)? {
                    self.is_cut = true;
                    output.truncate(before);
                }
            }
            Act::Drop | Act::Container(_) => self.is_cut = true,
            Act::Branch | Act::Refuse => {
                self.is_cut = true;
                self.is_refused |= *act == Act::Refuse;
                return Ok(*act != Act::Branch);
            }
            Act::Embedded(embedded) => match opening {
                Some(b'{') => {
                    key(source, node, first, output);
                    if !self.embedded(judged.record, embedded, node, place, output)? {
                        output.truncate(before);
                        return self.rare(&embedded.hide, judged, place, seen, output);
                    }
                }
                Some(b'[') => {
                    key(source, node, first, output);
                    self.items(judged.record, embedded, place, output)?;
                }
                _ => member(source, node, first, output),
            },
        }
        Ok(true)
    }

    /// Writes a record that stands in a field. `false` if it may not be seen; without an id there is nothing to decide on.
    fn embedded(
        &mut self,
        outer: Scanned<'_>,
        embedded: &Embedded<'p>,
        node: &Node,
        place: Member<'_>,
        output: &mut Output,
    ) -> Result<bool, Halt> {
        let record = Scanned {
            members: place.inside,
            object: node.object,
            type_index: embedded.type_index,
            completeness: embedded.completeness,
            asked_id: None,
            expected_id: None,
            ..outer
        };
        let is_shown = self.record(record, place.selection, output)? == Some(IsShown::Yes);
        self.is_cut |= !is_shown;
        Ok(is_shown)
    }

    /// Writes what may be seen of a list of records that stands in a field.
    fn items(
        &mut self,
        outer: Scanned<'_>,
        embedded: &Embedded<'p>,
        place: Member<'_>,
        output: &mut Output,
    ) -> Result<(), Halt> {
        let Reading { nodes, source, .. } = outer.reading;
        output.byte(b'[', IsWanted::YES);
        let first = output.length();
        let (mut at, end) = place.inside;
        while at < end {
            let item = nodes.get(at).ok_or(Halt::Internal)?;
            let place = Member { inside: (at + 1, item.after), ..place };
            at = place.inside.1;
            let before = output.length();
            output.byte(b',', IsWanted::behind(before > first));
            let is_kept = match source.get(item.value) {
                Some(b'{') => self.embedded(outer, embedded, item, place, output)?,
                Some(b'[') => false,
                // A bare id is part of the field, which is shown.
                _ => {
                    output.copy(source, item.value, item.end);
                    true
                }
            };
            if !is_kept {
                self.is_cut = true;
                output.truncate(before);
            }
        }
        output.byte(b']', IsWanted::YES);
        Ok(())
    }

    /// The acts of a level under a verdict.
    fn prepare(
        &mut self,
        judged: Judged<'_, 'p>,
        level: LevelId,
        spec: &LevelSpec,
    ) -> Result<Arc<[Act<'p>]>, Halt> {
        let place = judged.number as usize * self.layouts.levels.count() + usize::from(level);
        if self.acts.len() <= place {
            self.acts.resize(place + 1, None);
        }
        let entry = self.acts.get_mut(place).ok_or(Halt::Internal)?;
        if let Some(acts) = entry {
            return Ok(Arc::clone(acts));
        }
        let verdict = self.judge.verdict(judged.number);
        let acts = acts(self.profile, self.layouts, judged.record_type, spec, verdict);
        *entry = Some(Arc::clone(&acts));
        Ok(acts)
    }

    /// Notes what became of a member, for the ledger.
    fn note(&self, judged: Judged<'_, 'p>, spec: &LevelSpec, slot: Slot, seen: &mut Seen) {
        let verdict = self.judge.verdict(judged.number);
        match spec.slots.get(usize::from(slot)).map(|slot| slot.meaning) {
            Some(SlotMeaning::Field(index)) => seen.note(index, verdict.field(index)),
            Some(SlotMeaning::Unknown) => {
                seen.note(judged.record_type.fields.len(), verdict.unclassified());
            }
            // Whether there is a composite at all would tell of what is hidden inside.
            Some(SlotMeaning::Container(inner)) => {
                let is_hidden = |inner: &&LevelSpec| !verdict.shows_any(inner.fields.iter().copied());
                let inner = self.layouts.spec(inner).filter(is_hidden);
                let hidden = inner.into_iter().flat_map(|inner| &inner.fields);
                hidden.for_each(|index| seen.note(*index, verdict.field(*index)));
            }
            Some(SlotMeaning::Meta | SlotMeaning::LookAlike) | None => {}
        }
    }

    /// What the outcome of a record depends on: its verdict and which keys it has. `None` if they cannot be told.
    fn fingerprint(&self, print: &mut Vec<u64>, record: Scanned<'_>, number: u32) -> Option<()> {
        let level = self.layouts.of(record.type_index)?.level;
        let type_index = u64::try_from(record.type_index).ok()?;
        print.clear();
        print.push((type_index << 32) | u64::from(number));
        self.extend(print, record, Part { level, members: record.members }, record.object)
    }

    /// Adds the keys of a level. A level of more slots than are noted has no fingerprint.
    fn extend(&self, print: &mut Vec<u64>, record: Scanned<'_>, part: Part, object: u32) -> Option<()> {
        let spec = self.layouts.spec(part.level).filter(|spec| spec.slots.len() <= SLOT_WORDS * 64)?;
        print.extend(record.slots.get(object as usize)?);
        let (mut at, end) = part.members;
        while spec.has_containers && at < end {
            let node = record.reading.nodes.get(at)?;
            let members = (at + 1, node.after);
            at = members.1;
            let slot = spec.slots.get(usize::from(node.slot))?;
            if let SlotMeaning::Container(level) = slot.meaning {
                print.push((u64::from(node.slot) << 1) | u64::from(node.object != NO_OBJECT));
                if node.object != NO_OBJECT {
                    self.extend(print, record, Part { level, members }, node.object)?;
                }
            }
        }
        Some(())
    }
}

/// A record under its verdict.
#[derive(Clone, Copy)]
struct Judged<'b, 'p> {
    record: Scanned<'b>,
    record_type: &'p RecordType,
    number: u32,
}

/// One level of a record: its number, and its members among the nodes.
#[derive(Clone, Copy)]
struct Part {
    level: LevelId,
    members: (usize, usize),
}

/// A member that is being written.
#[derive(Clone, Copy)]
struct Member<'b> {
    node: &'b Node,
    /// The nodes inside of it.
    inside: (usize, usize),
    /// Where the first member of its object was written.
    first: usize,
    /// What of it was asked for, if not all.
    selection: Option<&'b Selection>,
}

/// Whether a record leaves, whatever of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsShown {
    /// It does.
    Yes,
    /// It does not.
    No,
}

enum Selected<'s> {
    Not,
    Below(&'s Selection),
}

fn selected<'s>(selection: &'s Selection, source: &[u8], node: &Node) -> Result<Selected<'s>, Halt> {
    let key = decoded(source, node.start, node.key_end)?;
    let key = std::str::from_utf8(&key).map_err(|_| Halt::Malformed)?;
    Ok(selection.below(key).map_or(Selected::Not, Selected::Below))
}

/// Writes a member as it stands, without white space around its colon.
#[inline(always)]
fn member(source: &[u8], node: &Node, first: usize, output: &mut Output) {
    output.byte(b',', IsWanted::behind(output.length() > first));
    if node.value == node.key_end + 1 {
        output.copy(source, node.start, node.end);
    } else {
        output.copy(source, node.start, node.key_end);
        output.byte(b':', IsWanted::YES);
        output.copy(source, node.value, node.end);
    }
}

/// Writes a member's key.
fn key(source: &[u8], node: &Node, first: usize, output: &mut Output) {
    output.byte(b',', IsWanted::behind(output.length() > first));
    output.copy(source, node.start, node.key_end);
    output.byte(b':', IsWanted::YES);
}

/// Places of a record that need no memory of their own.
const PLACES_FEW: usize = 24;
