//! Every way to one effect needs the same action: what one route asks for where it writes a key, every other one that writes
//! that key asks for too. Stage moves are found by the keys of the stage, whatever the route says.

use crate::bundle::profile::Profile;
use crate::bundle::profile::route::{Also, Route, When, Writes};
use crate::bundle::profile::source::{ActionSource, TypeSource};
use crate::config::reader::Reading;
use crate::json::path::Segment;
use crate::model::access::{Action, Scope};

/// Notes routes by which an effect could be had without the action that another route asks for.
pub(super) fn check(profile: &Profile, reading: &Reading) {
    let writers: Vec<(&Route, &Writes)> =
        profile.routes.iter().filter_map(|route| Some((route, route.writes.as_ref()?))).collect();
    for (route, writes) in writers.iter().filter(|(route, _)| changes(route)) {
        for (other, others) in writers.iter().filter(|(other, _)| concern_one_type(route, other)) {
            let effects = other.also.iter().filter_map(|also| Some((also, key_of(also, others)?)));
            let lacking = effects.filter(|(also, key)| !asks_for(route, writes, also, key));
            for (also, key) in lacking {
                let (key, action) = (path_text(key), also.action.name());
                let (own, theirs) = (route.label(), other.label());
                let message = format!("`{own}` writes `{key}` without `{action}`, which `{theirs}` asks for");
                let at = format!("{}.{key}", writes.at);
                let help = format!(
                    "Every way to one effect needs the same action: add `also = [{{ action = \"{action}\", when = {{ at = \"{at}\", {} }} }}]`, or put the key on `ignored` if the CRM takes no notice of it.",
                    condition(&also.when)
                );
                reading.error(route.span.clone(), message, help);
            }
        }
    }
}

/// Whether a route changes records that are there by writing fields.
fn changes(route: &Route) -> bool {
    let is_change = |action: &Action| {
        let is_one = action.scope() == Scope::RecordWrite && *action != Action::Create;
        is_one || *action == Action::BulkEdit
    };
    route.refuse.is_none() && route.actions().iter().any(is_change)
}

/// Whether both may be about records of one type; a type that the request names may be any.
fn concern_one_type(route: &Route, other: &Route) -> bool {
    let name = |route: &Route| {
        let first = route.shape.records.first().map(|location| location.type_source.clone());
        match route.type_source.clone().or(first) {
            Some(TypeSource::Constant(name)) => Some(name.value),
            Some(TypeSource::Named(_) | TypeSource::Route | TypeSource::Discriminator(_)) | None => None,
        }
    };
    name(route).zip(name(other)).is_none_or(|(own, theirs)| own == theirs)
}

/// The key of the record that a further decision is about, if it is about one.
fn key_of<'a>(also: &'a Also, writes: &Writes) -> Option<&'a [Segment]> {
    also.at.segments().strip_prefix(writes.at.segments()).filter(|key| !key.is_empty())
}

fn asks_for(route: &Route, writes: &Writes, effect: &Also, key: &[Segment]) -> bool {
    let is_ignored = matches!(key.first(), Some(Segment::Key(key)) if writes.ignored.contains(key));
    let own = route.action.as_ref().map(ActionSource::actions).unwrap_or_default();
    let is_own = own.iter().all(|action| *action == effect.action);
    let covers = |also: &Also| {
        let is_as_broad = also.when == effect.when || also.when == When::Present;
        also.action == effect.action && is_as_broad && key_of(also, writes) == Some(key)
    };
    is_ignored || is_own || route.also.iter().any(covers)
}

fn path_text(key: &[Segment]) -> String {
    let name = |segment: &Segment| match segment {
        Segment::Key(key) => key.clone(),
        Segment::Index(index) => index.to_string(),
        Segment::EachItem | Segment::EachMember => "*".to_owned(),
    };
    key.iter().map(name).collect::<Vec<_>>().join(".")
}

fn condition(when: &When) -> String {
    match when {
        When::Present => "…".to_owned(),
        When::Is(values) => format!("is = [{}]", values.join(", ")),
        When::Changes => "changes = true".to_owned(),
    }
}
