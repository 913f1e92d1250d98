//! Headers of an answer that lead on: to the other pages of a list, to the record that was made.

use http::header::{HeaderMap, HeaderValue, LINK, LOCATION};

use super::Stage;
use super::respond::Reply;
use super::trail::Trail;
use crate::bundle::profile::route::Rows;

impl Stage<'_> {
    /// The reply with what the CRM's headers lead to, as far as the profile describes it.
    pub(super) fn leading(&self, mut reply: Reply, upstream: &HeaderMap, trail: &Trail) -> Reply {
        // Of a page that was filled up the CRM knows no other.
        let has_its_pages = trail.verdict.rows() == Rows::Pushed;
        let other_pages = self.other_pages.as_ref().filter(|_| has_its_pages);
        if let Some(link) = other_pages.and_then(|pages| pages.header(upstream)) {
            reply.headers.insert(LINK, link);
        }
        let place = self.new_place(&reply, upstream, trail);
        reply.headers.extend(place.map(|place| (LOCATION, place)));
        reply
    }

    /// Where the record is that was made. Where the answer shows it, that it is this one must be seen there: nobody knows what else
    /// a number would tell.
    fn new_place(&self, reply: &Reply, upstream: &HeaderMap, trail: &Trail) -> Option<HeaderValue> {
        let is_made = reply.status == CREATED && trail.verdict.writes.iter().any(|write| write.is_new);
        let record_type = self.mapped.record_type.filter(|_| is_made)?;
        let is_silent = reply.body.bytes().is_empty();
        let shown = trail.sets.sets.iter().filter(|(outcome, _)| outcome.type_name == record_type.name);
        let shown: Vec<&String> = shown.flat_map(|(_, ids)| ids).collect();
        let is_told = |id: &str| is_silent || shown.iter().any(|known| *known == id);
        let profile = &self.serving.snapshot.bundle.profile;
        self.here.of_new(upstream, record_type, profile, &self.mapped.parameters, is_told)
    }
}

/// The status that says that there is a new record.
const CREATED: u16 = 201;
