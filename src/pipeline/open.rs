//! The path of routes for which nobody is identified: login, logout, token refresh, static files.
//!
//! Promises: what goes to the CRM is what the route declares, and never a credential of ours; what leaves is of a declared
//! type. There are at most so many such requests at once, and they are counted, not written one by one; where they cannot be, only what
//! carries nothing passes, and only where the operator says so.

use bytes::Bytes;
use http::Method;
use hyper::body::{Body as _, Incoming};

use super::canonical::CanonicalHead;
use super::cookies::{self, Rewriting};
use super::enforce::request::clear_open;
use super::enforce::response::ReleasedStream;
use super::enforce::transit::{self, CrmPlace, Passable};
use super::forward::Passage;
use super::intake;
use super::listen::read_body;
use super::map;
use super::origins::Voucher;
use super::respond::{self, Reply};
use super::serving::Serving;
use super::sidecar::Sidecar;
use super::trail::Trail;
use crate::bundle::profile::Profile;
use crate::bundle::profile::route::Route;
use crate::bundle::profile::template::Parameters;
use crate::bundle::profile::transit::{IdentityNeed, Transit};
use crate::model::peer::Scheme;
use crate::model::problem::Problem;

/// The answer to a browser that asks what pages of another site may do.
pub fn preflight(
    sidecar: &Sidecar,
    serving: &Serving,
    head: &CanonicalHead,
    trail: &mut Trail,
) -> Result<Option<Reply>, Problem> {
    let (browsers, profile) = (&sidecar.browsers, &serving.snapshot.bundle.profile);
    let credentials = serving.identity.sources.header_names();
    let Some(allowed) = browsers.preflight(&head.method, &head.headers, profile, credentials) else {
        return Ok(None);
    };
    trail.route = Some("OPTIONS".to_owned());
    trail.pass = Some("preflights are answered by the proxy".to_owned());
    allowed.map(|allowed| Some(respond::preflight(allowed, &trail.id)))
}

/// A request on such a route.
pub struct OpenRequest<'a> {
    /// The route.
    pub route: &'a Route,
    /// How its bodies travel.
    pub transit: &'a Transit,
    /// The template's parameters.
    pub parameters: Parameters,
    /// How the caller reached us.
    pub scheme: Scheme,
    /// What every request to the CRM carries.
    pub passage: Passage,
}

/// The request that a head makes of such a route; `None` for every other.
pub fn request<'a>(
    profile: &'a Profile,
    head: &CanonicalHead,
    scheme: Scheme,
    passage: &Passage,
) -> Option<OpenRequest<'a>> {
    let (route, parameters) = map::route(profile, head).ok()?;
    let transit = route.transit.as_ref().filter(|_| route.identity == IdentityNeed::Nobody)?;
    let passage = passage.with(route);
    Some(OpenRequest { route, transit, parameters, scheme, passage })
}

impl OpenRequest<'_> {
    /// Takes the request to the CRM and its answer back.
    pub async fn answer(
        self,
        sidecar: &Sidecar,
        serving: &Serving,
        head: CanonicalHead,
        body: Incoming,
        trail: &mut Trail,
    ) -> Result<Reply, Problem> {
        let profile = &serving.snapshot.bundle.profile;
        let mut head = head;
        // Nobody looked at who may send them, so the CRM must not take them for our word.
        serving.identity.sources.forget(&mut head.headers);
        trail.route = Some(self.route.label());
        trail.pass = self.route.pass.clone();
        let place = sidecar.open_place()?;
        if let Err(unavailable) = sidecar.recorder.require_counting() {
            // Of what a body brings, nobody could say that it is nothing.
            if !body.is_end_stream() {
                return Err(unavailable);
            }
            self.pass_unrecorded(sidecar, &head.method, unavailable)?;
            // It is counted already.
            trail.pass = None;
        }
        let cookies = self.cookies(sidecar, &head)?;
        let limits = sidecar.limits.for_route(self.route);
        let body_timeout_ms = sidecar.limits.body_timeout_ms;
        let body = read_body(body, limits.body_bytes_max, body_timeout_ms).await?;
        intake::check_whole(self.transit, &head, &body, &limits.map.json)?;
        let mapped =
            map::read(profile, self.route, self.parameters.clone(), &head, Bytes::new(), &limits.map)?;
        let clearance = clear_open(&mapped, self.transit, &head, profile, cookies, body);
        let stream_limits = sidecar.limits.answer_stream(self.route);
        let response = sidecar.upstream.forward_streaming(clearance, &self.passage, stream_limits).await?;
        trail.upstream_status = Some(response.status);
        let (origin, base_path) = sidecar.upstream.place();
        let passable =
            transit::judge(&(&response).into(), self.route, self.transit, CrmPlace { origin, base_path })?;
        let rewriting = Rewriting { names: &self.transit.cookies, scheme: self.scheme, base_path };
        let passing = respond::Passing {
            status: response.status,
            headers: transit::headers(&response.headers, self.transit, &profile.response_headers),
            cookies: rewriting.all(&response.headers),
        };
        Ok(match passable {
            Passable::Head(location) => respond::pass_head(passing, location, &trail.id),
            Passable::Body => respond::pass(passing, ReleasedStream::new(response.body, place), &trail.id),
        })
    }

    /// Lets a request pass although the ledger cannot be written, where the operator said so of a route that carries nothing.
    fn pass_unrecorded(
        &self,
        sidecar: &Sidecar,
        method: &Method,
        unavailable: Problem,
    ) -> Result<(), Problem> {
        let is_open = sidecar.keeping.is_open(method, self.route);
        let passes =
            is_open && sidecar.recorder.pass_unrecorded(&sidecar.clock.second(), &self.route.label());
        if passes { Ok(()) } else { Err(unavailable) }
    }

    /// The declared cookies, if pages of this origin sent them.
    fn cookies(&self, sidecar: &Sidecar, head: &CanonicalHead) -> Result<Option<http::HeaderValue>, Problem> {
        if self.transit.cookies.is_empty() {
            return Ok(None);
        }
        let headers = &head.headers;
        let cookies = cookies::only(headers, &self.transit.cookies)?;
        let voucher = if cookies.is_some() { Voucher::Cookie } else { Voucher::Ambient };
        sidecar.browsers.check_write(&head.method, headers, voucher)?;
        Ok(cookies)
    }
}
