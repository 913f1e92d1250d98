//! A draft's schema and its starter policies: guards in force, and permits as comments, to begin with.

use std::fmt::Write as _;

use crate::model::access::Action;
use crate::workbench::init::Draft;

/// The schema of what policies may look at.
pub fn schema(draft: &Draft<'_>) -> String {
    let mut text = String::from(
        "// What policies may look at. Every attribute is optional: a record may lack any of them.\n",
    );
    for found in &draft.types {
        let attributes: Vec<String> = found
            .attributes
            .iter()
            .map(|attribute| format!("  {}?: {},\n", attribute.name, attribute.cedar))
            .collect();
        let _ = match attributes.is_empty() {
            true => writeln!(text, "\nentity {};", found.name),
            false => writeln!(text, "\nentity {} {{\n{}}};", found.name, attributes.concat()),
        };
    }
    text
}

/// The starter policies.
pub fn guards(draft: &Draft<'_>) -> String {
    // A policy about nothing does not load, and without record types there is nothing that could be asked for.
    if draft.types.is_empty() {
        return "// No record type was drafted, so there is nothing that a policy could be about.\n"
            .to_owned();
    }
    format!("{GUARDS}{}", examples(draft))
}

/// The first permits as somebody might write them, as comments.
fn examples(draft: &Draft<'_>) -> String {
    let is_listed = |index: usize| {
        draft.routes.iter().any(|route| {
            route.in_force().is_some_and(|route| route.type_index == index && route.action == Action::List)
        })
    };
    let by_index = || draft.types.iter().enumerate();
    let owned = |found: &crate::workbench::init::types::DraftType<'_>| {
        found.attributes.iter().any(|attribute| attribute.name == "owner")
    };
    let chosen = by_index()
        .find(|(index, found)| is_listed(*index) && owned(found))
        .or_else(|| by_index().find(|(index, _)| is_listed(*index)))
        .or_else(|| by_index().next());
    let Some((_, found)) = chosen else { return String::new() };
    let name = &found.name;
    let condition = match owned(found) {
        true => "when { resource has owner && resource.owner == principal };",
        false => "when { principal in Role::\"rep\" };",
    };
    let field = found.fields.first().map(|field| {
        let id = cedar_text(&format!("{name}.{}", field.name));
        format!(
            "\n@id(\"first.field\")\npermit (principal, action == Action::\"readField\", resource is {name})\nwhen {{ context.field == Field::{id} }};\n"
        )
    });
    let policies = format!(
        "@id(\"first.list\")\npermit (principal, action == Action::\"list\", resource == Collection::\"{name}\");\n\n@id(\"first.view\")\npermit (principal is User, action == Action::\"view\", resource is {name})\n{condition}\n{}",
        field.unwrap_or_default()
    );
    let mut text = EXAMPLES_HEAD.to_owned();
    for line in policies.lines() {
        let _ = writeln!(text, "{}", format!("// {line}").trim_end());
    }
    text
}

/// A text as Cedar writes it.
fn cedar_text(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

const GUARDS: &str = "\
// Guards win over every permit. Nothing else is here yet, so nothing is allowed.

@id(\"guard.inactive\")
@reason(\"The account is deactivated.\")
forbid (principal, action, resource)
unless { principal.active };

@id(\"guard.access-window\")
@reason(\"Access is limited in time and the window is not open.\")
forbid (principal, action, resource)
when
{
  (principal has accessFrom && context.now < principal.accessFrom) ||
  (principal has accessUntil && context.now >= principal.accessUntil)
};
";
const EXAMPLES_HEAD: &str = "
// To begin with, once the routes that it is about are looked at: a list, its records, one field of them.
//
";
