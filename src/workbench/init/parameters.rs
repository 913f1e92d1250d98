//! What query parameters do, by their names and schemas. What is not sure is refused; `harmless` is never guessed.

use std::rc::Rc;

use super::names::plain;
use super::operation::Parameter;
use super::schema::{Kind, Schemas, Shape};
use super::types::{DraftType, Types};
use super::{Confidence, DraftRoute, Guess, Outcome, Sayable};
use crate::bundle::profile::query::grammar::OPERATORS;
use crate::bundle::profile::types::KeyPattern;
use crate::model::access::{Action, Scope};

/// A parameter with its rule.
#[derive(Debug)]
pub struct DraftParameter<'d> {
    /// Its name, as it is declared: a pattern may cover several.
    pub name: String,
    /// How the document calls it.
    pub original: &'d str,
    /// Its role.
    pub role: &'static str,
    /// How it names fields, if it does.
    pub form: Option<&'static str>,
    /// How sure that is.
    pub guess: Guess,
}

/// What a parameter may do on a route.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    List,
    View,
    Change,
}

/// The parameters of a route.
pub fn guess<'d>(
    operation: &Sayable<'d>,
    route: &DraftRoute<'d>,
    types: &Types<'d>,
    schemas: &Schemas<'d>,
) -> Vec<DraftParameter<'d>> {
    let (of_type, used) = match &route.outcome {
        Outcome::Described(described) => {
            let used = match (described.action, described.action.scope()) {
                (Action::View, _) => Use::View,
                (_, Scope::Collection) => Use::List,
                _ => Use::Change,
            };
            (types.list.get(described.type_index), used)
        }
        Outcome::Refused(_) => (None, Use::Change),
        Outcome::Unsayable(_) => return Vec::new(),
    };
    let mut found: Vec<DraftParameter<'d>> = Vec::new();
    for parameter in operation.operation.parameters.iter().filter(|parameter| parameter.stands == "query") {
        let drafted = one(parameter, of_type, used, schemas);
        // Two selections cannot be judged as one.
        let is_second = drafted.role == "select" && found.iter().any(|other| other.role == "select");
        let drafted = if is_second { refused(parameter, "a second selection") } else { drafted };
        let is_exact = matches!(KeyPattern::parse(&drafted.name), Some(KeyPattern::Exact(_)));
        let is_sayable = is_exact || drafted.form == Some(SUFFIXED);
        if is_sayable && found.iter().all(|other| other.name != drafted.name) {
            found.push(drafted);
        }
    }
    found
}

fn one<'d>(
    parameter: &Parameter<'d>,
    of_type: Option<&DraftType<'d>>,
    used: Use,
    schemas: &Schemas<'d>,
) -> DraftParameter<'d> {
    let shape = parameter.schema.and_then(|schema| schemas.shape(schema));
    let kind = shape.as_ref().map_or(Kind::Unsaid, |shape| shape.kind);
    let name = plain(parameter.name);
    let is = |names: &[&str]| names.contains(&name.as_str());
    let drafted = |role, form, confidence, why: &str| DraftParameter {
        name: parameter.name.to_owned(),
        original: parameter.name,
        role,
        form,
        guess: Guess::new(confidence, why),
    };
    let is_field =
        || of_type.is_some_and(|of_type| of_type.fields.iter().any(|field| plain(field.key) == name));
    let has_role = [PAGINGS, SELECTS, EXPANDS, SORTS, SEARCHES].into_iter().any(is);
    match used {
        Use::List | Use::View if has_role && is_field() => {
            return refused(parameter, "a field is called so too, by which it may filter");
        }
        Use::Change => return refused(parameter, "what it does to a change is not told"),
        Use::List | Use::View if is(SELECTS) => return names_fields(parameter, "select", kind),
        Use::List | Use::View if is(EXPANDS) => return names_fields(parameter, "expand", kind),
        Use::View => return refused(parameter, "what it does is not told"),
        Use::List => {}
    }
    let is_number = matches!(kind, Kind::Whole | Kind::Number);
    if is(PAGINGS) && (is_number || kind == Kind::Unsaid) {
        let confidence = if is_number { Confidence::High } else { Confidence::Medium };
        return drafted("paging", None, confidence, "");
    }
    if is(CURSORS) || is(PAGINGS) {
        return refused(parameter, "a cursor may hold values, or name fields");
    }
    if let Some(drafted) = filter(parameter, of_type, shape.as_ref()) {
        return drafted;
    }
    if is(SORTS) {
        return sort(parameter, shape.as_ref());
    }
    if is(SEARCHES) {
        return drafted("search", None, Confidence::Medium, "taken for a search over everything");
    }
    refused(parameter, "what it does is not told")
}

