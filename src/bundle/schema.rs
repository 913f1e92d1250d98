//! The schema of a bundle: the base schema, the actions generated from the profile's types, and the customer's types.
//!
//! The three fragments are joined at load; `check --emit-schema` prints the whole, so that Cedar's own tools work on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy as cedar;
use miette::Diagnostic;
use serde_json::Value;

use super::profile::Profile;
use crate::config::author::{AuthorProblem, Problems, SourceFile, nearest};
use crate::model::access::{Action, Scope};

/// The joined schema and what else is known of it.
pub struct BundleSchema {
    /// Cedar's own form.
    pub schema: cedar::Schema,
    /// The whole as Cedar text.
    pub text: String,
    /// Every attribute name that is declared anywhere.
    pub attribute_names: BTreeSet<String>,
    /// The attributes of each entity type.
    pub entity_attributes: BTreeMap<String, BTreeSet<String>>,
    /// The attributes of the customer's `Proposed` type.
    pub proposed: BTreeSet<String>,
    /// The actions that apply to anything, by name.
    pub actions: BTreeSet<String>,
    json: Value,
}

impl BundleSchema {
    /// The same schema, in which only these actions apply to anything.
    pub fn narrowed(&self, actions: &[&str]) -> Option<cedar::Schema> {
        let mut json = self.json.clone();
        let declared = json.get_mut("")?.get_mut("actions")?.as_object_mut()?;
        for (name, action) in declared {
            if !actions.contains(&name.as_str()) {
                action.as_object_mut()?.remove("appliesTo");
            }
        }
        cedar::Schema::from_json_value(json).ok()
    }

    /// The type of an action's context, as JSON.
    pub fn context_of(&self, action: &str) -> Option<&Value> {
        self.json.get("")?.get("actions")?.get(action)?.get("appliesTo")?.get("context")
    }
}

/// The base schema's text.
pub const BASE: &str = include_str!("../../schemas/base.cedarschema");

/// Joins the fragments; every problem is noted.
pub fn join(
    profile: &Profile,
    profile_source: &Arc<SourceFile>,
    customer: &Arc<SourceFile>,
    problems: &mut Problems,
) -> Option<BundleSchema> {
    let own = match cedar::SchemaFragment::from_cedarschema_str(&customer.text) {
        Ok((fragment, warnings)) => {
            for warning in warnings {
                problems.push(AuthorProblem::error(warning.to_string()).at(customer, 0..0));
            }
            fragment
        }
        Err(error) => {
            problems.push(from_diagnostic(&error, customer));
            return None;
        }
    };
    let own_json = own.clone().to_json_value().ok()?;
    let own_json = own_json.get("").cloned().unwrap_or_default();
    let before = problems.error_count();
    check_types(profile, profile_source, &own_json, customer, problems);
    let is_sound = problems.error_count() == before;
    let generated = generate(profile, &own_json);
    let text = format!("{BASE}\n{generated}\n{}", customer.text);
    let mut fragments = vec![own];
    for text in [BASE, generated.as_str()] {
        match cedar::SchemaFragment::from_cedarschema_str(text) {
            Ok((fragment, _)) => fragments.push(fragment),
            Err(error) => {
                problems.push(AuthorProblem::error(format!("the generated schema does not parse: {error}")));
                return None;
            }
        }
    }
    match cedar::Schema::from_schema_fragments(fragments) {
        Ok(schema) => {
            let json = whole_json(&text);
            let mut attribute_names = BTreeSet::new();
            collect_attributes(&json, &mut attribute_names);
            let entity_attributes = entity_attributes(&json);
            let proposed = names_at(&own_json, &["commonTypes", "Proposed", "attributes"]);
            let actions = applied_actions(&json);
            Some(BundleSchema { schema, text, attribute_names, entity_attributes, proposed, actions, json })
        }
        Err(error) => {
            // That generated actions refer in vain to a type that is missing is no further problem.
            if is_sound {
                problems.push(from_diagnostic(&error, customer));
            }
            None
        }
    }
}

