//! Whether a caller may use the fields that a query refers to (PDP).
//!
//! A filter, sort, search, grouping or aggregate lets values shape the answer. So the field must be readable on every
//! record, and no row may be hidden that could shape the page. Refusals are uniform and come before anything ran.

use super::always::{reads_on_every_record, views_every_record};
use super::gate::RecordGate;
use crate::bundle::current::Snapshot;
use crate::bundle::profile::route::{HiddenRows, Route};
use crate::model::principal::Asker;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::pipeline::map::query::{MappedQuery, Reference};

/// What was found of one reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceVerdict {
    /// It only names what to answer; each value is decided on its record.
    Harmless,
    /// The field may be read on every record, and no hidden row can shape the page.
    Usable,
    /// On some record the field may not be read.
    NotReadable,
    /// Rows that the caller may not view could shape the page.
    HiddenRows,
}

/// Checks that a principal sees everything of the types whose values an answer holds in a form that cannot be filtered.
pub fn check_required(snapshot: &Snapshot, gate: &RecordGate, route: &Route) -> Result<(), Problem> {
    let sees = |name: &str| {
        let found = snapshot.bundle.profile.type_named(name);
        found.is_some_and(|(_, record_type)| gate.sees_all_fields(record_type))
    };
    match route.requires.iter().all(|name| sees(&name.value)) {
        true => Ok(()),
        false => Err(Reason::Denied.into()),
    }
}

/// Checks every reference of a query.
pub fn check(snapshot: &Snapshot, asker: &Asker, route: &Route, query: &MappedQuery) -> Result<(), Problem> {
    for reference in &query.references {
        match judge(snapshot, asker, route, query, reference) {
            ReferenceVerdict::Harmless | ReferenceVerdict::Usable => {}
            ReferenceVerdict::NotReadable | ReferenceVerdict::HiddenRows => {
                return Err(Reason::ReferenceRefused.into());
            }
        }
    }
    Ok(())
}

/// The fields that a search may be told to look at, by their names on the wire; a refusal if there is none.
pub fn search_scope(
    snapshot: &Snapshot,
    asker: &Asker,
    route: &Route,
    query: &MappedQuery,
) -> Result<Vec<String>, Problem> {
    let Some(scope) = &query.scope else { return Ok(Vec::new()) };
    let is_usable = |reference| judge(snapshot, asker, route, query, reference) == ReferenceVerdict::Usable;
    let usable = scope.fields.iter().filter(|(reference, _)| is_usable(reference));
    let names: Vec<String> = usable.map(|(_, name)| name.clone()).collect();
    if names.is_empty() { Err(Reason::ReferenceRefused.into()) } else { Ok(names) }
}

/// Judges one reference of a query.
pub fn judge(
    snapshot: &Snapshot,
    asker: &Asker,
    route: &Route,
    query: &MappedQuery,
    reference: &Reference,
) -> ReferenceVerdict {
    if !reference.role.reveals_values() {
        return ReferenceVerdict::Harmless;
    }
    let is_readable = reference
        .hops
        .iter()
        .all(|(type_name, field)| reads_on_every_record(snapshot, asker, type_name, field));
    if !is_readable {
        return ReferenceVerdict::NotReadable;
    }
    // The route's own rows may be hidden where hidden rows cannot shape what is left; embedded records may not, since
    // a filter through them would tell what they hold.
    let is_unshaped = reference.hops.iter().enumerate().all(|(depth, (type_name, _))| {
        let own_rows_do_not_count =
            depth == 0 && route.hidden_rows == HiddenRows::VisibleWhenPaged && !query.is_paged;
        own_rows_do_not_count || views_every_record(snapshot, asker, type_name)
    });
    if is_unshaped { ReferenceVerdict::Usable } else { ReferenceVerdict::HiddenRows }
}
