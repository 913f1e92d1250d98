//! Checks that the fields which rules name exist: what a search covers, what the CRM looks at besides.

use crate::bundle::profile::Profile;
use crate::bundle::profile::query::QueryRule;
use crate::bundle::profile::route::Route;
use crate::bundle::profile::types::KeyPattern;
use crate::config::author::nearest;
use crate::config::reader::{Reading, Text};

/// Notes names of fields that no type describes, and parameters that two rules claim.
pub(super) fn check(profile: &Profile, route: &Route, reading: &Reading) {
    let rules = route.query.iter().chain(route.reads.iter().map(|declared| &declared.rule));
    for rule in rules {
        let looks_at = || rule.grammar.looks_at.values();
        let fields = rule.over.iter().chain(looks_at().flat_map(|(_, fields)| fields));
        fields.for_each(|name| check_field(profile, name, reading));
        for (name, _) in looks_at() {
            let type_name = name.value.split_once('.').map_or("", |(type_name, _)| type_name);
            if profile.type_named(type_name).is_none() {
                let help = "Write the type and the name on the wire, e.g. `\"Party.rec_name\"`.";
                let message = format!("`{}` does not begin with a record type", name.value);
                reading.error(name.span.clone(), message, help);
            }
        }
        check_over(route, rule, reading);
    }
}

fn check_field(profile: &Profile, name: &Text, reading: &Reading) {
    let names = || {
        profile.types.iter().flat_map(|record_type| {
            let fields = (0..record_type.fields.len()).map(|index| record_type.field_name(index));
            fields.chain([record_type.unclassified_name()])
        })
    };
    if names().any(|known| known == name.value) {
        return;
    }
    let known: Vec<String> = names().collect();
    let near = nearest(&name.value, known.iter().map(String::as_str));
    let help = match near {
        Some(near) => format!("Did you mean `{near}`?"),
        None => "Write its full name, e.g. `Deal.title`; it must stand in `[types.Deal.fields]`.".to_owned(),
    };
    reading.error(name.span.clone(), format!("no field is called `{}`", name.value), help);
}

/// What tells a search where to look is ours to write.
fn check_over(route: &Route, rule: &QueryRule, reading: &Reading) {
    let Some(over) = &rule.over_parameter else { return };
    let is_declared = |other: &QueryRule| match &other.name {
        KeyPattern::Exact(name) => *name == over.name,
        pattern => pattern.matches(&over.name),
    };
    if route.query.iter().any(is_declared) {
        let help = "The proxy writes it: leave its own rule out, so that callers cannot.";
        let message = format!("`{}` is the caller's and tells the search where to look", over.name);
        reading.error(rule.span.clone(), message, help);
    }
    let type_name = |name: &Text| name.value.split_once('.').map(|(type_name, _)| type_name.to_owned());
    let mut types: Vec<Option<String>> = rule.over.iter().map(type_name).collect();
    types.dedup();
    if types.len() > 1 || rule.over.iter().any(|name| name.value.ends_with(".*")) {
        let help = "List described fields of the route's own type.";
        reading.error(rule.span.clone(), "a search can be told to look at fields of one type only", help);
    }
}