/// Turns a Cedar error into an author's problem, with its place in the given file where it names one.
pub fn from_diagnostic(error: &(dyn Diagnostic + 'static), source: &Arc<SourceFile>) -> AuthorProblem {
    let label = error.labels().and_then(|mut labels| labels.next());
    let span = label.as_ref().map_or(0..0, |label| label.offset()..label.offset() + label.len().max(1));
    let span = if span.end <= source.text.len() { span } else { 0..0 };
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = inner.source();
    }
    let problem = AuthorProblem::error(each_once(&message)).at(source, span);
    let help = error.help().map(|help| help.to_string());
    // A parser says what it expected in the label.
    match help.or_else(|| label?.label().map(str::to_owned)) {
        Some(help) => problem.help(sentence(&help)),
        None => problem,
    }
}

/// Cedar lists a name as often as it is used: `failed to resolve types: Usr, Usr, Usr`.
fn each_once(message: &str) -> String {
    let Some((what, names)) = message.split_once("failed to resolve types: ") else {
        return message.to_owned();
    };
    let names: BTreeSet<&str> = names.split(", ").collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    format!("{what}failed to resolve types: {names}")
}

/// Cedar's help as a sentence.
pub fn sentence(help: &str) -> String {
    let mut characters = help.chars();
    let first = characters.next().map(char::to_uppercase).into_iter().flatten();
    let mut text: String = first.chain(characters).collect();
    if !text.ends_with(['.', '?', '!']) {
        text.push('.');
    }
    text
}

fn check_types(
    profile: &Profile,
    profile_source: &Arc<SourceFile>,
    own: &Value,
    customer: &Arc<SourceFile>,
    problems: &mut Problems,
) {
    for record_type in &profile.types {
        let path = ["entityTypes", record_type.name.as_str()];
        let Some(declared) = path.iter().try_fold(own, |value, key| value.get(key)) else {
            let message = format!("the schema does not declare the profile's type `{}`", record_type.name);
            let help = format!(
                "Add `entity {} {{ … }};` with the attributes that policies may look at.",
                record_type.name
            );
            problems
                .push(AuthorProblem::error(message).at(profile_source, record_type.span.clone()).help(help));
            continue;
        };
        let declared = names_at(declared, &["shape", "attributes"]);
        let mapped: BTreeSet<String> = record_type.attributes.iter().map(|a| a.name.clone()).collect();
        for name in declared.difference(&mapped) {
            let message =
                format!("`{}.{name}` is declared but the profile does not say where it is", record_type.name);
            let near = nearest(name, mapped.iter().map(String::as_str))
                .map(|near| format!("Did you mean `{near}`?"));
            let help =
                near.unwrap_or_else(|| format!("Add it under `[types.{}.attributes]`.", record_type.name));
            let at = customer.text.find(name.as_str()).unwrap_or(0);
            problems.push(AuthorProblem::error(message).at(customer, at..at + name.len()).help(help));
        }
        for attribute in record_type.attributes.iter().filter(|a| !declared.contains(&a.name)) {
            let name = &attribute.name;
            let message =
                format!("the profile maps `{}.{name}`, which the schema does not declare", record_type.name);
            let help = format!("Declare it: `entity {} {{ {name}?: … }};`", record_type.name);
            problems
                .push(AuthorProblem::error(message).at(profile_source, attribute.span.clone()).help(help));
        }
        require_optional(own, &record_type.name, &declared, customer, problems);
    }
}

fn require_optional(
    own: &Value,
    type_name: &str,
    names: &BTreeSet<String>,
    customer: &Arc<SourceFile>,
    problems: &mut Problems,
) {
    for name in names {
        let path = ["entityTypes", type_name, "shape", "attributes", name, "required"];
        let required = path.iter().try_fold(own, |value, key| value.get(key));
        if required.and_then(Value::as_bool).unwrap_or(true) {
            let at = customer.text.find(&format!("{name}:")).unwrap_or(0);
            let message = format!("`{type_name}.{name}` must be optional");
            let help = format!("Write `{name}?: …`: a record may lack any attribute.");
            problems.push(AuthorProblem::error(message).at(customer, at..at + name.len()).help(help));
        }
    }
}

