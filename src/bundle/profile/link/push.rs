//! Checks that a push-down can be said: in a filter that is there, with its words, about attributes that have a spelling.

use crate::bundle::profile::Profile;
use crate::bundle::profile::convert::Kind;
use crate::bundle::profile::push::PushDown;
use crate::bundle::profile::query::{Form, QueryRule, Role};
use crate::bundle::profile::route::Route;
use crate::bundle::profile::shape::{RecordLocation, meet};
use crate::bundle::profile::types::{AttributeSpec, KeyPattern};
use crate::config::author::nearest;
use crate::config::reader::Reading;
use crate::model::access::Action;

/// Notes what is wrong with a route's push-down.
pub(super) fn check(profile: &Profile, route: &Route, reading: &Reading) {
    check_told(route, reading);
    let Some(push) = &route.push_down else { return };
    let error = |message: String, help: &str| reading.error(push.span.clone(), message, help);
    let lists = [Action::List, Action::Search, Action::Export];
    let is_list = route.actions().iter().all(|action| lists.contains(action));
    if !is_list || !route.shape.records.first().is_some_and(RecordLocation::is_many) {
        let help = "It belongs to a route that lists records.";
        error(format!("`{}` has no rows to leave out", route.label()), help);
    }
    check_attributes(profile, route, push, reading);
    let rules = route.query.iter().chain(route.reads.iter().map(|declared| &declared.rule));
    let named = |rule: &&QueryRule| matches!(&rule.name, KeyPattern::Exact(name) if *name == push.into.value);
    let rule = rules.into_iter().find(named).filter(|rule| rule.role == Role::Filter);
    let Some(rule) = rule.filter(|rule| rule.form == Form::Key || rule.form.is_filter_tree()) else {
        let help = "Name a parameter, or a place of the body, with `role = \"filter\"` and the form `key`, `triples`, `prefix`, `object` or `tree`.";
        reading.error(push.into.span.clone(), format!("`{}` is no filter to add to", push.into.value), help);
        return;
    };
    check_words(push, rule, reading);
}

/// What tells of all rows: other pages are those of a list that is asked for by parameters, and a number of rows passes as it
/// is, so neither may be where the rows are.
fn check_told(route: &Route, reading: &Reading) {
    let is_list = route.shape.records.first().is_some_and(RecordLocation::is_many);
    if !route.pages.are_none() && (!is_list || route.template.methods.contains(&http::Method::POST)) {
        let help = "Pages belong to a route that lists records by GET.";
        reading.error(route.pages.span.clone(), format!("`{}` has no other pages", route.label()), help);
    }
    let is_pattern =
        |rule: &&QueryRule| rule.role == Role::Paging && !matches!(rule.name, KeyPattern::Exact(_));
    if let Some(rule) = route.query.iter().find(is_pattern).filter(|_| !route.pages.are_none()) {
        let help = "Name each parameter that chooses a page, e.g. `\"page[number]\" = \"paging\"`: only those are written into addresses.";
        reading.error(route.pages.span.clone(), format!("`{}` chooses pages by a pattern", rule.name), help);
    }
    for page in &route.pages.places {
        let told = route.shape.keep.iter().chain(route.shape.totals.iter().map(|total| &total.at));
        let records = route.shape.records.iter().map(|location| &location.at);
        if told.chain(records).any(|at| meet(at, page)) {
            let message = format!("the page `{page}` stands where something else is described");
            reading.error(route.pages.span.clone(), message, "It is a text beside the records.");
        }
    }
    let kept = route.pushed_shape.iter().flat_map(|shape| shape.kept_records());
    for (keep, location) in kept.filter(|(keep, _)| !route.shape.keep.contains(keep)) {
        let message = format!("the total `{keep}` holds the records of `{}`", location.at);
        reading.error(route.span.clone(), message, "A number of rows stands beside them.");
    }
}

fn check_attributes(profile: &Profile, route: &Route, push: &PushDown, reading: &Reading) {
    let Some(record_type) = profile.type_of_image(route) else { return };
    for (name, pushed) in &push.attributes {
        let Some(spec) = record_type.attributes.iter().find(|spec| spec.name == *name) else {
            let known = record_type.attributes.iter().map(|spec| spec.name.as_str());
            let help = nearest(name, known).map(|near| format!("Did you mean `{near}`?"));
            let message = format!("`{}` has no attribute `{name}`", record_type.name);
            reading.error(pushed.span.clone(), message, help.unwrap_or_default());
            continue;
        };
        if !has_spelling(spec) {
            let help = "Push down truth values, texts, whole numbers, stages, and entities by their id or one attribute, without `map`.";
            let message = format!("nobody can tell how the CRM spells values of `{name}`");
            reading.error(pushed.span.clone(), message, help);
        }
    }
}

fn has_spelling(spec: &AttributeSpec) -> bool {
    let is_fit = match &spec.conversion.kind {
        Kind::Bool { .. } | Kind::Text | Kind::Long | Kind::Stage => true,
        Kind::Entity { by, .. } => by.len() < 2,
        Kind::Decimal(_) | Kind::Datetime(_) | Kind::Pipeline => false,
    };
    is_fit && spec.conversion.map.is_none() && !spec.conversion.is_set
}

fn check_words(push: &PushDown, rule: &QueryRule, reading: &Reading) {
    let error = |message: &str, help: &str| reading.error(push.span.clone(), message, help);
    let words = [&push.equal, &push.one_of, &push.absent];
    if rule.form == Form::Key {
        let is_own = push.attributes.values().all(|pushed| pushed.name == push.into.value);
        if words.iter().any(|word| word.is_some()) || push.attributes.len() != 1 || !is_own {
            let help = "Write `attributes = { owner = \"owner_id\" }` with the parameter's own name, and no operators.";
            error("a parameter that is one field takes one value of one attribute", help);
        }
        return;
    }
    if push.equal.is_none() && push.one_of.is_none() {
        error("there is no operator for values", "Name them: `equal = \"=\"`, `in = \"in\"`.");
    }
    for word in words.into_iter().flatten().filter(|word| !rule.grammar.operators.contains(word)) {
        error(&format!("`{word}` is not one of the `operators` of `{}`", push.into.value), "Add it there.");
    }
}
