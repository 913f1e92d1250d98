//! The operations of a document in one form, whatever its version: what is sent, by which parameters, and what a success answers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::document::{Document, Generation};
use super::server;

/// One method of one path.
#[derive(Debug)]
pub struct Operation<'d> {
    /// The method.
    pub method: &'static str,
    /// The path as the document has it, without what all paths begin with.
    pub path: &'d str,
    /// Its parameters, those of the path included.
    pub parameters: Vec<Parameter<'d>>,
    /// What its request body is.
    pub body: Option<Body<'d>>,
    /// What a success answers.
    pub answer: Answer<'d>,
    /// Whether another server than the document's answers it.
    pub is_elsewhere: bool,
    /// Whether the document says that nobody need be identified.
    pub is_for_anybody: bool,
    /// Whether the path can be asked by `HEAD` too.
    pub takes_head: bool,
}

/// A parameter of an operation.
#[derive(Debug)]
pub struct Parameter<'d> {
    /// Its name.
    pub name: &'d str,
    /// `query`, `path`, `header` or `cookie`.
    pub stands: &'d str,
    /// What it is.
    pub schema: Option<&'d Value>,
    /// Whether each value of a list is a parameter of its own.
    pub is_repeated: bool,
    /// What the document gives as an example of it.
    pub examples: Vec<&'d str>,
}

/// A request body.
#[derive(Debug)]
pub struct Body<'d> {
    /// How it can be sent, as profiles name it, if they can.
    pub kind: Option<&'static str>,
    /// The content types that the document lists.
    pub listed: Vec<&'d str>,
    /// What it is.
    pub schema: Option<&'d Value>,
}

/// What a success answers.
#[derive(Debug)]
pub enum Answer<'d> {
    /// JSON of this schema, sent as this content type.
    Json(&'d Value, &'d str),
    /// Nothing.
    Empty,
    /// Something else.
    Other(Vec<&'d str>),
    /// The document does not say.
    Unsaid,
}

/// Every operation that a profile can have, path by path as the document has them; beside it the number of others.
pub fn all(document: &Document) -> (Vec<Operation<'_>>, usize) {
    let (mut found, mut others) = (Vec::new(), 0);
    let paths = document.root.get("paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten() {
        let Some(item) = document.follow(item).map(|target| target.node) else { continue };
        let has = |method: &str| item.get(method).is_some_and(Value::is_object);
        others += ["options", "trace"].into_iter().filter(|method| has(method)).count();
        others += usize::from(has("head") && !has("get"));
        for (key, method) in METHODS.iter().filter(|(key, _)| has(key)) {
            let Some(operation) = item.get(key) else { continue };
            match found.len() < OPERATIONS_MAX {
                true => found.push(read(document, path, item, method, operation)),
                false => others += 1,
            }
        }
    }
    (found, others)
}

fn read<'d>(
    document: &'d Document,
    path: &'d str,
    item: &'d Value,
    method: &'static str,
    operation: &'d Value,
) -> Operation<'d> {
    let raw = raw_parameters(document, item, operation);
    let elsewhere =
        |node: &Value| server::own_url(node).is_some_and(|own| Some(own) != server::url(document));
    let of_document = document.root.get("security");
    let security = operation.get("security").or(of_document).and_then(Value::as_array);
    Operation {
        method,
        path,
        parameters: raw.iter().filter_map(|raw| parameter(document, raw)).collect(),
        body: match document.generation {
            Generation::Two => body_of_two(document, operation, &raw),
            Generation::Three => body_of_three(document, operation),
        },
        answer: answer(document, operation),
        is_elsewhere: elsewhere(operation) || elsewhere(item),
        is_for_anybody: security.is_some_and(Vec::is_empty),
        takes_head: method == "GET" && item.get("head").is_some(),
    }
}

/// The parameters of an operation and of its path; the operation's own count.
fn raw_parameters<'d>(document: &'d Document, item: &'d Value, operation: &'d Value) -> Vec<&'d Value> {
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for node in [operation, item] {
        let listed = node.get("parameters").and_then(Value::as_array).into_iter().flatten();
        for raw in listed.filter_map(|raw| document.follow(raw)).map(|target| target.node) {
            let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default();
            if found.len() < PARAMETERS_MAX && seen.insert((text("in"), text("name"))) {
                found.push(raw);
            }
        }
    }
    found
}