fn refused<'d>(parameter: &Parameter<'d>, why: &str) -> DraftParameter<'d> {
    DraftParameter {
        name: parameter.name.to_owned(),
        original: parameter.name,
        role: "refused",
        form: None,
        guess: Guess::new(Confidence::Low, format!("classify: {why}")),
    }
}

fn names_fields<'d>(parameter: &Parameter<'d>, role: &'static str, kind: Kind) -> DraftParameter<'d> {
    let form = match (kind, parameter.is_repeated) {
        (Kind::List, true) => "repeated",
        (Kind::List | Kind::Text | Kind::Unsaid, _) => "comma-list",
        _ => return refused(parameter, "it does not name fields"),
    };
    DraftParameter {
        name: parameter.name.to_owned(),
        original: parameter.name,
        role,
        form: Some(form),
        guess: Guess::new(Confidence::Medium, ""),
    }
}

/// A parameter that is called like a field, alone or with an operator that all know.
fn filter<'d>(
    parameter: &Parameter<'d>,
    of_type: Option<&DraftType<'d>>,
    shape: Option<&Rc<Shape<'d>>>,
) -> Option<DraftParameter<'d>> {
    let is_key =
        |key: &str| of_type.is_some_and(|of_type| of_type.fields.iter().any(|field| field.at == key));
    let is_scalar = shape.is_none_or(|shape| !matches!(shape.kind, Kind::List | Kind::Object));
    if is_key(parameter.name) && is_scalar {
        return Some(DraftParameter {
            name: parameter.name.to_owned(),
            original: parameter.name,
            role: "filter",
            form: Some("key"),
            guess: Guess::new(Confidence::High, ""),
        });
    }
    let (key, operator) = parameter.name.split_once("__")?;
    let fits = is_key(key) && OPERATORS.contains(&operator) && !key.contains(['*', '.']);
    fits.then(|| DraftParameter {
        name: format!("{key}__*"),
        original: parameter.name,
        role: "filter",
        form: Some(SUFFIXED),
        guess: Guess::new(Confidence::Medium, ""),
    })
}

/// A sort, if the document shows by values how directions are written.
fn sort<'d>(parameter: &Parameter<'d>, shape: Option<&Rc<Shape<'d>>>) -> DraftParameter<'d> {
    let listed = shape.map(|shape| shape.values.clone()).unwrap_or_default();
    let shown: Vec<&str> = listed.into_iter().chain(parameter.examples.iter().copied()).collect();
    let ends = |separator: char| {
        shown.iter().any(|value| {
            let end = value.rsplit_once(separator).map(|(_, end)| end.to_ascii_lowercase());
            matches!(end.as_deref(), Some("asc" | "desc"))
        })
    };
    let form = match () {
        () if shown.iter().any(|value| value.starts_with('-')) => "signed-list",
        () if ends(':') => "colon-list",
        () if ends(' ') => "direction-list",
        () => return refused(parameter, "it seems to sort; how it names fields is not told"),
    };
    DraftParameter {
        name: parameter.name.to_owned(),
        original: parameter.name,
        role: "sort",
        form: Some(form),
        guess: Guess::new(Confidence::Medium, "by the values that the document shows"),
    }
}

const PAGINGS: &[&str] = &[
    "page",
    "perpage",
    "pagesize",
    "pagenumber",
    "pagelimit",
    "pageoffset",
    "limit",
    "offset",
    "skip",
    "top",
    "start",
    "startat",
    "maxresults",
    "maxsize",
    "itemsperpage",
];
const CURSORS: &[&str] = &[
    "cursor",
    "after",
    "before",
    "pagetoken",
    "nexttoken",
    "continuationtoken",
    "startingafter",
    "endingbefore",
    "skiptoken",
    "next",
];
const SELECTS: &[&str] = &["fields", "select", "properties", "attributes"];
const EXPANDS: &[&str] = &["expand", "include", "embed", "with"];
const SORTS: &[&str] = &["sort", "sortby", "orderby", "ordering", "order", "sortfield"];
const SEARCHES: &[&str] =
    &["q", "query", "search", "searchterm", "keyword", "keywords", "term", "textfilter", "fulltext"];
const SUFFIXED: &str = "operator-suffix";
