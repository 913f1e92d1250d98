//! Checks that a profile is whole: every name resolves, no two routes meet, no list hides rows in silence.

mod effects;
mod headers;
mod push;
mod refill;
mod references;
mod support;
mod transit;
mod unbounded;
mod version;
mod writes;

use std::collections::BTreeSet;
use std::ops::Range;

use super::Profile;
use super::mask;
use super::route::condition::Condition;
use super::route::{HiddenRows, Route};
use super::shape::{RecordLocation, Shape};
use super::source::{ActionSource, IdSource, StageSource, TypeSource, ValueSource};
use super::transit::{IdentityNeed, Owner};
use super::tree::FieldTree;
use super::types::KeyPath;
use crate::config::author::nearest;
use crate::config::reader::Reading;
use crate::model::access::{Action, Scope};

/// Links a profile in place; what does not fit is noted.
pub fn link(profile: &mut Profile, reading: &Reading) {
    link_types(profile, reading);
    mask::link(profile, reading);
    link_labels(profile, reading);
    for route in &profile.routes {
        check_route(profile, route, reading);
    }
    check_overlaps(profile, reading);
    effects::check(profile, reading);
    headers::check(profile, reading);
}

fn link_types(profile: &mut Profile, reading: &Reading) {
    for (index, record_type) in profile.types.iter().enumerate() {
        for name in record_type.aliases.iter().chain([&record_type.name]) {
            if profile.type_names.insert(name.clone(), index).is_some() {
                reading.error(record_type.span.clone(), format!("two types are called `{name}`"), "");
            }
        }
        match FieldTree::build(record_type) {
            Ok(tree) => profile.trees.push(tree),
            Err(why) => {
                reading.error(
                    record_type.span.clone(),
                    format!("the fields of `{}` collide: {why}", record_type.name),
                    "",
                );
                profile.trees.push(FieldTree::default());
            }
        }
    }
    for record_type in &profile.types {
        for field in &record_type.fields {
            if let Some(embed) = &field.embeds {
                require_type(profile, &embed.type_name, field.span.clone(), reading);
            }
            if let Some(named) = &field.id_of {
                require_type(profile, &named.value, named.span.clone(), reading);
            }
        }
    }
}

fn link_labels(profile: &mut Profile, reading: &Reading) {
    for (index, route) in profile.routes.iter().enumerate() {
        if profile.labels.insert(route.label(), index).is_some() {
            reading.error(
                route.span.clone(),
                format!("the route `{}` stands twice", route.label()),
                "Give one of them a name of its own: `label = \"…\"`.",
            );
        }
    }
    let labels = || profile.labels.keys().map(String::as_str);
    let fetches = profile.types.iter().filter_map(|record_type| record_type.fetch.as_ref());
    let befores = profile.routes.iter().filter_map(|route| route.before.as_ref());
    for label in fetches.chain(befores) {
        match profile.route_labelled(&label.value) {
            Some((_, route)) if is_image(route) => {}
            Some(_) => {
                let help = "It must be a `GET` route with action `view` and its own `records`.";
                reading.error(
                    label.span.clone(),
                    format!("`{}` does not yield one record", label.value),
                    help,
                );
            }
            None if profile.unread.contains(&label.value) => {}
            None => {
                let near = nearest(&label.value, labels()).map(|near| format!("Did you mean `{near}`?"));
                let message = format!("no route is called `{}`", label.value);
                reading.error(label.span.clone(), message, near.unwrap_or_default());
            }
        }
    }
    for route in &profile.routes {
        for label in &route.over {
            let is_unread = profile.unread.contains(&label.value);
            if profile.route_labelled(&label.value).is_none() && !is_unread {
                reading.error(label.span.clone(), format!("no route is called `{}`", label.value), "");
            }
        }
    }
}

/// Whether a route can yield a record for deciding.
pub(super) fn is_image(route: &Route) -> bool {
    route.refuse.is_none()
        && route.template.methods.contains(&http::Method::GET)
        && matches!(route.action, Some(ActionSource::Constant(Action::View)))
        && route.shape.records.first().is_some_and(|location| !location.is_many())
}

