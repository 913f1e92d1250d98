//! Whether a caller may use the fields that a query refers to (PDP).
//!
//! A filter, sort, search, grouping or aggregate lets values shape the answer. So the field must be readable on every
//! record, and no row may be hidden that could shape the page. Refusals are uniform and come before anything ran.

use super::gate::RecordGate;
use super::refill::Refilled;
use super::request::RequestVerdict;
use super::residual::formula::Formula;
use super::residual::reads_wherever;
use crate::bundle::current::Snapshot;
use crate::bundle::profile::query::Role;
use crate::bundle::profile::route::{HiddenRows, Route};
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::seeded::{Fault, is_seeded};
use crate::pipeline::map::Mapped;
use crate::pipeline::map::query::Reference;

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
    match is_seeded(Fault::RequirementsAreForgotten) || route.requires.iter().all(|name| sees(&name.value)) {
        true => Ok(()),
        false => Err(Reason::Denied.into()),
    }
}

/// What references of one request are judged by.
pub struct Referring<'a> {
    gate: &'a RecordGate,
    mapped: &'a Mapped<'a>,
    left_out: LeftOut<'a>,
}

/// Where hidden rows are left out, so that they shape nothing.
#[derive(Clone, Copy)]
enum LeftOut<'a> {
    /// Nowhere: they are removed from what the CRM answers.
    Nowhere,
    /// By the CRM, exactly, before it does anything else with rows. These may be viewed.
    Upstream(&'a Formula),
    /// By the proxy, which fills up pages: what the CRM computes of rows it computes of hidden ones too. These may be viewed, where
    /// that can be said.
    Here(Option<&'a Formula>),
}

impl<'a> Referring<'a> {
    /// Of a request, and what was found of its rows.
    pub fn of(gate: &'a RecordGate, mapped: &'a Mapped<'a>, verdict: &'a RequestVerdict) -> Self {
        let pushed = verdict.pushed.as_ref().filter(|pushed| pushed.is_exact());
        let left_out = match (pushed, verdict.refilled.as_ref().and_then(Refilled::filling)) {
            (Some(pushed), _) => LeftOut::Upstream(&pushed.formula),
            (None, Some(filling)) => LeftOut::Here(filling.viewed.as_ref()),
            (None, None) => LeftOut::Nowhere,
        };
        Self { gate, mapped, left_out }
    }

    /// Checks every reference.
    pub fn check(&self) -> Result<(), Problem> {
        for reference in &self.mapped.query.references {
            match self.judge(reference) {
                ReferenceVerdict::Harmless | ReferenceVerdict::Usable => {}
                ReferenceVerdict::NotReadable | ReferenceVerdict::HiddenRows => {
                    return Err(Reason::ReferenceRefused.into());
                }
            }
        }
        Ok(())
    }

    /// The fields that a search may be told to look at, by their names on the wire; a refusal if there is none.
    pub fn search_scope(&self) -> Result<Vec<String>, Problem> {
        let Some(scope) = &self.mapped.query.scope else { return Ok(Vec::new()) };
        let usable = scope.fields.iter().filter(|(field, _)| self.judge(field) == ReferenceVerdict::Usable);
        let names: Vec<String> = usable.map(|(_, name)| name.clone()).collect();
        if names.is_empty() { Err(Reason::ReferenceRefused.into()) } else { Ok(names) }
    }

    /// Judges one reference.
    pub fn judge(&self, reference: &Reference) -> ReferenceVerdict {
        if !reference.role.reveals_values() || is_free(reference.role) {
            return ReferenceVerdict::Harmless;
        }
        let mut hops = reference.hops.iter().enumerate();
        let is_readable = hops.all(|(depth, (type_name, field))| {
            self.gate.reads_on_every_record(type_name, field)
                || (depth == 0 && self.reads_wherever_viewed(type_name, field))
                || (depth > 0 && is_seeded(Fault::FirstStepCounts))
        });
        if !is_readable {
            return ReferenceVerdict::NotReadable;
        }
        // The route's own rows may be hidden where hidden rows cannot shape what is left; embedded records may not, since
        // a filter through them would tell what they hold.
        let is_unshaped = reference.hops.iter().enumerate().all(|(depth, (type_name, _))| {
            (depth == 0 && self.own_rows_do_not_count(reference.role, type_name))
                || is_seeded(Fault::HiddenRowsShape)
                || self.gate.views_every_record(type_name)
        });
        let is_unshaped =
            is_unshaped && reference.holds.iter().all(|type_name| self.gate.views_every_record(type_name));
        if is_unshaped { ReferenceVerdict::Usable } else { ReferenceVerdict::HiddenRows }
    }

    fn own_rows_do_not_count(&self, role: Role, type_name: &str) -> bool {
        let mapped = self.mapped;
        let has_every_match =
            mapped.route.hidden_rows == HiddenRows::VisibleWhenPaged && !mapped.query.is_paged;
        let is_own = mapped.record_type.is_some_and(|own| own.name == type_name);
        let are_left_out = match self.left_out {
            LeftOut::Nowhere => false,
            LeftOut::Upstream(_) => true,
            LeftOut::Here(_) => !matches!(role, Role::Group | Role::Aggregate),
        };
        has_every_match || (is_own && are_left_out)
    }

    /// Whether a field may be read on all rows that are not left out.
    fn reads_wherever_viewed(&self, type_name: &str, field: &str) -> bool {
        let own = self.mapped.record_type.filter(|own| own.name == type_name);
        let viewed = match self.left_out {
            LeftOut::Nowhere => None,
            LeftOut::Upstream(viewed) => Some(viewed),
            LeftOut::Here(viewed) => viewed,
        };
        own.zip(viewed).is_some_and(|(own, viewed)| {
            reads_wherever(viewed, self.gate.snapshot(), own, self.gate.asker(), field)
        })
    }
}

/// Whether a fault lets a role through.
fn is_free(role: Role) -> bool {
    match role {
        Role::Sort => is_seeded(Fault::SortIsFree),
        Role::Filter => is_seeded(Fault::FilterIsFree),
        Role::Search => is_seeded(Fault::SearchIsFree),
        _ => false,
    }
}
