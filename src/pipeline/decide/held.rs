//! The record as it stands, beside what the caller sees of it (PDP): the one place that says what a caller may compare with.
//!
//! Promises: a value that the caller cannot see is never compared with what they send, for "that is no change" would be an
//! answer to a guess. Judged once for a change, however many keys it has.

use super::gate::{RecordVerdict, Visibility};
use super::keys::{Claim, PlannedKey};
use crate::bundle::profile::tree::Meaning;
use crate::bundle::profile::types::RecordType;
use crate::json::same::same_value;
use crate::json::value::{Kind, Value};
use crate::model::seeded::{Fault, is_seeded};
use crate::pipeline::hydrate::extract::walk;

/// A record as it stands.
#[derive(Clone, Copy)]
pub struct Held<'c> {
    /// The record.
    pub record: Value<'c>,
    /// What the caller sees of it.
    pub seen: &'c RecordVerdict,
    /// Its type.
    pub record_type: &'c RecordType,
}

/// What a key of a change sends back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// Something new.
    No,
    /// The value as it stands.
    Value,
    /// The mask in place of the value.
    Mask,
}

impl Held<'_> {
    /// Whether a key of what is written, an object of fields, sends back just what the caller was shown. Records inside a
    /// field are never compared: they may hold values that the caller cannot see.
    pub fn echo(&self, key: &PlannedKey, written: Value<'_>) -> Echo {
        let meaning = match key.claim {
            Claim::Field(index) | Claim::Twin(index) => Meaning::Field(index),
            Claim::Meta => Meaning::Meta,
            Claim::LookAlike => Meaning::LookAlike,
            Claim::Unknown => Meaning::Unknown,
            Claim::Nested(_) => return Echo::No,
        };
        let visibility = self.visibility(meaning, &key.path);
        let proposed = || walk(written, &key.path);
        let is_echo = match visibility {
            // First what is held: of the keys that a body has, only those are looked for in it that the record has too.
            _ if visibility == Visibility::Shown || is_seeded(Fault::HiddenIsCompared) => {
                walk(self.record, &key.path)
                    .is_some_and(|now| proposed().is_some_and(|proposed| same_value(now, proposed)))
            }
            Visibility::Masked => proposed().is_some_and(|proposed| self.is_mask(key, proposed)),
            Visibility::Shown | Visibility::Hidden => false,
        };
        match (is_echo, visibility) {
            (false, _) => Echo::No,
            (true, Visibility::Masked) => Echo::Mask,
            (true, Visibility::Shown | Visibility::Hidden) => Echo::Value,
        }
    }

    /// Whether the caller sees if there is a value in a field: the value itself, or a mask in its place.
    pub(super) fn tells_of(&self, index: usize) -> bool {
        let mask = self.record_type.fields.get(index).and_then(|field| field.mask.as_ref());
        match self.seen.field(index) {
            Visibility::Shown => true,
            Visibility::Masked => mask.is_some(),
            Visibility::Hidden => false,
        }
    }

    /// What the caller sees of the whole that stands at a path of the record, by what the path means.
    pub(super) fn visibility(&self, meaning: Meaning<'_>, path: &[String]) -> Visibility {
        match meaning {
            Meaning::Meta => Visibility::Shown,
            Meaning::Field(index) if self.may_hide_records(index, path) => Visibility::Hidden,
            Meaning::Field(index) => self.seen.field(index),
            Meaning::Container(_) | Meaning::LookAlike => Visibility::Hidden,
            Meaning::Unknown => self.seen.unclassified(),
        }
    }

    /// Whether what a field showed may not be what the CRM holds, since records inside of it may have been left out. A bare
    /// reference is shown as it is.
    fn may_hide_records(&self, index: usize, path: &[String]) -> bool {
        let embeds = self.record_type.fields.get(index).is_none_or(|field| field.embeds.is_some());
        let is_reference = walk(self.record, path)
            .is_some_and(|value| matches!(value.kind(), Kind::Number | Kind::String | Kind::Bool));
        embeds && !is_reference
    }

    fn is_mask(&self, key: &PlannedKey, proposed: Value<'_>) -> bool {
        let (Claim::Field(index) | Claim::Twin(index)) = key.claim else { return false };
        let mask = self.record_type.fields.get(index).and_then(|field| field.mask.as_ref());
        let held = walk(self.record, &key.path).map_or("null", |held| held.raw());
        mask.is_some_and(|mask| proposed.is(&mask.of(held)))
    }
}