fn check_route(profile: &Profile, route: &Route, reading: &Reading) {
    let span = || route.span.clone();
    if route.refuse.is_some() {
        return;
    }
    transit::check(profile, route, reading);
    unbounded::check(route, reading);
    if route.identity == IdentityNeed::Nobody {
        headers::check_rules(route, reading);
        return;
    }
    if route.pass.is_some() {
        headers::check_rules(route, reading);
        if route
            .template
            .methods
            .iter()
            .any(|method| method != http::Method::GET && method != http::Method::HEAD)
        {
            let help = "Only reads may pass undecided.";
            reading.error(span(), format!("`{}` writes and cannot pass", route.label()), help);
        }
        return;
    }
    let scopes: Vec<Scope> = route.actions().into_iter().map(Action::scope).collect();
    let file_names_type = matches!(
        route.transit.as_ref().map(|transit| &transit.owner),
        Some(Owner::File(owner)) if owner.type_key.is_some()
    );
    if !file_names_type {
        check_type(profile, route, reading);
    }
    check_shape(profile, route, &route.shape, reading);
    for rule in &route.errors {
        check_shape(profile, route, &rule.shape, reading);
    }
    check_sources(route, reading);
    let needs_id = scopes.contains(&Scope::RecordRead)
        || route
            .actions()
            .iter()
            .any(|action| action.scope() == Scope::RecordWrite && *action != Action::Create);
    let file_names_record =
        matches!(route.transit.as_ref().map(|transit| &transit.owner), Some(Owner::File(_)));
    let has_id =
        file_names_record || route.id.is_some() || route.template.parameter_names().any(|name| name == "id");
    let names_records = route.unbounded.is_none();
    if needs_id && names_records && !has_id {
        let help = "Use `{id}` in the path, or say where it is: `id = \"body.$.id\"`.";
        reading.error(span(), format!("`{}` names no record", route.label()), help);
    }
    let changes = route.actions().iter().any(|a| a.scope() == Scope::RecordWrite && *a != Action::Create);
    let writes_many =
        route.actions().contains(&Action::BulkEdit) || route.actions().contains(&Action::BulkDelete);
    if (changes || writes_many) && names_records && route.before.is_none() && !file_names_type {
        let help = "Name the route that yields the record as it stands, e.g. `before = \"GET /deals/{id}\"`.";
        reading.error(span(), format!("`{}` changes records without a before image", route.label()), help);
    }
    support::check(route, reading);
    references::check(profile, route, reading);
    version::check(profile, route, reading);
    writes::check(profile, route, reading);
    check_links(profile, route, reading);
    push::check(profile, route, reading);
    refill::check(route, reading);
    check_rows(profile, route, reading);
}

/// Only what changes or makes a record can link it.
fn check_links(profile: &Profile, route: &Route, reading: &Reading) {
    let writes = route.actions().iter().any(|action| action.scope() == Scope::RecordWrite);
    for link in &route.links {
        require_type(profile, &link.type_name.value, link.type_name.span.clone(), reading);
        if !writes {
            let help = "Only a change or a creation of one record can link: leave `links` out.";
            let message = format!("`{}` links and changes no record", route.label());
            reading.error(route.span.clone(), message, help);
        }
    }
    let relates = route.action.as_ref().is_some_and(|action| action.actions().contains(&Action::Relate));
    if relates && route.links.is_empty() && !writes_link(profile, route) {
        let help = "Name the other record: `links = [{ type = \"Contact\", id = \"path.contact\" }]`, or cover a field with `id_of` or `is` that the body writes.";
        let message = format!("`{}` relates and does not say to what", route.label());
        reading.error(route.span.clone(), message, help);
    }
}

/// Whether a body names the other record in a key that the route's own action covers.
fn writes_link(profile: &Profile, route: &Route) -> bool {
    let of_verbs = match &route.action {
        Some(ActionSource::Verbs { verbs, .. }) => {
            let relates = verbs.values().filter(|verb| verb.action == Action::Relate);
            relates.filter_map(|verb| verb.covers.as_ref()).collect()
        }
        Some(ActionSource::Constant(_)) | None => Vec::new(),
    };
    let mut covered = route.covers.iter().chain(of_verbs).flatten();
    let fields = || profile.types.iter().flat_map(|record_type| &record_type.fields);
    let is_link =
        |key: &KeyPath| fields().any(|field| field.names_records_of().is_some() && field.at.starts_with(key));
    route.writes.is_some() && covered.any(is_link)
}

/// Routes that answer many records say where each is and what hidden ones do.
fn check_rows(profile: &Profile, route: &Route, reading: &Reading) {
    let span = || route.span.clone();
    let many = route.shape.records.iter().any(RecordLocation::is_many);
    let lists = route.actions().iter().any(|action| matches!(action, Action::List | Action::Search));
    let has_records = !route.shape.records.is_empty();
    if has_records && !many && (lists || route.actions().contains(&Action::Export)) {
        let help = "Write where each record is, e.g. `$.data[*]`, or use the action `view`.";
        reading.error(span(), format!("`{}` lists records and describes one", route.label()), help);
    }
    for name in &route.requires {
        require_type(profile, &name.value, name.span.clone(), reading);
    }
    if many && lists && route.hidden_rows == HiddenRows::Unstated && route.refill.is_none() {
        let help = "Rows that a caller may not see are removed, which shows in the page's length. Have pages filled up (`refill`), or accept that with `hidden_rows = \"visible\"`, or `\"visible-when-paged\"` if the CRM answers every match where no page is asked for.";
        reading.error(span(), format!("`{}` does not say what hidden rows do", route.label()), help);
    }
}

fn check_type(profile: &Profile, route: &Route, reading: &Reading) {
    match &route.type_source {
        Some(TypeSource::Constant(name)) => require_type(profile, &name.value, name.span.clone(), reading),
        Some(TypeSource::Named(_)) => {}
        Some(TypeSource::Discriminator(_) | TypeSource::Route) => {
            reading.error(route.span.clone(), "a route's type cannot come from its answer", "");
        }
        None => match route.shape.records.first().map(|location| &location.type_source) {
            Some(TypeSource::Constant(_)) => {}
            _ => {
                let help = "Add `type = \"Deal\"` to the route or to its first `records`.";
                reading.error(route.span.clone(), format!("`{}` has no type", route.label()), help);
            }
        },
    }
}

