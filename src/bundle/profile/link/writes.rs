//! What a route says of the fields that it writes and cannot have.

use http::header::IF_MATCH;

use crate::bundle::profile::Profile;
use crate::bundle::profile::query::Projection;
use crate::bundle::profile::route::body::BodyKind;
use crate::bundle::profile::route::version::VersionTarget;
use crate::bundle::profile::route::{HiddenValues, MissingRecord, Route, WriteSemantics, Writes};
use crate::bundle::profile::source::{ActionSource, StageSource, TypeSource};
use crate::bundle::profile::types::RecordType;
use crate::config::reader::Reading;
use crate::json::path::{JsonPath, Segment};
use crate::model::access::Action;

/// Notes what a route's `writes` asks for and cannot have.
pub(super) fn check(profile: &Profile, route: &Route, reading: &Reading) {
    check_places(route, reading);
    check_pruning(route, reading);
    check_upsert(route, reading);
    let Some(writes) = &route.writes else { return };
    check_ignored(profile, route, writes, reading);
    if writes.hidden == HiddenValues::Keep {
        check_kept(profile, route, writes, reading);
    }
}

/// What is written, moved or decided on stands at one place: of several only the first would be judged.
fn check_places(route: &Route, reading: &Reading) {
    let written = route.writes.as_ref().map(|writes| &writes.at);
    let moved = match &route.to {
        Some(StageSource::Body(at)) => Some(at),
        Some(StageSource::Constant(_)) | None => None,
    };
    let places = written.into_iter().chain(moved).chain(route.also.iter().map(|also| &also.at));
    let is_many = |at: &&JsonPath| {
        at.segments().iter().any(|segment| matches!(segment, Segment::EachItem | Segment::EachMember))
    };
    for at in places.filter(is_many) {
        let help = "Name one place, e.g. `$.deal`. A body with a list of records, each with fields of its own, is not supported yet: leave the route out.";
        reading.error(route.span.clone(), format!("`{}` looks at many places, `{at}`", route.label()), help);
    }
}

/// Records are left out of a change only if its body lists them, and only if the answer can say so.
fn check_pruning(route: &Route, reading: &Reading) {
    let Some(at) = &route.prune else { return };
    let error = |message: &str, help: &str| {
        reading.error(route.span.clone(), format!("`{}` {message}", route.label()), help);
    };
    let lists_ids = route.id.as_ref().is_some_and(|id| id.is_many() && id.alternate_key.is_none());
    if !lists_ids {
        error(
            "leaves records out and lists none",
            "Say where the ids are, e.g. `id = \"body.$.ids[*]\"`, or leave `prune` out.",
        );
    }
    if route.body.kinds.iter().any(|kind| *kind != BodyKind::Json) {
        error("leaves records out of a form", "Take JSON alone: `body = \"json\"`.");
    }
    if !matches!(at.segments(), [Segment::Key(_)]) || route.csv.is_some() {
        error(
            "does not answer an object that could name them",
            "Name a key that the CRM's answer does not have: `prune = \"$.refused\"`.",
        );
    }
    let records = route.shape.records.iter().map(|location| &location.at);
    let totals = route.shape.totals.iter().map(|total| &total.at);
    let mut described = records.chain(totals).chain(&route.shape.keep);
    if described.any(|place| place.segments().starts_with(at.segments()) || place.segments().is_empty()) {
        let message =
            format!("names the records that it leaves out in `{at}`, where the CRM answers something");
        error(&message, "Name a key that the CRM's answer does not have.");
    }
}

/// What creates or changes is judged as one of both, and the CRM must do no other: only conditions can say so.
fn check_upsert(route: &Route, reading: &Reading) {
    if route.missing != MissingRecord::Create {
        return;
    }
    let error = |message: &str, help: &str| {
        reading.error(
            route.span.clone(),
            format!("`{}` creates what is missing {message}", route.label()),
            help,
        );
    };
    let is_edit = matches!(route.action, Some(ActionSource::Constant(Action::Edit)));
    if !is_edit || route.writes.is_none() || route.id.as_ref().is_some_and(|id| id.is_many()) {
        error("and is no edit of one record", "Use `action = \"edit\"` with `writes` and one id.");
    }
    if !matches!(route.version.pinning().map(|pinning| &pinning.to), Some(VersionTarget::Header(name)) if *name == IF_MATCH)
    {
        let help = "State a `version` with `to = \"header.if-match\"`: a creation carries `If-None-Match: *`. Without them a record that comes or goes in between would be changed as what it is not.";
        error("without the condition that it is missing", help);
    }
}

/// What policies look at must not be cut out of what they judge.
fn check_ignored(profile: &Profile, route: &Route, writes: &Writes, reading: &Reading) {
    let is_of_route = |record_type: &&RecordType| match &route.type_source {
        Some(TypeSource::Constant(name)) => record_type.name == name.value,
        Some(TypeSource::Named(_) | TypeSource::Route | TypeSource::Discriminator(_)) | None => true,
    };
    for attribute in profile.types.iter().filter(is_of_route).flat_map(|record_type| &record_type.attributes)
    {
        let looked_at = attribute.at.iter().filter_map(|at| at.first());
        for key in looked_at.filter(|key| writes.ignored.contains(key)) {
            let message =
                format!("`{key}` is ignored, and the attribute `{}` is taken from it", attribute.name);
            let help = "Ignore only what the CRM derives and no policy looks at, or take the attribute from another key.";
            reading.error(route.span.clone(), message, help);
        }
    }
}

/// Hidden values are merged back only from all of the record, at the version that the write carries.
fn check_kept(profile: &Profile, route: &Route, writes: &Writes, reading: &Reading) {
    let error = |message: &str, help: &str| {
        reading.error(route.span.clone(), format!("`{}` keeps hidden values {message}", route.label()), help);
    };
    if writes.semantics != WriteSemantics::Replace {
        error("and merges, which erases none", "Leave `hidden` out, or state `semantics = \"replace\"`.");
    }
    if route.version.pinning().is_none() {
        let help = "State the `version`, e.g. `{ from = \"header.etag\", to = \"header.if-match\" }`; without one, others' changes would be undone.";
        error("without a version", help);
    }
    if route.body.kinds.iter().any(|kind| *kind != BodyKind::Json) {
        error("in a form", "Take JSON alone: `body = \"json\"`.");
    }
    let before = route.before.as_ref().and_then(|label| profile.route_labelled(&label.value));
    let Some((_, before)) = before else { return };
    let is_whole = before.shape.records.first().is_some_and(|location| location.is_complete);
    let is_projected = before.query.iter().any(|rule| matches!(rule.default, Projection::Listed(_)));
    if !is_whole || is_projected {
        let help =
            "Name a `before` whose `records` are `complete = true` and that answers everything by itself.";
        error("of a record that is not answered as a whole", help);
    }
}
