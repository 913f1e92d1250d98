//! Keeps a change to the record that was judged (PDP): by the version of the before image, which the write carries, or by
//! noting what the record must look like afterwards.
//!
//! A version that a caller states counts only where they can see the record's: for all others "it has another one" would
//! be an answer to a guess.

use super::gate::Visibility;
use super::write::{Change, Judge};
use crate::bundle::profile::route::version::{Pinning, VersionSource, Versioning};
use crate::bundle::profile::types::KeyPath;
use crate::json::path::{JsonPath, Segment};
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::record::Version;
use crate::pipeline::hydrate::image::{Image, version_of};

impl Judge<'_, '_> {
    /// Pins the change, or notes what it must come to. A record whose version is not known is not written.
    pub(super) fn keep_to_version(&mut self, change: &Change<'_>, image: &Image) -> Result<(), Problem> {
        match &self.question.mapped.route.version {
            Versioning::Unpinned => {}
            Versioning::ReadAgain(_) => self.verdict.expected = Some(change.after.clone()),
            Versioning::Pinned(pinning) => {
                let version = image.version(&pinning.from).ok_or_else(|| {
                    let why = "the before image does not say its version as the profile describes it";
                    Problem::new(Reason::UpstreamShape).internal(why)
                })?;
                self.check_stated(pinning, change, &version)?;
                self.verdict.version = Some(version);
            }
        }
        Ok(())
    }

    /// A caller who states a version means the record of that version and no other.
    fn check_stated(&self, pinning: &Pinning, change: &Change<'_>, now: &Version) -> Result<(), Problem> {
        let mapped = self.question.mapped;
        let place = mapped.route.version.in_body();
        let stated = place.zip(mapped.document()).and_then(|(at, body)| at.first(body.root()));
        let (Some(place), Some(stated)) = (place, stated) else { return Ok(()) };
        if !self.sees_version(pinning, change) {
            return Err(Problem::new(Reason::FieldsDenied).fields(vec![last_key(place)]));
        }
        match version_of(stated).is_some_and(|stated| stated.text == now.text) {
            true => Ok(()),
            false => Err(Reason::RecordChanged.into()),
        }
    }

    fn sees_version(&self, pinning: &Pinning, change: &Change<'_>) -> bool {
        let tree = self.question.snapshot.bundle.profile.tree(&self.question.record_type.name);
        match (&pinning.from, change.held, tree) {
            (VersionSource::Record(key), Some(held), Some(tree)) => {
                held.visibility(tree.meaning_of(key), key) == Visibility::Shown
            }
            _ => false,
        }
    }

    /// The key of the record in which the write carries the version: it is never left out.
    pub(super) fn version_key(&self) -> Option<KeyPath> {
        let mapped = self.question.mapped;
        let fields_at = mapped.route.writes.as_ref().map(|writes| writes.at.segments()).unwrap_or_default();
        let inner = mapped.route.version.in_body()?.segments().strip_prefix(fields_at)?;
        let keys = inner.iter().map(|segment| match segment {
            Segment::Key(key) => Some(key.clone()),
            Segment::Index(_) | Segment::EachItem | Segment::EachMember => None,
        });
        keys.collect()
    }
}

fn last_key(place: &JsonPath) -> String {
    match place.segments().last() {
        Some(Segment::Key(key)) => key.clone(),
        Some(Segment::Index(_) | Segment::EachItem | Segment::EachMember) | None => place.to_string(),
    }
}
