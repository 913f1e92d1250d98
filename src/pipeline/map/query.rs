//! Reads the query by the roles that the profile gives its parameters; what is not declared is refused.
//!
//! Promises: every place where a parameter names a field is found and resolved; a form that is not understood whole is
//! refused; filters are never dropped.

use super::selection::Selection;
use crate::bundle::profile::Profile;
use crate::bundle::profile::query::{Form, Projection, QueryRule, Role};
use crate::bundle::profile::route::Route;
use crate::bundle::profile::tree::Meaning;
use crate::bundle::profile::types::RecordType;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// A field that a parameter refers to, with the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What the parameter does with it.
    pub role: Role,
    /// Type and full field name of each hop; the last is the field itself.
    pub hops: Vec<(String, String)>,
}

/// What a query says.
#[derive(Clone, Debug, Default)]
pub struct MappedQuery {
    /// The pairs to forward, without the projection.
    pub pairs: Vec<(String, String)>,
    /// The names of all parameters as the profile spells them, for the ledger: what a caller adds to a pattern is free text.
    pub names: Vec<String>,
    /// Every field that is referred to.
    pub references: Vec<Reference>,
    /// Whether the caller chose a page.
    pub is_paged: bool,
    /// The caller's projection.
    pub projection: Option<MappedProjection>,
}

/// A projection that applies to this request.
#[derive(Clone, Debug)]
pub struct MappedProjection {
    /// The parameter's name.
    pub parameter: String,
    /// How it names fields.
    pub form: Form,
    /// The names that the caller gave, or the CRM's default ones.
    pub names: Vec<String>,
    /// Whether the caller gave them.
    pub is_stated: bool,
    /// The names as a tree.
    pub selection: Selection,
}

/// Reads a query for a route about a type.
pub fn read(
    query: &[(String, String)],
    route: &Route,
    record_type: Option<&RecordType>,
    profile: &Profile,
) -> Result<MappedQuery, Problem> {
    let mut mapped = MappedQuery::default();
    let mut selected: Option<(&QueryRule, String, Vec<String>)> = None;
    let mut seen: Vec<&String> = Vec::new();
    for (name, value) in query {
        let rule = rule_for(route, name)
            .ok_or_else(|| Problem::new(Reason::QueryUndeclared).detail(format!("parameter `{name}`")))?;
        if seen.contains(&name) && rule.form != Form::Repeated {
            return Err(Problem::new(Reason::QueryRepeated).detail(format!("parameter `{name}`")));
        }
        seen.push(name);
        let spelled = rule.name.to_string();
        if !mapped.names.contains(&spelled) {
            mapped.names.push(spelled);
        }
        // The same words for a field that is not described and for one that may not be referred to.
        let refused = || Problem::new(Reason::ReferenceRefused);
        match rule.role {
            Role::Refused => return Err(refused().detail(format!("parameter `{name}`"))),
            Role::Ignored => continue,
            // Where the profile lists values, another one may mean anything.
            Role::Paging | Role::Harmless if !rule.values.is_empty() && !rule.values.contains(value) => {
                return Err(refused().detail(format!("parameter `{name}`")));
            }
            Role::Paging => mapped.is_paged = true,
            Role::Harmless => {}
            Role::Select
            | Role::Expand
            | Role::Sort
            | Role::Group
            | Role::Aggregate
            | Role::Filter
            | Role::Search => {
                let fields = named_fields(rule, name, value).ok_or_else(refused)?;
                for field in fields.iter().filter(|field| !rule.values.contains(field)) {
                    let hops = record_type.and_then(|t| resolve(profile, t, field)).ok_or_else(refused)?;
                    mapped.refer(Reference { role: rule.role, hops });
                }
                if rule.role == Role::Search {
                    implicit_search(rule, record_type).into_iter().for_each(|found| mapped.refer(found));
                }
                if rule.role == Role::Select {
                    let (_, _, names) = selected.get_or_insert_with(|| (rule, name.clone(), Vec::new()));
                    names.extend(fields);
                    continue;
                }
            }
        }
        mapped.pairs.push((name.clone(), value.clone()));
    }
    mapped.projection = projection(route, selected);
    Ok(mapped)
}

impl MappedQuery {
    /// Each is judged once, however often a caller writes it: judging asks Cedar.
    fn refer(&mut self, reference: Reference) {
        if !self.references.contains(&reference) {
            self.references.push(reference);
        }
    }
}

/// Whether a route declares a parameter.
pub fn is_declared(route: &Route, name: &str) -> bool {
    rule_for(route, name).is_some()
}

fn rule_for<'r>(route: &'r Route, name: &str) -> Option<&'r QueryRule> {
    use crate::bundle::profile::types::KeyPattern;
    let exact =
        route.query.iter().find(|rule| matches!(&rule.name, KeyPattern::Exact(exact) if exact == name));
    exact.or_else(|| route.query.iter().find(|rule| rule.name.matches(name)))
}

