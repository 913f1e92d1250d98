//! What the model CRM does with a query: filters in every form that it knows, sorts, searches, pages.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Kind, State};

/// The decoded pairs of a query.
pub type Pairs = Vec<(String, String)>;

/// What a list comes to.
pub struct Found {
    /// Every match, in order.
    pub all: Vec<u64>,
    /// The matches of the page.
    pub page: Vec<u64>,
    /// The number of the page.
    pub number: usize,
}

/// The first value of a parameter.
pub fn value<'q>(pairs: &'q Pairs, name: &str) -> Option<&'q str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// The names that a parameter lists.
pub fn names(pairs: &Pairs, name: &str) -> Option<Vec<String>> {
    value(pairs, name).map(|text| text.split(',').map(str::to_owned).collect())
}

/// The records that a query asks for. What it does not know it ignores, as many CRMs do.
pub fn find(state: &State, kind: Kind, pairs: &Pairs) -> Found {
    let mut all: Vec<u64> = state.tables[&kind].keys().copied().collect();
    all.retain(|id| pairs.iter().all(|(name, text)| fits(state, kind, *id, name, text)));
    for (field, is_down) in order(pairs).iter().rev() {
        let by = |id: &u64| looked_up(state, kind, *id, field);
        all.sort_by(|a, b| if *is_down { compare(&by(b), &by(a)) } else { compare(&by(a), &by(b)) });
    }
    let number =
        value(pairs, "page").and_then(|text| text.parse().ok()).filter(|page| *page > 0).unwrap_or(1);
    let count = |name: &str| value(pairs, name).and_then(|text| text.parse::<usize>().ok());
    let length = count("per_page").or(count("limit")).unwrap_or(usize::MAX);
    let skip = length.saturating_mul(number - 1).saturating_add(count("offset").unwrap_or(0));
    let page = all.iter().copied().skip(skip).take(length).collect();
    Found { all, page, number }
}

/// The fields to sort by, and whether downwards: `sort=-a,b`, and `order_by=a desc`.
pub fn order(pairs: &Pairs) -> Vec<(String, bool)> {
    let signed = value(pairs, "sort").into_iter().flat_map(|text| text.split(','));
    let signed = signed.map(|name| (name.trim_start_matches('-').to_owned(), name.starts_with('-')));
    let directed = value(pairs, "order_by").into_iter().flat_map(|text| text.split(','));
    let directed = directed.map(|part| {
        let (name, direction) = part.trim().split_once(' ').unwrap_or((part.trim(), "asc"));
        (name.to_owned(), direction.eq_ignore_ascii_case("desc"))
    });
    signed.chain(directed).collect()
}

fn fits(state: &State, kind: Kind, id: u64, name: &str, text: &str) -> bool {
    let of = |field: &str| looked_up(state, kind, id, field);
    match name {
        "page" | "per_page" | "limit" | "offset" | "sort" | "order_by" | "select" | "expand" | "format"
        | "debug" => true,
        "q" => searched(kind).iter().any(|key| of(key).as_str().is_some_and(|value| value.contains(text))),
        "filter" => serde_json::from_str(text).map_or(true, |tree: Value| holds(&of, &tree)),
        _ if name.starts_with("filter[") => {
            let inside = name.trim_start_matches("filter[").trim_end_matches(']');
            let (field, operator) = inside.split_once("][").unwrap_or((inside, "eq"));
            matches(&of(field), operator, text)
        }
        _ => match name.rsplit_once("__") {
            Some((field, operator)) => matches(&of(field), operator, text),
            None if kind.keys().contains(&name) || name.contains('.') => matches(&of(name), "eq", text),
            None => true,
        },
    }
}

/// A tree of conditions: `{"and":[{"field":"amount","op":"gte","value":5}]}`.
fn holds(of: &dyn Fn(&str) -> Value, tree: &Value) -> bool {
    let all = |key: &str| tree[key].as_array();
    if let Some(parts) = all("and") {
        return parts.iter().all(|part| holds(of, part));
    }
    if let Some(parts) = all("or") {
        return parts.iter().any(|part| holds(of, part));
    }
    let text = match &tree["value"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let operator = tree["op"].as_str().unwrap_or("eq");
    if let (Some(values), Some(field)) = (tree["value"].as_array(), tree["field"].as_str()) {
        return values.iter().any(|value| compare(&of(field), value) == Ordering::Equal);
    }
    tree["field"].as_str().is_none_or(|field| matches(&of(field), operator, &text))
}

fn matches(value: &Value, operator: &str, text: &str) -> bool {
    let asked: Value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    let order = compare(value, &asked);
    let own = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match operator {
        "ne" => order != Ordering::Equal,
        "gt" => order == Ordering::Greater,
        "gte" => order != Ordering::Less,
        "lt" => order == Ordering::Less,
        "lte" => order != Ordering::Greater,
        "isnull" => value.is_null() == (text == "true" || text == "1"),
        "contains" | "icontains" => own.contains(text),
        "startswith" => own.starts_with(text),
        "in" => text.split(',').any(|text| own == text),
        _ => order == Ordering::Equal || own == text,
    }
}

/// The value at a key, also of a related record: `contact.email`.
fn looked_up(state: &State, kind: Kind, id: u64, field: &str) -> Value {
    let Some(record) = state.record(kind, id) else { return Value::Null };
    if field == "id" {
        return Value::from(id);
    }
    if let Some(text) = record.get(field) {
        return serde_json::from_str(text).unwrap_or_default();
    }
    let Some((relation, inner)) = field.split_once('.') else { return Value::Null };
    let (key, to) = match relation {
        "contact" => ("contact_id", Kind::Contact),
        "company" => ("company_id", Kind::Company),
        _ => return Value::Null,
    };
    let id = record.get(key).and_then(|text| text.parse().ok());
    id.map_or(Value::Null, |id| looked_up(state, to, id, inner))
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => rank(a).cmp(&rank(b)).then_with(|| text_of(a).cmp(&text_of(b))),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The keys that a search looks at.
pub fn searched(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Deal => &["title", "notes", "internal"],
        Kind::Contact => &["name", "email"],
        Kind::Company => &["name"],
    }
}

/// A sum over a key of some records.
pub fn sum(state: &State, kind: Kind, ids: &[u64], key: &str) -> f64 {
    ids.iter().filter_map(|id| looked_up(state, kind, *id, key).as_f64()).sum()
}
