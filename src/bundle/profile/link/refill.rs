//! Checks that a list can be refilled: one list of records of one type, and two parameters by which alone it is paged.

use std::ops::Range;

use crate::bundle::profile::query::{QueryRule, Role};
use crate::bundle::profile::refill::Refill;
use crate::bundle::profile::route::{HiddenRows, Route};
use crate::bundle::profile::source::TypeSource;
use crate::bundle::profile::types::KeyPattern;
use crate::config::reader::{Reading, Text};
use crate::json::path::{JsonPath, Segment};
use crate::model::access::Action;

/// Notes what is wrong with a route's refill.
pub(super) fn check(route: &Route, reading: &Reading) {
    let Some(refill) = &route.refill else { return };
    let error = |span: &Range<usize>, message: String, help: &str| reading.error(span.clone(), message, help);
    check_list(route, refill, reading);
    if !route.reads.is_empty() {
        let help = "Pages are asked for by parameters of the query. Leave `refill` out.";
        error(&refill.span, format!("`{}` takes its pages from a body", route.label()), help);
    }
    if route.csv.is_some() || route.transit.is_some() || route.pass.is_some() {
        let help = "Rows of JSON can be put together, other bodies cannot. Leave `refill` out.";
        error(&refill.span, format!("`{}` answers no JSON that is filtered", route.label()), help);
    }
    if route.hidden_rows != HiddenRows::Unstated {
        let help = "Leave `hidden_rows` out: in pages that are filled up they do not show.";
        error(&refill.span, format!("`{}` says two things of hidden rows", route.label()), help);
    }
    let own = [&refill.size, refill.place_name()];
    own.into_iter().for_each(|name| check_parameter(route, name, reading));
    if refill.size.value == refill.place_name().value {
        error(&refill.span, format!("`{}` cannot say both length and place", refill.size.value), "");
    }
    let is_own = |rule: &QueryRule| own.iter().any(|name| is_named(rule, name));
    for rule in route.query.iter().filter(|rule| rule.role == Role::Paging && !is_own(rule)) {
        let help = "A list that is refilled is paged by the parameters of `refill` alone. Make this one `refused` or `ignored`.";
        error(&rule.span, format!("`{}` pages as well", rule.name), help);
    }
    if let Some(header) = route.headers.iter().find(|header| header.role == Role::Paging) {
        let help = "A list that is refilled is paged by the parameters of `refill` alone. Make it `refused` or `ignored`.";
        error(&refill.span, format!("the header `{}` pages as well", header.name), help);
    }
}

/// There is one list, of records of the route's own type, and it is always there.
fn check_list(route: &Route, refill: &Refill, reading: &Reading) {
    let error = |message: String, help: &str| reading.error(refill.span.clone(), message, help);
    let lists = [Action::List, Action::Search, Action::Export];
    let one = match route.shape.records.as_slice() {
        [one] if route.actions().iter().all(|action| lists.contains(action)) && is_list(&one.at) => one,
        _ => {
            let help = "It belongs to a route that lists records in one place, such as `$.data[*]`.";
            return error(format!("`{}` has not one list of records to fill up", route.label()), help);
        }
    };
    let is_own = match (&one.type_source, &route.type_source) {
        (TypeSource::Constant(own), Some(TypeSource::Constant(route))) => own.value == route.value,
        (TypeSource::Constant(_), None) => true,
        (TypeSource::Route, Some(TypeSource::Constant(_) | TypeSource::Named(_))) => true,
        _ => false,
    };
    if !is_own {
        let help = "All records of a list that is refilled are of the route's own type.";
        error(format!("`{}` lists records of other types", route.label()), help);
    }
    if one.is_optional {
        let help =
            "Whether there are any rows, hidden ones included, would show by it. Leave `optional` out.";
        error(format!("the list `{}` may be missing", one.at), help);
    }
    let told = route.shape.totals_of_rows().find(|total| !is_single(total));
    if let Some(total) = told {
        let help = "A number of rows stands in one place.";
        error(format!("`{total}` is not one place"), help);
    }
}

fn check_parameter(route: &Route, name: &Text, reading: &Reading) {
    let error = |message: String, help: &str| reading.error(name.span.clone(), message, help);
    let Some(rule) = route.query.iter().find(|rule| is_named(rule, name) && rule.role == Role::Paging) else {
        let help = "Name a parameter of the route's `query` with the role `paging`.";
        return error(format!("`{}` is no paging parameter of `{}`", name.value, route.label()), help);
    };
    if !rule.values.is_empty() {
        let help = "The proxy asks for other pages than the caller. Leave `values` out.";
        error(format!("`{}` takes listed values only", name.value), help);
    }
}

fn is_named(rule: &QueryRule, name: &Text) -> bool {
    matches!(&rule.name, KeyPattern::Exact(exact) if *exact == name.value)
}

/// Whether a path leads to the items of one array.
fn is_list(path: &JsonPath) -> bool {
    let keys = |segments: &[Segment]| segments.iter().all(|segment| matches!(segment, Segment::Key(_)));
    path.segments().split_last().is_some_and(|(last, before)| *last == Segment::EachItem && keys(before))
}

fn is_single(path: &JsonPath) -> bool {
    path.segments().iter().all(|segment| matches!(segment, Segment::Key(_)))
}