/// The fields that a parameter names; `None` if its form is not understood whole.
fn named_fields(rule: &QueryRule, name: &str, value: &str) -> Option<Vec<String>> {
    let fields = match rule.form {
        Form::Opaque => Vec::new(),
        Form::CommaList => value.split(',').map(str::to_owned).collect(),
        Form::Repeated => vec![value.to_owned()],
        Form::SignedList => {
            value.split(',').map(|name| name.strip_prefix('-').unwrap_or(name).to_owned()).collect()
        }
        Form::Key => vec![rule.field.clone().unwrap_or_else(|| name.to_owned())],
        Form::DirectionList => value.split(',').map(directed).collect::<Option<_>>()?,
        Form::Bracketed => vec![bracketed(name)?],
        Form::JsonList => serde_json::from_str(value).ok()?,
        // What is not a field and one known operator stays whole, and then names no field: look-ups through relations
        // have the same form.
        Form::OperatorSuffix => vec![match name.split_once("__") {
            Some((field, operator)) if OPERATORS.contains(&operator) => field.to_owned(),
            _ => name.to_owned(),
        }],
    };
    Some(fields)
}

/// The field of `amount desc`.
fn directed(text: &str) -> Option<String> {
    let (field, direction) = text.trim().split_once(' ').unwrap_or((text.trim(), "asc"));
    let is_direction = ["asc", "desc"].iter().any(|known| direction.eq_ignore_ascii_case(known));
    (is_direction && !field.is_empty()).then(|| field.to_owned())
}

/// The field of `filter[amount]` or `filter[amount][gte]`.
fn bracketed(name: &str) -> Option<String> {
    let (_, inside) = name.strip_suffix(']')?.split_once('[')?;
    let (field, operator) = inside.split_once("][").unwrap_or((inside, "eq"));
    let is_plain = !field.is_empty() && !field.contains(['[', ']']);
    (is_plain && OPERATORS.contains(&operator)).then(|| field.to_owned())
}

fn implicit_search(rule: &QueryRule, record_type: Option<&RecordType>) -> Vec<Reference> {
    let Some(record_type) = record_type else { return Vec::new() };
    let stated: Vec<String> = rule.over.iter().map(|text| text.value.clone()).collect();
    // Without a statement a search may look anywhere, keys included that no field describes.
    let covered = match stated.is_empty() {
        false => stated,
        true => {
            let fields = (0..record_type.fields.len()).map(|index| record_type.field_name(index));
            fields.chain([record_type.unclassified_name()]).collect()
        }
    };
    let hop = |field: String| Reference { role: Role::Search, hops: vec![(record_type.name.clone(), field)] };
    covered.into_iter().map(hop).collect()
}

/// Resolves a dotted wire name through embedded records to a field; `None` if any part is not described.
pub fn resolve(profile: &Profile, record_type: &RecordType, dotted: &str) -> Option<Vec<(String, String)>> {
    let keys: Vec<String> = dotted.split('.').map(str::to_owned).collect();
    let tree = profile.tree(&record_type.name)?;
    for length in 1..=keys.len() {
        let (head, rest) = keys.split_at_checked(length)?;
        match tree.meaning_of(head) {
            Meaning::Meta if rest.is_empty() => return Some(Vec::new()),
            Meaning::Field(index) => {
                let hop = (record_type.name.clone(), record_type.field_name(index));
                if rest.is_empty() {
                    return Some(vec![hop]);
                }
                let embed = record_type.fields.get(index)?.embeds.as_ref()?;
                let (_, inner) = profile.type_named(&embed.type_name)?;
                let mut hops = vec![hop];
                hops.extend(resolve(profile, inner, &rest.join("."))?);
                return Some(hops);
            }
            Meaning::Container(_) => {}
            Meaning::Meta | Meaning::Unknown => return None,
        }
    }
    None
}

fn projection(
    route: &Route,
    selected: Option<(&QueryRule, String, Vec<String>)>,
) -> Option<MappedProjection> {
    if let Some((rule, parameter, names)) = selected {
        let selection = Selection::from_names(names.iter().map(String::as_str));
        return Some(MappedProjection { parameter, form: rule.form, names, is_stated: true, selection });
    }
    default_projection(route)
}

/// The projection that applies where the caller states none, if the CRM then answers only some fields.
pub fn default_projection(route: &Route) -> Option<MappedProjection> {
    use crate::bundle::profile::types::KeyPattern;
    route.query.iter().find_map(|rule| match (&rule.default, &rule.name) {
        (Projection::Listed(names), KeyPattern::Exact(parameter)) => Some(MappedProjection {
            parameter: parameter.clone(),
            form: rule.form,
            names: names.clone(),
            is_stated: false,
            selection: Selection::from_names(names.iter().map(String::as_str)),
        }),
        _ => None,
    })
}

impl MappedProjection {
    /// The pairs to forward so that the CRM carries the caller's fields and what policy needs.
    pub fn pairs(&self, missing: &[String]) -> Vec<(String, String)> {
        if !self.is_stated && missing.is_empty() {
            return Vec::new();
        }
        let names: Vec<&str> = self.names.iter().chain(missing).map(String::as_str).collect();
        match self.form {
            Form::Repeated => names.iter().map(|name| (self.parameter.clone(), (*name).to_owned())).collect(),
            Form::JsonList => vec![(self.parameter.clone(), serde_json::json!(names).to_string())],
            _ => vec![(self.parameter.clone(), names.join(","))],
        }
    }
}

/// Operators that may stand behind a field's name.
pub const OPERATORS: &[&str] = &[
    "eq",
    "ne",
    "gt",
    "gte",
    "lt",
    "lte",
    "in",
    "range",
    "isnull",
    "exact",
    "iexact",
    "contains",
    "icontains",
    "startswith",
    "istartswith",
    "endswith",
    "iendswith",
];
