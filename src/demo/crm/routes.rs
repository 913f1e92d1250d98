//! Which request does what: the demo CRM's routing table.
//!
//! Promises an answer to every request. Never strict about paths: it decodes `%2F`, ignores empty segments and obeys
//! `X-HTTP-Method-Override` on POST, the lenient habits that a proxy in front has to be safe against.

use bytes::Bytes;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use super::error::ApiError;
use super::params::Params;
use super::record::Record;
use super::reply::Reply;
use super::store::Store;
use super::{catalogue, deals, directory, files, report, web};

/// One request, understood as far as routing goes.
#[derive(Debug)]
pub struct Call<'a> {
    /// The method, after any override.
    pub method: Method,
    /// Decoded path segments without empty ones.
    pub segments: Vec<String>,
    /// The path as it was written.
    pub path: &'a str,
    /// The query.
    pub params: Params,
    /// All request headers.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a Bytes,
}

impl<'a> Call<'a> {
    /// Takes a request target apart.
    pub fn new(method: &Method, target: &'a str, headers: &'a HeaderMap, body: &'a Bytes) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        let segments = decoded.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect();
        Self {
            method: effective(method, headers),
            segments,
            path,
            params: Params::parse(query),
            headers,
            body,
        }
    }

    /// The body as one JSON object.
    pub fn object(&self) -> Result<Record, ApiError> {
        Record::parse(std::str::from_utf8(self.body).map_err(|_| ApiError::MalformedJson)?)
    }
}

/// Does what the request asks and says how that went.
pub fn answer(store: &mut Store, call: &Call<'_>) -> Reply {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let outcome = match segments.as_slice() {
        ["login" | "logout" | "static", ..] => web::answer(&mut store.sessions, call),
        ["api", "deals", rest @ ..] => deal_routes(store, call, rest),
        ["api", rest @ ..] => other_routes(store, call, rest),
        _ => Err(ApiError::NotFound),
    };
    outcome.unwrap_or_else(Reply::from)
}

fn effective(method: &Method, headers: &HeaderMap) -> Method {
    match *method {
        Method::HEAD => Method::GET,
        Method::POST => overridden(headers).unwrap_or(Method::POST),
        _ => method.clone(),
    }
}

fn overridden(headers: &HeaderMap) -> Option<Method> {
    Method::from_bytes(headers.get("x-http-method-override")?.as_bytes()).ok()
}

fn deal_routes(store: &mut Store, call: &Call<'_>, rest: &[&str]) -> Result<Reply, ApiError> {
    match (rest, &call.method) {
        ([], &Method::GET) => deals::list(store, call),
        ([], &Method::POST) => deals::create(store, call),
        ([], _) => Err(ApiError::MethodNotAllowed { allow: "GET, HEAD, POST" }),
        (["export.csv"], &Method::GET) => deals::export(store, call),
        (["export.csv"], _) => Err(ApiError::MethodNotAllowed { allow: "GET, HEAD" }),
        (["bulk"], &Method::POST) => deals::bulk(store, call),
        (["bulk"], _) => Err(ApiError::MethodNotAllowed { allow: "POST" }),
        ([id], method) => deal_record(store, call, number(id)?, method),
        ([id, "move"], &Method::POST) => deals::advance(store, call, number(id)?),
        ([id, "files"], &Method::GET) => files::list(store, number(id)?),
        ([id, "files"], &Method::POST) => files::attach(store, call, number(id)?),
        // Whether the file hangs on that deal, it does not ask.
        ([_, "files", file], &Method::GET) => files::content(store, call, number(file)?),
        ([_, "files"], _) => Err(ApiError::MethodNotAllowed { allow: "GET, HEAD, POST" }),
        ([_, "move"], _) => Err(ApiError::MethodNotAllowed { allow: "POST" }),
        _ => Err(ApiError::NotFound),
    }
}

fn deal_record(store: &mut Store, call: &Call<'_>, id: u64, method: &Method) -> Result<Reply, ApiError> {
    match *method {
        Method::GET => deals::show(store, call, id),
        Method::PATCH => deals::merge(store, call, id),
        Method::PUT => deals::replace(store, call, id),
        Method::DELETE => deals::remove(store, call, id),
        _ => Err(ApiError::MethodNotAllowed { allow: "GET, HEAD, PATCH, PUT, DELETE" }),
    }
}

fn other_routes(store: &mut Store, call: &Call<'_>, rest: &[&str]) -> Result<Reply, ApiError> {
    match (rest, &call.method) {
        (["contacts"], &Method::GET) => directory::contacts(store, call),
        (["contacts", id], &Method::GET) => directory::contact(store, call, number(id)?),
        (["contacts", id], &Method::PATCH) => directory::merge_contact(store, call, number(id)?),
        (["contacts", _], _) => Err(ApiError::MethodNotAllowed { allow: "GET, HEAD, PATCH" }),
        (["companies"], &Method::GET) => directory::companies(store, call),
        (["companies", id], &Method::GET) => directory::company(store, call, number(id)?),
        (["pipelines"], &Method::GET) => Ok(directory::whole(&catalogue::pipelines())),
        (["files", id], &Method::GET) => files::show(store, number(id)?),
        (["files", id, "content"], &Method::GET) => files::content(store, call, number(id)?),
        (["me"], &Method::GET) => web::me(&store.sessions, call),
        (["users"], &Method::GET) => Ok(directory::whole(&catalogue::users())),
        (["teams"], &Method::GET) => Ok(directory::whole(&catalogue::teams())),
        (["reports", "pipeline"], &Method::GET) => report::pipelines(store, call),
        (
            ["contacts" | "companies" | "pipelines" | "users" | "teams"]
            | ["companies", _]
            | ["reports", "pipeline"],
            _,
        ) => Err(ApiError::MethodNotAllowed { allow: "GET, HEAD" }),
        _ => Err(ApiError::NotFound),
    }
}

fn number(segment: &str) -> Result<u64, ApiError> {
    segment.parse().map_err(|_| ApiError::NotFound)
}
