//! What all paths of a document begin with, and how the CRM behind them is spoken to.

use serde_json::Value;

use super::Sayable;
use super::document::{Document, Generation};
use super::names::comment;
use super::operation::Answer;
use crate::bundle::profile::template::Template;

/// What a document says of its server.
#[derive(Debug, Default)]
pub struct Server {
    /// What all paths begin with, without a slash at its end.
    pub base: String,
    /// What somebody should know of it.
    pub notes: Vec<String>,
}

/// The server of a document.
pub fn of(document: &Document) -> Server {
    let mut server = Server::default();
    let text = |key: &str| document.root.get(key).and_then(Value::as_str);
    let url = match document.generation {
        Generation::Two => text("basePath").map(str::to_owned),
        Generation::Three => url(document),
    };
    let named = document.root.get("servers").and_then(Value::as_array).map_or(0, Vec::len);
    if named > 1 {
        server.notes.push(format!("the document names {named} servers: paths begin as at the first"));
    }
    let base = url.as_deref().map(path_of).unwrap_or_default();
    match Template::parse(&format!("GET {base}/x")) {
        _ if base.is_empty() => {}
        Ok(_) if !base.contains('{') => {
            server.notes.push(comment(&format!("paths begin with `{base}`, as the document's server does: if callers ask without it, take it out of every `match`")));
            server.base = base.to_owned();
        }
        _ => server.notes.push(comment(&format!(
            "paths begin with `{base}`, which no template can say: add what callers ask for to every `match`"
        ))),
    }
    let header = credential_header(document);
    server.notes.extend(header.map(|name| {
        comment(&format!("callers' credential stands in the header `{name}`: name it in `[identity]`"))
    }));
    server
}

/// The address of a document's server: its own, or that of its first path.
pub fn url(document: &Document) -> Option<String> {
    own_url(&document.root).or_else(|| {
        let paths = document.root.get("paths")?.as_object()?;
        own_url(paths.values().next()?)
    })
}

/// The address of the first server that a node names.
pub fn own_url(node: &Value) -> Option<String> {
    filled(node.get("servers")?.as_array()?.first()?)
}

/// A server's address with its variables' defaults.
fn filled(server: &Value) -> Option<String> {
    let mut url = server.get("url")?.as_str()?.to_owned();
    let variables = server.get("variables").and_then(Value::as_object);
    for (name, variable) in variables.into_iter().flatten().take(VARIABLES_MAX) {
        let default = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), default);
    }
    Some(url)
}

/// The path of an address, without a slash at its end.
fn path_of(url: &str) -> &str {
    let behind = url
        .split_once("://")
        .map_or(url, |(_, rest)| rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default());
    let path = behind.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    if path.starts_with('/') { path } else { "" }
}

/// The header that holds a key, if the document says that callers have one there.
fn credential_header(document: &Document) -> Option<&str> {
    let place = match document.generation {
        Generation::Two => "/securityDefinitions",
        Generation::Three => "/components/securitySchemes",
    };
    let schemes = document.root.pointer(place)?.as_object()?;
    let key = |scheme: &&Value| {
        let text = |key: &str| scheme.get(key).and_then(Value::as_str);
        text("type") == Some("apiKey") && text("in") == Some("header")
    };
    schemes.values().find(key)?.get("name")?.as_str()
}

/// The one content type of all JSON answers, if it is not plain JSON.
pub fn accept<'d>(operations: &[Sayable<'d>]) -> Option<&'d str> {
    let media = |operation: &Sayable<'d>| match operation.operation.answer {
        Answer::Json(_, media) => Some(media),
        Answer::Empty | Answer::Other(_) | Answer::Unsaid => None,
    };
    let mut all = operations.iter().filter_map(media);
    let first = all.next()?;
    let is_own = first.ends_with("+json") && first.bytes().all(|b| b.is_ascii_graphic());
    (is_own && all.all(|media| media == first)).then_some(first)
}

/// Variables of one server.
const VARIABLES_MAX: usize = 50;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::author::SourceFile;

    #[track_caller]
    fn check(members: Value, base: &str, notes: &[&str]) {
        let document = Document::read(&SourceFile::new("a.json", members.to_string())).unwrap();
        let server = of(&document);
        assert_eq!(server.base, base);
        let told = |(note, part): (&String, &&str)| note.contains(part);
        let fits = server.notes.len() == notes.len() && server.notes.iter().zip(notes).all(told);
        assert!(fits, "{:?}", server.notes);
    }

    #[test]
    fn paths_begin_as_the_server_says() {
        let three = |servers: Value| json!({"openapi": "3.0.0", "servers": servers});
        check(three(json!([{"url": "https://crm.example/api/v1/"}])), "/api/v1", &["begin with `/api/v1`"]);
        check(three(json!([{"url": "https://crm.example"}])), "", &[]);
        check(three(json!([{"url": "/v2"}, {"url": "/v3"}])), "/v2", &["2 servers", "begin with"]);
        check(
            three(json!([{"url": "{scheme}://x/{v}", "variables": {"v": {"default": "v9"}}}])),
            "/v9",
            &["begin with"],
        );
        check(three(json!([{"url": "https://x/{tenant}"}])), "", &["no template can say"]);
        check(three(json!([{"url": "https://x/a;b"}])), "", &["no template can say"]);
        let of_path = json!({"openapi": "3.0.0", "paths": {"/a": {"servers": [{"url": "https://x/v7"}]}}});
        check(of_path, "/v7", &["begin with"]);
        check(json!({"swagger": "2.0", "basePath": "/"}), "", &[]);
        let key = json!({"k": {"type": "apiKey", "in": "header", "name": "X-Key"}});
        check(
            json!({"swagger": "2.0", "basePath": "/api", "securityDefinitions": key}),
            "/api",
            &["begin with", "`X-Key`"],
        );
    }
}
