//! Whether a caller may use the fields that a query refers to (PDP).
//!
//! A filter, sort, search, grouping or aggregate lets values shape the answer. So the field must be readable on every
//! record, and no row may be hidden that could shape the page. Refusals are uniform and come before anything ran.

use super::always::{reads_on_every_record, views_every_record};
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