fn generate(profile: &Profile, own: &Value) -> String {
    let types: Vec<&str> = profile.types.iter().map(|record_type| record_type.name.as_str()).collect();
    let types = types.join(", ");
    let names = |wanted: Scope| {
        let names = Action::ALL.iter().filter(|a| a.scope() == wanted && **a != Action::MoveStage);
        names.map(|action| action.name()).collect::<Vec<_>>().join(", ")
    };
    let mut text = String::from("// ---- generated from the profile's types ----\n");
    for (name, body) in [("UserAttributes", "{}"), ("Proposed", "{}")] {
        if own.get("commonTypes").and_then(|types| types.get(name)).is_none() {
            text.push_str(&format!("type {name} = {body};\n"));
        }
    }
    let base = "now: datetime, authLevel?: Long, onBehalfOf?: User, breakGlassReason?: String";
    let people = "principal: [User, Service, Agent]";
    let on_records = |context: &str| {
        format!("appliesTo {{ {people}, resource: [{types}], context: {{ {base}{context} }} }};\n")
    };
    if !types.is_empty() {
        text.push_str(&format!("action {} in [recordRead] {}", names(Scope::RecordRead), on_records("")));
        let writes = on_records(", proposed?: Proposed");
        text.push_str(&format!("action {} in [recordWrite] {writes}", names(Scope::RecordWrite)));
        let moves = on_records(", from: Stage, to: Stage, approver?: User, proposed?: Proposed");
        text.push_str(&format!("action moveStage in [recordWrite] {moves}"));
        text.push_str(&format!(
            "action readField, readFieldMasked in [fieldRead] {}",
            on_records(", field: Field")
        ));
        let write_field = on_records(", field: Field, proposed?: Proposed");
        text.push_str(&format!("action writeField in [fieldWrite] {write_field}"));
    }
    text.push_str(&format!(
        "action viewStage, createStage, editStage, deleteStage appliesTo {{ {people}, resource: Stage, context: {{ {base} }} }};\n"
    ));
    let collection =
        format!("appliesTo {{ {people}, resource: Collection, context: {{ {base}, count?: Long }} }};\n");
    text.push_str(&format!("action list, search {collection}"));
    text.push_str(&format!("action export, report, bulkEdit, bulkDelete in [bulk] {collection}"));
    text
}

fn names_at(value: &Value, path: &[&str]) -> BTreeSet<String> {
    let found = path.iter().try_fold(value, |value, key| value.get(key));
    found.and_then(Value::as_object).map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

fn whole_json(text: &str) -> Value {
    let fragment = cedar::SchemaFragment::from_cedarschema_str(text).ok();
    fragment.and_then(|(fragment, _)| fragment.to_json_value().ok()).unwrap_or_default()
}

fn applied_actions(whole: &Value) -> BTreeSet<String> {
    let actions = whole.get("").and_then(|whole| whole.get("actions")).and_then(Value::as_object);
    let applied = actions.into_iter().flatten().filter(|(_, action)| action.get("appliesTo").is_some());
    applied.map(|(name, _)| name.clone()).collect()
}

fn entity_attributes(whole: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let types = whole.get("").and_then(|whole| whole.get("entityTypes")).and_then(|types| types.as_object());
    let types = types.into_iter().flatten();
    types.map(|(name, shape)| (name.clone(), names_at(shape, &["shape", "attributes"]))).collect()
}

fn collect_attributes(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                if key == "attributes" {
                    names.extend(names_at(inner, &[]));
                }
                collect_attributes(inner, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_attributes(item, names)),
        _ => {}
    }
}