fn parameter<'d>(document: &'d Document, raw: &'d Value) -> Option<Parameter<'d>> {
    let text = |key: &str| raw.get(key).and_then(Value::as_str);
    let stands = text("in").filter(|stands| ["query", "path", "header", "cookie"].contains(stands))?;
    let in_content = || {
        let content = raw.get("content")?.as_object()?;
        content.values().next()?.get("schema")
    };
    let schema = match document.generation {
        Generation::Two => Some(raw),
        Generation::Three => raw.get("schema").or_else(in_content),
    };
    // A list of OpenAPI 3 is repeated unless it says otherwise, one of Swagger 2.0 only if it says so.
    let is_plain_style = text("style").is_none_or(|style| style == "form");
    let is_repeated = match document.generation {
        Generation::Two => text("collectionFormat") == Some("multi"),
        Generation::Three => {
            is_plain_style && raw.get("explode").is_none_or(|explode| explode == &Value::Bool(true))
        }
    };
    let own = [
        raw.get("example"),
        schema.and_then(|schema| schema.get("example")),
        schema.and_then(|schema| schema.get("default")),
    ];
    let named = raw.get("examples").and_then(Value::as_object).into_iter().flatten();
    let examples = own.into_iter().flatten().chain(named.filter_map(|(_, example)| example.get("value")));
    Some(Parameter {
        name: text("name")?,
        stands,
        schema,
        is_repeated,
        examples: examples.filter_map(Value::as_str).take(EXAMPLES_MAX).collect(),
    })
}

fn body_of_two<'d>(document: &'d Document, operation: &'d Value, raw: &[&'d Value]) -> Option<Body<'d>> {
    let stands = |stands: &'static str| {
        raw.iter().filter(move |raw| raw.get("in").and_then(Value::as_str) == Some(stands))
    };
    let listed = texts(operation.get("consumes").or_else(|| document.root.get("consumes")));
    if let Some(body) = stands("body").next() {
        let listed = if listed.is_empty() { vec!["application/json"] } else { listed };
        let kind = listed.iter().any(|media| is_json(media)).then_some("json");
        return Some(Body { kind, listed, schema: body.get("schema") });
    }
    let is_file = |raw: &&&Value| raw.get("type").and_then(Value::as_str) == Some("file");
    stands("formData").next()?;
    let kind = stands("formData").find(is_file).is_none().then_some("form");
    // The members of a form stand one by one, so there is no schema of the whole.
    Some(Body { kind, listed, schema: None })
}

fn body_of_three<'d>(document: &'d Document, operation: &'d Value) -> Option<Body<'d>> {
    let content = document.member(operation, "requestBody")?.get("content")?.as_object()?;
    let listed: Vec<&str> = content.keys().map(String::as_str).collect();
    let find =
        |wanted: &dyn Fn(&str) -> bool| content.iter().find(|(media, _)| wanted(media)).map(|(_, body)| body);
    let json = find(&is_json).map(|body| ("json", body));
    let form =
        || find(&|media| media.starts_with("application/x-www-form-urlencoded")).map(|body| ("form", body));
    let chosen = json.or_else(form);
    Some(Body {
        kind: chosen.map(|(kind, _)| kind),
        listed,
        schema: chosen.and_then(|(_, body)| body.get("schema")),
    })
}

fn answer<'d>(document: &'d Document, operation: &'d Value) -> Answer<'d> {
    let Some(responses) = operation.get("responses").and_then(Value::as_object) else {
        return Answer::Unsaid;
    };
    let success = responses
        .iter()
        .filter(|(status, _)| status.starts_with('2'))
        .chain(responses.get_key_value("default"));
    let mut empty = false;
    for (_, response) in success {
        let Some(target) = document.follow(response) else { continue };
        match of_response(document, operation, target.node) {
            // Of several successes the one with something to look at counts: 200 beside 204.
            Answer::Empty => empty = true,
            answer => return answer,
        }
    }
    if empty { Answer::Empty } else { Answer::Unsaid }
}

fn of_response<'d>(document: &'d Document, operation: &'d Value, response: &'d Value) -> Answer<'d> {
    if document.generation == Generation::Two {
        let listed = texts(operation.get("produces").or_else(|| document.root.get("produces")));
        let json = listed.iter().find(|media| is_json(media)).copied();
        return match (response.get("schema"), json) {
            (None, _) => Answer::Empty,
            (Some(schema), Some(media)) => Answer::Json(schema, media),
            (Some(schema), None) if listed.is_empty() => Answer::Json(schema, PLAIN_JSON),
            (Some(_), None) => Answer::Other(listed),
        };
    }
    let content = response.get("content").and_then(Value::as_object);
    let Some(content) = content.filter(|content| !content.is_empty()) else { return Answer::Empty };
    match content.iter().find(|(media, _)| is_json(media)) {
        Some((media, body)) => {
            body.get("schema").map_or(Answer::Unsaid, |schema| Answer::Json(schema, media))
        }
        None => Answer::Other(content.keys().map(String::as_str).collect()),
    }
}

