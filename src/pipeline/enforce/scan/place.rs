//! Where in a record its id and its attributes are (PIP): slices of the source, nothing decoded that nobody needs.

use std::borrow::Cow;

use super::super::super::hydrate::extract::{ID_BYTES_MAX, is_canonical};
use super::layout::{Layouts, LevelSpec, SlotMeaning, SlotSpec};
use crate::json::scan::Stop;
use crate::json::scan::levels::LevelId;
use crate::json::scan::lex::{byte, key_and_value, skip_space, value_end};
use crate::json::scan::object::{NO_OBJECT, Node, decoded};
use crate::json::token;

/// What stands at a place where an attribute may be: the exact text of the value.
pub type Place<'b> = super::super::super::hydrate::extract::Place<&'b [u8]>;

/// What the places are read from.
#[derive(Clone, Copy)]
pub struct Reading<'b> {
    /// The tables.
    pub layouts: &'b Layouts,
    /// All nodes of the step.
    pub nodes: &'b [Node],
    /// The bytes.
    pub source: &'b [u8],
    /// How deep values may go.
    pub depth: usize,
}

impl<'b> Reading<'b> {
    /// Fills in the places of a record, whose members are some of the nodes.
    pub fn places(
        &self,
        members: (usize, usize),
        level: LevelId,
        places: &mut [Place<'b>],
    ) -> Result<(), Stop> {
        let Some(spec) = self.layouts.spec(level) else { return Ok(()) };
        let (mut at, end) = members;
        while at < end {
            let Some(node) = self.nodes.get(at) else { return Ok(()) };
            let next = node.after;
            if let Some(slot) = place_slot(spec, node) {
                self.slot(slot, node, (at + 1, next), places)?;
            }
            at = next;
        }
        Ok(())
    }

    fn slot(
        &self,
        slot: &SlotSpec,
        node: &Node,
        inside: (usize, usize),
        places: &mut [Place<'b>],
    ) -> Result<(), Stop> {
        let value = self.source.get(node.value..node.end).unwrap_or_default();
        let first = value.first().copied();
        for place in &slot.here {
            set(places, *place, if first == Some(b'n') { Place::Null } else { Place::Found(value) });
        }
        match (slot.meaning, first) {
            (SlotMeaning::Container(level), _) if node.object != NO_OBJECT => {
                self.places(inside, level, places)?
            }
            (_, Some(b'{')) => {
                for (place, path) in &slot.seeks {
                    set(places, *place, seek(self.source, node.value, path, self.depth)?);
                }
            }
            (_, Some(b'n')) => slot.below.iter().for_each(|place| set(places, *place, Place::Null)),
            _ => slot.below.iter().for_each(|place| set(places, *place, Place::Misshapen)),
        }
        Ok(())
    }
}

/// The value at the end of a path of keys, in an object that was found to be JSON. A key of the path that stands twice is a
/// flaw.
pub fn seek<'b>(source: &'b [u8], at: usize, path: &[String], depth: usize) -> Result<Place<'b>, Stop> {
    let Some((key, rest)) = path.split_first() else {
        let value = source.get(at..value_end(source, at, depth)?).unwrap_or_default();
        return Ok(if value == b"null" { Place::Null } else { Place::Found(value) });
    };
    match byte(source, at)? {
        b'{' => {}
        b'n' => return Ok(Place::Null),
        _ => return Ok(Place::Misshapen),
    }
    let mut found = None;
    let mut at = skip_space(source, at + 1)?;
    while byte(source, at)? != b'}' {
        let (key_end, value) = key_and_value(source, at)?;
        if *decoded(source, at, key_end)? == *key.as_bytes() && found.replace(value).is_some() {
            return Err(Stop::Flaw);
        }
        at = skip_space(source, value_end(source, value, depth)?)?;
        if byte(source, at)? == b',' {
            at = skip_space(source, at + 1)?;
        }
    }
    match found {
        Some(value) => seek(source, value, rest, depth),
        None => Ok(Place::Missing),
    }
}

/// The id that a value is, in its canonical form: text as it is, whole numbers as their digits.
pub fn id_of<'b>(place: Place<'b>) -> Option<Cow<'b, str>> {
    let Place::Found(raw) = place else { return None };
    let text = std::str::from_utf8(raw).ok()?;
    match raw.first()? {
        // Six bytes of source make at least one of text.
        b'"' if raw.len() > ID_BYTES_MAX * 6 + 2 => None,
        b'"' => Some(token::decode(text)).filter(|id| is_canonical(id)),
        b'0'..=b'9' => Some(Cow::Borrowed(text)).filter(|id| id.bytes().all(|byte| byte.is_ascii_digit())),
        _ => None,
    }
}

#[inline(always)]
fn place_slot<'l>(spec: &'l LevelSpec, node: &Node) -> Option<&'l SlotSpec> {
    let slot = usize::from(node.slot);
    spec.has_places.get(slot).is_some_and(|has| *has).then(|| spec.slots.get(slot)).flatten()
}

fn set<'b>(places: &mut [Place<'b>], number: usize, found: Place<'b>) {
    if let Some(place) = places.get_mut(number) {
        *place = found;
    }
}
