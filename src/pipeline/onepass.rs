//! The answer of a filtered route in one pass over its bytes, wherever one pass can judge it.
//!
//! What needs more (attributes to be fetched, tables, envelopes that say whether there was success, error bodies) is parsed into a
//! document instead; both ways say and do the same.

use super::Stage;
use super::enforce::answer;
use super::enforce::response::{Filtered, scanned};
use super::enforce::scan::Halt;
use super::enforce::scan::envelope::Envelope;
use super::enforce::scan::judge::{GateJudge, Lack};
use super::enforce::scan::task::{ScanLimits, Task};
use super::fetch::{asked, expected_id, other_record};
use super::forward::UpstreamResponse;
use crate::bundle::profile::route::Rows;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

impl Stage<'_> {
    /// What may leave, if one pass can tell.
    pub(super) fn in_one_pass(
        &self,
        response: &UpstreamResponse,
        rows: Rows,
    ) -> Result<Option<Result<Filtered, Reason>>, Problem> {
        let route = self.mapped.route;
        let Some(layouts) = &self.serving.layouts else { return Ok(None) };
        let Some(body) = answer::scannable(response, route, &self.limits.answer)? else { return Ok(None) };
        let task = self.task(layouts, rows);
        let judge = GateJudge::new(self.gate, Lack::Stops);
        let scanner = layouts.scanners.take();
        let (scanning, scanner) = match Envelope::new(task, judge, scanner).whole(&body) {
            Ok(done) => done,
            Err(Halt::Lacking) => return Ok(None),
            Err(halt) => return Err(unreleased(halt, response.status)),
        };
        layouts.scanners.give(scanner);
        Ok(Some(scanned(scanning)))
    }

    pub(super) fn task<'t>(
        &'t self,
        layouts: &'t super::enforce::scan::layout::Layouts,
        rows: Rows,
    ) -> Task<'t> {
        let profile = &self.serving.snapshot.bundle.profile;
        let type_index = |name: &str| profile.type_named(name).map(|(index, _)| index);
        let asked = asked(self.mapped);
        let projection = self.mapped.query.projection.as_ref();
        let route_type = asked.record_type.and_then(|record_type| type_index(&record_type.name));
        Task {
            profile,
            layouts,
            shape: self.mapped.route.shape_of(rows),
            route_type,
            asked_id: asked.id,
            expected: expected_id(&self.mapped.route.shape, self.mapped).map(|id| (route_type, id)),
            selection: projection.map(|projection| &projection.selection),
            other_pages: self.other_pages.as_ref(),
            limits: ScanLimits {
                depth: self.limits.answer.json.depth_max,
                records: self.limits.records_max,
                keys: self.limits.records_max,
                step_bytes: self.limits.answer.json.bytes_max,
            },
        }
    }
}

/// Why an answer that one pass looked at may not leave.
pub(super) fn unreleased(halt: Halt, status: u16) -> Problem {
    let shape = |why: String| Problem::new(Reason::UpstreamShape).internal(why);
    match halt {
        Halt::Malformed => Problem::new(Reason::UpstreamMalformed).upstream(status),
        Halt::Shape(place) => {
            shape(format!("`{place}` is missing or does not hold what the profile describes"))
        }
        Halt::TooMany(limit) => shape(format!("the answer has more than {limit} records")),
        Halt::TooLarge(_) => Problem::new(Reason::UpstreamTooLarge).upstream(status),
        Halt::Refused => Reason::Forbidden.into(),
        Halt::OtherRecord => other_record(),
        Halt::EarlyTotal => {
            shape("a count of what is shown stands before the rows of a long list".to_owned())
        }
        Halt::Lacking | Halt::Internal => Reason::Internal.into(),
    }
}
