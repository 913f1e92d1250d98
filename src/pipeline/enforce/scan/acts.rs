//! What a verdict means for each key of a level: worked out once, then looked up.

use std::sync::Arc;

use super::super::super::decide::gate::{RecordVerdict, Visibility};
use super::super::super::hydrate::extract::Completeness;
use super::layout::{Layouts, LevelSpec, SlotMeaning};
use crate::bundle::profile::Profile;
use crate::bundle::profile::mask::Mask;
use crate::bundle::profile::types::{FieldSpec, Hide, RecordType};
use crate::json::scan::levels::LevelId;
use crate::model::seeded::{Fault, is_seeded};

/// What happens to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act<'p> {
    /// It is copied.
    Copy,
    /// It is left out.
    Drop,
    /// Its value becomes this.
    Replace(&'p str),
    /// Its value becomes the mask, unless it is null: then it is hidden.
    Mask(&'p Mask, Box<Act<'p>>),
    /// The object around it is left out.
    Branch,
    /// The whole answer is refused.
    Refuse,
    /// Its own members are looked at.
    Container(LevelId),
    /// It holds records, which are judged.
    Embedded(Box<Embedded<'p>>),
}

/// Records that stand in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded<'p> {
    /// The number of their type.
    pub type_index: usize,
    /// Whether missing keys mean that there is no value.
    pub completeness: Completeness,
    /// What happens to the field if the one record in it may not be seen.
    pub hide: Act<'p>,
}

/// The acts of a level, by slot.
pub fn acts<'p>(
    profile: &'p Profile,
    layouts: &Layouts,
    record_type: &'p RecordType,
    spec: &LevelSpec,
    verdict: &RecordVerdict,
) -> Arc<[Act<'p>]> {
    let shows_any =
        |level| layouts.spec(level).is_some_and(|inner| verdict.shows_any(inner.fields.iter().copied()));
    let act = |meaning: SlotMeaning| match meaning {
        SlotMeaning::Meta => Act::Copy,
        SlotMeaning::Field(index) => match record_type.fields.get(index) {
            Some(field) => field_act(profile, field, verdict.field(index)),
            None => Act::Drop,
        },
        SlotMeaning::Container(level) if shows_any(level) || is_seeded(Fault::EmptyCompositesStay) => {
            Act::Container(level)
        }
        SlotMeaning::Unknown
            if verdict.unclassified() == Visibility::Shown || is_seeded(Fault::UnclaimedKeysPass) =>
        {
            Act::Copy
        }
        SlotMeaning::Container(_) | SlotMeaning::LookAlike | SlotMeaning::Unknown => Act::Drop,
    };
    spec.slots.iter().map(|slot| act(slot.meaning)).collect()
}

fn field_act<'p>(profile: &'p Profile, field: &'p FieldSpec, visibility: Visibility) -> Act<'p> {
    match (visibility, &field.mask) {
        (Visibility::Shown, _) => match &field.embeds {
            None => Act::Copy,
            Some(_) if is_seeded(Fault::EmbeddedRecordsPass) => Act::Copy,
            Some(embed) => match profile.type_named(&embed.type_name) {
                Some((type_index, _)) => Act::Embedded(Box::new(Embedded {
                    type_index,
                    completeness: Completeness::from_flag(embed.is_complete),
                    hide: hide(field),
                })),
                None => Act::Drop,
            },
        },
        (Visibility::Masked, Some(_)) if is_seeded(Fault::MaskIsForgotten) => Act::Copy,
        (Visibility::Masked, Some(mask)) => Act::Mask(mask, Box::new(hide(field))),
        (Visibility::Masked | Visibility::Hidden, _) => hide(field),
    }
}

fn hide(field: &FieldSpec) -> Act<'_> {
    match &field.hide {
        Hide::Remove => Act::Drop,
        Hide::Null => Act::Replace("null"),
        Hide::Value(text) => Act::Replace(text),
        Hide::Branch => Act::Branch,
        Hide::Refuse => Act::Refuse,
    }
}
