//! Checks on routes whose bodies are not looked into: who they are for, whose file it is, and what may never travel.

use super::is_image;
use crate::bundle::profile::Profile;
use crate::bundle::profile::route::Route;
use crate::bundle::profile::route::condition::Condition;
use crate::bundle::profile::source::ValueSource;
use crate::bundle::profile::transit::{FileOwner, IdentityNeed, Owner, Ranges, Transit};
use crate::config::author::nearest;
use crate::config::reader::Reading;
use crate::model::access::Action;

/// Checks a route's transit, if it has one.
pub(super) fn check(profile: &Profile, route: &Route, reading: &Reading) {
    let Some(transit) = &route.transit else { return };
    let checks = Checks { profile, route, transit, reading };
    if route.identity == IdentityNeed::Nobody {
        checks.without_identity();
    } else {
        checks.with_identity();
    }
    checks.headers();
    checks.bodies();
    checks.owner();
    checks.field();
}

/// Whether a route's answer is passed on as it comes.
fn is_file(route: &Route) -> bool {
    route.actions().contains(&Action::Download)
}

struct Checks<'a> {
    profile: &'a Profile,
    route: &'a Route,
    transit: &'a Transit,
    reading: &'a Reading,
}

impl Checks<'_> {
    fn error(&self, message: &str, help: &str) {
        let message = format!("`{}` {message}", self.route.label());
        self.reading.error(self.route.span.clone(), message, help);
    }

    fn without_identity(&self) {
        let route = self.route;
        let decides = route.before.is_some()
            || route.writes.is_some()
            || route.to.is_some()
            || route.type_source.is_some()
            || !route.also.is_empty()
            || !route.shape.records.is_empty()
            || !route.shape.keep.is_empty()
            || !matches!(self.transit.owner, Owner::Unstated)
            || self.transit.field.is_some();
        if decides {
            let help = "Nothing is decided where nobody is identified: leave out all but types, headers and cookies.";
            self.error("describes records and identifies nobody", help);
        }
        if self.route.when.iter().any(Condition::is_on_body) {
            let help = "Such a route is chosen before anyone is identified, and before its body is read.";
            self.error("looks into a body that it does not have", help);
        }
        if self.transit.accepts.iter().any(|pattern| pattern.is_multipart()) {
            self.error("takes files from anybody", "Files are attached by somebody: leave `identity` out.");
        }
    }

    fn with_identity(&self) {
        if !self.transit.cookies.is_empty() {
            let help = "Only the credential that made the principal goes to the CRM, and a cookie could be another: \
                        `cookies` belong to routes with `identity = \"none\"`.";
            self.error("passes cookies of identified callers", help);
        }
        let reads = is_file(self.route) || self.route.pass.is_some();
        let attaches = self.route.actions().contains(&Action::Attach);
        if !reads && !attaches {
            let help = "Bodies that are not looked into belong to routes with `pass`, with `identity = \"none\"`, or with \
                        the action `download` or `attach`.";
            self.error("decides on bodies that it does not look into", help);
        }
        if attaches && !self.transit.answers.is_empty() {
            let help = "Its answer is filtered: describe it by `records` and `keep`.";
            self.error("attaches and passes the answer", help);
        }
        if is_file(self.route) && self.transit.answers.is_empty() {
            let help = "Name the types of its files, e.g. `answers = [\"application/pdf\", \"image/*\"]`.";
            self.error("does not say what its files are", help);
        }
        if self.route.pass.is_some() && self.transit.answers.is_empty() {
            let help = "Name the types of its answers, e.g. `answers = [\"text/css\", \"image/*\"]`.";
            self.error("does not say what it passes", help);
        }
    }

    fn headers(&self) {
        for name in &self.transit.answer_headers {
            let is_never = NEVER.contains(&name.value.as_str()) || name.value.starts_with("access-control-");
            if is_never || http::header::HeaderName::try_from(name.value.as_str()).is_err() {
                let help = "Framing, cookies, redirects and what other sites may read are the proxy's own.";
                let message = format!("the header `{}` cannot leave as it is", name.value);
                self.reading.error(name.span.clone(), message, help);
            }
        }
    }

    fn bodies(&self) {
        let transit = self.transit;
        let only_reads =
            self.route.template.methods.iter().all(|m| m == http::Method::GET || m == http::Method::HEAD);
        let is_upload = self.route.actions().contains(&Action::Attach);
        if !transit.accepts.is_empty()
            && (only_reads || !(is_upload || self.route.identity == IdentityNeed::Nobody))
        {
            let help =
                "Bodies that are not looked into are taken by `attach`, and where nobody is identified.";
            self.error("cannot take `accepts`", help);
        }
        let has_multipart = transit.accepts.iter().any(|pattern| pattern.is_multipart());
        if has_multipart
            && transit
                .accepts
                .iter()
                .any(|pattern| pattern.to_string() != MULTIPART && pattern.is_multipart())
        {
            self.error("takes a multipart form that is not read", "There is `multipart/form-data`.");
        }
        if has_multipart == transit.parts.is_empty() {
            let help = "A form's fields can name other records: list the parts that it may have, \
                        e.g. `parts = [\"file\", \"title\"]`, beside `accepts = [\"multipart/form-data\"]`.";
            self.error("must name the parts of its multipart form, and of no other", help);
        }
        if transit.ranges == Ranges::Passed && !only_reads {
            self.error("writes and passes ranges", "Ranges belong to files that are read.");
        }
    }

    fn owner(&self) {
        let (route, reading) = (self.route, self.reading);
        let is_about_file = is_file(route) || route.actions().contains(&Action::Attach);
        match &self.transit.owner {
            Owner::Unstated if is_file(route) && route.template.parameter_names().count() > 1 => {
                let help = "A file that is named beside its record may belong to another one. Name the file's own record: \
                            `owner = { of = \"path.file\", before = \"GET /files/{id}\", id = \"deal_id\" }`, or write \
                            `owner = \"path\"` if you are sure that the CRM checks it.";
                self.error("names a file and a record, and not whose the file is", help);
            }
            Owner::Unstated => {}
            Owner::Path | Owner::File(_) if !is_about_file => {
                self.error("is about no file and names its owner", "Leave `owner` out.");
            }
            Owner::Path => {}
            Owner::File(owner) => self.file_owner(owner),
        }
        if is_file(route) && route.before.is_none() && !self.takes_type_from_file() {
            let help =
                "Name the route that yields the record as it stands, e.g. `before = \"GET /deals/{id}\"`.";
            reading.error(route.span.clone(), format!("`{}` decides without a record", route.label()), help);
        }
    }

    fn takes_type_from_file(&self) -> bool {
        matches!(&self.transit.owner, Owner::File(FileOwner { type_key: Some(_), .. }))
    }

    fn file_owner(&self, owner: &FileOwner) {
        let error = |span, message: String, help: &str| self.reading.error(span, message, help);
        let span = owner.before.span.clone();
        match self.profile.route_labelled(&owner.before.value) {
            Some((_, route)) if is_image(route) => {}
            Some(_) => {
                let help = "It must be a `GET` route with action `view` and its own `records`.";
                error(span, format!("`{}` does not yield one record", owner.before.value), help);
            }
            None if self.profile.unread.contains(&owner.before.value) => {}
            None => {
                let labels = self.profile.labels.keys().map(String::as_str);
                let near = nearest(&owner.before.value, labels).map(|near| format!("Did you mean `{near}`?"));
                error(
                    span,
                    format!("no route is called `{}`", owner.before.value),
                    &near.unwrap_or_default(),
                );
            }
        }
        match &owner.of {
            ValueSource::Body(_) => {
                self.error("takes the file's name from a body", "Write `path.NAME` or `query.NAME`.");
            }
            ValueSource::Path(name) if !self.route.template.parameter_names().any(|known| known == name) => {
                self.error(&format!("has no parameter `{name}`"), "");
            }
            ValueSource::Path(_) | ValueSource::Query(_) => {}
        }
    }

    fn field(&self) {
        let Some(field) = &self.transit.field else { return };
        let mut names =
            self.profile.types.iter().flat_map(|record_type| {
                (0..record_type.fields.len()).map(|index| record_type.field_name(index))
            });
        if !names.any(|name| name == field.value) {
            let help = "Write its full name, e.g. `Deal.documents`; it must stand in `[types.Deal.fields]`.";
            self.reading.error(field.span.clone(), format!("no field is called `{}`", field.value), help);
        }
    }
}

const MULTIPART: &str = "multipart/form-data";

/// Headers of the CRM that never leave as they are.
const NEVER: &[&str] = &[
    "set-cookie",
    "location",
    "content-type",
    "content-length",
    "content-encoding",
    "content-range",
    "accept-ranges",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "trailer",
    "upgrade",
    "www-authenticate",
    "proxy-authenticate",
    "link",
    "refresh",
    "content-location",
    "server-timing",
    "vary",
    "x-content-type-options",
    "strict-transport-security",
    "clear-site-data",
    "service-worker-allowed",
    "x-accel-redirect",
    "x-sendfile",
    "alt-svc",
];
