//! What the language can say and this version cannot do: refused at load, never half done.

use crate::bundle::profile::route::condition::Condition;
use crate::bundle::profile::route::{Route, tells_of_records};
use crate::config::reader::Reading;
use crate::model::access::{Action, Scope};

/// Notes what a route asks for and this version cannot do.
pub(super) fn check(route: &Route, reading: &Reading) {
    let span = || route.span.clone();
    let is_read = route.actions().iter().any(|action| {
        action.scope() == Scope::RecordRead
            || matches!(action, Action::List | Action::Search | Action::Export | Action::Report)
    });
    if is_read && !route.body.is_none() {
        let help = "Leave the route out; a body can refer to fields in ways that are not read yet.";
        reading.error(
            span(),
            format!("`{}` reads and takes a body, which is not supported yet", route.label()),
            help,
        );
    }
    let unjudged = [Action::Merge, Action::Convert, Action::Clone, Action::Restore];
    if let Some(action) = route.actions().iter().find(|action| unjudged.contains(action)) {
        let help = "Leave the route out, or map it as a stage move if that is all it does; what it makes is not judged yet.";
        reading.error(span(), format!("`{}`: `{}` is not supported yet", route.label(), action.name()), help);
    }
    let may_write = route.template.methods.iter().any(|m| m != http::Method::GET && m != http::Method::HEAD);
    if is_read && may_write {
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
