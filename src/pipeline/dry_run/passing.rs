//! The parts of a dry run where bodies are not looked into: routes for which nobody is identified, and files.

use bytes::Bytes;

use super::explanation::{Explanation, Sent};
use super::{DryRun, Stage, Stop, missing_record};
use crate::bundle::profile::route::Route;
use crate::bundle::profile::template::Parameters;
use crate::bundle::profile::transit::Transit;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::pipeline::canonical::CanonicalHead;
use crate::pipeline::cookies;
use crate::pipeline::enforce::request::clear_open;
use crate::pipeline::enforce::transit::{Answered, CrmPlace, judge};
use crate::pipeline::files;
use crate::pipeline::forward::UpstreamResponse;
use crate::pipeline::intake;
use crate::pipeline::map::{self, Mapped};

impl DryRun<'_> {
    /// The path of a route for which nobody is identified.
    pub(super) fn open_path(
        &self,
        route: &Route,
        parameters: Parameters,
        head: &CanonicalHead,
        told: &mut Explanation,
    ) -> Result<(), Stop> {
        let profile = self.profile();
        let internal = || Problem::new(Reason::Internal).internal("a route without its transit");
        let transit = route.transit.as_ref().ok_or_else(internal)?;
        let limits = self.limits.for_route(route);
        let cookies = cookies::only(&head.headers, &transit.cookies)?;
        let body = self.request.body.clone();
        intake::check_whole(transit, head, &body, &limits.map.json)?;
        let mapped = map::read(profile, route, parameters, head, Bytes::new(), &limits.map)?;
        let clearance = clear_open(&mapped, transit, head, profile, cookies, body);
        told.upstream = Some(Sent::from(&clearance.into_request()));
        if let Some(response) = self.answer {
            passes(response, route, transit)?;
        }
        Ok(())
    }

    /// The body as mapping reads it; one that passes is only looked through.
    pub(super) fn body(&self, route: &Route, head: &mut CanonicalHead) -> Result<Bytes, Stop> {
        let body = self.request.body.clone();
        match route.transit.as_ref().filter(|transit| !transit.accepts.is_empty()) {
            None => Ok(intake::undone(head, &body, &self.limits.for_route(route))?),
            Some(transit) => {
                intake::check_passing(transit, head, &body)?;
                Ok(Bytes::new())
            }
        }
    }

    /// Puts the record that owns the file in the place of what the request named.
    pub(super) fn find_owner<'p>(
        &'p self,
        mapped: &mut Mapped<'p>,
        told: &mut Explanation,
    ) -> Result<(), Stop> {
        let Some(owner) = files::owner(mapped) else { return Ok(()) };
        let file = files::file_id(mapped, owner)?;
        let (route, record_type) = files::file_route(self.profile(), owner)?;
        let Some(image) = self.record(route, record_type, None, &file) else {
            told.missing.push(missing_record(record_type, &file, route));
            return Err(Stop::Undetermined);
        };
        Ok(files::set_owner(mapped, owner, &image, self.profile())?)
    }
}

impl Stage<'_> {
    /// Whether the sample answer of a route whose body passes would leave.
    pub(super) fn passing(&self, transit: &Transit) -> Result<(), Stop> {
        match self.dry.answer {
            Some(response) => Ok(passes(response, self.mapped.route, transit)?),
            None => Ok(()),
        }
    }
}

fn passes(response: &UpstreamResponse, route: &Route, transit: &Transit) -> Result<(), Problem> {
    let answered =
        Answered { status: response.status, headers: &response.headers, is_empty: response.body.is_empty() };
    judge(&answered, route, transit, CrmPlace { origin: "http://crm.invalid", base_path: "" }).map(|_| ())
}
