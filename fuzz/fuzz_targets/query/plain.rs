//! A plain reader of every form, as a CRM may have one: `serde_json` and text. It knows nothing of the lexers, and takes what
//! is well formed for granted.

use std::collections::BTreeSet;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use lockkeeper::bundle::profile::query::Form;
use lockkeeper::bundle::profile::query::grammar::OPERATORS;
use serde_json::{Map, Value};

use super::forms::{Asked, Dialect, Wrapping};

type Pairs = [(String, String)];

/// The fields that the parameters of a form name, each by the way to it; ids apart.
pub fn names(asked: &Asked, pairs: &Pairs) -> BTreeSet<String> {
    let found: Vec<String> = match asked.form {
        Form::Key if asked.dialect == Dialect::Dotted => vec!["r.n".to_owned()],
        Form::Key => vec![asked.prefix.clone()],
        Form::OperatorSuffix => {
            pairs.iter().map(|(name, _)| without_operator(name, asked.separator)).collect()
        }
        Form::Bracketed => pairs.iter().map(|(name, _)| inside(name).to_owned()).collect(),
        form if form.is_json() => in_json(asked, &value(asked, pairs)),
        _ => pairs.iter().flat_map(|(_, list)| list.split(',')).map(bare).collect(),
    };
    let by_record =
        found.into_iter().map(|name| name.strip_suffix(".id").map_or(name.clone(), str::to_owned));
    by_record.filter(|name| name != "id").collect()
}

/// `-a`, `a desc`, `a:desc` and `a[desc]` as `a`.
fn bare(one: &str) -> String {
    let name = one.strip_prefix('-').unwrap_or(one);
    name.split([' ', ':', '[']).next().unwrap_or_default().to_owned()
}

fn without_operator(name: &str, separator: &str) -> String {
    let mut parts: Vec<&str> = name.split("__").collect();
    parts.pop_if(|last| OPERATORS.contains(last));
    parts.join(if separator == "__" { "." } else { "__" })
}

/// `filter[a][gte]` as `a`.
fn inside(name: &str) -> &str {
    let (_, rest) = name.split_once('[').unwrap_or_default();
    rest.split(']').next().unwrap_or_default()
}

fn in_json(asked: &Asked, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |name: &Value| found.extend(name.as_str().map(str::to_owned));
    match (asked.form, value) {
        (Form::JsonList, Value::Array(items)) => items.iter().for_each(add),
        (Form::JsonPair, pair) => add(&pair[0]),
        (Form::JsonPairs | Form::Prefix, Value::Array(items)) => items.iter().for_each(|item| add(&item[0])),
        (Form::JsonObjects, Value::Array(items)) => items.iter().for_each(|item| add(&item["f"])),
        (Form::JsonKeys, Value::Object(members)) => found.extend(members.keys().cloned()),
        (Form::Triples, value) => triples(value, &mut found),
        (Form::Object, value) => object(value, "", &mut found),
        (Form::Tree, value) => tree(asked.dialect, value, &mut found),
        _ => {}
    }
    found
}

fn triples(value: &Value, found: &mut Vec<String>) {
    match value[0].as_str() {
        Some(name) if name != "AND" && name != "OR" => found.push(name.to_owned()),
        _ => value.as_array().into_iter().flatten().for_each(|item| triples(item, found)),
    }
}

fn object(value: &Value, at: &str, found: &mut Vec<String>) {
    let Value::Object(members) = value else { return found.push(at.to_owned()) };
    for (key, inner) in members {
        match key.as_str() {
            "$and" | "$or" | "$not" => inner
                .as_array()
                .map_or_else(|| std::slice::from_ref(inner), Vec::as_slice)
                .iter()
                .for_each(|inner| object(inner, at, found)),
            "$eq" | "$gt" | "$in" => found.push(at.to_owned()),
            key if at.is_empty() => object(inner, key, found),
            key => object(inner, &format!("{at}.{key}"), found),
        }
    }
}

