//! A draft's profile: what is described, with how sure that is beside it, and what is refused, with the reason.

use std::fmt::Write as _;

use crate::workbench::init::names::{comment, toml_key, toml_text};
use crate::workbench::init::parameters::DraftParameter;
use crate::workbench::init::stages::DraftPipeline;
use crate::workbench::init::types::{DraftField, DraftType};
use crate::workbench::init::{Confidence, Described, Draft, DraftRoute, Outcome};

/// The profile as TOML with comments.
pub fn toml(draft: &Draft<'_>) -> String {
    let mut text = format!(
        "# Drafted by `lockkeeper init` from an OpenAPI {} document.\n{HEAD}",
        comment(draft.version)
    );
    for note in &draft.notes {
        let _ = writeln!(text, "# Look: {}", comment(note));
    }
    text.push_str("\nprofile = 1\n");
    if let Some(accept) = draft.accept {
        let _ = writeln!(text, "\n[headers]\naccept = {}", toml_text(accept));
    }
    if !draft.pipelines.is_empty() {
        text.push_str(STAGES_HEAD);
    }
    for pipeline in &draft.pipelines {
        write_pipeline(&mut text, pipeline);
    }
    if draft.types.iter().any(|found| !found.fields.is_empty()) {
        let _ = writeln!(text, "{SETS_HEAD}[field_sets]\n{UNREVIEWED} = []");
    }
    if !draft.types.is_empty() {
        text.push_str(TYPES_HEAD);
    }
    for found in &draft.types {
        write_type(&mut text, found, draft);
    }
    let mut parts = [(ROUTES_HEAD, Vec::new()), (REFUSED_HEAD, Vec::new()), (UNSAYABLE_HEAD, Vec::new())];
    for route in &draft.routes {
        let part = match (&route.outcome, route.in_force()) {
            (Outcome::Unsayable(_), _) => 2,
            (_, None) => 1,
            (_, Some(_)) => 0,
        };
        if let Some((_, routes)) = parts.get_mut(part) {
            routes.push(route);
        }
    }
    for (head, routes) in parts.iter().filter(|(_, routes)| !routes.is_empty()) {
        text.push_str(head);
        routes.iter().for_each(|route| write_route(&mut text, route, draft));
    }
    text
}

fn write_pipeline(text: &mut String, pipeline: &DraftPipeline<'_>) {
    let _ = writeln!(text, "# {}\n[pipelines.{}.stages]", pipeline.guess.told(), toml_key(&pipeline.name));
    for (name, value) in &pipeline.stages {
        let names = if name == value { String::new() } else { format!(" names = [{}] ", toml_text(value)) };
        let _ = writeln!(text, "{} = {{{names}}}", toml_key(name));
    }
}

fn write_type(text: &mut String, found: &DraftType<'_>, draft: &Draft<'_>) {
    let _ = writeln!(text, "\n# {}", found.guess.told());
    if found.left_out > 0 {
        let _ = writeln!(
            text,
            "# {} of its properties are left out: no place can say them, or they are too many",
            found.left_out
        );
    }
    let name = &found.name;
    let id = crate::workbench::init::names::place(found.id).unwrap_or_default();
    let _ = writeln!(text, "[types.{name}]\nid = {}", toml_text(&id));
    if !found.meta.is_empty() {
        let keys: Vec<String> = found.meta.iter().map(|key| toml_text(key)).collect();
        let _ = writeln!(text, "meta = [{}]", keys.join(", "));
    }
    if let Some(fetch) = &found.fetch {
        let _ = writeln!(text, "fetch = {}", toml_text(fetch));
    }
    if !found.attributes.is_empty() {
        let _ = writeln!(text, "[types.{name}.attributes]");
    }
    for attribute in &found.attributes {
        let (at, told) = (toml_text(&attribute.at), attribute.guess.told());
        let _ = writeln!(text, "{} = {{ at = {at}, {} }}  # {told}", attribute.name, attribute.conversion);
    }
    if !found.fields.is_empty() {
        let _ = writeln!(text, "[types.{name}.fields]");
    }
    found.fields.iter().for_each(|field| write_field(text, field, draft));
}

fn write_field(text: &mut String, field: &DraftField<'_>, draft: &Draft<'_>) {
    let at = if field.name == field.at { String::new() } else { format!("at = {}, ", toml_text(&field.at)) };
    let held = field.holds.as_ref().and_then(|holds| Some((draft.types.get(holds.type_index)?, holds.hide)));
    let held = held
        .map_or(String::new(), |(of_type, hide)| format!(", is = \"{}\", hide = \"{hide}\"", of_type.name));
    let note = field.note.as_ref().map_or(String::new(), |note| format!("  # {}", comment(note)));
    let _ = writeln!(text, "{} = {{ {at}sets = [\"{UNREVIEWED}\"]{held} }}{note}", toml_key(&field.name));
}