/// Whether a content type is JSON, or anything, which a JSON API means by it.
fn is_json(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_patch = essence.ends_with("json-patch+json") || essence.ends_with("json-seq");
    !is_patch && (essence == PLAIN_JSON || essence == "*/*" || essence.ends_with("+json"))
}

fn texts(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Methods that a route can have, beside `HEAD`.
const METHODS: [(&str, &str); 5] =
    [("get", "GET"), ("post", "POST"), ("put", "PUT"), ("patch", "PATCH"), ("delete", "DELETE")];
/// Operations that are drafted.
const OPERATIONS_MAX: usize = 5_000;
/// Parameters of one operation.
const PARAMETERS_MAX: usize = 200;
/// Examples of one parameter that are looked at.
const EXAMPLES_MAX: usize = 10;
const PLAIN_JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::author::SourceFile;

    #[track_caller]
    fn check(whole: Value, expected: &str) {
        let document = Document::read(&SourceFile::new("a.json", whole.to_string())).unwrap();
        let (operations, others) = all(&document);
        let told = operations.iter().map(|operation| {
            let body = operation.body.as_ref().map_or("-", |body| body.kind.unwrap_or("?"));
            let answer = match &operation.answer {
                Answer::Json(_, media) => (*media).to_owned(),
                other => format!("{other:?}"),
            };
            let names: Vec<String> = operation
                .parameters
                .iter()
                .map(|p| format!("{}:{}:{}", p.stands, p.name, p.is_repeated))
                .collect();
            format!("{} {} [{}] {body} {answer}", operation.method, operation.path, names.join(" "))
        });
        let told: Vec<String> = told.chain((others > 0).then(|| format!("{others} others"))).collect();
        assert_eq!(told.join("; "), expected);
    }

    fn three(item: Value) -> Value {
        json!({"openapi": "3.0.0", "paths": {"/a": item}})
    }

    #[test]
    fn bodies_and_answers_of_openapi_3() {
        let body = |media: &str| json!({"content": {media: {"schema": {}}}});
        check(
            three(
                json!({"get": {"responses": {"200": body("application/json; charset=utf-8")}}, "head": {}}),
            ),
            "GET /a [] - application/json; charset=utf-8",
        );
        check(three(json!({"get": {"responses": {"404": body("application/json")}}})), "GET /a [] - Unsaid");
        check(
            three(json!({"get": {"responses": {"204": {}, "default": body("application/hal+json")}}})),
            "GET /a [] - application/hal+json",
        );
        check(
            three(json!({"get": {"responses": {"200": body("text/csv")}}, "options": {}})),
            "GET /a [] - Other([\"text/csv\"]); 1 others",
        );
        check(
            three(
                json!({"post": {"requestBody": body("application/x-www-form-urlencoded"), "responses": {"204": {}}}}),
            ),
            "POST /a [] form Empty",
        );
        check(
            three(json!({"patch": {"requestBody": body("application/json-patch+json")}})),
            "PATCH /a [] ? Unsaid",
        );
    }

    #[test]
    fn bodies_and_answers_of_swagger_2() {
        let whole = json!({"swagger": "2.0", "produces": ["text/html", "application/json"], "paths": {"/a": {
            "parameters": [{"in": "query", "name": "q", "type": "string"}],
            "get": {"parameters": [{"in": "query", "name": "ids", "type": "array", "collectionFormat": "multi"}], "responses": {"200": {"schema": {}}}},
            "post": {"parameters": [{"in": "body", "name": "b", "schema": {}}], "produces": ["text/csv"], "responses": {"200": {"schema": {}}}},
            "put": {"parameters": [{"in": "formData", "name": "f", "type": "file"}], "responses": {"200": {}}},
        }}});
        check(
            whole,
            "GET /a [query:ids:true query:q:false] - application/json; POST /a [query:q:false] json Other([\"text/csv\"]); PUT /a [query:q:false] ? Empty",
        );
    }

    #[test]
    fn parameters_of_the_operation_count_before_those_of_the_path() {
        let item = json!({
            "parameters": [{"in": "query", "name": "a", "explode": false}, {"in": "query", "name": "b"}, {"name": "nowhere"}, 7],
            "delete": {"parameters": [{"in": "query", "name": "a"}, {"$ref": "far.json"}]},
        });
        check(three(item), "DELETE /a [query:a:true query:b:true] - Unsaid");
    }
}