fn tree(dialect: Dialect, value: &Value, found: &mut Vec<String>) {
    if let Value::Array(items) = value {
        return items.iter().for_each(|item| tree(dialect, item, found));
    }
    if dialect == Dialect::Combined && matches!(value["o"].as_str(), Some("and" | "or" | "not")) {
        return tree(dialect, &value["v"], found);
    }
    match value["f"].as_str() {
        Some(name) => found.push(name.to_owned()),
        None => value.as_object().into_iter().flatten().for_each(|(_, inner)| tree(dialect, inner, found)),
    }
}

/// What the parameters hold.
fn value(asked: &Asked, pairs: &Pairs) -> Value {
    match asked.wrapping {
        Wrapping::Named => nested(&asked.prefix, pairs),
        _ => serde_json::from_str(&json(asked, pairs)).expect("what is written is JSON"),
    }
}

/// The JSON text of a parameter.
fn json(asked: &Asked, pairs: &Pairs) -> String {
    let alphabet = match asked.wrapping {
        Wrapping::Bare | Wrapping::Named => return pairs[0].1.clone(),
        Wrapping::Base64Url => &URL_SAFE,
        Wrapping::Base64 => &STANDARD,
    };
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(alphabet, config).decode(&pairs[0].1).expect("base64");
    String::from_utf8(bytes).expect("text")
}

/// Names in brackets as the value that they make.
fn nested(prefix: &str, pairs: &Pairs) -> Value {
    let mut root = Value::Object(Map::new());
    for (name, text) in pairs {
        let keys = keys(name.strip_prefix(prefix).expect("a parameter of the form"));
        let place = keys.into_iter().fold(&mut root, |place, key| &mut place[key]);
        *place = Value::String(text.clone());
    }
    listed(root)
}

fn keys(rest: &str) -> Vec<&str> {
    let inner = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.expect("brackets").split("][").collect()
}

/// Objects whose keys are numbers are lists.
fn listed(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let is_list = !members.is_empty() && members.keys().all(|key| key.parse::<usize>().is_ok());
    let members = members.into_iter().map(|(key, inner)| (key, listed(inner)));
    match is_list {
        true => Value::Array(members.map(|(_, inner)| inner).collect()),
        false => Value::Object(members.collect()),
    }
}

/// What was given and does not stand in what is written. A word that joins may be written where it was only meant, and left out
/// where nothing else can be meant.
pub fn lost(asked: &Asked, given: &Pairs, written: &Pairs) -> Vec<String> {
    let (given, mut written) = (parts(asked, given), parts(asked, written));
    let is_lost = |part: &String| match written.iter().position(|other| other == part) {
        Some(at) => {
            written.swap_remove(at);
            false
        }
        None => !["\"AND", "\"$and", "\"and", "$and", "and"].contains(&part.as_str()),
    };
    given.into_iter().filter(is_lost).collect()
}

fn parts(asked: &Asked, pairs: &Pairs) -> Vec<String> {
    match (asked.wrapping, asked.form) {
        (Wrapping::Named, form) if form.is_json() => {
            let is_word = |key: &&str| key.parse::<usize>().is_err() && !key.is_empty();
            let of_one = |(name, text): &(String, String)| {
                let keys = keys(name.strip_prefix(&asked.prefix).expect("a parameter of the form"));
                let words = keys.into_iter().filter(is_word).map(str::to_owned);
                words.chain([format!("={text}")]).collect::<Vec<_>>()
            };
            // A key is written once for each value below it, or more often.
            let mut all: Vec<String> = pairs.iter().flat_map(of_one).collect();
            all.sort();
            all
        }
        (_, form) if form.is_json() => tokens(&json(asked, pairs)),
        (_, Form::DirectionList) => {
            let list = pairs.iter().flat_map(|(_, list)| list.split(','));
            vec![list.map(str::trim).collect::<Vec<_>>().join(",")]
        }
        _ => pairs.iter().map(|(name, value)| format!("{name}={value}")).collect(),
    }
}

/// Every string, number and word of a JSON text, strings decoded behind a quote.
fn tokens(text: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let mut strings = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let length = match first {
            '"' => {
                found.extend(strings.next().and_then(Result::ok).map(|string| format!("\"{string}")));
                strings.byte_offset()
            }
            first if is_part(first) => {
                let length = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
                found.push(rest[..length].to_owned());
                length
            }
            first => first.len_utf8(),
        };
        rest = &rest[length..];
    }
    found
}
