//! A second look at records after a write, where the CRM cannot keep the write to a version (PIP).
//!
//! Promises: what was judged is compared with what there is now, while no other change of the record goes through this
//! proxy; a difference is an alarm in the ledger before the caller gets an answer, and changes nothing of that answer. Never
//! writes, and never undoes a write.

use super::Stage;
use super::decide::write::WriteVerdict;
use super::enforce::answer;
use super::forward::UpstreamResponse;
use super::hydrate::image::Image;
use super::trail::Trail;
use crate::bundle::profile::convert::Kind;
use crate::bundle::profile::route::version::Versioning;
use crate::bundle::profile::types::RecordType;
use crate::ledger::entry::{Alarm, Entry};
use crate::model::record::{Attribute, AttributeValue};

/// What a second look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unconfirmed {
    /// A record is not in the stage that was judged.
    Stage,
    /// Something else that policies look at is not as it was judged.
    Record,
    /// A record could not be read again.
    Unread,
}

impl Unconfirmed {
    fn code(self) -> &'static str {
        match self {
            Unconfirmed::Stage => "stage-mismatch",
            Unconfirmed::Record => "record-mismatch",
            Unconfirmed::Unread => "second-look-failed",
        }
    }
}

impl Stage<'_> {
    /// Looks at the records of a write again, if the profile says so and the CRM took the write.
    pub(super) async fn look_again(&self, response: &UpstreamResponse, trail: &Trail) {
        let route = self.mapped.route;
        let is_asked = matches!(route.version, Versioning::ReadAgain(_)) && trail.observed.is_none();
        let deletes = || trail.verdict.all_accesses().any(|access| access.action == "delete");
        if !is_asked || deletes() || !answer::is_taken(response, route, &self.limits.answer) {
            return;
        }
        let found = match self.fetcher().before_images(self.mapped).await {
            Ok(images) => self.unconfirmed(&trail.verdict.writes, &images),
            Err(problem) => {
                let (id, reason) = (&trail.id, problem.reason.code());
                tracing::warn!(decision.id = %id, reason, "a record could not be read again after a write");
                Some(Unconfirmed::Unread)
            }
        };
        if let Some(found) = found {
            self.alarm(found, trail).await;
        }
    }

    /// The first record that is not as it was judged; a stage goes before anything else.
    fn unconfirmed(&self, writes: &[WriteVerdict], images: &[Image]) -> Option<Unconfirmed> {
        let record_type = self.mapped.record_type?;
        let expected = || writes.iter().filter_map(|write| Some((write, write.expected.as_ref()?)));
        let now = |id: &str| images.iter().find(|image| image.facts.id == id);
        if expected().any(|(_, expected)| now(&expected.id).is_none()) {
            return Some(Unconfirmed::Unread);
        }
        let pairs = || expected().filter_map(|(write, expected)| Some((write, now(&expected.id)?)));
        let differs =
            |kinds: fn(&Kind) -> bool| pairs().any(|(write, now)| differs(write, now, record_type, kinds));
        let is_place = |kind: &Kind| matches!(kind, Kind::Stage | Kind::Pipeline);
        let is_other = |kind: &Kind| !matches!(kind, Kind::Stage | Kind::Pipeline);
        match (differs(is_place), differs(is_other)) {
            (true, _) => Some(Unconfirmed::Stage),
            (false, true) => Some(Unconfirmed::Record),
            (false, false) => None,
        }
    }

    async fn alarm(&self, found: Unconfirmed, trail: &Trail) {
        let (id, alarm) = (&trail.id, found.code());
        let route = trail.route.as_deref().unwrap_or("none");
        tracing::error!(decision.id = %id, alarm, route, "a record is not as it was judged");
        self.sidecar.metrics.write_unconfirmed(alarm);
        let entry = Entry::Alarm(Alarm { of: Some(id.clone()), reason: alarm.to_owned() });
        if let Err(problem) = self.sidecar.recorder.append(entry).await {
            tracing::error!(decision.id = %id, error = ?problem.internal, alarm, "an alarm could not be recorded");
        }
    }
}

/// Whether a record differs from what was judged in an attribute of some kinds, as far as both are known.
fn differs(write: &WriteVerdict, now: &Image, record_type: &RecordType, kinds: fn(&Kind) -> bool) -> bool {
    let Some(expected) = &write.expected else { return false };
    let specs = record_type.attributes.iter().zip(expected.attributes.iter().zip(&now.facts.attributes));
    specs.filter(|(spec, _)| kinds(&spec.conversion.kind)).any(|(spec, (expected, now))| {
        let is_known = *expected != Attribute::NotCarried && *now != Attribute::NotCarried;
        match (&write.stage, now) {
            // A route of its own moves without saying so in fields.
            (Some((_, to)), Attribute::Present(AttributeValue::Entity(stage)))
                if spec.conversion.kind == Kind::Stage =>
            {
                stage.id != *to
            }
            _ => is_known && expected != now,
        }
    })
}
