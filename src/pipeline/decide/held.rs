//! The record as it stands, beside what the caller sees of it (PDP): the one place that says what a caller may compare with.
//!
//! Promises: a value that the caller cannot see is never compared with what they send, for "that is no change" would be an
//! answer to a guess. Judged once for a change, however many keys it has.

use super::gate::{RecordVerdict, Visibility};
use crate::bundle::profile::tree::Meaning;
use crate::bundle::profile::types::RecordType;
use crate::json::value::Kind;
use crate::pipeline::hydrate::extract::walk;
use crate::pipeline::hydrate::image::Image;

/// A record as it stands.
#[derive(Clone, Copy)]
pub(super) struct Held<'c> {
    /// The record.
    pub(super) image: &'c Image,
    /// What the caller sees of it.
    pub(super) seen: &'c RecordVerdict,
    /// Its type.
    pub(super) record_type: &'c RecordType,
}

impl Held<'_> {
    /// What the caller sees of the whole that stands at a path of the record, by what the path means.
    pub(super) fn visibility(&self, meaning: Meaning<'_>, path: &[String]) -> Visibility {
        match meaning {
            Meaning::Meta => Visibility::Shown,
            Meaning::Field(index) if self.may_hide_records(index, path) => Visibility::Hidden,
            Meaning::Field(index) => self.seen.field(index),
            Meaning::Container(_) => Visibility::Hidden,
            Meaning::Unknown => self.seen.unclassified(),
        }
    }

    /// Whether what a field showed may not be what the CRM holds, since records inside of it may have been left out. A bare
    /// reference is shown as it is.
    fn may_hide_records(&self, index: usize, path: &[String]) -> bool {
        let embeds = self.record_type.fields.get(index).is_none_or(|field| field.embeds.is_some());
        let is_reference = walk(self.image.record(), path)
            .is_some_and(|value| matches!(value.kind(), Kind::Number | Kind::String | Kind::Bool));
        embeds && !is_reference
    }
}
