//! Where a write cannot be kept to a version as the profile says.

use http::header::{IF_MATCH, IF_UNMODIFIED_SINCE};

use super::headers;
use crate::bundle::profile::Profile;
use crate::bundle::profile::query::Role;
use crate::bundle::profile::route::Route;
use crate::bundle::profile::route::version::{Pinning, VersionTarget, Versioning};
use crate::config::reader::Reading;
use crate::model::access::{Action, Scope};

/// Notes what a route's `version` asks for and cannot have.
pub(super) fn check(profile: &Profile, route: &Route, reading: &Reading) {
    let Some(span) = route.version.span() else { return };
    let error = |message: String, help: &str| reading.error(span.clone(), message, help);
    let label = route.label();
    let actions = route.actions();
    let changes = |action: &Action| action.scope() == Scope::RecordWrite && *action != Action::Create;
    let is_bulk = actions.iter().any(|action| matches!(action, Action::BulkEdit | Action::BulkDelete));
    if !is_bulk && !actions.iter().any(changes) {
        let help = "Leave `version` out: only changes of records that are there are kept to a version.";
        return error(format!("`{label}` changes no record that is there"), help);
    }
    if route.transit.is_some() {
        return error(format!("`{label}` adds a file, which changes no version"), "Leave `version` out.");
    }
    match &route.version {
        Versioning::Unpinned => {}
        Versioning::ReadAgain(_) => {
            let deletes = |action: &Action| matches!(action, Action::Delete | Action::BulkDelete);
            if actions.iter().all(deletes) {
                let help =
                    "Leave `version` out, or pin it: `{ from = \"header.etag\", to = \"header.if-match\" }`.";
                error(format!("`{label}` deletes records, which cannot be read again"), help);
            }
        }
        Versioning::Pinned(pinning) => {
            let is_many = is_bulk || route.id.as_ref().is_some_and(|id| id.is_many());
            if is_many {
                let help = "A version is one record's. Write `version = \"read-again\"`.";
                return error(format!("`{label}` changes many records"), help);
            }
            check_target(profile, route, pinning, reading);
            check_statuses(route, pinning, reading);
        }
    }
}

fn check_target(profile: &Profile, route: &Route, pinning: &Pinning, reading: &Reading) {
    let error = |message: String, help: &str| reading.error(pinning.span.clone(), message, help);
    match &pinning.to {
        VersionTarget::Header(name) => {
            let is_condition = *name == IF_MATCH || *name == IF_UNMODIFIED_SINCE;
            let is_listed = |listed: &[String]| listed.iter().any(|listed| listed == name.as_str());
            let is_taken = is_listed(&profile.request_headers)
                || is_listed(&profile.identity_headers)
                || route.headers.iter().any(|rule| rule.name == name.as_str() && rule.role != Role::Refused);
            if is_taken || (headers::is_own(name.as_str()) && !is_condition) {
                let help = "Name the header by which the CRM takes a version, and take it off the lists by which callers may send it.";
                error(format!("a version cannot go into the header `{name}`"), help);
            }
        }
        VersionTarget::Query(name) => {
            if route.query.iter().any(|rule| rule.name.matches(name)) {
                let help = "Take it out of `query`: the proxy alone sends it.";
                error(format!("callers may send the parameter `{name}` themselves"), help);
            }
        }
        VersionTarget::Body(path) => {
            let writes_at = route.writes.as_ref().map(|writes| writes.at.segments()).unwrap_or_default();
            if route.body.is_none() || route.body.is_optional {
                let help = "Carry the version in a header or a query parameter.";
                error(format!("`{}` may have no body to carry `{path}`", route.label()), help);
            } else if writes_at.starts_with(path.segments()) && !writes_at.is_empty() {
                error(format!("`{path}` holds the fields"), "Name one key beside or inside of them.");
            }
        }
    }
}

fn check_statuses(route: &Route, pinning: &Pinning, reading: &Reading) {
    let error = |message: String, help: &str| reading.error(pinning.span.clone(), message, help);
    if pinning.conflict.is_empty() {
        let help = "List how the CRM says that the record has changed, e.g. `conflict = [412]`.";
        error("no status says that the record has changed".to_owned(), help);
    }
    for status in &pinning.conflict {
        if matches!(status, 401 | 404 | 410) {
            let help = "List how the CRM says that the record has changed: 409 or 412 as a rule.";
            error(format!("{status} does not say that a record has changed"), help);
        }
        if route.errors.iter().any(|rule| rule.statuses.contains(status)) {
            let help = "One status says one thing. Take it out of `errors`, or list others in `conflict`.";
            error(format!("{status} stands in `errors` and says that the record has changed"), help);
        }
    }
}
