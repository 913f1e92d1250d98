//! What was guessed and what was left refused, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::names::comment;
use super::parameters::DraftParameter;
use super::types::DraftAttribute;
use super::{Draft, DraftRoute, Guess, Outcome};

/// The report for people.
pub fn text(draft: &Draft<'_>) -> String {
    let mut text = String::new();
    types(&mut text, draft);
    section(&mut text, "pipelines", draft.pipelines.len());
    for pipeline in &draft.pipelines {
        let names: Vec<&str> = pipeline.stages.iter().map(|(name, _)| name.as_str()).collect();
        let what = format!("{}: {}", pipeline.name, comment(&names.join(", ")));
        line(&mut text, &pipeline.guess, &what);
    }
    let in_force = |route: &&DraftRoute<'_>| route.in_force().is_some();
    let (described, refused): (Vec<&DraftRoute<'_>>, Vec<_>) = draft.routes.iter().partition(in_force);
    section(&mut text, "routes", described.len());
    for (route, found) in described.into_iter().filter_map(|route| Some((route, route.in_force()?))) {
        let name = draft.types.get(found.type_index).map_or("", |found| found.name.as_str());
        let records = found.records.as_ref();
        let records = records.map_or(String::new(), |at| format!(", records at {}", comment(at)));
        let what = format!("{}: {} {name}{records}", comment(&route.label), found.action.name());
        line(&mut text, &found.guess, &what);
        route.parameters.iter().for_each(|found| parameter(&mut text, found));
    }
    section(&mut text, "refused", refused.len());
    for route in refused {
        plain(&mut text, "", &comment(&route.label), &route.refusal().unwrap_or_default());
    }
    section(&mut text, "notes", draft.notes.len());
    for note in &draft.notes {
        let _ = writeln!(text, "  {note}");
    }
    text
}

fn types(text: &mut String, draft: &Draft<'_>) {
    section(text, "types", draft.types.len());
    for found in &draft.types {
        let attribute = |attribute: &DraftAttribute| {
            let degree = attribute.guess.confidence.name();
            format!(", {} at {} ({degree})", attribute.name, comment(&attribute.at))
        };
        let attributes: String = found.attributes.iter().map(attribute).collect();
        let fields = found.fields.len();
        let what = format!("{}: fields {fields}, id at {}{attributes}", found.name, comment(found.id));
        line(text, &found.guess, &what);
    }
}

fn parameter(text: &mut String, parameter: &DraftParameter<'_>) {
    let name = comment(&parameter.name);
    let form = parameter.form.map_or(String::new(), |form| format!(", {form}"));
    match parameter.role {
        "refused" => plain(text, "refused", &format!("  ?{name}"), &parameter.guess.why),
        role => line(text, &parameter.guess, &format!("  ?{name}: {role}{form}")),
    }
}

fn section(text: &mut String, name: &str, count: usize) {
    let _ = writeln!(text, "{name:<9} {count}");
}

fn line(text: &mut String, guess: &Guess, what: &str) {
    plain(text, guess.confidence.name(), what, &guess.why);
}

fn plain(text: &mut String, degree: &str, what: &str, why: &str) {
    let why = if why.is_empty() { String::new() } else { format!(" ({})", comment(why)) };
    let line =
        if degree.is_empty() { format!("  {what}{why}") } else { format!("  {degree:<7} {what}{why}") };
    let _ = writeln!(text, "{}", line.trim_end());
}

/// The report for programs.
pub fn json(draft: &Draft<'_>) -> Value {
    let guess = |guess: &Guess| json!({"confidence": guess.confidence.name(), "why": guess.why});
    let types = draft.types.iter().map(|found| {
        let attributes = found.attributes.iter().map(|attribute| {
            json!({"name": attribute.name, "at": attribute.at, "type": attribute.cedar, "guess": guess(&attribute.guess)})
        });
        let fields = found.fields.iter().map(|field| {
            let holds = field.holds.as_ref().and_then(|holds| draft.types.get(holds.type_index));
            json!({"name": field.name, "at": field.at, "is": holds.map(|holds| holds.name.as_str()), "note": field.note})
        });
        json!({
            "name": found.name,
            "id": found.id,
            "guess": guess(&found.guess),
            "attributes": attributes.collect::<Vec<_>>(),
            "fields": fields.collect::<Vec<_>>(),
        })
    });
    let pipelines = draft.pipelines.iter().map(|pipeline| {
        let stages: Vec<Value> =
            pipeline.stages.iter().map(|(name, value)| json!({"name": name, "onWire": value})).collect();
        json!({"name": pipeline.name, "stages": stages, "guess": guess(&pipeline.guess)})
    });
    json!({
        "version": draft.version,
        "types": types.collect::<Vec<_>>(),
        "pipelines": pipelines.collect::<Vec<_>>(),
        "routes": draft.routes.iter().map(|found| route(found, draft)).collect::<Vec<_>>(),
        "notes": draft.notes,
    })
}

fn route(route: &DraftRoute<'_>, draft: &Draft<'_>) -> Value {
    let described = match &route.outcome {
        Outcome::Described(described) => Some(described),
        Outcome::Refused(_) | Outcome::Unsayable(_) => None,
    };
    let parameters = route.parameters.iter().map(|parameter| {
        json!({
            "name": parameter.name,
            "role": parameter.role,
            "form": parameter.form,
            "guess": {"confidence": parameter.guess.confidence.name(), "why": parameter.guess.why},
        })
    });
    json!({
        "match": route.label,
        "refused": route.refusal(),
        "isRoute": !matches!(route.outcome, Outcome::Unsayable(_)),
        "action": described.map(|described| described.action.name()),
        "type": described.and_then(|described| draft.types.get(described.type_index)).map(|found| found.name.as_str()),
        "records": described.and_then(|described| described.records.as_deref()),
        "guess": described.map(|described| json!({"confidence": described.guess.confidence.name(), "why": described.guess.why})),
        "parameters": parameters.collect::<Vec<_>>(),
        "notes": route.notes,
    })
}