fn check_shape(profile: &Profile, route: &Route, shape: &Shape, reading: &Reading) {
    for location in &shape.records {
        if location.is_asked && location.is_many() {
            let help = "Only one record can be the one that the request names.";
            reading.error(location.span.clone(), "many records cannot have one id", help);
        }
        match &location.type_source {
            TypeSource::Constant(name) => require_type(profile, &name.value, name.span.clone(), reading),
            TypeSource::Route if route.type_source.is_none() => {
                reading.error(location.span.clone(), "these records have no type", "Add `type = \"Deal\"`.");
            }
            TypeSource::Route | TypeSource::Named(_) | TypeSource::Discriminator(_) => {}
        }
    }
    let places = || {
        let records = shape.records.iter().map(|location| location.at.to_string());
        let totals = shape.totals.iter().map(|total| total.at.to_string());
        records.chain(totals).chain(shape.keep.iter().map(ToString::to_string))
    };
    for (keep, location) in shape.kept_records() {
        let message =
            format!("`{}` keeps `{keep}`, which holds the records of `{}`", route.label(), location.at);
        let help = "What is kept leaves as it is. Keep single places beside the records, e.g. `$.page`.";
        reading.error(route.span.clone(), message, help);
    }
    let mut seen = BTreeSet::new();
    for place in places() {
        if !seen.insert(place.clone()) {
            reading.error(route.span.clone(), format!("`{place}` is described twice"), "");
        }
    }
}

fn check_sources(route: &Route, reading: &Reading) {
    let error = |span: Range<usize>, message: String| reading.error(span, message, "");
    let sources = [
        match &route.action {
            Some(ActionSource::Verbs { from, .. }) => Some(from),
            _ => None,
        },
        match &route.type_source {
            Some(TypeSource::Named(from)) => Some(from),
            _ => None,
        },
        route.id.as_ref().map(|IdSource { source, .. }| source),
    ];
    let linked = route.links.iter().map(|link| &link.id);
    for source in sources.into_iter().flatten().chain(linked) {
        if let ValueSource::Path(name) = source
            && !route.template.parameter_names().any(|parameter| parameter == name)
        {
            error(route.span.clone(), format!("`{}` has no parameter `{name}`", route.label()));
        }
    }
    let moves = route.actions().contains(&Action::MoveStage);
    let has_target = route.to.is_some()
        || matches!(&route.action, Some(ActionSource::Verbs { verbs, .. })
            if verbs.values().all(|verb| verb.action != Action::MoveStage || verb.to.is_some()));
    if moves && !has_target {
        let help = "Say where the move goes: `to = { at = \"$.stage\" }`, or `to` for each verb.";
        reading.error(route.span.clone(), format!("`{}` moves to no stage", route.label()), help);
    }
    if matches!(route.to, Some(StageSource::Body(_))) && route.body.is_none() {
        error(
            route.span.clone(),
            format!("`{}` takes its stage from a body that it does not have", route.label()),
        );
    }
}

fn check_overlaps(profile: &Profile, reading: &Reading) {
    for (index, route) in profile.routes.iter().enumerate() {
        for other in profile.routes.iter().skip(index + 1) {
            let meets = route.template.overlaps(&other.template, profile.path_case);
            if !meets || route.is_told_from(other) {
                check_siblings(route, other, meets, reading);
                continue;
            }
            let names = |a: &Route, b: &Route| a.over.iter().any(|label| label.value == b.label());
            if names(route, other) == names(other, route) {
                let message = format!("`{}` and `{}` can match one request", route.label(), other.label());
                let help = "Narrow a parameter, e.g. `{id:int}`, or state the order: `over = [\"GET /deals/{id}\"]` in the route that goes first. Or tell them apart: `when = { query = \"format\", is = \"csv\" }`.";
                reading.error(other.span.clone(), message, help);
            }
        }
    }
}

/// Routes that only their bodies tell apart read their bodies alike, since that comes before the choice.
fn check_siblings(route: &Route, other: &Route, meets: bool, reading: &Reading) {
    let looks_at_bodies = |route: &Route| route.when.iter().any(Condition::is_on_body);
    let differs = route.body != other.body || route.limits != other.limits;
    if meets && (looks_at_bodies(route) || looks_at_bodies(other)) && differs {
        let help = "Give both the same `body` and `limits`: they are read before the routes are told apart.";
        let message = format!("`{}` and `{}` read their bodies differently", route.label(), other.label());
        reading.error(other.span.clone(), message, help);
    }
}

fn require_type(profile: &Profile, name: &str, span: Range<usize>, reading: &Reading) {
    if profile.type_named(name).is_some() {
        return;
    }
    let near = nearest(name, profile.types.iter().map(|record_type| record_type.name.as_str()));
    let help = near.map(|near| format!("Did you mean `{near}`?")).unwrap_or_default();
    reading.error(span, format!("no record type is called `{name}`"), help);
}
