//! What the language can say and this version cannot do: refused at load, never half done.

use crate::bundle::profile::query::{QueryRule, Role};
use crate::bundle::profile::route::body::BodyKind;
use crate::bundle::profile::route::condition::Condition;
use crate::bundle::profile::route::{Route, tells_of_records};
use crate::bundle::profile::source::ActionSource;
use crate::config::reader::Reading;
use crate::model::access::{Action, Scope};

/// Notes what a route asks for and this version cannot do.
pub(super) fn check(route: &Route, reading: &Reading) {
    let span = || route.span.clone();
    let is_read = route.actions().iter().any(|action| {
        action.scope() == Scope::RecordRead
            || matches!(action, Action::List | Action::Search | Action::Export | Action::Report)
    });
    if is_read && !route.body.is_none() && route.reads.is_empty() {
        let help = "Say what each place of the body refers to, e.g. `reads = { \"$.limit\" = \"paging\" }`, or leave the route out.";
        reading.error(span(), format!("`{}` reads and takes a body that nobody reads", route.label()), help);
    }
    check_reads(route, reading);
    let unjudged = [Action::Merge, Action::Convert, Action::Clone, Action::Restore];
    if let Some(action) = route.actions().iter().find(|action| unjudged.contains(action)) {
        let help = "Leave the route out, or map it as a stage move if that is all it does; what it makes is not judged yet.";
        reading.error(span(), format!("`{}`: `{}` is not supported yet", route.label(), action.name()), help);
    }
    let may_write = route.template.methods.iter().any(|m| m != http::Method::GET && m != http::Method::HEAD);
    if is_read && may_write && route.reads.is_empty() {
        let help = "A read is forwarded before its records are judged, so it must not be able to write: use GET or HEAD.";
        reading.error(span(), format!("`{}` reads by a method that may write", route.label()), help);
    }
    for also in &route.also {
        let is_fit = also.action.scope() == Scope::RecordWrite
            && !matches!(also.action, Action::MoveStage | Action::Create);
        if !is_fit {
            let help = "Stage moves are found by the keys of the stage; further decisions are on the record, such as delete or assign.";
            reading.error(span(), format!("`{}` cannot stand under `also`", also.action.name()), help);
        }
    }
    // Such a route is chosen before its body is read.
    let passes = route.transit.is_some() || route.pass.is_some();
    if route.when.iter().any(Condition::is_on_body) && (passes || route.body.is_none()) {
        reading.error(span(), format!("`{}` looks into a body that it does not have", route.label()), "");
    }
    for rule in &route.errors {
        let told = rule.statuses.iter().find(|status| tells_of_records(**status));
        if let (Some(status), true) = (told, route.reads_one_record()) {
            let help = "Leave it out: it would tell that there is a record, and is answered like one that does not exist.";
            reading.error(span(), format!("`{}` lets the error {status} out", route.label()), help);
        }
        let in_success = rule.statuses.iter().any(|status| *status < 400);
        if in_success && route.success.is_none() {
            let help =
                "Say how an answer tells that it is none: `success = { at = \"$.success\", is = [true] }`.";
            reading.error(span(), format!("`{}` has an error inside of a success", route.label()), help);
        }
    }
    super::headers::check_rules(route, reading);
}

/// A body that only asks: the author says by `reads` that the CRM changes nothing for it.
fn check_reads(route: &Route, reading: &Reading) {
    if route.reads.is_empty() {
        return;
    }
    let error = |message: &str, help: &str| {
        reading.error(route.span.clone(), format!("`{}` {message}", route.label()), help);
    };
    let asks = matches!(
        route.action,
        Some(ActionSource::Constant(Action::List | Action::Search | Action::Export | Action::Report))
    );
    if !asks || route.writes.is_some() || route.to.is_some() || !route.also.is_empty() {
        let help = "`reads` belongs to a route with the action `list`, `search`, `export` or `report` that changes nothing.";
        error("has `reads` and is no search", help);
    }
    if route.template.methods.iter().any(|method| method != http::Method::POST) {
        error(
            "reads by a body and takes other methods than POST",
            "Give the other methods a route of their own.",
        );
    }
    if route.body.kinds != [BodyKind::Json] || route.body.is_optional {
        error("has `reads` and a body that is not JSON", "Write `body = \"json\"`, or leave `body` out.");
    }
    for declared in &route.reads {
        let is_inside = |other: &[String]| declared.at.len() < other.len() && other.starts_with(&declared.at);
        if let Some(other) = route.reads.iter().find(|other| is_inside(&other.at)) {
            let message = format!("`{}` holds `{}`", declared.rule.name, other.rule.name);
            reading.error(declared.rule.span.clone(), message, "Declare the inner places alone.");
        }
    }
    let selects = |rule: &QueryRule| rule.role == Role::Select;
    let in_query = route.query.iter().filter(|rule| selects(rule));
    if in_query.chain(route.reads.iter().map(|declared| &declared.rule).filter(|rule| selects(rule))).count()
        > 1
    {
        error("selects in two places", "One of them must be refused.");
    }
}