fn write_route(text: &mut String, route: &DraftRoute<'_>, draft: &Draft<'_>) {
    text.push('\n');
    for note in &route.notes {
        let _ = writeln!(text, "# {}", comment(note));
    }
    match &route.outcome {
        Outcome::Unsayable(why) => {
            let _ = writeln!(text, "# {}: {}", comment(&route.label), comment(why));
        }
        Outcome::Refused(_) => {
            write_head(text, route);
            let names: Vec<&str> = route.parameters.iter().map(|parameter| parameter.original).collect();
            if !names.is_empty() {
                let _ = writeln!(text, "# parameters: {}", comment(&names.join(", ")));
            }
        }
        Outcome::Described(described) => {
            let is_in_force = described.guess.confidence > Confidence::Low;
            if is_in_force {
                let _ = writeln!(text, "# {}", described.guess.told());
            }
            write_head(text, route);
            for line in lines(described, draft) {
                let _ = writeln!(text, "{}{line}", if is_in_force { "" } else { "# " });
            }
            write_parameters(text, &route.parameters);
        }
    }
}

fn write_head(text: &mut String, route: &DraftRoute<'_>) {
    let _ = writeln!(text, "[[routes]]\nmatch  = {}", toml_text(&route.label));
    if let Some(why) = route.refusal() {
        let _ = writeln!(text, "refuse = {}", toml_text(&comment(&why)));
    }
    if !route.over.is_empty() {
        let labels: Vec<String> = route.over.iter().map(|label| toml_text(label)).collect();
        let _ = writeln!(text, "over   = [{}]", labels.join(", "));
    }
}

/// What a route means, line by line.
fn lines(described: &Described, draft: &Draft<'_>) -> Vec<String> {
    let name = draft.types.get(described.type_index).map_or("", |found| found.name.as_str());
    let mut lines = vec![format!("action = \"{}\"", described.action.name()), format!("type   = \"{name}\"")];
    lines.extend(described.id.as_ref().map(|id| format!("id     = {id}")));
    lines.extend(described.before.as_ref().map(|before| format!("before = {}", toml_text(before))));
    lines.extend(described.body.filter(|kind| *kind != "json").map(|kind| format!("body   = \"{kind}\"")));
    if let Some(at) = &described.writes {
        let replaces = if described.replaces { ", semantics = \"replace\"" } else { "" };
        lines.push(format!("writes = {{ at = {}{replaces} }}", toml_text(at)));
    }
    lines.extend(described.to.as_ref().map(|to| format!("to     = {{ at = {} }}", toml_text(to))));
    if let Some(at) = &described.records {
        lines.push(format!("records = {{ at = {} }}", toml_text(at)));
        if at.contains("[*]") {
            lines.push("hidden_rows = \"visible\"".to_owned());
        }
    }
    lines
}

fn write_parameters(text: &mut String, parameters: &[DraftParameter<'_>]) {
    if parameters.is_empty() {
        return;
    }
    text.push_str("[routes.query]\n");
    for parameter in parameters {
        let rule = match parameter.form {
            None => format!("\"{}\"", parameter.role),
            Some(form) => format!("{{ role = \"{}\", form = \"{form}\" }}", parameter.role),
        };
        // That nobody knows what it does is the reason, not a degree of being sure.
        let told = match parameter.role {
            "refused" => comment(&parameter.guess.why),
            _ => parameter.guess.told(),
        };
        let _ = writeln!(text, "{} = {rule}  # {told}", toml_key(&parameter.name));
    }
}

const HEAD: &str = "\
# Nothing here permits anything: policies do, and the drafted ones permit nothing.
# `high`, `medium` and `low` say how sure a guess is; what is `low` is refused until you confirm it. A wrong guess does harm only once a
# policy permits what it describes: look at each before you write that policy. docs/reference/init.md says what is guessed, and how.
#
# Not in the document, and yours to state: what the CRM answers for what does not exist (`not_found`), groups of stages, how a change is kept
# to the record that was judged (`version`), whose action it is to hand a record over (`also`), copies of a value under other keys (`twins`).
";
const STAGES_HEAD: &str = "
# ---- stages ----
# Groups are yours to state: `won = { groups = [\"closed\"] }`.
";
const SETS_HEAD: &str = "
# ---- field sets ----
# Nobody has looked at what is in it. Give each field sets of its own before a policy shows it.
";
const TYPES_HEAD: &str = "
# ---- record types ----
";
const ROUTES_HEAD: &str = "
# ---- routes ----
# `hidden_rows = \"visible\"`: pages are shorter where rows are hidden. See `refill` and `push_down`.
";
const REFUSED_HEAD: &str = "
# ---- routes that are refused ----
# Known and not described. Describe what you need, and take `refuse` away.
";
const UNSAYABLE_HEAD: &str = "
# ---- operations that are no routes ----
# They are refused, as everything is that no route describes.
";
/// The set of fields that nobody has looked at, as in drafts from the ledger.
const UNREVIEWED: &str = "unreviewed";
