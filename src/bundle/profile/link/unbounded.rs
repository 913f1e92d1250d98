//! A change of many names its records by their ids, or says that it changes whatever the CRM finds.

use crate::bundle::profile::query::Role;
use crate::bundle::profile::route::version::Versioning;
use crate::bundle::profile::route::{HiddenValues, MissingRecord, Route, WriteSemantics, Writes};
use crate::bundle::profile::source::ActionSource;
use crate::config::reader::Reading;
use crate::model::access::Action;

/// Notes a change of many that does neither, and what a change of whatever there is cannot have.
pub(super) fn check(route: &Route, reading: &Reading) {
    let label = route.label();
    let Some(span) = &route.unbounded else {
        if route.id.is_none() && route.actions().iter().any(changes_many) {
            let help = "Say where the ids are, e.g. `id = \"body.$.ids[*]\"`. If it changes whatever a filter finds, say `unbounded = true`: then only callers whom no policy restricts may use it.";
            reading.error(
                route.span.clone(),
                format!("`{label}` changes records that it does not name"),
                help,
            );
        }
        return;
    };
    let is_bulk = matches!(&route.action, Some(ActionSource::Constant(action)) if changes_many(action));
    if !is_bulk {
        let help = "Leave `unbounded` out, or say `action = \"bulkEdit\"` or `action = \"bulkDelete\"`.";
        reading.error(span.clone(), format!("`{label}` is unbounded and no change of many records"), help);
        return;
    }
    for key in stated(route) {
        let help = format!(
            "Whatever there is, is changed without being looked at: leave `{key}` out. Or name the records by `id`, and leave `unbounded` out."
        );
        reading.error(span.clone(), format!("`{label}` is unbounded and has `{key}`"), help);
    }
}

fn changes_many(action: &Action) -> bool {
    matches!(action, Action::BulkEdit | Action::BulkDelete)
}

/// What a route says that is about records one by one, or about a list of them.
fn stated(route: &Route) -> impl Iterator<Item = &'static str> {
    let writes = |says: fn(&Writes) -> bool| route.writes.as_ref().is_some_and(says);
    let keys = [
        ("id", route.id.is_some()),
        ("{…}", route.template.parameter_names().next().is_some()),
        ("query.….role = \"ignored\"", route.query.iter().any(|rule| rule.role == Role::Ignored)),
        ("headers.….role = \"ignored\"", route.headers.iter().any(|rule| rule.role == Role::Ignored)),
        ("before", route.before.is_some()),
        ("missing", route.missing != MissingRecord::NotFound),
        ("prune", route.prune.is_some()),
        ("version", !matches!(route.version, Versioning::Unpinned)),
        ("links", !route.links.is_empty()),
        ("to", route.to.is_some()),
        ("push_down", route.push_down.is_some()),
        ("refill", route.refill.is_some()),
        ("pages", !route.pages.are_none()),
        ("writes.semantics", writes(|writes| writes.semantics == WriteSemantics::Replace)),
        ("writes.hidden", writes(|writes| writes.hidden == HiddenValues::Keep)),
        ("writes.clears", writes(|writes| !writes.clears.is_empty())),
        ("writes.resend", writes(|writes| !writes.resend.is_empty())),
    ];
    keys.into_iter().filter(|(_, is_stated)| *is_stated).map(|(key, _)| key)
}
